//! The way of a packet to the module: rules, then the gate that lets nothing precede CONNACK, then the wire.

use std::collections::VecDeque;

use super::conn::{Outgoing, Parked, Phase};
use super::{Action, ConnId, Output, Partner, Way};
use crate::{
    mqtt::{Ack, Body, PacketType, decode, encode},
    timeline::{Alteration, Close},
};

impl Partner {
    /// Sends a packet under the rules.
    pub(super) fn send(&mut self, conn: ConnId, body: Body, now: u64) {
        let action = self.rules.take(Way::ToModule, kind(&body));
        self.send_with(conn, body, action, None, now);
    }

    /// Sends a packet under an action that was chosen before, and ends the connection behind it.
    pub(super) fn send_with(
        &mut self,
        conn: ConnId,
        mut body: Body,
        action: Option<Action>,
        then: Option<(Close, &'static str)>,
        now: u64,
    ) {
        if self.conns.get(&conn).is_none_or(|c| c.half_closed) {
            return;
        }
        let kind = kind(&body);
        if let Some(Action::Id(id)) = action {
            set_id(&mut body, id);
        }
        let mut out = Outgoing { kind, segments: vec![encode(&body)], then };
        match action {
            None => {}
            Some(Action::Withhold) => {
                self.altered(conn, kind, Alteration::Withheld);
                if let Some((how, why)) = out.then {
                    self.close(conn, how, why.to_owned(), now);
                }
                return;
            }
            Some(Action::Hold) => return self.park(conn, None, Parked::ToModule(out), now),
            Some(Action::Delay(ms)) => {
                return self.park(conn, Some(due(now, ms)), Parked::ToModule(out), now);
            }
            Some(Action::Replace(bytes)) => {
                self.altered(conn, kind, Alteration::Replaced);
                out.segments = vec![bytes];
            }
            Some(Action::Answer { bytes, ids }) => {
                self.altered(conn, kind, Alteration::Replaced);
                let id = decode(&out.segments[0]).id().unwrap_or(0);
                out.segments = vec![with_id(bytes, &ids, id)];
            }
            Some(Action::Append(bytes)) => {
                self.altered(conn, kind, Alteration::Injected);
                out.segments[0].extend(bytes);
            }
            Some(Action::Prepend(bytes)) => {
                self.altered(conn, kind, Alteration::Injected);
                out.segments[0].splice(..0, bytes);
            }
            Some(Action::Twice) => {
                self.altered(conn, kind, Alteration::Injected);
                let again = out.segments[0].clone();
                out.segments[0].extend(again);
            }
            Some(Action::Id(_) | Action::Code(_)) => self.altered(conn, kind, Alteration::Replaced),
            Some(Action::OneByteSegments) => {
                out.segments = out.segments[0].iter().map(|&byte| vec![byte]).collect();
            }
            Some(Action::ThenClose(how)) => out.then = Some((how, "the case asked for it")),
        }
        self.route(conn, out, now);
    }

    /// Keeps a packet back, until it is released or until a time.
    pub(super) fn park(&mut self, conn: ConnId, until: Option<u64>, packet: Parked, now: u64) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let kind = packet.kind();
        c.kept_bytes += packet.size();
        if matches!(&packet, Parked::FromModule(p) if p.kind == PacketType::Connect) {
            c.connect_parked = true;
        }
        match until {
            Some(until) => {
                self.next_parked += 1;
                c.delayed.insert((until, self.next_parked), packet);
            }
            None => c.held.push_back(packet),
        }
        let action = if until.is_some() { Alteration::Delayed } else { Alteration::Held };
        self.altered(conn, kind, action);
        self.check_kept(conn, now);
    }

