//! One vendor's module as data: how it is spoken to, and what its document promises.
//!
//! A profile is one TOML file. [`Profile::load`] reads it and reports every mistake with its place and a remedy.

pub mod format;
mod load;
mod read;
mod render;
mod syntax;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

pub use render::render;

use crate::at::{CommandTemplate, LineTemplate};

/// A checked profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Name on the command line and in reports: `air780e`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Where its clauses come from: the document's name.
    pub document: String,
    /// Serial settings.
    pub serial: Serial,
    /// Waiting times of the document, in ms.
    pub time: Times,
    /// Command lines sent once when the port is taken; a refusal is borne.
    pub bring_up: Vec<String>,
    /// Lines that mean the same after every command.
    pub lines: Lines,
    /// How received messages are printed.
    pub message: Messages,
    /// How bytes are written inside a quoted argument.
    pub escapes: Escapes,
    /// Steps by vendor-free name, each a list of exchanges.
    pub steps: BTreeMap<String, StepProfile>,
    /// Ranges and lengths of arguments, by `argument` or `step.argument`.
    pub arguments: BTreeMap<String, Argument>,
    /// What the document promises of the module's behaviour.
    pub behaviour: Behaviour,
    /// Clauses that a case checks on this module, by case id; those of the steps it drives are added by themselves.
    pub cites: BTreeMap<String, Vec<String>>,
    /// Contradictions of the document, and how they were decided.
    pub decisions: Vec<Decision>,
    /// The file's text, for copies beside a run's timelines.
    pub source: String,
}

/// Serial settings; a line is always 8N1, raw, without flow control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// Baud.
    pub baud: u32,
    /// What ends a command line.
    pub line_end: String,
}

/// Waiting times in ms; each is multiplied by the clock factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From a command line to its final result code.
    pub answer: u64,
    /// From the final result code to a later result line.
    pub result: u64,
    /// How long a packet is kept back to see that the module says nothing meanwhile.
    pub hold: u64,
    /// How long nothing must come where silence is the answer.
    pub quiet: u64,
    /// How long a withheld acknowledgement is waited out to see that success is not claimed without it.
    pub withhold: u64,
}

/// Lines that mean the same after every command.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// Final result codes of refusal.
    pub refused: Vec<LineTemplate>,
    /// Lines that tell a failure after the final result code, or a lost connection.
    pub failed: Vec<LineTemplate>,
    /// Lines printed when the module starts.
    pub boot: Vec<String>,
}

/// How received messages are printed.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    /// A message printed as it comes. The first form is the document's own.
    pub direct: Vec<LineTemplate>,
    /// A message taken out of the module's cache.
    pub cached: Vec<LineTemplate>,
    /// The announcement of a cached message.
    pub announced: Vec<LineTemplate>,
    /// Clauses of the direct form.
    pub cites: Vec<String>,
    /// All framed forms, direct first, for the reader.
    pub framed: Vec<LineTemplate>,
}

/// How bytes are written inside an argument that takes escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Escapes {
    /// Byte and what is written for it.
    pub table: Vec<(u8, Vec<u8>)>,
    /// Clauses.
    pub cites: Vec<String>,
}

/// A vendor-free step in the vendor's commands.
#[derive(Debug, Clone)]
pub struct StepProfile {
    /// The exchanges, in order.
    pub exchanges: Vec<Exchange>,
}

/// How much of a command the document itself describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known {
    /// Command and dialogue: every deviation is a failure.
    #[default]
    Full,
    /// The command is named, its dialogue is not: a missing line is inconclusive, a refusal a failure.
    Name,
    /// Not in the document, a form of the family: anything else is inconclusive.
    Family,
}

/// One command and what may be printed because of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Documented spellings of the command line; the first is used unless a case asks for another.
    pub send: Vec<CommandTemplate>,
    /// Prompt before data.
    pub prompt: Option<String>,
    /// Name of the argument that is sent as data after the prompt.
    pub data: Option<String>,
    /// Information responses before the final result code.
    pub info: Vec<LineTemplate>,
    /// Final result codes of success, mostly `OK`.
    pub answer: Vec<LineTemplate>,
    /// The later line that alone means success, by QoS (all three alike where QoS does not matter).
    pub result: [Vec<LineTemplate>; 3],
    /// Lines that may come besides.
    pub bear: Vec<LineTemplate>,
    /// How much of it the document describes.
    pub known: Known,
    /// Waiting time for the result line in ms, where it differs from [`Times::result`].
    pub within: Option<u64>,
    /// Clauses.
    pub cites: Vec<String>,
}

/// What the document says of an argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Argument {
    /// Whole numbers from and to.
    pub range: Option<(i64, i64)>,
    /// Shortest and longest text, in bytes.
    pub length: Option<(usize, usize)>,
    /// Whether the escapes of the profile are written and read in it.
    pub escaped: bool,
    /// Clauses.
    pub cites: Vec<String>,
}

/// What the document promises of the module's behaviour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Messages the cache holds.
    pub cache: Option<usize>,
    /// Longest payload printed, in bytes.
    pub receive_max: Option<usize>,
    /// Whether there is only one connection at a time.
    pub single_connection: bool,
}

/// A contradiction of the document and what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `X43`.
    pub id: String,
    /// The decision and its reason.
    pub text: String,
}

/// A mistake in a profile, with its place and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// `12:5: unknown key `pronpt` …`, and the remedy on a line of its own.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    remedy: {}", self.line, self.column, self.what, self.remedy)
    }
}

impl Profile {
    /// Reads a profile; `Err` holds every mistake, in order of place.
    pub fn load(source: &str) -> Result<Self, Vec<Mistake>> {
        load::load(source)
    }

    /// The exchanges of a step, or why there are none: `air780e has no step `unsubscribe``.
    pub fn step(&self, name: &str) -> Result<&StepProfile, String> {
        self.steps.get(name).ok_or_else(|| format!("{} has no `{name}`", self.name))
    }

    /// What the document says of a step's argument.
    pub fn argument(&self, step: &str, name: &str) -> Option<&Argument> {
        self.arguments.get(&format!("{step}.{name}")).or_else(|| self.arguments.get(name))
    }

    /// `value` as it is written in the step's argument: escaped where the argument takes escapes.
    pub fn written(&self, step: &str, name: &str, value: &[u8]) -> Vec<u8> {
        if self.argument(step, name).is_some_and(|a| a.escaped) {
            self.escapes.write(value)
        } else {
            value.to_vec()
        }
    }
}

impl Escapes {
    /// Writes the bytes that need it as escapes.
    pub fn write(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match self.table.iter().find(|(raw, _)| raw == byte) {
                Some((_, written)) => out.extend_from_slice(written),
                None => out.push(*byte),
            }
        }
        out
    }

    /// Reads escapes back; anything else stays as it is.
    pub fn read(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            match self.table.iter().find(|(_, written)| rest.starts_with(written)) {
                Some((raw, written)) if !written.is_empty() => {
                    out.push(*raw);
                    rest = &rest[written.len()..];
                }
                _ => {
                    out.push(*first);
                    rest = tail;
                }
            }
        }
        out
    }
}

impl Exchange {
    /// The later lines that mean success at this QoS; none where the final result code alone does.
    pub fn results(&self, qos: u8) -> &[LineTemplate] {
        &self.result[usize::from(qos.min(2))]
    }
}
