//! A case: a requirement, the steps that provoke it, what must then be seen. A value, without any device in it.
//!
//! Whether a case applies to a module follows from its steps and the profile ([`Case::applies`]).

use std::{collections::BTreeMap, fmt};

use crate::{
    at::{Fill, Values},
    judge::View,
    mqtt::{Level, PacketType},
    partner::Command,
    profile::{Exchange, Profile},
    timeline::Bindings,
};

/// A requirement and how it is provoked.
#[derive(Debug)]
pub struct Case {
    /// `suite/name`, for ever.
    pub id: String,
    /// The requirement in words.
    pub asks: String,
    /// Statements and clauses it checks.
    pub cites: Vec<String>,
    /// How firmly it binds: a broken SHOULD only warns.
    pub level: Level,
    /// What is done.
    pub steps: Vec<Step>,
    /// What must then be seen, besides what the steps themselves demand.
    pub expect: Vec<Expect>,
    /// The module connects without this case's client id and user name, so any connection is taken for its own.
    pub anonymous: bool,
    /// Why this bench cannot run it, if it cannot.
    pub unmet: Option<String>,
    /// The policy it belongs to: apart from conformance, run only when asked for, never a verdict.
    pub policy: Option<&'static str>,
}

/// What a case is built for.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The module.
    pub profile: &'a Profile,
    /// The values of this run of the case.
    pub bindings: &'a Bindings,
}

/// One thing the bench does, and what it demands of the module meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A means: it must succeed, or the case is inconclusive.
    Do(Op),
    /// The subject: it must be answered as the document says, or the case fails.
    Check(Op),
    /// Must not be answered with success, must send nothing, and the port must answer afterwards.
    Refuse(Op),
    /// Must not be answered with success, since what it needs does not come; the port must answer afterwards.
    NoSuccess(Op),
    /// Just beyond a documented maximum: a clean refusal, or success; what arrives is for the expectations to judge.
    Beyond(Op),
    /// The subject, with an acknowledgement held back: success must not be claimed before it is released, and must be afterwards.
    Held {
        /// The broker's packet that is held.
        packet: PacketType,
        /// The operation that needs it.
        op: Op,
    },
    /// A means whose result does not matter: it may be refused.
    Try(Op),
    /// What answers it on the wire is spoilt by a rule, so that it cannot succeed, unless the case leaves that open. Over when
    /// it is answered, or when this is seen and the module had a moment to speak of it; if it then still waits for its answer,
    /// the broker closes.
    Spoilt {
        /// The operation.
        op: Op,
        /// What ends it besides its own dialogue.
        seen: Await,
        /// Success may be told all the same.
        may_succeed: bool,
    },
    /// The broker does something.
    Broker(Command),
    /// Waits for something to be seen, as long as the document allows; whether it came is for the expectations to judge.
    Await(Await),
    /// Gives the module a moment in which this may be seen, and goes on whether it was: for what is left open.
    Pause(Await),
    /// Watches for as long as silence takes to be an answer.
    Quiet,
    /// Watches for so many documented seconds.
    Idle {
        /// Seconds, multiplied by the clock factor.
        seconds: u32,
    },
    /// The port must answer.
    Probe,
}

/// What a case can wait for. Counts are over the whole case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Await {
    /// So many packets of the type from the module.
    FromModule(PacketType, usize),
    /// So many packets of the type from the module on its newest connection: it may have sent some again on the one before.
    OnNewest(PacketType, usize),
    /// So many packets of the type to the module.
    ToModule(PacketType, usize),
    /// So many messages, or announcements of messages, on the serial line.
    Messages(usize),
    /// The module has no connection any more.
    Closed,
    /// The module has no connection any more, or has sent PUBACK with this packet id: whichever comes first.
    ClosedOrAcknowledged(u16),
}

