//! Each fault of rumqttd that could reach a module, through the tap.
//!
//! | fault | what shows that no module meets it |
//! |---|---|
//! | answers no CONNACK code but 0 and 2 | `no_connack_code_but_0_and_2`, `other_protocol_levels_get_code_1`, `empty_client_ids` |
//! | closes on keep alive 0 | `keep_alive_zero_is_off` |
//! | no UNSUBACK for an unknown filter | `unsubscribe_gets_exactly_one_answer` |
//! | delivers with the subscription's QoS | `delivered_with_the_lower_qos`, `overlapping_subscriptions_…` |
//! | re-sends without DUP | `sent_again_with_dup_in_order_and_acknowledged_in_any` |
//! | delivers QoS 2 twice | `qos_2_arrives_once` |
//! | fires the wrong will | `takeover_publishes_the_old_will_and_keeps_the_new` |
//! | dies of a topic that begins outside ASCII | `a_topic_that_begins_outside_ascii`, `a_will_and_a_retained_message_outside_ascii` |
//! | dies of a client id with `+ $ # /` | `client_ids_of_any_characters` |
//! | dies of CONNECT and then RST | `connect_and_reset_again_and_again` |
//! | dies, whatever of | `broker::embedded::tests::a_dead_router_is_a_fault_and_is_replaced`, `a_subscribe_under_way_…` |
//! | loses a message | `a_message_that_is_lost_behind_the_tap_is_a_fault` |
//! | cannot be stopped | `broker::embedded::tests::cannot_be_stopped_so_there_is_one_for_all` |
//! | cannot tell its port | `tests/no_listener.rs` |

use atspec_model::{
    mqtt::{Body, Frame, Framer, PacketType, Publish, SubAck, decode, encode},
    partner::{Action, Command, Rule, Settings},
    timeline::{Close, What},
};

use super::client::*;
use crate::{broker::Upstream, record::Recorder, tap::Tap};

#[tokio::test]
async fn a_topic_that_begins_outside_ascii() {
    let (tap, _) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    client.subscribe("#", 0).await;
    client.send(Body::Publish(publish("温度/x", "1", 0, 0))).await;
    assert_eq!(client.message().await, publish("温度/x", "1", 0, 0));
    client.send(with_will(connect("d", true), "é", "1")).await;
    assert_eq!(client.end().await, Close::Fin, "a second CONNECT");
    Client::connected(&tap, "e").await.nothing().await;
}

#[tokio::test]
async fn a_will_and_a_retained_message_outside_ascii() {
    let (tap, _) = tap().await;
    tap.command(Command::Publish(message("é", "kept", 0, true))).unwrap();
    let mut watcher = Client::connected(&tap, "w").await;
    watcher.subscribe("#", 0).await;
    assert_eq!(watcher.message().await, Publish { retain: true, ..publish("é", "kept", 0, 0) });
    let mut dying = Client::open(&tap).await;
    dying.send(with_will(connect("d", true), "über/w", "dead")).await;
    assert_eq!(dying.next().await, connack(0, 0));
    dying.reset();
    assert_eq!(watcher.message().await, publish("über/w", "dead", 0, 0));
}

#[tokio::test]
async fn client_ids_of_any_characters() {
    let (tap, _) = tap().await;
    for id in ["a+b", "$SYS", "x#", "a/b", "ключ", " "] {
        for _ in 0..3 {
            let mut client = Client::connected(&tap, id).await;
            client.subscribe("t", 0).await;
            client.send(Body::Publish(publish("t", id, 0, 0))).await;
            assert_eq!(client.message().await.payload, id.as_bytes());
        }
    }
}

#[tokio::test]
async fn connect_and_reset_again_and_again() {
    let (tap, _) = tap().await;
    for _ in 0..300 {
        let mut client = Client::open(&tap).await;
        client.send(connect("same", true)).await;
        client.reset();
    }
    let mut client = Client::connected(&tap, "same").await;
    client.subscribe("t", 1).await;
    client.nothing().await;
}

#[tokio::test]
async fn no_connack_code_but_0_and_2() {
    let (tap, _) = tap().await;
    for code in 1..=5 {
        tap.command(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Code(code)).once())).unwrap();
        let mut client = Client::open(&tap).await;
        client.send(connect("c", true)).await;
        assert_eq!(client.next().await, connack(0, code));
        assert_eq!(client.end().await, Close::Fin);
    }
    Client::connected(&tap, "c").await.nothing().await;
}

