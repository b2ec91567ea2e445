//! The words cases are written in: operations, openings, and expectations.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use atspec_model::{
    at::Item,
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::{Message as Printed, Serial, View, WirePacket},
    mqtt::{Body, Connect, Level, PacketType, Publish},
    partner::{Command, Message},
    profile::Profile,
    text,
    timeline::{Purpose, Side, What},
};

use crate::told::exchanges;

pub(crate) use Step::{
    Await as Wait, Beyond, Broker, Check, Do, Held, Idle, NoSuccess, Probe, Quiet, Refuse, Try,
};

/// The keep alive of cases that are not about it, in seconds: longer than any of them lasts.
pub(crate) const KEEP_ALIVE: u16 = 600;

/// The message of a will: no blank and no separator, since some arguments are sent without quotes.
pub(crate) const WILL_MESSAGE: &str = "gone-without-a-word";

/// A firm case.
pub(crate) fn case(id: &str, asks: &str, cites: &[&str]) -> Case {
    Case {
        id: id.to_owned(),
        asks: asks.to_owned(),
        cites: cites.iter().map(|&c| c.to_owned()).collect(),
        level: Level::Must,
        steps: Vec::new(),
        expect: Vec::new(),
        anonymous: false,
        unmet: None,
        policy: None,
    }
}

/// Building a case in reading order.
pub(crate) trait Build {
    /// What is done.
    fn steps(self, steps: impl IntoIterator<Item = Step>) -> Self;
    /// What must then be seen.
    fn expect(self, expect: impl IntoIterator<Item = Expect>) -> Self;
    /// Checks these statements as well.
    fn citing(self, cites: &[&str]) -> Self;
    /// Checks what the profile says that another case checks of its document, too.
    fn like(self, cx: &Context<'_>, id: &str) -> Self;
    /// Binds only as a SHOULD.
    fn should(self) -> Self;
    /// Does not apply where the module has no command for the step, although the case itself does not use it.
    fn needing(self, cx: &Context<'_>, step: &str) -> Self;
    /// Binds only as a SHOULD under a condition.
    fn only_should(self, condition: bool) -> Self;
    /// Does not apply where there is a reason.
    fn unless(self, why: Option<String>) -> Self;
}

impl Build for Case {
    fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    fn expect(mut self, expect: impl IntoIterator<Item = Expect>) -> Self {
        self.expect.extend(expect);
        self
    }

    fn citing(mut self, cites: &[&str]) -> Self {
        self.cites.extend(cites.iter().map(|&cite| cite.to_owned()));
        self
    }

    fn like(self, cx: &Context<'_>, id: &str) -> Self {
        let cites: Vec<&str> = cx.profile.cites.get(id).into_iter().flatten().map(String::as_str).collect();
        self.citing(&cites)
    }

    fn should(mut self) -> Self {
        self.level = Level::Should;
        self
    }

    fn needing(self, cx: &Context<'_>, step: &str) -> Self {
        self.unless(cx.profile.step(step).err())
    }

    fn only_should(self, condition: bool) -> Self {
        if condition { self.should() } else { self }
    }

    fn unless(mut self, why: Option<String>) -> Self {
        self.unmet = self.unmet.or(why);
        self
    }
}

// ---- what the module has ------------------------------------------------------------------------------------------

/// Whether the module has a command for the step.
pub(crate) fn has(cx: &Context<'_>, step: &str) -> bool {
    cx.profile.steps.contains_key(step)
}

/// Whether one of the commands that make up a connection takes an argument, or its opposite.
pub(crate) fn takes(cx: &Context<'_>, name: &str) -> bool {
    SESSION.iter().any(|step| cx.profile.takes(step, name) || cx.profile.takes(step, inverse(name)))
}

/// Whether an argument is sent in quotes, so that blanks and separators are its own.
pub(crate) fn quoted(cx: &Context<'_>, step: &str, name: &str) -> bool {
    let exchanges = cx.profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
    exchanges.filter_map(|e| e.send.first()).any(|template| template.quotes(name))
}

/// The first spelling of a step that sends an argument in quotes.
pub(crate) fn quoting(cx: &Context<'_>, step: &str, name: &str) -> Option<usize> {
    let mut exchanges = cx.profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
    exchanges.find_map(|e| e.send.iter().position(|template| template.quotes(name)))
}

/// Whether the last command of a step tells success only when it is certain.
pub(crate) fn certain(cx: &Context<'_>, step: &str) -> bool {
    let last = cx.profile.steps.get(step).and_then(|s| s.exchanges.last());
    last.is_none_or(|exchange| exchange.is_certain(0))
}

/// How many documented spellings the commands of a step have.
pub(crate) fn spellings(cx: &Context<'_>, step: &str) -> usize {
    let exchanges = cx.profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
    exchanges.map(|e| e.send.len()).max().unwrap_or(0)
}

/// Shortest and longest text of an argument of the connection, where the document tells them.
pub(crate) fn text_lengths(cx: &Context<'_>, name: &str) -> Option<(usize, usize)> {
    let step = SESSION.iter().find(|step| cx.profile.takes(step, name))?;
    cx.profile.argument(step, name)?.length
}

/// The longest payload of a way of publishing, where the document tells it, in its own argument or in that of its length.
pub(crate) fn longest_payload(cx: &Context<'_>, step: &str) -> Option<usize> {
    let text = cx.profile.argument(step, "payload").and_then(|a| a.length).map(|(_, max)| max);
    let declared = cx.profile.argument(step, "len").filter(|_| cx.profile.takes(step, "len"));
    let number = declared.and_then(|a| a.range).and_then(|(_, max)| usize::try_from(max).ok());
    text.into_iter().chain(number).min()
}

/// The argument that says the opposite.
fn inverse(name: &str) -> &str {
    if name == "clean" { "disable_clean" } else { name }
}

// ---- operations -------------------------------------------------------------------------------------------------

/// Everything that a connection of this case needs. Vendors divide it among their commands: each of the operations made of it
/// carries all values, and the profile takes out those that its command has.
#[derive(Debug, Clone)]
pub(crate) struct Session<'a> {
    profile: &'a Profile,
    values: BTreeMap<String, Vec<u8>>,
    chosen: Vec<String>,
}

/// The steps that make up a connection, in order.
const SESSION: [&str; 3] = ["configure", "open", "connect"];

/// Client id, user name and password of this case, clean session 1, the usual keep alive, and the tap's address.
pub(crate) fn session<'a>(cx: &Context<'a>) -> Session<'a> {
    let b = cx.bindings;
    let values: [(&str, String); 7] = [
        ("client", b.client.clone()),
        ("username", b.username.clone()),
        ("password", b.password.clone()),
        ("clean", "1".to_owned()),
        ("keepalive", KEEP_ALIVE.to_string()),
        ("host", b.host.clone()),
        ("port", b.port.to_string()),
    ];
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    Session { profile: cx.profile, values, chosen: Vec::new() }
}

