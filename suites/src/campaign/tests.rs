//! Bisection and shrinking against modules that are a line of code each.

use proptest::prelude::*;

use super::{
    action::{Action, Bytes, Input, Publication},
    finding::kind,
    shrink::{BUDGET, Shrinker},
};

fn publication(payload: &[u8]) -> Input {
    Input::one(Action::Publish(Publication {
        by: "publish-data".to_owned(),
        topic: Bytes(b"some/topic".to_vec()),
        qos: 1,
        payload: payload.into(),
        ..Publication::default()
    }))
}

/// Shrinks on a module that fails where `fails` says so; the smallest payload, and the sendings.
fn shrink(payload: &[u8], fails: impl Fn(&[u8]) -> bool) -> (Vec<u8>, usize) {
    let of = |input: &Input| match input.actions.as_slice() {
        [Action::Publish(publication)] => publication.payload.0.clone(),
        other => panic!("{other:?}"),
    };
    assert!(fails(payload));
    let mut shrinker = Shrinker::new(publication(payload));
    while let Some(candidate) = shrinker.smaller() {
        shrinker.learn(fails(&of(&candidate)));
    }
    (of(shrinker.best()), shrinker.used())
}

#[test]
fn one_bad_byte_among_4100_takes_at_most_60_sendings() {
    for at in [0, 1, 63, 64, 2049, 2050, 2051, 3333, 4098, 4099] {
        let mut payload = crate::words::letters(4100);
        payload[at] = 0xff;
        let (small, sendings) = shrink(&payload, |payload| payload.contains(&0xff));
        assert_eq!(small, [0xff], "at {at}");
        assert!(sendings <= BUDGET, "{sendings} at {at}");
    }
}

#[test]
fn a_failure_of_length_shrinks_to_exactly_the_limit() {
    for limit in [2, 11, 256, 257, 1001, 2384, 4100] {
        let payload: Vec<u8> = (0..4100).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (small, sendings) = shrink(&payload, |payload| payload.len() >= limit);
        assert_eq!(small.len(), limit);
        assert!(sendings <= 20, "{sendings} for {limit}");
        let one = payload[..limit].to_vec();
        assert_eq!(shrink(&one, |payload| payload.len() == limit).0.len(), limit, "one length only");
    }
}

#[test]
fn what_needs_two_bytes_keeps_two() {
    let mut payload = crate::words::letters(400);
    payload.splice(199..201, *b"\\\"");
    let (small, _) = shrink(&payload, |payload| payload.windows(2).any(|two| two == b"\\\""));
    assert_eq!(small, b"\\\"");
}

#[test]
fn one_text_that_depends_on_another_is_gone_through_again() {
    let message = |len: usize| publication(&crate::words::letters(len)).actions.remove(0);
    let len = |action: &Action| match action {
        Action::Publish(publication) => publication.payload.0.len(),
        _ => 0,
    };
    let fails = |input: &Input| match input.actions.as_slice() {
        [first, second] => len(first) > len(second),
        _ => false,
    };
    let mut shrinker = Shrinker::new(Input { actions: vec![message(50), message(30)] });
    while let Some(candidate) = shrinker.smaller() {
        let failed = fails(&candidate);
        shrinker.learn(failed);
    }
    let lengths: Vec<usize> = shrinker.best().actions.iter().map(len).collect();
    assert_eq!(lengths, [2, 1]);
}

proptest! {
    #[test]
    fn whatever_it_is_the_smallest_still_fails(payload in proptest::collection::vec(any::<u8>(), 1..600), bad: u8) {
        prop_assume!(payload.contains(&bad));
        let (small, sendings) = shrink(&payload, |payload| payload.contains(&bad));
        prop_assert!(small.contains(&bad));
        prop_assert!(sendings <= BUDGET);
    }

    #[test]
    fn inputs_are_read_back(payload in proptest::collection::vec(any::<u8>(), 0..80)) {
        let input = publication(&payload);
        prop_assert_eq!(Input::from_json(&input.to_json()), Ok(input));
    }
}

#[test]
fn a_kind_has_neither_numbers_nor_what_is_quoted() {
    let one = kind("payload differs at byte 7: …abc… instead of …abd… (12 bytes instead of 12)");
    let other = kind("payload differs at byte 4099: …\\xff… instead of …z… (4100 bytes instead of 4100)");
    assert_eq!(one, other);
    assert_ne!(one, kind("payload cut after 4 bytes (4 bytes instead of 12)"));
    assert_eq!(kind("`ERROR`: publish was refused"), kind("`+CME ERROR: 3`: publish was refused"));
}
