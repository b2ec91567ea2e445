//! Publications whose payload stands in the command.

use atspec_model::{
    case::{Await, Case, Context, Expect},
    mqtt::{Body, PacketType},
    partner::{Action, Command, Rule},
    text,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = wire(cx);
    cases.extend(escapes(cx));
    cases.extend(plain_payloads(cx));
    cases.extend(spelled(cx));
    cases.extend(acknowledgements(cx, "publish", publish));
    cases
}

/// Every documented spelling of the command sends the same PUBLISH. The usual one is that of all other cases.
fn spelled(cx: &Context<'_>) -> impl Iterator<Item = Case> {
    let t = topic(cx, "out");
    (1..spellings(cx, "publish")).map(move |spelling| {
        let id = format!("publish/spelling-{}", spelling + 1);
        case(&id, "another documented spelling of the command sends the same PUBLISH", &[])
            .should()
            .steps(then(connected(cx), [Check(publish(&t, 1, "987654321").spelled(spelling))]))
            .expect([publications(vec![sent(&t, 1, "987654321")])])
    })
}

/// Payloads that make the remaining length of a PUBLISH of QoS 1 126 to 129: from 128 on it takes two bytes (2.2.3); and such whose
/// first byte counts nothing.
fn about_two_bytes(topic: &str) -> [Vec<u8>; 5] {
    let head = 2 + topic.len() + 2;
    [126, 127, 128, 129, 256].map(|remaining: usize| letters(remaining.saturating_sub(head)))
}

/// Where no document promises payloads of that length they may be refused, but not sent as packets that are none.
fn remaining_length(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    let payloads = about_two_bytes(&t);
    let longest = longest_payload(cx, "publish").or(cx.profile.behaviour.command_max);
    let promised = longest.is_some_and(|max| max >= 200);
    let step = |payload: &Vec<u8>| {
        let op = publish(&t, 1, payload);
        if promised { Check(op) } else { Try(op) }
    };
    let all = publications(payloads.iter().map(|payload| sent(&t, 1, payload)).collect());
    case(
        "publish/remaining-length",
        "packets about the length whose encoding takes a second byte arrive whole",
        &["MQTT-2.2.3"],
    )
    .steps(then(connected(cx), payloads.iter().map(step)))
    .expect(promised.then_some(all))
}

/// Every length of a packet up to two buffers of 64 bytes.
fn lengths(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    let all = || (2..=130).map(|len| sent(&t, 0, letters(len)));
    case("publish/lengths", "payloads of every length from 2 to 130 bytes arrive whole", &["MQTT-4.3.1-1"])
        .steps(then(connected(cx), all().map(|one| Check(publish(&t, 0, one.payload)))))
        .steps([Wait(Await::FromModule(PacketType::Publish, all().count())), Quiet])
        .expect([publications(all().collect())])
        .like(cx, "publish/long-then-short")
}

/// No document promises that a payload of no bytes is taken; what is published then has none, and all the rest of it.
fn empty(cx: &Context<'_>) -> Case {
    let wanted: Vec<Sent> = [(1, true), (0, true), (2, false), (1, false)]
        .into_iter()
        .zip(1..)
        .map(|((qos, retain), n)| Sent { retain, ..sent(&topic(cx, &format!("empty/{n}")), qos, "") })
        .collect();
    let op = |one: &Sent| publish(&one.topic, one.qos, "").with("retain", if one.retain { "1" } else { "0" });
    case(
        "publish/empty",
        "a publication without payload is refused, or has its QoS, RETAIN and packet id",
        &["MQTT-2.3.1-1", "MQTT-2.3.1-5"],
    )
    .steps(then(connected(cx), wanted.iter().map(|one| Try(op(one)))))
    .steps([Quiet, Probe])
    .expect([Expect::new("each PUBLISH as commanded", move |view| {
        let seen = view.from_module(PacketType::Publish).filter_map(|p| Some((p, p.packet.as_publish()?)));
        let about =
            |topic: &[u8]| wanted.iter().find(|one| one.topic.as_bytes() == topic).unwrap_or(&wanted[0]);
        let mut each = seen.map(|(packet, publish)| (packet, publish, about(publish.topic.as_bytes())));
        match each.find(|(_, publish, wanted)| !wanted.is(publish)) {
            Some((packet, publish, wanted)) => Err(wanted.unmet(view, packet, publish)),
            None => Ok(()),
        }
    })])
    .like(cx, "publish/qos1")
}

