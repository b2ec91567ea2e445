//! Documented maxima: one less and the maximum arrive byte-exact, one more is refused cleanly or arrives byte-exact.

use atspec_model::{
    case::{Case, Context, Expect, Op, Unmet},
    mqtt::PacketType,
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
        cases.push(beyond(cx, "publish-payload", max + 1, publish(&t, 1, letters(max + 1))));
    }
    if let Some((min, max)) = cx.profile.argument("publish-data", "len").and_then(|a| a.range) {
        let lengths = [min, max - 1, max].map(|len| usize::try_from(len).unwrap_or(0));
        cases.extend(
            lengths.map(|len| arrives(cx, "publish-data-len", len, publish_data(&t, 1, letters(len)))),
        );
    }
    for len in [64, 65, 128, 256] {
        cases.push(long_topic(cx, len));
    }
    let fits = |name: &str, len: usize| {
        cx.profile.argument("publish", name).and_then(|a| a.length).is_none_or(|(_, max)| len <= max)
    };
    for len in BUFFERS.into_iter().filter(|&len| fits("payload", len)) {
        cases.push(arrives(cx, "publish-buffer", len, publish(&t, 1, letters(len))));
    }
    let range = cx.profile.argument("publish-data", "len").and_then(|a| a.range);
    let longest = range.and_then(|(_, max)| usize::try_from(max).ok()).unwrap_or(usize::MAX);
    for len in BUFFERS.into_iter().filter(|&len| len <= longest) {
        cases.push(arrives(cx, "publish-data-buffer", len, publish_data(&t, 1, letters(len))));
    }
    cases
}

/// A payload of this length arrives byte-exact.
fn arrives(cx: &Context<'_>, what: &str, len: usize, op: Op) -> Case {
    let payload = op.values.get("payload").cloned().unwrap_or_default();
    case(&format!("limits/{what}-{len}"), &format!("a payload of {len} bytes arrives byte-exact"), &[])
        .steps(then(connected(cx), [Check(op)]))
        .expect([publications(vec![sent(&topic(cx, "t"), 1, payload)])])
}

/// A topic of this length, about which the document says nothing: refused, or whole; never cut.
fn long_topic(cx: &Context<'_>, len: usize) -> Case {
    let base = topic(cx, "");
    let rest = letters(len.saturating_sub(base.len()));
    let name = format!("{base}{}", String::from_utf8(rest).expect("letters"));
    let wanted = name.clone();
    let index = connected(cx).len();
    case(
        &format!("limits/publish-topic-{len}"),
        &format!("a topic of {len} bytes is refused, or stands whole in PUBLISH"),
        &[],
    )
    .steps(then(connected(cx), [Beyond(publish(&name, 1, "a long way"))]))
    .expect([Expect::new("the whole topic, or a clean refusal", move |view| {
        let claimed = view.step(index).is_some_and(atspec_model::judge::StepView::claimed);
        let seen = view.from_module(PacketType::Publish).find_map(|p| Some((p.at, p.packet.as_publish()?)));
        match seen {
            Some((_, publish)) if publish.topic.as_bytes() == wanted.as_bytes() => Ok(()),
            Some((at, publish)) => Err(Unmet::at(
                format!("a topic of {} bytes: {:?}", publish.topic.as_bytes().len(), publish.topic),
                at,
            )),
            None if claimed => Err(Unmet::missing("success, although nothing was sent")),
            None => Ok(()),
        }
    })])
}

/// One beyond the maximum: refused cleanly is right, accepted byte-exact is worth a warning, anything else fails.
fn beyond(cx: &Context<'_>, what: &str, len: usize, op: Op) -> Case {
    let payload = op.values.get("payload").cloned().unwrap_or_default();
    let index = connected(cx).len();
    let exact = payload.clone();
    let here = topic(cx, "t").into_bytes();
    let refused_or_exact = Expect::new("a clean refusal, or the whole payload", move |view| {
        let claimed = view.step(index).is_some_and(atspec_model::judge::StepView::claimed);
        let beyond = |p: &atspec_model::judge::WirePacket| {
            Some((p.at, p.packet.as_publish().filter(|m| m.topic.as_bytes() == here)?.clone()))
        };
        let seen = view.from_module(PacketType::Publish).find_map(beyond);
        match seen {
            Some((at, publish)) => match difference(&exact, &publish.payload) {
                Some(difference) => Err(Unmet::at(difference, at)),
                None => Ok(()),
            },
            None if claimed => Err(Unmet::missing("success, although nothing was sent")),
            None => Ok(()),
        }
    });
    case(
        &format!("limits/{what}-{len}"),
        &format!("a payload of {len} bytes is refused, or arrives byte-exact"),
        &[],
    )
    .steps(then(
        connected(cx),
        [Beyond(op), Do(publish(&topic(cx, "t"), 1, "still works").with("topic", topic(cx, "after")))],
    ))
    .expect([refused_or_exact, accepted_warns(&topic(cx, "after"))])
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
