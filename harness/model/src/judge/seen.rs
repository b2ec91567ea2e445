//! What is seen of a recording, event by event: the parts of a [`View`].
//!
//! Recordings that begin alike need their beginning looked at only once: what goes on from a copy of [`Seen`] sees the same as
//! what began anew.

use std::collections::BTreeMap;

use super::{
    formless,
    view::{Connection, Message, Serial, StepView, Told, View, WirePacket},
};
use crate::{
    at::{Dialogue, Item, Outcome, Read, Reader, Stage},
    case::{Case, Op, Spoken, Step},
    mqtt::{self, Frame, Framer},
    profile::Profile,
    timeline::{Event, Purpose, Side, Timeline, What},
};

/// The largest control packet that is framed.
const MAX_PACKET: usize = 1024 * 1024;

/// What has been seen of a recording so far.
#[derive(Debug, Clone)]
pub struct Seen<'p> {
    profile: &'p Profile,
    /// Index of the next event to look at.
    next: usize,
    reader: Reader<'p>,
    framers: BTreeMap<(u32, Side), Framer>,
    /// Index of the event that begins the clearing up.
    teardown: Option<usize>,
    /// Nothing more of the serial line is looked at.
    serial_over: bool,
    /// Connections that are not the module's.
    strangers: Vec<u32>,
    /// Steps whose dialogues have been run.
    heard: usize,
    steps: Vec<StepView>,
    connections: Vec<Connection>,
    packets: Vec<WirePacket>,
    messages: Vec<Message>,
    late: Vec<(usize, Vec<u8>)>,
}

