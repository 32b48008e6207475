//! What counts a connection, and what it carries.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::address::{Address, Visit};
use super::ear::Heard;
use super::pool::Pool;

/// One of the connections that an endpoint may have; given back when the last holder drops it. The connection's task
/// holds it, and whoever uses the connection, so that it still counts when the task has handed it to a tunnel.
pub(super) struct Slot {
    pool: Rc<Pool>,
    /// Whether the upstream sends anything.
    pub(super) heard: Heard,
    /// Requests under way, where a connection carries several.
    streams: Cell<usize>,
    /// When the last of them was over.
    idle_since: Cell<Instant>,
    /// Whether a request has been answered on it.
    answered: Cell<bool>,
    /// Whether it is to carry no more requests.
    closing: Cell<bool>,
    /// When its peer's certificate expires, where it has one.
    until: Cell<Option<Instant>>,
    /// Where it goes, where that is one of the addresses of a name.
    address: RefCell<Option<Rc<Address>>>,
}

impl Slot {
    pub(super) fn new(pool: &Rc<Pool>) -> Rc<Self> {
        pool.connection_began();
        Rc::new(Self {
            pool: pool.clone(),
            heard: Heard::default(),
            streams: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            answered: Cell::new(false),
            closing: Cell::new(false),
            until: Cell::new(None),
            address: RefCell::default(),
        })
    }

    /// Requests under way, where it carries several.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// How long it has carried nothing, where it carries several; `None` while it does.
    pub(super) fn rest(&self) -> Option<Duration> {
        (self.streams.get() == 0).then(|| self.idle_since.get().elapsed())
    }

    /// Who is at its other end.
    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// A request has been answered on it.
    pub(super) fn answers(&self) {
        self.answered.set(true);
    }

    /// Whether a request has been answered on it.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.get()
    }

    /// It goes there.
    pub(super) fn goes_to(&self, address: &Rc<Address>) {
        *self.address.borrow_mut() = Some(address.clone());
    }

    /// Where it goes, where that is one of the addresses of a name.
    pub(super) fn address(&self) -> Option<Rc<Address>> {
        self.address.borrow().clone()
    }

    /// Whether it goes to this one.
    pub(super) fn is_to(&self, address: &Rc<Address>) -> bool {
        self.address.borrow().as_ref().is_some_and(|own| Rc::ptr_eq(own, address))
    }

    /// It carries no more requests than it does now.
    pub(super) fn close(&self) {
        self.closing.set(true);
    }

    /// Its peer's certificate counts for so long.
    pub(super) fn lasts(&self, left: Duration) {
        self.until.set(Instant::now().checked_add(left));
    }

    /// For how long its peer's certificate still counts, where it has one.
    #[cfg(test)]
    pub(super) fn left(&self) -> Option<Duration> {
        self.until.get().map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Whether it carries no more requests.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.get() || self.until.get().is_some_and(|until| until <= Instant::now())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.connection_ended();
    }
}

/// One of the streams of a connection, counted until this is dropped.
pub(super) struct Stream(Rc<Slot>);

impl Stream {
    pub(super) fn of(slot: &Rc<Slot>) -> Self {
        slot.streams.set(slot.streams.get() + 1);
        Self(slot.clone())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}

/// A request to an endpoint, counted until this is dropped.
pub(super) struct Use {
    pub(super) pool: Rc<Pool>,
    /// And to one of its addresses.
    visit: Option<Visit>,
}

impl Use {
    pub(super) fn new(pool: &Rc<Pool>, address: Option<&Rc<Address>>) -> Self {
        pool.request_began();
        Self { pool: pool.clone(), visit: address.map(Visit::to) }
    }

    /// It goes where its connection does.
    pub(super) fn goes_by(&mut self, slot: &Slot) {
        self.visit = slot.address().as_ref().map(Visit::to);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.pool.request_ended();
    }
}
