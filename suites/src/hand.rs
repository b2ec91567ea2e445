//! The broker's part of an exchange, played by the case itself: raw packets to the module, and its answers to them.

use atspec_model::{
    case::{Expect, Step, Unmet},
    judge::WirePacket,
    mqtt::{Ack, Body, PacketType, Publish, Text, encode},
    partner::{Action, Command, Rule},
};

use crate::words::*;

/// Raw bytes to the module, in one segment.
pub(crate) fn inject(bytes: Vec<u8>) -> Step {
    Broker(Command::Inject(bytes))
}

/// A PUBLISH of the broker above QoS 0, with the packet id of the case's choice.
pub(crate) fn message(topic: &str, qos: u8, id: u16, payload: &str) -> Publish {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic: Text::from(topic),
        id: Some(id),
        payload: payload.as_bytes().to_vec(),
    }
}

/// The bytes of it.
pub(crate) fn raw(publish: Publish) -> Vec<u8> {
    encode(&Body::Publish(publish))
}

/// The bytes of it when it is sent again.
pub(crate) fn raw_again(publish: Publish) -> Vec<u8> {
    raw(Publish { dup: true, ..publish })
}

/// The bytes of a PUBREL.
pub(crate) fn raw_pubrel(id: u16) -> Vec<u8> {
    encode(&Body::PubRel(Ack { id }))
}

/// The bench's broker does not hear packets of this type: it never sent what they answer.
pub(crate) fn unheard(kind: PacketType) -> Step {
    Broker(Command::Rule(Rule::from_module(kind, Action::Withhold)))
}

/// The packets of this type bear these ids, in this order.
pub(crate) fn answers(kind: PacketType, ids: &'static [u16]) -> Expect {
    Expect::new(format!("{kind} with id {}", words(ids)), move |view| {
        let seen: Vec<&WirePacket> = view.from_module(kind).collect();
        let came: Vec<u16> = seen.iter().filter_map(|p| p.packet.id()).collect();
        if came == ids {
            return Ok(());
        }
        let wrong = came.iter().zip(ids).take_while(|(came, due)| came == due).count();
        let observed = if came.is_empty() { "none".to_owned() } else { words(&came) };
        Err(match seen.get(wrong) {
            Some(packet) => Unmet::at(observed, packet.at),
            None => Unmet::missing(observed),
        })
    })
}

fn words(ids: &[u16]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ")
}

/// On each connection every PUBLISH of the broker with this QoS is answered, and every PUBREL, as often as it came.
pub(crate) fn answered_each_time(qos: u8) -> Expect {
    use PacketType::{PubAck, PubComp, PubRec, PubRel};
    let names =
        if qos == 1 { "PUBACK for each PUBLISH" } else { "PUBREC for each PUBLISH, PUBCOMP for each PUBREL" };
    Expect::new(names, move |view| {
        let asked = |p: &WirePacket| match p.packet.as_publish() {
            Some(publish) if publish.qos == qos => Some(if qos == 1 { PubAck } else { PubRec }),
            Some(_) => None,
            None => (p.packet.kind == PubRel && qos == 2).then_some(PubComp),
        };
        let sent = || view.packets.iter().filter(|p| p.from == atspec_model::timeline::Side::Broker);
        let owed: Vec<(&WirePacket, PacketType)> = sent().filter_map(|p| Some((p, asked(p)?))).collect();
        if owed.is_empty() {
            return Err(Unmet::not_provoked(format!("the broker delivered no message of QoS {qos}")));
        }
        for (packet, kind) in &owed {
            let alike = |p: &&WirePacket| p.conn == packet.conn && p.packet.id() == packet.packet.id();
            let due = owed.iter().filter(|(p, k)| k == kind && alike(p)).count();
            let came = view.from_module(*kind).filter(alike).count();
            if came != due {
                let observed = format!("{came} {kind} where {due} were due: {}", packet.packet);
                return Err(Unmet::at(observed, packet.at));
            }
        }
        Ok(())
    })
}
