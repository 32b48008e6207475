mod bench;
mod model;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use self::bench::{Asked, Bench, NOW, OTHER, alice, forged, get, route, token};
use super::fixtures::HeldClock;
use super::permit::Destination;
use super::*;
use crate::model::settings::{IssuerSettings, KeySource, LimitKey, LimitSettings, OnStale, RouteSettings, Rule, Rules};
use crate::model::{Principal, Revocation, SessionRecord, SystemEntropy};
use crate::store::{Reply, Sessions, StoreError};

#[tokio::test]
async fn every_kind_opens_the_route_that_accepts_it() {
    let bench = Bench::new(vec![route("all", &["jwt:main", "api_key", "session", "mtls"])]);
    let (cookie, key) = (bench.session("s1").await, bench.api_key().await);
    for (asked, expected) in [
        (get("/all").bearer(&alice()), "jwt alice"),
        (get("/all").bearer(&key), "api_key robot"),
        (get("/all").with("x-api-key", &key), "api_key robot"),
        (get("/all").with("cookie", &cookie), "session carol"),
        (get("/all").certified("billing.svc"), "mtls billing"),
        (get("/all").certified("billing.svc").bearer(&alice()), "jwt alice"),
        (get("/all"), "CredentialMissing"),
        (get("/all").certified("unknown.example"), "CertificateNotAccepted"),
    ] {
        assert_eq!(bench.outcome(&asked).await, expected, "{:?}", asked.headers);
    }
}

#[tokio::test]
async fn f38_a_presented_credential_that_fails_is_refused_even_where_none_is_needed() {
    let bench = Bench::new(vec![route("open", &["jwt:main", "api_key", "anyone"]), route("public", &["anyone"])]);
    for bad in ["random", "a.b.c", "pc_test_x_y", &forged()] {
        let denial = bench.ask(&get("/open").bearer(bad)).await.unwrap_err();
        assert_eq!(denial.reason.row().status, 401, "{bad}: {denial}");
        assert_eq!(bench.outcome(&get("/public").bearer(bad)).await, "anonymous", "nothing is read on a public route");
    }
    assert_eq!(bench.outcome(&get("/open")).await, "anonymous");
    assert_eq!(bench.outcome(&get("/open").bearer(&alice())).await, "jwt alice");
}

#[tokio::test]
async fn a_session_that_is_over_is_nobody_where_anyone_is_served() {
    let bench = Bench::new(vec![route("open", &["session", "anyone"]), route("closed", &["session"])]);
    let (unknown, cookie) = (format!("__Host-session={}", "A".repeat(43)), bench.session("s1").await);
    let ask = async |target, cookie: &str| bench.outcome(&get(target).with("cookie", cookie)).await;
    assert_eq!(ask("/open", &unknown).await, "anonymous");
    assert_eq!(ask("/closed", &unknown).await, "SessionUnknown");
    assert_eq!(ask("/open", "__Host-session=").await, "anonymous");

    assert_eq!(ask("/open", &cookie).await, "session carol");
    bench.revoke(Revocation::Session { id: "s1".into() });
    assert_eq!(ask("/open", &cookie).await, "anonymous");
    assert_eq!(ask("/closed", &cookie).await, "Revoked");
}

/// A store that never answers about sessions.
struct Gone;

impl Gone {
    fn answer<'a, T: Send + 'a>() -> Reply<'a, T> {
        Box::pin(async { Err(StoreError::Unreachable("gone".to_owned())) })
    }
}

impl Sessions for Gone {
    fn create<'a>(&'a self, _: &'a [u8; 32], _: &'a SessionRecord) -> Reply<'a, u64> {
        Self::answer()
    }
    fn next_generation<'a>(&'a self, _: &'a Principal, _: Timestamp) -> Reply<'a, u64> {
        Self::answer()
    }
    fn find<'a>(&'a self, _: &'a [u8; 32], _: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        Self::answer()
    }
    fn find_by_id<'a>(&'a self, _: &'a str, _: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        Self::answer()
    }
    fn touch<'a>(&'a self, _: &'a [u8; 32], _: Timestamp) -> Reply<'a, bool> {
        Self::answer()
    }
    fn list<'a>(&'a self, _: Option<&'a Principal>, _: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        Self::answer()
    }
    fn remove<'a>(&'a self, _: &'a str) -> Reply<'a, Option<SessionRecord>> {
        Self::answer()
    }
}

