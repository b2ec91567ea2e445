//! Commands in the wrong state and with wrong arguments: never success, nothing sent, and the port answers afterwards.

mod arguments;

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Unmet},
    judge::View,
    mqtt::PacketType,
    partner::{Action, Command, Rule},
};

use crate::{
    connect_again::{configured, whole},
    words::*,
};

/// What a configuration brings besides the value for which it has to be refused.
const WRONG_CLIENT: &str = "WrongOne";
const WRONG_KEEP_ALIVE: u16 = 77;
const WRONG_WILL: &str = "wrong";

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = wrong_state(cx);
    cases.extend(wrong_topics(cx));
    cases.extend(arguments::cases(cx));
    cases
}

fn wrong_state(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "t");
    let before_connect: [(&str, Op); 4] = [
        ("subscribe", subscribe(&t, 0)),
        ("publish-qos0", publish(&t, 0, "too early")),
        ("publish-qos1", publish(&t, 1, "too early")),
        ("publish-data", publish_data(&t, 0, "too early")),
    ];
    let without = |op: Op| then(session(cx).configured(), [Refuse(op)]);
    let mut cases = vec![
        case("refuse/connect-without-tcp", "an MQTT connection cannot be made before TCP is up", &[])
            .steps(without(session(cx).connect()))
            .needing(cx, "open"),
        case("refuse/publish-without-tcp", "nothing can be published without any connection", &[])
            .steps(without(publish(&t, 0, "too early"))),
        case("refuse/subscribe-without-tcp", "nothing can be subscribed to without any connection", &[])
            .steps(without(subscribe(&t, 0))),
        case("refuse/publish-data-without-tcp", "no data are published without any connection", &[])
            .steps(without(publish_data(&t, 0, "too early"))),
        configure_kept(cx),
    ];
    let inbound = topic(cx, "in");
    cases.push(
        case(
            "refuse/message-mode-kept",
            "a message mode that is refused leaves the one before in force",
            &[],
        )
        .steps(then(
            subscribed(cx, &inbound, 0),
            [
                Do(message_mode(0)),
                Try(message_mode(0).with("mode", "2")),
                other_publishes(&inbound, 0, "printed as before"),
                Wait(Await::Messages(1)),
            ],
        ))
        .expect([unless_taken(printed(vec![(inbound.clone(), b"printed as before".to_vec())]))]),
    );
    cases.push(
        case("refuse/publish-before-connack", "nothing is published before CONNACK came", &[])
            .unless(
                (!cx.profile.cites.contains_key("refuse/publish-before-connack")).then(|| {
                    format!("no clause of {} says that publishing waits for CONNACK", cx.profile.name)
                }),
            )
            .steps(then(
                opened(cx),
                [
                    Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Withhold))),
                    NoSuccess(session(cx).connect()),
                    Refuse(publish(&t, 0, "too early")),
                ],
            ))
            .expect([count(PacketType::Publish, 0)]),
    );
    for (name, op) in before_connect {
        cases.push(
            case(
                &format!("refuse/{name}-before-connect"),
                "publishing and subscribing need the MQTT connection first",
                &["MQTT-3.1.0-1"],
            )
            .steps(then(opened(cx), [Refuse(op)]))
            .expect([count(PacketType::Publish, 0), count(PacketType::Subscribe, 0)])
            .needing(cx, "open"),
        );
    }
    cases
}

/// What holds where the last command was not answered with success.
fn unless_taken(expect: Expect) -> Expect {
    let Expect { what, check, of_messages, .. } = expect;
    let expect = Expect::new(format!("{what}, unless the command succeeds"), move |view| {
        let last = view.steps.iter().flat_map(|step| &step.dialogues).last();
        if last.is_some_and(|told| told.outcome.claimed()) { Ok(()) } else { check(view) }
    });
    Expect { of_messages, ..expect }
}

