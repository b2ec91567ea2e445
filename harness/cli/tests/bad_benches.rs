//! Modules that are silent, print without end, restart, vanish or hang: every run ends, with the right verdicts.

mod common;

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use atspec_emulator::{Fault, Options};
use common::{Module, atspec, options, reached, records, run_on, stderr, stdout, verdicts};
use rstest::rstest;

/// Far beyond any deadline here, far below a hang.
const PATIENCE: Duration = Duration::from_mins(2);

struct Seen {
    code: Option<i32>,
    verdicts: Vec<(String, String, String)>,
    words: String,
}

fn meet(fault: Fault, more: &[&str]) -> Seen {
    let module = Module::start(Options { fault: Some(fault), ..options() });
    let began = Instant::now();
    let (output, dir) = run_on(&module, more);
    assert!(began.elapsed() < PATIENCE, "{fault:?} took {:?}", began.elapsed());
    let report = dir.path().join("report");
    assert!(
        fs::read_to_string(report.join("junit.xml")).expect("written").trim_end().ends_with("</testsuites>")
    );
    assert!(matches!(records(&report).last(), Some(atspec_model::run::Record::End(_))));
    Seen {
        code: output.status.code(),
        verdicts: verdicts(&report),
        words: stdout(&output) + &stderr(&output),
    }
}

fn count(seen: &Seen, verdict: &str) -> usize {
    seen.verdicts.iter().filter(|(_, v, _)| v == verdict).count()
}

#[test]
fn a_silent_module_is_an_error_of_the_bench() {
    let seen = meet(Fault::Silent, &["--only", "publish/*"]);
    assert_eq!(seen.code, Some(3), "{}", seen.words);
    assert_eq!(count(&seen, "error"), seen.verdicts.len());
    assert!(seen.words.contains("does not answer"), "{}", seen.words);
}

#[test]
fn a_module_that_falls_silent_fails_the_case_and_the_rest_is_not_run() {
    let seen = meet(Fault::SilentAfter(40), &["--only", "publish/*"]);
    assert_eq!(seen.code, Some(1), "{}", seen.words);
    assert_eq!(count(&seen, "fail"), 1, "{:?}", seen.verdicts);
    assert!(count(&seen, "pass") > 0);
    assert!(count(&seen, "error") > 0);
}

#[test]
fn endless_garbage_is_an_error_of_the_bench() {
    let seen = meet(Fault::Garbage, &["--only", "publish/*"]);
    assert_eq!(seen.code, Some(3), "{}", seen.words);
    assert_eq!(count(&seen, "error"), seen.verdicts.len());
}

#[rstest]
#[case(21)]
#[case(23)]
#[case(25)]
fn a_restart_fails_one_case_and_the_run_goes_on(#[case] command: u32) {
    let seen = meet(Fault::RebootAt(command), &["--only", "publish/*"]);
    assert_eq!(seen.code, Some(1), "{}", seen.words);
    assert_eq!(count(&seen, "fail") + count(&seen, "inconclusive"), 1, "{:?}", seen.verdicts);
    assert_eq!(count(&seen, "error"), 0, "{:?}", seen.verdicts);
    assert!(count(&seen, "pass") > 20);
}

/// The module's process is killed; a module on a thread here would leave its port open in the program's inherited files.
#[test]
fn a_port_that_goes_is_an_error_of_the_bench() {
    let dir = common::temp();
    let (link, out) = (dir.path().join("port"), dir.path().join("report"));
    let clock = common::CLOCK.to_string();
    let mut module = atspec()
        .args(["emulate", "--module", "air780e", "--clock-factor", &clock, "--link"])
        .arg(&link)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    assert!(reached(|| link.exists()));
    let mut run = atspec()
        .args(["run", "--module", "air780e", "--clock-factor", &clock, "--only", "publish/*", "--port"])
        .arg(&link)
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    assert!(reached(|| fs::read_to_string(out.join("run.jsonl")).is_ok_and(|text| text.lines().count() > 4)));
    module.kill().expect("it runs");
    module.wait().expect("it ends");
    assert_eq!(run.wait().expect("it ends").code(), Some(3));
    let all = verdicts(&out);
    let of = |wanted: &str| all.iter().filter(|(_, v, _)| v == wanted).count();
    assert!(of("pass") > 0, "{all:?}");
    assert_eq!(of("fail") + of("inconclusive"), 0, "{all:?}");
    assert!(all.iter().any(|(.., message)| message.contains("port is gone")), "{all:?}");
}
