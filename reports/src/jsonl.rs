//! `run.jsonl`: the record of a run, a line for each record, written while it runs and read back.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use atspec_model::run::{Record, RunEvent, SCHEMA};

use crate::Reporter;

/// The file's name in a run's directory.
pub const FILE: &str = "run.jsonl";

/// Appends the records of a run to `DIR/run.jsonl` as they come.
///
/// Each record is one write followed by a flush, so a killed run loses at most the case in hand.
#[derive(Debug)]
pub struct JsonlReporter {
    file: File,
    /// Length of the whole lines so far.
    whole: u64,
}

impl JsonlReporter {
    /// Starts a new `DIR/run.jsonl`, making the directory where it is missing. The record of a former run in the same
    /// directory is replaced: whether that is wanted is for the caller to ask first.
    pub fn create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Self::at(&dir.join(FILE))
    }

    /// The same at a path of the caller's choice (`--json FILE`).
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, whole: 0 })
    }

    /// Appends one record. After an error (a full disk) the file still ends with a whole line.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        match written {
            Ok(()) => self.whole += line.len() as u64,
            Err(_) => self.cut_back(),
        }
        written
    }

    /// Takes a torn line back. What cannot be cut (a pipe) stays torn; the reader will say where.
    fn cut_back(&mut self) {
        use io::Seek as _;
        if self.file.set_len(self.whole).is_ok() {
            let _ = self.file.seek(io::SeekFrom::Start(self.whole));
        }
    }
}

impl Reporter for JsonlReporter {
    fn on(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        match *event {
            RunEvent::ModuleStarted { start, .. } => self.append(&Record::Run(start.clone())),
            RunEvent::CaseDone { record, .. } => self.append(&Record::Case(record.clone())),
            RunEvent::PolicyDone { record } => self.append(&Record::Policy(record.clone())),
            RunEvent::Ended { end } => self.append(&Record::End(end.clone())),
            RunEvent::CaseStarted { .. } | RunEvent::ModuleDone { .. } | RunEvent::Note { .. } => Ok(()),
        }
    }
}

/// Reads a `run.jsonl` back.
///
/// A last line without its line break (a killed run) is left out if it is no whole record; any other mistake is an
/// error with its line. A run that was killed has no [`Record::End`].
pub fn read(path: &Path) -> Result<Vec<Record>, ReadError> {
    let at = |line, what| ReadError { path: path.into(), line, what };
    let content = fs::read(path).map_err(|e| at(None, e.to_string()))?;
    parse(&content).map_err(|(line, what)| at(Some(line), what))
}

/// The same from the file's content; an error is the line, from 1, and what is wrong with it.
pub fn parse(content: &[u8]) -> Result<Vec<Record>, (usize, String)> {
    let mut records = Vec::new();
    for (index, line) in content.split_inclusive(|&b| b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match record(line) {
            Ok(record) => records.push(record),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(what) => return Err((index + 1, what)),
        }
    }
    Ok(records)
}

/// A `run.jsonl` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Line in the file, from 1; none if the file itself cannot be read.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.what),
            None => write!(f, "{}: {}", self.path.display(), self.what),
        }
    }
}

impl std::error::Error for ReadError {}

/// Another schema is told as such: what it changed would otherwise be told as a broken line.
fn record(line: &[u8]) -> Result<Record, String> {
    let parsed = serde_json::from_slice(line);
    let schema = match &parsed {
        Ok(Record::Run(start)) => Some(u64::from(start.schema)),
        Ok(_) => None,
        Err(_) => schema_of(line),
    };
    match schema {
        Some(other) if other != u64::from(SCHEMA) => {
            Err(format!("schema {other} is not known here; this atspec reads schema {SCHEMA}"))
        }
        _ => parsed.map_err(|e| without_line(&e)),
    }
}

fn schema_of(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(line).ok()?.get("schema")?.as_u64()
}

/// serde_json counts lines within what it is given, which is always one line here.
fn without_line(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match told.strip_suffix(&place) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => told,
    }
}
