//! Keys that change: with and without names, at once and by and by; and how often that lets anybody ask for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::remote::{Bench, min_interval, serving, token};
use crate::crypto::testing::*;
use crate::model::Clock;
use crate::model::denial::Reason;
use crate::model::settings::Algorithm;

fn without_kid(key: &TestKey) -> String {
    key.token(&json!({"alg": "ES256"}), &claims_with("exp", Some(json!(NOW + 500_000))))
}

/// The keys without names.
fn nameless(keys: &[&TestKey]) -> Answer {
    let bare = |key: &&TestKey| {
        let mut jwk = key.jwk("x");
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    Answer::Json(jwks(&keys.iter().map(bare).collect::<Vec<_>>()))
}

#[tokio::test]
async fn old_and_new_keys_count_while_both_are_there() {
    let (old, new) = (TestKey::p256(), TestKey::p256());
    let bench = Bench::new(serving(&[(&old, "k1")])).await;
    bench.issuers.refresh().await;
    bench.server.answer("/keys", serving(&[(&old, "k1"), (&new, "k2")]));
    bench.issuers.refresh().await;
    for _ in 0..3 {
        bench.verify(&token(&old, "k1")).await.unwrap();
        bench.verify(&token(&new, "k2")).await.unwrap();
    }
    assert_eq!(bench.server.requests(), 2, "no token asks");
}

#[tokio::test]
async fn a_hard_switch_costs_one_fetch_and_no_good_token() {
    let (old, new) = (TestKey::p256(), TestKey::p256());
    let bench = Bench::new(serving(&[(&old, "k1")])).await;
    bench.issuers.refresh().await;
    let thumbprint = bench.verify(&token(&old, "k1")).await.unwrap().key_thumbprint;
    // Right after a fetch that was due: that one does not count against the token that asks now.
    bench.server.answer("/keys", serving(&[(&new, "k2")]));
    let tokens: Vec<_> = (0..50).map(|_| token(&new, "k2")).collect();
    for verified in join_all(tokens.iter().map(|token| bench.verify(token))).await {
        verified.unwrap();
    }
    assert_eq!(bench.server.requests(), 2);
    assert_eq!(bench.observer.demands.load(Ordering::SeqCst), 1);
    assert!(!bench.issuers.has_key("main", &thumbprint, bench.clock.now()), "what is cached ends with its key");
    assert_eq!(bench.refusal(&token(&old, "k1")).await, Reason::TokenKeyUnknown);
}

#[tokio::test]
async fn a_fetch_that_began_before_the_token_came_is_not_the_last_word() {
    let (old, new) = (TestKey::p256(), TestKey::p256());
    let bench = Arc::new(Bench::new(serving(&[(&old, "k1")])).await);
    bench.issuers.refresh().await;
    // This answer is made before the switch, and arrives after the token.
    let (hold, held) = tokio::sync::watch::channel(true);
    bench.server.answer("/keys", Answer::Held(held, jwks(&[old.jwk("k1")])));
    let mut due = Box::pin(bench.issuers.refresh());
    assert!(due.as_mut().now_or_never().is_none());
    bench.server.reached(2).await;
    bench.server.answer("/keys", serving(&[(&new, "k2")]));
    let new_token = token(&new, "k2");
    let mut verified = Box::pin(bench.verify(&new_token));
    assert!(verified.as_mut().now_or_never().is_none(), "it waits for the fetch under way");
    hold.send_replace(false);
    verified.await.unwrap();
    assert!(due.await.is_empty());
    assert_eq!(bench.server.requests(), 3);
}

#[tokio::test]
async fn providers_without_kid_rotate_too() {
    let (old, new) = (TestKey::p256(), TestKey::p256());
    // The set has no names and the token neither, or only one of them; or one name stands for several keys.
    let named = |key: &TestKey| key.token(&json!({"alg": "ES256", "kid": "k"}), &claims());
    let cases: [(Answer, Answer, String); 4] = [
        (nameless(&[&old]), nameless(&[&new]), without_kid(&new)),
        (nameless(&[&old]), nameless(&[&new]), named(&new)),
        (serving(&[(&old, "k")]), serving(&[(&new, "k")]), without_kid(&new)),
        (serving(&[(&old, "k"), (&P256, "k")]), serving(&[(&old, "k"), (&new, "k")]), named(&new)),
    ];
    for (case, (before, after, token)) in cases.into_iter().enumerate() {
        let bench = Bench::new(before).await;
        bench.issuers.refresh().await;
        bench.server.answer("/keys", after);
        let verified = join_all((0..20).map(|_| bench.verify(&token))).await;
        assert!(verified.iter().all(Result::is_ok), "case {case}");
        assert_eq!(bench.server.requests(), 2, "case {case}");
    }
}

#[tokio::test]
async fn a_wrong_signature_by_the_one_key_that_is_named_asks_for_nothing() {
    let bench = Bench::new(serving(&[(&P256, "k1"), (&TestKey::p256(), "k2")])).await;
    bench.issuers.refresh().await;
    assert_eq!(bench.refusal(&token(&TestKey::p256(), "k1")).await, Reason::TokenSignature);
    assert_eq!(bench.server.requests(), 1);
}

#[tokio::test]
async fn hostile_tokens_of_an_hour_cause_no_more_fetches_than_the_interval_lets() {
    const HOUR: u64 = 3600;
    const STEP: u64 = 4;
    let mallory = TestKey::p256();
    for answer in [serving(&[(&P256, "k1")]), Answer::Status(500)] {
        let bench = Bench::new(answer).await;
        bench.issuers.refresh().await;
        let before = bench.server.requests();
        for second in (0..HOUR).step_by(STEP as usize) {
            let hostile = [without_kid(&mallory), token(&mallory, &format!("unknown-{second}"))];
            for refused in join_all(hostile.iter().map(|token| bench.verify(token))).await {
                assert!(refused.is_err());
            }
            bench.clock.advance(Duration::from_secs(STEP));
        }
        let caused = bench.server.requests() - before;
        assert!(caused <= HOUR / min_interval().as_secs() + 1, "{caused}");
        assert!(caused >= HOUR / (min_interval().as_secs() + STEP), "{caused}: but they can be had again");
        assert_eq!(bench.observer.demands.load(Ordering::SeqCst), caused);
    }
}

#[tokio::test]
async fn a_server_that_just_failed_is_left_alone_for_the_interval() {
    let bench = Bench::new(Answer::Status(500)).await;
    bench.issuers.refresh().await;
    assert_eq!(bench.refusal(&token(&P256, "k1")).await, Reason::KeysUnavailable);
    assert_eq!(bench.server.requests(), 1);
    bench.clock.advance(min_interval());
    bench.server.answer("/keys", serving(&[(&P256, "k1")]));
    bench.verify(&token(&P256, "k1")).await.unwrap();
}

#[tokio::test]
async fn good_keys_among_bad_ones_are_used_and_the_bad_ones_are_not() {
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let (good, other, private) = (TestKey::p256(), TestKey::p256(), TestKey::p256());
    let keys = [
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "later"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA", "kid": "bitcoin"}),
        SECRET.jwk("secret"),
        with(private.jwk("private"), "d", json!("AAAA")),
        json!({"kty": "RSA", "n": crate::crypto::base64url::encode(&[0xff; 128]), "e": "AQAB", "kid": "weak"}),
        with(other.jwk("enc"), "use", json!("enc")),
        json!(null),
        good.jwk("same"),
        other.jwk("same"),
    ];
    let mut document = json!({ "keys": keys });
    document["comment"] = json!("unknown members are nobody's business");
    let bench = Bench::with(Answer::Html(document.to_string()), |s| {
        s.algorithms = vec![Algorithm::ES256, Algorithm::RS256];
    })
    .await;
    assert!(bench.issuers.refresh().await.is_empty(), "the type of the content is not looked at");
    // Two keys of one name: both count.
    bench.verify(&token(&good, "same")).await.unwrap();
    bench.verify(&token(&other, "same")).await.unwrap();
    for (key, kid) in [(&private, "private"), (&other, "enc"), (&good, "later"), (&good, "bitcoin")] {
        assert_eq!(bench.refusal(&token(key, kid)).await, Reason::TokenKeyUnknown, "{kid}");
    }
    // Where all of them are bad, the good set of before stays.
    bench.server.answer("/keys", Answer::Json(jwks(&keys[..7])));
    assert!(bench.issuers.refresh().await[0].problem.contains("no key that can be used"));
    bench.verify(&token(&good, "same")).await.unwrap();
}
