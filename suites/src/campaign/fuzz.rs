//! Hard inputs one after the other; what goes wrong is done again, made smaller, and told once.

use std::collections::{BTreeMap, VecDeque};

use atspec_model::{
    judge::{StepView, View},
    profile::Profile,
    timeline::Timeline,
    verdict::{Judgement, Verdict},
};

use super::{
    Came, Campaign, Next,
    action::{Action, Bytes, Input},
    finding::{Finding, kind},
    generate::{Generator, Kind},
    shrink::Shrinker,
    sweep,
    tell::Told,
};

/// How often the smallest input is done again, to tell how often it fails.
const AGAIN: usize = 5;

/// How often an input is done again that failed once and then did not: enough for one that fails one time in twenty.
const FLAKY: usize = 60;

/// A campaign that has found so many kinds of trouble tells them rather than looks for more.
const ENOUGH: usize = 12;

/// A kind of trouble that came so often makes every other input wait for it: the rest is left.
const MANY_ALIKE: usize = 40;

/// Counts of a campaign, made as it goes since passing tries leave no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Inputs tried, without those done again to make one smaller.
    pub tried: usize,
    /// Of those, with something answered with success.
    pub succeeded: usize,
    /// Of those, not as they should be.
    pub wrong: usize,
    /// Of those, without a verdict: a means failed, or the bench.
    pub unclear: usize,
    /// Sendings in all.
    pub sendings: usize,
    /// A fingerprint of the inputs and their order (FNV-1a): the same seed gives the same on the same module.
    pub inputs: u64,
}

/// The campaign.
#[derive(Debug)]
pub struct Fuzz<'p> {
    profile: &'p Profile,
    waiting: VecDeque<Input>,
    generator: Option<Generator<'p>>,
    left: usize,
    phase: Phase,
    before: Option<Input>,
    findings: Vec<Finding>,
    kinds: BTreeMap<String, usize>,
    counts: Counts,
    told: Told,
    /// Findings of earlier runs by their files, in the order in which they are tried, and those of them that fail no more.
    earlier: VecDeque<String>,
    healed: Vec<String>,
}

/// What the last input is for.
#[derive(Debug)]
enum Phase {
    /// Nothing is under way.
    Idle,
    /// An input of its own.
    Drive(Input),
    /// A failed one again, by itself on a fresh module.
    Confirm(Trouble),
    /// The same behind the one before it.
    History(Trouble, Input),
    /// Made smaller.
    Shrink(Trouble, Shrinker),
    /// The smallest, again and again.
    Again(Trouble),
    /// One that failed once, again and again until it does.
    Flaky(Trouble),
}

/// A failure under examination.
#[derive(Debug)]
struct Trouble {
    /// The smallest input so far.
    input: Input,
    /// The one that it was made of.
    whole: Option<Input>,
    /// Its verdict, in the recording that showed it best.
    seen: Seen,
    failed: usize,
    done: usize,
    shrinking: usize,
    with_history: bool,
}

/// A failure as it was seen.
#[derive(Debug, Clone)]
struct Seen {
    judgement: Judgement,
    timeline: Timeline,
}

impl<'p> Fuzz<'p> {
    /// A campaign of a kind over a module: first what was found before, then the sweep, then so many that are drawn.
    pub fn new(
        profile: &'p Profile,
        kind: Kind,
        seed: u64,
        before: Vec<(String, Input)>,
        cases: usize,
    ) -> Self {
        let bindings =
            atspec_model::timeline::Bindings { topic: "At/abcdefgh".to_owned(), ..Default::default() };
        let cx = atspec_model::case::Context { profile, bindings: &bindings };
        let swept = match kind {
            Kind::Payloads => sweep::payloads(&cx),
            Kind::Topics => sweep::topics(&cx),
            Kind::Messages => sweep::messages(&cx),
            Kind::Data => sweep::data(&cx),
            Kind::States => sweep::states(profile),
            Kind::Lines | Kind::Sequences => Vec::new(),
        };
        let (earlier, before): (VecDeque<String>, Vec<Input>) = before.into_iter().unzip();
        let waiting: VecDeque<Input> = before.into_iter().chain(swept).collect();
        let generator = Some(Generator::new(profile, kind, seed));
        Self { earlier, ..Self::over(profile, waiting, generator, cases) }
    }

    /// Only these inputs.
    pub fn replay(profile: &'p Profile, inputs: Vec<Input>) -> Self {
        Self::over(profile, inputs.into(), None, 0)
    }

