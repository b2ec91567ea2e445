//! The TCP connection.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    judge::View,
    mqtt::PacketType,
    timeline::Side,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let closed_port = open(cx).with("port", cx.bindings.closed_port.to_string());
    vec![
        case(
            "open/tcp",
            "success is reported after the final result code, and TCP is then up, with nothing sent on it",
            &[],
        )
        .steps([Do(configure(cx)), Check(open(cx)), Quiet])
        .expect([
            Expect::new("a TCP connection", |view| match view.connections.as_slice() {
                [] => Err(Unmet::missing("none")),
                _ => Ok(()),
            }),
            nothing_before_connect(),
        ]),
        case("open/closed-port", "success is not reported where nothing listens", &[])
            .steps([Do(configure(cx)), NoSuccess(closed_port)])
            .expect([]),
        case("open/after-failure", "a connection can be opened after one that failed", &[])
            .steps([
                Do(configure(cx)),
                Try(open(cx).with("port", cx.bindings.closed_port.to_string())),
                Try(close()),
                Do(configure(cx)),
                Check(open(cx)),
                Check(connect(true, KEEP_ALIVE)),
            ])
            .expect([count(PacketType::Connect, 1)]),
        case("open/second", "there is only one connection at a time", &[])
            .steps(then(connected(cx), [Try(open(cx)), Quiet]))
            .expect([never_two(), one_is_left()]),
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
                Try(close()),
                Do(configure(cx)),
                Check(open(cx)),
                Check(connect(true, KEEP_ALIVE)),
            ],
        ))
        .expect([count(PacketType::Connect, 1)]),
    ]
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
        // More than one that never spoke: somebody else is at the door, and nobody can tell which is the module's.
        if view.connections.iter().filter(|c| !c.spoke).count() > 1 {
            return Ok(());
        }
        match view.connections.iter().filter(|c| c.closed.is_empty()).nth(1) {
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
