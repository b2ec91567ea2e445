//! Every two settings together: each alone has cases of its own, and firmware that does well with each may fail where two meet.

mod cover;

use atspec_model::{
    case::{Await, Case, Context, Expect, Op, Step, Unmet},
    judge::WirePacket,
    mqtt::{Connect, PacketType, Publish, Text},
    partner::Command,
    timeline::Close,
};

use cover::rows;

use crate::{hand::*, words::*};

use PacketType::{PubAck, PubComp, PubRec};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    vec![
        connections(cx),
        published(cx, "publish", publish),
        published(cx, "publish-data", publish_data),
        received(cx),
    ]
}

// ---- connections --------------------------------------------------------------------------------------------------

/// What a CONNECT has to say; `None` where no command decides it.
#[derive(Debug, Clone)]
struct Wanted {
    will: Option<(u8, bool)>,
    clean: Option<bool>,
    keep_alive: Option<u16>,
    credentials: Credentials,
}

/// What a CONNECT names besides the client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credentials {
    Both,
    None,
    Username,
}

const CREDENTIALS: [Credentials; 3] = [Credentials::Both, Credentials::None, Credentials::Username];

/// The wills of the rows.
const WILLS: [Option<(u8, bool)>; 7] = [
    None,
    Some((0, false)),
    Some((1, true)),
    Some((2, false)),
    Some((0, true)),
    Some((1, false)),
    Some((2, true)),
];

/// The keep alives of the rows, in seconds.
const KEEP_ALIVES: [u16; 3] = [KEEP_ALIVE, 60, 300];

fn connections(cx: &Context<'_>) -> Case {
    let has_will = takes(cx, "will_message");
    let wills = if has_will { &WILLS[..] } else { &WILLS[..1] };
    let (clean, keeps) = (takes(cx, "clean"), takes(cx, "keepalive"));
    let sizes =
        [wills.len(), 1 + usize::from(clean), if keeps { KEEP_ALIVES.len() } else { 1 }, CREDENTIALS.len()];
    let (mut steps, mut wanted) = (Vec::new(), Vec::new());
    for row in rows(&sizes) {
        let mut one = Wanted {
            will: wills[row[0]],
            clean: clean.then_some(row[1] == 0),
            keep_alive: keeps.then_some(KEEP_ALIVES[row[2]]),
            credentials: CREDENTIALS[row[3]],
        };
        // What cannot be said without user name and password is said with them.
        if one.session(cx).is_none() {
            one.credentials = Credentials::Both;
        }
        let Some(session) = one.session(cx) else { continue };
        steps.extend(then(session.checked(), over(cx)));
        wanted.push(one);
    }
    case(
        "pairs/connect",
        "every two settings of a connection together stand in CONNECT as configured",
        &[
            "MQTT-3.1.2-9",
            "MQTT-3.1.2-11",
            "MQTT-3.1.2-13",
            "MQTT-3.1.2-15",
            "MQTT-3.1.2-18",
            "MQTT-3.1.2-19",
            "MQTT-3.1.2-20",
            "MQTT-3.1.2-21",
            "MQTT-3.1.3-1",
        ],
    )
    .steps(steps)
    .expect([connects(cx, wanted)])
    .like(cx, "connect/credentials")
    .like(cx, "will/qos1-retain1")
}

/// The end of a connection, by command where there is one.
fn over(cx: &Context<'_>) -> Vec<Step> {
    if has(cx, "disconnect") {
        return ended(cx);
    }
    vec![Broker(Command::Close(Close::Fin)), Wait(Await::Closed), Quiet]
}

