//! A second real broker behind the tap, Debian's mosquitto: the same verdicts as with the built-in one, and never a module
//! that is blamed for what the broker did.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
    thread,
};

use atspec_model::{
    run::{CaseRecord, Record},
    verdict::Verdict,
};
use common::{atspec, mosquitto::Mosquitto, reached, records, run, stdout, temp};

/// Cases are mostly waiting: so many programs share them. A whole run of five modules takes 85 s in one program, and 30 s in these.
const SHARES: usize = 3;

/// Module and id with verdict and message.
type Verdicts = BTreeMap<(String, String), (Verdict, String)>;

fn cases(dir: &Path) -> Vec<CaseRecord> {
    let case = |record| if let Record::Case(case) = record { Some(case) } else { None };
    records(dir).into_iter().filter_map(case).collect()
}

/// The id of every case of the built-in modules.
fn ids() -> Vec<String> {
    let listed = run(&["list", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).expect("an array");
    let id = |row: &serde_json::Value| row["id"].as_str().expect("a text").to_owned();
    rows.iter().map(id).collect::<BTreeSet<_>>().into_iter().collect()
}

/// These cases on every built-in module, in one program.
fn share(ids: &[&String], broker: &[&str]) -> Verdicts {
    let dir = temp();
    let mut command = atspec();
    command.arg("run").args(broker).arg("--out").arg(dir.path());
    for id in ids {
        command.args(["--only", id]);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", stdout(&output));
    let row = |case: CaseRecord| ((case.module, case.id), (case.verdict, case.message));
    cases(dir.path()).into_iter().map(row).collect()
}

#[test]
fn every_case_of_every_module_has_the_same_verdict() {
    let Some(broker) = Mosquitto::start() else { return };
    let (ids, url) = (ids(), broker.url());
    let (mut built_in, mut other) = (Verdicts::new(), Verdicts::new());
    thread::scope(|scope| {
        let shares: Vec<_> = (0..SHARES)
            .map(|n| {
                let ids: Vec<&String> = ids.iter().skip(n).step_by(SHARES).collect();
                let (same, url) = (ids.clone(), &url);
                let built_in = scope.spawn(move || share(&ids, &[]));
                (built_in, scope.spawn(move || share(&same, &["--broker", url])))
            })
            .collect();
        for (one, two) in shares {
            built_in.extend(one.join().expect("it ran"));
            other.extend(two.join().expect("it ran"));
        }
    });
    let driven = built_in.values().filter(|(verdict, _)| *verdict != Verdict::Skipped).count();
    assert!(driven > 1000, "{driven}");
    assert!(built_in.keys().eq(other.keys()), "not the same cases");
    let different: Vec<String> = built_in
        .iter()
        .filter_map(|(key, one)| Some((key, one, other.get(key).filter(|two| two.0 != one.0)?)))
        .map(|((module, id), one, two)| format!("{module} {id}: {} instead of {}: {}", two.0, one.0, two.1))
        .collect();
    assert!(different.is_empty(), "with mosquitto, {} differ:\n{}", different.len(), different.join("\n"));
}

/// A defect is one whoever is behind the tap.
#[test]
fn a_deviant_fails_the_same_cases() {
    let Some(broker) = Mosquitto::start() else { return };
    let failed = |deviant: &str, more: &[&str]| -> Vec<(String, Verdict)> {
        let dir = temp();
        let mut command = atspec();
        command.args(["run", "--module", "air780e", "--port", &format!("emulated:{deviant}"), "--out"]);
        command.arg(dir.path()).args(["--only", "publish/*", "--only", "receive/*"]).args(more);
        command.output().expect("the program starts");
        let red = |case: &CaseRecord| !matches!(case.verdict, Verdict::Pass | Verdict::Skipped);
        cases(dir.path()).into_iter().filter(red).map(|case| (case.id, case.verdict)).collect()
    };
    thread::scope(|scope| {
        for deviant in ["qos-zero", "retain-ignored", "no-pubcomp", "printed-to-nul"] {
            let (failed, url) = (&failed, broker.url());
            scope.spawn(move || {
                let (built_in, other) = (failed(deviant, &[]), failed(deviant, &["--broker", &url]));
                assert!(!built_in.is_empty(), "{deviant} is not caught");
                assert_eq!(other, built_in, "{deviant}");
            });
        }
    });
}

/// Runs cases that need the broker, breaks it after the first few, and sees how it ends.
fn broken_in_the_middle(break_it: impl FnOnce(&mut Mosquitto), only: &[&str]) {
    let Some(mut broker) = Mosquitto::start() else { return };
    let dir = temp();
    let out = dir.path().join("report");
    let mut command = atspec();
    command.args(["run", "--module", "air780e", "--broker", &broker.url(), "--out"]).arg(&out);
    for glob in only {
        command.args(["--only", glob]);
    }
    let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
    let record = out.join("run.jsonl");
    let done = || fs::read_to_string(&record).map_or(0, |text| text.lines().count());
    assert!(reached(|| done() > 3), "the first cases end");
    break_it(&mut broker);
    let code = child.wait().expect("it ends").code();

    let cases = cases(&out);
    let blamed: Vec<&CaseRecord> =
        cases.iter().filter(|c| matches!(c.verdict, Verdict::Fail | Verdict::Inconclusive)).collect();
    assert!(blamed.is_empty(), "blamed for the broker: {blamed:#?}");
    let errors: Vec<&CaseRecord> = cases.iter().filter(|c| c.verdict == Verdict::Error).collect();
    assert!(!errors.is_empty(), "nobody noticed");
    assert!(errors.iter().all(|c| c.message.contains("the broker behind the tap")), "{errors:#?}");
    assert!(cases.iter().any(|c| c.verdict == Verdict::Pass), "the first cases passed");
    assert_eq!(code, Some(3));
    let Some(Record::End(end)) = records(&out).pop() else { panic!("no last line") };
    assert!(!end.partial);
    assert_eq!(end.of(Verdict::Error), errors.len());
    let junit = fs::read_to_string(out.join("junit.xml")).expect("written");
    assert!(junit.contains(r#"type="rig""#) && junit.trim_end().ends_with("</testsuites>"));
}

#[test]
fn a_broker_that_is_killed_is_an_error_of_the_bench() {
    broken_in_the_middle(Mosquitto::kill, &["receive/*", "publish/*"]);
}

#[test]
fn a_broker_that_hangs_is_an_error_of_the_bench() {
    broken_in_the_middle(|broker| broker.freeze(), &["receive/qos*", "receive/looks-like-*"]);
}
