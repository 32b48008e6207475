//! Requests that wait for their turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Shed;

/// In the order in which they came. Those that are waited for no more are passed over.
#[derive(Default)]
pub(super) struct Waiting(RefCell<VecDeque<(Duration, Weak<Waiter>)>>);

#[derive(Default)]
struct Waiter {
    verdict: Cell<Option<Result<(), Shed>>>,
    waker: RefCell<Option<Waker>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Since when the oldest has waited.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let mut waiting = self.0.borrow_mut();
        while waiting.front().is_some_and(|(_, waiter)| waiter.strong_count() == 0) {
            waiting.pop_front();
        }
        waiting.front().map(|(since, _)| *since)
    }

    /// Waits for a turn, as having done so since then.
    pub(super) async fn join(&self, since: Duration) -> Result<(), Shed> {
        let waiter = Rc::<Waiter>::default();
        self.0.borrow_mut().push_back((since, Rc::downgrade(&waiter)));
        poll_fn(|cx| match waiter.verdict.get() {
            Some(verdict) => Poll::Ready(verdict),
            None => {
                *waiter.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// Lets in the one that has waited for longest, if there is one.
    pub(super) fn let_in(&self) -> bool {
        self.tell(Ok(()), VecDeque::pop_front)
    }

    /// Refuses who has waited since before then; how many they are.
    pub(super) fn refuse(&self, before: Duration) -> usize {
        let is_late =
            |waiting: &mut VecDeque<(Duration, Weak<Waiter>)>| waiting.pop_front_if(|(since, _)| *since < before);
        let mut refused = 0;
        while self.tell(Err(Shed), is_late) {
            refused += 1;
        }
        refused
    }

    fn tell(
        &self,
        verdict: Result<(), Shed>,
        next: impl Fn(&mut VecDeque<(Duration, Weak<Waiter>)>) -> Option<(Duration, Weak<Waiter>)>,
    ) -> bool {
        let mut waiting = self.0.borrow_mut();
        while let Some((_, waiter)) = next(&mut waiting) {
            if let Some(waiter) = waiter.upgrade() {
                waiter.verdict.set(Some(verdict));
                if let Some(waker) = waiter.waker.take() {
                    waker.wake();
                }
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use futures_util::FutureExt;

    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test]
    async fn who_is_let_in_or_refused_is_told_and_nobody_else() {
        let waiting = Waiting::default();
        let mut waits: Vec<_> = (0..6).map(|n| Box::pin(waiting.join(at(n)))).collect();
        for wait in &mut waits {
            assert!(wait.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(waiting.oldest(), Some(at(0)));
        assert!(waiting.let_in());
        assert_eq!(waiting.refuse(at(3)), 2);
        let told: Vec<_> = waits.iter_mut().map(|wait| wait.now_or_never()).collect();
        assert_eq!(told, [Some(Ok(())), Some(Err(Shed)), Some(Err(Shed)), None, None, None]);
        assert_eq!(waiting.oldest(), Some(at(3)));
    }

    #[tokio::test]
    async fn who_has_left_is_passed_over() {
        let waiting = Waiting::default();
        let mut waits: Vec<_> = (0..5).map(|n| Box::pin(waiting.join(at(n)))).collect();
        for wait in &mut waits {
            assert!(wait.as_mut().poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        for gone in [4, 1, 0] {
            drop(waits.remove(gone));
        }
        assert_eq!((waiting.oldest(), waiting.refuse(at(2))), (Some(at(2)), 0));
        assert!(waiting.let_in() && waiting.let_in() && !waiting.let_in());
        assert!(waits.into_iter().all(|wait| wait.now_or_never() == Some(Ok(()))));
        assert!(waiting.is_empty());
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let waiting = Waiting::default();
        let (told, ()) = tokio::join!(waiting.join(at(0)), async {
            tokio::task::yield_now().await;
            assert!(waiting.let_in());
        });
        assert_eq!(told, Ok(()));
    }
}
