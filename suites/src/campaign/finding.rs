//! What a campaign found, as a file that can be pasted into a bug report and done again.

use std::fmt::Write as _;

use atspec_model::{
    text,
    timeline::{Purpose, Timeline, What},
    verdict::Verdict,
};

use super::action::Input;

/// Something that went wrong, made as small as could be.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What went wrong, without its numbers: findings of the same kind are one.
    pub kind: String,
    /// The smallest input that fails.
    pub input: Input,
    /// How firmly.
    pub verdict: Verdict,
    /// What had to be seen.
    pub expected: String,
    /// What was seen instead.
    pub observed: String,
    /// The reason in one sentence.
    pub message: String,
    /// How often the smallest input failed, of how many times it was done.
    pub failed: (usize, usize),
    /// How many sendings it took to make it smaller.
    pub shrinking: usize,
    /// How many other inputs went wrong in the same way.
    pub alike: usize,
    /// Whether it needs what was done before it.
    pub with_history: bool,
    /// The recording of the smallest input that failed.
    pub timeline: Timeline,
    /// Index of the offending event.
    pub offence: Option<usize>,
}

/// What a file of a finding says that is needed to do it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Name of the module's profile.
    pub module: String,
    /// The campaign.
    pub campaign: String,
    /// What is done.
    pub input: Input,
}

/// What went wrong, without what differs from input to input: numbers, and what stands in quotes.
pub fn kind(observed: &str) -> String {
    let mut out = String::new();
    let mut closing: Option<char> = None;
    for c in observed.chars() {
        match closing {
            Some(end) if c == end => {
                closing = None;
                out.push(c);
            }
            Some(_) => {}
            None if matches!(c, '"' | '`' | '…') => {
                closing = Some(c);
                out.push(c);
            }
            None if c.is_ascii_digit() => {
                if !out.ends_with('N') {
                    out.push('N');
                }
            }
            None => out.push(c),
        }
        if out.len() > 100 {
            break;
        }
    }
    // A message about a hexadecimal packet, or one of several alike, is no other one.
    out.split(" (").next().unwrap_or_default().to_owned()
}

impl Finding {
    /// A name for its files, of letters and dashes.
    pub fn name(&self, campaign: &str) -> String {
        let mut name = String::new();
        for c in format!("{campaign} {}", self.kind).chars() {
            if c.is_ascii_alphabetic() {
                name.push(c.to_ascii_lowercase());
            } else if !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(60);
        name.trim_matches('-').to_owned()
    }

    /// How often it fails, in words: `5 of 5`.
    pub fn often(&self) -> String {
        format!("{} of {}", self.failed.0, self.failed.1)
    }

    /// The file: commented lines that can be pasted into a terminal program.
    pub fn to_at(&self, campaign: &str, seed: u64, file: &str) -> String {
        let module = &self.timeline.header.module;
        let mut out = format!("# {}: {}\n", self.verdict, self.message);
        let _ = writeln!(out, "# module: {module}");
        let _ = writeln!(out, "# campaign: {campaign}");
        let _ = writeln!(out, "# seed: {seed}");
        let _ = writeln!(out, "# fails: {} times", self.often());
        if self.with_history {
            out += "# the last of these alone does not fail: what is done before it counts\n";
        }
        if self.alike > 0 {
            let _ = writeln!(out, "# as {} other inputs of the same run", self.alike);
        }
        let _ = writeln!(out, "# expected: {}", self.expected);
        let _ = writeln!(out, "# observed: {}", self.observed);
        let _ = writeln!(out, "# timeline: {}.jsonl", file.trim_end_matches(".at"));
        let _ = writeln!(out, "# again: atspec run --module {module} --replay {file}");
        let _ = writeln!(out, "# input: {}", self.input.to_json());
        out += "#\n# What the bench sent, as it was sent; behind `#` what was seen meanwhile.\n";
        out += &pasted(&self.timeline);
        out
    }
}

/// What was sent as lines, and everything else as comments.
fn pasted(timeline: &Timeline) -> String {
    let mut out = String::new();
    for event in timeline.events.iter().take_while(|e| e.what != What::Teardown) {
        let _ = match &event.what {
            What::Sent { purpose: Purpose::Command | Purpose::Probe, bytes } => {
                writeln!(out, "{}", typed(bytes.trim_ascii_end()))
            }
            What::Sent { bytes, .. } => {
                let _ = writeln!(out, "# behind the prompt, {} bytes:", bytes.len());
                writeln!(out, "{}", typed(bytes))
            }
            What::Received { bytes } => writeln!(out, "#   < {}", text::shortened(bytes, 200)),
            What::FromModule { bytes, .. } => {
                writeln!(out, "#   wire, from the module: {}", text::shortened(bytes, 120))
            }
            What::ToModule { bytes, .. } => {
                writeln!(out, "#   wire, to the module: {}", text::shortened(bytes, 120))
            }
            What::Silence { awaited, waited_ms } => writeln!(out, "#   no {awaited} within {waited_ms} ms"),
            What::Closed { by, .. } => writeln!(out, "#   the connection was closed by {by:?}"),
            What::Broker { command } => writeln!(out, "#   broker: {command}"),
            _ => Ok(()),
        };
    }
    out
}

/// Bytes as they are typed; with those that no keyboard has as `\xHH`, and said to be so.
fn typed(bytes: &[u8]) -> String {
    let plain = bytes.iter().all(|b| matches!(b, 0x20..=0x7e)) && bytes.first() != Some(&b'#');
    if plain {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    format!("# with each \\xHH, \\r, \\n and \\\\ as the one byte that it means:\n# {}", text::visible(bytes))
}

/// Reads what has to be done again out of a finding's file.
pub fn read(file: &str) -> Result<Replay, String> {
    let of = |name: &str| {
        let start = format!("# {name}: ");
        let line = file.lines().find_map(|line| line.strip_prefix(&start));
        line.map(|line| line.trim().to_owned()).ok_or(format!("it has no line `# {name}: …`"))
    };
    Ok(Replay { module: of("module")?, campaign: of("campaign")?, input: Input::from_json(&of("input")?)? })
}
