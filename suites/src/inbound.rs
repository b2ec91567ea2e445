//! Messages of the broker whose exchange is disturbed: acknowledgements lost, packets twice, ids at their ends, packets where
//! few expect them. What never was subscribed to may be printed or not; it is acknowledged all the same.

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    timeline::Side,
};

use crate::{hand::*, receive::until_acknowledged, session::lose, told::only_if, words::*};

use PacketType::{ConnAck, PingResp, PubAck, PubComp, PubRec, PubRel, Publish, SubAck, UnsubAck};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = unasked(cx);
    cases.extend(LARGE.into_iter().filter_map(|len| large(cx, len)));
    cases.extend(places(cx));
    cases.extend(lost(cx));
    cases
}

/// Bytes of payload that firmware often has no room for.
const LARGE: [usize; 3] = [600, 1100, 2100];

/// Topics that were never subscribed to: every module can be brought here, also one without a command for it.
fn unasked(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "unasked");
    let one = |qos: u8, id: u16| message(&t, qos, id, "for nobody");
    let qos2 = || then(connected(cx), [unheard(PubRec), unheard(PubComp)]);
    let answered = |kind: PacketType, n: usize| Wait(Await::FromModule(kind, n));
    let long = |topic: usize, payload: usize, id: u16| {
        let letters = |len: usize| String::from_utf8(letters(len)).unwrap_or_default();
        message(&format!("{t}{}", letters(topic.saturating_sub(t.len()))), 1, id, &letters(payload))
    };
    vec![
        case(
            "inbound/unsubscribed-qos1",
            "a message of QoS 1 on a topic never subscribed to is acknowledged, each time it comes",
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1", "MQTT-4.3.2-2", "MQTT-2.3.1-6"],
        )
        .steps(then(connected(cx), [inject(raw(one(1, 77))), answered(PubAck, 1)]))
        .steps([inject(raw_again(one(1, 77))), answered(PubAck, 2), Quiet])
        .expect([answers(PubAck, &[77, 77])]),
        case(
            "inbound/unsubscribed-qos2",
            "a message of QoS 2 on a topic never subscribed to is acknowledged, and each PUBREL for it",
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1", "MQTT-4.3.3-2", "MQTT-2.3.1-6"],
        )
        .steps(then(qos2(), [inject(raw(one(2, 78))), answered(PubRec, 1)]))
        .steps([inject(raw_again(one(2, 78))), answered(PubRec, 2)])
        .steps([
            inject(raw_pubrel(78)),
            answered(PubComp, 1),
            inject(raw_pubrel(78)),
            answered(PubComp, 2),
            Quiet,
        ])
        .expect([answers(PubRec, &[78, 78]), answers(PubComp, &[78, 78])]),
        case(
            "inbound/unsubscribed-empty",
            "a message without payload on a topic never subscribed to is acknowledged",
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1", "MQTT-4.3.2-2"],
        )
        .steps(then(connected(cx), [inject(raw(message(&t, 1, 79, ""))), answered(PubAck, 1), Quiet]))
        .expect([answers(PubAck, &[79])]),
        case(
            "inbound/unsubscribed-long",
            "long messages on long topics never subscribed to are acknowledged",
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1", "MQTT-4.3.2-2"],
        )
        .steps(connected(cx))
        .steps(
            [(64, 50), (128, 200), (200, 300)].into_iter().zip(1..).flat_map(|((topic, payload), n)| {
                [inject(raw(long(topic, payload, 90))), answered(PubAck, n)]
            }),
        )
        .steps([Quiet])
        .expect([answers(PubAck, &[90, 90, 90])]),
        case(
            "inbound/ids",
            "acknowledgements bear the ids of the broker, also 65535, 1 behind it, and one used again",
            &["MQTT-2.3.1-6", "MQTT-4.3.2-2", "MQTT-3.3.4-1", "MQTT-4.5.0-2"],
        )
        .steps(connected(cx))
        .steps(
            [65_535, 1, 65_535, 256]
                .into_iter()
                .zip(1..)
                .flat_map(|(id, n)| [inject(raw(one(1, id))), answered(PubAck, n)]),
        )
        .steps([Quiet])
        .expect([answers(PubAck, &[65_535, 1, 65_535, 256])]),
        case(
            "inbound/puback-order",
            "messages of QoS 1 that come in one segment are acknowledged in their order",
            &["MQTT-4.6.0-2", "MQTT-4.5.0-2"],
        )
        .steps(then(
            connected(cx),
            [inject([3, 1, 2].map(|id| raw(one(1, id))).concat()), answered(PubAck, 3)],
        ))
        .expect([answers(PubAck, &[3, 1, 2])]),
        case(
            "inbound/pubrec-order",
            "messages of QoS 2 that come in one segment are recorded in their order",
            &["MQTT-4.6.0-3", "MQTT-4.5.0-2"],
        )
        .steps(then(qos2(), [inject([3, 1, 2].map(|id| raw(one(2, id))).concat()), answered(PubRec, 3)]))
        .steps([3, 1, 2].map(|id| inject(raw_pubrel(id))))
        .steps([answered(PubComp, 3)])
        .expect([answers(PubRec, &[3, 1, 2])]),
        case(
            "inbound/with-connack",
            "a message in the same segment as CONNACK is acknowledged",
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1", "MQTT-4.3.2-2"],
        )
        .steps(then(
            opened(cx),
            [Broker(Command::Rule(Rule::to_module(ConnAck, Action::Append(raw(one(1, 79))))))],
        ))
        .steps([Do(session(cx).connect()), answered(PubAck, 1)])
        .expect([answers(PubAck, &[79])]),
    ]
}

