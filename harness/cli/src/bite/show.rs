//! The table for people, the same for machines.

use std::fmt::Write as _;

use super::score::{Alarm, Outcome, Reason, Report};
use crate::failure::Failure;

/// The table and the score.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    let width = report.deviants.iter().map(|d| d.name.len()).max().unwrap_or(0);
    let _ = writeln!(text, "{:width$}  caught by  expected  surprise", "deviant");
    for deviant in &report.deviants {
        let count = |reason: Reason| deviant.red.iter().filter(|red| red.reason == reason).count();
        let (named, expected) = (count(Reason::Named), count(Reason::Breaks) + count(Reason::Also));
        let of = named + deviant.missed.len();
        let caught = format!("{named} of {of}");
        let _ = writeln!(
            text,
            "{:width$}  {caught:>9}  {expected:>8}  {:>8}",
            deviant.name,
            count(Reason::Surprise)
        );
    }
    for deviant in &report.deviants {
        problems(&mut text, deviant);
    }
    for Alarm { variant, red } in &report.false_alarms {
        let variant = variant.as_ref().map_or(String::new(), |name| format!(" as {name}"));
        let _ = writeln!(
            text,
            "\nfalse alarm: {}{variant} {} {}: expected {}; observed {}",
            red.module, red.case, red.verdict, red.expected, red.observed
        );
    }
    if !report.without_killer.is_empty() {
        let _ = writeln!(text, "\ncases that no deviant fails");
        report.without_killer.iter().for_each(|case| _ = writeln!(text, "  {case}"));
    }
    if report.score.again > 0 {
        let (again, changed) = (report.score.again, report.score.changed);
        let _ =
            writeln!(text, "\n{again} cases were driven again, {changed} of them came to another verdict");
    }
    let _ = write!(text, "\n{}", score(report));
    text
}

/// What is wrong with a deviant.
fn problems(text: &mut String, deviant: &Outcome) {
    if deviant.is_caught() && deviant.surprises().next().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{} ({}): {}", deviant.name, deviant.module, deviant.why);
    for case in &deviant.missed {
        let _ = writeln!(text, "  survives  {case}");
    }
    if !deviant.named {
        let _ = writeln!(text, "  no case of `caught_by` names {}", deviant.breaks.join(" "));
    }
    for red in deviant.surprises() {
        let _ = writeln!(
            text,
            "  surprise  {} {} {}\n            expected {}; observed {}",
            red.case,
            red.verdict,
            red.cites.join(" "),
            red.expected,
            red.observed
        );
    }
}

/// The score in one sentence for each figure, with its date.
pub(crate) fn score(report: &Report) -> String {
    let s = &report.score;
    let percent = |part: usize, whole: usize| (part * 100).checked_div(whole).unwrap_or(0);
    let others = match s.variants {
        0 => String::new(),
        n => format!(" and {n} variants of them, each driven {}", times(s.rounds)),
    };
    format!(
        "{}: {} of {} deviants caught ({} %), {} surprises; {} false alarms on {} faithful modules{others}; {} of {} cases are \
         failed by a deviant",
        report.date,
        s.caught,
        s.deviants,
        percent(s.caught, s.deviants),
        s.surprises,
        s.false_alarms,
        s.modules,
        s.with_killer,
        s.cases,
    )
}

fn times(n: u16) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// One JSON object.
pub(crate) fn json(report: &Report) -> Result<String, Failure> {
    serde_json::to_string_pretty(report).map_err(|e| Failure::bench(format!("cannot write JSON: {e}")))
}
