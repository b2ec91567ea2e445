//! The driver: takes a case through serial link and tap, and records what happens. It judges nothing.
//!
//! Every wait ends with an event or with a deadline from the profile; a deadline that passes is recorded as silence.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use atspec_model::{
    at::{Dialogue, LineTemplate, Outcome, Read, Reader, Stage},
    case::{Await, Case, Fit, Op, Spoken, Step},
    judge::{acknowledgement, formless, prompt_of},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    profile::Profile,
    timeline::{Close, Event, Purpose, Settings, Side, What},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    alert::Alert,
    bench::Options,
    link::{Link, Moved},
    live::Live,
    record::Recorder,
    tap::Tap,
};

/// More bytes than this from the serial line in one case are a flood: no case can need them.
const FLOOD: usize = 4 * 1024 * 1024;

/// The longest pause within one answer of the module: leftovers of a former dialogue are waited out for that at least.
const LULL: Duration = Duration::from_millis(20);

/// Questions about the network, and the states in which there is one: at home or roaming (3GPP TS 27.007, 7.2), attached (10.1.9).
const NETWORK: [(&str, &[&[u8]]); 2] = [("registration", &[b"1", b"5"]), ("attachment", &[b"1"])];

/// How long a network is waited for, in ms of the document.
const NETWORK_MS: u64 = 60_000;

/// A pause inside what is written: longer than any gap that a USB adapter makes, shorter than any patience.
const PAUSE: Duration = Duration::from_millis(30);

/// Why driving cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The serial port is gone.
    PortLost(String),
    /// The module prints without end.
    Flooded,
    /// The operator interrupts.
    Interrupted,
    /// The bench itself failed.
    Fault(String),
}

/// One module's port and tap while cases are driven.
#[derive(Debug)]
pub struct Driver<'p> {
    profile: &'p Profile,
    settings: Settings,
    /// How long quiet is watched for at least.
    least_quiet: Duration,
    link: Link,
    tap: Tap,
    recorder: Recorder,
    interrupt: watch::Receiver<bool>,
    alert: Alert,
    reader: Reader<'p>,
    live: Live,
    dialogue: Option<Dialogue<'p>>,
    messages: usize,
    /// Lines that may follow a success; emptied when one came.
    borne: &'p [LineTemplate],
    received: usize,
    /// Operations that may come to nothing and were waited for in vain, one after the other.
    vain: usize,
    /// When the last byte came.
    heard: Instant,
    /// The spelling that the module takes, by step, where the document has several of which one is enough.
    spellings: BTreeMap<String, usize>,
    /// Where the writing of the operation in hand pauses, in bytes.
    cuts: Vec<usize>,
    /// A step of this case was refused in its first spelling, and has not been tried in the next.
    refused_spelling: Option<String>,
    /// Something can switch the module off and on, which is faster than to coax it.
    switchable: bool,
    at_work: AtWork,
}

/// Whether the module may still be at a command that came to no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtWork {
    No,
    Perhaps,
    /// It was waited for long enough.
    Overdue,
}

/// How long a module that has not ended the command before may be at it, whatever the clock factor says: it takes no other
/// meanwhile (V.250 5.2.1), and not every module scales the patience of its network.
const AT_WORK_MS: u64 = 15_000;

/// Operations in a row that may be waited for in vain in one case, where whether they succeed does not matter.
const MOST_IN_VAIN: usize = 5;

/// By what the bench sees that an operation has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Connection,
    /// A packet of the broker.
    Packet(PacketType),
}

/// What the bench sees of an operation that has happened.
fn effect(op: &Op) -> Option<Effect> {
    match op.step.as_str() {
        "open" => Some(Effect::Connection),
        step => acknowledgement(step, op.qos()).map(Effect::Packet),
    }
}

/// How long the result line of a dialogue is waited for, in ms of the document; `None` is as long as the profile says.
type ResultLimit = Option<u64>;

impl<'p> Driver<'p> {
    /// A driver on an open port.
    pub fn new(
        profile: &'p Profile,
        options: &Options,
        link: Link,
        tap: Tap,
        recorder: Recorder,
        interrupt: watch::Receiver<bool>,
    ) -> Self {
        Self {
            profile,
            settings: options.settings,
            least_quiet: options.least_quiet,
            link,
            tap,
            recorder,
            interrupt,
            alert: Alert::new(),
            reader: Reader::new(&profile.message),
            live: Live::default(),
            dialogue: None,
            messages: 0,
            borne: &[],
            received: 0,
            vain: 0,
            heard: Instant::now(),
            spellings: BTreeMap::new(),
            cuts: Vec::new(),
            refused_spelling: None,
            switchable: false,
            at_work: AtWork::No,
        }
    }

    /// Whether something can switch the module off and on: then a port that does not answer is left to it.
    pub fn switchable(&mut self, switchable: bool) {
        self.switchable = switchable;
    }

