//! The ends of a connection: DISCONNECT and the close of TCP.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Unmet},
    judge::StepView,
    mqtt::PacketType,
    timeline::Side,
};

use crate::{told::is_command, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    // Where one command ends MQTT and TCP, closing is all its own.
    let closed =
        if has(cx, "close") { closed_by_module() } else { closed_by_module().citing(&["MQTT-3.14.4-1"]) };
    vec![
        case(
            "close/disconnect",
            "the commanded end of MQTT is seen on the wire, and nothing comes after it",
            &["MQTT-3.14.4-2"],
        )
        .steps(then(connected(cx), [Check(disconnect()), Quiet]))
        .steps(has(cx, "close").then(|| Check(close())))
        .steps([Wait(Await::Closed)])
        .expect([ended_by_disconnect(), closed, closes_after_disconnect()]),
        case("close/sends-disconnect", "the command that ends MQTT sends DISCONNECT", &[])
            .unless(
                (!cx.profile.cites.contains_key("close/sends-disconnect"))
                    .then(|| format!("no clause of {} says that DISCONNECT is sent", cx.profile.name)),
            )
            .steps(then(connected(cx), [Check(disconnect()), Quiet]))
            .expect([count(PacketType::Disconnect, 1)]),
        case("close/tcp", "closing TCP closes it", &[])
            .steps(then(connected(cx), [Check(close()), Wait(Await::Closed)]))
            .expect([closed_by_module()]),
        case("close/before-connect", "a TCP connection without CONNECT is closed too", &[])
            .steps(then(opened(cx), [Check(close()), Wait(Await::Closed)]))
            .expect([closed_by_module(), count(PacketType::Disconnect, 0)])
            .needing(cx, "open"),
        case(
            "close/silent-after-disconnect",
            "after DISCONNECT nothing is sent, no PINGREQ either",
            &["MQTT-3.14.4-2"],
        )
        .steps(then(connected_with(cx, true, 10), [Do(disconnect()), Idle { seconds: 20 }]))
        .expect([ended_by_disconnect()]),
        case(
            "close/no-second-connect",
            "after DISCONNECT no other CONNECT goes out on the same TCP connection",
            &["MQTT-3.14.4-2", "MQTT-3.1.0-2"],
        )
        .steps(then(connected(cx), [Do(disconnect()), Try(session(cx).connect()), Quiet]))
        .expect([ended_by_disconnect()]),
        case("close/twice", "closing what is closed already is answered, and a new connection works", &[])
            .steps(then(connected(cx), ended(cx)))
            .steps([Try(last_end(cx)), Probe, Try(last_end(cx)), Probe])
            .steps(then(connected(cx), [Check(send(cx, &topic(cx, "out"), 1, "still-works"))])),
        case("close/then-refuses", "after the end nothing is published", &[])
            .steps(then(connected(cx), ended(cx)))
            .steps([Refuse(send(cx, &topic(cx, "out"), 0, "too late"))])
            .expect([count(PacketType::Publish, 0)]),
        case(
            "close/after-disconnect",
            "between the end of MQTT and the end of TCP nothing is published",
            &[],
        )
        .steps(then(connected(cx), [Do(disconnect()), Refuse(send(cx, &topic(cx, "out"), 0, "too late"))]))
        .expect([count(PacketType::Publish, 0)])
        .needing(cx, "close"),
    ]
}

/// The command that leaves nothing of a connection.
fn last_end(cx: &Context<'_>) -> Op {
    if has(cx, "close") { close() } else { disconnect() }
}

/// The command that ends MQTT sends DISCONNECT, or closes without it (X43); either way before the next command.
fn ended_by_disconnect() -> Expect {
    Expect::new("DISCONNECT, or the connection closed without it", |view| {
        let mut sent = view.from_module(PacketType::Disconnect);
        if sent.next().is_some() {
            return match sent.next() {
                Some(second) => Err(Unmet::at("a second DISCONNECT", second.at)),
                None => Ok(()),
            };
        }
        let Some(step) =
            view.steps.iter().find(|s| s.dialogues.iter().any(|t| is_command(view, "disconnect", t)))
        else {
            return Err(Unmet::not_provoked("the command was not sent"));
        };
        let next = view.steps.iter().find(|s| s.begin > step.begin && !s.dialogues.is_empty());
        let ends = view.connections.iter().flat_map(|c| &c.closed);
        let closed = ends.filter(|(_, by, _)| *by == Side::Module).map(|(at, ..)| *at).min();
        let by_command = |next: &StepView| next.dialogues.iter().any(|t| is_command(view, "close", t));
        // The end of TCP may be seen a little later than the answer; a command that closes by itself would hide its absence.
        let limit = match next {
            Some(next) if by_command(next) => next.begin,
            Some(next) => {
                let opened = view.connections.iter().map(|c| c.opened).find(|at| *at > next.begin);
                opened.unwrap_or(usize::MAX)
            }
            None => usize::MAX,
        };
        if closed.is_some_and(|at| at < limit) {
            return Ok(());
        }
        Err(Unmet::missing("neither"))
    })
}

/// MQTT-3.14.4-1: the client closes after DISCONNECT. Documents with two commands keep TCP open between them, which
/// only warns (X67).
fn closes_after_disconnect() -> Expect {
    Expect::new("TCP closed by the command that sends DISCONNECT", |view| {
        let Some(disconnect) = view.from_module(PacketType::Disconnect).next() else { return Ok(()) };
        let closed = view
            .connections
            .iter()
            .filter(|c| c.conn == disconnect.conn)
            .flat_map(|c| &c.closed)
            .find(|(_, by, _)| *by == Side::Module);
        let (Some(sent_in), Some((closed, ..))) = (view.step_at(disconnect.at), closed) else {
            return Ok(());
        };
        let next = view.steps.iter().find(|s| s.begin > sent_in.begin && !s.dialogues.is_empty());
        if next.is_none_or(|next| *closed < next.begin) {
            return Ok(());
        }
        Err(Unmet::at("TCP stayed open until the next command", disconnect.at))
    })
    .should()
    .citing(&["MQTT-3.14.4-1"])
}
