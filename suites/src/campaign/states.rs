//! Sequences of commands against a small model of the module's state.
//!
//! The model knows of each state what its commands must come to: done as documented, refused, or nothing that any document says.
//! What is not said is done all the same, told, and what state it leads to is then unknown until the connection is closed.

use atspec_model::{
    case::{Await, Context, Op, Step},
    partner::Command,
    profile::Profile,
    timeline::Close,
};
use serde::{Deserialize, Serialize};

use crate::words::*;

/// One command of a sequence, in its plainest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// TCP is opened.
    Open,
    /// MQTT is connected.
    Connect,
    /// A publication of QoS 1.
    Publish,
    /// A subscription.
    Subscribe,
    /// The end of that subscription.
    Unsubscribe,
    /// The end of MQTT.
    Disconnect,
    /// The end of TCP.
    Close,
    /// The broker ends the connection.
    Lose,
}

/// All of them.
pub const MOVES: [Move; 8] = [
    Move::Open,
    Move::Connect,
    Move::Publish,
    Move::Subscribe,
    Move::Unsubscribe,
    Move::Disconnect,
    Move::Close,
    Move::Lose,
];

/// Where a module stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No connection.
    Down,
    /// TCP alone.
    Tcp,
    /// MQTT, subscribed or not.
    Up { subscribed: bool },
    /// MQTT is ended, TCP may stand.
    Parted,
    /// Something was done of which no document says what it leads to.
    Unknown,
}

/// What a command must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Done as documented.
    Done,
    /// Not answered with success, nothing sent.
    Refused,
    /// Nothing is said of it: it is told what it came to.
    Unsaid,
}

impl State {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Down => "without a connection",
            Self::Tcp => "with TCP alone",
            Self::Up { .. } => "connected",
            Self::Parted => "after the end of MQTT",
            Self::Unknown => "in a state that is not known",
        }
    }

    /// What a command must come to here, and where it leads; `None` where the module has no such command, or nothing to lose.
    #[expect(
        clippy::match_same_arms,
        reason = "a table: a row for each command and state, in the order of a session"
    )]
    pub(crate) fn next(self, profile: &Profile, what: Move) -> Option<(Demand, Self)> {
        use Demand::{Done, Refused, Unsaid};
        let has = |step: &str| profile.steps.contains_key(step);
        if !what.step(profile).is_none_or(has) {
            return None;
        }
        let opens = has("open");
        Some(match (what, self) {
            (Move::Lose, Self::Tcp | Self::Up { .. }) => (Unsaid, Self::Unknown),
            (Move::Lose, _) => return None,
            (Move::Close, Self::Tcp | Self::Up { .. }) => (Done, Self::Down),
            (Move::Close, _) => (Unsaid, Self::Down),
            (_, Self::Unknown) => (Unsaid, Self::Unknown),
            (Move::Open, Self::Down) => (Done, Self::Tcp),
            (Move::Open, _) => (Unsaid, Self::Unknown),
            (Move::Connect, Self::Tcp) => (Done, Self::Up { subscribed: false }),
            (Move::Connect, Self::Down) if opens => (Refused, self),
            (Move::Connect, Self::Down) => (Done, Self::Up { subscribed: false }),
            (Move::Connect, _) => (Unsaid, Self::Unknown),
            (Move::Publish, Self::Up { .. }) => (Done, self),
            (Move::Subscribe, Self::Up { subscribed: false }) => (Done, Self::Up { subscribed: true }),
            (Move::Unsubscribe, Self::Up { subscribed: true }) => (Done, Self::Up { subscribed: false }),
            (Move::Subscribe | Move::Unsubscribe, Self::Up { .. }) => (Unsaid, self),
            (Move::Publish | Move::Subscribe, _) => (Refused, self),
            (Move::Unsubscribe, _) => (Unsaid, self),
            (Move::Disconnect, Self::Up { .. }) if has("close") => (Done, Self::Parted),
            (Move::Disconnect, Self::Up { .. }) => (Done, Self::Down),
            (Move::Disconnect, Self::Tcp | Self::Parted) => (Unsaid, Self::Unknown),
            (Move::Disconnect, Self::Down) => (Unsaid, self),
        })
    }
}

impl Move {
    /// For people, and as the profile's step; none for what the broker does.
    pub(crate) fn step(self, profile: &Profile) -> Option<&'static str> {
        Some(match self {
            Self::Open => "open",
            Self::Connect => "connect",
            Self::Publish if profile.steps.contains_key("publish") => "publish",
            Self::Publish => "publish-data",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Disconnect => "disconnect",
            Self::Close => "close",
            Self::Lose => return None,
        })
    }

    /// The operation; `payload` is what a publication carries.
    fn op(self, cx: &Context<'_>, payload: &[u8]) -> Op {
        let filter = topic(cx, "in");
        match self {
            Self::Open => session(cx).open(),
            Self::Connect => session(cx).connect(),
            Self::Publish => send(cx, "t", 1, payload),
            Self::Subscribe => subscribe(&filter, 0),
            Self::Unsubscribe => unsubscribe(&filter),
            Self::Disconnect => disconnect(),
            Self::Close | Self::Lose => close(),
        }
    }

    /// The steps of a move of which this is demanded. Its command, where it has one, is the first of them.
    pub(crate) fn steps(self, cx: &Context<'_>, demand: Demand, next: State, payload: &[u8]) -> Vec<Step> {
        if self == Self::Lose {
            return vec![Broker(Command::Close(Close::Rst)), Wait(Await::Closed)];
        }
        let op = self.op(cx, payload);
        match demand {
            Demand::Done if next == State::Down => vec![Check(op), Wait(Await::Closed)],
            Demand::Done => vec![Check(op)],
            Demand::Refused => vec![Refuse(op)],
            // What it leads to, if to anything, has a moment to happen.
            Demand::Unsaid if next == State::Down => vec![Try(op), Step::Pause(Await::Closed), Probe],
            Demand::Unsaid => vec![Try(op), Quiet, Probe],
        }
    }
}

/// The sequences that are tried in every run: each command in each state that documented commands lead to.
pub(crate) fn all(profile: &Profile) -> Vec<Vec<Move>> {
    use Move::{Connect, Disconnect, Open, Subscribe};
    let first: Vec<Move> = [Open].into_iter().filter(|_| profile.steps.contains_key("open")).collect();
    let ways = [
        vec![],
        first.clone(),
        [first.as_slice(), &[Connect]].concat(),
        [first.as_slice(), &[Connect, Subscribe]].concat(),
        [first.as_slice(), &[Connect, Disconnect]].concat(),
    ];
    let mut all: Vec<Vec<Move>> = Vec::new();
    for way in ways {
        for last in MOVES {
            let moves = [way.as_slice(), &[last]].concat();
            if !all.contains(&moves) && walk(profile, &moves).len() == moves.len() {
                all.push(moves);
            }
        }
    }
    all
}

/// The moves that a module can make, each with the state it is made in, what is demanded, and the state it leads to.
pub(crate) fn walk(profile: &Profile, moves: &[Move]) -> Vec<(Move, State, Demand, State)> {
    let mut state = State::Down;
    let mut walked = Vec::new();
    for what in moves {
        if let Some((demand, next)) = state.next(profile, *what) {
            walked.push((*what, state, demand, next));
            state = next;
        }
    }
    walked
}
