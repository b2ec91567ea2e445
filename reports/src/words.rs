//! A finished case in words, the same on the terminal and in JUnit.
//!
//! A failure tells what was asked, what was expected and observed, and shows the place in the timeline; the
//! other verdicts have a shorter form of their own.

use std::{borrow::Cow, fmt::Write as _, path::Path};

use atspec_model::{
    run::{CaseRecord, ExcerptLine, PolicyRecord},
    verdict::Verdict,
};

use crate::{paint::Paint, safe::safe, time};

/// Where the level and clauses of a headline end.
const WIDTH: usize = 101;

/// The case in words: lines that each end with a line break. Empty for a pass of which nothing is worth telling.
///
/// `dir` is the run's directory, from which `again: atspec judge …` finds the recording. Safe for terminals and XML.
pub fn of_case(case: &CaseRecord, dir: &Path) -> String {
    painted(case, dir, Paint::OFF)
}

/// The command that judges the case's recording again; without a recording, the one that drives the case again.
pub fn again(case: &CaseRecord, dir: &Path) -> String {
    match &case.timeline {
        Some(file) => format!("atspec judge {}", shell_word(&dir.join(file).to_string_lossy())),
        None => rerun(&case.module, &case.id),
    }
}

/// The command that drives the case again.
pub(crate) fn rerun(module: &str, id: &str) -> String {
    format!("atspec run --module {} --only {}", shell_word(module), shell_word(id))
}

/// [`of_case`] in colours.
pub(crate) fn painted(case: &CaseRecord, dir: &Path, paint: Paint) -> String {
    let mut text = Text { lines: String::new(), paint };
    match case.verdict {
        Verdict::Pass => passed(&mut text, case),
        Verdict::Warning => warned(&mut text, case),
        Verdict::Fail => failed(&mut text, case, dir),
        Verdict::Inconclusive => inconclusive(&mut text, case, dir),
        Verdict::Skipped => skipped(&mut text, case),
        Verdict::Error => bench_failed(&mut text, case, dir),
    }
    text.lines
}

/// A policy in a line or two: kept, broken, or not to be seen, and why.
pub fn of_policy(policy: &PolicyRecord) -> String {
    let head = |word: &str| format!("{word:<8} {} {}", safe(&policy.module), safe(&policy.policy));
    let mut text = match policy.kept {
        Some(true) => format!("{}: {}\n", head("kept"), safe(&policy.expected)),
        Some(false) => {
            let [expected, observed] = [&policy.expected, &policy.observed].map(|words| safe(words));
            format!("{}: expected {expected}; observed {observed}\n", head("broken"))
        }
        None => format!("{}: {}\n", head("unknown"), safe(&policy.message)),
    };
    for note in &policy.notes {
        let _ = writeln!(text, "         {}", safe(note));
    }
    text
}

/// A pass is told only if something about it is worth telling: it needed repeating, or it has notes.
fn passed(text: &mut Text, case: &CaseRecord) {
    if case.retries > 0 || !case.notes.is_empty() {
        text.headline("PASS", case);
        text.notes(case);
    }
}

fn warned(text: &mut Text, case: &CaseRecord) {
    text.headline("WARN", case);
    text.reason("", case);
    text.notes(case);
}

fn failed(text: &mut Text, case: &CaseRecord, dir: &Path) {
    text.headline("FAIL", case);
    text.indented(&safe(&case.asks));
    if case.expected.is_empty() || case.observed.is_empty() {
        text.labelled("reason", &case.message);
    }
    text.labelled("expected", &case.expected);
    text.labelled("observed", &case.observed);
    text.excerpt(&case.excerpt);
    text.notes(case);
    text.again(case, dir);
}

fn inconclusive(text: &mut Text, case: &CaseRecord, dir: &Path) {
    text.headline("INCONCLUSIVE", case);
    text.indented(&safe(&case.asks));
    text.reason("not provoked: ", case);
    text.excerpt(&case.excerpt);
    text.notes(case);
    text.again(case, dir);
}

