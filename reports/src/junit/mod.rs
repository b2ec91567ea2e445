//! `junit.xml` from the records of a run.
//!
//! A test suite for each module and suite, a test case for each case, by the table of verdicts: pass and warning are successes,
//! fail is a failure, inconclusive an error of type `inconclusive`, error one of type `rig`, skipped is skipped. The crate junit-report
//! writes the file; a second pass adds what it has no words for.

use std::{io, path::Path};

use atspec_model::{
    run::{CaseRecord, Record, RunStart},
    verdict::Verdict,
};
use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestCaseBuilder, TestSuite};

use self::{
    finish::{Extra, finish},
    names::Names,
};
use crate::{
    atomic,
    safe::{self, xml_safe},
    words,
};

mod finish;
mod names;

/// The file's name in a run's directory.
pub const FILE: &str = "junit.xml";

/// Writes the records as JUnit to `path`, whole or not at all.
///
/// `dir` is the run's directory, from which the failures name their recordings.
pub fn write(path: &Path, dir: &Path, records: &[Record]) -> io::Result<()> {
    atomic::write(path, &to_xml(dir, records)?)
}

/// The file's content.
pub fn to_xml(dir: &Path, records: &[Record]) -> io::Result<Vec<u8>> {
    let mut report = Report::new();
    let mut extras = Vec::new();
    let (mut suite_names, mut case_names) = (Names::default(), Names::default());
    for group in groups(records) {
        let name = suite_names.unique(&format!("{}.{}", safe::name(group.module), safe::name(group.suite)));
        let start = start_of(records, group.module);
        let cases = group.cases.iter().map(|case| {
            let unique = case_names.unique_in(&name, &safe::name(case.name()));
            test_case(case, &name, &unique, dir)
        });
        report.add_testsuite(TestSuite {
            package: safe::name(group.module).into_owned(),
            timestamp: start.and_then(started).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            testcases: cases.collect(),
            ..TestSuite::new(&name)
        });
        extras.push(extra(&group, start, is_partial(records)));
    }
    let mut xml = Vec::new();
    report.write_xml(&mut xml).map_err(io::Error::other)?;
    finish(&xml, &extras)
}

/// The cases of one suite on one module.
struct Group<'a> {
    module: &'a str,
    suite: &'a str,
    cases: Vec<&'a CaseRecord>,
}

/// Module by module, and within a module in the order in which the first cases of its suites ended.
fn groups(records: &[Record]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for record in records {
        let Record::Case(case) = record else { continue };
        let (module, suite) = (case.module.as_str(), case.suite());
        let place = *places.entry((module, suite)).or_insert_with(|| {
            groups.push(Group { module, suite, cases: Vec::new() });
            groups.len() - 1
        });
        groups[place].cases.push(case);
    }
    let modules: Vec<&str> = groups.iter().map(|group| group.module).collect();
    groups.sort_by_key(|group| modules.iter().position(|&module| module == group.module));
    groups
}

fn test_case(case: &CaseRecord, class: &str, name: &str, dir: &Path) -> TestCase {
    let (time, text) = (duration(case.took_ms), words::of_case(case, dir));
    let words = [case.message.as_str(), &case.observed, case.verdict.word()];
    let message = xml_safe(words.into_iter().find(|words| !words.is_empty()).unwrap_or_default());
    let mut built = match case.verdict {
        Verdict::Pass | Verdict::Warning => TestCaseBuilder::success(name, time),
        Verdict::Fail => TestCaseBuilder::failure(name, time, &case.level.to_string(), &message),
        Verdict::Inconclusive => TestCaseBuilder::error(name, time, "inconclusive", &message),
        Verdict::Error => TestCaseBuilder::error(name, time, "rig", &message),
        Verdict::Skipped => TestCaseBuilder::skipped_with_cause(name, "skipped", &message),
    };
    built.set_classname(class);
    match case.verdict {
        Verdict::Pass | Verdict::Warning if !text.is_empty() => built.set_system_out(&finish::guarded(&text)),
        _ => built.set_trace(&finish::guarded(&text)),
    };
    TestCase { time, ..built.build() }
}

/// A record made by somebody else may hold any number; junit-report adds them up and would panic on overflow.
fn duration(took_ms: u64) -> Duration {
    Duration::milliseconds(i64::from(u32::try_from(took_ms).unwrap_or(u32::MAX)))
}

/// When the module's part began, where that is a time which junit-report can write.
fn started(start: &RunStart) -> Option<OffsetDateTime> {
    let second = start.started.parse::<jiff::Timestamp>().ok()?.as_second();
    OffsetDateTime::from_unix_timestamp(second).ok().filter(|time| (0..=9999).contains(&time.year()))
}

fn start_of<'a>(records: &'a [Record], module: &str) -> Option<&'a RunStart> {
    records.iter().find_map(|record| match record {
        Record::Run(start) if start.module == module => Some(start),
        _ => None,
    })
}

/// A run that never told its end was killed, or is still running.
fn is_partial(records: &[Record]) -> bool {
    let end = records.iter().rev().find_map(|record| match record {
        Record::End(end) => Some(end.partial),
        _ => None,
    });
    end.unwrap_or(true)
}

fn extra(group: &Group<'_>, start: Option<&RunStart>, partial: bool) -> Extra {
    let mut properties = vec![("module", xml_safe(group.module))];
    if let Some(start) = start {
        properties.extend([
            ("identity", xml_safe(&start.identity)),
            ("port", xml_safe(&start.port)),
            ("seed", start.seed.to_string()),
            ("atspec", xml_safe(&start.atspec)),
        ]);
    }
    properties.push(("partial", partial.to_string()));
    let skipped = group.cases.iter().filter(|case| case.verdict == Verdict::Skipped).count();
    Extra { properties, skipped, dated: start.and_then(started).is_some() }
}
