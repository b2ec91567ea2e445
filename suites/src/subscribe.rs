//! SUBSCRIBE and UNSUBSCRIBE, and what is said of their acknowledgements.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    mqtt::{Body, PacketType},
    partner::{Action, Command, Message, Rule},
};

use crate::{receive::until_acknowledged, session::withhold, told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..=2).map(|qos| of_qos(cx, qos)).collect();
    cases.extend(filters(cx));
    cases.extend([many(cx), other_qos(cx)]);
    cases.extend(answers(cx));
    cases.extend(ending(cx));
    cases
}

/// SUBSCRIBE with this filter and QoS and no other.
fn asked_for(filter: &str, qos: u8) -> Expect {
    let wanted = (filter.as_bytes().to_vec(), qos);
    some(
        PacketType::Subscribe,
        &format!("for \"{filter}\" with QoS {qos}"),
        move |body| matches!(body, Body::Subscribe(s) if matches!(s.filters.as_slice(), [(f, q)] if (f.as_bytes(), *q) == (wanted.0.as_slice(), wanted.1))),
    )
}

fn of_qos(cx: &Context<'_>, qos: u8) -> Case {
    let t = topic(cx, "in");
    case(
        &format!("subscribe/qos{qos}"),
        &format!("SUBSCRIBE asks for the filter with QoS {qos}"),
        &["MQTT-3.8.1-1", "MQTT-3.8.3-1", "MQTT-3.8.3-3"],
    )
    .steps(then(connected(cx), [Check(subscribe(&t, qos))]))
    .expect([asked_for(&t, qos), count(PacketType::Subscribe, 1)])
}

/// So many filters at once; no document says how many there may be.
const MANY: usize = 12;

/// A module may have room for fewer, and then says so; what it took has to work.
fn many(cx: &Context<'_>) -> Case {
    let topics: Vec<String> = (1..=MANY).map(|n| topic(cx, &format!("many/{n}"))).collect();
    case("subscribe/many", "twelve subscriptions work side by side, but for those that are refused", &[])
        .steps(then(connected(cx), topics.iter().map(|t| Try(subscribe(t, 0)))))
        .steps([Probe])
        .steps(topics.iter().map(|t| other_publishes(t, 0, "for-one-of-many")))
        .steps([Wait(Await::Messages(MANY)), Check(send(cx, &topic(cx, "out"), 1, "still-works"))])
        .expect([delivered(topics)])
}

/// Every message that the broker delivered is printed.
fn delivered(topics: Vec<String>) -> Expect {
    let expect = Expect::new("every message that was delivered, printed", move |view| {
        let printed = |topic: &[u8]| view.messages.iter().any(|m| m.topic == topic);
        let sent = view.to_module(PacketType::Publish).filter_map(|p| Some((p.at, p.packet.as_publish()?)));
        let mut own = sent.filter(|(_, m)| topics.iter().any(|t| t.as_bytes() == m.topic.as_bytes()));
        match own.find(|(_, message)| !printed(message.topic.as_bytes())) {
            Some((at, message)) => Err(Unmet::at(format!("nothing of \"{}\"", message.topic), at)),
            None => Ok(()),
        }
    });
    Expect { of_messages: true, ..expect }
}

/// The broker has to hear of another QoS, whatever the module remembers. Where the document has a line for a topic that is
/// subscribed to already, that may be the answer.
fn other_qos(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    let known = exchanges(cx.profile, "subscribe").any(|e| !e.nothing.is_empty());
    case(
        "subscribe/other-qos",
        "a subscription with another QoS is not reported before its own SUBACK came",
        &[],
    )
    .steps(then(subscribed(cx, &t, 0), settled(cx, "subscribe", PacketType::SubAck, 1)))
    .steps([Held { packet: PacketType::SubAck, op: subscribe(&t, 1) }])
    .expect([asked_for(&t, 1)])
    .unless(known.then(|| format!("{} may answer that the topic is subscribed to already", cx.profile.name)))
}

