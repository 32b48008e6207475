//! Keys behind URLs: rotation, outages, and many who ask at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::json;

use crate::crypto::testing::*;
use crate::crypto::{Issuers, VerifiedToken};
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, IssuerSettings, JwksSettings, KeySource};
use crate::model::{Clock, Denial};

pub(super) struct Bench {
    pub(super) server: KeyServer,
    pub(super) clock: Arc<ManualClock>,
    pub(super) observer: Arc<Counting>,
    pub(super) issuers: Issuers,
}

impl Bench {
    pub(super) async fn new(answer: Answer) -> Self {
        Self::with(answer, |_| {}).await
    }

    pub(super) async fn with(answer: Answer, change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let server = KeyServer::start(answer).await;
        let mut settings = settings(server.source(), &[Algorithm::ES256]);
        settings.max_lifetime = Duration::from_secs(1_000_000);
        change(&mut settings);
        let (clock, observer) = (ManualClock::new(), Arc::new(Counting::default()));
        let issuers = Issuers::new(&[Arc::new(settings)], clock.clone(), observer.clone()).unwrap();
        Self { server, clock, observer, issuers }
    }

    pub(super) async fn verify(&self, token: &str) -> Result<VerifiedToken, Denial> {
        self.issuers.verify(token, self.clock.now()).await
    }

    pub(super) async fn refusal(&self, token: &str) -> Reason {
        self.verify(token).await.map(|_| ()).unwrap_err().reason
    }
}

pub(super) fn token(key: &TestKey, kid: &str) -> String {
    key.token(&json!({"alg": "ES256", "kid": kid}), &claims_with("exp", Some(json!(NOW + 500_000))))
}

pub(super) fn serving(keys: &[(&TestKey, &str)]) -> Answer {
    Answer::Json(jwks(&keys.iter().map(|(key, kid)| key.jwk(kid)).collect::<Vec<_>>()))
}

pub(super) fn min_interval() -> Duration {
    JwksSettings::default().min_interval
}

#[test]
fn verifying_can_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let issuers = with_jwks(&[P256.jwk("k1")], &[Algorithm::ES256]).unwrap();
    is_send(issuers.verify("", crate::model::Timestamp::default()));
    is_send(issuers.refresh());
    is_send(issuers.run());
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Issuers>();
}

