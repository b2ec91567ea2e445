//! Networks that fail while a command waits, or while nothing does: reset, half-closed, silent, and a broker that does not read.
//!
//! No document says what is printed then; success is never right, and the port answers again.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    timeline::Close,
};

use crate::{hand::*, session::withhold, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases: Vec<Case> = waiting(cx).into_iter().map(|one| reset(cx, one)).collect();
    cases.extend([
        reset_instead_of_connack(cx),
        half_closed(cx),
        black_hole(cx),
        unread(cx),
        slow_reader(cx),
        broken_off(cx),
    ]);
    cases
}

/// A command that waits for the broker, the packet that it sends, and the one that it waits for.
struct Waiting {
    name: &'static str,
    op: Op,
    sends: PacketType,
    needs: PacketType,
}

/// One of each kind.
fn waiting(cx: &Context<'_>) -> Vec<Waiting> {
    use PacketType::{PubAck, PubRec, Publish, SubAck, Subscribe, UnsubAck, Unsubscribe};
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let of = |name, op, sends, needs| Waiting { name, op, sends, needs };
    vec![
        of("publish-qos1", send(cx, &out, 1, "into the void"), Publish, PubAck),
        of("publish-qos2", send(cx, &out, 2, "into the void"), Publish, PubRec),
        of("publish-data", publish_data(&out, 1, "into the void"), Publish, PubAck),
        of("subscribe", subscribe(&t, 1), Subscribe, SubAck),
        of("unsubscribe", unsubscribe(&t), Unsubscribe, UnsubAck),
    ]
}

/// What a command needs before it.
fn ready(cx: &Context<'_>, op: &Op) -> Vec<Step> {
    if op.step == "unsubscribe" { subscribed(cx, &op.text("topic"), 1) } else { connected(cx) }
}

/// The connection works again after it was lost.
fn works_again(cx: &Context<'_>) -> Vec<Step> {
    then(vec![Broker(Command::ClearRules)], reconnected(cx, true))
}

/// The reset comes when the command's packet has come.
fn reset(cx: &Context<'_>, Waiting { name, op, sends, needs }: Waiting) -> Case {
    let rule = Rule::from_module(sends, Action::ThenClose(Close::Rst)).once();
    let back = Check(send(cx, &topic(cx, "out"), 1, "back again"));
    case(
        &format!("network/reset-during-{name}"),
        "a command whose connection is reset does not succeed, the port answers, and a new connection works",
        &[],
    )
    .steps(then(ready(cx, &op), [withhold(needs), Broker(Command::Rule(rule)), NoSuccess(op)]))
    .steps(then(works_again(cx), [back]))
}

fn reset_instead_of_connack(cx: &Context<'_>) -> Case {
    let reset = Rule::from_module(PacketType::Connect, Action::ThenClose(Close::Rst)).once();
    case(
        "network/reset-during-connect",
        "a connection that is reset instead of CONNACK does not succeed, the port answers, and the next one works",
        &[],
    )
    .steps(then(opened(cx), [withhold(PacketType::ConnAck), Broker(Command::Rule(reset))]))
    .steps([NoSuccess(session(cx).connect())])
    .steps(works_again(cx))
}

/// The broker ends its own direction: no acknowledgement can come any more. What the module sent may still arrive.
fn half_closed(cx: &Context<'_>) -> Case {
    let out = topic(cx, "out");
    case(
        "network/half-closed",
        "on a connection whose broker has ended its direction no publication succeeds, and the port answers",
        &[],
    )
    .steps(then(
        connected(cx),
        [Broker(Command::HalfClose), Quiet, NoSuccess(send(cx, &out, 1, "into the void"))],
    ))
    .steps(after_clearing(cx))
}

/// The broker is there and says nothing: for every kind of command the same connection.
fn black_hole(cx: &Context<'_>) -> Case {
    let steps = waiting(cx)
        .into_iter()
        .filter(|one| has(cx, &one.op.step) && !matches!(one.name, "publish-data" | "publish-qos2"));
    let before = if has(cx, "unsubscribe") { subscribed(cx, &topic(cx, "in"), 1) } else { connected(cx) };
    case(
        "network/black-hole",
        "where the broker says nothing any more no command succeeds, and the port answers each time",
        &[],
    )
    .steps(then(before, [Broker(Command::Mute)]))
    // Subscribing to what is subscribed to already may be nothing to do.
    .steps(
        steps
            .map(|one| if one.name == "subscribe" { subscribe(&topic(cx, "more"), 1) } else { one.op })
            .map(NoSuccess),
    )
    .steps(after_clearing(cx))
}

