//! Texts beyond ASCII. No document says that its commands take them, so they may be refused; what goes out is UTF-8, whole, in
//! its field, and under its flag.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::{View, WirePacket},
    mqtt::{Body, Connect, PacketType, Text},
    partner::{Command, Message},
    text::visible,
};

use crate::{told::*, words::*};

/// Two bytes, three bytes and four in a row.
const BEYOND: &str = "ü温𝄞";

/// U+FEFF, a character like any other (1.5.3).
const BOM: &str = "\u{feff}";

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = connecting(cx);
    cases.extend(topics(cx));
    cases.extend([printed_with_bom(cx), payload(cx), will_message(cx)]);
    cases.extend(SEPARATORS.into_iter().flat_map(|(name, text)| separators(cx, name, text)));
    cases.extend(BARE.into_iter().filter_map(|(name, text, refusable)| bare(cx, name, text, refusable)));
    cases
}

/// CONNECT with one field beyond ASCII, or none at all.
fn connecting(cx: &Context<'_>) -> Vec<Case> {
    let b = cx.bindings;
    let of = |name: &str, asks: &str, cites: &[&str], s: Session<'_>, expect: Vec<Expect>| {
        // A refused command leaves the right one before in force, or nothing: then nobody's credentials are in CONNECT.
        Case {
            anonymous: true,
            ..case(
                &format!("text/{name}"),
                &format!("{asks} beyond ASCII stands whole in CONNECT, or is refused"),
                cites,
            )
        }
        .steps(then(session(cx).configured(), s.commands().map(Try)))
        .steps([Quiet, Probe])
        .expect(expect)
    };
    // As long as before, since a document may have a maximum.
    let beyond = |text: &str| format!("{}{BEYOND}", text.get(BEYOND.len()..).unwrap_or_default());
    let (client, user, password) = (beyond(&b.client), beyond(&b.username), beyond(&b.password));
    let will = beyond(&topic(cx, "will"));
    let s = || session(cx);
    let own = |value: &str| value.as_bytes().to_vec();
    let (id, name, word, last) = (own(&client), own(&user), own(&password), own(&will));
    let others = [own(&b.username), own(&b.password)];
    vec![
        of(
            "client-id",
            "a client id",
            &["MQTT-3.1.3-3", "MQTT-3.1.3-4", "MQTT-1.5.3-1"],
            s().choosing("client", &client),
            vec![
                if_connected("the client id first", move |c| {
                    !others.iter().any(|o| c.client_id.as_bytes() == o)
                }),
                if_connected("the client id as given", move |c| c.client_id.as_bytes() == id).should(),
            ],
        ),
        of(
            "username",
            "a user name",
            &[
                "MQTT-3.1.3-11",
                "MQTT-1.5.3-1",
                "MQTT-1.5.3-2",
                "MQTT-3.1.2-18",
                "MQTT-3.1.2-19",
                "MQTT-3.1.2-22",
            ],
            s().choosing("username", &user),
            vec![
                if_connected("the user name as given", move |c| {
                    c.username.as_ref().is_some_and(|u| u.as_bytes() == name)
                })
                .should(),
            ],
        ),
        of(
            "password",
            "a password",
            &["MQTT-3.1.2-20", "MQTT-3.1.2-21"],
            s().choosing("password", &password),
            vec![if_connected("the password as given", move |c| c.password.as_ref() == Some(&word)).should()],
        ),
        of(
            "will-topic",
            "a will topic",
            &["MQTT-3.1.3-10", "MQTT-1.5.3-1", "MQTT-3.1.2-9", "MQTT-3.1.3-1"],
            s().will(&will, 1, false),
            vec![
                if_connected("the will topic as given", move |c| {
                    c.will.as_ref().is_some_and(|w| w.topic.as_bytes() == last)
                })
                .should(),
            ],
        ),
    ]
}

