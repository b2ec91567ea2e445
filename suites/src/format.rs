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
        case("format/line-ends", "lines end with CR LF", &[]).steps(talk()).expect([line_ends()]),
        case("format/printable", "lines of replies hold text alone, no control characters", &[])
            .steps(talk())
            .expect([printable()])
            .like(cx, "format/line-ends"),
    ]
}

/// What stands behind a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    CrLf,
    Cr,
    Lf,
}

impl End {
    /// The first line end of what stands between two lines.
    fn of(between: &[u8]) -> Self {
        match between {
            [b'\r', b'\n', ..] => Self::CrLf,
            [b'\r', ..] => Self::Cr,
            _ => Self::Lf,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::CrLf => "CR LF",
            Self::Cr => "CR alone",
            Self::Lf => "LF alone",
        }
    }
}

/// Lines of replies end with CR LF (V.250 5.7.1, whose S3 and S4 no document changes), and so in one way. Lines that are printed
/// back end as they were sent, and a prompt does not end.
pub(crate) fn line_ends() -> Expect {
    Expect::new("CR LF at the end of every line", |view| {
        let (mut printed, mut came) = (Vec::new(), Vec::new());
        for (at, event) in view.timeline.events.iter().enumerate() {
            match &event.what {
                What::Received { bytes } => {
                    came.push((printed.len(), at));
                    printed.extend_from_slice(bytes);
                }
                What::Teardown => break,
                _ => {}
            }
        }
        let lines = lines(&printed);
        let Some((offset, line, end)) = lines.iter().find(|(_, _, end)| *end != End::CrLf) else {
            return Ok(());
        };
        let at = came.iter().rfind(|(start, _)| start <= offset).map_or(0, |(_, at)| *at);
        Err(Unmet::at(format!("`{}` ends with {}", text::visible(line), end.name()), at))
    })
}

/// A host compares lines: one with a byte that is not seen is another line. Flow control (XON, XOFF) is the driver's.
fn printable() -> Expect {
    const XON: u8 = 0x11;
    const XOFF: u8 = 0x13;
    Expect::new("no control characters beside CR LF", |view| {
        let mut events =
            view.timeline.events.iter().enumerate().take_while(|(_, e)| e.what != What::Teardown);
        let found = events.find_map(|(at, event)| match &event.what {
            What::Received { bytes } => {
                let mut control = bytes.iter().filter(|byte| byte.is_ascii_control());
                let byte = control.find(|byte| !matches!(**byte, b'\r' | b'\n' | b'\t' | XON | XOFF))?;
                Some(Unmet::at(format!("{byte:02X} (hex) in `{}`", text::shortened(bytes, 60)), at))
            }
            _ => None,
        });
        found.map_or(Ok(()), Err)
    })
}

/// Where each line of replies begins, the line, and its end. What comes first may be the rest of a line, and is left out.
fn lines(printed: &[u8]) -> Vec<(usize, &[u8], End)> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let is_text = |byte: &u8| !is_end(byte);
    let next = |from: usize, of: &dyn Fn(&u8) -> bool| {
        printed[from..].iter().position(of).map_or(printed.len(), |n| from + n)
    };
    let mut lines = Vec::new();
    let mut at = next(0, &is_end);
    while at < printed.len() {
        let begin = next(at, &is_text);
        let end = next(begin, &is_end);
        let line = &printed[begin..end];
        let follows = next(end, &is_text);
        // The host may have written before the end was out, so that what is printed back stands within.
        let beside = [begin, follows].iter().any(|at| matches!(printed.get(*at), Some(b'A' | b'a')));
        let how = End::of(&printed[end..follows]);
        // Of the last line the end may not be out yet.
        let is_over = follows < printed.len() || how == End::CrLf;
        if end < printed.len() && is_over && !beside && !line.starts_with(b">") {
            lines.push((begin, line, how));
        }
        at = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_ends() {
        let printed =
            b"K\r\n\r\nOK\r\r\nCONNECT OK\r\n\r\nOK\rAT+MPUB=1\r\n\r\nOK\r\n\r\n> x\r\nERROR\nLATE\r";
        let found: Vec<(&[u8], End)> = lines(printed).into_iter().map(|(_, line, end)| (line, end)).collect();
        let expected: Vec<(&[u8], End)> =
            vec![(b"OK", End::Cr), (b"CONNECT OK", End::CrLf), (b"OK", End::CrLf), (b"ERROR", End::Lf)];
        assert_eq!(found, expected);
        assert!(lines(b"").is_empty() && lines(b"\r\nOK").is_empty(), "no end has come");
    }
}
