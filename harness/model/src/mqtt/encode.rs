//! Fields as bytes, right or wrong.

use super::packet::{Body, Connect, PacketType};

/// Writes a control packet exactly as its fields say, without checking any of them.
///
/// That makes bad packets too: QoS 3, identifier 0, invalid UTF-8, connect flags that disagree with the
/// fields. Where a value does not fit the format, it is cut, never refused:
///
/// - The connect flags are written as they are; will, user name and password where they are `Some`.
///   `Will::qos` and `Will::retain` are ignored, their bits are in the connect flags.
/// - The identifier of a PUBLISH is written where it is `Some`, whatever the QoS; of the QoS, two bits.
/// - A text of more than 65 535 bytes is written whole, with its length modulo 65 536.
/// - A body of more than 268 435 455 bytes gets a fifth length byte.
/// - [`Body::Reserved`] is type 0 without a body.
pub fn encode(body: &Body) -> Vec<u8> {
    let fields = fields(body);
    let mut raw = vec![first_byte(body)];
    remaining_length(&mut raw, fields.len());
    raw.extend(fields);
    raw
}

/// Like [`encode`], with other flags in the lower nibble of the first byte; of `flags`, four bits.
pub fn encode_with_flags(body: &Body, flags: u8) -> Vec<u8> {
    let mut raw = encode(body);
    raw[0] = raw[0] & 0xf0 | flags & 0x0f;
    raw
}

/// The type and the flags that belong to the fields.
fn first_byte(body: &Body) -> u8 {
    let (kind, flags) = match body {
        Body::Connect(_) => (PacketType::Connect, 0),
        Body::ConnAck(_) => (PacketType::ConnAck, 0),
        Body::Publish(p) => {
            (PacketType::Publish, u8::from(p.dup) << 3 | (p.qos & 3) << 1 | u8::from(p.retain))
        }
        Body::PubAck(_) => (PacketType::PubAck, 0),
        Body::PubRec(_) => (PacketType::PubRec, 0),
        Body::PubRel(_) => (PacketType::PubRel, 2),
        Body::PubComp(_) => (PacketType::PubComp, 0),
        Body::Subscribe(_) => (PacketType::Subscribe, 2),
        Body::SubAck(_) => (PacketType::SubAck, 0),
        Body::Unsubscribe(_) => (PacketType::Unsubscribe, 2),
        Body::UnsubAck(_) => (PacketType::UnsubAck, 0),
        Body::PingReq => (PacketType::PingReq, 0),
        Body::PingResp => (PacketType::PingResp, 0),
        Body::Disconnect => (PacketType::Disconnect, 0),
        Body::Reserved => (PacketType::Reserved0, 0),
    };
    (kind as u8) << 4 | flags
}

/// Everything after the fixed header.
fn fields(body: &Body) -> Vec<u8> {
    let mut out = Vec::new();
    match body {
        Body::Connect(connect) => connect_fields(&mut out, connect),
        Body::ConnAck(ack) => out.extend([ack.flags, ack.code]),
        Body::Publish(publish) => {
            prefixed(&mut out, publish.topic.as_bytes());
            out.extend(publish.id.into_iter().flat_map(u16::to_be_bytes));
            out.extend(&publish.payload);
        }
        Body::PubAck(ack)
        | Body::PubRec(ack)
        | Body::PubRel(ack)
        | Body::PubComp(ack)
        | Body::UnsubAck(ack) => {
            out.extend(ack.id.to_be_bytes());
        }
        Body::Subscribe(subscribe) => {
            out.extend(subscribe.id.to_be_bytes());
            for (filter, qos) in &subscribe.filters {
                prefixed(&mut out, filter.as_bytes());
                out.push(*qos);
            }
        }
        Body::SubAck(ack) => {
            out.extend(ack.id.to_be_bytes());
            out.extend(&ack.codes);
        }
        Body::Unsubscribe(unsubscribe) => {
            out.extend(unsubscribe.id.to_be_bytes());
            unsubscribe.filters.iter().for_each(|filter| prefixed(&mut out, filter.as_bytes()));
        }
        Body::PingReq | Body::PingResp | Body::Disconnect | Body::Reserved => {}
    }
    out
}

fn connect_fields(out: &mut Vec<u8>, connect: &Connect) {
    prefixed(out, connect.protocol.as_bytes());
    out.extend([connect.level, connect.flags]);
    out.extend(connect.keep_alive.to_be_bytes());
    prefixed(out, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        prefixed(out, will.topic.as_bytes());
        prefixed(out, &will.message);
    }
    if let Some(username) = &connect.username {
        prefixed(out, username.as_bytes());
    }
    if let Some(password) = &connect.password {
        prefixed(out, password);
    }
}

fn prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    #[expect(clippy::cast_possible_truncation, reason = "documented: the length is modulo 65 536")]
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

