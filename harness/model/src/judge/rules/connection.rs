//! What holds of every connection: CONNECT first and once, nothing after DISCONNECT, keep alive, and how it ends.

use std::collections::BTreeSet;

use crate::{
    case::{Case, Step},
    judge::{Connection, Finding, StepView, View, WirePacket, last_event},
    mqtt::{Body, PacketType},
    partner::Command,
    timeline::{Side, What},
    verdict::Verdict,
};

use super::{Breach, Rule, from_module};

/// What the interval between two packets may exceed the keep alive by, for the scheduler of any bench; a twentieth of the keep
/// alive comes to it for the latency of a line.
const KEEP_ALIVE_SLACK_US: u64 = 250_000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        cites: &["MQTT-3.1.0-1"],
        expects: "CONNECT as the first packet of a connection",
        occasion: |view| from_module(view).next().is_some(),
        breach: connect_first,
    },
    Rule {
        cites: &["MQTT-3.1.0-2"],
        expects: "one CONNECT on a connection",
        occasion: |view| from_module(view).next().is_some(),
        breach: connect_once,
    },
    Rule {
        cites: &["MQTT-7.1.2-1"],
        expects: "a connection that carries every byte in order",
        occasion: |view| view.to_module(PacketType::ConnAck).next().is_some(),
        // A connection that does not shows as everything else.
        breach: |_| None,
    },
    Rule {
        cites: &["MQTT-3.14.4-2"],
        expects: "no packet after DISCONNECT",
        occasion: |view| view.from_module(PacketType::Disconnect).next().is_some(),
        breach: after_disconnect,
    },
    Rule {
        cites: &["MQTT-3.14.4-1"],
        expects: "TCP closed by the module after its DISCONNECT",
        occasion: |view| view.from_module(PacketType::Disconnect).any(|p| closed_after(view, p)),
        breach: stays_open,
    },
    Rule {
        cites: &["MQTT-3.1.2-23"],
        expects: "a packet at least once in every keep alive",
        occasion: outlasts_its_keep_alive,
        breach: keep_alive,
    },
];

/// A stream that cannot be cut into control packets.
pub(super) fn unframed(view: &View<'_>) -> Option<Finding> {
    let (at, why) = view.connections.iter().find_map(|c| c.broken.clone())?;
    Some(Finding::new(Verdict::Fail, "control packets on the connection", why).citing(["MQTT-2.2.3"]).at(at))
}

/// MQTT-3.1.0-1: CONNECT first.
fn connect_first(view: &View<'_>) -> Option<Breach> {
    view.connections.iter().find_map(|connection| {
        let first = on(view, connection).find(|p| p.from == Side::Module)?;
        (first.packet.kind != PacketType::Connect).then(|| Breach::by(view, first, "the first packet"))
    })
}

/// MQTT-3.1.0-2: CONNECT once.
fn connect_once(view: &View<'_>) -> Option<Breach> {
    view.connections.iter().find_map(|connection| {
        let own = on(view, connection).filter(|p| p.from == Side::Module);
        let mut connects = own.filter(|p| p.packet.kind == PacketType::Connect);
        let second = connects.nth(1)?;
        Some(Breach::by(view, second, "a second CONNECT"))
    })
}

/// MQTT-3.14.4-2: nothing after DISCONNECT.
fn after_disconnect(view: &View<'_>) -> Option<Breach> {
    let mut ended = BTreeSet::new();
    for p in from_module(view) {
        if ended.contains(&p.conn) {
            return Some(Breach::by(view, p, "behind DISCONNECT"));
        }
        if p.packet.kind == PacketType::Disconnect {
            ended.insert(p.conn);
        }
    }
    None
}

/// MQTT-3.14.4-1: who sends DISCONNECT closes. Documents with a command of its own for TCP keep it open until then, which is
/// for the cases about it (X67); here it counts only once that command was answered.
fn stays_open(view: &View<'_>) -> Option<Breach> {
    let end = view.time_us(last_event(view)?);
    view.from_module(PacketType::Disconnect).find_map(|p| {
        let asked =
            if view.profile.steps.contains_key("close") { closing_command(view, p.at)? } else { p.at };
        let limit = view.header.settings.deadline_us(view.profile.time.result);
        let waited = end.saturating_sub(view.time_us(asked)) > limit;
        (waited && !closed_after(view, p)).then(|| Breach::by(view, p, "and the connection stayed open"))
    })
}

/// When the command that ends TCP was answered with success, behind an event.
fn closing_command(view: &View<'_>, after: usize) -> Option<usize> {
    let templates =
        || view.profile.steps.get("close").into_iter().flat_map(|s| &s.exchanges).flat_map(|e| &e.send);
    let told = view.steps.iter().flat_map(|s| &s.dialogues).find(|told| {
        told.asked > after
            && told.outcome.claimed()
            && templates().any(|template| template.read(&told.line, None).is_some())
    })?;
    Some(told.asked)
}

/// Whether the connection of a DISCONNECT ended behind it; the broker's own end, commanded by the case, counts too.
fn closed_after(view: &View<'_>, disconnect: &WirePacket) -> bool {
    let ends = view.connections.iter().filter(|c| c.conn == disconnect.conn).flat_map(|c| &c.closed);
    let commanded =
        || view.timeline.events.iter().skip(disconnect.at).any(|e| matches!(e.what, What::Broker { .. }));
    ends.into_iter().any(|(at, by, _)| *at >= disconnect.at && (*by == Side::Module || commanded()))
}

