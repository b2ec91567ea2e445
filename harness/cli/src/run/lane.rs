//! One module's part of a run, on a thread and a runtime of its own.

use std::{ops::ControlFlow, path::Path, sync::mpsc::Sender, time::Duration};

use atspec_model::{
    run::{CaseRecord, PolicyRecord, RunStart, SCHEMA},
    timeline::{Bindings, Timeline},
    verdict::Verdict,
};
use atspec_rig::bench::After;
use tokio::{runtime::Builder, sync::watch};

use super::{
    campaigns,
    plan::{Lane, Plan, Port},
    stand::{Attempt, NoStand, Stand, case, plain},
};
use crate::policies;

/// What a lane tells while it runs.
#[derive(Debug)]
pub(crate) enum Told {
    /// The module's part begins.
    ModuleStarted { start: RunStart, cases: usize },
    /// A case begins.
    CaseStarted { module: String, id: String },
    /// A case is finished.
    Case { record: Box<CaseRecord>, timeline: Option<Box<Timeline>> },
    /// A policy was tried.
    Policy { record: Box<PolicyRecord> },
    /// Something the operator should know at once.
    Note { module: String, text: String },
    /// The module's part is over.
    ModuleDone { module: String, complete: bool },
}

/// Drives all cases of a lane and tells what happens. Never panics on what a module does.
pub(crate) fn drive(
    plan: &Plan,
    lane: &Lane,
    dir: &Path,
    tell: &Sender<Told>,
    interrupted: &watch::Receiver<bool>,
    stopping: &watch::Receiver<bool>,
) {
    let module = lane.profile.name.clone();
    let complete = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let complete = runtime.block_on(run(plan, lane, dir, tell, interrupted.clone(), stopping));
            runtime.shutdown_timeout(Duration::from_secs(1));
            complete
        }
        Err(e) => {
            all_errors(plan, lane, tell, &format!("no runtime for this module: {e}"));
            true
        }
    };
    let _ = tell.send(Told::ModuleDone { module, complete });
}

/// `true` where every case came to a verdict.
async fn run(
    plan: &Plan,
    lane: &Lane,
    dir: &Path,
    tell: &Sender<Told>,
    interrupted: watch::Receiver<bool>,
    stopping: &watch::Receiver<bool>,
) -> bool {
    let options = |port| plan.options(port);
    let stand = Stand::set_up(&lane.profile, &lane.catalogue, &lane.port, options, interrupted.clone()).await;
    let mut stand = match stand {
        Ok(stand) => stand,
        Err(NoStand::Interrupted) => {
            start(plan, lane, tell, String::new());
            return false;
        }
        Err(NoStand::Failed(why)) => {
            all_errors(plan, lane, tell, &why);
            return true;
        }
    };
    start(plan, lane, tell, stand.identity.clone());
    let name = || lane.profile.name.clone();
    let mut gone: Option<String> = None;
    for id in &lane.cases {
        if *interrupted.borrow() || *stopping.borrow() {
            return false;
        }
        let _ = tell.send(Told::CaseStarted { module: name(), id: id.clone() });
        if let Some(why) = &gone {
            told_error(lane, tell, id, why);
            continue;
        }
        match stand.attempt(id, plan.retries, Some(dir)).await {
            Attempt::Done { mut record, timeline, after } => {
                plan.waivers.apply(&mut record, &stand.identity);
                let _ = tell.send(Told::Case { record, timeline });
                gone = match after {
                    After::Ready => None,
                    After::Interrupted => return false,
                    After::Dead(why) => Some(why),
                    After::PortGone(why) => Some(format!("the serial port is gone: {why}")),
                };
                if let Some(why) = &gone {
                    let text = format!("{why}; the cases that are left cannot be run");
                    let _ = tell.send(Told::Note { module: name(), text });
                }
            }
            Attempt::Interrupted => return false,
        }
    }
    match campaigns::run(plan, lane, dir, tell, &mut stand, gone).await {
        ControlFlow::Break(()) => false,
        ControlFlow::Continue(gone) => {
            try_policies(lane, &mut stand, dir, tell, (&interrupted, stopping), gone).await
        }
    }
}

