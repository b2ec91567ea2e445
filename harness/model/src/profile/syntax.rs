//! What is wrong with the TOML itself, in the reader's words.

use std::{borrow::Cow, collections::BTreeSet};

use toml::de::{DeTable, Error};

use super::read::{Notes, shown};

/// At most so many places are blanked out to read on behind them.
const ROUNDS: usize = 40;

/// Notes every syntax error, and gives the file with blanks where the parser could not read on; places stay the same.
pub(super) fn readable<'s>(source: &'s str, notes: &mut Notes<'_>) -> Cow<'s, str> {
    let mut text = Cow::Borrowed(source);
    let mut seen = BTreeSet::new();
    let mut stopped = None;
    for _ in 0..ROUNDS {
        let (_, errors) = DeTable::parse_recoverable(&text);
        stopped = note(&errors, &text, &mut seen, notes);
        let Some(rest) = stopped.and_then(|stop| without(&text, stop)) else { break };
        text = Cow::Owned(rest);
    }
    if let Some(Stop::Line(at) | Stop::List(at)) = stopped {
        notes.unreadable_behind(at);
    }
    text
}

/// Where the parser gives up, and what is behind it.
#[derive(Clone, Copy)]
enum Stop {
    /// Nothing behind this line is read.
    Line(usize),
    /// A list before this place is not closed, all behind it is taken for a part of it.
    List(usize),
}

/// The text with blanks in place of what the parser cannot get over; `None` where that is not found.
fn without(text: &str, stop: Stop) -> Option<String> {
    let line_at = |at: usize| text[..at].rfind('\n').map_or(0, |end| end + 1);
    let range = match stop {
        Stop::Line(at) => line_at(at)..text[at..].find('\n').map_or(text.len(), |end| at + end),
        Stop::List(at) => {
            let end = line_at(at);
            let begins = |line: &str| {
                line.split_once('=').is_some_and(|(_, value)| value.trim_start().starts_with('['))
            };
            let (start, _) =
                lines(text).take_while(|(start, _)| *start < end).filter(|(_, line)| begins(line)).last()?;
            start..end
        }
    };
    let blank = |c: char| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) };
    let blanks: String = text[range.clone()].chars().map(blank).collect();
    (blanks != text[range.clone()]).then(|| [&text[..range.start], &blanks, &text[range.end..]].concat())
}

/// The lines of a text and where they begin.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

/// Notes the errors, one of each line, and tells where the parser gave up.
fn note(errors: &[Error], text: &str, seen: &mut BTreeSet<usize>, notes: &mut Notes<'_>) -> Option<Stop> {
    let mut errors: Vec<(usize, &Error)> =
        errors.iter().map(|error| (error.span().map_or(0, |span| span.start), error)).collect();
    errors.sort_by_key(|(at, _)| *at);
    let mut rest = errors.as_slice();
    let mut stop = None;
    while let Some((first, _)) = rest.first() {
        let same_line = rest.iter().take_while(|(at, _)| !text[*first..*at].contains('\n')).count();
        let (line, later) = rest.split_at(same_line);
        let Some((at, error)) = line.iter().min_by_key(|(_, error)| rank(error.message())) else { break };
        if seen.insert(*at) {
            let (what, remedy) = words(error.message(), &text[error.span().unwrap_or_default()]);
            notes.syntax(*at, what, remedy);
        }
        if swallows(error.message()) {
            return stop.or(Some(Stop::List(*at)));
        }
        if line.iter().any(|(_, error)| error.message().starts_with("key with no value")) {
            stop = stop.or(Some(Stop::Line(*at)));
        }
        rest = later;
    }
    stop
}

/// Of several errors in one line the lowest explains the others.
fn rank(message: &str) -> u8 {
    match message {
        m if swallows(m) => 0,
        m if m.starts_with("missing comma") => 1,
        _ => 2,
    }
}

/// A key in a list: the list was not closed, and everything behind is taken for a part of it.
fn swallows(message: &str) -> bool {
    message.starts_with("unexpected `=` in array")
}