impl Session<'_> {
    /// With a value where a command takes it.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.values.insert(name.to_owned(), value.as_ref().to_vec());
        self
    }

    /// With a value that the case is about: where no command takes it, the case does not apply.
    #[must_use]
    pub(crate) fn choosing(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.chosen.push(name.to_owned());
        self.with(name, value)
    }

    /// Without a value.
    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.values.remove(name);
        self
    }

    /// Whether it has a value of this name.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Clean session as asked; 0 is a choice.
    #[must_use]
    pub(crate) fn clean(self, clean: bool) -> Self {
        if clean { self.with("clean", "1") } else { self.choosing("clean", "0") }
    }

    /// A keep alive in seconds; one of its own is a choice.
    #[must_use]
    pub(crate) fn keep_alive(self, seconds: u16) -> Self {
        let value = seconds.to_string();
        if seconds == KEEP_ALIVE { self.with("keepalive", value) } else { self.choosing("keepalive", value) }
    }

    /// With a will, which the case is about.
    #[must_use]
    pub(crate) fn will(self, topic: &str, qos: u8, retain: bool) -> Self {
        self.with("will_flag", "1")
            .choosing("will_qos", qos.to_string())
            .choosing("will_retain", if retain { "1" } else { "0" })
            .choosing("will_topic", topic)
            .choosing("will_message", WILL_MESSAGE)
    }

    /// The configuration.
    pub(crate) fn configure(&self) -> Op {
        self.op("configure")
    }

    /// TCP to the tap.
    pub(crate) fn open(&self) -> Op {
        self.op("open")
    }

    /// The MQTT connection.
    pub(crate) fn connect(&self) -> Op {
        self.op("connect")
    }

    /// The operation that opens TCP, whichever it is.
    pub(crate) fn dial(&self) -> Op {
        self.op(if self.profile.steps.contains_key("open") { "open" } else { "connect" })
    }

    /// The means to configure, where there is a command for it.
    pub(crate) fn configured(&self) -> Vec<Step> {
        self.means("configure")
    }

    /// The means that come before the MQTT connection: configured, TCP open where that has a command of its own.
    pub(crate) fn opened(&self) -> Vec<Step> {
        then(self.configured(), self.means("open"))
    }

    /// The means to the MQTT connection.
    pub(crate) fn connected(&self) -> Vec<Step> {
        then(self.opened(), [Do(self.connect())])
    }

    /// The same as the subject of the case: every command that there is, as documented.
    pub(crate) fn checked(&self) -> Vec<Step> {
        self.commands().map(Check).collect()
    }

    /// Every command that makes up the connection, in order, as far as the module has them.
    pub(crate) fn commands(&self) -> impl Iterator<Item = Op> {
        let known = |step: &&&str| **step == "connect" || self.profile.steps.contains_key(**step);
        SESSION.iter().filter(known).map(|step| self.op(step))
    }

    fn means(&self, step: &str) -> Vec<Step> {
        if self.profile.steps.contains_key(step) { vec![Do(self.op(step))] } else { Vec::new() }
    }

    /// Which of the steps takes an argument; the last one where none does, so that the case tells what is missing.
    fn taker(&self, name: &str) -> &'static str {
        let takes = |step: &&&str| self.profile.takes(step, name) || self.profile.takes(step, inverse(name));
        SESSION.iter().find(takes).unwrap_or(&"connect")
    }

    fn op(&self, step: &str) -> Op {
        let chosen = self.chosen.iter().filter(|name| self.taker(name) == step).cloned().collect();
        Op { values: self.values.clone(), chosen, ..Op::new(step) }
    }
}