#[tokio::test]
async fn a_store_that_is_gone_makes_nobody_anonymous() {
    let routes = vec![route("open", &["session", "anyone"])];
    let bench = Bench::with(routes, |_| {}, |store| store.sessions = Arc::new(Gone));
    let cookie = format!("__Host-session={}", "A".repeat(43));
    assert_eq!(bench.outcome(&get("/open").with("cookie", &cookie)).await, "StoreUnavailable");
}

#[tokio::test]
async fn what_is_revoked_or_cannot_be_known_is_refused() {
    let stale = RouteSettings { on_stale: OnStale::Allow, ..route("lenient", &["jwt:main"]) };
    let bench = Bench::new(vec![route("open", &["jwt:main", "anyone"]), stale]);
    bench.clock.advance(Duration::from_secs(6));
    assert_eq!(bench.outcome(&get("/open").bearer(&alice())).await, "RevocationStale");
    assert_eq!(bench.outcome(&get("/lenient").bearer(&alice())).await, "jwt alice");
    assert_eq!(bench.outcome(&get("/open")).await, "anonymous");
    bench.revoke(Revocation::Token { issuer: "https://id.example.com".into(), id: "alice".into() });
    assert_eq!(bench.outcome(&get("/open").bearer(&alice())).await, "Revoked");
    assert_eq!(bench.outcome(&get("/lenient").bearer(&alice())).await, "Revoked");
}

#[tokio::test]
async fn f30_a_token_of_another_issuer_is_refused_though_it_is_known() {
    let bench = Bench::new(vec![route("main", &["jwt:main"]), route("other", &["jwt:other", "anyone"])]);
    let bob = token("https://other.example.com", OTHER, "bob");
    assert_eq!(bench.outcome(&get("/other").bearer(&bob)).await, "jwt bob");
    assert_eq!(bench.outcome(&get("/main").bearer(&bob)).await, "CredentialNotAccepted");
    assert_eq!(bench.outcome(&get("/main").bearer(&alice())).await, "jwt alice");
    assert_eq!(bench.outcome(&get("/other").bearer(&alice())).await, "CredentialNotAccepted");
}

#[tokio::test]
async fn both_are_wanted_where_both_are_named() {
    let bench = Bench::new(vec![route("both", &["mtls+jwt:main"])]);
    let with = get("/both").certified("billing.svc");
    assert_eq!(bench.outcome(&with.clone().bearer(&alice())).await, "jwt alice");
    assert_eq!(bench.outcome(&with).await, "CredentialMissing");
    assert_eq!(bench.outcome(&get("/both").bearer(&alice())).await, "CredentialMissing");
    let stranger = get("/both").certified("unknown.example").bearer(&alice());
    assert_eq!(bench.outcome(&stranger).await, "CertificateNotAccepted");
    let fingerprint = crate::crypto::digest::hex(&crate::crypto::digest::sha256(b"billing.svc"));
    bench.revoke(Revocation::Certificate { fingerprint: fingerprint.into() });
    assert_eq!(bench.outcome(&with.bearer(&alice())).await, "Revoked");
}

#[tokio::test]
async fn only_ambient_credentials_answer_for_where_they_come_from() {
    let bench = Bench::new(vec![route("all", &["jwt:main", "session", "anyone"])]);
    let cookie = bench.session("s1").await;
    let post = Asked { method: "POST", ..get("/all") }.with("origin", "https://evil.example");
    assert_eq!(bench.outcome(&post.clone().with("cookie", &cookie)).await, "CrossSite");
    assert_eq!(bench.outcome(&post.clone().bearer(&alice()).with("cookie", &cookie)).await, "jwt alice");
    assert_eq!(bench.outcome(&post).await, "anonymous");
    let own = Asked { method: "POST", ..get("/all") }.with("origin", "https://app.example").with("cookie", &cookie);
    assert_eq!(bench.outcome(&own).await, "session carol");
    let socket = get("/all").with("cookie", &cookie).with("upgrade", "websocket");
    assert_eq!(bench.outcome(&socket).await, "CrossSite");
}

fn limit(name: &str, stage: LimitStage, burst: u32) -> (Arc<str>, LimitSettings) {
    let key = vec![LimitKey::ClientAddress];
    let per = Duration::from_secs(3600);
    (name.into(), LimitSettings { name: name.into(), key, count: burst, per, burst, stage })
}

