//! The TCP connection.

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::View,
    mqtt::PacketType,
    timeline::Side,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let (right, wrong) = (session(cx), session(cx).with("port", cx.bindings.closed_port.to_string()));
    let mut second = case("open/second", "there is only one connection at a time", &[])
        .steps(then(connected(cx), [Try(right.dial()), Quiet]))
        .expect([never_two(), one_is_left()]);
    if !cx.profile.behaviour.single_connection {
        second = second.should();
    }
    let mut cases = vec![
        case(
            "open/tcp",
            "success is reported after the final result code, and TCP is then up, with nothing sent on it",
            &[],
        )
        .steps(then(right.configured(), [Check(right.open()), Quiet]))
        .expect([
            Expect::new("a TCP connection", |view| match view.connections.as_slice() {
                [] => Err(Unmet::missing("none")),
                _ => Ok(()),
            }),
            nothing_before_connect(),
        ]),
        case("open/closed-port", "success is not reported where nothing listens", &[])
            .steps(then(wrong.configured(), [NoSuccess(wrong.dial())]))
            // Where TCP may be reported too early, the next command tells.
            .steps((has(cx, "open") && !certain(cx, "open")).then(|| NoSuccess(wrong.connect())))
            .expect([not_restarted()]),
        case("open/after-failure", "a connection can be opened after one that failed", &[])
            .steps(then(wrong.configured(), [Try(wrong.dial())]))
            .steps(afresh(cx))
            .expect([count(PacketType::Connect, 1), not_restarted()]),
        second,
        case(
            "open/lost-before-connect",
            "after the broker closes a connection without CONNECT a new one can be opened",
            &[],
        )
        .steps(then(
            opened(cx),
            [
                Broker(atspec_model::partner::Command::Close(atspec_model::timeline::Close::Fin)),
                Wait(Await::Closed),
            ],
        ))
        .steps(afresh(cx))
        .expect([count(PacketType::Connect, 1)])
        .needing(cx, "open")
        .only_should(!has(cx, "close")),
        by_name(cx),
    ];
    cases.extend(second_told(cx));
    cases.extend(spelled(cx));
    cases
}

/// Where the document has a line for a failure beside that of success, one of them, or a refusal, tells what came of it.
fn second_told(cx: &Context<'_>) -> Option<Case> {
    let tells = exchanges(cx.profile, "open")
        .any(|e| e.result.iter().flatten().next().is_some() && !e.failure.is_empty());
    only_if(tells, || {
        case("open/second-told", "what comes of opening twice is told", &[])
            .like(cx, "open/second")
            .steps(then(connected(cx), [Try(session(cx).open()), Quiet]))
            .expect([Expect::new("a line of success or failure, or a refusal", |view: &View<'_>| {
                let Some(last) = told(view, "open").into_iter().next_back() else {
                    return Err(Unmet::not_provoked("it was not sent"));
                };
                let o = &last.outcome;
                if o.result.is_some() || o.failure.is_some() || o.refusal.is_some() {
                    return Ok(());
                }
                Err(Unmet::at("none of them", last.asked).citing(last.cites.clone()))
            })])
    })
}

/// The host as a name. A bench on its own machine has one; elsewhere the address that the module is told may be one.
fn by_name(cx: &Context<'_>) -> Case {
    let host = cx.bindings.host.as_str();
    let name = if host == "127.0.0.1" { "localhost" } else { host };
    let nameless = name.parse::<std::net::IpAddr>().is_ok();
    case("open/name", "the host may be given by its name", &[])
        .steps(session(cx).with("host", name).connected())
        .expect([count(PacketType::Connect, 1)])
        .unless(nameless.then(|| "the bench has no name; `--advertise` gives it one".to_owned()))
}

/// Every documented spelling of the command opens the same connection.
fn spelled(cx: &Context<'_>) -> impl Iterator<Item = Case> {
    (1..spellings(cx, "open")).map(|spelling| {
        let id = format!("open/spelling-{}", spelling + 1);
        case(&id, "another documented spelling of the command opens the same connection", &[])
            .steps(then(session(cx).configured(), [Check(session(cx).open().spelled(spelling))]))
            .steps([Check(session(cx).connect())])
            .expect([count(PacketType::Connect, 1)])
    })
}

/// A new connection after one that came to nothing. Where no command clears that away, no document promises that the next
/// attempt works, so it is only a means.
fn afresh(cx: &Context<'_>) -> Vec<Step> {
    let (cleared, again) = (hung_up(cx), session(cx));
    if !has(cx, "close") && !has(cx, "disconnect") {
        return then(cleared, again.connected());
    }
    let dialled = if has(cx, "open") { vec![Check(again.open())] } else { Vec::new() };
    then(then(cleared, again.configured()), dialled.into_iter().chain([Check(again.connect())]))
}

fn nothing_before_connect() -> Expect {
    Expect::new("no packet before the command that connects", |view| {
        match view.packets.iter().find(|p| p.from == Side::Module) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}

/// A second opening may be refused or replace the first; two that live together are never right.
fn never_two() -> Expect {
    Expect::new("never two connections at a time", |view: &View<'_>| {
        // One that never spoke may be somebody else's, where somebody else is at the door.
        let silent = view.connections.iter().filter(|c| !c.spoke).count();
        let crowded = view.strangers > 0 || silent > 1;
        let mut alive = view.connections.iter().filter(|c| c.closed.is_empty() && (c.spoke || !crowded));
        match alive.nth(1) {
            Some(second) => Err(Unmet::at("two at the end", second.opened)),
            None => Ok(()),
        }
    })
}

/// No document says that the attempt may cost the first connection without bringing a new one.
fn one_is_left() -> Expect {
    Expect::new("the first connection kept, or a new one in its place", |view: &View<'_>| {
        let alive = view.connections.iter().any(|c| c.closed.is_empty());
        match view.connections.iter().rfind(|c| c.spoke).and_then(|c| c.closed.first()) {
            Some((closed, ..)) if !alive => Err(Unmet::at("none is left", *closed)),
            _ => Ok(()),
        }
    })
    .should()
}