fn filters(cx: &Context<'_>) -> Vec<Case> {
    let (one, two, deep) = (topic(cx, "a/x"), topic(cx, "b/x"), topic(cx, "a/b/c"));
    let (slashed, trailed) = (format!("/{}", topic(cx, "slash")), topic(cx, "slash/"));
    let wild = |name: &str, filter: String, hits: Vec<String>| {
        let deliveries = hits.iter().map(|t| other_publishes(t, 0, t)).collect::<Vec<_>>();
        let n = hits.len();
        case(
            &format!("subscribe/wildcard-{name}"),
            "a filter with a wildcard is sent as given and brings every match",
            &[],
        )
        .steps(then(connected(cx), [Check(subscribe(&filter, 0))]))
        .steps(deliveries)
        .steps([Wait(Await::Messages(n))])
        .expect([
            asked_for(&filter, 0),
            printed(hits.into_iter().map(|t| (t.clone(), t.into_bytes())).collect()),
        ])
    };
    vec![
        wild("plus", topic(cx, "+/x"), vec![one.clone(), two.clone()]),
        wild("hash", topic(cx, "#"), vec![one.clone(), deep]),
        case("subscribe/several", "several subscriptions live side by side", &[])
            .steps(then(
                connected(cx),
                [
                    Do(subscribe(&one, 0)),
                    Check(subscribe(&two, 1)),
                    other_publishes(&one, 0, "to the first"),
                    Wait(Await::Messages(1)),
                    other_publishes(&two, 0, "to the second"),
                    Wait(Await::Messages(2)),
                ],
            ))
            .expect([
                asked_for(&one, 0),
                asked_for(&two, 1),
                printed(vec![
                    (one.clone(), b"to the first".to_vec()),
                    (two.clone(), b"to the second".to_vec()),
                ]),
            ]),
        case("subscribe/leading-slash", "a leading slash belongs to the topic, in both directions", &[])
            .steps(then(
                subscribed(cx, &slashed, 0),
                [other_publishes(&slashed, 0, "kept"), Wait(Await::Messages(1))],
            ))
            .expect([asked_for(&slashed, 0), printed(vec![(slashed.clone(), b"kept".to_vec())])]),
        wild("alone-plus", "+".to_owned(), vec!["atspec-alone".to_owned()])
            .like(cx, "subscribe/wildcard-hash"),
        wild("alone-hash", "#".to_owned(), vec![one.clone()]).like(cx, "subscribe/wildcard-hash"),
        case("subscribe/trailing-slash", "a trailing slash belongs to the filter, in both directions", &[])
            .steps(then(
                subscribed(cx, &trailed, 0),
                [other_publishes(&trailed, 0, "kept"), Wait(Await::Messages(1))],
            ))
            .expect([asked_for(&trailed, 0), printed(vec![(trailed.clone(), b"kept".to_vec())])])
            .like(cx, "subscribe/leading-slash"),
        case("subscribe/retained", "a retained message comes with the subscription and is printed", &[])
            .steps([Broker(Command::Publish(Message {
                topic: one.clone().into_bytes(),
                payload: b"kept by the broker".to_vec(),
                qos: 0,
                retain: true,
            }))])
            .steps(then(connected(cx), [Check(subscribe(&one, 0)), Wait(Await::Messages(1))]))
            .expect([printed(vec![(one.clone(), b"kept by the broker".to_vec())])]),
        retained_of_qos(cx, &one, 1),
        retained_of_qos(cx, &one, 2),
    ]
}

fn retained_of_qos(cx: &Context<'_>, topic: &str, qos: u8) -> Case {
    let payload = b"kept and acknowledged".to_vec();
    let kept = Message { topic: topic.into(), payload: payload.clone(), qos, retain: true };
    case(
        &format!("subscribe/retained-qos{qos}"),
        &format!("a retained message of QoS {qos} is printed and acknowledged like any other"),
        &["MQTT-3.3.4-1"],
    )
    .steps([Broker(Command::Publish(kept))])
    .steps(then(connected(cx), [Check(subscribe(topic, qos)), Wait(Await::Messages(1))]))
    .steps(until_acknowledged(qos, 1))
    .steps([Quiet])
    .expect([printed(vec![(topic.to_owned(), payload)]), acknowledged(qos)])
}

