//! What becomes of unfinished publications on later connections, beyond that they are sent again: they complete, they belong to
//! one client id, and they leave nothing behind.

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::{View, WirePacket},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    timeline::Close,
};

use crate::{
    session::{again_in_order, lose, sent_again, withhold},
    words::*,
};

use PacketType::{ConnAck, PubAck, PubComp, PubRec, PubRel, Publish};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = completed(cx);
    cases.extend(beside(cx));
    cases.extend(unexpected(cx));
    cases.push(other_client(cx));
    cases.extend(own_choice(cx));
    cases
}

/// Connected with a session that outlives its connections.
fn kept(cx: &Context<'_>) -> Vec<Step> {
    connected_with(cx, false, KEEP_ALIVE)
}

/// A publication whose connection is reset before its acknowledgement goes out; the broker is honest from then on.
pub(crate) fn cut(op: Op) -> Vec<Step> {
    vec![
        withhold(PubAck),
        withhold(PubRec),
        Broker(Command::Rule(Rule::from_module(Publish, Action::ThenClose(Close::Rst)).once())),
        NoSuccess(op),
        Broker(Command::ClearRules),
    ]
}

fn completed(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    let of = |qos: u8, last: PacketType, cites: &[&str]| {
        case(
            &format!("resend/qos{qos}-completes"),
            &format!("a publication of QoS {qos} that was sent again and acknowledged is not sent once more"),
            cites,
        )
        .steps(then(kept(cx), cut(send(cx, &t, qos, "sent twice"))))
        .steps(then(reconnected(cx, false), [Wait(Await::ToModule(last, 1)), Quiet]))
        .steps(lose(cx, false))
        .steps([Check(send(cx, &t, 1, "a new one"))])
        .expect([sent_again(Publish), nothing_on_the_third()])
    };
    vec![
        of(1, PubAck, &["MQTT-4.3.2-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1"]),
        of(2, PubComp, &["MQTT-4.3.3-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1"]),
        case(
            "resend/until-acknowledged",
            "a publication that was sent again in vain is sent again on the connection after it",
            &["MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-2.3.1-3"],
        )
        .steps(then(kept(cx), [withhold(PubAck), NoSuccess(send(cx, &t, 1, "sent three times"))]))
        .steps(then(vec![Broker(Command::Close(Close::Rst)), Wait(Await::Closed)], reconnected(cx, false)))
        .steps([Wait(Await::OnNewest(Publish, 1)), Quiet])
        .steps(then(lose(cx, false), [Wait(Await::OnNewest(Publish, 1))]))
        .expect([sent_again(Publish), on_each_connection(3)]),
        case("resend/long", "a long publication is sent again whole", &["MQTT-4.4.0-1", "MQTT-3.3.1-1"])
            .steps(then(kept(cx), cut(longest(cx, &t))))
            .steps(then(reconnected(cx, false), [Wait(Await::ToModule(PubAck, 1)), Quiet]))
            .expect([sent_again(Publish)]),
        case(
            "resend/mixed-in-order",
            "publications of QoS 1 and 2 are sent again in the order in which they were sent first",
            &["MQTT-4.6.0-1", "MQTT-4.4.0-1", "MQTT-2.3.1-3", "MQTT-3.3.1-1"],
        )
        .steps(then(kept(cx), [withhold(PubAck), withhold(PubRec)]))
        .steps([
            NoSuccess(send(cx, &t, 2, "the first exactly once")),
            NoSuccess(send(cx, &topic(cx, "another"), 1, "second").with("retain", "1")),
        ])
        .steps(lose(cx, false))
        .steps([Wait(Await::OnNewest(Publish, 1)), Idle { seconds: 5 }])
        .expect([sent_again(Publish), again_in_order()]),
        case(
            "resend/unacknowledged-only",
            "of two publications of QoS 1 the one without PUBACK is sent again, and not the other one",
            &["MQTT-4.3.2-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1"],
        )
        .steps(then(kept(cx), [withhold(PubAck), NoSuccess(send(cx, &t, 1, "not acknowledged"))]))
        // What the module has not read yet a reset takes away.
        .steps([Broker(Command::ClearRules), Try(send(cx, &topic(cx, "another"), 1, "acknowledged")), Quiet])
        .steps(lose(cx, false))
        .steps([Idle { seconds: 5 }])
        .expect([what_was_owed_again()]),
    ]
}

/// A PUBLISH on each of so many connections.
fn on_each_connection(wanted: usize) -> Expect {
    Expect::new(format!("the PUBLISH on each of {wanted} connections"), move |view: &View<'_>| {
        let conns: Vec<u32> = view.from_module(PacketType::Connect).map(|p| p.conn).collect();
        let sent = |conn: &&u32| view.from_module(Publish).any(|p| p.conn == **conn);
        match conns.iter().filter(sent).count() {
            n if n >= wanted => Ok(()),
            n => Err(Unmet::missing(format!("on {n} of {}", conns.len()))),
        }
    })
}

