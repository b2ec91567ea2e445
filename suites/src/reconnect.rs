//! Automatic reconnecting: off, on, and ended by command.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Unmet},
    judge::View,
    mqtt::PacketType,
    partner::Command,
    timeline::Close,
};

use crate::{
    status::{State, told_states},
    told::*,
    words::*,
};

/// Seconds within which a module reconnects, or does not; no document has a time.
const SECONDS: u32 = 60;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    let online = |reconnect: &str| {
        let connected = session(cx).choosing("reconnect", reconnect).connected();
        then(connected, settled(cx, "connect", PacketType::ConnAck, 1))
    };
    let lost = |reconnect: &str| then(online(reconnect), [Broker(Command::Close(Close::Fin))]);
    let watch = || Idle { seconds: SECONDS };
    // Not `Wait(Await::Closed)`: the next connection may stand before anybody sees that the former is gone.
    let back = || [Idle { seconds: SECONDS / 2 }, Wait(Await::FromModule(PacketType::Connect, 2))];
    let all = vec![
        case("reconnect/off", "switched off, the module does not connect again by itself", &[])
            .steps(then(lost("0"), [watch()]))
            .expect([count(PacketType::Connect, 1)]),
        case("reconnect/on", "switched on, the module connects again by itself", &[])
            .steps(then(then(lost("1"), back()), [Try(disconnect())]))
            .expect([again()]),
        case(
            "reconnect/after-reset",
            "switched on, the module connects again by itself after a reset too",
            &[],
        )
        .steps(then(then(online("1"), [Broker(Command::Close(Close::Rst))]), back()))
        .steps([Try(disconnect())])
        .expect([again()]),
        case(
            "reconnect/same",
            "a connection that the module makes again by itself is the one it was told",
            &[],
        )
        .steps(
            session(cx).clean(false).will(&topic(cx, "will"), 1, true).choosing("reconnect", "1").connected(),
        )
        .steps(settled(cx, "connect", PacketType::ConnAck, 1))
        .steps(then(vec![Broker(Command::Close(Close::Fin))], back()))
        .steps([Try(disconnect())])
        .expect([again(), same()])
        .like(cx, "reconnect/on"),
        case("reconnect/works", "a connection that the module made again by itself works", &[])
            .should()
            .steps(then(lost("1"), back()))
            .steps([
                Wait(Await::ToModule(PacketType::ConnAck, 2)),
                Quiet,
                Check(publish(&t, 1, "back-again")),
            ])
            .steps([Try(disconnect())])
            .expect([publications(vec![sent(&t, 1, "back-again")])]),
        case("reconnect/state", "a connection that the module made again by itself is told as one", &[])
            .steps(then(lost("1"), back()))
            .steps([Wait(Await::ToModule(PacketType::ConnAck, 2)), Quiet, Check(Op::new("status"))])
            .steps([Try(disconnect())])
            .expect([told_states(vec![State::Connected])])
            .like(cx, "status/connected"),
        case("reconnect/ended", "the commanded end is the end of reconnecting too", &[])
            .should()
            .steps(then(then(online("1"), ended(cx)), [watch()]))
            .expect([count(PacketType::Connect, 1)]),
        case(
            "reconnect/ended-again",
            "the commanded end of a connection made again is the end of reconnecting",
            &[],
        )
        .should()
        .steps(then(lost("1"), back()))
        .steps(then(vec![Wait(Await::ToModule(PacketType::ConnAck, 2)), Quiet], ended(cx)))
        .steps([watch()])
        .expect([count(PacketType::Connect, 2)]),
        case(
            "reconnect/ended-while-down",
            "the end commanded after a loss is the end of reconnecting too",
            &[],
        )
        .should()
        .steps(then(lost("1"), [Try(disconnect()), Quiet, watch()]))
        .expect([nothing_new()]),
        case("reconnect/not-left-over", "a later connection without reconnecting is not made again", &[])
            .steps(then(online("1"), ended(cx)))
            .steps(session(cx).choosing("reconnect", "0").connected())
            .steps(settled(cx, "connect", PacketType::ConnAck, 2))
            .steps([Broker(Command::Close(Close::Fin)), watch()])
            .expect([count(PacketType::Connect, 2)]),
    ];
    if cx.profile.takes("connect", "reconnect") || cx.profile.takes("open", "reconnect") {
        all
    } else {
        Vec::new()
    }
}

fn again() -> Expect {
    Expect::new("a second CONNECT by itself", |view| {
        let seen = view.from_module(PacketType::Connect).count();
        if seen >= 2 { Ok(()) } else { Err(Unmet::missing(format!("{seen} CONNECT"))) }
    })
}

fn same() -> Expect {
    Expect::new("the same CONNECT again", |view| {
        let mut connects = view.from_module(PacketType::Connect);
        let first = connects.next().and_then(|p| p.packet.as_connect());
        match connects.find(|p| p.packet.as_connect() != first) {
            Some(other) => Err(Unmet::at(other.packet.to_string(), other.at)),
            None => Ok(()),
        }
    })
}

/// What was on its way when the end was commanded may still arrive; nothing begins after it, and nothing stays.
fn nothing_new() -> Expect {
    Expect::new("no CONNECT any more, and no connection left", |view: &View<'_>| {
        let watched = view.steps.last().map_or(0, |step| step.begin);
        if let Some(late) = view.from_module(PacketType::Connect).find(|p| p.at > watched) {
            return Err(Unmet::at(late.packet.to_string(), late.at));
        }
        match view.connections.iter().find(|c| c.spoke && c.closed.is_empty()) {
            Some(left) => Err(Unmet::at("a connection is left", left.opened)),
            None => Ok(()),
        }
    })
}
