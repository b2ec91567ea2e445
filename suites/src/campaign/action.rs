//! What a campaign does, as plain values: they are kept in recordings and findings, and done again from there.

use std::collections::BTreeMap;

use atspec_model::text::serde_visible;
use serde::{Deserialize, Serialize};

use super::states::Move;

/// Any bytes, readable in files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(#[serde(with = "serde_visible")] pub Vec<u8>);

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Everything that one try does, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// In order.
    pub actions: Vec<Action>,
}

/// One thing that a campaign does with bytes of its choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// The module publishes.
    Publish(Publication),
    /// The module subscribes, and unsubscribes.
    Subscribe {
        /// The filter.
        topic: Bytes,
        /// Written as it is, whatever the document says of its bytes.
        #[serde(default, skip_serializing_if = "is_false")]
        raw: bool,
    },
    /// The module ends a subscription, to a filter that it was asked for just before.
    Unsubscribe {
        /// The filter.
        topic: Bytes,
    },
    /// Another client publishes to the module.
    Receive(Reception),
    /// The module connects with these values in place of the usual ones, and ends the connection.
    Connect {
        /// By the argument's name.
        values: BTreeMap<String, Bytes>,
        /// Written as they are.
        #[serde(default, skip_serializing_if = "is_false")]
        raw: bool,
    },
    /// A command with a number of choice in one argument.
    Number {
        /// The profile's step.
        step: String,
        /// The argument.
        argument: String,
        /// Its value.
        value: i64,
    },
    /// A command in its plainest form, of which the model of the module's state knows what it must come to.
    Move {
        /// Which.
        what: Move,
    },
    /// A command line as it stands, without its end.
    Line {
        /// The profile's step whose command it resembles.
        step: String,
        /// The line.
        line: Bytes,
    },
}

/// A publication of the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// The profile's step: `publish` or `publish-data`.
    pub by: String,
    /// The topic.
    pub topic: Bytes,
    /// 0 to 2.
    pub qos: u8,
    /// The payload.
    pub payload: Bytes,
    /// A declared length that is not that of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<i64>,
    /// The payload is written as it is, whatever the document says of its bytes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub raw: bool,
    /// After how many bytes the writing pauses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<usize>,
}

/// A message for the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reception {
    /// Whether the module keeps it until it is read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cached: bool,
    /// The topic behind the prefix of the session.
    pub topic: Bytes,
    /// 0 or 1.
    pub qos: u8,
    /// The payload.
    pub payload: Bytes,
    /// What comes next does not wait for it to be printed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub at_once: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Action {
    /// The move that it is, if it is one.
    pub fn as_move(&self) -> Option<Move> {
        if let Self::Move { what } = self { Some(*what) } else { None }
    }
}

impl Input {
    /// One thing alone.
    pub fn one(action: Action) -> Self {
        Self { actions: vec![action] }
    }

    /// As a line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("no map of it has keys that are not strings")
    }

    /// Reads a line of JSON back; the error says what is wrong.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    /// The bytes that may be made smaller, in the order in which that is tried: payloads first.
    pub fn texts(&mut self) -> Vec<&mut Vec<u8>> {
        let mut payloads = Vec::new();
        let mut others = Vec::new();
        for action in &mut self.actions {
            match action {
                Action::Publish(Publication { topic, payload, .. })
                | Action::Receive(Reception { topic, payload, .. }) => {
                    payloads.push(&mut payload.0);
                    others.push(&mut topic.0);
                }
                Action::Subscribe { topic, .. } | Action::Unsubscribe { topic } => others.push(&mut topic.0),
                Action::Connect { values, .. } => others.extend(values.values_mut().map(|v| &mut v.0)),
                Action::Line { line, .. } => others.push(&mut line.0),
                Action::Number { .. } | Action::Move { .. } => {}
            }
        }
        payloads.extend(others);
        payloads
    }
}
