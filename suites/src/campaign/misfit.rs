//! Data that are not of the length which their command declares.
//!
//! No document says what becomes of a module that waits for the rest, or of what comes too much: that is measured and told. What
//! the length means binds all the same: no PUBLISH with more or fewer bytes than declared, and a port that answers once all that
//! was asked for has come.

use std::time::Duration;

use atspec_model::{
    case::{Context, Expect, Op, Step, Unmet},
    judge::{StepView, Told, View},
    mqtt::{PacketType, Publish},
    profile::Known,
    text,
    timeline::{Purpose, What},
};

use super::action::{Bytes, Publication};
use crate::words::*;

/// The topic and payload of a publication that stands, as a command line, behind data that are complete.
const SURPLUS: &str = "surplus";

/// Whether the data of a publication are more, or fewer, than declared, with a length that the document allows.
pub(crate) fn is_misfit(cx: &Context<'_>, one: &Publication) -> bool {
    let range = cx.profile.argument(&one.by, "len").and_then(|a| a.range);
    let (Some(declared), Some((min, max))) = (one.declared, range) else { return false };
    let ends = cx
        .profile
        .steps
        .get(&one.by)
        .into_iter()
        .flat_map(|s| &s.exchanges)
        .any(|e| e.data.is_some() && !e.data_end.is_empty());
    let fits = usize::try_from(declared).ok() == Some(one.payload.0.len());
    (min..=max).contains(&declared) && !fits && !ends
}

/// A publication that declares so many bytes and sends these.
pub(crate) fn publication(step: &str, declared: usize, data: &[u8]) -> Publication {
    Publication {
        by: step.to_owned(),
        topic: b"t".as_slice().into(),
        qos: 1,
        payload: Bytes(data.to_vec()),
        declared: i64::try_from(declared).ok(),
        ..Publication::default()
    }
}

/// Every way of data not to fit that is tried in each run.
pub(crate) fn all(cx: &Context<'_>, step: &str) -> Vec<Publication> {
    let mut all: Vec<Publication> = [(8, 7), (8, 0), (64, 10), (200, 100)]
        .map(|(declared, sent)| publication(step, declared, &letters(sent)))
        .into();
    for (declared, surplus) in [(8, letters(1)), (8, letters(30)), (100, letters(5)), (1, b"\r\n".to_vec())] {
        all.push(publication(step, declared, &[letters(declared), surplus].concat()));
    }
    all.push(publication(step, 8, &[letters(8), as_command(cx)].concat()));
    all.retain(|one| is_misfit(cx, one));
    all
}

/// A command that would show if it were carried out.
pub(crate) fn as_command(cx: &Context<'_>) -> Vec<u8> {
    let line =
        |op: Op| op.exchanges(cx.profile).ok()?.pop().filter(|one| one.data.is_none()).map(|one| one.line);
    let op = publish(SURPLUS, 0, SURPLUS).with("id", "0");
    let line = line(op).or_else(|| line(Op::new("probe"))).unwrap_or_default();
    [line.as_slice(), cx.profile.serial.line_end.as_bytes()].concat()
}

/// What is done: the publication; then, where data are missing, a line with as many letters, which is data to a module that still
/// waits and no command to one that does not.
pub(crate) fn steps(one: &Publication, op: Op) -> Vec<Step> {
    let missing = declared(one).saturating_sub(one.payload.0.len());
    if missing > 0 {
        let rest = Op { line: Some(letters(missing)), ..Op::new("probe") };
        vec![Try(op), Try(rest), Quiet, Probe]
    } else {
        vec![Try(op), Quiet, Try(Op::new("probe")), Probe]
    }
}

fn declared(one: &Publication) -> usize {
    one.declared.and_then(|len| usize::try_from(len).ok()).unwrap_or(0)
}

/// What may stand on the wire: the declared number of bytes, the first that were sent, or nothing; besides only what was commanded
/// in what came too much.
pub(crate) fn on_the_wire(cx: &Context<'_>, step: usize, one: &Publication) -> Expect {
    let (len, sent) = (declared(one), one.payload.0.clone());
    let known = cx.profile.steps.get(&one.by).and_then(|s| s.exchanges.last()).map(|e| e.known);
    let implied = cx.profile.implied.iter().any(|id| id == "publish-data/every-byte");
    let what = format!("no PUBLISH, or one of the declared {len} bytes");
    let expect = Expect::new(what, move |view| {
        let publishes = view.from_module(PacketType::Publish);
        let mut publishes = publishes.filter_map(|p| Some((p.at, p.packet.as_publish().filter(|m| !m.dup)?)));
        let surplus = sent.get(len..).unwrap_or_default();
        let given = &sent[..sent.len().min(len)];
        let mut own = 0;
        for (at, publish) in publishes.by_ref() {
            if publish.payload.len() == len && publish.payload.starts_with(given) && own == 0 {
                own += 1;
            } else if !commanded(surplus, publish) {
                let observed =
                    format!("{} bytes published although {len} were declared", publish.payload.len());
                return Err(Unmet::at(
                    format!("{observed}: `{}`", text::shortened(&publish.payload, 60)),
                    at,
                ));
            }
        }
        let claimed = view.step(step).is_some_and(StepView::claimed);
        if claimed && own == 0 && sent.len() >= len {
            return Err(Unmet::missing("success, and no PUBLISH"));
        }
        Ok(())
    });
    if known == Some(Known::Full) && !implied { expect } else { expect.should() }
}

