//! What each step demands by itself: documented answers, refusals, and success never before its cause.

use super::{Finding, Serial, StepView, Told, View, besides};
use crate::{
    at::{Heard, Item, Outcome, Stage},
    case::{Case, Op, Step},
    mqtt::{Body, PacketType},
    profile::{First, Known},
    text,
    timeline::{Alteration, Side, What},
    verdict::Verdict,
};

/// Judges every step that was begun, in order.
pub(super) fn judge(case: &Case, view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // TLS hides by whom a connection is made.
    let hidden = case.ops().any(|op| op.step == "secure");
    for seen in &view.steps {
        let Some(step) = case.steps.get(seen.index) else { continue };
        match step {
            Step::Do(op) => {
                findings.extend(means(op, seen));
                findings.extend(without_effect(op, seen, view));
            }
            Step::Check(op) => {
                findings.extend(subject(case, op, seen, view));
                findings
                    .extend(without_effect(op, seen, view).map(|f| f.citing(of_command(case, seen, view))));
            }
            Step::Refuse(op) => {
                findings.extend(no_success(op, seen, view));
                findings.extend(nothing_sent(op, seen, view));
                findings.extend(some_answer(seen, view));
                findings.extend(answered_alone(seen, view));
                findings.extend(port_answers(case, seen, view));
            }
            Step::NoSuccess(op) => {
                // Where success may be told before it is certain, it says nothing of what did not come.
                if seen.dialogues.last().is_none_or(|told| told.certain) {
                    // The case may be about something else than this command.
                    findings
                        .extend(no_success(op, seen, view).map(|f| f.citing(of_command(case, seen, view))));
                }
                findings.extend(port_answers(case, seen, view));
            }
            Step::Spoilt { op, may_succeed, .. } => {
                findings.extend(not_begun(op, seen));
                if !may_succeed && seen.dialogues.last().is_none_or(|told| told.certain) {
                    findings.extend(no_success(op, seen, view));
                }
            }
            Step::Beyond(op) => {
                if !seen.claimed() {
                    findings
                        .extend(nothing_sent(op, seen, view).map(|f| f.citing(of_command(case, seen, view))));
                }
                findings.extend(port_answers(case, seen, view));
            }
            Step::Held { packet, op } => {
                findings
                    .extend(held(*packet, op, seen, view).map(|f| f.citing(of_command(case, seen, view))));
            }
            Step::Probe => findings.extend(port_answers(case, seen, view)),
            Step::Broker(_) => findings.extend(obeyed(seen)),
            Step::Await(_) => findings.extend(came(seen)),
            Step::Try(_) | Step::Pause(_) | Step::Quiet | Step::Idle { .. } => {}
        }
        if let Some(op) = step.op() {
            let early = cause(op, seen, view, hidden);
            // A connection that nobody knows may be the module's, spoilt by what the case is about.
            let known = |finding: Finding| match view.strangers {
                0 => finding,
                _ => finding.citing(of_command(case, seen, view)),
            };
            findings.extend(early.map(known));
        }
    }
    findings
}

/// A means: refused or without its result it provokes nothing; without any final result code the module is at fault.
fn means(op: &Op, seen: &StepView) -> Option<Finding> {
    let told = seen.dialogues.iter().find(|t| !t.outcome.succeeded())?;
    let silent = !told.outcome.answered();
    let owed = told.known == Known::Full || told.known == Known::Name && is_mute(told, seen);
    let verdict = if silent && owed { Verdict::Fail } else { Verdict::Inconclusive };
    // Whatever the case is about, it is not this command.
    Some(unanswered(verdict, op, told, seen).citing(&told.cites))
}

/// The exchanges before the last one are only means.
fn not_begun(op: &Op, seen: &StepView) -> Option<Finding> {
    let (_, first) = seen.dialogues.split_last()?;
    let told = first.iter().find(|t| !t.outcome.succeeded())?;
    Some(unanswered(Verdict::Inconclusive, op, told, seen))
}

