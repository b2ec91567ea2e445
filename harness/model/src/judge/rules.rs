//! Passive rules: they hold in every case, whatever it is about. The first violation of each is a finding.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Serial, View, WirePacket};
use crate::{
    at::{Item, LineTemplate},
    case::{Case, Step},
    mqtt::{Body, Connect, Level, PacketType},
    profile::Known,
    text,
    timeline::{Side, What},
    verdict::Verdict,
};

/// What the interval between two packets may exceed the keep alive by, for the scheduler of any bench; a twentieth of the keep
/// alive comes to it for the latency of a line.
const KEEP_ALIVE_SLACK_US: u64 = 250_000;

/// Looks at every packet and every line of the case.
pub(super) fn judge(case: &Case, view: &View<'_>) -> Vec<Finding> {
    let rules: [fn(&Case, &View<'_>) -> Option<Finding>; 11] = [
        flooded,
        unanswered_clearing_up,
        unframed,
        connect_first,
        after_disconnect,
        identifiers,
        first_sending,
        foreign_acknowledgement,
        keep_alive,
        closed_unasked,
        unasked_success,
    ];
    let mut findings: Vec<Finding> = rules.iter().filter_map(|rule| rule(case, view)).collect();
    findings.extend(malformed(view));
    findings.extend(excess(view));
    findings
}

/// Every rule that a packet breaks by its bytes alone; each clause once.
fn malformed(view: &View<'_>) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for p in module_packets(view) {
        let older = view.profile.behaviour.mqtt31 && p.packet.as_connect().is_some_and(Connect::is_older);
        let counts = |clause| !(older && Connect::VERSION.contains(&clause));
        let violations = p.packet.violations.iter().filter(|v| v.level > Level::Info && counts(v.clause));
        let fresh: Vec<_> = violations.filter(|v| told.insert(v.clause)).collect();
        let Some(worst) = fresh.iter().max_by_key(|v| v.level) else { continue };
        let verdict = if worst.level == Level::Must { Verdict::Fail } else { Verdict::Warning };
        let clauses: Vec<&str> = fresh.iter().filter(|v| v.level == worst.level).map(|v| v.clause).collect();
        let expected = format!("a well-formed {}", p.packet.kind);
        let observed =
            format!("{} at byte {} of {}", worst.what, worst.offset, text::shortened(&p.packet.raw, 60));
        findings.push(Finding::new(verdict, expected, observed).citing(clauses).at(p.at));
    }
    findings
}

/// More on the serial line than any case can need.
fn flooded(_: &Case, view: &View<'_>) -> Option<Finding> {
    let (at, bytes) = view.timeline.events.iter().enumerate().find_map(|(at, e)| match e.what {
        What::Flooded { bytes } => Some((at, bytes)),
        _ => None,
    })?;
    let observed = format!("{bytes} bytes without end on the serial line");
    Some(Finding::new(Verdict::Fail, "answers on the serial line", observed).at(at))
}

/// Also while the bench clears up after a case every command has a final result code: a module that falls silent or restarts
/// there is no better than one that does it before.
fn unanswered_clearing_up(_: &Case, view: &View<'_>) -> Option<Finding> {
    let events = &view.timeline.events;
    let teardown = events.iter().position(|e| e.what == What::Teardown)?;
    let mut sent: &[u8] = b"";
    for (at, event) in events.iter().enumerate().skip(teardown) {
        match &event.what {
            What::Sent { bytes, .. } => sent = bytes.trim_ascii_end(),
            What::Silence { awaited, .. } if !owes_nothing(view, sent) => {
                let expected = format!("`{}` answered while the bench clears up", text::shortened(sent, 60));
                return Some(Finding::new(Verdict::Fail, expected, format!("no {awaited}")).at(at));
            }
            _ => {}
        }
    }
    None
}

/// Whether the document promises no answer to a command.
fn owes_nothing(view: &View<'_>, command: &[u8]) -> bool {
    let mut exchanges = view.profile.steps.values().flat_map(|step| &step.exchanges);
    let own = exchanges.find(|e| e.send.iter().any(|template| template.read(command, None).is_some()));
    own.is_some_and(|exchange| exchange.known != Known::Full)
        || view.profile.clear.iter().any(|line| line.as_bytes() == command)
}

/// A stream that cannot be cut into control packets.
fn unframed(_: &Case, view: &View<'_>) -> Option<Finding> {
    let (at, why) = view.connections.iter().find_map(|c| c.broken.clone())?;
    Some(Finding::new(Verdict::Fail, "control packets on the connection", why).citing(["MQTT-2.2.3"]).at(at))
}

