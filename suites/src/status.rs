//! The state of the connection as the module tells it when asked, and why its last command failed.

use std::collections::BTreeMap;

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::View,
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    text,
    timeline::Close,
};

use crate::{told::*, words::*};

/// Seconds that a module has to notice what the broker did to its connection; no document has a time.
const NOTICE: u32 = 5;

/// A state of the connection, as firmly as the documents have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No connection.
    Closed,
    /// TCP without MQTT.
    Open,
    /// MQTT.
    Connected,
    /// Not MQTT; whether TCP still stands is open (X67).
    NotConnected,
}

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    if has(cx, "status") && !cx.profile.states.is_empty() {
        cases.extend(states(cx));
        cases.extend(values(cx));
    }
    cases.extend(error_state(cx));
    cases
}

fn status() -> Op {
    Op::new("status")
}

/// TCP stands as soon as its success is told, unless that may be told early.
fn open_state(cx: &Context<'_>) -> State {
    let certain = exchanges(cx.profile, "open").all(|e| e.is_certain(0));
    if certain { State::Open } else { State::NotConnected }
}

/// Connected, and known to the module.
fn online(cx: &Context<'_>) -> Vec<Step> {
    then(connected(cx), settled(cx, "connect", PacketType::ConnAck, 1))
}

fn states(cx: &Context<'_>) -> Vec<Case> {
    let lose = |how: Close| {
        then(online(cx), [Broker(Command::Close(how)), Wait(Await::Closed), Idle { seconds: NOTICE }])
    };
    let connack = |action: Action| Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, action)));
    let refused = |code: u8| {
        let attempt = NoSuccess(session(cx).connect());
        then(opened(cx), [connack(Action::Code(code)), attempt, Quiet, Check(status())])
    };
    let mut cases = vec![
        case("status/connected", "after CONNACK 0 the state is that of an MQTT connection", &[])
            .steps(then(online(cx), [Check(status())]))
            .expect([told_states(vec![State::Connected])]),
        case(
            "status/refused",
            "after a CONNACK that refuses the state is not that of an MQTT connection",
            &[],
        )
        .steps(refused(5))
        .expect([told_states(vec![State::NotConnected])]),
        case("status/refused-any", "after none of the refusals the state is that of an MQTT connection", &[])
            .steps((1..=4).flat_map(|code| {
                let once =
                    Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Code(code)).once()));
                let attempt = [once, NoSuccess(session(cx).connect()), Quiet, Check(status())];
                then(then(opened(cx), attempt), hung_up(cx))
            }))
            .expect([told_states(vec![State::NotConnected; 4])])
            .like(cx, "status/refused"),
        case("status/no-connack", "before CONNACK the state is not that of an MQTT connection", &[])
            .steps(then(
                opened(cx),
                [connack(Action::Withhold), NoSuccess(session(cx).connect()), Try(status())],
            ))
            .expect([never_connected()]),
        case(
            "status/closed-by-broker",
            "after the broker closed the connection it is not told as standing",
            &[],
        )
        .steps(then(lose(Close::Fin), [Check(status())]))
        .expect([told_states(vec![State::NotConnected]), told_states(vec![State::Closed]).should()]),
        case("status/reset-by-broker", "after the broker reset the connection there is none", &[])
            .steps(then(lose(Close::Rst), [Check(status())]))
            .expect([told_states(vec![State::Closed])]),
        case(
            "status/disconnected",
            "after the commanded end of MQTT the state is not that of MQTT any more",
            &[],
        )
        .steps(then(online(cx), [Do(disconnect()), Check(status())]))
        .expect([told_states(vec![State::NotConnected])]),
        case("status/closed", "after the commanded end there is no connection", &[])
            .steps(then(then(online(cx), ended(cx)), [Check(status())]))
            .expect([told_states(vec![State::Closed])]),
        case("status/closed-at-once", "after TCP alone was closed there is no connection", &[])
            .steps(then(online(cx), [Do(close()), Wait(Await::Closed), Check(status())]))
            .expect([told_states(vec![State::Closed])])
            .like(cx, "status/closed"),
        case("status/again", "the state follows a second connection as it did the first", &[])
            .steps(then(then(online(cx), [Check(status())]), ended(cx)))
            .steps(then(connected(cx), settled(cx, "connect", PacketType::ConnAck, 2)))
            .steps([Check(status())])
            .expect([told_states(vec![State::Connected, State::Connected])]),
    ];
    // Where one command makes the connection, no document tells the state before its first use.
    if has(cx, "open") {
        cases.extend([
            case("status/before", "before any connection there is none", &[])
                .steps(then(session(cx).configured(), [Check(status())]))
                .expect([told_states(vec![State::Closed])]),
            case("status/open", "with TCP up and without MQTT the state says so", &[])
                .steps(then(opened(cx), [Check(status())]))
                .expect([told_states(vec![open_state(cx)])]),
        ]);
    }
    cases.push(life_cycle(cx));
    cases
}

