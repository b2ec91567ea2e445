//! The partner by itself: no sockets, time as a number.

mod loss;
mod protocol;
mod random;
mod rules;

use std::collections::BTreeMap;

use super::*;
use crate::mqtt::{
    Ack, Body, ConnAck, Frame, Framer, Publish, SubAck, Subscribe, Unsubscribe, Will, decode, encode,
};

/// A partner with a broker behind it that grants everything and routes every message to every session.
struct Bench {
    partner: Partner,
    now: u64,
    /// What went to each connection, write by write.
    sent: BTreeMap<ConnId, Vec<Vec<u8>>>,
    closed: BTreeMap<ConnId, Close>,
    /// Everything else that the partner asked for.
    asked: Vec<Output>,
    published: Vec<Message>,
    sessions: Vec<SessionId>,
    /// Whether SUBSCRIBEs are answered.
    answers: bool,
    /// Whether messages are routed.
    routes: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings { margin_us: 0, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        Self {
            partner: Partner::new(settings),
            now: 0,
            sent: BTreeMap::new(),
            closed: BTreeMap::new(),
            asked: Vec::new(),
            published: Vec::new(),
            sessions: Vec::new(),
            answers: true,
            routes: true,
        }
    }

    fn follow(&mut self) {
        while let Some(output) = self.partner.poll() {
            match output {
                Output::Send { conn, bytes } => {
                    assert!(!bytes.is_empty());
                    assert!(!self.closed.contains_key(&conn), "bytes after the close");
                    self.sent.entry(conn).or_default().push(bytes);
                }
                Output::Close { conn, how, .. } => {
                    assert!(self.closed.insert(conn, how).is_none(), "closed twice");
                }
                Output::Subscribe { session, ticket, filters } if self.answers => {
                    if !self.sessions.contains(&session) {
                        self.sessions.push(session);
                    }
                    let granted: Vec<u8> = filters.iter().map(|f| f.1).collect();
                    self.partner.subscribed(ticket, &granted, self.now);
                }
                Output::Publish { message, .. } => {
                    self.published.push(message.clone());
                    let Message { topic, payload, qos, .. } = message;
                    for &session in self.sessions.iter().filter(|_| self.routes) {
                        let routed = RoutedMessage {
                            topic: topic.clone(),
                            payload: payload.clone(),
                            qos,
                            retained: false,
                        };
                        self.partner.deliver(session, routed, self.now);
                    }
                }
                Output::SessionEnded { session } => {
                    self.sessions.retain(|s| *s != session);
                    self.asked.push(Output::SessionEnded { session });
                }
                other => self.asked.push(other),
            }
        }
    }

    fn open(&mut self, conn: ConnId) {
        self.partner.connected(conn, self.now);
        self.follow();
    }

    fn bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        self.partner.received(conn, bytes, self.now);
        self.follow();
    }

    #[expect(clippy::needless_pass_by_value, reason = "a packet is made where it is said")]
    fn say(&mut self, conn: ConnId, body: Body) {
        self.bytes(conn, &encode(&body));
    }

    fn lose(&mut self, conn: ConnId) {
        self.partner.ended(conn, self.now);
        self.follow();
    }

    fn order(&mut self, command: Command) {
        self.partner.command(command, self.now).unwrap();
        self.follow();
    }

    fn at(&mut self, us: u64) {
        self.now = us;
        self.partner.tick(us);
        self.follow();
    }

    /// The packets that went to a connection since the last look.
    fn heard(&mut self, conn: ConnId) -> Vec<Body> {
        let mut framer = Framer::new(1 << 20);
        self.sent.remove(&conn).unwrap_or_default().iter().for_each(|bytes| framer.push(bytes));
        let mut bodies = Vec::new();
        while let Some(frame) = framer.next_frame() {
            let Frame::Packet(raw) = frame else { panic!("{frame:?}") };
            let packet = decode(&raw);
            assert_eq!(packet.violations, [], "{packet}");
            bodies.push(packet.body);
        }
        assert_eq!(framer.pending(), b"");
        bodies
    }

    /// A connection that is connected.
    fn connected(&mut self, conn: ConnId, client: &str, clean: bool) {
        self.open(conn);
        self.say(conn, connect(client, clean));
        assert!(matches!(self.heard(conn)[0], Body::ConnAck(ConnAck { code: 0, .. })));
    }

    fn publish(&mut self, topic: &str, payload: &str, qos: u8) {
        self.order(Command::Publish(Message {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
        }));
    }
}

fn connect(client: &str, clean: bool) -> Body {
    connect_with(client, clean, 60, None)
}

fn connect_with(client: &str, clean: bool, keep_alive: u16, will: Option<&str>) -> Body {
    Body::Connect(Connect {
        protocol: "MQTT".into(),
        level: 4,
        flags: u8::from(clean) << 1 | u8::from(will.is_some()) << 2,
        keep_alive,
        client_id: client.into(),
        will: will.map(|t| Will { topic: t.into(), message: b"dead".to_vec(), qos: 0, retain: false }),
        ..Connect::default()
    })
}

fn connack(flags: u8, code: u8) -> Body {
    Body::ConnAck(ConnAck { flags, code })
}

fn subscribe(id: u16, filters: &[(&str, u8)]) -> Body {
    Body::Subscribe(Subscribe { id, filters: filters.iter().map(|(f, q)| ((*f).into(), *q)).collect() })
}

fn suback(id: u16, codes: &[u8]) -> Body {
    Body::SubAck(SubAck { id, codes: codes.to_vec() })
}

fn publish(topic: &str, payload: &str, qos: u8, id: u16) -> Publish {
    Publish {
        qos,
        topic: topic.into(),
        id: (qos > 0).then_some(id),
        payload: payload.into(),
        ..Publish::default()
    }
}

fn ack(id: u16) -> Ack {
    Ack { id }
}
