//! What ends when.

use std::collections::BTreeMap;

use crate::model::Timestamp;

/// Things in order of when to look at them again.
#[derive(Debug)]
pub(super) struct Expiries<T> {
    queue: BTreeMap<(Timestamp, u64), T>,
    counter: u64,
}

impl<T> Expiries<T> {
    pub(super) const fn new() -> Self {
        Self { queue: BTreeMap::new(), counter: 0 }
    }

    /// Looks at `thing` again from `at` on.
    pub(super) fn push(&mut self, at: Timestamp, thing: T) {
        self.counter += 1;
        self.queue.insert((at, self.counter), thing);
    }

    /// One thing whose time has come; it is not in the queue any more.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<T> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_order_of_time_and_not_before_it() {
        let mut expiries = Expiries::new();
        expiries.push(Timestamp(20), 'b');
        expiries.push(Timestamp(10), 'a');
        expiries.push(Timestamp(20), 'c');
        assert_eq!(expiries.pop_due(Timestamp(9)), None);
        let due: Vec<_> = std::iter::from_fn(|| expiries.pop_due(Timestamp(20))).collect();
        assert_eq!(due, ['a', 'b', 'c']);
    }
}
