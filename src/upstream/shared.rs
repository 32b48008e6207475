//! Connections that carry several requests at once.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::Mutex;

use super::address::Address;
use super::http2::STREAMS;
use super::slot::Slot;
use crate::model::Denial;
use crate::model::settings::{HttpVersion, Scheme};

/// The HTTP/2 connections of one worker to one endpoint.
pub(super) struct Shared {
    connections: RefCell<Vec<Member>>,
    /// Held by whoever opens one, while others wait for it.
    pub(super) dialing: Mutex<()>,
    /// Whether the endpoint speaks HTTP/2, or may do so for all that is known.
    possible: Cell<bool>,
    failures: Cell<u64>,
    failure: RefCell<Option<Denial>>,
}

struct Member {
    sender: SendRequest<Bytes>,
    /// Weak, so that a connection that its peer closes stops counting at once.
    slot: Weak<Slot>,
}

impl Member {
    /// Whether it may carry one more request: it is open, its peer has said no goodbye (GOAWAY), and takes one more.
    fn has_room(&mut self, slot: &Slot) -> bool {
        slot.streams() < self.sender.current_max_send_streams().min(STREAMS)
    }

    /// Whether it will carry requests again.
    fn is_open(&mut self) -> bool {
        let ready = self.sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        !matches!(ready, Poll::Ready(Err(_))) && self.slot.upgrade().is_some_and(|slot| !slot.is_closing())
    }
}

impl Shared {
    pub(super) fn new(scheme: Scheme, http: HttpVersion) -> Self {
        let possible = match scheme {
            Scheme::Http | Scheme::Unix => false,
            Scheme::H2c => true,
            Scheme::Https => http != HttpVersion::Http1,
        };
        Self {
            connections: RefCell::default(),
            dialing: Mutex::default(),
            possible: Cell::new(possible),
            failures: Cell::new(0),
            failure: RefCell::default(),
        }
    }

    /// Whether the endpoint may speak HTTP/2.
    pub(super) fn is_possible(&self) -> bool {
        self.possible.get()
    }

    /// It has been offered HTTP/2 and chose HTTP/1.1. Each new connection offers it again.
    pub(super) fn is_not(&self) {
        self.possible.set(false);
    }

    /// One with room for a request, to this address where one is named: the first of them, so that the others come to rest
    /// when there is less to do.
    pub(super) fn take(&self, to: Option<&Rc<Address>>) -> Option<(SendRequest<Bytes>, Rc<Slot>)> {
        if !self.possible.get() {
            return None;
        }
        let mut connections = self.connections.borrow_mut();
        connections.retain_mut(Member::is_open);
        connections.iter_mut().find_map(|member| {
            let slot = member.slot.upgrade()?;
            let fits = to.is_none_or(|to| slot.is_to(to)) && member.has_room(&slot);
            fits.then(|| (member.sender.clone(), slot))
        })
    }

    /// One more.
    pub(super) fn add(&self, sender: SendRequest<Bytes>, slot: &Rc<Slot>) {
        self.possible.set(true);
        self.connections.borrow_mut().push(Member { sender, slot: Rc::downgrade(slot) });
    }

    /// Closes those that have carried nothing for `limit`, and of those at rest all but `most`.
    pub(super) fn close_idle(&self, limit: Duration, most: usize) {
        let mut resting = 0;
        self.connections.borrow_mut().retain_mut(|member| {
            let rest = member.slot.upgrade().and_then(|slot| slot.rest());
            resting += usize::from(rest.is_some());
            member.is_open() && rest.is_none_or(|rest| rest < limit && resting <= most)
        });
    }

    /// Closes all others as their last requests end.
    pub(super) fn retain(&self, keep: impl Fn(&Slot) -> bool) {
        self.connections.borrow_mut().retain(|member| member.slot.upgrade().is_some_and(|slot| keep(&slot)));
    }

    /// Closes all as their last requests end.
    pub(super) fn clear(&self) {
        self.connections.borrow_mut().clear();
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }

    /// How often no connection could be opened, to compare with.
    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// No connection could be opened.
    pub(super) fn has_failed(&self, why: &Denial) {
        self.failures.set(self.failures.get() + 1);
        *self.failure.borrow_mut() = Some(why.clone());
    }

    /// Why none could be opened since: who waited for it fails with it.
    pub(super) fn failed_since(&self, failures: u64) -> Option<Denial> {
        if self.failures.get() == failures { None } else { self.failure.borrow().clone() }
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> Vec<Rc<Slot>> {
        self.connections.borrow().iter().filter_map(|member| member.slot.upgrade()).collect()
    }

    /// How many are at rest.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        let connections = self.connections.borrow();
        connections.iter().filter(|member| member.slot.upgrade().is_some_and(|slot| slot.streams() == 0)).count()
    }
}
