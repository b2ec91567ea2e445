//! Hidden limits are found exactly, in few sendings; and a byte map shows what a module does to bytes.

mod common;

use atspec_fixtures::PROFILES;
use atspec_model::profile::{EVERY_STEP, Profile};
use atspec_suites::campaign::measure::{limits, unmeasured};
use common::{atspec, run, stdout};
use rstest::rstest;
use serde_json::Value;

/// The rows of `atspec measure` that a glob takes, and the exit code.
fn measure(module: &str, defect: &str, only: &str) -> (Vec<Value>, Option<i32>) {
    let port = if defect.is_empty() { "emulated".to_owned() } else { format!("emulated:{defect}") };
    let args = ["measure", "--module", module, "--port", &port, "--only", only, "--format", "json"];
    let output = run(&args);
    let rows = serde_json::from_str(&stdout(&output));
    (rows.unwrap_or_else(|e| panic!("{e}: {output:?}")), output.status.code())
}

/// What a hidden limit is found to be; more than documented warns, less fails.
#[rstest]
#[case("air780e", "publish-max-lower=1", "publish.payload", "max", 2383)]
#[case("air780e", "publish-max-lower=36", "publish.payload", "max", 2348)]
#[case("air780e", "publish-max-lower=2300", "publish.payload", "max", 84)]
#[case("air780e", "publish-cut=256", "publish.payload", "max", 256)]
#[case("air780e", "data-max-lower=1", "publish-data.payload", "max", 4099)]
#[case("air780e", "data-max-lower=3077", "publish-data.payload", "max", 1023)]
#[case("air780e", "data-max-higher", "publish-data.payload", "max", 4101)]
#[case("air780e", "printed-cut=512", "received.payload", "max", 512)]
#[case("air780e", "printed-cut=1359", "received.payload", "max", 1359)]
#[case("air780e", "qos-three", "publish.qos", "max", 3)]
#[case("l506", "topic-cut=40", "publish.topic", "max", 40)]
#[case("l506", "publish-max-lower=100", "publish.payload", "max", 156)]
#[case("l506", "long-topic-lost=40", "received.topic", "max", 40)]
#[case("air780e", "length-one-byte", "publish.payload", "max", 255)]
#[case("l506", "length-one-byte", "publish.payload", "max", 255)]
#[case("l506", "data-max-lower=1", "publish-data.payload", "max", 1359)]
#[case("bk7238", "data-max-higher", "publish-data.payload", "max", 513)]
#[case("l506", "printed-cut=1359", "received.payload", "max", 1359)]
#[case("bk7238", "command-max-lower=10", "command line", "max", 246)]
#[case("bk7238", "will-message-cut=20", "configure.will_message", "max", 20)]
#[case("bk7238", "client-cut=23", "configure.client", "max", 23)]
fn a_hidden_limit_is_found_exactly(
    #[case] module: &str,
    #[case] defect: &str,
    #[case] limit: &str,
    #[case] end: &str,
    #[case] hidden: i64,
) {
    let (rows, code) = measure(module, defect, limit);
    let row = rows.iter().find(|row| row["end"] == end).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(row["measured"], hidden, "{row}");
    let documented = row["documented"].as_i64().expect("a number");
    let sendings = row["sendings"].as_i64().expect("a number");
    let range = u64::try_from(documented.max(hidden) * 4).expect("positive");
    assert!(sendings <= 2 * i64::from(range.ilog2()) + 5, "{row}");
    assert_eq!(code, Some(i32::from(hidden < documented)), "{row}");
}

