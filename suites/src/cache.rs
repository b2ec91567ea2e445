//! Received messages kept by the module: places, overwriting, reading, and the other mode.

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::View,
    mqtt::PacketType,
};

use crate::{hand::*, receive::until_acknowledged, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let Some(places) = cx.profile.behaviour.cache else { return Vec::new() };
    let t = topic(cx, "in");
    let other = topic(cx, "in/other");
    let text = |n: usize| format!("cached message {n}");
    let delivered = |range: std::ops::RangeInclusive<usize>| {
        range.flat_map(|n| [other_publishes(&t, 0, text(n)), Wait(Await::Messages(n))]).collect::<Vec<_>>()
    };
    let messages = |range: std::ops::RangeInclusive<usize>| {
        range.map(|n| (t.clone(), text(n).into_bytes())).collect::<Vec<_>>()
    };
    // Where a line of its own tells that a place is empty, no document says which final result code follows it.
    let tells_empty = !cx.profile.message.empty.is_empty();
    let empty_read = if tells_empty { Try(read_messages()) } else { Check(read_messages()) };
    let unsaid = (!cx.profile.cites.contains_key("cache/frees-places"))
        .then(|| format!("no clause of {} says that reading frees the places", cx.profile.name));
    let caching = || then(subscribed(cx, &t, 0), [Do(message_mode(1))]);
    vec![
        case("cache/announced", "a cached message is announced with its place, the first free one", &[])
            .steps(then(caching(), delivered(1..=places)))
            .expect([announced(places, 0), printed(vec![])]),
        case("cache/read", "cached messages are printed when they are read", &[])
            .steps(then(caching(), delivered(1..=places)))
            .steps([Check(read_messages())])
            .expect([taken_out(messages(1..=places)), printed(vec![])]),
        case(
            "cache/overwrites-oldest",
            "when every place is taken the next message takes the place of the oldest",
            &[],
        )
        .steps(then(caching(), delivered(1..=places + 1)))
        .steps([Check(read_messages())])
        .expect([announced(places, 1), taken_out(messages(2..=places + 1))]),
        case("cache/payload", "a cached payload is read as it came, whatever it looks like", &[])
            .steps(then(
                caching(),
                [
                    other_publishes(&t, 0, b"\r\nOK\r\n\"x\",\x00\x1a\xff"),
                    Wait(Await::Messages(1)),
                    Check(read_messages()),
                ],
            ))
            .expect([taken_out(vec![(t.clone(), b"\r\nOK\r\n\"x\",\x00\x1a\xff".to_vec())])]),
        case("cache/frees-places", "reading frees the places", &[])
            .should()
            .steps(then(
                caching(),
                [
                    other_publishes(&t, 0, text(1)),
                    Wait(Await::Messages(1)),
                    Do(read_messages()),
                    other_publishes(&t, 0, text(2)),
                    // The message that was read counts too, as the second.
                    Wait(Await::Messages(3)),
                    Do(read_messages()),
                ],
            ))
            .expect([same_place_again(), taken_out(messages(1..=2))])
            .unless(unsaid),
        case("cache/topics", "cached messages keep their own topics", &[])
            .steps(then(connected(cx), [Do(subscribe(&t, 0)), Do(subscribe(&other, 0)), Do(message_mode(1))]))
            .steps([
                other_publishes(&t, 0, text(1)),
                Wait(Await::Messages(1)),
                other_publishes(&other, 0, text(2)),
                Wait(Await::Messages(2)),
                Check(read_messages()),
            ])
            .expect([taken_out(vec![
                (t.clone(), text(1).into_bytes()),
                (other.clone(), text(2).into_bytes()),
            ])]),
        case("cache/empty", "reading an empty cache prints no message", &[])
            .steps(then(caching(), [empty_read]))
            .expect([taken_out(vec![])]),
        case("cache/off", "with caching switched off every message is printed as it comes", &[])
            .steps(then(subscribed(cx, &t, 0), [Do(message_mode(0))]))
            .steps(delivered(1..=places + 1))
            .expect([printed(messages(1..=places + 1)), announced(0, 0)]),
        case("cache/off-again", "after switching caching off the next message is printed as it comes", &[])
            .steps(then(
                caching(),
                [Do(message_mode(0)), other_publishes(&t, 0, text(1)), Wait(Await::Messages(1))],
            ))
            .expect([printed(messages(1..=1)), announced(0, 0)]),
        case("cache/mode-kept", "other commands leave the mode of messages as it is", &[])
            .steps(then(caching(), [Do(subscribe(&other, 0)), Do(unsubscribe(&other))]))
            .steps([Do(send(cx, &topic(cx, "out"), 1, "meanwhile"))])
            .steps(delivered(1..=1))
            .expect([announced(1, 0), printed(vec![])])
            .like(cx, "cache/announced"),
        qos2_once(cx, &t, caching()),
        case("cache/acknowledged", "a cached message of QoS 1 is acknowledged", &["MQTT-4.5.0-2"])
            .steps(then(
                subscribed(cx, &t, 1),
                [Do(message_mode(1)), other_publishes(&t, 1, text(1)), Wait(Await::Messages(1))],
            ))
            .steps(until_acknowledged(1, 1))
            .expect([acknowledged(1), announced(1, 0)]),
    ]
}

