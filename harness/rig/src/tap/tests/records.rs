//! What the tap records.

use atspec_model::{
    mqtt::{Body, PacketType},
    partner::{Action, Admission, Command, Credentials, Rule},
    timeline::{Alteration, Close, Side, What},
};

use super::client::*;

#[tokio::test]
async fn a_connection_from_its_opening_to_its_end() {
    let (tap, recorder) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    assert_eq!(tap.connections(), 1);
    client.send(Body::Disconnect).await;
    drop(client);
    let end = What::Closed { conn: 1, by: Side::Broker, how: Close::Fin };
    recorded(&recorder, |what| *what == end).await;
    let events = events(&recorder);
    assert!(matches!(&events[0], What::Opened { conn: 1, .. }), "{events:?}");
    assert!(matches!(&events[1], What::FromModule { conn: 1, bytes } if bytes[0] == 0x10), "{events:?}");
    let rest = [
        What::ToModule { conn: 1, bytes: b"\x20\x02\x00\x00".to_vec() },
        What::FromModule { conn: 1, bytes: b"\xe0\x00".to_vec() },
        What::Closed { conn: 1, by: Side::Module, how: Close::Fin },
        end,
    ];
    assert_eq!(events[2..], rest);
    assert_eq!(tap.connections(), 0);
}

#[tokio::test]
async fn fin_and_rst_of_either_side() {
    let (tap, recorder) = tap().await;
    Client::connected(&tap, "c").await.reset();
    recorded(&recorder, |w| *w == What::Closed { conn: 1, by: Side::Module, how: Close::Rst }).await;
    for (conn, how) in [(2, Close::Fin), (3, Close::Rst)] {
        let mut client = Client::connected(&tap, "c").await;
        tap.command(Command::Close(how)).unwrap();
        assert_eq!(client.end().await, how);
        recorded(&recorder, |w| *w == What::Closed { conn, by: Side::Broker, how }).await;
    }
    let mut client = Client::connected(&tap, "c").await;
    tap.command(Command::HalfClose).unwrap();
    assert_eq!(client.end().await, Close::Fin);
    client.send(Body::PingReq).await;
    recorded(&recorder, |w| *w == What::FromModule { conn: 4, bytes: b"\xc0\x00".to_vec() }).await;
    drop(client);
    recorded(&recorder, |w| *w == What::Closed { conn: 4, by: Side::Module, how: Close::Fin }).await;
    assert!(tap.command(Command::Close(Close::Fin)).is_err());
}

#[tokio::test]
async fn a_rule_in_effect() {
    let (tap, recorder) = tap().await;
    tap.command(Command::Rule(Rule::to_module(PacketType::PubAck, Action::Hold))).unwrap();
    let mut client = Client::connected(&tap, "c").await;
    client.send(Body::Publish(publish("t", "1", 1, 5))).await;
    client.nothing().await;
    tap.command(Command::Release(PacketType::PubAck)).unwrap();
    assert_eq!(client.next().await, Body::PubAck(ack(5)));
    let events = events(&recorder);
    let at = |wanted: &What| {
        events.iter().position(|w| w == wanted).unwrap_or_else(|| panic!("{wanted:?}: {events:?}"))
    };
    let altered = |action| What::Altered { conn: 1, packet: PacketType::PubAck, action };
    assert_eq!(at(&What::Broker { command: "hold PUBACK".into() }), 0);
    let order = [
        at(&altered(Alteration::Held)),
        at(&What::ToModule { conn: 1, bytes: b"\xd0\x00".to_vec() }),
        at(&What::Broker { command: "release every PUBACK that is held".into() }),
        at(&altered(Alteration::Released)),
        at(&What::ToModule { conn: 1, bytes: b"\x40\x02\x00\x05".to_vec() }),
    ];
    assert!(order.is_sorted(), "{order:?}");
}

fn only(client: &str) -> Admission {
    let secret = format!("{client}-secret").into_bytes();
    Admission::Only(Credentials {
        client: client.into(),
        username: format!("{client}-user").into(),
        password: secret,
        empty_client: false,
    })
}

