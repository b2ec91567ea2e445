//! Passive rules: they hold in every case of every suite, whatever it is about. The first breach of each is a finding, with the
//! packet in hex, the statement, and where it happened.
//!
//! - [`packet`]: what a packet breaks by its bytes alone, as the decoder found it;
//! - [`exchange`]: identifiers, first and repeated sending, the order of acknowledgements, clean sessions;
//! - [`connection`]: CONNECT first and once, nothing after DISCONNECT, keep alive, the close;
//! - [`serial`]: what holds of the serial line.
//!
//! Where nothing was broken, the rules also tell which statements a recording gave occasion to break ([`kept`]): that a statement
//! holds is only known of a module that could have broken it.

mod connection;
mod exchange;
mod packet;
mod serial;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{Finding, View, WirePacket};
use crate::{case::Case, text, timeline::Side, verdict::Verdict};

/// Bytes of a packet that a finding shows in hex.
const SHOWN: usize = 48;

/// A rule over the packets of a case.
struct Rule {
    /// The statements it is about.
    cites: &'static [&'static str],
    /// What must hold.
    expects: &'static str,
    /// Whether a recording gives occasion to break it.
    occasion: fn(&View<'_>) -> bool,
    /// The first breach.
    breach: fn(&View<'_>) -> Option<Breach>,
}

/// A breach of a rule.
struct Breach {
    /// Index of the event.
    at: usize,
    /// What was seen.
    observed: String,
    /// The statements that this one breaks, where they are not all of the rule's.
    cites: Option<&'static [&'static str]>,
}

impl Breach {
    /// A breach by a packet: what is wrong with it, the packet, where, and its bytes.
    fn by(view: &View<'_>, packet: &WirePacket, what: &str) -> Self {
        Self { at: packet.at, observed: shown(view, packet, what), cites: None }
    }

    fn citing(self, cites: &'static [&'static str]) -> Self {
        Self { cites: Some(cites), ..self }
    }
}

/// What packets break by their bytes alone.
pub(super) fn malformed(view: &View<'_>) -> Vec<Finding> {
    packet::judge(view)
}

/// Looks at every packet and every line of the case, but for what is [`malformed`].
pub(super) fn judge(case: &Case, view: &View<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = connection::unframed(view).into_iter().collect();
    for rule in tables() {
        findings.extend((rule.breach)(view).map(|breach| {
            Finding::new(Verdict::Fail, rule.expects, breach.observed)
                .citing(breach.cites.unwrap_or(rule.cites).iter().copied())
                .at(breach.at)
        }));
    }
    findings.extend(connection::closed_unasked(case, view));
    findings.extend(serial::judge(view));
    findings
}

/// The statements that the recording gave occasion to break and that no finding is about, in the order of the standard's
/// sections as far as the tables have it.
pub(super) fn kept(view: &View<'_>, findings: &[Finding]) -> Vec<&'static str> {
    let broken: BTreeSet<&str> = findings.iter().flat_map(|f| f.clauses.iter().map(String::as_str)).collect();
    let by_rules = tables().filter(|rule| (rule.occasion)(view)).flat_map(|rule| rule.cites.iter().copied());
    let all = packet::occasions(view).chain(by_rules);
    let mut kept: Vec<&'static str> = all.filter(|statement| !broken.contains(statement)).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Every statement that some rule is about.
pub fn statements() -> BTreeSet<&'static str> {
    packet::statements().chain(tables().flat_map(|rule| rule.cites.iter().copied())).collect()
}

fn tables() -> impl Iterator<Item = &'static Rule> {
    connection::RULES.iter().chain(exchange::RULES)
}

fn from_module<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v WirePacket> {
    view.packets.iter().filter(|p| p.from == Side::Module)
}

/// `PUBLISH id=0 qos=1 … at 0.113 s: packet identifier is 0 (hex 32 08 …)`.
fn shown(view: &View<'_>, packet: &WirePacket, what: &str) -> String {
    let (time, hex) = (view.time(packet.at), text::dump(&packet.packet.raw, SHOWN));
    let colon = if what.is_empty() { "" } else { ": " };
    format!("{} at {time}{colon}{what} (hex {hex})", packet.packet)
}