/// A publication longer than small buffers are, as far as the document promises one.
fn longest(cx: &Context<'_>, topic: &str) -> Op {
    let by = |step: &str| longest_payload(cx, step).filter(|_| has(cx, step)).map(|max| max.min(600));
    match (by("publish"), by("publish-data")) {
        (short, Some(long)) if short.is_none_or(|short| short < long) => {
            publish_data(topic, 1, letters(long))
        }
        (Some(long), _) => publish(topic, 1, letters(long)),
        _ => send(cx, topic, 1, letters(100)),
    }
}

/// What has no PUBACK on the first connection comes again on a later one, whatever that is.
fn what_was_owed_again() -> Expect {
    Expect::new("every publication without PUBACK again, and no other", |view: &View<'_>| {
        let Some(first) = view.from_module(Publish).next().map(|p| p.conn) else {
            return Err(Unmet::not_provoked("no PUBLISH"));
        };
        let on = |conn_is_first: bool| {
            let sent = view.from_module(Publish).filter(move |p| (p.conn == first) == conn_is_first);
            sent.filter_map(|p| Some((p.at, p.packet.id(), p.packet.as_publish()?)))
        };
        let acknowledged =
            |id: Option<u16>| view.to_module(PubAck).any(|p| p.conn == first && p.packet.id() == id);
        let is_owed =
            |id: Option<u16>| on(true).any(|(_, sent, m)| sent == id && !m.dup) && !acknowledged(id);
        if let Some((at, _, m)) = on(false).find(|(_, id, m)| m.dup && !is_owed(*id)) {
            return Err(Unmet::at(format!("PUBLISH \"{}\" again, which was acknowledged", m.topic), at));
        }
        let again = |payload: &[u8]| on(false).any(|(_, _, m)| m.payload == payload);
        match on(true).find(|(_, id, m)| !m.dup && is_owed(*id) && !again(&m.payload)) {
            Some((at, _, m)) => Err(Unmet::at(format!("PUBLISH \"{}\" was not sent again", m.topic), at)),
            None => Ok(()),
        }
    })
}

/// What is acknowledged is over: the third connection carries only what is new.
fn nothing_on_the_third() -> Expect {
    Expect::new("nothing of it on the third connection", |view: &View<'_>| {
        let third = view.from_module(PacketType::Connect).nth(2).map(|p| p.conn);
        let old = |p: &&WirePacket| match p.packet.as_publish() {
            Some(publish) => publish.payload == b"sent twice",
            None => p.packet.kind == PubRel,
        };
        let mut seen = view.packets.iter().filter(|p| p.from == atspec_model::timeline::Side::Module);
        match seen.find(|p| Some(p.conn) == third && old(p)) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}

/// What is new beside what is sent again.
fn beside(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    let pending = || then(kept(cx), cut(send(cx, &t, 1, "sent again")));
    vec![
        case(
            "resend/qos0-after",
            "a publication of QoS 0 after one that was sent again has DUP 0",
            &["MQTT-3.3.1-2", "MQTT-4.3.1-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1"],
        )
        .steps(then(pending(), reconnected(cx, false)))
        .steps([Wait(Await::ToModule(PubAck, 1)), Quiet, Check(send(cx, &t, 0, "at most once"))])
        .steps([Wait(Await::OnNewest(Publish, 2)), Quiet])
        .expect([publications(vec![sent(&t, 1, "sent again"), sent(&t, 0, "at most once")])]),
        case(
            "resend/id-in-use",
            "a new publication does not take the packet id of one that was sent again and still waits",
            &["MQTT-2.3.1-2", "MQTT-4.3.2-1", "MQTT-4.4.0-1"],
        )
        .steps(then(pending(), [withhold(PubAck)]))
        .steps(then(reconnected(cx, false), [Wait(Await::OnNewest(Publish, 1))]))
        .steps([NoSuccess(send(cx, &t, 1, "the new one"))]),
    ]
}

/// CONNACK says another thing of the session than the module expects: what it does then is its choice within bounds.
fn unexpected(cx: &Context<'_>) -> Vec<Case> {
    let t = topic(cx, "out");
    let old = || send(cx, &t, 1, "of the old session");
    let told = |present: u8| {
        Broker(Command::Rule(Rule::to_module(ConnAck, Action::Replace(vec![0x20, 2, present, 0]))))
    };
    let again = |s: &Session<'_>, present: u8| {
        let steps = then(hung_up(cx), s.opened());
        then(steps, [told(present), Try(s.connect()), Idle { seconds: 3 }, Probe])
    };
    let (keeps, clean) = (session(cx).clean(false), session(cx).choosing("clean", "1"));
    let back = then(
        then(vec![Broker(Command::Close(Close::Rst)), Wait(Await::Closed)], hung_up(cx)),
        keeps.opened(),
    );
    vec![
        case(
            "session/present",
            "a connection to a session that the broker has kept succeeds, and works",
            &["MQTT-3.1.2-4"],
        )
        .steps(then(kept(cx), back))
        .steps([told(1), Check(keeps.connect()), Check(send(cx, &t, 1, "back in the session"))])
        .expect([publications(vec![sent(&t, 1, "back in the session")])]),
        case(
            "resend/session-not-present",
            "where the broker has lost the session, what is sent again bears DUP and its own packet id, if anything is",
            &["MQTT-3.3.1-1", "MQTT-2.3.1-3"],
        )
        .steps(then(kept(cx), cut(old())))
        .steps(again(&keeps, 0))
        .expect([dup_under_its_id()]),
        case(
            "resend/present-though-clean",
            "with clean session 1 nothing of the old session is used, whatever CONNACK says of it",
            &["MQTT-3.1.2-6"],
        )
        .steps(then(clean.connected(), cut(old())))
        .steps(again(&clean, 1))
        .expect([nothing_old()]),
    ]
}

