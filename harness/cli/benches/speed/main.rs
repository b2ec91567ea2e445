//! How fast publications are driven over AT on a pseudo-terminal, observed on the wire, recorded and judged byte for byte,
//! beside a bare loop that does nothing but carry bytes, and beside a harness in Python. `just bench` prints the tables that
//! BENCHMARKS.md keeps; `just bench speed`, `just bench line` and `just bench memory 1000000` print one of them, the last over
//! so many cases.
//!
//! - [`bare`]: the bare loop;
//! - [`cases`]: this harness;
//! - [`python`]: `harness.py`, of which every part but the module is another;
//! - [`paced`]: a line as slow as a real one.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bare;
mod cases;
mod module;
mod paced;
mod python;

use std::time::Duration;

use crate::cases::{Measured, Publications};

/// How often everything is measured in turn. The best of each counts: whoever else uses the machine only makes it slower.
const ROUNDS: usize = 5;

/// How long a round measures each.
const MEASURED: Duration = Duration::from_secs(1);

/// Cases over which the memory is watched, unless the arguments name another number.
const CASES: u32 = 20_000;

/// The publications of the table.
const PUBLICATIONS: [Publications; 4] = [
    Publications { qos: 0, len: 16 },
    Publications { qos: 0, len: 1024 },
    Publications { qos: 1, len: 16 },
    Publications { qos: 1, len: 1024 },
];

fn main() {
    // `cargo test` runs benchmarks as tests: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let asked = |table: &str| {
        let named = |name: &&str| std::env::args().any(|argument| argument == **name);
        !["speed", "line", "memory"].iter().any(named) || named(&table)
    };
    if asked("speed") {
        speed();
    }
    if asked("line") {
        slow_line();
    }
    if asked("memory") {
        memory(std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(CASES));
    }
}

/// What a line of the table is about.
type Kind = (String, Box<dyn Fn() -> Result<Measured, String>>);

/// Cases a second.
fn speed() {
    let mut kinds: Vec<Kind> = vec![("bare loop".to_owned(), Box::new(|| Ok(bare::trips())))];
    for what in PUBLICATIONS {
        kinds.push((format!("{what}: Python"), Box::new(move || python::cases(what))));
        for (lanes, name) in [(1, "one lane"), (2, "two lanes")] {
            kinds.push((
                format!("{what}: {name}"),
                Box::new(move || Ok(cases::on_lanes(what, lanes, MEASURED))),
            ));
        }
    }
    let mut best: Vec<Result<Measured, String>> = kinds.iter().map(|(_, measure)| measure()).collect();
    for _ in 1..ROUNDS {
        for ((_, measure), best) in kinds.iter().zip(&mut best) {
            if let Ok(best) = best
                && let Ok(again) = measure()
            {
                best.improve(&again);
            }
        }
    }
    println!("| what | a second | of the bare loop | of Python | µs of processor a case | of it judging |");
    println!("|---|---|---|---|---|---|");
    let (mut bare, mut python) = (None, None);
    for ((name, _), best) in kinds.iter().zip(best) {
        let best = match best {
            Ok(best) => best,
            Err(why) => {
                println!("| {name} | skipped: {why} | | | | |");
                python = None;
                continue;
            }
        };
        let bare = *bare.get_or_insert(best.speed);
        if name.ends_with("Python") {
            python = Some(best.speed);
        }
        let beside = python.map_or(String::new(), |python| format!("{:.2}", best.speed / python));
        let us = |time: Option<Duration>| {
            time.map_or(String::new(), |time| format!("{:.1}", time.as_secs_f64() * 1e6))
        };
        let (processor, judging) = (us(best.processor), us(best.judging));
        let speed = best.speed;
        println!("| {name} | {speed:.0} | {:.2} | {beside} | {processor} | {judging} |", speed / bare);
    }
}

/// What is added to the time that the bytes need on a line of 115200 baud.
fn slow_line() {
    println!(
        "\n| on a line of {} baud | ms a case for the bytes | added | of it processor time |",
        paced::BAUD
    );
    println!("|---|---|---|---|");
    for what in PUBLICATIONS {
        let case = paced::cases(what, 4 * MEASURED);
        let line = case.line.as_secs_f64();
        let part = |time: Duration| time.as_secs_f64() / line * 100.0;
        let (added, processor) = (part(case.more), part(case.processor));
        println!("| {what} | {:.2} | {added:.2} % | {processor:.2} % |", line * 1e3);
    }
}

/// Memory of the process after so many cases.
fn memory(cases: u32) {
    println!("\n| cases | MiB in memory |\n|---|---|");
    cases::watched(PUBLICATIONS[0], cases, |done| println!("| {done} | {:.1} |", resident()));
}

/// MiB that the process has in memory.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u32 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    f64::from(pages) * 4096.0 / 1024.0 / 1024.0
}
