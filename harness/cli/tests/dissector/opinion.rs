//! What a decoder says of a packet.

use std::collections::BTreeMap;

use atspec_model::mqtt::{Body, Connect, Level, Packet};

/// What a decoder says of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Opinion {
    /// How many packets it sees.
    pub(crate) packets: usize,
    /// Upper nibble of the first byte.
    pub(crate) kind: Option<u8>,
    /// Lower nibble of the first byte, as it is taken apart.
    pub(crate) flags: Option<u8>,
    /// Fields by name, each with its bytes as often as it comes.
    pub(crate) fields: BTreeMap<&'static str, Vec<Vec<u8>>>,
    /// Whether it breaks a rule, or cannot be read.
    pub(crate) malformed: bool,
}

/// What our decoder says.
pub(crate) fn ours(packet: &Packet) -> Opinion {
    let mut opinion = Opinion {
        packets: usize::from(packet.raw.len() > 1),
        kind: Some(packet.kind as u8),
        flags: Some(packet.flags),
        fields: BTreeMap::new(),
        malformed: packet.worst(Level::Must).is_some(),
    };
    let length = packet.raw.iter().skip(1).position(|b| b & 0x80 == 0);
    if let Some(last) = length {
        opinion.put("length", &packet.raw[1..last + 2]);
    }
    if let Some(id) = packet.id() {
        opinion.put("packet id", &id.to_be_bytes());
    }
    match &packet.body {
        Body::Connect(connect) => {
            put_connect(&mut opinion, connect);
            // What is missing is empty for us.
            let missing = |clause| packet.violations.iter().any(|v| v.clause == clause);
            let absent = |name| {
                missing("MQTT-3.1.2-19") && name == "user name"
                    || missing("MQTT-3.1.2-21") && name == "password"
            };
            opinion.fields.retain(|name, _| !absent(*name));
        }
        Body::ConnAck(ack) => {
            opinion.put("acknowledge flags", &[ack.flags]);
            opinion.put("return code", &[ack.code]);
        }
        Body::Publish(publish) => {
            opinion.put("topic", publish.topic.as_bytes());
            opinion.put("payload", &publish.payload);
        }
        Body::Subscribe(subscribe) => {
            for (filter, qos) in &subscribe.filters {
                opinion.put("topic", filter.as_bytes());
                opinion.put("requested QoS", &[*qos]);
            }
        }
        Body::Unsubscribe(unsubscribe) => {
            unsubscribe.filters.iter().for_each(|filter| opinion.put("topic", filter.as_bytes()));
        }
        Body::SubAck(ack) => ack.codes.iter().for_each(|code| opinion.put("granted QoS", &[*code])),
        _ => {}
    }
    opinion
}

fn put_connect(opinion: &mut Opinion, connect: &Connect) {
    opinion.put("protocol name", connect.protocol.as_bytes());
    opinion.put("protocol level", &[connect.level]);
    opinion.put("connect flags", &[connect.flags]);
    opinion.put("keep alive", &connect.keep_alive.to_be_bytes());
    opinion.put("client id", connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        opinion.put("will topic", will.topic.as_bytes());
        opinion.put("will message", &will.message);
    }
    if let Some(username) = &connect.username {
        opinion.put("user name", username.as_bytes());
    }
    if let Some(password) = &connect.password {
        opinion.put("password", password);
    }
}

impl Opinion {
    fn put(&mut self, name: &'static str, bytes: &[u8]) {
        self.fields.entry(name).or_default().push(bytes.to_vec());
    }
}
