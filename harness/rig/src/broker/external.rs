//! A broker of the user's, spoken to over plain MQTT 3.1.1, with one connection for each session and one for everybody else.
//!
//! Its part is to match filters, to carry messages and to keep those that are retained. Everything it may do in its own way is
//! fenced in, so that no verdict depends on whose broker it is:
//!
//! - topics stand below a level of this tap's own and are plain ASCII, and QoS of publication and a number travel with the
//!   payload (`wrapping`): neither other clients, `$`, nor what a broker refuses in a topic matter;
//! - overlapping filters may bring a message once or once for each filter: the number makes one of them;
//! - retained messages may come before SUBACK: they wait for it.
//!
//! A connection that fails is a fault once, and is not made again before the next case.

mod wrapping;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use atspec_model::{
    mqtt::{
        Ack, Body, Connect, Frame, Framer, Level, Publish, SubAck, Subscribe, Text, Unsubscribe, decode,
        encode,
    },
    partner::{Message, RoutedMessage, SessionId, Ticket},
    text,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use super::{BrokerError, Event, seen::Seen};

/// How long the broker may take to accept a connection and to answer CONNECT.
const PATIENCE: Duration = Duration::from_secs(5);
/// Orders that may wait for the broker to read.
const ORDERS: usize = 4096;
/// Packets that may wait for an acknowledgement: mosquitto 2.0 loses messages of QoS 2 beyond its limit of 20.
const UNACKNOWLEDGED: usize = 16;
/// Bytes that are gathered for one write.
const GATHERED: usize = 1 << 20;
/// Retained messages that are remembered, to be cleared.
const MAX_RETAINED: usize = 10_000;
/// Messages that may wait for a SUBACK.
const MAX_EARLY: usize = 1024;
/// Longest packet that is taken.
const MAX_PACKET: usize = 16 << 20;

static NAMES: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(super) struct External {
    at: Address,
    events: mpsc::Sender<Event>,
    /// The level in front of every topic.
    prefix: Arc<str>,
    /// Number of the last message published.
    number: u64,
    /// Everything is published at `None`, so that it stays in order.
    links: HashMap<Option<SessionId>, mpsc::Sender<Order>>,
    retained: BTreeSet<Vec<u8>>,
}

/// Where the broker is, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    /// `HOST:PORT`.
    host: String,
    login: Option<(String, Option<String>)>,
}

/// What is asked of a connection, with topics and filters as the broker gets them.
#[derive(Debug)]
enum Order {
    Subscribe(Ticket, Vec<(Vec<u8>, u8)>),
    Unsubscribe(Vec<Vec<u8>>),
    Publish(Message),
}