fn answers(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let another = topic(cx, "another");
    let refused_once = Rule::to_module(PacketType::SubAck, Action::Code(0x80)).once();
    let on_suback = |action: Action| Broker(Command::Rule(Rule::to_module(PacketType::SubAck, action)));
    vec![
        case("subscribe/held-suback", "success is not reported before SUBACK came, and is soon after", &[])
            .steps(then(connected(cx), [Held { packet: PacketType::SubAck, op: subscribe(&t, 1) }])),
        case("subscribe/no-suback", "success is not reported where SUBACK never comes", &[])
            .steps(then(connected(cx), [on_suback(Action::Withhold), NoSuccess(subscribe(&t, 1))]))
            .steps(until_given_up(cx, "subscribe", 1))
            .expect([never_told(cx, "subscribe", 1)]),
        case(
            "subscribe/suback-of-another",
            "success is not reported for the SUBACK of another packet id",
            &["MQTT-3.8.4-2"],
        )
        .steps(then(connected(cx), [on_suback(Action::Id(54_321)), NoSuccess(subscribe(&t, 1))])),
        case(
            "subscribe/ids-in-flight",
            "a SUBSCRIBE takes a packet id that is not in use while another waits for its SUBACK",
            &["MQTT-2.3.1-2"],
        )
        .steps(then(
            connected(cx),
            [
                on_suback(Action::Withhold),
                NoSuccess(subscribe(&t, 1)),
                NoSuccess(subscribe(&topic(cx, "another"), 1)),
            ],
        )),
        case(
            "subscribe/same-again",
            "a SUBSCRIBE for a filter that is subscribed to already is whole, if it is sent at all",
            &["MQTT-3.8.3-3", "MQTT-3.8.1-1"],
        )
        .steps(then(subscribed(cx, &t, 0), [Try(subscribe(&t, 1)), Quiet, Probe])),
        case("subscribe/refused", "success is not reported where SUBACK refuses (0x80)", &[])
            .steps(then(connected(cx), [on_suback(Action::Code(0x80)), NoSuccess(subscribe(&t, 1))])),
        case("subscribe/after-refused", "after a subscription that was refused another one succeeds", &[])
            .steps(then(connected(cx), [Broker(Command::Rule(refused_once)), NoSuccess(subscribe(&t, 1))]))
            .steps([Quiet, Check(subscribe(&another, 1)), other_publishes(&another, 0, "to the second")])
            .steps([Wait(Await::Messages(1))])
            .expect([printed(vec![(another.clone(), b"to the second".to_vec())])])
            .like(cx, "subscribe/qos1"),
        case(
            "subscribe/id-of-a-publication",
            "a SUBSCRIBE does not take the packet id of a publication that waits for its PUBACK",
            &["MQTT-2.3.1-2"],
        )
        .steps(then(
            connected(cx),
            [withhold(PacketType::PubAck), NoSuccess(send(cx, &topic(cx, "out"), 1, "waits"))],
        ))
        .steps([Try(subscribe(&t, 1)), Try(unsubscribe(&t)), Quiet, Probe]),
    ]
}

fn ending(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let filter = t.clone().into_bytes();
    let wild = topic(cx, "+/wild/#");
    vec![
        case("unsubscribe/packet", "UNSUBSCRIBE names the filter", &["MQTT-3.10.1-1", "MQTT-3.10.3-1", "MQTT-3.10.3-2"])
            .steps(then(subscribed(cx, &t, 0), [Do(subscribe(&topic(cx, "another"), 0)), Check(unsubscribe(&t))]))
            .expect([some(PacketType::Unsubscribe, &format!("for \"{t}\""), move |body| {
                matches!(body, Body::Unsubscribe(u) if matches!(u.filters.as_slice(), [f] if f.as_bytes() == filter))
            })]),
        case("unsubscribe/wildcard", "a subscription with a wildcard can be ended", &["MQTT-3.10.3-1"])
            .steps(then(subscribed(cx, &wild, 0), [Check(unsubscribe(&wild))]))
            .expect([some(PacketType::Unsubscribe, &format!("for \"{wild}\""), {
                let wild = wild.clone();
                move |body| matches!(body, Body::Unsubscribe(u) if matches!(u.filters.as_slice(), [f] if f.as_bytes() == wild.as_bytes()))
            })])
            .like(cx, "unsubscribe/packet"),
        case("unsubscribe/silence", "after it no message of the topic is printed", &[])
            .steps(then(subscribed(cx, &t, 0), [
                Do(unsubscribe(&t)),
                other_publishes(&t, 0, "nobody listens"),
                Quiet,
            ]))
            .expect([printed(vec![])]),
        case("unsubscribe/no-unsuback", "success is not reported where UNSUBACK never comes", &["MQTT-3.10.4-4"])
            .steps(then(subscribed(cx, &t, 0), [withhold(PacketType::UnsubAck), NoSuccess(unsubscribe(&t))]))
            .steps(until_given_up(cx, "unsubscribe", 0))
            .expect([never_told(cx, "unsubscribe", 0)]),
        case(
            "unsubscribe/unknown",
            "an UNSUBSCRIBE for a filter that was never subscribed to is whole, if it is sent at all",
            &["MQTT-3.10.3-2", "MQTT-3.10.1-1"],
        )
        .steps(then(connected(cx), [Try(unsubscribe(&t)), Quiet, Probe])),
        case("unsubscribe/held-unsuback", "success is not reported before UNSUBACK came, and is soon after", &[])
            .steps(then(subscribed(cx, &t, 0), [Held { packet: PacketType::UnsubAck, op: unsubscribe(&t) }]))
            .expect([Expect::new("one UNSUBSCRIBE", |view| {
                match view.from_module(PacketType::Unsubscribe).count() {
                    1 => Ok(()),
                    n => Err(Unmet::missing(format!("{n}"))),
                }
            })]),
    ]
}
