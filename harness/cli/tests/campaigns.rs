//! Campaigns find seeded faults, make them small, and find nothing where there is none.

mod common;

use std::{fs, path::Path};

use atspec_model::{
    run::{CaseRecord, Record},
    verdict::Verdict,
};
use atspec_suites::campaign::{
    FUZZ,
    action::{Action, Input, Publication, Reception},
    finding,
};
use common::{atspec, records, stdout, temp};
use rstest::rstest;

/// The record of one campaign over an emulated module with a defect, and the inputs of its findings.
fn run(module: &str, defect: &str, campaign: &str, more: &[&str]) -> (CaseRecord, Vec<Input>) {
    let dir = temp();
    let out = dir.path().join("report");
    let port = if defect.is_empty() { "emulated".to_owned() } else { format!("emulated:{defect}") };
    let output = atspec()
        .args(["run", "--module", module, "--port", &port, "--only", campaign, "--out"])
        .arg(&out)
        .args(more)
        .output()
        .expect("the program starts");
    let case = |record| if let Record::Case(case) = record { Some(case) } else { None };
    let found = records(&out).into_iter().find_map(case);
    let record = found.unwrap_or_else(|| panic!("no case: {}", stdout(&output)));
    (record, findings(&out))
}

fn findings(out: &Path) -> Vec<Input> {
    let Ok(entries) = fs::read_dir(out.join("findings")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|e| e == "at"));
    let read = |path: &Path| finding::read(&fs::read_to_string(path).expect("readable")).expect("a finding");
    texts.map(|path| read(&path).input).collect()
}

/// The longest payload of an input.
fn payload(input: &Input) -> usize {
    let of = |action: &Action| match action {
        Action::Publish(Publication { payload, .. }) | Action::Receive(Reception { payload, .. }) => {
            payload.0.len()
        }
        _ => 0,
    };
    input.actions.iter().map(of).max().unwrap_or(0)
}

/// Each seeded fault is found, and shrunk to at most two bytes of payload, or to exactly the limit.
#[rstest]
#[case("air780e", "escape-unread=34", "fuzz/payload", 2)]
#[case("air780e", "escapes-lowercase", "fuzz/payload", 2)]
#[case("air780e", "data-cut-at-nul", "fuzz/payload", 2)]
#[case("air780e", "data-ends=26", "fuzz/payload", 2)]
#[case("air780e", "comma-splits", "fuzz/payload", 2)]
#[case("air780e", "data-seven-bit", "fuzz/payload", 2)]
#[case("air780e", "data-cr-lf", "fuzz/payload", 2)]
#[case("air780e", "data-max-lower=1", "fuzz/payload", 4100)]
#[case("air780e", "data-max-higher", "fuzz/payload", 4101)]
#[case("air780e", "publish-max-lower=1", "fuzz/payload", 2384)]
#[case("air780e", "length-one-byte", "fuzz/payload", 256)]
#[case("air780e", "length-two-bytes", "fuzz/payload", 2)]
#[case("air780e", "reboot-at-length=11", "fuzz/payload", 11)]
#[case("air780e", "doubled-every64", "fuzz/payload", 1001)]
#[case("air780e", "tail-of-before", "fuzz/received", 2)]
#[case("bk7238", "tail-of-before", "fuzz/received", 2)]
#[case("bk7238", "command-max-lower=1", "fuzz/payload", 231)]
#[case("bk7238", "quote-after-backslash", "fuzz/payload", 2)]
#[case("l506", "length-one-byte", "fuzz/payload", 256)]
#[case("nt35e", "doubled-every64", "fuzz/payload", 1001)]
#[case("air780e", "quote-after-backslash", "fuzz/payload", 2)]
#[case("air780e", "topic-length-multiple=4", "fuzz/topic", 1)]
#[case("air780e", "one-in-twenty", "fuzz/payload", 1)]
fn a_seeded_fault_is_found_and_made_small(
    #[case] module: &str,
    #[case] defect: &str,
    #[case] campaign: &str,
    #[case] exactly: usize,
) {
    let (record, inputs) = run(module, defect, campaign, &[]);
    let told = format!("{defect}: {} {}\n{:#?}\n{inputs:?}", record.verdict, record.message, record.notes);
    assert!(matches!(record.verdict, Verdict::Fail | Verdict::Warning), "{told}");
    let small = |input: &Input| payload(input) == exactly || exactly <= 2 && payload(input) <= 2;
    assert!(inputs.iter().any(small), "{told}");
    assert!(!record.message.contains("fails 0 of"), "{told}");
}

