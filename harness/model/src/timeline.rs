//! All events of one case in order of arrival on one clock, as JSON Lines in and out.
//!
//! Bytes are the truth: events hold what was read and written, and silence is an event too. AT lines and control
//! packets are views computed from them (see [`crate::judge`]). The order of the events is the order in which the bench saw
//! them; how the bytes happened to be cut into reads carries no meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{mqtt::PacketType, text::serde_visible};

/// The version of the timeline format; raised when a reader of the former one would misread it.
pub const SCHEMA: u32 = 1;

/// One case as it was observed: everything the judge needs besides the suites and the profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Which case on which module, under which settings.
    pub header: Header,
    /// What was observed, in order.
    pub events: Vec<Event>,
}

/// The first line of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "timeline")]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the module's profile.
    pub module: String,
    /// Path of a copy of the profile, relative to this timeline's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When the case began, in µs since 1970, by the clock of the bench's computer. Nothing is judged by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_us: Option<u64>,
    /// The case, `suite/name`.
    pub case: String,
    /// What the case was bound to.
    pub bindings: Bindings,
    /// Settings that a verdict depends on.
    pub settings: Settings,
    /// What a campaign tried, as its suite writes it; the case is made of it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// The values a case was run with; they are made per case, so that a connection can be attributed by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Bindings {
    /// Address the module was told.
    pub host: String,
    /// Port the module was told.
    pub port: u16,
    /// A port on the same host on which nothing listens.
    pub closed_port: u16,
    /// Client id of this case, letters and digits, at most 23.
    pub client: String,
    /// User name of this case.
    pub username: String,
    /// Password of this case.
    pub password: String,
    /// Prefix of every topic of this case.
    pub topic: String,
}

/// Settings that a verdict depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Multiplies every waiting time that comes from a document or the standard.
    pub clock_factor: f64,
    /// Small margin for the bench itself, in ms; never multiplied.
    pub margin_ms: u64,
}

impl Settings {
    /// A documented time of `ms` on this bench, in µs, without the bench's own margin.
    pub fn scaled_us(&self, ms: u64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times of minutes in µs fit an f64 exactly"
        )]
        let us = (ms as f64 * 1000.0 * self.clock_factor) as u64;
        us
    }

    /// The deadline for something that a document or the standard allows `ms` for: scaled, plus the bench's margin. In µs.
    pub fn deadline_us(&self, ms: u64) -> u64 {
        self.scaled_us(ms) + self.margin_ms * 1000
    }
}

/// One observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the case began.
    pub at_us: u64,
    /// What was observed.
    #[serde(rename = "event")]
    pub what: What,
}

/// What can be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// A step of the case begins. Index into the case's steps.
    Step {
        /// Index into the case's steps.
        index: usize,
        /// The step in words, for people.
        name: String,
    },
    /// The step was driven to its end; without this event it was cut short.
    StepDone {
        /// Index into the case's steps.
        index: usize,
    },
    /// The clearing up after the last step begins; nothing after it is judged.
    Teardown,
    /// Bytes written to the serial line.
    Sent {
        /// What they are for.
        purpose: Purpose,
        /// The bytes.
        #[serde(with = "serde_visible")]
        bytes: Vec<u8>,
    },
    /// Bytes read from the serial line.
    Received {
        /// The bytes.
        #[serde(with = "serde_visible")]
        bytes: Vec<u8>,
    },
    /// The serial port is gone.
    PortLost {
        /// The system's words.
        why: String,
    },
    /// More came from the serial line than any case can need; the rest is not recorded.
    Flooded {
        /// How many bytes the case had recorded by then.
        bytes: usize,
    },
    /// What was waited for did not come within its limit.
    Silence {
        /// What was waited for.
        awaited: String,
        /// How long, in ms.
        waited_ms: u64,
    },
    /// A TCP connection to the tap.
    Opened {
        /// Number of the connection, counted per run.
        conn: u32,
        /// Address of the other end.
        peer: String,
    },
    /// Bytes from the other end of a connection.
    FromModule {
        /// Connection.
        conn: u32,
        /// The bytes.
        #[serde(with = "serde_visible")]
        bytes: Vec<u8>,
    },
    /// Bytes from the broker to the other end.
    ToModule {
        /// Connection.
        conn: u32,
        /// The bytes.
        #[serde(with = "serde_visible")]
        bytes: Vec<u8>,
    },
    /// A direction of a connection ended.
    Closed {
        /// Connection.
        conn: u32,
        /// Who ended it.
        by: Side,
        /// How.
        how: Close,
    },
    /// The tap did something on purpose to a packet instead of passing it on.
    Altered {
        /// Connection.
        conn: u32,
        /// Type of the packet.
        packet: PacketType,
        /// What was done.
        action: Alteration,
    },
    /// A command of the case to the broker takes effect.
    Broker {
        /// The command in words.
        command: String,
    },
    /// A connection that is not the module's; its bytes are not kept.
    Stranger {
        /// Connection.
        conn: u32,
        /// Why it is not the module's.
        why: String,
    },
    /// The bench did nothing for longer than its margin allows for: its machine was suspended, or far too busy.
    Stalled {
        /// How long beyond what it meant to wait, in ms.
        ms: u64,
    },
    /// The bench itself failed.
    Fault {
        /// What failed.
        what: String,
    },
    /// The run was interrupted in this case.
    Interrupted,
}

