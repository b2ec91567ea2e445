//! Each rule on the smallest recording that breaks it, and on the nearest that does not; and on any recording at all.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    case::{Op, Step},
    judge,
    mqtt::{Ack, Body, ConnAck, Connect, Level, Publish, Subscribe, Text, encode, encode_with_flags},
    partner::Command,
    profile::Profile,
    timeline::{Bindings, Close, Event, Header, Purpose, SCHEMA, Settings, Timeline, What},
    verdict::Judgement,
};

const PROFILE: &str = include_str!("../../../../../fixtures/profiles/air780e.toml");

/// A conversation, each part with the connection it happens on.
#[derive(Debug, Clone)]
enum Part {
    /// The module sends.
    M(u32, Vec<u8>),
    /// The broker sends.
    B(u32, Vec<u8>),
    /// Nothing happens for so many ms.
    Wait(u64),
    /// The module closes.
    Close(u32),
    /// The connection turns out to be somebody else's.
    Stranger(u32),
}
use Part::{B, Close as Ends, M, Stranger, Wait};

fn connect(clean: bool, keep_alive: u16) -> Vec<u8> {
    let flags = if clean { 2 } else { 0 };
    encode(&Body::Connect(Connect {
        protocol: "MQTT".into(),
        level: 4,
        flags,
        keep_alive,
        client_id: "c".into(),
        ..Connect::default()
    }))
}

fn accept() -> Vec<u8> {
    encode(&Body::ConnAck(ConnAck::default()))
}

fn publish(id: u16, qos: u8, dup: bool) -> Vec<u8> {
    let id = (qos > 0).then_some(id);
    let payload = id.map_or(b"none".to_vec(), |id| id.to_be_bytes().to_vec());
    encode(&Body::Publish(Publish { dup, qos, retain: false, topic: "t".into(), id, payload }))
}

fn ack(body: fn(Ack) -> Body, id: u16) -> Vec<u8> {
    encode(&body(Ack { id }))
}

fn timeline(parts: &[Part]) -> Timeline {
    let mut events = vec![Event { at_us: 0, what: What::Step { index: 0, name: "a step".into() } }];
    let mut at_us = 0;
    let mut opened = BTreeSet::new();
    for part in parts {
        at_us += 1000;
        let what = match part {
            M(conn, bytes) => {
                if opened.insert(*conn) {
                    events.push(Event { at_us, what: What::Opened { conn: *conn, peer: "peer".into() } });
                }
                What::FromModule { conn: *conn, bytes: bytes.clone() }
            }
            B(conn, bytes) => What::ToModule { conn: *conn, bytes: bytes.clone() },
            Wait(ms) => {
                at_us += ms * 1000;
                What::Silence { awaited: "anything".into(), waited_ms: *ms }
            }
            Ends(conn) => What::Closed { conn: *conn, by: Side::Module, how: Close::Fin },
            Stranger(conn) => What::Stranger { conn: *conn, why: "no CONNECT".into() },
        };
        events.push(Event { at_us, what });
    }
    events.push(Event { at_us, what: What::StepDone { index: 0 } });
    let header = Header {
        schema: SCHEMA,
        module: "air780e".into(),
        profile: None,
        began_us: None,
        case: "a/case".into(),
        bindings: Bindings::default(),
        settings: Settings { clock_factor: 1.0, margin_ms: 0 },
        input: None,
    };
    Timeline { header, events }
}

fn case() -> Case {
    Case {
        id: "a/case".into(),
        asks: "nothing".into(),
        cites: Vec::new(),
        level: Level::Must,
        steps: vec![Step::Quiet],
        expect: Vec::new(),
        anonymous: false,
        unmet: None,
        policy: None,
    }
}

fn judged(parts: &[Part]) -> Judgement {
    judged_by(PROFILE, parts)
}

fn judged_by(profile: &str, parts: &[Part]) -> Judgement {
    let profile = Profile::load(profile).expect("the shipped profile has no mistakes");
    judge::judge(&case(), &profile, &timeline(parts))
}

/// What an exchange looks like that breaks nothing.
fn opening(clean: bool) -> Vec<Part> {
    vec![M(1, connect(clean, 0)), B(1, accept())]
}

