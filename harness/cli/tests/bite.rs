//! `atspec bite`: a sample of the deviants, of which `.ci/run` drives all, and what the command refuses.

mod common;

use std::fs;

use common::{atspec, stdout, temp};
use serde_json::Value;

/// Defects of five modules on the wire, on the serial line, in time, and one that ends the module.
const SAMPLE: [&str; 7] = [
    "no-dup-again",
    "reboot-at-received-11",
    "escape-quote-unread",
    "l506-cache-wrong-place",
    "nt35e-result-id-wrong",
    "bk7238-keepalive-zero-kept",
    "air720-ping-never",
];

/// Modules that are right in another way, on some of their cases.
const OTHERS: [&str; 1] = ["variant-slow"];

#[test]
fn a_sample_of_the_deviants_is_caught_without_surprise() {
    let mut command = atspec();
    command.args(["bite", "--format", "json"]);
    for name in SAMPLE.iter().chain(&OTHERS) {
        command.args(["--only", name]);
    }
    let output = command.output().expect("the program starts");
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let score = &report["score"];
    assert_eq!(output.status.code(), Some(0), "{score} {:#}", report["deviants"]);
    assert_eq!(score["caught"], SAMPLE.len());
    assert_eq!((&score["surprises"], &score["false_alarms"]), (&0.into(), &0.into()));
    assert_eq!((&score["variants"], &score["rounds"]), (&5.into(), &1.into()), "one for each module");
    let deviants = report["deviants"].as_array().expect("a list");
    // The record tells who catches what, for which clause, and in which words.
    let dup = deviants.iter().find(|deviant| deviant["name"] == "no-dup-again").expect("driven");
    let red =
        dup["red"].as_array().expect("a list").iter().find(|red| red["case"] == "session/qos1-sent-again");
    let red = red.expect("it is red");
    assert_eq!((&red["reason"], &red["verdict"]), (&"named".into(), &"fail".into()));
    assert!(red["observed"].as_str().is_some_and(|words| words.contains("without DUP")), "{red}");
    assert!(red["cites"].as_array().is_some_and(|cites| cites.contains(&"MQTT-3.3.1-1".into())), "{red}");
}

#[test]
fn what_cannot_be_driven_is_refused() {
    let dir = temp();
    let file = dir.path().join("README.md");
    fs::write(&file, "# no marks\n").expect("written");
    let file = file.display().to_string();
    for (arguments, words) in [
        (&["--only", "ping-nevr"][..], "the nearest is `ping-never`"),
        (&["--module", "air781e"], "did you mean `air780e`"),
        (&["--module", "l506", "--readme", &file], "--readme is for the score of all deviants and variants"),
        (&["--readme", &file], "has no `<!-- bite:begin -->`"),
    ] {
        let output = atspec().arg("bite").args(arguments).output().expect("the program starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
}