/// An operation in vendor-free words: a step of the profile and its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Op {
    /// Name of the profile's step.
    pub step: String,
    /// Values by argument name, raw: escapes are written when the line is made.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Which documented spelling is used.
    pub spelling: usize,
    /// Arguments left out on purpose.
    pub omit: Vec<String>,
    /// Text put behind the last argument on purpose.
    pub tail: Vec<u8>,
    /// Arguments that the case is about: where no command takes one, the case does not apply.
    pub chosen: Vec<String>,
    /// No data follow the prompt.
    pub starved: bool,
    /// Arguments that are written as they are, whatever the document says of their bytes.
    pub raw: Vec<String>,
    /// The command line of the last exchange, in place of what its template makes.
    pub line: Option<Vec<u8>>,
    /// After how many bytes writing pauses for a moment: in the command line, or in the data where its line is shorter.
    pub cuts: Vec<usize>,
}

impl Op {
    /// An operation without values.
    pub fn new(step: &str) -> Self {
        Self { step: step.to_owned(), ..Self::default() }
    }

    /// With a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.values.insert(name.to_owned(), value.as_ref().to_vec());
        self
    }

    /// With a value that the case is about: it does not apply to a module whose command has no such argument.
    #[must_use]
    pub fn choosing(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.chosen.push(name.to_owned());
        self.with(name, value)
    }

    /// Without the data that its prompt asks for.
    #[must_use]
    pub fn without_data(mut self) -> Self {
        self.starved = true;
        self
    }

    /// Without an argument that the command needs.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.omit.push(name.to_owned());
        self
    }

    /// With text behind the last argument.
    #[must_use]
    pub fn followed_by(mut self, tail: &str) -> Self {
        self.tail = tail.as_bytes().to_vec();
        self
    }

    /// In another documented spelling.
    #[must_use]
    pub fn spelled(mut self, spelling: usize) -> Self {
        self.spelling = spelling;
        self
    }

    /// The QoS it asks for: `Some(0)` where it has none, `None` where it is none of MQTT's.
    pub fn qos(&self) -> Option<u8> {
        match self.values.get("qos").map(Vec::as_slice) {
            None | Some(b"0") => Some(0),
            Some(b"1") => Some(1),
            Some(b"2") => Some(2),
            Some(_) => None,
        }
    }

    /// A value as text, for messages.
    pub fn text(&self, name: &str) -> String {
        self.values.get(name).map_or(String::new(), |v| crate::text::shortened(v, 60))
    }

    /// The exchanges of the profile with the command line (without its end) and the data of each. `Err` says why the
    /// profile cannot express it.
    pub fn exchanges<'p>(&self, profile: &'p Profile) -> Result<Vec<Spoken<'p>>, String> {
        let step = profile.step(&self.step)?;
        let takes =
            |name: &&String| profile.takes(&self.step, name) || profile.takes(&self.step, inverse(name));
        if let Some(name) = self.chosen.iter().find(|name| !takes(name)) {
            return Err(format!("`{}` of {} takes no `{name}`", self.step, profile.name));
        }
        let done = |e: &&Exchange| e.when.as_ref().is_none_or(|name| self.value(name).is_some());
        let mut spoken: Vec<Spoken<'p>> = step
            .exchanges
            .iter()
            .filter(done)
            .map(|exchange| self.speak(profile, exchange))
            .collect::<Result<_, _>>()?;
        if let (Some(last), Some(line)) = (spoken.last_mut(), &self.line) {
            last.line.clone_from(line);
            // What such a line says is nobody's to know, so any line of its kind may answer it.
            last.said.clear();
        }
        Ok(spoken)
    }

    /// A value, also where it is only known as its opposite.
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let opposite = || {
            let value = self.values.get(inverse(name))?;
            Some(if value == b"0" { b"1".to_vec() } else { b"0".to_vec() })
        };
        self.values.get(name).cloned().or_else(|| opposite().filter(|_| inverse(name) != name))
    }

    fn speak<'p>(&self, profile: &'p Profile, exchange: &'p Exchange) -> Result<Spoken<'p>, String> {
        let no_command = || format!("{} has no command for `{}`", profile.name, self.step);
        let template =
            exchange.send.get(self.spelling).or_else(|| exchange.send.first()).ok_or_else(no_command)?;
        let given =
            |name: &str| self.value(name).or_else(|| Some(exchange.with.get(name)?.clone().into_bytes()));
        let data = exchange.data.as_ref().map(|name| given(name).unwrap_or_default());
        let (mut values, mut defaults) = (Values::new(), Values::new());
        for name in template.arguments() {
            let length =
                || data.as_ref().filter(|_| name == "len").map(|data| data.len().to_string().into_bytes());
            if let Some(value) = given(name).or_else(length) {
                let as_it_is = self.raw.iter().any(|raw| raw == name);
                let written = || profile.written(&self.step, name, template.quotes(name), &value);
                values.insert(name, if as_it_is { value } else { written()? });
            } else if let Some(value) = profile.argument(&self.step, name).and_then(|a| a.default.as_ref()) {
                defaults.insert(name, value.clone().into_bytes());
            }
        }
        let how = Fill { omit: &self.omit, tail: &self.tail, defaults: Some(&defaults) };
        let line = template
            .fill(&values, how)
            .map_err(|name| format!("`{}` of {} needs a value for `{name}`", self.step, profile.name))?;
        let said = values.into_iter().chain(defaults).map(|(name, value)| (name.to_owned(), value));
        Ok(Spoken { exchange, line, data, starved: self.starved, said: said.collect() })
    }
}

