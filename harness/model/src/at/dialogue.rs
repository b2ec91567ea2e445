//! The dialogue of one command: which line answers it, which line means success, and when it is over.
//!
//! The driver and the judge run the same dialogue over the same items, so they cannot disagree.

use std::collections::BTreeMap;

use super::{Captures, Item, LineTemplate, Read};
use crate::{
    case::Spoken,
    profile::{Exchange, Lines, Needs},
};

/// What the dialogue waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The prompt, before data may be sent.
    Prompt,
    /// The final result code.
    Answer,
    /// The later line that alone means success.
    Result,
    /// Enough has come; the document leaves open whether more follows.
    Lull,
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
    /// A line that means failure.
    pub failure: Option<Heard>,
    /// What was captured in that line.
    pub failure_values: BTreeMap<String, Vec<u8>>,
    /// The line that tells that there was nothing to do.
    pub nothing: Option<Heard>,
    /// The prompt came; offset just behind it.
    pub prompted: Option<usize>,
    /// Information responses that matched the profile's templates.
    pub info: Vec<Captures>,
    /// The result line came before the final result code.
    pub result_first: bool,
    /// The final result code came before the prompt.
    pub answer_before_prompt: bool,
    /// Which lines success needs.
    pub needs: Needs,
    /// Whether success needs a result line besides the final result code.
    pub needs_result: bool,
    /// Whether success needs a prompt.
    pub needs_prompt: bool,
}

impl Outcome {
    /// Whether the module claimed success, with every line and the prompt that it needs; also where it had nothing to do.
    pub fn succeeded(&self) -> bool {
        let told = self.claimed() || self.nothing.is_some();
        let answered = self.answer.is_some() || self.needs != Needs::Both || self.nothing.is_some();
        told && answered && (!self.needs_prompt || self.prompted.is_some())
    }

    /// Whether the module said what means success, prompt or not. This is what must never be said of something that failed.
    pub fn claimed(&self) -> bool {
        if (self.failure.is_some() && self.result.is_none()) || self.nothing.is_some() {
            return false;
        }
        self.claim().is_some()
    }

    /// The line that claimed success.
    pub fn claim(&self) -> Option<&Heard> {
        match (self.needs, self.needs_result) {
            (Needs::Any, _) => self.result.as_ref().or(self.answer.as_ref()),
            (_, true) => self.result.as_ref(),
            (_, false) => self.answer.as_ref(),
        }
    }

    /// Whether any final result code came, or what stands for it.
    pub fn answered(&self) -> bool {
        let optional = self.needs != Needs::Both && (self.result.is_some() || self.failure.is_some());
        self.answer.is_some() || self.refusal.is_some() || self.nothing.is_some() || optional
    }
}

/// A success line that a module still owes to a command, in any of its forms.
#[derive(Debug, Clone)]
pub struct Owed {
    forms: Vec<LineTemplate>,
    said: BTreeMap<String, Vec<u8>>,
}

impl Owed {
    /// A line of one of these forms, whichever command it is for.
    pub fn any<'f>(forms: impl IntoIterator<Item = &'f LineTemplate>) -> Self {
        Self { forms: forms.into_iter().cloned().collect(), said: BTreeMap::new() }
    }

    /// Whether this is the line.
    pub fn is(&self, line: &[u8]) -> bool {
        self.forms.iter().any(|form| form.answers(line, &self.said).is_some())
    }

    /// Whether it is owed to a command whose values are known.
    pub fn is_known(&self) -> bool {
        !self.said.is_empty()
    }
}

/// The dialogue of one command.
#[derive(Debug, Clone)]
pub struct Dialogue<'p> {
    exchange: &'p Exchange,
    lines: &'p Lines,
    results: &'p [LineTemplate],
    said: BTreeMap<String, Vec<u8>>,
    data_sent: bool,
    /// How many of [`Exchange::lines`] came.
    listed: usize,
    outcome: Outcome,
}