/// MQTT-3.1.2-23: the interval between packets does not exceed the keep alive, counted from CONNACK on.
fn keep_alive(view: &View<'_>) -> Option<Breach> {
    view.connections.iter().find_map(|connection| {
        let (seconds, start) = accepted(view, connection)?;
        let keep_alive = view.header.settings.scaled_us(u64::from(seconds) * 1000);
        let limit = keep_alive + keep_alive / 20 + KEEP_ALIVE_SLACK_US;
        let mut before = start.at_us;
        for (at, at_us) in sent_behind(view, connection, start) {
            let gap = at_us.saturating_sub(before);
            if gap > limit && !was_unread(view, before, at_us) {
                let silent = scaled_back(view, gap);
                let observed = format!(
                    "nothing for {silent:.1} s until {}, with a keep alive of {seconds} s",
                    view.time(at)
                );
                return Some(Breach { at, observed, cites: None });
            }
            before = at_us;
        }
        None
    })
}

/// Whether the broker did not read for a part of this time: then nobody knows when the module sent what was read.
fn was_unread(view: &View<'_>, from_us: u64, to_us: u64) -> bool {
    let stop = Command::StopReading.to_string();
    let events = &view.timeline.events;
    events.iter().enumerate().any(|(i, event)| {
        let What::Broker { command } = &event.what else { return false };
        let resumed = || {
            let mut later = events.iter().skip(i + 1);
            later.find(|e| matches!(&e.what, What::Broker { command } if *command != stop)).map(|e| e.at_us)
        };
        *command == stop && event.at_us < to_us && resumed().is_none_or(|at_us| at_us > from_us)
    })
}

/// Whether a connection lasts longer than its keep alive.
fn outlasts_its_keep_alive(view: &View<'_>) -> bool {
    view.connections.iter().any(|connection| {
        let Some((seconds, start)) = accepted(view, connection) else { return false };
        let last = sent_behind(view, connection, start).last();
        let keep_alive = view.header.settings.scaled_us(u64::from(seconds) * 1000);
        last.is_some_and(|(_, at_us)| at_us.saturating_sub(start.at_us) > keep_alive)
    })
}

/// The keep alive of a connection in seconds, where it has one, and the CONNACK that accepts it.
fn accepted<'v>(view: &'v View<'_>, connection: &Connection) -> Option<(u16, &'v WirePacket)> {
    let connect = on(view, connection).find_map(|p| p.packet.as_connect())?;
    let accepts = |p: &&WirePacket| matches!(p.packet.body, Body::ConnAck(ack) if ack.code == 0);
    let start = on(view, connection).find(accepts)?;
    (connect.keep_alive > 0).then_some((connect.keep_alive, start))
}

/// When the module's packets behind CONNACK came, and the end of the connection, unless DISCONNECT ended its duties: index of
/// the event and µs.
fn sent_behind<'v>(
    view: &'v View<'_>,
    connection: &Connection,
    start: &WirePacket,
) -> impl Iterator<Item = (usize, u64)> + use<'v> {
    let (conn, start) = (connection.conn, start.at);
    let module = move || from_module(view).filter(move |p| p.conn == conn && p.at > start);
    let disconnected = module().any(|p| p.packet.kind == PacketType::Disconnect);
    let end = connection.closed.first().map(|(at, ..)| *at).or_else(|| last_event(view));
    let end = end.filter(|_| !disconnected).map(|at| (at, view.time_us(at)));
    module().map(|p| (p.at, p.at_us)).chain(end)
}

/// The module keeps its connection until it is told to close it, or the broker gives it a reason.
pub(super) fn closed_unasked(case: &Case, view: &View<'_>) -> Option<Finding> {
    let reason = view
        .timeline
        .events
        .iter()
        .position(|e| matches!(e.what, What::Broker { .. } | What::Altered { .. }));
    for connection in view.connections.iter().filter(|c| c.spoke) {
        let Some((at, Side::Module, _)) = connection.closed.first() else { continue };
        let asked = view.steps.iter().filter(|s| s.begin < *at).any(|s| {
            let step = case.steps.get(s.index);
            let ends = |step: &str| matches!(step, "close" | "disconnect" | "open" | "connect" | "reset");
            let after = |s: &StepView| s.begin > connection.opened;
            step.and_then(Step::op).is_some_and(|op| ends(&op.step) && (after(s) || op.step == "connect"))
                && !matches!(step, Some(Step::Check(op) | Step::Do(op)) if op.step == "connect")
        });
        let provoked = reason.is_some_and(|reason| reason < *at);
        if !asked && !provoked {
            let expected = "the connection kept until the module is told to close it";
            let cites = view
                .profile
                .steps
                .get("close")
                .into_iter()
                .flat_map(|s| &s.exchanges)
                .flat_map(|e| e.cites.clone());
            let observed = format!("the module closed it at {}", view.time(*at));
            return Some(Finding::new(Verdict::Fail, expected, observed).citing(cites).at(*at));
        }
    }
    None
}

/// Packets of a connection, both ways.
fn on<'v>(view: &'v View<'_>, connection: &Connection) -> impl Iterator<Item = &'v WirePacket> + use<'v> {
    let conn = connection.conn;
    view.packets.iter().filter(move |p| p.conn == conn)
}

/// µs on this bench as the seconds of the document.
fn scaled_back(view: &View<'_>, us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64() / view.header.settings.clock_factor.max(f64::EPSILON)
}