/// The subject: the documented lines, in the documented order.
fn subject(case: &Case, op: &Op, seen: &StepView, view: &View<'_>) -> Option<Finding> {
    if let Some(told) = seen.dialogues.iter().find(|t| !t.outcome.succeeded()) {
        return Some(unanswered(firmness(told, seen), op, told, seen).citing(of_subject(case, told, view)));
    }
    if let Some((told, info)) = seen.dialogues.iter().find_map(|t| Some((t, t.missing_info.clone()?))) {
        let expected = format!("`{info}` in the answer to `{}`", text::shortened(&told.line, 80));
        let finding =
            Finding::new(firmness(told, seen), expected, "no such line before the final result code");
        return Some(finding.citing(of_subject(case, told, view)).at(told.asked));
    }
    seen.dialogues.iter().filter(|t| t.known == Known::Full).find_map(|told| out_of_order(told, view))
}

/// Where the subject is not answered as documented, the fault may lie in what the case is about, or in the dialogue of its
/// command.
fn of_subject(case: &Case, told: &Told, view: &View<'_>) -> Vec<String> {
    besides(Vec::new(), case, view, &told.cites)
}

/// The same for the last command of a step.
fn of_command(case: &Case, seen: &StepView, view: &View<'_>) -> Vec<String> {
    besides(Vec::new(), case, view, seen.dialogues.last().map_or(&[], |told| &told.cites))
}

/// Final result code, result line and prompt come in the documented order.
fn out_of_order(told: &Told, view: &View<'_>) -> Option<Finding> {
    let o = &told.outcome;
    let answer = o.answer.as_ref()?;
    let finding = |first: String, second: String, at: &Heard| {
        let expected = format!("{first} first, then {second}");
        let finding = Finding::new(Verdict::Fail, expected, format!("{second} before {first}"));
        Some(finding.citing(&told.cites).at(view.event_of(at).unwrap_or(told.asked)))
    };
    match (&o.result, told.first) {
        (Some(result), First::Answer) if o.result_first => {
            return finding(show(answer), show(result), result);
        }
        (Some(result), First::Result) if !o.result_first => {
            return finding(show(result), show(answer), answer);
        }
        _ => {}
    }
    let prompted = o.prompted?;
    let before = answer.1 < prompted;
    match (told.prompt_after_answer, before, o.answer_before_prompt) {
        (true, false, _) => finding(show(answer), "the prompt".to_owned(), answer),
        (false, _, true) => finding("the data".to_owned(), show(answer), answer),
        _ => None,
    }
}

/// Success that may be told early still has to come true.
fn without_effect(op: &Op, seen: &StepView, view: &View<'_>) -> Option<Finding> {
    let told = seen.dialogues.last().filter(|told| !told.certain)?;
    let claim = told.outcome.claim().filter(|_| told.outcome.claimed())?;
    let within = |at: usize| (told.asked..seen.end).contains(&at);
    let (needed, came) = match op.step.as_str() {
        "open" => ("TCP connection".to_owned(), view.connections.iter().any(|c| within(c.opened))),
        step => {
            let kind = acknowledgement(step, op.qos())?;
            (kind.to_string(), view.to_module(kind).any(|p| within(p.at)))
        }
    };
    if came {
        return None;
    }
    let expected = format!("{} to come true", show(claim));
    let finding = Finding::new(Verdict::Fail, expected, format!("no {needed} followed{}", strangers(view)));
    Some(finding.citing(&told.cites).at(told.asked))
}

/// The broker's packet that ends the operation of a step; none where there is none to wait for.
pub fn acknowledgement(step: &str, qos: Option<u8>) -> Option<PacketType> {
    match (step, qos) {
        ("connect", _) => Some(PacketType::ConnAck),
        ("subscribe", _) => Some(PacketType::SubAck),
        ("unsubscribe", _) => Some(PacketType::UnsubAck),
        ("publish" | "publish-data", Some(1)) => Some(PacketType::PubAck),
        ("publish" | "publish-data", Some(2)) => Some(PacketType::PubComp),
        _ => None,
    }
}

