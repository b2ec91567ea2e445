//! Captures, read back block by block: whole, and with every byte of the recording in them.

use std::collections::BTreeMap;

use atspec_model::{
    mqtt::PacketType,
    profile::Profile,
    timeline::{Alteration, Bindings, Close, Event, Header, Purpose, SCHEMA, Settings, Side, Timeline, What},
    verdict::{Judgement, Verdict},
};
use atspec_reports::capture::{self, MAX_CAPTURED, Recording};
use proptest::prelude::*;

/// A frame as it stands in the file.
#[derive(Debug)]
struct Frame {
    interface: usize,
    at_us: u64,
    /// Values of its tags by number.
    tags: BTreeMap<u16, Vec<u8>>,
    data: Vec<u8>,
    /// Length of the data before it was cut to what a frame may hold.
    whole: usize,
    comments: Vec<String>,
}

#[derive(Debug, Default)]
struct File {
    options: Vec<(u16, String)>,
    interfaces: Vec<String>,
    frames: Vec<Frame>,
}

impl Frame {
    fn dissector(&self) -> String {
        String::from_utf8(self.tags[&12].clone()).unwrap().trim_end_matches('\0').to_owned()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()).try_into().unwrap()
}

/// Options up to their end, which has to be there and to be the last thing of the block.
fn options(mut bytes: &[u8]) -> Vec<(u16, String)> {
    let mut found = Vec::new();
    loop {
        let (code, len) = (u16_at(bytes, 0), u16_at(bytes, 2));
        let padded = len.next_multiple_of(4);
        assert!(bytes[4 + len..4 + padded].iter().all(|&b| b == 0), "padding is zero");
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "the end of the options is the end of the block");
            return found;
        }
        found.push((code.try_into().unwrap(), String::from_utf8(bytes[4..4 + len].to_vec()).unwrap()));
        bytes = &bytes[4 + padded..];
    }
}

/// The tags before the data, and the data.
fn tags(mut bytes: &[u8]) -> (BTreeMap<u16, Vec<u8>>, &[u8]) {
    let mut found = BTreeMap::new();
    loop {
        let code = u16::from_be_bytes([bytes[0], bytes[1]]);
        let len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        assert_eq!(len % 4, 0, "tags are whole words");
        let value = bytes[4..4 + len].to_vec();
        bytes = &bytes[4 + len..];
        if code == 0 {
            return (found, bytes);
        }
        assert!(found.insert(code, value).is_none(), "no tag twice");
    }
}

/// Reads a file and asserts that everything in it is as the format says.
fn parse(mut bytes: &[u8]) -> File {
    let mut file = File::default();
    while !bytes.is_empty() {
        let (kind, len) = (u32_at(bytes, 0), u32_at(bytes, 4));
        assert_eq!(len % 4, 0, "blocks are whole words");
        assert_eq!(u32_at(bytes, len - 4), len, "the length stands at both ends");
        let body = &bytes[8..len - 4];
        bytes = &bytes[len..];
        match kind {
            0x0a0d_0d0a => {
                assert!(file.options.is_empty() && file.interfaces.is_empty(), "one section, first");
                assert_eq!(u32_at(body, 0), 0x1a2b_3c4d);
                assert_eq!((u16_at(body, 4), u16_at(body, 6)), (1, 0));
                assert_eq!(body[8..16], [0xff; 8]);
                file.options = options(&body[16..]);
            }
            1 => {
                assert_eq!((u16_at(body, 0), u32_at(body, 4)), (252, MAX_CAPTURED));
                file.interfaces.push(options(&body[8..])[0].1.clone());
            }
            6 => file.frames.push(packet(body, file.interfaces.len())),
            other => panic!("a block of type {other}"),
        }
    }
    file
}

fn packet(body: &[u8], interfaces: usize) -> Frame {
    let interface = u32_at(body, 0);
    assert!(interface < interfaces);
    let (captured, whole) = (u32_at(body, 12), u32_at(body, 16));
    assert!(captured <= whole && captured <= MAX_CAPTURED);
    let (tags, data) = tags(&body[20..20 + captured]);
    let padded = captured.next_multiple_of(4);
    assert!(body[20 + captured..20 + padded].iter().all(|&b| b == 0), "padding is zero");
    let comments = options(&body[20 + padded..]).into_iter().map(|(code, text)| {
        assert_eq!(code, 1);
        text
    });
    Frame {
        interface,
        at_us: (u32_at(body, 4) as u64) << 32 | u32_at(body, 8) as u64,
        whole: whole - (captured - data.len()),
        tags,
        data: data.to_vec(),
        comments: comments.collect(),
    }
}

fn profile() -> Profile {
    Profile::load(atspec_fixtures::profile("air780e").unwrap()).unwrap()
}

fn timeline(events: Vec<Event>) -> Timeline {
    let bindings = Bindings { host: "127.0.0.1".into(), port: 1883, ..Bindings::default() };
    let header = Header {
        schema: SCHEMA,
        module: "air780e".into(),
        profile: None,
        case: "publish/qos1".into(),
        input: None,
        bindings,
        settings: Settings { clock_factor: 1.0, margin_ms: 2000 },
        began_us: Some(1_795_799_836_000_000),
    };
    Timeline { header, events }
}