/// A broker that takes everything and delivers nothing.
#[tokio::test]
async fn a_message_that_is_lost_behind_the_tap_is_a_fault() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Upstream::external(&format!("mqtt://{}", deaf.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = deaf.accept().await {
            tokio::spawn(take_everything(stream));
        }
    });
    let recorder = Recorder::new();
    let tap = Tap::listen("127.0.0.1:0", Settings::default(), upstream, recorder.clone()).await.unwrap();
    let faults = || events(&recorder).into_iter().filter(|w| matches!(w, What::Fault { .. })).count();
    let mut client = Client::connected(&tap, "c").await;
    client.subscribe("t", 1).await;
    tap.deliveries(LIMIT).await;
    assert_eq!(faults(), 0, "it owes nothing yet");
    client.send(Body::Publish(publish("elsewhere", "x", 0, 0))).await;
    client.nothing().await;
    tap.deliveries(LIMIT).await;
    assert_eq!(faults(), 0, "nobody subscribed to that");
    client.send(Body::Publish(publish("t", "x", 0, 0))).await;
    client.nothing().await;
    tap.deliveries(std::time::Duration::ZERO).await;
    assert_eq!(faults(), 1);
}

/// Answers CONNECT and SUBSCRIBE, and nothing else.
async fn take_everything(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut framer, mut buffer) = (Framer::new(1 << 20), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        framer.push(&buffer[..count]);
        while let Some(Frame::Packet(raw)) = framer.next_frame() {
            let answer = match decode(&raw).body {
                Body::Connect(_) => connack(0, 0),
                Body::Subscribe(s) => {
                    Body::SubAck(SubAck { id: s.id, codes: s.filters.iter().map(|(_, qos)| *qos).collect() })
                }
                _ => continue,
            };
            stream.write_all(&encode(&answer)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn keep_alive_zero_is_off() {
    let (tap, _) = tap_with(Settings { margin_us: 0, clock_factor: 0.0, ..Settings::default() }).await;
    let mut client = Client::open(&tap).await;
    let Body::Connect(mut c) = connect("c", true) else { unreachable!() };
    c.keep_alive = 0;
    client.send(Body::Connect(c)).await;
    assert_eq!(client.next().await, connack(0, 0));
    client.nothing().await;
}

#[tokio::test]
async fn a_silent_client_is_cut_although_it_receives() {
    let (tap, _) = tap_with(Settings { margin_us: 0, clock_factor: 0.01, ..Settings::default() }).await;
    let mut client = Client::open(&tap).await;
    let Body::Connect(mut c) = connect("c", true) else { unreachable!() };
    c.keep_alive = 20;
    client.send(Body::Connect(c)).await;
    assert_eq!(client.next().await, connack(0, 0));
    client.subscribe("t", 0).await;
    let began = std::time::Instant::now();
    tap.command(Command::Publish(message("t", "1", 0, false))).unwrap();
    client.message().await;
    assert_eq!(client.end().await, Close::Fin);
    assert!(began.elapsed().as_millis() >= 250, "{:?}", began.elapsed());
}

#[tokio::test]
async fn other_protocol_levels_get_code_1() {
    let (tap, _) = tap().await;
    for (name, level) in [("MQIsdp", 3), ("MQTT", 3), ("MQTT", 5), ("MQTT", 6)] {
        let mut client = Client::open(&tap).await;
        let Body::Connect(mut c) = connect("c", true) else { unreachable!() };
        (c.protocol, c.level) = (name.into(), level);
        client.send(Body::Connect(c)).await;
        assert_eq!(client.next().await, connack(0, 1));
        assert_eq!(client.end().await, Close::Fin);
    }
}

#[tokio::test]
async fn empty_client_ids() {
    let (tap, _) = tap().await;
    let mut client = Client::open(&tap).await;
    client.send(connect("", false)).await;
    assert_eq!(client.next().await, connack(0, 2));
    assert_eq!(client.end().await, Close::Fin);
    let mut one = Client::connected(&tap, "").await;
    let mut two = Client::connected(&tap, "").await;
    one.nothing().await;
    two.nothing().await;
}

#[tokio::test]
async fn unsubscribe_gets_exactly_one_answer() {
    let (tap, _) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    client.send(unsubscribe(9, &["never/was"])).await;
    assert_eq!(client.next().await, Body::UnsubAck(ack(9)));
    client.subscribe("a", 0).await;
    client.subscribe("b", 0).await;
    client.send(unsubscribe(10, &["a", "b", "c"])).await;
    assert_eq!(client.next().await, Body::UnsubAck(ack(10)));
    client.nothing().await;
}

#[tokio::test]
async fn delivered_with_the_lower_qos() {
    let (tap, _) = tap().await;
    for granted in 0..=2 {
        for sent in 0..=2 {
            let mut client = Client::connected(&tap, "c").await;
            client.subscribe("t", granted).await;
            tap.command(Command::Publish(message("t", "x", sent, false))).unwrap();
            assert_eq!(client.message().await, publish("t", "x", granted.min(sent), 1));
        }
    }
}

#[tokio::test]
async fn overlapping_subscriptions_deliver_one_copy_with_the_highest_qos() {
    let (tap, _) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    client.send(subscribe(7, &[("a/#", 0), ("a/b", 2), ("+/b", 1), ("#", 0)])).await;
    assert_eq!(client.next().await, Body::SubAck(SubAck { id: 7, codes: vec![0, 2, 1, 0] }));
    for round in 1..=20 {
        tap.command(Command::Publish(message("a/b", &round.to_string(), 2, false))).unwrap();
    }
    for round in 1..=20 {
        assert_eq!(client.message().await, publish("a/b", &round.to_string(), 2, round));
    }
    client.nothing().await;
}

#[tokio::test]
async fn sent_again_with_dup_in_order_and_acknowledged_in_any() {
    let (tap, _) = tap().await;
    let mut client = Client::open(&tap).await;
    client.send(connect("c", false)).await;
    assert_eq!(client.next().await, connack(0, 0));
    client.subscribe("t", 2).await;
    for (number, qos) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        tap.command(Command::Publish(message("t", "x", qos, false))).unwrap();
        assert_eq!(client.message().await, publish("t", "x", qos, number));
    }
    // rumqttd ends a client whose acknowledgements come in another order.
    client.send(Body::PubRec(ack(4))).await;
    assert_eq!(client.next().await, Body::PubRel(ack(4)));
    client.send(Body::PubAck(ack(3))).await;
    client.nothing().await;
    client.reset();

    let mut client = Client::open(&tap).await;
    client.send(connect("c", false)).await;
    assert_eq!(client.next().await, connack(1, 0));
    assert_eq!(client.message().await, Publish { dup: true, ..publish("t", "x", 1, 1) });
    assert_eq!(client.message().await, Publish { dup: true, ..publish("t", "x", 2, 2) });
    assert_eq!(client.next().await, Body::PubRel(ack(4)));
    client.send(Body::PubComp(ack(4))).await;
    client.send(Body::PubAck(ack(1))).await;
    client.nothing().await;
}

#[tokio::test]
async fn qos_2_arrives_once() {
    let (tap, _) = tap().await;
    let mut watcher = Client::connected(&tap, "w").await;
    watcher.subscribe("t", 0).await;
    let mut client = Client::open(&tap).await;
    client.send(connect("c", false)).await;
    assert_eq!(client.next().await, connack(0, 0));
    let first = publish("t", "once", 2, 11);
    client.send(Body::Publish(first.clone())).await;
    client.send(Body::Publish(Publish { dup: true, ..first.clone() })).await;
    assert_eq!(client.next().await, Body::PubRec(ack(11)));
    assert_eq!(client.next().await, Body::PubRec(ack(11)));
    client.reset();
    let mut client = Client::open(&tap).await;
    client.send(connect("c", false)).await;
    assert_eq!(client.next().await, connack(1, 0));
    client.send(Body::Publish(Publish { dup: true, ..first.clone() })).await;
    assert_eq!(client.next().await, Body::PubRec(ack(11)));
    client.send(Body::PubRel(ack(12))).await;
    assert_eq!(client.next().await, Body::PubComp(ack(12)), "an unknown identifier");
    client.send(Body::PubRel(ack(11))).await;
    assert_eq!(client.next().await, Body::PubComp(ack(11)));
    client.send(Body::Publish(first)).await;
    assert_eq!(client.next().await, Body::PubRec(ack(11)), "a new message with the same identifier");
    assert_eq!(watcher.message().await.payload, b"once");
    assert_eq!(watcher.message().await.payload, b"once");
    watcher.nothing().await;
}

#[tokio::test]
async fn retained_messages() {
    let (tap, _) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    client.send(Body::Publish(Publish { retain: true, ..publish("r/a", "one", 1, 1) })).await;
    assert_eq!(client.next().await, Body::PubAck(ack(1)));
    client.send(Body::Publish(publish("r/a", "", 0, 0))).await;
    for _ in 0..2 {
        // An empty payload without RETAIN cleared nothing; a second SUBSCRIBE brings the message again.
        client.subscribe("r/+", 1).await;
        let kept = client.message().await;
        assert_eq!(kept, Publish { retain: true, id: kept.id, ..publish("r/a", "one", 1, 0) });
        client.send(Body::PubAck(ack(kept.id.unwrap()))).await;
    }
    client.send(Body::Publish(publish("r/a", "two", 0, 0))).await;
    assert_eq!(client.message().await, publish("r/a", "two", 0, 0), "RETAIN is 0 for a live message");
    client.send(Body::Publish(Publish { retain: true, ..publish("r/a", "", 0, 0) })).await;
    assert_eq!(client.message().await, publish("r/a", "", 0, 0));
    client.subscribe("r/a", 0).await;
    client.nothing().await;
}

#[tokio::test]
async fn takeover_publishes_the_old_will_and_keeps_the_new() {
    let (tap, _) = tap().await;
    for clean in [true, false] {
        let mut watcher = Client::connected(&tap, "w").await;
        watcher.subscribe("w", 0).await;
        let mut old = Client::open(&tap).await;
        old.send(with_will(connect("c", clean), "w", "dead1")).await;
        assert_eq!(old.next().await, connack(0, 0));
        let mut new = Client::open(&tap).await;
        new.send(with_will(connect("c", clean), "w", "dead2")).await;
        assert_eq!(new.next().await, connack(u8::from(!clean), 0));
        assert_eq!(old.end().await, Close::Fin);
        assert_eq!(watcher.message().await.payload, b"dead1");
        new.reset();
        assert_eq!(watcher.message().await.payload, b"dead2");
        watcher.nothing().await;
    }
}

#[tokio::test]
async fn topics_that_begin_with_a_dollar() {
    let (tap, _) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    for filter in ["$SYS/#", "#", "+/x", "$share/g/t"] {
        client.subscribe(filter, 0).await;
    }
    client.send(Body::Publish(publish("$SYS/x", "1", 0, 0))).await;
    assert_eq!(client.message().await, publish("$SYS/x", "1", 0, 0));
    client.send(unsubscribe(9, &["$SYS/#"])).await;
    assert_eq!(client.next().await, Body::UnsubAck(ack(9)));
    client.send(Body::Publish(publish("$SYS/x", "2", 0, 0))).await;
    client.send(Body::Publish(publish("end", "3", 0, 0))).await;
    assert_eq!(client.message().await, publish("end", "3", 0, 0), "# does not match $SYS/x");
    client.nothing().await;
}

#[tokio::test]
async fn what_the_standard_forbids_ends_the_connection_without_an_answer() {
    let (tap, _) = tap().await;
    let forbidden: [(&str, &[u8]); 14] = [
        ("second CONNECT", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"),
        ("CONNACK", b"\x20\x02\x00\x00"),
        ("PUBLISH with a wildcard", b"\x30\x03\x00\x01#"),
        ("PUBLISH with an empty topic", b"\x30\x02\x00\x00"),
        ("PUBLISH with U+0000", b"\x30\x03\x00\x01\x00"),
        ("PUBLISH of QoS 3", b"\x36\x05\x00\x01t\x00\x01"),
        ("DUP with QoS 0", b"\x38\x03\x00\x01t"),
        ("invalid filter", b"\x82\x0a\x00\x01\x00\x05a/#/b\x00"),
        ("empty filter", b"\x82\x05\x00\x01\x00\x00\x00"),
        ("reserved bits of the requested QoS", b"\x82\x06\x00\x01\x00\x01t\x81"),
        ("wrong flags of SUBSCRIBE", b"\x80\x06\x00\x01\x00\x01t\x00"),
        ("packet identifier 0", b"\x82\x06\x00\x00\x00\x01t\x00"),
        ("UNSUBSCRIBE without a filter", b"\xa2\x02\x00\x01"),
        ("PINGREQ with a body", b"\xc0\x01\x00"),
    ];
    for (what, bytes) in forbidden {
        let mut client = Client::connected(&tap, "c").await;
        client.bytes(bytes).await;
        assert_eq!(client.end().await, Close::Fin, "{what}");
    }
}

#[tokio::test]
async fn bursts_long_topics_and_large_payloads_pass() {
    let (tap, _) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    client.subscribe("#", 0).await;
    let topic = "t".repeat(65_535);
    client.send(Body::Publish(publish(&topic, "1", 0, 0))).await;
    assert_eq!(client.message().await.topic, topic.as_str().into());
    let payload = "p".repeat(290_000);
    client.send(Body::Publish(publish("big", &payload, 0, 0))).await;
    assert_eq!(client.message().await.payload.len(), payload.len());
    for number in 0..2000 {
        client.send(Body::Publish(publish("burst", &number.to_string(), 0, 0))).await;
    }
    for number in 0..2000 {
        assert_eq!(client.message().await.payload, number.to_string().as_bytes());
    }
}

#[tokio::test]
async fn an_external_broker_that_is_not_there_is_a_fault_and_no_hang() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = Upstream::external(&format!("mqtt://{free}")).unwrap();
    let recorder = Recorder::new();
    let tap = Tap::listen("127.0.0.1:0", Settings::default(), upstream, recorder.clone()).await.unwrap();
    let mut client = Client::connected(&tap, "c").await;
    client.send(subscribe(7, &[("t", 1)])).await;
    assert_eq!(client.next().await, Body::SubAck(SubAck { id: 7, codes: vec![0x80] }));
    client.send(Body::Publish(publish("t", "x", 1, 1))).await;
    assert_eq!(client.next().await, Body::PubAck(ack(1)));
    assert!(events(&recorder).iter().any(|w| matches!(w, What::Fault { .. })));
}
