//! What holds of every exchange of messages: identifiers, first and repeated sending, order, clean sessions.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    judge::{View, WirePacket},
    mqtt::{Body, Connect, PacketType},
    timeline::Side,
};

use super::{Breach, Rule, from_module};

pub(super) const RULES: &[Rule] = &[
    Rule {
        cites: &["MQTT-2.3.1-2"],
        expects: "a packet identifier that is not in use",
        occasion: |view| identifiers(view).1,
        breach: |view| identifiers(view).0,
    },
    Rule {
        cites: &["MQTT-4.3.2-1"],
        expects: "DUP 0 on the first sending of a PUBLISH of QoS 1",
        occasion: |view| publishes(view, 1),
        breach: |view| first_sending(view, 1),
    },
    Rule {
        cites: &["MQTT-4.3.3-1"],
        expects: "DUP 0 on the first sending of a PUBLISH of QoS 2",
        occasion: |view| publishes(view, 2),
        breach: |view| first_sending(view, 2),
    },
    Rule {
        cites: &["MQTT-4.3.3-1"],
        expects: "PUBREL only after PUBREC, and no PUBLISH after PUBREL",
        occasion: |view| view.from_module(PacketType::PubRel).next().is_some(),
        breach: release,
    },
    Rule {
        cites: &["MQTT-2.3.1-6"],
        expects: "an acknowledgement with the identifier of a PUBLISH of this exchange",
        occasion: |view| from_module(view).any(|p| acknowledges(&p.packet.body)),
        breach: foreign_acknowledgement,
    },
    Rule {
        cites: &["MQTT-4.6.0-2"],
        expects: "PUBACK in the order of the messages",
        occasion: |view| order(view, &PUBACK).several,
        breach: |view| order(view, &PUBACK).breach,
    },
    Rule {
        cites: &["MQTT-4.6.0-3"],
        expects: "PUBREC in the order of the messages",
        occasion: |view| order(view, &PUBREC).several,
        breach: |view| order(view, &PUBREC).breach,
    },
    Rule {
        cites: &["MQTT-4.6.0-4"],
        expects: "PUBREL in the order of PUBREC",
        occasion: |view| order(view, &PUBREL).several,
        breach: |view| order(view, &PUBREL).breach,
    },
    Rule {
        cites: &["MQTT-3.1.2-6"],
        expects: "nothing of an earlier connection on one with clean session 1",
        occasion: |view| clean_sessions(view).count() > 1,
        breach: left_over,
    },
];

/// MQTT-2.3.1-2: a new packet takes an identifier that is not in use on this connection. The first breach, and whether another
/// identifier was in use when one was taken.
fn identifiers(view: &View<'_>) -> (Option<Breach>, bool) {
    let mut in_use: BTreeSet<(u32, u16)> = BTreeSet::new();
    let mut occasion = false;
    for p in &view.packets {
        let Some(id) = p.packet.id() else { continue };
        let key = (p.conn, id);
        match (p.from, &p.packet.body) {
            (Side::Module, Body::Publish(publish)) if publish.dup => {
                in_use.insert(key);
            }
            (Side::Module, body @ (Body::Publish(_) | Body::Subscribe(_) | Body::Unsubscribe(_))) => {
                occasion |= in_use.iter().any(|(conn, _)| *conn == p.conn);
                if !in_use.insert(key) {
                    // The statements of QoS 1 and 2 say it again.
                    let cites: &[&str] = match body {
                        Body::Publish(publish) if publish.qos == 1 => &["MQTT-2.3.1-2", "MQTT-4.3.2-1"],
                        Body::Publish(_) => &["MQTT-2.3.1-2", "MQTT-4.3.3-1"],
                        _ => &["MQTT-2.3.1-2"],
                    };
                    let breach = Breach::by(view, p, &format!("identifier {id} was in use"));
                    return (Some(breach.citing(cites)), occasion);
                }
            }
            (Side::Broker, Body::PubAck(_) | Body::PubComp(_) | Body::SubAck(_) | Body::UnsubAck(_)) => {
                in_use.remove(&key);
            }
            _ => {}
        }
    }
    (None, occasion)
}