impl External {
    pub(super) fn new(address: &str, events: mpsc::Sender<Event>) -> Result<Self, BrokerError> {
        let at = Address::parse(address)?;
        let prefix = unique_name().into();
        Ok(Self { at, events, prefix, number: 0, links: HashMap::new(), retained: BTreeSet::new() })
    }

    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        filters: &[(Vec<u8>, u8)],
    ) -> Result<(), BrokerError> {
        let wrapped = filters.iter().map(|(filter, qos)| Ok((self.wrap(filter)?, *qos)));
        let wrapped = wrapped.collect::<Result<_, BrokerError>>()?;
        self.order(Some(session), Order::Subscribe(ticket, wrapped))
    }

    pub(super) fn unsubscribe(&mut self, session: SessionId, filters: &[Vec<u8>]) -> Result<(), BrokerError> {
        let wrapped = filters.iter().map(|filter| self.wrap(filter)).collect::<Result<_, _>>()?;
        self.order(Some(session), Order::Unsubscribe(wrapped))
    }

    pub(super) fn publish(&mut self, message: Message) -> Result<(), BrokerError> {
        let Message { payload, qos, retain, .. } = message;
        let topic = self.wrap(&message.topic)?;
        self.number += 1;
        let clears = retain && payload.is_empty();
        let payload = wrapping::seal(&payload, qos, self.number);
        let sealed = Message { topic: topic.clone(), payload, qos, retain: retain && !clears };
        self.order(None, Order::Publish(sealed))?;
        if clears {
            // Sealed, it is not empty any more; the empty one reaches subscribers too, who know it by its lack of a seal.
            self.retained.remove(&topic);
            return self.clear(topic);
        }
        if retain && self.retained.len() < MAX_RETAINED {
            self.retained.insert(topic);
        }
        Ok(())
    }

    pub(super) fn end_session(&mut self, session: SessionId) {
        self.links.remove(&Some(session));
    }

    pub(super) fn reset(&mut self) -> Result<(), BrokerError> {
        self.links.retain(|session, link| session.is_none() && !link.is_closed());
        std::mem::take(&mut self.retained).into_iter().try_for_each(|topic| self.clear(topic))
    }

    /// Takes a retained message out of the broker.
    fn clear(&mut self, topic: Vec<u8>) -> Result<(), BrokerError> {
        self.order(None, Order::Publish(Message { topic, retain: true, ..Message::default() }))
    }

    fn wrap(&self, topic: &[u8]) -> Result<Vec<u8>, BrokerError> {
        let too_long = || BrokerError(format!("a topic of {} bytes is too long for it", topic.len()));
        wrapping::wrap(&self.prefix, topic).ok_or_else(too_long)
    }

    fn order(&mut self, session: Option<SessionId>, order: Order) -> Result<(), BrokerError> {
        let link = self.links.entry(session).or_insert_with(|| {
            let (to, orders) = mpsc::channel(ORDERS);
            tokio::spawn(serve(self.at.clone(), session, self.prefix.clone(), orders, self.events.clone()));
            to
        });
        match link.try_send(order) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(BrokerError("it reads too slowly".to_owned())),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(BrokerError("its connection is lost".to_owned()))
            }
        }
    }
}

impl Address {
    /// `[mqtt://][USER[:PASSWORD]@]HOST[:PORT]`.
    fn parse(address: &str) -> Result<Self, BrokerError> {
        let wrong = || BrokerError(format!("\"{address}\" is not mqtt://HOST:PORT"));
        let rest = address.strip_prefix("mqtt://").unwrap_or(address).trim_end_matches('/');
        let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
        let login = login.map(|login| match login.split_once(':') {
            Some((user, password)) => (user.to_owned(), Some(password.to_owned())),
            None => (login.to_owned(), None),
        });
        let (name, port) = match host.rsplit_once(':') {
            // The last colon of `[::1]` separates no port.
            Some((name, port)) if !host.ends_with(']') => (name, port.parse::<u16>().map_err(|_| wrong())?),
            _ => (host, 1883),
        };
        if name.is_empty() || name.contains(['/', ' ']) {
            return Err(wrong());
        }
        Ok(Self { host: format!("{name}:{port}"), login })
    }
}

/// One connection, until its session ends or it fails.
async fn serve(
    at: Address,
    session: Option<SessionId>,
    prefix: Arc<str>,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
) {
    let mut link = Link {
        session,
        prefix,
        events,
        framer: Framer::new(MAX_PACKET),
        out: Vec::new(),
        last_id: 0,
        asked: HashMap::new(),
        used: BTreeSet::new(),
        received: BTreeSet::new(),
        seen: Seen::default(),
        retained: Seen::default(),
        early: Vec::new(),
    };
    let mut orders = orders;
    if let Err(why) = link.run(&at, &mut orders).await {
        orders.close();
        link.fail(&format!("{}: {why}", at.host), &mut orders).await;
    }
}

struct Link {
    session: Option<SessionId>,
    prefix: Arc<str>,
    events: mpsc::Sender<Event>,
    framer: Framer,
    out: Vec<u8>,
    last_id: u16,
    /// SUBSCRIBEs without SUBACK.
    asked: HashMap<u16, (Ticket, usize)>,
    /// Identifiers of ours in use.
    used: BTreeSet<u16>,
    /// Identifiers of QoS 2 messages received and not released.
    received: BTreeSet<u16>,
    /// Live messages that have come.
    seen: Seen,
    /// Retained messages that have come since the last SUBSCRIBE.
    retained: Seen,
    /// Messages that came while a SUBACK is missing.
    early: Vec<RoutedMessage>,
}

