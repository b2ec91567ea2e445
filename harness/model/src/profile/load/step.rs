//! The steps, each a list of exchanges.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::{
    claim::cites,
    template::{command, is_empty_list, only, parsed, printable, templates},
};
use crate::{
    at::{CommandTemplate, LineTemplate},
    profile::{
        Exchange, First, Known, Needs, StepProfile, format,
        read::{Notes, Table, Text, kind, nearest, offer, shown},
    },
};

/// The arguments each step takes; `None` where they cannot be told.
pub(super) type Taken = BTreeMap<String, Option<BTreeSet<String>>>;

pub(super) fn steps(
    top: &mut Table<'_>,
    refused: &[LineTemplate],
    notes: &mut Notes<'_>,
) -> (BTreeMap<String, StepProfile>, Taken) {
    let mut steps = BTreeMap::new();
    let mut taken = Taken::new();
    let Some(entries) = top.entries("step", notes) else { return (steps, taken) };
    for (name, value) in entries {
        let step = Step::new(&name, refused, notes);
        let mut exchanges = Vec::new();
        let mut names = Some(BTreeSet::new());
        for table in Table::list(&format!("[[step.{}]]", shown(&name.value)), &format::EXCHANGE, value, notes)
        {
            let exchange = step.exchange(table, notes);
            names = names.zip(exchange.names).map(|(mut all, more)| {
                all.extend(more);
                all
            });
            exchanges.extend(exchange.read);
        }
        taken.insert(name.value.clone(), names);
        steps.insert(name.value, StepProfile { exchanges });
    }
    let misspelt = |name| {
        let names = || format::STEPS.iter().map(|step| step.name);
        taken.keys().any(|step| format::step(step).is_none() && nearest(step, names()) == Some(name))
    };
    let absent = |step: &&format::StepFormat| !taken.contains_key(step.name) && !misspelt(step.name);
    if !["publish", "publish-data"].into_iter().any(|step| taken.contains_key(step) || misspelt(step)) {
        let what = "the profile has neither `publish` nor `publish-data`";
        notes.whole(top.place("step"), what, "add `[[step.publish]]`: PUBLISH, payload in the command line");
    }
    for missing in format::STEPS.iter().filter(|step| step.required).filter(absent) {
        let what = format!("the profile has no step `{}`", missing.name);
        notes.whole(top.place("step"), what, format!("add `[[step.{}]]`: {}", missing.name, missing.means));
    }
    (steps, taken)
}

/// What is known of a step while its exchanges are read.
struct Step<'a> {
    name: &'a str,
    /// The arguments it offers; `None` for a vendor's own step, which may name anything.
    offers: Option<Vec<&'static str>>,
    refused: &'a [LineTemplate],
}

/// An exchange as far as it could be read, and the arguments it takes, as far as they could be told.
struct ReadExchange {
    read: Option<Exchange>,
    names: Option<BTreeSet<String>>,
}

impl<'a> Step<'a> {
    fn new(name: &'a Text, refused: &'a [LineTemplate], notes: &mut Notes<'_>) -> Self {
        let known = format::step(&name.value);
        let own = name.value.strip_prefix(format::OWN_STEP).is_some_and(|rest| !rest.is_empty());
        if known.is_none() && !own {
            let what = format!("there is no step `{}`", shown(&name.value));
            let steps = offer(&name.value, "steps", format::STEPS.iter().map(|step| step.name));
            notes.local(
                name.span.start,
                what,
                format!("{steps}; a vendor's own begins with `{}`", format::OWN_STEP),
            );
        }
        Self { name: &name.value, offers: known.map(|step| step.arguments().collect()), refused }
    }

