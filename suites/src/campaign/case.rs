//! The ordinary case that an input becomes.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::StepView,
    mqtt::PacketType,
    text,
};

use super::{
    action::{Action, Input, Publication, Reception},
    misfit,
    promise::{self, Promise},
    states::{self, Demand, Move, State},
    way,
};
use crate::{number, words::*};

/// What an action must have led to on the wire.
struct Due {
    /// Index of the step that commands it.
    step: usize,
    publication: Publication,
    promise: Promise,
}

/// Something of which no document says what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// What this step is answered with, and what it is, in words.
    Answer(usize, String),
    /// What becomes of data that do not fit their length; they are sent in this step.
    Misfit(usize, Publication),
}

/// The case of an input, and how many of its first steps open the session.
pub fn case(cx: &Context<'_>, id: &str, input: &Input) -> (Case, usize) {
    let made = made(cx, input);
    let opened = made.opened;
    let Making { steps, due, mut expect, printed: messages, .. } = made;
    expect.extend(beyond_limits(cx, &due));
    if !due.is_empty() {
        expect.push(on_the_wire(due));
    }
    if !messages.is_empty() {
        expect.push(as_printed(messages));
    }
    let mut case = crate::words::case(id, &asks(input), &[]).steps(steps).expect(expect);
    number(&mut case);
    (case, opened)
}

/// What an input does of which no document says what it comes to.
pub fn open(cx: &Context<'_>, input: &Input) -> Vec<Open> {
    made(cx, input).open
}

fn made<'c, 'p>(cx: &'c Context<'p>, input: &Input) -> Making<'c, 'p> {
    let opening = opening(cx, input);
    let mut made = Making {
        cx,
        opened: opening.len(),
        steps: opening,
        due: Vec::new(),
        expect: Vec::new(),
        printed: Vec::new(),
        acknowledged: 0,
        open: Vec::new(),
    };
    let moves = input.actions.iter().filter_map(Action::as_move);
    made.moves(&moves.collect::<Vec<Move>>());
    for action in &input.actions {
        made.add(action);
    }
    let storm = |action: &Action| matches!(action, Action::Receive(message) if message.at_once);
    if input.actions.iter().any(storm) {
        made.all_received();
    }
    made
}

/// The requirement in words.
fn asks(input: &Input) -> String {
    match input.actions.as_slice() {
        [Action::Publish(p)] => {
            format!("a publication of {} bytes arrives byte-exact, or is refused cleanly", p.payload.0.len())
        }
        [Action::Receive(r)] => format!("a message of {} bytes is printed byte-exact", r.payload.0.len()),
        many => format!("{} things done one after the other, each as documented", many.len()),
    }
}

/// What has to stand before an input: nothing where it connects by itself.
fn opening(cx: &Context<'_>, input: &Input) -> Vec<Step> {
    let receives = input.actions.iter().find_map(|a| match a {
        Action::Receive(Reception { cached, .. }) => Some(*cached),
        _ => None,
    });
    let alone = input.actions.iter().all(|action| match action {
        Action::Connect { .. } | Action::Move { .. } => true,
        Action::Number { step, .. } => !way::in_session(step),
        _ => false,
    });
    let reads = |action: &Action| matches!(action, Action::Number { step, .. } if step == "read-message");
    let receives = receives.or_else(|| input.actions.iter().any(reads).then_some(true));
    match receives {
        Some(true) => then(vec![Do(message_mode(1))], subscribed(cx, &topic(cx, "#"), 1)),
        // What was tried before may have left the module keeping its messages.
        Some(false) => {
            let printed = has(cx, "message-mode").then(|| Try(message_mode(0)));
            then(printed.into_iter().collect(), subscribed(cx, &topic(cx, "#"), 1))
        }
        None if alone => Vec::new(),
        None => connected(cx),
    }
}

/// A case in the making.
struct Making<'c, 'p> {
    cx: &'c Context<'p>,
    /// How many steps open the session.
    opened: usize,
    steps: Vec<Step>,
    due: Vec<Due>,
    open: Vec<Open>,
    expect: Vec<Expect>,
    printed: Vec<(String, Vec<u8>, bool)>,
    /// Messages that the module has to acknowledge.
    acknowledged: usize,
}

