//! What a control packet is, field by field, whether it is well-formed or not.

use std::fmt;

use crate::text;

/// The control packet types of MQTT 3.1.1, table 2.1, with the two reserved values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the standard's own")]
pub enum PacketType {
    Reserved0 = 0,
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Reserved15 = 15,
}

impl PacketType {
    /// All sixteen values of the type nibble, in order.
    pub const ALL: [Self; 16] = [
        Self::Reserved0,
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Reserved15,
    ];

    /// The type in the upper nibble of a packet's first byte.
    pub fn of(first_byte: u8) -> Self {
        Self::ALL[usize::from(first_byte >> 4)]
    }

    /// The standard's name, `PUBLISH`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved0 => "RESERVED-0",
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Reserved15 => "RESERVED-15",
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A length-prefixed field as it stood on the wire; it may hold anything, also invalid UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// The bytes as they were sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::visible(&self.0))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// How firmly a broken rule binds: a MUST fails a module, a SHOULD only warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Only told (`MAY`, or a measured fact).
    Info,
    /// A SHOULD, or a clause that is only implied.
    Should,
    /// A MUST, or a firm clause of the vendor's document.
    Must,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "INFO",
            Self::Should => "SHOULD",
            Self::Must => "MUST",
        })
    }
}

/// One rule of the standard that a packet breaks by its bytes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Statement id, `MQTT-3.1.2-14`, or `MQTT-` and a section where the standard numbers no statement.
    pub clause: &'static str,
    /// How firmly the rule binds.
    pub level: Level,
    /// Offset in the raw packet where the offence stands.
    pub offset: usize,
    /// What is wrong, for a person: `Will QoS is 3`.
    pub what: String,
}

/// One control packet: the bytes, what could be read of them, and everything wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The whole packet as it stood on the wire.
    pub raw: Vec<u8>,
    /// Upper nibble of the first byte.
    pub kind: PacketType,
    /// Lower nibble of the first byte.
    pub flags: u8,
    /// The fields; a field that could not be read is empty or zero, and a violation says so.
    pub body: Body,
    /// Every rule the packet breaks by itself, in order of offset.
    pub violations: Vec<Violation>,
}

/// The fields of a control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the standard's own")]
pub enum Body {
    Connect(Connect),
    ConnAck(ConnAck),
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    SubAck(SubAck),
    Unsubscribe(Unsubscribe),
    UnsubAck(Ack),
    PingReq,
    PingResp,
    Disconnect,
    /// A reserved type; the bytes after the fixed header are in the raw packet.
    Reserved,
}

/// CONNECT (3.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connect {
    /// Protocol name, `MQTT`.
    pub protocol: Text,
    /// Protocol level, 4 for 3.1.1.
    pub level: u8,
    /// The connect flags byte as sent.
    pub flags: u8,
    /// Keep alive in seconds, 0 = off.
    pub keep_alive: u16,
    /// Client identifier, may be empty.
    pub client_id: Text,
    /// The will, present as its flag says.
    pub will: Option<Will>,
    /// User name, present as its flag says.
    pub username: Option<Text>,
    /// Password, any bytes, present as its flag says.
    pub password: Option<Vec<u8>>,
}

impl Connect {
    /// The statements that a CONNECT of another version breaks.
    pub const VERSION: [&'static str; 2] = ["MQTT-3.1.2-1", "MQTT-3.1.2-2"];

    /// Whether it is of MQTT 3.1, the version before.
    pub fn is_older(&self) -> bool {
        self.protocol.as_bytes() == b"MQIsdp" && self.level == 3
    }

    /// Clean Session, bit 1 of the connect flags.
    pub fn clean_session(&self) -> bool {
        self.flags & 0x02 != 0
    }
}

/// The will of a CONNECT (3.1.2.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Will {
    /// Topic the server publishes on.
    pub topic: Text,
    /// Message, any bytes.
    pub message: Vec<u8>,
    /// QoS 0 to 3; 3 is a violation.
    pub qos: u8,
    /// Whether the server keeps the will as a retained message.
    pub retain: bool,
}

/// CONNACK (3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnAck {
    /// Connect acknowledge flags as sent; bit 0 is session present.
    pub flags: u8,
    /// Return code, 0 accepted, 1 to 5 refused.
    pub code: u8,
}

