//! A second real broker behind the tap, Debian's mosquitto: the same verdicts as with the built-in one, and never a module
//! that is blamed for what the broker did.
#![expect(clippy::print_stderr, reason = "what differs is told, whatever becomes of it")]

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
use rstest::rstest;

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

/// These cases, in one program.
fn share(ids: &[&String], more: &[&str]) -> Verdicts {
    let dir = temp();
    let mut command = atspec();
    command.arg("run").args(more).arg("--out").arg(dir.path());
    for id in ids {
        command.args(["--only", id]);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", stdout(&output));
    let row = |case: CaseRecord| ((case.module, case.id), (case.verdict, case.message));
    cases(dir.path()).into_iter().map(row).collect()
}

/// These cases with the built-in broker and with this one.
fn both(ids: &[&String], broker: &Mosquitto, more: &[&str]) -> (Verdicts, Verdicts) {
    let (mut built_in, mut other) = (Verdicts::new(), Verdicts::new());
    let (url, with) = (broker.url(), |url| [more, &["--broker", url]].concat());
    let with = with(url.as_str());
    thread::scope(|scope| {
        let start = |n: usize| {
            let ids: Vec<&String> = ids.iter().copied().skip(n).step_by(SHARES).collect();
            let (same, with) = (ids.clone(), &with);
            (!ids.is_empty())
                .then(|| (scope.spawn(move || share(&ids, more)), scope.spawn(move || share(&same, with))))
        };
        let shares: Vec<_> = (0..SHARES).filter_map(start).collect();
        for (one, two) in shares {
            built_in.extend(one.join().expect("it ran"));
            other.extend(two.join().expect("it ran"));
        }
    });
    (built_in, other)
}

/// The verdicts that differ, in words. A machine that was too busy for the fast clock differs from itself: what differs is run
/// once more at leisure, and told in either case.
fn differences(ids: &[&String], broker: &Mosquitto, more: &[&str]) -> Vec<String> {
    let found = |(one, two): &(Verdicts, Verdicts)| -> Vec<(String, String)> {
        assert!(one.keys().eq(two.keys()), "not the same cases");
        let pairs = one.iter().zip(two.values()).filter(|((_, a), b)| a.0 != b.0);
        let words = |((module, id), a): (&(String, String), &(Verdict, String)), b: &(Verdict, String)| {
            (id.clone(), format!("{module} {id}: {} instead of {}: {}{}", b.0, a.0, b.1, a.1))
        };
        pairs.map(|(one, two)| words(one, two)).collect()
    };
    let first = found(&both(ids, broker, more));
    for (_, words) in &first {
        eprintln!("at first: {words}");
    }
    let again: Vec<&String> =
        ids.iter().copied().filter(|id| first.iter().any(|(one, _)| one == *id)).collect();
    if again.is_empty() {
        return Vec::new();
    }
    let second = found(&both(&again, broker, &[more, &["--clock-factor", "0.2"]].concat()));
    second.into_iter().map(|(_, words)| words).collect()
}

#[test]
fn every_case_of_every_module_has_the_same_verdict() {
    let Some(broker) = Mosquitto::start() else { return };
    let ids = ids();
    assert!(ids.len() > 300, "{}", ids.len());
    let different = differences(&ids.iter().collect::<Vec<_>>(), &broker, &[]);
    assert!(different.is_empty(), "with mosquitto, {} differ:\n{}", different.len(), different.join("\n"));
}

/// A defect is one whoever is behind the tap.
#[rstest]
#[case("qos-zero", "publish/qos1")]
#[case("retain-ignored", "publish/retain-1-qos1")]
#[case("no-pubcomp", "receive/qos2")]
#[case("printed-to-nul", "receive/every-byte")]
fn a_deviant_fails_the_same_cases(#[case] deviant: &str, #[case] caught_by: &str) {
    let Some(broker) = Mosquitto::start() else { return };
    let ids: Vec<String> =
        ids().into_iter().filter(|id| id.starts_with(&caught_by[..caught_by.len() - 1])).collect();
    let ids: Vec<&String> = ids.iter().collect();
    let on = ["--module", "air780e", "--port", &format!("emulated:{deviant}")];
    let seen = share(&ids, &[&on[..], &["--broker", &broker.url()]].concat());
    let (verdict, message) = &seen[&("air780e".to_owned(), caught_by.to_owned())];
    assert_eq!(*verdict, Verdict::Fail, "{message}");
    assert_eq!(differences(&ids, &broker, &on), [""; 0]);
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
