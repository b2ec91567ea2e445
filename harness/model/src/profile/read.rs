//! A small reader over the spanned tree of a TOML file. It never stops at a mistake: it notes it with its place
//! and goes on, and at the end of a table it notes every key that nobody asked for.

use std::{collections::BTreeSet, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Mistake,
    format::{Key, TABLES, TableFormat},
};
use crate::text::shortened;

/// At most so many mistakes are told, the first ones of the file.
const MOST: usize = 100;

/// At most so many are kept while reading, so that a hostile file cannot fill the memory.
const MOST_KEPT: usize = 2000;

/// Longest piece of the file repeated in a message.
const SHOWN: usize = 60;

/// The mistakes found so far.
pub(super) struct Notes<'s> {
    source: &'s str,
    found: Vec<Note>,
    dropped: usize,
    /// From here on nothing could be read.
    unreadable: usize,
}

struct Note {
    at: usize,
    what: String,
    remedy: String,
    kind: Kind,
}

/// What a mistake is worth when the file's syntax is broken too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Syntax,
    /// True where it stands, whatever else is in the file.
    Local,
    /// Perhaps only a consequence: something is absent, or does not match another place.
    Whole,
}

/// A text of the file and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Range<usize>,
}

impl<'s> Notes<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, found: Vec::new(), dropped: 0, unreadable: usize::MAX }
    }

    pub(super) fn syntax(&mut self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Kind::Syntax, at, what.into(), remedy.into());
    }

    pub(super) fn local(&mut self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Kind::Local, at, what.into(), remedy.into());
    }

    pub(super) fn whole(&mut self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Kind::Whole, at, what.into(), remedy.into());
    }

    /// Nothing behind this place could be read: what was noted of it is forgotten.
    pub(super) fn unreadable_behind(&mut self, at: usize) {
        self.unreadable = self.unreadable.min(at);
    }

    fn add(&mut self, kind: Kind, at: usize, what: String, remedy: String) {
        if self.found.len() < MOST_KEPT {
            self.found.push(Note { at, what, remedy, kind });
        } else {
            self.dropped += 1;
        }
    }

    /// The file's text at a span.
    pub(super) fn source(&self, span: Range<usize>) -> &'s str {
        self.source.get(span).unwrap_or_default()
    }

    /// Place of a byte of a text's value: exact where the text is written in one line without escapes, else its
    /// beginning.
    pub(super) fn inside(&self, text: &Text, offset: usize) -> usize {
        let raw = self.source(text.span.clone());
        let simple = (raw.starts_with('\'') && !raw.starts_with("'''"))
            || (raw.starts_with('"') && !raw.starts_with("\"\"\"") && !raw.contains('\\'));
        if simple { text.span.start + 1 + offset } else { text.span.start }
    }

    /// Every mistake, in order of place.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        let lines = LineStarts::new(self.source);
        let broken: BTreeSet<usize> =
            self.found.iter().filter(|n| n.kind == Kind::Syntax).map(|n| lines.line(n.at)).collect();
        if !broken.is_empty() {
            self.found.retain(|n| match n.kind {
                Kind::Syntax => true,
                Kind::Local => n.at < self.unreadable && !broken.contains(&lines.line(n.at)),
                Kind::Whole => false,
            });
        }
        self.found.sort_by(|a, b| (a.at, &a.what).cmp(&(b.at, &b.what)));
        self.found.dedup_by(|a, b| a.at == b.at && a.what == b.what);
        let left_out = self.found.len().saturating_sub(MOST) + self.dropped;
        self.found.truncate(MOST);
        let mut mistakes: Vec<Mistake> = self.found.into_iter().map(|note| lines.mistake(note)).collect();
        if let Some(last) = mistakes.last().filter(|_| left_out > 0) {
            mistakes.push(Mistake {
                line: last.line,
                column: last.column,
                what: format!("{left_out} more mistakes after this one"),
                remedy: "correct the ones above and check again".to_owned(),
            });
        }
        mistakes
    }
}

/// Where the lines of a text begin.
struct LineStarts<'s> {
    source: &'s str,
    starts: Vec<usize>,
}

impl<'s> LineStarts<'s> {
    fn new(source: &'s str) -> Self {
        let starts = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { source, starts }
    }

