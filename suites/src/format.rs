//! How lines are printed: what no document says but every host parser needs only warns.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    text,
    timeline::What,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let talk = || {
        let inbound = [Do(subscribe(&t, 0)), other_publishes(&t, 0, "hello"), Wait(Await::Messages(1))];
        let inbound = inbound.into_iter().filter(|_| has(cx, "subscribe"));
        then(connected(cx), inbound.chain([Do(send(cx, &topic(cx, "out"), 1, "hello"))]))
    };
    let formless = cx.profile.message.any.then(|| {
        format!("the document of {} does not say how a received message is printed", cx.profile.name)
    });
    vec![
        case(
            "format/blank-after-colon",
            "a received message has its blank after the colon as the document prints it",
            &[],
        )
        .should()
        .steps(talk())
        .expect([Expect::new("the head of a message as printed in the document", |view| {
            match view.messages.iter().find(|m| !m.exact) {
                Some(m) => Err(Unmet::at(format!("`{}…`", text::visible(&m.head)), m.at)),
                None => Ok(()),
            }
        })])
        .needing(cx, "subscribe")
        .unless(formless),
        case("format/line-ends", "lines end with CR LF", &[]).should().steps(talk()).expect([line_ends()]),
    ]
}

/// Every LF is preceded by a CR, and every line has an end.
pub(crate) fn line_ends() -> Expect {
    Expect::new("CR LF at the end of every line", |view| {
        // The CR of a first LF may stand in the recording before.
        let mut before = b'\r';
        for (at, event) in view.timeline.events.iter().enumerate() {
            match &event.what {
                What::Received { bytes } => {
                    for &byte in bytes {
                        if byte == b'\n' && before != b'\r' {
                            return Err(Unmet::at("LF alone", at));
                        }
                        before = byte;
                    }
                }
                What::Teardown => break,
                _ => {}
            }
        }
        Ok(())
    })
}
