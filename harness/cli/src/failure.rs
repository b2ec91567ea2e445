//! Why a command could not be carried out, and the exit code that says so.

use std::{fmt, io::Write as _, process::ExitCode};

/// Wrong usage, profile or configuration.
pub(crate) const USAGE: u8 = 2;
/// The bench failed.
pub(crate) const BENCH: u8 = 3;
/// Interrupted by the operator.
pub(crate) const INTERRUPTED: u8 = 130;

/// A failure with everything to be told.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// Wrong usage, profile or configuration.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self { code: USAGE, text: text.to_string() }
    }

    /// The bench failed.
    pub(crate) fn bench(text: impl fmt::Display) -> Self {
        Self { code: BENCH, text: text.to_string() }
    }

    /// Interrupted by the operator.
    pub(crate) fn interrupted() -> Self {
        Self { code: INTERRUPTED, text: "interrupted".to_owned() }
    }

    /// Tells it on standard error.
    pub(crate) fn tell(&self) -> ExitCode {
        let text = self.text.trim_end();
        let start = if text.starts_with("error:") { "" } else { "error: " };
        let _ = writeln!(std::io::stderr(), "{start}{text}");
        ExitCode::from(self.code)
    }
}
