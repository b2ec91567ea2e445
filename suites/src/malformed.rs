//! Broken packets from the broker: what a module does with each of those in `malformed.txt`.
//!
//! Behind each goes a PUBLISH of QoS 1, in the same segment. A module must acknowledge it whatever it thinks of its topic
//! (MQTT-4.5.0-2), so it tells "closed, as it must" from "still there". No case waits for silence: whichever comes first decides.

mod bytes;
mod lines;

use std::sync::OnceLock;

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::{View, WirePacket},
    mqtt::{Body, PacketType, Publish, Text, encode},
    partner::{Action, Command, Rule},
    profile::Known,
    text,
    timeline::{Alteration, Side, What},
};

use crate::words::*;
use bytes::Bytes;
use lines::{Line, Place, Reaction};

/// How the ids of these cases begin.
pub(crate) const SUITE: &str = "malformed/";

const FILE: &str = include_str!("../malformed.txt");

/// The packet identifier of the PUBLISH behind each packet; no line has it.
const BEHIND: u16 = 31_000;

/// One case for each line of the file.
pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    all().iter().map(|line| built(cx, line)).collect()
}

/// The case of one line.
pub(crate) fn case(cx: &Context<'_>, name: &str) -> Option<Case> {
    all().iter().find(|line| line.name == name).map(|line| built(cx, line))
}

/// Read at first use. A test sees to it that the file has no mistake.
fn all() -> &'static [Line] {
    static LINES: OnceLock<Vec<Line>> = OnceLock::new();
    LINES.get_or_init(|| lines::read(FILE).unwrap_or_default())
}

fn built(cx: &Context<'_>, line: &Line) -> Case {
    let cites: Vec<&str> = line.statements.iter().map(String::as_str).collect();
    let steps = line.place.steps(cx, line, sent(&line.packet, &topic(cx, "behind")));
    let decided = Await::ClosedOrAcknowledged(BEHIND);
    let wait = if line.reaction == Reaction::Either { Step::Pause(decided) } else { Wait(decided) };
    crate::words::case(&format!("{SUITE}{}", line.name), &line.asks(), &cites)
        .steps(then(steps, [wait, Probe]))
        .expect(line.expects())
        .unless(line.place.missing(cx))
}

/// The packet with the PUBLISH behind it.
fn sent(packet: &Bytes, topic: &str) -> Bytes {
    let behind = Publish {
        dup: false,
        qos: 1,
        retain: false,
        topic: Text::from(topic),
        id: Some(BEHIND),
        payload: b"still there?".to_vec(),
    };
    let raw = [packet.raw.as_slice(), &encode(&Body::Publish(behind))].concat();
    Bytes { raw, ids: packet.ids.clone() }
}

impl Place {
    /// The answer that the packet stands for; none where it is sent unasked.
    fn instead_of(self) -> Option<PacketType> {
        match self {
            Self::Connected => None,
            Self::Connecting => Some(PacketType::ConnAck),
            Self::Subscribing => Some(PacketType::SubAck),
            Self::Unsubscribing => Some(PacketType::UnsubAck),
            Self::PublishingQos1 => Some(PacketType::PubAck),
            Self::PublishingQos2 => Some(PacketType::PubRec),
            Self::Releasing => Some(PacketType::PubComp),
        }
    }

    fn steps(self, cx: &Context<'_>, line: &Line, bytes: Bytes) -> Vec<Step> {
        let Some(kind) = self.instead_of() else {
            return then(connected(cx), [Broker(Command::Inject(bytes.raw))]);
        };
        let t = topic(cx, "t");
        let (mut steps, op) = match self {
            Self::Connecting => (opened(cx), session(cx).connect()),
            Self::Subscribing => (connected(cx), subscribe(&t, 1)),
            Self::Unsubscribing => (subscribed(cx, &t, 1), unsubscribe(&t)),
            Self::PublishingQos1 => (connected(cx), send(cx, &t, 1, "x")),
            Self::Connected | Self::PublishingQos2 | Self::Releasing => (connected(cx), send(cx, &t, 2, "x")),
        };
        let answer = Action::Answer { bytes: bytes.raw, ids: bytes.ids };
        steps.push(Broker(Command::Rule(Rule::to_module(kind, answer).once())));
        if !line.may_succeed {
            // A module may ask again on the same connection; a right answer would let it succeed.
            steps.push(Broker(Command::Rule(Rule::to_module(kind, Action::Withhold))));
        }
        let seen = Await::ClosedOrAcknowledged(BEHIND);
        steps.push(Step::Spoilt { op, seen, may_succeed: line.may_succeed });
        steps
    }

