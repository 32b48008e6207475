use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::crypto::digest::sha256;
use crate::gate::fixtures::{self, HeldClock};
use crate::model::settings::{MtlsMatch, MtlsRule};
use crate::model::{ApiKeyRecord, ClientCertificate, Clock, CredentialKind, Principal, SessionRecord, SystemEntropy};
use crate::store::{ApiKeys, Reply, Sessions};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A store that counts what it is asked, and fails when told to.
#[derive(Default)]
struct Fake {
    sessions: Mutex<HashMap<[u8; 32], SessionRecord>>,
    keys: Mutex<HashMap<String, ApiKeyRecord>>,
    reads: AtomicUsize,
    touches: AtomicUsize,
    touched: tokio::sync::Notify,
    down: AtomicBool,
}

impl Fake {
    fn read<'a, T: Send + 'a>(&self, found: T) -> Reply<'a, T> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let down = self.down.load(Ordering::SeqCst);
        Box::pin(async move { if down { Err(StoreError::Unreachable("gone".into())) } else { Ok(found) } })
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn touch(&self) {
        self.touches.fetch_add(1, Ordering::SeqCst);
        self.touched.notify_one();
    }
}

impl Sessions for Fake {
    fn create<'a>(&'a self, _: &'a [u8; 32], _: &'a SessionRecord) -> Reply<'a, u64> {
        unimplemented!()
    }
    fn next_generation<'a>(&'a self, _: &'a Principal, _: Timestamp) -> Reply<'a, u64> {
        unimplemented!()
    }
    fn find<'a>(&'a self, secret: &'a [u8; 32], _: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        self.read(self.sessions.lock().unwrap().get(secret).cloned())
    }
    fn find_by_id<'a>(&'a self, _: &'a str, _: Timestamp) -> Reply<'a, Option<SessionRecord>> {
        unimplemented!()
    }
    fn touch<'a>(&'a self, secret: &'a [u8; 32], at: Timestamp) -> Reply<'a, bool> {
        let mut sessions = self.sessions.lock().unwrap();
        let there = sessions.get_mut(secret).map(|record| record.seen_at = at).is_some();
        Fake::touch(self);
        Box::pin(async move { Ok(there) })
    }
    fn list<'a>(&'a self, _: Option<&'a Principal>, _: Timestamp) -> Reply<'a, Vec<SessionRecord>> {
        unimplemented!()
    }
    fn remove<'a>(&'a self, _: &'a str) -> Reply<'a, Option<SessionRecord>> {
        unimplemented!()
    }
}

impl ApiKeys for Fake {
    fn create<'a>(&'a self, _: &'a ApiKeyRecord) -> Reply<'a, ()> {
        unimplemented!()
    }
    fn find<'a>(&'a self, id: &'a str) -> Reply<'a, Option<ApiKeyRecord>> {
        self.read(self.keys.lock().unwrap().get(id).cloned())
    }
    fn list(&self) -> Reply<'_, Vec<ApiKeyRecord>> {
        unimplemented!()
    }
    fn revoke<'a>(&'a self, _: &'a str, _: Timestamp) -> Reply<'a, Option<ApiKeyRecord>> {
        unimplemented!()
    }
    fn touch<'a>(&'a self, _: &'a str, _: Timestamp) -> Reply<'a, ()> {
        Fake::touch(self);
        Box::pin(async { Ok(()) })
    }
}

struct Bench {
    fake: Arc<Fake>,
    clock: Arc<HeldClock>,
    identities: Identities,
}

impl Bench {
    fn new() -> Self {
        let (fake, clock) = (Arc::new(Fake::default()), HeldClock::at(NOW));
        let mut store = fixtures::store(clock.clone());
        (store.sessions, store.api_keys) = (fake.clone(), fake.clone());
        let identities = identities(fixtures::shared(clock.clone()), store);
        Self { fake, clock, identities }
    }

    async fn resolve_from(&self, presented: Presented<'_>, address: &str) -> Result<Arc<Verified>, Reason> {
        let client = fixtures::client(address);
        self.identities.resolve(presented, &client, self.clock.now()).await.map_err(|denial| denial.reason)
    }

