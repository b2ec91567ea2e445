//! The pure core of atspec: no sockets, no serial ports, no clock, no files.
//!
//! How an observation becomes a verdict, in the order of the modules:
//!
//! - [`mqtt`], [`at`], [`text`]: bytes as control packets, as AT lines, and as readable text;
//! - [`profile`]: one vendor's module as data;
//! - [`case`]: a requirement, the steps that provoke it, what must then be seen;
//! - [`partner`]: the broker side of the module's connection, honest or with rules;
//! - [`timeline`]: everything observed in one case, on one clock;
//! - [`judge`]: case, profile and timeline make a verdict;
//! - [`verdict`], [`run`]: what it came to, and the record of a whole run.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test panics to fail"))]

pub mod at;
pub mod case;
pub mod judge;
pub mod mqtt;
pub mod partner;
pub mod profile;
pub mod run;
pub mod text;
pub mod timeline;
pub mod verdict;
