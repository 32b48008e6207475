//! What a connection's reader, its requests and its driver tell each other.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::early_hints::Hints;
use crate::model::denial::Reason;
use crate::model::settings::HttpLimits;

/// The state of one connection. All of it is touched on one core; atomics are there because an upgraded connection may
/// be handed to a task that could be anywhere.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    guarded: bool,
    /// Heads that the framing guard has let through; `u64::MAX` where there is no guard (HTTP/2).
    heads: AtomicU64,
    /// Requests that have been handed over, and those of them that have been answered.
    requests: AtomicU64,
    answered: AtomicU64,
    /// Requests that have no whole answer yet.
    active: AtomicU64,
    /// Milliseconds from `started` to the end of the last answer; and to the beginning of a head that is not complete,
    /// plus one (zero: there is none).
    idle_since: AtomicU64,
    head_since: AtomicU64,
    /// Milliseconds from `started` to when the client stopped taking what is sent, plus one (zero: it takes it).
    blocked_since: AtomicU64,
    /// Milliseconds from `started` to when something came last, where there is no guard.
    heard_at: AtomicU64,
    upgraded: AtomicBool,
    refused: OnceLock<(u64, Reason)>,
    reader: AtomicWaker,
    cut: AtomicBool,
    driver: AtomicWaker,
    pub(super) hints: Hints,
}

impl Progress {
    /// A new connection. `guarded`: whether the framing guard reads it.
    pub(super) fn new(guarded: bool) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            guarded,
            heads: AtomicU64::new(if guarded { 0 } else { u64::MAX }),
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            active: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            heard_at: AtomicU64::new(0),
            upgraded: AtomicBool::new(false),
            refused: OnceLock::new(),
            reader: AtomicWaker::new(),
            cut: AtomicBool::new(false),
            driver: AtomicWaker::new(),
            hints: Hints::default(),
        })
    }

    /// Whether it is HTTP/1, or another protocol that HTTP/1 has made way for.
    pub(super) fn is_http1(&self) -> bool {
        self.guarded
    }

    /// The guard has let this many heads through.
    pub(super) fn passed(&self, heads: u64) {
        self.heads.store(heads, Ordering::Release);
    }

    /// The head after the ones let through is refused; a stand-in goes in its place.
    pub(super) fn refuse(&self, reason: Reason) {
        let at = self.heads.fetch_add(1, Ordering::AcqRel) + 1;
        // Only the first refusal counts: nothing is read after it.
        let _ = self.refused.set((at, reason));
    }

    /// Whether a head has begun and is not complete.
    pub(super) fn head_begun(&self, begun: bool) {
        let since = if begun { self.now() + 1 } else { 0 };
        self.head_since.store(since, Ordering::Relaxed);
    }

    /// Whether something waits for the client to take it.
    pub(super) fn blocked(&self, blocked: bool) {
        let since = if blocked { self.now() + 1 } else { 0 };
        self.blocked_since.store(since, Ordering::Relaxed);
    }

    /// Something has come.
    pub(super) fn hear(&self) {
        if !self.guarded {
            self.heard_at.store(self.now(), Ordering::Relaxed);
        }
    }

    /// When something came last.
    pub(super) fn heard_at(&self) -> Instant {
        self.started + Duration::from_millis(self.heard_at.load(Ordering::Relaxed))
    }

    /// A request arrives; why it is refused, if it is.
    pub(super) fn begin(self: &Arc<Self>) -> (Active, Option<Reason>) {
        let number = self.requests.fetch_add(1, Ordering::AcqRel) + 1;
        let active = self.hold();
        let refused = match self.refused.get() {
            Some((at, reason)) if number >= *at => Some(*reason),
            // hyper saw a request where the guard saw none: they disagree on where messages end.
            _ if number > self.heads.load(Ordering::Acquire) => Some(Reason::AmbiguousFraming),
            _ => None,
        };
        (active, refused)
    }

    /// The connection is in use until this is dropped.
    pub(super) fn hold(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::AcqRel);
        Active(Arc::clone(self))
    }

    /// The oldest request that was not answered has been, and whether with a change of protocol.
    pub(super) fn answer(&self, upgraded: bool) {
        self.hints.close();
        self.upgraded.store(upgraded, Ordering::Release);
        self.answered.fetch_add(1, Ordering::AcqRel);
        self.reader.wake();
    }

    /// Whether the request of this number changed the protocol; `None`: it is not answered yet, and `waker` is woken
    /// when it is.
    pub(super) fn upgraded(&self, request: u64, waker: &Waker) -> Option<bool> {
        self.reader.register(waker);
        (self.answered.load(Ordering::Acquire) >= request).then(|| self.upgraded.load(Ordering::Acquire))
    }

    /// The task that drives the connection has this waker.
    pub(super) fn driven_by(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    /// Has the connection driven on.
    pub(super) fn wake_driver(&self) {
        if let Some(driver) = self.driver.take() {
            // Kept for the next time: a task's waker is always the same.
            self.driver.register(&driver);
            driver.wake();
        }
    }

    /// The number of the last request that hyper has handed over.
    pub(super) fn last_request(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Ends the connection at once.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.driver.wake();
        self.reader.wake();
    }

    /// Whether a connection that speaks another protocol than it began with is to end, whose reader has this waker.
    pub(super) fn is_cut_after_upgrade<T>(&self, read: &Poll<T>, waker: &Waker) -> bool {
        if !self.guarded {
            return false;
        }
        if read.is_pending() {
            self.reader.register(waker);
        }
        self.is_cut()
    }

    /// Whether the connection is to end at once.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// When this connection will have waited too long; `None` while a request is being served and its answer is taken.
    pub(super) fn deadline(&self, limits: &HttpLimits) -> Option<Overdue> {
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked > 0 {
            let at = self.started + Duration::from_millis(blocked - 1) + limits.send_timeout;
            return Some(Overdue { at, kind: Wait::Reader });
        }
        if self.active.load(Ordering::Acquire) > 0 {
            return None;
        }
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        let (kind, from, limit) = match (self.requests.load(Ordering::Acquire), self.head_since.load(Ordering::Relaxed))
        {
            (0, _) => (Wait::Head, 0, limits.header_timeout),
            (_, 0) => (Wait::Idle, idle_since, limits.idle_timeout),
            (_, begun) => (Wait::Head, idle_since.max(begun - 1), limits.header_timeout),
        };
        Some(Overdue { at: self.started + Duration::from_millis(from) + limit, kind })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The rest of a head, or the first one.
    Head,
    /// Another request.
    Idle,
    /// That the client takes what is sent.
    Reader,
}

/// The end of patience.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overdue {
    pub(super) at: Instant,
    pub(super) kind: Wait,
}

