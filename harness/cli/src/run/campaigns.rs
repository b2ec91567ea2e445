//! The campaigns of a run: each becomes one case of the record, its findings files of their own.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    ops::ControlFlow,
    path::Path,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use atspec_model::{case::Context, judge::excerpt, run::CaseRecord, timeline::Timeline, verdict::Verdict};
use atspec_rig::{bench::After, sitting::Sitting};
use atspec_suites::campaign::{
    FUZZ,
    action::Input,
    bytes::ByteMaps,
    case::case,
    finding::{self, Finding},
    fuzz::Fuzz,
    measure::{Measure, limits},
};

use super::{
    lane::Told,
    plan::{Lane, Plan},
    stand::Stand,
};
use crate::{bytes, measure, seat};

/// How long a failure is made smaller: one that hangs the module costs seconds in each sending, one of a slow line even more.
const SHRINKING: Duration = Duration::from_secs(45);

/// Recordings of the last passing tries of a campaign that are kept.
const RING: usize = 8;

/// The ids of all campaigns, in the order in which they are run.
pub(crate) fn ids() -> Vec<&'static str> {
    [measure::ID, bytes::ID].into_iter().chain(FUZZ.iter().map(|(id, ..)| *id)).collect()
}

/// Runs the lane's campaigns. Why nothing more can be done on this module, if so; a break where the operator interrupts.
pub(super) async fn run(
    plan: &Plan,
    lane: &Lane,
    dir: &Path,
    tell: &Sender<Told>,
    stand: &mut Stand<'_>,
    mut gone: Option<String>,
) -> ControlFlow<(), Option<String>> {
    let identity = stand.identity.clone();
    let mut sitting = stand.sitting();
    for &id in &lane.campaigns {
        let module = lane.profile.name.clone();
        let _ = tell.send(Told::CaseStarted { module: module.clone(), id: id.to_owned() });
        let began = Instant::now();
        if let Some(why) = &gone {
            let record = Box::new(not_run(lane, id, why));
            let _ = tell.send(Told::Case { record, timeline: None });
            continue;
        }
        let mut record = match run_one(plan, lane, dir, id, &mut sitting).await {
            Ok(record) => record,
            Err(After::Interrupted) => return ControlFlow::Break(()),
            Err(After::Dead(why) | After::PortGone(why)) => {
                let _ = tell.send(Told::Note { module, text: why.clone() });
                let record = not_run(lane, id, &why);
                gone = Some(why);
                record
            }
            Err(After::Ready) => not_run(lane, id, "it stopped for no reason"),
        };
        record.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        plan.waivers.apply(&mut record, &identity);
        let _ = tell.send(Told::Case { record: Box::new(record), timeline: None });
    }
    ControlFlow::Continue(gone)
}

async fn run_one(
    plan: &Plan,
    lane: &Lane,
    dir: &Path,
    id: &'static str,
    sitting: &mut Sitting<'_, '_>,
) -> Result<CaseRecord, After> {
    match FUZZ.iter().find(|(name, ..)| *name == id) {
        Some((_, kind, asks)) => {
            let campaign = if let Some(input) = &lane.replay {
                Fuzz::replay(&lane.profile, vec![input.clone()])
            } else {
                let before = earlier(dir, &lane.profile.name, id);
                Fuzz::new(&lane.profile, *kind, plan.seed, before, plan.fuzz_cases)
            };
            fuzz(plan, lane, dir, (id, asks), campaign, sitting).await
        }
        None if id == measure::ID => limits_hold(lane, dir, sitting).await,
        None => bytes_survive(lane, sitting).await,
    }
}