/// MQTT-3.1.0-1 and 3.1.0-2: CONNECT first, and once.
fn connect_first(_: &Case, view: &View<'_>) -> Option<Finding> {
    for connection in &view.connections {
        let mut packets = module_packets(view).filter(|p| p.conn == connection.conn);
        let Some(first) = packets.next() else { continue };
        if first.packet.kind != PacketType::Connect {
            let expected = "CONNECT as the first packet of a connection";
            return Some(
                Finding::new(Verdict::Fail, expected, first.packet.to_string())
                    .citing(["MQTT-3.1.0-1"])
                    .at(first.at),
            );
        }
        if let Some(second) = packets.find(|p| p.packet.kind == PacketType::Connect) {
            let expected = "one CONNECT on a connection";
            return Some(
                Finding::new(Verdict::Fail, expected, "a second CONNECT")
                    .citing(["MQTT-3.1.0-2"])
                    .at(second.at),
            );
        }
    }
    None
}

/// MQTT-3.14.4-2: nothing after DISCONNECT.
fn after_disconnect(_: &Case, view: &View<'_>) -> Option<Finding> {
    let mut ended = BTreeSet::new();
    for p in module_packets(view) {
        if ended.contains(&p.conn) {
            let observed = format!("{} after DISCONNECT", p.packet);
            let finding = Finding::new(Verdict::Fail, "no packet after DISCONNECT", observed);
            return Some(finding.citing(["MQTT-3.14.4-2"]).at(p.at));
        }
        if p.packet.kind == PacketType::Disconnect {
            ended.insert(p.conn);
        }
    }
    None
}

/// MQTT-2.3.1-2: a new packet takes an identifier that is not in use on this connection.
fn identifiers(_: &Case, view: &View<'_>) -> Option<Finding> {
    let mut in_use: BTreeSet<(u32, u16)> = BTreeSet::new();
    for p in &view.packets {
        let Some(id) = p.packet.id() else { continue };
        let key = (p.conn, id);
        match (p.from, &p.packet.body) {
            (Side::Module, Body::Publish(publish)) if publish.dup => {
                in_use.insert(key);
            }
            (Side::Module, Body::Publish(_) | Body::Subscribe(_) | Body::Unsubscribe(_))
                if !in_use.insert(key) =>
            {
                let expected = "a packet identifier that is not in use";
                let observed = format!("{} while identifier {id} was in use", p.packet);
                return Some(
                    Finding::new(Verdict::Fail, expected, observed).citing(["MQTT-2.3.1-2"]).at(p.at),
                );
            }
            (Side::Broker, Body::PubAck(_) | Body::PubComp(_) | Body::SubAck(_) | Body::UnsubAck(_)) => {
                in_use.remove(&key);
            }
            _ => {}
        }
    }
    None
}

/// MQTT-4.3.2-1, 4.3.3-1: DUP is 0 when a PUBLISH is sent for the first time.
fn first_sending(_: &Case, view: &View<'_>) -> Option<Finding> {
    let mut sent: BTreeSet<(Option<u16>, Vec<u8>)> = BTreeSet::new();
    for p in module_packets(view) {
        let Some(publish) = p.packet.as_publish() else { continue };
        let fresh = sent.insert((publish.id, publish.payload.clone()));
        if fresh && publish.dup && publish.qos > 0 {
            let clause = if publish.qos == 1 { "MQTT-4.3.2-1" } else { "MQTT-4.3.3-1" };
            let finding =
                Finding::new(Verdict::Fail, "DUP 0 on the first sending of a PUBLISH", p.packet.to_string());
            return Some(finding.citing([clause]).at(p.at));
        }
    }
    None
}

/// MQTT-2.3.1-6: PUBACK, PUBREC, PUBREL and PUBCOMP carry the identifier of the PUBLISH they belong to.
fn foreign_acknowledgement(_: &Case, view: &View<'_>) -> Option<Finding> {
    let mut from_broker: BTreeSet<u16> = BTreeSet::new();
    let mut released: BTreeSet<u16> = BTreeSet::new();
    let mut from_module: BTreeSet<u16> = BTreeSet::new();
    for p in &view.packets {
        let Some(id) = p.packet.id() else { continue };
        match (p.from, &p.packet.body) {
            (Side::Broker, Body::Publish(_)) => from_broker.insert(id),
            (Side::Broker, Body::PubRel(_)) => released.insert(id),
            (Side::Module, Body::Publish(_)) => from_module.insert(id),
            _ => false,
        };
        let known = match (p.from, &p.packet.body) {
            (Side::Module, Body::PubAck(_) | Body::PubRec(_)) => from_broker.contains(&id),
            (Side::Module, Body::PubComp(_)) => released.contains(&id),
            (Side::Module, Body::PubRel(_)) => from_module.contains(&id),
            _ => true,
        };
        if !known {
            let expected = format!("{} with the identifier of a PUBLISH of this exchange", p.packet.kind);
            let finding = Finding::new(Verdict::Fail, expected, p.packet.to_string());
            return Some(finding.citing(["MQTT-2.3.1-6"]).at(p.at));
        }
    }
    None
}