/// The argument that says the opposite.
fn inverse(name: &str) -> &str {
    match name {
        "clean" => "disable_clean",
        "disable_clean" => "clean",
        same => same,
    }
}

/// Data after a prompt, against their declared length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As many as declared, or no length is declared.
    Whole,
    /// Fewer: the module waits for the rest.
    Short,
    /// More: what follows the last that was declared is no data any more.
    Long,
}

/// An exchange with its values filled in.
#[derive(Debug, Clone)]
pub struct Spoken<'p> {
    /// The profile's exchange.
    pub exchange: &'p Exchange,
    /// The command line without its end.
    pub line: Vec<u8>,
    /// The data after the prompt.
    pub data: Option<Vec<u8>>,
    /// The data are not sent.
    pub starved: bool,
    /// The values in the command line, as they are written there.
    pub said: BTreeMap<String, Vec<u8>>,
}

impl<'p> Spoken<'p> {
    /// Data against the length that the command declares for them.
    pub fn fit(&self) -> Fit {
        let declared =
            self.said.get("len").and_then(|len| std::str::from_utf8(len).ok()?.parse::<usize>().ok());
        let sent = self.data.as_ref().map(Vec::len).filter(|_| self.exchange.data_end.is_empty());
        match (declared, sent) {
            (Some(declared), Some(_)) if self.starved && declared > 0 => Fit::Short,
            (Some(declared), Some(sent)) if sent < declared => Fit::Short,
            (Some(declared), Some(sent)) if sent > declared => Fit::Long,
            _ => Fit::Whole,
        }
    }

    /// The command that only asks whether the port still answers.
    pub fn probe(profile: &'p Profile) -> Option<Self> {
        Op::new("probe").exchanges(profile).ok()?.into_iter().next()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.step)?;
        let mut separator = " (";
        for (name, value) in &self.values {
            write!(f, "{separator}{name} {}", crate::text::shortened(value, 24))?;
            separator = ", ";
        }
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Do(op) => write!(f, "{op}"),
            Self::Check(op) => write!(f, "{op}, as documented"),
            Self::Refuse(op) => write!(f, "{op}, which must be refused"),
            Self::NoSuccess(op) => write!(f, "{op}, which cannot succeed"),
            Self::Beyond(op) => write!(f, "{op}, just beyond the documented maximum"),
            Self::Held { packet, op } => write!(f, "{op}, with {packet} held back"),
            Self::Try(op) => write!(f, "{op}, whatever is answered"),
            Self::Spoilt { op, may_succeed: false, .. } => write!(f, "{op}, whose answer is spoilt"),
            Self::Spoilt { op, .. } => write!(f, "{op}, whose answer is unusual"),
            Self::Broker(command) => write!(f, "broker: {command}"),
            Self::Await(what) => write!(f, "wait for {what}"),
            Self::Pause(what) => write!(f, "a moment for {what}"),
            Self::Quiet => f.write_str("watch that nothing comes"),
            Self::Idle { seconds } => write!(f, "leave the connection idle for {seconds} s"),
            Self::Probe => f.write_str("the port must answer"),
        }
    }
}

