//! Received messages printed as they come: exact bytes, framed by their length, acknowledged by QoS.

use std::ops::Range;

use atspec_model::{
    at::Item,
    case::{Await, Case, Context, Expect, Step, Unmet},
    judge::{Serial, View, WirePacket},
    mqtt::{Ack, Body, Level, PacketType, Publish, Text, encode},
    partner::{Action, Command, Rule},
    text,
};

use crate::{limits::BUFFERS, told::only_if, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases: Vec<Case> = (0..=2).map(|qos| of_qos(cx, qos)).collect();
    cases.extend(payloads(cx));
    cases.extend(sequences(cx));
    cases.extend(repetitions(cx));
    cases.extend(told_apart(cx));
    cases
}

fn of_qos(cx: &Context<'_>, qos: u8) -> Case {
    let t = topic(cx, "in");
    let cites: &[&str] = match qos {
        1 => &["MQTT-3.3.4-1", "MQTT-4.3.2-2", "MQTT-4.5.0-2"],
        2 => &["MQTT-3.3.4-1", "MQTT-4.3.3-2", "MQTT-4.5.0-2"],
        _ => &[],
    };
    let mut expect = vec![printed(vec![(t.clone(), b"data from tcp server".to_vec())])];
    if qos > 0 {
        expect.push(acknowledged(qos));
    }
    case(
        &format!("receive/qos{qos}"),
        &format!("a message of QoS {qos} is printed once and acknowledged by its QoS"),
        cites,
    )
    .steps(then(
        subscribed(cx, &t, qos),
        [other_publishes(&t, qos, "data from tcp server"), Wait(Await::Messages(1))],
    ))
    .steps(until_acknowledged(qos, 1))
    .steps([Quiet])
    .expect(expect)
}

/// Where no document says how a message is printed, nobody can say how one beyond ASCII is; but two that are printed alike have
/// not reached the host. What stands in front of the topic may be a number.
fn told_apart(cx: &Context<'_>) -> Option<Case> {
    let t = topic(cx, "in");
    let alike = ["hei\u{e9} warm", "hei\u{e8} warm", "heiC) warm"];
    let delivered = alike.map(|payload| [other_publishes(&t, 0, payload), Quiet]);
    only_if(cx.profile.message.any, || {
        case("receive/told-apart", "messages that differ beyond ASCII are not printed alike", &[])
            .steps(then(subscribed(cx, &t, 0), delivered.into_iter().flatten()))
            .expect([Expect::new("what is printed to differ like what was published", move |view| {
                let begun: Vec<usize> = view.to_module(PacketType::Publish).map(|p| p.at).collect();
                let ends = begun.iter().skip(1).copied().chain([view.timeline.events.len()]);
                let mut seen: Vec<&[u8]> = Vec::new();
                for (from, to) in begun.iter().zip(ends) {
                    let Some(told) = behind_topic(view, *from..to, t.as_bytes()) else { continue };
                    if seen.contains(&told) {
                        let observed = format!("`{}` for two messages that differ", text::visible(told));
                        return Err(Unmet::at(observed, *from));
                    }
                    seen.push(told);
                }
                Ok(())
            })])
            .like(cx, "receive/qos1")
    })
}

/// What a line of this part of the recording has behind a topic.
fn behind_topic<'v>(view: &'v View<'_>, part: Range<usize>, topic: &[u8]) -> Option<&'v [u8]> {
    view.steps.iter().flat_map(|step| &step.serial).find_map(|serial| match serial {
        Serial::Printed { at, item: Item::Line(line), .. } if part.contains(at) => {
            let begins = line.windows(topic.len()).position(|window| window == topic)?;
            Some(&line[begins + topic.len()..])
        }
        _ => None,
    })
}

/// Waits for the last acknowledgement that so many messages of a QoS need.
pub(crate) fn until_acknowledged(qos: u8, messages: usize) -> Option<Step> {
    match qos {
        1 => Some(Wait(Await::FromModule(PacketType::PubAck, messages))),
        2 => Some(Wait(Await::FromModule(PacketType::PubComp, messages))),
        _ => None,
    }
}

