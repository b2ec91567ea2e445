//! Documented maxima: one less and the maximum arrive byte-exact, one more is refused cleanly or arrives byte-exact.

mod connection;
mod topics;

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Unmet},
    judge::{StepView, View, WirePacket},
    mqtt::PacketType,
    profile::Argument,
};

use crate::words::*;

/// Lengths around the sizes that buffers have.
pub(crate) const BUFFERS: [usize; 14] =
    [127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 2047, 2048];

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "t");
    let mut cases = Vec::new();
    if let Some((_, max)) = cx.profile.argument("publish", "payload").and_then(|a| a.length) {
        cases.extend(
            [max - 1, max].map(|len| arrives(cx, "publish-payload", len, publish(&t, 1, letters(len)))),
        );
        cases.extend([0, 2].map(|qos| with_qos(cx, "publish-payload", max, publish(&t, qos, letters(max)))));
        cases.push(beyond(cx, "publish-payload", max + 1, publish(&t, 0, letters(max + 1))));
    }
    if let Some(argument @ &Argument { range: Some((min, max)), .. }) =
        cx.profile.argument("publish-data", "len")
    {
        // Whether a payload of no bytes is asked for at all is no document's business.
        let lengths = [min.max(1), max - 1, max].map(|len| usize::try_from(len).unwrap_or(1));
        cases.extend(
            lengths.map(|len| arrives(cx, "publish-data-len", len, publish_data(&t, 1, letters(len)))),
        );
        let most = usize::try_from(max).unwrap_or(1);
        cases.extend(
            [0, 2].map(|qos| with_qos(cx, "publish-data-len", most, publish_data(&t, qos, letters(most)))),
        );
        // Where the document has a maximum rather than a range, more of it may also be taken whole.
        let more = usize::try_from(max + 1).ok().filter(|_| argument.cites.is_empty());
        cases.extend(more.map(|len| beyond(cx, "publish-data-len", len, publish_data(&t, 1, letters(len)))));
    }
    cases.extend(topics::cases(cx));
    cases.extend(buffers(cx, "publish", publish));
    cases.extend(buffers(cx, "publish-data", publish_data));
    cases.extend(command_lines(cx));
    cases.extend(connection::cases(cx));
    cases
}

/// Payloads of lengths around the sizes that buffers have. Where the document tells no maximum, nobody promises that a length
/// is accepted, only that nothing is cut.
fn buffers(cx: &Context<'_>, step: &str, publish: fn(&str, u8, Vec<u8>) -> Op) -> Vec<Case> {
    let t = topic(cx, "t");
    let longest = longest_payload(cx, step);
    let promised = longest.is_some() || cx.profile.behaviour.command_max.is_some();
    let what = format!("{step}-buffer");
    BUFFERS
        .into_iter()
        .filter(|&len| longest.is_none_or(|max| len <= max))
        .map(|len| {
            let op = publish(&t, 1, letters(len));
            if promised { arrives(cx, &what, len, op) } else { never_cut(cx, &what, len, op) }
        })
        .collect()
}

/// A payload of this length arrives byte-exact.
fn arrives(cx: &Context<'_>, what: &str, len: usize, op: Op) -> Case {
    let payload = op.values.get("payload").cloned().unwrap_or_default();
    let qos = op.qos().unwrap_or(0);
    case(&format!("limits/{what}-{len}"), &format!("a payload of {len} bytes arrives byte-exact"), &[])
        .steps(then(connected(cx), [Check(op)]))
        .expect([publications(vec![sent(&topic(cx, "t"), qos, payload)])])
}

/// The same with another QoS.
fn with_qos(cx: &Context<'_>, what: &str, len: usize, op: Op) -> Case {
    let qos = op.qos().unwrap_or(0);
    let same = arrives(cx, what, len, op);
    let like = same.id.clone();
    let asks = format!("{} with QoS {qos} too", same.asks);
    Case { id: format!("{like}-qos{qos}"), asks, ..same }
        .steps([Wait(Await::FromModule(PacketType::Publish, 1))])
        .like(cx, &like)
}

