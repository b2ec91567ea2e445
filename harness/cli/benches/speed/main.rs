//! How fast publications are driven over AT on a pseudo-terminal, observed on the wire, recorded and judged byte for byte,
//! beside a bare loop that does nothing but carry bytes, and beside a harness in Python. `just bench` prints the tables that
//! BENCHMARKS.md keeps; `just bench 1000000` watches the memory over so many cases.
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

use crate::cases::Publications;

/// How long each line of the table is measured.
const MEASURED: Duration = Duration::from_secs(4);

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
    let watched = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(CASES);
    speed();
    slow_line();
    memory(watched);
}

/// Cases a second.
fn speed() {
    let bare = bare::trips_a_second();
    println!("| what | a second | of the bare loop | of Python | µs a case judging |\n|---|---|---|---|---|");
    println!("| bare loop: line, TCP message, TCP reply, line; nothing parsed | {bare:.0} | 1 | | |");
    for what in PUBLICATIONS {
        let python = python::cases_a_second(what);
        match &python {
            Ok(python) => println!("| {what}, Python | {python:.0} | {:.2} | 1 | |", python / bare),
            Err(why) => println!("| {what}, Python | skipped: {why} | | | |"),
        }
        for lanes in [1, 2] {
            let measured = cases::on_lanes(what, lanes, MEASURED);
            let beside = python.as_ref().map_or(String::new(), |python| format!("{:.2}", measured.speed / python));
            println!(
                "| {what}, {lanes} {} | {:.0} | {:.2} | {beside} | {:.1} |",
                if lanes == 1 { "lane" } else { "lanes" },
                measured.speed,
                measured.speed / bare,
                measured.judging.as_secs_f64() * 1e6
            );
        }
    }
}

/// What is added to the time that the bytes need on a line of 115200 baud.
fn slow_line() {
    println!("\n| on a line of {} baud | ms a case for the bytes | added |\n|---|---|---|", paced::BAUD);
    for what in PUBLICATIONS {
        let (line, added) = paced::line_time_and_more(what, MEASURED);
        println!("| {what} | {:.2} | {:.2} % |", line.as_secs_f64() * 1e3, added * 100.0);
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
