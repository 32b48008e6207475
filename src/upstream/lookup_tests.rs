use std::sync::Mutex;

use super::*;
use crate::model::settings::Scheme;

/// Finds what it is told to find, once each.
struct Told(Mutex<Vec<io::Result<Vec<SocketAddr>>>>);

impl Resolver for Told {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> Lookup<'a> {
        assert_eq!(host, "up.example");
        let next = self.0.lock().unwrap().remove(0);
        Box::pin(async move { next })
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

async fn known(outcomes: Vec<io::Result<Vec<SocketAddr>>>) -> Known {
    let (known, count) = (Known::default(), outcomes.len());
    let told = Told(Mutex::new(outcomes));
    let endpoint = Endpoint { scheme: Scheme::Http, host: "up.example".into(), port: 80, weight: 1 };
    for _ in 0..count {
        known.refresh(&told, "up", &endpoint).await;
    }
    known
}

#[tokio::test]
async fn what_was_found_counts_until_something_else_is() {
    let outcomes = vec![Ok(vec![at(2), at(1), at(2)]), Err(io::ErrorKind::TimedOut.into()), Ok(vec![])];
    let known = known(outcomes).await;
    assert_eq!(**known.subscribe().borrow(), [at(1), at(2)]);
    assert_eq!(known.counts(), (2, 1, 2));
}

#[tokio::test]
async fn who_waits_for_other_addresses_is_not_told_of_the_same_ones() {
    let known = Known::default();
    let mut waiting = known.subscribe();
    let endpoint = Endpoint { scheme: Scheme::Http, host: "up.example".into(), port: 80, weight: 1 };
    let told = Told(Mutex::new(vec![Ok(vec![at(1), at(2)]), Ok(vec![at(2), at(1)])]));
    known.refresh(&told, "up", &endpoint).await;
    assert!(waiting.has_changed().unwrap());
    waiting.mark_unchanged();
    known.refresh(&told, "up", &endpoint).await;
    assert!(!waiting.has_changed().unwrap());
}

#[tokio::test]
async fn of_too_many_the_first_count() {
    let found = (1..=100).rev().map(at).collect();
    let known = known(vec![Ok(found)]).await;
    assert_eq!(**known.subscribe().borrow(), (1..=64).map(at).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_system_knows_what_an_address_means() {
    let found = SystemResolver.resolve("127.0.0.1", 80).await.unwrap();
    assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 80))]);
}