    async fn resolve(&self, presented: Presented<'_>) -> Result<Arc<Verified>, Reason> {
        self.resolve_from(presented, "192.0.2.1").await
    }

    fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    /// A session with half an hour of idle time, seen now; returns the cookie's value.
    fn session(&self) -> String {
        let (cookie, secret_sha256) = crate::crypto::session_secret::mint(&SystemEntropy);
        let (alice, hour) = (Principal::new("portcullis", "alice"), Duration::from_secs(3600));
        let record = SessionRecord {
            roles: vec!["b".into(), "a".into(), "b".into()],
            attributes: [("email".to_owned(), json!("a@example.com"))].into_iter().collect(),
            generation: 4,
            ..SessionRecord::new("s1", alice, self.clock.now(), hour / 2, 12 * hour)
        };
        self.fake.sessions.lock().unwrap().insert(secret_sha256, record);
        cookie.expose().clone()
    }

    fn change_session(&self, change: impl FnOnce(&mut SessionRecord)) {
        change(self.fake.sessions.lock().unwrap().values_mut().next().unwrap());
    }

    fn api_key(&self, change: impl FnOnce(&mut ApiKeyRecord)) -> String {
        let minted = crate::crypto::api_key::mint("test", &SystemEntropy);
        let robot = Principal::new("portcullis", "robot");
        let mut record =
            ApiKeyRecord { used_at: Some(NOW), ..ApiKeyRecord::new(&minted.id, minted.secret_sha256, robot, NOW) };
        change(&mut record);
        self.fake.keys.lock().unwrap().insert(minted.id, record);
        minted.text.expose().clone()
    }
}

fn identities(shared: Arc<Shared>, store: Store) -> Identities {
    let rules = [MtlsRule {
        matches: vec![MtlsMatch::Dns("{name}.internal".into())],
        tenant: String::new(),
        groups: vec![],
        subject: "{name}".into(),
        roles: vec![],
        scopes: vec![],
    }];
    let verifiers = shared.cache.verifiers().to_be_bytes();
    Identities { shared, store, certificates: CertificateRules::new(&rules), foreign: None, verifiers }
}

#[tokio::test]
async fn a_session_is_read_once_a_minute() {
    let bench = Bench::new();
    let cookie = bench.session();
    let verified = bench.resolve(Presented::Session(&cookie)).await.unwrap();
    assert_eq!(&*verified.principal.subject, "alice");
    assert_eq!(verified.roles, vec![Arc::from("a"), Arc::from("b")]);
    assert_eq!((verified.generation, verified.email.as_deref()), (4, Some("a@example.com")));
    for _ in 0..10 {
        bench.resolve(Presented::Session(&cookie)).await.unwrap();
    }
    assert_eq!(bench.fake.reads(), 1);
    bench.advance(60);
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    assert_eq!(bench.fake.reads(), 2);
}

#[tokio::test]
async fn a_session_that_seems_idle_is_read_again_before_it_is_refused() {
    let bench = Bench::new();
    let cookie = bench.session();
    bench.change_session(|record| record.idle_ms = 20_000);
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    // Another instance notes a use; then the first end passes, but not the second.
    bench.change_session(|record| record.seen_at = NOW.after(Duration::from_secs(10)));
    bench.advance(25);
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    assert_eq!(bench.fake.reads(), 2);
    bench.change_session(|record| record.seen_at = NOW);
    bench.advance(25);
    assert_eq!(bench.resolve(Presented::Session(&cookie)).await.unwrap_err(), Reason::SessionExpired);
}