/// MQTT-3.1.2-23: the interval between packets does not exceed the keep alive, counted from CONNACK on.
fn keep_alive(_: &Case, view: &View<'_>) -> Option<Finding> {
    for connection in &view.connections {
        let on = |p: &&WirePacket| p.conn == connection.conn;
        let Some(connect) = view.packets.iter().filter(on).find_map(|p| p.packet.as_connect()) else {
            continue;
        };
        let accepted = |p: &&WirePacket| matches!(p.packet.body, Body::ConnAck(ack) if ack.code == 0);
        let Some(start) = view.packets.iter().filter(on).find(accepted) else { continue };
        if connect.keep_alive == 0 {
            continue;
        }
        let seconds = connect.keep_alive;
        let keep_alive = view.header.settings.scaled_us(u64::from(seconds) * 1000);
        let limit = keep_alive + keep_alive / 20 + KEEP_ALIVE_SLACK_US;
        let module = view.packets.iter().filter(on).filter(|p| p.from == Side::Module && p.at > start.at);
        let disconnected = module.clone().any(|p| p.packet.kind == PacketType::Disconnect);
        let end = connection.closed.first().map(|(at, ..)| *at).or_else(|| last_event(view));
        let mut times: Vec<(usize, u64)> = module.map(|p| (p.at, p.at_us)).collect();
        if let Some(end) = end.filter(|_| !disconnected) {
            times.push((end, view.time_us(end)));
        }
        let mut before = start.at_us;
        for (at, at_us) in times {
            let gap = at_us.saturating_sub(before);
            if gap > limit {
                let expected = format!("a packet at least every {seconds} s (keep alive)");
                let observed = format!("none for {:.1} s", scaled_back(view, gap));
                return Some(
                    Finding::new(Verdict::Fail, expected, observed).citing(["MQTT-3.1.2-23"]).at(at),
                );
            }
            before = at_us;
        }
    }
    None
}

/// The module keeps its connection until it is told to close it, or the broker gives it a reason.
fn closed_unasked(case: &Case, view: &View<'_>) -> Option<Finding> {
    let reason = view
        .timeline
        .events
        .iter()
        .position(|e| matches!(e.what, What::Broker { .. } | What::Altered { .. }));
    for connection in view.connections.iter().filter(|c| c.spoke) {
        let Some((at, Side::Module, _)) = connection.closed.first() else { continue };
        let asked = view.steps.iter().filter(|s| s.begin < *at).any(|s| {
            let step = case.steps.get(s.index);
            let ends = |step: &str| matches!(step, "close" | "disconnect" | "open" | "connect" | "reset");
            let after = |s: &super::StepView| s.begin > connection.opened;
            step.and_then(Step::op).is_some_and(|op| ends(&op.step) && (after(s) || op.step == "connect"))
                && !matches!(step, Some(Step::Check(op) | Step::Do(op)) if op.step == "connect")
        });
        let provoked = reason.is_some_and(|reason| reason < *at);
        if !asked && !provoked {
            let expected = "the connection kept until the module is told to close it";
            let cites = view
                .profile
                .steps
                .get("close")
                .into_iter()
                .flat_map(|s| &s.exchanges)
                .flat_map(|e| e.cites.clone());
            let observed = format!("the module closed it at {}", view.time(*at));
            return Some(Finding::new(Verdict::Fail, expected, observed).citing(cites).at(*at));
        }
    }
    None
}

