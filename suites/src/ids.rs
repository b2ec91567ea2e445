//! Packet ids that the host chooses: they stand on the wire as commanded. That a result line repeats them is heard by the
//! dialogue of each command itself.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Unmet},
    judge::View,
    mqtt::PacketType,
};

use crate::{told::*, words::*};

/// The least, one whose two bytes differ, and the greatest.
const IDS: [u16; 3] = [1, 258, 65_535];

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "ids");
    let mut cases = Vec::new();
    for id in IDS {
        cases.extend(on_the_wire(cx, "subscribe", id, PacketType::Subscribe, subscribe(&t, 0)));
        cases.extend(on_the_wire(cx, "unsubscribe", id, PacketType::Unsubscribe, unsubscribe(&t)));
        for qos in [1, 2] {
            let name = format!("publish-qos{qos}");
            cases.extend(on_the_wire(cx, &name, id, PacketType::Publish, publish(&t, qos, "numbered")));
        }
    }
    if cx.profile.takes("publish", "id") {
        cases.push(zero(cx, &t));
        cases.push(
            case("ids/reused", "a packet id can be used again once it was acknowledged", &["MQTT-2.3.1-3"])
                .steps(then(
                    connected(cx),
                    [
                        Check(publish(&t, 1, "first").choosing("id", "7")),
                        // Success may be told before PUBACK, and the module has to have read it.
                        Wait(Await::ToModule(PacketType::PubAck, 1)),
                        Quiet,
                        Check(publish(&t, 1, "again").choosing("id", "7")),
                    ],
                ))
                .expect([publications(vec![sent(&t, 1, "first"), sent(&t, 1, "again")])]),
        );
    }
    cases
}

fn on_the_wire(cx: &Context<'_>, name: &str, id: u16, packet: PacketType, op: Op) -> Option<Case> {
    let range = cx.profile.argument(&op.step, "id").and_then(|a| a.range);
    let documented = range.is_none_or(|(min, max)| (min..=max).contains(&i64::from(id)));
    let possible = documented && cx.profile.takes(&op.step, "id");
    only_if(possible, || {
        let before = match op.step.as_str() {
            "unsubscribe" => subscribed(cx, &op.text("topic"), 0),
            _ => connected(cx),
        };
        let asks = format!("the packet id of {packet} is the {id} of its command");
        case(&format!("ids/{name}-{id}"), &asks, &[])
            .steps(then(
                before,
                [Check(op.choosing("id", id.to_string())), Wait(Await::FromModule(packet, 1))],
            ))
            .expect([carries(packet, id)])
    })
}

/// The first packet of the type has this id.
fn carries(kind: PacketType, id: u16) -> Expect {
    Expect::new(format!("{kind} with packet id {id}"), move |view| {
        let Some(first) = view.from_module(kind).next() else {
            return Err(Unmet::missing(format!("no {kind}")));
        };
        if first.packet.id() == Some(id) {
            Ok(())
        } else {
            Err(Unmet::at(first.packet.to_string(), first.at))
        }
    })
}

/// No packet id may be 0: the module refuses, or takes another id.
fn zero(cx: &Context<'_>, topic: &str) -> Case {
    case("ids/zero-qos1", "a publication of QoS 1 never goes out with packet id 0", &["MQTT-2.3.1-1"])
        .steps(then(connected(cx), [Try(publish(topic, 1, "numbered").choosing("id", "0")), Quiet, Probe]))
        .expect([no_zero(), really_sent()])
}

fn no_zero() -> Expect {
    Expect::new("no PUBLISH of QoS 1 with packet id 0", |view| {
        let zero = |p: &&atspec_model::judge::WirePacket| {
            p.packet.as_publish().is_some_and(|publish| publish.qos > 0 && publish.id == Some(0))
        };
        match view.from_module(PacketType::Publish).find(zero) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}

/// Success is told only of what was sent.
fn really_sent() -> Expect {
    Expect::new("no success without PUBLISH", |view: &View<'_>| {
        if view.from_module(PacketType::Publish).next().is_some() {
            return Ok(());
        }
        let asked = told(view, "publish");
        let claim = asked.iter().filter(|t| t.outcome.claimed()).find_map(|t| t.outcome.claim());
        match claim {
            Some(line) => {
                let observed =
                    format!("`{}` although nothing was sent", atspec_model::text::visible(&line.0));
                Err(Unmet::at(observed, view.event_of(line).unwrap_or(0)))
            }
            None => Ok(()),
        }
    })
}