#[rstest]
#[case::not_connect_first(&["MQTT-3.1.0-1"], vec![M(1, encode(&Body::PingReq))])]
#[case::connect_twice(&["MQTT-3.1.0-2"], vec![M(1, connect(true, 0)), M(1, connect(true, 0))])]
#[case::behind_disconnect(&["MQTT-3.14.4-2"], vec![
    M(1, connect(true, 0)), M(1, encode(&Body::Disconnect)), M(1, encode(&Body::PingReq)), Ends(1)])]
#[case::silent(&["MQTT-3.1.2-23"], vec![M(1, connect(true, 10)), B(1, accept()), Wait(11_000), M(1, encode(&Body::PingReq))])]
#[case::id_in_use(&["MQTT-2.3.1-2", "MQTT-4.3.2-1"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 1, false)), M(1, publish(7, 1, false))])]
#[case::id_of_a_subscription_in_use(&["MQTT-2.3.1-2"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 1, false)),
    M(1, encode(&Body::Subscribe(Subscribe { id: 7, filters: vec![("t".into(), 0)] })))])]
#[case::dup_at_first(&["MQTT-4.3.2-1"], vec![M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 1, true))])]
#[case::dup_at_first_qos2(&["MQTT-4.3.3-1"], vec![M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 2, true))])]
#[case::released_without_pubrec(&["MQTT-4.3.3-1"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 2, false)), M(1, ack(Body::PubRel, 7))])]
#[case::published_behind_pubrel(&["MQTT-4.3.3-1"], vec![
    M(1, connect(false, 0)), B(1, accept()), M(1, publish(7, 2, false)), B(1, ack(Body::PubRec, 7)),
    M(1, ack(Body::PubRel, 7)), Ends(1), M(2, connect(false, 0)), B(2, accept()), M(2, publish(7, 2, true))])]
#[case::foreign_puback(&["MQTT-2.3.1-6", "MQTT-3.3.4-1", "MQTT-4.3.2-2"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, publish(7, 1, false)), M(1, ack(Body::PubAck, 8))])]
#[case::puback_order(&["MQTT-4.6.0-2"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, publish(1, 1, false)), B(1, publish(2, 1, false)),
    M(1, ack(Body::PubAck, 2)), M(1, ack(Body::PubAck, 1))])]
#[case::pubrec_order(&["MQTT-4.6.0-3"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, publish(1, 2, false)), B(1, publish(2, 2, false)),
    M(1, ack(Body::PubRec, 2)), M(1, ack(Body::PubRec, 1))])]
#[case::pubrel_order(&["MQTT-4.6.0-4"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(1, 2, false)), M(1, publish(2, 2, false)),
    B(1, ack(Body::PubRec, 1)), B(1, ack(Body::PubRec, 2)), M(1, ack(Body::PubRel, 2)), M(1, ack(Body::PubRel, 1))])]
#[case::of_an_older_session(&["MQTT-3.1.2-6"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 1, false)), Ends(1),
    M(2, connect(true, 0)), B(2, accept()), M(2, publish(7, 1, true))])]
#[case::qos_3(&["MQTT-3.3.1-4"], vec![M(1, connect(true, 0)), B(1, accept()), M(1, vec![0x36, 5, 0, 1, b't', 0, 7])])]
#[case::pubrel_flags(&["MQTT-2.2.2-1", "MQTT-3.6.1-1"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 2, false)), B(1, ack(Body::PubRec, 7)),
    M(1, encode_with_flags(&Body::PubRel(Ack { id: 7 }), 0))])]
fn a_breach_fails_with_its_statements_and_shows_the_packet(
    #[case] statements: &[&str],
    #[case] parts: Vec<Part>,
) {
    let judgement = judged(&parts);
    assert_eq!(
        (judgement.verdict, judgement.clauses.as_slice()),
        (Verdict::Fail, &statements.iter().map(|&s| s.to_owned()).collect::<Vec<_>>()[..]),
        "{judgement:#?}"
    );
    assert!(judgement.offence.is_some());
    let in_hex = judgement.observed.contains("(hex ") || statements == ["MQTT-3.1.2-23"];
    assert!(in_hex && judgement.observed.contains(" s"), "{}", judgement.observed);
    assert!(statements.iter().all(|s| !judgement.kept.contains(s)), "broken and kept: {judgement:#?}");
}