/// What is wrong and what to do, by the parser's message and the piece of the file that it is about.
fn words(message: &str, found: &str) -> (String, String) {
    let (what, remedy) = match message {
        "duplicate key" => {
            let what = format!("`{}` stands twice", shown(found));
            return (what, "remove one of them; only `[[…]]` headings may be repeated".to_owned());
        }
        m if m.starts_with("string values must be quoted") => return value(found),
        m if m.starts_with("cannot extend value") => {
            let what = format!("`{}` has a value already, it cannot be a table too", shown(found));
            return (what, "remove one of the two".to_owned());
        }
        m if m.starts_with("invalid unquoted key") && matches!(found, ":" | "：") => {
            ("a key and its value are joined with `=`", "write `key = value`")
        }
        m if m.starts_with("invalid unquoted key") => {
            let what = format!("`{}` cannot stand in a key as it is", shown(found));
            return (what, "put the key in quotes".to_owned());
        }
        m if swallows(m) => ("a key inside a list: a list above is not closed", "close the list with `]`"),
        m if m.starts_with("missing escaped value") || m.starts_with("too few unicode") => (
            r"`\` begins an escape that TOML does not have",
            r"put the text in single quotes, where `\` stands for itself: `'\22'`, or write `\\`",
        ),
        m if m.contains(" string, expected non-") => {
            ("a control character in a text", r"write it as an escape in double quotes: `\r`, `\u001a`")
        }
        m if m.starts_with("invalid literal string") => {
            ("this text is not closed", "close it with `'` in the same line")
        }
        m if m.starts_with("invalid basic string") => {
            ("this text is not closed", "close it with `\"` in the same line")
        }
        m if m.starts_with("invalid multi-line") => {
            ("this text is not closed", "close it with the same three quotes")
        }
        m if m.starts_with("key with no value") => ("a key without `=`", "write `key = value`"),
        m if m.starts_with("extra `=`") => ("`=` stands twice", "write `key = value`"),
        m if m.starts_with("unquoted keys cannot be empty") => ("a key or heading without a name", "name it"),
        m if m.starts_with("unclosed table") => ("this heading is not closed", "close it with `]`"),
        m if m.starts_with("unclosed array table") => ("this heading is not closed", "close it with `]]`"),
        m if m.starts_with("unclosed array") => ("a list is not closed", "close it with `]`"),
        m if m.starts_with("unclosed inline table") => ("a table is not closed", "close it with `}`"),
        m if m.starts_with("missing comma") || m.starts_with("extra assignment") => {
            ("a comma is missing", "put a comma between the elements")
        }
        m if m.starts_with("extra comma") => ("a comma too many", "remove it"),
        m if m.starts_with("unexpected key or value") => (
            "something stands behind the end of this",
            "one key and value, or one heading, in a line; a remark begins with `#`",
        ),
        m if m.starts_with("missing table open") => {
            ("`]` without `[`", "remove it, or open the list or heading before it")
        }
        m if m.starts_with("unexpected leading zero") => {
            ("a number begins with 0", "remove the 0, or put it in quotes")
        }
        m if m.starts_with("invalid boolean") => {
            ("neither true nor false", "write `true` or `false`, or put a text in quotes")
        }
        m if m.starts_with("carriage return") => {
            ("a carriage return within a line", "end lines with LF, or CR and LF")
        }
        m if m.contains("recurs") => ("too many tables or lists inside one another", "a profile has few"),
        other => {
            return (
                format!("this is not TOML: {}", shown(other)),
                "see https://toml.io/en/v1.0.0".to_owned(),
            );
        }
    };
    (what.to_owned(), remedy.to_owned())
}

