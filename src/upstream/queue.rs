//! Requests that wait for a connection: who comes first is served first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::circuit::Admitted;

/// One worker's requests to an upstream all of whose connections are in use.
#[derive(Default)]
pub(super) struct Queue {
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

#[derive(Default)]
struct Waiter {
    /// Whether it is worth another try.
    called: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A place in the queue; left when dropped, wherever it is.
pub(super) struct Place {
    queue: Rc<Queue>,
    waiter: Rc<Waiter>,
    _admitted: Admitted,
}

impl Queue {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Something may be free: the first looks. Only the first ever does, so that nobody is overtaken; when it has what it
    /// wants it leaves, and the next looks.
    pub(super) fn call(&self) {
        if let Some(first) = self.waiting.borrow().front() {
            first.called.set(true);
            if let Some(waker) = first.waker.take() {
                waker.wake();
            }
        }
    }

    /// The last place.
    pub(super) fn join(self: &Rc<Self>, admitted: Admitted) -> Place {
        let waiter = Rc::<Waiter>::default();
        self.waiting.borrow_mut().push_back(waiter.clone());
        let place = Place { queue: self.clone(), waiter, _admitted: admitted };
        if self.waiting.borrow().len() == 1 {
            // Something may have become free while others were tried.
            self.call();
        }
        place
    }
}

impl Place {
    /// Waits until it is worth another try.
    pub(super) async fn called(&self) {
        poll_fn(|cx| {
            if self.waiter.called.take() {
                return Poll::Ready(());
            }
            *self.waiter.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.waiting.borrow_mut().retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter));
        self.queue.call();
    }
}
