//! What the standard asks of a server.

use super::*;

#[test]
fn keep_alive() {
    let mut bench = Bench::with(Settings { margin_us: 1000, clock_factor: 0.1, ..Settings::default() });
    bench.open(1);
    bench.say(1, connect_with("c", true, 10, None));
    assert_eq!(bench.partner.next_timeout(), Some(1_501_000));
    bench.at(1_000_000);
    bench.bytes(1, b"\xc0");
    assert_eq!(bench.partner.next_timeout(), Some(1_501_000), "only whole packets count");
    bench.bytes(1, b"\x00");
    assert_eq!(bench.partner.next_timeout(), Some(2_501_000));
    bench.at(2_500_999);
    assert!(bench.closed.is_empty());
    bench.at(2_501_000);
    assert_eq!(bench.closed[&1], Close::Fin);
}

#[test]
fn keep_alive_0_is_off() {
    let mut bench = Bench::new();
    bench.open(1);
    assert_eq!(bench.partner.next_timeout(), Some(300_000_000), "for CONNECT");
    bench.say(1, connect_with("c", true, 0, None));
    assert_eq!(bench.partner.next_timeout(), None);
}

#[test]
fn no_connect() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.bytes(1, b"\x10");
    bench.at(300_000_000);
    assert_eq!((bench.closed[&1], bench.heard(1)), (Close::Fin, vec![]));
}

#[test]
fn disconnect_waits_for_the_client_to_close() {
    let mut bench = Bench::new();
    for conn in 1..=3 {
        bench.open(conn);
        bench.say(conn, connect_with("c", true, 1, Some("w")));
        bench.say(conn, Body::Disconnect);
        assert_eq!(bench.closed.get(&conn), None);
        assert!(bench.asked.iter().any(|o| matches!(o, Output::SessionEnded { .. })));
        match conn {
            1 => bench.lose(conn),
            2 => {
                bench.at(29_999_999);
                assert_eq!(bench.closed.get(&conn), None, "keep alive does not count any more");
                bench.at(30_000_000);
                assert_eq!(bench.closed[&conn], Close::Fin);
            }
            _ => {
                bench.say(conn, Body::PingReq);
                assert_eq!(bench.closed[&conn], Close::Fin, "nothing may follow DISCONNECT");
            }
        }
    }
    assert_eq!(bench.published, []);
}

#[test]
fn the_will_is_published_on_every_other_end() {
    let mut bench = Bench::new();
    let ends: [fn(&mut Bench, ConnId); 6] = [
        |b, c| b.lose(c),
        |b, _| b.order(Command::Close(Close::Rst)),
        |b, c| b.say(c, Body::PingResp),
        |b, c| b.bytes(c, b"\x30\xff\xff\xff\xff\x01"),
        |b, _| b.at(b.now + 90_000_000),
        |b, c| {
            b.open(c + 100);
            b.say(c + 100, connect("c", true));
        },
    ];
    for (count, end) in ends.into_iter().enumerate() {
        let conn = u32::try_from(count).unwrap() + 1;
        bench.open(conn);
        bench.say(conn, connect_with("c", true, 60, Some("w")));
        assert_eq!(bench.published.len(), count);
        end(&mut bench, conn);
        assert_eq!(bench.published.len(), count + 1, "end {count}");
    }
}

#[test]
fn a_packet_that_is_too_long() {
    let mut bench = Bench::with(Settings { max_packet: 100, ..Settings::default() });
    bench.connected(1, "c", true);
    bench.bytes(1, b"\x30\x63");
    assert_eq!(bench.closed[&1], Close::Fin, "as soon as it is announced");
    assert_eq!(bench.heard(1), []);
}

#[test]
fn a_subscribe_is_answered_before_what_follows() {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.answers = false;
    bench.say(1, subscribe(5, &[("a", 1), ("b", 2)]));
    bench.say(1, Body::PingReq);
    bench.say(1, subscribe(6, &[("a", 0)]));
    assert_eq!(bench.heard(1), []);
    let Some(Output::Subscribe { ticket, .. }) = bench.asked.pop() else { panic!("{:?}", bench.asked) };
    bench.partner.subscribed(ticket, &[0, 0x80], 0);
    bench.follow();
    assert_eq!(bench.heard(1), [suback(5, &[0, 0x80]), Body::PingResp]);
    bench.at(10_000_000);
    assert_eq!(bench.heard(1), [suback(6, &[0x80])], "the broker behind did not answer");
    assert!(bench.asked.iter().any(|o| matches!(o, Output::Fault(_))));
}

