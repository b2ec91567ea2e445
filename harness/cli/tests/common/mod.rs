//! What the tests of the program share: running it, and emulated modules that it meets as somebody else's.
#![allow(dead_code, clippy::allow_attributes, unused_imports, reason = "every test file uses another part")]

pub(crate) mod mosquitto;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use atspec_emulator::{Emulator, Options, PortGuard, pseudo_terminal};
use atspec_model::{profile::Profile, run::Record};
use tempfile::TempDir;

/// The clock factor of every module here.
pub(crate) const CLOCK: f64 = 0.05;

/// The program.
pub(crate) fn atspec() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atspec"));
    command.env("NO_COLOR", "1");
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    atspec().args(args).output().expect("the program starts")
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Looks again and again until something has happened, at most two minutes: for what other processes do to files.
pub(crate) fn reached(happened: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !happened() {
        if Instant::now() > deadline {
            return false;
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    true
}

/// A fresh directory.
pub(crate) fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The records of a run's directory.
pub(crate) fn records(dir: &Path) -> Vec<Record> {
    atspec_reports::jsonl::read(&dir.join("run.jsonl")).expect("a readable run.jsonl")
}

/// The cases of a run's directory as (id, verdict, message).
pub(crate) fn verdicts(dir: &Path) -> Vec<(String, String, String)> {
    let case = |record| match record {
        Record::Case(case) => Some((case.id, case.verdict.to_string(), case.message)),
        _ => None,
    };
    records(dir).into_iter().filter_map(case).collect()
}

/// A shipped profile.
pub(crate) fn profile(name: &str) -> Arc<Profile> {
    let source = atspec_fixtures::profile(name).expect("shipped");
    Arc::new(Profile::load(source).expect("without mistakes"))
}

/// The shipped profile that most tests are about.
pub(crate) fn air780e() -> Arc<Profile> {
    profile("air780e")
}

/// An emulated module on a pseudo-terminal, on a thread of its own, until it is dropped.
pub(crate) struct Module {
    name: String,
    pub(crate) path: PathBuf,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Module {
    /// Switches an Air780E on.
    pub(crate) fn start(options: Options) -> Self {
        Self::of("air780e", options)
    }

    /// Switches a module on.
    pub(crate) fn of(name: &str, options: Options) -> Self {
        let profile = profile(name);
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (io, path, guard): (_, _, PortGuard) = pseudo_terminal().expect("a pseudo-terminal");
                let mut module = Some(Emulator::spawn(profile, options, io));
                tell.send(path).expect("the test waits");
                let mut guard = Some(guard);
                let mut stopped = stopped;
                loop {
                    let gone = async {
                        match module.take() {
                            Some(module) => module.finished().await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        _ = &mut stopped => break,
                        // A module that goes away takes its port along.
                        () = gone => guard = None,
                    }
                }
                drop(guard);
            });
        });
        let path = told.recv().expect("the module starts");
        Self { name: name.to_owned(), path, stop: Some(stop), thread: Some(thread) }
    }

    /// The port for the command line.
    pub(crate) fn port(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The plain options of an emulated module.
pub(crate) fn options() -> Options {
    Options { clock_factor: CLOCK, boot_lines: true, ..Options::default() }
}

/// Runs the program against a module on a port: output and the directory of its reports.
pub(crate) fn run_on(module: &Module, more: &[&str]) -> (Output, TempDir) {
    let dir = temp();
    let out = dir.path().join("report");
    let output = atspec()
        .args([
            "run",
            "--module",
            &module.name,
            "--clock-factor",
            &CLOCK.to_string(),
            "--port",
            &module.port(),
        ])
        .args(["--out", &out.display().to_string()])
        .args(more)
        .output()
        .expect("the program starts");
    (output, dir)
}
