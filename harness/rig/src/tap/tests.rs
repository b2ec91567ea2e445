//! The tap as a client on a socket sees it: what rumqttd would do wrong, and what is
//! recorded.
#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod client;
mod faults;
mod records;