fn life_cycle(cx: &Context<'_>) -> Case {
    let s = session(cx);
    let (mut steps, mut wanted) = (s.configured(), Vec::new());
    let mut ask = |steps: &mut Vec<Step>, state: State| {
        steps.push(Check(status()));
        wanted.push(state);
    };
    if has(cx, "open") {
        ask(&mut steps, State::Closed);
        steps.push(Do(s.open()));
        ask(&mut steps, open_state(cx));
    }
    steps.push(Do(s.connect()));
    steps.extend(settled(cx, "connect", PacketType::ConnAck, 1));
    ask(&mut steps, State::Connected);
    steps.push(Do(disconnect()));
    if has(cx, "close") {
        ask(&mut steps, State::NotConnected);
        steps.push(Do(close()));
    }
    steps.push(Wait(Await::Closed));
    ask(&mut steps, State::Closed);
    case("status/life-cycle", "the state follows the connection from its beginning to its end", &[])
        .steps(steps)
        .expect([told_states(wanted)])
}

/// Every `{state}` that was told, with the event of its command.
fn seen(view: &View<'_>) -> Vec<(usize, Vec<u8>)> {
    let states = |t: &atspec_model::judge::Told| {
        let found = t.outcome.info.iter().find_map(|found| found.values.get("state"));
        (t.asked, found.map(|state| bare(state).to_vec()).unwrap_or_default())
    };
    told(view, "status").into_iter().map(states).collect()
}

/// Whether the module's word for a state is one of those for the state wanted.
fn is(view: &View<'_>, word: &[u8], wanted: State) -> bool {
    let states = &view.profile.states;
    let among = |words: &[String]| words.iter().any(|w| w.as_bytes() == word);
    match wanted {
        State::Closed => among(&states.closed),
        State::Open if states.open.is_empty() => among(&states.closed),
        State::Open => among(&states.open),
        State::Connected => among(&states.connected),
        State::NotConnected => among(&states.closed) || among(&states.open),
    }
}

/// The answers, one after the other.
pub(crate) fn told_states(wanted: Vec<State>) -> Expect {
    let words: Vec<&str> = wanted
        .iter()
        .map(|state| match state {
            State::Closed => "no connection",
            State::Open => "TCP without MQTT",
            State::Connected => "connected",
            State::NotConnected => "not connected",
        })
        .collect();
    Expect::new(format!("the state told: {}", words.join(", then ")), move |view| {
        let seen = seen(view);
        for (i, state) in wanted.iter().enumerate() {
            let Some((asked, word)) = seen.get(i) else {
                return Err(Unmet::missing(format!("{} of {} answers", seen.len(), wanted.len())));
            };
            if !is(view, word, *state) {
                return Err(Unmet::at(format!("state `{}`", text::visible(word)), *asked));
            }
        }
        Ok(())
    })
}

/// Asked while a connection is being made, a module may refuse; what it tells must be true.
fn never_connected() -> Expect {
    Expect::new("no state of an MQTT connection", |view| {
        match seen(view).into_iter().find(|(_, word)| is(view, word, State::Connected)) {
            Some((asked, word)) => Err(Unmet::at(format!("state `{}`", text::visible(&word)), asked)),
            None => Ok(()),
        }
    })
}

