use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::*;
use crate::gate::fixtures;
use crate::model::CredentialKind;

const NOW: Timestamp = Timestamp(1_000_000);
const KEY: Key = [1; 32];

/// A verification that waits until it is let go, and counts how often it was begun.
#[derive(Clone)]
struct Verifier {
    begun: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    reason: Option<Reason>,
}

impl Verifier {
    fn new() -> Self {
        Self { begun: Arc::default(), gate: Arc::new(Semaphore::new(0)), reason: None }
    }

    /// A waiter that is on board already.
    fn waiter<'a>(&self, cache: &'a Cache, key: Key) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let this = self.clone();
        let mut waiter = verified_once(cache, key, NOW, move || async move {
            this.begun.fetch_add(1, Ordering::SeqCst);
            this.gate.acquire().await.unwrap().forget();
            match this.reason {
                Some(reason) => Err(reason.into()),
                None => Ok((fixtures::verified(CredentialKind::Session), None)),
            }
        })
        .boxed();
        assert!(waiter.as_mut().now_or_never().is_none(), "it waits");
        waiter
    }

    fn let_go(&self, how_many: usize) {
        self.gate.add_permits(how_many);
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn many_that_miss_at_a_time_are_verified_once() {
    let (cache, verifier) = (Cache::new(10, 1 << 30), Verifier::new());
    let waiters: Vec<_> = (0..100).map(|_| verifier.waiter(&cache, KEY)).collect();
    verifier.let_go(100);
    for outcome in join_all(waiters).await {
        assert_eq!(&*outcome.unwrap().verified.credential_id, "c1");
    }
    assert_eq!(verifier.begun(), 1);
    assert!(cache.find(&KEY, NOW).is_some());
    assert!(cache.flights().lock().is_empty());
}

#[tokio::test]
async fn f31_other_credentials_are_verified_apart() {
    let (cache, verifier) = (Cache::new(10, 1 << 30), Verifier::new());
    let mut other = KEY;
    other[31] ^= 1;
    let waiters = [verifier.waiter(&cache, KEY), verifier.waiter(&cache, other)];
    verifier.let_go(2);
    join_all(waiters).await;
    assert_eq!(verifier.begun(), 2);
}

#[tokio::test]
async fn f31_a_client_that_leaves_cancels_nobody_else() {
    let (cache, verifier) = (Cache::new(10, 1 << 30), Verifier::new());
    let first = verifier.waiter(&cache, KEY);
    let second = verifier.waiter(&cache, KEY);
    drop(first);
    verifier.let_go(1);
    assert!(second.await.is_ok());
    assert_eq!(verifier.begun(), 1);
}

#[tokio::test]
async fn f35_what_set_off_before_a_change_counts_for_nobody_after_it() {
    let (cache, verifier) = (Cache::new(10, 1 << 30), Verifier::new());
    let early = verifier.waiter(&cache, KEY);
    tokio::task::yield_now().await;
    cache.changed([&"c1".into()], NOW);
    // Whoever comes after the change does not board the flight from before it.
    let late = verifier.waiter(&cache, KEY);
    tokio::task::yield_now().await;
    assert_eq!(verifier.begun(), 2);
    verifier.let_go(1);
    early.await.unwrap();
    assert!(cache.find(&KEY, NOW).is_none(), "its late insertion does not undo the change");
    assert_eq!(cache.flights().lock().len(), 1, "its landing does not take the other off the list");
    verifier.let_go(1);
    late.await.unwrap();
    assert!(cache.find(&KEY, NOW).is_some());
}

#[tokio::test]
async fn an_outage_is_not_cached_and_an_unknown_credential_is() {
    for (reason, remembered) in [
        (Reason::StoreUnavailable, false),
        (Reason::KeysUnavailable, false),
        (Reason::TokenSignature, false),
        (Reason::SessionUnknown, true),
        (Reason::ApiKeyUnknown, true),
    ] {
        let (cache, mut verifier) = (Cache::new(10, 1 << 30), Verifier::new());
        verifier.reason = Some(reason);
        let waiter = verifier.waiter(&cache, KEY);
        verifier.let_go(1);
        assert_eq!(waiter.await.err().unwrap().reason, reason);
        assert!(cache.find(&KEY, NOW).is_none());
        assert_eq!(cache.find_unknown(&KEY, NOW), remembered.then_some(reason));
    }
}

#[tokio::test]
async fn f32_a_verification_that_crashes_refuses_and_is_tried_again() {
    let (cache, verifier) = (Cache::new(10, 1 << 30), Verifier::new());
    let crash = verified_once::<_, Finding>(&cache, KEY, NOW, || async { panic!("a fault of ours") });
    assert_eq!(crash.await.err().unwrap().reason, Reason::Overloaded);
    let again = verifier.waiter(&cache, KEY);
    verifier.let_go(1);
    assert!(again.await.is_ok());
}

#[tokio::test]
async fn what_waits_for_nothing_is_verified_on_the_spot() {
    let cache = Cache::new(10, 1 << 30);
    let found = || async { Ok((fixtures::verified(CredentialKind::Jwt), None)) };
    let outcome = verified_once(&cache, KEY, NOW, found).now_or_never();
    assert!(outcome.expect("without a task").is_ok());
    assert!(cache.find(&KEY, NOW).is_some());
    assert!(cache.flights().lock().is_empty());
}

#[test]
fn what_another_core_verifies_on_the_spot_is_waited_for() {
    let cache = Cache::new(10, 1 << 30);
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (let_go, is_let_go) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let pilot = scope.spawn(|| {
            let slow = move || async move {
                begun.send(()).unwrap();
                is_let_go.recv().unwrap();
                Ok((fixtures::verified(CredentialKind::Jwt), None))
            };
            verified_once(&cache, KEY, NOW, slow).now_or_never().unwrap()
        });
        has_begun.recv().unwrap();
        let mut passenger =
            verified_once::<_, Finding>(&cache, KEY, NOW, || async { unreachable!("it is verified once") }).boxed();
        assert!(passenger.as_mut().now_or_never().is_none());
        let_go.send(()).unwrap();
        assert!(pilot.join().unwrap().is_ok());
        assert_eq!(&*passenger.now_or_never().unwrap().unwrap().verified.credential_id, "c1");
    });
}

