//! Vendors that are not built in: a profile file is all they need, no code.
#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod common;

use std::{fs, path::Path};

use atspec_model::profile::{Profile, render};
use common::{atspec, stdout, temp, verdicts};
use rstest::rstest;

#[rstest]
#[case("quectel-qmt")]
#[case("esp-at")]
fn a_profile_is_a_vendor(#[case] name: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/more-profiles/{name}.toml"));
    let source = fs::read_to_string(&file).unwrap();
    if let Err(mistakes) = Profile::load(&source) {
        panic!("\n{}", render(name, &source, &mistakes));
    }
    let dir = temp();
    let out = dir.path().join("report");
    let output = atspec().arg("run").arg("--module").arg(&file).arg("--out").arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let passed = verdicts(&out).iter().filter(|(_, verdict, _)| verdict == "pass").count();
    assert!(passed > 200, "{passed} passed");
}