#[tokio::test]
async fn an_absolute_end_counts_however_busy_the_session() {
    let bench = Bench::new();
    let cookie = bench.session();
    bench.change_session(|record| record.expires_at = NOW.after(Duration::from_secs(30)));
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    bench.change_session(|record| record.seen_at = NOW.after(Duration::from_secs(29)));
    bench.advance(30);
    assert_eq!(bench.resolve(Presented::Session(&cookie)).await.unwrap_err(), Reason::SessionExpired);
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute() {
    let bench = Bench::new();
    let cookie = bench.session();
    bench.change_session(|record| record.seen_at = NOW.before(Duration::from_secs(30)));
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    bench.advance(30);
    for _ in 0..5 {
        bench.resolve(Presented::Session(&cookie)).await.unwrap();
    }
    bench.fake.touched.notified().await;
    bench.advance(20);
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    assert_eq!(bench.fake.touches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_session_that_is_gone_when_its_use_is_noted_is_forgotten() {
    let bench = Bench::new();
    let cookie = bench.session();
    bench.change_session(|record| record.seen_at = NOW.before(Duration::from_secs(30)));
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    bench.fake.sessions.lock().unwrap().clear();
    bench.advance(30);
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    bench.fake.touched.notified().await;
    assert_eq!(bench.resolve(Presented::Session(&cookie)).await.unwrap_err(), Reason::SessionUnknown);
}

#[tokio::test]
async fn f38_what_nobody_issued_is_unknown_and_not_asked_for_again_at_once() {
    let bench = Bench::new();
    let (stranger, _) = crate::crypto::session_secret::mint(&SystemEntropy);
    for _ in 0..3 {
        let refused = bench.resolve(Presented::Session(stranger.expose())).await;
        assert_eq!(refused.unwrap_err(), Reason::SessionUnknown);
    }
    assert_eq!(bench.fake.reads(), 1);
    for text in ["", "x", "pc_", "pc_test_abc_def"] {
        assert_eq!(bench.resolve(Presented::Session(text)).await.unwrap_err(), Reason::SessionUnknown);
        assert_eq!(bench.resolve(Presented::ApiKey(text)).await.unwrap_err(), Reason::ApiKeyUnknown);
        assert!(bench.resolve(Presented::Jwt(text)).await.is_err());
    }
    assert_eq!(bench.fake.reads(), 1, "what has not even the form is not asked for");
}

#[tokio::test]
async fn an_unknown_key_and_a_wrong_secret_look_the_same() {
    let bench = Bench::new();
    let unknown = crate::crypto::api_key::mint("test", &SystemEntropy);
    let wrong = bench.api_key(|record| record.secret_sha256 = sha256(b"another"));
    let revoked_and_wrong = bench.api_key(|record| {
        record.secret_sha256 = sha256(b"another");
        record.revoked_at = Some(NOW);
    });
    for text in [unknown.text.expose(), &wrong, &revoked_and_wrong] {
        assert_eq!(bench.resolve(Presented::ApiKey(text)).await.unwrap_err(), Reason::ApiKeyUnknown);
    }
}

#[tokio::test]
async fn a_key_ends_when_it_is_revoked_or_expires() {
    let bench = Bench::new();
    let revoked = bench.api_key(|record| record.revoked_at = Some(NOW));
    assert_eq!(bench.resolve(Presented::ApiKey(&revoked)).await.unwrap_err(), Reason::Revoked);
    let expires = bench.api_key(|record| record.expires_at = Some(NOW.after(Duration::from_secs(10))));
    assert!(bench.resolve(Presented::ApiKey(&expires)).await.is_ok());
    bench.advance(10);
    assert_eq!(bench.resolve(Presented::ApiKey(&expires)).await.unwrap_err(), Reason::ApiKeyExpired);
}

#[tokio::test]
async fn f30_a_cached_key_is_still_bound_to_its_networks() {
    let bench = Bench::new();
    let key = bench.api_key(|record| record.networks = vec!["192.0.2.0/24".parse().unwrap()]);
    assert!(bench.resolve_from(Presented::ApiKey(&key), "192.0.2.1").await.is_ok());
    let elsewhere = bench.resolve_from(Presented::ApiKey(&key), "198.51.100.1").await;
    assert_eq!(elsewhere.unwrap_err(), Reason::NetworkNotAllowed);
    assert_eq!(bench.fake.reads(), 1);
}

#[tokio::test]
async fn an_outage_is_told_with_a_time_to_come_back_and_forgotten_when_it_ends() {
    let bench = Bench::new();
    let (cookie, key) = (bench.session(), bench.api_key(|_| {}));
    bench.fake.down.store(true, Ordering::SeqCst);
    for presented in [Presented::Session(&cookie), Presented::ApiKey(&key)] {
        let denial = bench.identities.resolve(presented, &fixtures::client("192.0.2.1"), NOW).await.unwrap_err();
        assert_eq!(denial.reason, Reason::StoreUnavailable);
        assert!(denial.retry_after.is_some());
    }
    bench.fake.down.store(false, Ordering::SeqCst);
    assert!(bench.resolve(Presented::Session(&cookie)).await.is_ok());
    assert!(bench.resolve(Presented::ApiKey(&key)).await.is_ok());
    bench.fake.down.store(true, Ordering::SeqCst);
    assert!(bench.resolve(Presented::Session(&cookie)).await.is_ok(), "served from the cache");
}

#[tokio::test]
async fn f35_a_change_of_roles_shows_as_soon_as_it_is_announced() {
    let bench = Bench::new();
    let cookie = bench.session();
    bench.resolve(Presented::Session(&cookie)).await.unwrap();
    bench.change_session(|record| record.roles = vec!["demoted".into()]);
    bench.identities.shared.cache.changed([&"s1".into()], NOW);
    let verified = bench.resolve(Presented::Session(&cookie)).await.unwrap();
    assert_eq!(verified.roles, vec![Arc::from("demoted")]);
}

fn token(subject: &str) -> String {
    let claims = json!({
        "iss": "https://id.example.com", "aud": "orders", "sub": subject, "jti": "t1",
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 600, "roles": ["viewer"],
    });
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    let encode = crate::crypto::base64url::encode;
    let input = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.to_string().as_bytes()));
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", encode(tag.as_ref()))
}

#[tokio::test]
async fn a_token_is_verified_and_then_found() {
    let bench = Bench::new();
    let token = token("alice");
    let first = bench.resolve(Presented::Jwt(&token)).await.unwrap();
    assert_eq!(&*first.principal.subject, "alice");
    let second = bench.resolve(Presented::Jwt(&token)).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    bench.advance(600 + 30);
    assert_eq!(bench.resolve(Presented::Jwt(&token)).await.unwrap_err(), Reason::TokenExpired);
}

#[tokio::test]
async fn a_cached_token_whose_key_has_gone_is_verified_again() {
    let bench = Bench::new();
    let token = token("alice");
    let key = bench.identities.key(Presented::Jwt(&token));
    let resting_on_another_key = Verified {
        issuer_name: Some("main".into()),
        key_thumbprint: Some([9; 32]),
        ..fixtures::verified(CredentialKind::Jwt)
    };
    let entry = Entry::new((resting_on_another_key, None), 0, NOW);
    bench.identities.shared.cache.insert(key, Arc::new(entry));
    let verified = bench.resolve(Presented::Jwt(&token)).await.unwrap();
    assert_eq!(&*verified.credential_id, "t1");
    assert_ne!(verified.key_thumbprint, Some([9; 32]));
}

#[tokio::test]
async fn f31_the_same_bytes_as_another_kind_or_for_other_verifiers_are_another_key() {
    let bench = Bench::new();
    let keys = |identities: &Identities| {
        [Presented::Jwt("x"), Presented::ApiKey("x"), Presented::Session("x")]
            .map(|presented| identities.key(presented))
    };
    let [jwt, api_key, session] = keys(&bench.identities);
    assert!(jwt != api_key && api_key != session && session != jwt);
    let shared = Arc::clone(&bench.identities.shared);
    shared.cache.next_verifiers();
    let reloaded = identities(shared, bench.identities.store.clone());
    assert_ne!(keys(&reloaded)[0], jwt);
}

#[tokio::test]
async fn a_certificate_counts_until_it_expires_also_on_a_live_connection() {
    let bench = Bench::new();
    let certificate = ClientCertificate {
        chain: vec![],
        issuer: String::new(),
        by: [].into(),
        told: crate::model::Told::default(),
        fingerprint: [1; 32],
        uris: vec![],
        dns: vec!["cart.internal".into()],
        emails: vec![],
        subject: String::new(),
        not_after: NOW.after(Duration::from_secs(10)),
    };
    for _ in 0..2 {
        let verified = bench.resolve(Presented::Certificate(&certificate)).await.unwrap();
        assert_eq!(&*verified.principal.subject, "cart");
    }
    bench.advance(10);
    let expired = bench.resolve(Presented::Certificate(&certificate)).await;
    assert_eq!(expired.unwrap_err(), Reason::CertificateNotAccepted);
}