fn wire(cx: &Context<'_>) -> Vec<Case> {
    // Where no length is documented none beyond the ordinary is promised.
    let long = if longest_payload(cx, "publish").is_some() { 200 } else { 100 };
    let t = topic(cx, "out");
    let retained = |qos: u8, retain: bool| Sent { retain, ..sent(&t, qos, "kept") };
    let mut cases = vec![
        case(
            "publish/qos0",
            "QoS 0 is answered by the final result code alone and sends one PUBLISH",
            &["MQTT-4.3.1-1", "MQTT-2.3.1-5"],
        )
        .steps(then(
            connected(cx),
            [
                Check(publish(&t, 0, "data from 4G module")),
                Wait(Await::FromModule(PacketType::Publish, 1)),
                Quiet,
            ],
        ))
        .expect([publications(vec![sent(&t, 0, "data from 4G module")])]),
        case("publish/qos1", "QoS 1 succeeds with the broker's PUBACK", &["MQTT-4.3.2-1", "MQTT-2.3.1-1"])
            .steps(then(connected(cx), [Check(publish(&t, 1, "once at least"))]))
            .expect([publications(vec![sent(&t, 1, "once at least")])]),
        case(
            "publish/qos2",
            "QoS 2 succeeds with the whole handshake",
            &["MQTT-4.3.3-1", "MQTT-3.6.1-1", "MQTT-2.2.2-1"],
        )
        .steps(then(connected(cx), [Check(publish(&t, 2, "exactly once"))]))
        .expect([
            publications(vec![sent(&t, 2, "exactly once")]),
            some(PacketType::PubRel, "for the PUBREC", |body| matches!(body, Body::PubRel(_))),
        ]),
        case(
            "publish/in-order",
            "publications go out in the order of their commands, each once",
            &["MQTT-2.3.1-2"],
        )
        .steps(then(connected(cx), (1..=5).map(|n| Check(publish(&t, 1, format!("number {n}"))))))
        .expect([publications((1..=5).map(|n| sent(&t, 1, format!("number {n}"))).collect())]),
        case(
            "publish/ids-in-flight",
            "a publication takes a packet id that is not in use while another waits for its PUBACK",
            &["MQTT-2.3.1-2", "MQTT-4.3.2-1"],
        )
        .steps(then(
            connected(cx),
            [
                Broker(Command::Rule(Rule::to_module(PacketType::PubAck, Action::Withhold))),
                NoSuccess(publish(&t, 1, "first in flight")),
                NoSuccess(publish(&t, 1, "second in flight")),
            ],
        ))
        .expect([in_flight(vec![sent(&t, 1, "first in flight"), sent(&t, 1, "second in flight")])]),
        case(
            "publish/many",
            "publishing goes on beyond 256 publications of QoS 1",
            &["MQTT-2.3.1-1", "MQTT-2.3.1-2"],
        )
        .steps(then(connected(cx), (1..=300).map(|n| Check(publish(&t, 1, n.to_string())))))
        .expect([publications((1..=300).map(|n| sent(&t, 1, n.to_string())).collect())]),
        case("publish/long-then-short", "a short payload after a long one has no tail of it", &[])
            .steps(then(
                connected(cx),
                [letters(long), b"short".to_vec(), b"x".to_vec()]
                    .map(|payload| Check(publish(&t, 1, payload))),
            ))
            .expect([publications(vec![sent(&t, 1, letters(long)), sent(&t, 1, "short"), sent(&t, 1, "x")])]),
        remaining_length(cx),
        lengths(cx),
        empty(cx),
        case("publish/topics", "the topic stands in PUBLISH as given", &["MQTT-3.3.2-1"])
            .steps(then(connected(cx), names(cx).into_iter().map(|t| Check(publish(&t, 1, "here")))))
            .expect([publications(names(cx).iter().map(|t| sent(t, 1, "here")).collect())]),
    ];
    for (qos, retain) in [(0, true), (1, true), (2, true), (1, false)] {
        cases.push(
            case(
                &format!("publish/retain-{}-qos{qos}", u8::from(retain)),
                &format!("the RETAIN flag is {} as commanded", u8::from(retain)),
                if qos == 0 { &["MQTT-2.3.1-5"] } else { &[] },
            )
            .steps(then(
                connected(cx),
                [
                    Check(publish(&t, qos, "kept").with("retain", if retain { "1" } else { "0" })),
                    Wait(Await::FromModule(PacketType::Publish, 1)),
                ],
            ))
            .expect([publications(vec![retained(qos, retain)])])
            // What a document says of the flag it says of no QoS.
            .like(cx, if qos == 2 { "publish/retain-1-qos1" } else { "" }),
        );
    }
    cases
}

