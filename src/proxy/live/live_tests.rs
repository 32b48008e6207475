use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::gate::fixtures;

/// An exchange on a list of its own, and whether it was hung up on.
pub(super) fn held() -> (Rc<Live>, Hold, impl Fn() -> bool) {
    let live = Live::new();
    let (hold, was_hung_up) = hold(&live);
    (live, hold, was_hung_up)
}

fn hold(live: &Rc<Live>) -> (Hold, impl Fn() -> bool + use<>) {
    let (hangup, was_hung_up) = Hangup::for_test();
    let id = DecisionId::from_bytes([1; 16]);
    let entry = Entry::new(fixtures::tenure(), Arc::new(fixtures::route()), Duration::ZERO, id, hangup);
    let slot = live.entries.borrow_mut().insert(entry);
    (Hold { live: Rc::clone(live), slot }, was_hung_up)
}

/// As the watcher does.
pub(super) fn end(hold: &Hold, reason: Reason) {
    let mut wakers = Vec::new();
    hold.with(|entry| {
        entry.verdict = Some(reason);
        wakers.extend([entry.answer.take(), entry.upload.take()].into_iter().flatten());
    });
    wakers.into_iter().for_each(Waker::wake);
}

#[test]
fn a_place_is_free_again_once_its_last_holder_has_gone() {
    let live = Live::new();
    let (first, _) = hold(&live);
    let (second, _) = hold(&live);
    let again = first.clone();
    end(&first, Reason::Revoked);
    assert_eq!((again.ended(), second.ended()), (Some(Reason::Revoked), None));
    let slot = first.slot;
    drop(first);
    assert_eq!(live.entries.borrow().len(), 2);
    drop(again);
    assert_eq!(live.entries.borrow().len(), 1);
    let (third, _) = hold(&live);
    assert_eq!((third.slot, third.ended()), (slot, None), "nothing of who was there before");
    drop((second, third));
    assert_eq!(live.entries.borrow().len(), 0);
}

#[test]
fn a_list_that_was_long_gives_its_memory_back() {
    let live = Live::new();
    let holds: Vec<_> = (0..5000).map(|_| hold(&live).0).collect();
    assert_eq!(live.entries.borrow().places(), 5000);
    drop(holds);
    assert_eq!((live.entries.borrow().len(), live.entries.borrow().places()), (0, 0));
    assert_eq!(hold(&live).0.slot, 0);
}

#[tokio::test]
async fn what_is_awaited_is_given_up() {
    let (_live, hold, _) = held();
    assert_eq!(unless_ended(Some(&hold), std::future::ready(5)).await.ok(), Some(5));
    let forever = unless_ended(Some(&hold), std::future::pending::<()>());
    let ending = async { end(&hold, Reason::TokenExpired) };
    let (outcome, ()) = tokio::join!(forever, ending);
    assert_eq!(outcome.map_err(|denial| denial.reason), Err(Reason::TokenExpired));
    let late = unless_ended(Some(&hold), std::future::ready(5)).await;
    assert!(late.is_err(), "however ready it is");
}
