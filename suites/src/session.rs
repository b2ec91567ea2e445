//! Sessions: what is kept and sent again with clean session 0, and what is not with clean session 1.

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::WirePacket,
    mqtt::{PacketType, Text},
    partner::{Action, Command, Rule},
    timeline::Close,
};

use crate::{receive::until_acknowledged, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = resending(cx);
    cases.extend(keeping(cx));
    cases
}

/// A session that is over with its connection, as commanded; the module's own choice may be another.
fn clean<'a>(cx: &Context<'a>) -> Session<'a> {
    session(cx).choosing("clean", "1")
}

/// The broker never sends packets of this type.
pub(crate) fn withhold(packet: PacketType) -> Step {
    Broker(Command::Rule(Rule::to_module(packet, Action::Withhold)))
}

/// The broker resets the connection and is honest from then on.
pub(crate) fn lose(cx: &Context<'_>, clean: bool) -> Vec<Step> {
    let mut steps =
        vec![Broker(Command::Close(Close::Rst)), Wait(Await::Closed), Broker(Command::ClearRules)];
    steps.extend(reconnected(cx, clean));
    steps
}

fn resending(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    // Where no command clears a lost connection away, no document promises that the next attempt works.
    let clears = has(cx, "close") || has(cx, "disconnect");
    let back = if clears { session(cx).checked() } else { connected(cx) };
    let lost = |packet: PacketType, qos: u8| {
        then(
            connected_with(cx, false, KEEP_ALIVE),
            [withhold(packet), NoSuccess(send(cx, &t, qos, "to be sent again"))],
        )
    };
    vec![
        case(
            "session/qos1-sent-again",
            "an unacknowledged PUBLISH of QoS 1 is sent again after the reconnection, with DUP and the same packet id",
            &["MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-2.3.1-3", "MQTT-4.1.0-1", "MQTT-3.1.2-4"],
        )
        .steps(then(lost(PacketType::PubAck, 1), lose(cx, false)))
        .steps([Wait(Await::OnNewest(PacketType::Publish, 1)), Quiet])
        .expect([sent_again(PacketType::Publish)]),
        case(
            "session/qos2-sent-again",
            "a PUBLISH of QoS 2 without PUBREC is sent again after the reconnection, with DUP and the same packet id",
            &["MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-2.3.1-3", "MQTT-4.1.0-1", "MQTT-3.1.2-4"],
        )
        .steps(then(lost(PacketType::PubRec, 2), lose(cx, false)))
        .steps([Wait(Await::OnNewest(PacketType::Publish, 1)), Wait(Await::OnNewest(PacketType::PubRel, 1))])
        .expect([sent_again(PacketType::Publish)]),
        case(
            "session/pubrel-sent-again",
            "a PUBREL without PUBCOMP is sent again after the reconnection, and its PUBLISH is not",
            &["MQTT-4.4.0-1", "MQTT-4.3.3-1", "MQTT-2.3.1-3"],
        )
        .steps(then(lost(PacketType::PubComp, 2), lose(cx, false)))
        .steps([Wait(Await::OnNewest(PacketType::PubRel, 1)), Quiet])
        .expect([sent_again(PacketType::PubRel), count(PacketType::Publish, 1)]),
        case(
            "session/sent-again-in-order",
            "publications without PUBACK are sent again in the order in which they were sent first",
            &["MQTT-4.6.0-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1"],
        )
        .steps(then(lost(PacketType::PubAck, 1), [NoSuccess(send(cx, &t, 1, "the second to be sent again"))]))
        .steps(lose(cx, false))
        // A module that has one in flight at a time sends one again.
        .steps([Wait(Await::OnNewest(PacketType::Publish, 1)), Idle { seconds: 5 }])
        .expect([sent_again(PacketType::Publish), again_in_order()]),
        case("session/clean-forgets", "with clean session 1 nothing of an earlier connection is sent again", &["MQTT-3.1.2-6"])
            .steps(then(clean(cx).connected(), [withhold(PacketType::PubAck), NoSuccess(send(cx, &t, 1, "of the old session"))]))
            .steps(then(lose(cx, true), [Quiet, Check(send(cx, &t, 1, "of the new session"))]))
            .expect([publications(vec![sent(&t, 1, "of the old session"), sent(&t, 1, "of the new session")]), no_dup()]),
        case(
            "session/closes-on-violation",
            "the module closes the connection on a packet that breaks the protocol (PUBLISH with QoS 3)",
            &["MQTT-3.3.1-4", "MQTT-4.8.0-1"],
        )
        .steps(then(connected(cx), [
            Broker(Command::Inject(vec![0x36, 0x05, 0x00, 0x01, b't', 0x00, 0x07])),
            Wait(Await::Closed),
        ]))
        .expect([closed_by_module()]),
        case("session/lost-refuses", "after a lost connection QoS 0 is not reported as sent either", &[])
            .steps(then(
                connected(cx),
                [
                    Broker(Command::Close(Close::Rst)),
                    Wait(Await::Closed),
                    Quiet,
                    NoSuccess(send(cx, &t, 0, "into the void")),
                ],
            )),
        case("session/lost-claims-nothing", "after a lost connection no publication is reported as successful", &[])
            .steps(then(connected(cx), [
                Broker(Command::Close(Close::Fin)),
                Wait(Await::Closed),
                NoSuccess(send(cx, &t, 1, "into the void")),
            ])),
        case("session/usable-after-loss", "after a lost connection the module connects again and works", &[])
            .steps(then(connected(cx), [Broker(Command::Close(Close::Fin)), Wait(Await::Closed)]))
            .steps(then(hung_up(cx), back))
            .steps([Check(send(cx, &t, 1, "back again"))])
            .expect([publications(vec![sent(&t, 1, "back again")])]),
    ]
}

