//! The same many times in a row: what leaks, wraps round or slips once in many times shows only here.
//!
//! As many times as find what happens once in twenty times in all but one of 100,000 runs, and what has room for 40 or for 200;
//! few enough for a real module's line.

use atspec_model::{
    case::{Await, Case, Context, Op, Step},
    mqtt::PacketType,
};

use crate::{format::line_ends, words::*};

/// Publications and messages.
const MANY: usize = 250;

/// Connections and subscriptions.
const SOME: usize = 50;

/// Messages that are under way together.
const TOGETHER: usize = 10;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    vec![
        sent_many(cx),
        subscribed_after_many(cx),
        received_many(cx),
        connected_often(cx),
        subscribed_often(cx),
    ]
}

/// Topics that the many take in turn, so that one that stays shows.
const TOPICS: usize = 7;

/// The topic of one of many.
fn of_many(cx: &Context<'_>, name: &str, n: usize) -> String {
    topic(cx, &format!("{name}/{}", n % TOPICS))
}

/// The payload of one of many: its number, and enough behind it to show a loss.
fn numbered(n: usize) -> String {
    format!("number-{n}-of-{MANY}-abcdefghijklmnop")
}

/// Every fifth is one that the broker keeps.
const KEPT: usize = 5;

fn retained(op: Op, n: usize) -> Op {
    op.with("retain", if n.is_multiple_of(KEPT) { "1" } else { "0" })
}

fn sent_many(cx: &Context<'_>) -> Case {
    let all = || (1..=MANY).map(|n| (of_many(cx, "out", n), numbered(n)));
    case(
        "soak/publish-qos0",
        "two hundred and fifty publications of QoS 0 in a row arrive, each whole, once, and in order",
        &["MQTT-4.3.1-1"],
    )
    .steps(then(
        connected(cx),
        all().zip(1..).map(|((t, text), n)| Check(retained(send(cx, &t, 0, text), n))),
    ))
    .steps([Wait(Await::FromModule(PacketType::Publish, MANY)), Quiet, Probe])
    .expect([
        publications(
            all()
                .zip(1..)
                .map(|((t, text), n): (_, usize)| Sent {
                    retain: n.is_multiple_of(KEPT),
                    ..sent(&t, 0, text)
                })
                .collect(),
        ),
        line_ends().should(),
    ])
}

fn subscribed_after_many(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    case("soak/subscribe", "a subscription works after two hundred and fifty publications", &[])
        .steps(then(connected(cx), (1..=MANY).map(|n| Do(send(cx, &out, 1, numbered(n))))))
        .steps([Check(subscribe(&t, 0)), other_publishes(&t, 0, "still-here"), Wait(Await::Messages(1))])
        .expect([printed(vec![(t, b"still-here".to_vec())])])
}

fn received_many(cx: &Context<'_>) -> Case {
    let group = |first: usize| {
        let messages =
            (first..first + TOGETHER).map(|n| other_publishes(&of_many(cx, "in", n), 0, numbered(n)));
        messages.chain([Wait(Await::Messages(first + TOGETHER - 1))]).collect::<Vec<Step>>()
    };
    case("soak/receive", "two hundred and fifty messages are printed, each whole, once, and in order", &[])
        .steps(then(subscribed(cx, &topic(cx, "in/#"), 0), (1..=MANY).step_by(TOGETHER).flat_map(group)))
        .steps([Quiet])
        .expect([printed((1..=MANY).map(|n| (of_many(cx, "in", n), numbered(n).into_bytes())).collect())])
}

fn connected_often(cx: &Context<'_>) -> Case {
    case("soak/connect", "fifty connections, one after the other, all work", &[])
        .steps((0..SOME).flat_map(|_| then(session(cx).checked(), ended(cx))))
        .steps(then(connected(cx), [Check(send(cx, &topic(cx, "out"), 1, "still-works"))]))
        .expect([count(PacketType::Connect, SOME + 1)])
}

fn subscribed_often(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    let once = |n: usize| {
        let other = topic(cx, &format!("for-a-while/{n}"));
        [Check(subscribe(&other, 0)), Do(unsubscribe(&other))]
    };
    case("soak/unsubscribe", "fifty subscriptions, each ended before the next, leave room for another", &[])
        .steps(then(connected(cx), (1..=SOME).flat_map(once)))
        .steps([Check(subscribe(&t, 0)), other_publishes(&t, 0, "still-here"), Wait(Await::Messages(1))])
        .expect([printed(vec![(t, b"still-here".to_vec())])])
}
