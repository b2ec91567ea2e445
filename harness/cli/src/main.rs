//! `atspec`: the conformance test harness for modules that expose an MQTT client through AT commands.
//!
//! One file per command; this one maps arguments to commands and their outcome to an exit code.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test panics to fail"))]

mod args;
mod bite;
mod bytes;
mod capture;
mod check;
mod coverage;
mod emulate;
mod explain;
mod failure;
mod guise;
mod interrupt;
mod judge;
mod list;
mod measure;
mod modules;
mod out;
mod policies;
mod run;
mod seat;
mod select;
mod waivers;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(args) => run::run(&args),
        Command::List(args) => list::list(&args),
        Command::Coverage(args) => coverage::coverage(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Judge(args) => judge::judge(&args),
        Command::Capture(args) => capture::capture(&args),
        Command::Check(args) => check::check(&args),
        Command::Emulate(args) => emulate::emulate(&args),
        Command::Bite(args) => bite::bite(&args),
        Command::Measure(args) => measure::measure(&args),
        Command::Bytes(args) => bytes::bytes(&args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.tell(),
    }
}