/// A subscription.
pub(crate) fn subscribe(topic: &str, qos: u8) -> Op {
    Op::new("subscribe").with("topic", topic).with("qos", qos.to_string())
}

/// The end of a subscription.
pub(crate) fn unsubscribe(topic: &str) -> Op {
    Op::new("unsubscribe").with("topic", topic)
}

/// A publication whose payload stands in the command.
pub(crate) fn publish(topic: &str, qos: u8, payload: impl AsRef<[u8]>) -> Op {
    Op::new("publish")
        .with("topic", topic)
        .with("qos", qos.to_string())
        .with("retain", "0")
        .with("payload", payload)
}

/// A publication whose payload follows a prompt.
pub(crate) fn publish_data(topic: &str, qos: u8, payload: impl AsRef<[u8]>) -> Op {
    Op { step: "publish-data".to_owned(), ..publish(topic, qos, payload) }
}

/// A publication by whichever command there is, where publishing is only a means.
pub(crate) fn send(cx: &Context<'_>, topic: &str, qos: u8, payload: impl AsRef<[u8]>) -> Op {
    if !has(cx, "publish") && has(cx, "publish-data") {
        publish_data(topic, qos, payload)
    } else {
        publish(topic, qos, payload)
    }
}

/// The end of the MQTT connection.
pub(crate) fn disconnect() -> Op {
    Op::new("disconnect")
}

/// The end of the TCP connection.
pub(crate) fn close() -> Op {
    Op::new("close")
}

/// How received messages are printed: 0 at once, 1 kept in the cache.
pub(crate) fn message_mode(mode: u8) -> Op {
    Op::new("message-mode").with("mode", mode.to_string())
}

/// Takes the messages out of the cache.
pub(crate) fn read_messages() -> Op {
    Op::new("read-messages")
}

/// Another client publishes.
pub(crate) fn other_publishes(topic: &str, qos: u8, payload: impl AsRef<[u8]>) -> Step {
    let (topic, payload) = (topic.as_bytes().to_vec(), payload.as_ref().to_vec());
    Broker(Command::Publish(Message { topic, payload, qos, retain: false }))
}

// ---- openings ---------------------------------------------------------------------------------------------------

/// Configured, TCP open where that has a command of its own, not yet connected.
pub(crate) fn opened(cx: &Context<'_>) -> Vec<Step> {
    session(cx).opened()
}

/// Connected with clean session 1.
pub(crate) fn connected(cx: &Context<'_>) -> Vec<Step> {
    session(cx).connected()
}

/// Connected as asked.
pub(crate) fn connected_with(cx: &Context<'_>, clean: bool, keep_alive: u16) -> Vec<Step> {
    session(cx).clean(clean).keep_alive(keep_alive).connected()
}

/// Connected and subscribed.
pub(crate) fn subscribed(cx: &Context<'_>, topic: &str, qos: u8) -> Vec<Step> {
    let mut steps = connected(cx);
    steps.push(Do(subscribe(topic, qos)));
    steps
}

/// Connected again after the broker ended the connection: what is left of the old one is closed, and all is sent again.
pub(crate) fn reconnected(cx: &Context<'_>, clean: bool) -> Vec<Step> {
    then(hung_up(cx), connected_with(cx, clean, KEEP_ALIVE))
}

/// As long as firmware commonly waits for an acknowledgement, in seconds: a success that is told then is none either.
pub(crate) const GIVEN_UP: u32 = 25;

/// The module has the time to give up a command whose acknowledgement never comes, where its success waits for that and has a line
/// of its own.
pub(crate) fn until_given_up(cx: &Context<'_>, step: &str, qos: u8) -> Option<Step> {
    let tells = |e: &&atspec_model::profile::Exchange| e.is_certain(qos) && !e.results(qos).is_empty();
    exchanges(cx.profile, step).find(tells).map(|_| Idle { seconds: GIVEN_UP })
}

