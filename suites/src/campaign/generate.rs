//! Inputs drawn from a seed: the same seed gives the same inputs on the same module.

use std::fmt;

use atspec_model::{case::Context, profile::Profile, timeline::Bindings};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    action::{Action, Input, Publication, Reception},
    misfit,
    promise::{self, Promise},
    states::{self, MOVES},
    sweep::{self, TOKENS},
};
use crate::words::{letters, longest_payload};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Publications with hard payloads.
    Payloads,
    /// Publications with hard topics.
    Topics,
    /// Messages for the module.
    Messages,
    /// Command lines that are mutated by their grammar.
    Lines,
    /// Several things in any order.
    Sequences,
    /// Data that do not fit the length which is declared for them.
    Data,
    /// Commands in any order, in any state.
    States,
}

/// Draws one input after the other.
pub struct Generator<'p> {
    profile: &'p Profile,
    kind: Kind,
    runner: TestRunner,
    strategy: BoxedStrategy<Drawn>,
}

impl fmt::Debug for Generator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What an input is made of before it is made to fit the module.
#[derive(Debug, Clone)]
struct Drawn {
    texts: Vec<Vec<u8>>,
    choices: Vec<u16>,
}

impl<'p> Generator<'p> {
    /// A generator for a module.
    pub fn new(profile: &'p Profile, kind: Kind, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8] = kind as u8;
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
        let texts = vec(text(lengths(profile)), 1..6);
        let strategy =
            (texts, vec(any::<u16>(), 8)).prop_map(|(texts, choices)| Drawn { texts, choices }).boxed();
        Self { profile, kind, runner, strategy }
    }

    /// The next input.
    pub fn draw(&mut self) -> Option<Input> {
        for _ in 0..20 {
            let drawn = self.strategy.new_tree(&mut self.runner).ok()?.current();
            if let Some(input) = self.fit(&drawn) {
                return Some(input);
            }
        }
        None
    }

    fn fit(&self, drawn: &Drawn) -> Option<Input> {
        let bindings = Bindings { topic: "At/abcdefgh".to_owned(), ..Bindings::default() };
        let cx = Context { profile: self.profile, bindings: &bindings };
        let mut choices = drawn.choices.iter().copied().cycle();
        let mut choose = move |n: usize| usize::from(choices.next().unwrap_or(0)) % n.max(1);
        let mut texts = drawn.texts.iter();
        let mut action = |kind: Kind, text: &[u8]| match kind {
            Kind::Payloads => publication(&cx, text, None, &mut choose),
            Kind::Topics => publication(&cx, b"x", Some(text), &mut choose),
            Kind::Messages => message(&cx, text, &mut choose),
            Kind::Lines => line(&cx, text, &mut choose),
            Kind::Data => data(&cx, text, &mut choose),
            Kind::States => Some(Action::Move { what: MOVES[choose(MOVES.len())] }),
            Kind::Sequences => match choose(3) {
                0 => message(&cx, text, &mut choose),
                1 => publication(&cx, b"x", Some(text), &mut choose),
                _ => publication(&cx, text, None, &mut choose),
            },
        };
        if self.kind == Kind::States {
            // Mostly a way that leads somewhere, or nothing but refusals would be seen.
            let ways = states::all(self.profile);
            let way =
                ways.get(choose_way(drawn, ways.len()))?.iter().map(|what| Action::Move { what: *what });
            let more = drawn.choices.iter().take(5).filter_map(|_| action(Kind::States, b""));
            return Some(Input { actions: way.chain(more).collect() });
        }
        let several = matches!(self.kind, Kind::Sequences)
            || self.kind == Kind::Messages && drawn.choices[7].is_multiple_of(3);
        let mut actions: Vec<Action> = if several {
            texts.filter_map(|text| action(self.kind, text)).collect()
        } else {
            action(self.kind, texts.next()?).into_iter().collect()
        };
        // Of several in a row each has to be over before the next; but messages may come in a storm, whatever goes on.
        let storm = self.kind == Kind::Sequences && drawn.choices[6].is_multiple_of(2);
        for action in actions.iter_mut().filter(|_| several) {
            match action {
                Action::Publish(publication) => publication.qos = publication.qos.max(1),
                Action::Receive(message) => message.at_once = storm,
                _ => {}
            }
        }
        (!actions.is_empty()).then_some(Input { actions })
    }
}