/// What is wrong with data that do not fit their length is found, on each module that asks for a length.
#[rstest]
#[case("bk7238", "data-short-sent", Verdict::Fail)]
#[case("l506", "data-short-sent", Verdict::Warning)]
#[case("air780e", "data-short-sent", Verdict::Warning)]
#[case("bk7238", "data-surplus-sent", Verdict::Fail)]
#[case("l506", "data-surplus-sent", Verdict::Warning)]
#[case("air780e", "data-short-hangs", Verdict::Fail)]
#[case("l506", "data-surplus-hangs", Verdict::Fail)]
fn data_that_do_not_fit_are_found_out(#[case] module: &str, #[case] defect: &str, #[case] verdict: Verdict) {
    let (record, inputs) = run(module, defect, "fuzz/data", &["--fuzz-cases", "0"]);
    assert_eq!(record.verdict, verdict, "{} {:#?}", record.message, record.notes);
    assert!(!inputs.is_empty(), "{:#?}", record.notes);
}

/// What no document says of such data is told: whether the module gives up, when, and what becomes of what is too much.
#[test]
fn what_becomes_of_data_that_do_not_fit_is_told() {
    let told = |defect: &str| run("air780e", defect, "fuzz/data", &["--fuzz-cases", "0"]).0;
    let faithful = told("");
    assert_eq!(faithful.verdict, Verdict::Pass, "{} {:#?}", faithful.message, faithful.notes);
    let says = |record: &CaseRecord, what: &str| record.notes.iter().any(|note| note.contains(what));
    assert!(says(&faithful, "too few data: it gives up by itself with `ERROR`"), "{:#?}", faithful.notes);
    assert!(says(&faithful, "s of the document's clock"), "{:#?}", faithful.notes);
    assert!(says(&faithful, "the rest is carried out as a command"), "{:#?}", faithful.notes);
    let patient = told("data-for-ever");
    assert!(says(&patient, "takes the next command for data"), "{:#?}", patient.notes);
}

/// Commands in an order that the module's state does not allow, found and shrunk to those that it takes.
#[rstest]
#[case("air780e", "connect-too-early", 1)]
#[case("air780e", "publish-too-early", 2)]
#[case("air780e", "subscribe-too-early", 2)]
#[case("air780e", "close-nothing", 2)]
#[case("bk7238", "publish-too-early", 1)]
#[case("l506", "close-nothing", 2)]
fn a_wrong_state_is_found_with_the_fewest_commands(
    #[case] module: &str,
    #[case] defect: &str,
    #[case] most: usize,
) {
    let (record, inputs) = run(module, defect, "fuzz/states", &["--fuzz-cases", "30"]);
    assert_eq!(record.verdict, Verdict::Fail, "{} {:#?}", record.message, record.notes);
    assert!(inputs.iter().any(|input| input.actions.len() <= most), "{inputs:?}");
}

/// The same seed makes the same inputs in the same order on the same module; another seed makes others.
#[test]
fn a_seed_makes_the_inputs() {
    let inputs = |seed: &str, campaign: &str| {
        let (record, _) = run("air780e", "", campaign, &["--seed", seed, "--fuzz-cases", "40"]);
        let note = record.notes.iter().find_map(|note| note.split(", inputs ").nth(1).map(str::to_owned));
        note.unwrap_or_else(|| panic!("no fingerprint: {record:?}"))
    };
    for (campaign, ..) in FUZZ {
        let first = inputs("7", campaign);
        assert_eq!(first, inputs("7", campaign), "{campaign}");
        assert_ne!(first, inputs("8", campaign), "{campaign}");
    }
}

/// An earlier finding that fails no more is told, with what to do about it.
#[test]
fn an_earlier_finding_that_is_mended_is_told() {
    let dir = temp();
    let out = dir.path().join("report");
    let run = |port: &str| {
        let mut command = atspec();
        command.args(["run", "--module", "air780e", "--only", "fuzz/payload", "--fuzz-cases", "0"]);
        let output = command.args(["--port", port, "--out"]).arg(&out).output().expect("the program starts");
        let case = |record| if let Record::Case(case) = record { Some(case) } else { None };
        let record = records(&out).into_iter().find_map(case);
        record.unwrap_or_else(|| panic!("no case: {}", stdout(&output)))
    };
    assert_eq!(run("emulated:comma-splits").verdict, Verdict::Fail);
    let mended = run("emulated");
    assert_eq!(mended.verdict, Verdict::Pass, "{:?}", mended.notes);
    let told = |note: &&String| note.contains("does not fail any more: delete the file");
    assert!(mended.notes.iter().any(|note| told(&note)), "{:?}", mended.notes);
}

