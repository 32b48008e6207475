//! Misses of the same credential are verified once. What needs nothing from elsewhere (a signature, the embedded store) is
//! verified on the spot; what has to wait goes on in a task of its own: a client that leaves cancels nobody else.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;

use super::cache::{Cache, Entry, Finding, Key};
use crate::model::denial::Reason;
use crate::model::{Denial, Timestamp};

/// What one verification came to.
pub(super) type Outcome = Result<Arc<Entry>, Denial>;

/// More at a time are refused, so that memory stays bounded when the store is slow and clients do not wait.
const MOST: usize = 16_384;

/// Verifications under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Number, Passengers>>);

/// The whole digest of what was presented (FNV or a part of it could be made to collide), and the generation in which
/// its verification set off: what set off before a change may bring what was true before it.
type Number = (Key, u64);

/// Whoever waits for the same; made for the first of them, for most flights have none.
type Passengers = Option<watch::Sender<Option<Outcome>>>;

type Landed = watch::Receiver<Option<Outcome>>;

impl Flights {
    fn lock(&self) -> MutexGuard<'_, HashMap<Number, Passengers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    let mut landed = match board(cache, key, now)? {
        Boarded::Passenger(landed) => landed,
        Boarded::Pilot(flight) => {
            let mut verify = Box::pin(verify());
            match on_the_spot(verify.as_mut()) {
                Some(found) => return flight.land(found?),
                None => {
                    let landed = flight.passenger();
                    tokio::spawn(async move { flight.land(verify.await) });
                    landed
                }
            }
        }
    };
    let outcome = landed.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    // Without an outcome the runtime that verified is shutting down, or the verification panicked.
    outcome.unwrap_or_else(|| Err(broken_off()))
}

/// What comes of a verification that has to wait for nothing; an error where it crashes.
fn on_the_spot<F: Future>(verify: Pin<&mut F>) -> Option<Result<F::Output, Denial>> {
    // Nobody needs waking: where it has to wait, its task asks again.
    let begun = catch_unwind(AssertUnwindSafe(|| verify.poll(&mut Context::from_waker(Waker::noop()))));
    match begun {
        Ok(Poll::Ready(found)) => Some(Ok(found)),
        Ok(Poll::Pending) => None,
        Err(_) => Some(Err(broken_off())),
    }
}

fn broken_off() -> Denial {
    Denial::because(Reason::Overloaded, "the verification was broken off")
}

enum Boarded {
    /// Who is to verify.
    Pilot(Flight),
    /// Who waits for it.
    Passenger(Landed),
}

fn board(cache: &Cache, key: Key, now: Timestamp) -> Result<Boarded, Denial> {
    let number = (key, cache.generation());
    let mut flights = cache.flights().lock();
    let is_full = flights.len() >= MOST;
    match flights.entry(number) {
        Place::Occupied(mut flight) => Ok(Boarded::Passenger(subscribe(flight.get_mut()))),
        Place::Vacant(_) if is_full => {
            let denial = Denial::because(Reason::Overloaded, format!("{MOST} verifications under way"));
            Err(denial.retry_after(Duration::from_secs(1)))
        }
        Place::Vacant(place) => {
            place.insert(None);
            Ok(Boarded::Pilot(Flight { cache: cache.clone(), number, now, has_landed: false }))
        }
    }
}

fn subscribe(passengers: &mut Passengers) -> Landed {
    passengers.get_or_insert_with(|| watch::channel(None).0).subscribe()
}

/// A verification under way. It is taken off the list when it lands, also when it crashes.
struct Flight {
    cache: Cache,
    number: Number,
    now: Timestamp,
    has_landed: bool,
}

impl Flight {
    fn passenger(&self) -> Landed {
        subscribe(self.cache.flights().lock().entry(self.number).or_default())
    }

    fn land(mut self, found: Result<impl Into<Finding>, Denial>) -> Outcome {
        let (key, generation) = self.number;
        let outcome = found.map(|found| Arc::new(Entry::new(found, generation, self.now)));
        match &outcome {
            Ok(entry) => self.cache.insert(key, Arc::clone(entry)),
            Err(denial) if is_unknown(denial.reason) => self.cache.insert_unknown(key, denial.reason, self.now),
            Err(_) => {}
        }
        // From here on the number may be somebody else's.
        self.has_landed = true;
        if let Some(passengers) = self.leave() {
            _ = passengers.send(Some(outcome.clone()));
        }
        outcome
    }

    fn leave(&self) -> Passengers {
        self.cache.flights().lock().remove(&self.number).flatten()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.has_landed {
            // Passengers see that nothing comes any more.
            self.leave();
        }
    }
}

/// Whether asking again at once would tell the same.
const fn is_unknown(reason: Reason) -> bool {
    use Reason::{ApiKeyUnknown, PasswordWrong, SessionUnknown, SessionUnreadable, TokenInactive};
    matches!(reason, SessionUnknown | SessionUnreadable | ApiKeyUnknown | TokenInactive | PasswordWrong)
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
