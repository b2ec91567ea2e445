//! What a module's document promises of bytes and lengths, and what it leaves open.
//!
//! A campaign fails a module only for what its document, or MQTT, firmly says; all else is measured and told.

use atspec_model::{case::Context, profile::Profile};

use super::action::Publication;
use crate::words::{longest_payload, publish, quoted};

/// What is promised of something that is sent, from the firmest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// It is taken and arrives byte-exact.
    Kept,
    /// The document only implies that.
    Implied,
    /// It is refused cleanly, or arrives byte-exact.
    Exact,
    /// Beyond a documented limit: refused cleanly; where it is taken all the same it arrives byte-exact.
    Over,
    /// Nothing, but that the port answers afterwards.
    Unsaid,
}

/// Topics up to this length have to be taken where a document names no length, in bytes: as long as the suites' own.
const USUAL_TOPIC: usize = 36;

/// Whether an argument stands in quotes.
fn in_quotes(cx: &Context<'_>, step: &str, name: &str) -> bool {
    quoted(cx, step, name)
}

/// What is promised of a byte value inside an argument, however long it is.
pub fn of_byte(cx: &Context<'_>, step: &str, name: &str, byte: u8) -> Promise {
    let profile = cx.profile;
    if is_data(profile, step, name) {
        let implied = profile.implied.iter().any(|id| id == "publish-data/every-byte");
        return if implied { Promise::Implied } else { Promise::Kept };
    }
    let framed = in_quotes(cx, step, name);
    if profile.written(step, name, framed, &[byte]).is_err() {
        return Promise::Unsaid;
    }
    let escaped = profile.argument(step, name).is_some_and(|a| a.escaped);
    if escaped && profile.escapes.table.iter().any(|(raw, _)| *raw == byte) {
        return Promise::Kept;
    }
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => Promise::Kept,
        // Without quotes a semicolon may begin another command (V.250 5.2.1), and blanks may be dropped.
        b';' | b' ' if !framed => Promise::Unsaid,
        // Where it is no escape, nobody says what it is.
        b'\\' => Promise::Unsaid,
        0x20..=0x7e if name == "payload" => Promise::Kept,
        b'/' | b'.' | b'_' | b'-' | b':' if name == "topic" => Promise::Kept,
        0x20..=0x7e => Promise::Implied,
        _ => Promise::Unsaid,
    }
}

/// Whether an argument is sent as data behind a prompt.
pub fn is_data(profile: &Profile, step: &str, name: &str) -> bool {
    let exchanges = profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
    exchanges.into_iter().any(|e| e.data.as_deref() == Some(name))
}

/// What is promised of a publication.
pub fn of_publication(cx: &Context<'_>, one: &Publication) -> Promise {
    if one.raw {
        return Promise::Unsaid;
    }
    [of_topic(cx, one), of_payload(cx, one), of_line(cx, one)].into_iter().max().unwrap_or(Promise::Unsaid)
}

fn of_topic(cx: &Context<'_>, one: &Publication) -> Promise {
    let topic = &one.topic.0;
    let content = of_bytes(cx, &one.by, "topic", topic);
    let wild = topic.iter().any(|b| matches!(b, b'+' | b'#' | b'$'));
    let length = match cx.profile.argument(&one.by, "topic").and_then(|a| a.length) {
        _ if topic.is_empty() || wild => Promise::Unsaid,
        Some((_, max)) if topic.len() > max => Promise::Over,
        None if topic.len() > USUAL_TOPIC => Promise::Exact,
        _ => Promise::Kept,
    };
    content.max(length)
}

fn of_payload(cx: &Context<'_>, one: &Publication) -> Promise {
    let payload = &one.payload.0;
    let data = is_data(cx.profile, &one.by, "payload");
    let content = of_bytes(cx, &one.by, "payload", payload);
    let least = cx.profile.argument(&one.by, "len").and_then(|a| a.range).map_or(0, |(min, _)| min);
    let length = match longest_payload(cx, &one.by) {
        _ if payload.is_empty() && (!data || least > 0) => Promise::Unsaid,
        // Whether a payload of no bytes is asked for at all is no document's business.
        _ if payload.is_empty() => Promise::Exact,
        Some(max) if payload.len() > max => Promise::Over,
        Some(_) if data || plain(payload) && one.topic.0.len() <= 16 => Promise::Kept,
        // Whether a limit counts escapes, or the topic, is open: what fits every reading is promised.
        Some(max) if written(cx, one) + one.topic.0.len() <= max => Promise::Kept,
        Some(_) => Promise::Exact,
        None if payload.len() > 64 && cx.profile.behaviour.command_max.is_none() => Promise::Exact,
        None => Promise::Kept,
    };
    let declared = match (one.declared, cx.profile.argument(&one.by, "len").and_then(|a| a.range)) {
        (None, _) => Promise::Kept,
        (Some(len), Some((_, max))) if len > max => Promise::Over,
        (Some(_), _) => Promise::Unsaid,
    };
    content.max(length).max(declared)
}

/// Letters and digits: every reading of a limit counts them alike.
fn plain(payload: &[u8]) -> bool {
    payload.iter().all(u8::is_ascii_alphanumeric)
}

/// How long the payload is as it is written.
fn written(cx: &Context<'_>, one: &Publication) -> usize {
    let framed = in_quotes(cx, &one.by, "payload");
    cx.profile.written(&one.by, "payload", framed, &one.payload.0).map_or(usize::MAX / 2, |w| w.len())
}

/// The longest command line, where the document has one.
fn of_line(cx: &Context<'_>, one: &Publication) -> Promise {
    let Some(max) = cx.profile.behaviour.command_max else { return Promise::Kept };
    let topic = String::from_utf8_lossy(&one.topic.0);
    let op = publish(&topic, one.qos, &one.payload.0);
    let op = atspec_model::case::Op { step: one.by.clone(), ..op };
    // The packet id of a campaign has five digits at most.
    let spare = if cx.profile.takes(&one.by, "id") { 5 } else { 0 };
    let end = cx.profile.serial.line_end.len();
    match op.exchanges(cx.profile) {
        Ok(all) if all.iter().any(|s| s.line.len() + end + spare > max + 3) => Promise::Over,
        Ok(all) if all.iter().any(|s| s.line.len() + end + spare > max) => Promise::Exact,
        _ => Promise::Kept,
    }
}

/// What is promised of all bytes of a text together.
pub fn of_bytes(cx: &Context<'_>, step: &str, name: &str, text: &[u8]) -> Promise {
    let mut distinct = [false; 256];
    for byte in text {
        distinct[usize::from(*byte)] = true;
    }
    let of = |byte: u8| distinct[usize::from(byte)].then(|| of_byte(cx, step, name, byte));
    (0..=u8::MAX).filter_map(of).max().unwrap_or(Promise::Kept)
}

/// Whether a received payload is promised to be printed as it came.
pub fn of_received(profile: &Profile, payload: &[u8]) -> Promise {
    if profile.message.any {
        // No form is documented: only what cannot be taken for anything else, and that is only implied.
        let plain = |b: &u8| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
        let sure = payload.len() >= 8 && payload.iter().all(plain);
        return if sure { Promise::Implied } else { Promise::Unsaid };
    }
    match profile.message.cut.or(profile.behaviour.receive_max) {
        Some(max) if payload.len() > max => Promise::Unsaid,
        None if payload.len() > 1024 => Promise::Unsaid,
        _ => Promise::Kept,
    }
}
