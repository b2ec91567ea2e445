//! Commands in the wrong state and with wrong arguments: never success, nothing sent, and the port answers afterwards.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step},
    mqtt::{Level, PacketType},
    profile::Argument,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = wrong_state(cx);
    cases.extend(wrong_topics(cx));
    cases.extend(wrong_arguments(cx));
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
    let mut cases = vec![
        case("refuse/connect-without-tcp", "an MQTT connection cannot be made before TCP is up", &[])
            .steps([Do(configure(cx)), Refuse(connect(true, KEEP_ALIVE))]),
        case("refuse/publish-without-tcp", "nothing can be published without any connection", &[])
            .steps([Do(configure(cx)), Refuse(publish(&t, 0, "too early"))]),
        case("refuse/subscribe-without-tcp", "nothing can be subscribed to without any connection", &[])
            .steps([Do(configure(cx)), Refuse(subscribe(&t, 0))]),
    ];
    cases.push(
        case("refuse/configure-kept", "a configuration that is refused leaves the one before in force", &[])
            .should()
            .steps([
                Do(configure(cx)),
                Refuse(
                    configure(cx)
                        .with("client", "WrongOne")
                        .with("will_flag", "1")
                        .with("will_qos", "3")
                        .with("will_retain", "0")
                        .with("will_topic", topic(cx, "will"))
                        .with("will_message", "refused"),
                ),
                Do(open(cx)),
                Do(connect(true, KEEP_ALIVE)),
            ])
            .expect([connect_has("the configuration that was not refused", {
                let (client, user) = (cx.bindings.client.clone(), cx.bindings.username.clone());
                move |c| {
                    c.client_id.as_bytes() == client.as_bytes()
                        && c.username.as_ref().is_some_and(|u| u.as_bytes() == user.as_bytes())
                }
            })]),
    );
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
                Refuse(message_mode(0).with("mode", "2")),
                other_publishes(&inbound, 0, "printed as before"),
                Wait(Await::Messages(1)),
            ],
        ))
        .expect([printed(vec![(inbound.clone(), b"printed as before".to_vec())])]),
    );
    for (name, op) in before_connect {
        cases.push(
            case(
                &format!("refuse/{name}-before-connect"),
                "publishing and subscribing need the MQTT connection first",
                &[],
            )
            .steps(then(opened(cx), [Refuse(op)]))
            .expect([count(PacketType::Publish, 0), count(PacketType::Subscribe, 0)]),
        );
    }
    cases
}

/// Topics and filters that MQTT forbids must not go out, so they cannot be answered with success.
fn wrong_topics(cx: &Context<'_>) -> Vec<Case> {
    let (multi, single) = (topic(cx, "t/#"), topic(cx, "+/t"));
    let (glued, inner) = (topic(cx, "t#"), topic(cx, "#/t"));
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
    ]
}

/// An operation whose arguments are tried, what it needs before it, and how to see that the module still works.
struct Subject {
    op: Op,
    before: Vec<Step>,
    /// Only the arguments listed are tried; empty means all that the profile limits.
    arguments: &'static [&'static str],
}

fn wrong_arguments(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "t");
    let subjects = [
        Subject { op: open(cx), before: vec![Do(configure(cx))], arguments: &["port"] },
        Subject { op: connect(true, KEEP_ALIVE), before: opened(cx), arguments: &["clean", "keepalive"] },
        Subject { op: subscribe(&t, 0), before: connected(cx), arguments: &["topic", "qos"] },
        Subject {
            op: publish(&t, 0, "refused"),
            before: connected(cx),
            arguments: &["topic", "qos", "retain", "payload"],
        },
        Subject {
            op: publish_data(&t, 0, "refused"),
            before: connected(cx),
            arguments: &["qos", "retain", "len"],
        },
        Subject { op: message_mode(0), before: Vec::new(), arguments: &["mode"] },
    ];
    let mut cases = Vec::new();
    for subject in &subjects {
        for name in subject.arguments {
            cases.extend(out_of_range(cx, subject, name));
        }
        cases.extend(wrong_count(subject));
    }
    cases
}

/// One below and one above the range, and a word where a number belongs.
fn out_of_range(cx: &Context<'_>, subject: &Subject, name: &str) -> Vec<Case> {
    let step = &subject.op.step;
    let Some(argument @ Argument { range: Some((min, max)), .. }) = cx.profile.argument(step, name) else {
        return Vec::new();
    };
    let values = [(min - 1).to_string(), (max + 1).to_string(), "x".to_owned()];
    values
        .into_iter()
        .map(|value| {
            let mut op = subject.op.clone().with(name, &value);
            if *step == "connect" && name != "keepalive" {
                op = op.with("keepalive", "77");
            }
            if name == "len"
                && let Ok(len) = value.parse::<usize>()
            {
                op = op.with("payload", letters(len));
            }
            let asks = format!("`{name}` {value} is outside its range {min} to {max} and is refused");
            refused(subject, &format!("{name}-{value}"), &asks, op, firmness(argument))
        })
        .collect()
}

/// What the right command after the refused one must show on the wire.
fn unchanged(op: &Op) -> Expect {
    match op.step.as_str() {
        "connect" => connect_has("the values of the command that was not refused", |c| {
            c.clean_session() && c.keep_alive == KEEP_ALIVE
        }),
        "subscribe" => count(PacketType::Subscribe, 1),
        "publish" | "publish-data" => publications(vec![sent(&op.text("topic"), 0, "refused")]),
        _ => count(PacketType::Publish, 0),
    }
}

/// The last argument left out, and one too many.
fn wrong_count(subject: &Subject) -> Vec<Case> {
    let Some(last) = subject.arguments.last() else { return Vec::new() };
    let missing = subject.op.clone().without(last);
    let extra = subject.op.clone().followed_by(",1,2,3");
    vec![
        refused(
            subject,
            &format!("{last}-missing"),
            &format!("a command without its `{last}` is refused"),
            missing,
            Level::Should,
        ),
        refused(
            subject,
            "too-many",
            "a command with more arguments than it has is refused",
            extra,
            Level::Should,
        ),
    ]
}

/// A range that stands in the document binds; one that is only known from the family warns.
fn firmness(argument: &Argument) -> Level {
    if argument.cites.is_empty() { Level::Should } else { Level::Must }
}

fn refused(subject: &Subject, name: &str, asks: &str, op: Op, level: Level) -> Case {
    let mut case = case(&format!("refuse/{}-{name}", op.step), asks, &[])
        .steps(subject.before.clone())
        .steps([Refuse(op)]);
    case.level = level;
    // A refused command changes nothing: the same command with right arguments still works, and with its own values.
    case.steps.push(Check(subject.op.clone()));
    if subject.op.step.starts_with("publish") {
        case.steps.push(Wait(Await::FromModule(PacketType::Publish, 1)));
    }
    case.expect([unchanged(&subject.op)])
}
