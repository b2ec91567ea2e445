//! Keep-alive: the interval between packets never exceeds it (a rule that holds in every case), and PINGREQ keeps it.

use atspec_model::{
    case::{Case, Context, Expect, Op, Step, Unmet},
    mqtt::{PacketType, Publish},
    timeline::Side,
};

use crate::{hand::*, session::withhold, words::*};

/// The keep alive of these cases, in seconds: long enough that a bench's latency does not matter, also by the clock factor.
const SECONDS: u16 = 32;

/// How long a connection is watched whose keep alive is the module's own choice, in seconds, and the longest that shows then.
const OWN: u32 = 180;
const SEEN: u16 = 150;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let out = topic(cx, "out");
    let third = u32::from(SECONDS) / 3;
    let subscription = has(cx, "subscribe").then(|| Do(subscribe(&t, 0)));
    let mut inbound = then(connected_with(cx, true, SECONDS), subscription.clone());
    for n in 1..=5 {
        let text = format!("inbound {n}");
        // What nobody subscribed to is a packet all the same.
        let unasked = || inject(raw(Publish { qos: 0, id: None, ..message(&t, 1, 1, &text) }));
        let arrives = if subscription.is_some() { other_publishes(&t, 0, &text) } else { unasked() };
        inbound.extend([Idle { seconds: third }, arrives]);
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
    .chain([for_long(cx), after_traffic(cx), while_pending(cx), while_data_are_missing(cx)])
    .chain(own(cx))
    .chain(own_inbound(cx))
    .collect()
}

/// Connected with the keep alive of these cases, or the module's own.
fn watched(cx: &Context<'_>) -> Vec<Step> {
    if takes(cx, "keepalive") { connected_with(cx, true, SECONDS) } else { connected(cx) }
}

/// How long it takes to see whether PINGREQ comes, in seconds.
fn seen_within(cx: &Context<'_>) -> u32 {
    if takes(cx, "keepalive") { u32::from(SECONDS) * 7 / 4 } else { OWN }
}

/// Beyond the fourth PINGREQ: a timer that grows slower would show.
fn for_long(cx: &Context<'_>) -> Case {
    case("keepalive/long", "PINGREQ comes again and again, at most a keep alive apart", &["MQTT-3.1.2-23"])
        .steps(then(connected_with(cx, true, SECONDS), [Idle { seconds: u32::from(SECONDS) * 19 / 4 }]))
        .expect([some(PacketType::PingReq, "within the keep alive", |_| true)])
}

/// Each exchange that a module may take for the whole of its traffic, and then silence.
fn after_traffic(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let mut steps = watched(cx);
    let means = |step: &str, op: Op| has(cx, step).then_some(Do(op));
    steps.extend(means("subscribe", subscribe(&t, 1)));
    steps.extend([1, 2].map(|qos| Do(send(cx, &out, qos, "before the silence"))));
    steps.extend(means("unsubscribe", unsubscribe(&t)));
    steps.push(Idle { seconds: seen_within(cx) });
    case(
        "keepalive/after-traffic",
        "an idle connection is kept alive whatever was done on it before",
        &["MQTT-3.1.2-23"],
    )
    .steps(steps)
    .expect([pinged_if_due()])
}

/// A module may also give the connection up.
fn while_pending(cx: &Context<'_>) -> Case {
    case(
        "keepalive/while-pending",
        "a publication that waits for its PUBACK does not keep the connection alive",
        &["MQTT-3.1.2-23"],
    )
    .steps(then(
        watched(cx),
        [withhold(PacketType::PubAck), NoSuccess(send(cx, &topic(cx, "out"), 1, "unheard"))],
    ))
    .steps([Idle { seconds: seen_within(cx) }])
    .expect([pinged_if_due()])
}

/// A module may give the data up, and with them the connection.
fn while_data_are_missing(cx: &Context<'_>) -> Case {
    let waiting = publish_data(&topic(cx, "out"), 0, letters(20)).without_data();
    case(
        "keepalive/while-data-are-missing",
        "a publication that waits for its data does not keep the connection alive",
        &["MQTT-3.1.2-23"],
    )
    .steps(then(watched(cx), [Try(waiting), Idle { seconds: seen_within(cx) }]))
    .expect([pinged_if_due()])
}

/// Where CONNECT has a keep alive that is over by now, there was a PINGREQ, or the module has ended the connection.
fn pinged_if_due() -> Expect {
    Expect::new("PINGREQ within the keep alive of CONNECT", |view| {
        let connect = view.from_module(PacketType::Connect).last().and_then(|p| p.packet.as_connect());
        let due = connect.is_some_and(|c| (1..=SEEN).contains(&c.keep_alive));
        // What is sent again keeps the connection alive as well.
        let mut published = view.from_module(PacketType::Publish).filter_map(|p| p.packet.as_publish());
        let pinged =
            view.from_module(PacketType::PingReq).next().is_some() || published.any(|publish| publish.dup);
        let ended =
            view.connections.iter().any(|c| c.spoke && c.closed.iter().any(|(_, by, _)| *by == Side::Module));
        if due && !pinged && !ended { Err(Unmet::missing("none")) } else { Ok(()) }
    })
}

/// The same while messages arrive.
fn own_inbound(cx: &Context<'_>) -> Option<Case> {
    let t = topic(cx, "in");
    (!takes(cx, "keepalive")).then(|| {
        let pause = OWN / 9;
        let arrivals = (1..=9)
            .flat_map(|n| [Idle { seconds: pause }, other_publishes(&t, 0, format!("inbound {n}"))])
            .chain([Quiet]);
        case(
            "keepalive/own-inbound",
            "messages that arrive do not replace what the module's own CONNECT makes it send",
            &["MQTT-3.1.2-23"],
        )
        .steps(then(subscribed(cx, &t, 0), arrivals))
        .expect([pinged_if_due()])
    })
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
        .expect([pinged_if_due()])
    })
}