/// Drives a fuzz campaign and writes what it found.
async fn fuzz(
    plan: &Plan,
    lane: &Lane,
    dir: &Path,
    (id, asks): (&'static str, &str),
    mut campaign: Fuzz<'_>,
    sitting: &mut Sitting<'_, '_>,
) -> Result<CaseRecord, After> {
    let began = Instant::now();
    let over = |limit: Duration| began.elapsed() >= limit;
    let mut ring: VecDeque<Timeline> = VecDeque::new();
    let mut shrinks_since: Option<Instant> = None;
    seat::drive(sitting, &lane.profile, id, &mut campaign, |campaign, tried| {
        if plan.fuzz_time.is_some_and(over) {
            campaign.enough();
        }
        shrinks_since = campaign.is_shrinking().then(|| shrinks_since.unwrap_or_else(Instant::now));
        if shrinks_since.is_some_and(|since| since.elapsed() >= SHRINKING) {
            campaign.small_enough();
        }
        if ring.len() == RING {
            ring.pop_front();
        }
        ring.push_back(tried.timeline);
    })
    .await?;
    let mut record = plain(lane, id, asks);
    let counts = campaign.counts();
    record.notes.push(format!(
        "{} inputs, {} of them answered with success, {} wrong; {} sendings; seed {}, inputs {:016x}",
        counts.tried, counts.succeeded, counts.wrong, counts.sendings, plan.seed, counts.inputs
    ));
    record.notes.extend(campaign.told().lines());
    for file in campaign.healed() {
        record.notes.push(format!(
            "the earlier finding {file} does not fail any more: delete the file, or it is tried first in each run"
        ));
    }
    if counts.unclear > 0 {
        record.notes.push(format!("{} inputs came to no verdict", counts.unclear));
    }
    if counts.tried > 0 && counts.succeeded == 0 {
        record.verdict = Verdict::Warning;
        record.message = format!("all {} inputs were refused: nothing was tested", counts.tried);
        record.expected = String::from("some input to be taken");
        record.observed = String::from("nothing but refusals");
    }
    if counts.tried == 0 {
        record.verdict = Verdict::Skipped;
        record.message = format!("{} has nothing that this campaign could try", lane.profile.name);
    }
    for one in campaign.findings() {
        note(plan, lane, dir, id, one, &mut record);
    }
    let worst = campaign.findings().iter().max_by_key(|f| f.verdict);
    if let Some(worst) = worst {
        record.verdict = worst.verdict;
        record.expected.clone_from(&worst.expected);
        record.observed.clone_from(&worst.observed);
        record.message = format!("{}; it fails {}", worst.message, worst.often());
        let context = Context { profile: &lane.profile, bindings: &worst.timeline.header.bindings };
        let (case, _) = case(&context, id, &worst.input);
        record.excerpt = excerpt(&case, &lane.profile, &worst.timeline, worst.offence);
    }
    if let Some(timeline) = worst.map(|f| &f.timeline).or(ring.back()) {
        keep(lane, dir, id, timeline, &mut record);
    }
    Ok(record)
}

/// Writes a finding's files, and a line about it.
fn note(plan: &Plan, lane: &Lane, dir: &Path, id: &str, one: &Finding, record: &mut CaseRecord) {
    let name = format!("{}-{}", lane.profile.name, one.name(id));
    let file = dir.join("findings").join(format!("{name}.at"));
    let shown = file.display().to_string();
    let mut told = format!("{}: {} ({} ", one.verdict, one.observed, one.often());
    let _ = write!(told, "times, {} sendings to make it smaller): {shown}", one.shrinking);
    let text = one.to_at(id, plan.seed, &shown);
    let recording = file.with_extension("jsonl");
    let written = fs::create_dir_all(dir.join("findings"))
        .and_then(|()| fs::write(&file, text))
        .and_then(|()| fs::write(&recording, one.timeline.to_json_lines()));
    if let Err(e) = written {
        let _ = write!(told, " could not be written: {e}");
    }
    record.notes.push(told);
}

/// What an earlier run in the same directory found: it is tried first.
fn earlier(dir: &Path, module: &str, id: &str) -> Vec<(String, Input)> {
    let Ok(entries) = fs::read_dir(dir.join("findings")) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "at"));
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let one = finding::read(&fs::read_to_string(&path).ok()?).ok()?;
        Some((path.display().to_string(), one))
    };
    let own =
        paths.into_iter().filter_map(read).filter(|(_, one)| one.module == module && one.campaign == id);
    own.map(|(path, one)| (path, one.input)).collect()
}

