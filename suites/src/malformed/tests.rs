//! The file against the strict decoder: every packet breaks what its line says, and nothing else.

use std::collections::BTreeSet;

use atspec_model::{
    mqtt::{Frame, Framer, Level, decode},
    profile::Profile,
    timeline::Bindings,
};

use super::{lines::Breaks, *};

/// The packet identifier that stands in for that of a request.
const ID: u16 = 0x0102;

fn parsed() -> Vec<Line> {
    lines::read(FILE).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")))
}

/// The packet as it is sent, with the PUBLISH behind it; the length of the packet itself.
fn on_the_wire(line: &Line) -> (Vec<u8>, usize) {
    let mut bytes = sent(&line.packet, "at/topic/behind");
    for place in &bytes.ids {
        bytes.raw[*place..place + 2].copy_from_slice(&ID.to_be_bytes());
    }
    (bytes.raw, line.packet.raw.len())
}

/// What a strict reader makes of a packet.
#[derive(Debug, Default)]
struct Opinion {
    /// What is broken up to the first broken packet, behind which nothing can be said.
    broken: BTreeSet<String>,
    /// Whether the PUBLISH behind it comes out whole.
    in_step: bool,
}

fn opinion(line: &Line) -> Opinion {
    let (raw, length) = on_the_wire(line);
    let mut framer = Framer::new(64 * 1024);
    framer.push(&raw);
    let mut opinion = Opinion::default();
    let mut at = 0;
    while let Some(frame) = framer.next_frame() {
        let bytes = match frame {
            Frame::Packet(bytes) => bytes,
            // That it is too long for this reader is no fault of the packet.
            Frame::Broken { why, .. } if why.contains("the limit is") => return opinion,
            Frame::Broken { raw, .. } => raw,
        };
        if at >= length {
            opinion.in_step = at == length && bytes == raw[length..];
            return opinion;
        }
        at += bytes.len();
        let violations = decode(&bytes).violations;
        let worse = violations.iter().filter(|v| v.level > Level::Info);
        opinion.broken.extend(worse.map(|v| v.clause.to_owned()));
        if violations.iter().any(|v| v.level == Level::Must) {
            return opinion;
        }
    }
    opinion
}

#[test]
fn every_packet_breaks_what_its_line_says() {
    let mut wrong = Vec::new();
    for line in parsed() {
        let seen = opinion(&line);
        let whole = seen.broken.is_empty() && seen.in_step;
        let right = match &line.breaks {
            Breaks::Nothing | Breaks::Place => whole,
            Breaks::Unfinished => seen.broken.is_empty() && !seen.in_step,
            Breaks::Clauses(clauses) => seen.broken == clauses.iter().cloned().collect(),
        };
        if !right {
            wrong.push(format!("{}: {:?}, and the decoder says {seen:?}", line.name, line.breaks));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A reaction never asks for more than the packet gives reason for.
#[test]
fn reactions_fit_what_is_broken() {
    for line in parsed() {
        let legal = line.breaks == Breaks::Nothing;
        match line.reaction {
            Reaction::Close => {
                let must = opinion(&line).broken.iter().any(|clause| clause != "MQTT-2.2.3")
                    || line.name.contains("-5-bytes")
                    || line.name.contains("endless");
                assert!(must || line.breaks == Breaks::Place, "{}: close, and nothing is broken", line.name);
                assert!(!line.may_succeed, "{}", line.name);
            }
            Reaction::Stay => assert!(legal, "{}: stay, and it is broken", line.name),
            Reaction::ShouldClose => assert!(!line.statements.is_empty(), "{}", line.name),
            Reaction::Either => assert!(line.statements.is_empty(), "{}", line.name),
        }
        let numbered = line.statements.iter().all(|id| id.matches(['.', '-']).count() >= 4);
        assert!(numbered, "{}: only numbered statements ask for a reaction", line.name);
        let answers = line.place.instead_of().is_some();
        assert!(answers || !line.may_succeed, "{}: no request, no success", line.name);
    }
}

#[test]
fn nobody_uses_the_identifier_of_the_publish_behind() {
    for line in parsed() {
        let (raw, length) = on_the_wire(&line);
        let used = raw[..length].windows(2).any(|two| two == BEHIND.to_be_bytes());
        assert!(!used, "{}", line.name);
    }
}

/// Every type that a server can send with every wrong nibble of flags, every type that it never may, and both that are reserved.
#[test]
fn the_file_is_complete() {
    let lines = parsed();
    assert!(lines.len() >= 250, "{}", lines.len());
    let close: BTreeSet<u8> =
        lines.iter().filter(|line| line.reaction == Reaction::Close).map(|line| line.packet.raw[0]).collect();
    for kind in [2, 4, 5, 6, 7, 9, 11, 13] {
        let right = if kind == 6 { 2 } else { 0 };
        let missing: Vec<u8> = (0..16).filter(|f| *f != right && !close.contains(&(kind << 4 | f))).collect();
        assert!(missing.is_empty(), "type {kind}, flags {missing:?}");
    }
    for kind in [0, 1, 8, 10, 12, 14, 15] {
        assert!(close.iter().any(|first| first >> 4 == kind), "type {kind}");
    }
    for flags in [0x36, 0x37, 0x3e, 0x3f] {
        assert!(close.contains(&flags), "PUBLISH {flags:02x}");
    }
    assert!(lines.iter().any(|line| line.packet.raw[0] == 0x38), "DUP at QoS 0");
}

/// Names become case ids: what stands in the file has to stay in it.
#[test]
fn names_are_stable() {
    let names: Vec<String> = parsed()
        .iter()
        .map(|line| {
            let success = if line.may_succeed { " or-success" } else { "" };
            format!("{} {:?}{success}", line.name, line.reaction)
        })
        .collect();
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn one_case_alone_is_the_same_as_among_all() {
    let profile = Profile::load(include_str!("../../../fixtures/profiles/air780e.toml")).unwrap();
    let bindings = Bindings::default();
    let cx = Context { profile: &profile, bindings: &bindings };
    let (all, catalogue) = (crate::cases(&cx), crate::Catalogue::new(&profile));
    for id in ["malformed/puback-flags-0001", "malformed/suback-code-03", "publish/qos1"] {
        let among = all.iter().find(|case| case.id == id).map(|case| format!("{case:?}"));
        assert_eq!(catalogue.case(&cx, id).map(|case| format!("{case:?}")), among, "{id}");
    }
    assert!(catalogue.case(&cx, "malformed/no-such").is_none());
}

#[test]
fn a_person_reads_what_is_asked_and_seen() {
    let asks: Vec<String> = parsed()
        .iter()
        .filter(|line| {
            matches!(
                line.name.as_str(),
                "publish-qos3" | "connack-plain" | "suback-code-03" | "unknown-puback"
            )
        })
        .map(|line| format!("{}\n  {:?}", line.asks(), line.expects()))
        .collect();
    insta::assert_snapshot!(asks.join("\n"));
}