/// A module may refuse a second publication while one waits, or keep it back: then nothing is in flight beside the first.
fn in_flight(wanted: Vec<Sent>) -> Expect {
    Expect::new(format!("up to {} PUBLISH in flight, in order, each byte-exact", wanted.len()), move |view| {
        let seen = view.from_module(PacketType::Publish).filter_map(|p| p.packet.as_publish());
        let count = seen.filter(|publish| !publish.dup).count().clamp(1, wanted.len());
        (publications(wanted[..count].to_vec()).check)(view)
    })
}

/// Topics of several lengths and levels.
fn names(cx: &Context<'_>) -> Vec<String> {
    let long = String::from_utf8(letters(24)).expect("letters");
    let mut names: Vec<String> =
        ["a", "a/b/c/d", "with.dots-and_more:1", &long].map(|name| topic(cx, name)).into();
    names.push(format!("/{}", topic(cx, "leading-slash")));
    names.push(topic(cx, "trailing-slash/"));
    names.push("x".to_owned());
    names
}

/// Each documented escape alone, all together, and text that looks like an escape.
fn escapes(cx: &Context<'_>) -> Vec<Case> {
    let table = &cx.profile.escapes.table;
    let t = topic(cx, "out");
    let of = |name: String, asks: String, payload: Vec<u8>| {
        case(&name, &asks, &[])
            .steps(then(connected(cx), [Check(publish(&t, 1, &payload))]))
            .expect([publications(vec![sent(&t, 1, payload)])])
    };
    let mut cases: Vec<Case> = table
        .iter()
        .map(|(byte, written)| {
            let (byte, written) = (*byte, text::visible(written).replace("\\\\", "\\"));
            let mut payload = vec![byte, b'a', byte, byte, b'z'];
            payload.push(byte);
            of(
                format!("publish/escape-{byte:02x}"),
                format!("`{written}` in the payload is the byte {byte:#04x}, first, last and in the middle"),
                payload,
            )
        })
        .collect();
    if !table.is_empty() {
        let all: Vec<u8> = table.iter().flat_map(|(byte, _)| [b'x', *byte]).chain(*b"end").collect();
        cases.push(of(
            "publish/escapes-together".into(),
            "all documented escapes work in one payload".into(),
            all,
        ));
        cases.extend(late_escapes(cx));
        // The raw bytes of an escape as payload: its own first byte is escaped when it is sent, and decoded once.
        let once: Vec<u8> = table.iter().flat_map(|(_, written)| written.clone()).collect();
        let escapable =
            table.iter().any(|(byte, _)| table.iter().all(|(_, written)| written.first() == Some(byte)));
        if escapable {
            cases.push(of(
                "publish/escapes-once".into(),
                "an escape is decoded once, not twice".into(),
                once,
            ));
        }
    }
    cases
}

/// Escapes all along a payload as long as the document allows.
fn late_escapes(cx: &Context<'_>) -> Option<Case> {
    let table = &cx.profile.escapes.table;
    let longest = longest_payload(cx, "publish")?;
    // Escaped, a byte takes several characters; whether these count is not stated (X77).
    let written = table.iter().map(|(_, written)| written.len()).max()?;
    let room = longest * 9 / 10;
    let bytes: Vec<u8> = table.iter().map(|(byte, _)| *byte).collect();
    let every = 40;
    let mut payload = letters(room * every / (every + written));
    for (n, place) in payload.iter_mut().skip(every / 2).step_by(every).enumerate() {
        *place = bytes[n % bytes.len()];
    }
    let t = topic(cx, "out");
    let asks = format!("escapes are decoded all along a payload of {} bytes", payload.len());
    Some(
        case("publish/escapes-late", &asks, &[])
            .steps(then(connected(cx), [Check(publish(&t, 1, &payload))]))
            .expect([publications(vec![sent(&t, 1, payload)])])
            .like(cx, "publish/escapes-together"),
    )
}

