//! What stands before the data of a packet of Wireshark's link type "upper PDU": tags that say which dissector the data are
//! for, and between whom they went.
//!
//! Each tag is a number, a length and a value, in big-endian; they are listed in Wireshark's `exported_pdu_tlvs.h`.

use std::net::{IpAddr, SocketAddr};

const END: u16 = 0;
const DISSECTOR: u16 = 12;
const IPV4_SOURCE: u16 = 20;
const IPV4_DESTINATION: u16 = 21;
const IPV6_SOURCE: u16 = 22;
const IPV6_DESTINATION: u16 = 23;
const PORT_TYPE: u16 = 24;
const SOURCE_PORT: u16 = 25;
const DESTINATION_PORT: u16 = 26;
/// What the protocol column shows where the dissector leaves it empty.
const PROTOCOL_COLUMN: u16 = 33;
const DIRECTION: u16 = 35;

const TCP: u32 = 2;

/// How a packet is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags {
    /// Name of Wireshark's dissector.
    pub dissector: &'static str,
    /// Source and destination of a TCP connection.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// Whether it was sent (to the module) or received, for dissectors that tell it.
    pub sent: Option<bool>,
    /// The protocol column, for dissectors that fill none.
    pub protocol: Option<&'static str>,
}

impl Tags {
    /// For this dissector, and nothing more.
    pub fn new(dissector: &'static str) -> Self {
        Self { dissector, ends: None, sent: None, protocol: None }
    }

    /// The tags as they are written.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        text(&mut out, DISSECTOR, self.dissector);
        if let Some(protocol) = self.protocol {
            text(&mut out, PROTOCOL_COLUMN, protocol);
        }
        if let Some((source, destination)) = self.ends {
            address(&mut out, source.ip(), IPV4_SOURCE, IPV6_SOURCE);
            address(&mut out, destination.ip(), IPV4_DESTINATION, IPV6_DESTINATION);
            number(&mut out, PORT_TYPE, TCP);
            number(&mut out, SOURCE_PORT, source.port().into());
            number(&mut out, DESTINATION_PORT, destination.port().into());
        }
        if let Some(sent) = self.sent {
            number(&mut out, DIRECTION, u32::from(!sent));
        }
        tag(&mut out, END, &[]);
        out
    }
}

fn tag(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_be_bytes());
    out.extend(u16::try_from(value.len()).expect("names and addresses are short").to_be_bytes());
    out.extend(value);
}

fn number(out: &mut Vec<u8>, code: u16, value: u32) {
    tag(out, code, &value.to_be_bytes());
}

/// Texts are filled up to whole words; zeros at the end are no part of them.
fn text(out: &mut Vec<u8>, code: u16, value: &str) {
    let mut padded = value.as_bytes().to_vec();
    padded.resize(padded.len().next_multiple_of(4), 0);
    tag(out, code, &padded);
}

fn address(out: &mut Vec<u8>, ip: IpAddr, v4: u16, v6: u16) {
    match ip {
        IpAddr::V4(ip) => tag(out, v4, &ip.octets()),
        IpAddr::V6(ip) => tag(out, v6, &ip.octets()),
    }
}