/// No line of success of this step behind the step that cannot succeed.
pub(crate) fn never_told(cx: &Context<'_>, step: &'static str, qos: u8) -> Expect {
    let lasts = until_given_up(cx, step, qos).is_some();
    Expect::new("no success when the module gives up either", move |view| {
        let last = view.steps.last().filter(|_| lasts);
        let mut late = last.into_iter().flat_map(|step| &step.serial).filter_map(|serial| match serial {
            Serial::Printed { at, item: Item::Line(line), .. } => Some((*at, line)),
            _ => None,
        });
        let is_success = |line: &[u8]| {
            let certain = exchanges(view.profile, step).filter(|e| e.is_certain(qos));
            let mut forms = certain.flat_map(|e| e.results(qos)).filter(|form| !form.is_loose());
            forms.any(|form| form.read(line).is_some())
        };
        match late.find(|(_, line)| is_success(line)) {
            Some((at, line)) => Err(Unmet::at(format!("`{}`", text::visible(line)), at)),
            None => Ok(()),
        }
    })
}

/// What is left of a connection that the broker ended is cleared away, and the module has a moment to say what it has to say of
/// the loss: that it was lost is not to be taken for the failure of what comes next.
pub(crate) fn hung_up(cx: &Context<'_>) -> Vec<Step> {
    let ends = ["close", "disconnect"].into_iter().find(|step| cx.profile.steps.contains_key(*step));
    // Without a command for it the module has to notice by itself.
    ends.map_or(vec![Idle { seconds: 10 }], |step| vec![Try(Op::new(step)), Quiet])
}

/// The commanded end of the connection, with its command for TCP where there is one.
pub(crate) fn ended(cx: &Context<'_>) -> Vec<Step> {
    let has = |step: &&str| cx.profile.steps.contains_key(*step);
    let ends = ["close"].into_iter().filter(has).map(|step| Do(Op::new(step)));
    then(vec![Do(disconnect())], ends.chain([Wait(Await::Closed)]))
}

/// The same as the subject of the case.
pub(crate) fn ended_as_documented(cx: &Context<'_>) -> Vec<Step> {
    let close = Some(Check(close())).filter(|_| has(cx, "close"));
    then(vec![Check(disconnect())], close.into_iter().chain([Wait(Await::Closed)]))
}

/// Steps one after the other.
pub(crate) fn then(mut first: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    first.extend(more);
    first
}

/// A topic of this case: no two cases share one.
pub(crate) fn topic(cx: &Context<'_>, name: &str) -> String {
    format!("{}/{name}", cx.bindings.topic)
}

// ---- payloads ---------------------------------------------------------------------------------------------------

/// Letters whose order shows any loss, repetition or exchange; no escape, no separator.
pub(crate) fn letters(len: usize) -> Vec<u8> {
    (0..len).map(|i| b'a' + u8::try_from((i + i / 25 + i / 601) % 26).expect("below 26")).collect()
}

// ---- expectations -----------------------------------------------------------------------------------------------

/// What differs between two payloads, for people; `None` where nothing does.
pub(crate) fn difference(expected: &[u8], observed: &[u8]) -> Option<String> {
    if expected == observed {
        return None;
    }
    let at = expected.iter().zip(observed).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        text::visible(&bytes[at.saturating_sub(4).min(bytes.len())..(at + 8).min(bytes.len())])
    };
    let lengths = format!("{} bytes instead of {}", observed.len(), expected.len());
    Some(match (expected.get(at), observed.get(at)) {
        (Some(_), Some(_)) => format!(
            "payload differs at byte {at}: …{}… instead of …{}… ({lengths})",
            around(observed),
            around(expected)
        ),
        (Some(_), None) => format!("payload cut after {at} bytes ({lengths})"),
        _ => format!("payload goes on after {at} bytes: …{}… ({lengths})", around(observed)),
    })
}

/// A list of what was seen, or `nothing`; of a long one its two ends.
fn list(seen: impl IntoIterator<Item = String>) -> String {
    const FIRST: usize = 4;
    let mut seen: Vec<String> = seen.into_iter().collect();
    if seen.is_empty() {
        return "nothing".to_owned();
    }
    if seen.len() > FIRST + 2 {
        let left_out = seen.len() - FIRST - 1;
        seen.splice(FIRST..FIRST + left_out, [format!("({left_out} more)")]);
    }
    seen.join("; ")
}

/// What became of one of many that is not where it should be, if another of them is there: it is missing, or comes later.
fn displaced<W, S>(here: usize, wanted: &[W], seen: &[S], is: impl Fn(&W, &S) -> bool) -> Option<String> {
    let other = here + 1 + wanted.iter().skip(here + 1).position(|later| is(later, &seen[here]))?;
    let comes_later = seen.iter().skip(here + 1).any(|later| is(&wanted[here], later));
    let (here, other) = (here + 1, other + 1);
    Some(if comes_later {
        format!("number {other} before number {here}")
    } else {
        format!("number {here} is missing, number {other} is in its place")
    })
}