fn written(timeline: &Timeline, judgement: Option<&Judgement>) -> File {
    let profile = profile();
    let mut bytes = Vec::new();
    let frames = capture::write(&mut bytes, &Recording { timeline, profile: &profile, judgement }).unwrap();
    assert!(capture::is_ours(&bytes[..64]));
    let file = parse(&bytes);
    assert_eq!(file.frames.len() as u64, frames);
    file
}

fn events(whats: impl IntoIterator<Item = What>) -> Vec<Event> {
    whats.into_iter().enumerate().map(|(n, what)| Event { at_us: n as u64 * 1000, what }).collect()
}

fn sent(text: &str) -> What {
    What::Sent { purpose: Purpose::Command, bytes: text.into() }
}

fn received(text: &str) -> What {
    What::Received { bytes: text.into() }
}

fn from_module(bytes: &[u8]) -> What {
    What::FromModule { conn: 1, bytes: bytes.to_vec() }
}

fn opened() -> What {
    What::Opened { conn: 1, peer: "127.0.0.1:40000".into() }
}

/// A file as a person would note it down: interface, data, comments.
fn told(file: &File) -> Vec<String> {
    let line = |f: &Frame| {
        let data = atspec_model::text::visible(&f.data);
        let what = format!("{} {} {data}", file.interfaces[f.interface], f.dissector());
        let mut parts = vec![what];
        parts.extend(f.comments.iter().cloned());
        parts.join(" | ")
    };
    file.frames.iter().map(line).collect()
}

