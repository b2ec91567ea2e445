//! `atspec measure`: documented limits against those that a module really has.

use std::{fmt::Write as _, fs, path::Path};

use atspec_model::{profile::Profile, timeline::Timeline, verdict::Verdict};
use atspec_suites::campaign::measure::{End, Limit, Measure, Measured, Real, Unmeasured, limits, unmeasured};
use serde::Serialize;

use crate::{
    args::{Format, MeasureArgs},
    failure::Failure,
    modules, out, seat,
    select::Selection,
};

/// The case of `run.jsonl` and of recordings under which limits are measured.
pub(crate) const ID: &str = "measure/limits";

/// A documented limit as JSON has it.
#[derive(Debug, Serialize)]
struct Row {
    module: String,
    limit: String,
    end: End,
    unit: &'static str,
    documented: i64,
    measured: Option<i64>,
    /// Nothing further out was tried.
    open: bool,
    verdict: Verdict,
    at_documented: Option<String>,
    beyond: Option<String>,
    unclean: Option<String>,
    sendings: usize,
    cites: Vec<String>,
    /// Why no try can measure it; then it is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_measured: Option<&'static str>,
}

/// Measures every limit that was chosen; exit code 1 where a module falls short.
pub(crate) fn measure(args: &MeasureArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.seat.module)?;
    let measurable = profiles.iter().flat_map(limits).map(|limit| limit.name);
    let names: Vec<String> =
        measurable.chain(profiles.iter().flat_map(unmeasured).map(|one| one.name)).collect();
    let selection = Selection::new(&args.only, &[], &names)?;
    let results = seat::at_each(&args.seat, async |profile, sitting| {
        let chosen: Vec<Limit> = limits(profile).into_iter().filter(|l| selection.takes(&l.name)).collect();
        let mut campaign = Measure::new(chosen);
        let mut short: Option<Timeline> = None;
        seat::drive(sitting, profile, ID, &mut campaign, |_, tried| {
            if tried.judgement.verdict == Verdict::Fail {
                short.get_or_insert(tried.timeline);
            }
        })
        .await?;
        Ok((campaign.done().to_vec(), short))
    })?;
    let mut text = String::new();
    let mut rows: Vec<Row> = Vec::new();
    for (profile, (measured, _)) in &results {
        let left_out: Vec<Unmeasured> =
            unmeasured(profile).into_iter().filter(|one| selection.takes(&one.name)).collect();
        text += &table(profile, measured);
        text += &not_measured(&left_out);
        rows.extend(measured.iter().map(|one| row(&profile.name, one)));
        rows.extend(left_out.iter().flat_map(|one| rows_without(&profile.name, one)));
    }
    let json = serde_json::to_string_pretty(&rows).map_err(Failure::bench)?;
    match args.seat.format {
        Format::Text => out::line(text.trim_end())?,
        Format::Json => out::line(&json)?,
    }
    if let Some(dir) = &args.seat.out {
        write(dir, "measure.txt", &text)?;
        write(dir, "measure.json", &json)?;
        for (profile, (_, short)) in &results {
            if let Some(timeline) = short {
                write(dir, &format!("timelines/{}/{ID}.jsonl", profile.name), &timeline.to_json_lines())?;
            }
        }
    }
    Ok(u8::from(rows.iter().any(|row| row.verdict == Verdict::Fail)))
}

/// What a measured limit comes to: less than documented, or a refusal that is none, fails; more than documented warns.
pub(crate) fn verdict(one: &Measured) -> Verdict {
    if one.falls_short() || one.unclean.is_some() {
        Verdict::Fail
    } else if one.exceeds() && !one.limit.cites.is_empty() {
        Verdict::Warning
    } else {
        Verdict::Pass
    }
}