/// The clauses of a document about a field of CONNECT: those of the commands' argument, and of the cases that are about it.
pub(crate) fn clauses_of_field(profile: &Profile, field: &str) -> Vec<String> {
    let cases: &[&str] = match field {
        "client" => &["connect/client-id", "limits/client-1", "limits/client-23"],
        "username" | "password" => &["connect/credentials", "connect/client-id-only"],
        "clean" => &["connect/clean-session-0", "connect/clean-session-1"],
        "keepalive" => &["connect/keep-alive-60", "connect/keep-alive-600"],
        _ => &["will/qos0-retain0", "will/qos1-retain1", "will/qos2-retain0"],
    };
    let arguments: &[&str] = match field {
        "clean" => &["clean", "disable_clean"],
        "will" => &["will_flag", "will_qos", "will_retain", "will_topic", "will_message"],
        _ => &[field],
    };
    let of_arguments = arguments
        .iter()
        .flat_map(|name| SESSION.iter().filter_map(move |step| profile.argument(step, name)))
        .flat_map(|argument| &argument.cites);
    let of_cases = cases.iter().filter_map(|case| profile.cites.get(*case)).flatten();
    let statements: &[&str] = match field {
        "client" => &["MQTT-3.1.3-3", "MQTT-3.1.3-4"],
        "username" => &["MQTT-3.1.2-18", "MQTT-3.1.2-19", "MQTT-3.1.3-11"],
        "password" => &["MQTT-3.1.2-20", "MQTT-3.1.2-21"],
        "clean" => &["MQTT-3.1.2-4", "MQTT-3.1.2-6"],
        "will" => &["MQTT-3.1.2-9", "MQTT-3.1.2-11", "MQTT-3.1.3-1", "MQTT-3.1.3-10"],
        _ => &[],
    };
    let statements = statements.iter().map(|id| (*id).to_owned());
    of_arguments.chain(of_cases).cloned().chain(statements).collect()
}

/// The module's last CONNECT has this.
pub(crate) fn connect_has(what: &str, has: impl Fn(&Connect) -> bool + Send + Sync + 'static) -> Expect {
    Expect::new(format!("CONNECT with {what}"), move |view| {
        let last = view.from_module(PacketType::Connect).last();
        let Some((seen, fields)) = last.and_then(|p| Some((p, p.packet.as_connect()?))) else {
            return Err(Unmet::missing(no_connect(view)));
        };
        if has(fields) { Ok(()) } else { Err(Unmet::at(connect_in_full(seen, fields), seen.at)) }
    })
}

fn no_connect(view: &View<'_>) -> String {
    match view.strangers {
        0 => "no CONNECT".to_owned(),
        n => format!("no CONNECT with this case's credentials ({n} connections without them)"),
    }
}

/// A CONNECT with everything that a case may be about.
fn connect_in_full(seen: &WirePacket, fields: &Connect) -> String {
    let mut out = seen.packet.to_string();
    if let Some(password) = &fields.password {
        out = out.replace("password=…", &format!("password=\"{}\"", text::visible(password)));
    }
    if let Some(will) = &fields.will {
        let _ = write!(out, " message=\"{}\"", text::shortened(&will.message, 60));
    }
    out
}

/// A PUBLISH as it must stand on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) topic: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) payload: Vec<u8>,
}

/// One publication without RETAIN.
pub(crate) fn sent(topic: &str, qos: u8, payload: impl AsRef<[u8]>) -> Sent {
    Sent { topic: topic.to_owned(), qos, retain: false, payload: payload.as_ref().to_vec() }
}

impl Sent {
    /// Whether a PUBLISH is this one.
    pub(crate) fn is(&self, seen: &Publish) -> bool {
        self.differs(seen).is_none()
    }

    /// What is to be told of a PUBLISH that is not this one: what differs, and the clauses of the argument it comes from.
    pub(crate) fn unmet(&self, view: &View<'_>, packet: &WirePacket, seen: &Publish) -> Unmet {
        let (argument, difference) = self.differs(seen).unwrap_or(("payload", "as commanded".to_owned()));
        let unmet = Unmet::at(format!("{}: {difference}", packet.packet), packet.at);
        unmet.besides(clauses_of(view, argument))
    }

    /// What differs: the argument it comes from, and words for it.
    fn differs(&self, seen: &Publish) -> Option<(&'static str, String)> {
        if seen.topic.as_bytes() != self.topic.as_bytes() {
            return Some(("topic", format!("topic {:?} instead of {:?}", seen.topic, self.topic)));
        }
        if seen.qos != self.qos {
            return Some(("qos", format!("QoS {} instead of {}", seen.qos, self.qos)));
        }
        if seen.retain != self.retain {
            let retain = |flag| u8::from(flag);
            return Some((
                "retain",
                format!("RETAIN {} instead of {}", retain(seen.retain), retain(self.retain)),
            ));
        }
        difference(&self.payload, &seen.payload).map(|difference| ("payload", difference))
    }
}

