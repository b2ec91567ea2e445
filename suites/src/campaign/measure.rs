//! The real limit of every documented one.
//!
//! Each is found by bisection between what is surely taken and what is far beyond: a limit that is as documented costs two
//! sendings, any other at most 2·log₂(range) + 5. Taken means that it arrived byte-exact; anything else is not taken.

use atspec_model::{
    case::Context,
    profile::{Argument, Profile},
    timeline::Bindings,
};
use serde::Serialize;

use super::{
    Came, Campaign, Next,
    action::{Action, Input},
    fate::{self, Fate},
    way::{self, Way},
};
use crate::words::letters;

/// The longest text that is ever tried, in bytes.
const FAR: i64 = 16_000;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// The length of what goes this way.
    Length(Way),
    /// The length of the whole command line with its end, made of a payload by this step; so much of it is not payload.
    Line { step: String, rest: i64 },
    /// The length of the topic of a message for the module; so much of it is the session's own.
    Topic { prefix: i64 },
    /// A number in an argument of a step.
    Number { step: String, argument: String },
}

/// Which end of a range it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The least that is taken.
    Min,
    /// The most that is taken.
    Max,
}

/// One end of a documented range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// `publish.payload`, `received.payload`, `command line`, …
    pub name: String,
    /// `bytes`, or nothing for a plain number.
    pub unit: &'static str,
    /// Which end.
    pub end: End,
    /// What the document says.
    pub documented: i64,
    /// Clauses of the document.
    pub cites: Vec<String>,
    /// The most that is surely taken, where that is less: of several links a module may have only the usual one.
    pub promised: Option<i64>,
    /// A larger number that stands in the document, and that no command line is long enough for.
    pub unreachable: Option<i64>,
    subject: Subject,
    /// The least that can be tried, and the most.
    range: (i64, i64),
}

/// What the module really does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Real {
    /// Exactly this.
    Exactly(i64),
    /// This was taken, and nothing further was tried.
    AtLeast(i64),
    /// Nothing was taken at all.
    Nothing,
}

/// A limit that was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The documented one.
    pub limit: Limit,
    /// The real one.
    pub real: Real,
    /// What became of the documented value.
    pub at_documented: Fate,
    /// What became of the value just beyond the real limit, where it was tried.
    pub beyond: Option<Fate>,
    /// What else went wrong in a try, in the judge's words: a refusal that sent something, a port that was dead afterwards.
    pub unclean: Option<String>,
    /// How many tries it took.
    pub sendings: usize,
}

impl Measured {
    /// Whether the module holds less than its document promises.
    pub fn falls_short(&self) -> bool {
        match (self.limit.end, self.real) {
            (_, Real::Nothing) => true,
            (_, Real::AtLeast(_)) => false,
            (End::Max, Real::Exactly(real)) => real < self.limit.promised.unwrap_or(self.limit.documented),
            (End::Min, Real::Exactly(real)) => real > self.limit.documented,
        }
    }

    /// Whether it takes more than its document has.
    pub fn exceeds(&self) -> bool {
        if self.limit.unreachable.is_some() || self.limit.is_all() {
            return false;
        }
        match (self.limit.end, self.real) {
            (_, Real::Nothing) => false,
            (_, Real::AtLeast(_)) => true,
            (End::Max, Real::Exactly(real)) => real > self.limit.documented,
            (End::Min, Real::Exactly(real)) => real < self.limit.documented,
        }
    }
}

impl Limit {
    /// Whether nothing is said of what lies beyond it, so that nothing is tried there.
    pub fn is_all(&self) -> bool {
        self.end == End::Max && self.range.1 == self.documented && self.unreachable.is_none()
    }

