//! What became of a value that was sent one way.

use std::fmt;

use atspec_model::{
    case::Step,
    judge::{StepView, View},
    mqtt::{Body, PacketType},
    text,
    timeline::{Side, What},
};
use serde::{Deserialize, Serialize};

use super::{
    Came,
    action::{Action, Bytes, Input},
    way::Way,
};

/// What became of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It arrived byte-exact.
    Kept,
    /// Something else arrived.
    Altered(Bytes),
    /// The command was refused, and nothing was sent.
    Refused,
    /// Success, or no word at all, and nothing arrived.
    Lost,
    /// The port did not answer any more, or the module restarted, or gave up its connection.
    Wedged,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Altered(to) => write!(f, "altered to `{}`", text::shortened(&to.0, 40)),
            Self::Refused => f.write_str("refused"),
            Self::Lost => f.write_str("lost"),
            Self::Wedged => f.write_str("wedged the port"),
        }
    }
}

/// What became of the value that an input sends this way.
pub fn of(way: &Way, sent: &[u8], came: &Came<'_>) -> Fate {
    let view = View::new(came.case, came.profile, came.timeline);
    let arrived = way.arrived(&view);
    let received = matches!(way, Way::Received { .. } | Way::ReceivedTopic);
    // A connection needs all of its commands, anything else the first: what follows only clears away.
    let own: Vec<bool> = commands(&view, came).map(StepView::claimed).collect();
    let claimed = match way {
        Way::Field(name) => {
            let taker = super::way::taker(came.profile, name).unwrap_or("connect");
            let is_taker = |s: &&StepView| step_name(came, s) == Some(taker);
            commands(&view, came).find(is_taker).is_some_and(StepView::claimed)
        }
        Way::LastFilter => own.get(1) == Some(&true),
        _ => own.first() == Some(&true),
    };
    let answered = claimed || received;
    match arrived {
        // What stands in CONNECT then is left from before.
        Some(_) if matches!(way, Way::Field(_)) && !claimed => Fate::Refused,
        _ if wedged(&view, came) => Fate::Wedged,
        Some(value) if value == sent => Fate::Kept,
        Some(value) => Fate::Altered(Bytes(value)),
        None if answered && !shows(way) => Fate::Kept,
        None if answered => Fate::Lost,
        None => Fate::Refused,
    }
}

/// Whether what goes this way can be seen anywhere.
fn shows(way: &Way) -> bool {
    !matches!(way, Way::Field(name) if !super::way::FIELDS.contains(&name.as_str()))
}

/// Whether a number was taken, and stands where it can be seen.
pub fn of_number(input: &Input, came: &Came<'_>) -> Fate {
    let view = View::new(came.case, came.profile, came.timeline);
    let Some(Action::Number { step, argument, value }) = input.actions.first() else { return Fate::Lost };
    if wedged(&view, came) {
        return Fate::Wedged;
    }
    let own = |seen: &&StepView| step_name(came, seen) == Some(step.as_str());
    let taken =
        view.steps.iter().rfind(own).is_some_and(|s| {
            !s.dialogues.is_empty() && s.dialogues.iter().all(|told| told.outcome.succeeded())
        });
    match shown(&view, step, argument, *value, own) {
        // What stands in CONNECT then is left from before.
        Some(_) if !taken && super::way::shown_in_connect(argument) => Fate::Refused,
        Some(seen) if seen == *value => Fate::Kept,
        Some(seen) => Fate::Altered(Bytes(seen.to_string().into_bytes())),
        None if taken && !is_shown(step, argument) => Fate::Kept,
        None if taken => Fate::Lost,
        None => Fate::Refused,
    }
}

/// Whether a number can be seen on the wire.
fn is_shown(step: &str, argument: &str) -> bool {
    super::way::shown_in_connect(argument)
        || matches!(
            (step, argument),
            ("publish" | "publish-data", "qos" | "retain" | "id")
                | ("subscribe", "qos" | "id")
                | ("read-message", "slot")
        )
}

/// A number as it stands on the wire, or as its effect tells.
fn shown(
    view: &View<'_>,
    step: &str,
    argument: &str,
    asked: i64,
    own: impl Fn(&&StepView) -> bool,
) -> Option<i64> {
    let id = |kind: PacketType| view.from_module(kind).find_map(|p| p.packet.id()).map(i64::from);
    let connect = || view.from_module(PacketType::Connect).last()?.packet.as_connect();
    let publish = || view.from_module(PacketType::Publish).find_map(|p| p.packet.as_publish());
    Some(match (step, argument) {
        ("publish" | "publish-data", "qos") => i64::from(publish()?.qos),
        ("publish" | "publish-data", "retain") => i64::from(publish()?.retain),
        ("subscribe", "qos") => {
            view.from_module(PacketType::Subscribe).find_map(|p| match &p.packet.body {
                Body::Subscribe(s) => s.filters.first().map(|(_, qos)| i64::from(*qos)),
                _ => None,
            })?
        }
        ("publish" | "publish-data", "id") => id(PacketType::Publish)?,
        ("subscribe", "id") => id(PacketType::Subscribe)?,
        // A place that holds a message gives it; every one is filled before.
        ("read-message", _) => {
            let own = view.steps.iter().rfind(own)?;
            let given = view.messages.iter().any(|m| (own.begin..own.end).contains(&m.at));
            given.then_some(asked)?
        }
        // It shows in that there is a connection at all.
        (_, "link") => connect().map(|_| asked)?,
        (_, "keepalive") => i64::from(connect()?.keep_alive),
        (_, "clean") => i64::from(connect()?.clean_session()),
        (_, "disable_clean") => i64::from(!connect()?.clean_session()),
        (_, "will_qos") => i64::from(connect()?.will.as_ref()?.qos),
        (_, "will_retain") => i64::from(connect()?.will.as_ref()?.retain),
        _ => return None,
    })
}

/// The operation that a step was about.
fn step_name<'c>(came: &Came<'c>, seen: &StepView) -> Option<&'c str> {
    came.case.steps.get(seen.index).and_then(Step::op).map(|op| op.step.as_str())
}

/// The steps behind the opening of the session that ask something of the module.
fn commands<'v>(view: &'v View<'_>, came: &Came<'_>) -> impl Iterator<Item = &'v StepView> {
    let opening = came.opening;
    view.steps.iter().filter(move |s| s.index >= opening && !s.dialogues.is_empty())
}

/// Whether the port, or the connection, did not outlive the try. Where the try ends the connection by itself, that is no loss.
fn wedged(view: &View<'_>, came: &Came<'_>) -> bool {
    let ends = came.case.ops().any(|op| matches!(op.step.as_str(), "disconnect" | "close"));
    commands(view, came).any(silent) || !ends && closed(view)
}

/// Whether nothing was answered in a step, nor behind it.
fn silent(step: &StepView) -> bool {
    let answered =
        |told: &atspec_model::judge::Told| told.outcome.answered() || told.outcome.failure.is_some();
    step.probes.last().or(step.dialogues.last()).is_some_and(|told| !answered(told))
}

/// Whether the module ended its connection, or printed without end.
fn closed(view: &View<'_>) -> bool {
    let ends = |what: &What| matches!(what, What::Closed { by: Side::Module, .. } | What::Flooded { .. });
    // What comes while the bench clears up is asked for.
    let own = view.timeline.events.iter().take_while(|e| e.what != What::Teardown);
    own.into_iter().any(|e| ends(&e.what))
}
