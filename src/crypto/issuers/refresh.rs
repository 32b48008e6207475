//! Fetching keys: one fetch at a time for each issuer, shared by all who wait for it, cancelled by none of them.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::issuer::{Held, Issuer};
use super::source::Remote;
use crate::model::{Entropy, SystemEntropy};

/// How a fetch ended; the problem where it failed.
pub(super) type Outcome = Result<(), String>;

/// What is known of an issuer's fetches. Locked for moments only, never across an await.
#[derive(Default)]
pub(super) struct Fetching {
    /// The last one; it holds `None` as long as it runs.
    last: Option<watch::Receiver<Option<Outcome>>>,
    /// When the last one began, on the clock that nobody corrects.
    started: Option<Duration>,
    /// Where the background loop runs, so that handshakes do not hold up a core that serves requests.
    home: Option<Handle>,
}

impl Issuer {
    /// Fetches keys for a token that none fits, unless it is too early for that.
    pub(super) async fn fetch_on_demand(self: &Arc<Self>) {
        let Some(remote) = &self.remote else { return };
        let now = self.clock.elapsed();
        let is_due = |at| now.saturating_sub(at) >= remote.jwks.min_interval;
        let fetch = self.share(|fetching| fetching.started.is_none_or(is_due));
        if let Some(fetch) = fetch {
            // A failure has been logged; the caller looks at what keys there are.
            let _ = wait(fetch, remote).await;
        }
    }

    /// Fetches keys now, or waits for the fetch that is under way.
    pub(super) async fn fetch_now(self: &Arc<Self>) -> Outcome {
        match (&self.remote, self.share(|_| true)) {
            (Some(remote), Some(fetch)) => wait(fetch, remote).await,
            _ => Ok(()),
        }
    }

    /// Fetches keys before they grow too old, again and again.
    pub(super) async fn keep_fresh(self: &Arc<Self>, home: Handle) {
        let Some(remote) = &self.remote else { return };
        self.fetching().home = Some(home);
        let _leaving = Leaving(self);
        let jwks = &remote.jwks;
        let period = jwks.refresh.min(jwks.max_age / 2).max(SHORTEST);
        let mut pause = jwks.min_interval.clamp(SHORTEST, period);
        let first_pause = pause;
        let mut have = self.keys.load().is_some();
        loop {
            if have {
                sleep(jittered(period)).await;
            }
            while self.fetch_now().await.is_err() {
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(period);
            }
            pause = first_pause;
            have = true;
        }
    }

    /// The fetch under way, or a new one where there is none and `may_start` says so.
    fn share(self: &Arc<Self>, may_start: impl FnOnce(&Fetching) -> bool) -> Option<watch::Receiver<Option<Outcome>>> {
        let mut fetching = self.fetching();
        // One whose sender is gone without a word died with its runtime: it will not end.
        let running = fetching.last.as_ref().filter(|last| last.borrow().is_none() && last.has_changed().is_ok());
        if let Some(running) = running {
            return Some(running.clone());
        }
        if !may_start(&fetching) {
            return None;
        }
        let runtime = fetching.home.clone().or_else(|| Handle::try_current().ok())?;
        let (sender, receiver) = watch::channel(None);
        fetching.last = Some(receiver.clone());
        fetching.started = Some(self.clock.elapsed());
        drop(fetching);
        let issuer = Arc::clone(self);
        // On its own, so that a client that leaves does not take it along.
        runtime.spawn(async move {
            let outcome = issuer.fetch().await;
            sender.send_replace(Some(outcome));
        });
        Some(receiver)
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
                let until = self.clock.now().after(remote.jwks.max_age);
                self.keys.store(Some(Arc::new(Held { set, until })));
                Ok(())
            }
            Err(problem) => {
                tracing::warn!(issuer = %self.name(), %problem, "keys could not be fetched; the last good ones stay");
                Err(problem)
            }
        }
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SHORTEST: Duration = Duration::from_millis(10);

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

/// Up to a tenth less, so that instances that started together do not ask together for ever.
fn jittered(period: Duration) -> Duration {
    let mut random = [0];
    SystemEntropy.fill(&mut random);
    period.saturating_sub(period * u32::from(random[0]) / 2560)
}
