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

/// In place of a step's name: every step that has none of its own.
pub const EVERY_STEP: &str = "";

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
    /// Command lines sent after each case that connects, beside its steps `disconnect` and `close`; any answer is borne.
    pub clear: Vec<String>,
    /// Lines that mean the same after every command.
    pub lines: Lines,
    /// How received messages are printed.
    pub message: Messages,
    /// How bytes are written inside a quoted argument.
    pub escapes: Escapes,
    /// Steps by vendor-free name, each a list of exchanges.
    pub steps: BTreeMap<String, StepProfile>,
    /// Ranges and lengths of arguments: by the argument's name, then by step; [`EVERY_STEP`] where it is the same in each.
    pub arguments: BTreeMap<String, BTreeMap<String, Argument>>,
    /// What the document promises of the module's behaviour.
    pub behaviour: Behaviour,
    /// Values of `{state}` in the answer to `status`.
    pub states: States,
    /// Numbers of `{type}` in a failure line, by the reason that they stand for.
    pub codes: BTreeMap<Reason, Vec<i64>>,
    /// Clauses that a case checks on this module, by case id; those of the steps it drives are added by themselves.
    pub cites: BTreeMap<String, Vec<String>>,
    /// Cases that only warn on this module, since its document only implies what they ask.
    pub implied: Vec<String>,
    /// Contradictions of the document, and how they were decided.
    pub decisions: Vec<Decision>,
    /// Contradictions of the document of which each form is accepted; a run tells which one the module uses.
    pub alternatives: Vec<Alternative>,
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
    /// What the document prints for a lost connection; one of them has to come. Nothing where it prints nothing.
    pub lost: Vec<LineTemplate>,
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
    /// What is printed for an empty place of the cache.
    pub empty: Vec<LineTemplate>,
    /// The document gives no form: whatever is printed with topic and payload in it is the message.
    pub any: bool,
    /// Clauses of the direct form.
    pub cites: Vec<String>,
    /// All framed forms, direct first, for the reader.
    pub framed: Vec<LineTemplate>,
    /// Longest payload that is printed, where the document has longer ones cut: the declared length may be that of the whole.
    pub cut: Option<usize>,
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

/// Which of final result code and result line comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum First {
    /// The final result code.
    #[default]
    Answer,
    /// The result line.
    Result,
    /// The document has both orders.
    Either,
}

/// Which of final result code and result line success needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Needs {
    /// The final result code, and the result line where there is one.
    #[default]
    Both,
    /// The result line; the document does not mention the final result code.
    Result,
    /// Either of them; the document mentions neither.
    Any,
}

/// Why a command fails, in vendor-free words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// An argument is wrong.
    Parameter,
    /// The server cannot be reached.
    Unreachable,
    /// CONNACK refuses, or does not come.
    Refused,
    /// The old connection still stands.
    Busy,
    /// The TLS handshake fails.
    Tls,
    /// The connection was lost.
    Lost,
}

/// Values of `{state}` in the answer to `status`; none where the document has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States {
    /// No connection.
    pub closed: Vec<String>,
    /// TCP without MQTT.
    pub open: Vec<String>,
    /// MQTT.
    pub connected: Vec<String>,
}

/// One command and what may be printed because of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Documented spellings of the command line; the first is used unless a case asks for another.
    pub send: Vec<CommandTemplate>,
    /// Whether a module need take only one of the spellings.
    pub one_spelling: bool,
    /// Only done where this argument is given.
    pub when: Option<String>,
    /// Values of arguments that the case does not give.
    pub with: BTreeMap<String, String>,
    /// Prompt before data.
    pub prompt: Option<String>,
    /// Whether the final result code comes before the prompt.
    pub prompt_after_answer: bool,
    /// Name of the argument that is sent as data after the prompt.
    pub data: Option<String>,
    /// What is sent behind the data.
    pub data_end: String,
    /// How long the command waits for its data before it gives up by itself, in ms.
    pub patience: Option<u64>,
    /// Information responses before the final result code: one of them has to come.
    pub info: Vec<LineTemplate>,
    /// Information responses that all have to come, in this order.
    pub lines: Vec<LineTemplate>,
    /// Final result codes of success, mostly `OK`.
    pub answer: Vec<LineTemplate>,
    /// Final result codes of refusal that only this command has.
    pub refused: Vec<LineTemplate>,
    /// The later line that alone means success, by QoS (all three alike where QoS does not matter).
    pub result: [Vec<LineTemplate>; 3],
    /// Lines that mean failure, before or after the final result code.
    pub failure: Vec<LineTemplate>,
    /// Which of final result code and result line comes first.
    pub first: First,
    /// Which of them success needs.
    pub needs: Needs,
    /// Whether success is told only when it is certain, after the broker's acknowledgement, by QoS.
    pub certain: [bool; 3],
    /// What is printed where there is nothing to do: subscribed already, or not at all.
    pub nothing: Vec<LineTemplate>,
    /// Whether that line may end the dialogue without a final result code.
    pub nothing_ends: bool,
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
    /// What is sent where a case gives no value.
    pub default: Option<String>,
    /// Bytes of which the document does not say how they are written in it, besides those that end an argument.
    pub without: Vec<u8>,
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
    /// Longest topic of a received message that the document promises to print, in bytes.
    pub receive_topic_max: Option<usize>,
    /// Whether the module may speak MQTT 3.1 as well.
    pub mqtt31: bool,
    /// Whether there is only one connection at a time.
    pub single_connection: bool,
    /// Whether the document has a reply for commands of a wrong form: a wrong number of arguments is refused then, and never in
    /// silence. Where it has none, either is only likely.
    pub format_errors: bool,
    /// Longest command line with its end, in bytes.
    pub command_max: Option<usize>,
    /// Seconds after which the module closes a TCP connection on which no CONNECT was commanded.
    pub connect_within: Option<u32>,
    /// What a keep alive of 0 becomes, in seconds.
    pub keepalive_zero: Option<u16>,
}

