//! What holds of the serial line in every case: answers, no flood, success only as the answer to a command.

use std::collections::BTreeSet;

use crate::{
    at::{Item, LineTemplate, Owed},
    case::Fit,
    judge::{Finding, Serial, StepView, Told, View},
    mqtt::Body,
    profile::{Exchange, Known},
    text,
    timeline::{Close, Side, What},
    verdict::Verdict,
};

use super::from_module;

/// Every breach on the serial line, the first of each kind.
pub(super) fn judge(view: &View<'_>) -> impl Iterator<Item = Finding> {
    [flooded(view), unanswered_clearing_up(view), unasked_success(view), excess(view)].into_iter().flatten()
}

/// More on the serial line than any case can need.
fn flooded(view: &View<'_>) -> Option<Finding> {
    let (at, bytes) = view.timeline.events.iter().enumerate().find_map(|(at, e)| match e.what {
        What::Flooded { bytes } => Some((at, bytes)),
        _ => None,
    })?;
    let observed = format!("{bytes} bytes without end on the serial line");
    Some(Finding::new(Verdict::Fail, "answers on the serial line", observed).at(at).always())
}

/// Also while the bench clears up after a case every command has a final result code: a module that falls silent or restarts
/// there is no better than one that does it before.
fn unanswered_clearing_up(view: &View<'_>) -> Option<Finding> {
    let events = &view.timeline.events;
    let teardown = events.iter().position(|e| e.what == What::Teardown)?;
    let mut sent: &[u8] = b"";
    for (at, event) in events.iter().enumerate().skip(teardown) {
        match &event.what {
            What::Sent { bytes, .. } => sent = bytes.trim_ascii_end(),
            What::Silence { awaited, .. } if !owes_nothing(view, sent) => {
                let expected = format!("`{}` answered while the bench clears up", text::shortened(sent, 60));
                let finding = Finding::new(Verdict::Fail, expected, format!("no {awaited}"));
                return Some(
                    finding.citing(exchange_of(view, sent).into_iter().flat_map(|e| &e.cites)).at(at),
                );
            }
            _ => {}
        }
    }
    None
}

/// Whether the document promises no answer to a command.
fn owes_nothing(view: &View<'_>, command: &[u8]) -> bool {
    exchange_of(view, command).is_some_and(|exchange| exchange.known != Known::Full)
        || view.profile.clear.iter().any(|line| line.as_bytes() == command)
}

/// The exchange that a command line begins.
fn exchange_of<'v>(view: &View<'v>, command: &[u8]) -> Option<&'v Exchange> {
    let mut exchanges = view.profile.steps.values().flat_map(|step| &step.exchanges);
    exchanges.find(|e| e.send.iter().any(|template| template.read(command, None).is_some()))
}

/// A success line that no command is waiting for.
fn unasked_success(view: &View<'_>) -> Option<Finding> {
    let mut outstanding = owed_for_sent_again(view);
    let unasked = |outstanding: &mut Vec<Owed>, at: usize, line: &[u8]| {
        // What is owed to one command before what may be for any.
        let of = |known: bool| outstanding.iter().position(|owed| owed.is_known() == known && owed.is(line));
        if let Some(n) = of(true).or_else(|| of(false)) {
            outstanding.swap_remove(n);
            return None;
        }
        let observed = format!("`{}` although no command was waiting for it", text::visible(line));
        let finding = Finding::new(Verdict::Fail, "success only as the answer to a command", observed);
        Some(finding.citing(clauses_of_line(view, at, line)).at(at))
    };
    let mut commanded: BTreeSet<&[u8]> = BTreeSet::new();
    for step in &view.steps {
        let told = step.dialogues.iter().chain(&step.probes);
        commanded.extend(told.clone().map(|one| name_of(&one.line)));
        // What does not fit its declared length may be taken as a command, or a command as what is still missing: from here on
        // nobody can tell which answer is to what.
        if told.clone().any(|one| one.fit != Fit::Whole) {
            return None;
        }
        outstanding.extend(told.clone().flat_map(|one| one.owed.iter().cloned()));
        outstanding.extend(told.clone().filter_map(|one| owed_behind_a_loss(view, one)));
        let mut heard: BTreeSet<usize> = BTreeSet::new();
        for one in told.clone() {
            let o = &one.outcome;
            heard.extend(
                [&o.answer, &o.refusal, &o.result, &o.failure].into_iter().flatten().map(|(_, end)| *end),
            );
        }
        let undocumented = told.clone().any(|t| t.known != Known::Full);
        for serial in &step.serial {
            let Serial::Printed { at, end, item: Item::Line(line) } = serial else { continue };
            if heard.contains(end) || undocumented || !means_success(view, line) || borne(view, step, line) {
                continue;
            }
            if is_left_over(view, &commanded, *at, line) {
                continue;
            }
            if let Some(finding) = unasked(&mut outstanding, *at, line) {
                return Some(finding);
            }
        }
    }
    // Behind the last step the bench asks only whether the port answers.
    let last = view.steps.last()?;
    if last.dialogues.iter().any(|t| t.known != Known::Full) {
        return None;
    }
    let answers: Vec<&LineTemplate> = view
        .profile
        .steps
        .get("probe")
        .into_iter()
        .flat_map(|s| &s.exchanges)
        .flat_map(|e| &e.answer)
        .collect();
    let probe = view.late.iter().position(|(_, line)| answers.iter().any(|t| t.read(line).is_some()));
    let late = view.late.iter().enumerate().filter(|(i, _)| Some(*i) != probe).map(|(_, late)| late);
    late.filter(|(_, line)| means_success(view, line) && !borne(view, last, line))
        .find_map(|(at, line)| unasked(&mut outstanding, *at, line))
}

