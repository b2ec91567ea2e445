//! The cases of atspec, one file per subject.
//!
//! A case is one value; adding one is one small obvious place, nothing to register or number. No case names a device: whether it
//! applies follows from its steps and the profile, and which clauses it checks on a module stands in the profile.

#![cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "`words` is the vocabulary of every suite"))]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test panics to fail"))]

mod cache;
mod close;
mod connect;
mod data;
mod flow;
mod format;
mod keepalive;
mod limits;
mod open;
mod publish;
mod receive;
mod refuse;
mod session;
mod subscribe;
mod will;
mod words;

use atspec_model::case::{Case, Context};

/// Every case for a module, in the order in which they are run; also those that do not apply to it.
pub fn cases(cx: &Context<'_>) -> Vec<Case> {
    let suites: [fn(&Context<'_>) -> Vec<Case>; 15] = [
        flow::cases,
        open::cases,
        connect::cases,
        publish::cases,
        data::cases,
        subscribe::cases,
        receive::cases,
        cache::cases,
        keepalive::cases,
        will::cases,
        session::cases,
        close::cases,
        refuse::cases,
        limits::cases,
        format::cases,
    ];
    suites.iter().flat_map(|suite| suite(cx)).collect()
}