/// PUBLISH (3.3); DUP, QoS and RETAIN are read from the fixed header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publish {
    /// Bit 3 of the fixed header.
    pub dup: bool,
    /// 0 to 3; 3 is a violation.
    pub qos: u8,
    /// Bit 0 of the fixed header.
    pub retain: bool,
    /// Topic name.
    pub topic: Text,
    /// Packet identifier, where QoS is not 0.
    pub id: Option<u16>,
    /// Application message, any bytes.
    pub payload: Vec<u8>,
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK: a packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ack {
    /// Packet identifier.
    pub id: u16,
}

/// SUBSCRIBE (3.8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscribe {
    /// Packet identifier.
    pub id: u16,
    /// Topic filters, each with its requested QoS byte as sent.
    pub filters: Vec<(Text, u8)>,
}

/// SUBACK (3.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubAck {
    /// Packet identifier.
    pub id: u16,
    /// Return codes: 0 to 2 granted QoS, 0x80 failure.
    pub codes: Vec<u8>,
}

/// UNSUBSCRIBE (3.10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unsubscribe {
    /// Packet identifier.
    pub id: u16,
    /// Topic filters.
    pub filters: Vec<Text>,
}

impl Packet {
    /// The packet identifier, where the packet has one.
    pub fn id(&self) -> Option<u16> {
        match &self.body {
            Body::Publish(p) => p.id,
            Body::PubAck(a) | Body::PubRec(a) | Body::PubRel(a) | Body::PubComp(a) | Body::UnsubAck(a) => {
                Some(a.id)
            }
            Body::Subscribe(s) => Some(s.id),
            Body::SubAck(s) => Some(s.id),
            Body::Unsubscribe(u) => Some(u.id),
            _ => None,
        }
    }

    /// The fields of a PUBLISH.
    pub fn as_publish(&self) -> Option<&Publish> {
        match &self.body {
            Body::Publish(p) => Some(p),
            _ => None,
        }
    }

    /// The fields of a CONNECT.
    pub fn as_connect(&self) -> Option<&Connect> {
        match &self.body {
            Body::Connect(c) => Some(c),
            _ => None,
        }
    }

    /// The worst violation that binds as firmly as `level`, if there is one.
    pub fn worst(&self, level: Level) -> Option<&Violation> {
        self.violations.iter().filter(|v| v.level >= level).max_by_key(|v| v.level)
    }
}

/// One line for reports: `PUBLISH id=1 qos=1 dup=0 retain=0 "t" 5 B`.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.body {
            Body::Connect(c) => {
                write!(
                    f,
                    " client={:?} clean={} keepalive={}",
                    c.client_id,
                    u8::from(c.clean_session()),
                    c.keep_alive
                )?;
                if let Some(user) = &c.username {
                    write!(f, " user={user:?}")?;
                }
                if c.password.is_some() {
                    f.write_str(" password=…")?;
                }
                if let Some(will) = &c.will {
                    write!(f, " will={:?} qos={} retain={}", will.topic, will.qos, u8::from(will.retain))?;
                }
                Ok(())
            }
            Body::ConnAck(a) => write!(f, " code={} session-present={}", a.code, a.flags & 1),
            Body::Publish(p) => {
                if let Some(id) = p.id {
                    write!(f, " id={id}")?;
                }
                let (dup, retain) = (u8::from(p.dup), u8::from(p.retain));
                write!(f, " qos={} dup={dup} retain={retain} {:?} {} B", p.qos, p.topic, p.payload.len())
            }
            Body::PubAck(a) | Body::PubRec(a) | Body::PubRel(a) | Body::PubComp(a) | Body::UnsubAck(a) => {
                write!(f, " id={}", a.id)
            }
            Body::Subscribe(s) => {
                write!(f, " id={}", s.id)?;
                s.filters.iter().try_for_each(|(filter, qos)| write!(f, " {filter:?} qos={qos}"))
            }
            Body::SubAck(s) => {
                write!(f, " id={}", s.id)?;
                s.codes.iter().try_for_each(|code| write!(f, " {code:#04x}"))
            }
            Body::Unsubscribe(u) => {
                write!(f, " id={}", u.id)?;
                u.filters.iter().try_for_each(|filter| write!(f, " {filter:?}"))
            }
            Body::PingReq | Body::PingResp | Body::Disconnect => Ok(()),
            Body::Reserved => write!(f, " {} B", self.raw.len()),
        }
    }
}