impl<'p> Dialogue<'p> {
    /// Begins when the command has been sent. `qos` decides which result lines count; `None` where the value is outside
    /// MQTT's, then the final result code alone counts.
    pub fn new(one: &Spoken<'p>, lines: &'p Lines, qos: Option<u8>) -> Self {
        let exchange = one.exchange;
        let results = match qos {
            Some(qos) => exchange.results(qos),
            None if exchange.result[0].is_empty() => &[],
            None => exchange.results(0),
        };
        let outcome = Outcome {
            needs: exchange.needs,
            needs_result: !results.is_empty(),
            needs_prompt: exchange.prompt.is_some(),
            ..Outcome::default()
        };
        Self { exchange, lines, results, said: one.said.clone(), data_sent: false, listed: 0, outcome }
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
        let told = o.result.is_some() || o.failure.is_some();
        if o.refusal.is_some() {
            Stage::Settled
        } else if self.exchange.prompt.is_some() && o.prompted.is_none() && !told {
            Stage::Prompt
        } else if o.nothing.is_some() && o.answer.is_none() && self.exchange.nothing_ends {
            Stage::Lull
        } else {
            self.stage_of_lines(told)
        }
    }

    /// The stage by the lines that success needs; `told` is that the result line came, or that of a failure.
    fn stage_of_lines(&self, told: bool) -> Stage {
        let o = &self.outcome;
        let answered = o.answer.is_some();
        match self.exchange.needs {
            Needs::Both if !answered => Stage::Answer,
            Needs::Any if !answered && !told => Stage::Answer,
            Needs::Any if !answered || (!told && !self.results.is_empty()) => Stage::Lull,
            Needs::Both | Needs::Result if o.nothing.is_none() && !told && !self.results.is_empty() => {
                Stage::Result
            }
            Needs::Result if !answered => Stage::Lull,
            _ => Stage::Settled,
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
            Stage::Lull | Stage::Settled => "nothing".to_owned(),
        }
    }

    /// The success lines that the module still owes, or may still bring; they may come after the limit has passed.
    pub fn owed(&self) -> Vec<Owed> {
        let o = &self.outcome;
        let optional = self.exchange.needs != Needs::Both && o.refusal.is_none();
        if self.stage() == Stage::Settled && !optional {
            return Vec::new();
        }
        let answer = o.answer.is_none().then_some(self.exchange.answer.as_slice());
        let result = o.result.is_none().then_some(self.results);
        let lines = answer.into_iter().chain(result).filter(|forms| !forms.is_empty());
        lines.map(|forms| self.owing(forms)).collect()
    }

    /// The final result codes of success.
    pub fn answers(&self) -> Vec<Owed> {
        vec![self.owing(&self.exchange.answer)]
    }

    fn owing(&self, forms: &[LineTemplate]) -> Owed {
        Owed { forms: forms.to_vec(), said: self.said.clone() }
    }

    /// Whether neither a final result code nor a documented result line is still to come.
    pub fn is_over(&self) -> bool {
        let o = &self.outcome;
        let told = o.result.is_some() || o.nothing.is_some() || self.results.is_empty();
        o.refusal.is_some() || o.failure.is_some() || (o.answered() && told)
    }

