//! Which messages have come already: a broker delivers one copy for each of two overlapping filters.

use std::collections::{HashSet, VecDeque};

/// Copies of a message come close together: so many numbers are remembered.
const REMEMBERED: usize = 16 * 1024;

/// The numbers of the last messages.
#[derive(Debug, Default)]
pub(super) struct Seen {
    order: VecDeque<u64>,
    numbers: HashSet<u64>,
}

impl Seen {
    /// Whether a message comes for the first time.
    pub(super) fn is_new(&mut self, number: u64) -> bool {
        if !self.numbers.insert(number) {
            return false;
        }
        self.order.push_back(number);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        true
    }
}