#[test]
fn both_sides_stand_in_order_with_what_is_wrong() {
    let steps = |index, name: &str| What::Step { index, name: name.into() };
    let recorded = timeline(events([
        steps(0, "publish (payload hello, qos 1)"),
        sent("AT+MPUB=\"t\",1,0,\"hello\"\r\n"),
        received("\r\nO"),
        opened(),
        received("K\r\n\r\nPUB"),
        // DUP with QoS 0, then the beginning of a packet that never becomes whole.
        from_module(b"\x38\x06\0\x01tabc\x30"),
        What::Altered { conn: 1, packet: PacketType::PubAck, action: Alteration::Withheld },
        from_module(b"\x09\0\x01t"),
        What::Closed { conn: 1, by: Side::Module, how: Close::Fin },
        steps(1, "broker: close the connection"),
        What::Broker { command: "close the connection".into() },
        What::ToModule { conn: 1, bytes: b"\x40\x02\0\0".to_vec() },
        What::Silence { awaited: "PUBACK".into(), waited_ms: 30_000 },
        What::Teardown,
    ]));
    let judgement = Judgement {
        offence: Some(5),
        clauses: vec!["MQTT-3.3.1-2".into()],
        ..Judgement::plain(Verdict::Fail, "expected DUP 0; observed DUP 1")
    };
    let file = written(&recorded, Some(&judgement));
    assert_eq!(file.interfaces, ["mqtt", "serial", "bench"]);
    assert_eq!(file.options[0], (4, format!("atspec {}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(
        file.options[1].1,
        "case publish/qos1 of air780e\nverdict: fail: expected DUP 0; observed DUP 1"
    );
    insta::assert_snapshot!(told(&file).join("\n"));
    assert_eq!(file.frames[3].at_us, 1_795_799_836_003_000, "the time of the recording");
}

#[test]
fn what_cannot_be_framed_is_there_as_data() {
    let recorded = timeline(events([
        opened(),
        from_module(b"\xc0\0\x30\x80\x80"),
        from_module(b"\x80\x80\x01rest"),
        from_module(b"and more"),
    ]));
    insta::assert_snapshot!(told(&written(&recorded, None)).join("\n"));
}

#[test]
fn a_packet_longer_than_a_frame_goes_on_in_further_ones() {
    let payload: Vec<u8> = (0..600_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let body = [b"\0\x01t", payload.as_slice()].concat();
    let raw = [b"\x30\xc3\xcf\x24", body.as_slice()].concat();
    let file = written(&timeline(events([opened(), from_module(&raw)])), None);
    let wire: Vec<&Frame> = file.frames.iter().filter(|f| f.interface == 0).collect();
    assert_eq!(wire.len(), 3);
    assert_eq!(wire[0].whole, raw.len(), "how long the packet is");
    assert_eq!((wire[0].dissector().as_str(), wire[1].dissector().as_str()), ("mqtt", "data"));
    let all: Vec<u8> = wire.iter().flat_map(|f| f.data.clone()).collect();
    assert!(all == raw, "every byte is there");
}

#[test]
fn addresses_that_are_not_known_are_made_up() {
    let mut recorded = timeline(events([from_module(b"\xc0\0")]));
    recorded.header.bindings.host = "bench.example.org".into();
    recorded.header.began_us = None;
    let file = written(&recorded, None);
    let frame = file.frames.iter().find(|f| f.interface == 0).unwrap();
    assert_eq!((&frame.tags[&20][..], &frame.tags[&21][..]), (&[192, 0, 2, 2][..], &[192, 0, 2, 1][..]));
    assert_eq!(frame.at_us, 0);
    assert!(file.options[1].1.ends_with("times count from the beginning of the case"), "{:?}", file.options);
}

#[test]
fn a_file_of_others_is_not_ours() {
    let others = b"\x0a\x0d\x0d\x0a\x40\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x04\0\x09\0Wireshark\0\0\0";
    assert!(!capture::is_ours(others));
    assert!(!capture::is_ours(b"{\"type\":\"timeline\"}"));
    assert!(!capture::is_ours(b""));
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"\r\nOK\r\n".to_vec()),
        Just(b"\r\n> ".to_vec()),
        Just(b"+MSUB: \"t\",4 byte,\r\nOK\r\n".to_vec()),
        Just(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a".to_vec()),
        Just(b"\x32\x06\0\x01t\0\x00x\x40\x02\0\x01".to_vec()),
        Just(b"\x30\xff\xff\xff\xff".to_vec()),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let side = prop_oneof![Just(Side::Module), Just(Side::Broker)];
    let how = prop_oneof![Just(Close::Fin), Just(Close::Rst)];
    let purpose = prop_oneof![
        Just(Purpose::Command),
        Just(Purpose::Data),
        Just(Purpose::Probe),
        Just(Purpose::Recovery)
    ];
    let peer =
        prop_oneof![Just("127.0.0.1:40000".to_owned()), Just("[::1]:40001".to_owned()), any::<String>()];
    prop_oneof![
        4 => (purpose, bytes()).prop_map(|(purpose, bytes)| What::Sent { purpose, bytes }),
        8 => bytes().prop_map(|bytes| What::Received { bytes }),
        8 => (1..4_u32, bytes()).prop_map(|(conn, bytes)| What::FromModule { conn, bytes }),
        4 => (1..4_u32, bytes()).prop_map(|(conn, bytes)| What::ToModule { conn, bytes }),
        1 => (1..4_u32, peer).prop_map(|(conn, peer)| What::Opened { conn, peer }),
        1 => (1..4_u32, side, how).prop_map(|(conn, by, how)| What::Closed { conn, by, how }),
        1 => (any::<usize>(), any::<String>()).prop_map(|(index, name)| What::Step { index: index / 2, name }),
        1 => any::<String>().prop_map(|why| What::PortLost { why }),
        1 => (1..4_u32, any::<String>()).prop_map(|(conn, why)| What::Stranger { conn, why }),
        1 => Just(What::Teardown),
        1 => Just(What::Interrupted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_recording_is_a_valid_file_with_every_byte(
        whats in prop::collection::vec((0..5_000_000_u64, what()), 0..40),
        verdict in proptest::option::of((any::<String>(), proptest::option::of(0..50_usize))),
    ) {
        let all = whats.into_iter().map(|(at_us, what)| Event { at_us, what }).collect();
        let recorded = timeline(all);
        let judgement =
            verdict.map(|(why, offence)| Judgement { offence, ..Judgement::plain(Verdict::Fail, why) });
        let file = written(&recorded, judgement.as_ref());
        prop_assert_eq!(in_file(&file), in_recording(&recorded));
        if let Some(Judgement { offence: Some(_), .. }) = judgement {
            let marked = file.frames.iter().filter(|f| f.comments.iter().any(|c| c.starts_with("FAIL")));
            prop_assert_eq!(marked.count(), 1);
        }
    }
}

/// All bytes of the serial line and the wire, both ways, one after the other: of each kind so many, in that order.
fn in_recording(recorded: &Timeline) -> BTreeMap<&'static str, Vec<u8>> {
    let mut all: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut wire: BTreeMap<(u32, Side), Vec<u8>> = BTreeMap::new();
    for event in &recorded.events {
        match &event.what {
            What::Sent { bytes, .. } => all.entry("sent").or_default().extend(bytes),
            What::Received { bytes } => all.entry("received").or_default().extend(bytes),
            What::FromModule { conn, bytes } => wire.entry((*conn, Side::Module)).or_default().extend(bytes),
            What::ToModule { conn, bytes } => wire.entry((*conn, Side::Broker)).or_default().extend(bytes),
            _ => {}
        }
    }
    // Connections may share their addresses in a made-up recording: then only the sum can be compared.
    all.insert("wire", sorted(wire.into_values().flatten().collect()));
    all.retain(|_, bytes| !bytes.is_empty());
    all
}

fn in_file(file: &File) -> BTreeMap<&'static str, Vec<u8>> {
    let mut all: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for frame in &file.frames {
        let name = match (frame.interface, frame.tags.get(&35).map(|way| way[3])) {
            (0, _) => "wire",
            (1, Some(0)) => "sent",
            (1, Some(1)) => "received",
            (2, None) => continue,
            other => panic!("a frame of no stream: {other:?}"),
        };
        all.entry(name).or_default().extend(&frame.data);
    }
    if let Some(wire) = all.get_mut("wire") {
        *wire = sorted(std::mem::take(wire));
    }
    all.retain(|_, bytes| !bytes.is_empty());
    all
}

fn sorted(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.sort_unstable();
    bytes
}
