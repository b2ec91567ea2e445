//! Control packets, good and bad, the same in every run.

use atspec_model::{
    mqtt::{
        Ack, Body, ConnAck, Connect, Publish, SubAck, Subscribe, Text, Unsubscribe, Will, encode,
        encode_with_flags,
    },
    timeline::Side,
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::dissector::Sample;

/// So many packets: half of them well-formed, half of them spoiled in one way or another.
pub(crate) fn packets(count: usize) -> Vec<Sample> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let good = body(name().boxed(), filter().boxed(), text().boxed(), 1).prop_map(|body| encode(&body));
    let (good, bad) = (good.boxed(), spoiled().boxed());
    let mut draw =
        |from: &BoxedStrategy<Vec<u8>>| from.new_tree(&mut runner).expect("nothing is rejected").current();
    let packets = (0..count).map(|n| draw(if n % 2 == 0 { &good } else { &bad }));
    let sample = |(n, raw): (usize, Vec<u8>)| Sample {
        what: format!("generated packet {n}"),
        raw,
        conversation: u32::try_from(n).expect("few"),
        from: Side::Module,
    };
    packets.enumerate().map(sample).collect()
}

/// What is done to the bytes of a packet.
#[derive(Debug, Clone)]
enum Damage {
    None,
    Flags(u8),
    /// The types 0 and 15 do not exist.
    Reserved(bool),
    FlipBit(prop::sample::Index, u8),
    /// Ends early, Remaining Length as it was.
    Cut(prop::sample::Index),
    /// Ends early, Remaining Length as it then is.
    Short(prop::sample::Index),
    /// Bytes behind the last field.
    Longer(Vec<u8>),
    /// Bytes behind the packet.
    Behind(Vec<u8>),
    /// Remaining Length in more bytes than it needs, up to five.
    LongLength(usize),
}

fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        3 => Just(Damage::None),
        2 => (0..16_u8).prop_map(Damage::Flags),
        1 => any::<bool>().prop_map(Damage::Reserved),
        3 => (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        2 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        3 => any::<prop::sample::Index>().prop_map(Damage::Short),
        2 => prop::collection::vec(any::<u8>(), 1..8).prop_map(Damage::Longer),
        1 => prop::collection::vec(any::<u8>(), 1..8).prop_map(Damage::Behind),
        1 => (1..5_usize).prop_map(Damage::LongLength),
    ];
    (body(odd(), odd(), odd(), 0), damage).prop_map(|(body, damage)| damaged(&body, damage))
}

fn damaged(body: &Body, damage: Damage) -> Vec<u8> {
    let mut raw = encode(body);
    let head = 1 + raw.iter().skip(1).take_while(|b| **b & 0x80 != 0).count() + 1;
    match damage {
        Damage::None => raw,
        Damage::Flags(flags) => encode_with_flags(body, flags),
        Damage::Reserved(high) => {
            raw[0] = raw[0] & 0x0f | if high { 0xf0 } else { 0 };
            raw
        }
        Damage::FlipBit(at, bit) => {
            let at = at.index(raw.len());
            raw[at] ^= 1 << bit;
            raw
        }
        Damage::Cut(at) => {
            raw.truncate(1 + at.index(raw.len()));
            raw
        }
        Damage::Short(at) => {
            let body = &raw[head..];
            with_length(raw[0], &body[..at.index(body.len() + 1)], 0)
        }
        Damage::Longer(more) => with_length(raw[0], &[&raw[head..], &more].concat(), 0),
        Damage::Behind(more) => [raw, more].concat(),
        Damage::LongLength(more) => with_length(raw[0], &raw[head..], more),
    }
}

/// A packet whose Remaining Length is written in `more` bytes more than it needs.
fn with_length(first: u8, body: &[u8], more: usize) -> Vec<u8> {
    let mut raw = vec![first];
    let mut length = body.len();
    loop {
        let byte = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        raw.push(if length > 0 || more > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    raw.extend((0..more).map(|n| if n + 1 < more { 0x80 } else { 0 }));
    raw.extend(body);
    raw
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        6 => "[a-zA-Z0-9]{0,23}",
        2 => "[ -~]{0,60}",
        1 => "\\PC{0,20}",
    ]
    .prop_map(|text: String| Text::from(text.as_str()))
}

/// A topic name.
fn name() -> impl Strategy<Value = Text> {
    prop_oneof![
        6 => "[a-z0-9]{1,8}(/[a-z0-9]{0,8}){0,4}",
        1 => "[ -\"$-*,-~]{1,40}",
        1 => "[a-z温度é€]{1,12}",
        1 => "[a-z]{130,300}",
    ]
    .prop_map(|text: String| Text::from(text.as_str()))
}

fn filter() -> impl Strategy<Value = Text> {
    prop_oneof![
        3 => name(),
        1 => "(\\+/){0,2}[a-z]{1,5}(/\\+){0,2}(/#)?".prop_map(|text: String| Text::from(text.as_str())),
    ]
}

/// Text that may be anything.
fn odd() -> BoxedStrategy<Text> {
    prop_oneof![
        4 => name(),
        1 => filter(),
        1 => Just(Text::default()),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Text),
        1 => "[a-c+#/]{1,6}".prop_map(|text: String| Text::from(text.as_str())),
        1 => "[a-c\\x00]{1,5}".prop_map(|text: String| Text::from(text.as_str())),
        1 => Just(Text(b"a\xed\xa0\x80".to_vec())),
    ]
    .boxed()
}