#[tokio::test]
async fn passengers_of_a_crash_are_refused_rather_than_left_waiting() {
    let (cache, verifier) = (Cache::new(10, 1 << 30), Verifier::new());
    let gate = verifier.gate.clone();
    let crash = async move {
        gate.acquire().await.unwrap().forget();
        panic!("a fault of ours")
    };
    let mut first = verified_once::<_, Finding>(&cache, KEY, NOW, || crash).boxed();
    assert!(first.as_mut().now_or_never().is_none());
    let second = verifier.waiter(&cache, KEY);
    verifier.let_go(1);
    for outcome in [first.await, second.await] {
        assert_eq!(outcome.err().unwrap().reason, Reason::Overloaded);
    }
    assert!(cache.flights().lock().is_empty());
}

/// Boards the next flight of the same credential the moment that the one before has landed.
struct BoardsAnother {
    cache: &'static Cache,
    verifier: Verifier,
    waiter: Mutex<Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>>,
}

impl std::task::Wake for BoardsAnother {
    fn wake(self: Arc<Self>) {
        *self.waiter.lock().unwrap() = Some(self.verifier.waiter(self.cache, KEY));
    }
}

#[tokio::test]
async fn a_landing_takes_no_later_flight_off_the_list() {
    let cache: &'static Cache = Box::leak(Box::new(Cache::new(10, 1 << 30)));
    let verifier = Verifier::new();
    let mut first = verifier.waiter(cache, KEY);
    let another = Arc::new(BoardsAnother { cache, verifier: verifier.clone(), waiter: Mutex::default() });
    let waker = Arc::clone(&another).into();
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    verifier.let_go(1);
    let second = loop {
        tokio::task::yield_now().await;
        if let Some(second) = another.waiter.lock().unwrap().take() {
            break second;
        }
    };
    assert!(first.await.is_ok());
    verifier.let_go(1);
    assert!(second.await.is_ok());
    assert_eq!(verifier.begun(), 2);
}
