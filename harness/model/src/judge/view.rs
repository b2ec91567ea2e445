//! Views of a timeline: steps with what was printed in them, connections, control packets, messages.
//!
//! Views are computed from the bytes. Every seen thing carries the index of the event that completed it, so that the order of
//! serial line and wire is that of the recording.

use std::collections::BTreeMap;

use super::formless;
use crate::{
    at::{Captures, Dialogue, Heard, Item, Outcome, Read, Reader, Stage},
    case::{Case, Fit, Spoken, Step},
    mqtt::{self, Frame, Framer, Packet, PacketType},
    profile::{First, Known, Profile},
    timeline::{Close, Header, Purpose, Side, Timeline, What},
};

/// The largest control packet that is framed.
const MAX_PACKET: usize = 1024 * 1024;

/// Everything that can be looked at in a recording.
#[derive(Debug)]
pub struct View<'a> {
    /// The module's profile.
    pub profile: &'a Profile,
    /// Bindings and settings.
    pub header: &'a Header,
    /// The recording.
    pub timeline: &'a Timeline,
    /// The steps that were begun, in order.
    pub steps: Vec<StepView>,
    /// The module's connections, in order.
    pub connections: Vec<Connection>,
    /// Control packets of the module's connections, both ways, in order.
    pub packets: Vec<WirePacket>,
    /// Received messages as the module printed them, in order.
    pub messages: Vec<Message>,
    /// The head of a message whose declared payload never came whole, and the bytes that did.
    pub unfinished: Option<(Vec<u8>, Vec<u8>)>,
    /// Lines printed behind the last step, before the bench sends anything but its probe: index of the event, the line.
    pub late: Vec<(usize, Vec<u8>)>,
    /// Connections that were not the module's.
    pub strangers: usize,
}

/// A step of the case as it was driven.
#[derive(Debug)]
pub struct StepView {
    /// Index into the case's steps.
    pub index: usize,
    /// Index of the event that begins it.
    pub begin: usize,
    /// Index of the event behind its last one.
    pub end: usize,
    /// Whether it was driven to its end.
    pub done: bool,
    /// Everything sent and printed in it, in order.
    pub serial: Vec<Serial>,
    /// The dialogues of its commands, in order.
    pub dialogues: Vec<Told>,
    /// The dialogues of the probes behind it, in order.
    pub probes: Vec<Told>,
    /// What was waited for in vain: index of the event, what, how long in ms.
    pub silences: Vec<(usize, String, u64)>,
}

/// A command and what came of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// Index of the event that sent it.
    pub asked: usize,
    /// The command line without its end.
    pub line: Vec<u8>,
    /// What it came to.
    pub outcome: Outcome,
    /// What was still waited for at the end.
    pub stage: Stage,
    /// The same in words.
    pub awaited: String,
    /// Success lines that were still owed at the end.
    pub owed: Vec<Vec<u8>>,
    /// An information response of the profile that did not come.
    pub missing_info: Option<String>,
    /// How much of it the document describes.
    pub known: Known,
    /// Whether success is told only when it is certain.
    pub certain: bool,
    /// Which of final result code and result line comes first.
    pub first: First,
    /// Whether the final result code comes before the prompt.
    pub prompt_after_answer: bool,
    /// Whether its data were of their declared length.
    pub fit: Fit,
    /// Clauses of the command.
    pub cites: Vec<String>,
}

/// Something on the serial line.
#[derive(Debug, Clone)]
pub enum Serial {
    /// The bench wrote.
    Sent {
        /// Index of the event.
        at: usize,
        /// What for.
        purpose: Purpose,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The module printed.
    Printed {
        /// Index of the event that completed it.
        at: usize,
        /// Offset in the stream behind it, unique per item.
        end: usize,
        /// What.
        item: Item,
    },
}

/// One connection of the module.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its number.
    pub conn: u32,
    /// Index of the event that opened it.
    pub opened: usize,
    /// Whether it carried a CONNECT that was taken as the module's. Any other may be somebody's who never spoke.
    pub spoke: bool,
    /// Ends, in order: index of the event, who, how.
    pub closed: Vec<(usize, Side, Close)>,
    /// Bytes of an unfinished or unframable rest from the module.
    pub rest: Vec<u8>,
    /// Why the module's bytes cannot be framed any more, with the index of the event.
    pub broken: Option<(usize, String)>,
}

/// A control packet on the module's connection.
#[derive(Debug, Clone)]
pub struct WirePacket {
    /// Index of the event that completed it.
    pub at: usize,
    /// µs since the case began.
    pub at_us: u64,
    /// Connection.
    pub conn: u32,
    /// Who sent it.
    pub from: Side,
    /// The packet.
    pub packet: Packet,
}