/// What bytes on the serial line were sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A command line with its terminator.
    Command,
    /// Data after a prompt.
    Data,
    /// The command that only asks whether the port still answers.
    Probe,
    /// Something to bring the port back, outside any dialogue.
    Recovery,
}

/// The two ends of the module's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Side {
    Module,
    Broker,
}

/// How a connection's direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// Orderly, FIN.
    Fin,
    /// Reset, RST.
    Rst,
}

/// What the tap did to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alteration {
    /// Kept back until it is released.
    Held,
    /// Kept back until its delay is over.
    Delayed,
    /// Sent after it had been held or delayed.
    Released,
    /// Never sent.
    Withheld,
    /// Received, and treated as if it had not come.
    Ignored,
    /// Sent with other bytes.
    Replaced,
    /// Put in by the case.
    Injected,
}

impl Timeline {
    /// The timeline as JSON Lines: the header, then an event a line.
    pub fn to_json_lines(&self) -> String {
        let mut out =
            serde_json::to_string(&self.header).expect("a header has no map keys that are not strings");
        out.push('\n');
        for event in &self.events {
            out += &serde_json::to_string(event).expect("an event has no map keys that are not strings");
            out.push('\n');
        }
        out
    }

    /// Reads JSON Lines back. An unfinished last line (a killed run) is left out; any other mistake is an error with its line.
    pub fn from_json_lines(text: &str) -> Result<Self, ReadError> {
        let mut lines = text.split_inclusive('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or(ReadError { line: 1, what: "the file is empty".into() })?;
        let header: Header = parse(0, first)?;
        if header.schema != SCHEMA {
            let what =
                format!("schema {} is not known here; this atspec reads schema {SCHEMA}", header.schema);
            return Err(ReadError { line: 1, what });
        }
        let mut events = Vec::new();
        for (number, line) in lines {
            match parse(number, line) {
                Ok(event) => events.push(event),
                Err(_) if !line.ends_with('\n') => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self { header, events })
    }
}

/// A timeline file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ReadError {}

fn parse<T: serde::de::DeserializeOwned>(index: usize, line: &str) -> Result<T, ReadError> {
    serde_json::from_str(line).map_err(|e| ReadError { line: index + 1, what: e.to_string() })
}

impl Bindings {
    /// The values that a step's templates may name.
    pub fn values(&self) -> BTreeMap<&'static str, Vec<u8>> {
        BTreeMap::from([
            ("host", self.host.clone().into_bytes()),
            ("port", self.port.to_string().into_bytes()),
            ("client", self.client.clone().into_bytes()),
            ("username", self.username.clone().into_bytes()),
            ("password", self.password.clone().into_bytes()),
        ])
    }
}