/// Where all commands were answered with success, the last CONNECT has this.
fn if_connected(what: &str, has: impl Fn(&Connect) -> bool + Send + Sync + 'static) -> Expect {
    let expect = connect_has(what, has);
    Expect::new(format!("{}, or a refusal", expect.what), move |view| {
        let claimed = view.steps.iter().flat_map(|step| &step.dialogues).all(|told| told.outcome.claimed());
        if claimed { (expect.check)(view) } else { Ok(()) }
    })
}

fn topics(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, BEYOND);
    let publishing = |name: &str, asks: &str, cites: &[&str], t: &str| {
        case(&format!("text/{name}"), asks, cites)
            .steps(then(connected(cx), [Try(send(cx, t, 1, "beyond")), Quiet, Probe]))
            .expect([sent_whole(PacketType::Publish, vec!["publish", "publish-data"], t).should()])
    };
    let filtering = |name: &str, cites: &[&str], kind: PacketType, step: &'static str, steps: Vec<Step>| {
        let asks = format!("a filter beyond ASCII stands whole in {kind}, or is refused");
        case(&format!("text/{name}"), &asks, cites)
            .steps(then(connected(cx), steps))
            .steps([Quiet, Probe])
            .expect([sent_whole(kind, vec![step], &t).should()])
    };
    let made = Try(subscribe(&t, 1));
    let ended: Op = unsubscribe(&t);
    vec![
        publishing(
            "topic",
            "a topic beyond ASCII stands whole in PUBLISH, or is refused",
            &["MQTT-3.3.2-1", "MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-4.7.3-2"],
            &t,
        ),
        sent_with_bom(cx),
        filtering(
            "filter",
            &["MQTT-3.8.3-1", "MQTT-1.5.3-1"],
            PacketType::Subscribe,
            "subscribe",
            vec![made.clone()],
        ),
        filtering(
            "unsubscribe-filter",
            &["MQTT-3.10.3-1", "MQTT-1.5.3-1"],
            PacketType::Unsubscribe,
            "unsubscribe",
            vec![made, Try(ended)],
        ),
    ]
}

/// At the beginning, where a mark of the encoding would stand, and within.
fn sent_with_bom(cx: &Context<'_>) -> Case {
    let plain = topic(cx, "marked");
    let topics = [format!("{BOM}{plain}"), topic(cx, &format!("{BOM}marked"))];
    let whole =
        |topic: &String| sent_whole(PacketType::Publish, vec!["publish", "publish-data"], topic).should();
    let kept = Expect::new("no PUBLISH whose topic has lost U+FEFF", move |view| {
        let stripped = |p: &&WirePacket| {
            p.packet.as_publish().is_some_and(|publish| publish.topic.as_bytes() == plain.as_bytes())
        };
        match view.from_module(PacketType::Publish).find(stripped) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    });
    case(
        "text/topic-bom",
        "the bytes EF BB BF in a topic stand in PUBLISH, or it is refused",
        &["MQTT-3.3.2-1"],
    )
    .steps(then(connected(cx), topics.clone().map(|topic| Try(send(cx, &topic, 1, "beyond")))))
    .steps([Quiet, Probe])
    .expect(topics.iter().map(whole))
    .expect([kept.citing(&["MQTT-1.5.3-3"])])
}

/// A packet of the type with this topic or filter, where the command was answered with success.
fn sent_whole(kind: PacketType, steps: Vec<&'static str>, topic: &str) -> Expect {
    let topic = topic.as_bytes().to_vec();
    Expect::new(
        format!("{kind} with the topic as given, where the command succeeds"),
        move |view: &View<'_>| {
            let claimed = steps.iter().flat_map(|step| told(view, step)).any(|told| told.outcome.claimed());
            let named = |body: &Body| match body {
                Body::Publish(publish) => publish.topic.as_bytes() == topic,
                Body::Subscribe(subscribe) => subscribe.filters.iter().any(|(f, _)| f.as_bytes() == topic),
                Body::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().any(|f| f.as_bytes() == topic),
                _ => false,
            };
            if !claimed || view.from_module(kind).any(|p| named(&p.packet.body)) {
                return Ok(());
            }
            let seen = view.from_module(kind).last();
            Err(seen.map_or_else(|| Unmet::missing("none"), |p| Unmet::at(p.packet.to_string(), p.at)))
        },
    )
}

