//! The terminal: what a log holds, what a screen shows, and that neither obeys a module.

use std::{io, path::Path};

use atspec_model::{
    run::{CaseRecord, Record, RunEnd, RunEvent},
    verdict::Verdict,
};
use atspec_reports::{Reporter, TerminalReporter, terminal::Options, words};
use indicatif::{InMemoryTerm, ProgressDrawTarget, TermLike as _};
use proptest::prelude::*;

use crate::{generated, sample};

fn options() -> Options {
    let files = ["run.jsonl", "junit.xml", "timelines/"].map(|file| Path::new("atspec-report").join(file));
    Options { colours: false, strict: false, dir: "atspec-report".into(), files: files.into() }
}

fn plain(records: &[Record], options: Options) -> String {
    let mut out = Vec::new();
    sample::replay(records, &mut TerminalReporter::plain(&mut out, options));
    String::from_utf8(out).unwrap()
}

/// A run of these cases on one module.
fn run_of(cases: Vec<CaseRecord>, partial: bool) -> Vec<Record> {
    let end = RunEnd::count(&cases, partial);
    let start = Record::Run(sample::start("l506", "", "emulated"));
    [start].into_iter().chain(cases.into_iter().map(Record::Case)).chain([Record::End(end)]).collect()
}

fn last_line(cases: Vec<CaseRecord>, partial: bool, strict: bool) -> String {
    let text = plain(&run_of(cases, partial), Options { strict, ..options() });
    text.lines().next_back().unwrap().to_owned()
}

#[test]
fn a_failure_reads_as_the_design_says() {
    let wanted = "\
FAIL air780e publish/qos1-resent-with-dup                              MUST MQTT-3.3.1-1 MQTT-4.4.0-1
     a PUBLISH sent again after a lost PUBACK has DUP set and the same packet id
     expected  PUBLISH, the same again, with DUP
     observed  PUBLISH id 1 without DUP at 6.204 s
        0.000  serial > AT+MPUB=\"t\",1,0,\"hello\"
        0.113  wire   < PUBLISH id=1 qos=1 dup=0 \"t\" 5 B
        6.204  wire   < PUBLISH id=1 qos=1 dup=0 \"t\" 5 B      ← here
     again: atspec judge atspec-report/timelines/air780e/publish/qos1-resent-with-dup.jsonl
";
    assert_eq!(words::of_case(&sample::failure(), Path::new("atspec-report")), wanted);
}

#[test]
fn a_failure_with_everything() {
    let case = CaseRecord {
        expected: String::new(),
        message: "the module \u{1b}[31mrebooted\u{7}".into(),
        notes: vec![
            "this module answers `AT+MQTTSTATU` with `+MQTTSTATU :1`, the odd one of two documented forms"
                .into(),
        ],
        retries: 2,
        timeline: Some("timelines/air780e/it's here.jsonl".into()),
        ..sample::failure()
    };
    insta::assert_snapshot!("failure", words::of_case(&case, Path::new("reports of today")));
}

#[test]
fn the_log_of_a_run_with_all_six_verdicts() {
    insta::assert_snapshot!("plain", plain(&sample::records(), options()));
}