/// No documented limit is passed over in silence: each is measured, or `atspec measure` says why it is not.
#[test]
fn every_documented_limit_is_measured_or_has_a_reason() {
    for (name, source) in PROFILES {
        let profile = Profile::load(source).expect("without mistakes");
        let measured: Vec<String> = limits(&profile).into_iter().map(|limit| limit.name).collect();
        for one in unmeasured(&profile) {
            assert!(one.why.is_some(), "{name}: {one:?}");
            assert!(!measured.contains(&one.name), "{name}: {one:?} is measured");
        }
        let excused: Vec<String> = unmeasured(&profile).into_iter().map(|one| one.name).collect();
        let all = profile.arguments.iter().flat_map(|(key, steps)| steps.iter().map(move |one| (key, one)));
        for (key, (step, argument)) in all.filter(|(_, (_, a))| a.range.is_some() || a.length.is_some()) {
            let full = format!("{step}.{key}");
            let everywhere = step == EVERY_STEP;
            let own = |name: &String| *name == full || everywhere && name.ends_with(&format!(".{key}"));
            assert!(measured.iter().chain(&excused).any(own), "{name}: {full} {argument:?}");
        }
    }
}

/// Such a limit is asked for by its name like any other, and its rows have the reason.
#[test]
fn a_limit_that_cannot_be_measured_says_why() {
    let (rows, code) = measure("air780e", "", "open.port");
    let ends: Vec<&str> = rows.iter().filter_map(|row| row["end"].as_str()).collect();
    assert_eq!(ends, ["min", "max"], "{rows:?}");
    for row in &rows {
        assert_eq!(row["verdict"], "skipped", "{row}");
        assert!(row["not_measured"].as_str().is_some_and(|why| why.contains("one port")), "{row}");
    }
    assert_eq!(code, Some(0), "{rows:?}");
}

/// The limits of what is not a payload: places of the cache, links, packet ids, topics of messages, texts that show nowhere.
#[rstest]
#[case("l506", "read-message.slot", 3)]
#[case("l506", "received.topic", 64)]
#[case("nt35e", "subscribe.id", 65535)]
#[case("nt35e", "open.link", 4)]
#[case("bk7238", "configure.path", 32)]
fn what_a_document_limits_is_measured(#[case] module: &str, #[case] limit: &str, #[case] max: i64) {
    let (rows, code) = measure(module, "", limit);
    let row = rows.iter().find(|row| row["end"] == "max").unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!((&row["measured"], code), (&Value::from(max), Some(0)), "{row}");
}

#[test]
fn a_faithful_module_holds_its_limits_in_two_sendings_each() {
    for module in ["air780e", "air720", "l506", "bk7238", "nt35e"] {
        let (rows, code) = measure(module, "", "*");
        assert_eq!(code, Some(0), "{module}: {rows:?}");
        for row in rows.iter().filter(|row| row["verdict"] != "skipped") {
            assert_eq!(row["measured"], row["documented"], "{row}");
            assert!(row["sendings"].as_i64().expect("a number") <= 3, "{row}");
        }
    }
}

#[test]
fn a_byte_map_tells_what_became_of_a_byte() {
    let map = |defect: &str, only: &str| {
        let port = format!("emulated:{defect}");
        let output =
            run(&["bytes", "--module", "air780e", "--port", &port, "--only", only, "--format", "json"]);
        let maps: Vec<Value> = serde_json::from_str(&stdout(&output)).expect("JSON");
        (maps.into_iter().next().expect("a map"), output.status.code())
    };
    let (altered, code) = map("byte-altered=65", "publish-data payload");
    assert_eq!((&altered["verdict"], code), (&Value::from("fail"), Some(1)));
    let cells = altered["bytes"].as_array().expect("cells");
    let wrong: Vec<&Value> = cells.iter().filter(|cell| cell["fates"]["middle"] != "kept").collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(
        (&wrong[0]["byte"], &wrong[0]["fates"]["alone"]["altered"]),
        (&Value::from(65), &Value::from("@"))
    );
    let (unread, _) = map("escape-unread=34", "publish payload");
    assert!(unread["wrong"][0].as_str().expect("a text").contains("0x22"), "{}", unread["wrong"]);
}

#[test]
fn what_matches_no_limit_offers_the_nearest() {
    let output = atspec().args(["measure", "--module", "air780e", "--only", "publsh.payload"]).output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(common::stderr(&output).contains("publish.payload"), "{output:?}");
}
