//! One module's part of a run, on a thread and a runtime of its own: the link, the tap, the driver and, where the module is
//! emulated, the module too.

use std::{
    fs,
    path::Path,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use atspec_emulator::{Emulator, Options as EmulatorOptions, pseudo_terminal};
use atspec_model::{
    case::{Case, Context},
    run::{CaseRecord, PolicyRecord, RunStart, SCHEMA},
    timeline::{Bindings, Timeline},
    verdict::Verdict,
};
use atspec_rig::{
    bench::{After, Bench, Options},
    link::Address,
};
use atspec_suites::policy;
use tokio::{runtime::Builder, sync::watch};

use super::plan::{Lane, Plan, Port};
use crate::{judge, policies};

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
    let profile = &*lane.profile;
    // The emulated module lives as long as this scope.
    let (port, _emulated) = match &lane.port {
        Port::Real(address) => (address.clone(), None),
        Port::Emulated(deviation) => match pseudo_terminal() {
            Ok((io, path, guard)) => {
                let clock_factor = plan.settings.clock_factor;
                let deviation = deviation.as_ref().map(|(_, deviation)| *deviation);
                let options = EmulatorOptions {
                    clock_factor,
                    boot_lines: true,
                    deviation,
                    ..EmulatorOptions::default()
                };
                let emulated = Emulator::spawn(lane.profile.clone(), options, io);
                (Address::Device(path), Some((emulated, guard)))
            }
            Err(e) => {
                all_errors(plan, lane, tell, &format!("cannot make a pseudo-terminal: {e}"));
                return true;
            }
        },
    };
    let options = Options {
        port,
        baud: plan.baud,
        listen: plan.listen,
        advertise: plan.advertise.clone(),
        broker: plan.broker.clone(),
        settings: plan.settings,
        seed: plan.seed,
    };
    let mut bench = match Bench::set_up(profile, options, interrupted.clone()).await {
        Ok(bench) => bench,
        Err(e) => {
            all_errors(plan, lane, tell, &e.to_string());
            return true;
        }
    };
    let identity = match bench.bring_up().await {
        Ok(identity) => identity,
        Err(After::Interrupted) => {
            start(plan, lane, tell, String::new());
            return false;
        }
        Err(After::Dead(why) | After::PortGone(why)) => {
            all_errors(plan, lane, tell, &why);
            return true;
        }
        Err(After::Ready) => String::new(),
    };
    start(plan, lane, tell, identity.clone());
    let mut gone: Option<String> = None;
    for id in &lane.cases {
        if *interrupted.borrow() || *stopping.borrow() {
            return false;
        }
        let _ = tell.send(Told::CaseStarted { module: profile.name.clone(), id: id.clone() });
        if let Some(why) = &gone {
            told_error(lane, tell, id, why);
            continue;
        }
        match attempt(lane, &mut bench, id, dir, plan.retries).await {
            Attempt::Done { mut record, timeline, after } => {
                plan.waivers.apply(&mut record, &identity);
                let _ = tell.send(Told::Case { record, timeline });
                gone = match after {
                    After::Ready => None,
                    After::Interrupted => return false,
                    After::Dead(why) => Some(why),
                    After::PortGone(why) => Some(format!("the serial port is gone: {why}")),
                };
                if let Some(why) = &gone {
                    let text = format!("{why}; the cases that are left cannot be run");
                    let _ = tell.send(Told::Note { module: profile.name.clone(), text });
                }
            }
            Attempt::Interrupted => return false,
        }
    }
    try_policies(lane, &mut bench, dir, tell, (&interrupted, stopping), gone).await
}

/// The policies that were asked for, after everything that is about conformance: whatever becomes of the module here, no verdict
/// knows of it. `true` where each was tried.
async fn try_policies(
    lane: &Lane,
    bench: &mut Bench<'_>,
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
        let Attempt::Done { record, after, .. } = attempt(lane, bench, id, dir, 0).await else {
            return false;
        };
        told_policy(lane, tell, id, &bench.bindings(id, 0), *record);
        gone = match after {
            After::Ready => None,
            After::Interrupted => return false,
            After::Dead(why) | After::PortGone(why) => Some(why),
        };
    }
    true
}