/// A payload of this length, about which the document says nothing: refused, or byte-exact.
fn never_cut(cx: &Context<'_>, what: &str, len: usize, op: Op) -> Case {
    let expected = refused_or_exact(cx, &op);
    case(
        &format!("limits/{what}-{len}"),
        &format!("a payload of {len} bytes is refused, or arrives byte-exact"),
        &[],
    )
    .steps(then(connected(cx), [Beyond(op)]))
    .expect([expected])
}

/// One beyond the maximum: refused cleanly is right, accepted byte-exact is worth a warning, anything else fails.
fn beyond(cx: &Context<'_>, what: &str, len: usize, op: Op) -> Case {
    let after = topic(cx, "after");
    never_cut(cx, what, len, op)
        .steps([Do(send(cx, &after, 1, "still works"))])
        .expect([accepted_warns(&after)])
}

/// Whether the step just behind the connection was answered with success.
fn claimed(view: &View<'_>, index: usize) -> bool {
    view.step(index).is_some_and(StepView::claimed)
}

/// The whole payload on the wire, or no success and nothing sent.
fn refused_or_exact(cx: &Context<'_>, op: &Op) -> Expect {
    let index = connected(cx).len();
    let exact = op.values.get("payload").cloned().unwrap_or_default();
    let here = topic(cx, "t").into_bytes();
    Expect::new("a clean refusal, or the whole payload", move |view| {
        let own = |p: &WirePacket| {
            Some((p.at, p.packet.as_publish().filter(|m| m.topic.as_bytes() == here)?.clone()))
        };
        match view.from_module(PacketType::Publish).find_map(own) {
            Some((at, publish)) => match difference(&exact, &publish.payload) {
                Some(difference) => Err(Unmet::at(difference, at)),
                None => Ok(()),
            },
            None if claimed(view, index) => Err(match view.from_module(PacketType::Publish).next() {
                Some(p) => {
                    let observed = format!("success, and {} on another topic", p.packet);
                    Unmet::at(observed, p.at).citing(clauses_of(view, "topic"))
                }
                None => Unmet::missing("success, although nothing was sent"),
            }),
            None => Ok(()),
        }
    })
}

/// Acceptance beyond the maximum only warns; the publication that follows is not meant.
fn accepted_warns(after: &str) -> Expect {
    let after = after.as_bytes().to_vec();
    Expect::new("a refusal beyond the documented maximum", move |view| {
        let beyond = view
            .from_module(PacketType::Publish)
            .find(|p| p.packet.as_publish().is_some_and(|m| m.topic.as_bytes() != after));
        match beyond {
            Some(p) => Err(Unmet::at("accepted, byte-exact", p.at)),
            None => Ok(()),
        }
    })
    .should()
}

/// The longest command line that the document allows, and one that is too long however its end is counted.
fn command_lines(cx: &Context<'_>) -> Vec<Case> {
    let Some(max) = cx.profile.behaviour.command_max else { return Vec::new() };
    let t = topic(cx, "t");
    let shortest =
        publish(&t, 1, "").exchanges(cx.profile).ok().and_then(|all| Some(all.first()?.line.len()));
    let payload = |line: usize| Some(letters(line.checked_sub(shortest?)?));
    let (whole, long) = (max - cx.profile.serial.line_end.len(), max + 4);
    let mut cases = Vec::new();
    if let Some(payload) = payload(whole) {
        let op = publish(&t, 1, &payload);
        let what = format!("a command line of {whole} characters and its end is taken whole");
        cases.push(Case { asks: what, ..arrives(cx, "command", whole, op) });
    }
    if let Some(payload) = payload(long) {
        let op = publish(&t, 1, &payload);
        let what = format!("a command line of {long} characters is refused, or taken whole");
        cases.push(Case { asks: what, ..beyond(cx, "command", long, op) });
    }
    cases
}
