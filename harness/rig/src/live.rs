//! What the driver knows while a case runs: counts of what has been recorded so far.

use std::collections::{BTreeMap, BTreeSet};

use atspec_model::{
    mqtt::{Frame, Framer, PacketType},
    timeline::{Alteration, Event, Side, What},
};

/// Follows the recorder, event by event.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Index of the next event to look at.
    pub(crate) next: usize,
    framers: BTreeMap<(u32, Side), Framer>,
    packets: BTreeMap<(u32, Side, PacketType), usize>,
    /// Connections that are not the module's.
    strangers: BTreeSet<u32>,
    /// Connections that have begun with a CONNECT.
    spoke: BTreeSet<u32>,
    open: BTreeSet<u32>,
    opened: usize,
    /// Whether the module was told to open a connection: one that is opened otherwise, and never speaks, is somebody else's.
    pub(crate) opening: bool,
    held: BTreeMap<PacketType, usize>,
    /// Packet ids of PUBACKs from the module.
    acknowledged: BTreeSet<u16>,
}

/// The largest control packet that is framed.
const MAX_PACKET: usize = 1024 * 1024;

impl Live {
    /// Looks at new events.
    pub(crate) fn follow(&mut self, events: &[Event]) {
        for event in events {
            self.next += 1;
            match &event.what {
                What::Opened { conn, .. } if self.opening => {
                    self.open.insert(*conn);
                    self.opened += 1;
                }
                What::Closed { conn, .. } => {
                    self.open.remove(conn);
                }
                What::Stranger { conn, .. } => {
                    self.open.remove(conn);
                    self.strangers.insert(*conn);
                }
                What::Altered { packet, action: Alteration::Held, .. } => {
                    *self.held.entry(*packet).or_default() += 1;
                }
                What::FromModule { conn, bytes } => self.frame(*conn, Side::Module, bytes),
                What::ToModule { conn, bytes } => self.frame(*conn, Side::Broker, bytes),
                _ => {}
            }
        }
    }

    /// Packets of a type from one side, over the whole case.
    pub(crate) fn count(&self, from: Side, kind: PacketType) -> usize {
        let counts = self.packets.iter();
        let counts =
            counts.filter(|((conn, side, of), _)| self.is_own(*conn) && (*side, *of) == (from, kind));
        counts.map(|(_, n)| n).sum()
    }

    /// Packets of a type from one side on the last connection that began with CONNECT.
    pub(crate) fn count_on_newest(&self, from: Side, kind: PacketType) -> usize {
        let newest = self.spoke.iter().rev().find(|conn| self.is_own(**conn));
        newest.and_then(|conn| self.packets.get(&(*conn, from, kind))).copied().unwrap_or(0)
    }

    fn is_own(&self, conn: u32) -> bool {
        self.spoke.contains(&conn) && !self.strangers.contains(&conn)
    }

    /// Whether the module has sent PUBACK with this packet id.
    pub(crate) fn acknowledged(&self, id: u16) -> bool {
        self.acknowledged.contains(&id)
    }

    /// How often a packet of the type was held back.
    pub(crate) fn held(&self, kind: PacketType) -> usize {
        self.held.get(&kind).copied().unwrap_or(0)
    }

    /// Connections that were ever opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened
    }

    /// Whether the module has a connection.
    pub(crate) fn connected(&self) -> bool {
        !self.open.is_empty()
    }

    fn frame(&mut self, conn: u32, from: Side, bytes: &[u8]) {
        let framer = self.framers.entry((conn, from)).or_insert_with(|| Framer::new(MAX_PACKET));
        framer.push(bytes);
        while let Some(frame) = framer.next_frame() {
            if let Frame::Packet(raw) = frame {
                let kind = PacketType::of(raw[0]);
                if from == Side::Module && kind == PacketType::Connect {
                    self.spoke.insert(conn);
                }
                if let (Side::Module, PacketType::PubAck, [_, _, high, low]) = (from, kind, raw.as_slice()) {
                    self.acknowledged.insert(u16::from_be_bytes([*high, *low]));
                }
                *self.packets.entry((conn, from, kind)).or_default() += 1;
            }
        }
    }
}
