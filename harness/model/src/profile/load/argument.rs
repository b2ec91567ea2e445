//! What the document says of arguments, behaviour, states and codes.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{claim::cites, step::Taken};
use crate::profile::{
    Argument, Behaviour, EVERY_STEP, Reason, States, format,
    read::{Notes, Table, Text, kind, offer, shown},
};

pub(super) fn arguments(
    top: &mut Table<'_>,
    taken: &Taken,
    has_escapes: bool,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, BTreeMap<String, Argument>> {
    let mut arguments = BTreeMap::<String, BTreeMap<String, Argument>>::new();
    for (key, value) in top.entries("arg", notes).unwrap_or_default() {
        names_an_argument(&key, value, taken, notes);
        let DeValue::Table(entries) = value.get_ref() else {
            let what = format!("`{}` in [arg] is {}, not a table", shown(&key.value), kind(value.get_ref()));
            notes.local(
                value.span().start,
                what,
                format!("write it like `{} = {{ range = [0, 2] }}`", key.value),
            );
            continue;
        };
        let heading = format!("`{}` of [arg]", shown(&key.value));
        let mut table = Table::new(heading, &format::ARGUMENT, key.span.start, entries);
        let range = table.range(i64::MIN, "range", notes);
        let length = table.range(0, "length", notes);
        let length =
            length.and_then(|(from, to)| Some((usize::try_from(from).ok()?, usize::try_from(to).ok()?)));
        let escaped = table.flag("escaped", notes).unwrap_or_default();
        let default = table.text("default", notes).map(|text| text.value);
        let without = table.text("without", notes).map(|text| text.value.into_bytes()).unwrap_or_default();
        if escaped && !has_escapes {
            let what = format!("`{}` is escaped, but the profile has no escapes", shown(&key.value));
            notes.whole(table.place("escaped"), what, "add `[escape]` with its `table`, or remove `escaped`");
        }
        let cites = cites(&mut table, notes);
        // `[arg] publish.payload = …` without quotes arrives as a table `publish`; told by `names_an_argument`.
        if format::step(&key.value).is_none() {
            table.finish(notes);
        }
        let (step, name) = key.value.split_once('.').unwrap_or((EVERY_STEP, &key.value));
        let argument = Argument { range, length, escaped, default, without, cites };
        arguments.entry(name.to_owned()).or_default().insert(step.to_owned(), argument);
    }
    arguments
}

/// A key of `[arg]` names an argument that some step takes, or `step.argument`.
fn names_an_argument(key: &Text, value: &Spanned<DeValue<'_>>, taken: &Taken, notes: &mut Notes<'_>) {
    let at = key.span.start;
    let name = shown(&key.value);
    if let Some((step, argument)) = key.value.split_once('.') {
        let Some(arguments) = taken.get(step) else {
            let what = format!("`{name}` is about a step `{}`, which the profile does not have", shown(step));
            notes.whole(at, what, offer(step, "steps of the profile", taken.keys().map(String::as_str)));
            return;
        };
        if let Some(arguments) = arguments.as_ref().filter(|arguments| !arguments.contains(argument)) {
            let what = format!("step `{}` takes no argument `{}`", shown(step), shown(argument));
            notes.whole(at, what, offer(argument, "arguments there", arguments.iter().map(String::as_str)));
        }
        return;
    }
    if taken.values().any(|names| names.as_ref().is_none_or(|names| names.contains(&key.value))) {
        return;
    }
    let inner = match value.get_ref() {
        DeValue::Table(entries) => entries.keys().next().map(|key| key.get_ref().to_string()),
        _ => None,
    };
    if let Some(inner) = inner.filter(|_| format::step(&key.value).is_some()) {
        let what = format!("`{name}` is a step, not an argument");
        notes.local(at, what, format!("write the key in quotes: `\"{}.{}\" = {{ … }}`", name, shown(&inner)));
        return;
    }
    let all: BTreeSet<&str> = taken.values().flatten().flatten().map(String::as_str).collect();
    let what = format!("no step of the profile takes an argument `{name}`");
    notes.whole(at, what, offer(&key.value, "arguments", all.iter().copied()));
}

/// What is promised besides, and whether longer payloads are cut.
pub(super) fn behaviour(top: &mut Table<'_>, notes: &mut Notes<'_>) -> (Behaviour, bool) {
    let Some(mut table) = top.table("behaviour", &format::BEHAVIOUR, notes) else {
        return (Behaviour::default(), false);
    };
    let cache = table.at_least(0, "cache", notes);
    let receive_max = table.at_least(1, "receive_max", notes);
    let mqtt31 = table.flag("mqtt31", notes).unwrap_or_default();
    let receive_topic_max = table.at_least(1, "receive_topic_max", notes);
    let single_connection = table.flag("single_connection", notes).unwrap_or_default();
    let format_errors = table.flag("format_errors", notes).unwrap_or_default();
    let command_max = table.at_least(16, "command_max", notes);
    let connect_within = table.at_least(1, "connect_within", notes);
    let keepalive_zero = table.at_least(1, "keepalive_zero", notes);
    let cut = table.flag("receive_cut", notes).unwrap_or_default();
    if cut && receive_max.is_none() {
        let what = "payloads are cut, but [behaviour] does not say to what length";
        notes.whole(table.place("receive_cut"), what, table.like("receive_max"));
    }
    table.finish(notes);
    let behaviour = Behaviour {
        cache,
        receive_max,
        receive_topic_max,
        mqtt31,
        single_connection,
        format_errors,
        command_max,
        connect_within,
        keepalive_zero,
    };
    (behaviour, cut)
}

pub(super) fn states(top: &mut Table<'_>, notes: &mut Notes<'_>) -> States {
    let Some(mut table) = top.table("state", &format::STATE, notes) else { return States::default() };
    let [closed, open, connected] = ["closed", "open", "connected"].map(|key| {
        let texts = table.texts(key, notes).unwrap_or_default();
        texts.into_iter().map(|text| text.value).collect()
    });
    table.finish(notes);
    States { closed, open, connected }
}

pub(super) fn codes(top: &mut Table<'_>, notes: &mut Notes<'_>) -> BTreeMap<Reason, Vec<i64>> {
    let mut codes = BTreeMap::new();
    let Some(mut table) = top.table("codes", &format::CODES, notes) else { return codes };
    for (word, reason) in Reason::WORDS {
        if let Some(numbers) = table.numbers(word, notes) {
            codes.insert(*reason, numbers);
        }
    }
    table.finish(notes);
    codes
}
