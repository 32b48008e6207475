//! Fetching keys: one fetch at a time for each issuer, shared by all who wait for it, cancelled by none of them.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::issuer::{Held, Issuer};
use super::schedule::Schedule;
use super::source::Remote;
use crate::crypto::key::set::KeySet;
use crate::model::{Entropy, SystemEntropy, Timestamp};

/// How a fetch ended; the problem where it failed.
pub(super) type Outcome = Result<(), String>;

/// What is known of an issuer's fetches. Locked for moments only, never across an await.
#[derive(Default)]
pub(super) struct Fetching {
    /// The last one; it holds `None` as long as it runs.
    last: Option<watch::Receiver<Option<Outcome>>>,
    /// When it ended, on the clock that nobody corrects.
    ended: Option<Duration>,
    /// When a token last caused one, on the clock that nobody corrects. Fetches that were due anyway do not count: a key
    /// that comes right after one is not refused for it.
    demanded: Option<Duration>,
    /// When one last failed, likewise.
    failed: Option<Duration>,
    /// Where the background loop runs, so that handshakes do not hold up a core that serves requests.
    home: Option<Handle>,
}

/// What came of asking for other keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// They were fetched, or not; in any case that began after the question.
    Fetched,
    /// A fetch that was under way has ended. What it brought may be what was there before the question.
    Joined,
    /// None may begin yet.
    TooEarly,
}

/// A fetch that somebody waits for.
struct Shared {
    ended: watch::Receiver<Option<Outcome>>,
    is_new: bool,
}

impl Issuer {
    /// Fetches keys for a token that none fits, unless it is too early for that: `min_interval` lies between two such
    /// fetches, and after one that failed.
    pub(super) async fn fetch_on_demand(self: &Arc<Self>) -> Demand {
        let Some(remote) = &self.remote else { return Demand::TooEarly };
        let now = self.clock.elapsed();
        let is_due = |at: Option<Duration>| at.is_none_or(|at| now.saturating_sub(at) >= remote.jwks.min_interval);
        let fetch = self.share(|fetching| {
            let may_start = is_due(fetching.demanded) && is_due(fetching.failed);
            if may_start {
                fetching.demanded = Some(now);
                self.observer.jwks_demand(self.name());
            }
            may_start
        });
        let Some(Shared { ended, is_new }) = fetch else { return Demand::TooEarly };
        // A failure has been logged; the caller looks at what keys there are.
        let _ = wait(ended, remote).await;
        if is_new { Demand::Fetched } else { Demand::Joined }
    }

    /// Fetches keys now, or waits for the fetch that is under way.
    pub(super) async fn fetch_now(self: &Arc<Self>) -> Outcome {
        match (&self.remote, self.share(|_| true)) {
            (Some(remote), Some(fetch)) => wait(fetch.ended, remote).await,
            _ => Ok(()),
        }
    }

    /// Fetches keys before they grow too old, again and again; after a failure sooner, and ever less soon.
    pub(super) async fn keep_fresh(self: &Arc<Self>, home: Handle) {
        let Some(remote) = &self.remote else { return };
        self.fetching().home = Some(home);
        let _leaving = Leaving(self);
        let mut schedule = Schedule::new(&remote.jwks);
        let (mut last, mut since) = (self.last_outcome(), self.since_last());
        loop {
            if let Some(was_good) = last {
                // Whoever takes over from another loop waits only for what is left of its pause.
                sleep(schedule.pause(was_good, random_byte()).saturating_sub(since)).await;
                since = Duration::ZERO;
            }
            last = Some(self.fetch_now().await.is_ok());
        }
    }

    /// Whether the last fetch was good; `None` before the first one has ended.
    fn last_outcome(&self) -> Option<bool> {
        let fetching = self.fetching();
        let outcome = fetching.last.as_ref()?.borrow();
        outcome.as_ref().map(Result::is_ok)
    }

    /// What another knows of its fetches holds here; one that is under way is that other's.
    pub(super) fn take_over_fetches(&self, from: &Self) {
        let known = from.fetching();
        let last = known.last.as_ref().filter(|last| last.borrow().is_some());
        let Fetching { ended, demanded, failed, .. } = *known;
        *self.fetching() = Fetching { last: last.cloned(), ended, demanded, failed, home: None };
    }

    /// How long ago the last fetch ended.
    fn since_last(&self) -> Duration {
        let ended = self.fetching().ended;
        ended.map_or(Duration::ZERO, |ended| self.clock.elapsed().saturating_sub(ended))
    }

