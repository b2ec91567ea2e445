//! Subscribing to what is subscribed to already, and ending what never was: the module says that there was nothing to do.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    judge::View,
    mqtt::PacketType,
    text,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let says = |step: &str| exchanges(cx.profile, step).any(|e| !e.nothing.is_empty());
    let mut cases = Vec::new();
    if says("subscribe") {
        cases.extend(subscribing(cx));
    }
    if says("unsubscribe") {
        cases.extend(unsubscribing(cx));
    }
    cases
}

fn subscribing(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "again");
    let acknowledged = |n: usize| settled(cx, "subscribe", PacketType::SubAck, n);
    let made = || then(subscribed(cx, &t, 1), acknowledged(1));
    let second = || Wait(Await::FromModule(PacketType::Subscribe, 2));
    vec![
        case("again/subscribe", "subscribing again to the same topic is answered as nothing to do", &[])
            .steps(then(made(), [Check(subscribe(&t, 1)), Quiet]))
            .expect([nothing_to_do("subscribe"), count(PacketType::Subscribe, 1).should()]),
        case("again/subscribe-another", "subscribing to another topic is something to do", &[])
            .steps(then(made(), [Check(subscribe(&topic(cx, "again/other"), 1)), second()]))
            .expect([something_to_do("subscribe"), count(PacketType::Subscribe, 2)]),
        case(
            "again/subscribe-after-unsubscribe",
            "a topic can be subscribed to again once that was ended",
            &[],
        )
        .steps(then(made(), [Do(unsubscribe(&t))]))
        .steps(settled(cx, "unsubscribe", PacketType::UnsubAck, 1))
        .steps([Check(subscribe(&t, 1)), second()])
        .expect([something_to_do("subscribe"), count(PacketType::Subscribe, 2)]),
        case(
            "again/subscribe-in-a-new-session",
            "a clean session knows no subscriptions of the one before",
            &[],
        )
        .should()
        .steps(then(then(made(), ended(cx)), connected(cx)))
        .steps([Check(subscribe(&t, 1)), second()])
        .expect([something_to_do("subscribe"), count(PacketType::Subscribe, 2)]),
    ]
}

fn unsubscribing(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "again");
    let online = || then(connected(cx), settled(cx, "connect", PacketType::ConnAck, 1));
    vec![
        case("again/unsubscribe-unknown", "ending a subscription that was never made is nothing to do", &[])
            .steps(then(online(), [Check(unsubscribe(&t)), Quiet]))
            .expect([nothing_to_do("unsubscribe"), count(PacketType::Unsubscribe, 0).should()]),
        case(
            "again/unsubscribe-another",
            "ending another subscription than the one made is nothing to do",
            &[],
        )
        .steps(then(subscribed(cx, &t, 1), settled(cx, "subscribe", PacketType::SubAck, 1)))
        .steps([Check(unsubscribe(&topic(cx, "again/other"))), Quiet])
        .expect([nothing_to_do("unsubscribe"), count(PacketType::Unsubscribe, 0).should()]),
        case("again/unsubscribe-twice", "ending a subscription twice is nothing to do the second time", &[])
            .steps(then(subscribed(cx, &t, 1), settled(cx, "subscribe", PacketType::SubAck, 1)))
            .steps([Do(unsubscribe(&t))])
            .steps(settled(cx, "unsubscribe", PacketType::UnsubAck, 1))
            .steps([Check(unsubscribe(&t)), Quiet])
            .expect([nothing_to_do("unsubscribe"), count(PacketType::Unsubscribe, 1).should()]),
        case(
            "again/unsubscribe-unconnected",
            "ending a subscription without any connection is nothing to do",
            &[],
        )
        .steps([Check(unsubscribe(&t))])
        .expect([nothing_to_do("unsubscribe")]),
        case(
            "again/unsubscribe-after-the-end",
            "ending a subscription after the connection is nothing to do",
            &[],
        )
        .steps(then(subscribed(cx, &t, 1), ended(cx)))
        .steps([Check(unsubscribe(&t)), Quiet])
        .expect([nothing_to_do("unsubscribe"), count(PacketType::Unsubscribe, 0)]),
    ]
}

/// The last command of the step was answered by its line for nothing to do, and by the final result code that goes with it.
fn nothing_to_do(step: &'static str) -> Expect {
    Expect::new(format!("`{step}` answered as nothing to do"), move |view: &View<'_>| {
        let Some(last) = told(view, step).into_iter().next_back() else {
            return Err(Unmet::missing("it was not sent"));
        };
        let o = &last.outcome;
        let Some(line) = &o.nothing else {
            let said =
                o.claim().map_or("no success".to_owned(), |line| format!("`{}`", text::visible(&line.0)));
            return Err(Unmet::at(said, last.asked));
        };
        let alone = exchanges(view.profile, step).any(|e| e.nothing_ends);
        if o.answer.is_some() || alone {
            return Ok(());
        }
        let observed = format!("no final result code after `{}`", text::visible(&line.0));
        Err(Unmet::at(observed, view.event_of(line).unwrap_or(last.asked)))
    })
}

fn something_to_do(step: &'static str) -> Expect {
    Expect::new(format!("`{step}` not answered as nothing to do"), move |view: &View<'_>| {
        match told(view, step).last().and_then(|told| told.outcome.nothing.as_ref()) {
            Some(line) => {
                Err(Unmet::at(format!("`{}`", text::visible(&line.0)), view.event_of(line).unwrap_or(0)))
            }
            None => Ok(()),
        }
    })
}
