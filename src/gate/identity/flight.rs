//! Misses of the same credential are verified once, by a task of its own: a client that leaves cancels nobody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::cache::{Cache, Entry, Finding, Key};
use crate::model::denial::Reason;
use crate::model::{Denial, Timestamp};

/// What one verification came to.
pub(super) type Outcome = Result<Arc<Entry>, Denial>;

/// More at a time are refused, so that memory stays bounded when the store is slow and clients do not wait.
const MOST: usize = 16_384;

/// Verifications under way, by the whole digest of what was presented (FNV or a part of it could be made to collide).
#[derive(Default)]
pub(super) struct Flights {
    by_key: Mutex<HashMap<Key, Flight>>,
    next: AtomicU64,
}

struct Flight {
    number: u64,
    generation: u64,
    landed: watch::Receiver<Option<Outcome>>,
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `verify` found; or what somebody else is finding out about the same credential. Success is cached, and so, for a
/// moment, is that there is no such session, key, token or user.
pub(super) async fn verified_once<F, V>(
    cache: &Cache,
    key: Key,
    now: Timestamp,
    verify: impl FnOnce() -> F,
) -> Result<Arc<Entry>, Denial>
where
    F: Future<Output = Result<V, Denial>> + Send + 'static,
    V: Into<Finding>,
{
    let mut landed = board(cache, key, now, verify)?;
    let outcome = landed.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    // Without an outcome the runtime that verified is shutting down, or the verification panicked.
    outcome.unwrap_or_else(|| Err(Denial::because(Reason::Overloaded, "the verification was broken off")))
}

fn board<F, V>(
    cache: &Cache,
    key: Key,
    now: Timestamp,
    verify: impl FnOnce() -> F,
) -> Result<watch::Receiver<Option<Outcome>>, Denial>
where
    F: Future<Output = Result<V, Denial>> + Send + 'static,
    V: Into<Finding>,
{
    let generation = cache.generation();
    let mut flights = cache.flights().lock();
    // What set off before a change may bring what was true before it.
    if let Some(flight) = flights.get(&key).filter(|flight| flight.generation == generation) {
        return Ok(flight.landed.clone());
    }
    if flights.len() >= MOST {
        let denial = Denial::because(Reason::Overloaded, format!("{MOST} verifications under way"));
        return Err(denial.retry_after(Duration::from_secs(1)));
    }
    let (land, landed) = watch::channel(None);
    let number = cache.flights().next.fetch_add(1, Ordering::Relaxed);
    flights.insert(key, Flight { number, generation, landed: landed.clone() });
    drop(flights);
    let departed = Departed { cache: cache.clone(), key, number };
    let verify = verify();
    tokio::spawn(async move {
        let outcome = verify.await.map(|found| Arc::new(Entry::new(found, generation, now)));
        match &outcome {
            Ok(entry) => departed.cache.insert(key, Arc::clone(entry)),
            Err(denial) if is_unknown(denial.reason) => departed.cache.insert_unknown(key, denial.reason, now),
            Err(_) => {}
        }
        drop(departed);
        _ = land.send(Some(outcome));
    });
    Ok(landed)
}

/// Whether asking again at once would tell the same.
const fn is_unknown(reason: Reason) -> bool {
    use Reason::{ApiKeyUnknown, PasswordWrong, SessionUnknown, TokenInactive};
    matches!(reason, SessionUnknown | ApiKeyUnknown | TokenInactive | PasswordWrong)
}

/// Takes a flight off the list when it lands, also when it crashes.
struct Departed {
    cache: Cache,
    key: Key,
    number: u64,
}

impl Drop for Departed {
    fn drop(&mut self) {
        let mut flights = self.cache.flights().lock();
        if flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
