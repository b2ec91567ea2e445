//! One client's session (4.1): subscriptions, messages not yet acknowledged, messages that wait, received QoS 2 ids.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{ConnId, RoutedMessage, Settings};
use crate::mqtt::{Ack, Body, Publish, Text, topic};

/// State that outlives connections unless Clean Session says otherwise.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Vec<u8>,
    pub(super) clean: bool,
    /// The connection that has it open.
    pub(super) conn: Option<ConnId>,
    /// Subscriptions with the granted QoS.
    pub(super) filters: BTreeMap<Vec<u8>, u8>,
    /// Packet identifiers of QoS 2 messages received and not yet released (4.3.3, method B).
    pub(super) received: HashSet<u16>,
    /// Messages that were given to the broker behind for this session and have not come back.
    pub(super) owed: usize,
    /// Messages on their way to the client, in the order in which they have to be sent again (4.4, 4.6).
    flights: BTreeMap<u64, Flight>,
    by_id: HashMap<u16, u64>,
    next_order: u64,
    last_id: u16,
    queue: VecDeque<Publish>,
    bytes: usize,
}

#[derive(Debug)]
struct Flight {
    id: u16,
    state: State,
}

#[derive(Debug)]
enum State {
    /// PUBLISH was sent; PUBACK or PUBREC is awaited.
    Published(Publish),
    /// PUBREL was sent; PUBCOMP is awaited.
    Released,
}

/// What became of a message for the session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// To be sent now.
    Send(Publish),
    /// Kept for later.
    Kept,
    /// No subscription of the session concerns it, or it is QoS 0 and the client is away (4.1).
    Unwanted,
    /// The session is full.
    Full,
}

impl Session {
    pub(super) fn new(client: Vec<u8>, clean: bool) -> Self {
        Self {
            client,
            clean,
            conn: None,
            filters: BTreeMap::new(),
            received: HashSet::new(),
            owed: 0,
            flights: BTreeMap::new(),
            by_id: HashMap::new(),
            next_order: 0,
            last_id: 0,
            queue: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether a message on the topic is for this session.
    pub(super) fn wants(&self, topic: &[u8]) -> bool {
        self.filters.keys().any(|filter| topic::matches(filter, topic))
    }

    /// Takes a message for the client: one copy, with the lower of its own QoS and the highest QoS granted among the
    /// subscriptions that match (MQTT-3.3.5-1, MQTT-3.8.4-6).
    pub(super) fn accept(&mut self, message: RoutedMessage, limits: &Settings) -> Accepted {
        let matching = self.filters.iter().filter(|(filter, _)| topic::matches(filter, &message.topic));
        let Some(granted) = matching.map(|(_, &qos)| qos).max() else { return Accepted::Unwanted };
        let qos = granted.min(message.qos);
        let RoutedMessage { topic, payload, retained: retain, .. } = message;
        let publish = Publish { dup: false, qos, retain, topic: Text(topic), id: None, payload };
        if qos == 0 {
            return if self.conn.is_some() { Accepted::Send(publish) } else { Accepted::Unwanted };
        }
        if self.bytes + size(&publish) > limits.max_bytes {
            return Accepted::Full;
        }
        if self.conn.is_some() && self.queue.is_empty() && self.has_room(limits) {
            self.bytes += size(&publish);
            return Accepted::Send(self.launch(publish));
        }
        if self.queue.len() >= limits.max_queue {
            return Accepted::Full;
        }
        self.bytes += size(&publish);
        self.queue.push_back(publish);
        Accepted::Kept
    }

    /// The next message that waited and may be sent now.
    pub(super) fn next_waiting(&mut self, limits: &Settings) -> Option<Publish> {
        if !self.has_room(limits) {
            return None;
        }
        let publish = self.queue.pop_front()?;
        Some(self.launch(publish))
    }

    /// Everything unacknowledged, to be sent again with its identifier and in its order (MQTT-4.4.0-1).
    pub(super) fn again(&self) -> Vec<Body> {
        let again = |flight: &Flight| match &flight.state {
            State::Published(publish) => Body::Publish(Publish { dup: true, ..publish.clone() }),
            State::Released => Body::PubRel(Ack { id: flight.id }),
        };
        self.flights.values().map(again).collect()
    }

    /// PUBACK came.
    pub(super) fn acknowledged(&mut self, id: u16) {
        if matches!(self.flight(id), Some(Flight { state: State::Published(p), .. }) if p.qos == 1) {
            self.land(id);
        }
    }

    /// PUBREC came: whether PUBREL is the answer. It is for an unknown identifier too, so that the exchange can end.
    pub(super) fn recorded(&mut self, id: u16) -> bool {
        match self.flight(id) {
            Some(Flight { state: State::Published(p), .. }) if p.qos != 2 => false,
            Some(Flight { state: State::Published(_), .. }) => {
                // PUBRELs go out again in the order in which the PUBRECs came (MQTT-4.6.0-4).
                self.land(id);
                self.start(Flight { id, state: State::Released });
                true
            }
            Some(_) | None => true,
        }
    }

    /// PUBCOMP came.
    pub(super) fn completed(&mut self, id: u16) {
        if matches!(self.flight(id), Some(Flight { state: State::Released, .. })) {
            self.land(id);
        }
    }

    fn has_room(&self, limits: &Settings) -> bool {
        self.flights.len() < limits.max_inflight.min(usize::from(u16::MAX))
    }

    /// Gives the message an identifier and remembers it until it is acknowledged.
    fn launch(&mut self, mut publish: Publish) -> Publish {
        let id = self.free_id();
        publish.id = Some(id);
        self.start(Flight { id, state: State::Published(publish.clone()) });
        publish
    }

    /// The next identifier that is not in use (MQTT-2.3.1-4); there is one, see `has_room`.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn start(&mut self, flight: Flight) {
        self.by_id.insert(flight.id, self.next_order);
        self.flights.insert(self.next_order, flight);
        self.next_order += 1;
    }

    fn flight(&self, id: u16) -> Option<&Flight> {
        self.flights.get(self.by_id.get(&id)?)
    }

    fn land(&mut self, id: u16) {
        let flight = self.by_id.remove(&id).and_then(|order| self.flights.remove(&order));
        if let Some(Flight { state: State::Published(publish), .. }) = flight {
            self.bytes = self.bytes.saturating_sub(size(&publish));
        }
    }
}

/// What a message costs in memory, roughly.
fn size(publish: &Publish) -> usize {
    publish.topic.0.len() + publish.payload.len() + 64
}
