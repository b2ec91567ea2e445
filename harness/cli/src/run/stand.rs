//! A module on its bench, brought up, and one case after the other driven and judged.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use atspec_model::{
    case::{Case, Context},
    judge::stalled,
    profile::Profile,
    run::CaseRecord,
    timeline::{Bindings, Timeline},
    verdict::Verdict,
};
use atspec_rig::{
    bench::{After, Bench, Options},
    link::Address,
    sitting::Sitting,
};
use atspec_suites::{Catalogue, policy};
use tokio::sync::watch;

use super::plan::Port;
use crate::{judge, seat::Switch};

/// How often a case is driven again because the bench stood still in it. A machine that is that busy is no bench.
const MOST_STALLS: u32 = 3;

/// A module that answers, with its bench.
#[derive(Debug)]
pub(crate) struct Stand<'p> {
    bench: Bench<'p>,
    profile: &'p Profile,
    catalogue: &'p Catalogue,
    /// What the module says it is; empty where it says nothing.
    pub(crate) identity: String,
    /// An emulated module lives as long as its switch.
    switch: Option<Switch>,
}

/// Why there is no stand.
#[derive(Debug)]
pub(crate) enum NoStand {
    /// The operator interrupted.
    Interrupted,
    /// The module cannot be driven; the reason.
    Failed(String),
}

/// What driving a case came to.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The case came to a verdict; no timeline where it was not driven.
    Done { record: Box<CaseRecord>, timeline: Option<Box<Timeline>>, after: After },
    /// The operator interrupted.
    Interrupted,
}

impl<'p> Stand<'p> {
    /// Switches an emulated module on, listens, takes the port, and brings the module up.
    pub(crate) async fn set_up(
        profile: &'p Arc<Profile>,
        catalogue: &'p Catalogue,
        port: &Port,
        options: impl FnOnce(Address) -> Options,
        interrupted: watch::Receiver<bool>,
    ) -> Result<Self, NoStand> {
        let failed = |why: &dyn ToString| NoStand::Failed(why.to_string());
        let (options, switch) = match port {
            Port::Real(address) => (options(address.clone()), None),
            Port::Emulated(guise) => {
                let mut options = options(Address::Device(PathBuf::new()));
                let clock_factor = options.settings.clock_factor;
                let mut switch = Switch::new(Arc::clone(profile), guise, clock_factor);
                options.port =
                    switch.cycle().map_err(|e| failed(&format!("cannot make a pseudo-terminal: {e}")))?;
                (options, Some(switch))
            }
        };
        let mut bench = Bench::set_up(profile, options, interrupted).await.map_err(|e| failed(&e))?;
        let identity = match bench.bring_up().await {
            Ok(identity) => identity,
            Err(After::Ready) => String::new(),
            Err(After::Interrupted) => return Err(NoStand::Interrupted),
            Err(After::Dead(why) | After::PortGone(why)) => return Err(NoStand::Failed(why)),
        };
        Ok(Self { bench, profile, catalogue, identity, switch })
    }

    /// Drives a case and judges it, again as `retries` allows until it passes. With `dir` its timeline is written.
    pub(crate) async fn attempt(&mut self, id: &str, retries: u32, dir: Option<&Path>) -> Attempt {
        let mut respelled: Option<String> = None;
        let mut tries = 0;
        let mut stalls = 0;
        loop {
            let began = Instant::now();
            let bindings = self.bench.bindings(id, tries);
            let Some(case) = case(self.profile, self.catalogue, id, &bindings) else { break };
            if let Err(why) = case.applies(self.profile) {
                let record = plain(self.profile, &case, Verdict::Skipped, &why);
                return Attempt::Done { record: Box::new(record), timeline: None, after: After::Ready };
            }
            let (mut timeline, after) = self.bench.run(&case, bindings).await;
            if after == After::Interrupted {
                return Attempt::Interrupted;
            }
            let mut record = self.record(&case, &mut timeline, dir);
            record.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            record.retries = tries;
            if record.verdict == Verdict::Error
                && after == After::Ready
                && stalls < MOST_STALLS
                && stalled(&timeline).is_some()
            {
                stalls += 1;
                continue;
            }
            if stalls > 0 {
                record.notes.push(format!("driven again {stalls} ×, since the bench stood still"));
            }
            let good = matches!(record.verdict, Verdict::Pass | Verdict::Warning);
            if let Some(step) = respelled.take() {
                if good {
                    record
                        .notes
                        .push(format!("`{step}` was refused in its first spelling; the next one is used"));
                } else {
                    self.bench.unspell(&step);
                }
            } else if after == After::Ready
                && let Some(step) = self.bench.respell()
            {
                respelled = Some(step);
                continue;
            }
            if good || tries == retries || after != After::Ready {
                let timeline = Some(Box::new(timeline));
                return Attempt::Done { record: Box::new(record), timeline, after };
            }
            tries += 1;
        }
        unreachable!("every id that is driven is one of the module's cases, and the last try returns")
    }

    /// The module at the disposal of campaigns; an emulated one can be switched off and on.
    pub(crate) fn sitting(&mut self) -> Sitting<'_, 'p> {
        let power = self.switch.as_mut().map(Switch::power);
        Sitting::new(&mut self.bench, power)
    }

    /// The values of the first try of a case.
    pub(crate) fn bindings(&self, id: &str) -> Bindings {
        self.bench.bindings(id, 0)
    }

    /// The judged recording; written, where there is a directory for it.
    fn record(&self, case: &Case, timeline: &mut Timeline, dir: Option<&Path>) -> CaseRecord {
        let Some(dir) = dir else { return judge::record(case, self.profile, timeline, None).0 };
        let file = format!("timelines/{}/{}.jsonl", self.profile.name, case.id);
        let up = "../".repeat(file.split('/').count() - 1);
        timeline.header.profile = Some(format!("{up}profiles/{}.toml", self.profile.name));
        let (mut record, _) = judge::record(case, self.profile, timeline, Some(file.clone()));
        if let Err(e) = write(&dir.join(&file), &timeline.to_json_lines()) {
            record.notes.push(format!("the timeline could not be written: {e}"));
            record.timeline = None;
        }
        record
    }
}

/// A case of the module, or one that tries a policy.
pub(crate) fn case(profile: &Profile, catalogue: &Catalogue, id: &str, bindings: &Bindings) -> Option<Case> {
    let cx = Context { profile, bindings };
    catalogue.case(&cx, id).or_else(|| policy::case(&cx, id))
}

/// A record of a case that was not driven.
pub(crate) fn plain(profile: &Profile, case: &Case, verdict: Verdict, message: &str) -> CaseRecord {
    CaseRecord {
        level: case.level,
        cites: case.all_cites(profile),
        asks: case.asks.clone(),
        message: message.to_owned(),
        ..CaseRecord::plain(&profile.name, &case.id, verdict)
    }
}

pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
