//! Lengths of topics and filters.

use atspec_model::{
    case::{Case, Context, Expect, Op, Step, Unmet},
    mqtt::{Body, PacketType, Text},
    profile::Argument,
};

use super::claimed;
use crate::words::*;

/// A command about a topic, what it needs before it, and the packet in which the topic must stand.
struct Subject {
    step: &'static str,
    op: fn(&str) -> Op,
    packet: PacketType,
}

const SUBJECTS: [Subject; 4] = [
    Subject { step: "publish", op: |topic| publish(topic, 1, "a long way"), packet: PacketType::Publish },
    Subject {
        step: "publish-data",
        op: |topic| publish_data(topic, 1, "a long way"),
        packet: PacketType::Publish,
    },
    Subject { step: "subscribe", op: |topic| subscribe(topic, 0), packet: PacketType::Subscribe },
    Subject { step: "unsubscribe", op: |topic| unsubscribe(topic), packet: PacketType::Unsubscribe },
];

pub(super) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for subject in SUBJECTS.iter().filter(|s| s.step == "publish" || has(cx, s.step)) {
        match cx.profile.argument(subject.step, "topic") {
            Some(argument @ Argument { length: Some((_, max)), .. }) => {
                cases.extend([max - 1, *max].map(|len| whole(cx, subject, len)));
                cases.push(beyond(cx, subject, max + 1, argument));
            }
            _ if subject.step == "publish" => {
                cases.extend([64, 65, 128, 256].map(|len| unlimited(cx, subject, len)));
            }
            _ if subject.step == "subscribe" => cases.push(unlimited(cx, subject, 256)),
            _ => {}
        }
    }
    cases
}

/// A topic of this case with this length.
fn named(cx: &Context<'_>, len: usize) -> String {
    let base = topic(cx, "");
    let rest = letters(len.saturating_sub(base.len()));
    format!("{base}{}", String::from_utf8(rest).expect("letters"))
}

/// What comes before the command: a filter can only be ended where it was asked for.
fn before(cx: &Context<'_>, subject: &Subject, name: &str) -> Vec<Step> {
    let subscription = (subject.packet == PacketType::Unsubscribe).then(|| Try(subscribe(name, 0)));
    then(connected(cx), subscription)
}

fn whole(cx: &Context<'_>, subject: &Subject, len: usize) -> Case {
    let name = named(cx, len);
    let wanted = name.clone().into_bytes();
    case(
        &format!("limits/{}-topic-{len}", subject.step),
        &format!("a topic of {len} bytes stands whole in {}", subject.packet),
        &[],
    )
    .steps(then(before(cx, subject, &name), [Check((subject.op)(&name))]))
    .expect([some(subject.packet, &format!("with the whole topic of {len} bytes"), move |body| {
        topics(body).contains(&wanted.as_slice())
    })])
}

/// A topic of this length, about which the document says nothing: refused, or whole; never cut.
fn unlimited(cx: &Context<'_>, subject: &Subject, len: usize) -> Case {
    let name = named(cx, len);
    let steps = before(cx, subject, &name);
    let index = steps.len();
    let (kind, wanted) = (subject.packet, name.clone().into_bytes());
    let cites: &[&str] = if kind == PacketType::Subscribe { &["MQTT-3.8.3-1"] } else { &[] };
    case(
        &format!("limits/{}-topic-{len}", subject.step),
        &format!("a topic of {len} bytes is refused, or stands whole in {kind}"),
        cites,
    )
    .steps(then(steps, [Beyond((subject.op)(&name))]))
    .expect([Expect::new("the whole topic, or a clean refusal", move |view| {
        let seen = view.from_module(kind).find_map(|p| Some((p.at, *topics(&p.packet.body).first()?)));
        match seen {
            Some((_, topic)) if topic == wanted => Ok(()),
            Some((at, topic)) => {
                let shown = atspec_model::text::shortened(topic, 40);
                Err(Unmet::at(format!("a topic of {} bytes: {shown}", topic.len()), at))
            }
            None if claimed(view, index) => Err(Unmet::missing("success, although nothing was sent")),
            None => Ok(()),
        }
    })])
}

/// One beyond the documented maximum. A length that no clause binds may be exceeded without a warning.
fn beyond(cx: &Context<'_>, subject: &Subject, len: usize, argument: &Argument) -> Case {
    let kind = subject.packet;
    let warns = Expect::new("a refusal beyond the documented maximum", move |view| {
        match view.from_module(kind).next() {
            Some(p) => Err(Unmet::at("accepted, with the whole topic", p.at)),
            None => Ok(()),
        }
    });
    let firm = !argument.cites.is_empty();
    unlimited(cx, subject, len).expect(firm.then(|| warns.should()))
}

/// The topics of a packet.
fn topics(body: &Body) -> Vec<&[u8]> {
    match body {
        Body::Publish(publish) => vec![publish.topic.as_bytes()],
        Body::Subscribe(subscribe) => subscribe.filters.iter().map(|(filter, _)| filter.as_bytes()).collect(),
        Body::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().map(Text::as_bytes).collect(),
        _ => Vec::new(),
    }
}