/// Messages where few expect them.
fn places(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let early = raw(message(&t, 1, 80, "before SUBACK"));
    vec![
        case(
            "inbound/before-suback",
            "a message that comes before the SUBACK of its subscription is acknowledged, and the subscription succeeds",
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1"],
        )
        .steps(then(connected(cx), [Broker(Command::Rule(Rule::to_module(SubAck, Action::Prepend(early))))]))
        .steps([Check(subscribe(&t, 1)), Wait(Await::FromModule(PubAck, 1))])
        .expect([answers(PubAck, &[80]), printed(vec![(t.clone(), b"before SUBACK".to_vec())]).should()]),
        byte_by_byte(cx),
        slowly(cx),
        after_unsubscribe(cx),
        granted(cx, 2, 1),
        granted(cx, 1, 0),
    ]
}

/// Every packet of the broker in segments of one byte, in as many exchanges as the module has commands for.
fn byte_by_byte(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let bytewise = |kind: PacketType| Broker(Command::Rule(Rule::to_module(kind, Action::OneByteSegments)));
    let all = [ConnAck, SubAck, Publish, PubAck, PubRec, PubRel, PubComp, PingResp, UnsubAck];
    let mut steps = then(all.map(bytewise).into(), opened(cx));
    steps.push(Check(session(cx).connect()));
    steps.extend([Check(send(cx, &out, 1, "once at least")), Check(send(cx, &out, 2, "exactly once"))]);
    let mut expect = vec![publications(vec![sent(&out, 1, "once at least"), sent(&out, 2, "exactly once")])];
    if has(cx, "subscribe") {
        steps.extend([
            Check(subscribe(&t, 2)),
            other_publishes(&t, 2, "byte by byte"),
            Wait(Await::Messages(1)),
        ]);
        steps.extend(until_acknowledged(2, 1));
        expect.extend([printed(vec![(t, b"byte by byte".to_vec())]), acknowledged(2)]);
    }
    let asks = "a connection on which every packet of the broker comes byte by byte works";
    case("inbound/one-byte-segments", asks, &["MQTT-7.1.2-1", "MQTT-4.3.3-2"]).steps(steps).expect(expect)
}

