//! Numbers in lines of failure: the number that a module gives as the cause is one that fits what happened.
//!
//! That a failure is told by a number at all is not asked here: a plain refusal passes (X73).

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::{Told, View},
    mqtt::{Body, PacketType},
    partner::{Action, Command, Rule},
    profile::Reason,
    text,
    timeline::Close,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(parameters(cx));
    cases.extend(reaching(cx));
    cases.extend(refusals(cx));
    cases.extend(tls(cx));
    cases.extend(lost(cx));
    cases.extend(connack_codes(cx));
    cases
}

/// The numbers that fit any of the reasons.
fn numbers(cx: &Context<'_>, reasons: &[Reason]) -> Vec<i64> {
    reasons.iter().filter_map(|reason| cx.profile.codes.get(reason)).flatten().copied().collect()
}

/// A case about the numbers of one step; none where the step tells none, or the document lists none for the first reason.
fn about(
    cx: &Context<'_>,
    (id, asks): (&str, &str),
    step: &'static str,
    reasons: &[Reason],
    steps: impl FnOnce() -> Vec<Step>,
) -> Option<Case> {
    let listed = reasons.first().is_some_and(|reason| cx.profile.codes.contains_key(reason));
    let told = failure_tells(cx.profile, step, "type");
    only_if(listed && told, || case(id, asks, &[]).steps(steps()).expect([fits(step, numbers(cx, reasons))]))
}

/// Every number in a line of failure of the step is one of these.
fn fits(step: &'static str, numbers: Vec<i64>) -> Expect {
    Expect::new(
        format!("{} as the cause that `{step}` fails with, where it gives one", list(&numbers)),
        move |view| match told(view, step)
            .into_iter()
            .find(|t| number(t, "type").is_some_and(|n| !numbers.contains(&n)))
        {
            Some(told) => Err(failed(view, told)),
            None => Ok(()),
        },
    )
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// A number in the line of failure that ended a command.
fn number(told: &Told, name: &str) -> Option<i64> {
    std::str::from_utf8(bare(told.outcome.failure_values.get(name)?)).ok()?.parse().ok()
}

fn failed(view: &View<'_>, told: &Told) -> Unmet {
    let Some(line) = &told.outcome.failure else { return Unmet::missing("no line of failure") };
    let observed = format!("`{}` after `{}`", text::visible(&line.0), text::shortened(&told.line, 80));
    Unmet::at(observed, view.event_of(line).unwrap_or(told.asked))
}

fn dialling(cx: &Context<'_>) -> &'static str {
    if has(cx, "open") { "open" } else { "connect" }
}

fn parameters(cx: &Context<'_>) -> Vec<Case> {
    let s = session(cx);
    let will = s.clone().will(&topic(cx, "will"), 3, false);
    let takes = |step: &str, name: &str| cx.profile.takes(step, name);
    let mut cases = Vec::new();
    if takes("configure", "will_qos") {
        let text =
            ("codes/parameter-will-qos", "a will of QoS 3 fails, if by a number, as a wrong parameter");
        cases.extend(about(cx, text, "configure", &[Reason::Parameter], || {
            vec![Try(will.configure()), Probe]
        }));
    }
    if takes(dialling(cx), "port") {
        let port = s.clone().with("port", "0");
        let text = (
            "codes/parameter-port",
            "port 0 fails, if by a number, as a wrong parameter or an unreachable server",
        );
        let reasons = [Reason::Parameter, Reason::Unreachable];
        cases.extend(about(cx, text, dialling(cx), &reasons, || {
            then(port.configured(), [Try(port.dial()), Probe])
        }));
    }
    if takes("connect", "clean") {
        let clean = s.clone().with("clean", "2");
        let text = ("codes/parameter-clean", "clean session 2 fails, if by a number, as a wrong parameter");
        cases.extend(about(cx, text, "connect", &[Reason::Parameter], || {
            then(s.opened(), [Try(clean.connect()), Probe])
        }));
    }
    cases
}

fn reaching(cx: &Context<'_>) -> Vec<Case> {
    let s = session(cx);
    let closed = s.clone().with("port", cx.bindings.closed_port.to_string());
    let text = ("codes/unreachable", "a port on which nothing listens fails, if by a number, as unreachable");
    let unreachable = about(cx, text, dialling(cx), &[Reason::Unreachable], || {
        then(closed.configured(), [NoSuccess(closed.dial())])
    });
    let busy = |name: &str, step: &'static str, op: atspec_model::case::Op| {
        let id = format!("codes/busy-{name}");
        let text = (id.as_str(), "a second connection fails, if by a number, because the first still stands");
        about(cx, text, step, &[Reason::Busy], || then(connected(cx), [Try(op), Quiet]))
    };
    let open = has(cx, "open").then(|| busy("open", "open", s.open())).flatten();
    unreachable.into_iter().chain(open).chain(busy("connect", "connect", s.connect())).collect()
}

fn connack(action: Action) -> Step {
    Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, action)))
}

/// The broker closes after a CONNACK that refuses, so that a lost connection fits as well (X78).
fn refusals(cx: &Context<'_>) -> Vec<Case> {
    let attempt = |rule: Step| then(opened(cx), [rule, NoSuccess(session(cx).connect())]);
    let mut cases: Vec<Case> = (1..=5)
        .filter_map(|code| {
            let id = format!("codes/refused-{code}");
            let asks = format!("CONNACK {code} fails, if by a number, as a refused connection");
            let reasons = [Reason::Refused, Reason::Lost];
            about(cx, (&id, &asks), "connect", &reasons, || attempt(connack(Action::Code(code))))
        })
        .collect();
    let text =
        ("codes/no-connack", "a CONNACK that never comes fails, if by a number, as a refused connection");
    cases.extend(about(cx, text, "connect", &[Reason::Refused], || attempt(connack(Action::Withhold))));
    let text = (
        "codes/closed-instead-of-connack",
        "a close in place of CONNACK fails, if by a number, as refused or lost",
    );
    cases.extend(about(cx, text, "connect", &[Reason::Refused, Reason::Lost], || {
        let close = Rule::from_module(PacketType::Connect, Action::ThenClose(Close::Fin));
        then(
            then(opened(cx), [Broker(Command::Rule(close))]),
            [connack(Action::Withhold), NoSuccess(session(cx).connect())],
        )
    }));
    cases
}