/// Measures every limit.
async fn limits_hold(lane: &Lane, dir: &Path, sitting: &mut Sitting<'_, '_>) -> Result<CaseRecord, After> {
    let mut campaign = Measure::new(limits(&lane.profile));
    let mut last: Option<Timeline> = None;
    let id = measure::ID;
    seat::drive(sitting, &lane.profile, id, &mut campaign, |_, tried| last = Some(tried.timeline)).await?;
    let mut record = plain(lane, id, "the module holds every limit that its document names");
    let worst = campaign.done().iter().map(measure::verdict).max().unwrap_or(Verdict::Skipped);
    record.verdict = worst;
    let told = |one: &atspec_suites::campaign::measure::Measured| {
        format!("{} {}", one.limit.name, measure::in_words(one))
    };
    if let Some(one) =
        campaign.done().iter().find(|one| measure::verdict(one) == worst && worst != Verdict::Pass)
    {
        record.expected =
            format!("{} {:?} {}", one.limit.name, one.limit.end, one.limit.documented).to_lowercase();
        record.observed = measure::in_words(one);
        record.message = told(one);
        record.cites.clone_from(&one.limit.cites);
    }
    record.notes.extend(campaign.done().iter().map(told));
    if let Some(last) = &last {
        keep(lane, dir, id, last, &mut record);
    }
    Ok(record)
}

/// Maps every byte.
async fn bytes_survive(lane: &Lane, sitting: &mut Sitting<'_, '_>) -> Result<CaseRecord, After> {
    let mut campaign = ByteMaps::new(&lane.profile, |_| true);
    seat::drive(sitting, &lane.profile, bytes::ID, &mut campaign, |_, _| ()).await?;
    let asks = "every byte value that the document promises survives on each way in and out";
    let mut record = plain(lane, bytes::ID, asks);
    for map in campaign.maps() {
        let (verdict, wrong) = bytes::verdict(map);
        if verdict > record.verdict {
            record.verdict = verdict;
            record.expected = format!("{}: every promised byte kept", map.way.name());
            record.observed = wrong.join("; ");
            record.message = format!("{}: {}", map.way.name(), wrong.join("; "));
        }
        record.notes.push(bytes::in_words(map));
    }
    record.notes.push(format!("{} sendings", campaign.sendings()));
    Ok(record)
}

/// Writes the recording that stands for a campaign.
fn keep(lane: &Lane, dir: &Path, id: &str, timeline: &Timeline, record: &mut CaseRecord) {
    let file = format!("timelines/{}/{id}.jsonl", lane.profile.name);
    let up = "../".repeat(file.split('/').count() - 1);
    let mut timeline = timeline.clone();
    timeline.header.profile = Some(format!("{up}profiles/{}.toml", lane.profile.name));
    match super::stand::write(&dir.join(&file), &timeline.to_json_lines()) {
        Ok(()) => record.timeline = Some(file),
        Err(e) => record.notes.push(format!("the timeline could not be written: {e}")),
    }
}

/// A campaign that could not be run.
pub(super) fn not_run(lane: &Lane, id: &str, why: &str) -> CaseRecord {
    let mut record = plain(lane, id, "");
    record.verdict = Verdict::Error;
    record.message = format!("not run: {why}");
    record
}

fn plain(lane: &Lane, id: &str, asks: &str) -> CaseRecord {
    CaseRecord { asks: asks.to_owned(), ..CaseRecord::plain(&lane.profile.name, id, Verdict::Pass) }
}