#[tokio::test]
async fn keys_are_fetched_once_and_then_used() {
    let bench = Bench::new(serving(&[(&P256, "k1")])).await;
    assert!(bench.issuers.refresh().await.is_empty());
    for _ in 0..3 {
        bench.verify(&token(&P256, "k1")).await.unwrap();
    }
    assert_eq!(bench.server.requests(), 1);
    assert_eq!(bench.observer.good.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_its_first_token_comes_and_the_old_one_goes() {
    let (old, new) = (TestKey::p256(), TestKey::p256());
    let bench = Bench::new(serving(&[(&old, "old")])).await;
    bench.issuers.refresh().await;
    let thumbprint = bench.verify(&token(&old, "old")).await.unwrap().key_thumbprint;
    assert!(bench.issuers.has_key("main", &thumbprint, bench.clock.now()));
    assert!(!bench.issuers.has_key("other", &thumbprint, bench.clock.now()));

    bench.server.answer("/keys", serving(&[(&new, "new")]));
    bench.clock.advance(min_interval());
    bench.verify(&token(&new, "new")).await.unwrap();
    assert_eq!(bench.server.requests(), 2);
    assert!(!bench.issuers.has_key("main", &thumbprint, bench.clock.now()));
    assert_eq!(bench.refusal(&token(&old, "old")).await, Reason::TokenKeyUnknown);
}

#[tokio::test]
async fn an_unknown_kid_causes_no_more_than_one_fetch_in_an_interval() {
    let bench = Bench::new(serving(&[(&P256, "k1")])).await;
    bench.issuers.refresh().await;
    for attempt in 0..20 {
        assert_eq!(bench.refusal(&token(&P256, &format!("k{attempt}x"))).await, Reason::TokenKeyUnknown);
    }
    assert_eq!(bench.server.requests(), 2);
    bench.clock.advance(min_interval());
    for attempt in 0..20 {
        assert_eq!(bench.refusal(&token(&P256, &format!("k{attempt}x"))).await, Reason::TokenKeyUnknown);
    }
    assert_eq!(bench.server.requests(), 3);
}

#[tokio::test]
async fn f32_many_tokens_and_a_server_that_fails_make_one_fetch_and_no_crash() {
    for answer in [Answer::Status(500), Answer::Json("<html>".to_owned()), Answer::Redirect("/keys".to_owned())] {
        let bench = Bench::new(answer).await;
        let tokens: Vec<_> = (0..50).map(|i| token(&P256, &format!("k{}", i % 2))).collect();
        for verified in join_all(tokens.iter().map(|token| bench.verify(token))).await {
            let denial = verified.map(|_| ()).unwrap_err();
            assert_eq!(denial.reason, Reason::KeysUnavailable);
            assert_eq!(denial.retry_after, Some(min_interval()));
        }
        assert_eq!(bench.server.requests(), 1);
        assert_eq!(bench.observer.bad.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f32_from_many_threads_as_well() {
    let bench = Arc::new(Bench::new(Answer::Status(503)).await);
    let tasks = (0..50).map(|i| {
        let (bench, token) = (Arc::clone(&bench), token(&P256, &format!("k{i}")));
        tokio::spawn(async move { bench.refusal(&token).await })
    });
    for reason in join_all(tasks).await {
        assert_eq!(reason.unwrap(), Reason::KeysUnavailable);
    }
    assert_eq!(bench.server.requests(), 1);
}

#[tokio::test]
async fn waiting_tokens_share_the_fetch_and_all_of_them_pass() {
    let bench = Bench::new(serving(&[(&P256, "k1")])).await;
    let token = token(&P256, "k1");
    for verified in join_all((0..50).map(|_| bench.verify(&token))).await {
        verified.unwrap();
    }
    assert_eq!(bench.server.requests(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_takes_no_fetch_along() {
    let bench = Bench::new(serving(&[(&P256, "k1")])).await;
    let token = token(&P256, "k1");
    assert!(bench.verify(&token).now_or_never().is_none(), "it waits, and is dropped");
    bench.verify(&token).await.unwrap();
    assert_eq!(bench.server.requests(), 1);
}

#[tokio::test]
async fn a_fetch_that_died_with_its_runtime_is_not_waited_for() {
    let bench = Bench::new(serving(&[(&P256, "k1")])).await;
    let token = token(&P256, "k1");
    std::thread::scope(|scope| {
        let dies = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { assert!(bench.verify(&token).now_or_never().is_none()) });
        });
        dies.join().unwrap();
    });
    bench.clock.advance(min_interval());
    bench.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let bench = Bench::with(Answer::Silence, |settings| {
        let KeySource::JwksUrl { jwks, .. } = &mut settings.keys else { unreachable!() };
        jwks.timeout = Duration::from_millis(20);
    })
    .await;
    assert_eq!(bench.refusal(&token(&P256, "k1")).await, Reason::KeysUnavailable);
    assert!(bench.issuers.refresh().await[0].problem.contains("no answer within 20ms"));
}

#[tokio::test]
async fn in_an_outage_the_last_good_set_stays_until_it_is_too_old() {
    let bench = Bench::new(serving(&[(&P256, "k1")])).await;
    bench.issuers.refresh().await;
    let good = token(&P256, "k1");
    let thumbprint = bench.verify(&good).await.unwrap().key_thumbprint;
    let max_age = JwksSettings::default().max_age;

    let garbage = [
        Answer::Status(500),
        Answer::Status(204),
        Answer::Json(String::new()),
        Answer::Json("{\"keys\":[]}".to_owned()),
        Answer::Json("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}".to_owned()),
        Answer::Json(jwks(&[RSA.jwk("of another kind")])),
        Answer::Json(format!("{}{}", " ".repeat(300 * 1024), jwks(&[P256.jwk("k2")]))),
    ];
    for answer in garbage {
        bench.server.answer("/keys", answer);
        assert_eq!(bench.issuers.refresh().await.len(), 1);
        bench.verify(&good).await.unwrap();
        bench.clock.advance(min_interval());
        assert_eq!(bench.refusal(&token(&P256, "k2")).await, Reason::TokenKeyUnknown);
    }

    bench.clock.advance(max_age - min_interval() * 8);
    bench.verify(&good).await.unwrap();
    assert!(bench.issuers.has_key("main", &thumbprint, bench.clock.now()));
    bench.clock.advance(min_interval());
    assert!(!bench.issuers.has_key("main", &thumbprint, bench.clock.now()));
    assert_eq!(bench.refusal(&good).await, Reason::KeysUnavailable);

    bench.server.answer("/keys", serving(&[(&P256, "k1")]));
    bench.clock.advance(min_interval());
    bench.verify(&good).await.unwrap();
}

#[tokio::test]
async fn an_issuer_without_keys_harms_no_other() {
    let server = KeyServer::start(serving(&[(&P256, "k1")])).await;
    let good = settings(server.source(), &[Algorithm::ES256]);
    let mut bad = good.clone();
    (bad.name, bad.issuer) = ("broken".into(), "https://broken.example".into());
    bad.keys = KeySource::JwksUrl { url: format!("{}/gone", server.origin), jwks: JwksSettings::default() };
    let clock = ManualClock::new();
    let issuers = Issuers::new(&[Arc::new(good), Arc::new(bad)], clock.clone(), Arc::new(Counting::default())).unwrap();
    let problems = issuers.refresh().await;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().starts_with("issuer.broken: "), "{}", problems[0]);
    issuers.verify(&P256.token(&json!({"alg": "ES256", "kid": "k1"}), &claims()), clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_is_served_at_a_url_is_not_used() {
    let bench = Bench::with(Answer::Json(jwks(&[SECRET.jwk("k1")])), |s| s.algorithms = vec![Algorithm::HS256]).await;
    assert!(bench.issuers.refresh().await[0].problem.contains("no secret"));
}

#[tokio::test]
async fn the_background_loop_fetches_again_and_again_whatever_happens() {
    let bench = Bench::with(Answer::Status(500), |settings| {
        let KeySource::JwksUrl { jwks, .. } = &mut settings.keys else { unreachable!() };
        (jwks.refresh, jwks.min_interval) = (Duration::from_millis(20), Duration::from_millis(10));
    })
    .await;
    let scenario = async {
        bench.server.reached(3).await;
        bench.server.answer("/keys", serving(&[(&P256, "k1")]));
        // The fourth may have been answered before; the fifth began after the answer changed.
        bench.server.reached(bench.server.requests() + 3).await;
        bench.verify(&token(&P256, "k1")).await.unwrap();
    };
    tokio::select! {
        () = bench.issuers.run() => unreachable!("it runs until dropped"),
        () = scenario => {}
    }
}

#[test]
fn a_fetch_for_a_token_runs_where_the_background_loop_does() {
    let (key, next) = (TestKey::p256(), TestKey::p256());
    let answer = serving(&[(&key, "k1")]);
    let (to_worker, from_background) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let background = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Arc::new(Bench::new(answer).await);
            to_worker.send(Arc::clone(&bench)).unwrap();
            tokio::select! { () = bench.issuers.run() => {}, _ = stopped => {} }
        });
    });
    let bench = from_background.recv().unwrap();
    // Without I/O: a fetch that ran on this one would fail.
    let worker = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    worker.block_on(async {
        bench.server.reached(1).await;
        bench.verify(&token(&key, "k1")).await.unwrap();
        bench.server.answer("/keys", serving(&[(&next, "k2")]));
        bench.clock.advance(min_interval());
        bench.verify(&token(&next, "k2")).await.unwrap();
    });
    stop.send(()).unwrap();
    background.join().unwrap();
}