/// A client that has no room for a message may end the connection; it cannot act as if there had been none.
fn large(cx: &Context<'_>, len: usize) -> Option<Case> {
    let id = 90;
    let payload = String::from_utf8(letters(len)).unwrap_or_default();
    let packet = raw(message(&topic(cx, "unasked"), 1, id, &payload));
    let fits = cx.profile.behaviour.receive_max.is_none_or(|max| len <= max);
    only_if(fits, || {
        case(
            &format!("inbound/large-{len}"),
            &format!("a message of {len} bytes is acknowledged, or the connection is ended"),
            &["MQTT-4.5.0-2", "MQTT-3.3.4-1", "MQTT-4.3.2-2"],
        )
        .steps(then(connected(cx), [inject(packet), Wait(Await::ClosedOrAcknowledged(id))]))
        .expect([Expect::new("PUBACK, or the connection closed by the module", |view| {
            let acknowledged = view.from_module(PubAck).next().is_some();
            let closed =
                view.connections.iter().flat_map(|c| &c.closed).any(|(_, by, _)| *by == Side::Module);
            if acknowledged || closed { Ok(()) } else { Err(Unmet::missing("neither")) }
        })])
    })
}

/// TCP brings a packet in pieces, however long that takes.
fn slowly(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    let bytes = raw(message(&t, 1, 85, "piece by piece"));
    let [first, second] = [bytes[..bytes.len() / 2].to_vec(), bytes[bytes.len() / 2..].to_vec()].map(inject);
    case(
        "inbound/slowly",
        "a message that comes in two pieces, seconds apart, is printed and acknowledged",
        &["MQTT-7.1.2-1", "MQTT-4.5.0-2"],
    )
    .steps(then(subscribed(cx, &t, 1), [unheard(PubAck)]))
    .steps([first, Idle { seconds: 2 }, second])
    .steps([Wait(Await::FromModule(PubAck, 1)), Wait(Await::Messages(1)), Quiet])
    .expect([printed(vec![(t, b"piece by piece".to_vec())]), answers(PubAck, &[85]), stayed_open()])
}

/// What was under way when the subscription ended still comes; whether it is printed is open.
fn after_unsubscribe(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    case(
        "inbound/after-unsubscribe",
        "messages that come after the end of the last subscription are acknowledged",
        &["MQTT-4.5.0-2", "MQTT-4.3.2-2", "MQTT-4.3.3-2"],
    )
    .steps(then(subscribed(cx, &t, 2), [Do(unsubscribe(&t)), unheard(PubAck), unheard(PubRec)]))
    .steps([inject(raw(message(&t, 1, 86, "under way"))), Wait(Await::FromModule(PubAck, 1))])
    .steps([inject(raw(message(&t, 2, 87, "under way"))), Wait(Await::FromModule(PubRec, 1)), Quiet])
    .expect([answers(PubAck, &[86]), answers(PubRec, &[87])])
}

/// A subscription that is granted less than it asked for brings messages with what was granted. Whether the module takes that
/// for success no document says.
fn granted(cx: &Context<'_>, asked: u8, granted: u8) -> Case {
    let t = topic(cx, "in");
    let payload = "with less than asked";
    let mut expect = vec![printed(vec![(t.clone(), payload.into())]).should()];
    expect.extend((granted > 0).then(|| acknowledged(granted)));
    let cites: &[&str] = if granted > 0 { &["MQTT-3.3.4-1", "MQTT-4.5.0-2"] } else { &["MQTT-3.3.4-1"] };
    case(
        &format!("inbound/granted-{granted}-of-{asked}"),
        &format!("messages come with QoS {granted} where SUBACK granted that instead of {asked}, and are answered by it"),
        cites,
    )
    .steps(then(connected(cx), [Broker(Command::Rule(Rule::to_module(SubAck, Action::Code(granted))))]))
    .steps([Try(subscribe(&t, asked)), Wait(Await::ToModule(SubAck, 1)), other_publishes(&t, 2, payload)])
    .steps([Wait(Await::ToModule(Publish, 1))])
    .steps(until_acknowledged(granted, 1))
    .steps([Quiet])
    .expect(expect)
}

