//! Received messages kept by the module: places, overwriting, reading, and the other mode.

use atspec_model::case::{Await, Case, Context, Expect, Unmet};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let Some(places) = cx.profile.behaviour.cache else { return Vec::new() };
    let t = topic(cx, "in");
    let text = |n: usize| format!("cached message {n}");
    let delivered = |range: std::ops::RangeInclusive<usize>| {
        range.flat_map(|n| [other_publishes(&t, 0, text(n)), Wait(Await::Messages(n))]).collect::<Vec<_>>()
    };
    let messages = |range: std::ops::RangeInclusive<usize>| {
        range.map(|n| (t.clone(), text(n).into_bytes())).collect::<Vec<_>>()
    };
    let caching = || then(subscribed(cx, &t, 0), [Do(message_mode(1))]);
    vec![
        case("cache/announced", "a cached message is announced with its place, the first free one", &[])
            .steps(then(caching(), delivered(1..=places)))
            .expect([announced((0..places).collect()), printed(vec![])]),
        case("cache/read", "cached messages are printed when they are read", &[])
            .steps(then(caching(), delivered(1..=places)))
            .steps([Check(read_messages())])
            .expect([taken_out(messages(1..=places)), printed(vec![])]),
        case("cache/overwrites-oldest", "when every place is taken the next message takes the place of the oldest", &[])
            .steps(then(caching(), delivered(1..=places + 1)))
            .steps([Check(read_messages())])
            .expect([
                announced((0..places).chain([0]).collect()),
                taken_out(messages(2..=places + 1)),
            ]),
        case("cache/payload", "a cached payload is read as it came, whatever it looks like", &[])
            .steps(then(caching(), [
                other_publishes(&t, 0, b"\r\nOK\r\n\"x\",\x00\x1a\xff"),
                Wait(Await::Messages(1)),
                Check(read_messages()),
            ]))
            .expect([taken_out(vec![(t.clone(), b"\r\nOK\r\n\"x\",\x00\x1a\xff".to_vec())])]),
        case("cache/frees-places", "reading frees the places", &[])
            .should()
            .steps(then(caching(), [
                other_publishes(&t, 0, text(1)),
                Wait(Await::Messages(1)),
                Do(read_messages()),
                other_publishes(&t, 0, text(2)),
                Quiet,
                Do(read_messages()),
            ]))
            .expect([announced(vec![0, 0]), taken_out(messages(1..=2))]),
        case("cache/empty", "reading an empty cache prints no message", &[])
            .steps(then(caching(), [Check(read_messages())]))
            .expect([taken_out(vec![])]),
        case("cache/off", "with caching switched off every message is printed as it comes", &[])
            .steps(then(subscribed(cx, &t, 0), [Do(message_mode(0))]))
            .steps(delivered(1..=places + 1))
            .expect([printed(messages(1..=places + 1)), announced(vec![])]),
        case("cache/off-again", "after switching caching off the next message is printed as it comes", &[])
            .steps(then(caching(), [Do(message_mode(0)), other_publishes(&t, 0, text(1)), Wait(Await::Messages(1))]))
            .expect([printed(messages(1..=1)), announced(vec![])]),
        case("cache/acknowledged", "a cached message of QoS 1 is acknowledged", &["MQTT-4.5.0-2"])
            .steps(then(subscribed(cx, &t, 1), [
                Do(message_mode(1)),
                other_publishes(&t, 1, text(1)),
                Wait(Await::Messages(1)),
                Quiet,
            ]))
            .expect([acknowledged(1), announced(vec![0])]),
    ]
}

/// Exactly these places announced, in this order.
fn announced(places: Vec<usize>) -> Expect {
    let what = match places.as_slice() {
        [] => "no announcement of a cached message".to_owned(),
        some => format!("announcements of the places {some:?}"),
    };
    Expect::new(what, move |view| {
        let forms = &view.profile.message.announced;
        let seen: Vec<(usize, Option<usize>)> =
            view.lines_like(forms).map(|(at, found, _)| (at, found.number("slot"))).collect();
        let numbers: Vec<Option<usize>> = seen.iter().map(|(_, n)| *n).collect();
        if numbers.iter().copied().eq(places.iter().map(|&n| Some(n))) {
            return Ok(());
        }
        let shown: Vec<String> = numbers.iter().map(|n| n.map_or("?".to_owned(), |n| n.to_string())).collect();
        let observed = format!("[{}]", shown.join(", "));
        let wrong = seen.iter().zip(places.iter().map(Some).chain(std::iter::repeat(None)));
        let at = wrong.into_iter().find(|((_, n), want)| n.as_ref() != *want).map(|((at, _), _)| *at);
        Err(at.map_or_else(|| Unmet::missing(observed.clone()), |at| Unmet::at(observed.clone(), at)))
    })
}