impl fmt::Display for Await {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromModule(kind, 1) => write!(f, "{kind} from the module"),
            Self::FromModule(kind, n) => write!(f, "{n} {kind} from the module"),
            Self::OnNewest(kind, 1) => write!(f, "{kind} from the module on its newest connection"),
            Self::OnNewest(kind, n) => write!(f, "{n} {kind} from the module on its newest connection"),
            Self::ToModule(kind, 1) => write!(f, "{kind} to the module"),
            Self::ToModule(kind, n) => write!(f, "{n} {kind} to the module"),
            Self::Messages(1) => f.write_str("a message on the serial line"),
            Self::Messages(n) => write!(f, "{n} messages on the serial line"),
            Self::Closed => f.write_str("the end of the module's connection"),
            Self::ClosedOrAcknowledged(id) => {
                write!(f, "the end of the module's connection, or PUBACK id={id} from the module")
            }
        }
    }
}

/// Something that must be seen in the recording.
pub struct Expect {
    /// What, in words: the `expected` of a failure.
    pub what: String,
    /// How firmly; a broken SHOULD only warns.
    pub level: Level,
    /// Whether it fails also a case that as a whole only warns: what must hold whatever else is left open.
    pub always: bool,
    /// Clauses, where they are narrower than the case's.
    pub cites: Vec<String>,
    /// Whether it is about received messages on the serial line, which some documents only imply.
    pub of_messages: bool,
    /// The check.
    pub check: Check,
}

/// A check of a recording, pure.
pub type Check = Box<dyn Fn(&View<'_>) -> Result<(), Unmet> + Send + Sync>;

/// Why an expectation is not met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unmet {
    /// What was seen instead.
    pub observed: String,
    /// Index of the offending event.
    pub at: Option<usize>,
    /// The requirement was not provoked, rather than broken.
    pub inconclusive: bool,
    /// Clauses, where what was seen tells more narrowly which are broken.
    pub clauses: Vec<String>,
    /// Clauses that may be broken as well as those that the expectation is about.
    pub besides: Vec<String>,
}

impl Unmet {
    /// Broken, seen at an event.
    pub fn at(observed: impl Into<String>, at: usize) -> Self {
        Self { observed: observed.into(), at: Some(at), inconclusive: false, ..Self::default() }
    }

    /// Broken by something that did not come.
    pub fn missing(observed: impl Into<String>) -> Self {
        Self { observed: observed.into(), at: None, inconclusive: false, ..Self::default() }
    }

    /// Not provoked.
    pub fn not_provoked(observed: impl Into<String>) -> Self {
        Self { observed: observed.into(), at: None, inconclusive: true, ..Self::default() }
    }

    /// With clauses of its own; none leaves those of the expectation.
    #[must_use]
    pub fn citing(mut self, clauses: Vec<String>) -> Self {
        self.clauses = clauses;
        self
    }

    /// With clauses that may be broken as well.
    #[must_use]
    pub fn besides(mut self, clauses: Vec<String>) -> Self {
        self.besides = clauses;
        self
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expect").field("what", &self.what).field("level", &self.level).finish_non_exhaustive()
    }
}

