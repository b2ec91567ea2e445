//! rumqttd in this process, fenced in.
//!
//! It matches filters and carries messages from session to session over in-process links; there is no listener, so no
//! client can reach it. Measured faults that the fence keeps from a module:
//!
//! - every topic and filter has a level of its own in front, so that taps do not hear each other, and every level is
//!   a number instead of its text: a topic that begins outside ASCII kills the router, a filter that begins with `$` ends
//!   the link, and each new filter costs it memory and time for ever, so that cases of one shape use the same ones
//!   (measured over 5000 cases: 19 kB and growing time a case before, 1.4 kB and constant time now);
//! - links have names of ours: a client id with `+ $ # /` is refused;
//! - messages travel in an envelope: rumqttd forgets the QoS of publication, and takes an empty payload for an order to
//!   clear a retained message;
//! - overlapping filters deliver a message once per filter, in an order by chance: a number in the envelope makes
//!   one of them;
//! - retained messages are kept here: rumqttd sends them only to the first SUBSCRIBE of a filter, in an order by
//!   chance, and getting them again by UNSUBSCRIBE and SUBSCRIBE would lose what arrives in between;
//! - all links take QoS 0, so that its acknowledgement bookkeeping is never used.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use atspec_model::{
    mqtt::topic,
    partner::{Message, RoutedMessage, SessionId, Ticket},
};
use rumqttd::{
    Notification, Router, RouterConfig,
    local::{LinkBuilder, LinkError, LinkRx, LinkTx},
    protocol::{Disconnect, DisconnectReasonCode, Packet},
};
use tokio::sync::mpsc;

use super::{BrokerError, Event, seen::Seen};

/// How long the router may take to accept a link; it takes 0.1 ms.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages of one wake-up that are put in order together.
const BATCH: usize = 1024;
/// Retained messages that one tap keeps.
const MAX_RETAINED: usize = 10_000;
/// QoS, number, and length of the topic that follows.
const ENVELOPE: usize = 13;
/// Bytes of the different levels of topics and filters in one case.
const MAX_LEVEL_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of all retained messages of one tap.
const MAX_RETAINED_BYTES: usize = 64 * 1024 * 1024;

static LANES: Lanes = Lanes(Mutex::new((BTreeSet::new(), 0)));
static ROUTERS: LazyLock<Routers> = LazyLock::new(Routers::default);

/// Makes links to one router. The type of rumqttd's channel cannot be named, but captured.
struct Connector(Box<Connect>);

type Connect = dyn Fn(&str) -> Result<(LinkTx, LinkRx), String> + Send + Sync;

/// The one router of a process, replaced when it died. Clones are the same.
#[derive(Clone, Default)]
struct Routers(Arc<Mutex<Option<Arc<Connector>>>>);

impl std::fmt::Debug for Routers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Routers").field(&lock(&self.0).is_some()).finish()
    }
}

/// Numbers of taps that are free, and the first that was never taken. Numbers are used again since filters of a lane stay in
/// the router for ever.
#[derive(Debug)]
struct Lanes(Mutex<(BTreeSet<u32>, u32)>);

impl Lanes {
    fn take(&self) -> u32 {
        let (free, next) = &mut *lock(&self.0);
        free.pop_first().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        })
    }

    fn give_back(&self, lane: u32) {
        lock(&self.0).0.insert(lane);
    }
}

/// The broker behind one tap.
#[derive(Debug)]
pub(super) struct Embedded {
    routers: Routers,
    events: mpsc::Sender<Event>,
    lane: u32,
    /// The level in front of every topic.
    prefix: String,
    /// Everything is published here, so that it stays in order.
    publisher: Link,
    sessions: HashMap<SessionId, Subscriber>,
    slots: BTreeSet<u32>,
    /// The number that stands for each level of a topic or filter of this case.
    levels: HashMap<Vec<u8>, usize>,
    level_bytes: usize,
    retained: Arc<Mutex<Retained>>,
}

/// SUBSCRIBEs without an answer; `None` when nobody will answer any more.
type Tickets = Arc<Mutex<Option<VecDeque<Asked>>>>;

