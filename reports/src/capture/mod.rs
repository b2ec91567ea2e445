//! A recording as a capture file (pcapng) that Wireshark and tshark open: both sides of the module on one time axis.
//!
//! Three interfaces, all of link type "Wireshark upper PDU", in which every frame names its dissector:
//!
//! - `mqtt`: the module's connections, TLS already taken off, **one whole control packet a frame**. Addresses and ports
//!   are those of the connection, so that conversations stay apart. What is no whole packet is there as well: a packet that
//!   was cut short at the close as MQTT, bytes that cannot be framed as plain data.
//! - `serial`: a frame for each command or data the bench wrote (`Sent AT Command: …`) and for each line, prompt or
//!   message the module printed (`Rcvd AT Command: …`), by Wireshark's dissector `at`.
//! - `bench`: steps, connections, what the broker side did on purpose, silences and the verdict, as log lines (`syslog`).
//!
//! Frames stand in the order of the events; put together, the frames of one stream are its bytes, none is lost. Comments
//! tell what is wrong: every rule that a packet breaks by itself, and at the offending frame what the judge says. Nothing
//! that is well has a comment, so that a commented frame is one to look at.

mod log;
mod pcapng;
mod pdu;
mod serial;
mod wire;

use std::{io, path::Path};

use atspec_model::{
    mqtt::{Level, Violation},
    profile::Profile,
    timeline::{Side, Timeline, What},
    verdict::{Judgement, Verdict},
};

pub use pcapng::{Interface, MAX_CAPTURED, Packet, Writer};
pub use pdu::Tags;

use crate::{atomic, safe::safe};
use log::Log;
use serial::{Printed, Serial};
use wire::{Seen, Wire};

/// How the name of the program begins that wrote a file of ours.
const PROGRAM: &str = "atspec ";

/// What a capture is made of.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// The recording itself.
    pub timeline: &'a Timeline,
    /// The profile it was made with: how the module prints messages and prompts.
    pub profile: &'a Profile,
    /// What the judge says of it, where it is known.
    pub judgement: Option<&'a Judgement>,
}

/// Writes the capture; returns the number of frames.
pub fn write(to: impl io::Write, recording: &Recording<'_>) -> io::Result<u64> {
    let marked = offending(recording);
    let program = format!("{PROGRAM}{}", env!("CARGO_PKG_VERSION"));
    let mut file = Writer::new(to, &program, &about(recording))?;
    let on = Interfaces::new(&mut file)?;
    let began = recording.timeline.header.began_us.unwrap_or(0);
    let mut number = 0_u64;
    each(recording, &mut |mut frame| {
        if marked == Some(number) {
            frame.comments.extend(recording.judgement.map(offence));
        }
        number += 1;
        put(&mut file, &on, began, &frame)
    })?;
    file.finish()
}

/// Writes the capture as a file, a whole one or none. Missing directories are made.
pub fn to_file(path: &Path, recording: &Recording<'_>) -> io::Result<u64> {
    atomic::write_with(path, |file| write(io::BufWriter::new(file), recording))
}

/// Whether a file that begins with these bytes, at least 64 of them, is a capture of ours.
pub fn is_ours(head: &[u8]) -> bool {
    pcapng::application(head).is_some_and(|program| program.starts_with(PROGRAM))
}

/// One frame before it is written.
#[derive(Debug)]
struct Frame {
    on: Lane,
    /// Index of the event that completed it.
    event: usize,
    at_us: u64,
    tags: Tags,
    data: Vec<u8>,
    /// Rules that the packet breaks.
    violations: Vec<Violation>,
    comments: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Lane {
    Mqtt,
    Serial,
    Bench,
}

struct Interfaces {
    mqtt: Interface,
    serial: Interface,
    bench: Interface,
}

impl Interfaces {
    fn new(file: &mut Writer<impl io::Write>) -> io::Result<Self> {
        Ok(Self {
            mqtt: file
                .interface("mqtt", "the module's connections, a control packet a frame, without TLS")?,
            serial: file
                .interface("serial", "the serial line; sent: to the module, received: printed by it")?,
            bench: file.interface("bench", "steps, connections, what the broker side did on purpose")?,
        })
    }