fn keeping(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let away = || ended(cx);
    vec![
        case(
            "session/queued",
            "with clean session 0 a message that came meanwhile is printed after the reconnection",
            &["MQTT-4.3.2-2", "MQTT-3.3.4-1"],
        )
        .steps(then(connected_with(cx, false, KEEP_ALIVE), [Do(subscribe(&t, 1))]))
        .steps(away())
        .steps([other_publishes(&t, 1, "while you were away")])
        .steps(then(connected_with(cx, false, KEEP_ALIVE), [Wait(Await::Messages(1))]))
        .steps(until_acknowledged(1, 1))
        .expect([printed(vec![(t.clone(), b"while you were away".to_vec())]), acknowledged(1)]),
        case(
            "session/clean-ends-subscriptions",
            "with clean session 1 the subscriptions of an earlier connection are gone",
            &[],
        )
        .steps(then(clean(cx).connected(), [Do(subscribe(&t, 1))]))
        .steps(away())
        .steps(then(clean(cx).connected(), [other_publishes(&t, 1, "nobody listens"), Quiet]))
        .expect([printed(vec![]), count(PacketType::Subscribe, 1)]),
    ]
}

/// Sent once on the first connection and again on the second, with the same id (and DUP, topic and payload for a PUBLISH).
pub(crate) fn sent_again(kind: PacketType) -> Expect {
    let how = if kind == PacketType::Publish { ", with DUP," } else { "" };
    Expect::new(format!("{kind}, and the same again{how} after the reconnection"), move |view| {
        let seen: Vec<&WirePacket> = view.from_module(kind).collect();
        let Some(first) = seen.first() else { return Err(Unmet::not_provoked(format!("no {kind}"))) };
        let Some(second) = seen.iter().find(|p| p.conn != first.conn) else {
            return Err(Unmet::missing(format!("{kind} was not sent again")));
        };
        let (id, again) = (first.packet.id(), second.packet.id());
        if id != again {
            let shown = |id: Option<u16>| id.map_or("none".to_owned(), |id| id.to_string());
            return Err(Unmet::at(format!("packet id {} instead of {}", shown(again), shown(id)), second.at));
        }
        match (first.packet.as_publish(), second.packet.as_publish()) {
            (Some(_), Some(again)) if !again.dup => {
                Err(Unmet::at(format!("{} without DUP", second.packet), second.at))
            }
            (Some(one), Some(again))
                if (&one.topic, &one.payload, one.qos, one.retain)
                    != (&again.topic, &again.payload, again.qos, again.retain) =>
            {
                Err(Unmet::at(format!("{} instead of {}", second.packet, first.packet), second.at))
            }
            _ => Ok(()),
        }
    })
}

/// The publications of the second connection are those of the first, in their order.
pub(crate) fn again_in_order() -> Expect {
    Expect::new("every publication again, in their first order", |view| {
        let seen: Vec<&WirePacket> = view.from_module(PacketType::Publish).collect();
        let Some(first) = seen.first() else { return Err(Unmet::not_provoked("no PUBLISH")) };
        let sent = |again: bool| -> Vec<(&Text, &[u8], u8, bool)> {
            let on = seen.iter().filter(|p| (p.conn != first.conn) == again);
            let sent = on.filter_map(|p| p.packet.as_publish()).filter(|m| again || !m.dup);
            sent.map(|m| (&m.topic, m.payload.as_slice(), m.qos, m.retain)).collect()
        };
        if sent(false) == sent(true) {
            return Ok(());
        }
        let words: Vec<String> = sent(true)
            .iter()
            .map(|(topic, payload, qos, retain)| {
                let payload = atspec_model::text::shortened(payload, 40);
                format!("{payload} on \"{topic}\" with QoS {qos}, retain {}", u8::from(*retain))
            })
            .collect();
        Err(Unmet::missing(if words.is_empty() { "nothing".to_owned() } else { words.join(", then ") }))
    })
}

/// On the connection on which it was sent first, a module may send a publication again as it likes.
pub(crate) fn no_dup() -> Expect {
    Expect::new("no PUBLISH with DUP on the second connection", |view| {
        let first = view.from_module(PacketType::Publish).next().map(|p| p.conn);
        let mut later = view.from_module(PacketType::Publish).filter(|p| Some(p.conn) != first);
        match later.find(|p| p.packet.as_publish().is_some_and(|m| m.dup)) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}