fn choose_way(drawn: &Drawn, of: usize) -> usize {
    let seed = drawn.texts.iter().flatten().fold(0_usize, |sum, byte| sum * 31 % 65_521 + usize::from(*byte));
    seed % of.max(1)
}

/// Lengths around the module's limits, all of them together.
fn lengths(profile: &Profile) -> Vec<usize> {
    let bindings = Bindings::default();
    let cx = Context { profile, bindings: &bindings };
    let steps = sweep::steps(profile);
    let mut all: Vec<usize> = steps.flat_map(|step| sweep::lengths(longest_payload(&cx, step))).collect();
    all.extend(sweep::lengths(profile.behaviour.receive_max));
    all
}

/// Any text, weighted towards what is hard.
fn text(lengths: Vec<usize>) -> impl Strategy<Value = Vec<u8>> {
    let tokens = vec(select(TOKENS.to_vec()), 1..10).prop_map(|tokens| tokens.concat());
    let mixed =
        vec(prop_oneof![select(TOKENS.to_vec()).prop_map(<[u8]>::to_vec), vec(any::<u8>(), 1..8)], 1..10)
            .prop_map(|pieces| pieces.concat());
    let one_in_many =
        (select(lengths), any::<u8>(), any::<prop::sample::Index>()).prop_map(|(len, byte, at)| {
            let mut text = letters(len);
            if !text.is_empty() {
                let at = at.index(text.len());
                text[at] = byte;
            }
            text
        });
    prop_oneof![
        3 => tokens,
        3 => mixed,
        2 => one_in_many,
        2 => vec(any::<u8>(), 1..300),
        1 => vec(b'a'..=b'z', 1..40),
    ]
}

/// A publication with this payload, or this topic, as far as the module's document has them written.
fn publication(
    cx: &Context<'_>,
    payload: &[u8],
    topic: Option<&[u8]>,
    choose: &mut impl FnMut(usize) -> usize,
) -> Option<Action> {
    let steps: Vec<&str> = sweep::steps(cx.profile).collect();
    let step = *steps.get(choose(steps.len()))?;
    let topic = topic.map_or(b"t".to_vec(), |topic| {
        let mut topic = fitting(cx, step, "topic", topic);
        topic.truncate(1 + choose(60));
        topic
    });
    let payload = fitting(cx, step, "payload", payload);
    let cuts = if choose(12) == 0 { vec![1 + choose(20)] } else { Vec::new() };
    let one = Publication {
        by: step.to_owned(),
        topic: topic.as_slice().into(),
        qos: u8::try_from([1, 1, 0, 2][choose(4)]).unwrap_or(1),
        payload: payload.as_slice().into(),
        cuts,
        ..Publication::default()
    };
    sendable(cx, one).map(Action::Publish)
}

/// A publication of which the data are more, or fewer, than it declares.
fn data(cx: &Context<'_>, text: &[u8], choose: &mut impl FnMut(usize) -> usize) -> Option<Action> {
    let steps: Vec<&str> = sweep::steps(cx.profile).filter(|step| cx.profile.takes(step, "len")).collect();
    let step = *steps.get(choose(steps.len()))?;
    let max = longest_payload(cx, step).unwrap_or(1024);
    let most = [12, 300, max][choose(3)].min(max);
    let len = 1 + choose(most);
    let data = if choose(2) == 0 {
        letters(choose(len))
    } else {
        [letters(len), surplus(cx, text, choose)].concat()
    };
    let one = misfit::publication(step, len, &data);
    misfit::is_misfit(cx, &one).then_some(Action::Publish(one))
}

/// What comes behind data that are complete: never a command of which nobody knows what it does.
fn surplus(cx: &Context<'_>, text: &[u8], choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    match choose(4) {
        0 => misfit::as_command(cx),
        1 => b"\r\n".to_vec(),
        2 => [plain(text).as_slice(), cx.profile.serial.line_end.as_bytes()].concat(),
        _ => plain(text),
    }
}