fn row(module: &str, one: &Measured) -> Row {
    let (measured, open) = match one.real {
        Real::Exactly(n) => (Some(n), false),
        Real::AtLeast(n) => (Some(n), true),
        Real::Nothing => (None, false),
    };
    Row {
        module: module.to_owned(),
        limit: one.limit.name.clone(),
        end: one.limit.end,
        unit: one.limit.unit,
        documented: one.limit.documented,
        measured,
        open,
        verdict: verdict(one),
        at_documented: Some(one.at_documented.to_string()),
        beyond: one.beyond.as_ref().map(ToString::to_string),
        unclean: one.unclean.clone(),
        sendings: one.sendings,
        cites: one.limit.cites.clone(),
        not_measured: None,
    }
}

/// The two ends of a range that no try can measure.
fn rows_without(module: &str, one: &Unmeasured) -> [Row; 2] {
    let (min, max) = one.range;
    [(End::Min, min), (End::Max, max)].map(|(end, documented)| Row {
        module: module.to_owned(),
        limit: one.name.clone(),
        end,
        unit: "",
        documented,
        measured: None,
        open: true,
        verdict: Verdict::Skipped,
        at_documented: None,
        beyond: None,
        unclean: None,
        sendings: 0,
        cites: Vec::new(),
        not_measured: Some(one.reason()),
    })
}

/// The measured limits of a module for people.
pub(crate) fn table(profile: &Profile, all: &[Measured]) -> String {
    let mut text = format!("{}: documented limits, and what was measured\n", profile.name);
    let width = all.iter().map(|one| one.limit.name.len()).max().unwrap_or(0);
    for one in all {
        let _ = writeln!(text, "  {:width$}  {}", one.limit.name, in_words(one));
    }
    let short = all.iter().filter(|one| verdict(one) == Verdict::Fail).count();
    let sendings: usize = all.iter().map(|one| one.sendings).sum();
    let _ = match short {
        0 => writeln!(text, "{} limits hold; {sendings} sendings", all.len()),
        n => writeln!(text, "{n} of {} limits do NOT hold; {sendings} sendings", all.len()),
    };
    text
}

/// The documented limits that no try can measure, with the reason.
fn not_measured(all: &[Unmeasured]) -> String {
    let mut text = String::new();
    for one in all {
        let (min, max) = one.range;
        let _ = writeln!(text, "  not measured: {} {min} to {max}: {}", one.name, one.reason());
    }
    text
}

/// One measured limit in a line.
pub(crate) fn in_words(one: &Measured) -> String {
    let end = if one.limit.end == End::Max { "at most" } else { "at least" };
    let limit = &one.limit;
    let unit = if limit.unit.is_empty() { String::new() } else { format!(" {}", limit.unit) };
    let real = match one.real {
        Real::AtLeast(n) if limit.unreachable.is_some() => format!("measured {n}"),
        Real::AtLeast(n) if limit.is_all() => format!("measured {n}, beyond it nothing is said"),
        Real::Exactly(n) => format!("measured {n}"),
        Real::AtLeast(n) => format!("measured {n} and no end to it"),
        Real::Nothing => "nothing was taken".to_owned(),
    };
    let mut text = format!("{end} {}{unit}: {real}", limit.documented);
    if let Some(more) = limit.unreachable {
        let _ = write!(text, ", all that a command line has room for ({more} in the document)");
    }
    if one.falls_short() {
        let _ = write!(text, ", FALLS SHORT: {} was {}", limit.documented, one.at_documented);
    } else if let (Some(promised), Real::Exactly(real)) = (limit.promised, one.real)
        && real < limit.documented
    {
        let _ = write!(text, ", where only {promised} is promised");
    } else if one.exceeds() {
        text += ", more than documented";
    }
    if let Some(beyond) = &one.beyond
        && !one.falls_short()
    {
        let _ = write!(text, ", beyond it {beyond}");
    }
    if let Some(unclean) = &one.unclean {
        let _ = write!(text, "; NOT CLEANLY: {unclean}");
    }
    text
}

/// Writes a file of a directory that is made where it is not there.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    let failed = |e: std::io::Error| Failure::bench(format!("cannot write {}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(&path, text).map_err(failed)
}
