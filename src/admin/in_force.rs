//! What this instance revokes is in force in it before anybody is told that it is revoked.

use std::sync::Arc;
use std::time::Duration;

use crate::gate::revocation::RevocationSet;
use crate::model::{LogEntry, Timestamp};
use crate::store::{Followed, Position, Replay, Reply, RevocationLog, Store};

/// The same store; what is appended to its log is in force here at once, without waiting for the log to be read back.
pub fn in_force(store: Store, revocations: Arc<RevocationSet>) -> Store {
    Store { log: Arc::new(InForce { log: Arc::clone(&store.log), revocations }), ..store }
}

struct InForce {
    log: Arc<dyn RevocationLog>,
    revocations: Arc<RevocationSet>,
}

impl RevocationLog for InForce {
    fn append<'a>(&'a self, entry: &'a LogEntry) -> Reply<'a, Position> {
        Box::pin(async move {
            let position = self.log.append(entry).await?;
            self.revocations.add(std::slice::from_ref(entry));
            Ok(position)
        })
    }

    fn replay(&self, now: Timestamp) -> Reply<'_, Replay> {
        self.log.replay(now)
    }

    fn follow<'a>(&'a self, after: &'a Position, wait: Duration) -> Reply<'a, Followed> {
        self.log.follow(after, wait)
    }

    fn beat(&self) -> Reply<'_, Position> {
        self.log.beat()
    }
}
