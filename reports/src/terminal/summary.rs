//! The end of a run on the terminal: counts, what to look at, where the files are, and what to do next.

use std::{collections::BTreeMap, path::Path};

use atspec_model::{
    run::{AlternativeUse, CaseRecord, PolicyRecord},
    verdict::Verdict,
};

use super::{Options, counted, reached};
use crate::{paint::Paint, safe::safe, time, words};

/// How many cases are listed; the files have them all.
const LISTED: usize = 20;

/// What the summary needs of a finished case.
#[derive(Debug)]
pub(super) struct Done {
    module: String,
    suite: String,
    id: String,
    verdict: Verdict,
    took_ms: u64,
    /// Why it is not a pass.
    why: String,
    /// How to look at it again; empty for what is green.
    again: String,
    /// An error of the bench before the case: it was not driven at all.
    not_run: bool,
}

impl Done {
    pub(super) fn of(case: &CaseRecord, dir: &Path) -> Self {
        let why = if case.message.is_empty() { &case.observed } else { &case.message };
        let green = matches!(case.verdict, Verdict::Pass | Verdict::Skipped);
        Self {
            module: safe(&case.module).into_owned(),
            suite: safe(case.suite()).into_owned(),
            id: safe(&case.id).into_owned(),
            verdict: case.verdict,
            took_ms: case.took_ms,
            why: safe(why).into_owned(),
            again: if green { String::new() } else { words::again(case, dir) },
            not_run: is_not_run(case),
        }
    }
}

/// Whether a case was given up before it was driven: one cause, told once, and not case by case.
pub(super) fn is_not_run(case: &CaseRecord) -> bool {
    case.verdict == Verdict::Error && case.timeline.is_none()
}

/// The end of a run.
pub(super) struct Summary<'a> {
    pub(super) done: &'a [Done],
    pub(super) planned: usize,
    pub(super) partial: bool,
    pub(super) alternatives: &'a [AlternativeUse],
    pub(super) policies: &'a [PolicyRecord],
    pub(super) options: &'a Options,
    pub(super) paint: Paint,
}