impl Wanted {
    /// The session that asks for it; none where the module's commands cannot say it.
    fn session<'a>(&self, cx: &Context<'a>) -> Option<Session<'a>> {
        let mut s = session(cx);
        if let Some((qos, retain)) = self.will {
            s = s.will(&topic(cx, "will"), qos, retain);
        }
        if let Some(clean) = self.clean {
            s = s.with("clean", if clean { "1" } else { "0" });
        }
        if let Some(seconds) = self.keep_alive {
            s = s.with("keepalive", seconds.to_string());
        }
        if self.credentials != Credentials::Both {
            s = s.without("password");
        }
        if self.credentials == Credentials::None {
            s = s.without("username");
        }
        self.is_said(cx, &s).then_some(s)
    }

    /// Whether the commands say all of it and no more: a will may stand behind the credentials, and cannot be given without
    /// them. That must not depend on the values of a run.
    fn is_said(&self, cx: &Context<'_>, session: &Session<'_>) -> bool {
        let mut named = session.clone();
        for (name, value) in [("username", "named-so"), ("password", "known-by")] {
            if session.says(name) {
                named = named.with(name, value);
            }
        }
        let spoken: Result<Vec<_>, String> = named.commands().map(|op| op.exchanges(cx.profile)).collect();
        let Ok(spoken) = spoken else { return false };
        let lines: Vec<Vec<u8>> = spoken.into_iter().flatten().map(|one| one.line).collect();
        let said =
            |text: &str| lines.iter().any(|line| line.windows(text.len()).any(|w| w == text.as_bytes()));
        said(WILL_MESSAGE) == self.will.is_some()
            && said("named-so") == (self.credentials != Credentials::None)
            && said("known-by") == (self.credentials == Credentials::Both)
    }

    /// What differs in a CONNECT of the case.
    fn differs(&self, cx: &Owned, seen: &Connect) -> Option<(&'static str, String)> {
        let will = seen.will.as_ref().map(|w| (w.qos, w.retain));
        if will != self.will {
            return Some(("will", format!("{} instead of {}", will_words(will), will_words(self.will))));
        }
        if let Some(will) = seen.will.as_ref()
            && (will.topic.as_bytes() != cx.will_topic.as_bytes() || will.message != WILL_MESSAGE.as_bytes())
        {
            return Some(("will", format!("will \"{}\" instead of \"{}\"", will.topic, cx.will_topic)));
        }
        if self.clean.is_some_and(|clean| clean != seen.clean_session()) {
            return Some(("clean", format!("clean session {}", u8::from(seen.clean_session()))));
        }
        if self.keep_alive.is_some_and(|seconds| seconds != seen.keep_alive) {
            return Some(("keepalive", format!("keep alive {}", seen.keep_alive)));
        }
        let user = Some(cx.username.as_bytes()).filter(|_| self.credentials != Credentials::None);
        let password = Some(cx.password.as_bytes()).filter(|_| self.credentials == Credentials::Both);
        let wanted = match self.credentials {
            Credentials::Both => "a user name and a password",
            Credentials::None => "neither user name nor password",
            Credentials::Username => "a user name alone",
        };
        if seen.username.as_ref().map(Text::as_bytes) != user {
            return Some(("username", format!("another user name than that of {wanted}")));
        }
        (seen.password.as_deref() != password)
            .then(|| ("password", format!("another password than that of {wanted}")))
    }
}

fn will_words(will: Option<(u8, bool)>) -> String {
    will.map_or("no will".to_owned(), |(qos, retain)| {
        format!("a will of QoS {qos}, retain {}", u8::from(retain))
    })
}

/// The values of the case that stand in its CONNECTs.
#[derive(Debug, Clone)]
struct Owned {
    username: String,
    password: String,
    will_topic: String,
}

/// One CONNECT for each, in their order.
fn connects(cx: &Context<'_>, wanted: Vec<Wanted>) -> Expect {
    let own = Owned {
        username: cx.bindings.username.clone(),
        password: cx.bindings.password.clone(),
        will_topic: topic(cx, "will"),
    };
    Expect::new(format!("{} CONNECT, each as configured", wanted.len()), move |view| {
        let seen: Vec<(&WirePacket, &Connect)> =
            view.from_module(PacketType::Connect).filter_map(|p| Some((p, p.packet.as_connect()?))).collect();
        for (n, one) in wanted.iter().enumerate() {
            let Some((packet, connect)) = seen.get(n) else {
                return Err(Unmet::missing(format!("{} of {}", seen.len(), wanted.len())));
            };
            if let Some((field, difference)) = one.differs(&own, connect) {
                let observed = format!("number {}: {difference}: {}", n + 1, packet.packet);
                return Err(Unmet::at(observed, packet.at).besides(clauses_of_field(view.profile, field)));
            }
        }
        match seen.get(wanted.len()) {
            Some((extra, _)) => Err(Unmet::at(format!("one more: {}", extra.packet), extra.at)),
            None => Ok(()),
        }
    })
}