    /// The line, from 0.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at).saturating_sub(1)
    }

    fn mistake(&self, note: Note) -> Mistake {
        let at = self.source.floor_char_boundary(note.at);
        let line = self.line(at);
        let column = self.source[self.starts[line]..at].chars().count() + 1;
        Mistake { line: line + 1, column, what: note.what, remedy: note.remedy }
    }
}

/// A table that is being read.
pub(super) struct Table<'t> {
    /// Its heading in messages: `[[step.publish]]`.
    pub(super) heading: String,
    /// Where it begins.
    pub(super) at: usize,
    format: &'static TableFormat,
    entries: &'t DeTable<'t>,
    asked: BTreeSet<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(
        heading: impl Into<String>,
        format: &'static TableFormat,
        at: usize,
        entries: &'t DeTable<'t>,
    ) -> Self {
        Self { heading: heading.into(), at, format, entries, asked: BTreeSet::new() }
    }

    /// The value of a key. Its absence is a mistake where the format requires it.
    pub(super) fn value(
        &mut self,
        name: &'static str,
        notes: &mut Notes<'_>,
    ) -> Option<&'t Spanned<DeValue<'t>>> {
        let key = self.key(name);
        self.asked.insert(name);
        let value = self.entries.get(name);
        if value.is_none() && key.is_some_and(|key| key.required) && !self.misspelt(name) {
            let remedy =
                key.map_or(String::new(), |key| format!("add it, like `{}`: {}", key.example, key.means));
            notes.whole(self.at, format!("{} has no `{name}`", self.heading), remedy);
        }
        value
    }

    pub(super) fn text(&mut self, name: &'static str, notes: &mut Notes<'_>) -> Option<Text> {
        let value = self.value(name, notes)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Text { value: text.clone().into_owned(), span: value.span() }),
            _ => self.wrong(name, value, "a text", notes),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str, notes: &mut Notes<'_>) -> Option<Vec<Text>> {
        let value = self.value(name, notes)?;
        self.texts_in(name, value, notes)
    }

    /// A list of texts, or one text.
    pub(super) fn text_or_texts(&mut self, name: &'static str, notes: &mut Notes<'_>) -> Option<Vec<Text>> {
        let value = self.value(name, notes)?;
        match value.get_ref() {
            DeValue::String(text) => {
                Some(vec![Text { value: text.clone().into_owned(), span: value.span() }])
            }
            DeValue::Array(_) => self.texts_in(name, value, notes),
            _ => self.wrong(name, value, "a text or a list of texts", notes),
        }
    }

    pub(super) fn texts_in(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        notes: &mut Notes<'_>,
    ) -> Option<Vec<Text>> {
        texts(&format!("`{name}` in {}", self.heading), &self.like(name), value, notes)
    }

    /// A whole number and its place.
    pub(super) fn number(&mut self, name: &'static str, notes: &mut Notes<'_>) -> Option<(i64, usize)> {
        let value = self.value(name, notes)?;
        self.number_in(name, value, notes)
    }

    fn number_in(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        notes: &mut Notes<'_>,
    ) -> Option<(i64, usize)> {
        let DeValue::Integer(digits) = value.get_ref() else {
            return self.wrong(name, value, "a whole number", notes);
        };
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        if number.is_none() {
            let what = format!("`{}` is too large", shown(digits.as_str()));
            notes.local(value.span().start, what, self.like(name));
        }
        number.map(|number| (number, value.span().start))
    }

    /// A whole number of `least` or more.
    pub(super) fn at_least<T: TryFrom<i64>>(
        &mut self,
        least: i64,
        name: &'static str,
        notes: &mut Notes<'_>,
    ) -> Option<T> {
        let (number, at) = self.number(name, notes)?;
        let fits = if number < least { None } else { T::try_from(number).ok() };
        if fits.is_none() {
            let what = if number < least {
                format!("`{name}` in {} is {number}, less than {least}", self.heading)
            } else {
                format!("`{name}` in {} is {number}, too large", self.heading)
            };
            notes.local(at, what, self.like(name));
        }
        fits
    }

    /// A list of whole numbers.
    pub(super) fn numbers(&mut self, name: &'static str, notes: &mut Notes<'_>) -> Option<Vec<i64>> {
        let value = self.value(name, notes)?;
        let wanted = "a list of whole numbers";
        let DeValue::Array(items) = value.get_ref() else { return self.wrong(name, value, wanted, notes) };
        if let Some(other) = items.iter().find(|item| !item.get_ref().is_integer()) {
            return self.wrong(name, other, wanted, notes);
        }
        let numbers = items.iter().filter_map(|item| self.number_in(name, item, notes));
        Some(numbers.map(|(number, _)| number).collect())
    }

    /// Two whole numbers `[from, to]`, `least` or more, in order.
    pub(super) fn range(
        &mut self,
        least: i64,
        name: &'static str,
        notes: &mut Notes<'_>,
    ) -> Option<(i64, i64)> {
        let value = self.value(name, notes)?;
        let wanted = "a list of two whole numbers";
        let DeValue::Array(items) = value.get_ref() else { return self.wrong(name, value, wanted, notes) };
        if let Some(other) = items.iter().find(|item| !item.get_ref().is_integer()) {
            let what = format!(
                "`{name}` in {} holds {}, not only whole numbers",
                self.heading,
                kind(other.get_ref())
            );
            notes.local(other.span().start, what, self.like(name));
            return None;
        }
        let numbers: Vec<_> = items.iter().filter_map(|item| self.number_in(name, item, notes)).collect();
        if numbers.len() != items.len() {
            return None;
        }
        let [(from, _), (to, _)] = numbers[..] else {
            let what = format!("`{name}` in {} is a list of {}, not from and to", self.heading, items.len());
            notes.local(value.span().start, what, self.like(name));
            return None;
        };
        if from > to {
            let what = format!("`{name}` in {} goes from {from} down to {to}", self.heading);
            notes.local(
                value.span().start,
                what,
                format!("write the lower one first: `{name} = [{to}, {from}]`"),
            );
            return None;
        }
        if from < least {
            let what = format!("`{name}` in {} begins at {from}, less than {least}", self.heading);
            notes.local(value.span().start, what, self.like(name));
            return None;
        }
        Some((from, to))
    }

    pub(super) fn flag(&mut self, name: &'static str, notes: &mut Notes<'_>) -> Option<bool> {
        let value = self.value(name, notes)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong(name, value, "true or false", notes),
        }
    }

    /// A table with known keys.
    pub(super) fn table(
        &mut self,
        name: &'static str,
        format: &'static TableFormat,
        notes: &mut Notes<'_>,
    ) -> Option<Table<'t>> {
        let value = self.value(name, notes)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(format.heading, format, value.span().start, entries)),
            _ => self.wrong(name, value, "a table", notes),
        }
    }

    /// A list of tables, as `[[heading]]` makes one. Empty where there are none.
    pub(super) fn list(
        heading: &str,
        format: &'static TableFormat,
        value: &'t Spanned<DeValue<'t>>,
        notes: &mut Notes<'_>,
    ) -> Vec<Table<'t>> {
        let at = value.span().start;
        let remedy = format!("write the heading as `{heading}`, once for each");
        let DeValue::Array(items) = value.get_ref() else {
            let what = format!("{heading} is {}, not a list of tables", kind(value.get_ref()));
            notes.local(at, what, remedy);
            return Vec::new();
        };
        if items.is_empty() {
            notes.local(at, format!("{heading} is an empty list"), remedy.clone());
        }
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(Table::new(heading, format, item.span().start, entries));
                }
                other => {
                    let what = format!("{heading} holds {}, not only tables", kind(other));
                    notes.local(item.span().start, what, remedy.clone());
                }
            }
        }
        tables
    }

    /// The entries of a table whose keys are free, in the order of the file.
    pub(super) fn entries(
        &mut self,
        name: &'static str,
        notes: &mut Notes<'_>,
    ) -> Option<Vec<(Text, &'t Spanned<DeValue<'t>>)>> {
        let value = self.value(name, notes)?;
        let DeValue::Table(entries) = value.get_ref() else {
            return self.wrong(name, value, "a table", notes);
        };
        let mut found: Vec<_> = entries
            .iter()
            .map(|(key, value)| (Text { value: key.get_ref().clone().into_owned(), span: key.span() }, value))
            .collect();
        found.sort_by_key(|(key, _)| key.span.start);
        Some(found)
    }

    /// Whether the key is there; asks for nothing.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Place of a key, or of the table where the key is absent.
    pub(super) fn place(&self, name: &str) -> usize {
        self.entries.get_key_value(name).map_or(self.at, |(key, _)| key.span().start)
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self, notes: &mut Notes<'_>) {
        debug_assert!(
            self.format.keys.iter().all(|key| self.asked.contains(key.name)),
            "{} has a key in its format that is never read",
            self.heading
        );
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.asked.contains(key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let what = format!("unknown key `{}` in {}", shown(name), self.heading);
            notes.local(key.span().start, what, self.instead_of(name));
        }
    }

    /// Notes a value of the wrong type.
    pub(super) fn wrong<T>(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
        notes: &mut Notes<'_>,
    ) -> Option<T> {
        wrong(&format!("`{name}` in {}", self.heading), value, wanted, &self.like(name), notes);
        None
    }

    /// `write it like …`, from the format.
    pub(super) fn like(&self, name: &str) -> String {
        self.key(name).map_or(String::new(), |key| format!("write it like `{}`: {}", key.example, key.means))
    }

    /// Whether an unknown key is there that means this one: then its own message is enough.
    pub(super) fn misspelt(&self, name: &str) -> bool {
        let known = || self.format.keys.iter().map(|key| key.name);
        self.entries
            .keys()
            .map(|key| key.get_ref().as_ref())
            .any(|key| !known().any(|name| name == key) && nearest(key, known()) == Some(name))
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.format.keys.iter().find(|key| key.name == name);
        debug_assert!(key.is_some(), "`{name}` is not in the format of {}", self.heading);
        key
    }

    fn instead_of(&self, name: &str) -> String {
        let here = self.format.keys.iter().map(|key| key.name);
        let elsewhere = TABLES.iter().find(|table| table.keys.iter().any(|key| key.name == name));
        match (nearest(name, here.clone()), elsewhere) {
            (None, Some(table)) => {
                format!("`{name}` belongs to {}; {}", table.heading, known("keys here", here))
            }
            _ => offer(name, "keys here", here),
        }
    }
}

