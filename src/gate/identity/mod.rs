//! Stage 4: verify, from the cache, from keys, or from the store.

mod api_key;
mod basic;
mod cache;
mod certificate;
mod changes;
mod claims;
mod flight;
mod foreign;
mod jwt;
mod opaque;
mod pattern;
mod recheck;
mod renew;
mod session;
mod touch;
mod weight;

use std::sync::Arc;
use std::time::Duration;

pub use basic::Passwords;
pub use cache::Cache;

use self::cache::{Entry, Key};
use self::certificate::CertificateRules;
use self::flight::verified_once;
pub(in crate::gate) use self::foreign::Foreign;
pub(in crate::gate) use self::recheck::ended;
use self::recheck::{Objection, recheck};
use super::Shared;
use super::credential::Presented;
use crate::crypto::digest::sha256_fields;
use crate::model::denial::Reason;
use crate::model::settings::{SessionLayout, Settings};
use crate::model::{Client, Denial, Timestamp, Verified};
use crate::store::{Store, StoreError};

/// Turns what was presented into what it proves.
pub struct Identities {
    shared: Arc<Shared>,
    store: Store,
    certificates: CertificateRules,
    /// Where sessions are the application's.
    foreign: Option<Arc<Foreign>>,
    /// Part of every key, so that what other verifiers have found does not count here.
    verifiers: [u8; 8],
}

impl Identities {
    /// With the verifiers that the settings name.
    pub fn new(settings: &Settings, shared: Arc<Shared>, store: Store) -> Self {
        let verifiers = shared.cache.verifiers().to_be_bytes();
        let foreign = match &settings.session.layout {
            SessionLayout::Portcullis => None,
            SessionLayout::Foreign(foreign) => Some(Arc::new(Foreign::new(foreign.clone()))),
        };
        Self { shared, store, certificates: CertificateRules::new(&settings.mtls), foreign, verifiers }
    }

    /// Verifies what was presented; cached or not, time, key, networks and certificate binding are checked each time.
    /// Revocation and what the route accepts are for the stages after.
    pub async fn resolve(
        &self,
        presented: Presented<'_>,
        client: &Client,
        now: Timestamp,
    ) -> Result<Arc<Verified>, Denial> {
        let key = self.key(presented);
        if let Some(entry) = self.shared.cache.find(&key, now) {
            match self.recheck(&entry, client, now) {
                Ok(()) => {
                    self.shared.metrics.credential(presented.kind(), true);
                    return Ok(self.used(presented, key, &entry, now));
                }
                Err(Objection::KeyGone) => self.shared.cache.remove(&key),
                Err(Objection::Denied(denial)) => return Err(denial),
            }
        }
        self.shared.metrics.credential(presented.kind(), false);
        let entry = self.verify(presented, key, now).await?;
        match self.recheck(&entry, client, now) {
            Ok(()) => Ok(self.used(presented, key, &entry, now)),
            Err(Objection::KeyGone) => {
                Err(Denial::because(Reason::TokenKeyUnknown, "the key left the issuer's set while it was used"))
            }
            Err(Objection::Denied(denial)) => Err(denial),
        }
    }

    fn key(&self, presented: Presented<'_>) -> Key {
        let bytes = match presented {
            Presented::Jwt(text)
            | Presented::Opaque(text)
            | Presented::Basic(text)
            | Presented::ApiKey(text)
            | Presented::Session(text) => text.as_bytes(),
            Presented::Certificate(certificate) => &certificate.fingerprint,
        };
        let fields = [presented.kind().name().as_bytes(), &self.verifiers, bytes];
        match (presented, &self.shared.passwords) {
            (Presented::Basic(_), Some(passwords)) => passwords.key(&fields),
            _ => sha256_fields(&fields),
        }
    }

