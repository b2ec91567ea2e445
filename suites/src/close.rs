//! The ends of a connection: DISCONNECT and the close of TCP.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    mqtt::PacketType,
    timeline::Side,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    vec![
        case(
            "close/disconnect",
            "the commanded end sends DISCONNECT and nothing after it",
            &["MQTT-3.14.4-2"],
        )
        .steps(then(connected(cx), [Check(disconnect()), Check(close()), Wait(Await::Closed)]))
        .expect([count(PacketType::Disconnect, 1), closed_by_module(), closes_after_disconnect()]),
        case("close/tcp", "closing TCP closes it", &[])
            .steps(then(connected(cx), [Check(close()), Wait(Await::Closed)]))
            .expect([closed_by_module()]),
        case("close/before-connect", "a TCP connection without CONNECT is closed too", &[])
            .steps(then(opened(cx), [Check(close()), Wait(Await::Closed)]))
            .expect([closed_by_module(), count(PacketType::Disconnect, 0)]),
        case(
            "close/silent-after-disconnect",
            "after DISCONNECT nothing is sent, no PINGREQ either",
            &["MQTT-3.14.4-2"],
        )
        .steps(then(connected_with(cx, true, 10), [Do(disconnect()), Idle { seconds: 20 }]))
        .expect([count(PacketType::Disconnect, 1)]),
        case("close/then-refuses", "after the end nothing is published", &[])
            .steps(then(connected(cx), [Do(disconnect()), Do(close()), Wait(Await::Closed)]))
            .steps([Refuse(publish(&topic(cx, "out"), 0, "too late"))])
            .expect([count(PacketType::Publish, 0)]),
        case(
            "close/after-disconnect",
            "between the end of MQTT and the end of TCP nothing is published",
            &[],
        )
        .steps(then(connected(cx), [Do(disconnect()), Refuse(publish(&topic(cx, "out"), 0, "too late"))]))
        .expect([count(PacketType::Publish, 0)]),
    ]
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
        if *closed < sent_in.end {
            return Ok(());
        }
        Err(Unmet::at("TCP stayed open until the next command", disconnect.at))
    })
    .should()
    .citing(&["MQTT-3.14.4-1"])
}