/// Appends a remaining length in as few bytes as it needs (2.2.3).
pub(super) fn remaining_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = length.to_le_bytes()[0] & 0x7f;
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::packet::{Ack, ConnAck, Publish, SubAck, Subscribe, Text, Unsubscribe, Will};
    use super::*;

    fn full_connect() -> Connect {
        Connect {
            protocol: "MQTT".into(),
            level: 4,
            flags: 0xee,
            keep_alive: 0x0102,
            client_id: "c".into(),
            will: Some(Will { topic: "w".into(), message: vec![0xff], qos: 1, retain: true }),
            username: Some("u".into()),
            password: Some(vec![0, 1]),
        }
    }

    // The bytes are written by hand from the figures of the standard.
    #[rstest]
    #[case(
        Body::Connect(full_connect()),
        b"\x10\x1a\0\x04MQTT\x04\xee\x01\x02\0\x01c\0\x01w\0\x01\xff\0\x01u\0\x02\0\x01"
    )]
    #[case(Body::ConnAck(ConnAck { flags: 1, code: 5 }), b"\x20\x02\x01\x05")]
    #[case(
        Body::Publish(Publish { dup: true, qos: 1, retain: true, topic: "a/b".into(), id: Some(10), payload: b"hi".to_vec() }),
        b"\x3b\x09\0\x03a/b\0\x0ahi"
    )]
    #[case(Body::Publish(Publish { topic: "t".into(), ..Publish::default() }), b"\x30\x03\0\x01t")]
    #[case(Body::PubAck(Ack { id: 0x0102 }), b"\x40\x02\x01\x02")]
    #[case(Body::PubRec(Ack { id: 1 }), b"\x50\x02\0\x01")]
    #[case(Body::PubRel(Ack { id: 1 }), b"\x62\x02\0\x01")]
    #[case(Body::PubComp(Ack { id: 1 }), b"\x70\x02\0\x01")]
    #[case(
        Body::Subscribe(Subscribe { id: 10, filters: vec![("a/b".into(), 1), ("#".into(), 2)] }),
        b"\x82\x0c\0\x0a\0\x03a/b\x01\0\x01#\x02"
    )]
    #[case(Body::SubAck(SubAck { id: 10, codes: vec![0, 2, 0x80] }), b"\x90\x05\0\x0a\0\x02\x80")]
    #[case(
        Body::Unsubscribe(Unsubscribe { id: 10, filters: vec!["a".into(), "b".into()] }),
        b"\xa2\x08\0\x0a\0\x01a\0\x01b"
    )]
    #[case(Body::UnsubAck(Ack { id: 10 }), b"\xb0\x02\0\x0a")]
    #[case(Body::PingReq, b"\xc0\0")]
    #[case(Body::PingResp, b"\xd0\0")]
    #[case(Body::Disconnect, b"\xe0\0")]
    #[case(Body::Reserved, b"\0\0")]
    fn packets(#[case] body: Body, #[case] expected: &[u8]) {
        assert_eq!(encode(&body), expected);
    }

    #[test]
    fn fields_that_disagree_are_written_as_they_are() {
        let qos3 = Publish { qos: 0xff, topic: Text(vec![0xff]), id: None, ..Publish::default() };
        assert_eq!(encode(&Body::Publish(qos3)), b"\x36\x03\0\x01\xff");
        let id_at_qos0 = Publish { topic: "t".into(), id: Some(0), ..Publish::default() };
        assert_eq!(encode(&Body::Publish(id_at_qos0)), b"\x30\x05\0\x01t\0\0");
        let no_flags = Connect { flags: 0, will: None, ..full_connect() };
        assert_eq!(
            encode(&Body::Connect(no_flags)),
            b"\x10\x14\0\x04MQTT\x04\0\x01\x02\0\x01c\0\x01u\0\x02\0\x01"
        );
        assert_eq!(encode_with_flags(&Body::PubRel(Ack { id: 1 }), 0xf0), b"\x60\x02\0\x01");
    }

    #[test]
    fn a_long_text_keeps_its_bytes_and_loses_its_length() {
        let raw = encode(&Body::Unsubscribe(Unsubscribe { id: 1, filters: vec![Text(vec![b'a'; 65537])] }));
        assert_eq!(&raw[..8], b"\xa2\x85\x80\x04\0\x01\0\x01");
        assert_eq!(raw.len(), 8 + 65537);
    }

    #[rstest]
    #[case(0, &[0])]
    #[case(127, &[0x7f])]
    #[case(128, &[0x80, 0x01])]
    #[case(16_383, &[0xff, 0x7f])]
    #[case(16_384, &[0x80, 0x80, 0x01])]
    #[case(2_097_152, &[0x80, 0x80, 0x80, 0x01])]
    #[case(268_435_455, &[0xff, 0xff, 0xff, 0x7f])]
    #[case(268_435_456, &[0x80, 0x80, 0x80, 0x80, 0x01])]
    fn lengths_of_table_2_4(#[case] length: usize, #[case] expected: &[u8]) {
        let mut out = Vec::new();
        remaining_length(&mut out, length);
        assert_eq!(out, expected);
    }
}