/// A list of texts.
pub(super) fn texts(
    subject: &str,
    remedy: &str,
    value: &Spanned<DeValue<'_>>,
    notes: &mut Notes<'_>,
) -> Option<Vec<Text>> {
    let DeValue::Array(items) = value.get_ref() else {
        wrong(subject, value, "a list of texts", remedy, notes);
        return None;
    };
    let mut texts = Vec::new();
    for item in items {
        match item.get_ref() {
            DeValue::String(text) => texts.push(Text { value: text.clone().into_owned(), span: item.span() }),
            other => {
                let what = format!("{subject} holds {}, not only texts", kind(other));
                notes.local(item.span().start, what, remedy);
            }
        }
    }
    Some(texts)
}

/// Notes a value of the wrong type. The parser puts values without a place where it found none: it told that itself.
pub(super) fn wrong(
    subject: &str,
    value: &Spanned<DeValue<'_>>,
    wanted: &str,
    remedy: &str,
    notes: &mut Notes<'_>,
) {
    if !value.span().is_empty() {
        let what = format!("{subject} is {}, not {wanted}", kind(value.get_ref()));
        notes.local(value.span().start, what, remedy);
    }
}

/// A value's type with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A piece of the file as it may stand in a message: printable and not too long. A backslash stays as it is, since
/// profiles are full of them.
pub(super) fn shown(text: &str) -> String {
    shortened(text.as_bytes(), SHOWN).replace(r"\\", r"\")
}

/// ``did you mean `prompt`? known keys here: send, prompt, …``.
pub(super) fn offer<'a>(word: &str, noun: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, names.clone()) {
        Some(near) => format!("did you mean `{near}`? {}", known(noun, names)),
        None => known(noun, names),
    }
}

fn known<'a>(noun: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        format!("there are no {noun}")
    } else {
        format!("known {noun}: {}", names.join(", "))
    }
}

/// The name that `word` is most likely to mean, if it is near enough to any.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 40 {
        return None;
    }
    let word = word.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&word, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