impl Link {
    async fn run(&mut self, at: &Address, orders: &mut mpsc::Receiver<Order>) -> Result<(), String> {
        let connecting = timeout(PATIENCE, TcpStream::connect(&at.host)).await;
        let mut stream = connecting.map_err(|_| "no connection in time")?.map_err(|e| e.to_string())?;
        let _ = stream.set_nodelay(true);
        self.put(&connect(at));
        let mut greeted = false;
        let mut buffer = vec![0; 16 * 1024];
        let (mut ended, mut farewell) = (false, false);
        let (mut read, mut write) = stream.split();
        loop {
            tokio::select! {
                () = tokio::time::sleep(PATIENCE), if !greeted => return Err("no CONNACK in time".to_owned()),
                order = orders.recv(), if greeted && !ended && self.has_room() => match order {
                    Some(order) => self.obey(order)?,
                    None => ended = true,
                },
                // A QoS 2 message counts only when its exchange is over.
                () = std::future::ready(()), if ended && !farewell && self.used.is_empty() => {
                    self.put(&Body::Disconnect);
                    farewell = true;
                }
                () = tokio::time::sleep(PATIENCE), if ended && !farewell => {
                    return Err("it does not acknowledge".to_owned());
                }
                count = write.write(&self.out), if !self.out.is_empty() => {
                    let count = count.map_err(|e| e.to_string())?;
                    self.out.drain(..count);
                    if farewell && self.out.is_empty() {
                        let _ = write.shutdown().await;
                        return Ok(());
                    }
                }
                count = read.read(&mut buffer) => match count.map_err(|e| e.to_string())? {
                    0 => return Err("it closed the connection".to_owned()),
                    count => {
                        self.framer.push(&buffer[..count]);
                        while let Some(frame) = self.framer.next_frame() {
                            self.take(frame, &mut greeted).await?;
                        }
                    }
                },
            }
        }
    }

    fn has_room(&self) -> bool {
        self.out.len() < GATHERED && self.used.len() < UNACKNOWLEDGED
    }

    fn obey(&mut self, order: Order) -> Result<(), String> {
        match order {
            Order::Subscribe(ticket, filters) => {
                let id = self.free_id()?;
                self.retained = Seen::default();
                self.asked.insert(id, (ticket, filters.len()));
                let filters = filters.into_iter().map(|(filter, qos)| (Text(filter), qos)).collect();
                self.put(&Body::Subscribe(Subscribe { id, filters }));
            }
            Order::Unsubscribe(filters) => {
                let id = self.free_id()?;
                let filters = filters.into_iter().map(Text).collect();
                self.put(&Body::Unsubscribe(Unsubscribe { id, filters }));
            }
            Order::Publish(Message { topic, payload, qos, retain }) => {
                let id = if qos > 0 { Some(self.free_id()?) } else { None };
                self.put(&Body::Publish(Publish {
                    dup: false,
                    qos,
                    retain,
                    topic: Text(topic),
                    id,
                    payload,
                }));
            }
        }
        Ok(())
    }

    async fn take(&mut self, frame: Frame, greeted: &mut bool) -> Result<(), String> {
        let packet = match frame {
            Frame::Packet(raw) => decode(&raw),
            Frame::Broken { why, .. } => return Err(why),
        };
        if let Some(violation) = packet.worst(Level::Must) {
            return Err(format!("it sent a bad {}: {}", packet.kind, violation.what));
        }
        match packet.body {
            Body::ConnAck(ack) if !*greeted && ack.code == 0 => *greeted = true,
            Body::ConnAck(ack) => return Err(format!("CONNACK code {}", ack.code)),
            Body::SubAck(SubAck { id, codes }) => {
                self.used.remove(&id);
                if let Some((ticket, _)) = self.asked.remove(&id) {
                    self.tell(Event::Subscribed { ticket, granted: codes }).await;
                    if self.asked.is_empty() {
                        for message in std::mem::take(&mut self.early) {
                            self.hand_over(message).await;
                        }
                    }
                }
            }
            Body::Publish(publish) => self.deliver(publish).await,
            Body::PubRel(ack) => {
                self.received.remove(&ack.id);
                self.put(&Body::PubComp(ack));
            }
            Body::PubRec(ack) => self.put(&Body::PubRel(ack)),
            Body::PubAck(ack) | Body::PubComp(ack) | Body::UnsubAck(ack) => {
                self.used.remove(&ack.id);
            }
            _ => {}
        }
        Ok(())
    }