impl Expect {
    /// A firm expectation.
    pub fn new(
        what: impl Into<String>,
        check: impl Fn(&View<'_>) -> Result<(), Unmet> + Send + Sync + 'static,
    ) -> Self {
        Self {
            what: what.into(),
            level: Level::Must,
            always: false,
            cites: Vec::new(),
            of_messages: false,
            check: Box::new(check),
        }
    }

    /// The same, which only warns.
    #[must_use]
    pub fn should(mut self) -> Self {
        self.level = Level::Should;
        self
    }

    /// The same, which fails also a case that as a whole only warns.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// With clauses of its own.
    #[must_use]
    pub fn citing(mut self, cites: &[&str]) -> Self {
        self.cites = cites.iter().map(|&c| c.to_owned()).collect();
        self
    }
}

impl Case {
    /// The suite, the part of the id before the slash.
    pub fn suite(&self) -> &str {
        self.id.split_once('/').map_or(self.id.as_str(), |(suite, _)| suite)
    }

    /// Every operation of the steps.
    pub fn ops(&self) -> impl Iterator<Item = &Op> {
        self.steps.iter().filter_map(Step::op)
    }

    /// Why the case does not apply to a module, if it does not.
    pub fn applies(&self, profile: &Profile) -> Result<(), String> {
        if let Some(why) = &self.unmet {
            return Err(why.clone());
        }
        self.steps.iter().try_for_each(|step| step.applies(profile))
    }

    /// Everything the case cites on this module: its own statements, those of its expectations, and the clauses that the
    /// profile names for it.
    pub fn all_cites(&self, profile: &Profile) -> Vec<String> {
        let own = self.cites.iter().chain(self.expect.iter().flat_map(|e| &e.cites));
        let profiles = profile.cites.get(&self.id).into_iter().flatten();
        let mut all: Vec<String> = Vec::new();
        for cite in own.chain(profiles) {
            if !all.contains(cite) {
                all.push(cite.clone());
            }
        }
        all
    }
}

/// Where a document gives no form of a received message, a payload of several lines has no end, and one that reads like an
/// answer may be one.
fn told_apart(payload: &[u8], profile: &Profile) -> Result<(), String> {
    let name = &profile.name;
    if payload.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(format!(
            "the document of {name} does not say how a received message of several lines ends"
        ));
    }
    let exchanges = profile.steps.values().flat_map(|step| &step.exchanges);
    let said = exchanges.flat_map(|e| e.answer.iter().chain(e.result.iter().flatten()).chain(&e.refused));
    let mut lines = said.chain(&profile.lines.refused).chain(&profile.lines.failed);
    match lines.find(|line| !line.is_loose() && line.read(payload).is_some()) {
        Some(line) => {
            Err(format!("the document of {name} does not tell a message from a plain `{}`", line.source()))
        }
        None => Ok(()),
    }
}

impl Step {
    /// Why a module cannot be asked this, if it cannot.
    fn applies(&self, profile: &Profile) -> Result<(), String> {
        if let Self::Broker(Command::Publish(message)) = self
            && profile.message.any
        {
            told_apart(&message.payload, profile)?;
        }
        let Some(op) = self.op() else { return Ok(()) };
        let spoken = op.exchanges(profile)?;
        let end = profile.serial.line_end.len();
        let (Some(longest), false) = (profile.behaviour.command_max, matches!(self, Self::Beyond(_))) else {
            return Ok(());
        };
        match spoken.iter().map(|one| one.line.len() + end).find(|len| *len > longest) {
            Some(len) => {
                Err(format!("needs a command of {len} bytes, {} has {longest} at most", profile.name))
            }
            None => Ok(()),
        }
    }

    /// The operation of the step, if it has one.
    pub fn op(&self) -> Option<&Op> {
        match self {
            Self::Do(op)
            | Self::Check(op)
            | Self::Refuse(op)
            | Self::NoSuccess(op)
            | Self::Beyond(op)
            | Self::Try(op)
            | Self::Held { op, .. }
            | Self::Spoilt { op, .. } => Some(op),
            _ => None,
        }
    }

    /// The same, to be changed while a case is built.
    pub fn op_mut(&mut self) -> Option<&mut Op> {
        match self {
            Self::Do(op)
            | Self::Check(op)
            | Self::Refuse(op)
            | Self::NoSuccess(op)
            | Self::Beyond(op)
            | Self::Try(op)
            | Self::Held { op, .. }
            | Self::Spoilt { op, .. } => Some(op),
            _ => None,
        }
    }
}
