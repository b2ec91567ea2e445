//! Two things at once: a message in the middle of a command's exchange. Each alone is ordinary; firmware that keeps both in one
//! place loses one of them.

use atspec_model::{
    case::{Await, Case, Context, Op},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
};

use crate::{hand::*, words::*};

use PacketType::{PubAck, PubComp, PubRec, Publish, SubAck};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let publications = [(1, PubAck), (2, PubRec), (2, PubComp)];
    let mut cases: Vec<Case> =
        publications.into_iter().map(|(qos, packet)| with_publication(cx, qos, packet)).collect();
    cases.extend([with_suback(cx, Place::Before), with_suback(cx, Place::Behind), during_data(cx)]);
    cases.extend([behind_acknowledgements(cx), with_unsuback(cx), one_segment(cx), during_line(cx)]);
    cases
}

/// Where the message stands in the segment of the acknowledgement.
#[derive(Debug, Clone, Copy)]
enum Place {
    Before,
    Behind,
}

/// The next packet of the type has a message of QoS 1 with it in one segment.
fn accompanied(kind: PacketType, place: Place, topic: &str, id: u16) -> Rule {
    let bytes = raw(message(topic, 1, id, "meanwhile"));
    let action = match place {
        Place::Before => Action::Prepend(bytes),
        Place::Behind => Action::Append(bytes),
    };
    Rule::to_module(kind, action).once()
}

fn with_publication(cx: &Context<'_>, qos: u8, packet: PacketType) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    case(
        &format!("coincide/message-before-{}", packet.name().to_lowercase()),
        &format!(
            "a message just before the {packet} of a publication is printed, and the publication succeeds"
        ),
        &["MQTT-4.5.0-2"],
    )
    .steps(then(subscribed(cx, &t, 1), [Broker(Command::Rule(accompanied(packet, Place::Before, &t, 81)))]))
    .steps([
        Check(send(cx, &out, qos, "at-the-same-time")),
        Wait(Await::FromModule(PubAck, 1)),
        Wait(Await::Messages(1)),
        Check(send(cx, &out, 1, "and-behind-it")),
    ])
    .expect([
        publications(vec![sent(&out, qos, "at-the-same-time"), sent(&out, 1, "and-behind-it")]),
        printed(vec![(t, b"meanwhile".to_vec())]),
        answers(PubAck, &[81]),
    ])
}

/// The topic of the message was subscribed to before, so that nothing is open about it.
fn with_suback(cx: &Context<'_>, place: Place) -> Case {
    let (t, other) = (topic(cx, "in"), topic(cx, "another"));
    let words = match place {
        Place::Before => "before",
        Place::Behind => "behind",
    };
    case(
        &format!("coincide/message-{words}-suback"),
        &format!("a message just {words} the SUBACK of another subscription is printed and acknowledged"),
        &["MQTT-4.5.0-2"],
    )
    .steps(then(subscribed(cx, &t, 1), [Broker(Command::Rule(accompanied(SubAck, place, &t, 82)))]))
    .steps([
        Check(subscribe(&other, 0)),
        Wait(Await::FromModule(PubAck, 1)),
        other_publishes(&other, 0, "then"),
        Wait(Await::Messages(2)),
    ])
    .expect([printed(vec![(t, b"meanwhile".to_vec()), (other, b"then".to_vec())]), answers(PubAck, &[82])])
}

/// Behind each acknowledgement of publications in turn.
fn behind_acknowledgements(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let behind = |packet, id| Broker(Command::Rule(accompanied(packet, Place::Behind, &t, id)));
    case(
        "coincide/message-behind-acknowledgements",
        "messages just behind the PUBACK, PUBREC and PUBCOMP of publications are printed, and these succeed",
        &["MQTT-4.5.0-2"],
    )
    .steps(then(subscribed(cx, &t, 1), [behind(PubAck, 83), behind(PubRec, 84), behind(PubComp, 85)]))
    .steps([Check(send(cx, &out, 1, "at-the-same-time")), Check(send(cx, &out, 2, "exactly-then"))])
    .steps([Wait(Await::FromModule(PubAck, 3)), Wait(Await::Messages(3))])
    .expect([
        publications(vec![sent(&out, 1, "at-the-same-time"), sent(&out, 2, "exactly-then")]),
        printed(vec![(t, b"meanwhile".to_vec()); 3]),
        answers(PubAck, &[83, 84, 85]),
    ])
}