    /// The input that tries a value.
    pub fn input(&self, value: i64) -> Input {
        let length = |n: i64| letters(usize::try_from(n).unwrap_or(0));
        match &self.subject {
            Subject::Length(way) => way.input(&length(value), false),
            Subject::Line { step, rest } => {
                Way::Payload(step.clone()).input(&length(value.saturating_sub(*rest)), false)
            }
            Subject::Topic { prefix } => {
                Way::ReceivedTopic.input(&length(value.saturating_sub(*prefix)), false)
            }
            Subject::Number { step, argument } => {
                Input::one(Action::Number { step: step.clone(), argument: argument.clone(), value })
            }
        }
    }

    /// What became of a value that was tried.
    fn fate(&self, value: i64, came: &Came<'_>) -> Fate {
        match &self.subject {
            Subject::Number { .. } => fate::of_number(&self.input(value), came),
            Subject::Length(way) => fate::of(way, &letters(usize::try_from(value).unwrap_or(0)), came),
            Subject::Topic { prefix } => {
                let own = letters(usize::try_from(value.saturating_sub(*prefix)).unwrap_or(0));
                fate::of(&Way::ReceivedTopic, &own, came)
            }
            Subject::Line { step, rest } => {
                let payload = letters(usize::try_from(value.saturating_sub(*rest)).unwrap_or(0));
                fate::of(&Way::Payload(step.clone()), &payload, came)
            }
        }
    }
}

/// Every end of every documented range of a module that can be tried.
pub fn limits(profile: &Profile) -> Vec<Limit> {
    let mut all = Vec::new();
    let ways = Way::all(profile).into_iter().chain(last_filter(profile)).chain(unseen(profile));
    for way in ways {
        lengths(profile, &way, &mut all);
    }
    if let Some(max) = profile.behaviour.command_max
        && let Some((step, rest)) = line(profile)
    {
        let subject = Subject::Line { step, rest };
        let name = "command line".to_owned();
        all.push(maximum(name, subject, as_number(max), rest + 1, Vec::new()));
    }
    numbers(profile, &mut all);
    for limit in &mut all {
        reach(profile, limit);
    }
    all
}

/// Brings a limit down to what the longest command line can hold.
fn reach(profile: &Profile, limit: &mut Limit) {
    let bindings = Bindings {
        client: "x".repeat(23),
        username: "x".repeat(12),
        password: "x".repeat(12),
        ..Bindings::default()
    };
    let cx = Context { profile, bindings: &bindings };
    let (Some(longest), Subject::Length(_)) = (profile.behaviour.command_max, &limit.subject) else { return };
    let end = profile.serial.line_end.len();
    let fits = |value: i64| {
        let (case, _) = super::case::case(&cx, "measure/limits", &limit.input(value));
        let spoken = case.ops().filter_map(|op| op.exchanges(profile).ok()).flatten();
        spoken.map(|one| one.line.len() + end).max().unwrap_or(0) <= longest
    };
    if limit.end == End::Min || fits(limit.documented) {
        return;
    }
    let (mut good, mut bad) = (limit.range.0, limit.documented);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        *(if fits(middle) { &mut good } else { &mut bad }) = middle;
    }
    limit.unreachable = Some(limit.documented);
    limit.documented = good;
    limit.range.1 = good;
}

/// Texts of the connection that show nowhere: only whether they are taken can be told.
fn unseen(profile: &Profile) -> Vec<Way> {
    let mut all: Vec<Way> = Vec::new();
    for step in CONNECTION {
        for (name, argument) in arguments(profile, step) {
            let own = argument.length.is_some() && !way::FIELDS.contains(&name) && name != "host";
            let way = Way::Field(name.to_owned());
            if own && way::taker(profile, name) == Some(step) && !all.contains(&way) {
                all.push(way);
            }
        }
    }
    all
}

fn last_filter(profile: &Profile) -> Option<Way> {
    profile.steps.contains_key("unsubscribe").then_some(Way::LastFilter)
}