fn told_policy(lane: &Lane, tell: &Sender<Told>, id: &str, bindings: &Bindings, record: CaseRecord) {
    if let Some(case) = case(lane, id, bindings) {
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

enum Attempt {
    Done { record: Box<CaseRecord>, timeline: Option<Box<Timeline>>, after: After },
    Interrupted,
}

/// A case, repeated as often as is `allowed` until it passes.
async fn attempt(lane: &Lane, bench: &mut Bench<'_>, id: &str, dir: &Path, allowed: u32) -> Attempt {
    let profile = &*lane.profile;
    let mut respelled: Option<String> = None;
    let mut retries = 0;
    loop {
        let began = Instant::now();
        let bindings = bench.bindings(id, retries);
        let Some(case) = case(lane, id, &bindings) else { break };
        if let Err(why) = case.applies(profile) {
            let record = plain(lane, &case, Verdict::Skipped, &why);
            return Attempt::Done { record: Box::new(record), timeline: None, after: After::Ready };
        }
        let (mut timeline, after) = bench.run(&case, bindings).await;
        if after == After::Interrupted {
            return Attempt::Interrupted;
        }
        let file = format!("timelines/{}/{id}.jsonl", profile.name);
        let up = "../".repeat(file.split('/').count() - 1);
        timeline.header.profile = Some(format!("{up}profiles/{}.toml", profile.name));
        let (mut record, judgement) = judge::record(&case, profile, &timeline, Some(file.clone()));
        record.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        record.retries = retries;
        if let Err(e) = write(&dir.join(&file), &timeline.to_json_lines()) {
            record.notes.push(format!("the timeline could not be written: {e}"));
            record.timeline = None;
        }
        let good = matches!(judgement.verdict, Verdict::Pass | Verdict::Warning);
        if let Some(step) = respelled.take() {
            if good {
                record
                    .notes
                    .push(format!("`{step}` was refused in its first spelling; the next one is used"));
            } else {
                bench.unspell(&step);
            }
        } else if after == After::Ready
            && let Some(step) = bench.respell()
        {
            respelled = Some(step);
            continue;
        }
        if good || retries == allowed || after != After::Ready {
            return Attempt::Done { record: Box::new(record), timeline: Some(Box::new(timeline)), after };
        }
        retries += 1;
    }
    unreachable!("every id of a lane is one of its cases, and the last try returns")
}

fn case(lane: &Lane, id: &str, bindings: &Bindings) -> Option<Case> {
    let cx = Context { profile: &lane.profile, bindings };
    lane.catalogue.case(&cx, id).or_else(|| policy::case(&cx, id))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
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
            Port::Emulated(None) => "emulated".to_owned(),
            Port::Emulated(Some((name, _))) => format!("emulated:{name}"),
            Port::Real(address) => address.to_string(),
        },
    };
    let _ = tell.send(Told::ModuleStarted { start, cases: lane.cases.len() });
}

/// A record of a case that was not driven.
fn plain(lane: &Lane, case: &Case, verdict: Verdict, message: &str) -> CaseRecord {
    CaseRecord {
        module: lane.profile.name.clone(),
        id: case.id.clone(),
        verdict,
        level: case.level,
        cites: case.all_cites(&lane.profile),
        asks: case.asks.clone(),
        took_ms: 0,
        expected: String::new(),
        observed: String::new(),
        message: message.to_owned(),
        notes: Vec::new(),
        uses: Vec::new(),
        kept: Vec::new(),
        excerpt: Vec::new(),
        retries: 0,
        timeline: None,
    }
}

/// One case that cannot be run: error, or skipped where it would not apply anyway.
fn told_error(lane: &Lane, tell: &Sender<Told>, id: &str, why: &str) {
    if let Some(record) = not_run(lane, id, why) {
        let _ = tell.send(Told::Case { record: Box::new(record), timeline: None });
    }
}

fn not_run(lane: &Lane, id: &str, why: &str) -> Option<CaseRecord> {
    let case = case(lane, id, &Bindings::default())?;
    Some(match case.applies(&lane.profile) {
        Err(reason) => plain(lane, &case, Verdict::Skipped, &reason),
        Ok(()) => plain(lane, &case, Verdict::Error, &format!("not run: {why}")),
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
}
