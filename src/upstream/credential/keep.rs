//! Keeps a credential fresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::header::value;
use super::state::State;
use super::{Credential, Source, file};
use crate::crypto::client_credentials::IssuedToken;

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// For how long what stood in a file goes on to count once nothing usable stands there: longer than it takes to replace
/// it, much shorter than a token that was taken away would count.
const GRACE: Duration = Duration::from_secs(60);
/// After a failure, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A token is not shown in its last moments: it would expire on its way.
const MARGIN: Duration = Duration::from_secs(5);
/// However short tokens count, no endpoint is asked more often.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

impl Credential {
    /// Renews it whenever that is due, again and again.
    pub(super) async fn keep(&self) {
        loop {
            let pause = self.state.load().next.saturating_sub(self.clock.elapsed());
            tokio::select! {
                () = sleep(pause) => {}
                () = self.refused.notified() => {}
            }
            self.renew().await;
        }
    }

    /// Renews it now.
    pub(super) async fn renew(&self) {
        match &self.source {
            Source::Fixed => {}
            Source::File(path) => {
                let (path, known) = (path.clone(), self.state.load().stamp);
                let look = move || {
                    let is_same = known.is_some() && file::stamp(&path) == known;
                    if is_same { None } else { Some(file::read(&path)) }
                };
                match spawn_blocking(look).await {
                    Ok(Some(found)) => self.take(found),
                    // The same as before, or the runtime is shutting down.
                    Ok(None) | Err(_) => self.look_again(),
                }
            }
            Source::Endpoint { endpoint, .. } => {
                let began = self.clock.elapsed();
                let fetched = endpoint.fetch().await;
                self.received(fetched, began);
            }
        }
    }

    /// What stands in the file.
    pub(super) fn take(&self, found: file::Found) {
        let now = self.clock.elapsed();
        let next = now + LOOK;
        let before = State { stamp: found.stamp, ..(**self.state.load()).clone() };
        let settings = &self.made_of.settings;
        let state = match found.token.and_then(|token| value(settings, token.expose())) {
            Ok(value) => {
                self.note(true);
                before.with(value, None, next)
            }
            Err(problem) => {
                if before.problem.as_deref() != Some(&*problem) {
                    self.note(false);
                    self.warn(&before, now, &problem);
                }
                // Looked at again even if it stays as it is: who may read it may be what changes.
                State { stamp: None, ..before.without(&problem, next, now + GRACE) }
            }
        };
        self.adopt(state);
    }

    fn look_again(&self) {
        let before = self.state.load();
        self.adopt(State { next: self.clock.elapsed() + LOOK, ..(**before).clone() });
    }

    /// What the endpoint has answered to a call that began then.
    pub(super) fn received(&self, fetched: Result<IssuedToken, String>, began: Duration) {
        let before = self.state.load_full();
        let now = self.clock.elapsed();
        let issued = fetched.and_then(|token| {
            let value = value(&self.made_of.settings, token.value.expose().as_bytes())?;
            Ok((value, token.lasts))
        });
        let state = match issued {
            Ok((value, lasts)) => {
                self.note(true);
                tracing::debug!(upstream = &*self.upstream, ?lasts, "a token was issued");
                let until = began + lasts.saturating_sub(MARGIN.min(lasts / 10));
                before.with(value, Some(until), now + period(lasts, self.random()))
            }
            Err(problem) => {
                self.note(false);
                self.warn(&before, now, &problem);
                before.without(&problem, now + pause(before.failures, self.random()), now)
            }
        };
        self.adopt(state);
    }

    fn adopt(&self, state: State) {
        self.state.store(Arc::new(state));
        self.changed.notify_waiters();
    }

    fn note(&self, good: bool) {
        let count = if good { &self.renewed } else { &self.failed };
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn warn(&self, before: &State, now: Duration, problem: &str) {
        let upstream = &*self.upstream;
        if before.usable(now).is_some() {
            tracing::warn!(upstream, problem, "the credential could not be renewed; the last one stays for now");
        } else {
            tracing::error!(upstream, problem, "there is no credential to show; requests are refused");
        }
    }

    fn random(&self) -> u8 {
        let mut random = [0];
        self.entropy.fill(&mut random);
        u8::from_ne_bytes(random)
    }
}

/// When a token is renewed that counts for so long: at 80 % of that, or up to a tenth sooner, so that instances that
/// started together do not ask together for ever.
fn period(lasts: Duration, random: u8) -> Duration {
    let period = lasts * 4 / 5;
    period.saturating_sub(lasts * u32::from(random) / 2560).max(SHORTEST_PAUSE)
}

/// How long to wait after so many failures and one more: twice as long each time, and up to half of it less.
fn pause(failures: u32, random: u8) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    pause.saturating_sub(pause * u32::from(random) / 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_well_before_its_end() {
        let seconds = |lasts, random| period(Duration::from_secs(lasts), random).as_secs();
        assert_eq!((seconds(600, 0), seconds(600, 255)), (480, 420));
        assert_eq!((seconds(86_400, 0), seconds(3600, 128)), (69_120, 2700));
        assert_eq!(period(Duration::from_secs(1), 255), SHORTEST_PAUSE, "it never spins");
    }

    #[test]
    fn after_failures_it_asks_ever_less_often() {
        let pauses: Vec<_> = (0..9).map(|failures| pause(failures, 0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(pause(0, 255) >= FIRST_PAUSE / 2 && pause(u32::MAX, 255) >= LONGEST_PAUSE / 2);
    }
}
