use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::*;
use crate::crypto::base64url;
use crate::crypto::digest::sha256;
use crate::crypto::testing::{P256, TestKey};
use crate::gate::fixtures::{self, HeldClock};
use crate::model::{Clock, CredentialKind, Timestamp};
use crate::store::{Reply, StoreError};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const TOKEN: &str = "a.b.c";

/// An instance, its store, and a clock that stands still.
struct Bench {
    prover: Prover,
    clock: Arc<HeldClock>,
}

impl Bench {
    fn with(settings: DpopSettings, replays: Option<Arc<dyn Replays>>) -> Self {
        let clock = HeldClock::at(NOW);
        let mut shared = Arc::into_inner(fixtures::shared(clock.clone())).unwrap();
        shared.proofs = Arc::new(Instance::new(&settings, &*shared.entropy));
        let replays = replays.unwrap_or_else(|| fixtures::store(clock.clone()).replays);
        Self { prover: Prover::new(&settings, replays, Arc::new(shared)), clock }
    }

    fn new() -> Self {
        Self::with(fixtures::dpop_settings(), None)
    }

    fn by_clock() -> Self {
        Self::with(shared_without_nonce(), None)
    }

    /// Presents `DPoP` lines with a bound token at `GET https://a.example/x`.
    async fn present(&self, proofs: &[&str]) -> Result<Option<HeaderValue>, Denial> {
        let headers = proofs.iter().map(|proof| (DPOP, HeaderValue::from_str(proof).unwrap())).collect();
        self.ask(&bound(), Carrier::Dpop, &headers).await
    }