/// Messages of these lengths, as far as the document has room for them, printed whole.
fn of_lengths(cx: &Context<'_>, id: &str, asks: &str, cites: &[&str], lengths: &[usize]) -> Case {
    let t = topic(cx, "in");
    let max = cx.profile.behaviour.receive_max;
    let lengths = lengths.iter().filter(|len| max.is_none_or(|max| **len <= max));
    let wanted: Vec<(String, Vec<u8>)> = lengths.map(|len| (t.clone(), letters(*len))).collect();
    let sent = wanted.iter().zip(1..);
    let whole = case(id, asks, cites)
        .steps(then(
            subscribed(cx, &t, 0),
            sent.flat_map(|((topic, payload), n)| {
                [other_publishes(topic, 0, payload.clone()), Wait(Await::Messages(n))]
            }),
        ))
        .expect([printed(wanted.clone())]);
    // Where no document tells the longest, nobody promises any of them.
    if max.is_none() { whole.expect([never_altered(wanted)]).should() } else { whole }
}

/// Whether a message without payload is printed is another case.
fn empty_acknowledged(cx: &Context<'_>) -> Case {
    let t = topic(cx, "in");
    let of = |qos: u8| then(vec![other_publishes(&t, qos, "")], until_acknowledged(qos, 1));
    case(
        "receive/empty-acknowledged",
        "messages without payload are acknowledged like any other",
        &["MQTT-4.3.2-2", "MQTT-4.3.3-2", "MQTT-3.3.4-1"],
    )
    .steps(then(subscribed(cx, &t, 2), then(of(1), of(2))))
    .steps([Quiet])
    .expect([acknowledged(1), acknowledged(2)])
}

/// One message with this payload, printed whole.
fn whole(cx: &Context<'_>, name: &str, asks: &str, payload: &[u8]) -> Case {
    let t = topic(cx, "in");
    case(&format!("receive/{name}"), asks, &[])
        .steps(then(
            subscribed(cx, &t, 1),
            [other_publishes(&t, 1, payload), Wait(Await::Messages(1)), Quiet],
        ))
        .expect([printed(vec![(t, payload.to_vec())])])
}

fn payloads(cx: &Context<'_>) -> Vec<Case> {
    let every: Vec<u8> = (0..=255).collect();
    let mut cases = vec![
        whole(
            cx,
            "looks-like-ok",
            "a payload that reads like a final result code is a payload",
            b"\r\nOK\r\n",
        ),
        whole(
            cx,
            "looks-like-error",
            "a payload that reads like a refusal is a payload",
            b"\r\nERROR\r\n+CME ERROR: 3\r\n",
        ),
        whole(
            cx,
            "looks-like-urc",
            "a payload that reads like a message is a payload",
            &[b"a\r\n", a_message(cx).as_slice(), b"\r\nCLOSED\r\n"].concat(),
        ),
        whole(cx, "looks-like-prompt", "a payload that reads like a prompt is a payload", b"\r\n> \r\n>"),
        whole(
            cx,
            "quotes-and-commas",
            "quotes, commas and backslashes are printed as they are",
            b"\"a\",\"b\\22\",,\\",
        ),
        whole(cx, "nul-inside", "a NUL within a payload does not end it", b"before \0behind it")
            .like(cx, "receive/quotes-and-commas"),
        whole(cx, "quote-inside", "a quote within a payload does not end it", b"before \"behind it")
            .like(cx, "receive/quotes-and-commas"),
        whole(
            cx,
            "conversions",
            "what reads like a conversion of printf is a payload",
            b"100%s %d%% %5.2f %x",
        )
        .like(cx, "receive/quotes-and-commas"),
        whole(cx, "blanks", "blanks at both ends of a payload belong to it", b"  between blanks  ")
            .like(cx, "receive/quotes-and-commas"),
        whole(cx, "every-byte", "all 256 byte values are printed as they came", &every),
        whole(cx, "utf-8", "the declared length counts bytes, not characters", "温度 21 °C".as_bytes()),
        Case {
            // "bytes" is the word of some documents, and none says what it is for one.
            level: if direct(cx).contains("bytes") { Level::Should } else { Level::Must },
            ..whole(cx, "one-byte", "a message of one byte is printed", b"x")
        },
        whole(cx, "empty", "a message without payload is printed with length 0", b""),
    ];
    cases.extend(topics(cx));
    if let Some(max) = cx.profile.behaviour.receive_max {
        cases.push(whole(
            cx,
            "longest",
            &format!("a message of {max} bytes is printed whole"),
            &letters(max),
        ));
        cases.push(whole(
            cx,
            "longest-less-one",
            "a message just shorter than the longest is printed whole",
            &letters(max - 1),
        ));
        let t = topic(cx, "in");
        cases.push(
            case(
                "receive/longer-than-longest",
                "after a message beyond the documented length the next one is printed whole",
                &[],
            )
            .steps(then(
                subscribed(cx, &t, 0),
                [
                    other_publishes(&t, 0, letters(max + 1)),
                    Quiet,
                    Probe,
                    other_publishes(&t, 0, "still here"),
                    // How many messages are printed is not known, so nothing can be waited for.
                    Idle { seconds: 10 },
                ],
            ))
            .expect([last_printed(&t, b"still here")]),
        );
        cases.extend(cut(cx, max));
    }
    cases
}