/// Who was late cannot be told by a bench that stood still; what passed has passed.
#[test]
fn a_bench_that_stood_still_blames_nobody() {
    let profile = Profile::load(PROFILE).expect("the shipped profile has no mistakes");
    let stalled = |parts: &[Part]| {
        let mut timeline = timeline(parts);
        let end = timeline.events.len() - 1;
        timeline.events.insert(end, Event { at_us: 1_000_000, what: What::Stalled { ms: 3000 } });
        judge::judge(&case(), &profile, &timeline)
    };
    let late = [M(1, connect(true, 10)), B(1, accept()), Wait(16_000), M(1, encode(&Body::PingReq))];
    assert_eq!(judged(&late).verdict, Verdict::Fail);
    let doubted = stalled(&late);
    assert_eq!((doubted.verdict, doubted.clauses.as_slice()), (Verdict::Error, &[][..]));
    assert!(doubted.message.contains("the bench stood still for 3 s"), "{}", doubted.message);
    assert_eq!(stalled(&opening(true)).verdict, Verdict::Pass);
}

#[rstest]
#[case::pings_in_time(&["MQTT-3.1.2-23"], vec![
    M(1, connect(true, 10)), B(1, accept()), Wait(9000), M(1, encode(&Body::PingReq)), Wait(9000)])]
#[case::no_keep_alive(&[], vec![M(1, connect(true, 0)), B(1, accept()), Wait(100_000)])]
#[case::id_used_again(&["MQTT-2.3.1-1"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 1, false)), B(1, ack(Body::PubAck, 7)), M(1, publish(7, 1, false))])]
#[case::two_ids(&["MQTT-2.3.1-2"], vec![
    M(1, connect(true, 0)), B(1, accept()), M(1, publish(7, 1, false)), M(1, publish(8, 1, false))])]
#[case::sent_again(&["MQTT-4.3.2-1"], vec![
    M(1, connect(false, 0)), B(1, accept()), M(1, publish(7, 1, false)), Ends(1),
    M(2, connect(false, 0)), B(2, accept()), M(2, publish(7, 1, true))])]
#[case::released_again(&["MQTT-4.3.3-1", "MQTT-3.6.1-1"], vec![
    M(1, connect(false, 0)), B(1, accept()), M(1, publish(7, 2, false)), B(1, ack(Body::PubRec, 7)),
    M(1, ack(Body::PubRel, 7)), Ends(1), M(2, connect(false, 0)), B(2, accept()), M(2, ack(Body::PubRel, 7))])]
#[case::one_never_acknowledged(&["MQTT-4.6.0-2"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, publish(1, 1, false)), B(1, publish(2, 1, false)), M(1, ack(Body::PubAck, 2))])]
#[case::one_sent_twice(&["MQTT-4.6.0-2"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, publish(1, 1, false)), B(1, publish(2, 1, false)), B(1, publish(1, 1, true)),
    M(1, ack(Body::PubAck, 1)), M(1, ack(Body::PubAck, 2)), M(1, ack(Body::PubAck, 1))])]
#[case::connect_from_the_broker(&["MQTT-3.1.0-2"], vec![M(1, connect(true, 0)), B(1, accept()), B(1, connect(true, 0)), Ends(1)])]
#[case::zero_answered(&["MQTT-2.3.1-6"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, ack(Body::PubRel, 0)), M(1, ack(Body::PubComp, 0))])]
#[case::pubrec_of_nobody(&["MQTT-2.3.1-6"], vec![
    M(1, connect(true, 0)), B(1, accept()), B(1, ack(Body::PubRec, 9)), M(1, ack(Body::PubRel, 9))])]
#[case::ended(&["MQTT-3.14.4-2"], vec![M(1, connect(true, 0)), B(1, accept()), M(1, encode(&Body::Disconnect)), Ends(1)])]
#[case::nothing_at_all(&[], vec![])]
fn what_is_allowed_passes_and_tells_what_was_kept(#[case] kept: &[&str], #[case] parts: Vec<Part>) {
    let judgement = judged(&parts);
    let unasked = judgement
        .notes
        .iter()
        .chain([&judgement.observed])
        .all(|said| said.is_empty() || said.contains("closed it"));
    assert!(unasked, "{judgement:#?}");
    assert!(kept.iter().all(|s| judgement.kept.contains(s)), "{judgement:#?}");
}