#[tokio::test]
async fn failed_attempts_are_counted_and_then_not_even_looked_at() {
    let limited = RouteSettings { limits: vec!["failures".into()], ..route("all", &["jwt:main", "session"]) };
    let limits = BTreeMap::from([limit("failures", LimitStage::FailedAuthentication, 2)]);
    let bench = Bench::with(vec![limited, route("free", &["jwt:main"])], |s| s.limits = limits, |_| {});
    let unknown = format!("__Host-session={}", "A".repeat(43));
    for _ in 0..5 {
        assert_eq!(bench.outcome(&get("/all")).await, "CredentialMissing", "nothing presented is no attempt");
        assert_eq!(bench.outcome(&get("/all").with("cookie", &unknown)).await, "SessionUnknown");
        assert_eq!(bench.outcome(&get("/all").bearer(&alice())).await, "jwt alice");
    }
    for _ in 0..2 {
        assert_eq!(bench.outcome(&get("/all").bearer(&forged())).await, "TokenSignature");
    }
    assert_eq!(bench.outcome(&get("/all").bearer(&forged())).await, "TooManyFailures");
    assert_eq!(bench.outcome(&get("/all").bearer(&alice())).await, "TooManyFailures");
    assert_eq!(bench.outcome(&get("/all")).await, "CredentialMissing");
    assert_eq!(bench.outcome(&get("/free").bearer(&alice())).await, "jwt alice");
}

#[tokio::test]
async fn a_proof_that_fails_is_an_attempt_and_one_that_lacks_our_nonce_is_none() {
    use crate::crypto::base64url;
    use crate::crypto::digest::sha256;
    use crate::crypto::testing::P256;
    let jwk = P256.jwk("k");
    let members = json!({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"]});
    let bound_to = base64url::encode(&sha256(members.to_string().as_bytes()));
    let token = bench::token_with("https://id.example.com", bench::MAIN, "alice", json!({"cnf": {"jkt": bound_to}}));
    let proof = |method: &str, nonce: &str| {
        let claims = json!({
            "jti": "p", "htm": method, "htu": "https://app.example/all", "iat": NOW.as_secs(), "nonce": nonce,
            "ath": base64url::encode(&sha256(token.as_bytes())),
        });
        P256.token(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}), &claims)
    };
    let limited = RouteSettings { limits: vec!["failures".into()], ..route("all", &["jwt:main", "anyone"]) };
    let limits = BTreeMap::from([limit("failures", LimitStage::FailedAuthentication, 2)]);
    let bench = Bench::with(vec![limited], |s| s.limits = limits, |_| {});
    let with = |proof: &str| get("/all").with("authorization", &format!("DPoP {token}")).with("dpop", proof);
    for _ in 0..5 {
        assert_eq!(bench.outcome(&with(&proof("GET", "another's"))).await, "ProofNonce");
    }
    let nonce = bench.ask(&with(&proof("GET", ""))).await.unwrap_err().nonce.unwrap();
    assert_eq!(bench.outcome(&with(&proof("GET", &nonce))).await, "jwt alice");
    assert_eq!(bench.outcome(&with(&proof("GET", &nonce))).await, "ProofReplayed");
    assert_eq!(bench.outcome(&with(&proof("POST", &nonce))).await, "ProofInvalid");
    assert_eq!(bench.outcome(&with(&proof("GET", &nonce))).await, "TooManyFailures");
}

#[tokio::test]
async fn limits_stand_before_and_after_authentication() {
    let before = RouteSettings { limits: vec!["before".into()], ..route("before", &["jwt:main"]) };
    let after = RouteSettings { limits: vec!["after".into()], ..route("after", &["jwt:main"]) };
    let limits = BTreeMap::from([
        limit("before", LimitStage::BeforeAuthentication, 1),
        limit("after", LimitStage::AfterAuthentication, 1),
    ]);
    let bench = Bench::with(vec![before, after], |s| s.limits = limits, |_| {});
    assert_eq!(bench.outcome(&get("/before")).await, "CredentialMissing");
    assert_eq!(bench.outcome(&get("/before")).await, "RateLimited");
    for _ in 0..3 {
        assert_eq!(bench.outcome(&get("/after")).await, "CredentialMissing", "what is refused before does not count");
    }
    assert_eq!(bench.outcome(&get("/after").bearer(&alice())).await, "jwt alice");
    assert_eq!(bench.outcome(&get("/after").bearer(&alice())).await, "RateLimited");
}

