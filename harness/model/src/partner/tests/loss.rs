//! Delivery guarantees while connections are lost at any moment, with a small client that does its part.

use std::collections::{BTreeMap, HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A packet reaches the broker.
    Up,
    /// A packet reaches the client.
    Down,
    /// The connection is lost with everything on its way; the client connects again.
    Cut,
    /// The client publishes.
    ClientPublishes(u8),
    /// Somebody else publishes to the client.
    OtherPublishes(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Up),
        4 => Just(Step::Down),
        1 => Just(Step::Cut),
        2 => (1..=2_u8).prop_map(Step::ClientPublishes),
        2 => (1..=2_u8).prop_map(Step::OtherPublishes),
    ];
    proptest::collection::vec(step, 0..120)
}

#[derive(Default)]
struct Client {
    conn: ConnId,
    greeted: bool,
    up: VecDeque<Body>,
    down: VecDeque<Body>,
    /// Own messages without their last acknowledgement, in order; PUBREL once PUBREC came.
    open: Vec<Body>,
    next_id: u16,
    /// QoS 2 identifiers received and not released.
    pending: HashSet<u16>,
    got: Vec<Publish>,
    /// Identifier and payload of what was received at least once, to prove that a copy has DUP.
    known: BTreeMap<u16, Vec<u8>>,
}

impl Client {
    fn connect(&mut self, bench: &mut Bench) {
        self.conn += 1;
        self.greeted = false;
        (self.up, self.down) = (VecDeque::new(), VecDeque::new());
        bench.open(self.conn);
        self.up.push_back(connect("c", false));
    }

    fn reached(&mut self, body: Body) {
        match body {
            Body::ConnAck(_) => {
                self.greeted = true;
                for body in &mut self.open {
                    if let Body::Publish(p) = body {
                        p.dup = true;
                    }
                    self.up.push_back(body.clone());
                }
            }
            Body::Publish(p) => {
                let id = p.id.unwrap();
                if let Some(before) = self.known.insert(id, p.payload.clone())
                    && before == p.payload
                {
                    assert!(p.dup, "sent again without DUP: {p:?}");
                }
                let is_new = p.qos == 1 || self.pending.insert(id);
                self.up.push_back(if p.qos == 1 { Body::PubAck(ack(id)) } else { Body::PubRec(ack(id)) });
                if is_new {
                    self.got.push(p);
                }
            }
            Body::PubRel(a) => {
                self.pending.remove(&a.id);
                self.up.push_back(Body::PubComp(a));
            }
            Body::PubAck(a) | Body::PubComp(a) => self.open.retain(|b| id_of(b) != a.id),
            Body::PubRec(a) => {
                let known = self.open.iter_mut().find(|b| id_of(b) == a.id);
                if let Some(body) = known {
                    *body = Body::PubRel(a);
                }
                self.up.push_back(Body::PubRel(a));
            }
            _ => {}
        }
    }
}

fn id_of(body: &Body) -> u16 {
    match body {
        Body::Publish(p) => p.id.unwrap(),
        Body::PubRel(a) => a.id,
        other => panic!("{other:?}"),
    }
}

struct World {
    bench: Bench,
    client: Client,
    sent: Vec<(u8, Vec<u8>)>,
    others: Vec<(u8, Vec<u8>)>,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Up => {
                if let Some(body) = self.client.up.pop_front() {
                    self.bench.say(self.client.conn, body);
                    let heard = self.bench.heard(self.client.conn);
                    self.client.down.extend(heard);
                }
            }
            Step::Down => {
                if let Some(body) = self.client.down.pop_front() {
                    self.client.reached(body);
                }
            }
            Step::Cut => {
                self.bench.lose(self.client.conn);
                self.client.connect(&mut self.bench);
            }
            Step::ClientPublishes(qos) => {
                self.client.next_id += 1;
                let payload = format!("c{}", self.sent.len());
                self.sent.push((qos, payload.clone().into_bytes()));
                let body = Body::Publish(publish("from/client", &payload, qos, self.client.next_id));
                self.client.open.push(body.clone());
                if self.client.greeted {
                    self.client.up.push_back(body);
                }
            }
            Step::OtherPublishes(qos) => {
                let payload = format!("o{}", self.others.len());
                self.bench.publish("to/client", &payload, qos);
                self.others.push((qos, payload.into_bytes()));
                let heard = self.bench.heard(self.client.conn);
                self.client.down.extend(heard);
            }
        }
    }
}

proptest! {
    #[test]
    fn qos_1_at_least_once_and_qos_2_exactly_once_both_ways(steps in steps()) {
        let mut bench = Bench::new();
        bench.connected(1, "c", false);
        bench.say(1, subscribe(1, &[("to/#", 2)]));
        bench.lose(1);
        let mut world = World {
            bench,
            client: Client { conn: 1, ..Client::default() },
            sent: Vec::new(),
            others: Vec::new(),
        };
        world.client.connect(&mut world.bench);
        for step in steps {
            world.step(step);
        }
        // Without further losses everything comes to an end.
        world.step(Step::Cut);
        for _ in 0..2000 {
            world.step(Step::Up);
            world.step(Step::Down);
        }
        prop_assert!(world.client.open.is_empty());
        prop_assert!(world.client.pending.is_empty());
        let arrived = |list: &[(Vec<u8>, u8)], wanted: &(u8, Vec<u8>)| list.iter().filter(|m| m.0 == wanted.1).count();
        let of_client: Vec<_> = world.bench.published.iter().filter(|m| m.topic.starts_with(b"from"))
            .map(|m| (m.payload.clone(), m.qos)).collect();
        let to_client: Vec<_> = world.client.got.iter().map(|p| (p.payload.clone(), p.qos)).collect();
        for (sent, arrivals) in [(&world.sent, &of_client), (&world.others, &to_client)] {
            for message in sent {
                let count = arrived(arrivals, message);
                prop_assert!(if message.0 == 2 { count == 1 } else { count >= 1 }, "{message:?} came {count} times");
            }
            for qos in [1, 2] {
                let mut firsts: Vec<&Vec<u8>> = Vec::new();
                for (payload, _) in arrivals.iter().filter(|m| m.1 == qos) {
                    if !firsts.contains(&payload) {
                        firsts.push(payload);
                    }
                }
                let order: Vec<&Vec<u8>> = sent.iter().filter(|m| m.0 == qos).map(|m| &m.1).collect();
                prop_assert_eq!(firsts, order, "order of QoS {}", qos);
            }
        }
    }
}
