//! How a module connects again by itself.

use std::time::Duration;

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::View,
    mqtt::{Body, Connect, PacketType, topic},
    partner::{Action, Command, Rule},
    timeline::Close,
};

use super::case_of;
use crate::{told::settled, words::*};

/// Seconds in which the attempts of a module are watched while the broker refuses: enough for a module that waits half a minute.
const WATCHED: u32 = 120;

/// Losses after which pauses are compared.
const LOSSES: usize = 5;

/// What a bench and a network make pauses differ by.
const LATENCY: Duration = Duration::from_millis(100);

/// Connected, and told to connect again by itself.
fn online(cx: &Context<'_>) -> Vec<Step> {
    let connected = session(cx).choosing("reconnect", "1").connected();
    then(connected, settled(cx, "connect", PacketType::ConnAck, 1))
}

fn lost() -> Step {
    Broker(Command::Close(Close::Fin))
}

pub(super) fn backs_off(cx: &Context<'_>) -> Case {
    let refuse = Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Code(3))));
    case_of("reconnect-backoff")
        .steps(then(online(cx), [refuse, lost(), Idle { seconds: WATCHED }, Try(disconnect())]))
        .expect([Expect::new("later pauses that are twice the first two and more on an average", |view| {
            let pauses = pauses(view);
            // Averages, since jitter and a slow bench make single pauses longer or shorter, and growth may end at a longest pause.
            let Some((first, later)) = pauses.split_at_checked(2).filter(|(_, later)| !later.is_empty())
            else {
                return Err(no_attempts(&pauses));
            };
            if average(later) >= average(first) * 2 { Ok(()) } else { Err(Unmet::missing(told(&pauses))) }
        })])
}

pub(super) fn jitters(cx: &Context<'_>) -> Case {
    let again = |n: usize| [lost(), Wait(Await::ToModule(PacketType::ConnAck, n)), Quiet];
    case_of("reconnect-jitter")
        .steps(then(online(cx), (2..2 + LOSSES).flat_map(again)))
        .steps([Try(disconnect())])
        .expect([Expect::new("pauses that differ by a quarter of the shortest and more", |view| {
            let pauses = pauses(view);
            let (Some(&shortest), Some(&longest)) = (pauses.iter().min(), pauses.iter().max()) else {
                return Err(no_attempts(&pauses));
            };
            if pauses.len() < 3 {
                return Err(no_attempts(&pauses));
            }
            if view.header.settings.clock_factor < 1.0 && shortest / 4 < LATENCY {
                let why =
                    "too short on a fast clock to be told from a slow bench; a larger --clock-factor tells";
                return Err(Unmet::not_provoked(format!("{}: {why}", told(&pauses))));
            }
            let differs = longest.saturating_sub(shortest) >= LATENCY.max(shortest / 4);
            if differs { Ok(()) } else { Err(Unmet::missing(told(&pauses))) }
        })])
}

pub(super) fn subscribes_again(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    let steps = then(online(cx), [Do(subscribe(&t, 1)), lost()]);
    case_of("resubscribe")
        .steps(then(
            steps,
            [Wait(Await::ToModule(PacketType::ConnAck, 2)), Idle { seconds: 10 }, Try(disconnect())],
        ))
        .expect([Expect::new(
            "SUBSCRIBE on the connection that came back, with the filter of before",
            move |view| {
                let Some(back) = view.to_module(PacketType::ConnAck).nth(1) else {
                    return Err(Unmet::not_provoked("it did not connect again"));
                };
                let connects = view.from_module(PacketType::Connect);
                if !connects.filter_map(|p| p.packet.as_connect()).all(Connect::clean_session) {
                    return Err(Unmet::not_provoked("it connected with clean session 0"));
                }
                let mut later = view.from_module(PacketType::Subscribe).filter(|p| p.conn == back.conn);
                match later.find(|p| subscribes(&p.packet.body, t.as_bytes())) {
                    Some(_) => Ok(()),
                    None => Err(Unmet::at("no such SUBSCRIBE within 10 s of CONNACK", back.at)),
                }
            },
        )])
}

/// Whether a SUBSCRIBE brings messages on the topic.
fn subscribes(body: &Body, name: &[u8]) -> bool {
    let Body::Subscribe(subscribe) = body else { return false };
    subscribe.filters.iter().any(|(filter, _)| topic::matches(filter.as_bytes(), name))
}

/// From the end of each connection to the beginning of the next.
fn pauses(view: &View<'_>) -> Vec<Duration> {
    let spoken: Vec<_> = view.connections.iter().filter(|c| c.spoke).collect();
    let between = spoken.windows(2).filter_map(|pair| {
        let ended = view.time_us(pair[0].closed.first()?.0);
        Some(Duration::from_micros(view.time_us(pair[1].opened).saturating_sub(ended)))
    });
    between.collect()
}

/// Of some pauses; nothing of none.
fn average(pauses: &[Duration]) -> Duration {
    let number = u32::try_from(pauses.len()).unwrap_or(u32::MAX);
    pauses.iter().sum::<Duration>().checked_div(number).unwrap_or_default()
}

fn told(pauses: &[Duration]) -> String {
    let shown: Vec<String> =
        pauses.iter().take(12).map(|pause| format!("{:.2} s", pause.as_secs_f64())).collect();
    format!("pauses of {}", shown.join(", "))
}

fn no_attempts(pauses: &[Duration]) -> Unmet {
    Unmet::not_provoked(match pauses.len() {
        0 => "it did not connect again".to_owned(),
        n => format!("it connected again only {n} times"),
    })
}
