//! Keep alive at the ends of its documented range, and none at all.

use atspec_model::{
    case::{Case, Context, Expect, Unmet},
    judge::View,
    mqtt::PacketType,
    profile::Argument,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let argument = ["configure", "connect", "open"]
        .into_iter()
        .filter(|step| cx.profile.takes(step, "keepalive"))
        .find_map(|step| cx.profile.argument(step, "keepalive"));
    let range = argument.and_then(|a| a.range);
    let mut cases = vec![zero(cx)];
    if let (Some(argument), Some((min, max))) = (argument, range) {
        cases.extend(Some(min).filter(|min| *min > 0).and_then(|min| end(cx, "min", min, argument)));
        cases.extend(end(cx, "max", max, argument));
    }
    cases
}

/// 0 is sent as it is, or as the document has it replaced. Where the document says nothing of it, it may be refused as well
/// (X07).
fn zero(cx: &Context<'_>) -> Case {
    let documented = cx.profile.behaviour.keepalive_zero;
    let (sent, refusable) = (documented.unwrap_or(0), documented.is_none());
    let asks = match (sent, refusable) {
        (0, true) => "a keep alive of 0 stands in CONNECT, or is refused".to_owned(),
        (sent, _) => format!("a keep alive of 0 becomes {sent} s in CONNECT"),
    };
    let s = session(cx).keep_alive(0);
    let steps = if refusable { then(s.commands().map(Try).collect(), [Probe]) } else { as_subject(&s) };
    case("connect/keep-alive-0", &asks, &[]).steps(steps).expect([Expect::new(
        format!("CONNECT with keep alive {sent}{}", if refusable { ", or none" } else { "" }),
        move |view: &View<'_>| {
            let last = view.from_module(PacketType::Connect).last();
            let Some((seen, connect)) = last.and_then(|p| Some((p, p.packet.as_connect()?))) else {
                return if refusable { Ok(()) } else { Err(Unmet::missing("no CONNECT")) };
            };
            if connect.keep_alive == sent { Ok(()) } else { Err(Unmet::at(seen.packet.to_string(), seen.at)) }
        },
    )])
}

/// An end of the range; none where MQTT has no room for it.
fn end(cx: &Context<'_>, name: &str, seconds: i64, argument: &Argument) -> Option<Case> {
    let seconds = u16::try_from(seconds).ok()?;
    let asks = format!("a keep alive of {seconds} s, an end of its range, stands in CONNECT");
    let case = case(&format!("connect/keep-alive-{name}"), &asks, &[])
        .steps(as_subject(&session(cx).keep_alive(seconds)))
        .expect([connect_has(&format!("keep alive {seconds}"), move |c| c.keep_alive == seconds)]);
    // A range that stands in the document binds; one that is only known from the family warns.
    Some(if argument.cites.is_empty() { case.should() } else { case })
}