/// How firmly a command's documented dialogue binds. A refusal of a command that the document names is a failure even where
/// its dialogue is not printed, and so is silence (V.250 5.7.1).
fn firmness(told: &Told, seen: &StepView) -> Verdict {
    match told.known {
        Known::Full => Verdict::Fail,
        Known::Name if is_mute(told, seen) => Verdict::Fail,
        Known::Name if told.outcome.refusal.is_some() || told.outcome.failure.is_some() => Verdict::Fail,
        // It followed the dialogue up to the data, and then there was no final result code at all (V.250 5.7.1).
        Known::Name if told.outcome.prompted.is_some() && !told.outcome.answered() => Verdict::Fail,
        Known::Name | Known::Family => Verdict::Inconclusive,
    }
}

fn unanswered(verdict: Verdict, op: &Op, told: &Told, seen: &StepView) -> Finding {
    let o = &told.outcome;
    let command = text::shortened(&told.line, 80);
    let expected = match (&o.answer, o.prompted) {
        (None, None) => format!("`{command}` to be answered with success"),
        _ => format!("{} after `{command}`", told.awaited),
    };
    let waited =
        seen.silences.last().map_or(String::new(), |(_, _, ms)| format!(" within {} s", seconds(*ms)));
    let observed = match (&o.refusal, &o.failure, told.stage) {
        (Some(line), ..) | (None, Some(line), _) => format!("{}: {} was refused", show(line), op.step),
        (None, None, Stage::Prompt) => format!("no prompt{waited}"),
        (None, None, Stage::Answer) => format!("no final result code{waited}"),
        (None, None, _) => format!("only {}, then nothing{waited}", said(o)),
    };
    let at = seen.silences.last().map_or(told.asked, |(at, ..)| *at);
    Finding::new(verdict, expected, observed).at(at)
}

/// Never success.
fn no_success(op: &Op, seen: &StepView, view: &View<'_>) -> Option<Finding> {
    if !seen.claimed() {
        return None;
    }
    let told = seen.dialogues.last()?;
    let claim = told.outcome.claim()?;
    let expected = format!("no success: {op} cannot succeed here");
    let observed = format!("`{}` was answered with {}", text::shortened(&told.line, 80), show(claim));
    let finding = Finding::new(Verdict::Fail, expected, observed);
    Some(finding.at(view.event_of(claim).unwrap_or(told.asked)))
}

/// A refused command sends nothing. What a connection sends by itself (keep-alive, acknowledgements), and the
/// DISCONNECT of a command before that may arrive late, is not the refused command's.
fn nothing_sent(op: &Op, seen: &StepView, view: &View<'_>) -> Option<Finding> {
    let within = |at: usize| (seen.begin..seen.end).contains(&at);
    let refused = |told: &Told| told.outcome.refusal.is_some() || told.outcome.failure.is_some();
    let expected = if seen.dialogues.last().is_some_and(refused) {
        format!("nothing sent for a refused command ({op})")
    } else {
        format!("nothing sent without success ({op})")
    };
    let sent = view.packets.iter().filter(|p| p.from == Side::Module && within(p.at));
    let own = |kind: PacketType| {
        matches!(
            kind,
            PacketType::Connect | PacketType::Publish | PacketType::Subscribe | PacketType::Unsubscribe
        )
    };
    let packet = sent.into_iter().find(|p| own(p.packet.kind))?;
    Some(Finding::new(Verdict::Fail, expected, packet.packet.to_string()).at(packet.at))
}

/// Whether the module printed nothing at all for a command, before it was asked whether its port answers.
fn is_mute(told: &Told, seen: &StepView) -> bool {
    !told.outcome.answered() && said_for(told, seen).is_none()
}