    fn exchange(&self, mut table: Table<'_>, notes: &mut Notes<'_>) -> ReadExchange {
        let sends = table.text_or_texts("send", notes);
        if sends.as_ref().is_some_and(Vec::is_empty) {
            notes.local(
                table.place("send"),
                format!("`send` in {} is empty", table.heading),
                table.like("send"),
            );
        }
        let send: Vec<Spelling> =
            sends.iter().flatten().filter_map(|text| self.spelling(text, notes)).collect();
        let complete = sends.is_some_and(|sends| sends.len() == send.len() && !sends.is_empty());
        if complete {
            same_arguments(&send, notes);
        }
        let data = self.data(&mut table, &send, notes);
        let prompt = self.prompt(&mut table, &send, notes);
        self.length_has_a_use(&send, prompt.is_some() || table.has("prompt"), notes);
        let prompt_after_answer =
            word(&mut table, "prompt_after", &[("command", false), ("answer", true)], notes);
        let data_end = table.text("data_end", notes).map_or(String::new(), |text| text.value);
        let patience = table.at_least(1, "patience", notes);
        let when = when(&mut table, &send, notes);
        let with = with(&mut table, &send, data.as_deref(), notes);
        let info = templates(&mut table, "info", notes).unwrap_or_default();
        let lines = templates(&mut table, "lines", notes).unwrap_or_default();
        let answer = self.answer(&mut table, notes);
        let refused = templates(&mut table, "refused", notes).unwrap_or_default();
        let result = self.result(&mut table, notes);
        let failure = templates(&mut table, "failure", notes).unwrap_or_default();
        let first = [("answer", First::Answer), ("result", First::Result), ("either", First::Either)];
        let first = word(&mut table, "first", &first, notes);
        let needs = [("both", Needs::Both), ("result", Needs::Result), ("any", Needs::Any)];
        let needs = word(&mut table, "needs", &needs, notes);
        let certain = certain(&mut table, notes);
        let nothing = templates(&mut table, "nothing", notes).unwrap_or_default();
        let nothing_ends = table.flag("nothing_ends", notes).unwrap_or_default();
        let bear = templates(&mut table, "bear", notes).unwrap_or_default();
        let one_spelling = table.flag("one_spelling", notes).unwrap_or_default();
        let known = [("full", Known::Full), ("name", Known::Name), ("family", Known::Family)];
        let known = word(&mut table, "known", &known, notes);
        let within = table.at_least(1, "within", notes);
        let cites = cites(&mut table, notes);
        table.finish(notes);
        let mut names: BTreeSet<String> = send.iter().flat_map(Spelling::names).collect();
        names.extend(data.clone());
        // What a line tells may be limited like what a command says.
        let told = [&info, &lines, &failure].into_iter().flatten().map(|(_, line)| line);
        names.extend(told.chain(result.iter().flatten()).flat_map(LineTemplate::names).cloned());
        let read = complete.then(|| Exchange {
            send: send.into_iter().map(|spelling| spelling.template).collect(),
            one_spelling,
            when,
            with,
            prompt,
            prompt_after_answer,
            data,
            data_end,
            patience,
            info: only(info),
            lines: only(lines),
            answer,
            refused: only(refused),
            result,
            failure: only(failure),
            first,
            needs,
            certain,
            nothing: only(nothing),
            nothing_ends,
            bear: only(bear),
            known,
            within,
            cites,
        });
        ReadExchange { names: read.is_some().then_some(names), read }
    }

    /// One spelling of the command line.
    fn spelling(&self, text: &Text, notes: &mut Notes<'_>) -> Option<Spelling> {
        let template = command(text, notes)?;
        let spelling = Spelling { template, text: text.clone() };
        let mut seen = BTreeSet::new();
        for name in spelling.template.arguments() {
            let at = notes.inside(text, text.value.find(&format!("{{{name}}}")).unwrap_or(0));
            if !seen.insert(name) {
                let what = format!("`{{{name}}}` stands twice in this command");
                notes.local(at, what, "remove one: an argument has one place");
            }
            self.argument(name, at, notes);
        }
        Some(spelling)
    }

    /// Notes an argument that the step does not offer.
    fn argument(&self, name: &str, at: usize, notes: &mut Notes<'_>) {
        let Some(offers) = &self.offers else { return };
        if !offers.contains(&name) {
            let what = format!("step `{}` has no argument `{}`", self.name, shown(name));
            notes.local(at, what, offer(name, "arguments of the step", offers.iter().copied()));
        }
    }

    fn data(&self, table: &mut Table<'_>, send: &[Spelling], notes: &mut Notes<'_>) -> Option<String> {
        let data = table.text("data", notes)?;
        self.argument(&data.value, data.span.start, notes);
        if !table.has("prompt") && !table.misspelt("prompt") {
            let what = format!("{} has `data` but no `prompt`", table.heading);
            notes.local(
                table.place("data"),
                what,
                "add `prompt = \">\"`, or whatever the module prints before it takes data",
            );
        }
        if send.iter().any(|spelling| spelling.names().contains(&data.value)) {
            let what = format!("`{}` is sent as data and stands in the command too", shown(&data.value));
            notes.local(data.span.start, what, "take it out of `send`, or remove `data` and `prompt`");
        }
        Some(data.value)
    }