    /// The tap.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Forgets what is known of the former case: recorder and views begin anew.
    pub fn begin(&mut self) {
        self.recorder.restart();
        self.reader = Reader::new(&self.profile.message);
        self.live = Live::default();
        self.dialogue = None;
        self.messages = 0;
        self.received = 0;
        self.vain = 0;
        self.at_work = AtWork::No;
    }

    /// Goes on behind a session that an earlier recording opened: `events` stand in front of what comes.
    pub fn resume(&mut self, events: Vec<Event>) {
        self.recorder.resume(events);
        self.reader = Reader::new(&self.profile.message);
        self.live = Live::default();
        self.live.opening = true;
        self.at_work = AtWork::No;
        self.dialogue = None;
        self.messages = 0;
        self.received = 0;
        self.catch_up();
        self.live.opening = false;
    }

    /// Whether the module has a connection.
    pub fn connected(&mut self) -> bool {
        self.catch_up();
        self.live.connected()
    }

    /// Takes another port, or the same one anew: the module was switched off and on.
    pub fn relink(&mut self, link: Link) {
        self.link = link;
    }

    /// Drives every step of the case, or as many as make sense. A stop is recorded as well. `false` where a step kept those
    /// behind it from being driven.
    pub async fn drive(&mut self, case: &Case) -> Result<bool, Stop> {
        self.drive_steps(case, 0..case.steps.len()).await
    }