#[derive(Debug)]
struct Subscriber {
    link: Link,
    slot: u32,
    tickets: Tickets,
}

/// A SUBSCRIBE on its way.
#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    filters: Vec<(Vec<u8>, u8)>,
    /// Acknowledgements that have not come; one for each filter.
    missing: usize,
    /// Number of the last message that was published before.
    before: u64,
}

#[derive(Debug, Default)]
struct Retained {
    /// Number of the last message published.
    number: u64,
    messages: BTreeMap<Vec<u8>, (u64, RoutedMessage)>,
    /// What they cost in memory, roughly.
    bytes: usize,
}

impl Embedded {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Result<Self, BrokerError> {
        Self::at(ROUTERS.clone(), events)
    }

    fn at(routers: Routers, events: mpsc::Sender<Event>) -> Result<Self, BrokerError> {
        let lane = LANES.take();
        let publisher = match Link::open(&routers, &format!("atspec-{lane}")) {
            Ok((publisher, _)) => publisher,
            Err(why) => {
                LANES.give_back(lane);
                return Err(why);
            }
        };
        Ok(Self {
            routers,
            events,
            lane,
            prefix: format!("l{lane}"),
            publisher,
            sessions: HashMap::new(),
            slots: BTreeSet::new(),
            levels: HashMap::new(),
            level_bytes: 0,
            retained: Arc::default(),
        })
    }

    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        filters: &[(Vec<u8>, u8)],
    ) -> Result<(), BrokerError> {
        let before = lock(&self.retained).number;
        let paths = filters.iter().map(|(filter, _)| self.path(filter)).collect::<Result<Vec<_>, _>>()?;
        let subscriber = self.subscriber(session)?;
        let asked = Asked { ticket, filters: filters.to_vec(), missing: paths.len(), before };
        lock(&subscriber.tickets).as_mut().ok_or_else(gone)?.push_back(asked);
        paths.into_iter().try_for_each(|path| subscriber.link.with(|tx| tx.subscribe(path).map_err(Box::new)))
    }

    pub(super) fn unsubscribe(&mut self, session: SessionId, filters: &[Vec<u8>]) -> Result<(), BrokerError> {
        let paths = filters.iter().map(|filter| self.path(filter)).collect::<Result<Vec<_>, _>>()?;
        let Some(subscriber) = self.sessions.get(&session) else { return Ok(()) };
        paths
            .into_iter()
            .try_for_each(|path| subscriber.link.with(|tx| tx.unsubscribe(path).map_err(Box::new)))
    }

    pub(super) fn publish(&mut self, message: Message) -> Result<(), BrokerError> {
        let mut retained = lock(&self.retained);
        retained.number += 1;
        // Without a subscriber the router would only be woken to throw it away.
        let forwarded =
            (!self.sessions.is_empty()).then(|| (message.topic.clone(), seal(&message, retained.number)));
        if message.retain {
            retained.keep(message)?;
        }
        drop(retained);
        let Some((topic, envelope)) = forwarded else { return Ok(()) };
        let path = self.path(&topic)?;
        self.publisher.with(|tx| tx.publish(path.into_bytes(), envelope).map_err(Box::new))
    }

    pub(super) fn end_session(&mut self, session: SessionId) {
        if let Some(subscriber) = self.sessions.remove(&session) {
            subscriber.link.close();
            self.slots.remove(&subscriber.slot);
        }
    }

    pub(super) fn reset(&mut self) -> Result<(), BrokerError> {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.end_session(session);
        }
        lock(&self.retained).clear();
        self.levels.clear();
        self.level_bytes = 0;
        if !self.publisher.is_open() {
            self.publisher = Link::open(&self.routers, &format!("atspec-{}", self.lane))?.0;
        }
        Ok(())
    }

    /// A topic or filter as rumqttd gets it: only the wildcards are left, which a topic does not have.
    fn path(&mut self, topic: &[u8]) -> Result<String, BrokerError> {
        let mut path = self.prefix.clone();
        for level in topic.split(|&byte| byte == b'/') {
            path.push('/');
            match level {
                b"+" => path.push('+'),
                b"#" => path.push('#'),
                _ => {
                    let number = self.number(level)?;
                    // Writing to a string cannot fail.
                    let _ = write!(path, "{number}");
                }
            }
        }
        Ok(path)
    }

    fn number(&mut self, level: &[u8]) -> Result<usize, BrokerError> {
        if let Some(&number) = self.levels.get(level) {
            return Ok(number);
        }
        let next = self.levels.len();
        self.level_bytes += level.len() + 64;
        if self.level_bytes > MAX_LEVEL_BYTES {
            return Err(BrokerError("too many different topics in one case".to_owned()));
        }
        self.levels.insert(level.to_vec(), next);
        Ok(next)
    }

    /// The link of a session, made when it is first needed.
    fn subscriber(&mut self, session: SessionId) -> Result<&mut Subscriber, BrokerError> {
        use std::collections::hash_map::Entry;
        match self.sessions.entry(session) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                // Names are used again: rumqttd remembers each name for ever.
                let slot = (0..u32::MAX).find(|slot| !self.slots.contains(slot)).unwrap_or(u32::MAX);
                let (link, rx) = Link::open(&self.routers, &format!("atspec-{}-{slot}", self.lane))?;
                self.slots.insert(slot);
                let tickets: Tickets = Arc::new(Mutex::new(Some(VecDeque::new())));
                let reader = Reader {
                    session,
                    link: link.clone(),
                    tickets: tickets.clone(),
                    retained: self.retained.clone(),
                    events: self.events.clone(),
                    seen: Seen::default(),
                };
                tokio::spawn(reader.run(rx));
                Ok(entry.insert(Subscriber { link, slot, tickets }))
            }
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.sessions.values().for_each(|s| s.link.close());
        self.publisher.close();
        // The router hears of the next tap of this lane after it has heard that these links ended.
        LANES.give_back(self.lane);
    }
}

