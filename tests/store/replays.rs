//! What may be used once.

use std::time::Duration;

use super::{Subject, eventually, every_store};

every_store! {
    f34_a_second_use_is_no_first_one_on_any_handle
    of_many_at_once_one_is_the_first
    what_may_be_forgotten_is_forgotten
}

const LONG: Duration = Duration::from_secs(600);

async fn f34_a_second_use_is_no_first_one_on_any_handle<G>(of: &Subject<G>) {
    assert!(of.store.replays.first_use(&[1; 32], LONG).await.unwrap());
    assert!(!of.store.replays.first_use(&[1; 32], LONG).await.unwrap());
    assert!(!of.other.replays.first_use(&[1; 32], LONG).await.unwrap());
    assert!(of.other.replays.first_use(&[2; 32], LONG).await.unwrap());
    assert!(!of.store.replays.first_use(&[2; 32], Duration::ZERO).await.unwrap());
}

async fn of_many_at_once_one_is_the_first<G>(of: &Subject<G>) {
    let uses = (0..64).map(|n| {
        let store = if n % 2 == 0 { &of.store } else { &of.other };
        store.replays.first_use(&[3; 32], LONG)
    });
    let first = futures_util::future::join_all(uses).await;
    assert_eq!(first.into_iter().filter(|first| *first.as_ref().unwrap()).count(), 1);
}

async fn what_may_be_forgotten_is_forgotten<G>(of: &Subject<G>) {
    assert!(of.store.replays.first_use(&[4; 32], LONG).await.unwrap());
    assert!(of.store.replays.first_use(&[5; 32], Duration::from_millis(1)).await.unwrap());
    eventually(async || of.other.replays.first_use(&[5; 32], LONG).await.unwrap()).await;
    assert!(!of.store.replays.first_use(&[4; 32], LONG).await.unwrap());
}
