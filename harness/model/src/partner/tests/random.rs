//! Any bytes, any cutting, any commands.

use proptest::prelude::*;

use super::*;

/// Packets that are good, nearly good, or nothing.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let id = || 0..4_u16;
    let good = prop_oneof![
        Just(connect("c", true)),
        Just(connect("c", false)),
        Just(connect_with("", true, 0, Some("w"))),
        (0..3_u8, id(), any::<bool>())
            .prop_map(|(qos, id, dup)| { Body::Publish(Publish { dup, ..publish("t", "x", qos, id) }) }),
        id().prop_map(|id| subscribe(id, &[("t", 2), ("#", 1)])),
        id().prop_map(|id| Body::Unsubscribe(Unsubscribe { id, filters: vec!["t".into()] })),
        id().prop_map(|id| Body::PubAck(ack(id))),
        id().prop_map(|id| Body::PubRec(ack(id))),
        id().prop_map(|id| Body::PubRel(ack(id))),
        id().prop_map(|id| Body::PubComp(ack(id))),
        Just(Body::PingReq),
        Just(Body::Disconnect),
    ];
    let packet = prop_oneof![
        8 => good.prop_map(|body| encode(&body)),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    // Most streams begin with CONNECT, or the rest would hardly be reached.
    let start = prop_oneof![4 => Just(encode(&connect("c", false))), 1 => Just(Vec::new())];
    (start, proptest::collection::vec(packet, 0..20))
        .prop_map(|(start, rest)| [start, rest.concat()].concat())
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Hold),
        Just(Action::Withhold),
        (0..2000_u64).prop_map(Action::Delay),
        Just(Action::Replace(Vec::new())),
        Just(Action::Append(vec![1])),
        Just(Action::Prepend(vec![1])),
        Just(Action::Twice),
        any::<u8>().prop_map(Action::Code),
        any::<u16>().prop_map(Action::Id),
        Just(Action::OneByteSegments),
        Just(Action::ThenClose(Close::Rst)),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let kind = || proptest::sample::select(PacketType::ALL.to_vec());
    let rule = (kind(), any::<bool>(), 0..2_u32, proptest::option::of(0..3_u32), action()).prop_map(
        |(on, to, skip, times, action)| {
            let way = if to { Way::ToModule } else { Way::FromModule };
            Command::Rule(Rule { on, way, skip, times, action })
        },
    );
    prop_oneof![
        6 => rule,
        1 => Just(Command::ClearRules),
        3 => kind().prop_map(Command::Release),
        1 => kind().prop_map(Command::ReleaseReversed),
        1 => Just(Command::Inject(vec![0xd0])),
        2 => (0..3_u8).prop_map(|qos| {
            Command::Publish(Message { topic: b"t".to_vec(), payload: Vec::new(), qos, retain: false })
        }),
        1 => Just(Command::Close(Close::Fin)),
        1 => Just(Command::HalfClose),
        1 => Just(Command::Mute),
        1 => Just(Command::StopReading),
        2 => Just(Command::Resume),
    ]
}

#[derive(Debug, Clone)]
enum Event {
    Open(ConnId),
    Bytes(ConnId, Vec<u8>),
    End(ConnId),
    Obey(Command),
    Wait(u64),
    Admit(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..4_u32).prop_map(Event::Open),
        6 => (0..4_u32, input()).prop_map(|(conn, bytes)| Event::Bytes(conn, bytes)),
        1 => (0..4_u32).prop_map(Event::End),
        4 => command().prop_map(Event::Obey),
        1 => (0..100_000_000_u64).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Admit),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bench = Bench::new();
        bench.open(1);
        bench.bytes(1, &bytes);
        bench.connected(2, "c", true);
        bench.bytes(2, &bytes);
        bench.at(u64::MAX / 2);
    }

    #[test]
    fn any_sequence_of_events_is_survived(events in proptest::collection::vec(event(), 0..60)) {
        let mut bench = Bench::with(Settings { max_bytes: 5000, ..Settings::default() });
        // A number is never used twice: each opening of a place is a new connection.
        let mut places: [ConnId; 4] = [0; 4];
        let mut count = 0;
        for event in events {
            match event {
                Event::Open(place) => {
                    count += 1;
                    places[place as usize] = count;
                    bench.open(count);
                }
                Event::Bytes(place, bytes) => bench.bytes(places[place as usize], &bytes),
                Event::End(place) => bench.lose(places[place as usize]),
                Event::Obey(command) => {
                    let _ = bench.partner.command(command, bench.now);
                    bench.follow();
                }
                Event::Wait(us) => bench.at(bench.now + us),
                Event::Admit(everyone) => {
                    let only = Admission::Only(Credentials { client: b"c".to_vec(), ..Credentials::default() });
                    bench.partner.admit(if everyone { Admission::Everyone } else { only });
                    bench.follow();
                }
            }
            let timeout = bench.partner.next_timeout();
            prop_assert!(timeout.is_none_or(|at| at > bench.now), "{timeout:?} at {}", bench.now);
            for conn in bench.partner.conns.values() {
                prop_assert!(conn.kept_bytes <= 5000 + 500, "{}", conn.kept_bytes);
            }
        }
        // Everything kept back can be let go, and the counting comes out even.
        for kind in PacketType::ALL {
            bench.partner.release(kind, false, bench.now);
            bench.follow();
        }
        let _ = bench.partner.command(Command::Resume, bench.now);
        bench.follow();
        for conn in bench.partner.conns.values().filter(|c| c.greeted && c.delayed.is_empty() && c.held.is_empty()) {
            prop_assert_eq!(conn.kept_bytes, 0);
        }
    }

    #[test]
    fn cutting_changes_nothing(bytes in input(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let run = |pieces: &[&[u8]]| {
            let mut bench = Bench::new();
            // When a message comes back from the broker behind depends on that broker.
            bench.routes = false;
            bench.open(1);
            for piece in pieces {
                bench.bytes(1, piece);
            }
            bench.lose(1);
            (bench.sent, bench.closed, bench.published, bench.asked)
        };
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(run(&pieces), run(&[&bytes]));
    }
}