/// A success line that no command is waiting for.
fn unasked_success(_: &Case, view: &View<'_>) -> Option<Finding> {
    let mut outstanding = owed_for_sent_again(view);
    let unasked = |outstanding: &mut BTreeMap<Vec<u8>, usize>, at: usize, line: &[u8]| match outstanding
        .get_mut(line)
    {
        Some(n) if *n > 0 => {
            *n -= 1;
            None
        }
        _ => {
            let observed = format!("`{}` although no command was waiting for it", text::visible(line));
            Some(Finding::new(Verdict::Fail, "success only as the answer to a command", observed).at(at))
        }
    };
    for step in &view.steps {
        let told = step.dialogues.iter().chain(&step.probes);
        for line in told.clone().flat_map(|one| &one.owed) {
            *outstanding.entry(line.clone()).or_default() += 1;
        }
        let mut heard: BTreeSet<usize> = BTreeSet::new();
        for one in told.clone() {
            let o = &one.outcome;
            heard.extend(
                [&o.answer, &o.refusal, &o.result, &o.failure].into_iter().flatten().map(|(_, end)| *end),
            );
        }
        let undocumented = told.clone().any(|t| t.known != Known::Full);
        for serial in &step.serial {
            let Serial::Printed { at, end, item: Item::Line(line) } = serial else { continue };
            if heard.contains(end) || undocumented || !means_success(view, line) || borne(view, step, line) {
                continue;
            }
            if let Some(finding) = unasked(&mut outstanding, *at, line) {
                return Some(finding);
            }
        }
    }
    // Behind the last step the bench asks only whether the port answers.
    let last = view.steps.last()?;
    if last.dialogues.iter().any(|t| t.known != Known::Full) {
        return None;
    }
    let answers: Vec<&LineTemplate> = view
        .profile
        .steps
        .get("probe")
        .into_iter()
        .flat_map(|s| &s.exchanges)
        .flat_map(|e| &e.answer)
        .collect();
    let probe = view.late.iter().position(|(_, line)| answers.iter().any(|t| t.read(line).is_some()));
    let late = view.late.iter().enumerate().filter(|(i, _)| Some(*i) != probe).map(|(_, late)| late);
    late.filter(|(_, line)| means_success(view, line) && !borne(view, last, line))
        .find_map(|(at, line)| unasked(&mut outstanding, *at, line))
}

/// Success lines that may come for publications sent again after a reconnection: their own command was answered, or given up,
/// before, and no document says whether the module tells of them.
fn owed_for_sent_again(view: &View<'_>) -> BTreeMap<Vec<u8>, usize> {
    let mut owed: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut released: BTreeSet<u16> = BTreeSet::new();
    for p in module_packets(view) {
        let qos = match &p.packet.body {
            Body::Publish(publish) if publish.dup => publish.qos,
            Body::PubRel(ack) if !released.insert(ack.id) => 2,
            _ => continue,
        };
        let publishing =
            ["publish", "publish-data"].into_iter().filter_map(|step| view.profile.steps.get(step));
        let lines: BTreeSet<&str> = publishing
            .flat_map(|s| &s.exchanges)
            .flat_map(|e| e.results(qos))
            .map(LineTemplate::source)
            .collect();
        for line in lines {
            *owed.entry(line.as_bytes().to_vec()).or_default() += 1;
        }
    }
    owed
}

/// Whether a line means success somewhere in the profile.
fn means_success(view: &View<'_>, line: &[u8]) -> bool {
    let exchanges = view.profile.steps.values().flat_map(|s| &s.exchanges);
    let mut templates = exchanges.flat_map(|e| e.answer.iter().chain(e.result.iter().flatten()));
    // A template that takes any text would take any line.
    templates.any(|t| !t.is_loose() && t.read(line).is_some())
}

/// Lines that a command of the step may bring besides.
fn borne(view: &View<'_>, step: &super::StepView, line: &[u8]) -> bool {
    let names: Vec<&[u8]> =
        step.dialogues.iter().map(|t| t.line.split(|b| *b == b'=').next().unwrap_or_default()).collect();
    view.profile.steps.values().flat_map(|s| &s.exchanges).any(|e| {
        e.send.iter().any(|t| names.contains(&t.name().as_bytes()))
            && e.bear.iter().any(|t| t.read(line).is_some())
    })
}

/// A message is followed by the end of its line when its declared length is over.
fn excess(view: &View<'_>) -> Option<Finding> {
    let message = view.messages.iter().find(|m| !m.excess.is_empty())?;
    let declared = message.payload.len();
    let expected = format!("the line to end after the declared {declared} bytes");
    let observed = format!("{} more: {}", message.excess.len(), text::shortened(&message.excess, 60));
    Some(Finding::new(Verdict::Fail, expected, observed).citing(&view.profile.message.cites).at(message.at))
}

fn module_packets<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v WirePacket> {
    view.packets.iter().filter(|p| p.from == Side::Module)
}

/// The last event that is judged.
fn last_event(view: &View<'_>) -> Option<usize> {
    view.steps.last().map(|s| s.end.saturating_sub(1))
}

/// µs on this bench as the seconds of the document.
fn scaled_back(view: &View<'_>, us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64() / view.header.settings.clock_factor.max(f64::EPSILON)
}
