//! TCP connections on which no CONNECT is commanded: kept for the documented time, then closed by the module.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    judge::View,
    mqtt::PacketType,
    timeline::Side,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let Some(seconds) = cx.profile.behaviour.connect_within.filter(|_| has(cx, "open")) else {
        return Vec::new();
    };
    vec![
        case(
            "open/unused-kept",
            &format!("a connection without CONNECT can still be used after three quarters of {seconds} s"),
            &[],
        )
        .steps(then(opened(cx), [Idle { seconds: seconds * 3 / 4 }, Check(session(cx).connect())]))
        .expect([not_before(seconds), count(PacketType::Connect, 1)]),
        case(
            "open/unused-closed",
            &format!("a connection without CONNECT is closed by the module after {seconds} s"),
            &[],
        )
        .steps(then(opened(cx), [Idle { seconds: seconds.saturating_sub(2) }, Wait(Await::Closed)]))
        .expect([not_before(seconds), closed_by_module(), count(PacketType::Connect, 0)]),
    ]
}

/// The module's time begins after its command was sent, and its close is seen after it was made, so the interval between
/// the two can only be too long.
fn not_before(seconds: u32) -> Expect {
    Expect::new(format!("no close within {seconds} s"), move |view: &View<'_>| {
        let asked = told(view, "open").last().map(|told| told.asked);
        let Some(asked) = asked else { return Err(Unmet::not_provoked("nothing was opened")) };
        let by_module = |(at, side, _): &&(usize, Side, _)| *side == Side::Module && *at > asked;
        let Some((closed, ..)) = view.connections.iter().flat_map(|c| &c.closed).find(by_module) else {
            return Ok(());
        };
        let after = view.time_us(*closed).saturating_sub(view.time_us(asked));
        if after >= view.header.settings.scaled_us(u64::from(seconds) * 1000) {
            return Ok(());
        }
        Err(Unmet::at(format!("closed by the module at {}", view.time(*closed)), *closed))
    })
}