impl Retained {
    /// MQTT-3.3.1-5, -10, -11: the last message with RETAIN is kept, an empty one clears.
    fn keep(&mut self, message: Message) -> Result<(), BrokerError> {
        let Message { topic, payload, qos, .. } = message;
        let cost = |topic: &[u8], payload: &[u8]| topic.len() + payload.len() + 128;
        if let Some((_, before)) = self.messages.remove(&topic) {
            self.bytes -= cost(&topic, &before.payload);
        }
        if payload.is_empty() {
            return Ok(());
        }
        let more = cost(&topic, &payload);
        if self.messages.len() >= MAX_RETAINED || self.bytes + more > MAX_RETAINED_BYTES {
            return Err(BrokerError("too many retained messages".to_owned()));
        }
        self.bytes += more;
        let message = RoutedMessage { topic: topic.clone(), payload, qos, retained: true };
        self.messages.insert(topic, (self.number, message));
        Ok(())
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}

/// The sending half of a link; clones are the same link.
#[derive(Clone)]
struct Link(Arc<Mutex<State>>);

enum State {
    Open(LinkTx),
    /// The router is gone.
    Broken,
    /// Ended on purpose.
    Closed,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.is_open()).finish()
    }
}

impl Link {
    fn open(routers: &Routers, name: &str) -> Result<(Self, LinkRx), BrokerError> {
        let (tx, rx) = routers.connect(name)?;
        Ok((Self(Arc::new(Mutex::new(State::Open(tx)))), rx))
    }

