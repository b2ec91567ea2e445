//! Documented commands that make no connection: each is answered as its document prints it.

use atspec_model::{
    case::{Await, Case, Context, Op, Step},
    partner::Command,
    profile::{Known, format::OWN_STEP},
    timeline::Close,
};

use crate::{connect_again::configured, told::*, words::*};

/// Questions about the module itself that a document may print.
const QUESTIONS: [&str; 4] = ["identify", "sim", "registration", "attachment"];

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = alone(cx);
    cases.extend(in_states(cx));
    cases
}

/// Each command by itself, without any connection.
fn alone(cx: &Context<'_>) -> Vec<Case> {
    let own = cx.profile.steps.keys().map(String::as_str).filter(|step| step.starts_with(OWN_STEP));
    let asked = QUESTIONS.into_iter().filter(|step| has(cx, step));
    asked.chain(own).flat_map(|step| of(cx, step)).collect()
}

fn of(cx: &Context<'_>, step: &str) -> Vec<Case> {
    let name = step.strip_prefix(OWN_STEP).unwrap_or(step);
    // Of a command whose answer is not printed, only that it ends can be asked.
    let printed = exchanges(cx.profile, step).all(|e| e.known == Known::Full);
    let (asks, steps) = if printed {
        ("is answered as the document prints it", vec![Check(Op::new(step))])
    } else {
        ("ends, and the port answers again", vec![Try(Op::new(step)), Probe])
    };
    let documented = case(&format!("exchange/{name}"), &format!("`{name}` {asks}"), &[]).steps(steps);
    let patient = exchanges(cx.profile, step).any(|e| e.patience.is_some());
    // How it ends without data is in no document; that it ends is.
    let without_data = only_if(patient, || {
        case(
            &format!("exchange/{name}-no-data"),
            &format!("`{name}` gives up waiting for its data by itself, and the port answers again"),
            &[],
        )
        .steps([Try(Op::new(step).without_data()), Probe])
    });
    [documented].into_iter().chain(without_data).collect()
}

/// What only asks, and changes nothing: every command of it prints something before its final result code and takes no data.
fn questions<'p>(cx: &Context<'p>) -> Vec<&'p str> {
    let asks = |step: &&str| {
        exchanges(cx.profile, step).all(|e| e.prompt.is_none() && !(e.info.is_empty() && e.lines.is_empty()))
    };
    let known = |step: &&str| {
        let about_connection = ["status", "subscriptions", "error-state"].contains(step);
        QUESTIONS.contains(step) || about_connection || step.starts_with(OWN_STEP)
    };
    cx.profile.steps.keys().map(String::as_str).filter(known).filter(asks).collect()
}

/// Every question in every state of the connection. What is printed then stands in the cases of each; here it has to end, and
/// the connection, where there is one, has to be as it was.
fn in_states(cx: &Context<'_>) -> Vec<Case> {
    // V.250, 5.4.4.3: a test command tells what a command takes, whatever the state.
    let tests = |step: &str| {
        step.starts_with(OWN_STEP)
            && exchanges(cx.profile, step)
                .all(|e| e.known == Known::Full && e.send.iter().all(|line| line.source().ends_with("=?")))
    };
    let ask = |step: &str| if tests(step) { Check(Op::new(step)) } else { Try(Op::new(step)) };
    let asked = || questions(cx).into_iter().flat_map(|step| [ask(step), Probe]);
    let asking = questions(cx).into_iter().filter_map(|step| cx.profile.steps.get(step));
    let clauses: Vec<&str> =
        asking.flat_map(|s| &s.exchanges).flat_map(|e| &e.cites).map(String::as_str).collect();
    let works = || Check(send(cx, &topic(cx, "out"), 1, "still-works"));
    let of = |name: &str, when: &str, steps: Vec<Step>| {
        case(
            &format!("exchange/asked-{name}"),
            &format!("every question is answered {when}, and disturbs nothing"),
            &[],
        )
        .steps(steps)
        .citing(&clauses)
        .expect([not_restarted()])
        .unless(
            questions(cx).is_empty().then(|| format!("the document of {} has no question", cx.profile.name)),
        )
    };
    let lost = [Broker(Command::Close(Close::Rst)), Wait(Await::Closed), Idle { seconds: 5 }];
    vec![
        of(
            "while-open",
            "while TCP is up without MQTT",
            then(then(opened(cx), asked()), [Check(session(cx).connect())]),
        )
        .needing(cx, "open"),
        of(
            "while-connected",
            "on an MQTT connection",
            then(then(configured(cx).connected(), asked()), [works()]),
        ),
        of(
            "after-the-end",
            "after the commanded end",
            then(then(then(connected(cx), ended(cx)), asked()), then(connected(cx), [works()])),
        ),
        of(
            "after-a-loss",
            "after a lost connection",
            then(then(then(connected(cx), lost), asked()), then(reconnected(cx, true), [works()])),
        ),
    ]
}
