//! Reports: what a run says to people and to dashboards, made from its record alone.
//!
//! - [`terminal`]: one live line per module, or plain lines for a log; the summary and what to do next;
//! - [`jsonl`]: `run.jsonl`, written record by record and read back;
//! - [`junit`]: `junit.xml` from the records;
//! - [`capture`]: a recording as pcapng, for Wireshark and tshark;
//! - [`words`]: a finished case in words, the same on the terminal and in JUnit;
//! - [`safe`]: any text without what a terminal obeys or XML forbids.
//!
//! Nothing here decides a verdict or an exit code, and nothing prints: every report is written where its caller says.

use std::io;

use atspec_model::run::RunEvent;

mod atomic;
pub mod capture;
pub mod jsonl;
pub mod junit;
mod paint;
pub mod safe;
pub mod terminal;
mod time;
pub mod words;

pub use jsonl::JsonlReporter;
pub use terminal::TerminalReporter;

/// Something that is told what happens in a run, while it happens.
///
/// Several modules may run side by side: their events then come interleaved, each with its module's name.
pub trait Reporter {
    /// Takes note of one event. An error means that this report is incomplete, never that the run is.
    fn on(&mut self, event: &RunEvent<'_>) -> io::Result<()>;
}
