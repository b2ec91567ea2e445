//! What an operator sees while a run goes on, and what is left on the screen when it is over.
//!
//! Two faces of one reporter: *live* keeps one line per module at the foot of a terminal, *plain* writes nothing but
//! lines for a log. Both tell the same things about a case ([`crate::words`]) and end with the same summary.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use atspec_model::{
    run::{CaseRecord, PolicyRecord, RunEnd, RunEvent, RunStart},
    verdict::Verdict,
};
use indicatif::ProgressDrawTarget;

use self::{
    live::Live,
    progress::Progress,
    summary::{Done, Summary},
};
use crate::{Reporter, paint::Paint, safe::safe, words};

mod live;
mod progress;
mod summary;

/// What the caller decided for the terminal.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether colours are wanted: a terminal, and no `NO_COLOR`.
    pub colours: bool,
    /// Whether warnings fail the run (`--strict`), which the last line has to know.
    pub strict: bool,
    /// The run's directory.
    pub dir: PathBuf,
    /// The files and directories that will have been written when the run is over; told in the summary.
    pub files: Vec<PathBuf>,
}

/// Tells a run to an operator.
#[derive(Debug)]
pub struct TerminalReporter<W> {
    out: W,
    options: Options,
    paint: Paint,
    live: Option<Live>,
    modules: Vec<Progress>,
    done: Vec<Done>,
    policies: Vec<PolicyRecord>,
}

impl<W: Write> TerminalReporter<W> {
    /// Plain lines without control sequences (colours aside, if asked for): for a pipe or a log.
    pub fn plain(out: W, options: Options) -> Self {
        let paint = Paint::new(options.colours);
        Self { out, options, paint, live: None, modules: Vec::new(), done: Vec::new(), policies: Vec::new() }
    }

    /// One live line per module on `screen`, and everything that stays above them on `out`: the same terminal, both times.
    pub fn live(out: W, screen: ProgressDrawTarget, options: Options) -> Self {
        Self { live: Some(Live::new(screen)), ..Self::plain(out, options) }
    }

    /// Writes what stays, above the live lines where there are any.
    fn say(&mut self, text: &str) -> io::Result<()> {
        let Self { out, live, .. } = self;
        let mut write = || out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match live {
            _ if text.is_empty() => Ok(()),
            Some(live) => live.above(write),
            None => write(),
        }
    }

    /// The module's progress; a module that never said it had started is taken in silently.
    fn progress(&mut self, module: &str) -> &mut Progress {
        let place = self.modules.iter().position(|p| p.module == module).unwrap_or_else(|| {
            self.modules.push(Progress::new(module, 0));
            self.modules.len() - 1
        });
        &mut self.modules[place]
    }

    fn module_started(&mut self, start: &RunStart, cases: usize) -> io::Result<()> {
        self.progress(&start.module).cases += cases;
        if let Some(live) = &mut self.live {
            live.start(&start.module, cases);
        }
        let who =
            if start.identity.is_empty() { String::new() } else { format!(" ({})", safe(&start.identity)) };
        let cases = counted(cases, "case");
        self.say(&format!(
            "{}: {cases} on {}{who}, seed {}\n",
            safe(&start.module),
            safe(&start.port),
            start.seed
        ))
    }

    fn case_done(&mut self, case: &CaseRecord) -> io::Result<()> {
        let progress = self.progress(&case.module);
        progress.count(case);
        let (failed, line) = (progress.bad(), progress.line_if_due());
        if let Some(live) = &mut self.live {
            live.done(&case.module, failed, self.paint);
        }
        // A skipped case is a line of a log, but nothing to call an operator for; why cases are not run is told once.
        let told = match case.verdict {
            Verdict::Skipped => self.live.is_none(),
            _ => !summary::is_not_run(case),
        };
        let text = words::painted(case, &self.options.dir, self.paint);
        self.done.push(Done::of(case, &self.options.dir));
        self.say(if told { &text } else { "" })?;
        match line {
            Some(line) if self.live.is_none() => self.say(&line),
            _ => Ok(()),
        }
    }

    fn module_done(&mut self, module: &str) -> io::Result<()> {
        if let Some(live) = &mut self.live {
            live.finish(module);
        }
        let line = self.progress(module).last_line();
        self.say(&line)
    }

    fn ended(&mut self, end: &RunEnd) -> io::Result<()> {
        if let Some(live) = &mut self.live {
            live.end();
        }
        let planned = self.modules.iter().map(|p| p.cases).sum();
        let summary = Summary {
            done: &self.done,
            planned,
            partial: end.partial,
            alternatives: &end.alternatives,
            policies: &self.policies,
            options: &self.options,
            paint: self.paint,
        };
        let text = summary.text();
        self.say(&text)
    }
}

impl<W: Write> Reporter for TerminalReporter<W> {
    fn on(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        match *event {
            RunEvent::ModuleStarted { start, cases } => self.module_started(start, cases),
            RunEvent::CaseStarted { module, id } => {
                let failed = self.progress(module).bad();
                if let Some(live) = &mut self.live {
                    live.now(module, id, failed, self.paint);
                }
                Ok(())
            }
            RunEvent::CaseDone { record, .. } => self.case_done(record),
            RunEvent::PolicyDone { record } => {
                self.policies.push(record.clone());
                Ok(())
            }
            RunEvent::ModuleDone { module } => self.module_done(module),
            RunEvent::Note { module, text } => self.say(&format!("{}: note: {}\n", safe(module), safe(text))),
            RunEvent::Ended { end } => self.ended(end),
        }
    }
}

/// `2 pass, 1 fail`: every verdict that was reached, in the order in which they are shown everywhere.
fn reached(of: impl Fn(Verdict) -> usize) -> String {
    let told = Verdict::ALL.into_iter().filter(|&v| of(v) > 0).map(|v| format!("{} {v}", of(v)));
    let told: Vec<_> = told.collect();
    if told.is_empty() { "nothing was done".to_owned() } else { told.join(", ") }
}

/// `1 case`, `2 cases`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