/// Where one command ends MQTT and TCP, the module has to close; where TCP has a command of its own (X67), not before it.
#[test]
fn a_connection_is_closed_behind_disconnect() {
    let one_command = include_str!("../../../../../fixtures/profiles/bk7238.toml");
    let parts = |end| {
        let mut parts = opening(true);
        parts.extend([M(1, encode(&Body::Disconnect)), end, Wait(600_000)]);
        parts
    };
    let stays = judged_by(one_command, &parts(Wait(1)));
    assert_eq!(
        (stays.verdict, stays.clauses),
        (Verdict::Fail, vec!["MQTT-3.14.4-1".to_owned()]),
        "{}",
        stays.observed
    );
    assert!(judged_by(one_command, &parts(Ends(1))).kept.contains(&"MQTT-3.14.4-1"));
    assert!(!judged(&parts(Wait(1))).clauses.contains(&"MQTT-3.14.4-1".to_owned()));
}

#[test]
fn only_what_could_be_broken_is_kept() {
    let mut parts = opening(true);
    parts.push(M(1, publish(1, 0, false)));
    let kept = judged(&parts).kept;
    assert!(kept.contains(&"MQTT-3.3.1-2") && kept.contains(&"MQTT-3.1.2-22"), "{kept:?}");
    for never in
        ["MQTT-2.3.1-1", "MQTT-3.1.2-9", "MQTT-3.8.1-1", "MQTT-4.6.0-2", "MQTT-3.1.2-23", "MQTT-3.14.4-2"]
    {
        assert!(!kept.contains(&never), "{never} was not put to the test");
    }
}

fn any_part() -> impl Strategy<Value = Part> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..24),
        (any::<u16>(), 0..4_u8, any::<bool>()).prop_map(|(id, qos, dup)| publish(id % 3, qos, dup)),
        (0..3_u16, 0..4_usize).prop_map(|(id, kind)| {
            ack([Body::PubAck, Body::PubRec, Body::PubRel, Body::PubComp][kind], id)
        }),
        any::<bool>().prop_map(|clean| connect(clean, 1)),
        Just(accept()),
    ];
    (0..3_u32, bytes, 0..10_u8).prop_map(|(conn, bytes, what)| match what {
        0..4 => M(conn, bytes),
        4..8 => B(conn, bytes),
        8 => Ends(conn),
        _ => Stranger(conn),
    })
}

proptest! {
    /// No conversation is too strange to be judged, and nothing is both broken and kept.
    #[test]
    fn any_conversation_is_judged(parts in proptest::collection::vec(any_part(), 0..40)) {
        let profile = Profile::load(PROFILE).unwrap();
        let timeline = timeline(&parts);
        let view = View::new(&case(), &profile, &timeline);
        let findings = judge(&case(), &view);
        let kept = kept(&view, &findings);
        let known = statements();
        prop_assert!(kept.iter().all(|s| known.contains(s)));
        prop_assert!(kept.iter().all(|s| !findings.iter().any(|f| f.clauses.iter().any(|c| c == s))));
    }

    /// What goes on from a look at the beginning of a recording comes to the same as what begins anew.
    #[test]
    fn the_beginning_need_be_looked_at_only_once(
        parts in proptest::collection::vec(any_part(), 0..40),
        looked_at in 0..45_usize,
        teardown in 0..60_usize,
    ) {
        let profile = Profile::load(PROFILE).unwrap();
        let mut timeline = timeline(&parts);
        if teardown <= timeline.events.len() {
            timeline.events.insert(teardown, Event { at_us: 0, what: What::Teardown });
        }
        let mut seen = judge::Seen::new(&profile);
        seen.follow(&case(), &timeline.events[..looked_at.min(timeline.events.len())]);
        let whole = judge::judge(&case(), &profile, &timeline);
        prop_assert_eq!(judge::judge_from(seen, &case(), &timeline), whole);
    }
}

