//! What tests of this room share: a clock to set, keys of every kind, tokens of any shape, and a key server that can
//! fail in every way.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::dev_certs::DevCertificate;
use super::key::pem;
use super::{Issuers, KeyError, base64url};
use crate::model::settings::{Algorithm, ClaimPointers, IssuerSettings, JwksSettings, KeySource};
use crate::model::{Clock, Observer, Secret, Timestamp};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISS: &str = "https://id.example.com";

pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(NOW * 1000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) good: AtomicU64,
    pub(crate) bad: AtomicU64,
    pub(crate) demands: AtomicU64,
    /// As [`Observer::jwks_keys`] has it, in milliseconds.
    pub(crate) fetched_at: AtomicU64,
}

impl Observer for Counting {
    fn jwks_refresh(&self, _issuer: &str, ok: bool) {
        if ok { &self.good } else { &self.bad }.fetch_add(1, Ordering::SeqCst);
    }

    fn jwks_demand(&self, _issuer: &str) {
        self.demands.fetch_add(1, Ordering::SeqCst);
    }

    fn jwks_keys(&self, _issuer: &str, fetched_at: Timestamp) {
        self.fetched_at.store(fetched_at.0, Ordering::SeqCst);
    }
}

pub(crate) fn settings(keys: KeySource, algorithms: &[Algorithm]) -> IssuerSettings {
    IssuerSettings {
        name: "main".into(),
        issuer: ISS.into(),
        audiences: vec!["orders".into()],
        algorithms: algorithms.to_vec(),
        types: Vec::new(),
        leeway: Duration::from_secs(30),
        required_claims: Vec::new(),
        sender_constrained: false,
        max_lifetime: Duration::from_secs(24 * 3600),
        max_size: 8192,
        keys,
        claims: ClaimPointers { roles: None, groups: None, scopes: None, tenant: None, email: None, name: None },
    }
}

pub(crate) fn open(settings: IssuerSettings) -> Result<Issuers, KeyError> {
    Issuers::new(&[Arc::new(settings)], ManualClock::new(), Arc::new(crate::model::observer::Unobserved))
}

/// Claims that pass.
pub(crate) fn claims() -> Value {
    json!({"iss": ISS, "sub": "alice", "aud": "orders", "exp": NOW + 600, "iat": NOW})
}

/// `claims` with one of them replaced, or left out where `value` is `None`.
pub(crate) fn claims_with(name: &str, value: Option<Value>) -> Value {
    let mut claims = claims();
    match value {
        Some(value) => drop(claims.as_object_mut().unwrap().insert(name.to_owned(), value)),
        None => drop(claims.as_object_mut().unwrap().remove(name)),
    }
    claims
}

pub(crate) enum TestKey {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::rsa(rsa::KeySize::Rsa2048));
pub(crate) static P256: LazyLock<TestKey> = LazyLock::new(TestKey::p256);
pub(crate) static P384: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()));
pub(crate) static ED25519: LazyLock<TestKey> = LazyLock::new(|| TestKey::Ed(Ed25519KeyPair::generate().unwrap()));
pub(crate) static SECRET: LazyLock<TestKey> = LazyLock::new(|| TestKey::Secret((0..64).collect()));

impl TestKey {
    pub(crate) fn p256() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rsa(size: rsa::KeySize) -> Self {
        Self::Rsa(rsa::KeyPair::generate(size).unwrap())
    }