/// A configuration with one wrong value, in the command that has it; what stands in other commands is right.
fn configure_kept(cx: &Context<'_>) -> Case {
    let right = configured(cx);
    let exchanges = || cx.profile.steps.get("configure").into_iter().flat_map(|s| &s.exchanges);
    let together = |names: [&str; 2]| {
        let all = |arguments: Vec<&str>| names.iter().all(|name| arguments.contains(name));
        exchanges().filter_map(|e| e.send.first()).any(|template| all(template.arguments()))
    };
    let mut wrong = right.clone().will(&topic(cx, WRONG_WILL), 0, false).with("will_qos", "3");
    if together(["will_qos", "client"]) {
        wrong = wrong.with("client", WRONG_CLIENT);
    }
    let keeps = together(["will_qos", "keepalive"]);
    if keeps {
        wrong = wrong.with("keepalive", WRONG_KEEP_ALIVE.to_string());
    }
    case("refuse/configure-kept", "a configuration that is refused leaves the one before in force", &[])
        .steps([Do(right.configure()), Try(wrong.configure())])
        .steps(has(cx, "open").then(|| Do(right.open())))
        .steps([Do(right.connect())])
        .expect([
            nothing_refused(&topic(cx, WRONG_WILL), keeps),
            whole(cx),
            connect_has("the configuration that was not refused", {
                let (client, user) = (cx.bindings.client.clone(), cx.bindings.username.clone());
                move |c| {
                    c.client_id.as_bytes() == client.as_bytes()
                        && c.username.as_ref().is_some_and(|u| u.as_bytes() == user.as_bytes())
                        && (!keeps || c.keep_alive == KEEP_ALIVE)
                }
            })
            .should(),
        ])
}

/// A command that is refused changes nothing: what it brought stands nowhere. Whether what was before is still there, or nothing
/// is, no document says.
fn nothing_refused(wrong: &str, keeps: bool) -> Expect {
    let wrong = wrong.as_bytes().to_vec();
    Expect::new("nothing of the configuration that was refused", move |view: &View<'_>| {
        let was_refused =
            view.steps.get(1).is_some_and(|s| s.dialogues.iter().any(|told| !told.outcome.claimed()));
        let last = view.from_module(PacketType::Connect).last();
        let Some((seen, c)) = last.and_then(|p| Some((p, p.packet.as_connect()?))).filter(|_| was_refused)
        else {
            return Ok(());
        };
        let stored = c.client_id.as_bytes() == WRONG_CLIENT.as_bytes()
            || keeps && c.keep_alive == WRONG_KEEP_ALIVE
            || c.will.as_ref().is_some_and(|will| will.topic.as_bytes() == wrong);
        if stored { Err(Unmet::at(seen.packet.to_string(), seen.at)) } else { Ok(()) }
    })
}

/// Topics and filters that MQTT forbids must not go out, so they cannot be answered with success.
fn wrong_topics(cx: &Context<'_>) -> Vec<Case> {
    let (multi, single) = (topic(cx, "t/#"), topic(cx, "+/t"));
    let (glued, inner) = (topic(cx, "t#"), topic(cx, "#/t"));
    let (plus, within) = (topic(cx, "t+"), topic(cx, "+t/u"));
    let wrong = |name: &str, asks: &str, cites: &[&str], op: Op| {
        case(&format!("refuse/{name}"), asks, cites).steps(then(connected(cx), [Refuse(op)]))
    };
    let wildcards: &[&str] = &["MQTT-3.3.2-2", "MQTT-4.7.1-1"];
    vec![
        wrong("publish-hash", "a topic with # cannot be published on", wildcards, publish(&multi, 0, "x")),
        wrong("publish-plus", "a topic with + cannot be published on", wildcards, publish(&single, 0, "x")),
        wrong(
            "publish-empty-topic",
            "an empty topic cannot be published on",
            &["MQTT-4.7.3-1"],
            publish("", 0, "x"),
        ),
        wrong("subscribe-hash-glued", "# stands alone in its level", &["MQTT-4.7.1-2"], subscribe(&glued, 0)),
        wrong("subscribe-hash-inside", "# stands last in a filter", &["MQTT-4.7.1-2"], subscribe(&inner, 0)),
        wrong(
            "subscribe-plus-glued",
            "+ is a whole level of a filter",
            &["MQTT-4.7.1-3"],
            subscribe(&plus, 0),
        ),
        wrong(
            "subscribe-empty-topic",
            "an empty filter cannot be subscribed to",
            &["MQTT-4.7.3-1"],
            subscribe("", 0),
        ),
        wrong(
            "unsubscribe-hash-inside",
            "# stands last in a filter, also where a subscription ends",
            &["MQTT-4.7.1-2"],
            unsubscribe(&inner),
        ),
        wrong(
            "subscribe-plus-inside",
            "+ is a whole level of a filter, also of one inside",
            &["MQTT-4.7.1-3"],
            subscribe(&within, 0),
        ),
    ]
}
