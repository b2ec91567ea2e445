//! The broker side of the module's connection: a pure state machine, bytes and time in, bytes and effects out.
//!
//! ```text
//!  bytes ─▶ Partner::received ─▶ rules ─▶ protocol (front) ─▶ Session ─▶ rules ─▶ gate ─▶ Output::Send
//!                                             │      ▲
//!                            Output::Subscribe, …    Partner::deliver, Partner::subscribed
//!                                             ▼      │
//!                                     whatever routes messages (rig::broker)
//! ```
//!
//! The partner owns, for each connection, CONNECT and CONNACK, keep alive, will, packet identifiers,
//! acknowledgements, DUP and the session; it leaves routing, matching between clients and the retained store to the
//! broker behind it. Every misbehaviour is a [`Rule`] or a [`Command`]; without them it speaks MQTT 3.1.1 to the letter.
//! Time is a number of µs that the caller counts from any moment of its choice.

mod conn;
mod front;
mod rule;
mod rules;
mod send;
mod session;
#[cfg(test)]
mod tests;

use std::fmt;

pub use front::Partner;
pub use rule::{Action, Command, Message, Rule, Way};

use crate::{
    mqtt::{Connect, PacketType, Text},
    text,
    timeline::{Alteration, Close},
};

/// Number of a connection, given by the caller and never used twice.
pub type ConnId = u32;

/// Number of a session; a session that replaces a wiped one has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// A SUBSCRIBE that waits for [`Partner::subscribed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Limits and times of a [`Partner`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Multiplies every time below that ends in `_ms`, and keep alive.
    pub clock_factor: f64,
    /// The bench's own margin in µs, added to keep alive; never multiplied.
    pub margin_us: u64,
    /// Longest packet that is read; a longer one closes the connection.
    pub max_packet: usize,
    /// A connection without CONNECT is closed after this (3.1, "reasonable amount of time").
    pub connect_ms: u64,
    /// After DISCONNECT the module has this long to close the connection itself (MQTT-3.14.4-1).
    pub disconnect_ms: u64,
    /// The broker behind has this long to answer a SUBSCRIBE; never multiplied.
    pub answer_us: u64,
    /// Unacknowledged messages to the module; the rest waits.
    pub max_inflight: usize,
    /// Messages of QoS 1 and 2 that a session keeps beyond those, also while it is offline.
    pub max_queue: usize,
    /// Bytes of all messages that a session keeps, and bytes that may wait for one connection.
    pub max_bytes: usize,
    /// Subscriptions of one session; SUBACK is 0x80 beyond.
    pub max_filters: usize,
    /// Sessions; CONNACK is 3 beyond.
    pub max_sessions: usize,
    /// Whether clients of MQTT 3.1 are served as well.
    pub older: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock_factor: 1.0,
            margin_us: 200_000,
            max_packet: 300 * 1024,
            connect_ms: 300_000,
            disconnect_ms: 30_000,
            answer_us: 10_000_000,
            max_inflight: 65_535,
            max_queue: 1000,
            max_bytes: 32 * 1024 * 1024,
            max_filters: 1000,
            max_sessions: 256,
            older: false,
        }
    }
}

impl Settings {
    /// A documented time on this bench, in µs.
    fn scaled_us(&self, ms: u64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times of hours in µs fit an f64 exactly; a negative factor becomes 0"
        )]
        let us = (ms as f64 * 1000.0 * self.clock_factor) as u64;
        us
    }

    /// How long a client with this keep alive may be silent: 1.5 times as long (MQTT-3.1.2-24); `None` for 0.
    fn silence_us(&self, keep_alive: u16) -> Option<u64> {
        (keep_alive > 0).then(|| self.scaled_us(u64::from(keep_alive) * 1500) + self.margin_us)
    }
}

/// Whose CONNECT is accepted as the module's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Admission {
    /// Everybody's: tests with real clients.
    #[default]
    Everyone,
    /// Only that of the case in hand; anybody else is a stranger, gets CONNACK 5 and is closed.
    Only(Credentials),
}

