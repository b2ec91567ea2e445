//! The judge: a pure function of case, profile and timeline.
//!
//! It starts at fail: only met demands make a pass. A step that was only the means and did not work gives inconclusive, a
//! fault of the bench gives error. Every finding is collected; the firmest decides.

mod excerpt;
mod formless;
mod rules;
mod seen;
mod steps;
mod trace;
mod view;

pub use excerpt::excerpt;
pub use formless::formless;
pub use rules::statements;
pub use seen::{Seen, prompt_of};
pub use steps::acknowledgement;
pub use trace::trace;
pub use view::{Connection, Message, Serial, StepView, Told, View, WirePacket};

use crate::{
    case::{Case, Step},
    mqtt::Level,
    profile::Profile,
    timeline::{Timeline, What},
    verdict::{Judgement, Verdict},
};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it makes of the case.
    pub verdict: Verdict,
    /// What had to be seen.
    pub expected: String,
    /// What was seen instead.
    pub observed: String,
    /// Clauses, where they are narrower than the case's.
    pub clauses: Vec<String>,
    /// Index of the offending event.
    pub at: Option<usize>,
    /// Whether it stands also in a case that as a whole only warns.
    pub always: bool,
}

impl Finding {
    fn new(verdict: Verdict, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        let (expected, observed) = (expected.into(), observed.into());
        Self { verdict, expected, observed, clauses: Vec::new(), at: None, always: false }
    }

    /// What must hold whatever a case is about, and however firm that is.
    fn always(mut self) -> Self {
        self.always = true;
        self
    }

    fn at(mut self, event: usize) -> Self {
        self.at = Some(event);
        self
    }

    fn citing(mut self, clauses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.clauses = clauses.into_iter().map(Into::into).collect();
        self
    }
}

/// Judges a recording of `case`.
pub fn judge(case: &Case, profile: &Profile, timeline: &Timeline) -> Judgement {
    judge_from(Seen::new(profile), case, timeline)
}

/// The same where the first events of the recording have been looked at, in a recording that begins alike.
pub fn judge_from(begun: Seen<'_>, case: &Case, timeline: &Timeline) -> Judgement {
    let view = begun.into_view(case, timeline);
    if let Some(judgement) = bench(&view) {
        return judgement;
    }
    // A malformed packet is nearer the cause than what became of it.
    let mut findings = rules::malformed(&view);
    findings.extend(steps::judge(case, &view));
    let complete = case.steps.len() == view.steps.len() && view.steps.iter().all(|s| s.done);
    // What a case waits for in vain ends it, and its expectations say what is missing.
    let in_vain =
        view.steps.last().is_some_and(|s| s.done && matches!(case.steps.get(s.index), Some(Step::Await(_))));
    let means_failed = findings.iter().any(|f| matches!(f.verdict, Verdict::Inconclusive));
    findings.extend(rules::judge(case, &view));
    // A policy is apart from conformance: whatever breaks that is told, and decides nothing here.
    let apart = |f: &Finding| case.policy.is_some() && matches!(f.verdict, Verdict::Fail | Verdict::Warning);
    let (aside, mut findings): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(apart);
    if in_vain || complete && !means_failed {
        let unmet = expectations(case, &view);
        if in_vain && !unmet.is_empty() {
            // What is missing says more than that it was waited for.
            let last = view.steps.last().map_or(0, |s| s.begin);
            findings.retain(|f| f.verdict != Verdict::Inconclusive || f.at.is_none_or(|at| at < last));
        }
        findings.extend(unmet);
    } else if !complete && findings.iter().all(|f| f.verdict == Verdict::Warning) {
        let last = view
            .steps
            .last()
            .and_then(|s| case.steps.get(s.index))
            .map_or(String::new(), ToString::to_string);
        findings.push(Finding::new(
            Verdict::Error,
            "every step driven to its end",
            format!("the recording ends in: {last}"),
        ));
    }
    let kept = rules::kept(&view, &findings);
    let judgement = conclude(case, findings);
    let judgement = doubted(&view, judgement);
    let aside =
        aside.iter().map(|f| format!("besides the policy: expected {}; observed {}", f.expected, f.observed));
    Judgement {
        notes: judgement.notes.into_iter().chain(aside).collect(),
        uses: trace::uses(&view),
        kept,
        ..judgement
    }
}

/// What ends a case whatever the module did: the bench's own faults.
fn bench(view: &View<'_>) -> Option<Judgement> {
    let error = |message: String, at: usize| {
        Some(Judgement { offence: Some(at), ..Judgement::plain(Verdict::Error, message) })
    };
    view.timeline.events.iter().enumerate().find_map(|(at, event)| match &event.what {
        What::PortLost { why } => error(format!("the serial port is gone: {why}"), at),
        What::Fault { what } => error(format!("the bench failed: {what}"), at),
        What::Interrupted => error("interrupted".to_owned(), at),
        _ => None,
    })
}