#[test]
fn text_of_a_topic_is_shown_as_it_stands() {
    let bad = encode(&Body::Publish(Publish { topic: Text(vec![b'a', 0xff]), ..Publish::default() }));
    let mut parts = opening(true);
    parts.push(M(1, bad));
    insta::assert_snapshot!(judged(&parts).message, @r#"expected a well-formed PUBLISH; observed PUBLISH qos=0 dup=0 retain=0 "a\xff" 0 B at 0.003 s: ill-formed UTF-8 in the topic name: topic name "a\xff", at byte 5 (hex 30 04 00 02 61 ff)"#);
}

/// NT35E answers AT+ECMTDISC with OK, with its result line, or with both: the second may come in the recording of the next case.
/// Any other result may be late by a moment.
#[test]
fn what_was_commanded_in_the_case_before_may_speak_late() {
    const NT35E: &str = include_str!("../../../../../fixtures/profiles/nt35e.toml");
    let profile = Profile::load(NT35E).expect("the shipped profile has no mistakes");
    let judged = |at_ms: u64, line: &str| {
        let mut timeline = timeline(&[Wait(5000)]);
        let printed = What::Received { bytes: format!("\r\n{line}\r\n").into_bytes() };
        timeline.events.insert(1, Event { at_us: at_ms * 1000, what: printed });
        judge::judge(&case(), &profile, &timeline).verdict
    };
    assert_eq!(judged(4000, "+ECMTDISC:0,0"), Verdict::Pass);
    assert_eq!(judged(900, "+ECMTPUB:0,3,0"), Verdict::Pass, "the silence that is watched for takes 1 s");
    assert_eq!(judged(1100, "+ECMTPUB:0,3,0"), Verdict::Fail);
    assert_eq!(judged(1100, "+ECMTPUB:0,3,1,0"), Verdict::Pass, "no success: result 1, and its value");
}

/// The Air780E note has +CME ERROR for refusals, and nothing for a lost connection (X76): printed when one was lost just before,
/// it may be either, and the command's own OK may follow.
#[test]
fn what_reads_like_a_refusal_may_be_the_loss() {
    let profile = Profile::load(PROFILE).expect("the shipped profile has no mistakes");
    let judged = |lost: bool| {
        let mut timeline = timeline(&[M(1, connect(true, 600)), B(1, accept())]);
        let done = timeline.events.pop().expect("the end of the step");
        let printed = |line: &str| What::Received { bytes: format!("\r\n{line}\r\n").into_bytes() };
        let by = if lost { Side::Broker } else { Side::Module };
        let asked = What::Sent { purpose: Purpose::Command, bytes: b"AT+MIPCLOSE\r\n".to_vec() };
        let all =
            [What::Closed { conn: 1, by, how: Close::Rst }, asked, printed("+CME ERROR: 767"), printed("OK")];
        timeline.events.extend(all.map(|what| Event { at_us: 3000, what }));
        timeline.events.push(done);
        let try_to_close = Step::Try(Op { step: "close".into(), ..Op::default() });
        judge::judge(&Case { steps: vec![try_to_close], ..case() }, &profile, &timeline)
    };
    assert_eq!(judged(true).verdict, Verdict::Pass, "{:#?}", judged(true));
    assert_eq!(judged(false).verdict, Verdict::Fail, "{:#?}", judged(false));
}

/// What is read late was not necessarily sent late.
#[test]
fn a_broker_that_does_not_read_cannot_tell_silence() {
    let profile = Profile::load(PROFILE).expect("the shipped profile has no mistakes");
    let judged = |commands: &[(u64, Command)]| {
        let parts = [M(1, connect(true, 10)), B(1, accept()), Wait(30_000), M(1, encode(&Body::PingReq))];
        let mut timeline = timeline(&parts);
        for (at_us, command) in commands {
            let at = timeline.events.iter().position(|e| e.at_us > *at_us).unwrap_or(timeline.events.len());
            let what = What::Broker { command: command.to_string() };
            timeline.events.insert(at, Event { at_us: *at_us, what });
        }
        judge::judge(&case(), &profile, &timeline).verdict
    };
    assert_eq!(judged(&[]), Verdict::Fail);
    assert_eq!(judged(&[(5_000_000, Command::StopReading), (29_000_000, Command::Resume)]), Verdict::Pass);
    assert_eq!(
        judged(&[(1_500, Command::StopReading), (1_600, Command::Resume)]),
        Verdict::Fail,
        "read in time"
    );
}