/// What the module takes for a connection is ended by command, where there is one for that; then a new one works.
fn after_clearing(cx: &Context<'_>) -> Vec<Step> {
    if !has(cx, "close") && !has(cx, "disconnect") {
        return Vec::new();
    }
    let back = Check(send(cx, &topic(cx, "out"), 1, "back again"));
    then(works_again(cx), [back])
}

/// The broker does not read: what a command sent lies in buffers. It is acknowledged when the broker reads on, unless the module
/// has given up.
fn unread(cx: &Context<'_>) -> Case {
    let out = topic(cx, "out");
    case(
        "network/unread",
        "a publication that the broker does not read does not succeed before it does",
        &["MQTT-4.3.2-1"],
    )
    .steps(then(
        connected(cx),
        [Broker(Command::StopReading), NoSuccess(send(cx, &out, 1, "lies in a buffer"))],
    ))
    .steps([Broker(Command::Resume), Wait(Await::FromModule(PacketType::Publish, 1)), Quiet, Probe])
    .expect([publications(vec![sent(&out, 1, "lies in a buffer")])])
}

/// What a broker does not read fills its window and the module's buffers, in bytes.
const FULL: usize = 100_000;

/// The broker reads on when the module's buffers are full. A module may refuse what it has no room for; what goes out is whole.
fn slow_reader(cx: &Context<'_>) -> Case {
    let out = topic(cx, "out");
    let (longest, step) = ["publish-data", "publish"]
        .into_iter()
        .filter(|step| has(cx, step))
        .map(|step| (longest_payload(cx, step).unwrap_or(100).min(2000), step))
        .max()
        .unwrap_or((100, "publish"));
    let one = |n: usize| {
        let payload = [format!("{n:04}-").as_bytes(), &letters(longest - 5)].concat();
        Op { step: step.to_owned(), ..publish(&out, 0, payload) }
    };
    let count = (FULL / longest).min(100);
    let sent = (0..count).map(one).map(|op| op.values["payload"].clone()).collect();
    case(
        "network/slow-reader",
        "what was sent while the broker did not read arrives whole and in order when it does",
        &["MQTT-4.3.1-1"],
    )
    .steps(then(connected(cx), [Broker(Command::StopReading)]))
    .steps((0..count).map(one).map(Try))
    .steps([Broker(Command::Resume), Wait(Await::FromModule(PacketType::Publish, count)), Quiet, Probe])
    .expect([whole_and_in_order(sent)])
}

/// Each PUBLISH is one of these, behind the one before.
fn whole_and_in_order(payloads: Vec<Vec<u8>>) -> Expect {
    Expect::new("each PUBLISH whole, in the order of the commands", move |view| {
        let mut left = payloads.iter();
        let sent = view.from_module(PacketType::Publish).filter_map(|p| Some((p, p.packet.as_publish()?)));
        for (packet, publish) in sent {
            if !left.any(|payload| *payload == publish.payload) {
                return Err(Unmet::at(packet.packet.to_string(), packet.at));
            }
        }
        Ok(())
    })
}

/// The connection ends within a packet of the broker: its beginning is no part of the next connection.
fn broken_off(cx: &Context<'_>) -> Case {
    let out = topic(cx, "out");
    let bytes = raw(message(&topic(cx, "in"), 1, 90, "broken off in the middle"));
    case(
        "network/broken-off",
        "after a connection that ended within a packet the next one works",
        &["MQTT-7.1.2-1"],
    )
    .steps(then(connected(cx), [inject(bytes[..bytes.len() / 2].to_vec()), Quiet]))
    .steps([Broker(Command::Close(Close::Fin)), Wait(Await::Closed)])
    .steps(then(hung_up(cx), session(cx).checked()))
    .steps([Check(send(cx, &out, 1, "back again"))])
    .expect([publications(vec![sent(&out, 1, "back again")])])
}