    fn over(
        profile: &'p Profile,
        waiting: VecDeque<Input>,
        generator: Option<Generator<'p>>,
        left: usize,
    ) -> Self {
        Self {
            profile,
            waiting,
            generator,
            left,
            phase: Phase::Idle,
            before: None,
            findings: Vec::new(),
            kinds: BTreeMap::new(),
            counts: Counts::default(),
            told: Told::default(),
            earlier: VecDeque::new(),
            healed: Vec::new(),
        }
    }

    /// Nothing new is begun any more; what is under way is brought to its end.
    pub fn enough(&mut self) {
        self.waiting.clear();
        self.left = 0;
    }

    /// Whether a failure is being made smaller.
    pub fn is_shrinking(&self) -> bool {
        matches!(self.phase, Phase::Shrink(..))
    }

    /// What is being made smaller is small enough, since that has taken long.
    pub fn small_enough(&mut self) {
        if let Phase::Shrink(_, shrinker) = &mut self.phase {
            shrinker.stop();
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was seen where no document says anything.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The files of earlier findings that did not fail any more.
    pub fn healed(&self) -> &[String] {
        &self.healed
    }

    /// How much was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn fresh_input(&mut self) -> Option<Input> {
        if self.findings.len() >= ENOUGH {
            return None;
        }
        if let Some(input) = self.waiting.pop_front() {
            return Some(input);
        }
        self.left = self.left.checked_sub(1)?;
        self.generator.as_mut()?.draw()
    }

    /// A finding is complete.
    fn found(&mut self, trouble: Trouble) {
        let Trouble { input, seen, failed, done, shrinking, with_history, .. } = trouble;
        let Seen { mut judgement, timeline } = seen;
        // What was seen once and then never again may be the bench's own doing: it is told, and fails nobody.
        if failed == 0 {
            judgement.verdict = judgement.verdict.min(Verdict::Warning);
        }
        let kind = kind(&judgement.observed);
        // Made smaller, it may have turned out to be one that is known.
        let known = self.findings.iter_mut().find(|f| f.kind == kind && f.verdict == judgement.verdict);
        if let Some(known) = known {
            known.alike += 1;
        } else {
            self.kinds.entry(kind.clone()).or_insert(0);
            self.findings.push(Finding {
                kind,
                input,
                verdict: judgement.verdict,
                expected: judgement.expected,
                observed: judgement.observed,
                message: judgement.message,
                failed: (failed, done),
                shrinking,
                alike: 0,
                with_history,
                timeline,
                offence: judgement.offence,
            });
        }
        self.phase = Phase::Idle;
    }

    /// An input of its own has come to its verdict.
    fn driven(&mut self, input: Input, came: &Came<'_>) {
        self.counts.tried += 1;
        self.counts.succeeded += usize::from(succeeded(came));
        self.counts.inputs = fingerprint(self.counts.inputs, &input);
        self.told.learn(&input, came);
        if let Some(file) = self.earlier.pop_front()
            && matches!(came.judgement.verdict, Verdict::Pass | Verdict::Skipped)
        {
            self.healed.push(file);
        }
        let before = self.before.replace(input.clone());
        match came.judgement.verdict {
            Verdict::Pass | Verdict::Skipped => return,
            Verdict::Inconclusive | Verdict::Error => {
                self.counts.unclear += 1;
                return;
            }
            Verdict::Warning | Verdict::Fail => self.counts.wrong += 1,
        }
        if let Some(alike) = self.kinds.get_mut(&kind(&came.judgement.observed)) {
            *alike += 1;
            if *alike > MANY_ALIKE {
                self.enough();
            }
            return;
        }
        self.kinds.insert(kind(&came.judgement.observed), 0);
        let trouble = Trouble {
            input,
            whole: None,
            seen: Seen::of(came),
            failed: 0,
            done: 0,
            shrinking: 0,
            with_history: false,
        };
        self.before = before;
        self.phase = Phase::Confirm(trouble);
    }
}

impl Seen {
    fn of(came: &Came<'_>) -> Self {
        Self { judgement: came.judgement.clone(), timeline: came.timeline.clone() }
    }
}

impl Trouble {
    /// Whether another try is as bad.
    fn repeats(&self, came: &Came<'_>) -> bool {
        match self.seen.judgement.verdict {
            Verdict::Fail => came.judgement.verdict == Verdict::Fail,
            _ => matches!(came.judgement.verdict, Verdict::Fail | Verdict::Warning),
        }
    }
}

impl Campaign for Fuzz<'_> {
    fn next(&mut self) -> Option<Next> {
        self.counts.sendings += 1;
        loop {
            match &mut self.phase {
                Phase::Idle | Phase::Drive(_) => {
                    let input = self.fresh_input()?;
                    self.phase = Phase::Drive(input.clone());
                    return Some(Next { input, fresh: false });
                }
                Phase::History(_, input) => return Some(Next { input: input.clone(), fresh: true }),
                Phase::Confirm(trouble) | Phase::Again(trouble) => {
                    return Some(Next { input: trouble.input.clone(), fresh: true });
                }
                Phase::Flaky(trouble) => return Some(Next { input: trouble.input.clone(), fresh: false }),
                Phase::Shrink(_, shrinker) => {
                    if let Some(input) = shrinker.smaller() {
                        // What several things leave behind in the module must not decide for the next try, not even where
                        // that leaves but one of them.
                        let fresh = shrinker.began_with() > 1;
                        return Some(Next { input, fresh });
                    }
                }
            }
            // The shrinking is over.
            if let Phase::Shrink(mut trouble, shrinker) = std::mem::replace(&mut self.phase, Phase::Idle) {
                trouble.whole = Some(trouble.input);
                trouble.input = shrinker.best().clone();
                trouble.shrinking = shrinker.used();
                self.phase = Phase::Again(trouble);
            }
        }
    }