// ---- publications -------------------------------------------------------------------------------------------------

/// The topics of the rows: plain, of one character, with an empty last level, deep.
fn topics(cx: &Context<'_>) -> [String; 4] {
    ["out", "x", "slash/", "a/b/c/d/e"].map(|name| topic(cx, name))
}

fn published(cx: &Context<'_>, step: &str, publish: fn(&str, u8, Vec<u8>) -> Op) -> Case {
    let topics = topics(cx);
    let long = if longest_payload(cx, step).is_some() { 200 } else { 90 };
    let payloads = [letters(20), letters(1), letters(long)];
    let mut all: Vec<Sent> = rows(&[3, 2, topics.len(), payloads.len()])
        .into_iter()
        .map(|row| Sent {
            retain: row[1] == 1,
            ..sent(&topics[row[2]], u8::try_from(row[0]).unwrap_or(0), &payloads[row[3]])
        })
        .collect();
    // What a parser takes for the end of the publication before would show in the next.
    all.push(sent(&topics[0], 0, letters(3)));
    let op = |one: &Sent| {
        publish(&one.topic, one.qos, one.payload.clone()).with("retain", if one.retain { "1" } else { "0" })
    };
    case(
        &format!("pairs/{step}"),
        "every two of QoS, retain, topic and length together are published as commanded",
        &["MQTT-3.3.2-1", "MQTT-2.3.1-1", "MQTT-2.3.1-5"],
    )
    .steps(then(connected(cx), all.iter().map(|one| Check(op(one)))))
    .steps([Wait(Await::FromModule(PacketType::Publish, all.len())), Quiet])
    .expect([publications(all)])
    .like(cx, &format!("{step}/qos1"))
}

// ---- messages -----------------------------------------------------------------------------------------------------

/// The packet ids of the rows, at the ends of one byte and of two.
const IDS: [u16; 4] = [1, 255, 256, 65_535];

fn received(cx: &Context<'_>) -> Case {
    let topics = ["in", "x", "a/b/c/d/e"].map(|name| topic(cx, name));
    // Where no document tells the longest message, nobody promises a long one.
    let long = if cx.profile.behaviour.receive_max.is_some() { 300 } else { 60 };
    let payloads = [letters(20), letters(2), letters(long)];
    let messages: Vec<Publish> = rows(&[3, 2, 2, topics.len(), payloads.len(), IDS.len()])
        .into_iter()
        .map(|row| {
            let qos = u8::try_from(row[0]).unwrap_or(0);
            Publish {
                dup: row[1] == 1 && qos > 0,
                qos,
                retain: row[2] == 1,
                topic: Text::from(topics[row[3]].as_str()),
                id: (qos > 0).then_some(IDS[row[5]]),
                payload: payloads[row[4]].clone(),
            }
        })
        .collect();
    let wanted = messages.iter().map(|m| (m.topic.to_string(), m.payload.clone())).collect();
    let (mut steps, mut acknowledged, mut released) = (Vec::new(), 0, 0);
    let mut exchange = |n: usize, message: &Publish| -> Vec<Step> {
        let mut steps = vec![inject(raw(message.clone()))];
        if message.qos == 1 {
            acknowledged += 1;
            steps.push(Wait(Await::FromModule(PubAck, acknowledged)));
        }
        if let Some(id) = message.id.filter(|_| message.qos == 2) {
            released += 1;
            steps.extend([
                Wait(Await::FromModule(PubRec, released)),
                inject(raw_pubrel(id)),
                Wait(Await::FromModule(PubComp, released)),
            ]);
        }
        steps.push(Wait(Await::Messages(n)));
        steps
    };
    for (message, n) in messages.iter().zip(1..) {
        steps.extend(exchange(n, message));
    }
    case(
        "pairs/receive",
        "messages with every two of QoS, DUP, RETAIN, topic, length and packet id are printed once and acknowledged",
        &["MQTT-3.3.4-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2", "MQTT-4.5.0-2"],
    )
    .steps(then(subscribed(cx, &topic(cx, "#"), 2), [unheard(PubAck), unheard(PubRec), unheard(PubComp)]))
    .steps(steps)
    .steps([Quiet])
    .expect([printed(wanted), answered_each_time(1), answered_each_time(2)])
    .like(cx, "receive/qos1")
}
