//! How much an upstream is given at once, by all workers together, and what has been given to it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, Weak};

use crate::model::denial::Reason;

/// What all workers together have under way with one upstream.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Requests under way, where they are limited.
    requests: AtomicUsize,
    /// Those of them that wait for a connection.
    pending: AtomicUsize,
    retries: [AtomicU64; RetryCause::ALL.len()],
    workers: Mutex<Vec<Weak<WorkerLoad>>>,
}

/// What one worker has under way with it; no other worker writes here.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerLoad {
    pub(super) requests: AtomicI64,
    pub(super) connections: AtomicI64,
}

/// Why a request was given to an upstream once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// An endpoint could not be reached.
    Unreachable,
    /// No connection came about in time.
    Timeout,
    /// A new connection took no request.
    Failed,
    /// A kept connection closed under it.
    Closed,
    /// The upstream refused the credential, and there was another one.
    Refused,
}

impl RetryCause {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Unreachable, Self::Timeout, Self::Failed, Self::Closed, Self::Refused];

    /// After a try that ended for this reason.
    pub(super) const fn of(reason: Reason) -> Self {
        match reason {
            Reason::UpstreamUnreachable => Self::Unreachable,
            Reason::UpstreamTimeout => Self::Timeout,
            _ => Self::Failed,
        }
    }

    /// The label of metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Closed => "closed",
            Self::Refused => "refused",
        }
    }
}

/// One of so many that there may be; given back when dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    load: Arc<Load>,
    of: fn(&Load) -> &AtomicUsize,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        (self.of)(&self.load).fetch_sub(1, Relaxed);
    }
}

impl Load {
    /// Room for one more request among `most`.
    pub(super) fn request(self: &Arc<Self>, most: usize) -> Option<Admitted> {
        self.admit(most, |load| &load.requests)
    }

    /// Room for one more that waits, among `most`.
    pub(super) fn wait(self: &Arc<Self>, most: usize) -> Option<Admitted> {
        self.admit(most, |load| &load.pending)
    }

    fn admit(self: &Arc<Self>, most: usize, of: fn(&Load) -> &AtomicUsize) -> Option<Admitted> {
        let one_more = |count: usize| (count < most).then_some(count.saturating_add(1));
        of(self).fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Admitted { load: self.clone(), of })
    }

    /// The counts of one more worker.
    pub(super) fn worker(&self) -> Arc<WorkerLoad> {
        let worker = Arc::new(WorkerLoad::default());
        if let Ok(mut workers) = self.workers.lock() {
            workers.retain(|worker| worker.strong_count() > 0);
            workers.push(Arc::downgrade(&worker));
        }
        worker
    }

    /// A request is sent once more.
    pub(super) fn retried(&self, cause: RetryCause) {
        if let Some(count) = self.retries.get(cause as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How often requests were sent once more, in the order of [`RetryCause::ALL`].
    pub(super) fn retries(&self) -> [u64; RetryCause::ALL.len()] {
        RetryCause::ALL.map(|cause| self.retries.get(cause as usize).map_or(0, |count| count.load(Relaxed)))
    }

    /// Requests that wait for a connection.
    pub(super) fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    /// Requests under way and connections open, of all workers.
    pub(super) fn under_way(&self) -> (i64, i64) {
        let Ok(workers) = self.workers.lock() else { return (0, 0) };
        let load = workers.iter().filter_map(Weak::upgrade);
        load.fold((0, 0), |(requests, connections), worker| {
            (requests + worker.requests.load(Relaxed), connections + worker.connections.load(Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_as_there_may_be_whoever_asks() {
        let load = Arc::new(Load::default());
        let held: Vec<_> = (0..3).map(|_| load.request(3).unwrap()).collect();
        assert!(load.request(3).is_none());
        assert!(load.wait(0).is_none() && load.wait(1).is_some(), "those that wait are counted apart");
        drop(held);
        let many = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..100).filter_map(|_| load.request(50)).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(many.len(), 50);
        drop(many);
        assert_eq!(load.requests.load(Relaxed), 0);
    }

    #[test]
    fn workers_that_are_gone_count_no_more() {
        let load = Load::default();
        let (a, b) = (load.worker(), load.worker());
        a.requests.store(2, Relaxed);
        b.requests.store(3, Relaxed);
        b.connections.store(1, Relaxed);
        assert_eq!(load.under_way(), (5, 1));
        drop(b);
        assert_eq!(load.under_way(), (2, 0));
    }
}