/// Topics of lengths about which no document says that they are too long.
fn topics(cx: &Context<'_>) -> Vec<Case> {
    let asked = cx.profile.argument("subscribe", "topic").and_then(|a| a.length).map(|(_, max)| max);
    let most = cx.profile.behaviour.receive_topic_max.or(asked);
    let of = |id: &str, asks: &str, topic_of_it: String| {
        let max = most.filter(|max| topic_of_it.len() > *max);
        case(id, asks, &[])
            .steps(then(
                subscribed(cx, &topic(cx, "#"), 0),
                [other_publishes(&topic_of_it, 0, "far away"), Wait(Await::Messages(1))],
            ))
            .expect([
                printed(vec![(topic_of_it.clone(), b"far away".to_vec())]),
                never_altered(vec![(topic_of_it, b"far away".to_vec())]),
            ])
            .unless(max.map(|max| format!("a topic of {} has {max} bytes at most", cx.profile.name)))
    };
    let own = topic(cx, "");
    let padded = |len: usize| format!("{own}{}", "x".repeat(len.saturating_sub(own.len())));
    let mut cases: Vec<Case> = [64, 128]
        .map(|len| {
            let asks = format!("a message on a topic of {len} bytes is printed with its whole topic");
            of(&format!("receive/topic-{len}"), &asks, padded(len))
        })
        .into();
    let long = topic(cx, &"level/".repeat(40));
    cases.push(
        of("receive/long-topic", "a message on a topic of some 250 bytes is printed too", long).should(),
    );
    cases
}

/// Where the document has longer messages cut, exactly so much of them is printed.
fn cut(cx: &Context<'_>, max: usize) -> Vec<Case> {
    let Some(cut) = cx.profile.message.cut else { return Vec::new() };
    let of = |len: usize| {
        let t = topic(cx, "in");
        case(&format!("receive/cut-{len}"), &format!("a message of {len} bytes is printed cut to {cut}"), &[])
            .steps(then(
                subscribed(cx, &t, 1),
                [other_publishes(&t, 1, letters(len)), Wait(Await::Messages(1)), Quiet],
            ))
            .expect([printed(vec![(t, letters(len)[..cut.min(len)].to_vec())])])
    };
    [max + 1, 4096].map(of).into()
}

/// What a message looks like on this module's serial line.
fn a_message(cx: &Context<'_>) -> Vec<u8> {
    let values = [("topic", "x"), ("len", "3"), ("link", "0"), ("payload", "abc")];
    let values = values.map(|(name, value)| (name, value.as_bytes().to_vec())).into();
    cx.profile.message.direct.first().map_or(b"+MSUB: \"x\",3 byte,abc".to_vec(), |form| form.fill(&values))
}

/// The last message printed is this one; what came before is not judged.
fn last_printed(topic: &str, payload: &'static [u8]) -> Expect {
    let topic = topic.to_owned();
    Expect::new(format!("at last the message `{}`", payload.escape_ascii()), move |view| {
        match view.messages.last() {
            Some(m) if m.topic == topic.as_bytes() && m.payload == payload => Ok(()),
            Some(m) => {
                Err(Unmet::at(format!("{} bytes on {}", m.payload.len(), m.topic.escape_ascii()), m.at))
            }
            None => Err(Unmet::missing("no message in the documented form")),
        }
    })
}

