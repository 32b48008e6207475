//! One worker's requests to an upstream: counted, and made to wait where they must.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::circuit::{Load, WorkerLoad};
use super::queue::{Place, Queue};
use crate::model::settings::UpstreamLimits;

/// What the pools of an upstream tell of: connections and requests that come and go.
pub(super) struct Traffic {
    pub(super) load: Arc<Load>,
    own: Arc<WorkerLoad>,
    queue: Rc<Queue>,
}

impl Traffic {
    pub(super) fn new(load: Arc<Load>) -> Rc<Self> {
        Rc::new(Self { own: load.worker(), load, queue: Rc::default() })
    }

    /// A request is given a connection, or is about to be.
    pub(super) fn request_began(&self) {
        self.own.requests.fetch_add(1, Relaxed);
    }

    /// It is over, and its connection may be free.
    pub(super) fn request_ended(&self) {
        self.own.requests.fetch_sub(1, Relaxed);
        self.queue.call();
    }

    /// There is one connection more, or will be.
    pub(super) fn connection_began(&self) {
        self.own.connections.fetch_add(1, Relaxed);
    }

    /// There is one less, and there may be another.
    pub(super) fn connection_ended(&self) {
        self.own.connections.fetch_sub(1, Relaxed);
        self.queue.call();
    }
}

/// How one request waits for a connection.
pub(super) struct Line<'a> {
    traffic: &'a Traffic,
    limits: UpstreamLimits,
    place: Option<(Place, Instant)>,
}

impl<'a> Line<'a> {
    pub(super) fn new(traffic: &'a Traffic, limits: UpstreamLimits) -> Self {
        Self { traffic, limits, place: None }
    }

    /// Whether others wait, and would be overtaken by a request that does not.
    pub(super) fn is_formed(&self) -> bool {
        self.place.is_none() && self.limits.max_pending > 0 && !self.traffic.queue.is_empty()
    }

    /// Waits until a connection may be free; `false` where there is no more room to wait, or no more time.
    pub(super) async fn wait(&mut self) -> bool {
        let (place, until) = match &mut self.place {
            Some(place) => place,
            none => {
                let Some(room) = self.traffic.load.wait(self.limits.max_pending) else { return false };
                none.insert((self.traffic.queue.join(room), Instant::now() + self.limits.pending))
            }
        };
        tokio::time::timeout_at(*until, place.called()).await.is_ok()
    }

    /// Waits no more: it has a connection, or is about to open one.
    pub(super) fn leave(&mut self) {
        self.place = None;
    }
}
