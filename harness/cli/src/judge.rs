//! `atspec judge`: the verdict again, from the recording alone.

use std::{fs, path::Path};

use atspec_model::{
    case::{Case, Context},
    judge::{excerpt, judge as judge_case},
    profile::Profile,
    run::{CaseRecord, PolicyRecord, RunEnd},
    timeline::Timeline,
    verdict::{Judgement, Verdict},
};
use atspec_reports::words;
use atspec_suites::campaign::{action::Input, case::case as campaign_case};

use crate::{args::JudgeArgs, failure::Failure, modules, out, policies};

/// Judges every timeline; the exit code is that of a run with these verdicts.
pub(crate) fn judge(args: &JudgeArgs) -> Result<u8, Failure> {
    let mut records = Vec::new();
    for path in &args.timelines {
        let record = match judge_file(path, args.module.as_deref())? {
            Judged::Case(record) => *record,
            // Apart from conformance, here too: it is told, and the exit code does not know it.
            Judged::Policy(record) => {
                out::line(words::of_policy(&record).trim_end())?;
                continue;
            }
        };
        let told = words::of_case(&record, Path::new(""));
        let told = if record.verdict == Verdict::Pass {
            format!("PASS {} {}", record.module, record.id)
        } else {
            told
        };
        out::line(told.trim_end())?;
        records.push(record);
    }
    Ok(RunEnd::count(&records, false).exit_code(args.strict))
}

/// What a recording is one of.
enum Judged {
    Case(Box<CaseRecord>),
    Policy(Box<PolicyRecord>),
}

fn judge_file(path: &Path, module: Option<&str>) -> Result<Judged, Failure> {
    let file = path.display();
    let (timeline, profile) = load(path, module)?;
    let case = case_of(&timeline, &profile).ok_or_else(|| {
        Failure::usage(format!(
            "{file}: there is no case `{}` for {} in this atspec; `atspec list` shows every case",
            timeline.header.case, profile.name
        ))
    })?;
    let (record, _) = record(&case, &profile, &timeline, Some(file.to_string()));
    Ok(match case.policy {
        None => Judged::Case(Box::new(record)),
        Some(_) => Judged::Policy(Box::new(policies::record(&case, record))),
    })
}

/// A timeline, and the profile it was made with or `module`.
pub(crate) fn load(path: &Path, module: Option<&str>) -> Result<(Timeline, Profile), Failure> {
    let file = path.display();
    let text = fs::read(path).map_err(|e| Failure::usage(format!("cannot read {file}: {e}")))?;
    let text = String::from_utf8(text).map_err(|e| Failure::usage(format!("{file} is not text: {e}")))?;
    let timeline = Timeline::from_json_lines(&text).map_err(|e| Failure::usage(format!("{file}: {e}")))?;
    let profile = profile_of(path, &timeline, module)?;
    Ok((timeline, profile))
}

/// The case that a timeline is of, if this atspec has it. One of a campaign is made of what it tried.
pub(crate) fn case_of(timeline: &Timeline, profile: &Profile) -> Option<Case> {
    let context = Context { profile, bindings: &timeline.header.bindings };
    match &timeline.header.input {
        Some(input) => Some(campaign_case(&context, &timeline.header.case, &Input::from_json(input).ok()?).0),
        None => policies::any_case(&context, &timeline.header.case),
    }
}

/// The profile of the run, from the copy beside its timelines, or the built-in one.
fn profile_of(path: &Path, timeline: &Timeline, module: Option<&str>) -> Result<Profile, Failure> {
    if let Some(name) = module {
        return modules::find(name);
    }
    let copy = timeline.header.profile.as_ref().map(|p| path.parent().unwrap_or(Path::new("")).join(p));
    match copy.filter(|copy| copy.is_file()) {
        Some(copy) => modules::find(&copy.to_string_lossy()),
        None => modules::find(&timeline.header.module),
    }
}

/// The clauses that describe the commands of a case which cites none of its own.
fn described(case: &Case, profile: &Profile) -> Vec<String> {
    let exchanges = case.ops().filter_map(|op| profile.step(&op.step).ok()).flat_map(|step| &step.exchanges);
    let all: std::collections::BTreeSet<&String> = exchanges.flat_map(|exchange| &exchange.cites).collect();
    all.into_iter().cloned().collect()
}

/// A judged recording as a record, and the judgement itself.
pub(crate) fn record(
    case: &Case,
    profile: &Profile,
    timeline: &Timeline,
    file: Option<String>,
) -> (CaseRecord, Judgement) {
    let judgement = judge_case(case, profile, timeline);
    let offending = !matches!(judgement.verdict, Verdict::Pass | Verdict::Skipped);
    let excerpt = if offending { excerpt(case, profile, timeline, judgement.offence) } else { Vec::new() };
    let own = if judgement.clauses.is_empty() { case.all_cites(profile) } else { judgement.clauses.clone() };
    let cites = if own.is_empty() { described(case, profile) } else { own };
    let record = CaseRecord {
        module: timeline.header.module.clone(),
        id: case.id.clone(),
        verdict: judgement.verdict,
        level: case.level,
        cites,
        asks: case.asks.clone(),
        took_ms: timeline.events.last().map_or(0, |e| e.at_us / 1000),
        expected: judgement.expected.clone(),
        observed: judgement.observed.clone(),
        message: judgement.message.clone(),
        notes: judgement.notes.clone(),
        uses: judgement.uses.clone(),
        kept: judgement.kept.iter().map(|&statement| statement.to_owned()).collect(),
        excerpt,
        retries: 0,
        timeline: file,
    };
    (record, judgement)
}
