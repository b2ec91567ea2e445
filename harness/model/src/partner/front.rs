//! The partner itself: what comes in, what it means, what time does.

use std::collections::{BTreeMap, VecDeque};

use super::conn::{Conn, Parked, Phase};
use super::rules::Rules;
use super::send::due;
use super::session::{Accepted, Session};
use super::{
    Action, Admission, Command, ConnId, Message, NoConnection, Output, RoutedMessage, SessionId, Settings,
    Ticket, Way,
};
use crate::{
    mqtt::{
        Ack, Body, ConnAck, Connect, Frame, Level, Packet, PacketType, Publish, SubAck, Subscribe,
        Unsubscribe, decode, encode, topic,
    },
    text,
    timeline::{Alteration, Close},
};

/// The broker side of every connection to one listener. See the [module](super) for the whole picture.
#[derive(Debug)]
pub struct Partner {
    pub(super) settings: Settings,
    admission: Admission,
    pub(super) conns: BTreeMap<ConnId, Conn>,
    sessions: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<Vec<u8>, SessionId>,
    pub(super) rules: Rules,
    tickets: BTreeMap<Ticket, Pending>,
    next_session: u32,
    next_ticket: u64,
    pub(super) next_parked: u64,
    /// [`Command::Mute`] or [`Command::StopReading`] given while the module had no connection.
    mute_next: bool,
    stop_next: bool,
    pub(super) out: VecDeque<Output>,
}

/// A SUBSCRIBE whose answer depends on the broker behind.
#[derive(Debug)]
struct Pending {
    conn: ConnId,
    session: SessionId,
    id: u16,
    /// Filters that may be granted; the others are refused already.
    filters: Vec<Option<Vec<u8>>>,
    /// Return codes, one for each of them.
    codes: Vec<u8>,
    deadline: u64,
}

