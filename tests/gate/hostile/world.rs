//! Issuers of every algorithm, and the ways to ask about a token: the issuers alone, and a gate.

use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderValue, Method};
use portcullis::crypto::{Issuers, Signer, VerifiedToken, base64url};
use portcullis::gate::identity::Cache;
use portcullis::gate::limit::Limits;
use portcullis::gate::proof::Instance;
use portcullis::gate::revocation::RevocationSet;
use portcullis::gate::{CheckRequest, Gate, Shared};
use portcullis::model::denial::Reason;
use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{Algorithm, IssuerSettings, KeySource};
use portcullis::model::{Client, Clock, Denial, SystemEntropy, Timestamp};
use portcullis::store::Store;
use portcullis::telemetry::Metrics;
use serde_json::{Value, json};

use super::super::keys::{Key, RSA};

/// When all tokens are judged, in seconds.
pub(super) const NOW: u64 = 1_800_000_000;

/// Signatures that no honest library makes; see `make.py` beside it.
pub(super) const FIXED: &str = include_str!("../../fixtures/hostile/signatures.json");

pub(super) static P256: LazyLock<Key> = LazyLock::new(Key::p256);
pub(super) static P384: LazyLock<Key> = LazyLock::new(Key::p384);
pub(super) static ED25519: LazyLock<Key> = LazyLock::new(Key::ed25519);
pub(super) static SECRET: LazyLock<Key> = LazyLock::new(|| Key::Secret((1..=64).collect()));

/// Issuer `https://ALG.example` for each algorithm has one key and allows that algorithm alone. `https://all.example`,
/// the worst configuration, has all keys and allows all. `https://fixed.example` has the keys of [`FIXED`].
pub(super) struct World {
    pub(super) issuers: Arc<Issuers>,
    gate: Gate,
    client: Client,
    _folder: tempfile::TempDir,
}

struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW)
    }
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, keys: &[Value]| {
            let path = folder.path().join(name);
            std::fs::write(&path, json!({ "keys": keys }).to_string()).expect("a file can be written");
            path
        };
        write("jwks.json", &[jwk(&P256, "any")]);
        let mut settings = portcullis::config::parse(CONFIGURATION, "test.toml", folder.path(), &[])
            .unwrap_or_else(|problems| panic!("{}", crate::harness::portcullis::rendered(&problems)))
            .settings;
        let any = settings.issuers.pop().expect("one issuer");
        let issuer = |name: &str, algorithms: &[Algorithm], keys: &[Value]| {
            Arc::new(IssuerSettings {
                name: name.into(),
                issuer: format!("https://{name}.example").into(),
                algorithms: algorithms.to_vec(),
                keys: KeySource::JwksFile(write(name, keys)),
                ..IssuerSettings::clone(&any)
            })
        };
        for algorithm in Algorithm::ALL {
            let name = algorithm.name();
            settings.issuers.push(issuer(&name.to_lowercase(), &[algorithm], &[jwk(key_of(name), name)]));
        }
        let all = [(&*P256, "p256"), (&*P384, "p384"), (&*ED25519, "ed25519"), (&*RSA, "rsa"), (&*SECRET, "secret")];
        settings.issuers.push(issuer("all", &Algorithm::ALL, &all.map(|(key, kid)| jwk(key, kid))));
        let fixed: Value = serde_json::from_str(FIXED).expect("JSON");
        let asymmetric: Vec<_> = Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect();
        settings.issuers.push(issuer("fixed", &asymmetric, fixed["keys"].as_array().expect("keys")));
        let mut route = settings.routes.first().expect("a route").as_ref().clone();
        let portcullis::model::settings::Accept::OneOf { alternatives, .. } = &mut route.accept else {
            panic!("the route accepts tokens")
        };
        let one = alternatives.pop().expect("one");
        for issuer in &settings.issuers {
            alternatives
                .push(portcullis::model::settings::Alternative { issuer: Some(issuer.name.clone()), ..one.clone() });
        }
        settings.routes = vec![Arc::new(route)];

        let clock = Arc::new(Held);
        let issuers = Issuers::new(&settings.issuers, clock.clone(), Arc::new(Unobserved)).expect("good keys");
        let issuers = Arc::new(issuers);
        let revocations = RevocationSet::new(settings.max_staleness);
        revocations.fresh_as_of(clock.now());
        let shared = Arc::new(Shared {
            issuers: issuers.clone(),
            cache: Cache::new(10_000, 1 << 30),
            revocations: Arc::new(revocations),
            limits: Limits::new(&settings.limits, clock.clone()),
            metrics: Arc::new(Metrics::new(&[])),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            maintenance: Arc::default(),
            proofs: Arc::new(Instance::new(&settings.dpop, &SystemEntropy)),
            introspector: None,
            passwords: None,
        });
        let store = Store::open(&settings.store, clock, Arc::new(Unobserved)).expect("memory opens");
        let signer = Arc::new(Signer::generate().expect("a key"));
        let gate = Gate::new(&settings, shared, store, signer).expect("a gate");
        let address = "192.0.2.1".parse().expect("an address");
        let client = Client { peer: None, address, trusted: false, https: true, certificate: None };
        Self { issuers, gate, client, _folder: folder }
    }

    /// What the issuers say.
    pub(super) async fn verify(&self, token: &str) -> Result<VerifiedToken, Denial> {
        self.issuers.verify(token, Timestamp::from_secs(NOW)).await
    }

    /// What the gate says of a request with the token as its bearer; `None`: no header can carry it.
    pub(super) async fn check(&self, token: &str) -> Option<Result<String, Reason>> {
        if token.starts_with(' ') {
            // A space more after the scheme, which is no part of the token.
            return None;
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).ok()?);
        let request = CheckRequest {
            listener: "main",
            method: &Method::GET,
            target: "/",
            host: "app.example",
            headers: &headers,
            client: &self.client,
            public_origin: None,
            now: Timestamp::from_secs(NOW),
        };
        Some(match self.gate.check(&request).await {
            Ok(permit) => Ok(permit.identity().verified().expect("somebody").principal.subject.to_string()),
            Err(denial) => Err(denial.reason),
        })
    }
}

const CONFIGURATION: &str = r#"
listener.main.bind = "127.0.0.1:0"
store.url = "memory:"
[issuer.any]
url = "https://any.example"
audiences = ["orders"]
keys.jwks_file = "jwks.json"
[route]
app = { match = "/{*rest}", accept = "jwt", upstream = "http://127.0.0.1:1" }
"#;

/// The key of the issuer for this algorithm.
pub(super) fn key_of(algorithm: &str) -> &'static Key {
    match algorithm {
        "ES256" => &P256,
        "ES384" => &P384,
        "EdDSA" => &ED25519,
        name if name.starts_with('H') => &SECRET,
        _ => &RSA,
    }
}

/// The key as others may have it (a secret: as only the issuer may).
pub(super) fn jwk(key: &Key, kid: &str) -> Value {
    use aws_lc_rs::signature::KeyPair;
    let text = base64url::encode;
    match key {
        Key::Secret(secret) => json!({"kty": "oct", "kid": kid, "k": text(secret)}),
        Key::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(key.public_key().as_ref())}),
        Key::Ec(key) => {
            let point = key.public_key().as_ref();
            let (x, y) = point[1..].split_at(point.len() / 2);
            let crv = if x.len() == 32 { "P-256" } else { "P-384" };
            json!({"kty": "EC", "crv": crv, "kid": kid, "x": text(x), "y": text(y)})
        }
        Key::Rsa(key) => {
            // RSAPublicKey: two integers at the end, of 257 bytes (a zero first) and of 3.
            let der = key.public_key().as_ref();
            let (front, e) = der.split_at(der.len() - 3);
            let n = &front[front.len() - 2 - 256..front.len() - 2];
            json!({"kty": "RSA", "kid": kid, "n": text(n), "e": text(e)})
        }
    }
}
