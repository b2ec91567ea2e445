//! `atspec capture`: recordings as pcapng, for Wireshark and tshark.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use atspec_model::{case::Case, profile::Profile, timeline::Timeline, verdict::Judgement};
use atspec_reports::capture::{self, Recording};

use crate::{args::CaptureArgs, failure::Failure, judge as judging, out};

/// Where the captures go.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    BesideTimeline,
    StandardOutput,
    File(&'a Path),
    Directory(&'a Path),
}

/// Writes a capture of every timeline.
pub(crate) fn capture(args: &CaptureArgs) -> Result<u8, Failure> {
    let target = target(args.out.as_deref(), args.timelines.len())?;
    for path in &args.timelines {
        let (timeline, profile) = judging::load(path, args.module.as_deref())?;
        let judgement = judging::case_of(&timeline, &profile).map(|case| judged(&case, &profile, &timeline));
        let recording = Recording { timeline: &timeline, profile: &profile, judgement: judgement.as_ref() };
        let file = match target {
            Target::StandardOutput => {
                to_standard_output(&recording)?;
                continue;
            }
            Target::BesideTimeline => path.with_extension("pcapng"),
            Target::File(file) => file.to_owned(),
            Target::Directory(dir) => dir.join(name(path, &timeline)?),
        };
        leave_others_alone(&file)?;
        let cannot = |e| Failure::bench(format!("cannot write {}: {e}", file.display()));
        let frames = capture::to_file(&file, &recording).map_err(cannot)?;
        let unjudged = if judgement.is_none() { "; this atspec has no such case, so no verdict" } else { "" };
        out::line(format!("{}: {frames} frames{unjudged}", file.display()))?;
    }
    Ok(0)
}

/// What the judge says; the clauses are those that a report would name.
fn judged(case: &Case, profile: &Profile, timeline: &Timeline) -> Judgement {
    let (record, judgement) = judging::record(case, profile, timeline, None);
    Judgement { clauses: record.cites, ..judgement }
}

fn target(out: Option<&Path>, timelines: usize) -> Result<Target<'_>, Failure> {
    let Some(out) = out else { return Ok(Target::BesideTimeline) };
    let one = timelines == 1;
    if out == Path::new("-") {
        let why = "only one capture can go to standard output; give one timeline, or `--out DIR`";
        return if one { Ok(Target::StandardOutput) } else { Err(Failure::usage(why)) };
    }
    if out.is_dir() || out.to_string_lossy().ends_with(std::path::MAIN_SEPARATOR) {
        return Ok(Target::Directory(out));
    }
    match (one, out.exists()) {
        (true, _) => Ok(Target::File(out)),
        (false, false) => Ok(Target::Directory(out)),
        (false, true) => Err(Failure::usage(format!(
            "{} is a file; {timelines} captures need a directory: --out DIR",
            out.display()
        ))),
    }
}

/// `MODULE/SUITE/NAME.pcapng`, as the timelines of a run stand in its directory.
fn name(path: &Path, timeline: &Timeline) -> Result<PathBuf, Failure> {
    let name = PathBuf::from(format!("{}/{}.pcapng", timeline.header.module, timeline.header.case));
    if name.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(name);
    }
    Err(Failure::usage(format!(
        "{}: module and case `{}` are no name of a file; use --out FILE",
        path.display(),
        name.display()
    )))
}

/// An existing file is replaced only if it is a capture of ours. What is no plain file (a FIFO) is written to.
fn leave_others_alone(file: &Path) -> Result<(), Failure> {
    if !fs::metadata(file).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    let mut head = Vec::new();
    let read = File::open(file).and_then(|f| f.take(64).read_to_end(&mut head));
    match read {
        Ok(_) if capture::is_ours(&head) => Ok(()),
        Ok(_) => Err(Failure::usage(format!(
            "{} exists and is no capture made by atspec; remove it, or choose another name with --out",
            file.display()
        ))),
        Err(e) => Err(Failure::usage(format!("cannot read {}, which exists: {e}", file.display()))),
    }
}

fn to_standard_output(recording: &Recording<'_>) -> Result<(), Failure> {
    match capture::write(io::BufWriter::new(io::stdout().lock()), recording) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Failure::bench(format!("cannot write to standard output: {e}"))),
        Ok(_) => Ok(()),
    }
}
