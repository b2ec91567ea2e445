//! Policies are apart from conformance: off unless asked for, shown to be kept and to be broken, and without any weight.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use atspec_emulator::{Habits, Options, Temper};
use atspec_model::run::{PolicyRecord, Record};
use common::{Module, atspec, records, run, stderr, stdout, temp};
use rstest::rstest;
use tempfile::TempDir;

/// Slow enough, where it is about pauses of seconds, for them to be told apart on a loaded machine.
fn clock(policies: &[&str]) -> &'static str {
    if policies.contains(&"reconnect-jitter") { "0.4" } else { "0.05" }
}

/// The policies of a run by name.
fn policies(dir: &Path) -> BTreeMap<String, PolicyRecord> {
    let policy = |record| if let Record::Policy(policy) = record { Some(policy) } else { None };
    records(dir).into_iter().filter_map(policy).map(|policy| (policy.policy.clone(), policy)).collect()
}

/// Tries policies, and nothing else, on a module with these habits.
fn try_on(module: &str, habits: Habits, names: &[&str]) -> (BTreeMap<String, PolicyRecord>, TempDir) {
    let temper = Temper { habits, ..Temper::default() };
    let clock = clock(names);
    let clock_factor = clock.parse().expect("a number");
    let emulated =
        Module::of(module, Options { clock_factor, boot_lines: true, temper, ..Options::default() });
    let dir = temp();
    let mut command = atspec();
    command.args(["run", "--module", module, "--port", &emulated.port(), "--clock-factor", clock]);
    command.args(["--only", "policy/*", "--out"]).arg(dir.path());
    for name in names {
        command.args(["--policy", name]);
    }
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    (policies(dir.path()), dir)
}

#[rstest]
#[case::backs_off("reconnect-backoff", Habits { back_off: true, ..Habits::default() })]
#[case::jitters("reconnect-jitter", Habits { jitter: true, ..Habits::default() })]
#[case::both("reconnect-backoff", Habits { back_off: true, jitter: true, ..Habits::default() })]
#[case::resubscribes("resubscribe", Habits { resubscribes: true, ..Habits::default() })]
#[case::republishes("republish", Habits { republishes: true, ..Habits::default() })]
#[case::gives_up("ping-timeout", Habits::default())]
#[case::moderate("keep-alive-range", Habits::default())]
#[case::resumes("persistent-session", Habits::default())]
#[case::long_client("long-client-id", Habits::default())]
fn a_module_that_keeps_it(#[case] policy: &str, #[case] habits: Habits) {
    let (seen, _dir) = try_on("bk7238", habits, &[policy]);
    assert_eq!(seen.keys().collect::<Vec<_>>(), [policy], "only what was asked for");
    let one = &seen[policy];
    assert_eq!(one.kept, Some(true), "{one:#?}");
    assert!(!one.expected.is_empty() && one.observed.is_empty() && one.timeline.is_some());
}

#[rstest]
#[case::steady("reconnect-backoff", Habits { jitter: true, ..Habits::default() })]
#[case::regular("reconnect-jitter", Habits { back_off: true, ..Habits::default() })]
#[case::forgets("resubscribe", Habits::default())]
#[case::waits("republish", Habits::default())]
#[case::bears("ping-timeout", Habits { bears_silence: true, ..Habits::default() })]
#[case::often("keep-alive-range", Habits { keep_alive: Some(10), ..Habits::default() })]
#[case::never("keep-alive-range", Habits { keep_alive: Some(0), ..Habits::default() })]
fn a_module_that_breaks_it(#[case] policy: &str, #[case] habits: Habits) {
    let (seen, dir) = try_on("bk7238", habits, &[policy]);
    let one = &seen[policy];
    assert_eq!(one.kept, Some(false), "{one:#?}");
    assert!(!one.expected.is_empty() && !one.observed.is_empty());
    let file = dir.path().join(one.timeline.as_ref().expect("driven"));
    let again = run(&["judge", &file.display().to_string()]);
    assert_eq!(again.status.code(), Some(0), "apart from conformance when judged again too");
    assert!(stdout(&again).starts_with(&format!("broken   bk7238 {policy}: ")), "{}", stdout(&again));
}

/// What deviants break is conformance too; a policy sees it as well.
#[rstest]
#[case("persistent-session", "clean-ignored")]
#[case("long-client-id", "client-cut")]
#[case("token-password", "password-lowered")]
fn a_deviant_that_breaks_it(#[case] policy: &str, #[case] deviant: &str) {
    let dir = temp();
    let output = atspec()
        .args(["run", "--module", "air780e", "--port", &format!("emulated:{deviant}")])
        .args(["--only", "policy/*", "--policy", policy, "--strict", "--fail-fast", "--out"])
        .arg(dir.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(policies(dir.path())[policy].kept, Some(false), "{}", stdout(&output));
}

#[test]
fn they_weigh_nothing() {
    let ran = |more: &[&str]| {
        let dir = temp();
        let mut command = atspec();
        command.args(["run", "--module", "air780e", "--only", "publish/qos*", "--strict", "--out"]);
        let output = command.arg(dir.path()).args(more).output().expect("the program starts");
        (output, dir)
    };
    let (plain, plain_dir) = ran(&[]);
    let (asked, asked_dir) = ran(&["--only", "policy/*", "--policy", "all", "--fail-fast"]);
    assert!(policies(plain_dir.path()).is_empty(), "off unless asked for");
    let all = policies(asked_dir.path());
    assert_eq!(all.len(), atspec_suites::policy::POLICIES.len());
    assert_eq!(all["republish"].kept, Some(false));
    assert_eq!(all["token-password"].kept, Some(true));
    assert_eq!(all["reconnect-jitter"].kept, None);
    assert!(all["reconnect-jitter"].message.contains("takes no `reconnect`"), "{all:#?}");

    assert_eq!((plain.status.code(), asked.status.code()), (Some(0), Some(0)));
    let end = |dir: &Path| match records(dir).pop() {
        Some(Record::End(end)) => end,
        other => panic!("{other:?} is no last line"),
    };
    assert_eq!(end(plain_dir.path()), end(asked_dir.path()), "the counts know nothing of policies");
    let junit = fs::read_to_string(asked_dir.path().join("junit.xml")).expect("written");
    assert!(!junit.contains("policy"), "no test case of JUnit: each would be a verdict");
    let told = stdout(&asked);
    assert!(
        told.contains("policies, apart from conformance\n  broken   air780e republish: expected "),
        "{told}"
    );
    assert!(told.trim_end().ends_with("all green: 5 passed") || told.contains("all green"), "{told}");
}

#[test]
fn they_are_listed_and_explained() {
    let wrong = run(&["run", "--policy", "reconect-backoff"]);
    assert_eq!(wrong.status.code(), Some(2));
    let words = stderr(&wrong);
    assert!(words.contains("did you mean `reconnect-backoff`?"), "{words}");
    for policy in atspec_suites::policy::POLICIES {
        assert!(words.contains(policy.rule), "{words}");
        let explained = stdout(&run(&["explain", policy.name]));
        assert!(
            explained.contains(policy.source) && explained.contains("never changes a verdict"),
            "{explained}"
        );
    }
    let listed = run(&["list", "--policy", "republish", "--policy", "resubscribe", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).expect("an array");
    assert_eq!(rows.len(), 2 * 5);
    assert!(rows.iter().all(|row| row["suite"] == "policy" && row["source"].is_string()), "{rows:#?}");
    let plain = stdout(&run(&["list"]));
    assert!(!plain.contains("policy/"), "not among the cases of conformance");
}
