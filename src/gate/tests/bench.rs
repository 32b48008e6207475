//! A gate with everything behind it, and a way to ask it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::json;

use crate::crypto::{Issuers, Signer, api_key, session_secret};
use crate::gate::fixtures::{self, HeldClock};
use crate::gate::{CheckRequest, Gate, Permit, Shared, limit};
use crate::model::settings::{
    Accept, Alternative, IssuerSettings, KeySource, MtlsMatch, MtlsRule, RouteSettings, Settings,
};
use crate::model::{
    ApiKeyRecord, Client, ClientCertificate, Clock, Denial, Identity, LogEntry, Principal, Revocation, Secret,
    SessionRecord, SystemEntropy, Timestamp,
};
use crate::store::Store;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const MAIN: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(super) const OTHER: &[u8] = b"another-secret-another-secret-32";

/// A gate with every kind of credential, and a way to ask it.
pub(super) struct Bench {
    pub(super) gate: Gate,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<HeldClock>,
    pub(super) store: Store,
}

impl Bench {
    pub(super) fn new(routes: Vec<RouteSettings>) -> Self {
        Self::with(routes, |_| {}, |_| {})
    }

    pub(super) fn with(
        routes: Vec<RouteSettings>,
        change: impl FnOnce(&mut Settings),
        change_store: impl FnOnce(&mut Store),
    ) -> Self {
        let mut settings = fixtures::settings(routes);
        settings.issuers.push(Arc::new(IssuerSettings {
            name: "other".into(),
            issuer: "https://other.example.com".into(),
            keys: KeySource::Secret(Secret::new(OTHER.to_vec())),
            ..fixtures::issuer()
        }));
        settings.mtls.push(MtlsRule {
            matches: vec![MtlsMatch::Dns("{name}.svc".into())],
            tenant: String::new(),
            groups: vec![],
            subject: "{name}".into(),
            roles: vec![],
            scopes: vec![],
        });
        change(&mut settings);
        let clock = HeldClock::at(NOW);
        let mut store = fixtures::store(clock.clone());
        change_store(&mut store);
        let issuers =
            Issuers::new(&settings.issuers, clock.clone(), Arc::new(crate::model::observer::Unobserved)).unwrap();
        let mut shared = Arc::into_inner(fixtures::shared(clock.clone())).unwrap();
        shared.issuers = Arc::new(issuers);
        shared.limits = limit::Limits::new(&settings.limits, clock.clone());
        let shared = Arc::new(shared);
        let signer = Arc::new(Signer::generate().unwrap());
        let gate = Gate::new(&settings, shared.clone(), store.clone(), signer).unwrap();
        Self { gate, shared, clock, store }
    }

    pub(super) async fn ask(&self, asked: &Asked<'_>) -> Result<Permit, Denial> {
        let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in &asked.headers {
            headers.append(*name, value.parse().unwrap());
        }
        let client = Client { certificate: asked.certificate.clone(), ..fixtures::client("192.0.2.1") };
        self.gate
            .check(&CheckRequest {
                listener: "main",
                method: &method,
                target: asked.target,
                host: "app.example",
                headers: &headers,
                client: &client,
                public_origin: None,
                now: self.clock.now(),
            })
            .await
    }

    /// Who it is, or the reason for the refusal.
    pub(super) async fn outcome(&self, asked: &Asked<'_>) -> String {
        match self.ask(asked).await {
            Ok(permit) => match permit.identity() {
                Identity::Anonymous => "anonymous".to_owned(),
                Identity::Verified(v) => format!("{} {}", v.kind, v.principal.subject),
            },
            Err(denial) => format!("{:?}", denial.reason),
        }
    }

    pub(super) async fn session(&self, id: &str) -> String {
        let (secret, digest) = session_secret::mint(&SystemEntropy);
        let principal = Principal::new(crate::model::identity::LOCAL_ISSUER, "carol");
        let record = SessionRecord::new(id, principal, NOW, Duration::from_secs(1800), Duration::from_secs(3600));
        self.store.sessions.create(&digest, &record).await.unwrap();
        format!("__Host-session={}", secret.expose())
    }

    pub(super) async fn api_key(&self) -> String {
        let minted = api_key::mint("test", &SystemEntropy);
        let principal = Principal::new(crate::model::identity::LOCAL_ISSUER, "robot");
        let record = ApiKeyRecord::new(&minted.id, minted.secret_sha256, principal, NOW);
        self.store.api_keys.create(&record).await.unwrap();
        minted.text.expose().clone()
    }

    pub(super) fn revoke(&self, what: Revocation) {
        self.shared.revocations.add(&[LogEntry { what, until: Timestamp::NEVER }]);
    }
}

#[derive(Clone)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

pub(super) fn get(target: &str) -> Asked<'_> {
    Asked { method: "GET", target, headers: vec![], certificate: None }
}

impl Asked<'_> {
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn certified(mut self, dns: &str) -> Self {
        self.certificate = Some(Arc::new(ClientCertificate {
            chain: vec![dns.as_bytes().to_vec().into()],
            issuer: String::new(),
            by: [].into(),
            told: crate::model::Told::default(),
            fingerprint: crate::crypto::digest::sha256(dns.as_bytes()),
            uris: vec![],
            dns: vec![dns.to_owned()],
            emails: vec![],
            subject: String::new(),
            not_after: Timestamp::NEVER,
        }));
        self
    }
}

pub(super) fn alternative(word: &str) -> Alternative {
    let (with_certificate, word) = word.strip_prefix("mtls+").map_or((false, word), |rest| (true, rest));
    let (kind, issuer) = word.split_once(':').map_or((word, None), |(kind, issuer)| (kind, Some(issuer.into())));
    Alternative { kind: serde_json::from_value(kind.into()).unwrap(), issuer, with_certificate }
}

/// A route at `/NAME` that accepts these.
pub(super) fn route(name: &str, accept: &[&str]) -> RouteSettings {
    let optional = accept.contains(&"anyone");
    let alternatives: Vec<Alternative> = accept.iter().filter(|w| **w != "anyone").map(|w| alternative(w)).collect();
    RouteSettings {
        name: name.into(),
        matches: vec![fixtures::route_match(&format!("/{name}"))],
        accept: if alternatives.is_empty() { Accept::Public } else { Accept::OneOf { alternatives, optional } },
        ..fixtures::route()
    }
}

pub(super) fn token(issuer: &str, secret: &[u8], subject: &str) -> String {
    token_with(issuer, secret, subject, json!({}))
}

/// With these claims besides.
pub(super) fn token_with(issuer: &str, secret: &[u8], subject: &str, more: serde_json::Value) -> String {
    let mut claims = json!({
        "iss": issuer, "aud": "orders", "sub": subject, "jti": subject,
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 600, "scope": "read",
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let encode = crate::crypto::base64url::encode;
    let input = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.to_string().as_bytes()));
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", encode(tag.as_ref()))
}

pub(super) fn alice() -> String {
    token("https://id.example.com", MAIN, "alice")
}

pub(super) fn forged() -> String {
    token("https://id.example.com", OTHER, "alice")
}
