//! The clauses as text, Markdown and JSON.

use std::{collections::BTreeMap, fmt::Write as _};

use atspec_fixtures::{Clause, Observable};
use atspec_model::{run::Evidence, verdict::Verdict};
use serde_json::{Value, json};

use super::{Document, MQTT, Row, seen::Seen};

/// How far a line of text goes, unless an id or a reason by itself goes further.
const WIDTH: usize = 110;
/// How many cases are named where all of them are too many for a line.
const NAMED: usize = 2;
/// The least room that is left for the cases of a line.
const ROOM: usize = 40;

/// For people at a terminal.
pub(super) fn text(documents: &[Document<'_>], seen: Option<&Seen>) -> String {
    let mut sheets: Vec<String> = documents.iter().map(|document| document_text(document, seen)).collect();
    if let Some(seen) = seen {
        sheets.push(format!("verdicts of the run of {} in {}", seen.started, seen.dir.display()));
    }
    sheets.join("\n")
}

/// A document: how many of its clauses are checked, then clause by clause, with the verdicts where there is a run.
fn document_text(document: &Document<'_>, seen: Option<&Seen>) -> String {
    let Document { name, modules, rows } = document;
    if rows.is_empty() {
        return format!("{name}: its clauses are not among those that atspec knows\n");
    }
    let mut text = head(document);
    text.push('\n');
    let wide = rows.iter().map(|row| row.clause.id.len()).max().unwrap_or_default();
    let column = |module: &str| module.chars().count().max(5);
    let columns = if seen.is_some() { modules.as_slice() } else { &[] };
    let mut taken = wide + 10;
    if !columns.is_empty() {
        let _ = write!(text, "  {:wide$}      ", "");
        for module in columns {
            let _ = write!(text, "  {module:<width$}", width = column(module));
            taken += column(module) + 2;
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    for row in rows {
        let (id, side) = (row.clause.id, row.clause.observable.side());
        let _ = write!(text, "  {id:<wide$}  {side:<4}");
        for (module, evidence) in columns.iter().zip(&row.evidence) {
            let cell = cell(evidence.as_ref(), seen, module);
            let _ = write!(text, "  {cell:<width$}", width = column(module));
        }
        let _ = writeln!(text, "  {}", row.text(WIDTH.saturating_sub(taken).max(ROOM)));
    }
    text
}

fn head(document: &Document<'_>) -> String {
    let (mut checked, mut always, mut unseen, mut open) = (0, 0, 0, 0);
    for row in &document.rows {
        *match &row.reason {
            None => &mut checked,
            // The decoder and the rules over all packets are no cases of their own.
            Some(reason) if reason.starts_with("every c") => &mut always,
            Some(_) if row.clause.observable == Observable::Nowhere => &mut unseen,
            Some(_) => &mut open,
        } += 1;
    }
    let unit = if document.name == MQTT { "statements that bind a client" } else { "clauses" };
    let mut text = format!("{}: {} {unit}, {checked} checked", document.name, document.rows.len());
    let others = [(always, "looked at in every case"), (unseen, "not observable"), (open, "without a case")];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    text
}

/// A verdict in a table: what has to be looked at stands out.
fn cell(evidence: Option<&Evidence>, seen: Option<&Seen>, module: &str) -> &'static str {
    match evidence.map(|e| e.verdict) {
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Warning) => "warn",
        Some(Verdict::Fail) => "FAIL",
        Some(Verdict::Inconclusive) => "inconclusive",
        Some(Verdict::Error) => "error",
        Some(Verdict::Skipped) => "-",
        None if seen.is_some_and(|seen| seen.has(module)) => "-",
        None => "",
    }
}

/// For a page of a repository or a CI job.
pub(super) fn markdown(documents: &[Document<'_>], seen: Option<&Seen>) -> String {
    let mut text = String::from("# Clauses and statements\n");
    let _ = match seen {
        Some(seen) => writeln!(
            text,
            "\nVerdicts of the run of {}. `-`: nothing was driven that says anything of it.",
            seen.started
        ),
        None => writeln!(text, "\nThe numbers are those of the cases about it."),
    };
    for document in documents.iter().filter(|document| !document.rows.is_empty()) {
        let _ = writeln!(text, "\n## {}\n", head(document));
        let _ = writeln!(text, "| clause | what it says | {} | told by |", document.modules.join(" | "));
        let _ = writeln!(text, "|---|---|{}---|", "---|".repeat(document.modules.len()));
        for row in &document.rows {
            let Clause { id, gist, .. } = row.clause;
            let _ = write!(text, "| {id} | {} |", escaped(gist));
            for ((module, cases), evidence) in row.modules.iter().zip(&row.evidence) {
                let _ = match seen {
                    Some(_) => write!(text, " {} |", cell(evidence.as_ref(), seen, module)),
                    None => write!(text, " {} |", cases.len()),
                };
            }
            let _ = writeln!(text, " {} |", escaped(&row.text(0)));
        }
    }
    text
}

/// Text that stays in its cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*").replace('_', "\\_").replace('<', "&lt;")
}

/// For machines.
pub(super) fn json(modules: &[&str], documents: &[Document<'_>], seen: Option<&Seen>) -> Value {
    let rows: Vec<Value> = documents.iter().flat_map(|d| &d.rows).map(|row| row.json(seen)).collect();
    let mut sheet = json!({ "modules": modules, "clauses": rows });
    if let Some(seen) = seen {
        sheet["run"] = json!({ "dir": seen.dir.display().to_string(), "started": seen.started });
    }
    sheet
}

impl Row {
    fn json(&self, seen: Option<&Seen>) -> Value {
        let Clause { id, source, place, observable, gist, .. } = self.clause;
        let source = if source == MQTT { source.to_owned() } else { format!("{source} {place}") };
        let mut row = json!({
            "id": id, "source": source, "observable": observable.side(), "cases": self.cases,
            "reason": self.reason, "firmness": self.clause.firmness.word(), "gist": gist,
            "modules": self.modules.iter().cloned().collect::<BTreeMap<_, _>>(),
        });
        if seen.is_some() {
            let said = self.modules.iter().zip(&self.evidence).map(|((module, _), evidence)| {
                let said = evidence
                    .as_ref()
                    .map(|e| json!({ "verdict": e.verdict.word(), "cases": e.cases, "kept": e.kept }));
                (module.clone(), said)
            });
            row["verdicts"] = json!(said.collect::<BTreeMap<_, _>>());
        }
        row
    }

    /// What broke it, or the cases, as many as there is room for, and the modules that have none of them; or the reason.
    fn text(&self, room: usize) -> String {
        if let Some(broken) = self.broken() {
            return broken;
        }
        if let Some(reason) = &self.reason {
            return format!("— {reason}");
        }
        let lacking = self.modules.iter().filter(|(_, cases)| cases.is_empty());
        let lacking: Vec<&str> = lacking.map(|(name, _)| name.as_str()).collect();
        let lacking =
            if lacking.is_empty() { String::new() } else { format!("  (none on {})", lacking.join(", ")) };
        let whole = self.cases.join(" ") + &lacking;
        if whole.chars().count() <= room || self.cases.len() <= NAMED {
            return whole;
        }
        format!("{} … and {} more{lacking}", self.cases[..NAMED].join(" "), self.cases.len() - NAMED)
    }

    /// The cases that failed or warned, module by module.
    fn broken(&self) -> Option<String> {
        let bad = |evidence: &Evidence| matches!(evidence.verdict, Verdict::Fail | Verdict::Warning);
        let told = self.modules.iter().zip(&self.evidence).filter_map(|((module, _), evidence)| {
            let evidence = evidence.as_ref().filter(|evidence| bad(evidence))?;
            let named: Vec<&str> = evidence.cases.iter().take(NAMED).map(String::as_str).collect();
            let more = evidence.cases.len() - named.len();
            let more = if more > 0 { format!(" … and {more} more") } else { String::new() };
            let said = if evidence.verdict == Verdict::Fail { "fails" } else { "warns" };
            Some(format!("{module} {said} {}{more}", named.join(" ")))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}
