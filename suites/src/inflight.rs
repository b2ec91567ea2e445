//! Several publications under way, and acknowledgements that come twice or in another order.

use atspec_model::{
    case::{Case, Context, Expect, Op, Unmet},
    judge::{View, WirePacket},
    mqtt::PacketType,
    partner::{Action, Command, Rule},
};

use crate::{session::withhold, told::*, words::*};

use PacketType::{PubAck, PubComp, PubRec, PubRel, Publish, SubAck};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = vec![pubrel_order(cx), without_pubcomp(cx), pubrec_twice(cx)];
    cases.extend(twice(cx));
    cases.extend(together(cx));
    cases
}

/// The first publication's PUBREC is kept back until its command gave up, so that a module whose commands wait can be brought
/// here too. One that has a single publication in flight has no order to keep: then there is one PUBREC.
fn pubrel_order(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    case(
        "inflight/pubrel-order",
        "PUBRELs go out in the order in which the PUBRECs came, also where that is not the order of the publications",
        &["MQTT-4.6.0-4", "MQTT-4.3.3-1"],
    )
    .steps(then(connected(cx), [Broker(Command::Rule(Rule::to_module(PubRec, Action::Hold)))]))
    .steps([NoSuccess(send(cx, &t, 2, "the first")), NoSuccess(send(cx, &t, 2, "the second"))])
    .steps([Broker(Command::ReleaseReversed(PubRec)), Idle { seconds: 3 }])
    .expect([Expect::new("the first PUBREL of each publication in the order of the first PUBRECs", |view| {
        let (due, came) = (firsts(view.to_module(PubRec)), firsts(view.from_module(PubRel)));
        let ids = |packets: &[&WirePacket]| packets.iter().filter_map(|p| p.packet.id()).collect::<Vec<_>>();
        // What was given up may have no PUBREL; the rest keeps its order.
        let wanted: Vec<u16> = ids(&due).into_iter().filter(|id| ids(&came).contains(id)).collect();
        if let Some((p, id)) = came.iter().zip(&wanted).find(|(p, id)| p.packet.id() != Some(**id)) {
            return Err(Unmet::at(format!("{} where id {id} was due", p.packet), p.at));
        }
        all_released(view)
    })])
}

/// Two publications of QoS 2, neither of which is completed.
fn without_pubcomp(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    case(
        "inflight/without-pubcomp",
        "a publication that waits for its PUBCOMP keeps its packet id, and no other from its PUBREL",
        &["MQTT-2.3.1-2", "MQTT-4.3.3-1"],
    )
    .steps(then(connected(cx), [withhold(PubComp)]))
    .steps([NoSuccess(send(cx, &t, 2, "the first")), NoSuccess(send(cx, &t, 2, "the second")), Quiet])
    .expect([Expect::new("a PUBREL for each PUBREC", all_released)])
}

/// Each PUBREC has its PUBREL, unless a command was given up.
fn all_released(view: &View<'_>) -> Result<(), Unmet> {
    let (due, came) = (firsts(view.to_module(PubRec)), firsts(view.from_module(PubRel)));
    let is_missing = |p: &&&WirePacket| came.iter().all(|came| came.packet.id() != p.packet.id());
    match due.iter().find(is_missing).filter(|_| !any_failed(view)) {
        Some(p) => Err(Unmet::at(format!("no PUBREL for {}", p.packet), p.at)),
        None => Ok(()),
    }
}

/// Whether the host was told that a command failed.
fn any_failed(view: &View<'_>) -> bool {
    let told = view.steps.iter().flat_map(|step| &step.dialogues);
    told.into_iter().any(|told| told.outcome.failure.is_some() || told.outcome.refusal.is_some())
}

/// The first packet of each id.
fn firsts<'v>(packets: impl Iterator<Item = &'v WirePacket>) -> Vec<&'v WirePacket> {
    let mut seen: Vec<&WirePacket> = Vec::new();
    for packet in packets {
        if seen.iter().all(|p| p.packet.id() != packet.packet.id()) {
            seen.push(packet);
        }
    }
    seen
}

fn pubrec_twice(cx: &Context<'_>) -> Case {
    let t = topic(cx, "out");
    case(
        "inflight/pubrec-twice",
        "a publication whose PUBREC comes twice completes, and is not sent again once its PUBREL is out",
        &["MQTT-4.3.3-1"],
    )
    .steps(then(connected(cx), [Broker(Command::Rule(Rule::to_module(PubRec, Action::Twice).once()))]))
    .steps([Check(send(cx, &t, 2, "recorded twice")), Quiet])
    .expect([publications(vec![sent(&t, 2, "recorded twice")]), not_after_pubrel()])
}

