//! Modules that do as their documents say in other ways: never a false alarm.

mod common;

use std::{sync::Mutex, thread, time::Duration};

use atspec_emulator::{Framing, Options, Temper};
use common::{Module, options, run_on, stdout};

/// Runs at a time: they mostly wait.
const LANES: usize = 16;

/// The cases that a slow line shows most in.
const SLOW: &[&str] = &["flow/*", "connect/*", "publish/held-*", "publish/qos*", "session/qos1*", "close/*"];

/// A module, how it differs, and the cases that are run; all where none are named.
struct Variant {
    name: &'static str,
    module: &'static str,
    temper: Temper,
    only: &'static [&'static str],
}

fn variants() -> Vec<Variant> {
    let plain = Temper::default;
    let slow = Duration::from_millis(300);
    let lines: [(&str, Temper); 7] = [
        ("without echo", Temper { echo: false, ..plain() }),
        ("bare lines", Temper { framing: Framing::Bare, ..plain() }),
        ("blank lines", Temper { framing: Framing::Blank, echo: false, ..plain() }),
        ("byte by byte", Temper { bytewise: true, ..plain() }),
        ("glued", Temper { glued: true, ..plain() }),
        (
            "sprinkled",
            Temper { sprinkle: true, bear: true, bytewise: true, framing: Framing::Bare, ..plain() },
        ),
        ("other ids", Temper { seed: Some(7), early_ping: true, bear: true, ..plain() }),
    ];
    // What only some documents leave open.
    let dialogues: [(&str, Temper); 4] = [
        ("early", Temper { answer_early: true, bear: true, ..plain() }),
        (
            "odd and early",
            Temper { answer_early: true, odd_order: true, nothing_without_answer: true, ..plain() },
        ),
        ("last forms", Temper { last_forms: true, declared_whole: true, ..plain() }),
        ("no answer", Temper { no_answer: true, last_forms: true, bear: true, seed: Some(3), ..plain() }),
    ];
    let slows: [(&str, Temper); 2] = [
        ("slow", Temper { reply_delay: slow, ..plain() }),
        (
            "slow and chatty",
            Temper {
                reply_delay: slow,
                sprinkle: true,
                bytewise: true,
                bear: true,
                answer_early: true,
                ..plain()
            },
        ),
    ];
    let variant =
        |module, only| move |(name, temper): (&'static str, Temper)| Variant { name, module, temper, only };
    let mut all: Vec<Variant> = lines.into_iter().map(variant("air780e", &[])).collect();
    for module in ["bk7238", "l506", "air720", "nt35e"] {
        all.extend(dialogues.clone().into_iter().map(variant(module, &[])));
    }
    for module in ["bk7238", "l506", "air720", "nt35e", "air780e"] {
        all.extend(slows.clone().into_iter().map(variant(module, SLOW)));
    }
    all
}

#[test]
fn no_false_alarm() {
    let queue = Mutex::new(variants().into_iter());
    let alarms = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let Some(variant) = queue.lock().expect("not poisoned").next() else { return };
                    if let Some(alarm) = alarm(&variant) {
                        alarms.lock().expect("not poisoned").push(alarm);
                    }
                }
            });
        }
    });
    let alarms = alarms.into_inner().expect("not poisoned");
    assert!(alarms.is_empty(), "{}", alarms.join("\n\n"));
}

/// What is wrongly found wrong with a variant.
fn alarm(variant: &Variant) -> Option<String> {
    let module = Module::of(variant.module, Options { temper: variant.temper.clone(), ..options() });
    let only: Vec<&str> = variant.only.iter().flat_map(|glob| ["--only", glob]).collect();
    let (output, dir) = run_on(&module, &only);
    let all = common::verdicts(&dir.path().join("report"));
    let fine = ["pass", "warning", "skipped"];
    let alarms: Vec<String> = all
        .iter()
        .filter(|(_, verdict, _)| !fine.contains(&verdict.as_str()))
        .map(|(id, verdict, message)| format!("  {verdict} {id}: {message}"))
        .collect();
    let passed = all.iter().any(|(_, verdict, _)| verdict == "pass");
    if alarms.is_empty() && passed && output.status.code() == Some(0) {
        return None;
    }
    let shown = alarms.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    let rest = if alarms.is_empty() { stdout(&output) } else { String::new() };
    Some(format!("{} {}: {} alarms\n{shown}{rest}", variant.module, variant.name, alarms.len()))
}
