//! Ctrl-C and kill -9 at any moment: what is finished is kept, and every file is valid.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use atspec_emulator::Options;
use atspec_model::run::Record;
use common::{CLOCK, Module, atspec, reached, records, temp};
use rstest::rstest;

/// A run that has finished at least so many cases.
fn running(out: &Path, cases: usize) -> Child {
    let mut child = atspec()
        .args(["run", "--module", "air780e", "--out"])
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let file = out.join("run.jsonl");
    let done = || fs::File::open(&file).map_or(0, |f| BufReader::new(f).lines().count());
    if !reached(|| done() > cases) {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        panic!("{} lines in {}", done(), file.display());
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(status.success());
}

#[rstest]
#[case(0)]
#[case(1)]
#[case(17)]
#[case(60)]
fn ctrl_c_leaves_valid_partial_files(#[case] cases: usize, #[values("-INT", "-TERM")] name: &str) {
    let dir = temp();
    let out = dir.path().join("report");
    let mut child = running(&out, cases);
    signal(&child, name);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let all = records(&out);
    let Some(Record::End(end)) = all.last() else { panic!("no last line: {all:?}") };
    assert!(end.partial);
    let finished = all.iter().filter(|r| matches!(r, Record::Case(_))).count();
    assert!(finished >= cases, "{finished} of {cases}");
    assert_eq!(end.verdicts.values().sum::<usize>(), finished);
    let junit = fs::read_to_string(out.join("junit.xml")).expect("written");
    assert_eq!(junit.matches("<testcase ").count(), finished);
    assert!(junit.trim_end().ends_with("</testsuites>") || junit.trim_end().ends_with("/>"));
}

#[rstest]
fn kill_leaves_every_finished_case(#[values(1, 9, 33)] cases: usize) {
    let dir = temp();
    let out = dir.path().join("report");
    let mut child = running(&out, cases);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    let all = records(&out);
    let finished: Vec<_> =
        all.iter().filter_map(|r| if let Record::Case(c) = r { Some(c) } else { None }).collect();
    assert!(finished.len() >= cases, "{} of {cases}", finished.len());
    for case in finished {
        let timeline = case.timeline.as_ref().expect("driven");
        assert!(out.join(timeline).is_file(), "{timeline}");
    }
}

/// A laptop that sleeps, a container that is paused: the module went on meanwhile, and is not to be blamed for it.
#[test]
fn a_bench_that_was_suspended_blames_nobody() {
    let dir = temp();
    let module = Module::start(Options { clock_factor: CLOCK, ..Options::default() });
    let out = dir.path().join("report");
    let mut child = atspec()
        .args(["run", "--module", "air780e", "--port", &module.port(), "--clock-factor", &CLOCK.to_string()])
        .args(["--only", "keepalive/*", "--out"])
        .arg(&out)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let file = out.join("run.jsonl");
    assert!(reached(|| fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 1)));
    // In its second case; longer than keep alive and margins together.
    signal(&child, "-STOP");
    thread::sleep(Duration::from_secs(9));
    signal(&child, "-CONT");
    let code = child.wait().expect("it ends").code();
    assert_eq!(code, Some(0), "{:#?}", records(&out));
}