/// Payloads that a parser may trip over although they need no escape.
fn plain_payloads(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    // Without quotes a semicolon may begin another command (V.250 5.2.1), and blanks at the ends may be dropped.
    let framed = quoted(cx, "publish", "payload");
    let plain = |payload: &str| if framed { payload.to_owned() } else { payload.replace(';', "") };
    let unframed = |name: &str| {
        (name == "blanks" && !framed).then(|| {
            format!(
                "{} takes the payload without quotes, so blanks at its ends are nobody's",
                cx.profile.name
            )
        })
    };
    // Behind a backslash two digits are an escape in documents of the same family: without a word of it they may be one.
    let escapes = !cx.profile.escapes.table.is_empty();
    let backslashes = if escapes { r"C:\new\table\22\5C" } else { r"C:\new\table" };
    let payloads: [(&str, &str, &str); 9] = [
        ("backslashes", "backslashes stay as they are", backslashes),
        ("conversions", "what reads like a conversion of printf is a payload", "100%s %d%% %5.2f %x"),
        ("comma", "commas in a quoted payload belong to it", "one,two,,three,"),
        ("blanks", "blanks at both ends of a quoted payload belong to it", "  between blanks  "),
        ("digits", "a payload of digits is text", "0123456789"),
        ("looks-like-ok", "a payload that reads like a final result code is a payload", "OK"),
        ("looks-like-error", "a payload that reads like a refusal is a payload", "ERROR"),
        ("looks-like-command", "a payload that reads like a command is a payload", "AT+MIPCLOSE;+++ATH"),
        ("punctuation", "printable characters stay as they are", "!#$%&'()*+-./ :;<=?>  @[]^_`{|}~"),
    ];
    payloads
        .into_iter()
        .map(|(name, asks, payload)| {
            let payload = plain(payload);
            case(&format!("publish/{name}"), asks, &[])
                .steps(then(connected(cx), [Check(publish(&t, 1, &payload))]))
                .expect([publications(vec![sent(&t, 1, payload)])])
                .like(
                    cx,
                    if ["backslashes", "conversions"].contains(&name) { "publish/punctuation" } else { "" },
                )
                .unless(unframed(name))
        })
        .collect()
}

/// The statement that has a publication unacknowledged until its handshake is over.
fn handshake(qos: u8) -> &'static [&'static str] {
    if qos == 1 { &["MQTT-4.3.2-1"] } else { &["MQTT-4.3.3-1"] }
}

/// Success follows the acknowledgement, for either way of publishing.
pub(crate) fn acknowledgements(
    cx: &Context<'_>,
    suite: &'static str,
    publish: fn(&str, u8, &'static str) -> atspec_model::case::Op,
) -> Vec<Case> {
    let t = topic(cx, "out");
    let held = |name: &str, packet: PacketType, qos: u8| {
        case(
            &format!("{suite}/held-{name}"),
            &format!("success of QoS {qos} is not reported while {packet} is held back, and is soon after"),
            handshake(qos),
        )
        .steps(then(connected(cx), [Held { packet, op: publish(&t, qos, "held back") }]))
        .expect([publications(vec![sent(&t, qos, "held back")])])
    };
    let withheld = |name: &str, packet: PacketType, qos: u8| {
        case(
            &format!("{suite}/no-{name}"),
            &format!("success of QoS {qos} is not reported where {packet} never comes"),
            handshake(qos),
        )
        .steps(then(
            connected(cx),
            [
                Broker(Command::Rule(Rule::to_module(packet, Action::Withhold))),
                NoSuccess(publish(&t, qos, "never acknowledged")),
            ],
        ))
        .steps(until_given_up(cx, suite, qos))
        .expect([publications(vec![sent(&t, qos, "never acknowledged")]), never_told(cx, suite, qos)])
    };
    let foreign = case(
        &format!("{suite}/puback-of-another"),
        "success is not reported for the PUBACK of another packet id",
        handshake(1),
    )
    .steps(then(
        connected(cx),
        [
            Broker(Command::Rule(Rule::to_module(PacketType::PubAck, Action::Id(54_321)))),
            NoSuccess(publish(&t, 1, "answered for another")),
        ],
    ));
    vec![
        foreign,
        held("puback", PacketType::PubAck, 1),
        held("pubrec", PacketType::PubRec, 2),
        held("pubcomp", PacketType::PubComp, 2),
        withheld("puback", PacketType::PubAck, 1),
        withheld("pubrec", PacketType::PubRec, 2),
        withheld("pubcomp", PacketType::PubComp, 2),
    ]
}
