//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Conformance tests for modules that speak MQTT through AT commands
///
/// atspec drives a real module on a serial port, or an emulated one, points it at a broker of its own, records serial line
/// and wire on one clock, and judges what it saw against the vendor's document and MQTT 3.1.1.
///
/// Exit codes: 0 all well · 1 a case failed or was inconclusive · 2 wrong usage, profile or configuration ·
/// 3 the bench failed · 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "atspec", version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    List(ListArgs),
    Coverage(CoverageArgs),
    Explain(ExplainArgs),
    Judge(JudgeArgs),
    Capture(CaptureArgs),
    Check(CheckArgs),
    Emulate(EmulateArgs),
    Bite(BiteArgs),
    Measure(MeasureArgs),
    Bytes(BytesArgs),
}

/// Drive modules through the cases and write the reports
///
/// Without arguments every built-in module is run, emulated, and the reports go to `atspec-report/`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  atspec run                                           every built-in module, emulated
  atspec run --module air780e --port /dev/ttyUSB2 --advertise bench.example.org --listen 0.0.0.0:1883
  atspec run --module air780e --only 'publish/*' --skip '*-qos2'
  atspec run --module my-module.toml --port tcp://10.0.0.7:4001")]
pub(crate) struct RunArgs {
    /// Built-in module, or the file of a profile; may be given several times
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Vec<String>,
    /// Where the module is: a device or any path to a terminal, tcp://HOST:PORT, `emulated`, or `emulated:DEVIANT`
    #[arg(long, default_value = "emulated")]
    pub(crate) port: String,
    /// Baud rate, where it differs from the profile's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) baud: Option<u32>,
    /// Where the tap listens for the module
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The address the module is told; by default the one listened on
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// Only cases that match; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// No cases that match; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) skip: Vec<String>,
    /// A policy that clouds have and MQTT has not, tried apart from conformance: it never changes a verdict or the exit code;
    /// may be given several times, `all` is every one
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Vec<String>,
    /// Seed of everything generated: credentials, topics and the inputs of campaigns
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Run the campaigns too (bytes/*, fuzz/*, measure/*), with so many drawn inputs each beside those that are certain;
    /// a campaign named with --only is run without this as well
    #[arg(long, value_name = "N")]
    pub(crate) fuzz_cases: Option<usize>,
    /// Begin no new input of a campaign after this time, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) fuzz_time: Option<Duration>,
    /// Only do again what a finding's file says
    #[arg(long, value_name = "FILE.at", conflicts_with_all = ["only", "skip", "fuzz_cases"])]
    pub(crate) replay: Option<PathBuf>,
    /// Warnings fail the run
    #[arg(long)]
    pub(crate) strict: bool,
    /// Run a case that did not pass up to N more times; the last verdict counts
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,
    /// Known failures with their reasons (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) waivers: Option<PathBuf>,
    /// Stop after the first case that fails or is inconclusive
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Directory of the reports
    #[arg(long, value_name = "DIR", default_value = "atspec-report")]
    pub(crate) out: PathBuf,
    /// JUnit file, where it shall not be DIR/junit.xml
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Run record, where it shall not be DIR/run.jsonl
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// A broker of yours behind the tap instead of the built-in one
    #[arg(long, value_name = "mqtt://HOST:PORT")]
    pub(crate) broker: Option<String>,
    /// Multiplies every waiting time of the document and the standard; by default 0.04 on emulated modules and 1 on a port
    #[arg(long, value_name = "F", value_parser = factor)]
    pub(crate) clock_factor: Option<f64>,
}

/// List every case with its requirement and clauses, and whether it applies
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Built-in module, or the file of a profile; every built-in one where none is given
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Vec<String>,
    /// The cases of a policy instead; may be given several times, `all` is every one
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Vec<String>,
    /// How
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Clause by clause: which cases check it, or why none does
///
/// Lists every clause of the modules' documents, and the statements of MQTT 3.1.1 that bind a client, with where a breach
/// shows: `at` on the serial line, `wire` on the connection to the broker, `time` only by waiting, `none` nowhere. A case
/// that does not apply to a module does not count. Behind a dash stands why no case cites the clause; `every case` means
/// that the decoder or a rule looks at it whatever a case is about.
///
/// Where there is a run, each clause also has the verdict of that run on each module: FAIL or warn where a case said so, pass
/// where a case about the clause passed, or where any case gave occasion to break it and it was kept; `-` where nothing was
/// driven that says anything of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  atspec coverage                                      every built-in module
  atspec coverage --run nightly/2026-11-20 --format markdown > sheet.md
  atspec coverage --module l506                        one module's document, and MQTT 3.1.1 on it
  atspec coverage --module l506 --format json | jq '.clauses[] | select(.cases == [])'
  atspec explain MQTT-3.3.1-1                          what a clause says, and what its cases ask")]
pub(crate) struct CoverageArgs {
    /// Built-in module, or the file of a profile; every built-in one where none is given
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Vec<String>,
    /// The run whose verdicts are shown [default: `atspec-report`, where there is one]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// How
    #[arg(long, value_enum, default_value_t = SheetFormat::Text)]
    pub(crate) format: SheetFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SheetFormat {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Explain a case or a clause: what, why, and how it is provoked
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Id of a case (`publish/qos1`), of a clause (`A780-8.2-35`) or of an MQTT statement (`MQTT-3.3.1-1`)
    #[arg(value_name = "CASE|CLAUSE")]
    pub(crate) what: String,
    /// Module whose cases are explained
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Vec<String>,
}

/// Judge recordings again, without the module
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// Timelines of an earlier run
    #[arg(required = true, value_name = "TIMELINE.jsonl")]
    pub(crate) timelines: Vec<PathBuf>,
    /// Judge by this profile instead of the one of the run
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Option<String>,
    /// Warnings fail
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Turn recordings into captures for Wireshark and tshark
///
/// Each timeline becomes one pcapng file with both sides of the module on one time axis, in three interfaces: `mqtt` has
/// one whole control packet a frame (TLS already taken off), `serial` a frame for each command and each line printed
/// (`Sent AT Command`, `Rcvd AT Command`), `bench` the steps of the case, connections opened and closed, and what the
/// broker side did on purpose, as log lines. Packet comments mark what is wrong: rules that a packet breaks, and the
/// judge's finding. Wireshark lists them under Analyze > Expert Information, `-Y frame.comment` shows only those frames.
///
/// A file that exists is replaced only if it is a capture made by atspec.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  atspec capture publish/qos1.jsonl                      publish/qos1.pcapng
  atspec capture timelines/*/*/*.jsonl --out captures    captures/air780e/publish/qos1.pcapng, …
  atspec capture publish/qos1.jsonl --out - | tshark -r -
  tshark -r qos1.pcapng -Y mqtt                          control packets only
  tshark -r qos1.pcapng -Y at                            the serial line only
  tshark -r qos1.pcapng -Y frame.comment -T fields -e frame.number -e frame.comment")]
pub(crate) struct CaptureArgs {
    /// Timelines of an earlier run
    #[arg(required = true, value_name = "TIMELINE.jsonl")]
    pub(crate) timelines: Vec<PathBuf>,
    /// The file to write, `-` for standard output; or a directory, where several timelines are given, it exists, or its
    /// name ends in `/`. By default CASE.pcapng beside the timeline
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Read the serial line by this profile instead of the one of the run
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Option<String>,
}

/// Find every mistake in profiles, with its line and what to do
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Profiles
    #[arg(required_unless_present = "keys", value_name = "PROFILE.toml")]
    pub(crate) profiles: Vec<PathBuf>,
    /// Print what a profile may say instead: every table, key, step and argument, each with an example
    #[arg(long)]
    pub(crate) keys: bool,
}

/// Put an emulated module on a pseudo-terminal, for your own tools
///
/// Runs until it is interrupted. The first line printed is the path of the terminal.
#[derive(Debug, Args)]
pub(crate) struct EmulateArgs {
    /// Built-in module, or the file of a profile
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: String,
    /// A deviant: the module with exactly one known defect
    #[arg(long, value_name = "DEVIANT")]
    pub(crate) deviant: Option<String>,
    /// A symbolic link to the terminal, removed at the end
    #[arg(long, value_name = "PATH")]
    pub(crate) link: Option<PathBuf>,
    /// Multiplies every time of the document; give the same to `atspec run`
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = factor)]
    pub(crate) clock_factor: f64,
}

/// Prove that the cases can fail, and that they fail nobody else: drive modules with one known defect each, and modules without
/// one that do as their documents say in another way
///
/// Every deviant (an emulated module with exactly one defect) is driven through all cases of its module. The cases that its file
/// names must go red, and no other may that has nothing to do with the clauses it breaks. The module without a defect must be
/// all green, and so must its variants, which differ in what the document leaves open. Exits with 1 where a deviant survives,
/// something surprises, or an alarm is false.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  atspec bite                                          every deviant of every built-in module
  atspec bite --module l506 --only 'l506-cache-*'      some of them
  atspec bite --only 'variant-*' --rounds 20            no false alarm, twenty times over
  atspec bite --format json | jq '.deviants[] | select(.missed != [])'
  atspec bite --readme README.md                       and the score into the README")]
pub(crate) struct BiteArgs {
    /// Built-in module whose deviants are driven; every built-in one where none is given
    #[arg(long, value_name = "NAME")]
    pub(crate) module: Vec<String>,
    /// Only deviants and variants whose name matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// How many times each variant is driven
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) rounds: u16,
    /// How many modules are driven side by side; 40 for each core by default, since they mostly wait
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// How
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the score with its date between `<!-- bite:begin -->` and `<!-- bite:end -->` of this file
    #[arg(long, value_name = "FILE.md")]
    pub(crate) readme: Option<PathBuf>,
}

/// Where the modules of a campaign are, and what they are told
#[derive(Debug, Args)]
pub(crate) struct SeatArgs {
    /// Built-in module, or the file of a profile; every built-in one where none is given
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) module: Vec<String>,
    /// Where the module is: a device or any path to a terminal, tcp://HOST:PORT, `emulated`, or `emulated:DEVIANT`
    #[arg(long, default_value = "emulated")]
    pub(crate) port: String,
    /// Baud rate, where it differs from the profile's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) baud: Option<u32>,
    /// Where the tap listens for the module
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The address the module is told; by default the one listened on
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// Seed of everything generated
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// A broker of yours behind the tap instead of the built-in one
    #[arg(long, value_name = "mqtt://HOST:PORT")]
    pub(crate) broker: Option<String>,
    /// Multiplies every waiting time of the document and the standard; by default 0.04 on emulated modules and 1 on a port
    #[arg(long, value_name = "F", value_parser = factor)]
    pub(crate) clock_factor: Option<f64>,
    /// How
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Directory for the same as text and as JSON, and for the recording of whatever falls short
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Find the real limit of everything that the document limits
///
/// Each maximum, minimum and range of an argument, the longest command line and the longest message are tried where the
/// document has them, and searched for by bisection where the module does otherwise: taken means byte-exact on the wire.
/// Exit code 1 where the module holds less than its document.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  atspec measure --module air780e
  atspec measure --module l506 --port /dev/ttyUSB2 --advertise bench.example.org --listen 0.0.0.0:1883
  atspec measure --module air780e --only 'publish*' --format json")]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    pub(crate) seat: SeatArgs,
    /// Only limits that match, by their names; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
}

/// Map which of the 256 byte values survive on each way into a module and out of it
///
/// Each is sent alone, first, last and in the middle, and pairs of those that firmware trips over; what arrives is compared
/// with what the document promises. Exit code 1 where a promised byte does not survive.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  atspec bytes --module air780e
  atspec bytes --module bk7238 --only 'publish*' --format json")]
pub(crate) struct BytesArgs {
    #[command(flatten)]
    pub(crate) seat: SeatArgs,
    /// Only ways that match, by their names; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(f) if f.is_finite() && f > 0.0 && f <= 1000.0 => Ok(f),
        _ => Err("a number above 0 and up to 1000, such as 0.05".to_owned()),
    }
}

/// A time with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, seconds) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    let number: u64 =
        number.parse().map_err(|_| "a number with s, m or h behind it, such as 10m".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "too long".to_owned())
}
