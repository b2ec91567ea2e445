//! Failures are told: where a document has a line for the failure of a command, the module does not stay silent about one.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    profile::Known,
    timeline::Close,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let s = session(cx);
    let to_module =
        |kind: PacketType, code: u8| Broker(Command::Rule(Rule::to_module(kind, Action::Code(code))));
    let closed = s.clone().with("port", cx.bindings.closed_port.to_string());
    let of = |step: &'static str, name: &str, asks: &str, before: Vec<Step>, op: Op| {
        let id = format!("failure/{name}");
        let told = exchanges(cx.profile, step).any(|e| !e.failure.is_empty() && e.known == Known::Full);
        // Or where a clause has the word of refusal for it.
        only_if(told || cx.profile.cites.contains_key(&id), || {
            case(&id, asks, &[]).steps(then(before, [Try(op), Probe])).expect([tells_failure(step)]).like(
                cx,
                match name {
                    "connect-closed" => "connect/closed-instead-of-connack",
                    "connect-without-tcp" => "refuse/connect-without-tcp",
                    _ => "",
                },
            )
        })
    };
    let mut cases: Vec<Case> = [
        of("open", "open", "that nothing listens is told", closed.configured(), closed.open()),
        of(
            "connect",
            "connect-refused",
            "a CONNACK that refuses is told",
            then(s.opened(), [to_module(PacketType::ConnAck, 5)]),
            s.connect(),
        ),
        of(
            "connect",
            "connect-closed",
            "a close in place of CONNACK is told",
            then(
                s.opened(),
                [
                    Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Withhold))),
                    Broker(Command::Rule(Rule::from_module(
                        PacketType::Connect,
                        Action::ThenClose(Close::Fin),
                    ))),
                ],
            ),
            s.connect(),
        ),
        of(
            "connect",
            "connect-without-tcp",
            "that there is no TCP connection is told",
            s.configured(),
            s.connect(),
        )
        .map(|case| case.needing(cx, "open")),
        of(
            "subscribe",
            "subscribe-refused",
            "a SUBACK that refuses is told",
            then(connected(cx), [to_module(PacketType::SubAck, 0x80)]),
            subscribe(&topic(cx, "in"), 1),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    if has(cx, "open") && !cx.profile.lines.lost.is_empty() {
        cases.push(
            case("failure/lost-before-connect", "a connection lost before CONNECT is told of too", &[])
                .should()
                .steps(then(
                    s.opened(),
                    [Broker(Command::Close(Close::Fin)), Wait(Await::Closed), Idle { seconds: 10 }, Probe],
                ))
                .expect([tells_anything()]),
        );
    }
    cases
}

/// The last command of the step was answered with a failure, in whatever form.
fn tells_failure(step: &'static str) -> Expect {
    Expect::new("a line of failure, or a refusal", move |view| match told(view, step).last() {
        None => Err(Unmet::not_provoked("the command was not sent")),
        Some(told) if told.outcome.failure.is_some() || told.outcome.refusal.is_some() => Ok(()),
        Some(told) => Err(Unmet::at("neither", told.asked)),
    })
}

/// Some line was printed after the broker closed: which one is not said before CONNECT (X26).
fn tells_anything() -> Expect {
    Expect::new("a line that tells of it", |view| {
        let Some((closed, ..)) = view.connections.iter().flat_map(|c| &c.closed).next() else {
            return Err(Unmet::not_provoked("no connection was closed"));
        };
        let probed = view.steps.iter().flat_map(|s| &s.probes).map(|p| p.asked).find(|at| at > closed);
        let between = |at: usize| at > *closed && probed.is_none_or(|probed| at < probed);
        if view.lines().any(|(at, _)| between(at)) { Ok(()) } else { Err(Unmet::at("nothing", *closed)) }
    })
}
