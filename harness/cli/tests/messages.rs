//! What a firmware engineer reads of each deviant: the first case that must catch it, in one file, to be read line by line.

mod common;

use std::{fmt::Write as _, sync::Mutex, thread};

use atspec_emulator::Deviant;
use atspec_model::{run::Record, verdict::Verdict};
use common::{atspec, records, stdout, temp};

/// Modules that are driven side by side; they mostly wait.
const JOBS: usize = 32;

#[test]
fn the_message_of_every_deviant_names_its_fault() {
    let queue = Mutex::new(atspec_fixtures::DEVIANTS.iter());
    let messages = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                loop {
                    let Some((name, text)) = queue.lock().expect("not poisoned").next() else { return };
                    let message = message(name, text);
                    messages.lock().expect("not poisoned").push(message);
                }
            });
        }
    });
    let mut messages = messages.into_inner().expect("not poisoned");
    messages.sort();
    insta::with_settings!({ filters => vec![
        // Ports and times are others in each run.
        (r#"(127\.0\.0\.1"?,"?)\d+"#, "${1}PORT"),
        (r"\bport \d+", "port PORT"),
        (r"\b\d+\.\d+ s\b", "TIME s"),
        // How many are lost of what comes fast, too.
        (r"(30 messages printed as it came, in order\n +observed ) .*", "$1 fewer"),
    ] }, {
        insta::assert_snapshot!(messages.join("\n"));
    });
}

/// What the first case of `caught_by` says of the deviant.
fn message(name: &str, text: &str) -> String {
    let deviant = Deviant::load(text).unwrap_or_else(|why| panic!("{name}: {why}"));
    let case = &deviant.caught_by[0];
    let dir = temp();
    let out = dir.path().join("report");
    let output = atspec()
        .args([
            "run",
            "--module",
            &deviant.module,
            "--port",
            &format!("emulated:{name}"),
            "--only",
            case,
            "--out",
        ])
        .arg(&out)
        .output()
        .expect("the program starts");
    let record = records(&out).into_iter().find_map(|record| match record {
        Record::Case(case) => Some(case),
        _ => None,
    });
    let record = record.unwrap_or_else(|| panic!("{name}: {}", stdout(&output)));
    assert!(matches!(record.verdict, Verdict::Fail | Verdict::Warning), "{name} survives {case}: {record:?}");
    let mut message = format!("{name}: {}\n", deviant.why);
    let _ = writeln!(message, "  {} {case}: {}", record.verdict, record.asks);
    let _ = writeln!(message, "  {}", record.cites.join(" "));
    let _ = writeln!(message, "  expected  {}\n  observed  {}", record.expected, record.observed);
    message
}
