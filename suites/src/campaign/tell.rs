//! What a module did where no document says what it has to do: told, and judged by nobody.

use std::collections::BTreeMap;

use atspec_model::{at::Outcome, case::Context, judge::View, text};

use super::{
    Came,
    action::Input,
    case::{Open, open},
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
    Some((format!("{what}: {}", in_words(outcome)), String::new()))
}

fn in_words(outcome: &Outcome) -> String {
    let shown = |line: &[u8]| text::shortened(line, 40);
    if let Some((line, _)) = &outcome.nothing {
        return format!("nothing to do, `{}`", shown(line));
    }
    if outcome.claimed() {
        return outcome.claim().map_or_else(String::new, |(line, _)| format!("success, `{}`", shown(line)));
    }
    match outcome.refusal.as_ref().or(outcome.failure.as_ref()) {
        Some((line, _)) => format!("refused, `{}`", shown(line)),
        None if outcome.answer.is_some() => "answered, without its result".to_owned(),
        None => "no answer".to_owned(),
    }
}
