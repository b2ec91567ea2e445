//! The reports of one hand-made run with all six verdicts, and of generated runs that hold anything.
#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod capture;
mod generated;
mod jsonl;
mod junit;
mod junit_rules;
mod sample;
mod terminal;