/// What a case gives the module to connect with; any one of the three proves that a CONNECT is the module's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Client identifier.
    pub client: Vec<u8>,
    /// User name.
    pub username: Vec<u8>,
    /// Password.
    pub password: Vec<u8>,
    /// Whether an empty client identifier without a user name is the module's too.
    pub empty_client: bool,
}

impl Admission {
    /// `Err` says, for a person, whose connection it is instead.
    fn check(&self, connect: &Connect) -> Result<(), String> {
        let Self::Only(own) = self else { return Ok(()) };
        let client = connect.client_id.as_bytes();
        let username = connect.username.as_ref().map(Text::as_bytes);
        let is = |value: Option<&[u8]>, wanted: &[u8]| !wanted.is_empty() && value == Some(wanted);
        if is(Some(client), &own.client)
            || is(username, &own.username)
            || is(connect.password.as_deref(), &own.password)
            || own.empty_client && client.is_empty() && username.is_none()
        {
            return Ok(());
        }
        let user =
            username.map(|u| format!(", user name \"{}\"", text::shortened(u, 60))).unwrap_or_default();
        Err(format!("client id \"{}\"{user} is not of this case", text::shortened(client, 60)))
    }
}

/// A message from the broker behind, for one session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutedMessage {
    /// Topic name.
    pub topic: Vec<u8>,
    /// Any bytes.
    pub payload: Vec<u8>,
    /// QoS it was published with.
    pub qos: u8,
    /// Whether it comes from the retained store because of a new subscription (MQTT-3.3.1-8, -9).
    pub retained: bool,
}

/// Something the caller has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes to the other end, in one write.
    Send {
        /// Connection.
        conn: ConnId,
        /// The bytes, never empty.
        bytes: Vec<u8>,
    },
    /// A moment of silence before the next bytes, so that they come in a segment of their own.
    Pause {
        /// Connection.
        conn: ConnId,
    },
    /// End the connection; the partner has forgotten it.
    Close {
        /// Connection.
        conn: ConnId,
        /// How.
        how: Close,
        /// Why, for a person.
        why: String,
    },
    /// End the sending direction only.
    HalfClose {
        /// Connection.
        conn: ConnId,
    },
    /// Stop reading, or read again.
    Reading {
        /// Connection.
        conn: ConnId,
        /// Whether to read.
        on: bool,
    },
    /// A rule altered a packet.
    Altered {
        /// Connection.
        conn: ConnId,
        /// Type of the packet.
        packet: PacketType,
        /// What was done.
        action: Alteration,
    },
    /// The connection turned out to be the module's.
    Module {
        /// Connection.
        conn: ConnId,
    },
    /// The connection turned out not to be the module's.
    Stranger {
        /// Connection.
        conn: ConnId,
        /// Why not.
        why: String,
    },
    /// Subscribe, then call [`Partner::subscribed`]; retained messages are sent again for filters it already has.
    Subscribe {
        /// Session.
        session: SessionId,
        /// To be given back.
        ticket: Ticket,
        /// Filters with the requested QoS.
        filters: Vec<(Vec<u8>, u8)>,
    },
    /// Unsubscribe.
    Unsubscribe {
        /// Session.
        session: SessionId,
        /// Filters it had.
        filters: Vec<Vec<u8>>,
    },
    /// Publish a message: of a session, a will, or of another client (`None`).
    Publish {
        /// The session it comes from.
        session: Option<SessionId>,
        /// The message.
        message: Message,
    },
    /// The session is gone for ever.
    SessionEnded {
        /// Session.
        session: SessionId,
    },
    /// The bench could not do its part.
    Fault(String),
}

/// There is no connection of the module that a command could concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoConnection;

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the module has no connection to the broker")
    }
}

impl std::error::Error for NoConnection {}