/// The clauses of an argument of the publishing commands; of these commands themselves where it has none, and for the payload,
/// which some of their clauses are about.
pub(crate) fn clauses_of(view: &View<'_>, argument: &str) -> Vec<String> {
    let steps = ["publish", "publish-data"];
    let own = steps.iter().filter_map(|step| view.profile.argument(step, argument)).flat_map(|a| &a.cites);
    let mut clauses: Vec<String> = own.cloned().collect();
    if clauses.is_empty() || argument == "payload" {
        let commands = steps.iter().filter_map(|step| view.profile.steps.get(*step));
        clauses.extend(commands.flat_map(|step| &step.exchanges).flat_map(|exchange| exchange.cites.clone()));
    }
    let mut each = BTreeSet::new();
    clauses.retain(|clause| each.insert(clause.clone()));
    clauses
}

/// Whether a PUBLISH is one that was sent before: with DUP, or, should that be missing, the same without an acknowledgement on an
/// earlier connection.
fn is_repetition(view: &View<'_>, packet: &WirePacket, publish: &Publish) -> bool {
    let same = |p: &&WirePacket| {
        p.at < packet.at
            && p.conn != packet.conn
            && p.packet.as_publish().is_some_and(|before| {
                publish.id.is_some()
                    && (before.id, &before.topic, &before.payload)
                        == (publish.id, &publish.topic, &publish.payload)
            })
    };
    let answered = |from: usize| {
        let answers =
            [PacketType::PubAck, PacketType::PubRec].into_iter().flat_map(|kind| view.to_module(kind));
        answers.into_iter().any(|p| (from..packet.at).contains(&p.at) && p.packet.id() == publish.id)
    };
    publish.dup || view.from_module(PacketType::Publish).filter(same).any(|p| !answered(p.at))
}

/// Exactly these publications on the wire, in this order. Re-sent ones are not counted.
pub(crate) fn publications(wanted: Vec<Sent>) -> Expect {
    let what = match wanted.as_slice() {
        [] => "no PUBLISH".to_owned(),
        [one] => format!(
            "one PUBLISH on \"{}\", QoS {}, RETAIN {}, {} bytes {}",
            one.topic,
            one.qos,
            u8::from(one.retain),
            one.payload.len(),
            text::shortened(&one.payload, 40)
        ),
        many => format!("{} PUBLISH in order, each byte-exact", many.len()),
    };
    Expect::new(what, move |view| {
        let seen: Vec<(&WirePacket, &Publish)> = view
            .from_module(PacketType::Publish)
            .filter_map(|p| Some((p, p.packet.as_publish()?)))
            .filter(|(packet, publish)| !is_repetition(view, packet, publish))
            .collect();
        for (i, want) in wanted.iter().enumerate() {
            let Some((packet, publish)) = seen.get(i) else {
                let observed = list(seen.iter().map(|(p, _)| p.packet.to_string()));
                return Err(Unmet::missing(format!("{} of {} came: {observed}", seen.len(), wanted.len())));
            };
            if let Some((argument, difference)) = want.differs(publish) {
                let is = |want: &Sent, (_, seen): &(&WirePacket, &Publish)| want.differs(seen).is_none();
                if let Some(observed) = displaced(i, &wanted, &seen, is) {
                    return Err(Unmet::at(observed, packet.at));
                }
                let which = if wanted.len() > 1 { format!("number {}: ", i + 1) } else { String::new() };
                let unmet = Unmet::at(format!("{which}{}: {difference}", packet.packet), packet.at);
                let clauses = clauses_of(view, argument);
                // Cases are about payloads; another field that differs is that field's fault, whatever a case is about.
                let own = argument == "payload";
                return Err(if own { unmet.besides(clauses) } else { unmet.citing(clauses) });
            }
        }
        match seen.get(wanted.len()) {
            Some((extra, _)) => Err(Unmet::at(format!("one more: {}", extra.packet), extra.at)),
            None => Ok(()),
        }
    })
}

/// Whatever is published is this; nothing need be.
pub(crate) fn nothing_but(what: &str, wanted: Sent) -> Expect {
    Expect::new(what, move |view| {
        let mut seen =
            view.from_module(PacketType::Publish).filter_map(|p| Some((p, p.packet.as_publish()?)));
        match seen.find(|(_, publish)| !wanted.is(publish)) {
            Some((packet, publish)) => Err(wanted.unmet(view, packet, publish)),
            None => Ok(()),
        }
    })
}

/// Exactly so many packets of the type from the module.
pub(crate) fn count(kind: PacketType, wanted: usize) -> Expect {
    let what = if wanted == 0 { format!("no {kind}") } else { format!("{wanted} {kind}") };
    Expect::new(what, move |view| {
        let seen: Vec<&WirePacket> = view.from_module(kind).collect();
        match (seen.len(), seen.get(wanted)) {
            (n, _) if n == wanted => Ok(()),
            (_, Some(extra)) => Err(Unmet::at(
                format!("{} of them, one more at {}", seen.len(), view.time(extra.at)),
                extra.at,
            )),
            (n, None) => Err(Unmet::missing(format!("{n} of them"))),
        }
    })
}