/// Exchanges that the end of a connection cuts: the broker goes on with them on the next.
fn lost(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let begun = |qos: u8| then(connected_with(cx, false, KEEP_ALIVE), [Do(subscribe(&t, qos))]);
    let came = |kind: PacketType, n: usize| Wait(Await::FromModule(kind, n));
    let never_sent = |kind: PacketType| Broker(Command::Rule(Rule::to_module(kind, Action::Withhold)));
    let of = |name: &str, asks: &str, cites: &[&str], qos: u8, rule: Step, cut: Step, over: Vec<Step>| {
        let times = if qos == 1 { 2 } else { 1 };
        let text = format!("{name} cut off");
        case(&format!("inbound/{name}"), asks, cites)
            .steps(then(begun(qos), [rule, other_publishes(&t, qos, &text), cut, Quiet]))
            .steps(then(lose(cx, false), over))
            .steps([Wait(Await::Messages(times)), Quiet])
            .expect([answered_each_time(qos), printed(vec![(t.clone(), text.into_bytes()); times])])
    };
    vec![
        of(
            "puback-lost",
            "a message of QoS 1 that comes again on the next connection is acknowledged again, and new",
            &["MQTT-4.3.2-2", "MQTT-3.3.4-1"],
            1,
            unheard(PubAck),
            came(PubAck, 1),
            vec![came(PubAck, 2)],
        ),
        of(
            "pubrec-lost",
            "a message of QoS 2 that comes again on the next connection is acknowledged again and printed once",
            &["MQTT-4.3.3-2", "MQTT-4.1.0-1", "MQTT-3.1.2-4", "MQTT-3.3.4-1"],
            2,
            unheard(PubRec),
            came(PubRec, 1),
            vec![came(PubRec, 2), came(PubComp, 1)],
        ),
        of(
            "pubrel-lost",
            "a PUBREL that comes only on the next connection is answered, and its message is printed once",
            &["MQTT-4.3.3-2", "MQTT-4.1.0-1"],
            2,
            never_sent(PubRel),
            came(PubRec, 1),
            vec![came(PubComp, 1)],
        ),
        of(
            "pubcomp-lost",
            "a PUBREL that comes again on the next connection is answered again",
            &["MQTT-4.3.3-2"],
            2,
            unheard(PubComp),
            came(PubComp, 1),
            vec![came(PubComp, 2)],
        ),
        case(
            "inbound/clean-forgets",
            "on a clean session a message of QoS 2 is new, whatever had its packet id before",
            &["MQTT-3.1.2-6", "MQTT-4.3.3-2"],
        )
        .steps(then(begun(2), [unheard(PubRec), inject(raw(message(&t, 2, 7, OLD))), came(PubRec, 1), Quiet]))
        .steps(then(lose(cx, true), [Do(subscribe(&t, 2)), unheard(PubRec)]))
        .steps([inject(raw(message(&t, 2, 7, NEW))), came(PubRec, 2), unheard(PubComp)])
        .steps([inject(raw_pubrel(7)), came(PubComp, 1), Quiet])
        .expect([printed_new()]),
    ]
}

/// Payloads of two sessions.
const OLD: &str = "of the old session";
const NEW: &str = "of the new session";

/// The message of the new session once; that of the old one may have been printed before its handshake was over, or never.
fn printed_new() -> Expect {
    let expect = Expect::new(format!("`{NEW}` printed once"), |view| {
        match view.messages.iter().filter(|m| m.payload == NEW.as_bytes()).count() {
            1 => Ok(()),
            n => Err(Unmet::missing(format!("it was printed {n} times"))),
        }
    });
    Expect { of_messages: true, ..expect }
}

/// The module has no reason to end the connection, and does not.
fn stayed_open() -> Expect {
    Expect::new("the connection not ended by the module", |view| {
        let ends = view.connections.iter().filter(|c| c.spoke).flat_map(|c| &c.closed);
        match ends.into_iter().find(|(_, by, _)| *by == Side::Module) {
            Some((at, ..)) => Err(Unmet::at("it closed TCP", *at)),
            None => Ok(()),
        }
    })
    .always()
}
