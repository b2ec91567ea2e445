//! A client made of bytes, and a tap to connect it to.

use std::{collections::VecDeque, time::Duration};

use atspec_model::{
    mqtt::{
        Ack, Body, ConnAck, Connect, Frame, Framer, Publish, Subscribe, Unsubscribe, Will, decode, encode,
    },
    partner::{Message, Settings},
    timeline::{Close, What},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{broker::Upstream, record::Recorder, tap::Tap};

/// No test waits longer for anything.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn tap() -> (Tap, Recorder) {
    tap_with(Settings::default()).await
}

pub(super) async fn tap_with(settings: Settings) -> (Tap, Recorder) {
    let recorder = Recorder::new();
    let upstream = Upstream::embedded().unwrap();
    (Tap::listen("127.0.0.1:0", settings, upstream, recorder.clone()).await.unwrap(), recorder)
}

pub(super) struct Client {
    stream: TcpStream,
    framer: Framer,
    ready: VecDeque<Body>,
}

impl Client {
    pub(super) async fn open(tap: &Tap) -> Self {
        let stream = TcpStream::connect(tap.local_addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, framer: Framer::new(1 << 20), ready: VecDeque::new() }
    }

    /// Connected with a clean session.
    pub(super) async fn connected(tap: &Tap, id: &str) -> Self {
        let mut client = Self::open(tap).await;
        client.send(connect(id, true)).await;
        assert_eq!(client.next().await, connack(0, 0));
        client
    }

    pub(super) async fn send(&mut self, body: Body) {
        self.bytes(&encode(&body)).await;
    }

    pub(super) async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet.
    pub(super) async fn next(&mut self) -> Body {
        self.try_next().await.expect("the tap closed the connection instead")
    }

    /// Nothing came before the answer to a PINGREQ.
    pub(super) async fn nothing(&mut self) {
        self.send(Body::PingReq).await;
        assert_eq!(self.next().await, Body::PingResp);
    }

    /// The connection ended without another packet.
    pub(super) async fn end(&mut self) -> Close {
        self.try_next().await.expect_err("a packet instead of the end")
    }

    pub(super) async fn try_next(&mut self) -> Result<Body, Close> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = self.ready.pop_front() {
                return Ok(body);
            }
            match timeout(LIMIT, self.stream.read(&mut buffer)).await.expect("nothing came") {
                Ok(0) => return Err(Close::Fin),
                Ok(count) => self.framer.push(&buffer[..count]),
                Err(_) => return Err(Close::Rst),
            }
            while let Some(Frame::Packet(raw)) = self.framer.next_frame() {
                let packet = decode(&raw);
                assert_eq!(packet.violations, [], "{packet}");
                self.ready.push_back(packet.body);
            }
        }
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(subscribe(7, &[(filter, qos)])).await;
        let suback = self.next().await;
        assert_eq!(suback, Body::SubAck(atspec_model::mqtt::SubAck { id: 7, codes: vec![qos] }));
    }

    /// The next packet, which is a PUBLISH.
    pub(super) async fn message(&mut self) -> Publish {
        match self.next().await {
            Body::Publish(publish) => publish,
            other => panic!("{other:?} instead of PUBLISH"),
        }
    }

    pub(super) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

pub(super) fn connect(id: &str, clean: bool) -> Body {
    let connect = Connect {
        protocol: "MQTT".into(),
        level: 4,
        flags: u8::from(clean) << 1,
        keep_alive: 60,
        client_id: id.into(),
        ..Connect::default()
    };
    Body::Connect(connect)
}

pub(super) fn with_will(connect: Body, topic: &str, message: &str) -> Body {
    let Body::Connect(mut connect) = connect else { panic!("not a CONNECT") };
    connect.flags |= 0x04;
    connect.will = Some(Will { topic: topic.into(), message: message.into(), qos: 0, retain: false });
    Body::Connect(connect)
}

pub(super) fn connack(flags: u8, code: u8) -> Body {
    Body::ConnAck(ConnAck { flags, code })
}

pub(super) fn ack(id: u16) -> Ack {
    Ack { id }
}

pub(super) fn publish(topic: &str, payload: &str, qos: u8, id: u16) -> Publish {
    Publish {
        qos,
        topic: topic.into(),
        id: (qos > 0).then_some(id),
        payload: payload.into(),
        ..Publish::default()
    }
}

pub(super) fn subscribe(id: u16, filters: &[(&str, u8)]) -> Body {
    Body::Subscribe(Subscribe { id, filters: filters.iter().map(|(f, q)| ((*f).into(), *q)).collect() })
}

pub(super) fn unsubscribe(id: u16, filters: &[&str]) -> Body {
    Body::Unsubscribe(Unsubscribe { id, filters: filters.iter().map(|f| (*f).into()).collect() })
}

pub(super) fn message(topic: &str, payload: &str, qos: u8, retain: bool) -> Message {
    Message { topic: topic.into(), payload: payload.into(), qos, retain }
}

/// Waits until something that was recorded satisfies the test.
pub(super) async fn recorded(recorder: &Recorder, is_it: impl Fn(&What) -> bool) {
    let found = async {
        while !recorder.since(0, |events| events.iter().any(|e| is_it(&e.what))) {
            recorder.changed().await;
        }
    };
    timeout(LIMIT, found).await.expect("it was not recorded");
}

pub(super) fn events(recorder: &Recorder) -> Vec<What> {
    recorder.since(0, |events| events.iter().map(|e| e.what.clone()).collect())
}
