//! The driving: many emulated modules side by side, each with a part of its cases, since a module mostly waits.
//!
//! A module that dies under a case is switched on anew for the next one. What comes out otherwise than the deviant's file says
//! is driven once more when the machine has little else to do, and the second verdict counts: a bench that is too busy to keep
//! its times must not decide about a case.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use atspec_model::{run::CaseRecord, timeline::Settings};
use atspec_rig::{
    bench::{After, Options},
    link::Address,
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{runtime::Builder, sync::watch};

use super::{plan::Plan, score};
use crate::{
    failure::Failure,
    guise::Guise,
    run::{Attempt, EMULATED_CLOCK, MARGIN_MS, NoStand, Port, Stand},
};

/// So many cases are driven on one module before another begins anew: a part must not last long where each case ends in vain.
const PART: usize = 16;

/// What the bench may be late by in the first round, in ms; half of what it is given elsewhere, since every silence of a deviant
/// is waited for so long. What this spoils is driven again.
const SHORT_MARGIN_MS: u64 = MARGIN_MS / 2;

/// How many times in a row a module is switched on in vain.
const STARTS: usize = 3;

/// A deviant, or the faithful module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A module without a defect, by its index.
    Faithful(usize),
    /// A deviant, by its index.
    Deviant(usize),
    /// A module in a variant, by its index, and the how manieth time.
    Other(usize, u16),
}

/// The record of every case that was driven, by module and case; of variants only what is not green.
pub(crate) type Driven = BTreeMap<(Who, String), CaseRecord>;

/// What was driven a second time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Again {
    /// So many cases.
    pub(crate) cases: usize,
    /// So many of them came to another verdict.
    pub(crate) changed: usize,
}

/// How a number of parts is driven.
#[derive(Debug, Clone, Copy)]
struct Round {
    what: &'static str,
    /// Threads.
    jobs: usize,
    margin_ms: u64,
}

/// Some cases of one module.
#[derive(Debug)]
struct Part {
    who: Who,
    cases: Vec<String>,
}

/// Drives a plan.
#[derive(Debug)]
pub(crate) struct Drive<'a> {
    plan: &'a Plan,
    interrupted: watch::Receiver<bool>,
}

impl<'a> Drive<'a> {
    pub(crate) fn new(plan: &'a Plan, interrupted: watch::Receiver<bool>) -> Self {
        Self { plan, interrupted }
    }

    /// Drives everything, and once more what comes out otherwise than expected.
    pub(crate) fn all(&self) -> Result<(Driven, Again), Failure> {
        let plan = self.plan;
        let faithful = plan.modules.iter().enumerate().map(|(i, module)| (Who::Faithful(i), &module.cases));
        let deviants = plan
            .subjects
            .iter()
            .enumerate()
            .map(|(i, subject)| (Who::Deviant(i), &plan.modules[subject.module].cases));
        let cut = faithful
            .chain(deviants)
            .flat_map(|(who, cases)| cases.chunks(PART).map(move |part| Part { who, cases: part.to_vec() }));
        // A variant is driven as a user would; that takes longest, so it begins first.
        let whole = plan.others.iter().enumerate().flat_map(|(i, other)| {
            (0..plan.rounds).map(move |n| Part { who: Who::Other(i, n), cases: other.cases.clone() })
        });
        let round = Round { what: "cases", jobs: plan.jobs, margin_ms: SHORT_MARGIN_MS };
        let mut driven = self.parts(whole.chain(cut).collect(), round)?;
        let doubtful = score::doubtful(plan, &driven);
        let again = doubtful
            .into_iter()
            .flat_map(|(who, cases)| {
                cases.chunks(PART).map(|part| Part { who, cases: part.to_vec() }).collect::<Vec<_>>()
            })
            .collect();
        let round = Round { what: "again", jobs: plan.jobs.div_ceil(2), margin_ms: MARGIN_MS };
        let again = self.parts(again, round)?;
        let other = |(key, record): &(&(Who, String), &CaseRecord)| {
            driven.get(*key).is_none_or(|first| first.verdict != record.verdict)
        };
        let told = Again { cases: again.len(), changed: again.iter().filter(other).count() };
        driven.extend(again);
        Ok((driven, told))
    }

