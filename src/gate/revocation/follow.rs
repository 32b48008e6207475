//! Follows the log: replays, reads on, writes heartbeats and reads them back, replays after a gap.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::RevocationSet;
use crate::gate::Shared;
use crate::gate::identity::Cache;
use crate::model::{Clock, LogEntry, Revocation, Timestamp};
use crate::store::{Followed, Position, Reply, RevocationLog, Store, StoreError};
use crate::telemetry::Metrics;

/// Heartbeats come at most this far apart, and five of them within `max_staleness`.
const LONGEST_BEAT: Duration = Duration::from_secs(1);
const SHORTEST_BEAT: Duration = Duration::from_millis(20);

/// Pauses after failures, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A call that takes this much longer than it may is given up, whatever the store thinks.
const HANGING: Duration = Duration::from_secs(10);

/// Expired entries are looked for in one part of so many at each heartbeat, to hold the core for a moment only.
const PRUNE_PARTS: usize = 16;

/// An entry that ends so soon may have ended already by the store's clock; it is not taken for lost.
const ENDING: Duration = Duration::from_secs(5);

/// Entries that the store has lost are written back so many at a time.
const WRITTEN_AT_ONCE: usize = 64;

/// What the log tells something, whatever configuration is in force.
#[derive(Clone)]
pub struct Audience {
    revocations: Arc<RevocationSet>,
    cache: Cache,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Audience {
    /// What of this one outlives its configuration.
    pub fn of(shared: &Shared) -> Self {
        let Shared { revocations, cache, clock, metrics, .. } = shared;
        Self { revocations: revocations.clone(), cache: cache.clone(), clock: clock.clone(), metrics: metrics.clone() }
    }
}

/// Follows the log until dropped. On errors what is known stays, and grows stale by itself.
pub async fn follow(audience: &Audience, store: &Store) {
    let Audience { revocations, cache, clock, metrics } = audience;
    let follower = Follower { log: &*store.log, revocations, cache, clock: &**clock, metrics };
    let mut place = None;
    let mut failures = 0;
    loop {
        let outcome = follower.advance(&mut place).await;
        follower.report();
        match outcome {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!(failures, "following the revocation log again");
                }
                failures = 0;
            }
            Err(problem) => {
                if failures == 0 {
                    tracing::warn!(%problem, "cannot follow the revocation log");
                }
                tokio::time::sleep(pause(failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

/// The same a step at a time, for tests that hold the clock: where the follower is.
#[cfg(test)]
#[derive(Default)]
pub(in crate::gate) struct Steps(Option<Place>);

#[cfg(test)]
impl Steps {
    /// One replay, or one read. Says whether it worked.
    pub(in crate::gate) async fn advance(&mut self, shared: &Shared, store: &Store) -> bool {
        let follower = Follower {
            log: &*store.log,
            revocations: &shared.revocations,
            cache: &shared.cache,
            clock: &*shared.clock,
            metrics: &shared.metrics,
        };
        follower.advance(&mut self.0).await.is_ok()
    }
}

/// Why the log cannot be followed for now.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the place in the log is gone: reading all of it again")]
    Gap,
}

/// Where the follower is.
struct Place {
    position: Position,
    /// The first heartbeat that has not been read back, and when it was written.
    beat: Option<(Position, Timestamp)>,
    /// The last one, where that is another: whoever catches up knows the log as of then, at once.
    last_beat: Option<(Position, Timestamp)>,
    /// By [`Clock::elapsed`].
    next_beat: Duration,
    beats: usize,
}

struct Follower<'a> {
    log: &'a dyn RevocationLog,
    revocations: &'a RevocationSet,
    cache: &'a Cache,
    clock: &'a dyn Clock,
    metrics: &'a Metrics,
}

impl Follower<'_> {
    /// One replay, or one read. After a gap there is no place.
    async fn advance(&self, place: &mut Option<Place>) -> Result<(), Problem> {
        match place {
            None => *place = Some(self.replay().await?),
            Some(at) => {
                let read = self.read(at).await;
                if matches!(read, Err(Problem::Gap)) {
                    *place = None;
                }
                read?;
            }
        }
        Ok(())
    }

    /// Reads the live set. What is known here stays and is written back where the store has lost it: a store that comes
    /// back empty is not believed.
    async fn replay(&self) -> Result<Place, Problem> {
        let before = self.clock.now();
        let replay = within(Duration::ZERO, self.log.replay(before)).await?;
        let lost = self.revocations.missing_from(&replay.entries, before.after(ENDING));
        self.revocations.add(&replay.entries);
        // Changes may have been missed, so nothing that was read before counts.
        self.cache.forget_stored();
        self.revocations.fresh_as_of(before);
        if !lost.is_empty() {
            tracing::warn!(entries = lost.len(), "the store has lost revocations: writing them back");
            for some in lost.chunks(WRITTEN_AT_ONCE) {
                try_join_all(some.iter().map(|entry| within(Duration::ZERO, self.log.append(entry)))).await?;
            }
        }
        Ok(Place { position: replay.position, beat: None, last_beat: None, next_beat: Duration::ZERO, beats: 0 })
    }

    /// Writes a heartbeat where one is due; then waits for what comes, until the next one is.
    async fn read(&self, place: &mut Place) -> Result<(), Problem> {
        if self.clock.elapsed() >= place.next_beat {
            self.beat(place).await?;
        }
        let wait = place.next_beat.saturating_sub(self.clock.elapsed());
        match within(wait, self.log.follow(&place.position, wait)).await? {
            Followed::Gap => return Err(Problem::Gap),
            Followed::Entries { position, entries } => {
                self.apply(&entries);
                place.position = position;
            }
        }
        let Some((beat, written)) = &place.beat else { return Ok(()) };
        if beat.run != place.position.run {
            return Err(Problem::Gap);
        }
        if beat.id <= place.position.id {
            self.revocations.fresh_as_of(*written);
            place.beat = place.last_beat.take();
            if let Some((_, written)) = place.beat.take_if(|(last, _)| last.id <= place.position.id) {
                self.revocations.fresh_as_of(written);
            }
        }
        Ok(())
    }

    async fn beat(&self, place: &mut Place) -> Result<(), Problem> {
        let written = self.clock.now();
        let beat = within(Duration::ZERO, self.log.beat()).await?;
        if beat.run != place.position.run || beat.id < place.position.id {
            return Err(Problem::Gap);
        }
        // One that is still to be read back stays: replaced by later ones again and again, none would ever be.
        match place.beat {
            None => place.beat = Some((beat, written)),
            Some(_) => place.last_beat = Some((beat, written)),
        }
        place.next_beat = self.clock.elapsed() + self.beat_interval();
        place.beats = place.beats.wrapping_add(1);
        self.revocations.prune(place.beats % PRUNE_PARTS, PRUNE_PARTS, written);
        Ok(())
    }

    fn apply(&self, entries: &[LogEntry]) {
        if entries.is_empty() {
            return;
        }
        self.revocations.add(entries);
        // Revocation is checked at each use; evicting as well frees memory, and makes a record be read anew.
        let ids = entries.iter().filter_map(|entry| match &entry.what {
            Revocation::Changed { id } | Revocation::Session { id } | Revocation::ApiKey { id } => Some(id),
            _ => None,
        });
        self.cache.changed(ids, self.clock.now());
    }

    fn beat_interval(&self) -> Duration {
        (self.revocations.max_staleness() / 5).clamp(SHORTEST_BEAT, LONGEST_BEAT)
    }

    fn report(&self) {
        if let Some(staleness) = self.revocations.staleness(self.clock.now()) {
            self.metrics.revocation(staleness, self.revocations.counts());
        }
    }
}

async fn within<T>(wait: Duration, reply: Reply<'_, T>) -> Result<T, StoreError> {
    let longest = wait.saturating_add(HANGING);
    tokio::time::timeout(longest, reply).await.unwrap_or(Err(StoreError::Timeout(longest)))
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(10))).min(LONGEST_PAUSE)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