/// The first line behind a command, before the module was asked whether its port answers, and its event.
fn said_for<'s>(told: &Told, seen: &'s StepView) -> Option<(usize, &'s Vec<u8>)> {
    let probed = seen.probes.iter().map(|probe| probe.asked).find(|at| *at > told.asked).unwrap_or(seen.end);
    seen.serial.iter().find_map(|serial| match serial {
        Serial::Printed { at, item: Item::Line(line), .. } if (told.asked..probed).contains(at) => {
            Some((*at, line))
        }
        _ => None,
    })
}

/// Where the line of the result comes first, a final result code of success alone is success.
fn answered_alone(seen: &StepView, view: &View<'_>) -> Option<Finding> {
    let told = seen.dialogues.last().filter(|told| told.first == First::Result)?;
    let o = &told.outcome;
    let answer =
        o.answer.as_ref().filter(|_| o.result.is_none() && o.failure.is_none() && o.refusal.is_none())?;
    let expected = format!("a refusal of `{}`", text::shortened(&told.line, 80));
    let observed = match said_for(told, seen) {
        Some((_, line)) if *line != answer.0 => {
            format!("`{}`, which is none, and {}", text::visible(line), show(answer))
        }
        _ => format!("{} and no line of a failure", show(answer)),
    };
    let finding = Finding::new(Verdict::Fail, expected, observed).citing(&told.cites);
    Some(finding.at(view.event_of(answer).unwrap_or(told.asked)))
}

/// V.250 5.7.1 has a final result code for every command line. Where no document says what a refusal looks like, silence warns.
fn some_answer(seen: &StepView, view: &View<'_>) -> Option<Finding> {
    let told = seen.dialogues.iter().find(|t| !t.outcome.answered() && t.outcome.failure.is_none())?;
    if let Some((at, line)) = said_for(told, seen) {
        // The word of another command is the one thing that it cannot be (X01); else no document says how a refusal reads.
        let mut others =
            view.profile.steps.values().flat_map(|step| &step.exchanges).flat_map(|e| &e.refused);
        let other = others.find(|word| word.read(line).is_some())?;
        let expected = format!("a refusal of `{}`", text::shortened(&told.line, 80));
        let observed = format!("`{}`, which is the word of another command", other.source());
        return Some(Finding::new(Verdict::Fail, expected, observed).citing(&told.cites).at(at));
    }
    let expected = format!("a final result code for `{}`", text::shortened(&told.line, 80));
    let verdict = if view.profile.behaviour.format_errors { Verdict::Fail } else { Verdict::Warning };
    let finding = Finding::new(verdict, expected, "no answer at all");
    Some(finding.citing(&told.cites).at(told.asked))
}

/// After something went wrong the port must still answer.
fn port_answers(case: &Case, seen: &StepView, view: &View<'_>) -> Option<Finding> {
    let told = seen.probes.last().filter(|t| !t.outcome.answered())?;
    let expected = format!("the port to answer `{}` afterwards", text::visible(&told.line));
    // It is the command before that left the port dead.
    let finding = Finding::new(Verdict::Fail, expected, "no answer").citing(of_command(case, seen, view));
    Some(finding.at(told.asked).always())
}

/// The broker could do what the case asks of it.
fn obeyed(seen: &StepView) -> Option<Finding> {
    let (at, awaited, _) = seen.silences.first()?;
    Some(Finding::new(Verdict::Inconclusive, format!("a {awaited}"), "there is none").at(*at))
}

/// What the case waits for came; where an expectation needs it, that says more.
fn came(seen: &StepView) -> Option<Finding> {
    let (at, awaited, ms) = seen.silences.first()?;
    let observed = format!("nothing of it within {} s", seconds(*ms));
    Some(Finding::new(Verdict::Inconclusive, awaited.clone(), observed).at(*at))
}

