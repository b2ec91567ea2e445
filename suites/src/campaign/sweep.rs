//! Inputs that are tried in every run, before any that are drawn: every short length, every edge of a buffer or of a document,
//! every byte value, every pair of special ones, text that looks like AT traffic.

use std::collections::BTreeSet;

use atspec_model::{
    case::{Context, Op},
    profile::Profile,
};

use super::{
    action::{Action, Input, Publication, Reception},
    generate::{fitting, sendable},
    misfit,
    promise::{self, Promise},
    states,
};
use crate::{
    limits::BUFFERS,
    words::{letters, longest_payload, publish},
};

/// Pieces that firmware trips over: escapes in every spelling, separators, ends of lines and of data, prompts, AT traffic.
pub const TOKENS: [&[u8]; 40] = [
    b"\\",
    b"\"",
    b",",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x1a",
    b"\x1b",
    b"+++",
    b">",
    b"\\22",
    b"\\0D",
    b"\\0A",
    b"\\5C",
    b"\\0d",
    b"\\5c",
    b"\\\\",
    b"\\\"",
    b"\"\\",
    b"\\r\\n",
    b"\\x41",
    b";",
    b" ",
    b"\t",
    b"\x7f",
    b"\x80",
    b"\xff",
    "\u{e9}".as_bytes(),
    "\u{6e29}".as_bytes(),
    b"\xb0\xa1",
    b"OK",
    b"\r\nOK\r\n",
    b"\r\nERROR\r\n",
    b"AT\r\n",
    b"+MSUB: ",
    b"> ",
    b"%s%n",
    b"{}",
    b"0",
];

/// Lengths worth a try up to a maximum, and just beyond it.
pub fn lengths(max: Option<usize>) -> Vec<usize> {
    let longest = max.unwrap_or(1200);
    let powers = (1..=14).map(|n| 1_usize << n).flat_map(|n| [n - 1, n, n + 1]);
    let edges = max.into_iter().flat_map(|max| [max - 1, max, max + 1, max + 2, max * 2]);
    let usual = (1..=64).chain(powers).chain(BUFFERS).chain([1000, 1001, 1100]).filter(|n| *n <= longest);
    usual.chain(edges).collect::<BTreeSet<usize>>().into_iter().collect()
}

/// Publications by every step that the module has for it.
pub fn payloads(cx: &Context<'_>) -> Vec<Input> {
    let mut all = Vec::new();
    for step in steps(cx.profile) {
        let publication = |payload: &[u8], n: usize| Publication {
            by: step.to_owned(),
            topic: b"t".as_slice().into(),
            qos: [1, 0, 1, 2][n % 4],
            payload: payload.into(),
            ..Publication::default()
        };
        let texts = texts(cx.profile).into_iter().map(|text| fitting(cx, step, "payload", &text));
        all.extend(texts.enumerate().map(|(n, text)| publication(&text, n)));
        let lengths = lengths(longest_payload(cx, step));
        all.extend(lengths.into_iter().enumerate().map(|(n, len)| publication(&letters(len), n)));
        // The longest command line, and one byte more.
        let room = cx.profile.behaviour.command_max.and_then(|max| max.checked_sub(line_without(cx, step)?));
        let edges = room.into_iter().flat_map(|room| [room, room + 1]);
        all.extend(edges.map(|len| publication(&letters(len), 0)));
        // A length that is counted in sixteen bits.
        if let Some((_, max)) = cx.profile.argument(step, "len").and_then(|a| a.range) {
            for len in [1_usize, 8] {
                let declared = i64::try_from(65_536 + len).ok().filter(|declared| *declared > max);
                all.push(Publication { declared, ..publication(&letters(len), 0) });
            }
        }
    }
    let sure = all.into_iter().filter_map(|one| sendable(cx, one));
    sure.map(|one| Input::one(Action::Publish(one))).collect()
}

/// How long the command line of a publication is without its payload, where that stands in it.
fn line_without(cx: &Context<'_>, step: &str) -> Option<usize> {
    let op = Op { step: step.to_owned(), ..publish("t", 1, "").with("id", "1") };
    let spoken = op.exchanges(cx.profile).ok()?;
    let takes = cx.profile.takes(step, "payload");
    takes.then_some(spoken.last()?.line.len() + cx.profile.serial.line_end.len())
}

