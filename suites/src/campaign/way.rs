//! The ways by which bytes go into a module and come out of it again.

use std::collections::BTreeMap;

use atspec_model::{
    case::{Context, Op},
    judge::View,
    mqtt::{Body, Connect, PacketType, Text},
    profile::Profile,
};

use super::action::{Action, Bytes, Input, Publication, Reception};
use crate::words::{Session, has, session, topic};

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The payload of a publication by this step.
    Payload(String),
    /// The topic of a publication by this step.
    Topic(String),
    /// The filter of a subscription.
    Filter,
    /// The filter of the end of a subscription.
    LastFilter,
    /// An argument of the connection, which stands in CONNECT.
    Field(String),
    /// The payload of a message for the module.
    Received {
        /// Whether it is kept until it is read.
        cached: bool,
    },
    /// The topic of a message for the module.
    ReceivedTopic,
}

/// The topic where the payload is what matters.
const PLAIN_TOPIC: &[u8] = b"t";

/// The arguments of a connection that stand in CONNECT as they are given.
pub const FIELDS: [&str; 5] = ["client", "username", "password", "will_topic", "will_message"];

impl Way {
    /// Every way of a module by which bytes of choice can go.
    pub fn all(profile: &Profile) -> Vec<Self> {
        let steps = ["publish", "publish-data"].map(str::to_owned);
        let steps = steps.into_iter().filter(|step| profile.steps.contains_key(step));
        let mut all: Vec<Self> =
            steps.flat_map(|step| [Self::Payload(step.clone()), Self::Topic(step)]).collect();
        if profile.steps.contains_key("subscribe") {
            all.push(Self::Filter);
        }
        let taken = FIELDS.into_iter().filter(|name| taker(profile, name).is_some());
        all.extend(taken.map(|name| Self::Field(name.to_owned())));
        if profile.steps.contains_key("subscribe") {
            all.extend([Self::Received { cached: false }, Self::ReceivedTopic]);
            let caches = ["message-mode", "read-messages"].iter().all(|s| profile.steps.contains_key(*s));
            if caches && profile.behaviour.cache.is_some() {
                all.push(Self::Received { cached: true });
            }
        }
        all
    }

    /// For people: `publish payload`.
    pub fn name(&self) -> String {
        match self {
            Self::Payload(step) => format!("{step} payload"),
            Self::Topic(step) => format!("{step} topic"),
            Self::Filter => "subscribe topic".to_owned(),
            Self::LastFilter => "unsubscribe topic".to_owned(),
            Self::Field(name) => name.replace('_', " "),
            Self::Received { cached: false } => "received payload".to_owned(),
            Self::Received { cached: true } => "cached payload".to_owned(),
            Self::ReceivedTopic => "received topic".to_owned(),
        }
    }

    /// The step and argument that carry it into the module; none for what comes out of it.
    pub fn argument(&self, profile: &Profile) -> Option<(String, String)> {
        match self {
            Self::Payload(step) => Some((step.clone(), "payload".to_owned())),
            Self::Topic(step) => Some((step.clone(), "topic".to_owned())),
            Self::Filter => Some(("subscribe".to_owned(), "topic".to_owned())),
            Self::LastFilter => Some(("unsubscribe".to_owned(), "topic".to_owned())),
            Self::Field(name) => Some((taker(profile, name)?.to_owned(), name.clone())),
            Self::Received { .. } | Self::ReceivedTopic => None,
        }
    }

    /// Whether MQTT has UTF-8 text in it.
    pub fn is_text(&self) -> bool {
        match self {
            Self::Payload(_) | Self::Received { .. } => false,
            Self::Field(name) => !matches!(name.as_str(), "password" | "will_message"),
            _ => true,
        }
    }