/// One byte value altered, for each of thirty chosen ones.
#[test]
fn any_altered_byte_is_found() {
    let chosen: [u8; 30] = [
        0x00, 0x01, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0d, 0x11, 0x13, 0x1a, 0x1b, 0x20, 0x22, 0x25, 0x27, 0x2b,
        0x2c, 0x30, 0x3e, 0x41, 0x5c, 0x61, 0x7b, 0x7f, 0x80, 0x9f, 0xc3, 0xf0, 0xff,
    ];
    for byte in chosen {
        let (record, inputs) =
            run("air780e", &format!("byte-altered={byte}"), "fuzz/payload", &["--fuzz-cases", "0"]);
        assert_eq!(record.verdict, Verdict::Fail, "{byte:#04x}: {:?}", record.notes);
        assert!(inputs.iter().any(|input| payload(input) <= 2), "{byte:#04x}: {inputs:?}");
    }
}

/// A finding's file does the same again where the fault is, and nothing where it is not; its recording is judged alike.
#[test]
fn a_finding_is_done_again_and_judged_again() {
    let dir = temp();
    let out = dir.path().join("report");
    let run = |port: &str, out: &Path, more: &[&str]| {
        let mut command = atspec();
        command.args(["run", "--port", port, "--out"]).arg(out).args(more);
        command.output().expect("the program starts").status.code()
    };
    let payloads = ["--module", "air780e", "--only", "fuzz/payload", "--fuzz-cases", "0"];
    assert_eq!(run("emulated:comma-splits", &out, &payloads), Some(1));
    let files: Vec<_> =
        fs::read_dir(out.join("findings")).expect("findings").map(|e| e.expect("an entry").path()).collect();
    let file = files.iter().find(|path| path.extension().is_some_and(|e| e == "at")).expect("a finding");
    let text = fs::read_to_string(file).expect("readable");
    for line in ["# seed: 1", "# fails: 5 of 5 times", "AT+MPUB=\"a\",0,0,\",\"", "# module: air780e"] {
        assert!(text.lines().any(|other| other == line), "no `{line}` in:\n{text}");
    }
    let again = ["--replay", file.to_str().expect("a path of text")];
    assert_eq!(run("emulated:comma-splits", &dir.path().join("again"), &again), Some(1));
    assert_eq!(run("emulated", &dir.path().join("faithful"), &again), Some(0));
    let judged =
        atspec().arg("judge").arg(file.with_extension("jsonl")).output().expect("the program starts");
    assert_eq!(judged.status.code(), Some(1), "{judged:?}");
    assert!(stdout(&judged).contains("payload cut after 0 bytes"), "{judged:?}");
}

/// A former run's findings are tried first, in the directory that holds them.
#[test]
fn an_earlier_finding_is_tried_first() {
    let dir = temp();
    let out = dir.path().join("report");
    let folder = out.join("findings");
    fs::create_dir_all(&folder).expect("a directory");
    fs::create_dir_all(out.join("timelines")).expect("a directory");
    let input = r#"{"actions":[{"do":"publish","by":"publish","topic":"t","qos":1,"payload":"eleven"}]}"#;
    let text = format!("# module: air780e\n# campaign: fuzz/lines\n# input: {input}\n");
    fs::write(folder.join("earlier.at"), text).expect("written");
    let mut command = atspec();
    command.args([
        "run",
        "--module",
        "air780e",
        "--port",
        "emulated:reboot-at-length=6",
        "--only",
        "fuzz/lines",
    ]);
    let output = command.args(["--fuzz-cases", "0", "--out"]).arg(&out).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
}

/// A campaign in which nothing was taken has tested nothing, and says so.
#[test]
fn a_campaign_of_refusals_alone_warns() {
    let (record, _) = run("air780e", "", "fuzz/lines", &["--fuzz-cases", "2"]);
    assert_eq!(record.verdict, Verdict::Warning, "{record:?}");
    assert!(record.message.contains("nothing was tested"), "{}", record.message);
}

/// A faithful module passes every campaign, and the same seed gives the same inputs.
#[rstest]
#[case("air780e")]
#[case("air720")]
#[case("l506")]
#[case("bk7238")]
#[case("nt35e")]
fn nothing_is_found_where_nothing_is_wrong(#[case] module: &str) {
    let dir = temp();
    let out = dir.path().join("report");
    let output = atspec()
        .args([
            "run",
            "--module",
            module,
            "--fuzz-cases",
            "60",
            "--only",
            "fuzz/*",
            "--only",
            "measure/*",
            "--out",
        ])
        .arg(&out)
        .output()
        .expect("the program starts");
    for record in records(&out) {
        let Record::Case(case) = record else { continue };
        let good = matches!(case.verdict, Verdict::Pass | Verdict::Skipped);
        assert!(good, "{}: {} {:?}\n{}", case.id, case.message, case.notes, stdout(&output));
    }
}
