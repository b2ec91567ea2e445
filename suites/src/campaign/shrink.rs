//! The smallest input that still fails, in few sendings, since each one costs line time.
//!
//! Things done are left out one by one; of each text it is asked first whether it matters at all, then whether only its length
//! does (which is bisected), and else its bytes are halved and halved again (delta debugging, Zeller and Hildebrandt 2002): one
//! bad byte among 4100 takes some 25 sendings, where a shrinker that takes off one at a time needs thousands.

use super::action::{Action, Input, Publication};
use crate::words::letters;

/// How many sendings a shrinking may cost.
pub const BUDGET: usize = 60;

/// A shrinking under way.
#[derive(Debug)]
pub struct Shrinker {
    /// The smallest input that is known to fail.
    best: Input,
    /// What was tried last.
    tried: Option<Input>,
    stage: Stage,
    used: usize,
    budget: usize,
    began_with: usize,
    /// Something became smaller since the texts were gone through: what one needs may depend on the others.
    changed: bool,
}

/// What is being made smaller.
#[derive(Debug)]
enum Stage {
    /// Is it needed that the writing pauses?
    Pauses,
    /// This action is left out.
    Actions(usize),
    /// The declared length of this action, between one that passes and one that fails.
    Declared(usize, i64, i64),
    /// This text is one letter.
    Trivial(usize),
    /// This text is letters of the same length.
    Letters(usize),
    /// This text is letters, of a length between one that passes and one that fails.
    Length(usize, usize, usize),
    /// This text without one of so many pieces.
    Pieces {
        text: usize,
        pieces: usize,
        without: usize,
    },
    Done,
}

impl Shrinker {
    /// Makes an input smaller that was seen to fail.
    pub fn new(failing: Input) -> Self {
        let began_with = failing.actions.len();
        let stage = Stage::Pauses;
        Self { best: failing, tried: None, stage, used: 0, budget: BUDGET, began_with, changed: false }
    }

    /// The smallest input that is known to fail.
    pub fn best(&self) -> &Input {
        &self.best
    }

    /// Nothing smaller is looked for any more.
    pub fn stop(&mut self) {
        self.stage = Stage::Done;
    }

    /// How many things the input did that it began with.
    pub fn began_with(&self) -> usize {
        self.began_with
    }

    /// How many sendings it took.
    pub fn used(&self) -> usize {
        self.used
    }

    /// The next smaller input to try; `None` where nothing smaller is left, or too much was sent already.
    pub fn smaller(&mut self) -> Option<Input> {
        loop {
            if self.used >= self.budget || matches!(self.stage, Stage::Done) {
                return None;
            }
            if let Some(candidate) = self.candidate().filter(|candidate| *candidate != self.best) {
                self.used += 1;
                self.tried = Some(candidate.clone());
                return Some(candidate);
            }
            self.skip();
        }
    }

