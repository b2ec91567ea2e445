//! What the profile claims of the document: clauses, decisions, alternatives.

use std::collections::BTreeMap;

use regex::bytes::{Regex, RegexBuilder};
use toml::de::DeValue;

use super::filled;
use crate::profile::{
    Alternative, Decision, format,
    read::{Notes, Table, Text, kind, shown, texts},
};

pub(super) fn decisions(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = Vec::new();
    for mut table in list(top, "decision", &format::DECISION, notes) {
        let taken = decisions.iter().map(|other| other.id.as_str());
        let id = contradiction(&mut table, "decision", taken, notes);
        let text = filled(&mut table, "text", notes);
        table.finish(notes);
        if let (Some(id), Some(text)) = (id, text) {
            decisions.push(Decision { id, text });
        }
    }
    decisions
}

pub(super) fn alternatives(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<Alternative> {
    let mut alternatives: Vec<Alternative> = Vec::new();
    for mut table in list(top, "alternative", &format::ALTERNATIVE, notes) {
        let taken = alternatives.iter().map(|other| other.id.as_str());
        let id = contradiction(&mut table, "alternative", taken, notes);
        let text = filled(&mut table, "text", notes);
        let forms = forms_of_trace(&mut table, notes);
        table.finish(notes);
        if let (Some(id), Some(text)) = (id, text) {
            alternatives.push(Alternative { id, text, forms });
        }
    }
    alternatives
}

/// Name and pattern of each form of an alternative.
fn forms_of_trace(table: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<(String, Regex)> {
    let mut forms = Vec::new();
    let entries = table.entries("forms", notes).unwrap_or_default();
    let named = entries.len();
    for (name, value) in entries {
        let DeValue::String(pattern) = value.get_ref() else {
            let what = format!("the form `{}` is {}, not a text", shown(&name.value), kind(value.get_ref()));
            notes.local(value.span().start, what, table.like("forms"));
            continue;
        };
        match RegexBuilder::new(pattern).unicode(false).multi_line(true).build() {
            Ok(regex) => forms.push((name.value, regex)),
            Err(error) => {
                let what =
                    format!("the form `{}` is no regular expression: {}", shown(&name.value), reason(&error));
                notes.local(value.span().start, what, table.like("forms"));
            }
        }
    }
    if table.has("forms") && named < 2 {
        let what = format!("{} has {named} of at least two forms", table.heading);
        notes.whole(
            table.place("forms"),
            what,
            "name each form that the document has, or make it a [[decision]]",
        );
    }
    forms
}

/// What is wrong with a regular expression, in its last line.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The tables of a list.
fn list<'t>(
    top: &mut Table<'t>,
    key: &'static str,
    format: &'static format::TableFormat,
    notes: &mut Notes<'_>,
) -> Vec<Table<'t>> {
    let Some(value) = top.value(key, notes) else { return Vec::new() };
    Table::list(format.heading, format, value, notes)
}

/// The id of a contradiction: `X35`, once in its list.
fn contradiction<'i>(
    table: &mut Table<'_>,
    noun: &str,
    mut taken: impl Iterator<Item = &'i str>,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let id = table.text("id", notes)?;
    let digits = id.value.strip_prefix('X').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let article = if noun.starts_with('a') { "an" } else { "a" };
        let what = format!("`{}` is not the id of {article} {noun}", shown(&id.value));
        notes.local(id.span.start, what, "an id is X and a number: `X43`");
        return None;
    }
    if taken.any(|other| other == id.value) {
        let what = format!("there are two {noun}s `{}`", shown(&id.value));
        notes.local(id.span.start, what, "put them together, or give one another number");
        return None;
    }
    Some(id.value)
}

const CASE_CITES: &str = r#"write it like `"publish/qos1-acknowledged" = ["A780-8.1-05"]`"#;

/// Whether a text is the id of a case: `suite/name`.
fn is_case(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fine = |part: &str| !part.is_empty() && part.bytes().all(plain);
    id.split('/').count() >= 2 && id.split('/').all(fine)
}

/// Cases that only warn.
pub(super) fn implied(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<String> {
    let cases = top.texts("implied", notes).unwrap_or_default();
    for case in cases.iter().filter(|case| !is_case(&case.value)) {
        let what = format!("`{}` in `implied` is not the id of a case", shown(&case.value));
        notes.local(case.span.start, what, top.like("implied"));
    }
    cases.into_iter().map(|case| case.value).collect()
}

/// Clauses by case id.
pub(super) fn case_cites(top: &mut Table<'_>, notes: &mut Notes<'_>) -> BTreeMap<String, Vec<String>> {
    let mut by_case = BTreeMap::new();
    for (case, value) in top.entries("cites", notes).unwrap_or_default() {
        if !is_case(&case.value) {
            let what = format!("`{}` in [cites] is not the id of a case", shown(&case.value));
            notes.local(case.span.start, what, CASE_CITES);
        }
        let subject = format!("`{}` in [cites]", shown(&case.value));
        let clauses = texts(&subject, CASE_CITES, value, notes).unwrap_or_default();
        by_case.insert(case.value, clauses_of(clauses, notes));
    }
    by_case
}

pub(super) fn cites(table: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<String> {
    let clauses = table.texts("cites", notes).unwrap_or_default();
    clauses_of(clauses, notes)
}

/// `A780-8.2-35`, `MQTT-3.3.1-1`: capitals and digits, `-`, and more.
fn clauses_of(cites: Vec<Text>, notes: &mut Notes<'_>) -> Vec<String> {
    for cite in &cites {
        let fine = cite.value.split_once('-').is_some_and(|(document, rest)| {
            let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
            !document.is_empty() && document.bytes().all(plain) && !rest.is_empty()
        });
        if !fine {
            let what = format!("`{}` is not the id of a clause", shown(&cite.value));
            notes.local(
                cite.span.start,
                what,
                "an id is a document in capitals, `-`, and its place: `A780-8.2-35`",
            );
        }
    }
    cites.into_iter().map(|cite| cite.value).collect()
}