/// Whether a publication was commanded by what came too much.
fn commanded(surplus: &[u8], publish: &Publish) -> bool {
    let holds = |text: &[u8]| !text.is_empty() && surplus.windows(text.len()).any(|part| part == text);
    holds(publish.topic.as_bytes()) && holds(&publish.payload)
}

/// What became of it, for people: of data that were too few whether and when the module gave up, of too many what became of the rest.
pub(crate) fn told(view: &View<'_>, first: usize, one: &Publication) -> Option<(String, String)> {
    let step = view.step(first)?;
    let own = step.dialogues.last()?;
    let by = &one.by;
    let (len, sent) = (declared(one), one.payload.0.len());
    let example = format!("{sent} bytes where {len} were declared");
    if own.outcome.prompted.is_none() {
        return Some((format!("{by}: no prompt"), example));
    }
    let kind = if sent < len { too_few(view, first, own, len) } else { too_many(view, first, one) };
    let when = if sent < len { gave_up_after(view, first) } else { None };
    let when = when.map_or(String::new(), |s| format!(", after {s:.1} s of the document's clock"));
    let which = if sent < len { "too few data" } else { "too many data" };
    Some((format!("{by}, {which}: {kind}"), format!("{example}{when}")))
}

fn too_few(view: &View<'_>, first: usize, own: &Told, len: usize) -> String {
    let o = &own.outcome;
    let answer = o.answer.as_ref().filter(|_| !own.prompt_after_answer);
    let given_up = o.failure.as_ref().or(o.refusal.as_ref()).or(answer);
    let refused = view.step(first + 1).and_then(|s| s.outcome()).is_some_and(|o| o.refusal.is_some());
    let published = view
        .from_module(PacketType::Publish)
        .filter_map(|p| p.packet.as_publish())
        .any(|p| p.payload.len() == len);
    match given_up {
        Some((line, _)) => format!("it gives up by itself with `{}`", text::shortened(line, 40)),
        None if published => "it waits on, and takes the next command for data".to_owned(),
        None if refused => "it gives up by itself without a word".to_owned(),
        None => "it does not answer any more".to_owned(),
    }
}

/// Seconds of the document from the data to the first word after them.
fn gave_up_after(view: &View<'_>, first: usize) -> Option<f64> {
    let step = view.step(first)?;
    let events = view.timeline.events.get(step.begin..)?;
    let sent = events.iter().position(|e| matches!(e.what, What::Sent { purpose: Purpose::Data, .. }))?;
    let word =
        events.get(sent..)?.iter().find(|e| !matches!(e.what, What::Sent { purpose: Purpose::Data, .. }))?;
    let heard = matches!(word.what, What::Received { .. });
    let us = word.at_us.checked_sub(events.get(sent)?.at_us).filter(|_| heard)?;
    let factor = view.header.settings.clock_factor;
    (factor > 0.0).then(|| Duration::from_micros(us).as_secs_f64() / factor)
}

fn too_many(view: &View<'_>, first: usize, one: &Publication) -> String {
    let surplus = one.payload.0.get(declared(one)..).unwrap_or_default();
    let mut published = view.from_module(PacketType::Publish).filter_map(|p| p.packet.as_publish());
    let probe = view.step(first + 2).and_then(|step| step.outcome().cloned());
    let refused = probe.as_ref().is_some_and(|o| o.refusal.is_some());
    let ended = surplus.contains(&b'\r') && surplus.iter().any(u8::is_ascii_graphic);
    if published.any(|p| commanded(surplus, p)) {
        "the rest is carried out as a command".to_owned()
    } else if refused {
        "the rest is the beginning of the next command".to_owned()
    } else if ended {
        "the rest, a command, is not carried out".to_owned()
    } else {
        "the rest is lost".to_owned()
    }
}