    /// The profile's information responses that did not come, if that is so.
    pub fn missing_info(&self) -> Option<String> {
        let join = |lines: &[LineTemplate]| {
            lines.iter().map(LineTemplate::source).collect::<Vec<_>>().join("` or `")
        };
        match self.exchange.lines.get(self.listed) {
            Some(next) => Some(next.source().to_owned()),
            None if self.exchange.info.is_empty() || !self.outcome.info.is_empty() => None,
            None => Some(join(&self.exchange.info)),
        }
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
        let says = |templates: &[LineTemplate]| templates.iter().find_map(|t| t.answers(line, &self.said));
        let heard = || Some((line.to_vec(), end));
        let settled = matches!(self.stage(), Stage::Settled);
        let o = &mut self.outcome;
        if !settled && o.answer.is_none() && says(&self.exchange.answer).is_some() {
            o.answer = heard();
            o.answer_before_prompt = self.exchange.prompt.is_some() && !self.data_sent;
            return true;
        }
        let refuses = says(&self.lines.refused).or_else(|| says(&self.exchange.refused)).is_some();
        if !settled && o.answer.is_none() && refuses {
            o.refusal = heard();
            return true;
        }
        let open = o.result.is_none() && o.refusal.is_none() && o.failure.is_none();
        if open && says(self.results).is_some() {
            o.result_first = o.answer.is_none();
            o.result = heard();
            return true;
        }
        let failure = says(&self.exchange.failure)
            .or_else(|| says(&self.lines.failed).filter(|_| o.answer.is_some()))
            .filter(|_| open && !settled);
        if let Some(found) = failure {
            o.failure_values = found.values;
            o.failure = heard();
            return true;
        }
        if !settled && o.answer.is_some() && refuses {
            o.failure = heard();
            return true;
        }
        // V.250, 5.4.3: information comes before the final result code.
        let informs = o.answer.is_none();
        if o.nothing.is_none()
            && (informs || self.exchange.nothing_ends)
            && says(&self.exchange.nothing).is_some()
        {
            o.nothing = heard();
            return true;
        }
        if informs && self.exchange.lines.get(self.listed).and_then(|t| t.answers(line, &self.said)).is_some()
        {
            self.listed += 1;
            return true;
        }
        if let Some(found) = says(&self.exchange.info).filter(|_| informs) {
            o.info.push(found);
            return true;
        }
        says(&self.exchange.bear).is_some()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{at::CommandTemplate, profile::First};

    fn lines(templates: &[&str]) -> Vec<LineTemplate> {
        templates.iter().map(|t| LineTemplate::parse(t).unwrap()).collect()
    }

    /// A command with a result line, as most vendors have it.
    fn exchange() -> Exchange {
        let result = lines(&["+X: SUCCESS"]);
        Exchange {
            send: vec![CommandTemplate::parse("AT+X={id}").unwrap()],
            one_spelling: false,
            when: None,
            with: BTreeMap::new(),
            prompt: None,
            prompt_after_answer: false,
            data: None,
            data_end: String::new(),
            patience: None,
            info: Vec::new(),
            lines: Vec::new(),
            answer: lines(&["OK"]),
            refused: Vec::new(),
            result: [result.clone(), result.clone(), result],
            failure: lines(&["+X: FAILURE,{type:n}"]),
            first: First::Answer,
            needs: Needs::Both,
            certain: [true; 3],
            nothing: lines(&["ALREADY"]),
            nothing_ends: true,
            bear: Vec::new(),
            known: crate::profile::Known::Full,
            within: None,
            cites: Vec::new(),
        }
    }

    fn hear(exchange: &Exchange, said: &[&str]) -> (Outcome, Stage) {
        let common = Lines { refused: lines(&["ERROR"]), ..Lines::default() };
        let spoken = Spoken {
            exchange,
            line: Vec::new(),
            data: None,
            starved: false,
            said: BTreeMap::from([("id".to_owned(), b"7".to_vec())]),
        };
        let mut dialogue = Dialogue::new(&spoken, &common, Some(0));
        for (end, line) in said.iter().enumerate() {
            dialogue.hear(&Read { item: Item::Line(line.as_bytes().to_vec()), end });
        }
        (dialogue.outcome().clone(), dialogue.stage())
    }

    #[rstest]
    #[case(&["OK", "+X: SUCCESS"], true, Stage::Settled)]
    #[case(&["+X: SUCCESS", "OK"], true, Stage::Settled)]
    #[case(&["OK"], false, Stage::Result)]
    #[case(&["+X: SUCCESS"], false, Stage::Answer)]
    #[case(&["OK", "+X: FAILURE,2"], false, Stage::Settled)]
    #[case(&["+X: FAILURE,2"], false, Stage::Answer)]
    #[case(&["+X: FAILURE,2", "OK"], false, Stage::Settled)]
    #[case(&["+X: FAILURE,2", "ERROR"], false, Stage::Settled)]
    #[case(&["ALREADY"], true, Stage::Lull)]
    #[case(&["ALREADY", "OK"], true, Stage::Settled)]
    fn both_lines_are_needed(#[case] said: &[&str], #[case] succeeds: bool, #[case] stage: Stage) {
        let (outcome, at) = hear(&exchange(), said);
        assert_eq!((outcome.succeeded(), at), (succeeds, stage));
        let failure = said.iter().any(|line| line.contains("FAILURE"));
        assert_eq!(outcome.failure_values.contains_key("type"), failure);
    }

    #[rstest]
    #[case(Needs::Result, &["+X: SUCCESS"], true, Stage::Lull)]
    #[case(Needs::Result, &["+X: SUCCESS", "OK"], true, Stage::Settled)]
    #[case(Needs::Result, &["OK"], false, Stage::Result)]
    #[case(Needs::Any, &["OK"], true, Stage::Lull)]
    #[case(Needs::Any, &["+X: SUCCESS"], true, Stage::Lull)]
    #[case(Needs::Any, &["+X: SUCCESS", "OK"], true, Stage::Settled)]
    #[case(Needs::Any, &[], false, Stage::Answer)]
    fn fewer_lines_may_be_needed(
        #[case] needs: Needs,
        #[case] said: &[&str],
        #[case] succeeds: bool,
        #[case] stage: Stage,
    ) {
        let (outcome, at) = hear(&Exchange { needs, ..exchange() }, said);
        assert_eq!((outcome.succeeded(), at), (succeeds, stage));
    }

    #[test]
    fn a_result_line_belongs_to_the_command_that_said_its_values() {
        let result = lines(&["+X: {id},0"]);
        let exchange = Exchange { result: [result.clone(), result.clone(), result], ..exchange() };
        assert!(hear(&exchange, &["OK", "+X: 7,0"]).0.succeeded());
        assert!(!hear(&exchange, &["OK", "+X: 8,0"]).0.succeeded());
    }

    #[test]
    fn information_comes_before_the_final_result_code() {
        let exchange = Exchange {
            info: lines(&["+X: {state}"]),
            nothing_ends: false,
            result: Default::default(),
            ..exchange()
        };
        assert_eq!(hear(&exchange, &["+X: 1", "OK"]).0.info.len(), 1);
        assert_eq!(hear(&exchange, &["OK", "+X: 1"]).0.info.len(), 0);
        assert!(hear(&exchange, &["ALREADY", "OK"]).0.nothing.is_some());
        assert!(hear(&exchange, &["OK", "ALREADY"]).0.nothing.is_none());
    }

    #[test]
    fn listed_lines_come_all_and_in_order() {
        let exchange = Exchange { lines: lines(&["one", "two"]), result: Default::default(), ..exchange() };
        let missing = |said: &[&str]| {
            let common = Lines::default();
            let spoken = Spoken {
                exchange: &exchange,
                line: Vec::new(),
                data: None,
                starved: false,
                said: BTreeMap::new(),
            };
            let mut dialogue = Dialogue::new(&spoken, &common, Some(0));
            for line in said {
                dialogue.hear(&Read { item: Item::Line(line.as_bytes().to_vec()), end: 0 });
            }
            dialogue.missing_info()
        };
        assert_eq!(missing(&["one", "two", "OK"]), None);
        assert_eq!(missing(&["two", "one", "OK"]), Some("two".to_owned()));
    }

    #[test]
    fn what_is_owed_is_known_with_or_without_what_may_stand_in_it() {
        let forms = lines(&["+PUB:{id},0", "+PUB:{id},0,{value:n}"]);
        let said = BTreeMap::from([("id".to_owned(), b"4".to_vec())]);
        let owed = Owed { forms: forms.clone(), said };
        let is = |line: &str| owed.is(line.as_bytes());
        assert!(is("+PUB:4,0") && is("+PUB: 4,0") && is("+PUB:4,0,0"));
        assert!(!is("+PUB:5,0") && !is("+PUB:4,1") && !is("+PUB:4,0,x"));
        assert!(Owed::any(&forms).is(b"+PUB:5,0"));
    }
}