/// Some packet of the type from the module satisfies this.
pub(crate) fn some(
    kind: PacketType,
    what: &str,
    has: impl Fn(&Body) -> bool + Send + Sync + 'static,
) -> Expect {
    Expect::new(format!("{kind} {what}"), move |view| {
        let seen: Vec<&WirePacket> = view.from_module(kind).collect();
        if seen.iter().any(|p| has(&p.packet.body)) {
            return Ok(());
        }
        let observed = list(seen.iter().map(|p| p.packet.to_string()));
        Err(seen
            .last()
            .map_or_else(|| Unmet::missing(format!("no {kind}")), |last| Unmet::at(observed, last.at)))
    })
}

/// Every PUBLISH of the broker with this QoS is acknowledged by the module, once each, with its identifier.
pub(crate) fn acknowledged(qos: u8) -> Expect {
    let kinds: &[PacketType] =
        if qos == 1 { &[PacketType::PubAck] } else { &[PacketType::PubRec, PacketType::PubComp] };
    let names = kinds.iter().map(|k| k.name()).collect::<Vec<_>>().join(" and ");
    Expect::new(format!("one {names} for each message of QoS {qos}"), move |view| {
        let sent: Vec<(usize, u16)> = view
            .to_module(PacketType::Publish)
            .filter_map(|p| Some((p.at, p.packet.as_publish().filter(|m| m.qos == qos)?.id?)))
            .collect();
        if sent.is_empty() {
            return Err(Unmet::not_provoked(format!("the broker delivered no message of QoS {qos}")));
        }
        for kind in kinds {
            for (at, id) in &sent {
                let answers =
                    view.from_module(*kind).filter(|p| p.at > *at && p.packet.id() == Some(*id)).count();
                if answers != 1 {
                    let own = if qos == 1 { "MQTT-4.3.2-2" } else { "MQTT-4.3.3-2" };
                    let observed = format!("{answers} {kind} for the message with id {id}");
                    return Err(Unmet::at(observed, *at).besides(vec![own.to_owned()]));
                }
            }
        }
        Ok(())
    })
}

/// Exactly these messages printed as they come, in this order, each as `topic` and payload.
pub(crate) fn printed(wanted: Vec<(String, Vec<u8>)>) -> Expect {
    messages("printed as it came", wanted, |m, _| !m.cached, true)
}

/// Exactly these messages taken out of the cache, in any order. Those of earlier cases do not count: no document says that
/// reading frees the places.
pub(crate) fn taken_out(wanted: Vec<(String, Vec<u8>)>) -> Expect {
    messages("taken out of the cache", wanted, |m, own| m.cached && m.topic.starts_with(own), false)
}

/// Whether a printed message has this topic and payload.
fn is_this((topic, payload): &(String, Vec<u8>), message: &Printed) -> bool {
    message.topic == topic.as_bytes() && message.payload == *payload
}

/// Whatever is printed of these messages on their topics is printed as it came: a module may be too small for a message, but what
/// it prints of it with a length must be the message.
pub(crate) fn never_altered(wanted: Vec<(String, Vec<u8>)>) -> Expect {
    let expect = Expect::new("whatever message is printed to be printed as it came", move |view| {
        let own = view.header.bindings.topic.as_bytes();
        let printed = view.messages.iter().filter(|m| !m.cached && m.topic.starts_with(own));
        // Some may be missing, none comes twice.
        let mut left = wanted.as_slice();
        for message in printed {
            if let Some(at) = left.iter().position(|one| is_this(one, message)) {
                left = &left[at + 1..];
                continue;
            }
            let observed = match left.iter().find(|(_, payload)| payload.starts_with(&message.payload)) {
                Some((_, payload)) if payload.len() > message.payload.len() => {
                    format!("{} of {} bytes, told as the whole message", message.payload.len(), payload.len())
                }
                _ => format!("{}{}", text::visible(&message.head), text::shortened(&message.payload, 40)),
            };
            return Err(Unmet::at(observed, message.at));
        }
        Ok(())
    });
    Expect { of_messages: true, ..expect }.always()
}

