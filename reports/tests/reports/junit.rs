//! `junit.xml`: valid, whole, and lossless for anything that a record may hold.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use atspec_model::{
    run::{CaseRecord, Record, RunStart},
    text,
    verdict::Verdict,
};
use atspec_reports::{junit, safe::xml_safe, words};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{generated, junit_rules, sample};

const DIR: &str = "atspec-report";

#[test]
fn the_file_of_a_run_with_all_six_verdicts() {
    let xml = junit::to_xml(Path::new(DIR), &sample::records()).unwrap();
    let suites = junit_rules::check(&xml).unwrap();
    assert_eq!(suites.iter().map(|s| s.cases.len()).sum::<usize>(), 9);
    insta::assert_snapshot!("junit", String::from_utf8(xml).unwrap());
}

#[test]
fn an_empty_run_gives_a_valid_file() {
    for records in [vec![], vec![Record::Run(sample::start("l506", "", "emulated"))]] {
        let xml = junit::to_xml(Path::new(DIR), &records).unwrap();
        assert!(junit_rules::check(&xml).unwrap().is_empty());
    }
}

#[test]
fn a_killed_run_is_partial() {
    let mut records = sample::records();
    assert_eq!(partial(&records), "false");
    records.pop();
    assert_eq!(partial(&records), "true");
}

fn partial(records: &[Record]) -> String {
    let suites = junit_rules::check(&junit::to_xml(Path::new(DIR), records).unwrap()).unwrap();
    suites[0].properties.iter().find(|(name, _)| name == "partial").unwrap().1.clone()
}

#[test]
fn only_a_time_that_was_told_is_written() {
    let stamp = |started: &str| {
        let start = RunStart { started: started.into(), ..sample::start("l506", "", "emulated") };
        let case = sample::case("l506", "tls/psk", Verdict::Pass, 1);
        let xml = junit::to_xml(Path::new(DIR), &[Record::Run(start), Record::Case(case)]).unwrap();
        junit_rules::check(&xml).unwrap()[0].attributes.get("timestamp").map(str::to_owned)
    };
    assert_eq!(stamp("2026-11-20T09:00:00.5+01:00").as_deref(), Some("2026-11-20T08:00:00Z"));
    assert_eq!(stamp("yesterday"), None);
    assert_eq!(stamp("-000042-03-01T00:00:00Z"), None);
}

#[test]
fn a_case_that_comes_twice_is_numbered() {
    let case = || Record::Case(sample::case("l506", "tls/psk", Verdict::Pass, 1));
    let suites = junit_rules::check(&junit::to_xml(Path::new(DIR), &[case(), case()]).unwrap()).unwrap();
    let names: Vec<_> = suites[0].cases.iter().map(|c| c.attributes.get("name").unwrap()).collect();
    assert_eq!(names, ["psk", "psk (2)"]);
}

#[test]
fn the_file_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/on the way/junit.xml");
    for records in [sample::records(), vec![]] {
        junit::write(&path, Path::new(DIR), &records).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), junit::to_xml(Path::new(DIR), &records).unwrap());
    }
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "an unfinished file is left: {left:?}");
    junit::write(Path::new("/"), Path::new(DIR), &[]).unwrap_err();
}

#[cfg(unix)]
#[test]
fn a_link_and_a_device_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file.xml"), dir.path().join("link.xml"));
    std::fs::write(&file, "former").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    junit::write(&link, Path::new(DIR), &[]).unwrap();
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&file).unwrap().contains("<testsuites/>"));
    let device = dir.path().join("null");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    junit::write(&device, Path::new(DIR), &[]).unwrap();
    assert!(device.is_symlink() && !Path::new("/dev/null").is_file());
}

proptest! {
    #[test]
    fn any_run_gives_a_valid_file_that_lost_nothing(records in generated::any_run()) {
        let xml = junit::to_xml(Path::new(DIR), &records).unwrap();
        let suites = junit_rules::check(&xml).map_err(|why| TestCaseError::fail(format!("{why} in {}", String::from_utf8_lossy(&xml))))?;
        let wanted = in_order(&records);
        prop_assert_eq!(suites.len(), wanted.len());
        for (suite, cases) in suites.iter().zip(wanted) {
            let module = &suite.properties.iter().find(|(name, _)| name == "module").unwrap().1;
            prop_assert!(recovered(module, &cases[0].module), "{} is not {}", module, cases[0].module);
            prop_assert_eq!(suite.cases.len(), cases.len());
            for (read, case) in suite.cases.iter().zip(cases) {
                prop_assert!(holds(read, case), "{:?} does not tell {:?}", read, case);
            }
        }
    }
}

/// The cases by module and suite, as the file groups them.
fn in_order(records: &[Record]) -> Vec<Vec<&CaseRecord>> {
    let cases: Vec<&CaseRecord> =
        records.iter().filter_map(|r| if let Record::Case(c) = r { Some(c) } else { None }).collect();
    let first = |fits: &dyn Fn(&CaseRecord) -> bool| cases.iter().position(|c| fits(c));
    let place = |case: &CaseRecord| {
        let module = first(&|c| c.module == case.module);
        (module, first(&|c| c.module == case.module && c.suite() == case.suite()))
    };
    let mut groups: std::collections::BTreeMap<_, Vec<&CaseRecord>> = std::collections::BTreeMap::new();
    for case in &cases {
        groups.entry(place(case)).or_default().push(case);
    }
    groups.into_values().collect()
}

/// Whether the text in a file is the recorded one, after undoing what made it safe.
fn recovered(read: &str, recorded: &str) -> bool {
    read == recorded || text::bytes(read).is_ok_and(|bytes| bytes == recorded.as_bytes())
}

/// Whether a test case of the file tells all of the record.
fn holds(read: &junit_rules::Case, case: &CaseRecord) -> bool {
    let words = words::of_case(case, Path::new(DIR));
    let name = read.attributes.get("name").unwrap();
    let shown = xml_safe(case.name());
    let wish = if shown.trim().is_empty() { "(unnamed)" } else { shown.as_str() };
    let named = name == wish || name.starts_with(&format!("{wish} ("));
    let child = match case.verdict {
        Verdict::Pass | Verdict::Warning => "system-out",
        Verdict::Fail => "failure",
        Verdict::Inconclusive | Verdict::Error => "error",
        Verdict::Skipped => "skipped",
    };
    let told = match read.children.as_slice() {
        [] => child == "system-out" && words.is_empty(),
        [(name, attributes, body)] => {
            let kind = attributes.get("type").unwrap_or_default();
            let kind_fits = match case.verdict {
                Verdict::Inconclusive => kind == "inconclusive",
                Verdict::Error => kind == "rig",
                _ => true,
            };
            let message = attributes
                .get("message")
                .is_none_or(|m| case.message.is_empty() || recovered(m, &case.message));
            name == child && kind_fits && message && (child == "skipped" || *body == words)
        }
        _ => false,
    };
    named && told
}

/// A reader that is not ours says the same.
#[test]
fn xmllint_finds_every_file_well_formed() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        writeln!(std::io::stderr(), "skipped: xmllint is not installed").unwrap();
        return;
    }
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let linted = runner.run(&generated::any_run(), |records| {
        let xml = junit::to_xml(Path::new(DIR), &records).unwrap();
        xmllint(&xml).map_err(TestCaseError::fail)
    });
    linted.unwrap();
}

fn xmllint(xml: &[u8]) -> Result<(), String> {
    let lint =
        Command::new("xmllint").args(["--noout", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut lint = lint.unwrap();
    lint.stdin.take().unwrap().write_all(xml).unwrap();
    let out = lint.wait_with_output().unwrap();
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}