/// What the broker may do with packet ids: the same message twice, or an id used again.
fn repetitions(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let raw = |qos: u8, dup: bool, payload: &str| {
        Broker(Command::Inject(encode(&Body::Publish(Publish {
            dup,
            qos,
            retain: false,
            topic: Text::from(t.as_str()),
            id: Some(77),
            payload: payload.as_bytes().to_vec(),
        }))))
    };
    // The case plays the broker's part of these exchanges itself.
    let unheard = |kind: PacketType| Broker(Command::Rule(Rule::from_module(kind, Action::Withhold)));
    vec![
        case(
            "receive/qos2-once",
            "a message of QoS 2 that comes twice before PUBREL is printed once",
            &["MQTT-4.3.3-2", "MQTT-3.3.4-1"],
        )
        .steps(then(
            subscribed(cx, &t, 2),
            [
                unheard(PacketType::PubRec),
                unheard(PacketType::PubComp),
                raw(2, false, "exactly once"),
                Wait(Await::FromModule(PacketType::PubRec, 1)),
                raw(2, true, "exactly once"),
                Wait(Await::FromModule(PacketType::PubRec, 2)),
                Broker(Command::Inject(encode(&Body::PubRel(Ack { id: 77 })))),
                Wait(Await::FromModule(PacketType::PubComp, 1)),
                Wait(Await::Messages(1)),
                Quiet,
            ],
        ))
        .expect([
            printed(vec![(t.clone(), b"exactly once".to_vec())]),
            count(PacketType::PubRec, 2),
            count(PacketType::PubComp, 1),
        ]),
        case(
            "receive/qos2-id-again",
            "a packet id that comes again after PUBCOMP brings a new message",
            &["MQTT-4.3.3-2"],
        )
        .steps(then(subscribed(cx, &t, 2), [unheard(PacketType::PubRec), unheard(PacketType::PubComp)]))
        .steps((1..=2).flat_map(|n| {
            [
                raw(2, false, if n == 1 { "the first" } else { "the second" }),
                Wait(Await::FromModule(PacketType::PubRec, n)),
                Broker(Command::Inject(encode(&Body::PubRel(Ack { id: 77 })))),
                Wait(Await::FromModule(PacketType::PubComp, n)),
            ]
        }))
        .steps([Wait(Await::Messages(2))])
        .expect([printed(vec![(t.clone(), b"the first".to_vec()), (t.clone(), b"the second".to_vec())])]),
        case(
            "receive/qos1-id-again",
            "a packet id that comes again after PUBACK brings a new message",
            &["MQTT-4.3.2-2"],
        )
        .steps(then(
            subscribed(cx, &t, 1),
            [
                unheard(PacketType::PubAck),
                raw(1, false, "the first"),
                Wait(Await::FromModule(PacketType::PubAck, 1)),
                raw(1, false, "the second"),
                Wait(Await::FromModule(PacketType::PubAck, 2)),
                raw(1, true, "the third, with DUP"),
                Wait(Await::FromModule(PacketType::PubAck, 3)),
                Wait(Await::Messages(3)),
            ],
        ))
        .expect([
            printed(vec![
                (t.clone(), b"the first".to_vec()),
                (t.clone(), b"the second".to_vec()),
                (t.clone(), b"the third, with DUP".to_vec()),
            ]),
            count(PacketType::PubAck, 3),
        ]),
    ]
}