    async fn verify(&self, presented: Presented<'_>, key: Key, now: Timestamp) -> Result<Arc<Entry>, Denial> {
        let cache = &self.shared.cache;
        if let Some(reason) = cache.find_unknown(&key, now) {
            return Err(Denial::because(reason, "not known a moment ago"));
        }
        match presented {
            Presented::Jwt(token) => {
                let verify = || {
                    let (issuers, token) = (Arc::clone(&self.shared.issuers), token.to_owned());
                    async move { Ok((jwt::identity(issuers.verify(&token, now).await?)?, None)) }
                };
                verified_once(cache, key, now, verify).await
            }
            Presented::Opaque(token) => {
                let introspector = self.shared.introspector.as_ref().ok_or_else(nothing_verifies)?;
                let verify = || {
                    let (introspector, token) = (Arc::clone(introspector), token.to_owned());
                    let cache = cache.clone();
                    async move {
                        let found = opaque::verify(introspector, token, now).await;
                        // An answer that refuses will do so again in a moment, and must not cost another call until then.
                        if let Err(denial) = &found
                            && denial.reason.row().status == 401
                        {
                            cache.insert_unknown(key, denial.reason, now);
                        }
                        found
                    }
                };
                verified_once(cache, key, now, verify).await
            }
            Presented::Basic(text) => {
                let passwords = self.shared.passwords.as_ref().ok_or_else(nothing_verifies)?;
                let login = basic::Login::parse(text)?;
                let verify = || {
                    let passwords = Arc::clone(passwords);
                    async move { passwords.verify(login).await }
                };
                verified_once(cache, key, now, verify).await
            }
            Presented::ApiKey(text) => {
                verified_once(cache, key, now, || api_key::verify(self.store.clone(), text.to_owned(), now)).await
            }
            Presented::Session(cookie) if let Some(foreign) = &self.foreign => {
                let verify = || Arc::clone(foreign).verify(self.store.clone(), cookie.to_owned(), now);
                verified_once(cache, key, now, verify).await
            }
            Presented::Session(cookie) => {
                verified_once(cache, key, now, || session::verify(self.store.clone(), cookie.to_owned(), now)).await
            }
            Presented::Certificate(certificate) => {
                let generation = cache.generation();
                let verified = self.certificates.identity(certificate)?;
                let entry = Arc::new(Entry::new((verified, None), generation, now));
                cache.insert(key, Arc::clone(&entry));
                Ok(entry)
            }
        }
    }

    fn recheck(&self, entry: &Entry, client: &Client, now: Timestamp) -> Result<(), Objection> {
        let has_key = |issuer: &str, thumbprint: &[u8; 32]| self.shared.issuers.has_key(issuer, thumbprint, now);
        recheck(&entry.verified, client, has_key, now)
    }

    /// Has the use noted where that is due, without waiting for it.
    fn used(&self, presented: Presented<'_>, key: Key, entry: &Entry, now: Timestamp) -> Arc<Verified> {
        if entry.touch.as_ref().is_some_and(|touch| touch.is_due(now)) {
            let store = self.store.clone();
            match presented {
                Presented::Session(cookie) => {
                    let (cache, cookie) = (self.shared.cache.clone(), cookie.to_owned());
                    tokio::spawn(async move {
                        if !session::touch(store, cookie, now).await {
                            cache.remove(&key);
                        }
                    });
                }
                Presented::ApiKey(_) => {
                    let id = Arc::clone(&entry.verified.credential_id);
                    // That a use could not be noted is in the store's metrics; it must not fail the request.
                    tokio::spawn(async move { store.api_keys.touch(&id, now).await.ok() });
                }
                Presented::Jwt(_) | Presented::Opaque(_) | Presented::Basic(_) | Presented::Certificate(_) => {}
            }
        }
        Arc::clone(&entry.verified)
    }
}

/// No gate is built of a route that accepts what nothing verifies.
fn nothing_verifies() -> Denial {
    Denial::because(Reason::Internal, "nothing verifies this kind of credential")
}

/// The store did not say; that is never cached.
fn unavailable(error: StoreError) -> Denial {
    const RETRY_AFTER: Duration = Duration::from_secs(1);
    Denial::because(Reason::StoreUnavailable, error.to_string()).retry_after(RETRY_AFTER)
}

/// Sorted and without duplicates, as [`Verified`] has its lists.
fn sorted(mut list: Vec<Arc<str>>) -> Vec<Arc<str>> {
    list.sort_unstable();
    list.dedup();
    list
}

#[cfg(test)]
mod tests;
