//! Each rule and each command.

use rstest::rstest;

use super::*;

const PUBACK: PacketType = PacketType::PubAck;

fn qos1(bench: &mut Bench, id: u16) {
    bench.say(1, Body::Publish(publish("t", "x", 1, id)));
}

fn ready(rule: Rule) -> Bench {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.order(Command::Rule(rule));
    bench
}

#[test]
fn held_until_released_while_others_pass() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Hold));
    qos1(&mut bench, 1);
    qos1(&mut bench, 2);
    bench.say(1, Body::PingReq);
    assert_eq!(bench.heard(1), [Body::PingResp]);
    bench.order(Command::Release(PacketType::PubRec));
    assert_eq!(bench.heard(1), []);
    bench.order(Command::Release(PUBACK));
    assert_eq!(bench.heard(1), [Body::PubAck(ack(1)), Body::PubAck(ack(2))]);
    qos1(&mut bench, 3);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(3))], "the rule has ended");
}

#[test]
fn what_was_held_last_can_go_first() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Hold));
    (1..=3).for_each(|id| qos1(&mut bench, id));
    bench.order(Command::ReleaseReversed(PUBACK));
    assert_eq!(bench.heard(1), [3, 2, 1].map(|id| Body::PubAck(ack(id))));
    qos1(&mut bench, 4);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(4))], "the rule has ended");
}

#[test]
fn twice_and_behind_something_else_in_one_segment() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Twice).once());
    bench.order(Command::Rule(Rule::to_module(PUBACK, Action::Prepend(b"!".to_vec())).once()));
    (1..=2).for_each(|id| qos1(&mut bench, id));
    let expected: [&[u8]; 2] = [b"\x40\x02\x00\x01\x40\x02\x00\x01", b"!\x40\x02\x00\x02"];
    assert_eq!(bench.sent[&1], expected);
}

#[test]
fn nobody_is_owed_the_answer_of_a_session_that_ended() {
    let mut bench = Bench::new();
    bench.answers = false;
    bench.connected(1, "c", true);
    bench.say(1, subscribe(1, &[("t", 1)]));
    assert_eq!(bench.partner.owed(), 1);
    bench.lose(1);
    assert_eq!(bench.partner.owed(), 0);
}

#[test]
fn cleared_rules_leave_what_is_held() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Hold));
    qos1(&mut bench, 1);
    bench.order(Command::ClearRules);
    qos1(&mut bench, 2);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(2))]);
    bench.order(Command::Release(PUBACK));
    assert_eq!(bench.heard(1), [Body::PubAck(ack(1))]);
}

#[test]
fn nothing_precedes_a_held_connack() {
    let mut bench = Bench::new();
    bench.connected(1, "c", false);
    bench.say(1, subscribe(1, &[("t", 1)]));
    bench.lose(1);
    bench.publish("t", "kept", 1);
    bench.order(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Hold)));
    bench.open(2);
    bench.say(2, connect("c", false));
    bench.say(2, Body::PingReq);
    assert_eq!(bench.heard(2), []);
    assert_eq!(bench.partner.next_timeout(), None, "a client that awaits CONNACK may be silent");
    bench.order(Command::Release(PacketType::ConnAck));
    assert_eq!(bench.heard(2), [connack(1, 0), Body::Publish(publish("t", "kept", 1, 1)), Body::PingResp]);
}

#[test]
fn withheld_to_the_module_and_from_it() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Withhold).once());
    qos1(&mut bench, 1);
    qos1(&mut bench, 1);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(1))]);
    assert_eq!(bench.published.len(), 2);
    bench.order(Command::Rule(Rule::from_module(PacketType::Publish, Action::Withhold).once()));
    qos1(&mut bench, 2);
    assert_eq!(bench.heard(1), []);
    assert_eq!(bench.published.len(), 2);
    let altered = |action, packet| Output::Altered { conn: 1, packet, action };
    assert!(bench.asked.contains(&altered(Alteration::Withheld, PUBACK)));
    assert!(bench.asked.contains(&altered(Alteration::Ignored, PacketType::Publish)));
}

