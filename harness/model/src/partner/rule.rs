//! What a case may ask of the broker: commands, and rules that alter packets on their way.
//!
//! A broker without rules speaks MQTT 3.1.1 to the letter; every misbehaviour is one of these values.

use std::fmt;

use crate::{mqtt::PacketType, text, timeline::Close};

/// Something a case asks of the broker. Rules and injections concern the module's connection only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// From now on this rule holds; the first matching rule is applied.
    Rule(Rule),
    /// No rules any more; what is held stays held.
    ClearRules,
    /// Everything of this type that is held goes out now, in order, and its rules end.
    Release(PacketType),
    /// The same in the opposite order: what was held last goes first.
    ReleaseReversed(PacketType),
    /// Raw bytes to the module, as they are, in one segment.
    Inject(Vec<u8>),
    /// Another client publishes a message through the broker.
    Publish(Message),
    /// The broker ends the module's connection.
    Close(Close),
    /// The broker ends its own direction only and goes on reading.
    HalfClose,
    /// The broker reads and answers nothing any more, and keeps the connection open.
    Mute,
    /// The broker stops reading, so that the module's window fills.
    StopReading,
    /// The broker answers and reads again after [`Command::Mute`] or [`Command::StopReading`].
    Resume,
}

/// An application message of another client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Topic name.
    pub topic: Vec<u8>,
    /// Any bytes.
    pub payload: Vec<u8>,
    /// QoS it is published with, 0 to 2.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// Alters packets of one type in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Packets it concerns.
    pub on: PacketType,
    /// Direction it concerns.
    pub way: Way,
    /// So many matching packets pass unaltered first.
    pub skip: u32,
    /// So many are altered; `None` is all.
    pub times: Option<u32>,
    /// What is done.
    pub action: Action,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the broker to the module.
    ToModule,
    /// From the module to the broker.
    FromModule,
}

/// What a rule does to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Kept back until [`Command::Release`]; packets of other types pass.
    Hold,
    /// To the module: never sent. From the module: treated as if it had not come.
    Withhold,
    /// Kept back for so many ms.
    Delay(u64),
    /// These bytes go out instead.
    Replace(Vec<u8>),
    /// These bytes go out instead, with the identifier of the packet written into them.
    Answer {
        /// The bytes.
        bytes: Vec<u8>,
        /// Where the two bytes of the identifier are written; places outside are left alone.
        ids: Vec<usize>,
    },
    /// These bytes go out in the same segment behind it.
    Append(Vec<u8>),
    /// These bytes go out in the same segment in front of it.
    Prepend(Vec<u8>),
    /// The packet goes out twice, in the same segment.
    Twice,
    /// CONNACK with this return code (and session present 0), or SUBACK with this code for every filter.
    Code(u8),
    /// The packet with this packet identifier.
    Id(u16),
    /// The packet in segments of one byte.
    OneByteSegments,
    /// The packet passes, then the connection is closed.
    ThenClose(Close),
}

impl Rule {
    /// Every packet of the type, to the module.
    pub fn to_module(on: PacketType, action: Action) -> Self {
        Self { on, way: Way::ToModule, skip: 0, times: None, action }
    }

    /// Every packet of the type, from the module.
    pub fn from_module(on: PacketType, action: Action) -> Self {
        Self { on, way: Way::FromModule, skip: 0, times: None, action }
    }

    /// Only the next matching packet.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.times = Some(1);
        self
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::ClearRules => f.write_str("no rules any more"),
            Self::Release(kind) => write!(f, "release every {kind} that is held"),
            Self::ReleaseReversed(kind) => write!(f, "release every {kind} that is held, the last one first"),
            Self::Inject(bytes) => {
                write!(f, "send {} raw bytes: {}", bytes.len(), text::shortened(bytes, 60))
            }
            Self::Publish(m) => write!(
                f,
                "another client publishes qos={} retain={} \"{}\" {} B",
                m.qos,
                u8::from(m.retain),
                text::visible(&m.topic),
                m.payload.len()
            ),
            Self::Close(Close::Fin) => f.write_str("close the connection"),
            Self::Close(Close::Rst) => f.write_str("reset the connection"),
            Self::HalfClose => f.write_str("close the sending direction only"),
            Self::Mute => f.write_str("answer nothing any more"),
            Self::StopReading => f.write_str("stop reading"),
            Self::Resume => f.write_str("read and answer again"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.on;
        match &self.action {
            Action::Hold => write!(f, "hold {on}"),
            Action::Withhold if self.way == Way::FromModule => write!(f, "ignore {on}"),
            Action::Withhold => write!(f, "withhold {on}"),
            Action::Delay(ms) => write!(f, "delay {on} by {ms} ms"),
            Action::Replace(bytes) | Action::Answer { bytes, .. } => {
                write!(f, "instead of {on} send {}", text::shortened(bytes, 60))
            }
            Action::Append(bytes) => write!(f, "behind {on} send {}", text::shortened(bytes, 60)),
            Action::Prepend(bytes) => write!(f, "in front of {on} send {}", text::shortened(bytes, 60)),
            Action::Twice => write!(f, "send {on} twice"),
            Action::Code(code) => write!(f, "answer {on} with code {code:#04x}"),
            Action::Id(id) => write!(f, "answer {on} with packet id {id}"),
            Action::OneByteSegments => write!(f, "{on} in segments of one byte"),
            Action::ThenClose(_) => write!(f, "close after {on}"),
        }
    }
}
