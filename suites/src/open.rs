//! The TCP connection.

use atspec_model::{case::{Await, Case, Context, Expect, Unmet}, judge::View, mqtt::PacketType, timeline::Side};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let closed_port = open(cx).with("port", cx.bindings.closed_port.to_string());
    vec![
        case("open/tcp", "success is reported after the final result code, and TCP is then up, with nothing sent on it", &[])
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
            .expect([one_at_a_time()]),
        case("open/lost-before-connect", "after the broker closes a connection without CONNECT a new one can be opened", &[])
            .steps(then(opened(cx), [
                Broker(atspec_model::partner::Command::Close(atspec_model::timeline::Close::Fin)),
                Wait(Await::Closed),
                Try(close()),
                Do(configure(cx)),
                Check(open(cx)),
                Check(connect(true, KEEP_ALIVE)),
            ]))
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

/// A second opening may be refused or replace the first: one connection is left, never two, never none.
fn one_at_a_time() -> Expect {
    Expect::new("one connection, the first or a new one in its place", |view: &View<'_>| {
        let alive: Vec<_> = view.connections.iter().filter(|c| c.closed.is_empty()).collect();
        match (alive.get(1), view.connections.last().and_then(|c| c.closed.first())) {
            (Some(second), _) => Err(Unmet::at(format!("{} at the end", alive.len()), second.opened)),
            (None, Some((closed, ..))) if alive.is_empty() => Err(Unmet::at("none at the end", *closed)),
            _ => Ok(()),
        }
    })
}
