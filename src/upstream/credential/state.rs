//! What there is to show, and when there will be something else.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

/// All that is known at one time.
#[derive(Clone)]
pub(super) struct State {
    /// What was had last.
    pub(super) held: Option<Arc<Held>>,
    /// Why the last attempt failed, if it did.
    pub(super) problem: Option<Arc<str>>,
    /// When the next attempt is due, on the clock that nobody corrects.
    pub(super) next: Duration,
    /// How many attempts have ended.
    pub(super) ended: u64,
    /// How many of them failed since one was good.
    pub(super) failures: u32,
    /// What the file looked like, where it comes from one.
    pub(super) stamp: Option<super::file::Stamp>,
}

/// Something to show.
pub(in crate::upstream) struct Held {
    /// Never shown in logs, and by HTTP/2 never put into a table (RFC 7541, section 7.1.3).
    pub(super) value: HeaderValue,
    /// Tells it apart from what was there before.
    pub(super) number: u64,
    /// Until when it counts.
    pub(super) until: Option<Duration>,
}

impl State {
    /// Nothing yet; to be had at once.
    pub(super) const fn new() -> Self {
        Self { held: None, problem: None, next: Duration::ZERO, ended: 0, failures: 0, stamp: None }
    }

    /// This, for ever.
    pub(super) fn holding(value: HeaderValue) -> Self {
        Self { held: Some(Arc::new(Held { value, number: 0, until: None })), ..Self::new() }
    }

    /// Whether nothing has been tried yet.
    pub(super) const fn is_new(&self) -> bool {
        self.ended == 0
    }

    /// What may be shown now.
    pub(super) fn usable(&self, now: Duration) -> Option<Arc<Held>> {
        self.held.as_ref().filter(|held| held.until.is_none_or(|until| now < until)).cloned()
    }

    /// After an attempt that was good.
    pub(super) fn with(&self, value: HeaderValue, until: Option<Duration>, next: Duration) -> Self {
        let ended = self.ended.saturating_add(1);
        let held = Some(Arc::new(Held { value, number: ended, until }));
        Self { held, problem: None, next, ended, failures: 0, stamp: self.stamp }
    }

    /// After one that was not: what there was counts until its own end, or until `grace` is over where it has none.
    pub(super) fn without(&self, problem: &str, next: Duration, grace: Duration) -> Self {
        let until = |held: &Held| held.until.unwrap_or(grace);
        let held = self
            .held
            .as_ref()
            .map(|held| Arc::new(Held { value: held.value.clone(), number: held.number, until: Some(until(held)) }));
        Self {
            held,
            problem: Some(problem.into()),
            next,
            ended: self.ended.saturating_add(1),
            failures: self.failures.saturating_add(1),
            stamp: self.stamp,
        }
    }
}
