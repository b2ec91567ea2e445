//! How far a module's part of the run is.

use atspec_model::{run::CaseRecord, verdict::Verdict};

use super::{counted, reached};
use crate::{safe::safe, time};

/// A log without a line for longer than this looks dead, to people and to a build server's watchdog.
const QUIET_MS: u64 = 60_000;

/// How far a module is. Time is the sum of what its cases took, so a replayed run reads like the first.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) module: String,
    /// How many cases were announced.
    pub(super) cases: usize,
    verdicts: [usize; Verdict::ALL.len()],
    took_ms: u64,
    quiet_ms: u64,
}

impl Progress {
    pub(super) fn new(module: &str, cases: usize) -> Self {
        Self { module: module.to_owned(), cases, verdicts: Default::default(), took_ms: 0, quiet_ms: 0 }
    }

    pub(super) fn count(&mut self, case: &CaseRecord) {
        for (count, verdict) in self.verdicts.iter_mut().zip(Verdict::ALL) {
            *count += usize::from(verdict == case.verdict);
        }
        self.took_ms = self.took_ms.saturating_add(case.took_ms);
        self.quiet_ms = self.quiet_ms.saturating_add(case.took_ms);
    }

    /// Cases that make the run red, the bench's own failures among them.
    pub(super) fn bad(&self) -> usize {
        self.of(Verdict::Fail) + self.of(Verdict::Inconclusive) + self.of(Verdict::Error)
    }

    /// A line for a log after each tenth of the cases, but not more often than every ten and not less than once a minute.
    pub(super) fn line_if_due(&mut self) -> Option<String> {
        let (done, every) = (self.done(), self.cases.div_ceil(10).max(10));
        if done >= self.cases || (done % every != 0 && self.quiet_ms < QUIET_MS) {
            return None;
        }
        self.quiet_ms = 0;
        let left = (self.took_ms / done.max(1) as u64).saturating_mul((self.cases - done) as u64);
        let (module, left) = (safe(&self.module), time::rough(left));
        Some(format!("{module}: {done} of {} done, {}, {left} left\n", self.cases, self.badly()))
    }

    /// The line when the module is done.
    pub(super) fn last_line(&self) -> String {
        let (module, cases) = (safe(&self.module), counted(self.done(), "case"));
        format!("{module}: {cases} in {}: {}\n", time::human(self.took_ms), reached(|v| self.of(v)))
    }

    fn badly(&self) -> String {
        let told = [
            (Verdict::Fail, "failed"),
            (Verdict::Inconclusive, "inconclusive"),
            (Verdict::Error, "bench errors"),
        ];
        let told: Vec<_> = told
            .into_iter()
            .filter(|&(v, _)| self.of(v) > 0)
            .map(|(v, word)| format!("{} {word}", self.of(v)))
            .collect();
        if told.is_empty() { "none failed".to_owned() } else { told.join(", ") }
    }

    fn done(&self) -> usize {
        self.verdicts.iter().sum()
    }

    fn of(&self, verdict: Verdict) -> usize {
        Verdict::ALL.iter().zip(self.verdicts).find_map(|(&v, n)| (v == verdict).then_some(n)).unwrap_or(0)
    }
}