#[test]
fn colours_change_nothing_but_colours() {
    let coloured = plain(&sample::records(), Options { colours: true, ..options() });
    assert!(coloured.contains("\x1b[1;31mFAIL\x1b[0m air780e"));
    let mut without = coloured;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[1;35m", "\x1b[32m", "\x1b[33m"] {
        without = without.replace(code, "");
    }
    assert_eq!(without, plain(&sample::records(), options()));
}

#[test]
fn a_long_run_tells_how_far_it_is() {
    let quick = (0..95).map(|n| sample::case("l506", &format!("limits/{n}"), Verdict::Pass, 2000)).collect();
    let text = plain(&run_of(quick, false), options());
    assert_eq!(text.lines().filter(|line| line.contains(" of 95 done")).count(), 9);
    assert!(text.contains("l506: 50 of 95 done, none failed, about 2 min left\n"), "{text}");
    // Few cases that take minutes: a log that stays silent looks dead.
    let slow =
        (0..5).map(|n| sample::case("l506", &format!("keepalive/{n}"), Verdict::Pass, 90_000)).collect();
    let text = plain(&run_of(slow, false), options());
    assert_eq!(text.lines().filter(|line| line.contains(" of 5 done")).count(), 4);
}

#[test]
fn the_last_line_says_what_to_do() {
    let case = |verdict| sample::case("l506", "tls/psk", verdict, 1);
    let judge = "next: atspec judge atspec-report/timelines/l506/tls/psk.jsonl";
    assert_eq!(last_line(vec![case(Verdict::Pass)], false, false), "all green: 1 passed");
    assert_eq!(
        last_line(vec![case(Verdict::Pass), case(Verdict::Warning)], false, false),
        "all green: 1 passed, 1 warning"
    );
    assert_eq!(
        last_line(vec![case(Verdict::Warning)], false, true),
        format!("{judge} (--strict: a warning fails the run)")
    );
    assert_eq!(last_line(vec![case(Verdict::Inconclusive)], false, false), judge);
    assert_eq!(last_line(vec![case(Verdict::Error), case(Verdict::Fail)], true, false), judge);
    assert_eq!(
        last_line(vec![CaseRecord { timeline: None, ..case(Verdict::Fail) }], false, false),
        "next: atspec run --module l506 --only tls/psk"
    );
    assert_eq!(
        last_line(vec![case(Verdict::Error)], false, false),
        "next: look at the bench (cable, power, port), then atspec run --module l506 --only tls/psk"
    );
    assert_eq!(
        last_line(vec![case(Verdict::Skipped)], false, false),
        "nothing was checked: every case was skipped"
    );
    assert_eq!(last_line(vec![], false, false), "nothing was checked: no case was chosen");
    assert_eq!(last_line(vec![case(Verdict::Pass)], true, false), "next: run again, nothing failed so far");
}

#[test]
fn an_interrupted_run_says_so() {
    let mut out = Vec::new();
    let mut reporter = TerminalReporter::plain(&mut out, options());
    let (start, case) =
        (sample::start("l506", "", "emulated"), sample::case("l506", "tls/psk", Verdict::Pass, 1));
    reporter.on(&RunEvent::ModuleStarted { start: &start, cases: 40 }).unwrap();
    reporter.on(&RunEvent::CaseDone { record: &case, timeline: None }).unwrap();
    reporter.on(&RunEvent::Note { module: "l506", text: "the port is back" }).unwrap();
    reporter.on(&RunEvent::Ended { end: &RunEnd::count([&case], true) }).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("l506: note: the port is back\n"));
    assert!(text.contains("PARTIAL: the run ended early, 1 of 40 cases were done\n"), "{text}");
}

#[test]
fn many_failures_are_listed_up_to_a_bound() {
    let cases = (0..33).map(|n| CaseRecord {
        message: "no".into(),
        ..sample::case("l506", &format!("limits/{n}"), Verdict::Fail, 1)
    });
    let text = plain(&run_of(cases.collect(), false), options());
    assert!(text.contains("  fail          l506 limits/19: no\n  … and 13 more\n"), "{text}");
}

/// A screen that is written to like a file.
struct Screen(InMemoryTerm);

impl io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_str(&String::from_utf8(bytes.to_vec()).unwrap().replace('\n', "\r\n"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn live_lines_stand_below_what_stays() {
    let screen = InMemoryTerm::new(60, 110);
    let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
    let mut reporter = TerminalReporter::live(Screen(screen.clone()), target, options());
    let (air, l506) = (sample::start("air780e", "", "/dev/ttyUSB0"), sample::start("l506", "", "emulated"));
    reporter.on(&RunEvent::ModuleStarted { start: &air, cases: 40 }).unwrap();
    reporter.on(&RunEvent::ModuleStarted { start: &l506, cases: 4 }).unwrap();
    reporter.on(&RunEvent::CaseStarted { module: "l506", id: "tls/psk" }).unwrap();
    reporter.on(&RunEvent::CaseStarted { module: "air780e", id: "publish/qos1-resent-with-dup" }).unwrap();
    reporter.on(&RunEvent::CaseDone { record: &sample::failure(), timeline: None }).unwrap();
    reporter.on(&RunEvent::CaseStarted { module: "air780e", id: "publish/next" }).unwrap();
    let skipped = sample::case("l506", "tls/psk", Verdict::Skipped, 0);
    reporter.on(&RunEvent::CaseDone { record: &skipped, timeline: None }).unwrap();

    let shown = screen.contents();
    let lines: Vec<&str> = shown.lines().collect();
    let [.., again, first, second] = lines.as_slice() else { panic!("{shown}") };
    assert!(again.starts_with("     again: atspec judge"), "{shown}");
    assert!(
        first.starts_with("air780e    ━")
            && first.contains("   1/40")
            && first.ends_with("1 failed  publish/next"),
        "{shown}"
    );
    assert!(
        second.starts_with("l506       ━")
            && second.contains("   1/4")
            && second.ends_with("0 failed  tls/psk"),
        "{shown}"
    );
    assert!(!shown.contains("SKIP"), "a skip is nothing to call an operator for: {shown}");

    reporter.on(&RunEvent::ModuleDone { module: "l506" }).unwrap();
    reporter.on(&RunEvent::Ended { end: &RunEnd::count([&sample::failure()], true) }).unwrap();
    let shown = screen.contents();
    assert!(!shown.contains('━') && !shown.contains('─'), "live lines are left: {shown}");
    assert!(shown.contains("l506: 1 case in 0 ms: 1 skipped"), "{shown}");
    assert!(
        shown.ends_with(
            "next: atspec judge atspec-report/timelines/air780e/publish/qos1-resent-with-dup.jsonl"
        ),
        "{shown}"
    );
}

#[test]
fn nothing_is_lost_where_the_screen_is_none() {
    let mut out = Vec::new();
    sample::replay(
        &sample::records(),
        &mut TerminalReporter::live(&mut out, ProgressDrawTarget::hidden(), options()),
    );
    assert!(String::from_utf8(out).unwrap().contains("FAIL air780e publish/qos1-resent-with-dup"));
}

#[test]
fn a_reporter_goes_to_another_thread() {
    fn goes<T: Send>() {}
    goes::<TerminalReporter<Vec<u8>>>();
}

proptest! {
    #[test]
    fn a_log_holds_nothing_that_a_terminal_obeys(records in generated::any_run()) {
        let text = plain(&records, options());
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", text);
    }
}
