//! Command lines that are nearly a command: what they are taken for, and whether the port survives.

use atspec_model::{
    case::{Case, Context, Expect, Op, Unmet},
    judge::View,
    mqtt::PacketType,
    text,
};

use crate::words::*;

/// Bytes of a line that is longer than any document's longest, and short enough for a slow line.
const OVERLONG: usize = 20_000;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = vec![overlong(cx), in_small_letters(cx)];
    let t = topic(cx, "t");
    for (name, op, packet) in [
        ("publish", publish(&t, 0, "never"), PacketType::Publish),
        ("subscribe", subscribe(&t, 0), PacketType::Subscribe),
    ] {
        for (how, asks, other) in [
            ("longer", "a name that goes on behind a command's name is another name", longer as Rename),
            ("shorter", "a name that lacks the last letter of a command's name is another name", shorter),
        ] {
            let Some(line) = renamed(cx, &op, other) else { continue };
            let op = Op { line: Some(line), ..op.clone() };
            cases.push(
                case(&format!("names/{name}-{how}"), asks, &[])
                    .steps(then(connected(cx), [Refuse(op)]))
                    .expect([count(packet, 0), not_ok().should()])
                    .like(cx, &format!("{name}/qos0")),
            );
        }
    }
    cases
}

/// V.250, 5.3.1 and 5.7.1: what is no command is answered with ERROR.
fn not_ok() -> Expect {
    Expect::new("no OK for a command that there is not", |view: &View<'_>| {
        let mut told = view.steps.last().into_iter().flat_map(|step| &step.dialogues);
        match told.find_map(|told| told.outcome.answer.as_ref()) {
            Some((line, at)) => Err(Unmet::at(format!("`{}`", text::visible(line)), *at)),
            None => Ok(()),
        }
    })
}

type Rename = fn(&str) -> String;

/// No command has letters that no vendor would choose.
fn longer(name: &str) -> String {
    format!("{name}XQ")
}

fn shorter(name: &str) -> String {
    let mut name = name.to_owned();
    name.pop();
    name
}

/// The last command line of an operation under another name; none where that is a command too, or where it has no arguments.
fn renamed(cx: &Context<'_>, op: &Op, rename: Rename) -> Option<Vec<u8>> {
    let line = line_of(cx, op)?;
    let (name, rest) = line.split_once('=')?;
    let other = rename(name);
    let all = cx.profile.steps.values().flat_map(|step| &step.exchanges).flat_map(|exchange| &exchange.send);
    let known = all.filter_map(|template| template.source().split(['=', '?']).next());
    let is_known = known.into_iter().any(|known| known.eq_ignore_ascii_case(&other));
    (!is_known).then(|| format!("{other}={rest}").into_bytes())
}

/// The last command line of an operation, where the profile can make it, in one exchange and of text.
fn line_of(cx: &Context<'_>, op: &Op) -> Option<String> {
    let spoken = op.exchanges(cx.profile).ok()?;
    let [only] = spoken.as_slice() else { return None };
    String::from_utf8(only.line.clone()).ok()
}

/// Whatever is made of a line that fits no buffer, the next command is answered and works.
fn overlong(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    let mut line = b"AT+ATSPEC=".to_vec();
    line.resize(OVERLONG, b'x');
    let op = Op { line: Some(line), ..send(cx, &t, 0, "never") };
    case(
        "names/overlong",
        "after a command line that is longer than any buffer the port works as before",
        &[],
    )
    .steps(then(connected(cx), [Try(op), Quiet, Probe, Check(send(cx, &t, 1, "as before"))]))
    .expect([publications(vec![sent(&t, 1, "as before")])])
    .like(cx, "publish/qos1")
}

/// V.250, 5.2.1: a command's name may be in capitals or in small letters.
fn in_small_letters(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    let op = publish(&t, 0, "in small letters");
    let line = line_of(cx, &op).and_then(|line| {
        let (name, rest) = line.split_once('=')?;
        Some(format!("{}={rest}", name.to_lowercase()).into_bytes())
    });
    case("names/small-letters", "a command whose name is in small letters is that command", &[])
        .should()
        .unless(line.is_none().then(|| "its publication takes more than one command line".to_owned()))
        .steps(then(connected(cx), [Check(Op { line, ..op }), Quiet]))
        .expect([
            publications(vec![sent(&t, 0, "in small letters")]),
            // Whatever the name is taken for, what is published is what the arguments say.
            nothing_but("no other PUBLISH", sent(&t, 0, "in small letters")).always(),
        ])
        .like(cx, "publish/qos0")
}