#[tokio::test]
async fn strangers_are_turned_away_and_leave_little_trace() {
    let (tap, recorder) = tap().await;
    tap.admit(only("case1"));
    for _ in 0..20 {
        let mut stranger = Client::open(&tap).await;
        stranger.send(connect("somebody", true)).await;
        assert_eq!(stranger.next().await, connack(0, 5));
        assert_eq!(stranger.end().await, Close::Fin);
    }
    let mut scanner = Client::open(&tap).await;
    scanner.bytes(b"GET / HTTP/1.1\r\n\r\n").await;
    scanner.end().await;
    tap.command(Command::Rule(Rule::to_module(PacketType::ConnAck, Action::Code(3)).once())).unwrap();
    let mut stranger = Client::open(&tap).await;
    stranger.send(connect("somebody", true)).await;
    assert_eq!(stranger.next().await, connack(0, 5), "rules do not concern strangers");
    let mut own = Client::open(&tap).await;
    own.send(connect("case1", true)).await;
    assert_eq!(own.next().await, connack(0, 3));
    let mut own = Client::connected(&tap, "case1").await;
    own.nothing().await;
    assert_eq!(tap.connections(), 1);
    let events = events(&recorder);
    assert_eq!(events.iter().filter(|w| matches!(w, What::Stranger { .. })).count(), 16);
    assert_eq!(events.iter().filter(|w| matches!(w, What::Opened { .. })).count(), 18);
    assert!(
        !events.iter().any(|w| matches!(w, What::ToModule { bytes, .. } if bytes == b"\x20\x02\x00\x05"))
    );
    assert!(!events.iter().any(|w| matches!(w, What::Fault { .. })), "{events:?}");
}

#[tokio::test]
async fn a_new_case_forgets_the_former_one() {
    let (tap, recorder) = tap().await;
    tap.admit(only("case1"));
    let mut client = Client::open(&tap).await;
    client.send(with_will(connect("case1", false), "w", "dead")).await;
    assert_eq!(client.next().await, connack(0, 0));
    client.subscribe("#", 2).await;
    tap.command(Command::Publish(message("kept", "1", 1, true))).unwrap();
    client.message().await;
    recorder.restart();
    tap.admit(only("case2"));
    assert_eq!(client.end().await, Close::Fin);
    let mut stale = Client::open(&tap).await;
    stale.send(connect("case1", false)).await;
    assert_eq!(stale.next().await, connack(0, 5));
    let mut client = Client::connected(&tap, "case2").await;
    client.subscribe("#", 2).await;
    client.nothing().await;
    let first = events(&recorder).into_iter().next();
    assert!(matches!(first, Some(What::Opened { conn: 2, .. })), "{first:?}");
    tap.admit(only("case1"));
    let mut client = Client::open(&tap).await;
    client.send(connect("case1", false)).await;
    assert_eq!(client.next().await, connack(0, 0), "the session is gone too");
}

#[tokio::test]
async fn a_module_that_is_not_read() {
    let (tap, recorder) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    tap.command(Command::StopReading).unwrap();
    client.send(Body::PingReq).await;
    tap.command(Command::Inject(b"\xd0\x00".to_vec())).unwrap();
    assert_eq!(client.next().await, Body::PingResp, "the injected one");
    let unread = |w: &What| matches!(w, What::FromModule { bytes, .. } if bytes == b"\xc0\x00");
    assert!(!events(&recorder).iter().any(unread));
    tap.command(Command::Resume).unwrap();
    assert_eq!(client.next().await, Body::PingResp);
    recorded(&recorder, unread).await;
}

#[tokio::test]
async fn a_mute_broker() {
    let (tap, recorder) = tap().await;
    let mut client = Client::connected(&tap, "c").await;
    tap.command(Command::Mute).unwrap();
    client.send(Body::PingReq).await;
    recorded(&recorder, |w| matches!(w, What::FromModule { bytes, .. } if bytes == b"\xc0\x00")).await;
    tap.command(Command::Inject(b"\x40\x02\x00\x09".to_vec())).unwrap();
    assert_eq!(client.next().await, Body::PubAck(ack(9)), "PINGREQ has no answer yet");
    tap.command(Command::Resume).unwrap();
    assert_eq!(client.next().await, Body::PingResp);
}

#[tokio::test]
async fn dropping_the_tap_closes_everything() {
    let (tap, _) = tap().await;
    let address = tap.local_addr();
    let mut client = Client::connected(&tap, "c").await;
    drop(tap);
    client.end().await;
    // The accept task is aborted at the runtime's next turn.
    let mut refused = false;
    for _ in 0..1000 {
        refused = tokio::net::TcpStream::connect(address).await.is_err();
        if refused {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused);
}
