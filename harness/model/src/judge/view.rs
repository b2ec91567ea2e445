//! Views of a timeline: steps with what was printed in them, connections, control packets, messages.
//!
//! Views are computed from the bytes. Every seen thing carries the index of the event that completed it, so that the order of
//! serial line and wire is that of the recording.

use super::Seen;
use crate::{
    at::{Captures, Heard, Item, Outcome, Owed, Stage},
    case::{Case, Fit, Step},
    mqtt::{Packet, PacketType},
    profile::{First, Known, Profile},
    timeline::{Close, Header, Purpose, Side, Timeline, What},
};

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
#[derive(Debug, Clone)]
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
    pub owed: Vec<Owed>,
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
        Seen::new(profile).into_view(case, timeline)
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

    /// A connection that never spoke is the module's only if it was opened while the module was told to open one.
    pub(super) fn forget_silent_others(&mut self, case: &Case) {
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
}

impl StepView {
    pub(super) fn new(index: usize, begin: usize) -> Self {
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
