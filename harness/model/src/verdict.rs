//! What a case came to, and the words that go with it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The verdicts of TTCN-3, with `warning` for what does not fail and `skipped` for what did not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every expectation met.
    Pass,
    /// A SHOULD, an implied clause, or a documented contradiction resolved the odd way.
    Warning,
    /// The profile lacks what the case needs, or the case is waived.
    Skipped,
    /// The requirement could not be provoked: a step that was only the means did not work.
    Inconclusive,
    /// The bench failed: port gone, module dead before the case, tap could not listen.
    Error,
    /// The module broke a MUST or its own document.
    Fail,
}

impl Verdict {
    /// All verdicts in the order in which they are counted and shown.
    pub const ALL: [Self; 6] =
        [Self::Pass, Self::Warning, Self::Fail, Self::Inconclusive, Self::Skipped, Self::Error];

    /// The lower-case word of files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A verdict with its reasons: what was expected, what was observed, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What had to be seen, in words. Empty where nothing is wrong.
    pub expected: String,
    /// What was seen instead. Empty where nothing is wrong.
    pub observed: String,
    /// One sentence for a person: the reason of a verdict other than pass. Empty for pass.
    pub message: String,
    /// The clauses that were broken, where they are narrower than those of the case.
    pub clauses: Vec<String>,
    /// Index of the offending event in the timeline.
    pub offence: Option<usize>,
    /// What is worth telling besides: forms that differ, violations that only warn.
    pub notes: Vec<String>,
    /// Forms of documented alternatives that the module was seen to use.
    pub uses: Vec<Use>,
    /// Statements of MQTT that the recording gave occasion to break, whatever the case is about, and that were kept.
    pub kept: Vec<&'static str>,
}

/// A form of a documented alternative that a module was seen to use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Use {
    /// `X35`.
    pub id: String,
    /// What the alternative is about.
    pub about: String,
    /// The form.
    pub form: String,
}

impl Judgement {
    /// A judgement without an offence.
    pub fn plain(verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            verdict,
            expected: String::new(),
            observed: String::new(),
            message: message.into(),
            clauses: Vec::new(),
            offence: None,
            notes: Vec::new(),
            uses: Vec::new(),
            kept: Vec::new(),
        }
    }
}