    async fn ask(
        &self,
        verified: &Verified,
        carrier: Carrier,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Denial> {
        let client = fixtures::client("192.0.2.1");
        let request = CheckRequest {
            listener: "main",
            method: &Method::GET,
            target: "/x?q=1",
            host: "a.example",
            headers,
            client: &client,
            public_origin: None,
            now: self.clock.now(),
        };
        let host = Host::parse("a.example").unwrap();
        let (presented, elapsed) = (Presented::Jwt(TOKEN), self.clock.elapsed());
        self.prover.check(&Asked { verified, presented, carrier, request: &request, host: &host, elapsed }).await
    }

    async fn outcome(&self, proof: &str) -> Option<Reason> {
        self.present(&[proof]).await.err().map(|denial| denial.reason)
    }

    /// The nonce that a client is told to use.
    async fn nonce(&self) -> String {
        let denial = self.present(&[&proof("for a nonce", json!({}))]).await.unwrap_err();
        assert_eq!(denial.reason, Reason::ProofNonce);
        denial.nonce.unwrap().into()
    }

    fn outcomes(&self, name: &str) -> String {
        let text = self.prover.shared.metrics.render();
        let series = format!("portcullis_dpop_proofs_total{{outcome=\"{name}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    }
}

fn shared_without_nonce() -> DpopSettings {
    DpopSettings { replay: ReplayScope::Shared, nonce: false, ..fixtures::dpop_settings() }
}

fn bound() -> Verified {
    let jwk = jwk();
    let members = json!({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]});
    Verified { bound_key: Some(sha256(members.to_string().as_bytes())), ..fixtures::verified(CredentialKind::Jwt) }
}

fn jwk() -> Value {
    P256.jwk("k")
}

/// A proof for the request, with other claims where `changes` says so.
fn proof(id: &str, changes: Value) -> String {
    signed_by(&P256, id, changes)
}

fn signed_by(key: &TestKey, id: &str, changes: Value) -> String {
    let mut claims = json!({
        "jti": id, "htm": "GET", "htu": "https://a.example/x", "iat": NOW.as_secs(),
        "ath": base64url::encode(&sha256(TOKEN.as_bytes())),
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key.token(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk()}), &claims)
}

#[tokio::test]
async fn a_proof_is_wanted_where_the_token_is_bound_and_only_there() {
    let bench = Bench::new();
    let free = fixtures::verified(CredentialKind::Jwt);
    let nonce = bench.nonce().await;
    let good: HeaderMap = [(DPOP, proof("a", json!({"nonce": nonce})).parse().unwrap())].into_iter().collect();
    for (verified, carrier, expected) in [
        (&free, Carrier::Authorization, None),
        (&free, Carrier::Cookie, None),
        (&free, Carrier::Dpop, Some(Reason::TokenBinding)),
        (&bound(), Carrier::Authorization, Some(Reason::TokenBinding)),
        (&bound(), Carrier::WebSocketProtocol, Some(Reason::TokenBinding)),
        (&bound(), Carrier::ApiKeyHeader, Some(Reason::TokenBinding)),
        (&bound(), Carrier::Dpop, None),
    ] {
        let outcome = bench.ask(verified, carrier, &good).await.err().map(|denial| denial.reason);
        assert_eq!(outcome, expected, "{:?} {carrier:?}", verified.bound_key);
    }
}

#[tokio::test]
async fn there_is_exactly_one_proof() {
    let bench = Bench::by_clock();
    let (one, other) = (proof("a", json!({})), proof("b", json!({})));
    let (a, b) = (one.as_str(), other.as_str());
    for proofs in [&[][..], &[a, b], &[a, a], &[a, "x"], &["", a], &[""], &["x"]] {
        let denial = bench.present(proofs).await.unwrap_err();
        assert_eq!(denial.reason, Reason::ProofInvalid, "{denial}");
    }
    let line = HeaderValue::from_bytes(b"\xff").unwrap();
    let outcome = bench.ask(&bound(), Carrier::Dpop, &[(DPOP, line)].into_iter().collect()).await;
    assert_eq!(outcome.unwrap_err().reason, Reason::ProofInvalid);
    assert_eq!(bench.outcome(&one).await, None);
}

#[tokio::test]
async fn f34_a_proof_for_another_request_is_none_for_this() {
    let bench = Bench::by_clock();
    for changes in [
        json!({"htm": "POST"}),
        json!({"htm": "get"}),
        json!({"htm": ""}),
        json!({"htm": "GET "}),
        json!({"htu": "https://a.example/y"}),
        json!({"htu": "https://b.example/x"}),
        json!({"htu": "http://a.example/x"}),
        json!({"htu": "/x"}),
        json!({"htu": ""}),
        json!({"ath": base64url::encode(&sha256(b"another"))}),
    ] {
        assert_eq!(bench.outcome(&proof("a", changes.clone())).await, Some(Reason::ProofInvalid), "{changes}");
    }
    assert_eq!(bench.outcome(&signed_by(&TestKey::p256(), "a", json!({}))).await, Some(Reason::ProofInvalid));
    // None of these has used up the identifier.
    assert_eq!(bench.outcome(&proof("a", json!({"htu": "https://A.example:443/x?other#x"}))).await, None);
    assert_eq!((bench.outcomes("accepted"), bench.outcomes("invalid")), ("1".into(), "11".into()));
}

#[tokio::test]
async fn without_nonces_a_proof_is_of_now_by_the_clock() {
    let bench = Bench::by_clock();
    let now = NOW.as_secs();
    for (id, iat, fine) in [
        ("1", now - 61, false),
        ("2", now - 60, false),
        ("3", now - 59, true),
        ("4", now, true),
        ("5", now + 5, true),
        ("6", now + 6, false),
        ("7", 0, false),
        ("8", u64::MAX, false),
        ("9", now * 1000, false),
    ] {
        let outcome = bench.outcome(&proof(id, json!({"iat": iat}))).await;
        assert_eq!(outcome, (!fine).then_some(Reason::ProofInvalid), "{iat}");
    }
    assert_eq!(bench.outcome(&proof("a", json!({"iat": -1}))).await, Some(Reason::ProofInvalid));
    assert_eq!(bench.outcome(&proof("b", json!({"exp": now - 6}))).await, Some(Reason::ProofInvalid));
    assert_eq!(bench.outcome(&proof("c", json!({"nbf": now + 6}))).await, Some(Reason::ProofInvalid));
    assert_eq!(bench.outcome(&proof("d", json!({"nbf": now, "exp": now + 1}))).await, None);
}

#[tokio::test]
async fn a_nonce_of_this_instance_says_of_when_a_proof_is() {
    let (bench, other) = (Bench::new(), Bench::new());
    let (nonce, foreign) = (bench.nonce().await, other.nonce().await);
    for nonce in ["", "x", &foreign, &"A".repeat(43)] {
        let outcome = bench.present(&[&proof("a", json!({"nonce": nonce}))]).await;
        let denial = outcome.unwrap_err();
        assert_eq!(denial.reason, Reason::ProofNonce, "{nonce}");
        assert!(denial.nonce.is_some());
    }
    // The client's clock does not matter.
    assert_eq!(bench.outcome(&proof("a", json!({"nonce": nonce, "iat": 7}))).await, None);
    assert_eq!(bench.outcome(&proof("b", json!({"nonce": nonce, "iat": 9_999_999_999_u64}))).await, None);
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(bench.outcome(&proof("c", json!({"nonce": nonce}))).await, None);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.outcome(&proof("d", json!({"nonce": nonce}))).await, Some(Reason::ProofNonce));
    // What is wrong in another way learns nothing about nonces.
    assert_eq!(bench.outcome(&proof("e", json!({"htm": "POST"}))).await, Some(Reason::ProofInvalid));
}

#[tokio::test]
async fn the_next_nonce_is_offered_before_the_last_one_ends() {
    let bench = Bench::new();
    let nonce = bench.nonce().await;
    let use_it = async |id, nonce: &str| bench.present(&[&proof(id, json!({"nonce": nonce}))]).await.unwrap();
    assert_eq!(use_it("a", &nonce).await, None);
    bench.clock.advance(Duration::from_secs(29));
    assert_eq!(use_it("b", &nonce).await, None);
    bench.clock.advance(Duration::from_secs(1));
    let next = use_it("c", &nonce).await.expect("a nonce");
    bench.clock.advance(Duration::from_secs(29));
    assert_eq!(use_it("d", next.to_str().unwrap()).await, None);
}

#[tokio::test]
async fn f34_a_proof_counts_once() {
    for bench in
        [Bench::new(), Bench::by_clock(), Bench::with(DpopSettings { nonce: true, ..shared_without_nonce() }, None)]
    {
        let changes = if bench.prover.settings.nonce { json!({"nonce": bench.nonce().await}) } else { json!({}) };
        let used = proof("a", changes.clone());
        assert_eq!(bench.outcome(&used).await, None);
        assert_eq!(bench.outcome(&used).await, Some(Reason::ProofReplayed));
        assert_eq!(bench.outcome(&proof("a", changes.clone())).await, Some(Reason::ProofReplayed), "signed anew");
        assert_eq!(bench.outcome(&proof("b", changes.clone())).await, None);
        assert_eq!(bench.outcomes("replayed"), "2");
        // For as long as it would count otherwise, it is known.
        for _ in 0..70 {
            bench.clock.advance(Duration::from_secs(1));
            assert!(bench.outcome(&used).await.is_some());
        }
    }
}

#[tokio::test]
async fn f34_a_proof_of_one_instance_is_worth_nothing_on_another() {
    let (one, other) = (Bench::new(), Bench::new());
    let captured = proof("a", json!({"nonce": one.nonce().await}));
    assert_eq!(other.outcome(&captured).await, Some(Reason::ProofNonce));
    assert_eq!(one.outcome(&captured).await, None);
    assert_eq!(other.outcome(&captured).await, Some(Reason::ProofNonce));
    // Two that share a store need no nonce for that.
    let store = fixtures::store(HeldClock::at(NOW)).replays;
    let [one, other] = [(); 2].map(|()| Bench::with(shared_without_nonce(), Some(store.clone())));
    let captured = proof("a", json!({}));
    assert_eq!(one.outcome(&captured).await, None);
    assert_eq!(other.outcome(&captured).await, Some(Reason::ProofReplayed));
}

#[tokio::test]
async fn f34_with_no_room_to_remember_nothing_is_accepted_and_nothing_forgotten() {
    let bench = Bench::with(DpopSettings { max_remembered: 2, ..fixtures::dpop_settings() }, None);
    let nonce = bench.nonce().await;
    let proof = |id| proof(id, json!({"nonce": nonce}));
    assert_eq!(bench.outcome(&proof("a")).await, None);
    assert_eq!(bench.outcome(&proof("b")).await, None);
    let denial = bench.present(&[&proof("c")]).await.unwrap_err();
    assert_eq!((denial.reason, denial.reason.row().status), (Reason::ProofsFull, 503));
    assert!(denial.retry_after.is_some());
    assert_eq!(bench.outcome(&proof("a")).await, Some(Reason::ProofReplayed));
    assert_eq!(bench.outcomes("undecided"), "1");
}

/// A store that does not answer, and counts how often it was asked.
#[derive(Default)]
struct Gone(std::sync::atomic::AtomicUsize);

impl Replays for Gone {
    fn first_use<'a>(&'a self, _: &'a [u8; 32], _: Duration) -> Reply<'a, bool> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Box::pin(async { Err(StoreError::Unreachable("gone".to_owned())) })
    }
}

#[tokio::test]
async fn a_store_that_is_gone_accepts_no_proof_and_is_asked_last() {
    let gone = Arc::new(Gone::default());
    let bench = Bench::with(shared_without_nonce(), Some(gone.clone()));
    assert_eq!(bench.outcome(&proof("a", json!({"htm": "POST"}))).await, Some(Reason::ProofInvalid));
    assert_eq!(bench.outcome(&signed_by(&TestKey::p256(), "a", json!({}))).await, Some(Reason::ProofInvalid));
    assert_eq!(bench.outcome(&proof("a", json!({"iat": 0}))).await, Some(Reason::ProofInvalid));
    assert_eq!(gone.0.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(bench.outcome(&proof("a", json!({}))).await, Some(Reason::StoreUnavailable));
    assert_eq!(gone.0.load(std::sync::atomic::Ordering::SeqCst), 1);
}