#[test]
fn an_ignored_puback_is_a_lost_one() {
    let mut bench = Bench::new();
    bench.connected(1, "c", false);
    bench.say(1, subscribe(1, &[("t", 1)]));
    bench.order(Command::Rule(Rule::from_module(PUBACK, Action::Withhold)));
    bench.publish("t", "x", 1);
    bench.say(1, Body::PubAck(ack(1)));
    assert_eq!(bench.heard(1), [suback(1, &[1]), Body::Publish(publish("t", "x", 1, 1))]);
    bench.lose(1);
    bench.open(2);
    bench.say(2, connect("c", false));
    let again = Publish { dup: true, ..publish("t", "x", 1, 1) };
    assert_eq!(bench.heard(2), [connack(1, 0), Body::Publish(again)]);
}

#[test]
fn an_answer_of_other_bytes_keeps_the_identifier() {
    let bytes = b"\x41\x02??\xb0\x02??".to_vec();
    let mut bench = ready(Rule::to_module(PUBACK, Action::Answer { bytes, ids: vec![2, 6, 7, usize::MAX] }));
    qos1(&mut bench, 0x1234);
    assert_eq!(
        bench.sent[&1].concat(),
        b"\x41\x02\x124\xb0\x02\x124",
        "what would lie outside is left alone"
    );
}

#[test]
fn ignored_pings_are_silence() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.say(1, connect_with("c", true, 10, None));
    bench.order(Command::Rule(Rule::from_module(PacketType::PingReq, Action::Withhold)));
    bench.at(9_000_000);
    bench.say(1, Body::PingReq);
    bench.at(14_999_999);
    assert!(bench.closed.is_empty());
    bench.at(15_000_000);
    assert_eq!(bench.closed[&1], Close::Fin);
}

#[test]
fn held_from_the_module() {
    let mut bench = ready(Rule::from_module(PacketType::Publish, Action::Hold));
    qos1(&mut bench, 1);
    bench.say(1, Body::PingReq);
    assert_eq!((bench.heard(1), bench.published.len()), (vec![Body::PingResp], 0));
    bench.order(Command::Release(PacketType::Publish));
    assert_eq!((bench.heard(1), bench.published.len()), (vec![Body::PubAck(ack(1))], 1));
}

#[test]
fn a_held_connect_keeps_back_what_follows() {
    let mut bench = Bench::new();
    bench.order(Command::Rule(Rule::from_module(PacketType::Connect, Action::Hold)));
    bench.open(1);
    bench.say(1, connect("c", true));
    bench.say(1, Body::PingReq);
    assert_eq!((bench.heard(1), bench.closed.len()), (vec![], 0));
    bench.order(Command::Release(PacketType::Connect));
    assert_eq!(bench.heard(1), [connack(0, 0), Body::PingResp]);
}

#[test]
fn delayed() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Delay(500)));
    qos1(&mut bench, 1);
    bench.at(100_000);
    qos1(&mut bench, 2);
    assert_eq!(bench.partner.next_timeout(), Some(500_000));
    bench.at(499_999);
    assert_eq!(bench.heard(1), []);
    bench.at(500_000);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(1))]);
    bench.at(600_000);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(2))]);
}

#[test]
fn replaced_appended_renumbered_and_cut() {
    let mut bench = ready(Rule::to_module(PUBACK, Action::Replace(b"??".to_vec())).once());
    bench.order(Command::Rule(Rule::to_module(PUBACK, Action::Append(b"!".to_vec())).once()));
    bench.order(Command::Rule(Rule::to_module(PUBACK, Action::Id(77)).once()));
    bench.order(Command::Rule(Rule::to_module(PUBACK, Action::OneByteSegments).once()));
    (1..=4).for_each(|id| qos1(&mut bench, id));
    let writes: [&[u8]; 7] = [b"??", b"\x40\x02\x00\x01!".as_slice(), b"", b"", b"", b"", b""];
    let mut expected: Vec<Vec<u8>> = writes[..1].iter().map(|w| w.to_vec()).collect();
    expected.push(b"\x40\x02\x00\x02!".to_vec());
    expected.push(b"\x40\x02\x00\x4d".to_vec());
    expected.extend(b"\x40\x02\x00\x04".iter().map(|b| vec![*b]));
    assert_eq!(bench.sent[&1], expected);
}