fn publishes(view: &View<'_>, qos: u8) -> bool {
    from_module(view).filter_map(|p| p.packet.as_publish()).any(|publish| publish.qos == qos)
}

/// MQTT-4.3.2-1, 4.3.3-1: DUP is 0 when a PUBLISH is sent for the first time. With DUP and another identifier a message that was
/// sent before is no first sending: MQTT-2.3.1-3 has it keep its identifier.
fn first_sending(view: &View<'_>, qos: u8) -> Option<Breach> {
    let mut sent: BTreeSet<(Option<u16>, &[u8])> = BTreeSet::new();
    let mut messages: BTreeSet<(&[u8], &[u8])> = BTreeSet::new();
    from_module(view).find_map(|p| {
        let publish = p.packet.as_publish().filter(|publish| publish.qos == qos)?;
        let fresh = sent.insert((publish.id, &publish.payload));
        let again = !messages.insert((publish.topic.as_bytes(), &publish.payload));
        let what = if again {
            "it was sent before, with another identifier"
        } else {
            "nothing like it was sent before"
        };
        let breach = (fresh && publish.dup).then(|| Breach::by(view, p, what))?;
        Some(if again { breach.citing(&["MQTT-2.3.1-3"]) } else { breach })
    })
}

/// MQTT-4.3.3-1: PUBREL answers PUBREC, and once it is sent the PUBLISH is not sent again.
fn release(view: &View<'_>) -> Option<Breach> {
    let mut received: BTreeSet<u16> = BTreeSet::new();
    let mut released: BTreeSet<u16> = BTreeSet::new();
    let mut published: BTreeSet<u16> = BTreeSet::new();
    for p in &view.packets {
        let Some(id) = p.packet.id() else { continue };
        match (p.from, &p.packet.body) {
            (Side::Module, Body::Publish(publish)) if publish.qos == 2 => {
                if publish.dup && released.contains(&id) {
                    return Some(Breach::by(view, p, "its PUBREL was sent already"));
                }
                if !publish.dup {
                    received.remove(&id);
                    released.remove(&id);
                }
                published.insert(id);
            }
            (Side::Broker, Body::PubRec(_)) => _ = received.insert(id),
            (Side::Broker, Body::PubComp(_)) => _ = released.remove(&id),
            (Side::Module, Body::PubRel(_)) => {
                // One that belongs to no PUBLISH at all is for another rule.
                if published.contains(&id) && !received.contains(&id) {
                    return Some(Breach::by(view, p, "no PUBREC came for it"));
                }
                released.insert(id);
            }
            _ => {}
        }
    }
    None
}

fn acknowledges(body: &Body) -> bool {
    matches!(body, Body::PubAck(_) | Body::PubRec(_) | Body::PubRel(_) | Body::PubComp(_))
}

/// MQTT-2.3.1-6: PUBACK, PUBREC, PUBREL and PUBCOMP carry the identifier of the PUBLISH they belong to.
fn foreign_acknowledgement(view: &View<'_>) -> Option<Breach> {
    let mut from_broker: BTreeSet<u16> = BTreeSet::new();
    let mut released: BTreeSet<u16> = BTreeSet::new();
    // PUBREL answers a PUBREC also where that has an identifier that is not in use: the standard does not speak of it.
    let mut published: BTreeSet<u16> = BTreeSet::new();
    for p in &view.packets {
        let Some(id) = p.packet.id() else { continue };
        match (p.from, &p.packet.body) {
            (Side::Broker, Body::Publish(_)) => from_broker.insert(id),
            (Side::Broker, Body::PubRel(_)) => released.insert(id),
            (Side::Module, Body::Publish(_)) | (Side::Broker, Body::PubRec(_)) => published.insert(id),
            _ => false,
        };
        // The statements about each exchange say it again.
        let (known, cites): (bool, &[&str]) = match (p.from, &p.packet.body) {
            (Side::Module, Body::PubAck(_)) => {
                (from_broker.contains(&id), &["MQTT-2.3.1-6", "MQTT-3.3.4-1", "MQTT-4.3.2-2"])
            }
            (Side::Module, Body::PubRec(_)) => {
                (from_broker.contains(&id), &["MQTT-2.3.1-6", "MQTT-3.3.4-1", "MQTT-4.3.3-2"])
            }
            (Side::Module, Body::PubComp(_)) => (released.contains(&id), &["MQTT-2.3.1-6", "MQTT-4.3.3-2"]),
            (Side::Module, Body::PubRel(_)) => (published.contains(&id), &["MQTT-2.3.1-6", "MQTT-4.3.3-1"]),
            _ => (true, &[]),
        };
        if !known {
            return Some(Breach::by(view, p, "no exchange has this identifier").citing(cites));
        }
    }
    None
}