/// The bench failed, not the module, which the word `ERROR` alone would not tell.
fn bench_failed(text: &mut Text, case: &CaseRecord, dir: &Path) {
    text.headline("ERROR", case);
    text.reason("the bench failed: ", case);
    text.excerpt(&case.excerpt);
    text.notes(case);
    text.again(case, dir);
}

fn skipped(text: &mut Text, case: &CaseRecord) {
    let head = text.head("SKIP", case);
    let why = if case.message.is_empty() { "no reason was given".into() } else { safe(&case.message) };
    text.line(&format!("{head}: {why}"));
}

/// The lines so far.
struct Text {
    lines: String,
    paint: Paint,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.lines += line;
        self.lines.push('\n');
    }

    fn indented(&mut self, words: &str) {
        if !words.is_empty() {
            self.line(&format!("     {words}"));
        }
    }

    fn labelled(&mut self, label: &str, words: &str) {
        if !words.is_empty() {
            self.line(&format!("     {label:<8}  {}", safe(words)));
        }
    }

    fn head(&self, word: &str, case: &CaseRecord) -> String {
        format!("{} {} {}", self.paint.verdict(case.verdict, word), safe(&case.module), safe(&case.id))
    }

    /// Verdict, module and case; level and clauses at the right.
    fn headline(&mut self, word: &str, case: &CaseRecord) {
        let head = self.head(word, case);
        let mut binds = case.level.to_string();
        for clause in &case.cites {
            binds += " ";
            binds += &safe(clause);
        }
        let left = width(word) + 1 + width(&safe(&case.module)) + 1 + width(&safe(&case.id));
        let gap = WIDTH.saturating_sub(left + width(&binds)).max(2);
        self.line(&format!("{head}{:gap$}{}", "", self.paint.faint(&binds)));
    }

    /// What a case came to in one sentence, and what was seen where the sentence does not say it.
    fn reason(&mut self, prefix: &str, case: &CaseRecord) {
        let sentence = if case.message.is_empty() { &case.observed } else { &case.message };
        if !sentence.is_empty() {
            self.indented(&format!("{prefix}{}", safe(sentence)));
        }
        if !case.message.contains(&case.observed) && !case.message.is_empty() {
            self.labelled("observed", &case.observed);
        }
    }

    /// The place in the timeline, its lanes in columns.
    fn excerpt(&mut self, excerpt: &[ExcerptLine]) {
        let widest = excerpt.iter().map(|line| width(&lane(&line.lane).0)).max().unwrap_or(0);
        for line in excerpt {
            let (name, way) = lane(&line.lane);
            let (at, pad) = (time::seconds(line.at_us), widest - width(&name));
            let shown = format!("{at:>13}  {name}{:pad$} {way:<1} {}", "", safe(&line.text));
            let shown = shown.trim_end();
            if line.here {
                let marked = self.paint.strong(&format!("{shown}      ← here"));
                self.line(&marked);
            } else {
                self.line(shown);
            }
        }
    }

    fn notes(&mut self, case: &CaseRecord) {
        if case.retries > 0 {
            self.labelled("tried", &format!("{} times, the last counts", u64::from(case.retries) + 1));
        }
        for note in &case.notes {
            self.labelled("note", note);
        }
    }

    fn again(&mut self, case: &CaseRecord, dir: &Path) {
        self.indented(&format!("again: {}", again(case, dir)));
    }
}

/// `wire <` as name and way, so that both stand in columns.
fn lane(lane: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    match lane.rsplit_once(' ') {
        Some((name, way @ (">" | "<"))) => (safe(name.trim_end()), way.into()),
        _ => (safe(lane), "".into()),
    }
}

/// One word of a shell command, quoted where a shell would make something else of it.
fn shell_word(word: &str) -> String {
    let word = safe(word);
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}
