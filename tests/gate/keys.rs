//! Keys of every kind, tokens of any shape, and a server of keys.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use portcullis::crypto::base64url;
use portcullis::model::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::harness::upstream::Upstream;

/// A key that signs.
pub enum Key {
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// Made once: it takes long.
pub static RSA: LazyLock<Key> =
    LazyLock::new(|| Key::Rsa(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key")));

impl Key {
    pub fn p256() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub fn p384() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }

    pub fn ed25519() -> Self {
        Self::Ed(Ed25519KeyPair::generate().expect("a key"))
    }

    /// The public half as PEM.
    pub fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(key) => key.public_key().as_der().expect("DER"),
            Self::Ec(key) => key.public_key().as_der().expect("DER"),
            Self::Ed(key) => key.public_key().as_der().expect("DER"),
            Self::Secret(_) => panic!("a secret has no public half"),
        };
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// The public half as a JWK (P-256 alone).
    pub fn jwk(&self, kid: &str) -> Value {
        let Self::Ec(key) = self else { panic!("only P-256 keys are served") };
        let point = key.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
            "x": base64url::encode(&point[1..33]), "y": base64url::encode(&point[33..65]),
        })
    }

    /// A token over these texts, signed by this algorithm whatever the header says.
    pub fn token_of(&self, algorithm: &str, header: &str, claims: &str) -> String {
        self.token_of_bytes(algorithm, header.as_bytes(), claims.as_bytes())
    }

    /// The same over bytes that may be no text.
    pub fn token_of_bytes(&self, algorithm: &str, header: &[u8], claims: &[u8]) -> String {
        let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
        let signature = self.sign(algorithm, input.as_bytes());
        format!("{input}.{}", base64url::encode(&signature))
    }

    /// A token with this header, signed as it says.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(header["alg"].as_str().unwrap_or_default(), &header.to_string(), &claims.to_string())
    }

    /// A signature by this algorithm.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Self::Ec(key) => key.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

/// Claims of `alice` at this issuer that pass.
pub fn claims(iss: &str) -> Value {
    let now = SystemClock.now().as_secs();
    json!({"iss": iss, "sub": "alice", "aud": "orders", "iat": now, "exp": now + 600})
}

/// The same with one claim replaced, or with `null` removed.
pub fn claims_with(iss: &str, name: &str, value: Value) -> Value {
    let mut claims = claims(iss);
    let members = claims.as_object_mut().expect("an object");
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    claims
}

/// `[issuer.NAME]` with a public key in a file of its own, at `https://NAME.example`.
pub fn pem_issuer(folder: &Path, name: &str, key: &Key) -> String {
    std::fs::write(folder.join(format!("{name}.pem")), key.public_pem()).expect("a file can be written");
    format!(
        "[issuer.{name}]\nurl = \"https://{name}.example\"\naudiences = [\"orders\"]\nkeys.pem_file = \"{name}.pem\"\n"
    )
}

/// Serves a JWKS that can change, fail and keep its clients waiting.
pub struct KeyServer {
    server: Upstream,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// `None`: the connection is closed instead.
    answer: Mutex<Option<(u16, String)>>,
    asked: AtomicUsize,
    held: Mutex<bool>,
    released: Condvar,
}

impl KeyServer {
    /// With these keys.
    pub fn start(keys: &[Value]) -> Self {
        let shared = Arc::new(Shared::default());
        let for_server = Arc::clone(&shared);
        let server = Upstream::answering(move |_| {
            for_server.asked.fetch_add(1, Ordering::SeqCst);
            let mut held = for_server.held.lock().expect("no panic");
            while *held {
                held = for_server.released.wait(held).expect("no panic");
            }
            match &*for_server.answer.lock().expect("no panic") {
                None => Vec::new(),
                Some((status, body)) => {
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
                }
            }
        });
        let server = Self { server, shared };
        server.serve(keys);
        server
    }

    /// From now on with these keys.
    pub fn serve(&self, keys: &[Value]) {
        self.answer(Some((200, json!({ "keys": keys }).to_string())));
    }

    /// From now on with this status and body; `None`: breaks off.
    pub fn answer(&self, answer: Option<(u16, String)>) {
        *self.shared.answer.lock().expect("no panic") = answer;
    }

    /// Lets those who ask wait until told otherwise.
    pub fn hold(&self, hold: bool) {
        *self.shared.held.lock().expect("no panic") = hold;
        self.shared.released.notify_all();
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Where the keys are.
    pub fn url(&self) -> String {
        format!("{}/keys", self.server.url())
    }
}
