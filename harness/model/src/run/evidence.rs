//! What the records of a run say of each clause on each module: the sheet of evidence.

use std::collections::BTreeMap;

use super::CaseRecord;
use crate::verdict::Verdict;

/// What a run says of one clause on one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The firmest that was seen: a fail or a warning of any case; else a pass of any, by a case about the clause or by one that
    /// only gave occasion to break it; else why nothing is known.
    pub verdict: Verdict,
    /// The cases about the clause that came to this verdict, in the order of the run.
    pub cases: Vec<String>,
    /// How many cases of any subject gave occasion to break it, while it was kept.
    pub kept: usize,
}

/// Module by module, clause by clause.
pub type Sheet = BTreeMap<String, BTreeMap<String, Evidence>>;

/// Collects the evidence of a run. A clause of which no case that was driven says anything is not there.
pub fn evidence<'a>(records: impl IntoIterator<Item = &'a CaseRecord>) -> Sheet {
    let mut sheet = Sheet::new();
    for record in records {
        let module = sheet.entry(record.module.clone()).or_default();
        for clause in &record.cites {
            let known = module.entry(clause.clone()).or_insert_with(Evidence::none);
            known.add(record.verdict, &record.id);
        }
        for clause in &record.kept {
            let known = module.entry(clause.clone()).or_insert_with(Evidence::none);
            known.kept += 1;
            if firmness(known.verdict) < firmness(Verdict::Pass) {
                known.verdict = Verdict::Pass;
                known.cases.clear();
            }
        }
    }
    sheet
}

impl Evidence {
    fn none() -> Self {
        Self { verdict: Verdict::Skipped, cases: Vec::new(), kept: 0 }
    }

    fn add(&mut self, verdict: Verdict, case: &str) {
        if firmness(verdict) > firmness(self.verdict) {
            self.verdict = verdict;
            self.cases.clear();
        }
        if verdict == self.verdict {
            self.cases.push(case.to_owned());
        }
    }
}

/// Which of two verdicts says more of a clause. A pass says more than a case that came to nothing.
fn firmness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Skipped => 0,
        Verdict::Inconclusive => 1,
        Verdict::Error => 2,
        Verdict::Pass => 3,
        Verdict::Warning => 4,
        Verdict::Fail => 5,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(id: &str, verdict: Verdict, cites: &[&str], kept: &[&str]) -> CaseRecord {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        CaseRecord { cites: owned(cites), kept: owned(kept), ..CaseRecord::plain("m", id, verdict) }
    }

    fn told(records: &[CaseRecord], clause: &str) -> Option<(Verdict, Vec<String>, usize)> {
        let known = evidence(records).remove("m")?.remove(clause)?;
        Some((known.verdict, known.cases, known.kept))
    }

    #[test]
    fn the_firmest_decides_and_a_pass_says_more_than_nothing() {
        let records = [
            record("a/one", Verdict::Pass, &["S-1", "S-2"], &["S-3"]),
            record("a/two", Verdict::Inconclusive, &["S-1", "S-4"], &[]),
            record("a/three", Verdict::Fail, &["S-2"], &["S-3"]),
            record("a/four", Verdict::Skipped, &["S-5", "S-3"], &[]),
            record("a/five", Verdict::Error, &["S-4"], &[]),
        ];
        let one = |id: &str| vec![id.to_owned()];
        assert_eq!(told(&records, "S-1"), Some((Verdict::Pass, one("a/one"), 0)));
        assert_eq!(told(&records, "S-2"), Some((Verdict::Fail, one("a/three"), 0)));
        assert_eq!(told(&records, "S-3"), Some((Verdict::Pass, vec![], 2)), "no case about it was driven");
        assert_eq!(told(&records, "S-4"), Some((Verdict::Error, one("a/five"), 0)));
        assert_eq!(told(&records, "S-5"), Some((Verdict::Skipped, one("a/four"), 0)));
        assert_eq!(told(&records, "S-6"), None);
    }

    proptest! {
        /// The order in which cases were run changes no verdict.
        #[test]
        fn order_does_not_matter(verdicts in proptest::collection::vec((0..6_usize, any::<bool>()), 0..8)) {
            let cases = verdicts.iter().map(|(v, about)| {
                let (cites, kept): (&[&str], &[&str]) = if *about { (&["S"], &[]) } else { (&[], &["S"]) };
                record("a/b", Verdict::ALL[*v], cites, kept)
            });
            let forward: Vec<CaseRecord> = cases.collect();
            let backward: Vec<CaseRecord> = forward.iter().rev().cloned().collect();
            let verdict = |records: &[CaseRecord]| told(records, "S").map(|(verdict, _, kept)| (verdict, kept));
            prop_assert_eq!(verdict(&forward), verdict(&backward));
        }
    }
}
