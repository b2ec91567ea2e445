//! The cases of atspec, one file per subject.
//!
//! A case is one value; adding one is one small obvious place, nothing to register or number. No case names a device: whether it
//! applies follows from its steps and the profile, and which clauses it checks on a module stands in the profile.

#![cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "`words` is the vocabulary of every suite"))]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test panics to fail"))]

mod again;
mod cache;
pub mod campaign;
mod close;
mod codes;
mod coincide;
mod connect;
mod connect_again;
mod connect_ends;
mod connect_less;
mod data;
mod exchange;
mod failure;
mod flow;
mod format;
mod hand;
mod honest;
mod ids;
mod inbound;
mod inflight;
mod keepalive;
mod limits;
mod loss;
mod malformed;
mod names;
mod network;
mod open;
mod pairs;
pub mod policy;
mod prompt;
mod publish;
mod receive;
mod reconnect;
mod refuse;
mod resend;
mod secure;
mod session;
mod slots;
mod soak;
mod status;
mod subscribe;
mod subscriptions;
mod text;
mod told;
mod unused;
mod will;
mod words;

use std::collections::BTreeMap;

use atspec_model::{
    case::{Case, Context, Step},
    mqtt::Level,
    profile::Profile,
    timeline::Bindings,
};

/// The cases of one subject.
type Suite = fn(&Context<'_>) -> Vec<Case>;

/// Every suite, in the order in which they are run.
const SUITES: &[Suite] = &[
    connect_less::unconfigured,
    flow::cases,
    exchange::cases,
    open::cases,
    unused::cases,
    secure::cases,
    connect::cases,
    connect_ends::cases,
    connect_less::cases,
    connect_again::cases,
    status::cases,
    codes::cases,
    publish::cases,
    data::cases,
    prompt::cases,
    ids::cases,
    subscribe::cases,
    subscriptions::cases,
    again::cases,
    receive::cases,
    inbound::cases,
    text::cases,
    cache::cases,
    slots::cases,
    keepalive::cases,
    will::cases,
    session::cases,
    resend::cases,
    inflight::cases,
    network::cases,
    honest::cases,
    coincide::cases,
    pairs::cases,
    loss::cases,
    failure::cases,
    reconnect::cases,
    close::cases,
    refuse::cases,
    limits::cases,
    format::cases,
    names::cases,
    malformed::cases,
    soak::cases,
];

/// Every case for a module, in the order in which they are run; also those that do not apply to it.
pub fn cases(cx: &Context<'_>) -> Vec<Case> {
    SUITES.iter().flat_map(|suite| finished(cx, suite(cx))).collect()
}

/// The case of this id. Where many are asked for, a [`Catalogue`] knows where each is.
pub fn find(cx: &Context<'_>, id: &str) -> Option<Case> {
    if let Some(name) = id.strip_prefix(malformed::SUITE) {
        return finished(cx, malformed::case(cx, name).into_iter().collect()).into_iter().next();
    }
    SUITES.iter().find_map(|suite| finished(cx, suite(cx)).into_iter().find(|case| case.id == id))
}

/// Which suite makes each case of a module, so that one case is built again without all the others: a run builds every case with
/// values of its own.
#[derive(Debug, Default)]
pub struct Catalogue {
    suites: BTreeMap<String, usize>,
}

impl Catalogue {
    /// The catalogue of a module.
    pub fn new(profile: &Profile) -> Self {
        let bindings = Bindings::default();
        let cx = Context { profile, bindings: &bindings };
        let suites = SUITES.iter().enumerate();
        let ids =
            suites.flat_map(|(n, suite)| finished(&cx, suite(&cx)).into_iter().map(move |case| (case.id, n)));
        Self { suites: ids.collect() }
    }

    /// The case of this id.
    pub fn case(&self, cx: &Context<'_>, id: &str) -> Option<Case> {
        let suite = SUITES.get(*self.suites.get(id)?)?;
        let cases = match id.strip_prefix(malformed::SUITE) {
            // One line of its file is one case: no need to build hundreds for it.
            Some(name) => malformed::case(cx, name).into_iter().collect(),
            None => suite(cx),
        };
        finished(cx, cases).into_iter().find(|case| case.id == id)
    }
}

/// Cases of a suite, with what holds for all suites.
fn finished(cx: &Context<'_>, mut cases: Vec<Case>) -> Vec<Case> {
    for case in &mut cases {
        // Some are named after an argument.
        case.id = case.id.replace('_', "-");
        number(case);
        if cx.profile.implied.contains(&case.id) {
            case.level = Level::Should;
        }
    }
    cases
}

/// Vendors that leave the packet ids to the host get one for each operation of a case, in order; a publication of QoS 0 has none.
fn number(case: &mut Case) {
    for (op, id) in case.steps.iter_mut().filter_map(Step::op_mut).zip(1..) {
        let publishes = op.step.starts_with("publish");
        let id = if publishes && op.qos() == Some(0) { 0 } else { id };
        op.values.entry("id".to_owned()).or_insert_with(|| id.to_string().into_bytes());
    }
}