#[rstest]
fn connack_codes(#[values(1, 2, 3, 4, 5)] code: u8) {
    let mut bench = Bench::new();
    bench.connected(1, "c", false);
    bench.lose(1);
    bench.order(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Code(code)).once()));
    bench.open(2);
    bench.say(2, connect("c", true));
    assert_eq!(bench.heard(2), [connack(0, code)]);
    assert_eq!(bench.closed[&2], Close::Fin);
    bench.connected(3, "c", false);
    assert!(
        !bench.asked.iter().any(|o| matches!(o, Output::SessionEnded { .. })),
        "the session was not touched"
    );
}

#[rstest]
#[case(0x80, None)]
#[case(0, Some(0))]
#[case(1, Some(1))]
fn suback_codes(#[case] code: u8, #[case] delivered: Option<u8>) {
    let mut bench = ready(Rule::to_module(PacketType::SubAck, Action::Code(code)));
    bench.say(1, subscribe(1, &[("t", 2), ("u", 2)]));
    bench.publish("t", "x", 2);
    let mut expected = vec![suback(1, &[code, code])];
    expected.extend(delivered.map(|qos| Body::Publish(publish("t", "x", qos, 1))));
    assert_eq!(bench.heard(1), expected);
}

#[rstest]
fn then_close(#[values(Close::Fin, Close::Rst)] how: Close, #[values(true, false)] to_module: bool) {
    let make = if to_module { Rule::to_module } else { Rule::from_module };
    let on = if to_module { PUBACK } else { PacketType::Publish };
    let mut bench = ready(make(on, Action::ThenClose(how)));
    qos1(&mut bench, 1);
    assert_eq!(bench.heard(1), [Body::PubAck(ack(1))]);
    assert_eq!(bench.closed[&1], how);
}

#[test]
fn skip_and_times() {
    let mut rule = Rule::to_module(PUBACK, Action::Withhold);
    (rule.skip, rule.times) = (2, Some(2));
    let mut bench = ready(rule);
    (1..=6).for_each(|id| qos1(&mut bench, id));
    let expected = [1, 2, 5, 6].map(|id| Body::PubAck(ack(id)));
    assert_eq!(bench.heard(1), expected);
    let mut bench =
        ready(Rule { on: PUBACK, way: Way::ToModule, skip: 0, times: Some(0), action: Action::Withhold });
    qos1(&mut bench, 1);
    assert_eq!(bench.heard(1).len(), 1);
}

#[test]
fn injected_bytes_pass_everything() {
    let mut bench = Bench::new();
    bench.order(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Withhold)));
    bench.open(1);
    bench.say(1, connect("c", true));
    bench.order(Command::Inject(b"\xff\x00".to_vec()));
    assert_eq!(bench.sent[&1], [b"\xff\x00".to_vec()]);
}

#[test]
fn a_mute_broker_catches_up_when_it_resumes() {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.say(1, subscribe(1, &[("t", 1)]));
    bench.heard(1);
    bench.order(Command::Mute);
    qos1(&mut bench, 9);
    bench.publish("t", "x", 0);
    bench.at(3_600_000_000);
    assert_eq!((bench.heard(1), bench.published.len()), (vec![], 1));
    bench.order(Command::Resume);
    let first = Body::Publish(publish("t", "x", 0, 0));
    let own = Body::Publish(publish("t", "x", 1, 1));
    let heard = bench.heard(1);
    assert_eq!(heard[0], first);
    assert!(heard.contains(&own) && heard.contains(&Body::PubAck(ack(9))), "{heard:?}");
}

