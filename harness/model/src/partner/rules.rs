//! The rules that hold now, with their counters.

use super::{Action, Rule, Way};
use crate::mqtt::PacketType;

/// Rules in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Active>);

#[derive(Debug)]
struct Active {
    rule: Rule,
    /// Matching packets that it has seen.
    seen: u32,
}

impl Rules {
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(Active { rule, seen: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What the first matching rule does to the packet at hand. A rule that still skips counts as matching, a rule
    /// that is used up does not.
    pub(super) fn take(&mut self, way: Way, on: PacketType) -> Option<Action> {
        let index = self.0.iter().position(|a| a.rule.way == way && a.rule.on == on)?;
        let active = &mut self.0[index];
        active.seen = active.seen.saturating_add(1);
        if active.seen <= active.rule.skip {
            return None;
        }
        let used_up =
            active.rule.times.is_some_and(|times| active.seen >= times.saturating_add(active.rule.skip));
        let nothing = active.rule.times == Some(0);
        let action = active.rule.action.clone();
        if used_up {
            self.0.remove(index);
        }
        if nothing { self.take(way, on) } else { Some(action) }
    }

    /// Ends the rules that hold packets of this type.
    pub(super) fn stop_holding(&mut self, on: PacketType) {
        self.0.retain(|a| a.rule.on != on || a.rule.action != Action::Hold);
    }
}
