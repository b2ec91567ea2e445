//! The run whose verdicts are shown.

use std::path::{Path, PathBuf};

use atspec_model::run::{CaseRecord, Evidence, Record, Sheet, evidence};
use atspec_reports::jsonl;

use crate::failure::Failure;

/// Where `atspec run` leaves its record unless it is told otherwise.
const USUAL: &str = "atspec-report";

/// What a run said of the clauses.
pub(super) struct Seen {
    /// Directory of the run.
    pub(super) dir: PathBuf,
    /// When it began, RFC 3339 in UTC.
    pub(super) started: String,
    sheet: Sheet,
}

impl Seen {
    /// The run in a directory. Where none is named it is that of the last `atspec run` in this directory, if there is one.
    pub(super) fn of(named: Option<&Path>) -> Result<Option<Self>, Failure> {
        let dir = named.unwrap_or(Path::new(USUAL));
        let file = dir.join(jsonl::FILE);
        if named.is_none() && !file.is_file() {
            return Ok(None);
        }
        let records = jsonl::read(&file).map_err(|e| {
            Failure::usage(format!("{e}; --run takes the directory of a run, which has a {}", jsonl::FILE))
        })?;
        let started = records.iter().find_map(|record| match record {
            Record::Run(start) => Some(start.started.clone()),
            _ => None,
        });
        let cases = records.iter().filter_map(|record| match record {
            Record::Case(case) => Some(case),
            _ => None,
        });
        let sheet = evidence(cases.collect::<Vec<&CaseRecord>>());
        Ok(Some(Self { dir: dir.to_owned(), started: started.unwrap_or_default(), sheet }))
    }

    /// What it said of a clause on a module.
    pub(super) fn of_clause(&self, module: &str, clause: &str) -> Option<&Evidence> {
        self.sheet.get(module)?.get(clause)
    }

    /// Whether a module was part of it.
    pub(super) fn has(&self, module: &str) -> bool {
        self.sheet.contains_key(module)
    }
}