    /// Lets a packet go that was kept back.
    pub(super) fn unpark(&mut self, conn: ConnId, packet: Parked, now: u64) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.kept_bytes = c.kept_bytes.saturating_sub(packet.size());
        if matches!(&packet, Parked::FromModule(p) if p.kind == PacketType::Connect) {
            c.connect_parked = false;
        }
        self.altered(conn, packet.kind(), Alteration::Released);
        match packet {
            Parked::ToModule(out) => self.route(conn, out, now),
            Parked::FromModule(packet) => {
                self.process(conn, &packet, now);
                self.pump(conn, now);
            }
        }
    }

    /// Releases every held packet of a type, in the order in which they came or in the opposite one.
    pub(super) fn release(&mut self, on: PacketType, reversed: bool, now: u64) {
        self.rules.stop_holding(on);
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            let Some(c) = self.conns.get_mut(&conn) else { continue };
            let (go, stay) =
                std::mem::take(&mut c.held).into_iter().partition::<VecDeque<_>, _>(|p| p.kind() == on);
            c.held = stay;
            let go: Vec<Parked> = if reversed { go.into_iter().rev().collect() } else { go.into() };
            for packet in go {
                self.unpark(conn, packet, now);
            }
        }
    }

    /// The gate, then the wire.
    pub(super) fn route(&mut self, conn: ConnId, out: Outgoing, now: u64) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if c.half_closed {
            return;
        }
        let greeting = out.kind == PacketType::ConnAck;
        if c.muted || !(greeting || c.greeted) {
            c.kept_bytes += out.size();
            if c.muted { &mut c.unsaid } else { &mut c.behind }.push_back(out);
            return self.check_kept(conn, now);
        }
        for (i, bytes) in out.segments.into_iter().enumerate() {
            if i > 0 {
                self.out.push_back(Output::Pause { conn });
            }
            self.wire(conn, bytes);
        }
        if greeting {
            self.greeted(conn, now);
        }
        if let Some((how, why)) = out.then {
            self.close(conn, how, why.to_owned(), now);
        }
    }

    /// CONNACK is out: what queued behind it follows, and the client's silence begins to count.
    fn greeted(&mut self, conn: ConnId, now: u64) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.greeted = true;
        c.since = now;
        for out in std::mem::take(&mut c.behind) {
            self.requeue(conn, out, now);
        }
    }

    /// Sends what waited in a queue of the connection.
    pub(super) fn requeue(&mut self, conn: ConnId, out: Outgoing, now: u64) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.kept_bytes = c.kept_bytes.saturating_sub(out.size());
            self.route(conn, out, now);
        }
    }

    /// Bytes to the wire, past rules and gate.
    pub(super) fn wire(&mut self, conn: ConnId, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.out.push_back(Output::Send { conn, bytes });
        }
    }

    pub(super) fn altered(&mut self, conn: ConnId, packet: PacketType, action: Alteration) {
        self.out.push_back(Output::Altered { conn, packet, action });
    }

    /// A module that goes on while everything is kept back must not fill the memory.
    fn check_kept(&mut self, conn: ConnId, now: u64) {
        let Some(c) = self.conns.get(&conn) else { return };
        if c.kept_bytes > self.settings.max_bytes && c.phase != Phase::Refused {
            let what = format!("more than {} bytes kept back on one connection", self.settings.max_bytes);
            self.out.push_back(Output::Fault(what.clone()));
            self.close(conn, Close::Rst, what, now);
        }
    }
}

pub(super) fn due(now: u64, ms: u64) -> u64 {
    now.saturating_add(ms.saturating_mul(1000))
}

/// The type of a packet of ours.
pub(super) fn kind(body: &Body) -> PacketType {
    match body {
        Body::Connect(_) => PacketType::Connect,
        Body::ConnAck(_) => PacketType::ConnAck,
        Body::Publish(_) => PacketType::Publish,
        Body::PubAck(_) => PacketType::PubAck,
        Body::PubRec(_) => PacketType::PubRec,
        Body::PubRel(_) => PacketType::PubRel,
        Body::PubComp(_) => PacketType::PubComp,
        Body::Subscribe(_) => PacketType::Subscribe,
        Body::SubAck(_) => PacketType::SubAck,
        Body::Unsubscribe(_) => PacketType::Unsubscribe,
        Body::UnsubAck(_) => PacketType::UnsubAck,
        Body::PingReq => PacketType::PingReq,
        Body::PingResp => PacketType::PingResp,
        Body::Disconnect => PacketType::Disconnect,
        Body::Reserved => PacketType::Reserved0,
    }
}

/// The bytes with a packet identifier at each of these places.
fn with_id(mut bytes: Vec<u8>, places: &[usize], id: u16) -> Vec<u8> {
    for place in places {
        if let Some(two) = bytes.get_mut(*place..place.saturating_add(2)) {
            two.copy_from_slice(&id.to_be_bytes());
        }
    }
    bytes
}

/// Another packet identifier, where the packet has one.
fn set_id(body: &mut Body, id: u16) {
    match body {
        Body::Publish(p) if p.id.is_some() => p.id = Some(id),
        Body::PubAck(a) | Body::PubRec(a) | Body::PubRel(a) | Body::PubComp(a) | Body::UnsubAck(a) => {
            *a = Ack { id }
        }
        Body::SubAck(s) => s.id = id,
        _ => {}
    }
}
