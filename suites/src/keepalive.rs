//! Keep-alive: the interval between packets never exceeds it (a rule that holds in every case), and PINGREQ keeps it.

use atspec_model::{
    case::{Case, Context},
    mqtt::PacketType,
};

use crate::words::*;

/// The keep alive of these cases, in seconds: long enough that a bench's latency does not matter, also by the clock factor.
const SECONDS: u16 = 32;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let third = u32::from(SECONDS) / 3;
    let mut inbound = then(connected_with(cx, true, SECONDS), [Do(subscribe(&t, 0))]);
    for n in 1..=5 {
        inbound.extend([Idle { seconds: third }, other_publishes(&t, 0, format!("inbound {n}"))]);
    }
    inbound.push(Quiet);
    let wrong = session(cx).with("clean", "2").with("disable_clean", "2");
    let wrong = if cx.profile.takes("connect", "keepalive") { wrong.connect() } else { wrong.configure() };
    vec![
        case(
            "keepalive/after-refusal",
            "a refused command does not change the keep alive of the connection",
            &["MQTT-3.1.2-23"],
        )
        .steps(then(
            connected_with(cx, true, SECONDS / 2),
            [Try(wrong), Idle { seconds: u32::from(SECONDS) * 7 / 8 }],
        ))
        .expect([some(PacketType::PingReq, "within the keep alive", |_| true)]),
        case(
            "keepalive/idle",
            "an idle connection is kept alive by PINGREQ in time, and then still works",
            &["MQTT-3.1.2-23"],
        )
        .steps(then(
            connected_with(cx, true, SECONDS),
            [
                Idle { seconds: u32::from(SECONDS) * 7 / 4 },
                Check(send(cx, &topic(cx, "out"), 1, "still here")),
            ],
        ))
        .expect([
            some(PacketType::PingReq, "within the keep alive", |_| true),
            publications(vec![sent(&topic(cx, "out"), 1, "still here")]),
        ]),
        case(
            "keepalive/inbound",
            "messages that arrive do not replace what the module must send itself",
            &["MQTT-3.1.2-23"],
        )
        .steps(inbound)
        .expect([some(PacketType::PingReq, "although messages arrive", |_| true)]),
    ]
}