fn sequences(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "in");
    let numbered = |n: usize| format!("message {n} of the burst");
    let expected = |n: usize| (1..=n).map(|i| (t.clone(), numbered(i).into_bytes())).collect::<Vec<_>>();
    let burst = |n: usize, qos: u8| (1..=n).map(move |i| (i, qos));
    let steps = |n: usize, qos: u8| {
        burst(n, qos).map(|(i, qos)| other_publishes(&t, qos, numbered(i))).collect::<Vec<_>>()
    };
    vec![
        case("receive/five", "five messages in a row are printed, each once and in order", &[])
            .steps(then(subscribed(cx, &t, 0), steps(5, 0)))
            .steps([Wait(Await::Messages(5)), Quiet])
            .expect([printed(expected(5))]),
        of_lengths(
            cx,
            "receive/buffer-lengths",
            "messages of lengths around the sizes that buffers have are printed whole",
            &[],
            &BUFFERS,
        ),
        of_lengths(
            cx,
            "receive/remaining-length",
            "messages about the length whose encoding takes a second byte are printed whole",
            &["MQTT-2.2.3"],
            &[126, 127, 128, 129].map(|remaining: usize| remaining.saturating_sub(2 + t.len())),
        ),
        empty_acknowledged(cx),
        case("receive/lengths", "messages of every length from 2 to 65 bytes are printed whole", &[])
            .steps(then(
                subscribed(cx, &t, 0),
                (1..=64).flat_map(|n| [other_publishes(&t, 0, letters(n + 1)), Wait(Await::Messages(n))]),
            ))
            .expect([printed((2..=65).map(|n| (t.clone(), letters(n))).collect())]),
        case(
            "receive/burst",
            "a burst of 30 messages of QoS 1 is printed and acknowledged, in order",
            &["MQTT-4.6.0-2", "MQTT-4.3.2-2", "MQTT-3.3.4-1", "MQTT-2.3.1-6"],
        )
        .steps(then(subscribed(cx, &t, 1), steps(30, 1)))
        .steps([Wait(Await::Messages(30))])
        .steps(until_acknowledged(1, 30))
        .steps([Quiet])
        .expect([printed(expected(30)), acknowledged(1), in_order(PacketType::PubAck)]),
        case(
            "receive/burst-qos2",
            "messages of QoS 2 in a row are printed once each, in order",
            &["MQTT-4.6.0-3", "MQTT-4.3.3-2", "MQTT-3.3.4-1", "MQTT-2.3.1-6"],
        )
        .steps(then(subscribed(cx, &t, 2), steps(10, 2)))
        .steps([Wait(Await::Messages(10))])
        .steps(until_acknowledged(2, 10))
        .steps([Quiet])
        .expect([printed(expected(10)), acknowledged(2), in_order(PacketType::PubRec)]),
        case("receive/long-then-short", "a short message after a long one has no tail of it", &[])
            .steps(then(
                subscribed(cx, &t, 0),
                [
                    other_publishes(&t, 0, letters(300)),
                    other_publishes(&t, 0, "short"),
                    Wait(Await::Messages(2)),
                ],
            ))
            .expect([printed(vec![(t.clone(), letters(300)), (t.clone(), b"short".to_vec())])]),
        case("receive/own", "a module subscribed to what it publishes receives its own message", &[])
            .steps(then(
                subscribed(cx, &t, 0),
                [Check(send(cx, &t, 0, "to myself")), Wait(Await::Messages(1))],
            ))
            .expect([printed(vec![(t.clone(), b"to myself".to_vec())])]),
        during_commands(cx),
        after_data(cx),
    ]
}

/// The form of a message in the document.
fn direct<'p>(cx: &Context<'p>) -> &'p str {
    cx.profile.message.direct.first().map_or("", |form| form.source())
}

/// Messages between commands; where they are framed they read like answers.
fn during_commands(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out"));
    let [first, second] = if cx.profile.message.any { ["one", "another"] } else { ["OK", "ERROR"] };
    case("receive/during-commands", "messages that arrive during commands disturb neither", &[])
        .steps(then(
            subscribed(cx, &t, 0),
            [
                other_publishes(&t, 0, first),
                Check(send(cx, &out, 1, "first")),
                other_publishes(&t, 0, second),
                Check(send(cx, &out, 1, "second")),
                Wait(Await::Messages(2)),
            ],
        ))
        .expect([
            printed(vec![(t.clone(), first.into()), (t.clone(), second.into())]),
            publications(vec![sent(&out, 1, "first"), sent(&out, 1, "second")]),
        ])
}

/// A prompt has a buffer of its own for topic and data; what the module remembers of its subscriptions is none of it.
fn after_data(cx: &Context<'_>) -> Case {
    let (t, out) = (topic(cx, "in"), topic(cx, "out/of/another/length"));
    case("receive/after-data", "a message after a publication by prompt has its own topic and payload", &[])
        .steps(then(
            subscribed(cx, &t, 0),
            [
                Check(publish_data(&out, 1, letters(200))),
                other_publishes(&t, 0, "its-own"),
                Wait(Await::Messages(1)),
            ],
        ))
        .expect([printed(vec![(t, b"its-own".to_vec())])])
}

/// Acknowledgements of the type in the order in which the messages came.
fn in_order(kind: PacketType) -> Expect {
    Expect::new(format!("{kind} in the order of the messages"), move |view| {
        let came: Vec<u16> = view.to_module(PacketType::Publish).filter_map(|p| p.packet.id()).collect();
        let answered: Vec<&WirePacket> = view.from_module(kind).collect();
        let wrong = answered.iter().zip(&came).find(|(p, id)| p.packet.id() != Some(**id));
        match wrong {
            Some((p, id)) => Err(Unmet::at(format!("{} where id {id} was due", p.packet), p.at)),
            None => Ok(()),
        }
    })
}
