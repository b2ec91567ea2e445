//! The will: its fields in CONNECT, and the ends of the connection after which the broker publishes it.

use atspec_model::{
    case::{Await, Case, Context, Expect, Unmet},
    mqtt::PacketType,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let will = |qos: u8, retain: bool| session(cx).will(&topic(cx, "will"), qos, retain);
    let mut cases = Vec::new();
    for (qos, retain) in [(0, false), (1, true), (2, false), (2, true)] {
        let will_topic = topic(cx, "will");
        let keep = u8::from(retain);
        cases.push(
            case(
                &format!("will/qos{qos}-retain{keep}"),
                &format!("a will of QoS {qos}, retain {keep}, stands in CONNECT as configured"),
                &["MQTT-3.1.2-9", "MQTT-3.1.3-1"],
            )
            .steps(then(will(qos, retain).opened(), [Check(will(qos, retain).connect())]))
            .expect([
                connect_has(
                    &format!("will \"{will_topic}\" qos={qos} retain={keep} message=\"{WILL_MESSAGE}\""),
                    move |c| {
                        c.will.as_ref().is_some_and(|w| {
                            w.topic.as_bytes() == will_topic.as_bytes()
                                && w.message == WILL_MESSAGE.as_bytes()
                                && (w.qos, w.retain) == (qos, retain)
                        })
                    },
                ),
                own_credentials(cx),
            ])
            // What a document says of a will it says of every QoS.
            .like(cx, if (qos, retain) == (2, true) { "will/qos1-retain1" } else { "" })
            .like(cx, if (qos, retain) == (2, true) { "will/qos2-retain0" } else { "" }),
        );
    }
    cases.extend([
        // Refused, the will of the command before stays, or none does: then nobody's credentials are in CONNECT.
        Case {
            anonymous: true,
            ..case("will/qos-3", "no CONNECT carries a will of QoS 3", &["MQTT-3.1.2-14"])
        }
        .steps(session(cx).configured())
        .steps(will(1, false).choosing("will_qos", "3").commands().map(Try))
        .steps([Quiet, Probe]),
        case("will/flag-0", "a will that its flag switches off is not in CONNECT", &["MQTT-3.1.2-11"])
            .should()
            .steps(will(1, true).choosing("will_flag", "0").connected())
            .expect([connect_has("no will", |c| c.will.is_none() && c.flags & 0b0011_1100 == 0)]),
        case(
            "will/none",
            "without a will its flags and fields are absent",
            &["MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-15"],
        )
        .steps(connected(cx))
        .expect([connect_has("no will", |c| c.will.is_none() && c.flags & 0b0011_1100 == 0)]),
        case(
            "will/not-left-over",
            "the will of an earlier connection is not used by the next one",
            &["MQTT-3.1.2-11"],
        )
        .steps(then(will(1, true).connected(), ended(cx)))
        .steps(connected(cx))
        .expect([connect_has("no will", |c| c.will.is_none())]),
        case(
            "will/disconnect",
            "at the commanded end there is DISCONNECT, or an end without it that publishes the will",
            &[],
        )
        .steps(then(will(1, false).connected(), ended_as_documented(cx)))
        .expect([closed_by_module()]),
        case(
            "will/close",
            "closing TCP alone ends the connection without DISCONNECT, so that the will is published",
            &[],
        )
        .unless(
            (!cx.profile.cites.contains_key("will/close"))
                .then(|| format!("no clause of {} says that the will outlives its close", cx.profile.name)),
        )
        .steps(then(will(1, false).connected(), [Check(close()), Wait(Await::Closed)]))
        .expect([closed_by_module(), without_disconnect()]),
    ]);
    cases
}

/// User name and password, where there are any, each in its own field behind the will.
fn own_credentials(cx: &Context<'_>) -> Expect {
    let (user, password) = (cx.bindings.username.clone(), cx.bindings.password.clone());
    connect_has("user name and password as given", move |c| {
        c.username.as_ref().is_none_or(|u| u.as_bytes() == user.as_bytes())
            && c.password.as_ref().is_none_or(|p| p == password.as_bytes())
    })
}

fn without_disconnect() -> Expect {
    Expect::new("no DISCONNECT before the close", |view| {
        match view.from_module(PacketType::Disconnect).next() {
            Some(p) => Err(Unmet::at("DISCONNECT", p.at)),
            None => Ok(()),
        }
    })
}
