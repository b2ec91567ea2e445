//! Where everything a run tells is reported: terminal, `run.jsonl`, `junit.xml`.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use atspec_model::run::{CaseRecord, Record, RunEnd, RunEvent};
use atspec_reports::{JsonlReporter, Reporter as _, TerminalReporter, jsonl, junit, terminal};
use indicatif::ProgressDrawTarget;

use super::{lane::Told, plan::Plan};
use crate::{args::RunArgs, failure::Failure};

/// The reporters of a run.
pub(crate) struct Reports {
    terminal: TerminalReporter<io::Stdout>,
    record: JsonlReporter,
    records: Vec<Record>,
    junit: PathBuf,
    dir: PathBuf,
}

impl Reports {
    /// Makes the run's directory, clears it of a former run, and opens the files.
    pub(crate) fn create(args: &RunArgs, plan: &Plan) -> Result<Self, Failure> {
        let dir = args.out.clone();
        prepare(&dir)?;
        for lane in &plan.lanes {
            let copy = dir.join("profiles").join(format!("{}.toml", lane.profile.name));
            fs::write(&copy, &lane.profile.source).map_err(|e| cannot_write(&copy, &e))?;
        }
        let json = args.json.clone().unwrap_or_else(|| dir.join(jsonl::FILE));
        let record = JsonlReporter::at(&json).map_err(|e| cannot_write(&json, &e))?;
        let junit = args.junit.clone().unwrap_or_else(|| dir.join(junit::FILE));
        junit::write(&junit, &dir, &[]).map_err(|e| cannot_write(&junit, &e))?;
        let on_terminal = io::stdout().is_terminal();
        let options = terminal::Options {
            colours: on_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
            strict: args.strict,
            dir: dir.clone(),
            files: vec![json, junit.clone(), dir.join("timelines")],
        };
        let terminal = if on_terminal {
            TerminalReporter::live(io::stdout(), ProgressDrawTarget::stdout(), options)
        } else {
            TerminalReporter::plain(io::stdout(), options)
        };
        Ok(Self { terminal, record, records: Vec::new(), junit, dir })
    }

    /// Reports what a lane tells.
    pub(crate) fn on(&mut self, told: Told) -> Result<(), Failure> {
        match told {
            Told::ModuleStarted { start, cases } => {
                self.tell(&RunEvent::ModuleStarted { start: &start, cases })?;
                self.keep(Record::Run(start))
            }
            Told::CaseStarted { module, id } => {
                self.tell(&RunEvent::CaseStarted { module: &module, id: &id })
            }
            Told::Case { record, timeline } => {
                self.tell(&RunEvent::CaseDone { record: &record, timeline: timeline.as_deref() })?;
                self.keep(Record::Case(*record))
            }
            Told::Policy { record } => {
                self.tell(&RunEvent::PolicyDone { record: &record })?;
                self.keep(Record::Policy(*record))
            }
            Told::Note { module, text } => self.tell(&RunEvent::Note { module: &module, text: &text }),
            Told::ModuleDone { module, .. } => self.tell(&RunEvent::ModuleDone { module: &module }),
        }
    }

    /// Writes what comes last. JUnit is written although the terminal may be gone.
    pub(crate) fn finish(mut self, partial: bool) -> Result<RunEnd, Failure> {
        let cases = self.records.iter().filter_map(|record| match record {
            Record::Case(case) => Some(case),
            _ => None,
        });
        let end = RunEnd::count(cases.collect::<Vec<&CaseRecord>>(), partial);
        self.keep(Record::End(end.clone()))?;
        junit::write(&self.junit, &self.dir, &self.records).map_err(|e| cannot_write(&self.junit, &e))?;
        self.tell(&RunEvent::Ended { end: &end })?;
        Ok(end)
    }

    fn keep(&mut self, record: Record) -> Result<(), Failure> {
        self.record
            .append(&record)
            .map_err(|e| Failure::bench(format!("cannot write the run's record: {e}")))?;
        self.records.push(record);
        Ok(())
    }

    /// A terminal that went away does not end the run.
    fn tell(&mut self, event: &RunEvent<'_>) -> Result<(), Failure> {
        match self.terminal.on(event) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::bench(format!("cannot write to standard output: {e}")))
            }
            _ => Ok(()),
        }
    }
}

/// An empty directory for the run. One of a former run is cleared; one of anything else is not touched.
fn prepare(dir: &Path) -> Result<(), Failure> {
    let filled = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    let ours = dir.join(jsonl::FILE).is_file() || dir.join("timelines").is_dir();
    if filled && !ours {
        return Err(Failure::usage(format!(
            "{} holds something else than a run of atspec; choose another directory with --out",
            dir.display()
        )));
    }
    for folder in ["timelines", "profiles"] {
        let folder = dir.join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|e| cannot_write(&folder, &e))?;
        }
        fs::create_dir_all(&folder).map_err(|e| cannot_write(&folder, &e))?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::bench(format!("cannot write {}: {error}", path.display()))
}
