//! The broker behind the tap: it routes messages between sessions, and nothing of it ever reaches the module directly.
//!
//! [`Upstream::embedded`] is rumqttd in this process, fenced in (see `embedded`); [`Upstream::external`] is a
//! broker of the user's. Either answers through [`Event`]s; a fault of it is a value, never a hang or a panic.

mod embedded;
mod external;
mod seen;

use atspec_model::partner::{Message, RoutedMessage, SessionId, Ticket};
use tokio::sync::mpsc;

use embedded::Embedded;
use external::External;

/// Events that may wait before a link stops reading; the broker behind keeps the rest.
const EVENTS: usize = 1024;

/// What comes from the broker behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A subscription is in effect; the codes are for its filters, in order, 0x80 for one that was refused.
    Subscribed {
        /// As given to [`Upstream::subscribe`].
        ticket: Ticket,
        /// Granted QoS, or 0x80.
        granted: Vec<u8>,
    },
    /// A message for a session.
    Message {
        /// Session.
        session: SessionId,
        /// The message.
        message: RoutedMessage,
    },
    /// The broker behind failed.
    Fault(String),
}

/// The broker behind failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker behind the tap: {0}")]
pub struct BrokerError(pub(crate) String);

/// The broker behind one tap.
#[derive(Debug)]
pub struct Upstream {
    kind: Kind,
    events: Option<mpsc::Receiver<Event>>,
}

#[derive(Debug)]
enum Kind {
    Embedded(Embedded),
    External(External),
}

impl Upstream {
    /// rumqttd in this process, with topics of its own for this tap.
    pub fn embedded() -> Result<Self, BrokerError> {
        let (to, events) = mpsc::channel(EVENTS);
        Ok(Self { kind: Kind::Embedded(Embedded::new(to)?), events: Some(events) })
    }

    /// A broker elsewhere, `mqtt://HOST:PORT` or `HOST:PORT`. It is first spoken to when it is first needed.
    pub fn external(address: &str) -> Result<Self, BrokerError> {
        let (to, events) = mpsc::channel(EVENTS);
        Ok(Self { kind: Kind::External(External::new(address, to)?), events: Some(events) })
    }

    /// The events; `None` the second time.
    pub(crate) fn take_events(&mut self) -> Option<mpsc::Receiver<Event>> {
        self.events.take()
    }

    /// Subscribes a session to filters with their QoS; [`Event::Subscribed`] follows, then the retained messages.
    /// Has to be called within a tokio runtime.
    pub fn subscribe(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        filters: &[(Vec<u8>, u8)],
    ) -> Result<(), BrokerError> {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.subscribe(session, ticket, filters),
            Kind::External(broker) => broker.subscribe(session, ticket, filters),
        }
    }

    /// Unsubscribes a session.
    pub fn unsubscribe(&mut self, session: SessionId, filters: &[Vec<u8>]) -> Result<(), BrokerError> {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.unsubscribe(session, filters),
            Kind::External(broker) => broker.unsubscribe(session, filters),
        }
    }

    /// Publishes a message. Has to be called within a tokio runtime.
    pub fn publish(&mut self, message: Message) -> Result<(), BrokerError> {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.publish(message),
            Kind::External(broker) => broker.publish(message),
        }
    }

    /// A session is gone for ever.
    pub fn end_session(&mut self, session: SessionId) {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.end_session(session),
            Kind::External(broker) => broker.end_session(session),
        }
    }

    /// Forgets every session and every retained message published through here: a new case begins.
    pub fn reset(&mut self) -> Result<(), BrokerError> {
        match &mut self.kind {
            Kind::Embedded(broker) => broker.reset(),
            Kind::External(broker) => broker.reset(),
        }
    }
}