#[test]
fn a_pipelined_goodbye_behind_an_unanswered_subscribe() {
    let mut bench = Bench::new();
    bench.open(1);
    bench.say(1, connect_with("c", false, 60, Some("w")));
    bench.answers = false;
    let mut all = encode(&subscribe(5, &[("a", 1)]));
    all.extend(encode(&subscribe(6, &[("b", 1)])));
    all.extend(encode(&Body::Publish(publish("t", "x", 0, 0))));
    all.extend(encode(&Body::Disconnect));
    bench.bytes(1, &all);
    bench.lose(1);
    assert_eq!(bench.published.len(), 1, "the message, and no will");
    assert_eq!(bench.asked.iter().filter(|o| matches!(o, Output::Subscribe { .. })).count(), 2);
}

#[test]
fn limits_of_a_session() {
    let limits =
        Settings { max_filters: 3, max_queue: 4, max_sessions: 2, max_inflight: 2, ..Settings::default() };
    let mut bench = Bench::with(limits);
    bench.connected(1, "c", false);
    bench.say(1, subscribe(1, &[("a", 1), ("b", 1), ("c", 1), ("d", 1), ("a", 0)]));
    assert_eq!(bench.heard(1), [suback(1, &[1, 1, 1, 0x80, 0x80])]);
    bench.lose(1);
    for number in 0..6 {
        bench.publish("a", &number.to_string(), 1);
    }
    bench.publish("a", "qos 0 is not kept", 0);
    assert_eq!(bench.asked.iter().filter(|o| matches!(o, Output::Fault(_))).count(), 2);
    bench.open(2);
    bench.say(2, connect("c", false));
    let message = |n: u16| Body::Publish(publish("a", &n.to_string(), 1, n + 1));
    assert_eq!(bench.heard(2), [connack(1, 0), message(0), message(1)]);
    bench.say(2, Body::PubAck(ack(2)));
    assert_eq!(bench.heard(2), [message(2)], "one place is free again");
    bench.connected(3, "d", false);
    bench.open(4);
    bench.say(4, connect("e", false));
    assert_eq!((bench.heard(4), bench.closed[&4]), (vec![connack(0, 3)], Close::Fin));
}

#[test]
fn identifiers_wrap_and_are_never_used_twice() {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.say(1, subscribe(1, &[("t", 1)]));
    bench.heard(1);
    bench.publish("t", "first, never acknowledged", 1);
    bench.heard(1);
    let mut expected = 2;
    for _ in 0..66_000 {
        bench.publish("t", "", 1);
        let heard = bench.heard(1);
        assert_eq!(heard, [Body::Publish(publish("t", "", 1, expected))]);
        bench.say(1, Body::PubAck(ack(expected)));
        expected = if expected == 65_535 { 2 } else { expected + 1 };
    }
    for _ in 0..65_534 {
        bench.publish("t", "", 1);
    }
    assert_eq!(bench.heard(1).len(), 65_534);
    bench.publish("t", "waits", 1);
    assert_eq!(bench.heard(1), [], "every identifier is in use");
    bench.say(1, Body::PubAck(ack(40_000)));
    assert_eq!(bench.heard(1), [Body::Publish(publish("t", "waits", 1, 40_000))]);
}

#[test]
fn clean_session_wipes_and_the_flag_of_the_last_connect_counts() {
    let mut bench = Bench::new();
    bench.connected(1, "c", false);
    bench.say(1, subscribe(1, &[("t", 1)]));
    bench.lose(1);
    bench.connected(2, "c", true);
    bench.publish("t", "x", 1);
    assert_eq!(bench.heard(2), []);
    bench.lose(2);
    bench.open(3);
    bench.say(3, connect("c", false));
    assert_eq!(bench.heard(3), [connack(0, 0)]);
}

#[test]
fn acknowledgements_that_fit_nothing_are_harmless() {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.say(1, subscribe(1, &[("t", 2)]));
    bench.publish("t", "x", 2);
    bench.heard(1);
    for body in [Body::PubAck(ack(1)), Body::PubComp(ack(1)), Body::PubAck(ack(9)), Body::PubComp(ack(9))] {
        bench.say(1, body);
    }
    assert_eq!(bench.heard(1), []);
    bench.say(1, Body::PubRec(ack(1)));
    bench.say(1, Body::PubRec(ack(1)));
    bench.say(1, Body::PubRec(ack(9)));
    assert_eq!(bench.heard(1), [1, 1, 9].map(|id| Body::PubRel(ack(id))));
    assert!(bench.closed.is_empty());
}

#[test]
fn unsubscribe_answers_once() {
    let mut bench = Bench::new();
    bench.connected(1, "c", true);
    bench.say(1, subscribe(1, &[("a", 0), ("b", 0)]));
    bench.heard(1);
    let filters = ["a", "never", "b"].map(Into::into).to_vec();
    bench.say(1, Body::Unsubscribe(Unsubscribe { id: 2, filters }));
    assert_eq!(bench.heard(1), [Body::UnsubAck(ack(2))]);
    bench.publish("a", "x", 0);
    assert_eq!(bench.heard(1), []);
}