    /// Drives parts side by side.
    fn parts(&self, parts: Vec<Part>, round: Round) -> Result<Driven, Failure> {
        let progress = progress(parts.iter().map(|part| part.cases.len() as u64).sum(), round.what);
        let queue = Mutex::new(parts.into_iter());
        let driven = Mutex::new(Driven::new());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || -> Result<(), Failure> {
            while let Some(part) = next() {
                if *self.interrupted.borrow() {
                    break;
                }
                let records = self.part(&part, round)?;
                progress.inc(part.cases.len() as u64);
                let mut driven = driven.lock().unwrap_or_else(PoisonError::into_inner);
                // Of variants nothing else is looked at, and there are many.
                let counts =
                    |record: &CaseRecord| !matches!(part.who, Who::Other(..)) || !score::is_green(record);
                let records = records.into_iter().filter(counts);
                driven.extend(records.map(|record| ((part.who, record.id.clone()), record)));
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..round.jobs).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(Failure::bench("a bench panicked; see above")))
            })
        })?;
        progress.finish_and_clear();
        Ok(driven.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Drives a part on a runtime of its own.
    fn part(&self, part: &Part, round: Round) -> Result<Vec<CaseRecord>, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::bench(format!("no runtime: {e}")))?;
        let records = runtime.block_on(self.cases(part, round));
        runtime.shutdown_timeout(Duration::from_secs(1));
        records
    }

    async fn cases(&self, part: &Part, round: Round) -> Result<Vec<CaseRecord>, Failure> {
        let mut records = Vec::new();
        let mut stand = None;
        for id in &part.cases {
            let mut standing = match stand.take() {
                Some(standing) => standing,
                None => match self.stand(part.who, round).await? {
                    Some(standing) => standing,
                    None => return Ok(records),
                },
            };
            match standing.attempt(id, 0, None).await {
                Attempt::Interrupted => return Ok(records),
                Attempt::Done { record, after, .. } => {
                    records.push(*record);
                    stand = (after == After::Ready).then_some(standing);
                }
            }
        }
        Ok(records)
    }

    /// Switches a module on; none where the operator interrupts.
    async fn stand(&self, who: Who, round: Round) -> Result<Option<Stand<'a>>, Failure> {
        let plain = Guise::default();
        let (module, guise, times) = match who {
            Who::Faithful(i) => (i, plain, (round.margin_ms, Duration::ZERO)),
            Who::Deviant(i) => {
                let subject = &self.plan.subjects[i];
                let deviation = Some(subject.deviant.deviation);
                let guise = Guise { name: subject.name.to_owned(), deviation, ..plain };
                (subject.module, guise, (round.margin_ms, Duration::ZERO))
            }
            Who::Other(i, _) => {
                let other = &self.plan.others[i];
                let guise = Guise { name: other.name.clone(), temper: other.variant.temper.clone(), ..plain };
                // One that is right in another way may have a clock of its own.
                (other.module, guise, (MARGIN_MS, Duration::from_millis(1)))
            }
        };
        let module = &self.plan.modules[module];
        let port = Port::Emulated(guise);
        let options = |port| options(port, times);
        let mut last = String::new();
        for _ in 0..STARTS {
            let interrupted = self.interrupted.clone();
            match Stand::set_up(&module.profile, &module.catalogue, &port, options, interrupted).await {
                Ok(stand) => return Ok(Some(stand)),
                Err(NoStand::Interrupted) => return Ok(None),
                Err(NoStand::Failed(why)) => last = why,
            }
        }
        Err(Failure::bench(format!("{}: {last}", module.profile.name)))
    }
}

/// The bench of an emulated module.
fn options(port: Address, (margin_ms, least_quiet): (u64, Duration)) -> Options {
    Options {
        port,
        baud: None,
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        broker: None,
        settings: Settings { clock_factor: EMULATED_CLOCK, margin_ms },
        least_quiet,
        seed: 1,
    }
}

/// A line on standard error while it lasts; on a terminal only.
fn progress(cases: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {pos} of {len}, {elapsed}, {eta} to go {wide_bar}");
    let bar = ProgressBar::new(cases).with_prefix(what);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
