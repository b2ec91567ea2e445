//! The list of subscriptions that a module prints when asked.

use atspec_model::{
    at::Captures,
    case::{Case, Context, Expect, Op, Step, Unmet},
    judge::View,
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    text,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    if !has(cx, "subscriptions") {
        return Vec::new();
    }
    let (one, two) = (topic(cx, "listed/one"), topic(cx, "listed/two"));
    let made = || {
        let both = then(connected(cx), [Do(subscribe(&one, 0)), Do(subscribe(&two, 1))]);
        then(both, settled(cx, "subscribe", PacketType::SubAck, 2))
    };
    let list = || Check(Op::new("subscriptions"));
    let refused = Rule::to_module(PacketType::SubAck, Action::Code(0x80)).once();
    vec![
        case("subscriptions/listed", "every subscription is listed, with the QoS that was asked for", &[])
            .steps(then(made(), [list()]))
            .expect([listed(&one, 0), listed(&two, 1)]),
        case("subscriptions/ended", "a subscription that was ended is not listed any more", &[])
            .should()
            .steps(then(made(), gone(cx, &one)))
            .steps([list()])
            .expect([not_listed(&one), listed(&two, 1)]),
        case("subscriptions/refused", "a subscription that the broker refused is not listed", &[])
            .steps(then(connected(cx), [Do(subscribe(&one, 0))]))
            .steps(settled(cx, "subscribe", PacketType::SubAck, 1))
            .steps([Broker(Command::Rule(refused)), Try(subscribe(&two, 1)), Quiet, list()])
            .expect([listed(&one, 0), not_listed(&two)])
            .like(cx, "subscriptions/listed"),
        case(
            "subscriptions/new-session",
            "a clean session does not list the subscriptions of the one before",
            &[],
        )
        .should()
        .steps(then(subscribed(cx, &one, 0), ended(cx)))
        .steps(then(subscribed(cx, &two, 1), settled(cx, "subscribe", PacketType::SubAck, 2)))
        .steps([list()])
        .expect([not_listed(&one), listed(&two, 1)]),
    ]
}

fn gone(cx: &Context<'_>, topic: &str) -> Vec<Step> {
    then(vec![Do(unsubscribe(topic))], settled(cx, "unsubscribe", PacketType::UnsubAck, 1))
}

/// The lines of the last list that name the topic.
fn lines<'v>(view: &'v View<'_>, topic: &str) -> Vec<&'v Captures> {
    let last = told(view, "subscriptions").into_iter().next_back();
    let about = |found: &&Captures| found.values.get("topic").is_some_and(|t| bare(t) == topic.as_bytes());
    last.into_iter().flat_map(|told| &told.outcome.info).filter(about).collect()
}

/// One line for a subscription; a QoS is compared where the line tells one.
fn listed(topic: &str, qos: u8) -> Expect {
    let topic = topic.to_owned();
    Expect::new(format!("one line for \"{topic}\" with QoS {qos}"), move |view| {
        let lines = lines(view, &topic);
        let shown: Vec<String> =
            lines.iter().map(|found| format!("`{}`", text::visible(&found.line))).collect();
        let right = |found: &Captures| {
            found.values.get("qos").is_none_or(|told| bare(told) == qos.to_string().as_bytes())
        };
        match lines.as_slice() {
            [line] if right(line) => Ok(()),
            [] => Err(Unmet::missing("none")),
            _ => Err(Unmet::missing(shown.join(", "))),
        }
    })
}

fn not_listed(topic: &str) -> Expect {
    let topic = topic.to_owned();
    Expect::new(format!("no line for \"{topic}\""), move |view| match lines(view, &topic).first() {
        Some(found) => Err(Unmet::missing(format!("`{}`", text::visible(&found.line)))),
        None => Ok(()),
    })
}
