//! The prompt before data, as it is printed.

use atspec_model::{
    case::{Case, Context, Expect, Unmet},
    judge::View,
    profile::Known,
    text,
    timeline::{Purpose, What},
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let prompt = exchanges(cx.profile, "publish-data")
        .find_map(|e| e.prompt.clone().filter(|_| e.known == Known::Full));
    let prompt = prompt.filter(|prompt| prompt.bytes().all(|b| matches!(b, b'>' | b' ')));
    let printed = prompt.map(|prompt| {
        case("format/prompt", "the prompt before data is printed as in the document", &[])
            .should()
            .steps(then(connected(cx), [Do(publish_data(&topic(cx, "out"), 1, "asked for by a prompt"))]))
            .expect([shows(prompt.trim().to_owned())])
    });
    printed.into_iter().collect()
}

/// The prompt and nothing else, blanks aside.
fn shows(prompt: String) -> Expect {
    Expect::new(format!("the prompt `{prompt}`"), move |view| {
        let Some((at, before, after)) = around_data(view) else {
            return Err(Unmet::not_provoked("no data were sent"));
        };
        let seen = prompt_in(&before, &after);
        if seen.trim_ascii() == prompt.as_bytes() {
            return Ok(());
        }
        Err(Unmet::at(format!("`{}`", text::visible(&seen)), at))
    })
}

/// What was received from the last command up to its data, and behind them; with the event of the data.
fn around_data(view: &View<'_>) -> Option<(usize, Vec<u8>, Vec<u8>)> {
    let events = &view.timeline.events;
    let is = |purpose: Purpose| move |what: &What| matches!(what, What::Sent { purpose: other, .. } if *other == purpose);
    let data = events.iter().position(|e| is(Purpose::Data)(&e.what))?;
    let command = events[..data].iter().rposition(|e| is(Purpose::Command)(&e.what))?;
    let received = |range: std::ops::Range<usize>| {
        let bytes = events[range].iter().filter_map(|e| match &e.what {
            What::Received { bytes } => Some(bytes.as_slice()),
            _ => None,
        });
        bytes.flatten().copied().collect::<Vec<u8>>()
    };
    Some((data, received(command..data), received(data..events.len())))
}

/// The prompt among what was printed around the data: the last that stands alone in front of them, with what of it came
/// behind them, up to anything else. The first `>` is enough for the data to be sent, the second may come later.
fn prompt_in(before: &[u8], after: &[u8]) -> Vec<u8> {
    let is_end = |b: &u8| matches!(b, b'\r' | b'\n');
    let last = before.split(is_end).rfind(|line| !line.is_empty()).unwrap_or_default();
    let ended = before.last().is_some_and(is_end);
    let mut seen = last.to_vec();
    if !ended {
        seen.extend(after.iter().take_while(|b| matches!(b, b'>' | b' ')));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_found_however_it_is_cut() {
        assert_eq!(prompt_in(b"\r\n> ", b"\r\nOK\r\n"), b"> ");
        assert_eq!(prompt_in(b"\r\nOK\r\n\r\n>\r\n", b"\r\n+X:OK\r\n"), b">");
        assert_eq!(prompt_in(b"AT+MPUBEX=t,0,0,3\r\r\n>", b"> abc\r\nOK"), b">> ");
        assert_eq!(prompt_in(b"\r\n>>", b"abc\r\n"), b">>");
        assert_eq!(prompt_in(b"\r\n> send:", b""), b"> send:");
    }
}
