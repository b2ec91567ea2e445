//! What came of it: who was caught by what, what surprises, and which cases no deviant fails.

use std::collections::{BTreeMap, BTreeSet};

use atspec_model::{run::CaseRecord, verdict::Verdict};
use serde::Serialize;

use super::{
    drive::{Again, Driven, Who},
    plan::{Plan, Subject},
};

/// Everything to be told.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The day, in UTC.
    pub(crate) date: String,
    pub(crate) score: Score,
    pub(crate) deviants: Vec<Outcome>,
    /// Cases that are not green on a faithful module.
    pub(crate) false_alarms: Vec<Alarm>,
    pub(crate) variants: Vec<Variant>,
    /// Cases that no deviant of their module fails, as `module case`; none where not all deviants were driven.
    pub(crate) without_killer: Vec<String>,
}

/// A module that does as its document says in another way.
#[derive(Debug, Serialize)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) module: String,
    pub(crate) why: String,
    /// Cases that were driven, each as often as there were rounds.
    pub(crate) cases: usize,
}

/// A case that is not green on a faithful module.
#[derive(Debug, Serialize)]
pub(crate) struct Alarm {
    /// None for the plain module.
    pub(crate) variant: Option<String>,
    #[serde(flatten)]
    pub(crate) red: Red,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Score {
    pub(crate) deviants: usize,
    /// All their `caught_by` went red, and one of those names a clause of `breaks`.
    pub(crate) caught: usize,
    pub(crate) surprises: usize,
    /// On the plain modules, and on variants of them.
    pub(crate) false_alarms: usize,
    pub(crate) modules: usize,
    pub(crate) variants: usize,
    /// How many times each variant was driven.
    pub(crate) rounds: u16,
    /// Cases that apply to a module, each counted once for each module.
    pub(crate) cases: usize,
    /// Those of them that at least one deviant fails.
    pub(crate) with_killer: usize,
    /// What came out otherwise than the deviants' files say, and was driven again.
    pub(crate) again: usize,
    /// Those of them that came to another verdict then: the bench was too busy.
    pub(crate) changed: usize,
}

/// A deviant and what it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) module: String,
    pub(crate) why: String,
    pub(crate) breaks: Vec<String>,
    /// Cases of `caught_by` that did not go red.
    pub(crate) missed: Vec<String>,
    /// Whether a case of `caught_by` names a clause of `breaks`.
    pub(crate) named: bool,
    /// Every case that went red.
    pub(crate) red: Vec<Red>,
    /// Cases that could not be provoked on it.
    pub(crate) inconclusive: usize,
}

/// A case that went red.
#[derive(Debug, Serialize)]
pub(crate) struct Red {
    pub(crate) module: String,
    pub(crate) case: String,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) cites: Vec<String>,
    pub(crate) asks: String,
    pub(crate) expected: String,
    pub(crate) observed: String,
}

/// Why a case may go red.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// The deviant's file names it.
    Named,
    /// It cites a clause that the defect violates.
    Breaks,
    /// The deviant's file says that it is a consequence.
    Also,
    /// None.
    Surprise,
}

impl Report {
    pub(crate) fn new(plan: &Plan, driven: &Driven, again: Again) -> Self {
        let deviants: Vec<Outcome> = plan
            .subjects
            .iter()
            .enumerate()
            .map(|(i, subject)| outcome(plan, subject, Who::Deviant(i), driven))
            .collect();
        let false_alarms: Vec<Alarm> = driven
            .iter()
            .filter(|(_, record)| !is_green(record))
            .filter_map(|((who, _), record)| {
                let variant = match who {
                    Who::Faithful(_) => None,
                    Who::Other(i, _) => Some(plan.others[*i].name.clone()),
                    Who::Deviant(_) => return None,
                };
                Some(Alarm { variant, red: Red::new(record, Reason::Surprise) })
            })
            .collect();
        let variants: Vec<Variant> = plan
            .others
            .iter()
            .map(|other| Variant {
                name: other.name.clone(),
                module: plan.modules[other.module].profile.name.clone(),
                why: other.variant.why.clone(),
                cases: other.cases.len(),
            })
            .collect();
        let killed: BTreeSet<(&str, &str)> = deviants
            .iter()
            .flat_map(|d| d.red.iter().map(|r| (d.module.as_str(), r.case.as_str())))
            .collect();
        let apply: Vec<(&str, &str)> = driven
            .iter()
            .filter(|((who, _), record)| {
                matches!(who, Who::Faithful(_)) && record.verdict != Verdict::Skipped
            })
            .map(|(_, record)| (record.module.as_str(), record.id.as_str()))
            .collect();
        let lacking = apply.iter().filter(|case| plan.whole && !killed.contains(*case));
        let without_killer: Vec<String> = lacking.map(|(module, case)| format!("{module} {case}")).collect();
        let score = Score {
            deviants: deviants.len(),
            caught: deviants.iter().filter(|d| d.is_caught()).count(),
            surprises: deviants.iter().map(|d| d.surprises().count()).sum(),
            false_alarms: false_alarms.len(),
            modules: plan.modules.len(),
            variants: variants.len(),
            rounds: plan.rounds,
            cases: apply.len(),
            with_killer: apply.iter().filter(|case| killed.contains(*case)).count(),
            again: again.cases,
            changed: again.changed,
        };
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        Self { date, score, deviants, false_alarms, variants, without_killer }
    }

