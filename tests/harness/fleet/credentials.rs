//! Credentials that are made to be revoked.

use std::sync::Arc;
use std::time::Duration;

use portcullis::crypto::{api_key, session_secret};
use portcullis::model::identity::LOCAL_ISSUER;
use portcullis::model::{ApiKeyRecord, Clock as _, Principal, Revocation, SessionRecord, SystemClock, SystemEntropy};
use portcullis::store::{RevokeError, Store, StoreError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;

use super::{Fleet, ISSUER};
use crate::harness::portcullis::{bearer, cookie};

/// How something is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One token, by its `jti`.
    Token,
    /// All that a principal got before now.
    Principal,
    /// One session.
    Session,
    /// All sessions of a principal.
    Sessions,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Token, Self::Principal, Self::Session, Self::Sessions, Self::ApiKey, Self::Certificate];
}

/// One credential, and how it is revoked.
pub struct Credential {
    pub kind: Kind,
    /// What a request carries: a header line, or nothing.
    pub line: String,
    /// What a connection carries.
    pub tls: Option<Arc<ClientConfig>>,
    end: End,
}

enum End {
    Session(String),
    ApiKey(String),
    Entry(Revocation),
}

/// Makes them.
pub struct Credentials<'a> {
    fleet: &'a mut Fleet,
    store: Store,
}

impl<'a> Credentials<'a> {
    /// In this store.
    pub fn new(fleet: &'a mut Fleet, store: Store) -> Self {
        Self { fleet, store }
    }

    /// One of a kind, of a principal of its own; an error where the store does not take it.
    pub async fn make(&mut self, kind: Kind) -> Result<Credential, StoreError> {
        let subject = session_secret::public_id(&SystemEntropy).to_string();
        let plain = |line, end| Credential { kind, line, tls: None, end };
        Ok(match kind {
            Kind::Token => {
                let revoked = Revocation::Token { issuer: ISSUER.into(), id: subject.as_str().into() };
                plain(bearer(&self.token(&subject, 0)), End::Entry(revoked))
            }
            Kind::Principal => {
                let principal = Principal::new(ISSUER, &subject);
                let revoked = Revocation::PrincipalBefore { principal, before: SystemClock.now() };
                plain(bearer(&self.token(&subject, 60)), End::Entry(revoked))
            }
            Kind::Session => {
                let (value, id) = self.session(&subject).await?;
                plain(cookie(&value), End::Session(id))
            }
            Kind::Sessions => {
                let (value, _) = self.session(&subject).await?;
                let principal = Principal::new(LOCAL_ISSUER, &subject);
                plain(cookie(&value), End::Entry(Revocation::Sessions { principal, generation: u64::MAX >> 12 }))
            }
            Kind::ApiKey => {
                let minted = api_key::mint("fleet", &SystemEntropy);
                let principal = Principal::new(LOCAL_ISSUER, &subject);
                let record = ApiKeyRecord::new(&minted.id, minted.secret_sha256, principal, SystemClock.now());
                self.store.api_keys.create(&record).await?;
                plain(format!("X-Api-Key: {}\r\n", minted.text.expose()), End::ApiKey(minted.id.to_string()))
            }
            Kind::Certificate => self.certificate(&subject),
        })
    }

    fn token(&self, subject: &str, age: u64) -> String {
        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": "fleet", "jti": subject, "iat": now - age, "exp": now + 3600,
        });
        self.fleet.signer.sign("at+jwt", claims.as_object().expect("an object"), &SystemEntropy).expect("a token")
    }

    async fn session(&self, subject: &str) -> Result<(String, String), StoreError> {
        let (value, digest) = session_secret::mint(&SystemEntropy);
        let id = session_secret::public_id(&SystemEntropy);
        let (principal, hour) = (Principal::new(LOCAL_ISSUER, subject), Duration::from_secs(3600));
        let record = SessionRecord::new(&id, principal, SystemClock.now(), hour, 12 * hour);
        self.store.sessions.create(&digest, &record).await?;
        Ok((value.expose().clone(), id.to_string()))
    }

    fn certificate(&mut self, subject: &str) -> Credential {
        self.fleet.authority.client(subject, &format!("spiffe://fleet.test/{subject}"));
        let file = |name: &str, extension: &str| self.fleet.folder.path().join(format!("{name}.{extension}"));
        let certificates = |path| {
            let read = CertificateDer::pem_file_iter(path).expect("a certificate");
            read.collect::<Result<Vec<_>, _>>().expect("a certificate")
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(file("ca", "pem")));
        let chain = certificates(file(subject, "pem"));
        let digest = portcullis::crypto::digest::sha256(&chain[0]);
        let key = PrivateKeyDer::from_pem_file(file(subject, "key")).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .expect("a certificate and its key");
        let fingerprint = portcullis::crypto::digest::hex(&digest).into();
        Credential {
            kind: Kind::Certificate,
            line: String::new(),
            tls: Some(Arc::new(config)),
            end: End::Entry(Revocation::Certificate { fingerprint }),
        }
    }
}

impl Credential {
    /// Revokes it; returns once the store has it.
    pub async fn revoke(&self, store: &Store) -> Result<(), RevokeError> {
        let now = SystemClock.now();
        match &self.end {
            End::Session(id) => store.revoke_session(id, now).await.map(drop),
            End::ApiKey(id) => store.revoke_api_key(id, now).await.map(drop),
            End::Entry(what) => {
                let until = now.after(Duration::from_secs(2 * 3600));
                store.revoke(what.clone(), until).await.map(drop)
            }
        }
    }
}