/// Success only after the held packet was released, and then really.
fn held(packet: PacketType, op: &Op, seen: &StepView, view: &View<'_>) -> Option<Finding> {
    let told = seen.dialogues.last()?;
    let events = view.timeline.events.get(seen.begin..seen.end.min(view.timeline.events.len()))?;
    let find = |wanted: Alteration| {
        events.iter().position(|e| {
            matches!(&e.what, What::Altered { packet: p, action, .. } if *p == packet && *action == wanted)
        })
    };
    let claim = told.outcome.claim().filter(|_| told.outcome.claimed());
    let Some(line) = claim else { return Some(unanswered(firmness(told, seen), op, told, seen)) };
    let at = view.event_of(line).unwrap_or(told.asked);
    // Success may come even before the broker has anything to hold back: one fault, one message.
    let released = find(Alteration::Released).map(|i| seen.begin + i);
    let early =
        find(Alteration::Held).is_none() || told.certain && released.is_none_or(|released| at < released);
    early.then(|| {
        let expected = format!("no {} before the broker's {packet}", show(line));
        let observed = format!("{} at {}, the broker had sent no {packet}", show(line), view.time(at));
        Finding::new(Verdict::Fail, expected, observed).at(at)
    })
}

/// A line that alone means success cannot come before what it stands for: the broker's packets are recorded before they are
/// written, so a line recorded earlier was printed without its cause.
fn cause(op: &Op, seen: &StepView, view: &View<'_>, hidden: bool) -> Option<Finding> {
    let told = seen.dialogues.last().filter(|told| told.certain)?;
    let claim = told.outcome.result.as_ref()?;
    let at = view.event_of(claim)?;
    let between = |event: usize| (told.asked..at).contains(&event);
    let (needed, came) = match (op.step.as_str(), op.qos()) {
        // The system completes a TCP handshake before the tap hears of it, so here only the order with the command counts.
        ("open", _) => {
            let any = || {
                view.timeline.events.iter().skip(told.asked).any(|e| matches!(e.what, What::Opened { .. }))
            };
            ("TCP connection", view.connections.iter().any(|c| c.opened > told.asked) || hidden && any())
        }
        ("connect", _) => {
            let accepted = |body: &Body| matches!(body, Body::ConnAck(ack) if ack.code == 0);
            (
                "CONNACK 0",
                view.to_module(PacketType::ConnAck).any(|p| between(p.at) && accepted(&p.packet.body)),
            )
        }
        ("subscribe", _) => (
            "granting SUBACK",
            view.to_module(PacketType::SubAck).any(|p| between(p.at) && is_granted(&p.packet.body)),
        ),
        (step, qos) => {
            let kind = acknowledgement(step, qos)?;
            (kind.name(), view.to_module(kind).any(|p| between(p.at)))
        }
    };
    if came {
        return None;
    }
    let expected = format!("no {} without {needed}", show(claim));
    let observed = format!("{} although there was no {needed}{}", show(claim), strangers(view));
    Some(Finding::new(Verdict::Fail, expected, observed).citing(&told.cites).at(at))
}

/// A SUBACK that grants. One filter was asked for: its code is the first, whatever a broken SUBACK has behind it.
fn is_granted(body: &Body) -> bool {
    matches!(body, Body::SubAck(ack) if ack.codes.first().is_some_and(|&code| code <= 2))
}

/// What may explain a connection that is not there.
fn strangers(view: &View<'_>) -> String {
    match view.strangers {
        0 => String::new(),
        n => format!(" ({n} connections came that did not show this case's credentials)"),
    }
}

fn show(heard: &Heard) -> String {
    format!("`{}`", text::shortened(&heard.0, 80))
}

fn said(outcome: &Outcome) -> String {
    let lines = [&outcome.answer, &outcome.result].into_iter().flatten().map(show).collect::<Vec<_>>();
    if lines.is_empty() { "the prompt".to_owned() } else { lines.join(" and ") }
}

/// ms as seconds for people.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000).trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::SubAck;

    #[test]
    fn the_first_code_of_a_suback_is_that_of_the_filter() {
        let is = |codes: &[u8]| is_granted(&Body::SubAck(SubAck { id: 1, codes: codes.to_vec() }));
        assert!(is(&[1]) && is(&[1, 0x80]));
        assert!(!is(&[0x80]) && !is(&[0x80, 1]) && !is(&[]));
    }
}