/// A value that is none.
fn value(found: &str) -> (String, String) {
    if found.trim().is_empty() {
        return ("a key without a value".to_owned(), "write `key = value`, or remove the line".to_owned());
    }
    let what = format!("`{}` is no value", shown(found));
    let typeset = ['“', '”', '„', '‘', '’', '＂'];
    let remedy = if found.starts_with(typeset) {
        "write plain quotes, `\"`: the document's typesetting made other characters of them"
    } else {
        "put a text in quotes, and a comma between the elements of a list"
    };
    (what, remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::profile::Profile;

    /// The first mistake of a text that is not TOML.
    #[rstest]
    #[case("a = ", 5, "a key without a value")]
    #[case("a = b", 5, "`b` is no value")]
    #[case("a = “x”", 5, "`“x”` is no value")]
    #[case("a b = 1", 3, "a key without `=`")]
    #[case("a: 1", 2, "a key and its value are joined with `=`")]
    #[case("a == 1", 4, "`=` stands twice")]
    #[case("= 1", 1, "a key or heading without a name")]
    #[case("温 = 1", 1, "`温` cannot stand in a key as it is")]
    #[case("a = 'x", 7, "this text is not closed")]
    #[case("a = \"x", 7, "this text is not closed")]
    #[case("a = \"\"\"x", 9, "this text is not closed")]
    #[case(r#"a = "\22""#, 7, r"`\` begins an escape that TOML does not have")]
    #[case("a = \"\u{1}\"", 6, "a control character in a text")]
    #[case("a = [1,,2]", 8, "a comma too many")]
    #[case("a = ['x' 'y']", 10, "a comma is missing")]
    #[case("a = { b = 1 c = 2 }", 17, "a comma is missing")]
    #[case("a = [1,", 8, "a list is not closed")]
    #[case("a = { b = 1", 12, "a table is not closed")]
    #[case("[a", 3, "this heading is not closed")]
    #[case("[[a]", 5, "this heading is not closed")]
    #[case("] = 1", 1, "`]` without `[`")]
    #[case("a = 'x'y", 8, "something stands behind the end of this")]
    #[case("a = 01", 5, "a number begins with 0")]
    #[case("a = tru", 5, "neither true nor false")]
    #[case("温 = 1 # x\rb", 1, "`温` cannot stand in a key as it is")]
    #[case("a = 1 # x\rb", 11, "a carriage return within a line")]
    #[case("a = 2026-13-01", 5, "this is not TOML: invalid date, expected month between 01 and 12")]
    fn is_told_in_the_readers_words(#[case] source: &str, #[case] column: usize, #[case] what: &str) {
        let mistakes = Profile::load(source).unwrap_err();
        let first = &mistakes[0];
        assert_eq!((first.line, first.column, first.what.as_str()), (1, column, what), "{mistakes:#?}");
        assert!(!first.remedy.is_empty());
    }

    #[rstest]
    #[case("a = 1\na = 2")]
    #[case("[a]\n[a]")]
    #[case("[[a]]\n[a]")]
    #[case("a.b = 1\na = 2")]
    fn a_key_may_stand_once(#[case] source: &str) {
        let mistakes = Profile::load(source).unwrap_err();
        assert!(mistakes.iter().any(|m| m.line == 2 && m.what == "`a` stands twice"), "{mistakes:#?}");
    }

    #[test]
    fn behind_what_cannot_be_read_it_goes_on() {
        let source = "a = b\nc = ['x',\n  'y'\nd = 1\n[serial]\nf = g\nh\nbaud = 'x'\n";
        let mistakes = Profile::load(source).unwrap_err();
        let told: Vec<_> = mistakes.iter().map(|m| (m.line, m.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (1, "`b` is no value"),
                (4, "a key inside a list: a list above is not closed"),
                (6, "`g` is no value"),
                (7, "a key without `=`"),
                (8, "`baud` in [serial] is a text, not a whole number"),
            ]
        );
    }

    #[test]
    fn too_deep_is_a_mistake_and_no_crash() {
        for source in
            ["a = ".to_owned() + &"[".repeat(10_000), "[".repeat(10_000), "a.".repeat(10_000) + "b = 1"]
        {
            assert!(Profile::load(&source).is_err());
        }
    }
}
