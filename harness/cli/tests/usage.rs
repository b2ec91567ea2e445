//! Mistakes on the command line and in files: a message with place and remedy, exit 2, nothing written.

mod common;

use std::fs;

use common::{atspec, stderr, stdout, temp};
use rstest::rstest;

#[rstest]
#[case(&["run", "--module", "air870e"], "air780e")]
#[case(&["run", "--module", "nowhere.toml"], "nowhere.toml")]
#[case(&["run", "--module", "air780e", "--module", "air780e"], "twice")]
#[case(&["run", "--only", "publsh/*"], "publish/")]
#[case(&["run", "--skip", "nothing-like-it/*"], "matches no case")]
#[case(&["run", "--only", "[a"], "not a glob")]
#[case(&["run", "--only", "flow/*", "--skip", "flow/*"], "leave no case")]
#[case(&["run", "--module", "air780e", "--port", "emulated:no-dup-agian"], "no-dup-again")]
#[case(&["run", "--module", "air780e", "--port", "emulatde:x"], "did you mean `emulated`")]
#[case(&["run", "--module", "air780e", "--port", "tcp://host"], "tcp://host:port")]
#[case(&["run", "--module", "air780e", "--port", "/dev/x", "--listen", "0.0.0.0:0"], "--advertise")]
#[case(&["run", "--module", "air780e", "--baud", "9600"], "--baud")]
#[case(&["run", "--broker", "http://x"], "--broker")]
#[case(&["run", "--clock-factor", "0"], "clock-factor")]
#[case(&["run", "--clock-factor", "fast"], "clock-factor")]
#[case(&["run", "--listen", "localhost"], "listen")]
#[case(&["run", "--waivers", "nowhere.toml"], "nowhere.toml")]
#[case(&["run", "--ports", "x"], "--port")]
#[case(&["list", "--module", "l605"], "air780e")]
#[case(&["explain", "publish/qso1"], "publish/qos1")]
#[case(&["judge", "nowhere.jsonl"], "nowhere.jsonl")]
#[case(&["emulate", "--module", "air78"], "air780e")]
fn a_mistake_is_told_with_a_remedy_and_nothing_is_written(#[case] args: &[&str], #[case] told: &str) {
    let dir = temp();
    let output = atspec().args(args).current_dir(dir.path()).output().expect("the program starts");
    let words = stderr(&output) + &stdout(&output);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains(told), "{words}");
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0, "something was written");
}

#[test]
fn a_broken_profile_is_told_line_by_line() {
    let dir = temp();
    let source = atspec_fixtures::profile("air780e").expect("shipped");
    let broken = source
        .replace("prompt = \">\"", "pronpt = \">\"")
        .replace("baud = 115200", "baud = \"fast\"")
        .replace("AT+MSUB=\"{topic}\",{qos}", "AT+MSUB=\"{topci}\",{qos}");
    fs::write(dir.path().join("mine.toml"), &broken).expect("written");
    for args in [
        vec!["check", "mine.toml"],
        vec!["run", "--module", "mine.toml"],
        vec!["list", "--module", "mine.toml"],
    ] {
        let output = atspec().args(&args).current_dir(dir.path()).output().expect("the program starts");
        let words = stderr(&output) + &stdout(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {words}");
        for (told, at) in [("pronpt", "pronpt ="), ("baud", "baud ="), ("topci", "AT+MSUB=")] {
            let line = broken.lines().position(|l| l.contains(at)).expect("there") + 1;
            assert!(
                words.contains(told) && words.contains(&format!("mine.toml:{line}:")),
                "{told} at {line}: {words}"
            );
        }
    }
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1, "something was written");
}

#[test]
fn somebody_elses_directory_is_not_touched() {
    let dir = temp();
    fs::write(dir.path().join("thesis.txt"), "years of work").expect("written");
    let output = atspec()
        .args(["run", "--module", "air780e", "--only", "flow/plain", "--out", "."])
        .current_dir(dir.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("--out"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn waivers_skip_known_failures_and_tell_what_is_out_of_date() {
    let dir = temp();
    let file = dir.path().join("waivers.toml");
    let waive = |case: &str, port: &str| {
        fs::write(
            &file,
            format!("[[waiver]]\ncase = \"{case}\"\nmodule = \"air780e\"\nreason = \"ticket 7\"\n"),
        )
        .expect("written");
        let output = atspec()
            .args([
                "run",
                "--module",
                "air780e",
                "--port",
                port,
                "--only",
                "session/qos1*",
                "--waivers",
                "waivers.toml",
            ])
            .current_dir(dir.path())
            .output()
            .expect("the program starts");
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let (code, words) = waive("session/qos1-*", "emulated:no-dup-again");
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("ticket 7"), "{words}");
    let (code, words) = waive("session/qos1-*", "emulated");
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("out of date"), "{words}");
    let (code, words) = waive("sesion/*", "emulated");
    assert_eq!(code, Some(2), "{words}");
}

#[test]
fn list_is_one_json_array() {
    let output = atspec()
        .args(["list", "--module", "air780e", "--format", "json"])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(rows.len() >= 45);
    for row in &rows {
        for key in ["id", "module", "suite", "asks", "level", "cites", "applies", "why"] {
            assert!(row.get(key).is_some(), "{key} in {row}");
        }
        let cites = row["cites"].as_array().expect("a list");
        // What the standard leaves open, and what becomes of a port when the network fails, is in no clause.
        let open = matches!(row["suite"].as_str(), Some("malformed" | "network"));
        assert!(
            open || !row["applies"].as_bool().expect("a flag") || !cites.is_empty(),
            "{} cites nothing",
            row["id"]
        );
    }
}
