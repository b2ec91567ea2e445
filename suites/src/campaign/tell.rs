//! What a module did where no document says what it has to do: told, and judged by nobody.

use std::collections::BTreeMap;

use atspec_model::{
    at::{Heard, Outcome},
    case::Context,
    judge::View,
    text,
};

use super::{
    Came,
    action::Input,
    case::{Open, open},
    finding::kind,
    misfit,
};

/// What was seen of each open question, how often, and an example.
#[derive(Debug, Clone, Default)]
pub struct Told {
    seen: BTreeMap<String, (usize, String)>,
}

impl Told {
    /// Takes in what an input came to.
    pub fn learn(&mut self, input: &Input, came: &Came<'_>) {
        let view = View::new(came.case, came.profile, came.timeline);
        let cx = Context { profile: came.profile, bindings: &came.timeline.header.bindings };
        for question in open(&cx, input) {
            let found = match &question {
                Open::Answer(step, what) => answer(&view, *step, what),
                Open::Misfit(step, one) => misfit::told(&view, *step, one),
            };
            if let Some((kind, example)) = found {
                self.seen.entry(kind).or_insert((0, example)).0 += 1;
            }
        }
    }

    /// One line for each kind of answer.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.seen.iter().map(|(kind, (times, example))| {
            let example = if example.is_empty() { String::new() } else { format!(" ({example})") };
            format!("told, not judged: {kind}{example}, {times} times")
        })
    }
}

fn answer(view: &View<'_>, step: usize, what: &str) -> Option<(String, String)> {
    let outcome = view.step(step)?.outcome()?;
    let (verdict, line) = in_words(outcome);
    // Identifiers make no other answer of it.
    Some((kind(&format!("{what}: {verdict}")), line))
}

/// What it came to, and the line that said so.
fn in_words(outcome: &Outcome) -> (&'static str, String) {
    let said = |heard: Option<&Heard>| {
        heard.map_or_else(String::new, |(line, _)| format!("`{}`", text::shortened(line, 40)))
    };
    let refused = outcome.refusal.as_ref().or(outcome.failure.as_ref());
    if outcome.nothing.is_some() {
        ("nothing to do", said(outcome.nothing.as_ref()))
    } else if outcome.claimed() {
        ("success", said(outcome.claim()))
    } else if refused.is_some() {
        ("refused", said(refused))
    } else if outcome.answer.is_some() {
        ("answered, without its result", said(outcome.answer.as_ref()))
    } else {
        ("no answer", String::new())
    }
}