/// A received message as the module printed it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Index of the event that completed it.
    pub at: usize,
    /// Topic as printed.
    pub topic: Vec<u8>,
    /// Payload, as long as declared.
    pub payload: Vec<u8>,
    /// Bytes printed behind the declared length on the same line.
    pub excess: Vec<u8>,
    /// Whether it was taken out of the module's cache (printed within a reading step).
    pub cached: bool,
    /// The head as printed.
    pub head: Vec<u8>,
    /// Whether blanks were as the document prints them.
    pub exact: bool,
}

impl<'a> View<'a> {
    /// Computes the views of a recording of `case`.
    pub fn new(case: &Case, profile: &'a Profile, timeline: &'a Timeline) -> Self {
        let mut view = Self {
            profile,
            header: &timeline.header,
            timeline,
            steps: Vec::new(),
            connections: Vec::new(),
            packets: Vec::new(),
            messages: Vec::new(),
            unfinished: None,
            late: Vec::new(),
            strangers: 0,
        };
        view.see_serial(&|index| is_reading(case, index));
        if profile.message.any {
            view.see_formless();
        }
        view.see_wire();
        view.forget_silent_others(case);
        for step in &mut view.steps {
            hear(step, case.steps.get(step.index), profile);
        }
        view
    }

    /// Index of the event that completed a line of a dialogue.
    pub fn event_of(&self, heard: &Heard) -> Option<usize> {
        self.steps.iter().flat_map(|s| &s.serial).find_map(|s| match s {
            Serial::Printed { at, end, .. } if *end == heard.1 => Some(*at),
            _ => None,
        })
    }

    /// Packets of one type from the module.
    pub fn from_module(&self, kind: PacketType) -> impl Iterator<Item = &WirePacket> {
        self.packets.iter().filter(move |p| p.from == Side::Module && p.packet.kind == kind)
    }

    /// Packets of one type that the broker sent to the module.
    pub fn to_module(&self, kind: PacketType) -> impl Iterator<Item = &WirePacket> {
        self.packets.iter().filter(move |p| p.from == Side::Broker && p.packet.kind == kind)
    }

