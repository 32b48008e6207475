//! The counters of one limit, a key each.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::{NotUntil, Quota, RateLimiter};

use crate::model::Clock;
use crate::model::settings::LimitSettings;

/// How many keys a limit counts at a time; about 40 bytes each.
const MOST_KEYS: usize = 131_072;

/// A table is cleaned at most this often: cleaning looks at every key.
const CLEAN_EVERY: Duration = Duration::from_secs(1);

/// Why a key may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// It is used up.
    Key {
        /// Until there is room again.
        wait: Duration,
    },
    /// There is no room for another key.
    Table,
}

/// The counters of one limit (GCRA).
pub(super) struct Counters {
    table: Arc<Table>,
    limiter: Arc<Limiter>,
    /// How far ahead of the clock a key's arrival time may be: burst − 1 intervals.
    tolerance: Nanos,
    start: Nanos,
    last_cleaned: AtomicU64,
    cleaning: Arc<AtomicBool>,
}

type Limiter = RateLimiter<u64, SharedTable, Even, NoOpMiddleware<Nanos>>;

impl Counters {
    pub(super) fn new(settings: &LimitSettings, clock: Arc<dyn Clock>) -> Self {
        Self::of_at_most(MOST_KEYS, settings, clock)
    }

    fn of_at_most(most: usize, settings: &LimitSettings, clock: Arc<dyn Clock>) -> Self {
        // Bounds that keep governor's arithmetic within 64 bits of nanoseconds.
        const LONGEST_INTERVAL: u64 = 366 * 24 * 3600 * 1_000_000_000;
        const LONGEST_BURST: u64 = 100 * LONGEST_INTERVAL;
        let interval = settings.per / settings.count.max(1);
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).clamp(1, LONGEST_INTERVAL);
        let burst = u64::from(settings.burst.max(1)).min(LONGEST_BURST / interval);
        let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_nanos(interval))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);

        let table = Arc::new(Table { states: DashMapStateStore::default(), keys: AtomicUsize::new(0), most });
        let clock = Even(clock);
        let start = clock.now();
        Self {
            limiter: Arc::new(RateLimiter::new(quota, SharedTable(Arc::clone(&table)), clock)),
            table,
            tolerance: Nanos::from(interval * u64::from(burst.get() - 1)),
            start,
            last_cleaned: AtomicU64::new(0),
            cleaning: Arc::default(),
        }
    }

    /// Counts one, where there is room for it.
    pub(super) fn count(&self, key: u64) -> Result<(), Full> {
        self.make_room(key)?;
        self.limiter
            .check_key(&key)
            .map_err(|until: NotUntil<Nanos>| Full::Key { wait: until.wait_time_from(self.limiter.clock().now()) })
    }

    /// Whether there is room for one, without counting it.
    pub(super) fn ask(&self, key: u64) -> Result<(), Full> {
        self.make_room(key)?;
        let Some(arrival) = self.table.arrival(key) else { return Ok(()) };
        let now = self.limiter.clock().now().duration_since(self.start);
        let free = arrival.saturating_sub(self.tolerance);
        if now < free { Err(Full::Key { wait: free.saturating_sub(now).into() }) } else { Ok(()) }
    }

    fn make_room(&self, key: u64) -> Result<(), Full> {
        let keys = self.table.keys.load(Ordering::Relaxed);
        if keys >= self.table.most / 4 * 3 {
            self.clean();
        }
        if keys >= self.table.most && !self.table.states.contains_key(&key) {
            return Err(Full::Table);
        }
        Ok(())
    }

    /// Drops keys that are as if never used. Beside the request where there is a runtime for it.
    fn clean(&self) {
        let now = self.limiter.clock().now().as_u64();
        let last = self.last_cleaned.load(Ordering::Relaxed);
        let due = last == 0 || Duration::from_nanos(now.saturating_sub(last)) >= CLEAN_EVERY;
        if !due || self.cleaning.swap(true, Ordering::AcqRel) {
            return;
        }
        self.last_cleaned.store(now.max(1), Ordering::Relaxed);
        let (limiter, table, cleaning) =
            (Arc::clone(&self.limiter), Arc::clone(&self.table), Arc::clone(&self.cleaning));
        let clean = move || {
            limiter.retain_recent();
            limiter.shrink_to_fit();
            let left = limiter.len();
            table.keys.store(left, Ordering::Relaxed);
            if left >= table.most {
                tracing::warn!(keys = left, "a limit counts as many keys as it can: new ones are refused");
            }
            cleaning.store(false, Ordering::Release);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(clean)),
            Err(_) => clean(),
        }
    }
}

/// Governor's states, and how many there are.
struct Table {
    states: DashMapStateStore<u64, RandomState>,
    /// About: what is added while it is cleaned may go uncounted until it is cleaned again.
    keys: AtomicUsize,
    most: usize,
}

impl Table {
    /// When, since the start, the next request of this key would arrive if requests came evenly.
    fn arrival(&self, key: u64) -> Option<Nanos> {
        if !self.states.contains_key(&key) {
            return None;
        }
        // An error leaves the state as it is.
        self.states.measure_and_replace(&key, Err::<((), Nanos), _>).err().flatten()
    }
}

struct SharedTable(Arc<Table>);

impl StateStore for SharedTable {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let is_new = std::cell::Cell::new(false);
        let measured = self.0.states.measure_and_replace(key, |arrival| {
            is_new.set(arrival.is_none());
            f(arrival)
        });
        if is_new.get() {
            self.0.keys.fetch_add(1, Ordering::Relaxed);
        }
        measured
    }
}

impl ShrinkableKeyedStateStore<u64> for SharedTable {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&self.0.states, drop_below);
    }

    fn shrink_to_fit(&self) {
        ShrinkableKeyedStateStore::shrink_to_fit(&self.0.states);
    }

    fn len(&self) -> usize {
        self.0.states.len()
    }

    fn is_empty(&self) -> bool {
        self.0.states.is_empty()
    }
}

/// The gate's clock, as governor takes it. Not the wall clock: set back, it would hold everybody up.
#[derive(Clone)]
struct Even(Arc<dyn Clock>);

impl GovernorClock for Even {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
