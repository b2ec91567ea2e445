//! Documented commands that make no connection: each is answered as its document prints it.

use atspec_model::{
    case::{Case, Context, Op},
    profile::{Known, format::OWN_STEP},
};

use crate::{told::*, words::*};

/// Questions about the module itself that a document may print.
const QUESTIONS: [&str; 4] = ["identify", "sim", "registration", "attachment"];

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
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
