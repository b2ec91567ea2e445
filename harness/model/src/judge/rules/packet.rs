//! What a packet of the module breaks by its bytes alone, as the decoder found it.

use std::collections::BTreeSet;

use crate::{
    judge::{Finding, View, WirePacket},
    mqtt::{Body, Connect, Level, Packet},
    timeline::Side,
    verdict::Verdict,
};

use super::{from_module, shown};

/// Every rule that a packet breaks by its bytes alone; each clause once.
pub(super) fn judge(view: &View<'_>) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for p in from_module(view) {
        let older = view.profile.behaviour.mqtt31 && p.packet.as_connect().is_some_and(Connect::is_older);
        let counts = |clause| !(older && Connect::VERSION.contains(&clause));
        let violations = p.packet.violations.iter().filter(|v| v.level > Level::Info && counts(v.clause));
        let echoes = answers_zero(view, p);
        let violations = violations.filter(|v| !(echoes && v.clause == ZERO_ANSWERED));
        let fresh: Vec<_> = violations.filter(|v| told.insert(v.clause)).collect();
        let Some(worst) = fresh.iter().max_by_key(|v| v.level) else { continue };
        let verdict = if worst.level == Level::Must { Verdict::Fail } else { Verdict::Warning };
        let clauses: Vec<&str> = fresh.iter().filter(|v| v.level == worst.level).map(|v| v.clause).collect();
        let expected = format!("a well-formed {}", p.packet.kind);
        let observed = shown(view, p, &format!("{}, at byte {}", worst.what, worst.offset));
        findings.push(Finding::new(verdict, expected, observed).citing(clauses).at(p.at));
    }
    findings
}

/// Where the decoder tells of an acknowledgement of identifier 0.
const ZERO_ANSWERED: &str = "MQTT-2.3.1";

/// An acknowledgement of identifier 0 is no more wrong than what it answers, where that came from the broker.
fn answers_zero(view: &View<'_>, packet: &WirePacket) -> bool {
    let asked = |p: &&WirePacket| p.conn == packet.conn && p.at < packet.at && p.from == Side::Broker;
    packet.packet.id() == Some(0) && view.packets.iter().filter(asked).any(|p| p.packet.id() == Some(0))
}

/// Whether a packet can break a statement by its bytes alone.
type Occasion = fn(&Packet) -> bool;

/// Which packets can break which statement.
const OCCASIONS: &[(&str, Occasion)] = &[
    ("MQTT-1.5.3-1", has_text),
    ("MQTT-1.5.3-2", has_text),
    ("MQTT-2.2.2-1", |_| true),
    ("MQTT-2.3.1-1", |p| match &p.body {
        Body::Publish(publish) => publish.qos > 0,
        body => matches!(body, Body::Subscribe(_) | Body::Unsubscribe(_)),
    }),
    ("MQTT-3.1.2-9", has_will),
    ("MQTT-3.1.2-11", has_no_will),
    ("MQTT-3.1.2-13", has_no_will),
    ("MQTT-3.1.2-14", has_will),
    ("MQTT-3.1.2-15", has_no_will),
    ("MQTT-3.1.2-18", |p| is_connect(p, |c| c.username.is_none())),
    ("MQTT-3.1.2-19", |p| is_connect(p, |c| c.username.is_some())),
    ("MQTT-3.1.2-20", |p| is_connect(p, |c| c.password.is_none())),
    ("MQTT-3.1.2-21", |p| is_connect(p, |c| c.password.is_some())),
    ("MQTT-3.1.2-22", |p| is_connect(p, |c| c.username.is_none())),
    ("MQTT-3.1.3-1", |p| is_connect(p, |c| c.will.is_some() || c.username.is_some())),
    ("MQTT-3.1.3-3", |p| is_connect(p, |_| true)),
    ("MQTT-3.1.3-4", |p| is_connect(p, |_| true)),
    ("MQTT-3.1.3-7", |p| is_connect(p, |c| c.client_id.as_bytes().is_empty())),
    ("MQTT-3.1.3-10", has_will),
    ("MQTT-3.1.3-11", |p| is_connect(p, |c| c.username.is_some())),
    ("MQTT-3.3.1-2", |p| p.as_publish().is_some_and(|publish| publish.qos == 0)),
    ("MQTT-3.3.1-4", is_publish),
    ("MQTT-3.3.2-1", is_publish),
    ("MQTT-3.3.2-2", is_publish),
    ("MQTT-3.6.1-1", |p| matches!(p.body, Body::PubRel(_))),
    ("MQTT-3.8.1-1", is_subscribe),
    ("MQTT-3.8.3-1", is_subscribe),
    ("MQTT-3.8.3-3", is_subscribe),
    ("MQTT-3.10.1-1", is_unsubscribe),
    ("MQTT-3.10.3-1", is_unsubscribe),
    ("MQTT-3.10.3-2", is_unsubscribe),
    ("MQTT-4.3.1-1", |p| p.as_publish().is_some_and(|publish| publish.qos == 0)),
    ("MQTT-4.7.1-1", is_publish),
    ("MQTT-4.7.1-2", |p| has_filter_with(p, b'#')),
    ("MQTT-4.7.1-3", |p| has_filter_with(p, b'+')),
    ("MQTT-4.7.3-1", has_topic),
    ("MQTT-4.7.3-2", has_topic),
    ("MQTT-4.7.3-3", has_topic),
];

/// The statements that the packets of the recording gave occasion to break by their bytes.
pub(super) fn occasions(view: &View<'_>) -> impl Iterator<Item = &'static str> {
    let given = |occasion: Occasion| from_module(view).any(|p| occasion(&p.packet));
    OCCASIONS.iter().filter(move |(_, occasion)| given(*occasion)).map(|(statement, _)| *statement)
}

/// Every statement that a packet can break by its bytes alone.
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    OCCASIONS.iter().map(|(statement, _)| *statement)
}

fn is_connect(packet: &Packet, has: impl Fn(&Connect) -> bool) -> bool {
    packet.as_connect().is_some_and(has)
}

fn has_will(packet: &Packet) -> bool {
    is_connect(packet, |c| c.will.is_some())
}

fn has_no_will(packet: &Packet) -> bool {
    is_connect(packet, |c| c.will.is_none())
}

fn is_publish(packet: &Packet) -> bool {
    matches!(packet.body, Body::Publish(_))
}

fn is_subscribe(packet: &Packet) -> bool {
    matches!(packet.body, Body::Subscribe(_))
}

fn is_unsubscribe(packet: &Packet) -> bool {
    matches!(packet.body, Body::Unsubscribe(_))
}

fn has_topic(packet: &Packet) -> bool {
    is_publish(packet) || is_subscribe(packet) || is_unsubscribe(packet)
}

fn has_text(packet: &Packet) -> bool {
    has_topic(packet) || matches!(packet.body, Body::Connect(_))
}

fn has_filter_with(packet: &Packet, wildcard: u8) -> bool {
    match &packet.body {
        Body::Subscribe(s) => s.filters.iter().any(|(filter, _)| filter.as_bytes().contains(&wildcard)),
        Body::Unsubscribe(u) => u.filters.iter().any(|filter| filter.as_bytes().contains(&wildcard)),
        _ => false,
    }
}