impl Making<'_, '_> {
    fn add(&mut self, action: &Action) {
        match action {
            Action::Publish(publication) => self.publish(publication),
            Action::Subscribe { topic, raw } => self.filter(&topic.0, *raw, true),
            Action::Unsubscribe { topic } => {
                self.steps.push(Try(filter_op("subscribe", &topic.0)));
                self.steps.push(Beyond(filter_op("unsubscribe", &topic.0)));
            }
            Action::Receive(message) => self.receive(message),
            Action::Connect { values, raw } => {
                let values_given = values.iter().map(|(name, value)| (name.as_str(), value.0.as_slice()));
                let mut commands = way::session_with(self.cx, values_given);
                for op in commands.iter_mut().filter(|_| *raw) {
                    op.raw = values.keys().cloned().collect();
                }
                self.steps.extend(commands.into_iter().map(Beyond));
                self.hang_up();
            }
            Action::Number { step, argument, value } => self.number(step, argument, *value),
            // They depend on each other, and were made together.
            Action::Move { .. } => {}
            Action::Line { step, line } => {
                self.steps.push(Try(Op { line: Some(line.0.clone()), ..plain_op(step) }));
                self.steps.push(Probe);
            }
        }
    }

    /// Every place of the cache is filled, one is read, and what is left is taken out.
    fn read_place(&mut self, argument: &str, value: &str) {
        let places = self.cx.profile.behaviour.cache.unwrap_or(1);
        for n in 0..places {
            self.steps.push(other_publishes(&topic(self.cx, "t"), 0, format!("kept {n}")));
        }
        self.steps.push(Wait(Await::Messages(places)));
        self.steps.push(Beyond(Op::new("read-message").with(argument, value)));
        if has(self.cx, "read-messages") {
            self.steps.push(Try(read_messages()));
        }
    }

    fn hang_up(&mut self) {
        self.hang_up_by(None);
    }

    /// The end of a connection, by this link.
    fn hang_up_by(&mut self, link: Option<&str>) {
        for step in ["disconnect", "close"].into_iter().filter(|step| has(self.cx, step)) {
            let op = Op::new(step);
            self.steps.push(Try(match link {
                Some(link) => op.with("link", link),
                None => op,
            }));
        }
        // Seen to be closed, the connection need not be waited out before the next try.
        if has(self.cx, "disconnect") {
            self.steps.push(Wait(Await::Closed));
        }
    }

    /// Several commands, each judged by what the state has that those before it lead to.
    fn moves(&mut self, moves: &[Move]) {
        if moves.is_empty() {
            return;
        }
        self.steps.extend(session(self.cx).configured());
        for (n, (what, state, demand, next)) in states::walk(self.cx.profile, moves).into_iter().enumerate() {
            let payload = format!("number {n}").into_bytes();
            let step = self.steps.len();
            self.steps.extend(what.steps(self.cx, demand, next, &payload));
            let told = demand == Demand::Unsaid && state != State::Unknown;
            if let Some(name) = what.step(self.cx.profile).filter(|_| told) {
                self.open.push(Open::Answer(step, format!("{name} {}", state.name())));
            }
            let ends = |step: &&Step| **step == Wait(Await::Closed);
            if demand == Demand::Done && self.steps.last().as_ref().is_some_and(ends) {
                self.expect.push(closed(self.steps.len() - 1));
            }
            if what == Move::Publish {
                let promise = if demand == Demand::Done { Promise::Kept } else { Promise::Exact };
                let by = what.step(self.cx.profile).unwrap_or_default().to_owned();
                let (topic, payload) = (b"t".as_slice().into(), payload.as_slice().into());
                let publication = Publication { by, topic, qos: 1, payload, ..Publication::default() };
                self.due.push(Due { step, publication, promise });
            }
        }
    }

    /// Data that are not of their declared length.
    fn misfit(&mut self, one: &Publication) {
        let step = self.steps.len();
        self.open.push(Open::Misfit(step, one.clone()));
        self.steps.extend(misfit::steps(one, publish_op(one)));
        self.expect.push(misfit::on_the_wire(self.cx, step, one));
    }

    fn publish(&mut self, publication: &Publication) {
        if misfit::is_misfit(self.cx, publication) {
            return self.misfit(publication);
        }
        let promise = promise::of_publication(self.cx, publication);
        let op = publish_op(publication);
        let step = self.steps.len();
        self.steps.push(match promise {
            Promise::Kept | Promise::Implied => Check(op),
            Promise::Exact | Promise::Over => Beyond(op),
            Promise::Unsaid => Try(op),
        });
        self.due.push(Due { step, publication: publication.clone(), promise });
        // Without an acknowledgement only the packet itself tells that it was sent.
        let certain = self.due.iter().all(|due| due.promise <= Promise::Implied);
        if publication.qos == 0 && certain {
            self.steps.push(Wait(Await::FromModule(PacketType::Publish, self.due.len())));
        }
        if promise == Promise::Unsaid {
            self.steps.push(Probe);
        }
    }

    fn filter(&mut self, topic: &[u8], raw: bool, subscribes: bool) {
        let step = if subscribes { "subscribe" } else { "unsubscribe" };
        let mut op = filter_op(step, topic);
        if raw {
            op.raw = vec!["topic".to_owned()];
        }
        self.steps.push(Beyond(op));
        if subscribes && has(self.cx, "unsubscribe") {
            let mut op = filter_op("unsubscribe", topic);
            if raw {
                op.raw = vec!["topic".to_owned()];
            }
            self.steps.push(Try(op));
        }
    }