    /// Lines printed in the whole case that match a template of `forms`: index of the event, captures, the line.
    pub fn lines_like<'v>(
        &'v self,
        forms: &'v [crate::at::LineTemplate],
    ) -> impl Iterator<Item = (usize, Captures, &'v [u8])> {
        self.lines()
            .filter_map(|(at, line)| forms.iter().find_map(|f| f.read(line)).map(|found| (at, found, line)))
    }

    /// All lines printed in the case.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.steps.iter().flat_map(|step| &step.serial).filter_map(|s| match s {
            Serial::Printed { at, item: Item::Line(line), .. } => Some((*at, line.as_slice())),
            _ => None,
        })
    }

    /// Everything printed in the case, as one stream; the offsets of the serial items count in it.
    pub fn printed(&self) -> Vec<u8> {
        let bytes = self.timeline.events.iter().filter_map(|event| match &event.what {
            What::Received { bytes } => Some(bytes.as_slice()),
            _ => None,
        });
        bytes.flatten().copied().collect()
    }

    /// The step in which an event lies.
    pub fn step_at(&self, event: usize) -> Option<&StepView> {
        self.steps.iter().find(|s| (s.begin..s.end).contains(&event))
    }

    /// The step driven for this index of the case.
    pub fn step(&self, index: usize) -> Option<&StepView> {
        self.steps.iter().find(|s| s.index == index)
    }

    /// Time of an event in µs.
    pub fn time_us(&self, event: usize) -> u64 {
        self.timeline.events.get(event).map_or(0, |e| e.at_us)
    }

    /// Time of an event for people: `6.204 s`.
    pub fn time(&self, event: usize) -> String {
        format!("{:.3} s", std::time::Duration::from_micros(self.time_us(event)).as_secs_f64())
    }

    fn see_serial(&mut self, reading: &impl Fn(usize) -> bool) {
        let profile = self.profile;
        let mut reader = Reader::new(&profile.message);
        let mut clearing_up = false;
        for (at, event) in self.timeline.events.iter().enumerate() {
            match &event.what {
                What::Step { index, .. } => {
                    self.end_step(at);
                    self.steps.push(StepView::new(*index, at));
                    reader.dialogue_over();
                }
                What::StepDone { .. } => {
                    if let Some(step) = self.steps.last_mut() {
                        step.done = true;
                    }
                }
                What::Teardown => {
                    self.end_step(at);
                    clearing_up = true;
                }
                What::Sent { purpose, .. } if clearing_up && *purpose != Purpose::Probe => break,
                What::Sent { purpose, bytes } => {
                    match purpose {
                        Purpose::Data => reader.data_sent(bytes),
                        Purpose::Command | Purpose::Probe => {
                            reader.command_sent(bytes, prompt_of(profile, bytes));
                        }
                        Purpose::Recovery => reader.dialogue_over(),
                    }
                    let sent = Serial::Sent { at, purpose: *purpose, bytes: bytes.clone() };
                    if let Some(step) = self.steps.last_mut().filter(|_| !clearing_up) {
                        step.serial.push(sent);
                    }
                }
                What::Received { bytes } => {
                    reader.push(bytes);
                    while let Some(read) = reader.next_item() {
                        self.see_message(at, &read.item, reading);
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
        self.unfinished =
            reader.unfinished_message().map(|(head, _)| (head.to_vec(), reader.pending().to_vec()));
        let end = self.timeline.events.iter().position(|e| e.what == What::Teardown);
        self.end_step(end.unwrap_or(self.timeline.events.len()));
    }

    /// Messages in whatever form they are printed.
    fn see_formless(&mut self) {
        let told = formless(&self.timeline.events).into_iter().map(|told| Message {
            at: told.at,
            topic: told.topic,
            payload: told.payload,
            excess: Vec::new(),
            cached: false,
            head: Vec::new(),
            exact: true,
        });
        self.messages = told.collect();
    }

    /// A connection that never spoke is the module's only if it was opened while the module was told to open one.
    fn forget_silent_others(&mut self, case: &Case) {
        let Self { connections, packets, steps, .. } = self;
        for connection in connections.iter_mut() {
            let own = |p: &WirePacket| p.conn == connection.conn && p.from == Side::Module;
            connection.spoke = packets.iter().any(own);
        }
        let opening = |at: usize| {
            let step = steps.iter().find(|s| (s.begin..s.end).contains(&at));
            let op = step.and_then(|s| case.steps.get(s.index)).and_then(Step::op);
            op.is_some_and(|op| matches!(op.step.as_str(), "open" | "connect"))
        };
        connections.retain(|c| c.spoke || opening(c.opened));
    }

    fn end_step(&mut self, at: usize) {
        if let Some(step) = self.steps.last_mut() {
            step.end = step.end.min(at);
        }
    }

    fn see_message(&mut self, at: usize, item: &Item, reading: &impl Fn(usize) -> bool) {
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
                    cached: !direct || self.steps.last().is_some_and(|s| reading(s.index)),
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

    fn see_wire(&mut self) {
        let strangers: Vec<u32> = self
            .timeline
            .events
            .iter()
            .filter_map(|e| match e.what {
                What::Stranger { conn, .. } => Some(conn),
                _ => None,
            })
            .collect();
        self.strangers = strangers.len();
        let mut framers: BTreeMap<(u32, Side), Framer> = BTreeMap::new();
        for (at, event) in self.timeline.events.iter().enumerate() {
            let (conn, from, bytes) = match &event.what {
                What::Teardown => break,
                What::Opened { conn, .. } if !strangers.contains(conn) => {
                    let (conn, closed, rest) = (*conn, Vec::new(), Vec::new());
                    self.connections.push(Connection {
                        conn,
                        opened: at,
                        spoke: false,
                        closed,
                        rest,
                        broken: None,
                    });
                    continue;
                }
                What::Closed { conn, by, how } => {
                    let known = self.connections.iter_mut().find(|c| c.conn == *conn);
                    if let Some(connection) = known {
                        connection.closed.push((at, *by, *how));
                    }
                    continue;
                }
                What::FromModule { conn, bytes } => (*conn, Side::Module, bytes),
                What::ToModule { conn, bytes } => (*conn, Side::Broker, bytes),
                _ => continue,
            };
            let Some(connection) = self.connections.iter_mut().find(|c| c.conn == conn) else { continue };
            let framer = framers.entry((conn, from)).or_insert_with(|| Framer::new(MAX_PACKET));
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
}

impl StepView {
    fn new(index: usize, begin: usize) -> Self {
        Self {
            index,
            begin,
            end: usize::MAX,
            done: false,
            serial: Vec::new(),
            dialogues: Vec::new(),
            probes: Vec::new(),
            silences: Vec::new(),
        }
    }

    /// What the step's last command came to.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.dialogues.last().map(|told| &told.outcome)
    }

    /// Whether every command of the step claimed success.
    pub fn claimed(&self) -> bool {
        !self.dialogues.is_empty() && self.dialogues.iter().all(|told| told.outcome.claimed())
    }
}

/// Whether a step takes messages out of the module's cache.
fn is_reading(case: &Case, index: usize) -> bool {
    case.steps.get(index).and_then(Step::op).is_some_and(|op| op.step.starts_with("read-message"))
}

/// Runs the dialogues of a step over what was sent and printed in it.
fn hear(view: &mut StepView, step: Option<&Step>, profile: &Profile) {
    let op = step.and_then(Step::op);
    let spoken = op.and_then(|op| op.exchanges(profile).ok()).unwrap_or_default();
    let qos = op.map_or(Some(0), crate::case::Op::qos);
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
