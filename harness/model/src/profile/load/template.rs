//! Command lines and lines as templates: printable, and right in themselves.

use std::collections::BTreeSet;

use toml::{Spanned, de::DeValue};

use crate::{
    at::{CommandTemplate, LineTemplate, TemplateError},
    profile::read::{Notes, Table, Text, shown},
};

/// Longest template. A module's command line is shorter.
const LONGEST_TEMPLATE: usize = 1024;

/// Most `[` inside one another in a command template.
const DEEPEST: usize = 8;

/// The line templates of a key, without a payload.
pub(super) fn templates(
    table: &mut Table<'_>,
    key: &'static str,
    notes: &mut Notes<'_>,
) -> Option<Vec<(Text, LineTemplate)>> {
    let texts = table.texts(key, notes)?;
    Some(parsed(&texts, notes))
}

pub(super) fn parsed(texts: &[Text], notes: &mut Notes<'_>) -> Vec<(Text, LineTemplate)> {
    let mut lines = Vec::new();
    for text in texts {
        let Some(line) = template(text, notes) else { continue };
        if line.is_framed() {
            let at = notes.inside(text, text.value.len() - "{payload}".len());
            notes.local(
                at,
                "`{payload}` outside [message]",
                "give the form of a message in [message], as `direct` or `cached`",
            );
        }
        lines.push((text.clone(), line));
    }
    lines
}

pub(super) fn only(lines: Vec<(Text, LineTemplate)>) -> Vec<LineTemplate> {
    lines.into_iter().map(|(_, line)| line).collect()
}

/// One line template.
pub(super) fn template(text: &Text, notes: &mut Notes<'_>) -> Option<LineTemplate> {
    if !printable(text, "a line", notes) {
        return None;
    }
    match LineTemplate::parse(&text.value) {
        Ok(line) => {
            named_twice(text, notes);
            Some(line)
        }
        Err(error) => {
            let remedy = "a line is written like `+CGREG: {mode:n},{state:n}`, where `{mode:n}` is a whole number and `{rest}` any text";
            broken(text, &error, remedy, notes);
            None
        }
    }
}

/// A name may stand only once in a line: there is one value for it.
fn named_twice(text: &Text, notes: &mut Notes<'_>) {
    let mut seen = BTreeSet::new();
    for (at, _) in text.value.match_indices('{') {
        let name = text.value[at + 1..].split(['}', ':']).next().unwrap_or_default();
        if !seen.insert(name) {
            let at = notes.inside(text, at);
            notes.local(
                at,
                format!("`{}` stands twice in this line", shown(name)),
                "give each place a name of its own",
            );
        }
    }
}

/// One command template.
pub(super) fn command(text: &Text, notes: &mut Notes<'_>) -> Option<CommandTemplate> {
    if !printable(text, "a command line", notes) {
        return None;
    }
    let opening = text.value.bytes().scan(0usize, |depth, b| {
        match b {
            b'[' => *depth += 1,
            b']' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    });
    if let Some(at) = opening.into_iter().position(|depth| depth > DEEPEST) {
        let what = format!("more than {DEEPEST} optional parts inside one another");
        notes.local(notes.inside(text, at), what, "give the longer forms as further spellings");
        return None;
    }
    match CommandTemplate::parse(&text.value) {
        Ok(command) => Some(command),
        Err(error) => {
            let remedy =
                "a command is written like `AT+X={client}[,{username}]`, where `[…]` may be left out";
            broken(text, &error, remedy, notes);
            None
        }
    }
}

fn broken(text: &Text, error: &TemplateError, remedy: &str, notes: &mut Notes<'_>) {
    notes.local(notes.inside(text, error.at), error.what.clone(), remedy);
}

/// Commands, prompts and lines are printable ASCII without their ends. A copied `“` or `：` is the usual mistake.
pub(super) fn printable(text: &Text, noun: &str, notes: &mut Notes<'_>) -> bool {
    if text.value.is_empty() {
        notes.local(
            text.span.start,
            format!("{noun} cannot be empty"),
            "write it as it is printed in the document",
        );
        return false;
    }
    if text.value.len() > LONGEST_TEMPLATE {
        let what = format!("{noun} of {} bytes", text.value.len());
        notes.local(text.span.start, what, format!("at most {LONGEST_TEMPLATE} are read"));
        return false;
    }
    let Some((at, odd)) = text.value.char_indices().find(|(_, c)| !matches!(c, ' '..='~')) else {
        return true;
    };
    let remedy = match odd {
        '“' | '”' | '„' | '＂' => {
            "write `\"`, the document's typesetting made another character of it"
        }
        '‘' | '’' | '＇' => "write `'`, the document's typesetting made another character of it",
        '：' => "write `:`, the document's typesetting made another character of it",
        '，' => "write `,`, the document's typesetting made another character of it",
        '\u{a0}' | '\u{3000}' => {
            "write a plain blank, the document's typesetting made another character of it"
        }
        '\r' | '\n' => "leave the line's end out, it is added and removed by itself",
        _ => "only printable ASCII goes over the line as it is",
    };
    let odd = odd.to_string();
    notes.local(notes.inside(text, at), format!("`{}` in {noun}", shown(&odd)), remedy);
    false
}

pub(super) fn is_empty_list(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Array(items) if items.is_empty())
}
