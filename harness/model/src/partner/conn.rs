//! What the partner knows of one connection.

use std::collections::{BTreeMap, VecDeque};

use super::{Message, SessionId, Ticket};
use crate::{
    mqtt::{Framer, Packet, PacketType},
    timeline::Close,
};

/// One connection, from its opening to its end.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) framer: Framer,
    /// Bytes that came while the connection waits; the framer gets them afterwards.
    pub(super) backlog: Vec<u8>,
    pub(super) phase: Phase,
    pub(super) is_module: bool,
    pub(super) session: Option<SessionId>,
    pub(super) will: Option<Message>,
    /// Longest silence that is allowed.
    pub(super) silence_us: Option<u64>,
    /// When the connection opened, the last control packet came, or DISCONNECT came: limits count from here.
    pub(super) since: u64,
    /// CONNACK is on the wire; nothing precedes it (MQTT-3.2.0-1).
    pub(super) greeted: bool,
    /// What queues behind a CONNACK that is kept back.
    pub(super) behind: VecDeque<Outgoing>,
    pub(super) muted: bool,
    /// What the module will get when it is not muted any more.
    pub(super) unsaid: VecDeque<Outgoing>,
    pub(super) stopped: bool,
    pub(super) half_closed: bool,
    /// The SUBSCRIBE whose answer is awaited: packets are processed one after the other, as by a real broker.
    pub(super) ticket: Option<Ticket>,
    /// A rule keeps CONNECT back, so nothing after it is processed.
    pub(super) connect_parked: bool,
    /// Kept back until released, in order.
    pub(super) held: VecDeque<Parked>,
    /// Kept back until a time, in order of time and then of arrival.
    pub(super) delayed: BTreeMap<(u64, u64), Parked>,
    /// Bytes in `behind`, `unsaid`, `held` and `delayed`.
    pub(super) kept_bytes: usize,
    pub(super) reading: bool,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// CONNECT has not come.
    Fresh,
    /// CONNECT was accepted.
    Open,
    /// CONNECT was refused; the close follows the CONNACK.
    Refused,
    /// DISCONNECT came; the module has to close.
    Left,
}

/// A packet on its way to the module.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) kind: PacketType,
    /// Each is one write.
    pub(super) segments: Vec<Vec<u8>>,
    /// The connection ends behind it.
    pub(super) then: Option<(Close, &'static str)>,
}

impl Outgoing {
    pub(super) fn size(&self) -> usize {
        self.segments.iter().map(Vec::len).sum::<usize>() + 64
    }
}

/// A packet kept back by a rule.
#[derive(Debug)]
pub(super) enum Parked {
    ToModule(Outgoing),
    FromModule(Packet),
}

impl Parked {
    pub(super) fn kind(&self) -> PacketType {
        match self {
            Self::ToModule(out) => out.kind,
            Self::FromModule(packet) => packet.kind,
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::ToModule(out) => out.size(),
            Self::FromModule(packet) => 2 * packet.raw.len() + 64,
        }
    }
}

impl Conn {
    pub(super) fn new(max_packet: usize, now: u64) -> Self {
        Self {
            framer: Framer::new(max_packet),
            backlog: Vec::new(),
            phase: Phase::Fresh,
            is_module: false,
            session: None,
            will: None,
            silence_us: None,
            since: now,
            greeted: false,
            behind: VecDeque::new(),
            muted: false,
            unsaid: VecDeque::new(),
            stopped: false,
            half_closed: false,
            ticket: None,
            connect_parked: false,
            held: VecDeque::new(),
            delayed: BTreeMap::new(),
            kept_bytes: 0,
            reading: true,
        }
    }

    /// Whether packets that come are left lying for now.
    pub(super) fn waits(&self) -> bool {
        self.muted || self.ticket.is_some() || self.connect_parked
    }

    /// Whether the client's silence counts: not while it awaits CONNACK, nor while nobody listens to it.
    pub(super) fn is_watched(&self) -> bool {
        self.phase == Phase::Open && self.greeted && self.reading && !self.waits()
    }
}