impl<'p> Seen<'p> {
    /// Nothing yet.
    pub fn new(profile: &'p Profile) -> Self {
        Self {
            profile,
            next: 0,
            reader: Reader::new(&profile.message),
            framers: BTreeMap::new(),
            teardown: None,
            serial_over: false,
            strangers: Vec::new(),
            heard: 0,
            steps: Vec::new(),
            connections: Vec::new(),
            packets: Vec::new(),
            messages: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Looks at the events of a recording of `case` that it has not looked at.
    pub fn follow(&mut self, case: &Case, events: &[Event]) {
        for (at, event) in events.iter().enumerate().skip(self.next) {
            if let What::Stranger { conn, .. } = event.what {
                self.forget(conn);
            }
            if !self.serial_over {
                self.see_serial(case, at, &event.what);
            }
            if self.teardown.is_none() {
                self.see_wire(at, event);
            }
        }
        self.next = events.len();
    }

    /// Everything that can be looked at in a recording of which it has seen the first events.
    pub fn into_view<'a>(mut self, case: &Case, timeline: &'a Timeline) -> View<'a>
    where
        'p: 'a,
    {
        self.follow(case, &timeline.events);
        self.end_step(case, self.teardown.unwrap_or(timeline.events.len()));
        let unfinished = self.reader.unfinished_message();
        let unfinished = unfinished.map(|(head, _)| (head.to_vec(), self.reader.pending().to_vec()));
        let messages = if self.profile.message.any { told(&timeline.events) } else { self.messages };
        let mut view = View {
            profile: self.profile,
            header: &timeline.header,
            timeline,
            steps: self.steps,
            connections: self.connections,
            packets: self.packets,
            messages,
            unfinished,
            late: self.late,
            strangers: self.strangers.len(),
        };
        view.forget_silent_others(case);
        view
    }

    /// A connection turns out to be somebody else's.
    fn forget(&mut self, conn: u32) {
        self.strangers.push(conn);
        self.connections.retain(|c| c.conn != conn);
        self.packets.retain(|p| p.conn != conn);
    }

    fn see_serial(&mut self, case: &Case, at: usize, what: &What) {
        let clearing_up = self.teardown.is_some();
        match what {
            What::Step { index, .. } => {
                self.end_step(case, at);
                self.steps.push(StepView::new(*index, at));
                self.reader.dialogue_over();
            }
            What::StepDone { .. } => {
                if let Some(step) = self.steps.last_mut() {
                    step.done = true;
                }
            }
            What::Teardown => {
                self.end_step(case, at);
                self.teardown.get_or_insert(at);
            }
            What::Sent { purpose, .. } if clearing_up && *purpose != Purpose::Probe => {
                self.serial_over = true;
            }
            What::Sent { purpose, bytes } => {
                match purpose {
                    Purpose::Data => self.reader.data_sent(bytes),
                    Purpose::Command | Purpose::Probe => {
                        self.reader.command_sent(bytes, prompt_of(self.profile, bytes));
                    }
                    Purpose::Recovery => self.reader.dialogue_over(),
                }
                if let Some(step) = self.steps.last_mut().filter(|_| !clearing_up) {
                    step.serial.push(Serial::Sent { at, purpose: *purpose, bytes: bytes.clone() });
                }
            }
            What::Received { bytes } => {
                self.reader.push(bytes);
                while let Some(read) = self.reader.next_item() {
                    self.see_message(case, at, &read.item);
                    match (self.steps.last_mut(), read.item) {
                        (_, Item::Line(line)) if clearing_up => self.late.push((at, line)),
                        (Some(step), item) if !clearing_up => {
                            step.serial.push(Serial::Printed { at, end: read.end, item });
                        }
                        _ => {}
                    }
                }
            }
            What::Silence { awaited, waited_ms } if !clearing_up => {
                if let Some(step) = self.steps.last_mut() {
                    step.silences.push((at, awaited.clone(), *waited_ms));
                }
            }
            _ => {}
        }
    }

    /// The step that was begun last ends before an event, unless it has ended: then all of its dialogues are there.
    fn end_step(&mut self, case: &Case, at: usize) {
        if let Some(step) = self.steps.last_mut() {
            step.end = step.end.min(at);
        }
        for step in self.steps.iter_mut().skip(self.heard) {
            hear(step, case.steps.get(step.index), self.profile);
        }
        self.heard = self.steps.len();
    }

    fn see_message(&mut self, case: &Case, at: usize, item: &Item) {
        match item {
            Item::Message { form, head, payload } => {
                let Some(found) = self.profile.message.framed.get(*form).and_then(|t| t.read(head)) else {
                    return;
                };
                let direct = *form < self.profile.message.direct.len();
                self.messages.push(Message {
                    at,
                    topic: found.values.get("topic").cloned().unwrap_or_default(),
                    payload: payload.clone(),
                    excess: Vec::new(),
                    cached: !direct || self.steps.last().is_some_and(|s| is_reading(case, s.index)),
                    head: head.clone(),
                    exact: found.exact,
                });
            }
            Item::Excess(bytes) => {
                if let Some(message) = self.messages.last_mut() {
                    message.excess.clone_from(bytes);
                }
            }
            _ => {}
        }
    }

    fn see_wire(&mut self, at: usize, event: &Event) {
        let (conn, from, bytes) = match &event.what {
            What::Opened { conn, .. } if !self.strangers.contains(conn) => {
                return self.connections.push(Connection {
                    conn: *conn,
                    opened: at,
                    spoke: false,
                    closed: Vec::new(),
                    rest: Vec::new(),
                    broken: None,
                });
            }
            What::Closed { conn, by, how } => {
                let known = self.connections.iter_mut().find(|c| c.conn == *conn);
                return known.into_iter().for_each(|c| c.closed.push((at, *by, *how)));
            }
            What::FromModule { conn, bytes } => (*conn, Side::Module, bytes),
            What::ToModule { conn, bytes } => (*conn, Side::Broker, bytes),
            _ => return,
        };
        let Some(connection) = self.connections.iter_mut().find(|c| c.conn == conn) else { return };
        let framer = self.framers.entry((conn, from)).or_insert_with(|| Framer::new(MAX_PACKET));
        framer.push(bytes);
        while let Some(frame) = framer.next_frame() {
            match frame {
                Frame::Packet(raw) => {
                    let packet = mqtt::decode(&raw);
                    self.packets.push(WirePacket { at, at_us: event.at_us, conn, from, packet });
                }
                Frame::Broken { why, .. } if from == Side::Module => connection.broken = Some((at, why)),
                Frame::Broken { .. } => {}
            }
        }
        if from == Side::Module {
            connection.rest = framer.pending().to_vec();
        }
    }
}

/// Messages in whatever form they are printed.
fn told(events: &[Event]) -> Vec<Message> {
    let message = |told: formless::Told| Message {
        at: told.at,
        topic: told.topic,
        payload: told.payload,
        excess: Vec::new(),
        cached: false,
        head: Vec::new(),
        exact: true,
    };
    formless(events).into_iter().map(message).collect()
}

/// Whether a step takes messages out of the module's cache.
fn is_reading(case: &Case, index: usize) -> bool {
    case.steps.get(index).and_then(Step::op).is_some_and(|op| op.step.starts_with("read-message"))
}

/// Runs the dialogues of a step over what was sent and printed in it.
fn hear(view: &mut StepView, step: Option<&Step>, profile: &Profile) {
    let op = step.and_then(Step::op);
    let spoken = op.and_then(|op| op.exchanges(profile).ok()).unwrap_or_default();
    let qos = op.map_or(Some(0), Op::qos);
    let mut commands = spoken.iter();
    let mut current: Option<(Dialogue<'_>, Told, bool)> = None;
    let mut told = Vec::new();
    let mut probes = Vec::new();
    let mut finish = |current: &mut Option<(Dialogue<'_>, Told, bool)>| {
        let Some((dialogue, mut one, is_probe)) = current.take() else { return };
        one.outcome = dialogue.outcome().clone();
        one.stage = dialogue.stage();
        one.awaited = dialogue.awaited();
        one.owed = dialogue.owed();
        one.missing_info = dialogue.missing_info();
        if is_probe && one.outcome.refusal.is_some() {
            // A refusal here may be the late word on the command before: then the answer is still owed.
            one.owed = dialogue.answers();
        }
        if is_probe { probes.push(one) } else { told.push(one) }
    };
    for serial in &view.serial {
        match serial {
            Serial::Sent { at, purpose: purpose @ (Purpose::Command | Purpose::Probe), bytes } => {
                finish(&mut current);
                let is_probe = *purpose == Purpose::Probe;
                let probing = || Spoken::probe(profile);
                let Some(one) = (if is_probe { probing() } else { commands.next().cloned() }) else {
                    continue;
                };
                let dialogue = Dialogue::new(&one, &profile.lines, if is_probe { Some(0) } else { qos });
                current = Some((dialogue, Told::new(*at, bytes, &one, qos), is_probe));
            }
            Serial::Sent { purpose: Purpose::Data, .. } => {
                if let Some((dialogue, ..)) = &mut current {
                    dialogue.data_sent();
                }
            }
            Serial::Sent { purpose: Purpose::Recovery, .. } => finish(&mut current),
            Serial::Printed { item, end, .. } => {
                if let Some((dialogue, ..)) = &mut current {
                    dialogue.hear(&Read { item: item.clone(), end: *end });
                }
            }
        }
    }
    finish(&mut current);
    view.dialogues = told;
    view.probes = probes;
}

impl Told {
    fn new(asked: usize, sent: &[u8], one: &Spoken<'_>, qos: Option<u8>) -> Self {
        let exchange = one.exchange;
        Self {
            asked,
            line: sent.trim_ascii_end().to_vec(),
            outcome: Outcome::default(),
            stage: Stage::Answer,
            awaited: String::new(),
            owed: Vec::new(),
            missing_info: None,
            known: exchange.known,
            certain: exchange.is_certain(qos.unwrap_or(0)),
            first: exchange.first,
            prompt_after_answer: exchange.prompt_after_answer,
            fit: one.fit(),
            cites: exchange.cites.clone(),
        }
    }
}

/// The prompt that a command line leads to under this profile, if it does.
pub fn prompt_of<'p>(profile: &'p Profile, line: &[u8]) -> Option<&'p str> {
    let name = line.split(|b| matches!(b, b'=' | b'?' | b'\r' | b'\n')).next().unwrap_or_default();
    profile.steps.values().flat_map(|s| &s.exchanges).find_map(|exchange| {
        let sends = exchange.send.iter().any(|t| t.name().as_bytes().eq_ignore_ascii_case(name));
        exchange.prompt.as_deref().filter(|_| sends)
    })
}