/// The documented lengths of one way.
fn lengths(profile: &Profile, way: &Way, all: &mut Vec<Limit>) {
    let subject = || Subject::Length(way.clone());
    match way {
        Way::Received { .. } => {
            if let Some(max) = profile.behaviour.receive_max {
                let name = way.name().replace(' ', ".");
                all.push(maximum(name, subject(), as_number(max), 1, profile.message.cites.clone()));
            }
        }
        // The topic of a message has that of the session in front.
        Way::ReceivedTopic => {
            if let Some(max) = profile.behaviour.receive_topic_max {
                let prefix = as_number(SESSION_TOPIC.len() + 1);
                let name = "received.topic".to_owned();
                let cites = profile.message.cites.clone();
                let mut limit = maximum(name, Subject::Topic { prefix }, as_number(max), prefix + 1, cites);
                // Such a topic has to be printed; of longer ones nothing is said.
                limit.range.1 = limit.documented;
                all.push(limit);
            }
        }
        _ => {
            let Some((step, name)) = way.argument(profile) else { return };
            let own = profile.argument(&step, &name);
            let text = own.and_then(|a| Some((a.length?, a.cites.clone())));
            let text = text.map(|((min, max), cites)| (as_number(min), as_number(max), cites));
            let declared =
                profile.argument(&step, "len").filter(|_| name == "payload" && profile.takes(&step, "len"));
            let declared = declared.and_then(|a| Some((a.range?, a.cites.clone())));
            let declared = declared.map(|((min, max), cites)| (min, max, cites));
            let Some((min, max, cites)) = text.or(declared) else { return };
            let name = format!("{step}.{name}");
            if min > 0 {
                all.push(minimum(name.clone(), subject(), min, max, cites.clone()));
            }
            all.push(maximum(name, subject(), max, min.max(1), cites));
        }
    }
}

/// The step whose payload can make a command line as long as wished, and how long its line is without one.
fn line(profile: &Profile) -> Option<(String, i64)> {
    let op = crate::words::publish("t", 1, "").with("id", "1");
    let spoken = op.exchanges(profile).ok()?;
    let rest = spoken.first()?.line.len() + profile.serial.line_end.len();
    profile.takes("publish", "payload").then(|| ("publish".to_owned(), as_number(rest)))
}

/// The documented ranges of numbers.
fn numbers(profile: &Profile, all: &mut Vec<Limit>) {
    for step in profile.steps.keys() {
        for (name, argument) in arguments(profile, step) {
            let Some((min, max)) = argument.range else { continue };
            if not_a_number(profile, step, name).is_some() {
                continue;
            }
            let cites = &argument.cites;
            let limit = format!("{step}.{name}");
            let subject = || Subject::Number { step: step.clone(), argument: name.to_owned() };
            if min > 0 {
                all.push(number_limit(minimum(limit.clone(), subject(), min, max, cites.clone())));
            }
            let usual = argument.default.as_ref().and_then(|value| value.parse().ok());
            let promised = usual.filter(|_| name == "link");
            let limit = number_limit(maximum(limit, subject(), max, min, cites.clone()));
            all.push(Limit { promised, ..limit });
        }
    }
}

/// Why a documented range of a number is not measured as one, if so.
fn not_a_number(profile: &Profile, step: &str, name: &str) -> Option<&'static str> {
    let first_link = || CONNECTION.into_iter().find(|step| profile.takes(step, "link"));
    match name {
        "port" => Some("the bench listens on one port, and every other leads elsewhere"),
        "len" => Some("it is measured as the length of the payload"),
        "link" if first_link() != Some(step) => {
            Some("one link is used in all commands of a session: it is measured where the session begins")
        }
        _ if !NUMBERED.contains(&step) => {
            Some("the command is not one of those that are driven with values of choice")
        }
        _ => None,
    }
}

/// The steps whose numbers are tried.
const NUMBERED: [&str; 9] = [
    "configure",
    "open",
    "connect",
    "publish",
    "publish-data",
    "subscribe",
    "message-mode",
    "read-message",
    "secure",
];

/// The steps of a connection, in order.
const CONNECTION: [&str; 3] = ["configure", "open", "connect"];