/// A publication about which something is promised. Where it may be refused, it asks for an acknowledgement: without one, nobody
/// could tell when it is over.
pub(super) fn sendable(cx: &Context<'_>, mut one: Publication) -> Option<Publication> {
    let promise = promise::of_publication(cx, &one);
    if promise > Promise::Implied {
        one.qos = one.qos.max(1);
    }
    (promise < Promise::Unsaid).then_some(one)
}

/// A message for the module.
fn message(cx: &Context<'_>, payload: &[u8], choose: &mut impl FnMut(usize) -> usize) -> Option<Action> {
    if !cx.profile.steps.contains_key("subscribe") {
        return None;
    }
    let topic = letters(1 + choose(20));
    let promised = promise::of_received(cx.profile, payload) <= Promise::Implied;
    let payload = if promised { payload.to_vec() } else { plain(payload) };
    let sure = promise::of_received(cx.profile, &payload) <= Promise::Implied;
    let qos = u8::from(choose(2) == 1);
    sure.then(|| {
        Action::Receive(Reception {
            at_once: false,
            cached: false,
            topic: topic.as_slice().into(),
            qos,
            payload: payload.as_slice().into(),
        })
    })
}

/// The same as letters, of at least eight and at most 200.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut plain: Vec<u8> = text.iter().take(200).map(|byte| b'a' + byte % 26).collect();
    while plain.len() < 8 {
        plain.push(b'x');
    }
    plain
}

/// A command line of the module, mutated: an argument dropped, doubled, exchanged, quoted differently, too long, of another type,
/// or one more. No number becomes one that asks for an acknowledgement: what that would print is the matter of other cases.
fn line(cx: &Context<'_>, text: &[u8], choose: &mut impl FnMut(usize) -> usize) -> Option<Action> {
    let known = |step: &&str| cx.profile.steps.contains_key(*step);
    let steps: Vec<&str> = ["publish", "subscribe", "unsubscribe"].into_iter().filter(known).collect();
    let step = *steps.get(choose(steps.len()))?;
    let spoken = super::case::plain_op(step).exchanges(cx.profile).ok()?;
    let right = &spoken.last()?.line;
    let (head, rest) = right.split_at(right.iter().position(|b| *b == b'=')? + 1);
    let mut arguments: Vec<Vec<u8>> = rest.split(|b| *b == b',').map(<[u8]>::to_vec).collect();
    let at = choose(arguments.len());
    match choose(8) {
        0 => drop(arguments.remove(at)),
        1 => arguments.insert(at, arguments[at].clone()),
        2 => {
            let other = choose(arguments.len());
            arguments.swap(at, other);
        }
        3 => arguments[at] = [b"\"", arguments[at].as_slice(), b"\""].concat(),
        4 => arguments[at].retain(|b| *b != b'"'),
        5 => arguments[at] = letters(1 + choose(3000)),
        6 => {
            let sure = |b: &&u8| !matches!(b, b'\r' | b'\n' | b'\x1a' | b'\x1b') && !b.is_ascii_digit();
            arguments[at] = text.iter().filter(sure).take(60).copied().collect();
        }
        _ => arguments.push(b"0".to_vec()),
    }
    let mutated = [head, arguments.join(&b','.to_owned()).as_slice()].concat();
    (mutated != *right).then(|| Action::Line { step: step.to_owned(), line: mutated.as_slice().into() })
}

/// The text with a letter in place of every byte of which the document does not firmly say that it is kept.
pub(super) fn fitting(cx: &Context<'_>, step: &str, name: &str, text: &[u8]) -> Vec<u8> {
    let firm = |byte: u8| promise::of_byte(cx, step, name, byte) <= Promise::Implied;
    let mut text: Vec<u8> = text.iter().map(|byte| if firm(*byte) { *byte } else { b'x' }).collect();
    if name == "topic" {
        text.iter_mut()
            .filter(|b| !matches!(b, b'/' | b'.' | b'_' | b'-' | b':') && !b.is_ascii_alphanumeric())
            .for_each(|b| *b = b'y');
    }
    text
}
