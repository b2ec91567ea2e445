//! The switch between TCP and TLS.

use atspec_model::{
    case::{Case, Context, Expect, Op, Step, Unmet},
    judge::View,
    mqtt::PacketType,
    timeline::What,
};

use crate::{told::*, words::*};

/// How a TLS record with a handshake begins.
const HANDSHAKE: [u8; 2] = [0x16, 0x03];

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    if !cx.profile.takes("secure", "tls") {
        return Vec::new();
    }
    vec![
        case("secure/default", "without the switch a connection is plain", &[])
            .steps(connected(cx))
            .expect([handshakes(0), count(PacketType::Connect, 1)]),
        case("secure/off", "switched off, a connection is plain", &[])
            .steps(then(vec![Check(secure(0))], connected(cx)))
            .expect([handshakes(0), count(PacketType::Connect, 1)]),
        // Off in the end, whatever became of the first command: the next case begins plain.
        case("secure/on-and-off", "the switch is answered as the document says, both ways", &[])
            .steps([Try(secure(1)), Check(secure(0))])
            .expect([switched_on()]),
        case("secure/handshake", "switched on, a connection begins with a TLS handshake", &[])
            .steps(against_a_plain_server(cx))
            .expect([switched_on(), handshakes(1), count(PacketType::Connect, 0), no_success()]),
        case("secure/off-again", "switched off again, a connection is plain again", &[])
            .steps(against_a_plain_server(cx))
            .steps(then(connected(cx), [Check(publish(&topic(cx, "out"), 1, "plain-again"))]))
            .expect([publications(vec![sent(&topic(cx, "out"), 1, "plain-again")])]),
        case("secure/stays-on", "switched on, it stays on for the next connection", &[])
            .should()
            .steps(then(vec![Try(secure(1))], attempt(cx)))
            .steps(then(attempt(cx), [Check(secure(0))]))
            .expect([handshakes(2)]),
    ]
}

fn secure(tls: u8) -> Op {
    Op::new("secure").choosing("tls", tls.to_string())
}

/// TLS is tried where the server speaks none, and switched off again whatever happens.
pub(crate) fn against_a_plain_server(cx: &Context<'_>) -> Vec<Step> {
    then(then(vec![Try(secure(1))], attempt(cx)), [Check(secure(0))])
}

/// A connection whatever is answered; whether TLS begins with the one for TCP or with CONNECT is open (X15).
fn attempt(cx: &Context<'_>) -> Vec<Step> {
    then(session(cx).commands().map(Try).collect(), hung_up(cx))
}

/// At least so many connections that begin with a TLS handshake; with 0, none at all.
fn handshakes(wanted: usize) -> Expect {
    let what = match wanted {
        0 => "no TLS handshake".to_owned(),
        1 => "a connection that begins with a TLS handshake".to_owned(),
        n => format!("{n} connections that begin with a TLS handshake"),
    };
    Expect::new(what, move |view| {
        let seen = seen(view);
        match (wanted, seen.as_slice()) {
            (0, [first, ..]) => Err(Unmet::at("a TLS handshake", *first)),
            (n, seen) if seen.len() < n => Err(Unmet::missing(format!("{} of them", seen.len()))),
            _ => Ok(()),
        }
    })
}

/// The events with which connections begin a TLS handshake. The tap takes such a connection for a stranger's, but what it
/// began with is recorded.
fn seen(view: &View<'_>) -> Vec<usize> {
    let mut begun: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut seen = Vec::new();
    for (at, event) in view.timeline.events.iter().enumerate() {
        let What::FromModule { conn, bytes } = &event.what else { continue };
        let known = begun.iter().position(|(c, _)| c == conn);
        let which = known.unwrap_or_else(|| {
            begun.push((*conn, Vec::new()));
            begun.len() - 1
        });
        let Some((_, head)) = begun.get_mut(which).filter(|(_, head)| head.len() < HANDSHAKE.len()) else {
            continue;
        };
        head.extend_from_slice(bytes);
        if head.starts_with(&HANDSHAKE) {
            seen.push(at);
        }
    }
    seen
}

fn switched_on() -> Expect {
    Expect::new("TLS switched on as documented", |view| match told(view, "secure").first() {
        Some(told) if told.outcome.succeeded() => Ok(()),
        Some(told) => Err(Unmet::at("no success", told.asked)),
        None => Err(Unmet::missing("it was not sent")),
    })
}

/// A connection over a handshake that failed is no connection, whichever command tells it.
fn no_success() -> Expect {
    Expect::new("no success of the MQTT connection", |view| {
        match told(view, "connect").into_iter().find(|told| told.certain && told.outcome.claimed()) {
            Some(told) => Err(Unmet::at("success", told.asked)),
            None => Ok(()),
        }
    })
}