/// As long as the topic of any session.
const SESSION_TOPIC: &str = "At/abcdefgh";

/// The arguments of a step's commands, each once, with what the document says of them.
fn arguments<'p>(profile: &'p Profile, step: &str) -> Vec<(&'p str, &'p Argument)> {
    let exchanges = profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
    let names = exchanges.flat_map(|e| {
        let written = e.send.first().into_iter().flat_map(|template| template.arguments());
        written.chain(e.data.as_deref())
    });
    let mut all: Vec<(&str, &Argument)> = Vec::new();
    for name in names {
        if let Some(argument) = profile.argument(step, name).filter(|_| all.iter().all(|(n, _)| *n != name)) {
            all.push((name, argument));
        }
    }
    all
}

/// A documented limit that is not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmeasured {
    /// `publish.port`, …
    pub name: String,
    /// Its least and most.
    pub range: (i64, i64),
    /// Why; none would be a gap.
    pub why: Option<&'static str>,
}

impl Unmeasured {
    /// Why it is not measured.
    pub fn reason(&self) -> &'static str {
        self.why.unwrap_or("no way leads to it")
    }
}

/// Every documented limit of a module that [`limits`] has not, and why.
pub fn unmeasured(profile: &Profile) -> Vec<Unmeasured> {
    let measured: Vec<String> = limits(profile).into_iter().map(|limit| limit.name).collect();
    let mut all = Vec::new();
    for step in profile.steps.keys() {
        for (argument, said) in arguments(profile, step) {
            let length = said.length.map(|(min, max)| (as_number(min), as_number(max)));
            let Some(range) = said.range.or(length) else { continue };
            let name = format!("{step}.{argument}");
            if !measured.contains(&name) {
                all.push(Unmeasured { name, range, why: why_not(profile, step, argument) });
            }
        }
    }
    let behaviour = &profile.behaviour;
    let others = [
        ("command line", behaviour.command_max, None),
        ("received.payload", behaviour.receive_max, None),
        ("received.topic", behaviour.receive_topic_max, None),
        ("cache", behaviour.cache, Some("the places of the cache are counted by the cases cache/*")),
    ];
    for (name, max, why) in others {
        if let Some(max) = max.filter(|_| !measured.iter().any(|m| m == name)) {
            let unheard = (!profile.steps.contains_key("subscribe")).then_some("the module cannot subscribe");
            let unsent =
                Some("no payload in a command line can make one so long").filter(|_| name == "command line");
            let why = why.or(unheard).or(unsent);
            all.push(Unmeasured { name: name.to_owned(), range: (0, as_number(max)), why });
        }
    }
    all
}

fn why_not(profile: &Profile, step: &str, argument: &str) -> Option<&'static str> {
    let said = profile.argument(step, argument)?;
    if said.range.is_some() {
        return not_a_number(profile, step, argument);
    }
    match argument {
        "host" => Some("only the address of the bench leads to it, and that is as long as it is"),
        _ if way::taker(profile, argument).is_some_and(|taker| taker != step) => {
            Some("it is measured in the command of the session that has it first")
        }
        _ => None,
    }
}

fn number_limit(mut limit: Limit) -> Limit {
    limit.unit = "";
    limit.range.1 = limit.documented.saturating_mul(2).max(300);
    limit
}

fn maximum(name: String, subject: Subject, documented: i64, least: i64, cites: Vec<String>) -> Limit {
    let most = documented.saturating_mul(4).max(documented + 64).min(FAR.max(documented + 64));
    Limit {
        name,
        unit: "bytes",
        end: End::Max,
        documented,
        cites,
        promised: None,
        unreachable: None,
        subject,
        range: (least.min(documented), most),
    }
}

fn minimum(name: String, subject: Subject, documented: i64, most: i64, cites: Vec<String>) -> Limit {
    Limit {
        name,
        unit: "bytes",
        end: End::Min,
        documented,
        cites,
        promised: None,
        unreachable: None,
        subject,
        range: (0, most),
    }
}

