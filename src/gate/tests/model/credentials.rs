//! The credentials of the model.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::bench::NOW;
use super::Keys;
use super::records::{Record, Records};
use crate::crypto::digest::{hex, sha256};
use crate::crypto::{KeySet, api_key, base64url, session_secret};
use crate::model::identity::{LOCAL_ISSUER, MTLS_ISSUER};
use crate::model::settings::Algorithm;
use crate::model::{ApiKeyRecord, CredentialKind, Principal, SessionRecord, SystemEntropy};

pub(super) const ISS: &str = "https://id.example.com";
pub(super) const DNS: &str = "billing.svc";

/// One credential of the model.
pub(super) struct Credential {
    pub(super) name: &'static str,
    pub(super) kind: CredentialKind,
    pub(super) subject: &'static str,
    /// A token: which key signed it, and how long it lives. A key: how long it lives. A session: how long it may idle.
    pub(super) key: &'static str,
    pub(super) seconds: u64,
    pub(super) generation: u64,
}

const fn one(name: &'static str, kind: CredentialKind, subject: &'static str, seconds: u64) -> Credential {
    Credential { name, kind, subject, key: "k1", seconds, generation: 0 }
}

pub(super) const PLAIN: usize = 1;
pub(super) const BOUND: usize = 4;
pub(super) const CREDENTIALS: [Credential; 11] = [
    one("a token", CredentialKind::Jwt, "alice", 3600),
    one("a token without `jti` and `iat`", CredentialKind::Jwt, "alice", 3600),
    Credential { key: "k2", ..one("a token of the second key", CredentialKind::Jwt, "bob", 3600) },
    one("a token that ends soon", CredentialKind::Jwt, "bob", 40),
    one("a token bound to a certificate", CredentialKind::Jwt, "alice", 3600),
    one("a session", CredentialKind::Session, "carol", 1800),
    one("a session that may not idle", CredentialKind::Session, "carol", 20),
    Credential { generation: 1, ..one("a later session", CredentialKind::Session, "carol", 1800) },
    one("an API key", CredentialKind::ApiKey, "robot", 0),
    one("an API key that ends", CredentialKind::ApiKey, "robot", 90),
    one("a certificate", CredentialKind::Mtls, "billing", 0),
];

impl Credential {
    pub(super) fn is_stored(&self) -> bool {
        matches!(self.kind, CredentialKind::Session | CredentialKind::ApiKey)
    }

    pub(super) fn principal(&self) -> Principal {
        let issuer = match self.kind {
            CredentialKind::Jwt => ISS,
            CredentialKind::Mtls => MTLS_ISSUER,
            _ => LOCAL_ISSUER,
        };
        Principal::new(issuer, self.subject)
    }
}

pub(super) fn fingerprint() -> [u8; 32] {
    sha256(DNS.as_bytes())
}

/// What is sent, and the public name of the credential.
pub(super) struct Sent {
    pub(super) header: Option<(&'static str, String)>,
    pub(super) id: Arc<str>,
}

pub(super) fn make(at: usize, credential: &Credential, records: &Records) -> Sent {
    let Credential { kind, seconds, generation, .. } = *credential;
    let (id, principal): (Arc<str>, _) = (format!("c{at}").into(), credential.principal());
    match kind {
        CredentialKind::Jwt => {
            let token = token(at, credential);
            let input = token.rsplit_once('.').unwrap().0;
            let id = if at == PLAIN { format!("sha256:{}", hex(&sha256(input.as_bytes()))).into() } else { id };
            records.add(b"", NOW, None);
            Sent { header: Some(("authorization", format!("Bearer {token}"))), id }
        }
        CredentialKind::Session => {
            let (secret, digest) = session_secret::mint(&SystemEntropy);
            let record = SessionRecord {
                roles: vec!["reader".into()],
                generation,
                ..SessionRecord::new(&id, principal, NOW, Duration::from_secs(seconds), Duration::from_secs(3600))
            };
            records.add(&digest, NOW, Some(Record::Session(record)));
            Sent { header: Some(("cookie", format!("__Host-session={}", secret.expose()))), id }
        }
        CredentialKind::ApiKey => {
            let minted = api_key::mint("test", &SystemEntropy);
            let record = ApiKeyRecord {
                roles: vec!["reader".into()],
                expires_at: (seconds > 0).then(|| NOW.after(Duration::from_secs(seconds))),
                ..ApiKeyRecord::new(&minted.id, minted.secret_sha256, principal, NOW)
            };
            records.add(minted.id.as_bytes(), NOW, Some(Record::Key(record)));
            Sent { header: Some(("x-api-key", minted.text.expose().clone())), id: minted.id.as_str().into() }
        }
        _ => {
            records.add(b"", NOW, None);
            Sent { header: None, id: hex(&fingerprint()).into() }
        }
    }
}

fn secret(kid: &str) -> Vec<u8> {
    kid.as_bytes().repeat(16)
}

fn token(at: usize, credential: &Credential) -> String {
    let mut claims = json!({
        "iss": ISS, "aud": "orders", "sub": credential.subject, "roles": ["reader"], "jti": format!("c{at}"),
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + credential.seconds,
    });
    let members = claims.as_object_mut().unwrap();
    if at == PLAIN {
        members.remove("jti");
        members.remove("iat");
    }
    if at == BOUND {
        members.insert("cnf".to_owned(), json!({"x5t#S256": base64url::encode(&fingerprint())}));
    }
    let header = json!({"alg": "HS256", "kid": credential.key}).to_string();
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims.to_string()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret(credential.key));
    format!("{input}.{}", base64url::encode(aws_lc_rs::hmac::sign(&key, input.as_bytes()).as_ref()))
}

pub(super) fn set(keys: Keys) -> KeySet {
    let kids: &[&str] = match keys {
        Keys::First => &["k1"],
        Keys::Both => &["k1", "k2"],
        Keys::Second => &["k2"],
    };
    let jwks: Vec<Value> =
        kids.iter().map(|kid| json!({"kty": "oct", "kid": kid, "k": base64url::encode(&secret(kid))})).collect();
    KeySet::from_jwks(json!({ "keys": jwks }).to_string().as_bytes(), &[Algorithm::HS256], true).unwrap()
}