/// A contradiction of the document and what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `X43`.
    pub id: String,
    /// The decision and its reason.
    pub text: String,
}

/// A contradiction of the document of which each form is accepted.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// `X35`.
    pub id: String,
    /// What it is about.
    pub text: String,
    /// Name of each form, and the pattern by which it is known in the trace of a case ([`crate::judge::trace`]).
    pub forms: Vec<(String, regex::bytes::Regex)>,
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
        let of = self.arguments.get(name)?;
        of.get(step).or_else(|| of.get(EVERY_STEP))
    }

    /// `value` as it is written in the step's argument: escaped where the argument takes escapes. `Err` says which byte the
    /// document does not say how to write.
    pub fn written(&self, step: &str, name: &str, quoted: bool, value: &[u8]) -> Result<Vec<u8>, String> {
        let argument = self.argument(step, name);
        if argument.is_some_and(|a| a.escaped) {
            return Ok(self.escapes.write(value));
        }
        let without = argument.map_or(&[][..], |a| &a.without);
        let unsaid = |byte: &&u8| match byte {
            b'\r' | b'\n' | b'"' => true,
            b',' => !quoted || without.contains(byte),
            byte => without.contains(byte),
        };
        match value.iter().find(unsaid) {
            Some(byte) => {
                let byte = crate::text::visible(&[*byte]);
                Err(format!("the document of {} does not say how `{byte}` is written in `{name}`", self.name))
            }
            None => Ok(value.to_vec()),
        }
    }

    /// Whether some command of the step takes this argument.
    pub fn takes(&self, step: &str, argument: &str) -> bool {
        let exchanges = self.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
        exchanges.flat_map(|e| &e.send).any(|template| template.arguments().contains(&argument))
    }
}

impl Escapes {
    /// Writes the bytes that need it as escapes.
    pub fn write(&self, bytes: &[u8]) -> Vec<u8> {
        let mut escaped = [false; 256];
        for (raw, _) in &self.table {
            escaped[usize::from(*raw)] = true;
        }
        let mut out = Vec::with_capacity(bytes.len());
        for run in bytes.split_inclusive(|byte| escaped[usize::from(*byte)]) {
            match run.split_last().and_then(|(last, plain)| Some((plain, self.escape(*last)?))) {
                Some((plain, written)) => {
                    out.extend_from_slice(plain);
                    out.extend_from_slice(written);
                }
                None => out.extend_from_slice(run),
            }
        }
        out
    }

    /// What is written for a byte that needs it.
    fn escape(&self, byte: u8) -> Option<&[u8]> {
        self.table.iter().find(|(raw, _)| *raw == byte).map(|(_, written)| written.as_slice())
    }

    /// Reads escapes back; anything else stays as it is.
    pub fn read(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            let begins = |written: &[u8]| written.first() == Some(first) && rest.starts_with(written);
            if let Some((raw, written)) = self.table.iter().find(|(_, written)| begins(written)) {
                out.push(*raw);
                rest = &rest[written.len()..];
            } else {
                out.push(*first);
                rest = tail;
            }
        }
        out
    }
}

impl Reason {
    /// Every reason with its word in a profile.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("parameter", Self::Parameter),
        ("unreachable", Self::Unreachable),
        ("refused", Self::Refused),
        ("busy", Self::Busy),
        ("tls", Self::Tls),
        ("lost", Self::Lost),
    ];
}

impl States {
    /// Whether an answer to `status` tells that MQTT is connected.
    pub fn says_connected(&self, info: &crate::at::Captures) -> bool {
        let state = info.values.get("state");
        state.is_some_and(|state| self.connected.iter().any(|word| word.as_bytes() == state.as_slice()))
    }

    /// Whether the document tells states at all.
    pub fn is_empty(&self) -> bool {
        self.connected.is_empty()
    }
}

impl Exchange {
    /// The later lines that mean success at this QoS; none where the final result code alone does.
    pub fn results(&self, qos: u8) -> &[LineTemplate] {
        &self.result[usize::from(qos.min(2))]
    }

    /// Whether success is told only after the broker's acknowledgement.
    pub fn is_certain(&self, qos: u8) -> bool {
        self.certain[usize::from(qos.min(2))]
    }
}
