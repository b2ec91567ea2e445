//! Reads a profile, table by table, and checks what one table says against the others.
//!
//! Nothing here stops at a mistake: every function notes what is wrong and returns what could be read, and only
//! [`load`] decides that one mistake is enough to have no profile.

use std::collections::{BTreeMap, BTreeSet};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Argument, Behaviour, Decision, Escapes, Exchange, Known, Lines, Messages, Mistake, Profile, Serial,
    StepProfile, Times, format,
    read::{Notes, Table, Text, kind, nearest, offer, shown, texts},
    syntax,
};
use crate::at::{CommandTemplate, LineTemplate, TemplateError};

/// Longest file that is read at all; the longest shipped profile has less than a twentieth.
const LONGEST_FILE: usize = 256 * 1024;

/// Longest template. A module's command line is shorter.
const LONGEST_TEMPLATE: usize = 1024;

/// Most `[` inside one another in a command template.
const DEEPEST: usize = 8;

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
    let bring_up = bring_up(top, notes);
    let lines = lines(top, notes);
    let message = messages(top, notes);
    let escapes = escapes(top, notes);
    let (steps, taken) = steps(top, &lines.refused, notes);
    let arguments = arguments(top, &taken, !escapes.table.is_empty(), notes);
    let behaviour = behaviour(top, notes);
    let cites = case_cites(top, notes);
    let decisions = decisions(top, notes);
    std::mem::replace(top, Table::new("", &format::TOP, 0, tree)).finish(notes);
    Some(Profile {
        name: name?,
        title: title?,
        document: document?,
        serial: serial?,
        time: time?,
        bring_up,
        lines,
        message,
        escapes,
        steps,
        arguments,
        behaviour,
        cites,
        decisions,
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

fn bring_up(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<String> {
    let Some(mut table) = top.table("bring-up", &format::BRING_UP, notes) else { return Vec::new() };
    let sends = table.text_or_texts("send", notes).unwrap_or_default();
    table.finish(notes);
    sends.into_iter().filter(|send| printable(send, "a command line", notes)).map(|send| send.value).collect()
}

fn lines(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Lines {
    let Some(mut table) = top.table("lines", &format::LINES, notes) else { return Lines::default() };
    let refused = templates(&mut table, "refused", notes).unwrap_or_default();
    let failed = templates(&mut table, "failed", notes).unwrap_or_default();
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
        boot: boot.into_iter().map(|line| line.value).collect(),
    }
}

fn messages(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Messages {
    let Some(mut table) = top.table("message", &format::MESSAGE, notes) else { return Messages::default() };
    let direct = forms(&mut table, "direct", notes);
    let cached = forms(&mut table, "cached", notes);
    let announced = only(templates(&mut table, "announced", notes).unwrap_or_default());
    let cites = cites(&mut table, notes);
    if table.has("direct") && direct.is_empty() {
        let remedy = table.like("direct");
        notes.whole(table.place("direct"), "`direct` in [message] has no form of a message", remedy);
    }
    table.finish(notes);
    let mut framed: Vec<LineTemplate> = Vec::new();
    for form in direct.iter().chain(&cached).filter(|form| form.is_framed()) {
        if !framed.contains(form) {
            framed.push(form.clone());
        }
    }
    Messages { direct, cached, announced, cites, framed }
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

/// The arguments each step takes; `None` where they cannot be told.
type Taken = BTreeMap<String, Option<BTreeSet<String>>>;

fn steps(
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
        let info = templates(&mut table, "info", notes).unwrap_or_default();
        let answer = self.answer(&mut table, notes);
        let result = self.result(&mut table, notes);
        let bear = templates(&mut table, "bear", notes).unwrap_or_default();
        let known = known(&mut table, notes);
        let within = table.at_least(1, "within", notes);
        let cites = cites(&mut table, notes);
        table.finish(notes);
        let mut names: BTreeSet<String> = send.iter().flat_map(Spelling::names).collect();
        names.extend(data.clone());
        let read = complete.then(|| Exchange {
            send: send.into_iter().map(|spelling| spelling.template).collect(),
            prompt,
            data,
            info: only(info),
            answer,
            result,
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
        for spelling in send.iter().filter(|s| self.offers.is_some() && !s.names().contains("len")) {
            let what = "this command does not say how many bytes come after the prompt";
            notes.local(spelling.text.span.start, what, "name the length with `{len}`");
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

fn known(table: &mut Table<'_>, notes: &mut Notes<'_>) -> Known {
    let Some(text) = table.text("known", notes) else { return Known::Full };
    match text.value.as_str() {
        "full" => Known::Full,
        "name" => Known::Name,
        "family" => Known::Family,
        other => {
            let what = format!("`known` in {} is `{}`", table.heading, shown(other));
            notes.local(text.span.start, what, offer(other, "words", format::KNOWN.iter().copied()));
            Known::Full
        }
    }
}

fn arguments(
    top: &mut Table<'_>,
    taken: &Taken,
    has_escapes: bool,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, Argument> {
    let mut arguments = BTreeMap::new();
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
        if escaped && !has_escapes {
            let what = format!("`{}` is escaped, but the profile has no escapes", shown(&key.value));
            notes.whole(table.place("escaped"), what, "add `[escape]` with its `table`, or remove `escaped`");
        }
        let cites = cites(&mut table, notes);
        // `[arg] publish.payload = …` without quotes arrives as a table `publish`; told by `names_an_argument`.
        if format::step(&key.value).is_none() {
            table.finish(notes);
        }
        arguments.insert(key.value, Argument { range, length, escaped, cites });
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

fn behaviour(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Behaviour {
    let Some(mut table) = top.table("behaviour", &format::BEHAVIOUR, notes) else {
        return Behaviour::default();
    };
    let cache = table.at_least(0, "cache", notes);
    let receive_max = table.at_least(1, "receive_max", notes);
    let single_connection = table.flag("single_connection", notes).unwrap_or_default();
    table.finish(notes);
    Behaviour { cache, receive_max, single_connection }
}

fn decisions(top: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<Decision> {
    let Some(value) = top.value("decision", notes) else { return Vec::new() };
    let mut decisions: Vec<Decision> = Vec::new();
    for mut table in Table::list(format::DECISION.heading, &format::DECISION, value, notes) {
        let id = table.text("id", notes).filter(|id| {
            let digits = id.value.strip_prefix('X').unwrap_or_default();
            let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if !fine {
                let what = format!("`{}` is not the id of a decision", shown(&id.value));
                notes.local(id.span.start, what, "an id is X and a number: `X43`");
            } else if decisions.iter().any(|other| other.id == id.value) {
                let what = format!("there are two decisions `{}`", shown(&id.value));
                notes.local(id.span.start, what, "put them together, or give one another number");
            }
            fine
        });
        let text = filled(&mut table, "text", notes);
        table.finish(notes);
        if let (Some(id), Some(text)) = (id, text) {
            decisions.push(Decision { id: id.value, text });
        }
    }
    decisions
}

const CASE_CITES: &str = r#"write it like `"publish/qos1-acknowledged" = ["A780-8.1-05"]`"#;

/// Clauses by case id.
fn case_cites(top: &mut Table<'_>, notes: &mut Notes<'_>) -> BTreeMap<String, Vec<String>> {
    let mut by_case = BTreeMap::new();
    for (case, value) in top.entries("cites", notes).unwrap_or_default() {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fine = |part: &str| !part.is_empty() && part.bytes().all(plain);
        if case.value.split('/').count() < 2 || !case.value.split('/').all(fine) {
            let what = format!("`{}` in [cites] is not the id of a case", shown(&case.value));
            notes.local(
                case.span.start,
                what,
                r#"write it like `"publish/qos1-acknowledged" = ["A780-8.1-05"]`"#,
            );
        }
        let subject = format!("`{}` in [cites]", shown(&case.value));
        let clauses = texts(&subject, CASE_CITES, value, notes).unwrap_or_default();
        by_case.insert(case.value, clauses_of(clauses, notes));
    }
    by_case
}

fn cites(table: &mut Table<'_>, notes: &mut Notes<'_>) -> Vec<String> {
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

/// The line templates of a key, without a payload.
fn templates(
    table: &mut Table<'_>,
    key: &'static str,
    notes: &mut Notes<'_>,
) -> Option<Vec<(Text, LineTemplate)>> {
    let texts = table.texts(key, notes)?;
    Some(parsed(&texts, notes))
}

fn parsed(texts: &[Text], notes: &mut Notes<'_>) -> Vec<(Text, LineTemplate)> {
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

fn only(lines: Vec<(Text, LineTemplate)>) -> Vec<LineTemplate> {
    lines.into_iter().map(|(_, line)| line).collect()
}

/// One line template.
fn template(text: &Text, notes: &mut Notes<'_>) -> Option<LineTemplate> {
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
fn command(text: &Text, notes: &mut Notes<'_>) -> Option<CommandTemplate> {
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
fn printable(text: &Text, noun: &str, notes: &mut Notes<'_>) -> bool {
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

fn is_empty_list(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Array(items) if items.is_empty())
}