    fn of(&self, lane: Lane) -> Interface {
        match lane {
            Lane::Mqtt => self.mqtt,
            Lane::Serial => self.serial,
            Lane::Bench => self.bench,
        }
    }
}

/// Writes a frame, and in further ones what is longer than a frame may be.
fn put(file: &mut Writer<impl io::Write>, on: &Interfaces, began: u64, frame: &Frame) -> io::Result<()> {
    let at_us = began.saturating_add(frame.at_us);
    let head = frame.tags.to_bytes();
    let packet = Packet { at_us, head: &head, data: &frame.data, comments: &frame.comments };
    let mut from = file.packet(on.of(frame.on), &packet)?;
    let head = Tags { dissector: "data", protocol: Some("cont."), ..frame.tags }.to_bytes();
    while from < frame.data.len() {
        let to = frame.data.len().min(from + MAX_CAPTURED - head.len());
        let comments = [format!("bytes {from} to {} of the frame before", to - 1)];
        let data = &frame.data[from..to];
        from += file.packet(on.of(frame.on), &Packet { at_us, head: &head, data, comments: &comments })?;
    }
    Ok(())
}

/// The number of the frame that the judge's finding is about: the one that its event completed, or the last before it.
fn offending(recording: &Recording<'_>) -> Option<u64> {
    let judgement = recording.judgement?;
    let offence = judgement.offence?;
    let breaks = |f: &Frame| f.violations.iter().any(|v| judgement.clauses.iter().any(|c| c == v.clause));
    let (mut number, mut found, mut of, mut sure) = (0, None, None, false);
    let all: io::Result<()> = each(recording, &mut |frame| {
        if frame.event <= offence {
            sure &= of == Some(frame.event);
            if !sure {
                (found, of, sure) = (Some(number), Some(frame.event), breaks(&frame));
            }
        }
        number += 1;
        Ok(())
    });
    all.ok().and(found)
}

/// Tells every frame, in order.
fn each(recording: &Recording<'_>, tell: &mut dyn FnMut(Frame) -> io::Result<()>) -> io::Result<()> {
    let Recording { timeline, profile, .. } = *recording;
    let mut serial = Serial::new(profile);
    let mut wire = Wire::new(&timeline.header.bindings);
    let mut log = Log::default();
    let mut at = At { event: 0, at_us: 0 };
    tell(at.bench(&format!("case {} of {}", timeline.header.case, timeline.header.module), None))?;
    for (index, event) in timeline.events.iter().enumerate() {
        at = At { event: index, at_us: event.at_us };
        match &event.what {
            What::Step { .. } => serial.step(),
            What::Opened { conn, peer } => wire.opened(*conn, peer),
            What::Closed { conn, by, how } => {
                for (from, seen) in wire.closed(*conn, *by, *how) {
                    tell(at.wire(&wire, *conn, from, seen))?;
                }
            }
            What::Sent { purpose, bytes } => {
                serial.sent(*purpose, bytes);
                tell(at.serial(true, (bytes.clone(), Vec::new())))?;
            }
            What::Received { bytes } => {
                serial.received(bytes).into_iter().try_for_each(|printed| tell(at.serial(false, printed)))?;
            }
            What::FromModule { conn, bytes } => {
                let seen = wire.bytes(*conn, Side::Module, bytes);
                seen.into_iter().try_for_each(|seen| tell(at.wire(&wire, *conn, Side::Module, seen)))?;
            }
            What::ToModule { conn, bytes } => {
                let seen = wire.bytes(*conn, Side::Broker, bytes);
                seen.into_iter().try_for_each(|seen| tell(at.wire(&wire, *conn, Side::Broker, seen)))?;
            }
            _ => {}
        }
        if let Some((line, about)) = log.line(&event.what) {
            tell(at.bench(&line, about.map(|(conn, from)| wire.ends(conn, from))))?;
        }
    }
    for (conn, from, seen) in wire.rest() {
        tell(at.wire(&wire, conn, from, seen))?;
    }
    serial.rest().into_iter().try_for_each(|rest| tell(at.serial(false, rest)))?;
    recording.judgement.map_or(Ok(()), |judgement| tell(at.bench(&verdict(judgement), None)))
}

/// An event, for the frames it completes.
#[derive(Clone, Copy)]
struct At {
    event: usize,
    at_us: u64,
}

impl At {
    fn frame(self, on: Lane, tags: Tags, data: Vec<u8>) -> Frame {
        let Self { event, at_us } = self;
        Frame { on, event, at_us, tags, data, violations: Vec::new(), comments: Vec::new() }
    }

    fn serial(self, sent: bool, (bytes, comments): Printed) -> Frame {
        let tags = Tags { sent: Some(sent), ..Tags::new("at") };
        Frame { comments, ..self.frame(Lane::Serial, tags, bytes) }
    }

    fn wire(self, wire: &Wire<'_>, conn: u32, from: Side, seen: Seen) -> Frame {
        let plain = Tags { protocol: Some("no MQTT"), ..Tags::new("data") };
        let tags = if seen.mqtt { Tags::new("mqtt") } else { plain };
        let broken = seen.violations.iter().filter(|v| v.level > Level::Info).map(|v| broken(v, from));
        let comments = seen.odd.into_iter().chain(broken).collect();
        let frame = self.frame(Lane::Mqtt, Tags { ends: Some(wire.ends(conn, from)), ..tags }, seen.bytes);
        Frame { comments, violations: seen.violations, ..frame }
    }

    fn bench(self, line: &str, ends: Option<Ends>) -> Frame {
        self.frame(Lane::Bench, Tags { ends, ..Tags::new("syslog") }, log::bytes(line))
    }
}

type Ends = (std::net::SocketAddr, std::net::SocketAddr);

/// `MUST MQTT-3.3.1-2: DUP with QoS 0 (byte 0)`; what the broker side sends, the case makes it send.
fn broken(violation: &Violation, from: Side) -> String {
    let Violation { clause, level, offset, what } = violation;
    let by = if from == Side::Broker { "by the bench on purpose: " } else { "" };
    format!("{by}{level} {clause}: {} (byte {offset})", safe(what))
}

/// What the judge says, at the offending frame.
fn offence(judgement: &Judgement) -> String {
    let clauses = judgement.clauses.iter().fold(String::new(), |all, clause| format!("{all} {clause}"));
    format!(
        "{}{}: {}",
        judgement.verdict.to_string().to_uppercase(),
        safe(&clauses),
        safe(&judgement.message)
    )
}

fn verdict(judgement: &Judgement) -> String {
    match judgement.verdict {
        Verdict::Pass => "verdict: pass".to_owned(),
        other => format!("verdict: {other}: {}", judgement.message),
    }
}

/// What stands at the head of the file.
fn about(recording: &Recording<'_>) -> String {
    let header = &recording.timeline.header;
    let verdict = recording.judgement.map(verdict).unwrap_or_default();
    let about = format!("case {} of {}", safe(&header.case), safe(&header.module));
    let unknown = if header.began_us.is_none() { "times count from the beginning of the case" } else { "" };
    [about, safe(&verdict).into_owned(), unknown.to_owned()]
        .into_iter()
        .filter(|s| !s.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}