/// Once the broker has lost the session a module may also publish anew.
fn dup_under_its_id() -> Expect {
    Expect::new("DUP only with the packet id of the first sending", |view| {
        let seen: Vec<&WirePacket> = view.from_module(Publish).collect();
        let Some(first) = seen.first() else { return Err(Unmet::not_provoked("no PUBLISH")) };
        let wrong = |p: &&&WirePacket| {
            p.packet.as_publish().is_some_and(|publish| publish.dup) && p.packet.id() != first.packet.id()
        };
        match seen.iter().find(wrong) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}

/// No publication of the first connection on a later one.
fn nothing_old() -> Expect {
    Expect::new("nothing of the old session on the second connection", |view| {
        let first = view.from_module(Publish).next().map(|p| p.conn);
        match view.from_module(Publish).find(|p| Some(p.conn) != first) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}

/// The client id decides whose session it is. That a module keeps those of several ids at a time is much to ask.
fn other_client(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    let mine = cx.bindings.client.clone();
    // As long as the other: a document may have a maximum.
    let other = format!("X{}", mine.get(1..).unwrap_or_default());
    let (a, b) = (session(cx).clean(false), session(cx).clean(false).choosing("client", &other));
    let on = |view: &View<'_>, client: &str| -> Vec<u32> {
        let named = |p: &&WirePacket| {
            p.packet.as_connect().is_some_and(|c| c.client_id.as_bytes() == client.as_bytes())
        };
        view.from_module(PacketType::Connect).filter(named).map(|p| p.conn).collect()
    };
    let foreign = Expect::new("no PUBLISH under the other client id", move |view| {
        let conns = on(view, &other);
        if conns.is_empty() {
            return Err(Unmet::not_provoked("no CONNECT with the other client id"));
        }
        match view.from_module(Publish).find(|p| conns.contains(&p.conn)) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    });
    let back = Expect::new("the publication again under its own client id", move |view| {
        let last = on(view, &mine).last().copied();
        if view.from_module(Publish).any(|p| Some(p.conn) == last) {
            Ok(())
        } else {
            Err(Unmet::missing("not sent again"))
        }
    });
    case(
        "resend/other-client",
        "under another client id nothing of the first one's session is sent; back under the first it is",
        &["MQTT-3.1.3-2"],
    )
    .steps(then(a.connected(), cut(send(cx, &t, 1, "mine alone"))))
    .steps(then(hung_up(cx), b.connected()))
    .steps([Idle { seconds: 3 }, Broker(Command::Close(Close::Rst)), Wait(Await::Closed)])
    .steps(then(then(hung_up(cx), a.connected()), [Idle { seconds: 3 }]))
    .expect([foreign, back.should()])
}

/// Where no command says so, the module chooses whether its session is a clean one, and is bound by what it says in CONNECT.
fn own_choice(cx: &Context<'_>) -> Option<Case> {
    let t = topic(cx, "out");
    (!takes(cx, "clean")).then(|| {
        case(
            "resend/own-choice",
            "nothing of an earlier connection is sent again where CONNECT asks for a clean session, everything where not",
            &["MQTT-3.1.2-6"],
        )
        .steps(then(connected(cx), cut(send(cx, &t, 1, "before the loss"))))
        .steps(then(reconnected(cx, true), [Idle { seconds: 3 }]))
        .expect([Expect::new("what CONNECT says of the session", |view| {
            let connect = view.from_module(PacketType::Connect).nth(1).and_then(|p| p.packet.as_connect());
            let Some(connect) = connect else { return Err(Unmet::not_provoked("no second CONNECT")) };
            let expect = if connect.clean_session() { nothing_old() } else { sent_again(Publish) };
            (expect.check)(view)
        })])
    })
}