/// The end of a subscription, and a message of another one right behind its acknowledgement.
fn with_unsuback(cx: &Context<'_>) -> Case {
    let (t, other) = (topic(cx, "in"), topic(cx, "another"));
    case(
        "coincide/message-behind-unsuback",
        "a message just behind the UNSUBACK of another subscription is printed and acknowledged",
        &["MQTT-4.5.0-2"],
    )
    .steps(then(subscribed(cx, &t, 1), [Do(subscribe(&other, 0))]))
    .steps([
        Broker(Command::Rule(accompanied(PacketType::UnsubAck, Place::Behind, &t, 86))),
        Check(unsubscribe(&other)),
        Wait(Await::FromModule(PubAck, 1)),
        Wait(Await::Messages(1)),
    ])
    .expect([printed(vec![(t, b"meanwhile".to_vec())]), answers(PubAck, &[86])])
}

/// Several messages that come in one segment.
fn one_segment(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    let texts = ["the-first", "the-second", "the-third"];
    let all = texts.iter().zip([87, 88, 89]).flat_map(|(text, id)| raw(message(&t, 1, id, text))).collect();
    case(
        "coincide/messages-in-one-segment",
        "three messages that come in one segment are printed one after the other, and acknowledged",
        &["MQTT-4.5.0-2", "MQTT-4.6.0-2"],
    )
    .steps(then(subscribed(cx, &t, 1), [unheard(PubAck), inject(all)]))
    .steps([Wait(Await::Messages(3)), Wait(Await::FromModule(PubAck, 3)), Quiet])
    .expect([printed(texts.map(|text| (t.clone(), text.into())).into()), answers(PubAck, &[87, 88, 89])])
}

/// Messages that come while a command line is half written: printed at once, or once the line is whole.
fn during_line(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let texts = ["first", "second"];
    case(
        "coincide/messages-during-a-line",
        "messages that come while a command line is half written are printed, and the command is carried out",
        &["MQTT-4.5.0-2"],
    )
    .steps(then(
        subscribed(cx, &t, 1),
        [Broker(Command::Rule(Rule::to_module(Publish, Action::Delay(HELD_MS))))],
    ))
    .steps(texts.map(|text| other_publishes(&t, 1, text)))
    .steps([Check(Op { cuts: vec![5, 9], ..send(cx, &out, 1, "meanwhile") })])
    .steps([Wait(Await::Messages(2)), Wait(Await::FromModule(PubAck, 2))])
    .expect([
        publications(vec![sent(&out, 1, "meanwhile")]),
        printed(texts.map(|text| (t.clone(), text.into())).into()),
        acknowledged(1),
    ])
}

/// Messages that come between two parts of the data. They are held back for less than the pause between the parts is long; a
/// slow network may bring them later, which proves nothing then.
fn during_data(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let texts = ["first", "second", "third"];
    let data = letters(300);
    case(
        "coincide/messages-during-data",
        "messages that come while the module waits for data are printed, and the data arrive as they were sent",
        &[],
    )
    .steps(then(
        subscribed(cx, &t, 0),
        [Broker(Command::Rule(Rule::to_module(Publish, Action::Delay(HELD_MS))))],
    ))
    .steps(texts.map(|text| other_publishes(&t, 0, text)))
    .steps([Check(Op { cuts: vec![150, 200, 250], ..publish_data(&out, 1, &data) }), Wait(Await::Messages(3))])
    .expect([
        publications(vec![sent(&out, 1, data)]),
        printed(texts.map(|text| (t.clone(), text.into())).into()),
    ])
}

/// How long the messages are held back, in ms.
const HELD_MS: u64 = 20;
