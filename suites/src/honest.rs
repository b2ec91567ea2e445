//! Where a document leaves open whether success of a command waits for the broker, a module may tell it at once. One whose
//! success does wait for the broker's packet says by it what the packet said: it cannot tell the same of one that refuses, or of
//! none.

use atspec_model::{
    at::{Item, LineTemplate},
    case::{Case, Context, Expect, Op, Step, Unmet},
    judge::{Serial, Told, View},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    text,
    timeline::{Alteration, What},
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let spoilt_connack = (1..=5).map(|code| (format!("refused-{code}"), Action::Code(code)));
    let spoilt_suback =
        [("refused".to_owned(), Action::Code(0x80)), ("no-suback".to_owned(), Action::Withhold)];
    let cases = spoilt_connack
        .chain([("no-connack".to_owned(), Action::Withhold)])
        .map(|(name, action)| connecting(cx, &name, action))
        .chain(spoilt_suback.map(|(name, action)| {
            commanding(cx, Vec::new(), ("subscribe", &name), PacketType::SubAck, action, |n| {
                subscribe(&topic(cx, &format!("in/{n}")), 1)
            })
        }))
        .chain([
            publishing(cx, 1, PacketType::PubAck),
            publishing(cx, 2, PacketType::PubRec),
            publishing(cx, 2, PacketType::PubComp),
            unsubscribing(cx),
        ]);
    cases.flatten().collect()
}

/// A connection as usual, one with CONNACK held back, and one whose CONNACK is spoilt.
fn connecting(cx: &Context<'_>, name: &str, action: Action) -> Option<Case> {
    let packet = PacketType::ConnAck;
    only_if(!certain(cx, "connect"), || {
        let attempt = || session(cx).connect();
        honest("connect", name, packet)
            .steps(then(connected(cx), ended(cx)))
            .steps(then(opened(cx), [Held { packet, op: attempt() }]))
            .steps(ended(cx))
            .steps(then(opened(cx), [spoilt(packet, action), Try(attempt()), Idle { seconds: GIVEN_UP }]))
            .expect([told_truly("connect", 0, packet)])
            .like(cx, "connect/refused-1")
    })
}

/// A publication as usual, one whose acknowledgement is held back, and one whose acknowledgement never comes.
fn publishing(cx: &Context<'_>, qos: u8, packet: PacketType) -> Option<Case> {
    let name = format!("no-{}", packet.name().to_ascii_lowercase());
    let t = topic(cx, "out");
    commanding(cx, Vec::new(), ("publish", &name), packet, Action::Withhold, |n| {
        publish(&t, qos, format!("number {n}"))
    })
}

/// The end of a subscription as usual, one whose UNSUBACK is held back, and one whose UNSUBACK never comes.
fn unsubscribing(cx: &Context<'_>) -> Option<Case> {
    let filter = |n: usize| topic(cx, &format!("in/{n}"));
    let subscribed = (0..3).map(|n| Do(subscribe(&filter(n), 0))).collect();
    commanding(cx, subscribed, ("unsubscribe", "no-unsuback"), PacketType::UnsubAck, Action::Withhold, |n| {
        unsubscribe(&filter(n))
    })
}