/// Answers that go out in the order of what they answer.
struct Ordered {
    /// What is answered, of the broker.
    asks: fn(&Body) -> bool,
    /// What answers it, of the module.
    answer: PacketType,
}

const PUBACK: Ordered = Ordered {
    asks: |body| matches!(body, Body::Publish(publish) if publish.qos == 1),
    answer: PacketType::PubAck,
};
const PUBREC: Ordered = Ordered {
    asks: |body| matches!(body, Body::Publish(publish) if publish.qos == 2),
    answer: PacketType::PubRec,
};
const PUBREL: Ordered = Ordered { asks: |body| matches!(body, Body::PubRec(_)), answer: PacketType::PubRel };

struct Seen {
    breach: Option<Breach>,
    /// Whether several were to be answered at a time.
    several: bool,
}

/// MQTT-4.6.0-2 to -4. One that is never answered is no matter of order: only an answer that comes behind a later one is.
fn order(view: &View<'_>, rule: &Ordered) -> Seen {
    let mut due: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
    let mut overtaken: BTreeMap<(u32, u16), &WirePacket> = BTreeMap::new();
    let mut several = false;
    for p in view.packets.iter().filter(|p| p.packet.violations.is_empty()) {
        let Some(id) = p.packet.id() else { continue };
        let due = due.entry(p.conn).or_default();
        if p.from == Side::Broker && (rule.asks)(&p.packet.body) {
            if !due.contains(&id) {
                due.push(id);
            }
            several |= due.len() > 1;
        }
        if p.from == Side::Module && p.packet.kind == rule.answer {
            if let Some(earlier) = overtaken.get(&(p.conn, id)) {
                let what = format!("{} was sent first, although its turn was later", earlier.packet);
                return Seen { breach: Some(Breach::by(view, p, &what)), several };
            }
            if let Some(at) = due.iter().position(|other| *other == id) {
                due[..at].iter().for_each(|skipped| _ = overtaken.insert((p.conn, *skipped), p));
                due.remove(at);
            }
        }
    }
    Seen { breach: None, several }
}

/// Connections with clean session 1, in order.
fn clean_sessions<'v>(view: &'v View<'_>) -> impl Iterator<Item = u32> + use<'v> {
    from_module(view).filter(|p| p.packet.as_connect().is_some_and(Connect::clean_session)).map(|p| p.conn)
}

/// MQTT-3.1.2-6: on a connection with clean session 1 nothing of an earlier one is sent again.
fn left_over(view: &View<'_>) -> Option<Breach> {
    let clean: BTreeSet<u32> = clean_sessions(view).collect();
    // The connection on which an identifier was first used for a payload.
    let mut first: BTreeMap<(u16, &[u8]), u32> = BTreeMap::new();
    let mut used: BTreeMap<u16, BTreeSet<u32>> = BTreeMap::new();
    for p in from_module(view) {
        let Some(id) = p.packet.id() else { continue };
        match &p.packet.body {
            Body::Publish(publish) => {
                let begun = *first.entry((id, &publish.payload)).or_insert(p.conn);
                if publish.dup && begun != p.conn && clean.contains(&p.conn) {
                    return Some(Breach::by(view, p, "it was sent on an earlier connection"));
                }
                used.entry(id).or_default().insert(p.conn);
            }
            Body::PubRel(_) => {
                let here = used.get(&id).is_none_or(|conns| conns.contains(&p.conn));
                if !here && clean.contains(&p.conn) {
                    return Some(Breach::by(view, p, "its PUBLISH was sent on an earlier connection"));
                }
            }
            _ => {}
        }
    }
    None
}