/// TLS where the server speaks none. Its failure may be told by the command for TCP or by the one for MQTT (X15).
fn tls(cx: &Context<'_>) -> Vec<Case> {
    let listed = cx.profile.codes.contains_key(&Reason::Tls) && cx.profile.takes("secure", "tls");
    let told = DIALLED.iter().any(|step| failure_tells(cx.profile, step, "type"));
    let about = || {
        case("codes/tls", "a server without TLS fails, if by a number, as a handshake that failed", &[])
            .steps(crate::secure::against_a_plain_server(cx))
            // It ends with a close by the server, so that a lost connection fits as well (X78).
            .expect([
                first_failure(numbers(cx, &[Reason::Tls, Reason::Lost])),
                first_failure(numbers(cx, &[Reason::Tls])).should(),
            ])
    };
    only_if(listed && told, about).into_iter().collect()
}

/// The commands that make a connection, in order.
const DIALLED: [&str; 2] = ["open", "connect"];

/// The number that the first command to fail gives; one after it fails for want of the first.
fn first_failure(numbers: Vec<i64>) -> Expect {
    Expect::new(format!("{} as the cause of the failure, where it gives one", list(&numbers)), move |view| {
        let asked = DIALLED.iter().filter_map(|step| told(view, step).into_iter().next());
        match asked.into_iter().find(|told| !told.outcome.claimed()) {
            Some(told) if number(told, "type").is_some_and(|n| !numbers.contains(&n)) => {
                Err(failed(view, told))
            }
            _ => Ok(()),
        }
    })
}

/// The line that tells of a lost connection by itself.
fn lost(cx: &Context<'_>) -> Vec<Case> {
    let listed = cx.profile.codes.contains_key(&Reason::Lost);
    let told = cx.profile.lines.lost.iter().any(|line| names(line.source(), "type"));
    let wanted = numbers(cx, &[Reason::Lost]);
    let about = || {
        case("codes/lost", "a lost connection is told by the number for it", &[])
            .steps(then(
                connected(cx),
                [Broker(Command::Close(Close::Fin)), Wait(Await::Closed), Idle { seconds: 5 }],
            ))
            .expect([Expect::new("the number of a lost connection", move |view| {
                let mut lines = view.lines_like(&view.profile.lines.lost);
                match lines
                    .find(|(_, found, _)| found.number("type").is_some_and(|n: i64| !wanted.contains(&n)))
                {
                    Some((at, _, line)) => Err(Unmet::at(format!("`{}`", text::visible(line)), at)),
                    None => Ok(()),
                }
            })])
    };
    only_if(listed && told, about).into_iter().collect()
}

/// Lines of failure that repeat the code of CONNACK.
fn connack_codes(cx: &Context<'_>) -> Vec<Case> {
    if !failure_tells(cx.profile, "connect", "connack") {
        return Vec::new();
    }
    let attempt = |rule: Step| then(opened(cx), [rule, NoSuccess(session(cx).connect())]);
    let mut cases: Vec<Case> = (1..=5)
        .map(|code| {
            // Only 5 is printed in a document; that the others are told alike is implied.
            let level = |e: Expect| if code == 5 { e } else { e.should() };
            case(
                &format!("codes/connack-{code}"),
                &format!("a connection refused with CONNACK {code} is told with that code"),
                &[],
            )
            .steps(attempt(connack(Action::Code(code))))
            .expect([level(tells_connack(code)), level(tells_some_connack())])
        })
        .collect();
    cases.push(
        case("codes/connack-none", "no code of CONNACK is told before CONNACK came", &[])
            .should()
            .steps(attempt(connack(Action::Withhold)))
            .expect([Expect::new("no code of a CONNACK", |view| {
                let mut asked = told(view, "connect").into_iter();
                match asked.find(|t| number(t, "connack").is_some_and(|n| (1..=5).contains(&n))) {
                    Some(told) => Err(failed(view, told)),
                    None => Ok(()),
                }
            })]),
    );
    cases
}

fn tells_connack(code: u8) -> Expect {
    Expect::new(format!("{code} as the code of CONNACK"), move |view| {
        let refused = |body: &Body| matches!(body, Body::ConnAck(ack) if ack.code == code);
        if !view.to_module(PacketType::ConnAck).any(|p| refused(&p.packet.body)) {
            return Err(Unmet::not_provoked(format!("the broker sent no CONNACK {code}")));
        }
        let mut asked = told(view, "connect").into_iter();
        match asked.find(|t| number(t, "connack").is_some_and(|n| n != i64::from(code))) {
            Some(told) => Err(failed(view, told)),
            None => Ok(()),
        }
    })
}

fn tells_some_connack() -> Expect {
    Expect::new("a line of failure with the code of CONNACK", |view| {
        let asked = told(view, "connect");
        if asked.iter().any(|t| number(t, "connack").is_some()) {
            return Ok(());
        }
        Err(asked.last().map_or_else(|| Unmet::missing("none"), |told| failed(view, told)))
    })
}