    /// The input that sends a value this way; `raw` where it is written as it is.
    pub fn input(&self, value: &[u8], raw: bool) -> Input {
        let value = Bytes(value.to_vec());
        Input::one(match self {
            Self::Payload(step) => Action::Publish(Publication {
                by: step.clone(),
                topic: PLAIN_TOPIC.into(),
                qos: 1,
                payload: value,
                raw,
                ..Publication::default()
            }),
            Self::Topic(step) => Action::Publish(Publication {
                by: step.clone(),
                topic: value,
                qos: 1,
                payload: b"x".as_slice().into(),
                raw,
                ..Publication::default()
            }),
            Self::Filter => Action::Subscribe { topic: value, raw },
            Self::LastFilter => Action::Unsubscribe { topic: value },
            Self::Field(name) => Action::Connect { values: BTreeMap::from([(name.clone(), value)]), raw },
            Self::Received { cached } => Action::Receive(Reception {
                at_once: false,
                cached: *cached,
                topic: PLAIN_TOPIC.into(),
                qos: 0,
                payload: value,
            }),
            Self::ReceivedTopic => Action::Receive(Reception {
                at_once: false,
                cached: false,
                topic: value,
                qos: 0,
                payload: b"x".as_slice().into(),
            }),
        })
    }

    /// The value as it came out at the other end.
    pub fn arrived(&self, view: &View<'_>) -> Option<Vec<u8>> {
        let publish = || view.from_module(PacketType::Publish).find_map(|p| p.packet.as_publish());
        let filter = |kind: PacketType| {
            let filter = |body: &Body| match body {
                Body::Subscribe(s) => s.filters.first().map(|(filter, _)| filter.as_bytes().to_vec()),
                Body::Unsubscribe(u) => u.filters.first().map(|filter| filter.as_bytes().to_vec()),
                _ => None,
            };
            view.from_module(kind).find_map(|p| filter(&p.packet.body))
        };
        match self {
            Self::Payload(_) => publish().map(|p| p.payload.clone()),
            Self::Topic(_) => publish().map(|p| p.topic.as_bytes().to_vec()),
            Self::Filter => filter(PacketType::Subscribe),
            Self::LastFilter => filter(PacketType::Unsubscribe),
            Self::Field(name) => {
                let connect = view.from_module(PacketType::Connect).last()?.packet.as_connect()?;
                field(connect, name).map(<[u8]>::to_vec)
            }
            Self::Received { .. } => view.messages.first().map(|m| m.payload.clone()),
            Self::ReceivedTopic => {
                let prefix = format!("{}/", view.header.bindings.topic).into_bytes();
                let message = view.messages.first()?;
                Some(message.topic.strip_prefix(prefix.as_slice()).unwrap_or(&message.topic).to_vec())
            }
        }
    }
}

/// The value of a field of CONNECT.
pub fn field<'c>(connect: &'c Connect, name: &str) -> Option<&'c [u8]> {
    match name {
        "client" => Some(connect.client_id.as_bytes()),
        "username" => connect.username.as_ref().map(Text::as_bytes),
        "password" => connect.password.as_deref(),
        "will_topic" => connect.will.as_ref().map(|w| w.topic.as_bytes()),
        "will_message" => connect.will.as_ref().map(|w| w.message.as_slice()),
        _ => None,
    }
}

/// Whether a number given to the connection can be seen in CONNECT, or in that there is one at all.
pub(super) fn shown_in_connect(argument: &str) -> bool {
    matches!(argument, "keepalive" | "clean" | "disable_clean" | "will_qos" | "will_retain" | "link")
}

/// Whether a step is asked on a session that stands.
pub(super) fn in_session(step: &str) -> bool {
    matches!(step, "publish" | "publish-data" | "subscribe" | "unsubscribe")
}

/// The step of a connection that takes an argument.
pub fn taker(profile: &Profile, name: &str) -> Option<&'static str> {
    ["configure", "open", "connect"].into_iter().find(|step| profile.takes(step, name))
}

/// The commands of a connection with some values of choice; the will is whole where one of them is a part of it.
pub(super) fn session_with<'v>(
    cx: &Context<'_>,
    values: impl IntoIterator<Item = (&'v str, &'v [u8])>,
) -> Vec<Op> {
    let values: Vec<(&str, &[u8])> = values.into_iter().collect();
    let will = values.iter().any(|(name, _)| name.starts_with("will_"));
    let mut session: Session<'_> = session(cx);
    if will {
        session = session.will(&topic(cx, "will"), 0, false);
    }
    for (name, value) in values {
        session = session.with(name, value);
    }
    let chosen = |op: &Op| op.step == "connect" || has(cx, &op.step);
    session.commands().filter(chosen).collect()
}
