//! The record of a run: `run.jsonl` line by line, and what follows from it (counts, exit code).
//!
//! Reports are made from these lines and the timelines alone. Counts are counted afterwards, never kept while running.

mod evidence;

use std::collections::{BTreeMap, BTreeSet};

pub use evidence::{Evidence, Sheet, evidence};
use serde::{Deserialize, Serialize};

use crate::{
    mqtt::Level,
    timeline::Timeline,
    verdict::{Use, Verdict},
};

/// The version of `run.jsonl`.
pub const SCHEMA: u32 = 1;

/// One line of `run.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// A module's part of the run begins; one for each module.
    Run(RunStart),
    /// A case is finished.
    Case(CaseRecord),
    /// A policy was tried; apart from conformance, it counts for nothing.
    Policy(PolicyRecord),
    /// The run is over; the last line.
    End(RunEnd),
}

/// `"type":"run"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When, RFC 3339 in UTC.
    pub started: String,
    /// Version of atspec.
    pub atspec: String,
    /// Seed of everything generated.
    pub seed: u64,
    /// Name of the module's profile.
    pub module: String,
    /// What the module says it is (`ATI`), empty where it says nothing.
    pub identity: String,
    /// Port it was driven on: a device path, `tcp://…` or `emulated`.
    pub port: String,
}

/// `"type":"case"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Name of the module's profile.
    pub module: String,
    /// `suite/name`.
    pub id: String,
    /// What it came to.
    pub verdict: Verdict,
    /// How firmly its requirement binds.
    pub level: Level,
    /// Clauses and statements it checks.
    pub cites: Vec<String>,
    /// The requirement in words.
    pub asks: String,
    /// How long it took, in ms.
    pub took_ms: u64,
    /// What had to be seen; empty where nothing is wrong.
    pub expected: String,
    /// What was seen instead; empty where nothing is wrong.
    pub observed: String,
    /// The reason in one sentence; empty for pass.
    pub message: String,
    /// What is worth telling besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Forms of documented alternatives that the module was seen to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Use>,
    /// Statements of MQTT that the case gave occasion to break, besides those it is about, and that were kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// The part of the timeline around the offence, ready to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<ExcerptLine>,
    /// Number of tries before this verdict, where the case was repeated (`--retries`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// The timeline's file, relative to the run's directory; none for a case that was not driven.
    pub timeline: Option<String>,
}

/// `"type":"policy"`: a rule that somebody's cloud asks for and MQTT does not. Neither counts nor exit code know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Name of the module's profile.
    pub module: String,
    /// Name of the policy.
    pub policy: String,
    /// `policy/name`, the case that tried it.
    pub id: String,
    /// Whether the module keeps it; nothing where that could not be seen, and `message` says why.
    pub kept: Option<bool>,
    /// The rule in words.
    pub asks: String,
    /// Who asks for it.
    pub source: String,
    /// How long it took, in ms.
    pub took_ms: u64,
    /// What has to be seen.
    pub expected: String,
    /// What was seen instead; empty where it is kept.
    pub observed: String,
    /// The reason in one sentence; empty where it is kept.
    pub message: String,
    /// What is worth telling besides, such as a breach of conformance that was seen on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The timeline's file, relative to the run's directory; none for a case that was not driven.
    pub timeline: Option<String>,
}

/// A line of a timeline as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcerptLine {
    /// Microseconds since the case began.
    pub at_us: u64,
    /// `serial >`, `wire <`, … : which line, and which way (`>` from the bench, `<` from the module).
    pub lane: String,
    /// What happened.
    pub text: String,
    /// Whether this is where the offence stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub here: bool,
}

/// `"type":"end"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// How many cases came to each verdict; every verdict is named.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// Whether the run ended before its last case.
    pub partial: bool,
    /// The forms of the documents' alternatives that the modules use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<AlternativeUse>,
}

/// What a module makes of an alternative of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlternativeUse {
    /// Name of the module's profile.
    pub module: String,
    /// `X35`.
    pub id: String,
    /// What the alternative is about.
    pub about: String,
    /// The forms it was seen to use; mostly one.
    pub uses: Vec<String>,
}