    /// Every deviant is caught, and nothing surprises.
    pub(crate) fn bites(&self) -> bool {
        self.score.caught == self.score.deviants && self.score.surprises + self.score.false_alarms == 0
    }
}

impl Outcome {
    /// All its cases went red, one of them for the clause that is broken.
    pub(crate) fn is_caught(&self) -> bool {
        self.missed.is_empty() && self.named
    }

    pub(crate) fn surprises(&self) -> impl Iterator<Item = &Red> {
        self.red.iter().filter(|red| red.reason == Reason::Surprise)
    }
}

impl Red {
    fn new(record: &CaseRecord, reason: Reason) -> Self {
        Self {
            module: record.module.clone(),
            case: record.id.clone(),
            verdict: record.verdict,
            reason,
            cites: record.cites.clone(),
            asks: record.asks.clone(),
            expected: record.expected.clone(),
            observed: record.observed.clone(),
        }
    }
}

/// What has to be driven again before it counts: what the deviant's file does not explain, and what is missing of what it says.
pub(crate) fn doubtful(plan: &Plan, driven: &Driven) -> BTreeMap<Who, Vec<String>> {
    let mut doubtful: BTreeMap<Who, Vec<String>> = BTreeMap::new();
    for ((who, id), record) in driven {
        let again = match who {
            Who::Faithful(_) => !is_green(record),
            // What a user would be told at first counts.
            Who::Other(..) => false,
            Who::Deviant(i) => {
                let subject = &plan.subjects[*i];
                let red = is_red(record, driven.get(&(Who::Faithful(subject.module), id.clone())));
                match reason(subject, record) {
                    Reason::Named => !red,
                    Reason::Surprise => red,
                    Reason::Breaks | Reason::Also => false,
                }
            }
        };
        if again {
            doubtful.entry(*who).or_default().push(id.clone());
        }
    }
    doubtful
}

fn outcome(plan: &Plan, subject: &Subject, who: Who, driven: &Driven) -> Outcome {
    let faithful = Who::Faithful(subject.module);
    let own = || {
        let module = &plan.modules[subject.module];
        module.cases.iter().filter_map(|id| driven.get(&(who, id.clone())))
    };
    let red: Vec<Red> = own()
        .filter(|record| is_red(record, driven.get(&(faithful, record.id.clone()))))
        .map(|record| Red::new(record, reason(subject, record)))
        .collect();
    let went_red = |id: &&String| red.iter().any(|red| red.case == **id);
    Outcome {
        name: subject.name,
        module: subject.deviant.module.clone(),
        why: subject.deviant.why.clone(),
        breaks: subject.deviant.breaks.clone(),
        missed: subject.deviant.caught_by.iter().filter(|id| !went_red(id)).cloned().collect(),
        named: red
            .iter()
            .any(|red| red.reason == Reason::Named && red.cites.iter().any(|clause| subject.breaks(clause))),
        inconclusive: own().filter(|record| record.verdict == Verdict::Inconclusive).count(),
        red,
    }
}

fn reason(subject: &Subject, record: &CaseRecord) -> Reason {
    if subject.deviant.caught_by.contains(&record.id) {
        Reason::Named
    } else if record.cites.iter().any(|clause| subject.breaks(clause)) {
        Reason::Breaks
    } else if subject.bears(&record.id) {
        Reason::Also
    } else {
        Reason::Surprise
    }
}

/// Failed, or warned where the faithful module does not. A bench that fails is as red as a module that does.
fn is_red(record: &CaseRecord, faithful: Option<&CaseRecord>) -> bool {
    match record.verdict {
        Verdict::Fail | Verdict::Error => true,
        Verdict::Warning => faithful.is_none_or(|faithful| faithful.verdict != Verdict::Warning),
        Verdict::Pass | Verdict::Skipped | Verdict::Inconclusive => false,
    }
}