impl Summary<'_> {
    /// The whole text; its last line says what to do next.
    pub(super) fn text(&self) -> String {
        let parts = [
            self.table(),
            self.to_look_at(),
            self.not_run(),
            self.skipped(),
            self.alternatives(),
            self.policies(),
            self.written(),
            self.result(),
        ];
        let parts = parts.into_iter().filter(|lines| !lines.is_empty());
        let lines: Vec<String> = parts.flat_map(|lines| [String::new()].into_iter().chain(lines)).collect();
        lines.join("\n") + "\n"
    }

    /// All in one line, since the table may have scrolled by; whether that is all that was meant to be done; what is next.
    fn result(&self) -> Vec<String> {
        let done = counted(self.done.len(), "case");
        let mut lines = vec![format!("{done}: {}", reached(|v| self.of(v)))];
        if self.partial {
            let planned = counted(self.planned.max(self.done.len()), "case");
            lines.push(format!("PARTIAL: the run ended early, {} of {planned} were done", self.done.len()));
        }
        lines.push(self.next());
        lines
    }

    /// Where a document has several forms, the one that the module uses.
    fn alternatives(&self) -> Vec<String> {
        let line = |one: &AlternativeUse| {
            let [module, id, about] = [&one.module, &one.id, &one.about].map(|text| safe(text));
            format!("  {module} {id} {about}: {}", safe(&one.uses.join(", ")))
        };
        let lines: Vec<String> = self.alternatives.iter().map(line).collect();
        if lines.is_empty() {
            return lines;
        }
        [self.paint.faint("where the document has several forms")].into_iter().chain(lines).collect()
    }

    /// What became of the policies, apart from every count: broken ones first, then what is kept, then what could not be seen.
    fn policies(&self) -> Vec<String> {
        if self.policies.is_empty() {
            return Vec::new();
        }
        let mut sorted: Vec<&PolicyRecord> = self.policies.iter().collect();
        let rank = |kept: Option<bool>| [Some(false), Some(true), None].iter().position(|one| *one == kept);
        sorted.sort_by(|a, b| (rank(a.kept), &a.module).cmp(&(rank(b.kept), &b.module)));
        let told = sorted.into_iter().map(words::of_policy).collect::<String>();
        let lines = told.lines().map(|line| format!("  {line}"));
        [self.paint.strong("policies, apart from conformance")].into_iter().chain(lines).collect()
    }

    fn of(&self, verdict: Verdict) -> usize {
        self.done.iter().filter(|d| d.verdict == verdict).count()
    }

    fn table(&self) -> Vec<String> {
        if self.done.is_empty() {
            return Vec::new();
        }
        let rows = self.rows();
        let first = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let verdicts = Verdict::ALL.map(|v| format!("{v:>4}")).join("  ");
        let head = format!("{:first$}  {verdicts}  {:>5}  {:>11}", "", "total", "time");
        let line = |row: Row<'_>| {
            let counts = Verdict::ALL.map(|v| self.cell(v, row.of(v))).join("  ");
            let time = time::human(row.took_ms());
            format!("{:first$}  {counts}  {:>5}  {time:>11}", row.name, row.cases.len())
        };
        [head].into_iter().chain(rows.into_iter().map(line)).collect()
    }

    /// A count below its verdict; a zero that does not catch the eye.
    fn cell(&self, verdict: Verdict, count: usize) -> String {
        let width = verdict.word().len().max(4);
        match count {
            0 => self.paint.faint(&format!("{:>width$}", "·")),
            _ => self.paint.verdict(verdict, &format!("{count:>width$}")),
        }
    }

    /// A row for each module, one for each of its suites, and one for all where there are several modules.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = Vec::new();
        for module in in_order(self.done.iter().map(|d| d.module.as_str())) {
            let cases = || self.done.iter().filter(move |d| d.module == module);
            rows.push(Row { name: module.to_owned(), cases: cases().collect() });
            for suite in in_order(cases().map(|d| d.suite.as_str())) {
                rows.push(Row {
                    name: format!("  {suite}"),
                    cases: cases().filter(|d| d.suite == suite).collect(),
                });
            }
        }
        if rows.iter().filter(|row| !row.name.starts_with("  ")).count() > 1 {
            rows.push(Row { name: "all modules".to_owned(), cases: self.done.iter().collect() });
        }
        rows
    }

    /// The cases that are not green in one line each, the worst first: what scrolled by is found again.
    fn to_look_at(&self) -> Vec<String> {
        let worst = [Verdict::Fail, Verdict::Inconclusive, Verdict::Error, Verdict::Warning];
        let cases =
            worst.iter().flat_map(|&v| self.done.iter().filter(move |d| d.verdict == v && !d.not_run));
        let lines = cases.map(|case| {
            let word = self.paint.verdict(case.verdict, &format!("{:12}", case.verdict));
            format!("{word}  {} {}: {}", case.module, case.id, case.why)
        });
        listed("to look at", lines.collect())
    }

    /// Why cases were given up before they were driven.
    fn not_run(&self) -> Vec<String> {
        self.reasons("not run because", |case| case.not_run)
    }

    /// Why cases were skipped.
    fn skipped(&self) -> Vec<String> {
        self.reasons("skipped because", |case| case.verdict == Verdict::Skipped)
    }

    /// Reasons of these cases, most frequent first.
    fn reasons(&self, title: &str, which: impl Fn(&Done) -> bool) -> Vec<String> {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for case in self.done.iter().filter(|d| which(d)) {
            *reasons.entry(case.why.trim_start_matches("not run: ")).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let lines = reasons.into_iter().map(|(why, count)| format!("{count:>4} × {why}"));
        listed(title, lines.collect())
    }

    fn written(&self) -> Vec<String> {
        let files = self.options.files.iter().map(|file| safe(&file.to_string_lossy()).into_owned());
        listed("written", files.collect())
    }

    fn next(&self) -> String {
        let first = |verdict| self.done.iter().find(|d| d.verdict == verdict);
        let look = |case: &Done| format!("next: {}", case.again);
        if let Some(case) = first(Verdict::Fail).or_else(|| first(Verdict::Inconclusive)) {
            return self.paint.strong(&look(case));
        }
        if let Some(case) = first(Verdict::Error) {
            let again = words::rerun(&case.module, &case.id);
            return self.paint.strong(&format!("next: look at the bench (cable, power, port), then {again}"));
        }
        match first(Verdict::Warning) {
            Some(case) if self.options.strict => {
                return self.paint.strong(&format!("{} (--strict: a warning fails the run)", look(case)));
            }
            _ => {}
        }
        self.without_red()
    }

    /// Green is only what was checked to its end.
    fn without_red(&self) -> String {
        let (pass, warning) = (self.of(Verdict::Pass), self.of(Verdict::Warning));
        if self.partial {
            return self.paint.strong("next: run again, nothing failed so far");
        }
        if pass + warning == 0 {
            if self.done.is_empty() && !self.policies.is_empty() {
                return self.paint.strong("only policies were tried, nothing of conformance was checked");
            }
            let why = if self.done.is_empty() { "no case was chosen" } else { "every case was skipped" };
            return self.paint.strong(&format!("nothing was checked: {why}"));
        }
        let warned = if warning > 0 { format!(", {}", counted(warning, "warning")) } else { String::new() };
        self.paint.verdict(Verdict::Pass, &format!("all green: {pass} passed{warned}"))
    }
}

/// A title and indented lines below it, at most [`LISTED`]; nothing without lines.
fn listed(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    let more = lines.len().saturating_sub(LISTED);
    let shown = lines.into_iter().take(LISTED).map(|line| format!("  {line}"));
    let more = (more > 0).then(|| format!("  … and {more} more"));
    [title.to_owned()].into_iter().chain(shown).chain(more).collect()
}

/// A row of the table.
struct Row<'a> {
    name: String,
    cases: Vec<&'a Done>,
}

impl Row<'_> {
    fn of(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|d| d.verdict == verdict).count()
    }

    fn took_ms(&self) -> u64 {
        self.cases.iter().fold(0, |sum, d| sum.saturating_add(d.took_ms))
    }
}

/// Each name once, in the order in which it came first.
fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