/// Topics of publications.
pub fn topics(cx: &Context<'_>) -> Vec<Input> {
    let mut all = Vec::new();
    for step in steps(cx.profile) {
        let max = cx.profile.argument(step, "topic").and_then(|a| a.length).map(|(_, max)| max);
        let edges = max.into_iter().flat_map(|max| [max - 1, max, max + 1]);
        let lengths = (1..=36).chain([63, 64, 65, 127, 128, 129, 255, 256]).chain(edges);
        let plain = lengths.map(letters);
        let levels = ["/", "a/b/c", "/lead", "trail/", "a//b", "1", "with.dots-and_more:1"];
        let levels = levels.iter().map(|topic| fitting(cx, step, "topic", topic.as_bytes()));
        all.extend(plain.chain(levels).map(|topic| Publication {
            by: step.to_owned(),
            topic: topic.as_slice().into(),
            qos: 1,
            payload: b"x".as_slice().into(),
            ..Publication::default()
        }));
    }
    let sure = all.into_iter().filter_map(|one| sendable(cx, one));
    sure.map(|one| Input::one(Action::Publish(one))).collect()
}

/// Messages for the module: alone, and a short one behind a long one.
pub fn messages(cx: &Context<'_>) -> Vec<Input> {
    if !cx.profile.steps.contains_key("subscribe") {
        return Vec::new();
    }
    let message = |payload: &[u8]| {
        Action::Receive(Reception {
            at_once: false,
            cached: false,
            topic: b"t".as_slice().into(),
            qos: 0,
            payload: payload.into(),
        })
    };
    let max = cx.profile.message.cut.or(cx.profile.behaviour.receive_max);
    let single = texts(cx.profile).into_iter().chain(lengths(max).into_iter().map(letters));
    let mut all: Vec<Vec<Vec<u8>>> = single.map(|payload| vec![payload]).collect();
    for (long, short) in [(20, 10), (100, 8), (300, 12)] {
        let long = letters(long).into_iter().rev().collect();
        all.push(vec![long, letters(short)]);
    }
    let promised = |payload: &Vec<u8>| promise::of_received(cx.profile, payload) <= Promise::Implied;
    let sure = all.into_iter().filter(|payloads| payloads.iter().all(promised));
    sure.map(|payloads| Input { actions: payloads.iter().map(|payload| message(payload)).collect() })
        .collect()
}

/// Data that do not fit the length which is declared for them.
pub fn data(cx: &Context<'_>) -> Vec<Input> {
    let all = steps(cx.profile).flat_map(|step| misfit::all(cx, step));
    all.map(|one| Input::one(Action::Publish(one))).collect()
}

/// Each command in each state that documented commands lead to.
pub fn states(profile: &Profile) -> Vec<Input> {
    let moves = |moves: Vec<states::Move>| moves.into_iter().map(|what| Action::Move { what }).collect();
    states::all(profile).into_iter().map(|all| Input { actions: moves(all) }).collect()
}

/// The steps that publish.
pub fn steps(profile: &Profile) -> impl Iterator<Item = &'static str> {
    let has = |step: &&str| profile.steps.contains_key(*step);
    ["publish", "publish-data"].into_iter().filter(has)
}

/// Every byte value, every pair of pieces, and text that looks like AT traffic.
fn texts(profile: &Profile) -> Vec<Vec<u8>> {
    let every: Vec<u8> = (0..=255).collect();
    let mut texts = vec![b"a".to_vec(), every.clone(), every.iter().rev().copied().collect()];
    texts.extend(every.chunks(32).map(|chunk| [b"g", chunk, b"z"].concat()));
    texts.extend(TOKENS.iter().map(|token| token.to_vec()));
    texts.extend(TOKENS.iter().map(|token| [b"g", *token, b"h", *token].concat()));
    for a in TOKENS {
        texts.push(TOKENS.iter().flat_map(|b| [b"g", a, *b].concat()).take(200).collect());
    }
    let commands = profile.steps.values().flat_map(|s| &s.exchanges).filter_map(|e| e.send.first());
    texts.extend(commands.map(|template| format!("x\r\n{}\r\n", template.name()).into_bytes()));
    texts
}