    /// Sends something. The router takes at most 1000 events before this waits for it; it never waits for us.
    fn with(
        &self,
        send: impl FnOnce(&mut LinkTx) -> Result<usize, Box<LinkError>>,
    ) -> Result<(), BrokerError> {
        let mut state = lock(&self.0);
        let State::Open(tx) = &mut *state else { return Err(gone()) };
        if send(tx).is_err() {
            *state = State::Broken;
            return Err(gone());
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        matches!(*lock(&self.0), State::Open(_))
    }

    /// Asks for more after the router paused this link. A router that is asked on behalf of a link it does not know
    /// any more panics, hence under the same lock as [`Link::close`].
    fn ready(&self, rx: &LinkRx) {
        let state = lock(&self.0);
        if matches!(*state, State::Open(_)) {
            // A dead router shows at the next read.
            let _ = rx.ready();
        }
    }

    /// Ends the link; the router forgets its subscriptions.
    fn close(&self) {
        let mut state = lock(&self.0);
        if let State::Open(tx) = &mut *state {
            let disconnect = Disconnect { reason_code: DisconnectReasonCode::NormalDisconnection };
            let mut sent = std::pin::pin!(tx.send(Packet::Disconnect(disconnect, None)));
            // The future has no await in it, so one poll is all; a router that is dead needs no farewell.
            let _: Poll<_> = sent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        *state = State::Closed;
    }

    /// The router dropped the link: whether that is a fault.
    fn ended(&self) -> bool {
        let mut state = lock(&self.0);
        let unexpected = !matches!(*state, State::Closed);
        if unexpected {
            *state = State::Broken;
        }
        unexpected
    }
}

fn gone() -> BrokerError {
    BrokerError("its router is gone".to_owned())
}

/// Carries what comes over a session's link to the tap.
struct Reader {
    session: SessionId,
    link: Link,
    tickets: Tickets,
    retained: Arc<Mutex<Retained>>,
    events: mpsc::Sender<Event>,
    seen: Seen,
}

impl Reader {
    async fn run(mut self, mut rx: LinkRx) {
        loop {
            let Ok(first) = rx.next().await else { break };
            let mut batch: Vec<Notification> = first.into_iter().collect();
            while batch.len() < BATCH
                && let Ok(Some(more)) = rx.recv_deadline(Instant::now())
            {
                batch.push(more);
            }
            if self.pass_on(batch, &rx).await.is_err() {
                // The tap is gone.
                return self.link.close();
            }
        }
        if self.link.ended() {
            let _ = self.events.send(Event::Fault(gone().to_string())).await;
            let asked = lock(&self.tickets).take().unwrap_or_default();
            for Asked { ticket, filters, .. } in asked {
                let granted = vec![0x80; filters.len()];
                let _ = self.events.send(Event::Subscribed { ticket, granted }).await;
            }
        }
    }

    async fn pass_on(
        &mut self,
        batch: Vec<Notification>,
        rx: &LinkRx,
    ) -> Result<(), mpsc::error::SendError<Event>> {
        let mut run: Vec<(u64, RoutedMessage)> = Vec::new();
        for notification in batch {
            match notification {
                Notification::Forward(forward) => {
                    run.extend(unseal(&forward.publish.payload));
                }
                Notification::Unschedule => self.link.ready(rx),
                other => {
                    if let Some(Packet::SubAck(..)) = Option::<Packet>::from(other) {
                        self.send_messages(std::mem::take(&mut run)).await?;
                        self.subscribed().await?;
                    }
                }
            }
        }
        self.send_messages(run).await
    }

    /// Live messages, in the order in which they were published, each once.
    async fn send_messages(
        &mut self,
        mut run: Vec<(u64, RoutedMessage)>,
    ) -> Result<(), mpsc::error::SendError<Event>> {
        run.sort_by_key(|(number, _)| *number);
        for (number, message) in run {
            if self.seen.is_new(number) {
                self.events.send(Event::Message { session: self.session, message }).await?;
            }
        }
        Ok(())
    }

    /// One filter is acknowledged. After the last of a SUBSCRIBE: the answer, then what is retained (MQTT-3.3.1-6).
    async fn subscribed(&mut self) -> Result<(), mpsc::error::SendError<Event>> {
        let asked = {
            let mut tickets = lock(&self.tickets);
            let Some(asked) = tickets.as_mut() else { return Ok(()) };
            let Some(first) = asked.front_mut() else { return Ok(()) };
            first.missing = first.missing.saturating_sub(1);
            if first.missing > 0 {
                return Ok(());
            }
            asked.pop_front()
        };
        let Some(Asked { ticket, filters, before, .. }) = asked else { return Ok(()) };
        let granted = filters.iter().map(|(_, qos)| *qos).collect();
        self.events.send(Event::Subscribed { ticket, granted }).await?;
        let matching: Vec<(u64, RoutedMessage)> = {
            let retained = lock(&self.retained);
            let all = retained.messages.values();
            all.filter(|(_, m)| filters.iter().any(|(f, _)| topic::matches(f, &m.topic))).cloned().collect()
        };
        for (number, message) in matching {
            // One that was published meanwhile may come over the link too, or may have come.
            if number <= before || self.seen.is_new(number) {
                self.events.send(Event::Message { session: self.session, message }).await?;
            }
        }
        Ok(())
    }
}

/// A message in its envelope.
fn seal(message: &Message, number: u64) -> Vec<u8> {
    let Message { topic, payload, qos, .. } = message;
    let mut envelope = Vec::with_capacity(ENVELOPE + topic.len() + payload.len());
    envelope.push(*qos);
    envelope.extend(number.to_be_bytes());
    envelope.extend(u32::try_from(topic.len()).unwrap_or(u32::MAX).to_be_bytes());
    envelope.extend(topic);
    envelope.extend(payload);
    envelope
}

/// Takes the envelope off.
fn unseal(envelope: &[u8]) -> Option<(u64, RoutedMessage)> {
    let (&qos, rest) = envelope.split_first()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (topic, payload) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let message = RoutedMessage { topic: topic.to_vec(), payload: payload.to_vec(), qos, retained: false };
    Some((u64::from_be_bytes(*number), message))
}

impl Routers {
    /// A link to the router, which is started when there is none or it died.
    fn connect(&self, name: &str) -> Result<(LinkTx, LinkRx), BrokerError> {
        let connector = lock(&self.0).get_or_insert_with(start).clone();
        let result = connect_within(PATIENCE, connector.clone(), name.to_owned());
        if result.is_err() {
            let mut router = lock(&self.0);
            if router.as_ref().is_some_and(|current| Arc::ptr_eq(current, &connector)) {
                *router = None;
            }
        }
        result
    }
}

/// Making a link blocks until the router answers, so another thread does it.
fn connect_within(
    limit: Duration,
    to: Arc<Connector>,
    name: String,
) -> Result<(LinkTx, LinkRx), BrokerError> {
    let (answer, answered) = std_mpsc::channel();
    let build = move || {
        let _ = answer.send((to.0)(&name));
    };
    thread::Builder::new()
        .name("atspec-link".to_owned())
        .spawn(build)
        .map_err(|error| BrokerError(format!("no thread for its link ({error})")))?;
    match answered.recv_timeout(limit) {
        Ok(Ok(link)) => Ok(link),
        Ok(Err(error)) => Err(BrokerError(format!("its router accepts no link ({error})"))),
        Err(error) => Err(BrokerError(format!("its router does not answer ({error})"))),
    }
}

/// Starts a router. It can never be stopped, so there is one for the whole process.
fn start() -> Arc<Connector> {
    let config = RouterConfig {
        max_connections: 10_000,
        max_outgoing_packet_count: 200,
        // A log for each filter, bounded in bytes; it holds what a link has not read yet.
        max_segment_size: 4 * 1024 * 1024,
        max_segment_count: 8,
        ..RouterConfig::default()
    };
    let router = Router::new(0, config).spawn();
    Arc::new(Connector(Box::new(move |name| {
        let link = LinkBuilder::new(name, router.clone()).clean_session(true).build();
        link.map(|(tx, rx, _)| (tx, rx)).map_err(|error| error.to_string())
    })))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test panics to fail")]

    use tokio::time::timeout;

    use super::*;

    async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
        timeout(PATIENCE, events.recv()).await.expect("no event").unwrap()
    }

    fn message(topic: &str) -> Message {
        Message { topic: topic.into(), payload: b"x".to_vec(), ..Message::default() }
    }

    #[tokio::test]
    async fn cases_of_one_shape_use_the_same_names() {
        let (to, _events) = mpsc::channel(1);
        let mut broker = Embedded::at(Routers::default(), to).unwrap();
        let mut names = |case: &str| {
            broker.reset().unwrap();
            let topics = ["CASE/+/x", "CASE", "$SYS/#", "//\u{e9}", "\u{e9}/+"];
            topics.map(|t| broker.path(t.replace("CASE", case).as_bytes()).unwrap())
        };
        let first = names("case1");
        assert_eq!(names("case2"), first);
        let inside = first.map(|name| name.split_once('/').unwrap().1.to_owned());
        assert_eq!(inside, ["0/+/1", "0", "2/#", "3/3/4", "4/+"]);
    }

    #[test]
    fn envelopes() {
        let sent = Message { qos: 2, retain: true, ..message("\u{e9}/x") };
        let expected =
            RoutedMessage { topic: sent.topic.clone(), payload: b"x".to_vec(), qos: 2, retained: false };
        assert_eq!(unseal(&seal(&sent, 7)), Some((7, expected)));
        assert_eq!(unseal(b"\0\0\0\0\0\0\0\0\0\0\0\0\x02a"), None);
        assert_eq!(unseal(b""), None);
    }

    /// rumqttd dies of a topic that begins outside ASCII, which the prefix prevents; here it gets one all the same.
    #[tokio::test]
    async fn a_dead_router_is_a_fault_and_is_replaced() {
        let (to, mut events) = mpsc::channel(100);
        let mut broker = Embedded::at(Routers::default(), to).unwrap();
        let (session, filters) = (SessionId(1), [(b"#".to_vec(), 1)]);
        broker.subscribe(session, Ticket(1), &filters).unwrap();
        assert_eq!(next(&mut events).await, Event::Subscribed { ticket: Ticket(1), granted: vec![1] });
        broker.publisher.with(|tx| tx.publish("\u{e9}", "x").map_err(Box::new)).unwrap();
        assert!(matches!(next(&mut events).await, Event::Fault(_)));
        // The dying router takes events for a moment longer.
        let dead = async {
            while broker.publish(message("t")).is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, dead).await.unwrap();
        assert!(broker.subscribe(session, Ticket(2), &filters).is_err());
        // The name of the dead router is still the one to ask: the first new link finds out, the second works.
        let attempts: Vec<bool> = (0..2).map(|_| broker.reset().is_ok()).collect();
        assert!(attempts[1], "{attempts:?}");
        broker.subscribe(session, Ticket(3), &filters).unwrap();
        assert_eq!(next(&mut events).await, Event::Subscribed { ticket: Ticket(3), granted: vec![1] });
        broker.publish(message("t")).unwrap();
        assert!(matches!(next(&mut events).await, Event::Message { .. }));
    }

    /// rumqttd has no way to end a router, its thread or its links' memory: any number of taps share one.
    #[tokio::test]
    async fn cannot_be_stopped_so_there_is_one_for_all() {
        let routers = Routers::default();
        let one = || lock(&routers.0).clone().expect("a router runs");
        let (to, mut events) = mpsc::channel(100);
        drop(Embedded::at(routers.clone(), to.clone()).unwrap());
        let first = one();
        for _ in 0..50 {
            let mut broker = Embedded::at(routers.clone(), to.clone()).unwrap();
            broker.subscribe(SessionId(1), Ticket(1), &[(b"#".to_vec(), 0)]).unwrap();
            assert!(matches!(next(&mut events).await, Event::Subscribed { .. }));
            broker.publish(message("t")).unwrap();
            // One copy: nothing is left of those before.
            assert!(matches!(next(&mut events).await, Event::Message { .. }));
        }
        assert!(Arc::ptr_eq(&first, &one()));
        assert!(events.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_subscribe_under_way_when_the_router_dies_is_answered() {
        let (to, mut events) = mpsc::channel(100);
        let mut broker = Embedded::at(Routers::default(), to).unwrap();
        broker.subscribe(SessionId(1), Ticket(1), &[(b"a".to_vec(), 0)]).unwrap();
        next(&mut events).await;
        broker.publisher.with(|tx| tx.publish("\u{e9}", "x").map_err(Box::new)).unwrap();
        let refused = broker.subscribe(SessionId(1), Ticket(2), &[(b"b".to_vec(), 0)]).is_err();
        assert!(matches!(next(&mut events).await, Event::Fault(_)));
        if !refused {
            assert_eq!(next(&mut events).await, Event::Subscribed { ticket: Ticket(2), granted: vec![0x80] });
        }
        assert!(broker.subscribe(SessionId(1), Ticket(3), &[(b"c".to_vec(), 0)]).is_err());
    }
}
