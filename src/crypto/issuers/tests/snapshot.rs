//! A start while keys cannot be fetched, with what was kept from before.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::remote::{Bench, min_interval, serving, token};
use crate::crypto::testing::*;
use crate::model::denial::Reason;
use crate::model::settings::{IssuerSettings, JwksSettings, KeySource};

fn kept_in(path: &Path) -> impl FnOnce(&mut IssuerSettings) {
    let path = path.to_owned();
    move |settings| jwks_of(settings).snapshot = Some(path)
}

fn jwks_of(settings: &mut IssuerSettings) -> &mut JwksSettings {
    let KeySource::JwksUrl { jwks, .. } = &mut settings.keys else { unreachable!() };
    jwks
}

/// Another start with this file, whose server is at the same URL and fails; and its clock has gone on by `age`.
async fn restarted(first: &Bench, path: &Path, age: Duration) -> Bench {
    let url = first.server.source();
    let bench = Bench::with(Answer::Status(500), |settings| {
        settings.keys = url;
        jwks_of(settings).snapshot = Some(path.to_owned());
    })
    .await;
    first.server.answer("/keys", Answer::Status(500));
    bench.clock.advance(age);
    bench
}

/// The snapshot of keys `k1` of `P256`, kept by a background loop; and the bench that keeps it.
async fn first(path: &Path) -> Bench {
    let bench = Bench::with(serving(&[(&P256, "k1")]), kept_in(path)).await;
    let written = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = bench.issuers.run() => unreachable!("it runs until dropped"),
        written = tokio::time::timeout(Duration::from_secs(30), written) => written.unwrap(),
    }
    bench
}

#[tokio::test]
async fn a_start_in_an_outage_has_the_keys_of_before_until_they_are_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let first = first(&path).await;
    let max_age = JwksSettings::default().max_age;
    let age = max_age - 2 * min_interval();

    let bench = restarted(&first, &path, age).await;
    assert_eq!(bench.issuers.refresh().await.len(), 1, "it says that fetching failed");
    bench.verify(&token(&P256, "k1")).await.unwrap();
    assert_eq!(bench.refusal(&token(&P256, "k2")).await, Reason::TokenKeyUnknown);
    assert_eq!(bench.observer.fetched_at.load(Ordering::SeqCst), NOW * 1000, "their age is that of the fetch");
    bench.clock.advance(2 * min_interval());
    assert_eq!(
        bench.refusal(&token(&P256, "k1")).await,
        Reason::KeysUnavailable,
        "counted from when they were fetched"
    );
    first.server.answer("/keys", serving(&[(&P256, "k1")]));
    bench.clock.advance(min_interval());
    bench.verify(&token(&P256, "k1")).await.unwrap();

    let bench = restarted(&first, &path, max_age).await;
    bench.issuers.refresh().await;
    assert_eq!(bench.refusal(&token(&P256, "k1")).await, Reason::KeysUnavailable);
}

#[tokio::test]
async fn a_token_that_comes_first_has_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let first = first(&path).await;
    let bench = restarted(&first, &path, Duration::ZERO).await;
    bench.verify(&token(&P256, "k1")).await.unwrap();
}

#[tokio::test]
async fn whatever_else_is_in_the_file_it_starts_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let first = first(&path).await;
    let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut other = whole.clone();
        other[name] = value;
        other.to_string()
    };
    for content in [
        String::new(),
        whole.to_string()[1..].to_owned(),
        with("issuer", json!("https://other.example")),
        with("url", json!("https://id.example.com/keys")),
        with("fetched_at", json!(NOW * 1000 + 1)),
        with("keys", json!([])),
        with("keys", json!([{"kty": "oct", "k": "AAAA"}])),
    ] {
        std::fs::write(&path, &content).unwrap();
        let bench = restarted(&first, &path, Duration::ZERO).await;
        bench.issuers.refresh().await;
        assert_eq!(bench.refusal(&token(&P256, "k1")).await, Reason::KeysUnavailable, "{content}");
    }
}

#[tokio::test]
async fn it_is_not_read_while_keys_can_be_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let first = first(&path).await;
    let bench = restarted(&first, &path, Duration::ZERO).await;
    first.server.answer("/keys", serving(&[(&TestKey::p256(), "k2")]));
    bench.issuers.refresh().await;
    assert_eq!(bench.refusal(&token(&P256, "k1")).await, Reason::TokenKeyUnknown);
}

#[tokio::test]
async fn a_command_that_only_looks_writes_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let bench = Bench::with(serving(&[(&P256, "k1")]), kept_in(&path)).await;
    for _ in 0..3 {
        assert!(bench.issuers.refresh().await.is_empty());
    }
    assert!(!path.exists());
}
