//! A whole emulated run, and everything that must follow from its recordings alone.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod common;
mod dissector;

use std::{collections::BTreeMap, fs, path::PathBuf};

use atspec_model::{
    case::Context,
    judge::{Seen, judge, judge_from},
    run::Record,
    timeline::{Event, Timeline, What},
    verdict::Verdict,
};
use common::{records, run, stdout, temp};
use rstest::rstest;

/// A small generator, so that the cuts are the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides.max(1)).expect("small")).expect("small")
    }
}

#[rstest]
#[case("air780e")]
#[case("l506")]
#[case("bk7238")]
#[case("nt35e")]
#[case("air720")]
fn a_run_is_green_and_its_recordings_say_the_same_however_they_are_cut(#[case] module: &str) {
    let dir = temp();
    let out = dir.path().join("report");
    let output = run(&["run", "--module", module, "--out", &out.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let all = records(&out);
    let verdicts: BTreeMap<String, Verdict> = all
        .iter()
        .filter_map(|r| match r {
            // What was not driven has no recording.
            Record::Case(case) if case.verdict != Verdict::Skipped => Some((case.id.clone(), case.verdict)),
            _ => None,
        })
        .collect();
    assert!(verdicts.len() >= 45, "{} cases", verdicts.len());
    assert!(matches!(all.last(), Some(Record::End(end)) if !end.partial));
    assert!(fs::read_to_string(out.join("junit.xml")).expect("written").contains("<testsuites"));

    let profile = common::profile(module);
    let catalogue = atspec_suites::Catalogue::new(&profile);
    let mut files = Vec::new();
    for (id, verdict) in &verdicts {
        let file = out.join(format!("timelines/{module}/{id}.jsonl"));
        let timeline =
            Timeline::from_json_lines(&fs::read_to_string(&file).expect("written")).expect("readable");
        let context = Context { profile: &profile, bindings: &timeline.header.bindings };
        let case = catalogue.case(&context, id).expect("the same case");
        let judged = judge(&case, &profile, &timeline);
        assert_eq!(judged.verdict, *verdict, "{id} as recorded");
        // Looked at before up to the end of each step, as a campaign does with the opening of its session.
        let mut seen = Seen::new(&profile);
        let ends =
            timeline.events.iter().enumerate().filter(|(_, e)| matches!(e.what, What::StepDone { .. }));
        for (end, _) in ends {
            seen.follow(&case, &timeline.events[..=end]);
            let again = judge_from(seen.clone(), &case, &timeline);
            assert_eq!(again, judged, "{id}, whose first {end} events were looked at before");
        }
        for (how, events) in variants(&timeline) {
            let timeline = Timeline { events, ..timeline.clone() };
            let again = judge(&case, &profile, &timeline);
            assert_eq!(again.verdict, *verdict, "{id}, {how}: {}", again.message);
        }
        files.push(file);
    }
    judged_by_the_program(module, &files, &verdicts);
    seen_alike_by_wireshark(module, &files);
}

/// Every control packet of the run, both ways, is for our decoder what it is for Wireshark's dissector.
fn seen_alike_by_wireshark(module: &str, files: &[PathBuf]) {
    let (mut conversation, mut packets) = (0, Vec::new());
    for file in files {
        let text = fs::read_to_string(file).expect("written");
        let timeline = Timeline::from_json_lines(&text).expect("readable");
        packets.extend(dissector::packets(&timeline, &mut conversation));
    }
    assert!(packets.len() > 100, "{} packets", packets.len());
    if dissector::agree(&packets).is_none() {
        eprintln!(
            "skipped: tshark is not installed, so the packets of {module} are not compared with a dissector"
        );
    }
}

/// `atspec judge` says of every file what the run said.
fn judged_by_the_program(module: &str, files: &[PathBuf], verdicts: &BTreeMap<String, Verdict>) {
    let output = common::atspec().arg("judge").args(files).output().expect("the program starts");
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let passed = told.lines().filter(|line| line.starts_with(&format!("PASS {module} "))).count();
    assert_eq!(passed, verdicts.values().filter(|v| **v == Verdict::Pass).count(), "{told}");
}

/// The same observations, read in other pieces: single bytes, random pieces, neighbours glued.
fn variants(timeline: &Timeline) -> Vec<(&'static str, Vec<Event>)> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    vec![
        ("in single bytes", timeline.events.iter().flat_map(|e| cut(e, |_| 1)).collect()),
        (
            "in random pieces",
            timeline.events.iter().flat_map(|e| cut(e, |left| 1 + dice.throw(left.min(9)))).collect(),
        ),
        ("with neighbours glued", glue(&timeline.events)),
    ]
}

fn cut(event: &Event, mut piece: impl FnMut(usize) -> usize) -> Vec<Event> {
    let Some(bytes) = bytes_of(&event.what) else { return vec![event.clone()] };
    let mut pieces = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(piece(rest.len()).min(rest.len()));
        pieces.push(Event { at_us: event.at_us, what: with_bytes(&event.what, head.to_vec()) });
        rest = tail;
    }
    pieces
}

/// What came so many µs after its neighbour may have been read with it.
const TOGETHER_US: u64 = 10_000;

fn glue(events: &[Event]) -> Vec<Event> {
    let mut glued: Vec<Event> = Vec::new();
    for event in events {
        if let (Some(last), Some(bytes)) = (glued.last_mut(), bytes_of(&event.what))
            && event.at_us - last.at_us <= TOGETHER_US
            && let Some(mut before) = bytes_of(&last.what).filter(|_| same_stream(&last.what, &event.what))
        {
            before.extend(bytes);
            last.what = with_bytes(&last.what, before);
            continue;
        }
        glued.push(event.clone());
    }
    glued
}

fn bytes_of(what: &What) -> Option<Vec<u8>> {
    match what {
        What::Received { bytes } | What::FromModule { bytes, .. } | What::ToModule { bytes, .. } => {
            Some(bytes.clone())
        }
        _ => None,
    }
}

fn with_bytes(what: &What, bytes: Vec<u8>) -> What {
    match what {
        What::FromModule { conn, .. } => What::FromModule { conn: *conn, bytes },
        What::ToModule { conn, .. } => What::ToModule { conn: *conn, bytes },
        _ => What::Received { bytes },
    }
}

fn same_stream(a: &What, b: &What) -> bool {
    match (a, b) {
        (What::Received { .. }, What::Received { .. }) => true,
        (What::FromModule { conn: a, .. }, What::FromModule { conn: b, .. })
        | (What::ToModule { conn: a, .. }, What::ToModule { conn: b, .. }) => a == b,
        _ => false,
    }
}