    /// Drives some of the case's steps.
    pub async fn drive_steps(&mut self, case: &Case, steps: Range<usize>) -> Result<bool, Stop> {
        let skipped = steps.start;
        for (index, step) in case.steps.iter().enumerate().take(steps.end).skip(skipped) {
            self.recorder.push(What::Step { index, name: step.to_string() });
            let go_on = match self.step(step).await {
                Ok(go_on) => go_on,
                Err(stop) => return Err(self.record_stop(stop)),
            };
            self.recorder.push(What::StepDone { index });
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Records why driving stopped.
    fn record_stop(&self, stop: Stop) -> Stop {
        match &stop {
            Stop::PortLost(why) => self.recorder.push(What::PortLost { why: why.clone() }),
            Stop::Flooded => self.recorder.push(What::Flooded { bytes: self.received }),
            Stop::Interrupted => self.recorder.push(What::Interrupted),
            Stop::Fault(what) => self.recorder.push(What::Fault { what: what.clone() }),
        };
        stop
    }

    /// One step. `false` where going on would only repeat the failure.
    async fn step(&mut self, step: &'_ Step) -> Result<bool, Stop> {
        let time = self.profile.time;
        match step {
            Step::Do(op) | Step::Check(op) => {
                let outcome = self.perform(op, None).await?;
                self.note_refusal(op, outcome.as_ref());
                Ok(outcome.is_some_and(|o| o.succeeded()))
            }
            // Many in a row that are waited for in vain would only cost time.
            Step::Try(_) if self.vain >= MOST_IN_VAIN => Ok(true),
            Step::Try(op) => {
                let outcome = self.perform(op, None).await?;
                let over = |o: &Outcome| o.succeeded() || o.refusal.is_some() || o.failure.is_some();
                self.vain = if outcome.as_ref().is_none_or(over) { 0 } else { self.vain + 1 };
                Ok(true)
            }
            Step::Refuse(op) => {
                self.perform(op, Some(time.quiet)).await?;
                self.watch(time.quiet).await?;
                self.probe().await
            }
            Step::NoSuccess(op) => {
                let claimed = self.perform(op, Some(time.withhold)).await?.is_some_and(|o| o.claimed());
                if claimed && self.is_uncertain(op) {
                    self.watch(time.withhold).await?;
                }
                self.probe().await
            }
            Step::Beyond(op) => {
                if !self.perform(op, None).await?.is_some_and(|o| o.claimed()) {
                    self.watch(time.quiet).await?;
                }
                self.probe().await
            }
            Step::Held { packet, op } => self.held(*packet, op).await,
            Step::Spoilt { op, seen, .. } => self.spoilt(op, *seen).await,
            Step::Pause(what) => {
                let until = Instant::now() + self.watched(time.quiet);
                self.wait_until(until, |d| d.has_seen(*what)).await.map(|_| true)
            }
            Step::Broker(command) => Ok(self.broker(command.clone())),
            Step::Await(what) => self.wait_for(*what).await,
            Step::Quiet => self.watch(time.quiet).await.map(|()| true),
            Step::Idle { seconds } => self.watch(u64::from(*seconds) * 1000).await.map(|()| true),
            Step::Probe => self.probe().await,
        }
    }

    /// The exchanges of an operation, one after the other, until one does not succeed. The outcome of the last.
    async fn perform(&mut self, op: &Op, limit: ResultLimit) -> Result<Option<Outcome>, Stop> {
        let spoken = self.speak(op)?;
        self.cuts.clone_from(&op.cuts);
        self.catch_up();
        let before = self.seen(op);
        // What the module opens by this command may be accepted after it was answered: this holds until the next command.
        self.live.opening = matches!(op.step.as_str(), "open" | "connect");
        let mut last = None;
        for one in spoken {
            let outcome = self.ask(&one, op.qos(), Purpose::Command, limit).await?;
            let succeeded = outcome.succeeded();
            last = Some(outcome);
            if !succeeded {
                break;
            }
        }
        self.cuts.clear();
        if limit.is_none() && last.as_ref().is_some_and(Outcome::claimed) {
            let uncertain = self.is_uncertain(op);
            // The module may know of its connection before the tap has accepted it.
            let limit = if uncertain { self.profile.time.result } else { 0 };
            let awaited = uncertain || op.step == "open";
            let came = awaited && self.wait(limit, |d| d.seen(op) > before).await?;
            if came && uncertain {
                self.take_effect(op).await?;
            }
        }
        Ok(last)
    }

    /// The commands of an operation, in the spelling that the module takes.
    fn speak(&self, op: &Op) -> Result<Vec<Spoken<'p>>, Stop> {
        let spelling = self.spellings.get(&op.step).copied().filter(|_| op.spelling == 0);
        // What cannot be written in that spelling is sent in the first.
        let respelled = spelling.and_then(|n| op.clone().spelled(n).exchanges(self.profile).ok());
        respelled.map_or_else(|| op.exchanges(self.profile).map_err(Stop::Fault), Ok)
    }

    /// Notes that the first spelling of an operation was refused where another one is enough.
    fn note_refusal(&mut self, op: &Op, outcome: Option<&Outcome>) {
        let refused = outcome.is_some_and(|outcome| outcome.refusal.is_some());
        let exchange = self.profile.steps.get(&op.step).and_then(|step| step.exchanges.last());
        let another = exchange.is_some_and(|e| e.one_spelling && e.send.len() > 1) && op.spelling == 0;
        if !another || self.spellings.contains_key(&op.step) {
            return;
        }
        if refused {
            self.refused_spelling = Some(op.step.clone());
        } else if outcome.is_some_and(Outcome::succeeded) {
            self.spellings.insert(op.step.clone(), 0);
        }
    }

    /// Takes the next spelling of a step that was refused in the case before; the step, where there was one. The case is to be
    /// driven again.
    pub fn respell(&mut self) -> Option<String> {
        let step = self.refused_spelling.take()?;
        self.spellings.insert(step.clone(), 1);
        Some(step)
    }

    /// The next spelling was no better: the first is used for good.
    pub fn unspell(&mut self, step: &str) {
        self.spellings.insert(step.to_owned(), 0);
    }

    /// Whether the operation may be answered with success before it has succeeded.
    fn is_uncertain(&self, op: &Op) -> bool {
        let last = self.profile.steps.get(&op.step).and_then(|step| step.exchanges.last());
        last.is_some_and(|exchange| !exchange.is_certain(op.qos().unwrap_or(0)))
    }

    /// How often what the operation is about has happened so far.
    fn seen(&self, op: &Op) -> usize {
        match effect(op) {
            Some(Effect::Connection) => self.live.opened(),
            Some(Effect::Packet(kind)) => self.live.count(Side::Broker, kind),
            None => usize::MAX,
        }
    }

    /// The broker has answered; now the module has to read it. Its state tells when it did; where it tells none, a line that may
    /// come, or a moment of quiet.
    async fn take_effect(&mut self, op: &Op) -> Result<(), Stop> {
        let time = self.profile.time;
        let status = Op::new("status").exchanges(self.profile).ok().and_then(|all| all.into_iter().next());
        if let (Some(status), "connect", false) = (status, op.step.as_str(), self.profile.states.is_empty()) {
            let until = Instant::now() + Duration::from_micros(self.settings.deadline_us(time.result));
            while Instant::now() < until {
                let told = self.ask(&status, Some(0), Purpose::Probe, None).await?;
                if told.info.iter().any(|info| self.profile.states.says_connected(info)) || !told.answered() {
                    return Ok(());
                }
                self.watch(time.quiet / 4).await?;
            }
            return Ok(());
        }
        if matches!(op.step.as_str(), "subscribe" | "unsubscribe") {
            return self.watch(time.quiet / 4).await;
        }
        if matches!(op.step.as_str(), "open" | "connect") {
            let exchange = self.profile.steps.get(&op.step).and_then(|step| step.exchanges.last());
            self.borne = exchange.map_or(&[][..], |e| &e.bear);
            let until = Instant::now() + self.watched(time.quiet);
            self.wait_until(until, |d| d.borne.is_empty()).await?;
        }
        Ok(())
    }

    /// One command and its dialogue until it is over or its limit has passed.
    async fn ask(
        &mut self,
        one: &Spoken<'p>,
        qos: Option<u8>,
        purpose: Purpose,
        limit: ResultLimit,
    ) -> Result<Outcome, Stop> {
        self.begin_dialogue(one, qos, purpose).await?;
        self.follow_dialogue(one, limit, |_| false).await?;
        Ok(self.end_dialogue())
    }

    /// An operation with the broker's packet held back: ask, see it held, watch, release, and see the end.
    async fn held(&mut self, packet: PacketType, op: &Op) -> Result<bool, Stop> {
        let spoken = self.speak(op)?;
        let Some((last, first)) = spoken.split_last() else { return Ok(false) };
        self.live.opening = op.step == "connect";
        for one in first {
            if !self.ask(one, op.qos(), Purpose::Command, None).await?.succeeded() {
                return Ok(false);
            }
        }
        self.broker(Command::Rule(Rule::to_module(packet, Action::Hold)));
        let before = self.live.held(packet);
        self.begin_dialogue(last, op.qos(), Purpose::Command).await?;
        self.follow_dialogue(last, None, |d| d.live.held(packet) > before).await?;
        if self.is_uncertain(op) {
            self.wait(self.profile.time.result, |d| d.live.held(packet) > before).await?;
        }
        if self.live.held(packet) > before {
            self.watch(self.profile.time.hold).await?;
        }
        self.broker(Command::Release(packet));
        self.follow_dialogue(last, None, |_| false).await?;
        let succeeded = self.end_dialogue().succeeded();
        if succeeded && self.is_uncertain(op) {
            self.take_effect(op).await?;
        }
        Ok(succeeded)
    }

    /// An operation whose answer on the wire is spoilt: ask, follow its dialogue until that or `seen` ends it, and then give the
    /// module a moment to speak of what was seen.
    async fn spoilt(&mut self, op: &Op, seen: Await) -> Result<bool, Stop> {
        let spoken = self.speak(op)?;
        let Some((last, first)) = spoken.split_last() else { return Ok(false) };
        self.catch_up();
        self.live.opening = matches!(op.step.as_str(), "open" | "connect");
        for one in first {
            if !self.ask(one, op.qos(), Purpose::Command, None).await?.succeeded() {
                return Ok(false);
            }
        }
        let connects = self.live.opening;
        // The command may be the one that opens the connection.
        let over = |d: &Self| d.has_seen(seen) && (!connects || d.live.opened() > 0);
        self.begin_dialogue(last, op.qos(), Purpose::Command).await?;
        self.follow_dialogue(last, Some(self.profile.time.withhold), over).await?;
        let until = Instant::now() + self.watched(self.profile.time.quiet);
        let settled = |d: &Self| d.dialogue.as_ref().is_none_or(|d| d.stage() == Stage::Settled);
        if !self.wait_until(until, settled).await? && over(self) {
            // It waits for an answer that will not come. Without its connection it need not.
            if self.live.connected() {
                self.broker(Command::Close(Close::Fin));
            }
            self.follow_dialogue(last, Some(self.profile.time.quiet), |_| false).await?;
        }
        self.end_dialogue();
        if connects {
            // The module may say so before it has done it.
            self.wait(self.profile.time.result, |d| d.live.opened() > 0).await?;
        }
        Ok(true)
    }

    /// Sends the command line.
    async fn begin_dialogue(
        &mut self,
        one: &Spoken<'p>,
        qos: Option<u8>,
        purpose: Purpose,
    ) -> Result<(), Stop> {
        let mut line = one.line.clone();
        line.extend_from_slice(self.profile.serial.line_end.as_bytes());
        self.dialogue = Some(Dialogue::new(one, &self.profile.lines, qos));
        self.reader.command_sent(&line, prompt_of(self.profile, &line));
        self.send(purpose, &line).await
    }

    /// Waits for each stage of the dialogue in turn and sends the data when the prompt comes, until it is over, `enough`, or
    /// silent beyond its limit.
    async fn follow_dialogue(
        &mut self,
        one: &Spoken<'p>,
        limit: ResultLimit,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        let time = self.profile.time;
        let result = limit.or(one.exchange.within).unwrap_or(time.result);
        loop {
            if let Some(dialogue) = self.dialogue.as_mut().filter(|d| d.wants_data() && !one.starved) {
                dialogue.data_sent();
                let mut data = one.data.clone().unwrap_or_default();
                data.extend_from_slice(one.exchange.data_end.as_bytes());
                self.reader.data_sent(&data);
                self.send(Purpose::Data, &data).await?;
            }
            let Some(dialogue) = self.dialogue.as_ref().filter(|d| d.stage() != Stage::Settled) else {
                return Ok(());
            };
            if enough(self) {
                return Ok(());
            }
            let stage = dialogue.stage();
            let moved = |d: &Self| {
                d.dialogue.as_ref().is_none_or(|d| d.stage() != stage || d.wants_data() && !one.starved)
            };
            // Where silence is the right answer it is watched for, which needs no margin for a slow bench.
            let watched = match stage {
                Stage::Lull => Some(time.quiet / 4),
                // Nothing has come at all yet: the line may be slow.
                Stage::Result if dialogue.outcome().answer.is_none() => None,
                Stage::Result => limit,
                _ => None,
            };
            let waited_ms = match stage {
                // A command without all of its data gives up by itself, if ever.
                Stage::Answer if one.starved => time.answer + one.exchange.patience.unwrap_or(0),
                Stage::Answer | Stage::Result if one.fit() == Fit::Short => {
                    time.answer.max(result) + one.exchange.patience.unwrap_or(0)
                }
                Stage::Result => result,
                _ => time.answer,
            };
            let overtime_ms = if watched.is_none() && self.is_at_work() { AT_WORK_MS } else { 0 };
            let wait = match watched {
                Some(ms) => self.watched(ms),
                None => Duration::from_micros(self.settings.deadline_us(waited_ms)),
            };
            let until = Instant::now() + wait.max(Duration::from_millis(overtime_ms));
            if !self.wait_until(until, |d| moved(d) || enough(d)).await? {
                let waited_ms = waited_ms.max(overtime_ms);
                if overtime_ms > 0 {
                    self.at_work = AtWork::Overdue;
                }
                if stage != Stage::Lull {
                    let awaited = self.dialogue.as_ref().map(Dialogue::awaited).unwrap_or_default();
                    self.recorder.push(What::Silence { awaited, waited_ms });
                }
                return Ok(());
            }
        }
    }

    /// Whether the module may still be at the command before; one that can be switched off, or whose clock is the bench's, is not
    /// waited for.
    fn is_at_work(&self) -> bool {
        self.at_work == AtWork::Perhaps && !self.switchable && !self.least_quiet.is_zero()
    }

    /// For how long it is watched that nothing comes in so many ms of the document.
    fn watched(&self, ms: u64) -> Duration {
        let quiet = self.profile.time.quiet.max(1);
        let part = u32::try_from(ms.min(quiet) * 1000 / quiet).unwrap_or(1000);
        Duration::from_micros(self.settings.scaled_us(ms)).max(self.least_quiet * part / 1000)
    }

    fn end_dialogue(&mut self) -> Outcome {
        self.reader.dialogue_over();
        let Some(dialogue) = self.dialogue.take() else { return Outcome::default() };
        self.at_work = match self.at_work {
            _ if dialogue.is_over() => AtWork::No,
            AtWork::Overdue => AtWork::Overdue,
            AtWork::No | AtWork::Perhaps => AtWork::Perhaps,
        };
        dialogue.outcome().clone()
    }

    /// Whether the port answers.
    async fn probe(&mut self) -> Result<bool, Stop> {
        let Some(one) = Spoken::probe(self.profile) else { return Ok(true) };
        let outcome = self.ask(&one, Some(0), Purpose::Probe, None).await?;
        if outcome.refusal.is_some() {
            // That may be the late word on the command before; then the answer follows.
            self.watch(self.profile.time.quiet / 4).await?;
        }
        Ok(outcome.answered())
    }

    /// The broker obeys. `false` where it has no connection that the command could concern, which is recorded as silence.
    fn broker(&mut self, command: Command) -> bool {
        let words = command.to_string();
        let obeyed = self.tap.command(command).is_ok();
        if !obeyed {
            self.recorder.push(What::Silence {
                awaited: format!("connection of the module to {words}"),
                waited_ms: 0,
            });
        }
        self.catch_up();
        obeyed
    }

    /// Watches for so many ms of the document.
    async fn watch(&mut self, ms: u64) -> Result<(), Stop> {
        let until = Instant::now() + self.watched(ms);
        self.wait_until(until, |_| false).await.map(|_| ())
    }

    /// `false` where it did not come: what follows would only wait in vain again. Of many, each has the whole time: a module may
    /// send slowly what it was told fast.
    async fn wait_for(&mut self, what: Await) -> Result<bool, Stop> {
        let limit = self.profile.time.result;
        let mut before = self.counted(what);
        while !self.has_seen(what) {
            // One more, or all: to count may mean to read the whole recording, so it is done once a look.
            let more =
                |d: &Self| if Self::is_counted(what) { d.counted(what) > before } else { d.has_seen(what) };
            if !self.wait(limit, more).await? {
                self.recorder.push(What::Silence { awaited: what.to_string(), waited_ms: limit });
                return Ok(false);
            }
            before = self.counted(what);
        }
        Ok(true)
    }

    /// Whether what is awaited is so many of something.
    fn is_counted(what: Await) -> bool {
        !matches!(what, Await::Closed | Await::ClosedOrAcknowledged(_))
    }

    /// How many have come of what can be counted.
    fn counted(&self, what: Await) -> usize {
        match what {
            Await::FromModule(kind, _) => self.live.count(Side::Module, kind),
            Await::OnNewest(kind, _) => self.live.count_on_newest(Side::Module, kind),
            Await::ToModule(kind, _) => self.live.count(Side::Broker, kind),
            Await::Messages(_) => self.told(),
            Await::Closed | Await::ClosedOrAcknowledged(_) => 0,
        }
    }

    fn has_seen(&self, what: Await) -> bool {
        match what {
            Await::FromModule(_, n) | Await::OnNewest(_, n) | Await::ToModule(_, n) | Await::Messages(n) => {
                self.counted(what) >= n
            }
            Await::Closed => !self.live.connected(),
            Await::ClosedOrAcknowledged(id) => self.live.acknowledged(id) || !self.live.connected(),
        }
    }

    /// Waits until `ready`, at most so many ms of the document and the bench's margin.
    async fn wait(&mut self, ms: u64, ready: impl FnMut(&Self) -> bool) -> Result<bool, Stop> {
        let until = Instant::now() + Duration::from_micros(self.settings.deadline_us(ms));
        self.wait_until(until, ready).await
    }

    async fn wait_until(
        &mut self,
        until: Instant,
        mut ready: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Stop> {
        let mut buffer = [0; 4096];
        loop {
            self.catch_up();
            if ready(self) {
                return Ok(true);
            }
            if *self.interrupt.borrow() {
                return Err(Stop::Interrupted);
            }
            tokio::select! {
                biased;
                read = self.link.read(&mut buffer) => {
                    let n = read.map_err(|e| Stop::PortLost(e.to_string()))?;
                    self.received(&buffer[..n])?;
                }
                () = self.recorder.changed() => {}
                () = self.alert.stay() => {}
                _ = self.interrupt.changed() => {}
                () = sleep_until(until) => {
                    self.catch_up();
                    return Ok(ready(self));
                }
            }
            if Instant::now() >= until {
                self.catch_up();
                return Ok(ready(self));
            }
        }
    }

    /// Writes bytes, with the pauses that the operation asks for.
    async fn send(&mut self, purpose: Purpose, bytes: &[u8]) -> Result<(), Stop> {
        self.recorder.push(What::Sent { purpose, bytes: bytes.to_vec() });
        let mut from = 0;
        // A pause behind the end of what is written is for what follows it: data are longer than their command.
        let (within, later) = std::mem::take(&mut self.cuts).into_iter().partition(|cut| *cut < bytes.len());
        self.cuts = later;
        let within: Vec<usize> = within;
        for cut in within {
            if !self.write(bytes.get(from..cut).unwrap_or_default()).await? {
                return Ok(());
            }
            from = from.max(cut);
            self.wait_until(Instant::now() + PAUSE, |_| false).await?;
        }
        self.write(bytes.get(from..).unwrap_or_default()).await.map(|_| ())
    }

    /// Writes bytes; meanwhile reads, so that an echo cannot block either side. `false` where the line does not take them.
    async fn write(&mut self, bytes: &[u8]) -> Result<bool, Stop> {
        let line_time = bytes.len() as u64 * 10_000 / u64::from(self.profile.serial.baud.max(1));
        let limit = self.settings.deadline_us(self.profile.time.answer) + line_time * 2000;
        let until = Instant::now() + Duration::from_micros(limit);
        let mut buffer = [0; 4096];
        let mut out = bytes;
        while !out.is_empty() {
            tokio::select! {
                biased;
                moved = self.link.read_or_write(&mut buffer, out) => match moved {
                    Ok(Moved::Out(n)) => out = &out[n..],
                    Ok(Moved::In(n)) => self.received(&buffer[..n])?,
                    Err(e) => return Err(Stop::PortLost(e.to_string())),
                },
                () = sleep_until(until) => {
                    let awaited = format!("the line to take {} more bytes", out.len());
                    self.recorder.push(What::Silence { awaited, waited_ms: limit / 1000 });
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Records bytes from the module and hands the items in them to the dialogue.
    fn received(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.heard = Instant::now();
        self.received += bytes.len();
        if self.received > FLOOD {
            return Err(Stop::Flooded);
        }
        self.recorder.push(What::Received { bytes: bytes.to_vec() });
        self.reader.push(bytes);
        while let Some(read) = self.reader.next_item() {
            self.hear(&read);
        }
        Ok(())
    }

    fn hear(&mut self, read: &Read) {
        use atspec_model::at::Item;
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.hear(read);
        }
        if let Item::Line(line) = &read.item
            && self.borne.iter().any(|t| t.read(line).is_some())
        {
            self.borne = &[];
        }
        match &read.item {
            Item::Message { .. } => self.messages += 1,
            Item::Line(line) if self.profile.message.announced.iter().any(|t| t.read(line).is_some()) => {
                self.messages += 1;
            }
            _ => {}
        }
    }

    /// Messages told; those without a known form by what the broker delivered.
    fn told(&self) -> usize {
        if self.profile.message.any {
            return self.recorder.since(0, |events| formless(events).len());
        }
        self.messages
    }

    fn catch_up(&mut self) {
        let live = &mut self.live;
        self.recorder.since(live.next, |events| live.follow(events));
    }

    // ---- between cases ------------------------------------------------------------------------------------------

    /// Takes a fresh port: waits until it is quiet, sends the profile's bring-up commands, and asks whether it answers. A module
    /// that tells that it has no network yet gets the time to find one.
    pub async fn bring_up(&mut self) -> Result<bool, Stop> {
        self.begin();
        self.settle().await?;
        for _ in 0..3 {
            if self.probe().await? {
                for line in &self.profile.bring_up {
                    self.recovery_line(line).await?;
                }
                for (step, ready) in NETWORK {
                    self.wait_for_network(step, ready).await?;
                }
                return self.probe().await;
            }
            self.settle().await?;
        }
        Ok(false)
    }

    /// Asks until the state is one of these, as long as the module answers the question, at most a minute of the document; what
    /// comes of a module without a network is for the cases to judge.
    async fn wait_for_network(&mut self, step: &str, ready: &[&[u8]]) -> Result<(), Stop> {
        let until = Instant::now() + Duration::from_micros(self.settings.deadline_us(NETWORK_MS));
        while let Ok(spoken) = Op::new(step).exchanges(self.profile) {
            let Some(one) = spoken.into_iter().next_back() else { break };
            let outcome = self.ask(&one, Some(0), Purpose::Command, None).await?;
            let state = outcome.info.iter().find_map(|found| found.values.get("state"));
            if state.is_none_or(|state| ready.contains(&state.trim_ascii())) || Instant::now() >= until {
                break;
            }
            self.watch(self.profile.time.quiet / 2).await?;
        }
        Ok(())
    }

    /// What the module has printed since the last beginning, for people: it tells a wrong baud rate from a dead line.
    pub fn printed(&self) -> String {
        let received = |event: &Event| match &event.what {
            What::Received { bytes } => bytes.clone(),
            _ => Vec::new(),
        };
        let bytes: Vec<u8> =
            self.recorder.since(0, |events| events.iter().flat_map(received).take(10_000).collect());
        if bytes.is_empty() {
            return "it printed nothing".to_owned();
        }
        format!("it printed `{}`", atspec_model::text::shortened(&bytes, 60))
    }

    /// What the module says it is: the first information response to the profile's `identify`.
    pub async fn identity(&mut self) -> Result<String, Stop> {
        let Ok(spoken) = Op::new("identify").exchanges(self.profile) else { return Ok(String::new()) };
        for one in spoken {
            let outcome = self.ask(&one, Some(0), Purpose::Command, None).await?;
            if let Some(found) = outcome.info.first() {
                return Ok(atspec_model::text::visible(&found.line));
            }
        }
        Ok(String::new())
    }

    /// Clears up after a case. `false` where the module does not answer any more, after everything that may bring it back.
    pub async fn tear_down(&mut self, case: &Case) -> Result<bool, Stop> {
        self.tap.deliveries(Duration::from_millis(self.settings.margin_ms)).await;
        self.recorder.push(What::Teardown);
        self.received = 0;
        for command in [Command::ClearRules, Command::Resume] {
            let _ = self.tap.command(command);
        }
        if self.live.connected() && self.live.count(Side::Broker, PacketType::Publish) > self.told() {
            // A message that may be printed or not is not to be printed in the next case.
            self.watch(self.profile.time.quiet).await?;
        }
        if !self.least_quiet.is_zero() && self.owes_loss() {
            // Taken for the failure of the next connection, it would spoil the case after.
            let until = Instant::now() + self.watched(self.profile.time.quiet);
            self.wait_until(until, |d| !d.owes_loss()).await?;
        }
        let touched = |step: &str| case.ops().any(|op| op.step == step);
        let mut answers = self.probe().await? || self.recover().await?;
        if answers && (touched("open") || touched("connect")) {
            // A module that was told to connect again by itself comes back until it is told to stop.
            let returns = case.ops().any(|op| op.values.get("reconnect").is_some_and(|value| value != b"0"));
            if self.live.connected() || returns {
                self.try_step(&Op::new("disconnect")).await?;
            }
            self.try_step(&Op::new("close")).await?;
        }
        if answers && (touched("open") || touched("connect")) {
            for line in &self.profile.clear {
                self.recovery_line(line).await?;
            }
        }
        for (step, argument) in [("message-mode", "mode"), ("secure", "tls")] {
            if answers && touched(step) {
                self.try_step(&Op::new(step).with(argument, "0")).await?;
            }
        }
        // A module that lost its connection only now may say so, and one whose command came to nothing may give it up now; nothing
        // of that belongs to the next case.
        let connected = self.live.connected();
        self.tap.reset();
        let silent = |events: &[Event]| events.iter().any(|e| matches!(e.what, What::Silence { .. }));
        // On a port a line about what was closed may be late, too.
        let late = !self.least_quiet.is_zero() && (touched("open") || touched("connect"));
        if connected || !answers || late || self.recorder.since(0, silent) {
            self.settle().await?;
        }
        if answers
            && self
                .recorder
                .since(0, |events| matches!(events.last(), Some(e) if matches!(e.what, What::Silence { .. })))
        {
            answers = self.probe().await? || self.recover().await?;
        }
        Ok(answers)
    }

    /// Whether a connection ended without a command for it, and the module has not printed yet what it may have for that.
    fn owes_loss(&self) -> bool {
        let lines = &self.profile.lines;
        let all = lines.lost.iter().chain(&lines.failed);
        // A refusal, or a line with any text in it, is the answer to a command as well.
        let own = all.filter(|form| !form.is_loose() && !lines.refused.contains(form));
        let forms: Vec<_> = own.collect();
        if forms.is_empty() || self.live.connected() {
            return false;
        }
        let ends = |line: &[u8]| {
            let steps = ["disconnect", "close"].into_iter().filter_map(|step| self.profile.steps.get(step));
            let mut templates = steps.flat_map(|step| &step.exchanges).flat_map(|e| &e.send);
            templates.any(|template| line.starts_with(template.name().as_bytes()))
        };
        self.recorder.since(0, |events| {
            let closed = |e: &Event| matches!(e.what, What::Closed { .. });
            let Some(lost) = events.iter().rposition(closed) else { return false };
            let (before, after) = events.split_at(lost);
            let commanded = before.iter().rev().find_map(|e| match &e.what {
                What::Sent { purpose: Purpose::Command, bytes } => Some(ends(bytes)),
                _ => None,
            });
            let mut printed = Vec::new();
            for event in after {
                if let What::Received { bytes } = &event.what {
                    printed.extend_from_slice(bytes);
                }
            }
            let mut lines = printed.split(|byte| matches!(byte, b'\r' | b'\n'));
            commanded == Some(false) && !lines.any(|line| forms.iter().any(|form| form.read(line).is_some()))
        })
    }

    async fn try_step(&mut self, op: &Op) -> Result<(), Stop> {
        if op.exchanges(self.profile).is_ok() {
            self.perform(op, None).await?;
        }
        Ok(())
    }

    async fn settle_and_probe(&mut self) -> Result<bool, Stop> {
        self.settle().await?;
        self.probe().await
    }

    /// Brings a port back that does not answer: ends a data mode by what it may still wait for, then asks again.
    async fn recover(&mut self) -> Result<bool, Stop> {
        if self.switchable {
            return Ok(false);
        }
        let lengths = self.profile.arguments.iter().filter(|(name, _)| name.ends_with("len"));
        let ranges = lengths.flat_map(|(_, by_step)| by_step.values()).filter_map(|a| a.range);
        let longest = ranges.map(|(_, max)| max).max().unwrap_or(0);
        let filler = vec![b'\r'; usize::try_from(longest).unwrap_or(0).min(16 * 1024) + 2];
        for attempt in [b"\x1a\r\n".as_slice(), b"\x1b\r\n", &filler] {
            self.dialogue = None;
            self.reader = Reader::new(&self.profile.message);
            self.send(Purpose::Recovery, attempt).await?;
            if self.settle_and_probe().await? {
                return Ok(true);
            }
        }
        if Op::new("reset").exchanges(self.profile).is_ok() {
            self.perform(&Op::new("reset"), None).await?;
            return self.settle_and_probe().await;
        }
        Ok(false)
    }

    /// A line outside any dialogue, whatever is answered.
    async fn recovery_line(&mut self, line: &str) -> Result<(), Stop> {
        let Some(probe) = Spoken::probe(self.profile) else { return Ok(()) };
        let one = Spoken { line: line.as_bytes().to_vec(), ..probe };
        self.ask(&one, Some(0), Purpose::Command, None).await.map(|_| ())
    }

    /// Waits until nothing has come for a moment, at most for the time of an answer.
    async fn settle(&mut self) -> Result<(), Stop> {
        let limit =
            Instant::now() + Duration::from_micros(self.settings.deadline_us(self.profile.time.answer));
        let lull = self.watched(self.profile.time.quiet / 5).max(LULL);
        loop {
            self.wait_until((Instant::now() + lull).min(limit), |_| false).await?;
            if self.heard.elapsed() >= lull || Instant::now() >= limit {
                return Ok(());
            }
        }
    }
}