    /// Why the packet cannot be sent there: a command that the document does not describe may send anything, or nothing.
    fn missing(self, cx: &Context<'_>) -> Option<String> {
        let step = match self {
            Self::Unsubscribing => "unsubscribe",
            Self::Subscribing => "subscribe",
            _ => return None,
        };
        let vague =
            cx.profile.steps.get(step)?.exchanges.iter().any(|exchange| exchange.known == Known::Family);
        vague.then(|| format!("the document of {} does not describe `{step}`", cx.profile.name))
    }
}

impl Line {
    fn asks(&self) -> String {
        let does = match self.reaction {
            Reaction::Close => "the module closes the connection",
            Reaction::ShouldClose => "the module should close the connection",
            Reaction::Stay => "the connection goes on",
            Reaction::Either => "whether the connection goes on is open",
        };
        let instead = self.place.instead_of().map_or(String::new(), |kind| format!(", instead of {kind}"));
        format!("{}{instead}: {does}, and the port answers", self.why)
    }

    /// What must be seen on the connection.
    fn expects(&self) -> Option<Expect> {
        let expect = match self.reaction {
            Reaction::Close | Reaction::ShouldClose => self.expect("the connection closed", Seen::closed),
            Reaction::Stay => self.expect("the PUBLISH sent behind it acknowledged", Seen::went_on),
            Reaction::Either => return None,
        };
        Some(if self.reaction == Reaction::ShouldClose { expect.should() } else { expect })
    }

    fn expect(&self, what: &str, check: fn(&Seen, &str) -> Result<(), Unmet>) -> Expect {
        let (packet, kind) = (text::dump(&self.packet.raw, 32), self.place.instead_of());
        let statements: Vec<String> = self.statements.clone();
        let cited =
            if statements.is_empty() { String::new() } else { format!("{}: ", statements.join(", ")) };
        Expect::new(format!("{what} ({cited}{})", self.why), move |view| match Seen::new(view) {
            Some(seen) => check(&seen, &packet),
            None => Err(Unmet::not_provoked(match kind {
                Some(kind) => format!("nothing came that {kind} answers"),
                None => "the packet could not be sent".to_owned(),
            })),
        })
    }
}

/// What came of a packet on its connection.
struct Seen {
    /// The event that sent it.
    sent: usize,
    /// PUBACK for the PUBLISH behind it.
    acknowledged: Option<usize>,
    /// The end of the connection, if it was the module that ended it.
    closed: Option<usize>,
    /// Anything else that the module sent after it.
    said: Option<(usize, String)>,
}

impl Seen {
    /// `None` where the packet was not sent.
    fn new(view: &View<'_>) -> Option<Self> {
        let put = |what: &What| {
            matches!(what, What::Altered { action: Alteration::Injected | Alteration::Replaced, .. })
        };
        let sent = view.timeline.events.iter().position(|event| put(&event.what))?;
        let after = |p: &&WirePacket| p.from == Side::Module && p.at > sent;
        let is_puback =
            |p: &&WirePacket| p.packet.kind == PacketType::PubAck && p.packet.id() == Some(BEHIND);
        let ends = view.connections.iter().filter_map(|c| c.closed.first());
        Some(Self {
            sent,
            acknowledged: view.packets.iter().filter(after).find(is_puback).map(|p| p.at),
            closed: ends.filter(|(at, by, _)| *by == Side::Module && *at > sent).map(|(at, ..)| *at).next(),
            said: view.packets.iter().find(after).map(|p| (p.at, p.packet.to_string())),
        })
    }

    fn closed(&self, packet: &str) -> Result<(), Unmet> {
        if let Some(at) = self.acknowledged {
            return Err(Unmet::at(
                format!("still there: it acknowledged the PUBLISH sent behind {packet}"),
                at,
            ));
        }
        match (&self.closed, &self.said) {
            (Some(_), _) => Ok(()),
            (None, Some((at, said))) => Err(Unmet::at(format!("still there: {said} after {packet}"), *at)),
            (None, None) => Err(self.silent(packet)),
        }
    }

    fn went_on(&self, packet: &str) -> Result<(), Unmet> {
        match (self.acknowledged, self.closed) {
            (Some(_), _) => Ok(()),
            (None, Some(at)) => Err(Unmet::at(format!("the module closed the connection on {packet}"), at)),
            (None, None) => Err(self.silent(packet)),
        }
    }

    /// It did neither.
    fn silent(&self, packet: &str) -> Unmet {
        let observed = format!(
            "neither closed nor acknowledged: nothing came after {packet} and the PUBLISH sent behind it"
        );
        Unmet::at(observed, self.sent)
    }
}

#[cfg(test)]
mod tests;