impl CaseRecord {
    /// A record that says nothing yet besides its verdict: no clauses, no words, no recording.
    pub fn plain(module: &str, id: &str, verdict: Verdict) -> Self {
        Self {
            module: module.to_owned(),
            id: id.to_owned(),
            verdict,
            level: Level::Must,
            cites: Vec::new(),
            asks: String::new(),
            took_ms: 0,
            expected: String::new(),
            observed: String::new(),
            message: String::new(),
            notes: Vec::new(),
            uses: Vec::new(),
            kept: Vec::new(),
            excerpt: Vec::new(),
            retries: 0,
            timeline: None,
        }
    }

    /// The suite, the part of the id before the slash.
    pub fn suite(&self) -> &str {
        self.id.split_once('/').map_or(self.id.as_str(), |(suite, _)| suite)
    }

    /// The name within the suite.
    pub fn name(&self) -> &str {
        self.id.split_once('/').map_or(self.id.as_str(), |(_, name)| name)
    }
}

impl RunEnd {
    /// Counts the verdicts of all cases.
    pub fn count<'a>(cases: impl IntoIterator<Item = &'a CaseRecord>, partial: bool) -> Self {
        let mut verdicts: BTreeMap<Verdict, usize> = Verdict::ALL.into_iter().map(|v| (v, 0)).collect();
        let mut used: BTreeSet<(&str, &Use)> = BTreeSet::new();
        for case in cases {
            *verdicts.entry(case.verdict).or_default() += 1;
            used.extend(case.uses.iter().map(|one| (case.module.as_str(), one)));
        }
        let mut alternatives: Vec<AlternativeUse> = Vec::new();
        for (module, Use { id, about, form }) in used {
            match alternatives.last_mut().filter(|last| last.module == module && last.id == *id) {
                Some(last) => last.uses.push(form.clone()),
                None => alternatives.push(AlternativeUse {
                    module: module.to_owned(),
                    id: id.clone(),
                    about: about.clone(),
                    uses: vec![form.clone()],
                }),
            }
        }
        Self { verdicts, partial, alternatives }
    }

    /// How many cases came to `verdict`.
    pub fn of(&self, verdict: Verdict) -> usize {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    /// The exit code that these verdicts mean: 1 fail or inconclusive (and warning under `strict`), 3 bench error
    /// and no fail, 0 otherwise. 130 for an interruption is the caller's to say.
    pub fn exit_code(&self, strict: bool) -> u8 {
        let failed = self.of(Verdict::Fail) + self.of(Verdict::Inconclusive);
        if failed > 0 || (strict && self.of(Verdict::Warning) > 0) {
            1
        } else if self.of(Verdict::Error) > 0 {
            3
        } else {
            0
        }
    }
}

/// Something that happens in a run, told to every reporter as it happens.
#[derive(Debug, Clone)]
pub enum RunEvent<'a> {
    /// A module's part begins with so many cases to do.
    ModuleStarted {
        /// The line of `run.jsonl`.
        start: &'a RunStart,
        /// How many cases will be driven or skipped.
        cases: usize,
    },
    /// A case begins.
    CaseStarted {
        /// Module.
        module: &'a str,
        /// Case id.
        id: &'a str,
    },
    /// A case is finished.
    CaseDone {
        /// The line of `run.jsonl`.
        record: &'a CaseRecord,
        /// What was observed; none for a case that was not driven.
        timeline: Option<&'a Timeline>,
    },
    /// A policy was tried.
    PolicyDone {
        /// The line of `run.jsonl`.
        record: &'a PolicyRecord,
    },
    /// A module's part is over.
    ModuleDone {
        /// Module.
        module: &'a str,
    },
    /// Something the operator should know at once (port taken again, module given up).
    Note {
        /// Module.
        module: &'a str,
        /// The words.
        text: &'a str,
    },
    /// The run is over.
    Ended {
        /// The line of `run.jsonl`.
        end: &'a RunEnd,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