/// Where a recording says that the bench itself stood still: the event, and how long, in ms.
pub fn stalled(timeline: &Timeline) -> Option<(usize, u64)> {
    timeline.events.iter().enumerate().find_map(|(at, event)| match event.what {
        What::Stalled { ms } => Some((at, ms)),
        _ => None,
    })
}

/// A bench that stood still cannot tell who was late: it blames nobody. What passed has passed.
fn doubted(view: &View<'_>, judgement: Judgement) -> Judgement {
    let blames = !matches!(judgement.verdict, Verdict::Pass | Verdict::Skipped);
    let Some((at, ms)) = stalled(view.timeline).filter(|_| blames) else { return judgement };
    let message = format!(
        "the bench stood still for {} s (suspended, or its machine is far too busy), so nobody can be blamed; without that it would be {}: {}",
        steps::seconds(ms),
        judgement.verdict,
        judgement.message
    );
    Judgement { offence: Some(at), notes: judgement.notes, ..Judgement::plain(Verdict::Error, message) }
}

fn expectations(case: &Case, view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for expect in &case.expect {
        let Err(unmet) = (expect.check)(view) else { continue };
        let verdict = match (unmet.inconclusive, expect.level) {
            (true, _) => Verdict::Inconclusive,
            (false, Level::Must) => Verdict::Fail,
            (false, _) => Verdict::Warning,
        };
        let own = if unmet.clauses.is_empty() { expect.cites.clone() } else { unmet.clauses };
        // Whatever the case is about, a message also has to be printed as documented.
        let mut more = unmet.besides;
        if expect.of_messages {
            more.extend_from_slice(&view.profile.message.cites);
        }
        let clauses = if more.is_empty() { own } else { besides(own, case, view, &more) };
        let mut finding = Finding::new(verdict, &expect.what, unmet.observed).citing(clauses);
        finding.at = unmet.at;
        finding.always = expect.always;
        findings.push(finding);
    }
    findings
}

/// Clauses that may be broken instead of those that the case is about, besides these: `own`, or the case's where there are none.
/// Of a case that only warns no statement of MQTT is named: nothing says yet that one is broken.
fn besides(own: Vec<String>, case: &Case, view: &View<'_>, more: &[String]) -> Vec<String> {
    let firm = |cite: &String| case.level == Level::Must || !cite.starts_with("MQTT-");
    let mut all =
        if own.is_empty() { case.all_cites(view.profile).into_iter().filter(firm).collect() } else { own };
    for cite in more {
        if !all.contains(cite) {
            all.push(cite.clone());
        }
    }
    all
}

/// The firmest finding decides; a case that binds only as a SHOULD never fails, it warns.
fn conclude(case: &Case, mut findings: Vec<Finding>) -> Judgement {
    if case.level < Level::Must {
        // What breaks a statement of MQTT breaks it here as well.
        let own = |f: &&mut Finding| !f.always && !f.clauses.iter().any(|clause| clause.starts_with("MQTT-"));
        for finding in findings.iter_mut().filter(|f| f.verdict == Verdict::Fail).filter(own) {
            finding.verdict = Verdict::Warning;
        }
    }
    let rank = |v: Verdict| match v {
        Verdict::Pass | Verdict::Skipped => 0,
        Verdict::Warning => 1,
        Verdict::Inconclusive => 2,
        Verdict::Error => 3,
        Verdict::Fail => 4,
    };
    // The first of the firmest: what came first is nearest to the cause.
    let Some(worst) = findings.iter().rev().max_by_key(|f| rank(f.verdict)).cloned() else {
        return Judgement::plain(Verdict::Pass, "");
    };
    let others = findings.iter().filter(|f| **f != worst);
    let notes =
        others.map(|f| format!("{}: expected {}; observed {}", f.verdict, f.expected, f.observed)).collect();
    Judgement {
        verdict: worst.verdict,
        message: message(&worst),
        expected: worst.expected,
        observed: worst.observed,
        clauses: worst.clauses,
        offence: worst.at,
        notes,
        uses: Vec::new(),
        kept: Vec::new(),
    }
}

/// The last event that is judged.
fn last_event(view: &View<'_>) -> Option<usize> {
    view.steps.last().map(|s| s.end.saturating_sub(1))
}

fn message(finding: &Finding) -> String {
    match finding.verdict {
        Verdict::Inconclusive => format!("the requirement was not provoked: {}", finding.observed),
        _ => format!("expected {}; observed {}", finding.expected, finding.observed),
    }
}
