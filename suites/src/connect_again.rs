//! Connections that use what was configured for the one before. Whether a module keeps that no document says; what it uses of it,
//! it uses whole.

use atspec_model::{
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::View,
    mqtt::{Connect, PacketType, Text},
    partner::{Action, Command, Rule},
    timeline::Close,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let s = configured(cx);
    let again = || {
        let commands = s.commands().filter(|op| op.step != "configure").map(Try);
        then(hung_up(cx), commands.chain([Quiet, Probe]))
    };
    let of = |name: &str, asks: &str, before: Vec<Step>| {
        case(&format!("connect/{name}"), asks, &["MQTT-3.1.2-9", "MQTT-3.1.2-19", "MQTT-3.1.2-21"])
            .steps(then(before, again()))
            .expect([whole(cx)])
            .like(cx, "connect/credentials")
            .needing(cx, "configure")
    };
    let refuse = Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Code(5)).once()));
    vec![
        of(
            "again-after-loss",
            "a connection made again without configuring has the whole configuration, or none of it",
            then(s.connected(), [Broker(Command::Close(Close::Fin)), Wait(Await::Closed)]),
        ),
        of(
            "again-after-refusal",
            "a connection tried again after a refused one has the whole configuration, or none of it",
            then(s.opened(), [refuse, NoSuccess(s.connect())]),
        ),
        of(
            "again-after-close",
            "a connection made again after the commanded end has the whole configuration, or none of it",
            then(s.connected(), ended(cx)),
        )
        .needing(cx, "disconnect"),
    ]
}

/// Everything that can be configured.
pub(crate) fn configured<'a>(cx: &Context<'a>) -> Session<'a> {
    let s = session(cx);
    if takes(cx, "will_message") { s.will(&topic(cx, "will"), 1, true) } else { s }
}

/// Every CONNECT with the client id of the case has its user name, password and will as well.
pub(crate) fn whole(cx: &Context<'_>) -> Expect {
    let b = cx.bindings;
    let (client, user, password) = (b.client.clone(), b.username.clone(), b.password.clone());
    let will = takes(cx, "will_message").then(|| topic(cx, "will"));
    Expect::new(
        "user name, password and will in every CONNECT with this client id",
        move |view: &View<'_>| {
            let lacks = |c: &Connect| {
                if c.client_id.as_bytes() != client.as_bytes() {
                    return None;
                }
                let is_will = |topic: &String| {
                    c.will.as_ref().is_some_and(|w| {
                        w.topic.as_bytes() == topic.as_bytes()
                            && w.message == WILL_MESSAGE.as_bytes()
                            && (w.qos, w.retain) == (1, true)
                    })
                };
                if c.username.as_ref().map(Text::as_bytes) != Some(user.as_bytes()) {
                    return Some(("user name", "username"));
                }
                if c.password.as_deref() != Some(password.as_bytes()) {
                    return Some(("password", "password"));
                }
                will.as_ref().filter(|topic| !is_will(topic)).map(|_| ("will", "will"))
            };
            let connects =
                view.from_module(PacketType::Connect).filter_map(|p| Some((p, p.packet.as_connect()?)));
            match connects.into_iter().find_map(|(p, c)| Some((p, lacks(c)?))) {
                Some((p, (what, field))) => {
                    let observed = format!("the {what} is missing or another: {}", p.packet);
                    Err(Unmet::at(observed, p.at).besides(clauses_of_field(view.profile, field)))
                }
                None => Ok(()),
            }
        },
    )
}