/// Whether a line may be the late result of a command of the case before, which this case has not given so far: of what ended the
/// connection there, since the bench goes on with the first word where a document does not say that there are two; of any other
/// in its first moments, since the bench ends a case when it has seen what the case is about.
fn is_left_over(view: &View<'_>, commanded: &BTreeSet<&[u8]>, at: usize, line: &[u8]) -> bool {
    let begins = view.time_us(at) <= view.header.settings.scaled_us(view.profile.time.quiet);
    let mut told = false;
    for (step, exchange) in
        view.profile.steps.iter().flat_map(|(name, s)| s.exchanges.iter().map(move |e| (name, e)))
    {
        if exchange.result.iter().flatten().any(|form| form.read(line).is_some()) {
            if exchange.send.iter().any(|template| commanded.contains(template.name().as_bytes())) {
                return false;
            }
            told |= begins || ["disconnect", "close"].contains(&step.as_str());
        }
    }
    told
}

/// The name of a command: all before its arguments.
fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// The clauses of the commands that have a result line; of a final result code, which any command has, those of the last
/// command before it.
fn clauses_of_line(view: &View<'_>, at: usize, line: &[u8]) -> Vec<String> {
    let exchanges = view.profile.steps.values().flat_map(|s| &s.exchanges);
    let own =
        exchanges.filter(|e| e.result.iter().flatten().any(|t| !t.is_loose() && t.read(line).is_some()));
    let clauses: BTreeSet<&String> = own.flat_map(|e| &e.cites).collect();
    if !clauses.is_empty() {
        return clauses.into_iter().cloned().collect();
    }
    let mut told = view.steps.iter().flat_map(|s| s.dialogues.iter().chain(&s.probes));
    told.rfind(|t| t.asked < at).map_or_else(Vec::new, |t| t.cites.clone())
}

/// Success lines that may come for publications sent again after a reconnection: their own command was answered, or given up,
/// before, and no document says whether the module tells of them.
fn owed_for_sent_again(view: &View<'_>) -> Vec<Owed> {
    let mut owed = Vec::new();
    let mut released: BTreeSet<u16> = BTreeSet::new();
    for p in from_module(view) {
        let qos = match &p.packet.body {
            Body::Publish(publish) if publish.dup => publish.qos,
            Body::PubRel(ack) if !released.insert(ack.id) => 2,
            _ => continue,
        };
        let publishing =
            ["publish", "publish-data"].into_iter().filter_map(|step| view.profile.steps.get(step));
        owed.push(Owed::any(publishing.flat_map(|s| &s.exchanges).flat_map(|e| e.results(qos))));
    }
    owed
}

/// The final result code of a command whose refusal reads like the line of a lost connection, where one was lost before: it may
/// have been that line.
fn owed_behind_a_loss(view: &View<'_>, told: &Told) -> Option<Owed> {
    let (line, _) = told.outcome.refusal.as_ref()?;
    let lost = |(at, by, _): &(usize, Side, Close)| *by == Side::Broker && *at < told.asked;
    let mut reads = view.profile.lines.failed.iter().chain(&view.profile.lines.lost);
    let may_be_the_loss = reads.any(|form| form.read(line).is_some())
        && view.connections.iter().filter_map(|c| c.closed.first()).any(lost);
    may_be_the_loss.then(|| Owed::any(exchange_of(view, &told.line).into_iter().flat_map(|e| &e.answer)))
}

/// Whether a line means success somewhere in the profile.
fn means_success(view: &View<'_>, line: &[u8]) -> bool {
    let exchanges = view.profile.steps.values().flat_map(|s| &s.exchanges);
    let mut templates = exchanges.flat_map(|e| e.answer.iter().chain(e.result.iter().flatten()));
    // A template that takes any text would take any line.
    templates.any(|t| !t.is_loose() && t.read(line).is_some())
}

/// Lines that a command of the step may bring besides.
fn borne(view: &View<'_>, step: &StepView, line: &[u8]) -> bool {
    let names: Vec<&[u8]> = step.dialogues.iter().map(|t| name_of(&t.line)).collect();
    view.profile.steps.values().flat_map(|s| &s.exchanges).any(|e| {
        e.send.iter().any(|t| names.contains(&t.name().as_bytes()))
            && e.bear.iter().any(|t| t.read(line).is_some())
    })
}

/// A message is followed by the end of its line when its declared length is over.
fn excess(view: &View<'_>) -> Option<Finding> {
    let message = view.messages.iter().find(|m| !m.excess.is_empty())?;
    let declared = message.payload.len();
    let expected = format!("the line to end after the declared {declared} bytes");
    let observed = format!("{} more: {}", message.excess.len(), text::shortened(&message.excess, 60));
    let finding = Finding::new(Verdict::Fail, expected, observed).citing(&view.profile.message.cites);
    Some(finding.at(message.at).always())
}