    fn receive(&mut self, message: &Reception) {
        let name = [topic(self.cx, "").into_bytes(), message.topic.0.clone()].concat();
        let shown = String::from_utf8_lossy(&name).into_owned();
        let promised = promise::of_received(self.cx.profile, &message.payload.0) <= Promise::Implied;
        self.steps.push(other_publishes(&shown, message.qos, &message.payload.0));
        self.printed.push((shown, message.payload.0.clone(), promised));
        self.acknowledged += usize::from(message.qos == 1);
        if !message.at_once {
            self.all_received();
        }
        if message.cached {
            self.steps.push(Do(read_messages()));
        }
    }

    /// Waits for every message that is still to be printed, and for its acknowledgement.
    fn all_received(&mut self) {
        if self.printed.iter().all(|(_, _, promised)| *promised) {
            self.steps.push(Wait(Await::Messages(self.printed.len())));
        } else {
            // How often it is printed, and how much of it, is not said.
            self.steps.extend([Quiet, Probe]);
        }
        if self.acknowledged > 0 {
            self.steps.push(Wait(Await::FromModule(PacketType::PubAck, self.acknowledged)));
        }
    }

    fn number(&mut self, step: &str, argument: &str, value: i64) {
        let name = step.to_owned();
        let value = value.to_string();
        if matches!(step, "configure" | "open" | "connect") {
            let commands = way::session_with(self.cx, [(argument, value.as_bytes())]);
            // An argument that shows nowhere is asked of its own command only.
            let shown = way::shown_in_connect(argument);
            let own = commands.iter().position(|op| op.step == name).unwrap_or(0);
            let count = if shown { commands.len() } else { own + 1 };
            self.steps.extend(commands.into_iter().take(count).map(Beyond));
            let given = (argument == "link").then_some(value.as_str());
            self.hang_up_by(given);
            return;
        }
        if step == "read-message" {
            return self.read_place(argument, &value);
        }
        let t = topic(self.cx, "t");
        let op = match step {
            // Only an acknowledged publication has an identifier.
            "publish" => publish(&t, u8::from(argument == "id"), "x"),
            "publish-data" => publish_data(&t, u8::from(argument == "id"), "x"),
            "subscribe" => subscribe(&t, 0),
            other => Op::new(other),
        };
        self.steps.push(Beyond(op.with(argument, &value)));
    }
}

/// An operation of a session in its plainest form.
pub(super) fn plain_op(step: &str) -> Op {
    Op { step: step.to_owned(), ..publish("t", 0, "x").with("id", "1") }
}

/// The operation of a publication.
fn publish_op(one: &Publication) -> Op {
    let mut op = Op::new(&one.by)
        .with("topic", &one.topic.0)
        .with("qos", one.qos.to_string())
        .with("retain", "0")
        .with("payload", &one.payload.0);
    if let Some(len) = one.declared {
        op = op.with("len", len.to_string());
    }
    if one.raw {
        op.raw = vec!["payload".to_owned(), "topic".to_owned()];
    }
    op.cuts.clone_from(&one.cuts);
    op
}

fn filter_op(step: &str, topic: &[u8]) -> Op {
    let op = Op::new(step).with("topic", topic);
    if step == "subscribe" { op.with("qos", "0") } else { op }
}

/// The connection ended where a step waits for that.
fn closed(step: usize) -> Expect {
    Expect::new("the TCP connection closed", move |view| {
        let waited = view.step(step).map(|seen| seen.silences.first());
        match waited.flatten() {
            Some((at, ..)) => Err(Unmet::at("it stayed open", *at)),
            None => Ok(()),
        }
    })
}

/// Taking more than a documented limit only warns, whole as it may arrive.
fn beyond_limits(cx: &Context<'_>, due: &[Due]) -> Option<Expect> {
    let binds = |one: &Due| {
        let said = ["payload", "len", "topic"].map(|name| cx.profile.argument(&one.publication.by, name));
        said.into_iter().flatten().any(|a| (a.range.is_some() || a.length.is_some()) && !a.cites.is_empty())
    };
    let over = |one: &&Due| one.promise == Promise::Over && binds(one);
    let steps: Vec<usize> = due.iter().filter(over).map(|one| one.step).collect();
    if steps.is_empty() {
        return None;
    }
    let expect = Expect::new("a refusal beyond the documented maximum", move |view| {
        let taken = steps.iter().filter_map(|index| view.step(*index)).find(|step| step.claimed());
        match taken {
            Some(step) => Err(Unmet::at("accepted", step.begin)),
            None => Ok(()),
        }
    });
    Some(expect.should())
}

