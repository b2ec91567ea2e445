//! The module's connections as frames: one for each control packet, and one for whatever is none.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use atspec_model::{
    mqtt::{Frame as Piece, Framer, Violation, decode},
    timeline::{Bindings, Close, Side},
};

/// The largest control packet that is framed: as large as MQTT allows.
const MAX_PACKET: usize = 5 + 268_435_455;

/// Stand for addresses that are not known; both are reserved for documentation.
const UNKNOWN_V4: [u8; 4] = [192, 0, 2, 0];
const UNKNOWN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// All connections of a recording.
#[derive(Debug)]
pub(super) struct Wire<'t> {
    told: &'t Bindings,
    peers: BTreeMap<u32, SocketAddr>,
    streams: BTreeMap<(u32, Side), Stream>,
}

/// One direction of a connection.
#[derive(Debug)]
struct Stream {
    framer: Framer,
    broken: bool,
}

/// Bytes of one direction that stand in a frame of their own.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    /// Rules that the packet breaks.
    pub(super) violations: Vec<Violation>,
    /// Why it is no whole control packet.
    pub(super) odd: Option<String>,
    /// Whether it can be shown as MQTT.
    pub(super) mqtt: bool,
}

impl<'t> Wire<'t> {
    pub(super) fn new(told: &'t Bindings) -> Self {
        Self { told, peers: BTreeMap::new(), streams: BTreeMap::new() }
    }

    pub(super) fn opened(&mut self, conn: u32, peer: &str) {
        if let Ok(peer) = peer.parse() {
            self.peers.insert(conn, peer);
        }
    }

    /// Source and destination of what `from` sends.
    pub(super) fn ends(&self, conn: u32, from: Side) -> (SocketAddr, SocketAddr) {
        let known = self.peers.get(&conn).copied();
        let module = known.unwrap_or_else(|| {
            let [a, b, c, _] = UNKNOWN_V4;
            let port = u16::try_from(conn % 16_384).unwrap_or(0) + 49_152;
            SocketAddr::new(Ipv4Addr::new(a, b, c, 2).into(), port)
        });
        let broker = SocketAddr::new(self.broker(module.ip()), self.told.port);
        if from == Side::Module { (module, broker) } else { (broker, module) }
    }

    /// The broker's address, which has to be of the same kind as the module's.
    fn broker(&self, module: IpAddr) -> IpAddr {
        let told = self.told.host.parse::<IpAddr>().ok();
        let [a, b, c, _] = UNKNOWN_V4;
        match told.filter(|told| told.is_ipv4() == module.is_ipv4()) {
            Some(told) => told,
            None if module.is_loopback() => module,
            None if module.is_ipv4() => Ipv4Addr::new(a, b, c, 1).into(),
            None => UNKNOWN_V6.into(),
        }
    }

    /// Bytes as they were read or written; what is complete comes out.
    pub(super) fn bytes(&mut self, conn: u32, from: Side, bytes: &[u8]) -> Vec<Seen> {
        let stream = self.streams.entry((conn, from)).or_insert_with(Stream::new);
        if stream.broken {
            return if bytes.is_empty() { Vec::new() } else { vec![Seen::raw(bytes.to_vec(), None)] };
        }
        let mut unseen = stream.framer.pending().len() + bytes.len();
        stream.framer.push(bytes);
        let mut seen = Vec::new();
        while let Some(piece) = stream.framer.next_frame() {
            match piece {
                Piece::Packet(raw) => {
                    unseen -= raw.len();
                    seen.push(Seen::packet(raw));
                }
                Piece::Broken { mut raw, why } => {
                    // The framer throws away what follows.
                    unseen -= raw.len();
                    raw.extend_from_slice(&bytes[bytes.len() - unseen..]);
                    seen.push(Seen::raw(raw, Some(format!("no control packet from here on: {why}"))));
                    stream.broken = true;
                }
            }
        }
        seen
    }

    /// A connection ends: a packet that was cut short, with who sent it.
    pub(super) fn closed(&mut self, conn: u32, by: Side, how: Close) -> Vec<(Side, Seen)> {
        let ended = [Side::Module, Side::Broker].into_iter().filter(|side| *side == by || how == Close::Rst);
        let cut = |side| Some((side, self.streams.remove(&(conn, side))?.cut("the connection was closed")?));
        ended.filter_map(cut).collect()
    }

    /// The recording ends: every packet that is not complete, with its connection and who sent it.
    pub(super) fn rest(&mut self) -> Vec<(u32, Side, Seen)> {
        let streams = std::mem::take(&mut self.streams);
        let rest = streams.into_iter();
        rest.filter_map(|((conn, from), s)| Some((conn, from, s.cut("the recording ended")?))).collect()
    }
}

impl Stream {
    fn new() -> Self {
        Self { framer: Framer::new(MAX_PACKET), broken: false }
    }

    fn cut(&self, when: &str) -> Option<Seen> {
        let bytes = self.framer.pending();
        let odd = format!("cut: the control packet was not complete when {when}");
        let cut = Seen { bytes: bytes.to_vec(), violations: Vec::new(), odd: Some(odd), mqtt: true };
        (!cut.bytes.is_empty()).then_some(cut)
    }
}

impl Seen {
    fn packet(bytes: Vec<u8>) -> Self {
        let packet = decode(&bytes);
        Self { bytes, violations: packet.violations, odd: None, mqtt: true }
    }

    fn raw(bytes: Vec<u8>, odd: Option<String>) -> Self {
        Self { bytes, violations: Vec::new(), odd, mqtt: false }
    }
}
