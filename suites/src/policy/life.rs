//! What a module does while its connection stands.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
};

use super::case_of;
use crate::words::*;

/// Seconds after which a PUBLISH without PUBACK must have gone out again.
const RETRY: u32 = 60;

/// The keep alive, in seconds, of the module that gets no PINGRESP.
const PINGED: u16 = 30;

/// The keep alive that clouds accept, in seconds.
const KEEP_ALIVES: std::ops::RangeInclusive<u16> = 30..=1200;

pub(super) fn republishes(cx: &Context<'_>) -> Case {
    let withheld = Broker(Command::Rule(Rule::to_module(PacketType::PubAck, Action::Withhold)));
    let publish = send(cx, &topic(cx, "out"), 1, "to be sent again");
    case_of("republish").steps(then(connected(cx), [withheld, Try(publish), Idle { seconds: RETRY }])).expect(
        [Expect::new("the same PUBLISH with DUP and its packet id on the same connection", |view| {
            let mut sent = view.from_module(PacketType::Publish);
            let Some(first) = sent.next() else { return Err(Unmet::not_provoked("no PUBLISH")) };
            if first.packet.as_publish().is_none_or(|p| p.qos != 1) {
                return Err(Unmet::not_provoked(first.packet.to_string()));
            }
            let Some(again) = sent.find(|p| p.conn == first.conn) else {
                return Err(Unmet::at("nothing within a minute", first.at));
            };
            let marked = again.packet.as_publish().is_some_and(|p| p.dup);
            let same = again.packet.id() == first.packet.id();
            if marked && same { Ok(()) } else { Err(Unmet::at(again.packet.to_string(), again.at)) }
        })],
    )
}

pub(super) fn gives_up_on_silence(cx: &Context<'_>) -> Case {
    let withheld = Broker(Command::Rule(Rule::to_module(PacketType::PingResp, Action::Withhold)));
    // PINGREQ comes within the keep alive; from then on the module has its time.
    let watched = u32::from(PINGED) * 5 / 2;
    case_of("ping-timeout")
        .steps(session(cx).keep_alive(PINGED).connected())
        .steps([withheld, Idle { seconds: watched }])
        .expect([
            Expect::new("PINGREQ", |view| match view.from_module(PacketType::PingReq).next() {
                Some(_) => Ok(()),
                None => Err(Unmet::not_provoked("it sent no PINGREQ")),
            }),
            closed_by_module(),
        ])
}

pub(super) fn keep_alive_in_range(cx: &Context<'_>) -> Case {
    let what = format!("a keep alive of {} to {} s", KEEP_ALIVES.start(), KEEP_ALIVES.end());
    case_of("keep-alive-range")
        .steps(session(cx).without("keepalive").connected())
        .expect([connect_has(&what, |connect| KEEP_ALIVES.contains(&connect.keep_alive))])
}

pub(super) fn session_resumed(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    case_of("persistent-session")
        .steps(then(connected_with(cx, false, KEEP_ALIVE), [Do(subscribe(&t, 1))]))
        .steps(ended(cx))
        .steps([other_publishes(&t, 1, "kept for you")])
        .steps(then(connected_with(cx, false, KEEP_ALIVE), [Wait(Await::Messages(1)), Quiet]))
        .expect([printed(vec![(t, b"kept for you".to_vec())]), count(PacketType::Subscribe, 1)])
}