    async fn deliver(&mut self, publish: Publish) {
        let Publish { qos, retain, topic, id, payload, .. } = publish;
        let ack = Ack { id: id.unwrap_or(0) };
        let is_new = qos < 2 || self.received.insert(ack.id);
        let message = wrapping::restore(&self.prefix, topic.as_bytes())
            .and_then(|topic| wrapping::unseal(topic, &payload, retain));
        if let (true, Some((number, message))) = (is_new, message) {
            let seen = if retain { &mut self.retained } else { &mut self.seen };
            match (seen.is_new(number), self.asked.is_empty()) {
                (true, false) if self.early.len() < MAX_EARLY => self.early.push(message),
                (true, _) => self.hand_over(message).await,
                (false, _) => {}
            }
        }
        match qos {
            0 => {}
            1 => self.put(&Body::PubAck(ack)),
            _ => self.put(&Body::PubRec(ack)),
        }
    }

    async fn hand_over(&self, message: RoutedMessage) {
        if let Some(session) = self.session {
            self.tell(Event::Message { session, message }).await;
        }
    }

    /// Tells the fault, and answers whatever waits for an answer.
    async fn fail(&mut self, why: &str, orders: &mut mpsc::Receiver<Order>) {
        self.tell(Event::Fault(format!("the broker behind the tap, {}", text::visible(why.as_bytes()))))
            .await;
        let mut open: Vec<(Ticket, usize)> = self.asked.drain().map(|(_, asked)| asked).collect();
        while let Ok(order) = orders.try_recv() {
            if let Order::Subscribe(ticket, filters) = order {
                open.push((ticket, filters.len()));
            }
        }
        for (ticket, count) in open {
            self.tell(Event::Subscribed { ticket, granted: vec![0x80; count] }).await;
        }
    }

    async fn tell(&self, event: Event) {
        // Nobody listens once the tap is gone; then the orders end too.
        let _ = self.events.send(event).await;
    }

    fn put(&mut self, body: &Body) {
        self.out.extend(encode(body));
    }

    fn free_id(&mut self) -> Result<u16, String> {
        for _ in 0..u16::MAX {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.used.insert(self.last_id) {
                return Ok(self.last_id);
            }
        }
        Err("it acknowledges nothing".to_owned())
    }
}

/// CONNECT with a clean session, no keep alive, and a client identifier that nobody else has.
fn connect(at: &Address) -> Body {
    let (username, password) = at.login.clone().map_or((None, None), |(u, p)| (Some(u), p));
    let flags = 0x02 | u8::from(username.is_some()) << 7 | u8::from(password.is_some()) << 6;
    Body::Connect(Connect {
        protocol: "MQTT".into(),
        level: 4,
        flags,
        keep_alive: 0,
        client_id: Text(unique_name().into_bytes()),
        will: None,
        username: username.map(|u| u.as_str().into()),
        password: password.map(String::into_bytes),
    })
}

/// A name that nobody else has, of at most 23 letters and digits.
fn unique_name() -> String {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    format!("at{:x}x{:x}x{number:x}", std::process::id(), clock >> 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let host = |text: &str| Address::parse(text).map(|a| a.host);
        assert_eq!(host("mqtt://h:1"), Ok("h:1".to_owned()));
        assert_eq!(host("h"), Ok("h:1883".to_owned()));
        assert_eq!(host("mqtt://[::1]"), Ok("[::1]:1883".to_owned()));
        assert_eq!(host("mqtt://[::1]:7/"), Ok("[::1]:7".to_owned()));
        assert_eq!(
            Address::parse("mqtt://u:p:q@h").map(|a| a.login),
            Ok(Some(("u".to_owned(), Some("p:q".to_owned()))))
        );
        for wrong in ["", "mqtt://", "h:port", "http://h/x", "h:99999"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