    /// The fetch under way, or a new one where there is none and `may_start` says so.
    fn share(self: &Arc<Self>, may_start: impl FnOnce(&mut Fetching) -> bool) -> Option<Shared> {
        let mut fetching = self.fetching();
        // One whose sender is gone without a word died with its runtime: it will not end.
        let running = fetching.last.as_ref().filter(|last| last.borrow().is_none() && last.has_changed().is_ok());
        if let Some(running) = running {
            return Some(Shared { ended: running.clone(), is_new: false });
        }
        let is_home = fetching.home.is_some();
        let runtime = fetching.home.clone().or_else(|| Handle::try_current().ok())?;
        if !may_start(&mut fetching) {
            return None;
        }
        let (sender, ended) = watch::channel(None);
        fetching.last = Some(ended.clone());
        drop(fetching);
        let issuer = Arc::clone(self);
        // On its own, so that a client that leaves does not take it along.
        runtime.spawn(async move {
            let outcome = issuer.fetch().await;
            let good = outcome.is_ok();
            issuer.fetching().ended = Some(issuer.clock.elapsed());
            sender.send_replace(Some(outcome));
            // Nobody waits for the disk. Only who serves keeps one: not a command that looks at a token.
            if good && is_home {
                issuer.write_snapshot().await;
            }
        });
        Some(Shared { ended, is_new: true })
    }

    async fn fetch(&self) -> Outcome {
        let Some(remote) = &self.remote else { return Ok(()) };
        let limit = remote.jwks.timeout;
        let fetched = match timeout(limit, remote.fetch(&self.settings)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(format!("no answer within {limit:?}")),
        };
        self.observer.jwks_refresh(self.name(), fetched.is_ok());
        match fetched {
            Ok(set) => {
                tracing::debug!(issuer = %self.name(), keys = set.len(), "keys fetched");
                self.hold(set, self.clock.now(), remote);
                Ok(())
            }
            Err(problem) => {
                self.fetching().failed = Some(self.clock.elapsed());
                if self.keys.load().is_some() {
                    tracing::warn!(issuer = %self.name(), %problem, "keys could not be fetched; the last good ones stay");
                } else {
                    tracing::warn!(issuer = %self.name(), %problem, "keys could not be fetched, and there are none");
                    self.read_snapshot().await;
                }
                Err(problem)
            }
        }
    }

    /// From now on these keys are the ones.
    fn hold(&self, set: KeySet, fetched_at: Timestamp, remote: &Remote) {
        let until = fetched_at.after(remote.jwks.max_age);
        self.keys.store(Some(Arc::new(Held { set, fetched_at, until })));
        self.observer.jwks_keys(self.name(), fetched_at);
    }

    /// Writes what was fetched, where a snapshot is to be kept. That it cannot be written harms no request.
    async fn write_snapshot(&self) {
        let Some(snapshot) = self.remote.as_ref().and_then(|remote| remote.snapshot.clone()) else { return };
        let Some(held) = self.keys.load_full() else { return };
        let written = spawn_blocking(move || snapshot.write(held.set.members(), held.fetched_at)).await;
        let problem = written.map_err(|e| e.to_string()).flatten().err();
        if let Some(problem) = problem {
            tracing::warn!(issuer = %self.name(), %problem, "the snapshot of keys could not be written");
        }
    }

    /// Takes the keys of the snapshot, where there is one.
    async fn read_snapshot(&self) {
        let Some(remote) = &self.remote else { return };
        let Some(snapshot) = remote.snapshot.clone() else { return };
        let (algorithms, now) = (self.settings.algorithms.clone(), self.clock.now());
        let max_age = remote.jwks.max_age;
        let read = spawn_blocking(move || snapshot.read(&algorithms, now, max_age)).await;
        match read.map_err(|e| e.to_string()).flatten() {
            Ok(Some((set, fetched_at))) => {
                let age = now.since(fetched_at);
                tracing::warn!(issuer = %self.name(), ?age, keys = set.len(), "keys are those of the snapshot");
                self.hold(set, fetched_at, remote);
            }
            Ok(None) => {}
            Err(problem) => tracing::warn!(issuer = %self.name(), %problem, "the snapshot of keys is not used"),
        }
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the loop's runtime out of use when the loop ends: nobody may drive it then.
struct Leaving<'a>(&'a Issuer);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetching().home = None;
    }
}

/// Waits for the end of a fetch, a little longer than it may take: its runtime may be gone.
async fn wait(mut fetch: watch::Receiver<Option<Outcome>>, remote: &Remote) -> Outcome {
    let limit = remote.jwks.timeout + Duration::from_secs(1);
    match timeout(limit, fetch.wait_for(Option::is_some)).await {
        Ok(Ok(ended)) => ended.clone().unwrap_or(Ok(())),
        Ok(Err(_)) | Err(_) => Err("the fetch was given up".to_owned()),
    }
}

fn random_byte() -> u8 {
    let mut random = [0];
    SystemEntropy.fill(&mut random);
    u8::from_ne_bytes(random)
}