/// What a run of the faithful module may show: it also warns where its document departs from the standard.
pub(crate) fn is_green(record: &CaseRecord) -> bool {
    matches!(record.verdict, Verdict::Pass | Verdict::Skipped | Verdict::Warning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{BiteArgs, Format};

    /// Air720 without PINGREQ: two cases name the keep alive, and one has nothing to do with it.
    fn plan() -> Plan {
        Plan::new(&BiteArgs {
            module: vec!["air720".to_owned()],
            only: vec!["air720-ping-never".to_owned()],
            jobs: None,
            rounds: 1,
            format: Format::Text,
            readme: None,
        })
        .unwrap_or_else(|why| panic!("{why:?}"))
    }

    fn record(id: &str, verdict: Verdict, cites: &[&str]) -> CaseRecord {
        CaseRecord {
            cites: cites.iter().map(|&cite| cite.to_owned()).collect(),
            ..CaseRecord::plain("air720", id, verdict)
        }
    }

    fn driven(plan: &Plan, faithful: &[(&str, Verdict)], deviant: &[(&str, Verdict, &[&str])]) -> Report {
        let whole =
            faithful.iter().map(|(id, v)| ((Who::Faithful(0), (*id).to_owned()), record(id, *v, &[])));
        let broken =
            deviant.iter().map(|(id, v, c)| ((Who::Deviant(0), (*id).to_owned()), record(id, *v, c)));
        Report::new(plan, &whole.chain(broken).collect(), Again::default())
    }

    const IDLE: &str = "keepalive/idle";
    const PLAIN: &str = "flow/plain";
    const KEPT: &[&str] = &["MQTT-3.1.2-23"];

    #[test]
    fn caught_is_red_for_the_broken_clause() {
        let plan = plan();
        let faithful = [(IDLE, Verdict::Pass), (PLAIN, Verdict::Pass)];
        let report = driven(
            &plan,
            &faithful,
            &[(IDLE, Verdict::Fail, KEPT), (PLAIN, Verdict::Pass, &["A720-2.4-02"])],
        );
        assert!(report.bites(), "{report:?}");
        assert_eq!((report.score.caught, report.score.with_killer, report.score.cases), (1, 1, 2));
        // For another reason it is not caught, although it is red.
        let report = driven(&plan, &faithful, &[(IDLE, Verdict::Fail, &["A720-2.4-02"])]);
        assert_eq!((report.bites(), report.score.caught), (false, 0));
    }

    #[test]
    fn a_survivor_and_a_surprise_are_told() {
        let plan = plan();
        let faithful = [(IDLE, Verdict::Pass), (PLAIN, Verdict::Pass)];
        let report = driven(
            &plan,
            &faithful,
            &[(IDLE, Verdict::Inconclusive, &[]), (PLAIN, Verdict::Fail, &["A720-2.4-02"])],
        );
        assert_eq!(report.deviants[0].missed, [IDLE]);
        assert_eq!((report.score.surprises, report.deviants[0].inconclusive), (1, 1));
        let text = super::super::show::text(&report);
        assert!(text.contains("survives  keepalive/idle"), "{text}");
        assert!(text.contains("surprise  flow/plain fail A720-2.4-02"), "{text}");
        assert!(text.contains("0 of 1 deviants caught (0 %), 1 surprises"), "{text}");
    }

    #[test]
    fn what_warns_on_the_faithful_module_is_no_catch() {
        let plan = plan();
        let faithful = [(IDLE, Verdict::Warning), (PLAIN, Verdict::Fail)];
        let report = driven(&plan, &faithful, &[(IDLE, Verdict::Warning, KEPT)]);
        assert_eq!(report.deviants[0].missed, [IDLE]);
        assert_eq!(report.score.false_alarms, 1);
        assert!(!report.bites());
    }

    #[test]
    fn only_what_is_unexpected_is_driven_again() {
        let plan = plan();
        let records = [
            record(IDLE, Verdict::Pass, &[]),
            record(PLAIN, Verdict::Fail, &["A720-2.4-02"]),
            record("publish/qos1", Verdict::Fail, KEPT),
        ];
        let driven: Driven =
            records.into_iter().map(|record| ((Who::Deviant(0), record.id.clone()), record)).collect();
        let again = doubtful(&plan, &driven);
        assert_eq!(again.get(&Who::Deviant(0)), Some(&vec![PLAIN.to_owned(), IDLE.to_owned()]));
    }
}