/// How characters beyond ASCII are printed no document says; but what is printed without U+FEFF has lost it.
fn printed_with_bom(cx: &Context<'_>) -> Case {
    let without = topic(cx, "bom/x");
    let (first, rest) = without.split_once('/').unwrap_or(("", &without));
    // At the beginning, where a mark of the encoding would stand, and within.
    let with = [format!("{BOM}{first}/{rest}"), topic(cx, &format!("bom/{BOM}x"))];
    let filter = format!("+/{}/#", rest.trim_end_matches("/x"));
    let sent = with.clone().map(|topic| {
        let message =
            Message { topic: topic.into_bytes(), payload: b"marked".to_vec(), qos: 0, retain: false };
        Broker(Command::Publish(message))
    });
    case(
        "text/bom-received",
        "messages on topics with the bytes EF BB BF are printed with them",
        &["MQTT-1.5.3-3"],
    )
    .steps(then(subscribed(cx, &filter, 0), sent))
    .steps([Wait(Await::Messages(2)), Quiet])
    .expect([
        Expect::new("topics that have not lost EF BB BF", move |view| {
            let stripped = |topic: &[u8]| topic == without.as_bytes();
            match view.messages.iter().find(|m| stripped(&m.topic)) {
                Some(m) => Err(Unmet::at(format!("topic \"{}\"", visible(&m.topic)), m.at)),
                None => Ok(()),
            }
        }),
        printed(with.map(|topic| (topic, b"marked".to_vec())).to_vec()).should(),
    ])
}

/// A payload is bytes: what is taken goes out as it was given.
fn payload(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    let given = format!("{BEYOND} \u{b0}C");
    let wanted = sent(&t, 1, &given);
    case("text/payload", "a payload beyond ASCII stands whole in PUBLISH, or is refused", &[])
        .steps(then(connected(cx), [Try(send(cx, &t, 1, &given)), Quiet, Probe]))
        .expect([
            nothing_but("no PUBLISH with another payload", wanted),
            sent_whole(PacketType::Publish, vec!["publish", "publish-data"], &t),
        ])
        .like(cx, "publish/qos1")
}

/// So is the message of a will.
fn will_message(cx: &Context<'_>) -> Case {
    let will = topic(cx, "will");
    let s = session(cx).will(&will, 1, false).choosing("will_message", BEYOND);
    Case {
        anonymous: true,
        ..case("text/will-message", "a will message beyond ASCII stands whole in CONNECT, or is refused", &[])
    }
    .steps(then(session(cx).configured(), s.commands().map(Try)))
    .steps([Quiet, Probe])
    .expect([if_connected("the will message as given", move |c| {
        c.will.as_ref().is_some_and(|w| w.message == BEYOND.as_bytes())
    })])
    .like(cx, "will/qos1-retain1")
}

/// What ends an argument without quotes, and belongs to one in quotes: blanks, and what no document may say how to write.
const SEPARATORS: [(&str, &str); 2] = [("blanks", "a b c"), ("separators", "a,b c=d;e")];

/// Payloads that mean something else to a careless parser: the names of their cases, and whether a document that says nothing of
/// them leaves room to refuse them, since they part arguments or commands elsewhere.
const BARE: [(&str, &str, bool); 5] = [
    ("comma", "warm,cold", true),
    ("semicolon", "warm;cold", true),
    ("quote", "warm\"cold", true),
    ("equals", "warm=cold", false),
    ("question", "warm?", false),
];