impl Partner {
    /// A partner that admits everyone and has no rules.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            admission: Admission::Everyone,
            conns: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_client: BTreeMap::new(),
            rules: Rules::default(),
            tickets: BTreeMap::new(),
            next_session: 0,
            next_ticket: 0,
            next_parked: 0,
            mute_next: false,
            stop_next: false,
            out: VecDeque::new(),
        }
    }

    /// A new case: closes all connections and forgets all sessions, wills, rules and packets kept back.
    pub fn admit(&mut self, admission: Admission) {
        self.admission = admission;
        for (conn, _) in std::mem::take(&mut self.conns) {
            self.out.push_back(Output::Close { conn, how: Close::Fin, why: "the case is over".to_owned() });
        }
        for (session, _) in std::mem::take(&mut self.sessions) {
            self.out.push_back(Output::SessionEnded { session });
        }
        self.by_client.clear();
        self.tickets.clear();
        self.rules.clear();
        (self.mute_next, self.stop_next) = (false, false);
    }

    /// The next thing to do; call until `None` after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Connections that are the module's and not over.
    pub fn module_connections(&self) -> usize {
        self.conns.values().filter(|c| c.is_module).count()
    }

    /// A connection was opened.
    pub fn connected(&mut self, conn: ConnId, now: u64) {
        self.conns.insert(conn, Conn::new(self.settings.max_packet, now));
    }

    /// Bytes came; how they are cut makes no difference.
    pub fn received(&mut self, conn: ConnId, bytes: &[u8], now: u64) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if !c.waits() {
            c.framer.push(bytes);
            return self.pump(conn, now);
        }
        c.backlog.extend_from_slice(bytes);
        if c.backlog.len() > self.settings.max_packet && c.reading {
            c.reading = false;
            self.out.push_back(Output::Reading { conn, on: false });
        }
    }

    /// The other end closed or reset the connection. What it sent before still counts.
    pub fn ended(&mut self, conn: ConnId, now: u64) {
        while let Some(c) = self.conns.get_mut(&conn) {
            // Nothing can be said any more, so nothing has to wait: the answer to a SUBSCRIBE will find nobody, but the
            // session has the subscription all the same.
            (c.half_closed, c.stopped) = (true, true);
            (c.muted, c.connect_parked, c.ticket) = (false, false, None);
            self.pump(conn, now);
            if !self.conns.get(&conn).is_some_and(Conn::waits) {
                break;
            }
        }
        self.forget(conn, now);
    }

    /// Resets a connection that the caller cannot serve any more.
    pub fn cut(&mut self, conn: ConnId, now: u64) {
        self.close(conn, Close::Rst, "the bench gave it up".to_owned(), now);
    }

    /// Obeys a command. The error says that it found no connection; [`Command::Mute`] and [`Command::StopReading`] then
    /// concern the next one.
    pub fn command(&mut self, command: Command, now: u64) -> Result<(), NoConnection> {
        match command {
            Command::Rule(rule) => self.rules.add(rule),
            Command::ClearRules => self.rules.clear(),
            Command::Release(kind) => self.release(kind, false, now),
            Command::ReleaseReversed(kind) => self.release(kind, true, now),
            Command::Publish(message) => self.publish(None, message),
            Command::Inject(bytes) => {
                let conn = self.target().ok_or(NoConnection)?;
                // The type is only for people: what is injected need not be a packet.
                let kind = PacketType::of(bytes.first().copied().unwrap_or(0));
                self.altered(conn, kind, Alteration::Injected);
                self.wire(conn, bytes);
            }
            Command::Close(how) => {
                // Before CONNECT nobody knows which of several is the module's; the others lose nothing by being closed too.
                let conns: Vec<ConnId> = match self.newest_of_module() {
                    Some((conn, _)) => vec![conn],
                    None => self.conns.keys().copied().collect(),
                };
                if conns.is_empty() {
                    return Err(NoConnection);
                }
                for conn in conns {
                    self.close(conn, how, "the case asked for it".to_owned(), now);
                }
            }
            Command::HalfClose => {
                let conn = self.target().ok_or(NoConnection)?;
                if let Some(c) = self.conns.get_mut(&conn) {
                    c.half_closed = true;
                }
                self.out.push_back(Output::HalfClose { conn });
            }
            Command::Mute => match self.newest_of_module() {
                Some((_, c)) => c.muted = true,
                None => self.mute_next = true,
            },
            Command::StopReading => match self.target() {
                Some(conn) => self.stop_reading(conn),
                None => self.stop_next = true,
            },
            Command::Resume => self.resume(now),
        }
        Ok(())
    }

    /// The broker behind took a SUBSCRIBE and grants these codes, in the order of its filters.
    pub fn subscribed(&mut self, ticket: Ticket, granted: &[u8], now: u64) {
        let Some(mut pending) = self.tickets.remove(&ticket) else { return };
        let open = pending.codes.iter_mut().filter(|code| **code != 0x80);
        for (code, &grant) in open.zip(granted) {
            *code = if grant > 2 { 0x80 } else { grant.min(*code) };
        }
        self.answer_subscribe(pending, ticket, now);
    }

    /// A message came for a session.
    pub fn deliver(&mut self, session: SessionId, message: RoutedMessage, now: u64) {
        let Some(s) = self.sessions.get_mut(&session) else { return };
        s.owed = s.owed.saturating_sub(usize::from(!message.retained));
        match s.accept(message, &self.settings) {
            Accepted::Send(publish) => {
                if let Some(conn) = s.conn {
                    self.send(conn, Body::Publish(publish), now);
                }
            }
            Accepted::Kept | Accepted::Unwanted => {}
            Accepted::Full => {
                let client = text::shortened(&s.client, 60);
                let what =
                    format!("a message for the session of \"{client}\" was dropped: its queue is full");
                self.out.push_back(Output::Fault(what));
            }
        }
    }

    /// What the broker behind owes: answers to SUBSCRIBE, and messages that were published, are wanted, and did not come back.
    pub fn owed(&self) -> usize {
        self.tickets.len() + self.sessions.values().map(|s| s.owed).sum::<usize>()
    }

    /// Time has come to `now`.
    pub fn tick(&mut self, now: u64) {
        let late: Vec<Ticket> =
            self.tickets.iter().filter(|(_, p)| p.deadline <= now).map(|(&t, _)| t).collect();
        for ticket in late {
            self.out
                .push_back(Output::Fault("the broker behind the tap did not answer a SUBSCRIBE".to_owned()));
            let refused = vec![0x80; self.tickets.get(&ticket).map_or(0, |p| p.codes.len())];
            self.subscribed(ticket, &refused, now);
        }
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            while let Some(c) = self.conns.get_mut(&conn) {
                let Some(entry) = c.delayed.first_entry().filter(|e| e.key().0 <= now) else { break };
                let packet = entry.remove();
                self.unpark(conn, packet, now);
            }
            let Some(c) = self.conns.get(&conn) else { continue };
            if let Some((_, why)) = self.limit(c).filter(|(at, _)| *at <= now) {
                self.close(conn, Close::Fin, why.to_owned(), now);
            }
        }
    }

    /// When [`Partner::tick`] has something to do.
    pub fn next_timeout(&self) -> Option<u64> {
        let delayed = |c: &Conn| c.delayed.first_key_value().map(|((at, _), _)| *at);
        let conns = self.conns.values().flat_map(|c| [delayed(c), self.limit(c).map(|(at, _)| at)]).flatten();
        conns.chain(self.tickets.values().map(|p| p.deadline)).min()
    }

    /// When the partner will close the connection of its own accord, and why.
    fn limit(&self, c: &Conn) -> Option<(u64, &'static str)> {
        let (limit, why) = match c.phase {
            Phase::Fresh if c.connect_parked || !c.reading => return None,
            Phase::Fresh => (self.settings.scaled_us(self.settings.connect_ms), "no CONNECT came"),
            Phase::Open if c.is_watched() => {
                (c.silence_us?, "no control packet came in 1.5 times the keep alive")
            }
            Phase::Open | Phase::Refused => return None,
            Phase::Left => (
                self.settings.scaled_us(self.settings.disconnect_ms),
                "the client did not close after DISCONNECT",
            ),
        };
        Some((c.since.saturating_add(limit), why))
    }

    // ---- input -----------------------------------------------------------------------------------------------------

    /// Processes whole packets until one has to wait or none is left.
    pub(super) fn pump(&mut self, conn: ConnId, now: u64) {
        while let Some(c) = self.conns.get_mut(&conn) {
            if c.waits() {
                return;
            }
            match c.framer.next_frame() {
                Some(Frame::Packet(raw)) => self.packet(conn, &raw, now),
                Some(Frame::Broken { raw, why }) => self.unreadable(conn, &raw, why, now),
                None if c.backlog.is_empty() => {
                    // Its first byte tells that it is no CONNECT; the rest may never come.
                    let first = c.framer.pending().first().copied();
                    let known = first
                        .filter(|&b| c.phase == Phase::Fresh && PacketType::of(b) != PacketType::Connect);
                    if let Some(first) = known {
                        self.unreadable(conn, &[first], String::new(), now);
                    }
                    break;
                }
                None => {
                    let backlog = std::mem::take(&mut c.backlog);
                    c.framer.push(&backlog);
                }
            }
        }
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if !c.reading && !c.stopped {
            c.reading = true;
            c.since = now;
            self.out.push_back(Output::Reading { conn, on: true });
        }
    }

    /// A packet came: whose it is, then the rules.
    fn packet(&mut self, conn: ConnId, raw: &[u8], now: u64) {
        let packet = decode(raw);
        let Some(c) = self.conns.get_mut(&conn) else { return };
        match c.phase {
            Phase::Fresh => {
                if !self.attribute(conn, &packet, now) {
                    return;
                }
            }
            // A client MUST NOT send anything after DISCONNECT (MQTT-3.14.4-2).
            Phase::Left => {
                let why = format!("{} after DISCONNECT", packet.kind);
                return self.close(conn, Close::Fin, why, now);
            }
            Phase::Refused => return,
            Phase::Open => {}
        }
        match self.rules.take(Way::FromModule, packet.kind) {
            Some(Action::Withhold) => self.altered(conn, packet.kind, Alteration::Ignored),
            Some(Action::Hold) => self.park(conn, None, Parked::FromModule(packet), now),
            Some(Action::Delay(ms)) => self.park(conn, Some(due(now, ms)), Parked::FromModule(packet), now),
            Some(Action::ThenClose(how)) => {
                self.process(conn, &packet, now);
                self.close(conn, how, "the case asked for it".to_owned(), now);
            }
            _ => self.process(conn, &packet, now),
        }
    }

    /// Decides on the first packet whether the connection is the module's; `false` where it is over.
    fn attribute(&mut self, conn: ConnId, packet: &Packet, now: u64) -> bool {
        let is_module = self.conns.get(&conn).is_some_and(|c| c.is_module);
        let Body::Connect(connect) = &packet.body else {
            self.unreadable(conn, &packet.raw, String::new(), now);
            return false;
        };
        // Where CONNECT was withheld before, the connection stays the module's.
        let Err(why) = (if is_module { return true } else { self.admission.check(connect) }) else {
            self.adopt(conn);
            return true;
        };
        self.out.push_back(Output::Stranger { conn, why: why.clone() });
        let code = if is_other_level(connect) { 1 } else { 5 };
        self.wire(conn, encode(&Body::ConnAck(ConnAck { flags: 0, code })));
        self.close(conn, Close::Fin, why, now);
        false
    }

    /// The connection is the module's.
    fn adopt(&mut self, conn: ConnId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.is_module = true;
        c.muted = std::mem::take(&mut self.mute_next);
        self.out.push_back(Output::Module { conn });
        if std::mem::take(&mut self.stop_next) {
            self.stop_reading(conn);
        }
    }

    /// A byte stream that cannot be cut into packets, or does not begin with CONNECT (MQTT-3.1.0-1).
    fn unreadable(&mut self, conn: ConnId, raw: &[u8], mut why: String, now: u64) {
        let Some(c) = self.conns.get(&conn) else { return };
        if c.phase == Phase::Fresh {
            let kind = PacketType::of(raw.first().copied().unwrap_or(0));
            if kind != PacketType::Connect {
                why = format!("first packet is {kind}, not CONNECT");
            }
            if !c.is_module && self.admission == Admission::Everyone {
                self.adopt(conn);
            } else if !c.is_module {
                self.out.push_back(Output::Stranger { conn, why: why.clone() });
            }
        }
        self.close(conn, Close::Fin, why, now);
    }

    /// Does what the protocol asks for a packet that rules let pass.
    pub(super) fn process(&mut self, conn: ConnId, packet: &Packet, now: u64) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        match (c.phase, &packet.body) {
            (Phase::Fresh, Body::Connect(connect)) => return self.connect(conn, packet, connect, now),
            (Phase::Open, _) => {}
            (Phase::Fresh | Phase::Left | Phase::Refused, _) => return,
        }
        c.since = now;
        // MQTT-4.8.0-1: a packet that breaks the protocol ends the connection, without an answer.
        if let Some(violation) = packet.worst(Level::Must) {
            let why = format!("{}: {}", packet.kind, violation.what);
            return self.close(conn, Close::Fin, why, now);
        }
        let Some(session) = c.session else { return };
        match &packet.body {
            Body::Publish(publish) => self.on_publish(conn, session, publish, now),
            Body::PubRel(ack) => {
                self.with(session, |s| s.received.remove(&ack.id));
                // MQTT-4.3.3-2; for an unknown identifier too, so that the exchange can end.
                self.send(conn, Body::PubComp(*ack), now);
            }
            Body::PubAck(ack) => self.with(session, |s| s.acknowledged(ack.id)),
            Body::PubRec(ack) => {
                if self.sessions.get_mut(&session).is_some_and(|s| s.recorded(ack.id)) {
                    self.send(conn, Body::PubRel(*ack), now);
                }
            }
            Body::PubComp(ack) => self.with(session, |s| s.completed(ack.id)),
            Body::Subscribe(subscribe) => self.on_subscribe(conn, session, subscribe, now),
            Body::Unsubscribe(unsubscribe) => self.on_unsubscribe(conn, session, unsubscribe, now),
            Body::PingReq => self.send(conn, Body::PingResp, now),
            Body::Disconnect => self.on_disconnect(conn),
            // MQTT-3.1.0-2 for CONNECT; the others are the server's to send.
            Body::Connect(_)
            | Body::ConnAck(_)
            | Body::SubAck(_)
            | Body::UnsubAck(_)
            | Body::PingResp
            | Body::Reserved => {
                let why = format!("{} from a client that is connected", packet.kind);
                self.close(conn, Close::Fin, why, now);
            }
        }
        self.send_waiting(conn, session, now);
    }

    // ---- CONNECT ---------------------------------------------------------------------------------------------------

    fn connect(&mut self, conn: ConnId, packet: &Packet, connect: &Connect, now: u64) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.since = now;
        }
        let older = self.settings.older && connect.is_older();
        if is_other_level(connect) && !older {
            // MQTT-3.1.2-2.
            return self.refuse(conn, 1, now);
        }
        let clean = connect.clean_session();
        let empty = connect.client_id.as_bytes().is_empty();
        // MQTT-3.1.3-8 is an answer, MQTT-3.1.3-7 alone therefore no reason to close without one.
        let borne = |clause| clause == "MQTT-3.1.3-7" || older && Connect::VERSION.contains(&clause);
        let worst = packet.violations.iter().find(|v| v.level == Level::Must && !borne(v.clause));
        if let Some(violation) = worst {
            let why = format!("CONNECT: {}", violation.what);
            return self.close(conn, Close::Fin, why, now);
        }
        if empty && !clean {
            return self.refuse(conn, 2, now);
        }
        let action = self.rules.take(Way::ToModule, PacketType::ConnAck);
        if let Some(Action::Code(code @ 1..)) = action {
            return self.refuse_with(conn, code, action, now);
        }
        let client = if empty {
            // No other client can have this identifier: U+0000 is refused.
            format!("\0{}", self.next_session).into_bytes()
        } else {
            connect.client_id.as_bytes().to_vec()
        };
        self.take_over(&client, clean, now);
        let known = self.by_client.get(&client).copied();
        if known.is_none() && self.sessions.len() >= self.settings.max_sessions {
            return self.refuse(conn, 3, now);
        }
        let session = known.unwrap_or_else(|| self.new_session(client, clean));
        self.with(session, |s| (s.conn, s.clean) = (Some(conn), clean));
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.phase = Phase::Open;
        c.session = Some(session);
        c.silence_us = self.settings.silence_us(connect.keep_alive);
        c.will = connect.will.as_ref().map(|w| Message {
            topic: w.topic.0.clone(),
            payload: w.message.clone(),
            qos: w.qos,
            retain: w.retain,
        });
        // MQTT-3.2.2-1, -2, -3.
        let flags = u8::from(known.is_some());
        self.send_with(conn, Body::ConnAck(ConnAck { flags, code: 0 }), action, None, now);
        let again = self.sessions.get(&session).map(Session::again).unwrap_or_default();
        for body in again {
            self.send(conn, body, now);
        }
        self.send_waiting(conn, session, now);
    }

    /// The client's former connection ends (MQTT-3.1.4-2), and its session unless it is to be resumed (MQTT-3.1.2-6).
    fn take_over(&mut self, client: &[u8], clean: bool, now: u64) {
        let Some(&session) = self.by_client.get(client) else { return };
        if let Some(old) = self.sessions.get(&session).and_then(|s| s.conn) {
            self.close(old, Close::Fin, "the client connected again".to_owned(), now);
        }
        if clean {
            self.end_session(session);
        }
    }

    fn new_session(&mut self, client: Vec<u8>, clean: bool) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        self.by_client.insert(client.clone(), session);
        self.sessions.insert(session, Session::new(client, clean));
        session
    }

    fn refuse(&mut self, conn: ConnId, code: u8, now: u64) {
        let action = self.rules.take(Way::ToModule, PacketType::ConnAck);
        self.refuse_with(conn, code, action, now);
    }

    /// CONNACK with a code and no session present (MQTT-3.2.2-4), then the close (MQTT-3.2.2-5).
    fn refuse_with(&mut self, conn: ConnId, mut code: u8, action: Option<Action>, now: u64) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.phase = Phase::Refused;
        }
        if let Some(Action::Code(other)) = action {
            code = other;
        }
        let then = Some((Close::Fin, "the CONNECT was refused"));
        self.send_with(conn, Body::ConnAck(ConnAck { flags: 0, code }), action, then, now);
    }

    // ---- packets of a connected client -----------------------------------------------------------------------------

    fn on_publish(&mut self, conn: ConnId, session: SessionId, publish: &Publish, now: u64) {
        let Publish { qos, retain, topic, payload, .. } = publish;
        let message =
            Message { topic: topic.0.clone(), payload: payload.clone(), qos: *qos, retain: *retain };
        let id = publish.id.unwrap_or(0);
        match qos {
            0 => self.publish(Some(session), message),
            1 => {
                self.publish(Some(session), message);
                self.send(conn, Body::PubAck(Ack { id }), now);
            }
            _ => {
                // MQTT-4.3.3-2: the same identifier before PUBREL is the same message.
                if self.sessions.get_mut(&session).is_some_and(|s| s.received.insert(id)) {
                    self.publish(Some(session), message);
                }
                self.send(conn, Body::PubRec(Ack { id }), now);
            }
        }
    }

    fn on_subscribe(&mut self, conn: ConnId, session: SessionId, subscribe: &Subscribe, now: u64) {
        let max = self.settings.max_filters;
        let Some(s) = self.sessions.get_mut(&session) else { return };
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut filters = Vec::with_capacity(subscribe.filters.len());
        let mut asked = Vec::new();
        for (filter, qos) in &subscribe.filters {
            let full = s.filters.len() >= max && !s.filters.contains_key(filter.as_bytes());
            if full || codes.len() >= max || !topic::valid_filter(filter.as_bytes()) {
                codes.push(0x80);
                filters.push(None);
            } else {
                s.filters.insert(filter.0.clone(), *qos);
                codes.push(*qos);
                filters.push(Some(filter.0.clone()));
                asked.push((filter.0.clone(), *qos));
            }
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let deadline = now.saturating_add(self.settings.answer_us);
        let pending = Pending { conn, session, id: subscribe.id, filters, codes, deadline };
        if asked.is_empty() {
            return self.answer_subscribe(pending, ticket, now);
        }
        self.tickets.insert(ticket, pending);
        if let Some(c) = self.conns.get_mut(&conn) {
            c.ticket = Some(ticket);
        }
        self.out.push_back(Output::Subscribe { session, ticket, filters: asked });
    }

    /// SUBACK: one return code for each filter, in order (MQTT-3.8.4-5), and what they mean for the session.
    fn answer_subscribe(&mut self, mut pending: Pending, ticket: Ticket, now: u64) {
        let Pending { conn, session, id, .. } = pending;
        let here = self.conns.get(&conn).is_some_and(|c| c.session == Some(session));
        let action = if here { self.rules.take(Way::ToModule, PacketType::SubAck) } else { None };
        if let Some(Action::Code(code)) = action {
            pending.codes.fill(code);
        }
        let mut gone = Vec::new();
        if let Some(s) = self.sessions.get_mut(&session) {
            // What was published meanwhile may or may not be for it.
            s.owed = 0;
            for (filter, &code) in pending.filters.iter().zip(&pending.codes) {
                let Some(filter) = filter else { continue };
                match s.filters.get_mut(filter) {
                    Some(qos) if code <= 2 => *qos = code,
                    Some(_) => {
                        s.filters.remove(filter);
                        gone.push(filter.clone());
                    }
                    None => {}
                }
            }
        }
        if !gone.is_empty() {
            self.out.push_back(Output::Unsubscribe { session, filters: gone });
        }
        if !here {
            return;
        }
        self.send_with(conn, Body::SubAck(SubAck { id, codes: pending.codes }), action, None, now);
        if let Some(c) = self.conns.get_mut(&conn)
            && c.ticket == Some(ticket)
        {
            c.ticket = None;
            c.since = now;
            self.pump(conn, now);
        }
    }

    fn on_unsubscribe(&mut self, conn: ConnId, session: SessionId, unsubscribe: &Unsubscribe, now: u64) {
        let Some(s) = self.sessions.get_mut(&session) else { return };
        // What is on its way may or may not come any more.
        s.owed = 0;
        let had = unsubscribe.filters.iter().filter(|f| s.filters.remove(f.as_bytes()).is_some());
        let filters: Vec<Vec<u8>> = had.map(|f| f.0.clone()).collect();
        if !filters.is_empty() {
            self.out.push_back(Output::Unsubscribe { session, filters });
        }
        // MQTT-3.10.4-4, -5, -6: exactly one, whether or not anything was subscribed.
        self.send(conn, Body::UnsubAck(Ack { id: unsubscribe.id }), now);
    }

    /// DISCONNECT discards the will (MQTT-3.1.2-10) and ends the use of the session; closing is the client's part
    /// (MQTT-3.14.4-1), the partner does it only when the time is up.
    fn on_disconnect(&mut self, conn: ConnId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.phase = Phase::Left;
        c.will = None;
        self.leave_session(conn);
    }

    // ---- sessions and ends -----------------------------------------------------------------------------------------

    /// Sends messages that waited for a free place.
    fn send_waiting(&mut self, conn: ConnId, session: SessionId, now: u64) {
        loop {
            let Some(s) = self.sessions.get_mut(&session).filter(|s| s.conn == Some(conn)) else { return };
            let Some(publish) = s.next_waiting(&self.settings) else { return };
            self.send(conn, Body::Publish(publish), now);
        }
    }

    /// Publishes for a session or another client.
    fn publish(&mut self, session: Option<SessionId>, message: Message) {
        if topic::valid_name(&message.topic) && message.qos <= 2 {
            self.sessions.values_mut().filter(|s| s.wants(&message.topic)).for_each(|s| s.owed += 1);
            self.out.push_back(Output::Publish { session, message });
        } else {
            let shown = text::shortened(&message.topic, 60);
            self.out.push_back(Output::Fault(format!("nothing can be published on \"{shown}\"")));
        }
    }

    /// Closes a connection and does everything that follows from its end.
    pub(super) fn close(&mut self, conn: ConnId, how: Close, why: String, now: u64) {
        if self.conns.contains_key(&conn) {
            self.out.push_back(Output::Close { conn, how, why });
            self.forget(conn, now);
        }
    }

    /// The connection is over, whoever ended it: the will is published unless DISCONNECT came (MQTT-3.1.2-8).
    fn forget(&mut self, conn: ConnId, _now: u64) {
        let Some(session) = self.conns.get(&conn).map(|c| c.session) else { return };
        if let Some(will) = self.conns.get_mut(&conn).and_then(|c| c.will.take()) {
            self.publish(session, will);
        }
        self.leave_session(conn);
        self.conns.remove(&conn);
    }

    /// The connection lets go of its session, which ends if it was a clean one (MQTT-3.1.2-6).
    fn leave_session(&mut self, conn: ConnId) {
        let Some(session) = self.conns.get_mut(&conn).and_then(|c| c.session.take()) else { return };
        let Some(s) = self.sessions.get_mut(&session).filter(|s| s.conn == Some(conn)) else { return };
        s.conn = None;
        if s.clean {
            self.end_session(session);
        }
    }

    fn end_session(&mut self, session: SessionId) {
        if let Some(s) = self.sessions.remove(&session) {
            self.by_client.remove(&s.client);
            // Nobody is left whom the broker behind could answer.
            self.tickets.retain(|_, pending| pending.session != session);
            self.out.push_back(Output::SessionEnded { session });
        }
    }

    fn with<R>(&mut self, session: SessionId, change: impl FnOnce(&mut Session) -> R) {
        self.sessions.get_mut(&session).map(change);
    }

    // ---- commands --------------------------------------------------------------------------------------------------

    /// The newest connection of the module, or else the only one that may still turn out to be its own.
    fn target(&mut self) -> Option<ConnId> {
        if let Some((conn, _)) = self.newest_of_module() {
            return Some(conn);
        }
        let mut open = self.conns.keys();
        open.next().copied().filter(|_| open.next().is_none())
    }

    fn newest_of_module(&mut self) -> Option<(ConnId, &mut Conn)> {
        self.conns.iter_mut().rev().find(|(_, c)| c.is_module).map(|(conn, c)| (*conn, c))
    }

    fn stop_reading(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(&conn) {
            (c.stopped, c.reading) = (true, false);
            self.out.push_back(Output::Reading { conn, on: false });
        }
    }

    fn resume(&mut self, now: u64) {
        (self.mute_next, self.stop_next) = (false, false);
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            let Some(c) = self.conns.get_mut(&conn) else { continue };
            (c.muted, c.stopped) = (false, false);
            c.since = now;
            for out in std::mem::take(&mut c.unsaid) {
                self.requeue(conn, out, now);
            }
            self.pump(conn, now);
        }
    }
}

/// Another version of MQTT, which CONNACK 1 answers; another protocol altogether gets no answer (MQTT-3.1.2-1, -2).
fn is_other_level(connect: &Connect) -> bool {
    matches!(connect.protocol.as_bytes(), b"MQTT" | b"MQIsdp") && connect.level != 4
}
