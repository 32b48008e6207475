//! Decision ids without a system call each.

use std::cell::RefCell;

use crate::model::{DecisionId, Entropy};

/// How many ids are drawn at once.
const BATCH: usize = 64;

/// Draws the randomness of many ids at a time. They are names, not secrets: that some lie ready in memory harms nobody.
#[derive(Default)]
pub(super) struct Ids(RefCell<Vec<DecisionId>>);

impl Ids {
    /// One that was never given before.
    pub(super) fn next(&self, entropy: &dyn Entropy) -> DecisionId {
        let mut ready = self.0.borrow_mut();
        if ready.is_empty() {
            let mut bytes = [0; BATCH * 16];
            entropy.fill(&mut bytes);
            ready.extend(bytes.as_chunks::<16>().0.iter().map(|id| DecisionId::from_bytes(*id)));
        }
        ready.pop().unwrap_or_else(|| DecisionId::new(entropy))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn no_id_comes_twice() {
        let ids = Ids::default();
        let seen: HashSet<_> = (0..3 * BATCH).map(|_| ids.next(&SystemEntropy)).collect();
        assert_eq!(seen.len(), 3 * BATCH);
    }
}