#[tokio::test]
async fn a_denial_names_its_route_once_there_is_one() {
    let allow = vec![Rule { name: "allow[0]".into(), scopes: vec!["write".into()], ..Rule::default() }];
    let bench =
        Bench::new(vec![RouteSettings { rules: Rules { allow, ..Rules::default() }, ..route("all", &["jwt:main"]) }]);
    let denial = bench.ask(&get("/all").bearer(&alice())).await.unwrap_err();
    assert_eq!((denial.reason, denial.route.as_deref()), (Reason::InsufficientScope, Some("all")));
    let denial = bench.ask(&get("/all")).await.unwrap_err();
    assert_eq!((denial.reason, denial.route.as_deref()), (Reason::CredentialMissing, Some("all")));
    let denial = bench.ask(&get("/none")).await.unwrap_err();
    assert_eq!((denial.reason, denial.route.as_deref()), (Reason::NoRoute, None));
}

#[tokio::test]
async fn the_permit_is_for_what_was_asked() {
    let bench = Bench::new(vec![route("all", &["jwt:main"])]);
    let asked = Asked { method: "PATCH", ..get("/%61ll?a=%2F&b=/../c") }.bearer(&alice());
    let permit = bench.ask(&asked).await.unwrap();
    assert_eq!(permit.target(), "/%61ll?a=%2F&b=/../c");
    assert_eq!((permit.method(), &*permit.route().name), (&Method::PATCH, "all"));
    assert_eq!(*permit.destination(), Destination::Upstream("app".into()));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer x".parse().unwrap());
    permit.rewrite_headers(&mut headers);
    assert!(!headers.contains_key("authorization"));
    assert_eq!(headers["x-auth-subject"], "alice");
}

const KEYS: &str = "/.well-known/portcullis/jwks.json";

#[tokio::test]
async fn the_assertions_keys_are_public_where_assertions_are_sent() {
    let mut asserting = route("app", &["jwt:main"]);
    asserting.identity.assertion = true;
    asserting.matches = vec![fixtures::route_match("/{*rest}")];
    let bench = Bench::new(vec![asserting.clone()]);
    let permit = bench.ask(&get(KEYS)).await.unwrap();
    assert_eq!(*permit.destination(), Destination::AssertionKeys);
    let head = bench.ask(&Asked { method: "HEAD", ..get(KEYS) }).await.unwrap();
    assert_eq!(*head.destination(), Destination::AssertionKeys);
    assert_eq!(bench.outcome(&Asked { method: "POST", ..get(KEYS) }).await, "CredentialMissing");

    asserting.identity.assertion = false;
    assert_eq!(Bench::new(vec![asserting]).outcome(&get(KEYS)).await, "CredentialMissing");
}

#[tokio::test]
async fn f36_an_assertion_is_never_a_credential() {
    let signer = Signer::generate().unwrap();
    let mut key = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut key, signer.public_pem().as_bytes()).unwrap();
    // The worst that can be configured: our own key trusted as an issuer's.
    let trusted = IssuerSettings {
        name: "ours".into(),
        issuer: "portcullis".into(),
        algorithms: vec![crate::model::settings::Algorithm::ES256],
        audiences: vec!["app".into()],
        keys: KeySource::PemFile(key.path().to_owned()),
        ..fixtures::issuer()
    };
    let routes = vec![route("all", &["jwt:ours"])];
    let bench = Bench::with(routes, |s| s.issuers.push(Arc::new(trusted)), |_| {});
    let claims = json!({
        "iss": "portcullis", "sub": "alice", "aud": "app", "iat": NOW.as_secs(), "exp": NOW.as_secs() + 60,
    });
    let claims = claims.as_object().unwrap();
    let good = signer.sign("at+jwt", claims, &SystemEntropy).unwrap();
    assert_eq!(bench.outcome(&get("/all").bearer(&good)).await, "jwt alice");
    let assertion = signer.sign(assertion::TYPE, claims, &SystemEntropy).unwrap();
    assert_eq!(bench.outcome(&get("/all").bearer(&assertion)).await, "TokenType");
}

#[test]
fn settings_that_cannot_be_served_are_refused() {
    let build = |routes: Vec<RouteSettings>| {
        let clock = HeldClock::at(NOW);
        let (shared, store) = (fixtures::shared(clock.clone()), fixtures::store(clock));
        let signer = Arc::new(Signer::generate().unwrap());
        Gate::new(&fixtures::settings(routes), shared, store, signer).map(|_| ()).map_err(|error| error.0)
    };
    assert_eq!(build(vec![route("a", &["jwt"])]), Ok(()), "the one issuer may be left out");
    let twin = RouteSettings { name: "b".into(), ..route("a", &["anyone"]) };
    let error = build(vec![route("a", &["anyone"]), twin]).unwrap_err();
    assert!(error.contains("route.a") && error.contains("route.b"), "{error}");
    assert!(build(vec![route("a", &["opaque"])]).unwrap_err().contains("opaque"));
}