/// A request is being served until this is dropped.
#[derive(Debug)]
pub(super) struct Active(Arc<Progress>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}

pin_project! {
    /// A body that says when it has been sent or given up.
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        active: Active,
    }
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, active: Active) -> Self {
        Self { body, active }
    }
}

impl<B: Body<Data = Bytes>> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f58_a_request_that_the_guard_did_not_see_is_refused() {
        let progress = Progress::new(true);
        progress.passed(1);
        assert_eq!(progress.begin().1, None);
        assert_eq!(progress.begin().1, Some(Reason::AmbiguousFraming));
    }

    #[test]
    fn a_refusal_meets_the_request_that_it_is_about_and_no_earlier_one() {
        let progress = Progress::new(true);
        progress.passed(2);
        progress.refuse(Reason::Fragment);
        assert_eq!(progress.begin().1, None);
        assert_eq!(progress.begin().1, None);
        assert_eq!(progress.begin().1, Some(Reason::Fragment));
    }

    #[test]
    fn nothing_is_overdue_while_a_request_is_served() {
        let limits = HttpLimits::default();
        let progress = Progress::new(false);
        assert_eq!(progress.deadline(&limits).map(|due| due.kind), Some(Wait::Head));
        let (active, _) = progress.begin();
        assert!(progress.deadline(&limits).is_none());
        drop(active);
        assert_eq!(progress.deadline(&limits).map(|due| due.kind), Some(Wait::Idle));
        progress.head_begun(true);
        assert_eq!(progress.deadline(&limits).map(|due| due.kind), Some(Wait::Head));
    }

    #[test]
    fn f57_a_client_that_does_not_read_is_overdue_while_it_is_served() {
        let limits = HttpLimits::default();
        let progress = Progress::new(false);
        let (_active, _) = progress.begin();
        progress.blocked(true);
        assert_eq!(progress.deadline(&limits).map(|due| due.kind), Some(Wait::Reader));
        progress.blocked(false);
        assert!(progress.deadline(&limits).is_none());
    }

    #[test]
    fn an_upgrade_is_decided_by_the_answer_to_its_own_request() {
        let progress = Progress::new(true);
        let waker = Waker::noop();
        assert_eq!(progress.upgraded(1, waker), None);
        progress.answer(false);
        assert_eq!(progress.upgraded(1, waker), Some(false));
        assert_eq!(progress.upgraded(2, waker), None);
        progress.answer(true);
        assert_eq!(progress.upgraded(2, waker), Some(true));
    }
}