/// What was published, in order: each promised one byte-exact, each other one byte-exact or not at all.
fn on_the_wire(due: Vec<Due>) -> Expect {
    let what = match due.as_slice() {
        [one] => wanted(one),
        many => format!("{} publications in order, each byte-exact", many.len()),
    };
    let implied = due.iter().all(|one| one.promise == Promise::Implied);
    let expect = Expect::new(what, move |view| {
        let seen: Vec<_> = view
            .from_module(PacketType::Publish)
            .filter_map(|p| Some((p, p.packet.as_publish().filter(|m| !m.dup)?)))
            .collect();
        let mut seen = seen.into_iter().peekable();
        for one in &due {
            let claimed = view.step(one.step).is_some_and(StepView::claimed);
            let missing = || Unmet::missing(format!("no PUBLISH for {}", described(&one.publication)));
            let Some((packet, publish)) = seen.peek() else {
                match one.promise {
                    Promise::Kept | Promise::Implied => return Err(missing()),
                    Promise::Exact | Promise::Over if claimed => return Err(missing()),
                    _ => continue,
                }
            };
            if one.promise > Promise::Implied && !claimed && publish.payload != one.publication.payload.0 {
                continue;
            }
            if one.promise != Promise::Unsaid
                && let Some(difference) = differs(&one.publication, publish)
            {
                return Err(Unmet::at(difference, packet.at));
            }
            seen.next();
        }
        match seen.next() {
            Some((extra, _)) => Err(Unmet::at(format!("one more: {}", extra.packet), extra.at)),
            None => Ok(()),
        }
    });
    if implied { expect.should() } else { expect }
}

fn wanted(one: &Due) -> String {
    let how = match one.promise {
        Promise::Kept | Promise::Implied => "byte-exact",
        Promise::Exact | Promise::Over => "byte-exact or refused cleanly",
        Promise::Unsaid => "or nothing",
    };
    format!("one PUBLISH, {how}: {}", described(&one.publication))
}

fn described(one: &Publication) -> String {
    format!(
        "topic \"{}\", {} bytes {}",
        text::shortened(&one.topic.0, 40),
        one.payload.0.len(),
        text::shortened(&one.payload.0, 40)
    )
}

/// What differs between a publication and its packet.
fn differs(wanted: &Publication, seen: &atspec_model::mqtt::Publish) -> Option<String> {
    if let Some(len) = wanted.declared
        && usize::try_from(len).ok() != Some(seen.payload.len())
    {
        return Some(format!("{} bytes sent although {len} were declared", seen.payload.len()));
    }
    if seen.topic.as_bytes() != wanted.topic.0 {
        let (seen, wanted) = (seen.topic.as_bytes(), &wanted.topic.0);
        return Some(format!(
            "topic \"{}\" instead of \"{}\"",
            text::shortened(seen, 60),
            text::shortened(wanted, 60)
        ));
    }
    if seen.qos != wanted.qos {
        return Some(format!("QoS {} instead of {}", seen.qos, wanted.qos));
    }
    difference(&wanted.payload.0, &seen.payload)
}

/// What was printed of the messages for the module, in order.
fn as_printed(wanted: Vec<(String, Vec<u8>, bool)>) -> Expect {
    let what = match wanted.as_slice() {
        [(topic, payload, _)] => {
            format!(
                "the message printed: topic \"{topic}\", {} bytes {}",
                payload.len(),
                text::shortened(payload, 40)
            )
        }
        many => format!("{} messages printed in order, each byte-exact", many.len()),
    };
    let expect = Expect::new(what, move |view| {
        if wanted.iter().any(|(_, _, promised)| !promised) {
            return Ok(());
        }
        for (i, (topic, payload, _)) in wanted.iter().enumerate() {
            let Some(message) = view.messages.get(i) else {
                let rest = view.unfinished.as_ref().map_or(String::new(), |(head, rest)| {
                    format!(", and `{}` with only {} bytes behind it", text::visible(head), rest.len())
                });
                return Err(Unmet::missing(format!("{i} of {} came{rest}", wanted.len())));
            };
            if message.topic != topic.as_bytes() {
                let observed = format!("topic \"{}\" instead of \"{topic}\"", text::visible(&message.topic));
                return Err(Unmet::at(observed, message.at));
            }
            if let Some(difference) = difference(payload, &message.payload) {
                return Err(Unmet::at(difference, message.at));
            }
        }
        match view.messages.get(wanted.len()) {
            Some(extra) => Err(Unmet::at(format!("one more: {}", text::visible(&extra.head)), extra.at)),
            None => Ok(()),
        }
    });
    Expect { of_messages: true, ..expect }
}
