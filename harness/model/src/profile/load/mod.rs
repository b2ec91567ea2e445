//! Reads a profile, table by table, and checks what one table says against the others.
//!
//! Nothing here stops at a mistake: every function notes what is wrong and returns what could be read, and only
//! [`load`] decides that one mistake is enough to have no profile.

mod argument;
mod claim;
mod step;
mod template;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Escapes, Lines, Messages, Mistake, Profile, Serial, Times, format,
    read::{Notes, Table, Text, kind, shown},
    syntax,
};
use crate::at::LineTemplate;
use argument::{arguments, behaviour, codes, states};
use claim::{alternatives, case_cites, cites, decisions, implied};
use step::steps;
use template::{only, printable, template, templates};

/// Longest file that is read at all; the longest shipped profile has less than a twentieth.
const LONGEST_FILE: usize = 256 * 1024;

/// Reads a profile; `Err` holds every mistake, in order of place.
pub(super) fn load(source: &str) -> Result<Profile, Vec<Mistake>> {
    let mut notes = Notes::new(source);
    if source.len() > LONGEST_FILE {
        let what = format!("the file has {} bytes, a profile at most {LONGEST_FILE}", source.len());
        notes.syntax(0, what, "give the path of a profile");
        return Err(notes.finish());
    }
    let readable = syntax::readable(source, &mut notes);
    let (tree, _) = DeTable::parse_recoverable(&readable);
    let profile = profile(source, tree.get_ref(), &mut notes);
    let mistakes = notes.finish();
    match profile {
        Some(profile) if mistakes.is_empty() => Ok(profile),
        _ => Err(mistakes),
    }
}

// The seam for `extends = "…"`: a relative's tables would be laid under `tree` here, before anything is read.
fn profile<'t>(source: &str, tree: &'t DeTable<'t>, notes: &mut Notes<'_>) -> Option<Profile> {
    let top = &mut Table::new(format::TOP.heading, &format::TOP, 0, tree);
    schema(top, notes);
    let name = name(top, notes);
    let title = filled(top, "title", notes);
    let document = filled(top, "document", notes);
    let serial = serial(top, notes);
    let time = times(top, notes);
    let (bring_up, clear) = bring_up(top, notes);
    let lines = lines(top, notes);
    let mut message = messages(top, notes);
    let escapes = escapes(top, notes);
    let (steps, taken) = steps(top, &lines.refused, notes);
    let arguments = arguments(top, &taken, !escapes.table.is_empty(), notes);
    let (behaviour, cut) = behaviour(top, notes);
    message.cut = behaviour.receive_max.filter(|_| cut);
    let states = states(top, notes);
    let codes = codes(top, notes);
    let cites = case_cites(top, notes);
    let implied = implied(top, notes);
    let decisions = decisions(top, notes);
    let alternatives = alternatives(top, notes);
    std::mem::replace(top, Table::new("", &format::TOP, 0, tree)).finish(notes);
    Some(Profile {
        name: name?,
        title: title?,
        document: document?,
        serial: serial?,
        time: time?,
        bring_up,
        clear,
        lines,
        message,
        escapes,
        steps,
        arguments,
        behaviour,
        states,
        codes,
        cites,
        implied,
        decisions,
        alternatives,
        source: source.to_owned(),
    })
}

fn schema(top: &mut Table<'_>, notes: &mut Notes<'_>) {
    let Some((schema, at)) = top.number("schema", notes) else { return };
    if schema != format::SCHEMA {
        let what = format!("schema {schema} is not known");
        notes.local(at, what, format!("this atspec reads schema {}", format::SCHEMA));
    }
}