fn as_number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Measures one limit after the other.
#[derive(Debug)]
pub struct Measure {
    left: Vec<Limit>,
    search: Option<Search>,
    done: Vec<Measured>,
}

impl Measure {
    /// A campaign for these limits.
    pub fn new(mut limits: Vec<Limit>) -> Self {
        limits.reverse();
        let search = limits.pop().map(Search::new);
        Self { left: limits, search, done: Vec::new() }
    }

    /// What was measured so far, in order.
    pub fn done(&self) -> &[Measured] {
        &self.done
    }
}

impl Campaign for Measure {
    fn next(&mut self) -> Option<Next> {
        loop {
            let search = self.search.as_mut()?;
            if let Some(value) = search.next() {
                return Some(Next { input: search.limit.input(value), fresh: false });
            }
            let done = self.search.take()?.measured();
            self.done.push(done);
            self.search = self.left.pop().map(Search::new);
        }
    }

    fn learn(&mut self, came: &Came<'_>) {
        if let Some(search) = &mut self.search {
            search.learn(came);
        }
    }
}

/// The bisection of one limit. `good` is taken and `bad` is not; the limit lies between.
#[derive(Debug)]
struct Search {
    limit: Limit,
    good: Option<i64>,
    bad: Option<i64>,
    tried: Option<i64>,
    at_documented: Option<Fate>,
    at_bad: Option<Fate>,
    unclean: Option<String>,
    sendings: usize,
}

impl Search {
    fn new(limit: Limit) -> Self {
        Self {
            limit,
            good: None,
            bad: None,
            tried: None,
            at_documented: None,
            at_bad: None,
            unclean: None,
            sendings: 0,
        }
    }

    /// The value to try next. Everything is reckoned for a maximum; a minimum is one mirrored.
    fn next(&mut self) -> Option<i64> {
        let outward = if self.limit.end == End::Max { 1 } else { -1 };
        let (least, most) = self.limit.range;
        let (inner, outer) = if outward > 0 { (least, most) } else { (most, least) };
        let documented = self.limit.documented;
        let next = match (self.good, self.bad) {
            (None, None) => Some(documented),
            (Some(good), None) if good == outer => None,
            // What is just beyond it is mostly refused; if not, what is far beyond.
            (Some(good), None) if good == documented => Some(documented + outward),
            (Some(_), None) => Some(outer),
            (None, Some(bad)) if bad == inner => None,
            (None, Some(_)) => Some(inner),
            (Some(good), Some(bad)) if (bad - good).abs() > 1 => Some(good + (bad - good) / 2),
            (Some(_), Some(_)) => None,
        };
        self.tried = next;
        next
    }

    fn learn(&mut self, came: &Came<'_>) {
        let Some(value) = self.tried.take() else { return };
        self.sendings += 1;
        let fate = self.limit.fate(value, came);
        if value == self.limit.documented {
            self.at_documented = Some(fate.clone());
        }
        if fate == Fate::Kept {
            self.good = Some(value);
        } else {
            // Where a connection is tried with it, what follows the refusal is judged by other cases.
            let own = came.opening > 0 && fate == Fate::Refused;
            if own && came.judgement.verdict == atspec_model::verdict::Verdict::Fail {
                self.unclean.get_or_insert_with(|| came.judgement.message.clone());
            }
            self.bad = Some(value);
            self.at_bad = Some(fate);
        }
    }

    fn measured(self) -> Measured {
        let real = match (self.good, self.bad) {
            (Some(good), Some(_)) => Real::Exactly(good),
            (Some(good), None) => Real::AtLeast(good),
            (None, _) => Real::Nothing,
        };
        Measured {
            real,
            at_documented: self.at_documented.unwrap_or(Fate::Lost),
            beyond: self.at_bad,
            unclean: self.unclean,
            sendings: self.sendings,
            limit: self.limit,
        }
    }
}
