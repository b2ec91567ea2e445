//! Connections that the broker ends: what the module prints of it by itself.
//!
//! Only after CONNECT: which line tells of a loss before it is open (X26).

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    partner::Command,
    timeline::Close,
};

use crate::{told::*, words::*};

/// Seconds within which a loss is told; no document has a time.
const SECONDS: u32 = 10;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    if cx.profile.lines.lost.is_empty() {
        return Vec::new();
    }
    let of = |name: &str, asks: &str, how: Close| {
        case(&format!("loss/{name}"), asks, &[])
            .steps(then(
                then(connected(cx), settled(cx, "connect", atspec_model::mqtt::PacketType::ConnAck, 1)),
                [Broker(Command::Close(how)), Wait(Await::Closed), Idle { seconds: SECONDS }, Probe, Quiet],
            ))
            .expect([told_once(), told_at_most_once()])
    };
    vec![
        of("fin", "a connection that the broker closes is told of by itself", Close::Fin),
        of("rst", "a connection that the broker resets is told of by itself", Close::Rst),
    ]
}

/// The line of a lost connection, wherever it stands.
fn told_once() -> Expect {
    Expect::new("the line of a lost connection", |view| {
        let lost = &view.profile.lines.lost;
        if view.lines_like(lost).next().is_some() {
            return Ok(());
        }
        let form = lost.first().map_or("", |line| line.source());
        Err(Unmet::missing(format!("no `{form}`")))
    })
}

fn told_at_most_once() -> Expect {
    Expect::new("the line of a lost connection once", |view| {
        match view.lines_like(&view.profile.lines.lost).nth(1) {
            Some((at, ..)) => Err(Unmet::at("once more", at)),
            None => Ok(()),
        }
    })
}
