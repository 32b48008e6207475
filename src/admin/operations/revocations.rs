//! Listing what is revoked.

use std::collections::BinaryHeap;

use super::{OperationError, Operations};
use crate::admin::views::{RevocationView, Revocations};
use crate::model::{LogEntry, Revocation, Timestamp};

/// How many entries one list holds if nobody says otherwise, and at most.
pub const DEFAULT_LIMIT: usize = 1_000;
/// The most that anybody gets.
pub const MOST: usize = 100_000;

impl Operations {
    /// What the log in the store revokes.
    pub async fn list_revocations(&self, kind: Option<&str>, limit: usize) -> Result<Revocations, OperationError> {
        let now = self.clock.now();
        let entries = self.store.log.replay(now).await?.entries;
        listed(|add| entries.iter().for_each(add), kind, limit, now)
    }
}

/// The first entries of a kind in order, of those that `each` hands over; memory is bounded by the limit.
pub fn listed(
    each: impl FnOnce(&mut dyn FnMut(&LogEntry)),
    kind: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<Revocations, OperationError> {
    if let Some(kind) = kind.filter(|kind| !Revocation::KINDS.contains(kind)) {
        let known = Revocation::KINDS.join(", ");
        return Err(OperationError::Invalid(format!("no kind `{}`; there are {known}", kind.escape_debug())));
    }
    let limit = limit.min(MOST);
    let (mut first, mut total) = (BinaryHeap::new(), 0);
    each(&mut |entry| {
        if entry.until <= now || kind.is_some_and(|kind| kind != entry.what.kind()) {
            return;
        }
        total += 1;
        first.push(RevocationView::from(entry));
        if first.len() > limit {
            first.pop();
        }
    });
    Ok(Revocations { total, revocations: first.into_sorted_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_so_many_are_listed_in_order_and_all_are_counted() {
        let entry = |what| LogEntry { what, until: Timestamp(10) };
        let session = |id: u32| entry(Revocation::Session { id: format!("{id:03}").into() });
        let mut entries: Vec<_> = (0..100).rev().map(session).collect();
        entries.push(entry(Revocation::ApiKey { id: "k".into() }));
        entries.push(LogEntry { until: Timestamp(5), ..session(999) });
        let list = |kind, limit| listed(|add| entries.iter().for_each(add), kind, limit, Timestamp(5)).unwrap();
        let ids = |list: &Revocations| list.revocations.iter().map(|r| r.id.clone().unwrap()).collect::<Vec<_>>();
        assert_eq!((list(None, 3).total, ids(&list(None, 3))), (101, vec!["k".into(), "000".into(), "001".into()]));
        assert_eq!((list(Some("session"), 2).total, list(Some("session"), 2).revocations.len()), (100, 2));
        assert_eq!(list(Some("token"), 2).total, 0);
        assert!(listed(|_| (), Some("tokens"), 2, Timestamp(5)).is_err());
    }
}