    fn learn(&mut self, came: &Came<'_>) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => {}
            Phase::Drive(input) => self.driven(input, came),
            Phase::Confirm(mut trouble) => {
                if trouble.repeats(came) {
                    trouble.seen = Seen::of(came);
                    let shrinker = Shrinker::new(trouble.input.clone());
                    self.phase = Phase::Shrink(trouble, shrinker);
                } else if let Some(before) = &self.before {
                    let actions = [before.actions.clone(), trouble.input.actions.clone()].concat();
                    self.phase = Phase::History(trouble, Input { actions });
                } else {
                    self.phase = Phase::Flaky(simplest(trouble));
                }
            }
            Phase::History(mut trouble, input) => {
                if trouble.repeats(came) {
                    trouble.seen = Seen::of(came);
                    trouble.with_history = true;
                    trouble.input = input.clone();
                    self.phase = Phase::Shrink(trouble, Shrinker::new(input));
                } else {
                    self.phase = Phase::Flaky(simplest(trouble));
                }
            }
            Phase::Shrink(mut trouble, mut shrinker) => {
                let failed = trouble.repeats(came);
                shrinker.learn(failed);
                if failed {
                    trouble.seen = Seen::of(came);
                }
                self.phase = Phase::Shrink(trouble, shrinker);
            }
            Phase::Again(mut trouble) => {
                trouble.done += 1;
                if trouble.repeats(came) {
                    trouble.failed += 1;
                    trouble.seen = Seen::of(came);
                }
                if trouble.done < AGAIN {
                    self.phase = Phase::Again(trouble);
                } else if let Some(whole) = trouble.whole.take().filter(|_| trouble.failed == 0) {
                    // It was made too small by something that it does not hold itself.
                    self.phase = Phase::Again(Trouble { input: whole, done: 0, ..trouble });
                } else {
                    self.found(trouble);
                }
            }
            Phase::Flaky(mut trouble) => {
                trouble.done += 1;
                if trouble.repeats(came) {
                    trouble.failed += 1;
                    trouble.seen = Seen::of(came);
                }
                if trouble.done < FLAKY { self.phase = Phase::Flaky(trouble) } else { self.found(trouble) }
            }
        }
        debug_assert!(came.profile.name == self.profile.name, "a campaign is for one module");
    }
}

/// The plainest input that does the same: where a failure comes and goes, nothing else can be told to matter.
fn simplest(mut trouble: Trouble) -> Trouble {
    let plain = || Bytes(b"a".to_vec());
    for action in &mut trouble.input.actions {
        match action {
            Action::Publish(publication) => publication.payload = plain(),
            Action::Receive(message) if message.payload.0.len() > 8 => {
                message.payload.0 = b"abcdefgh".to_vec();
            }
            _ => {}
        }
    }
    trouble
}

/// The fingerprint of all inputs before, and of this one.
fn fingerprint(before: u64, input: &Input) -> u64 {
    let start = if before == 0 { 0xcbf2_9ce4_8422_2325 } else { before };
    let bytes = input.to_json().into_bytes();
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether anything behind the opening was answered with success, or printed.
fn succeeded(came: &Came<'_>) -> bool {
    let view = View::new(came.case, came.profile, came.timeline);
    !view.messages.is_empty() || view.steps.iter().any(|s| s.index >= came.opening && StepView::claimed(s))
}