#[test]
fn mute_and_stop_reading_wait_for_a_connection() {
    let mut bench = Bench::new();
    bench.order(Command::Mute);
    bench.order(Command::StopReading);
    bench.open(1);
    bench.say(1, connect("c", true));
    assert_eq!(bench.heard(1), []);
    assert!(bench.asked.contains(&Output::Reading { conn: 1, on: false }));
    bench.order(Command::Resume);
    assert_eq!(bench.heard(1), [connack(0, 0)]);
    assert!(bench.asked.contains(&Output::Reading { conn: 1, on: true }));
}

#[test]
fn the_end_of_a_muted_connection_is_understood() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.say(1, connect_with("c", true, 60, Some("w")));
    bench.order(Command::Mute);
    qos1(&mut bench, 1);
    bench.say(1, Body::Disconnect);
    bench.lose(1);
    let topics: Vec<_> = bench.published.iter().map(|m| m.topic.clone()).collect();
    assert_eq!(topics, [b"t"], "the message counts, and there is no will after DISCONNECT");
}

#[test]
fn half_closed_goes_on_listening() {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.order(Command::HalfClose);
    qos1(&mut bench, 1);
    assert_eq!((bench.heard(1), bench.published.len()), (vec![], 1));
    assert!(bench.asked.contains(&Output::HalfClose { conn: 1 }));
}

#[test]
fn commands_need_a_connection() {
    let mut bench = Bench::new();
    for command in [Command::Close(Close::Fin), Command::HalfClose, Command::Inject(vec![0])] {
        assert_eq!(bench.partner.command(command, 0), Err(NoConnection));
    }
    bench.open(1);
    bench.order(Command::Close(Close::Rst));
    assert_eq!(bench.closed[&1], Close::Rst, "the only one that may be the module's");
    bench.open(2);
    bench.open(3);
    assert_eq!(bench.partner.command(Command::Inject(vec![0]), 0), Err(NoConnection), "which one?");
    bench.order(Command::Close(Close::Rst));
    assert_eq!(
        (bench.closed[&2], bench.closed[&3]),
        (Close::Rst, Close::Rst),
        "strangers lose nothing by it"
    );
}

#[test]
fn a_hostile_module_cannot_fill_the_memory_with_what_is_held() {
    let mut bench = Bench::with(Settings { max_bytes: 10_000, ..Settings::default() });
    bench.connected(1, "c", true);
    bench.order(Command::Rule(Rule::to_module(PUBACK, Action::Hold)));
    (1..=1000).for_each(|id| qos1(&mut bench, id));
    assert_eq!(bench.closed[&1], Close::Rst);
    assert!(bench.asked.iter().any(|o| matches!(o, Output::Fault(_))));
}

#[test]
fn admission() {
    let own = Credentials {
        client: b"case".to_vec(),
        username: b"user".to_vec(),
        password: b"pass".to_vec(),
        empty_client: false,
    };
    let connect = |client: &str, username: Option<&str>, password: Option<&str>| Connect {
        client_id: client.into(),
        username: username.map(Into::into),
        password: password.map(|p| p.as_bytes().to_vec()),
        ..Connect::default()
    };
    let admission = Admission::Only(own.clone());
    for (client, username, password, is_own) in [
        ("case", None, None, true),
        ("other", Some("user"), None, true),
        ("other", Some("x"), Some("pass"), true),
        ("", None, None, false),
        ("cases", Some("use"), Some(""), false),
        ("", Some(""), Some(""), false),
    ] {
        let connect = connect(client, username, password);
        assert_eq!(admission.check(&connect).is_ok(), is_own, "{connect:?}");
    }
    let lenient = Admission::Only(Credentials { empty_client: true, ..own });
    assert!(lenient.check(&connect("", None, None)).is_ok());
    assert!(lenient.check(&connect("", Some("x"), None)).is_err());
    let nothing = Admission::Only(Credentials::default());
    assert!(nothing.check(&connect("", Some(""), Some(""))).is_err(), "empty credentials prove nothing");
}