/// No PUBLISH goes out again once its PUBREL is out.
pub(crate) fn not_after_pubrel() -> Expect {
    Expect::new("no PUBLISH with the packet id of a PUBREL before it", |view: &View<'_>| {
        let Some(released) = view.from_module(PubRel).next() else { return Ok(()) };
        let late = |p: &&WirePacket| p.at > released.at && p.packet.id() == released.packet.id();
        match view.from_module(Publish).find(late) {
            Some(p) => Err(Unmet::at(p.packet.to_string(), p.at)),
            None => Ok(()),
        }
    })
}

/// An acknowledgement that comes twice says nothing of the next operation. Where success is told before it, nothing shows.
fn twice(cx: &Context<'_>) -> Vec<Case> {
    let (t, u) = (topic(cx, "twice"), topic(cx, "next"));
    let of = |packet: PacketType, first: Op, next: Op| {
        let tells =
            exchanges(cx.profile, &next.step).last().is_none_or(|e| e.is_certain(next.qos().unwrap_or(0)));
        let told_early =
            format!("success of `{}` may be told before {packet} on {}", next.step, cx.profile.name);
        let name = packet.name().to_lowercase();
        case(
            &format!("inflight/{name}-twice"),
            &format!("a {packet} that comes twice is not taken for that of the next command"),
            match packet {
                PubAck => &["MQTT-4.3.2-1"],
                PubComp => &["MQTT-4.3.3-1"],
                _ => &["MQTT-3.8.4-2"],
            },
        )
        .steps(then(
            connected(cx),
            [Broker(Command::Rule(Rule::to_module(packet, Action::Twice).once())), Do(first)],
        ))
        .steps([Quiet, withhold(packet), NoSuccess(next)])
        .unless((!tells).then_some(told_early))
    };
    vec![
        of(PubAck, send(cx, &t, 1, "acknowledged twice"), send(cx, &t, 1, "never acknowledged")),
        of(PubComp, send(cx, &t, 2, "completed twice"), send(cx, &t, 2, "never completed")),
        of(SubAck, subscribe(&t, 1), subscribe(&u, 1)),
    ]
}

/// Acknowledgements of two commands that come together, each of which has a line. A module that gave a command up before, or has
/// one at a time, has fewer.
fn together(cx: &Context<'_>) -> Vec<Case> {
    let of = |name: &str, packet: PacketType, ops: [Op; 2]| {
        let [first, _] = &ops;
        let (step, qos) = (first.step.clone(), first.qos().unwrap_or(0));
        let tells = exchanges(cx.profile, &step).any(|e| !e.results(qos).is_empty());
        let untold = format!("{} has no line of its own for the success of `{step}`", cx.profile.name);
        case(
            &format!("inflight/{name}-together"),
            &format!("two {packet} that come together are told as two successes"),
            &[],
        )
        .steps(then(connected(cx), [Broker(Command::Rule(Rule::to_module(packet, Action::Hold)))]))
        .steps(ops.map(NoSuccess))
        .steps([Broker(Command::Release(packet)), Idle { seconds: 3 }, Probe])
        .expect([each_told(step.clone(), qos, packet), each_sent(step.clone(), packet)])
        .like(cx, &format!("{step}/qos1"))
        .unless((!tells).then_some(untold))
    };
    let (t, u) = (topic(cx, "one"), topic(cx, "two"));
    vec![
        of("pubacks", PubAck, [send(cx, &t, 1, "the first"), send(cx, &t, 1, "the second")]),
        of("subacks", SubAck, [subscribe(&t, 1), subscribe(&u, 1)]),
    ]
}

/// As many lines of success as there were acknowledgements, unless a command failed before.
fn each_told(step: String, qos: u8, packet: PacketType) -> Expect {
    Expect::new(format!("a line of success for each {packet}"), move |view: &View<'_>| {
        let due = view.to_module(packet).count();
        let failed = any_failed(view);
        let own = || exchanges(view.profile, &step);
        let forms: Vec<_> =
            own().flat_map(|e| e.results(qos)).chain(own().flat_map(|e| &e.failure)).cloned().collect();
        let came = view.lines_like(&forms).count();
        if failed || came >= due {
            return Ok(());
        }
        let last = view.to_module(packet).last().map_or(0, |p| p.at);
        Err(Unmet::at(format!("{came} for {due} {packet}"), last))
    })
}

/// As many packets as commands that were answered with success.
fn each_sent(step: String, answer: PacketType) -> Expect {
    let packet = if answer == PubAck { Publish } else { PacketType::Subscribe };
    Expect::new(format!("a {packet} for each command that was answered"), move |view: &View<'_>| {
        let all = told(view, &step);
        let taken = all.iter().filter(|told| told.outcome.answer.is_some() && told.outcome.failure.is_none());
        let again = |p: &&WirePacket| p.packet.as_publish().is_some_and(|publish| publish.dup);
        let (taken, came) = (taken.count(), view.from_module(packet).filter(|p| !again(p)).count());
        if came >= taken { Ok(()) } else { Err(Unmet::missing(format!("{came} for {taken}"))) }
    })
}
