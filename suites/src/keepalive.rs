//! Keep-alive: the interval between packets never exceeds it (a rule that holds in every case), and PINGREQ keeps it.

use atspec_model::{
    case::{Case, Context, Expect, Unmet},
    mqtt::PacketType,
};

use crate::{session::withhold, words::*};

/// The keep alive of these cases, in seconds: long enough that a bench's latency does not matter, also by the clock factor.
const SECONDS: u16 = 32;

/// How long a connection is watched whose keep alive is the module's own choice, in seconds, and the longest that shows then.
const OWN: u32 = 180;
const SEEN: u16 = 150;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let out = topic(cx, "out");
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
                // Beyond the second PINGREQ: a timer that runs once only would show.
                Idle { seconds: u32::from(SECONDS) * 11 / 4 },
                Check(send(cx, &topic(cx, "out"), 1, "still here")),
            ],
        ))
        .expect([
            some(PacketType::PingReq, "within the keep alive", |_| true),
            publications(vec![sent(&topic(cx, "out"), 1, "still here")]),
            nothing_failed(),
        ]),
        case(
            "keepalive/inbound",
            "messages that arrive do not replace what the module must send itself",
            &["MQTT-3.1.2-23"],
        )
        .steps(inbound)
        .expect([some(PacketType::PingReq, "although messages arrive", |_| true)]),
        case(
            "keepalive/outbound",
            "what the module publishes itself puts PINGREQ off by one keep alive, and not for ever",
            &["MQTT-3.1.2-23"],
        )
        .steps(connected_with(cx, true, SECONDS))
        .steps(
            (1..=2)
                .flat_map(|n| [Idle { seconds: third }, Check(send(cx, &out, 0, format!("outbound {n}")))]),
        )
        .steps([Idle { seconds: u32::from(SECONDS) * 3 / 2 }])
        .expect([some(PacketType::PingReq, "within the keep alive", |_| true)]),
        // The client SHOULD close (3.1.2.10), after a time of its own choice.
        case(
            "keepalive/no-pingresp",
            "where PINGRESP never comes no publication succeeds without its PUBACK, and the port answers",
            &["MQTT-3.1.2-23"],
        )
        .steps(then(
            connected_with(cx, true, SECONDS),
            [withhold(PacketType::PingResp), withhold(PacketType::PubAck)],
        ))
        .steps([Idle { seconds: u32::from(SECONDS) * 5 / 4 }, NoSuccess(send(cx, &out, 1, "unheard"))])
        .expect([some(PacketType::PingReq, "within the keep alive", |_| true)]),
    ]
    .into_iter()
    .chain(own(cx))
    .collect()
}

/// Where no command takes a keep alive, the module keeps the one that it chose itself, as far as that is short enough to see.
fn own(cx: &Context<'_>) -> Option<Case> {
    (!takes(cx, "keepalive")).then(|| {
        case(
            "keepalive/own",
            "an idle connection is kept alive as the module's own CONNECT says",
            &["MQTT-3.1.2-23"],
        )
        .steps(then(connected(cx), [Idle { seconds: OWN }]))
        .expect([Expect::new("PINGREQ within the keep alive of CONNECT", |view| {
            let connect = view.from_module(PacketType::Connect).last().and_then(|p| p.packet.as_connect());
            let due = connect.is_some_and(|c| (1..=SEEN).contains(&c.keep_alive));
            if !due || view.from_module(PacketType::PingReq).next().is_some() {
                return Ok(());
            }
            Err(Unmet::missing("none"))
        })])
    })
}
