//! Publications whose payload follows a prompt: every byte value passes.

use atspec_model::{
    case::{Await, Case, Context},
    mqtt::{Body, PacketType},
};

use crate::{campaign::misfit, publish::acknowledgements, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    let long = longest_payload(cx, "publish-data").map_or(1000, |max| max.min(1000));
    let arrives = |name: &str, asks: &str, payload: Vec<u8>| {
        case(&format!("publish-data/{name}"), asks, &[])
            .steps(then(connected(cx), [Check(publish_data(&t, 1, &payload))]))
            .expect([publications(vec![sent(&t, 1, payload)])])
    };
    let mut cases = vec![
        case(
            "publish-data/qos0",
            "QoS 0 is answered by the final result code and sends one PUBLISH",
            &["MQTT-4.3.1-1", "MQTT-2.3.1-5"],
        )
        .steps(then(
            connected(cx),
            [Check(publish_data(&t, 0, "after the prompt")), Wait(Await::FromModule(PacketType::Publish, 1))],
        ))
        .expect([publications(vec![sent(&t, 0, "after the prompt")])]),
        case("publish-data/qos1", "QoS 1 succeeds with the broker's PUBACK", &["MQTT-4.3.2-1"])
            .steps(then(connected(cx), [Check(publish_data(&t, 1, "after the prompt"))]))
            .expect([publications(vec![sent(&t, 1, "after the prompt")])]),
        case("publish-data/qos2", "QoS 2 succeeds with the whole handshake", &["MQTT-4.3.3-1"])
            .steps(then(connected(cx), [Check(publish_data(&t, 2, "after the prompt"))]))
            .expect([publications(vec![sent(&t, 2, "after the prompt")])]),
        case("publish-data/retain", "the RETAIN flag is as commanded", &[])
            .steps(then(connected(cx), [Check(publish_data(&t, 1, "kept").with("retain", "1"))]))
            .expect([publications(vec![Sent { retain: true, ..sent(&t, 1, "kept") }])]),
        arrives(
            "every-byte",
            "all 256 byte values arrive as they were sent",
            framed(&(0..=255).collect::<Vec<u8>>()),
        ),
        arrives(
            "most-bytes",
            "all byte values but Ctrl-Z and ESC arrive as they were sent",
            (0..=255).filter(|byte| ![0x1a, 0x1b].contains(byte)).collect(),
        )
        .like(cx, "publish-data/every-byte"),
        arrives(
            "looks-like-at",
            "data that read like AT traffic are data",
            b"x\r\nOK\r\nERROR\r\n>\r\nAT+MIPCLOSE\r\n".to_vec(),
        ),
        arrives("line-end-first", "a line end in front of the data is data", b"\r\nbehind it".to_vec()),
        arrives("in-quotes", "quotes around the data are data", b"\"in quotes\"".to_vec()),
        arrives("nul-first", "NUL in front of the data is data", b"\0\0behind".to_vec()),
        arrives("plus", "+++ in the data is data", b"a+++b\r\n+++".to_vec()),
        arrives(
            "escapes-are-data",
            "what is an escape in a command is plain data after the prompt",
            b"a\\22b\\0Dc\\5Cd".to_vec(),
        ),
        case("publish-data/long-then-short", "short data after long ones have no tail of them", &[])
            .steps(then(
                connected(cx),
                [Check(publish_data(&t, 1, letters(long))), Check(publish_data(&t, 1, "x"))],
            ))
            .expect([publications(vec![sent(&t, 1, letters(long)), sent(&t, 1, "x")])]),
    ];
    let special: [(&str, &str, u8); 7] = [
        ("nul", "NUL", 0x00),
        ("ctrl-z", "0x1A (Ctrl-Z)", 0x1a),
        ("esc", "0x1B (ESC)", 0x1b),
        ("quote", "the double quote", b'"'),
        ("cr", "CR", b'\r'),
        ("lf", "LF", b'\n'),
        ("high", "0xFF", 0xff),
    ];
    for (name, words, byte) in special {
        let payload = vec![b'a', byte, b'b', byte, byte, b'c', byte];
        cases.push(arrives(
            &format!("byte-{name}"),
            &format!("{words} in the data is data, also as the last byte"),
            payload,
        ));
    }
    cases.extend(acknowledgements(cx, "publish-data", publish_data));
    cases.extend(misfits(cx));
    cases
}

/// Data that are not of their declared length: what becomes of them is in no document, what the length means is.
fn misfits(cx: &Context<'_>) -> Vec<Case> {
    let of = |name: &str, asks: &str, declared: usize, data: Vec<u8>| {
        let mut one = misfit::publication("publish-data", declared, &data);
        one.topic = topic(cx, "out").as_bytes().into();
        let connected = connected(cx);
        let op = publish_data(&topic(cx, "out"), 1, &data).with("len", declared.to_string());
        let step = connected.len();
        misfit::is_misfit(cx, &one).then(|| {
            case(&format!("publish-data/{name}"), asks, &[])
                .steps(then(connected, misfit::steps(&one, op)))
                .expect([misfit::on_the_wire(cx, step, &one)])
        })
    };
    let fewer = of(
        "fewer-bytes",
        "while data are missing nothing is published, and the port answers once all have come",
        40,
        letters(10),
    );
    let more = of(
        "more-bytes",
        "what comes behind the last byte of data is no data, and the port answers afterwards",
        10,
        [letters(10), b"surplus".to_vec()].concat(),
    );
    fewer.into_iter().chain(more).chain(no_data(cx)).collect()
}

/// Where the range of lengths does not exclude 0: no data are awaited then, whatever becomes of the command.
fn no_data(cx: &Context<'_>) -> Option<Case> {
    let range = cx.profile.argument("publish-data", "len").and_then(|argument| argument.range);
    let open = cx.profile.takes("publish-data", "len") && range.is_none_or(|(min, _)| min <= 0);
    let out = topic(cx, "out");
    open.then(|| {
        case(
            "publish-data/no-bytes",
            "a length of 0 is refused or publishes nothing, and the port answers",
            &[],
        )
        .steps(then(connected(cx), [Beyond(publish_data(&out, 1, "")), Do(send(cx, &out, 1, "still here"))]))
        .expect([some(
            PacketType::Publish,
            "with what is published then",
            |body| matches!(body, Body::Publish(publish) if publish.payload == b"still here"),
        )])
    })
}

/// A letter before and behind, so that losing the first or last byte shows.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [b"a".as_slice(), bytes, b"z"].concat()
}