    /// Whether the last one failed as well.
    pub fn learn(&mut self, failed: bool) {
        let Some(tried) = self.tried.take() else { return };
        if failed {
            self.best = tried;
            self.changed |= self.best.actions.len() > 1;
        }
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Pauses => self.actions(0),
            Stage::Actions(at) if failed => self.actions(at),
            Stage::Actions(at) => self.actions(at + 1),
            Stage::Declared(at, passes, fails) => {
                let middle = passes + (fails - passes) / 2;
                let (passes, fails) = if failed { (passes, middle) } else { (middle, fails) };
                if fails - passes > 1 { Stage::Declared(at, passes, fails) } else { Stage::Trivial(0) }
            }
            Stage::Trivial(text) if failed => self.text(text + 1),
            Stage::Trivial(text) => Stage::Letters(text),
            Stage::Letters(text) if failed => {
                let len = self.len(text);
                self.length(text, 1, len)
            }
            Stage::Letters(text) => self.pieces(text, 2, 0),
            Stage::Length(text, passes, fails) => {
                let middle = passes + (fails - passes) / 2;
                if failed { self.length(text, passes, middle) } else { self.length(text, middle, fails) }
            }
            // What is left is cut anew, as coarsely as may be.
            Stage::Pieces { text, pieces, without } if failed => {
                self.pieces(text, (pieces - 1).max(2), without.min(pieces.saturating_sub(2)))
            }
            Stage::Pieces { text, pieces, without } => self.pieces(text, pieces, without + 1),
            Stage::Done => Stage::Done,
        };
    }

    /// The next stage where this one has nothing to try.
    fn skip(&mut self) {
        self.stage = match self.stage {
            Stage::Pauses => self.actions(0),
            Stage::Actions(at) => self.actions(at + 1),
            Stage::Declared(..) => Stage::Trivial(0),
            Stage::Trivial(text) => Stage::Letters(text),
            // It is letters already, or one byte: then its length is all it has.
            Stage::Letters(text) => {
                let len = self.len(text);
                self.length(text, 1, len)
            }
            Stage::Length(text, ..) => self.text(text + 1),
            Stage::Pieces { text, pieces, without } => self.pieces(text, pieces, without + 1),
            Stage::Done => Stage::Done,
        };
    }

    fn actions(&self, at: usize) -> Stage {
        if at < self.best.actions.len() && self.best.actions.len() > 1 {
            return Stage::Actions(at);
        }
        let declared = |action: &Action| match action {
            Action::Publish(Publication { declared, .. }) => *declared,
            _ => None,
        };
        match self.best.actions.iter().position(|action| declared(action).is_some()) {
            Some(at) => Stage::Declared(at, 0, self.best.actions.get(at).and_then(declared).unwrap_or(1)),
            None => Stage::Trivial(0),
        }
    }

    fn text(&mut self, text: usize) -> Stage {
        if text < self.best.clone().texts().len() {
            Stage::Trivial(text)
        } else if std::mem::take(&mut self.changed) {
            Stage::Trivial(0)
        } else {
            Stage::Done
        }
    }

    fn length(&mut self, text: usize, passes: usize, fails: usize) -> Stage {
        if fails.saturating_sub(passes) > 1 {
            Stage::Length(text, passes, fails)
        } else {
            self.text(text + 1)
        }
    }

    fn pieces(&mut self, text: usize, pieces: usize, without: usize) -> Stage {
        let len = self.len(text);
        if len < 2 {
            return self.text(text + 1);
        }
        let pieces = pieces.min(len);
        if without < pieces {
            return Stage::Pieces { text, pieces, without };
        }
        if pieces < len {
            Stage::Pieces { text, pieces: (pieces * 2).min(len), without: 0 }
        } else {
            self.text(text + 1)
        }
    }

    fn len(&self, text: usize) -> usize {
        self.best.clone().texts().get(text).map_or(0, |bytes| bytes.len())
    }

    fn candidate(&self) -> Option<Input> {
        let mut input = self.best.clone();
        match self.stage {
            Stage::Pauses => {
                for action in &mut input.actions {
                    if let Action::Publish(publication) = action {
                        publication.cuts.clear();
                    }
                }
            }
            Stage::Actions(at) => {
                input.actions.remove(at);
            }
            Stage::Declared(at, passes, fails) => declare(&mut input, at, passes + (fails - passes) / 2)?,
            Stage::Trivial(text) => replace(&mut input, text, |_| b"a".to_vec())?,
            Stage::Letters(text) => replace(&mut input, text, |old| letters(old.len()))?,
            Stage::Length(text, passes, fails) => {
                replace(&mut input, text, |_| letters(passes + (fails - passes) / 2))?;
            }
            Stage::Pieces { text, pieces, without } => {
                replace(&mut input, text, |old| leave_out(old, pieces, without))?;
            }
            Stage::Done => return None,
        }
        Some(input)
    }
}

/// Another declared length, with so many bytes less of the payload.
fn declare(input: &mut Input, at: usize, len: i64) -> Option<()> {
    let Some(Action::Publish(publication)) = input.actions.get_mut(at) else { return None };
    let less = usize::try_from(publication.declared? - len).unwrap_or(0);
    publication.declared = Some(len);
    let left = publication.payload.0.len().saturating_sub(less).max(1);
    publication.payload.0.truncate(left);
    Some(())
}

fn replace(input: &mut Input, text: usize, new: impl Fn(&[u8]) -> Vec<u8>) -> Option<()> {
    let mut texts = input.texts();
    let bytes = texts.get_mut(text).filter(|bytes| !bytes.is_empty())?;
    **bytes = new(bytes);
    Some(())
}

/// The bytes without one of so many pieces of about the same length.
fn leave_out(bytes: &[u8], pieces: usize, without: usize) -> Vec<u8> {
    let edge = |n: usize| bytes.len() * n / pieces.max(1);
    let (from, to) = (edge(without).min(bytes.len()), edge(without + 1).min(bytes.len()));
    [&bytes[..from], &bytes[to..]].concat()
}