/// The fields of a packet of any type, with topics and texts of these kinds, and identifiers from `lowest` on; with 0 the
/// other fields may be wrong as well.
fn body(
    topic: BoxedStrategy<Text>,
    filter: BoxedStrategy<Text>,
    text: BoxedStrategy<Text>,
    lowest: u16,
) -> impl Strategy<Value = Body> {
    let odd = lowest == 0;
    let id = if odd { prop_oneof![1 => Just(0), 3 => any::<u16>()].boxed() } else { (1..=u16::MAX).boxed() };
    let ack = id.clone().prop_map(|id| Ack { id });
    let qos = if odd { (0..4_u8).boxed() } else { (0..3_u8).boxed() };
    let code = if odd { any::<u8>().boxed() } else { prop_oneof![0..3_u8, Just(0x80)].boxed() };
    let filters = prop::collection::vec((filter, qos.clone()), usize::from(!odd)..4);
    let codes = prop::collection::vec(code, usize::from(!odd)..4);
    let payload = prop_oneof![
        5 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 100..400),
    ];
    let publish = (topic.clone(), id.clone(), qos.clone(), payload.clone(), any::<[bool; 2]>()).prop_map(
        move |(topic, id, qos, payload, [dup, retain])| Publish {
            dup: dup && (odd || qos > 0),
            qos,
            retain,
            topic,
            id: (qos > 0).then_some(id),
            payload,
        },
    );
    let subscribe = (id.clone(), filters);
    prop_oneof![
        2 => connect(topic, text, qos, odd).prop_map(Body::Connect),
        1 => connack(odd).prop_map(Body::ConnAck),
        4 => publish.prop_map(Body::Publish),
        1 => ack.clone().prop_map(Body::PubAck),
        1 => ack.clone().prop_map(Body::PubRec),
        1 => ack.clone().prop_map(Body::PubRel),
        1 => ack.clone().prop_map(Body::PubComp),
        2 => subscribe.clone().prop_map(|(id, filters)| Body::Subscribe(Subscribe { id, filters })),
        1 => (id, codes).prop_map(|(id, codes)| Body::SubAck(SubAck { id, codes })),
        2 => subscribe.prop_map(|(id, filters)| {
            let filters = filters.into_iter().map(|(filter, _)| filter).collect();
            Body::Unsubscribe(Unsubscribe { id, filters })
        }),
        1 => ack.prop_map(Body::UnsubAck),
        1 => Just(Body::PingReq),
        1 => Just(Body::PingResp),
        1 => Just(Body::Disconnect),
    ]
}

fn connack(odd: bool) -> impl Strategy<Value = ConnAck> {
    let (flags, codes) = if odd { (0..4_u8, 0..8_u8) } else { (0..2_u8, 0..6_u8) };
    (flags, codes)
        .prop_map(move |(flags, code)| ConnAck { flags: if odd || code == 0 { flags } else { 0 }, code })
}

fn connect(
    topic: BoxedStrategy<Text>,
    text: BoxedStrategy<Text>,
    qos: BoxedStrategy<u8>,
    odd: bool,
) -> impl Strategy<Value = Connect> {
    let will = (topic, prop::collection::vec(any::<u8>(), 0..20), qos, any::<bool>())
        .prop_map(|(topic, message, qos, retain)| Will { topic, message, qos, retain });
    let credentials =
        (prop::option::of(text.clone()), prop::option::of(prop::collection::vec(any::<u8>(), 0..20)));
    let version = if odd {
        prop_oneof![
            6 => Just(("MQTT", 4)), 1 => Just(("MQIsdp", 3)), 1 => Just(("MQTT", 5)), 1 => Just(("MQTT", 3)), 1 => Just(("mqtt", 4)),
        ]
        .boxed()
    } else {
        Just(("MQTT", 4)).boxed()
    };
    let flags = if odd { prop_oneof![3 => Just(0_u8), 1 => any::<u8>()].boxed() } else { Just(0).boxed() };
    (version, text, prop::option::of(will), credentials, any::<(u16, bool)>(), flags).prop_map(
        move |((protocol, level), client_id, will, (username, password), (keep_alive, clean), wrong)| {
            let password = password.filter(|_| odd || username.is_some());
            let clean = clean || !odd && client_id.as_bytes().is_empty();
            let mut flags =
                u8::from(clean) << 1 | u8::from(username.is_some()) << 7 | u8::from(password.is_some()) << 6;
            if let Some(will) = &will {
                flags |= 4 | will.qos << 3 | u8::from(will.retain) << 5;
            }
            Connect {
                protocol: Text::from(protocol),
                level,
                flags: flags ^ wrong,
                keep_alive,
                client_id,
                will,
                username,
                password,
            }
        },
    )
}