fn messages(
    how: &str,
    wanted: Vec<(String, Vec<u8>)>,
    which: fn(&Printed, &[u8]) -> bool,
    ordered: bool,
) -> Expect {
    let what = match wanted.as_slice() {
        [] => format!("no message {how}"),
        [(topic, payload)] => {
            format!(
                "the message {how}: topic \"{topic}\", {} bytes {}",
                payload.len(),
                text::shortened(payload, 40)
            )
        }
        many => format!("{} messages {how}{}", many.len(), if ordered { ", in order" } else { "" }),
    };
    let expect = Expect::new(what, move |view| {
        let mut seen: Vec<&Printed> =
            view.messages.iter().filter(|m| which(m, view.header.bindings.topic.as_bytes())).collect();
        let mut wanted: Vec<&(String, Vec<u8>)> = wanted.iter().collect();
        if !ordered {
            seen.sort_by(|a, b| (&a.topic, &a.payload).cmp(&(&b.topic, &b.payload)));
            wanted.sort_by(|a, b| (a.0.as_bytes(), &a.1).cmp(&(b.0.as_bytes(), &b.1)));
        }
        for (i, (topic, payload)) in wanted.iter().enumerate() {
            let Some(message) = seen.get(i) else {
                let elsewhere = !ordered && !payload.is_empty() && in_another_form(view, payload);
                let observed = missing(view, seen.len(), wanted.len());
                return Err(if elsewhere { Unmet::not_provoked(observed) } else { Unmet::missing(observed) });
            };
            if !is_this(wanted[i], message)
                && let Some(observed) = displaced(i, &wanted, &seen, |want, seen| is_this(want, seen))
            {
                return Err(Unmet::at(observed, message.at));
            }
            if message.topic != topic.as_bytes() {
                let observed = format!("topic \"{}\" instead of \"{topic}\"", text::visible(&message.topic));
                return Err(Unmet::at(observed, message.at));
            }
            if let Some(difference) = difference(payload, &message.payload) {
                return Err(Unmet::at(difference, message.at));
            }
        }
        match seen.get(wanted.len()) {
            Some(extra) => {
                let observed = format!(
                    "one more: {}{}",
                    text::visible(&extra.head),
                    text::shortened(&extra.payload, 40)
                );
                Err(Unmet::at(observed, extra.at))
            }
            None => Ok(()),
        }
    });
    Expect { of_messages: true, ..expect }
}

/// Whether some line holds the payload although no known form does: a dialogue that no document prints.
fn in_another_form(view: &View<'_>, payload: &[u8]) -> bool {
    view.lines().any(|(_, line)| line.windows(payload.len()).any(|part| part == payload))
}

/// Why a message is missing: a head whose payload never came whole, or lines that look like one in another form.
fn missing(view: &View<'_>, came: usize, wanted: usize) -> String {
    if let Some((head, rest)) = &view.unfinished {
        let (head, got, rest) = (text::visible(head), rest.len(), text::shortened(rest, 60));
        return format!("`{head}` was followed by only {got} bytes: {rest}");
    }
    let start =
        view.profile.message.direct.first().map_or("", |t| t.source().split([':', '{']).next().unwrap_or(""));
    let near: Vec<String> = view
        .lines()
        .filter(|(_, line)| !start.is_empty() && line.starts_with(start.as_bytes()))
        .map(|(_, line)| format!("`{}`", text::shortened(line, 80)))
        .collect();
    if near.is_empty() {
        return format!("{came} of {wanted}");
    }
    format!("{came} of {wanted} in the documented form, besides {}", near.join(", "))
}

/// The module ends the connection itself.
pub(crate) fn closed_by_module() -> Expect {
    Expect::new("the TCP connection closed by the module", |view| {
        let spoken = view.connections.iter().rfind(|c| c.spoke);
        match spoken.or(view.connections.last()) {
            Some(last) if last.closed.iter().any(|(_, by, _)| *by == Side::Module) => Ok(()),
            Some(_) => Err(Unmet::missing("it stayed open")),
            None => Err(Unmet::not_provoked("there was no connection")),
        }
    })
}

/// The module is the one that it was: its echo, which the bench switched off before the case, is still off. A start switches it on.
pub(crate) fn not_restarted() -> Expect {
    Expect::new("the module not restarted", |view| match echoes(view).as_slice() {
        [(_, false), rest @ ..] => match rest.iter().find(|(_, echoed)| *echoed) {
            Some((at, _)) => Err(Unmet::at("commands are echoed again, as after a start", *at)),
            None => Ok(()),
        },
        _ => Ok(()),
    })
}

/// Each command line of the case, by its event, and whether it was printed back before anything else.
fn echoes(view: &View<'_>) -> Vec<(usize, bool)> {
    let mut lines: Vec<(usize, &[u8], Vec<u8>)> = Vec::new();
    for (at, event) in view.timeline.events.iter().enumerate() {
        match &event.what {
            What::Sent { purpose: Purpose::Command | Purpose::Probe, bytes } => {
                lines.push((at, bytes.trim_ascii_end(), Vec::new()));
            }
            What::Received { bytes } => {
                lines
                    .iter_mut()
                    .next_back()
                    .into_iter()
                    .for_each(|(.., heard)| heard.extend_from_slice(bytes));
            }
            What::Teardown => break,
            _ => {}
        }
    }
    lines.into_iter().map(|(at, line, heard)| (at, heard.starts_with(line))).collect()
}

/// No line of a failure or of a lost connection in a case in which nothing fails.
pub(crate) fn nothing_failed() -> Expect {
    Expect::new("no line of a failure", |view| {
        let lines = &view.profile.lines;
        let failed = view.lines_like(&lines.failed).chain(view.lines_like(&lines.lost)).next();
        match failed {
            Some((at, _, line)) => Err(Unmet::at(format!("`{}`", text::visible(line)), at)),
            None => Ok(()),
        }
    })
}