fn name(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Option<String> {
    let name = top.text("name", notes)?;
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.value.is_empty() || !name.value.bytes().all(fine) {
        let what = format!("`{}` is not a name of a-z, 0-9 and -", shown(&name.value));
        notes.local(name.span.start, what, top.like("name"));
        return None;
    }
    Some(name.value)
}

/// A text that is not empty.
fn filled(table: &mut Table<'_>, key: &'static str, notes: &mut Notes<'_>) -> Option<String> {
    let text = table.text(key, notes)?;
    if text.value.trim().is_empty() {
        notes.local(text.span.start, format!("`{key}` in {} is empty", table.heading), table.like(key));
        return None;
    }
    Some(text.value)
}

fn serial(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Option<Serial> {
    let mut table = top.table("serial", &format::SERIAL, notes)?;
    let baud = table.at_least(1, "baud", notes);
    let line_end = table.text("line_end", notes).filter(|end| {
        let fine = format::LINE_ENDS.contains(&end.value.as_str());
        if !fine {
            let what = format!("`{}` does not end a command line", shown(&end.value));
            notes.local(end.span.start, what, r#"write "\r", "\n" or "\r\n", in double quotes"#);
        }
        fine
    });
    table.finish(notes);
    Some(Serial { baud: baud?, line_end: line_end?.value })
}

fn times(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Option<Times> {
    let mut table = top.table("time", &format::TIME, notes)?;
    let answer = table.at_least(1, "answer", notes);
    let result = table.at_least(1, "result", notes);
    let hold = table.at_least(1, "hold", notes);
    let quiet = table.at_least(1, "quiet", notes);
    let withhold = table.at_least(1, "withhold", notes);
    table.finish(notes);
    Some(Times { answer: answer?, result: result?, hold: hold?, quiet: quiet?, withhold: withhold? })
}

/// What is sent when the port is taken, and what is sent after a case.
fn bring_up(top: &mut Table<'_>, notes: &mut Notes<'_>) -> (Vec<String>, Vec<String>) {
    let Some(mut table) = top.table("bring-up", &format::BRING_UP, notes) else { return Default::default() };
    let [send, clear] = ["send", "clear"].map(|key| {
        let lines = table.text_or_texts(key, notes).unwrap_or_default();
        let lines = lines.into_iter().filter(|line| printable(line, "a command line", notes));
        lines.map(|line| line.value).collect()
    });
    table.finish(notes);
    (send, clear)
}

fn lines(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Lines {
    let Some(mut table) = top.table("lines", &format::LINES, notes) else { return Lines::default() };
    let refused = templates(&mut table, "refused", notes).unwrap_or_default();
    let failed = templates(&mut table, "failed", notes).unwrap_or_default();
    let lost = templates(&mut table, "lost", notes).unwrap_or_default();
    let boot = table.texts("boot", notes).unwrap_or_default();
    for line in boot.iter().filter(|line| line.value.is_empty() || line.value.contains(['\r', '\n'])) {
        let what =
            if line.value.is_empty() { "an empty line tells nothing" } else { "this is more than one line" };
        notes.local(line.span.start, what, "write each line as a text of its own, without its end");
    }
    table.finish(notes);
    Lines {
        refused: only(refused),
        failed: only(failed),
        lost: only(lost),
        boot: boot.into_iter().map(|line| line.value).collect(),
    }
}

fn messages(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Messages {
    let Some(mut table) = top.table("message", &format::MESSAGE, notes) else { return Messages::default() };
    let direct = forms(&mut table, "direct", notes);
    let cached = forms(&mut table, "cached", notes);
    let announced = only(templates(&mut table, "announced", notes).unwrap_or_default());
    let empty = only(templates(&mut table, "empty", notes).unwrap_or_default());
    let any = table.flag("any", notes).unwrap_or_default();
    let cites = cites(&mut table, notes);
    if direct.is_empty() && !any && !table.misspelt("direct") {
        let remedy = format!("{}; or `any = true` where the document gives none", table.like("direct"));
        notes.whole(table.place("direct"), "`direct` in [message] has no form of a message", remedy);
    }
    table.finish(notes);
    let mut framed: Vec<LineTemplate> = Vec::new();
    for form in direct.iter().chain(&cached).filter(|form| form.is_framed()) {
        if !framed.contains(form) {
            framed.push(form.clone());
        }
    }
    Messages { direct, cached, announced, empty, any, cites, framed, cut: None }
}

/// Forms of a message, each ending with a payload that is framed by its length.
fn forms(table: &mut Table<'_>, key: &'static str, notes: &mut Notes<'_>) -> Vec<LineTemplate> {
    let texts = table.texts(key, notes).unwrap_or_default();
    let mut forms = Vec::new();
    for text in &texts {
        let Some(form) = template(text, notes) else { continue };
        if form.is_framed() && text.value.contains("{len:n}") {
            forms.push(form);
        } else {
            let what = format!("this form in `{key}` does not say where the payload ends");
            let remedy = "end it with `{payload}` and give its length before, as `{len:n}`: a payload may look like any line";
            notes.local(text.span.start, what, remedy);
        }
    }
    forms
}

fn escapes(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Escapes {
    let Some(mut table) = top.table("escape", &format::ESCAPE, notes) else { return Escapes::default() };
    let mut read: Vec<(u8, Text)> = Vec::new();
    for (key, value) in table.entries("table", notes).unwrap_or_default() {
        let Some((byte, written)) = escape(&key, value, notes) else { continue };
        if let Some((_, other)) = read.iter().find(|(_, other)| {
            other.value.starts_with(&written.value) || written.value.starts_with(&other.value)
        }) {
            let what = if other.value == written.value {
                format!("two bytes are written as `{}`", shown(&written.value))
            } else {
                format!("`{}` and `{}` begin alike", shown(&other.value), shown(&written.value))
            };
            notes.local(
                written.span.start,
                what,
                "no escape may be the beginning of another, or it cannot be read back",
            );
        }
        read.push((byte, written));
    }
    let cites = cites(&mut table, notes);
    table.finish(notes);
    Escapes { table: read.into_iter().map(|(byte, text)| (byte, text.value.into_bytes())).collect(), cites }
}

/// One line of `[escape] table`: a byte and what is written for it.
fn escape(key: &Text, value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<(u8, Text)> {
    let example = r#"write it like `'"' = '\22'`"#;
    let byte = if let [byte] = key.value.as_bytes() { Some(*byte) } else { None };
    if byte.is_none() {
        let what = format!("`{}` is not one byte", shown(&key.value));
        notes.local(key.span.start, what, format!("{example}: the byte, and what is written for it"));
    }
    let DeValue::String(written) = value.get_ref() else {
        let what = format!("the escape of `{}` is {}, not a text", shown(&key.value), kind(value.get_ref()));
        notes.local(value.span().start, what, example);
        return None;
    };
    if written.is_empty() || !written.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        let what = format!("the escape of `{}` is not printable ASCII", shown(&key.value));
        notes.local(value.span().start, what, format!("{example}; in single quotes `\\` stands for itself"));
        return None;
    }
    Some((byte?, Text { value: written.clone().into_owned(), span: value.span() }))
}
