//! `run.jsonl`: written record by record, read back, also after a killed run.

use std::fs;

use atspec_model::run::{Record, RunEnd};
use atspec_reports::jsonl::{self, JsonlReporter};
use proptest::prelude::*;

use crate::{generated, sample};

#[test]
fn a_run_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let records = sample::records();
    sample::replay(&records, &mut JsonlReporter::create(&dir.path().join("new")).unwrap());
    assert_eq!(jsonl::read(&dir.path().join("new/run.jsonl")).unwrap(), records);
}

#[test]
fn every_record_is_in_the_file_as_soon_as_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut reporter = JsonlReporter::create(dir.path()).unwrap();
    let records = sample::records();
    for (index, record) in records.iter().enumerate() {
        reporter.append(record).unwrap();
        assert_eq!(jsonl::read(&dir.path().join("run.jsonl")).unwrap(), records[..=index]);
    }
}

#[test]
fn the_lines_are_those_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    sample::replay(&sample::records(), &mut JsonlReporter::create(dir.path()).unwrap());
    let text = fs::read_to_string(dir.path().join("run.jsonl")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with(r#"{"type":"run","schema":1,"started":"2026-11-20T08:00:00Z","#),
        "{}",
        lines[0]
    );
    assert!(
        lines[2].starts_with(
            r#"{"type":"case","module":"air780e","id":"connect/clean-session","verdict":"pass""#
        ),
        "{}",
        lines[2]
    );
    assert!(lines.last().unwrap().ends_with(r#""partial":false}"#));
}

#[test]
fn a_killed_run_loses_only_its_unfinished_line() {
    let records = sample::records();
    let whole = lines(&records);
    let end = whole.iter().rposition(|&b| b == b'{').unwrap();
    for cut in (whole.len() - 40)..whole.len() {
        let read = jsonl::parse(&whole[..cut]).unwrap();
        // Without its line break alone the last record is still whole.
        let kept = if cut == whole.len() - 1 { records.len() } else { records.len() - 1 };
        assert_eq!(read, records[..kept], "cut at {cut}, last record from {end}");
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    let mut text = lines(&sample::records()[..2]);
    text.extend(b"\n{\"type\":\"case\"}\n{\"type\":\"end\"");
    let (line, what) = jsonl::parse(&text).unwrap_err();
    assert_eq!((line, what.as_str()), (4, "missing field `module`"));

    let (line, what) = jsonl::parse(b"\n{\"type\":\"end\",,}\n").unwrap_err();
    assert_eq!((line, what.as_str()), (2, "key must be a string at column 15"));

    let (line, what) = jsonl::parse(b"{\"type\":\"run\",\"schema\":7,\"new\":1}\n").unwrap_err();
    assert_eq!((line, what.as_str()), (1, "schema 7 is not known here; this atspec reads schema 1"));

    let missing = jsonl::read(std::path::Path::new("/nowhere/run.jsonl")).unwrap_err();
    assert!(missing.to_string().starts_with("/nowhere/run.jsonl: No such file"), "{missing}");
    assert_eq!(jsonl::parse(b"").unwrap(), []);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let mut reporter = JsonlReporter::at(std::path::Path::new("/dev/full")).unwrap();
    let end = Record::End(RunEnd::count([], true));
    let error = reporter.append(&end).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

proptest! {
    #[test]
    fn any_records_come_back_wherever_the_file_is_cut(mut records in generated::any_run(), cut in any::<prop::sample::Index>()) {
        for record in &mut records {
            if let Record::Run(start) = record {
                start.schema = atspec_model::run::SCHEMA;
            }
        }
        let whole = lines(&records);
        prop_assert_eq!(&jsonl::parse(&whole).unwrap(), &records);
        let cut = &whole[..cut.index(whole.len() + 1)];
        let read = jsonl::parse(cut).unwrap();
        prop_assert_eq!(&records[..read.len()], &read);
        prop_assert!(read.len() >= cut.split(|&b| b == b'\n').count() - 1);
    }
}

fn lines(records: &[Record]) -> Vec<u8> {
    let lines = records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
    lines.collect::<String>().into_bytes()
}
