//! A gate with one route for each kind of credential, and a request for each.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis::crypto::{Issuers, Signer, api_key, session_secret};
use portcullis::gate::identity::Cache;
use portcullis::gate::limit::Limits;
use portcullis::gate::proof::Instance;
use portcullis::gate::revocation::RevocationSet;
use portcullis::gate::{CheckRequest, Gate, Shared};
use portcullis::model::identity::LOCAL_ISSUER;
use portcullis::model::observer::Unobserved;
use portcullis::model::{
    ApiKeyRecord, Client, Clock as _, Principal, SessionRecord, SystemClock, SystemEntropy, Timestamp,
};
use portcullis::store::Store;
use portcullis::telemetry::Metrics;
use serde_json::{Value, json};

const CONFIGURATION: &str = r#"
listener.main.bind = "127.0.0.1:0"
defaults.upstream = "http://127.0.0.1:1"
[issuer.bench]
url = "https://bench.invalid"
audiences = ["bench"]
keys.jwks_file = "jwks.json"
[limit.per-address]
key = "client.address"
rate = "1000000000/s"
burst = 1000000
stage = "before_authentication"
[limit.per-principal]
key = "identity.principal"
rate = "1000000000/s"
burst = 1000000
[roles]
reader = ["bench:read"]
admin = ["*"]
[route]
public = { match = "/public", accept = "anyone" }
jwt = { match = "/jwt", accept = "jwt" }
api_key = { match = "/api_key", accept = "api_key" }
session = { match = "/session", accept = "session" }
full = { match = "/full/{owner}/{*rest}", accept = "jwt", limits = ["per-address", "per-principal"], allow = [{ roles = ["admin"] }, { permissions = ["bench:read"], scopes = ["bench"] }] }
"#;

pub(crate) struct Bench {
    pub(crate) gate: Gate,
    client: Client,
    now: Timestamp,
    requests: Vec<Request>,
    _folder: tempfile::TempDir,
}

pub(crate) struct Request {
    pub(crate) name: &'static str,
    target: &'static str,
    headers: HeaderMap,
}

impl Request {
    pub(crate) fn head<'a>(&'a self, bench: &'a Bench) -> CheckRequest<'a> {
        CheckRequest {
            listener: "main",
            method: &Method::GET,
            target: self.target,
            host: "bench.example",
            headers: &self.headers,
            client: &bench.client,
            public_origin: None,
            now: bench.now,
        }
    }
}

impl Bench {
    /// With a cache of this many credentials.
    pub(crate) async fn new(cached: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Arc::new(Signer::generate().expect("a key"));
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).expect("a JWKS");
        let settings = portcullis::config::parse(CONFIGURATION, "bench.toml", Path::new(folder.path()), &[])
            .expect("a good configuration")
            .settings;
        let clock = Arc::new(SystemClock);
        let now = clock.now();
        let store = Store::open(&settings.store, clock.clone(), Arc::new(Unobserved)).expect("memory opens");
        let revocations = Arc::new(RevocationSet::new(settings.max_staleness));
        // The log is not followed here: nothing is revoked, and for the requests, all of one moment, that is fresh.
        revocations.replace(Vec::new(), now);
        revocations.fresh_as_of(now);
        let shared = Arc::new(Shared {
            issuers: Arc::new(Issuers::new(&settings.issuers, clock.clone(), Arc::new(Unobserved)).expect("keys")),
            // One credential has its place as long as there is room for any.
            cache: Cache::new(cached, if cached == 0 { 0 } else { 1 << 30 }),
            introspector: None,
            passwords: None,
            revocations,
            maintenance: Arc::default(),
            proofs: Arc::new(Instance::new(&settings.dpop, &SystemEntropy)),
            limits: Limits::new(&settings.limits, clock.clone()),
            metrics: Arc::new(Metrics::new(&[])),
            clock,
            entropy: Arc::new(SystemEntropy),
        });
        let requests = requests(&store, &signer, now).await;
        let gate = Gate::new(&settings, shared, store, signer).expect("a gate");
        let client = Client {
            peer: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            trusted: false,
            https: true,
            certificate: None,
        };
        Self { gate, client, now, requests, _folder: folder }
    }

    pub(crate) fn requests(&self) -> &[Request] {
        &self.requests
    }
}

async fn requests(store: &Store, signer: &Signer, now: Timestamp) -> Vec<Request> {
    let seconds = now.as_secs();
    let claims = json!({
        "iss": "https://bench.invalid", "sub": "bench", "aud": "bench", "iat": seconds, "exp": seconds + 3600,
        "jti": "one", "scope": "bench", "roles": ["reader"],
    });
    let Value::Object(claims) = claims else { panic!("an object") };
    let bearer = format!("Bearer {}", signer.sign("at+jwt", &claims, &SystemEntropy).expect("a token"));
    let minted = api_key::mint("bench", &SystemEntropy);
    store.api_keys.create(&key_record(&minted, now)).await.expect("kept");
    let (cookie, digest) = session_secret::mint(&SystemEntropy);
    store.sessions.create(&digest, &session_record(now)).await.expect("kept");
    let cookie = format!("theme=dark; __Host-session={}", cookie.expose());
    vec![
        request("public", "/public", None),
        request("jwt ES256", "/jwt", Some(("authorization", &bearer))),
        request("api_key", "/api_key", Some(("x-api-key", minted.text.expose()))),
        request("session", "/session", Some(("cookie", &cookie))),
        request("jwt ES256 + limits + policy", "/full/bench/items/7", Some(("authorization", &bearer))),
    ]
}

/// With the headers that a browser sends anyway.
fn request(name: &'static str, target: &'static str, credential: Option<(&'static str, &str)>) -> Request {
    let mut headers = HeaderMap::new();
    for (header, value) in [
        ("host", "bench.example"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
        ),
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "en-GB,en;q=0.9"),
        ("accept-encoding", "gzip, deflate, br"),
    ] {
        headers.insert(header, HeaderValue::from_static(value));
    }
    if let Some((header, value)) = credential {
        headers.insert(HeaderName::from_static(header), HeaderValue::try_from(value).expect("a clean value"));
    }
    Request { name, target, headers }
}

/// A key, a message of a token's length and its signature.
pub(crate) fn es256() -> (PublicKey, Vec<u8>, Vec<u8>) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).expect("a key");
    let message = vec![b'x'; 400];
    let signature = pair.sign(&random, &message).expect("a signature").as_ref().to_vec();
    (
        PublicKey(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).expect("a key")),
        message,
        signature,
    )
}

pub(crate) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), aws_lc_rs::error::Unspecified> {
        self.0.verify_sig(message, signature)
    }
}

fn key_record(minted: &api_key::MintedKey, now: Timestamp) -> ApiKeyRecord {
    ApiKeyRecord {
        roles: vec!["reader".into()],
        scopes: vec!["bench".into()],
        ..ApiKeyRecord::new(&minted.id, minted.secret_sha256, Principal::new(LOCAL_ISSUER, "bench"), now)
    }
}

fn session_record(now: Timestamp) -> SessionRecord {
    let (id, hour) = (session_secret::public_id(&SystemEntropy), Duration::from_secs(3600));
    let record = SessionRecord::new(&id, Principal::new(LOCAL_ISSUER, "bench"), now, hour, 12 * hour);
    SessionRecord { roles: vec!["reader".into()], ..record }
}
