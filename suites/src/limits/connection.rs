//! Lengths of what a connection is configured with, as it stands in CONNECT.

use std::cmp::Ordering;

use atspec_model::{
    case::{Case, Context, Expect, Op, Unmet},
    mqtt::{Connect, PacketType, Text},
    profile::Argument,
};

use super::claimed;
use crate::words::*;

/// Arguments whose value stands in CONNECT, and `path`, which does not. `host` has to be that of the bench.
const TEXTS: [&str; 6] = ["client", "username", "password", "will_topic", "will_message", "path"];

/// Bytes of a value that no document limits: more than is usual, and more than a byte counts; far less than MQTT allows.
const LONG: [usize; 2] = [64, 257];

/// What a length is called that follows from the other arguments of the command.
const LONGEST: &str = "longest";

pub(super) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in TEXTS {
        let Some(step) =
            ["configure", "open", "connect"].into_iter().find(|step| cx.profile.takes(step, name))
        else {
            continue;
        };
        let Some(argument @ Argument { length: Some((min, max)), .. }) = cx.profile.argument(step, name)
        else {
            let lengths = LONG.into_iter().filter(|_| name != "path");
            cases.extend(lengths.map(|len| beyond(cx, step, name, len, None)));
            continue;
        };
        // What an empty text means is no question of lengths.
        let mut lengths = vec![*min, max - 1, *max];
        lengths.retain(|len| *len > 0);
        lengths.dedup();
        cases.extend(lengths.into_iter().map(|len| whole(cx, name, &len.to_string(), len)));
        let room = room(cx, step, name).filter(|room| room < max);
        cases.extend(room.map(|room| whole(cx, name, LONGEST, room)));
        cases.push(beyond(cx, step, name, max + 1, Some(argument)));
    }
    cases
}

/// A value of this length; as much as it holds shows whose it is.
fn value(cx: &Context<'_>, name: &str, len: usize) -> Vec<u8> {
    let b = cx.bindings;
    let base = match name {
        "client" => b.client.clone(),
        "username" => b.username.clone(),
        "password" => b.password.clone(),
        "will_topic" => topic(cx, "will"),
        _ => String::new(),
    };
    let mut value = base.into_bytes();
    value.extend(letters(len));
    value.truncate(len);
    value
}

/// A connection in which this value has this length.
fn with_value<'a>(cx: &Context<'a>, name: &str, len: usize) -> Session<'a> {
    let session = session(cx);
    let session =
        if name.starts_with("will_") { session.will(&topic(cx, "will"), 0, false) } else { session };
    session.choosing(name, value(cx, name, len))
}

/// The value of CONNECT; `None` where it does not stand there.
fn field<'c>(connect: &'c Connect, name: &str) -> Option<&'c [u8]> {
    match name {
        "client" => Some(connect.client_id.as_bytes()),
        "username" => connect.username.as_ref().map(Text::as_bytes),
        "password" => connect.password.as_deref(),
        "will_topic" => connect.will.as_ref().map(|w| w.topic.as_bytes()),
        "will_message" => connect.will.as_ref().map(|w| w.message.as_slice()),
        _ => None,
    }
}

/// The bytes of this value that a command line of the documented length has room for, however its end is counted.
fn room(cx: &Context<'_>, step: &str, name: &str) -> Option<usize> {
    let max = cx.profile.behaviour.command_max?;
    let op = with_value(cx, name, 1).commands().find(|op| op.step == step)?;
    let lines = op
        .exchanges(cx.profile)
        .ok()?
        .into_iter()
        .map(|one| one.line.len() + cx.profile.serial.line_end.len());
    (max + 1).checked_sub(lines.max()?)
}

/// A value of this length, which `called` calls.
fn whole(cx: &Context<'_>, name: &'static str, called: &str, len: usize) -> Case {
    let wanted = value(cx, name, len);
    let long = match called {
        LONGEST => "as long as the command line has room for".to_owned(),
        _ => format!("of {len} bytes"),
    };
    let asks = match name {
        "path" => format!("a `path` {long} is taken"),
        _ => format!("a `{name}` {long} stands whole in CONNECT"),
    };
    case(&format!("limits/{name}-{called}"), &asks, &[]).steps(with_value(cx, name, len).checked()).expect([
        connect_has(&format!("the whole `{name}` of {len} bytes"), move |c| {
            name == "path" || field(c, name) == Some(&wanted)
        }),
    ])
}

/// Longer than any document promises: refused, at once or by a command after it, or whole in CONNECT.
fn beyond(cx: &Context<'_>, step: &str, name: &'static str, len: usize, argument: Option<&Argument>) -> Case {
    let session = with_value(cx, name, len);
    // A configuration that is refused leaves the one before in force, which must not be that of another case.
    let before = if step == "configure" { crate::words::session(cx).configured() } else { Vec::new() };
    // What comes before is a means; what comes after may be refused instead of the command itself.
    let commands: Vec<Op> = session.commands().collect();
    let index = commands.iter().position(|op| op.step == step).unwrap_or(0);
    let steps = commands.into_iter().enumerate().map(|(i, op)| match i.cmp(&index) {
        Ordering::Less => Do(op),
        Ordering::Equal => Beyond(op),
        Ordering::Greater => Try(op),
    });
    let index = before.len() + index;
    let asks = match name {
        "path" => format!("a `path` of {len} bytes is refused, or taken"),
        _ => format!("a `{name}` of {len} bytes is refused, or stands whole in CONNECT"),
    };
    // How long client ids may be is the server's to say (MQTT-3.1.3-5, -6): a longer one that arrives whole harms nobody.
    let firm = argument.is_some_and(|argument| !argument.cites.is_empty()) && name != "client";
    let usual = match name {
        "client" => "connect/client-id",
        "username" | "password" => "connect/credentials",
        _ => "will/qos0-retain0",
    };
    let long = case(&format!("limits/{name}-{len}"), &asks, &[]);
    // A documented maximum has clauses of its own.
    let long = if argument.is_none() { long.like(cx, usual) } else { long };
    long.steps(then(before, steps))
        .expect([never_cut(index, name, value(cx, name, len))])
        .expect(firm.then(|| accepted_warns(index, name)))
}

/// A value that was taken stands whole in CONNECT.
fn never_cut(index: usize, name: &'static str, wanted: Vec<u8>) -> Expect {
    Expect::new("the whole value, or a clean refusal", move |view| {
        let last = view.from_module(PacketType::Connect).last();
        let Some((seen, fields)) = last.and_then(|p| Some((p, p.packet.as_connect()?))) else {
            return Ok(());
        };
        if name == "path" || !claimed(view, index) {
            return Ok(());
        }
        let observed = field(fields, name).unwrap_or_default();
        match difference(&wanted, observed) {
            Some(difference) => Err(Unmet::at(format!("`{name}`: {difference}"), seen.at)),
            None => Ok(()),
        }
    })
}

/// Acceptance beyond the maximum only warns.
fn accepted_warns(index: usize, name: &'static str) -> Expect {
    Expect::new("a refusal beyond the documented maximum", move |view| {
        let connect = view.from_module(PacketType::Connect).last();
        match connect.filter(|_| claimed(view, index)) {
            Some(p) => Err(Unmet::at(format!("the `{name}` was accepted"), p.at)),
            None => Ok(()),
        }
    })
    .should()
}