/// The policies that were asked for, after everything that is about conformance: whatever becomes of the module here, no verdict
/// knows of it. `true` where each was tried.
async fn try_policies(
    lane: &Lane,
    stand: &mut Stand<'_>,
    dir: &Path,
    tell: &Sender<Told>,
    (interrupted, stopping): (&watch::Receiver<bool>, &watch::Receiver<bool>),
    mut gone: Option<String>,
) -> bool {
    let module = &lane.profile.name;
    for id in &lane.policies {
        if *interrupted.borrow() || *stopping.borrow() {
            return false;
        }
        if let Some(why) = &gone {
            policy_not_tried(lane, tell, id, why);
            continue;
        }
        let _ = tell.send(Told::CaseStarted { module: module.clone(), id: id.clone() });
        // Once: a policy that is kept only now and then is not kept.
        let Attempt::Done { record, after, .. } = stand.attempt(id, 0, Some(dir)).await else {
            return false;
        };
        told_policy(lane, tell, id, &stand.bindings(id), *record);
        gone = match after {
            After::Ready => None,
            After::Interrupted => return false,
            After::Dead(why) | After::PortGone(why) => Some(why),
        };
    }
    true
}

fn told_policy(lane: &Lane, tell: &Sender<Told>, id: &str, bindings: &Bindings, record: CaseRecord) {
    if let Some(case) = case(&lane.profile, &lane.catalogue, id, bindings) {
        let record = Box::new(policies::record(&case, record));
        let _ = tell.send(Told::Policy { record });
    }
}

/// A policy that cannot be tried: not applicable, or nothing to try it on.
fn policy_not_tried(lane: &Lane, tell: &Sender<Told>, id: &str, why: &str) {
    if let Some(record) = not_run(lane, id, why) {
        told_policy(lane, tell, id, &Bindings::default(), record);
    }
}

fn start(plan: &Plan, lane: &Lane, tell: &Sender<Told>, identity: String) {
    let start = RunStart {
        schema: SCHEMA,
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        atspec: env!("CARGO_PKG_VERSION").to_owned(),
        seed: plan.seed,
        module: lane.profile.name.clone(),
        identity,
        port: match &lane.port {
            Port::Emulated(guise) if guise.name.is_empty() => "emulated".to_owned(),
            Port::Emulated(guise) => format!("emulated:{}", guise.name),
            Port::Real(address) => address.to_string(),
        },
    };
    let _ = tell.send(Told::ModuleStarted { start, cases: lane.cases.len() + lane.campaigns.len() });
}

/// One case that cannot be run: error, or skipped where it would not apply anyway.
fn told_error(lane: &Lane, tell: &Sender<Told>, id: &str, why: &str) {
    if let Some(record) = not_run(lane, id, why) {
        let _ = tell.send(Told::Case { record: Box::new(record), timeline: None });
    }
}

fn not_run(lane: &Lane, id: &str, why: &str) -> Option<CaseRecord> {
    let case = case(&lane.profile, &lane.catalogue, id, &Bindings::default())?;
    Some(match case.applies(&lane.profile) {
        Err(reason) => plain(&lane.profile, &case, Verdict::Skipped, &reason),
        Ok(()) => plain(&lane.profile, &case, Verdict::Error, &format!("not run: {why}")),
    })
}

fn all_errors(plan: &Plan, lane: &Lane, tell: &Sender<Told>, why: &str) {
    start(plan, lane, tell, String::new());
    let _ = tell.send(Told::Note { module: lane.profile.name.clone(), text: why.to_owned() });
    for id in &lane.cases {
        told_error(lane, tell, id, why);
    }
    for id in &lane.policies {
        policy_not_tried(lane, tell, id, why);
    }
    for id in &lane.campaigns {
        let record = campaigns::not_run(lane, id, why);
        let _ = tell.send(Told::Case { record: Box::new(record), timeline: None });
    }
}