/// Answers that repeat what the connection was made with.
fn values(cx: &Context<'_>) -> Vec<Case> {
    let told = |s: &Session<'_>| commanded(cx, &[s.configure(), s.open(), s.connect()]);
    let s = session(cx);
    let plain = told(&s);
    if plain.is_empty() {
        return Vec::new();
    }
    let mut cases = vec![
        case("status/values", "the answer repeats what the connection was made with", &[])
            .steps(then(online(cx), [Check(status())]))
            .expect([repeats(plain.clone())]),
    ];
    if plain.contains_key("reconnect") {
        let (on, off) = (s.clone().choosing("reconnect", "1"), s.choosing("reconnect", "0"));
        let settle = |n: usize| settled(cx, "connect", PacketType::ConnAck, n);
        cases.push(
            case(
                "status/values-of-the-last",
                "the answer repeats what the last connection was made with",
                &[],
            )
            .steps(then(then(on.connected(), settle(1)), ended(cx)))
            .steps(then(then(off.connected(), settle(2)), [Check(status())]))
            .expect([repeats(told(&off))]),
        );
        cases.push(
            case("status/reconnect", "the answer tells that automatic reconnecting is on", &[])
                .steps(then(then(on.connected(), settle(1)), [Check(status())]))
                .steps(ended(cx))
                .expect([repeats(told(&on))]),
        );
    }
    cases
}

/// The values in the commands of a session that the answer repeats.
fn commanded(cx: &Context<'_>, ops: &[Op]) -> BTreeMap<String, Vec<u8>> {
    let spoken = ops.iter().filter_map(|op| op.exchanges(cx.profile).ok()).flatten();
    let said = spoken.flat_map(|one| one.said);
    let lines = || exchanges(cx.profile, "status").flat_map(|e| &e.info);
    let repeated = |name: &str| name != "state" && lines().any(|line| names(line.source(), name));
    said.filter(|(name, _)| repeated(name)).map(|(name, value)| (name, bare(&value).to_vec())).collect()
}

/// Every value that the last answer tells is the one commanded.
fn repeats(wanted: BTreeMap<String, Vec<u8>>) -> Expect {
    let words: Vec<String> =
        wanted.iter().map(|(name, value)| format!("{name} {}", text::shortened(value, 60))).collect();
    Expect::new(format!("an answer with {}", words.join(", ")), move |view| {
        let asked = told(view, "status");
        let Some(last) = asked.last() else { return Err(Unmet::missing("it was not asked")) };
        for found in &last.outcome.info {
            for (name, value) in &found.values {
                if wanted.get(name).is_some_and(|wanted| wanted != bare(value)) {
                    return Err(Unmet::at(format!("{name} {}", text::shortened(value, 60)), last.asked));
                }
            }
        }
        Ok(())
    })
}

/// Why the last command failed, as the module tells it when asked: of which command is not stated (X25).
fn error_state(cx: &Context<'_>) -> Vec<Case> {
    if !has(cx, "error-state") {
        return Vec::new();
    }
    let greatest = cx.profile.codes.values().flatten().max();
    let range = cx.profile.argument("error-state", "type").and_then(|a| a.range);
    // The listed causes are counted from 0, which is none, without a gap.
    let range = range.or_else(|| greatest.map(|greatest| (0, *greatest)));
    let within = || range.map(known_type);
    let asked = || Check(Op::new("error-state"));
    let closed_port = session(cx).with("port", cx.bindings.closed_port.to_string());
    vec![
        case("error-state/answer", "the cause of an error is told in the documented form", &[])
            .steps([asked()])
            .expect(within()),
        case("error-state/after-failure", "after a failure its cause is told in the documented form", &[])
            .steps(then(closed_port.configured(), [Try(closed_port.dial()), asked()]))
            .expect(within()),
        case("error-state/after-loss", "after a loss its cause is told in the documented form", &[])
            .steps(then(connected(cx), [Broker(Command::Close(Close::Rst)), Wait(Await::Closed)]))
            .steps([Idle { seconds: NOTICE }, asked()])
            .expect(within())
            .like(cx, "error-state/after-failure"),
        case(
            "error-state/after-success",
            "after a success the question is answered in the documented form",
            &[],
        )
        .steps(then(connected(cx), [asked()]))
        .expect(within()),
    ]
}

fn known_type((min, max): (i64, i64)) -> Expect {
    Expect::new(format!("a cause between {min} and {max}"), move |view| {
        for told in told(view, "error-state") {
            for found in &told.outcome.info {
                if found.number::<i64>("type").is_some_and(|n| !(min..=max).contains(&n)) {
                    return Err(Unmet::at(format!("`{}`", text::visible(&found.line)), told.asked));
                }
            }
        }
        Ok(())
    })
}