    /// A key that can be used with `algorithm`.
    pub(crate) fn of(algorithm: Algorithm) -> &'static Self {
        match algorithm.name() {
            "ES256" => &P256,
            "ES384" => &P384,
            "EdDSA" => &ED25519,
            name if name.starts_with('H') => &SECRET,
            _ => &RSA,
        }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(key) => key.public_key().as_der().unwrap(),
            Self::Ec(key) => key.public_key().as_der().unwrap(),
            Self::Ed(key) => key.public_key().as_der().unwrap(),
            Self::Secret(_) => panic!("a secret has no public half"),
        };
        der.as_ref().to_vec()
    }

    pub(crate) fn public_pem(&self) -> String {
        pem_text("PUBLIC KEY", &self.spki())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Secret(secret) => json!({"kty": "oct", "k": base64url::encode(secret)}),
            _ => pem::read(self.public_pem().as_bytes()).unwrap().jwk(),
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Self::Ec(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding: &'static dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token over texts, signed as the header's `alg` says.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let algorithm = serde_json::from_str::<Value>(header).ok().and_then(|h| Some(h["alg"].as_str()?.to_owned()));
        let input = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let signature = self.sign(&algorithm.unwrap_or_default(), input.as_bytes());
        format!("{input}.{}", base64url::encode(&signature))
    }

    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }
}

pub(crate) fn pem_text(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A file that goes with the value.
pub(crate) struct TestFile(tempfile::TempDir);

impl TestFile {
    pub(crate) fn new(content: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), content).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("file")
    }
}

pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// An issuer with the keys of a JWKS file.
pub(crate) fn with_jwks(keys: &[Value], algorithms: &[Algorithm]) -> Result<Issuers, KeyError> {
    let file = TestFile::new(jwks(keys));
    open(settings(KeySource::JwksFile(file.path()), algorithms))
}

pub(crate) fn with_secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Issuers, KeyError> {
    open(settings(KeySource::Secret(Secret::new(secret.to_vec())), algorithms))
}

#[derive(Clone)]
pub(crate) enum Answer {
    Json(String),
    /// The same, as a page.
    Html(String),
    /// The same, once it is let go.
    Held(watch::Receiver<bool>, String),
    Status(u16),
    Redirect(String),
    /// None, ever.
    Silence,
}

/// A key server on a free port of this machine.
pub(crate) struct KeyServer {
    pub(crate) origin: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    requests: watch::Receiver<u64>,
}

impl KeyServer {
    /// Serves `answer` at `/keys`.
    pub(crate) async fn start(answer: Answer) -> Self {
        Self::serve(answer, None).await
    }

    /// Likewise, over TLS with this certificate.
    pub(crate) async fn start_tls(answer: Answer, certificate: &DevCertificate) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        Self::serve(answer, Some(TlsAcceptor::from(Arc::new(config.unwrap())))).await
    }

    async fn serve(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(HashMap::from([("/keys".to_owned(), answer)])));
        let (count, requests) = watch::channel(0);
        let count = Arc::new(count);
        let shared = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, count) = (Arc::clone(&shared), Arc::clone(&count));
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let answer = answers.lock().unwrap().get(request.uri().path()).cloned();
                    count.send_modify(|count| *count += 1);
                    async move { Ok::<_, Infallible>(respond(answer.unwrap_or(Answer::Status(404))).await) }
                });
                let tls = tls.clone();
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(http.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { origin, answers, requests }
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub(crate) fn requests(&self) -> u64 {
        *self.requests.borrow()
    }

    /// Returns once there have been `count` requests.
    pub(crate) async fn reached(&self, count: u64) {
        let mut requests = self.requests.clone();
        requests.wait_for(|seen| *seen >= count).await.unwrap();
    }

    pub(crate) fn source(&self) -> KeySource {
        KeySource::JwksUrl { url: format!("{}/keys", self.origin), jwks: JwksSettings::default() }
    }
}

async fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let response = Response::builder();
    match answer {
        Answer::Json(body) => response.body(Full::from(body)),
        Answer::Html(body) => response.header("content-type", "text/html").body(Full::from(body)),
        Answer::Held(mut held, body) => {
            held.wait_for(|held| !held).await.unwrap();
            response.body(Full::from(body))
        }
        Answer::Status(status) => response.status(status).body(Full::default()),
        Answer::Redirect(to) => response.status(302).header("location", to).body(Full::default()),
        Answer::Silence => std::future::pending().await,
    }
    .unwrap()
}