/// A message of QoS 2 that comes twice before PUBREL is one message here, too.
fn qos2_once(cx: &Context<'_>, topic: &str, caching: Vec<Step>) -> Case {
    let (once, payload) = (message(topic, 2, 91, "kept once"), b"kept once".to_vec());
    let came = |kind: PacketType, n: usize| Wait(Await::FromModule(kind, n));
    case("cache/qos2-once", "a message of QoS 2 that comes twice is kept once", &["MQTT-4.3.3-2"])
        .steps(then(caching, [unheard(PacketType::PubRec), unheard(PacketType::PubComp)]))
        .steps([inject(raw(once.clone())), came(PacketType::PubRec, 1)])
        .steps([inject(raw_again(once)), came(PacketType::PubRec, 2)])
        .steps([inject(raw_pubrel(91)), came(PacketType::PubComp, 1), Wait(Await::Messages(1))])
        .steps([Quiet, Check(read_messages())])
        .expect([taken_out(vec![(topic.to_owned(), payload)])])
        .like(cx, "cache/acknowledged")
}

/// Places as they were announced, in order.
fn places(view: &View<'_>) -> Vec<(usize, Option<usize>)> {
    view.lines_like(&view.profile.message.announced)
        .map(|(at, found, _)| (at, found.number("slot")))
        .collect()
}

/// So many different places announced, and then so many of them again, beginning with the oldest. How places are
/// numbered is no document's business here.
fn announced(different: usize, again: usize) -> Expect {
    let what = match (different, again) {
        (0, _) => "no announcement of a cached message".to_owned(),
        (n, 0) => format!("{n} messages announced, each with a place of its own"),
        (n, _) => {
            format!("{n} messages announced, each with a place of its own, and then the first place again")
        }
    };
    Expect::new(what, move |view| {
        let seen = places(view);
        let numbers: Vec<Option<usize>> = seen.iter().map(|(_, n)| *n).collect();
        if numbers.is_empty() && different > 0 && view.messages.is_empty() {
            return Err(Unmet::not_provoked("no announcement in a known form"));
        }
        let fresh = |i: usize| !numbers[..i].contains(&numbers[i]);
        let right = |i: usize| if i < different { fresh(i) } else { numbers[i] == numbers[i - different] };
        let wrong = (0..numbers.len()).find(|&i| i >= different + again || !right(i));
        let shown: Vec<String> =
            numbers.iter().map(|n| n.map_or("?".to_owned(), |n| n.to_string())).collect();
        let observed =
            if shown.is_empty() { "none".to_owned() } else { format!("places {}", shown.join(", ")) };
        match wrong {
            Some(i) => Err(Unmet::at(observed, seen[i].0)),
            None if numbers.len() < different + again => Err(Unmet::missing(observed)),
            None => Ok(()),
        }
    })
}

/// Two messages announced with one place.
fn same_place_again() -> Expect {
    Expect::new("the place that was read announced again", |view| match places(view).as_slice() {
        [(_, first), (_, second)] if first == second => Ok(()),
        [.., (at, _)] => Err(Unmet::at("another place", *at)),
        [] => Err(Unmet::not_provoked("no announcement in a known form")),
    })
}
