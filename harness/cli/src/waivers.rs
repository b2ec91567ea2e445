//! Known failures of a real module: a waived case that does not pass is skipped with its reason; one that passes again, or a
//! waiver that names nothing, fails the run.

use std::{fs, path::Path};

use atspec_model::{run::CaseRecord, verdict::Verdict};
use globset::GlobMatcher;
use serde::Deserialize;

use crate::{failure::Failure, select::glob};

/// The waivers of a run.
#[derive(Debug, Default)]
pub(crate) struct Waivers(Vec<Waiver>);

#[derive(Debug)]
struct Waiver {
    cases: GlobMatcher,
    module: Option<String>,
    firmware: Option<GlobMatcher>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    waiver: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    case: String,
    module: Option<String>,
    firmware: Option<String>,
    reason: String,
}

impl Waivers {
    /// Reads the file. `known` are all case ids of the modules at hand, as (module, id).
    pub(crate) fn load(path: &Path, known: &[(String, String)]) -> Result<Self, Failure> {
        let file = path.display();
        let source =
            fs::read_to_string(path).map_err(|e| Failure::usage(format!("cannot read {file}: {e}")))?;
        let entries: File = toml::from_str(&source).map_err(|e| Failure::usage(format!("{file}: {e}")))?;
        let mut waivers = Vec::new();
        for Entry { case, module, firmware, reason } in entries.waiver {
            let wrong = |what: String| Failure::usage(format!("{file}: the waiver for `{case}` {what}"));
            if reason.trim().is_empty() {
                return Err(wrong("has no reason; say why the failure is known".to_owned()));
            }
            let cases = glob(&case).map_err(|why| wrong(format!("is not a glob: {why}")))?;
            let names =
                |(of, id): &(String, String)| module.as_ref().is_none_or(|m| m == of) && cases.is_match(id);
            if !known.iter().any(names) {
                return Err(wrong(
                    "names no case of this run; remove it or correct its glob or module".to_owned(),
                ));
            }
            let firmware = firmware
                .map(|text| glob(&text))
                .transpose()
                .map_err(|why| wrong(format!("has a firmware that is not a glob: {why}")))?;
            waivers.push(Waiver { cases, module, firmware, reason });
        }
        Ok(Self(waivers))
    }

    /// What a waiver makes of a finished case.
    pub(crate) fn apply(&self, record: &mut CaseRecord, firmware: &str) {
        let fits = |w: &&Waiver| {
            w.cases.is_match(&record.id)
                && w.module.as_ref().is_none_or(|m| *m == record.module)
                && w.firmware.as_ref().is_none_or(|f| f.is_match(firmware))
        };
        let Some(waiver) = self.0.iter().find(fits) else { return };
        match record.verdict {
            Verdict::Fail | Verdict::Inconclusive => {
                record.notes.push(format!("waived {}: {}", record.verdict, record.message));
                record.verdict = Verdict::Skipped;
                record.message = format!("waived: {}", waiver.reason);
            }
            Verdict::Pass | Verdict::Warning => {
                record.verdict = Verdict::Fail;
                record.expected = format!("the known failure ({})", waiver.reason);
                "the case passes".clone_into(&mut record.observed);
                record.message =
                    format!("the waiver is out of date, the case passes; remove it ({})", waiver.reason);
            }
            Verdict::Skipped | Verdict::Error => {}
        }
    }
}