/// A payload without quotes in a command line: success means the whole.
fn bare(cx: &Context<'_>, name: &str, payload: &'static str, refusable: bool) -> Option<Case> {
    let t = topic(cx, "out");
    let op = Op { raw: vec!["payload".to_owned()], ..publish(&t, 1, payload) };
    let asks = if refusable { "is published whole, or refused" } else { "is published whole" };
    only_if(has(cx, "publish") && quoting(cx, "publish", "payload").is_none(), || {
        case(&format!("text/bare-{name}"), &format!("`{payload}` {asks}"), &[])
            .steps(then(connected(cx), [if refusable { Try(op) } else { Check(op) }, Quiet, Probe]))
            .expect([Expect::new("the payload as given behind success", move |view| {
                let mut commands = view.steps.iter().flat_map(|step| &step.dialogues);
                let claimed =
                    commands.any(|told| told.line.ends_with(payload.as_bytes()) && told.outcome.claimed());
                let mut sent = view.from_module(PacketType::Publish);
                let other = sent.find(|p| {
                    p.packet.as_publish().is_some_and(|publish| publish.payload != payload.as_bytes())
                });
                match other.filter(|_| claimed) {
                    Some(packet) => Err(Unmet::at(packet.packet.to_string(), packet.at)),
                    None => Ok(()),
                }
            })])
            .like(cx, "publish/qos1")
    })
}

/// Arguments in quotes with separators in them. No document says which characters a client id or a name may have, so they may be
/// refused; what is taken is whole.
fn separators(cx: &Context<'_>, called: &str, separators: &'static str) -> Vec<Case> {
    let b = cx.bindings;
    // As long as the others: a document may have a maximum.
    let ended = |text: &str| format!("{}{separators}", text.get(separators.len()..).unwrap_or_default());
    let field = |name: &'static str, s: Session<'_>, value: String, of: fn(&Connect) -> Option<&[u8]>| {
        let spelling = ["configure", "connect"].into_iter().find_map(|step| quoting(cx, step, name));
        let s = s.choosing(name, &value);
        let commands: Vec<Step> = s.commands().map(|op| Try(op.spelled(spelling.unwrap_or(0)))).collect();
        only_if(spelling.is_some(), || {
            Case {
                anonymous: true,
                ..case(
                    &format!("text/{called}-{name}"),
                    &format!("{called} in a quoted `{name}` belong to it, or it is refused"),
                    &[],
                )
            }
            .steps(then(session(cx).configured(), commands))
            .steps([Quiet, Probe])
            .expect([if_connected(&format!("the `{name}` as given"), move |c| {
                of(c) == Some(value.as_bytes())
            })])
            .like(cx, if name.starts_with("will") { "will/qos1-retain1" } else { "connect/credentials" })
        })
    };
    let will = || session(cx).will(&topic(cx, "will"), 1, false);
    let in_topic = topic(cx, separators);
    let named = |step: &'static str, kind: PacketType, op: Op, before: Option<Step>| {
        only_if(quoted(cx, step, "topic"), || {
            case(
                &format!("text/{called}-{step}"),
                &format!("{called} in a quoted topic stand in {kind}, or it is refused"),
                &[],
            )
            .steps(then(connected(cx), before))
            .steps([Try(op), Quiet, Probe])
            .expect([sent_whole(kind, vec![step], &in_topic)])
            .like(cx, if step == "publish" { "publish/qos1" } else { "subscribe/qos1" })
        })
    };
    [
        field("client", session(cx), ended(&b.client), |c| Some(c.client_id.as_bytes())),
        field("username", session(cx), ended(&b.username), |c| c.username.as_ref().map(Text::as_bytes)),
        field("password", session(cx), ended(&b.password), |c| c.password.as_deref()),
        field("will_topic", will(), ended(&topic(cx, "will")), |c| {
            c.will.as_ref().map(|w| w.topic.as_bytes())
        }),
        field("will_message", will(), separators.to_owned(), |c| {
            c.will.as_ref().map(|w| w.message.as_slice())
        }),
        named("publish", PacketType::Publish, publish(&in_topic, 1, "beyond"), None),
        named("subscribe", PacketType::Subscribe, subscribe(&in_topic, 1), None),
        named(
            "unsubscribe",
            PacketType::Unsubscribe,
            unsubscribe(&in_topic),
            has(cx, "subscribe").then(|| Try(subscribe(&in_topic, 1))),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