    fn prompt(&self, table: &mut Table<'_>, send: &[Spelling], notes: &mut Notes<'_>) -> Option<String> {
        let prompt = table.text("prompt", notes)?;
        if !table.has("data") && !table.misspelt("data") {
            let what = format!("{} has `prompt` but no `data`", table.heading);
            notes.local(
                table.place("prompt"),
                what,
                "add `data = \"payload\"`: the argument that is sent after the prompt",
            );
        }
        // A vendor's own step may well end its data in another way than by their length.
        let counted = self.offers.is_none() || table.has("data_end");
        for spelling in send.iter().filter(|s| !counted && !s.names().contains("len")) {
            let what = "this command does not say how many bytes come after the prompt";
            let remedy = "name the length with `{len}`, or say with `data_end` what ends the data";
            notes.local(spelling.text.span.start, what, remedy);
        }
        printable(&prompt, "a prompt", notes).then_some(prompt.value)
    }

    /// A length is for data after a prompt, or for a payload in the same line.
    fn length_has_a_use(&self, send: &[Spelling], prompted: bool, notes: &mut Notes<'_>) {
        for spelling in send.iter().filter(|_| self.offers.is_some() && !prompted) {
            let names = spelling.names();
            if names.contains("len") && !names.contains("payload") {
                let at = notes.inside(&spelling.text, spelling.text.value.find("{len}").unwrap_or(0));
                let remedy = "add `prompt` and `data`, or put `{payload}` into the command";
                notes.local(at, "`{len}` without a payload that it could be the length of", remedy);
            }
        }
    }

    /// `answer`, or `OK`.
    fn answer(&self, table: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<LineTemplate> {
        let Some(answer) = templates(table, "answer", notes) else {
            return LineTemplate::parse("OK").into_iter().collect();
        };
        if answer.is_empty() && matches!(table.value("answer", notes), Some(v) if is_empty_list(v)) {
            let remedy = "name the line that ends the command, or remove the key: then it is `OK`";
            notes.local(table.place("answer"), format!("`answer` in {} is empty", table.heading), remedy);
        }
        self.not_refused(&answer, "answer", notes);
        only(answer)
    }

    /// `result`, one list for every QoS or a table by QoS.
    fn result(&self, table: &mut Table<'_>, notes: &mut Notes<'_>) -> [Vec<LineTemplate>; 3] {
        let Some(value) = table.value("result", notes) else { return Default::default() };
        match value.get_ref() {
            DeValue::Array(_) => {
                let lines = table.texts_in("result", value, notes).unwrap_or_default();
                let lines = parsed(&lines, notes);
                self.not_refused(&lines, "result", notes);
                let lines = only(lines);
                [lines.clone(), lines.clone(), lines]
            }
            DeValue::Table(entries) => {
                let heading = format!("`result` in {}", table.heading);
                let mut by_qos = Table::new(heading, &format::RESULT, value.span().start, entries);
                let result = ["qos0", "qos1", "qos2"].map(|qos| {
                    let lines = templates(&mut by_qos, qos, notes).unwrap_or_default();
                    self.not_refused(&lines, "result", notes);
                    only(lines)
                });
                by_qos.finish(notes);
                result
            }
            _ => {
                let wanted = "a list of texts or a table { qos0 = …, qos1 = …, qos2 = … }";
                table.wrong("result", value, wanted, notes).unwrap_or_default()
            }
        }
    }

    /// A line of success must not be a refusal too.
    fn not_refused(&self, lines: &[(Text, LineTemplate)], key: &str, notes: &mut Notes<'_>) {
        for (text, _) in lines {
            let literal = !text.value.contains('{');
            let same = |refusal: &&LineTemplate| {
                refusal.source() == text.value || (literal && refusal.read(text.value.as_bytes()).is_some())
            };
            if let Some(refusal) = self.refused.iter().find(same) {
                let what = format!(
                    "`{}` means success here and refusal in [lines] (`{}`)",
                    shown(&text.value),
                    shown(refusal.source())
                );
                notes.whole(text.span.start, what, format!("remove it from `{key}` or from `refused`"));
            }
        }
    }
}

/// All spellings of a command take the same arguments, in whatever order: the values come from the case.
fn same_arguments(send: &[Spelling], notes: &mut Notes<'_>) {
    let Some((first, others)) = send.split_first() else { return };
    for other in others {
        let (names, usual) = (other.names(), first.names());
        let list = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
        };
        let (more, less) = (list(&mut names.difference(&usual)), list(&mut usual.difference(&names)));
        let what = match (more.is_empty(), less.is_empty()) {
            (true, true) => continue,
            (false, true) => format!("this spelling takes {more}, the first does not"),
            (true, false) => format!("this spelling lacks {less} of the first"),
            (false, false) => format!("this spelling takes {more} instead of {less} of the first"),
        };
        let remedy = "spellings of one command take the same arguments; put what may be left out in `[…]`";
        notes.local(other.text.span.start, what, remedy);
    }
}

