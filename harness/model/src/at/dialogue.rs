//! The dialogue of one command: which line answers it, which line means success, and when it is over.
//!
//! The driver and the judge run the same dialogue over the same items, so they cannot disagree.

use super::{Captures, Item, LineTemplate, Read};
use crate::profile::{Exchange, Lines};

/// What the dialogue waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The prompt, before data may be sent.
    Prompt,
    /// The final result code.
    Answer,
    /// The later line that alone means success.
    Result,
    /// Nothing any more.
    Settled,
}

/// A line that mattered, and the offset in the stream just behind it.
pub type Heard = (Vec<u8>, usize);

/// What a dialogue has come to so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The final result code of success.
    pub answer: Option<Heard>,
    /// The final result code of refusal.
    pub refusal: Option<Heard>,
    /// The later line that means success.
    pub result: Option<Heard>,
    /// A later line that means failure.
    pub failure: Option<Heard>,
    /// The prompt came; offset just behind it.
    pub prompted: Option<usize>,
    /// Information responses that matched the profile's templates.
    pub info: Vec<Captures>,
    /// The result line came before the final result code.
    pub result_first: bool,
    /// The final result code came before the prompt.
    pub answer_before_prompt: bool,
    /// Whether success needs a result line besides the final result code.
    pub needs_result: bool,
    /// Whether success needs a prompt.
    pub needs_prompt: bool,
}

impl Outcome {
    /// Whether the module claimed success: the final result code, and the result line and prompt where they are needed.
    pub fn succeeded(&self) -> bool {
        self.claimed() && self.answer.is_some() && (!self.needs_prompt || self.prompted.is_some())
    }

    /// Whether the module said what means success, prompt or not. This is what must never be said of something that failed.
    pub fn claimed(&self) -> bool {
        if self.failure.is_some() && self.result.is_none() {
            return false;
        }
        if self.needs_result { self.result.is_some() } else { self.answer.is_some() }
    }

    /// The line that claimed success.
    pub fn claim(&self) -> Option<&Heard> {
        if self.needs_result { self.result.as_ref() } else { self.answer.as_ref() }
    }

    /// Whether any final result code came.
    pub fn answered(&self) -> bool {
        self.answer.is_some() || self.refusal.is_some()
    }
}

/// The dialogue of one command.
#[derive(Debug, Clone)]
pub struct Dialogue<'p> {
    exchange: &'p Exchange,
    lines: &'p Lines,
    results: &'p [LineTemplate],
    data_sent: bool,
    outcome: Outcome,
}

impl<'p> Dialogue<'p> {
    /// Begins when the command has been sent. `qos` decides which result lines count; `None` where the value is outside
    /// MQTT's, then the final result code alone counts.
    pub fn new(exchange: &'p Exchange, lines: &'p Lines, qos: Option<u8>) -> Self {
        let results = match qos {
            Some(qos) => exchange.results(qos),
            None if exchange.result[0].is_empty() => &[],
            None => exchange.results(0),
        };
        let outcome = Outcome {
            needs_result: !results.is_empty(),
            needs_prompt: exchange.prompt.is_some(),
            ..Outcome::default()
        };
        Self { exchange, lines, results, data_sent: false, outcome }
    }

    /// The data after the prompt have been sent.
    pub fn data_sent(&mut self) {
        self.data_sent = true;
    }

    /// Whether the prompt came and the data have not been sent.
    pub fn wants_data(&self) -> bool {
        self.outcome.prompted.is_some() && !self.data_sent
    }

    /// What is waited for now.
    pub fn stage(&self) -> Stage {
        let o = &self.outcome;
        if o.refusal.is_some() || o.failure.is_some() {
            Stage::Settled
        } else if self.exchange.prompt.is_some() && o.prompted.is_none() {
            Stage::Prompt
        } else if o.answer.is_none() {
            Stage::Answer
        } else if !self.results.is_empty() && o.result.is_none() {
            Stage::Result
        } else {
            Stage::Settled
        }
    }

    /// What is waited for, for people: `OK`, `PUBACK`, `the prompt >`.
    pub fn awaited(&self) -> String {
        let either =
            |lines: &[LineTemplate]| lines.iter().map(LineTemplate::source).collect::<Vec<_>>().join(" or ");
        match self.stage() {
            Stage::Prompt => format!("the prompt {}", self.exchange.prompt.as_deref().unwrap_or(">")),
            Stage::Answer => either(&self.exchange.answer),
            Stage::Result => either(self.results),
            Stage::Settled => "nothing".to_owned(),
        }
    }

    /// The success lines that the module still owes; they may come after the limit has passed.
    pub fn owed(&self) -> Vec<String> {
        if self.stage() == Stage::Settled {
            return Vec::new();
        }
        let o = &self.outcome;
        let answer = self.exchange.answer.iter().filter(|_| o.answer.is_none());
        let result = self.results.iter().filter(|_| o.result.is_none());
        answer.chain(result).map(|t| t.source().to_owned()).collect()
    }

    /// The profile's information responses of which none came, if that is so.
    pub fn missing_info(&self) -> Option<String> {
        let missing = !self.exchange.info.is_empty() && self.outcome.info.is_empty();
        missing
            .then(|| self.exchange.info.iter().map(LineTemplate::source).collect::<Vec<_>>().join("` or `"))
    }

    /// What the dialogue has come to so far.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Takes an item. `true` where the item belongs to the dialogue.
    pub fn hear(&mut self, read: &Read) -> bool {
        match &read.item {
            Item::Prompt => {
                self.outcome.prompted.get_or_insert(read.end);
                true
            }
            Item::Line(line) => self.hear_line(line, read.end),
            _ => false,
        }
    }

    fn hear_line(&mut self, line: &[u8], end: usize) -> bool {
        let says = |templates: &[LineTemplate]| templates.iter().any(|t| t.read(line).is_some());
        let heard = || Some((line.to_vec(), end));
        let settled = self.stage() == Stage::Settled;
        let o = &mut self.outcome;
        if !settled && o.answer.is_none() && says(&self.exchange.answer) {
            o.answer = heard();
            o.answer_before_prompt = self.exchange.prompt.is_some() && !self.data_sent;
            return true;
        }
        if !settled && o.answer.is_none() && says(&self.lines.refused) {
            o.refusal = heard();
            return true;
        }
        if o.result.is_none() && o.refusal.is_none() && o.failure.is_none() && says(self.results) {
            o.result_first = o.answer.is_none();
            o.result = heard();
            return true;
        }
        if !settled && o.answer.is_some() && (says(&self.lines.failed) || says(&self.lines.refused)) {
            o.failure = heard();
            return true;
        }
        if let Some(found) = self.exchange.info.iter().find_map(|t| t.read(line)) {
            o.info.push(found);
            return true;
        }
        says(&self.exchange.bear)
    }
}