/// Three times the same command on a connection: as usual, with its acknowledgement held back, and with that spoilt.
fn commanding(
    cx: &Context<'_>,
    before: Vec<Step>,
    (step, name): (&'static str, &str),
    packet: PacketType,
    action: Action,
    op: impl Fn(usize) -> Op,
) -> Option<Case> {
    let qos = op(0).qos().unwrap_or(0);
    let open = exchanges(cx.profile, step).last().is_some_and(|e| !e.is_certain(qos));
    only_if(open, || {
        honest(step, name, packet)
            .steps(then(connected(cx), before))
            .steps([Do(op(0)), Held { packet, op: op(1) }])
            .steps([spoilt(packet, action), Try(op(2)), Idle { seconds: GIVEN_UP }])
            .expect([told_truly(step, qos, packet)])
            .like(
                cx,
                match step {
                    "publish" => "publish/qos1",
                    "unsubscribe" => "unsubscribe/packet",
                    _ => "subscribe/qos1",
                },
            )
    })
}

fn honest(step: &str, name: &str, packet: PacketType) -> Case {
    case(
        &format!("{step}/honest-{name}"),
        &format!("where success waits for {packet}, there is none without it, nor for one that refuses"),
        &[],
    )
}

fn spoilt(packet: PacketType, action: Action) -> Step {
    Broker(Command::Rule(Rule::to_module(packet, action)))
}

/// The last command of the step is not answered with success, if success of the one before waited for the packet.
fn told_truly(step: &'static str, qos: u8, packet: PacketType) -> Expect {
    Expect::new(format!("no success, where success waits for {packet}"), move |view| {
        let all = told(view, step);
        let [usual, held, last] = all.as_slice() else {
            return Err(Unmet::not_provoked("the three commands were not sent"));
        };
        // With a line of its own for the result, OK tells only that there will be one.
        let forms = if held.outcome.result.is_some() {
            Forms::results(view, step, qos)
        } else {
            Forms::answers(view, step)
        };
        if !forms.wait(view, usual, held) {
            return Ok(());
        }
        match forms.success(view, last).or_else(|| forms.success_later(view, last)) {
            Some((line, at)) => {
                let observed =
                    format!("`{}`, as behind the {packet} that was held back", text::visible(&line));
                Err(Unmet::at(observed, at).citing(last.cites.clone()))
            }
            None => Ok(()),
        }
    })
}

/// The lines that mean success: those that take any text mean nothing.
struct Forms<'p>(Vec<&'p LineTemplate>);

impl<'p> Forms<'p> {
    fn results(view: &View<'p>, step: &str, qos: u8) -> Self {
        Self::firm(exchanges(view.profile, step).flat_map(|e| e.results(qos)))
    }

    fn answers(view: &View<'p>, step: &str) -> Self {
        Self::firm(exchanges(view.profile, step).flat_map(|e| &e.answer))
    }

    fn firm(forms: impl Iterator<Item = &'p LineTemplate>) -> Self {
        Self(forms.filter(|form| !form.is_loose()).collect())
    }

    fn mean(&self, line: &[u8]) -> bool {
        self.0.iter().any(|form| form.read(line).is_some())
    }

    /// Whether success came only when the packet was released, of a module that takes less than half of that time otherwise.
    fn wait(&self, view: &View<'_>, usual: &Told, held: &Told) -> bool {
        let event = |wanted: Alteration| {
            let mut events = view.timeline.events.iter().enumerate().skip(held.asked);
            let altered = |what: &What| matches!(what, What::Altered { action, .. } if *action == wanted);
            events.find(|(_, e)| altered(&e.what)).map(|(at, _)| at)
        };
        let times = (event(Alteration::Held), event(Alteration::Released));
        let told = (self.success(view, usual), self.success(view, held));
        let ((Some(stopped), Some(released)), (Some((_, soon)), Some((_, late)))) = (times, told) else {
            return false;
        };
        let between = |from: usize, to: usize| view.time_us(to).saturating_sub(view.time_us(from));
        late > released && 2 * between(usual.asked, soon) < between(stopped, released)
    }

    /// The line by which a command told success, and its event.
    fn success(&self, view: &View<'_>, told: &Told) -> Option<(Vec<u8>, usize)> {
        let lines = [&told.outcome.result, &told.outcome.answer];
        let line = lines.into_iter().flatten().find(|line| self.mean(&line.0))?;
        Some((line.0.clone(), view.event_of(line)?))
    }

    /// The same behind the last command, which the bench may have given up before the module did.
    fn success_later(&self, view: &View<'_>, last: &Told) -> Option<(Vec<u8>, usize)> {
        if last.outcome.refusal.is_some() || last.outcome.failure.is_some() {
            return None;
        }
        let printed = view.steps.iter().filter(|s| s.begin > last.asked).flat_map(|s| &s.serial);
        let mut lines = printed.filter_map(|serial| match serial {
            Serial::Printed { at, item: Item::Line(line), .. } => Some((line.clone(), *at)),
            _ => None,
        });
        lines.find(|(line, _)| self.mean(line))
    }
}