/// One documented spelling of a command line.
struct Spelling {
    template: CommandTemplate,
    text: Text,
}

impl Spelling {
    fn names(&self) -> BTreeSet<String> {
        self.template.arguments().into_iter().map(str::to_owned).collect()
    }
}

/// The argument without which the exchange is left out; one of its own, or it would be left out by mistake.
fn when(table: &mut Table<'_>, send: &[Spelling], notes: &mut Notes<'_>) -> Option<String> {
    let when = table.text("when", notes)?;
    let names: BTreeSet<String> = send.iter().flat_map(Spelling::names).collect();
    if !names.contains(&when.value) {
        let what = format!("this command does not take `{}`", shown(&when.value));
        notes.local(
            when.span.start,
            what,
            offer(&when.value, "arguments there", names.iter().map(String::as_str)),
        );
    }
    Some(when.value)
}

/// Values of arguments that a case does not give.
fn with(
    table: &mut Table<'_>,
    send: &[Spelling],
    data: Option<&str>,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, String> {
    let mut with = BTreeMap::new();
    let names: BTreeSet<String> = send.iter().flat_map(Spelling::names).collect();
    for (name, value) in table.entries("with", notes).unwrap_or_default() {
        if !names.contains(&name.value) && data != Some(name.value.as_str()) {
            let what = format!("this command does not take `{}`", shown(&name.value));
            notes.local(
                name.span.start,
                what,
                offer(&name.value, "arguments there", names.iter().map(String::as_str)),
            );
        }
        match value.get_ref() {
            DeValue::String(text) => _ = with.insert(name.value, text.clone().into_owned()),
            other => {
                let what = format!("the value of `{}` is {}, not a text", shown(&name.value), kind(other));
                notes.local(value.span().start, what, table.like("with"));
            }
        }
    }
    with
}

/// `certain`, one flag or a table by QoS.
fn certain(table: &mut Table<'_>, notes: &mut Notes<'_>) -> [bool; 3] {
    let Some(value) = table.value("certain", notes) else { return [true; 3] };
    match value.get_ref() {
        DeValue::Boolean(flag) => [*flag; 3],
        DeValue::Table(entries) => {
            let heading = format!("`certain` in {}", table.heading);
            let mut by_qos = Table::new(heading, &format::CERTAIN, value.span().start, entries);
            let certain = ["qos0", "qos1", "qos2"].map(|qos| by_qos.flag(qos, notes).unwrap_or(true));
            by_qos.finish(notes);
            certain
        }
        _ => {
            let wanted = "true, false or a table { qos1 = …, qos2 = … }";
            table.wrong("certain", value, wanted, notes).unwrap_or([true; 3])
        }
    }
}

/// One of the words that a key knows; its first where there is none.
fn word<T: Copy>(
    table: &mut Table<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
    notes: &mut Notes<'_>,
) -> T {
    let first = words[0].1;
    let Some(text) = table.text(key, notes) else { return first };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
        return *value;
    }
    let what = format!("`{key}` in {} is `{}`", table.heading, shown(&text.value));
    notes.local(text.span.start, what, offer(&text.value, "words", words.iter().map(|(word, _)| *word)));
    first
}
