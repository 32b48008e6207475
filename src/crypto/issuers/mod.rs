//! The configured issuers and their keys, isolated from each other.

pub(in crate::crypto) mod fetch;
mod issuer;
mod refresh;
mod schedule;
mod snapshot;
pub(in crate::crypto) mod source;
pub(in crate::crypto) mod target;

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use futures_util::future::join_all;
use tokio::runtime::Handle;

use self::issuer::Issuer;
use self::source::Trust;
use super::VerifiedToken;
use super::jwt::claims;
use super::jwt::compact::Compact;
use super::jwt::header::Header;
use super::shown::Shown;
use crate::model::denial::Reason;
use crate::model::settings::IssuerSettings;
use crate::model::{Clock, Denial, Observer, Timestamp};

/// Why an issuer's keys cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("issuer.{issuer}: {problem}")]
pub struct KeyError {
    /// The configured name.
    pub issuer: Arc<str>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// All issuers.
pub struct Issuers {
    by_iss: HashMap<Arc<str>, Arc<Issuer>>,
    by_name: HashMap<Arc<str>, Arc<Issuer>>,
    /// The largest `max_size`: what is longer is not even looked at.
    max_size: usize,
}

impl Issuers {
    /// Reads key files and secrets now; keys behind URLs are had by [`Issuers::refresh`] and [`Issuers::run`].
    pub fn new(
        settings: &[Arc<IssuerSettings>],
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, KeyError> {
        Self { by_iss: HashMap::new(), by_name: HashMap::new(), max_size: 0 }.renewed(settings, clock, observer)
    }

    /// By these settings from now on; files are read again. An issuer whose keys come from the same place, vouched for by
    /// the same certificates, keeps those that it has fetched. [`Issuers::run`] of these takes the place of that of the
    /// ones before.
    pub fn renewed(
        &self,
        settings: &[Arc<IssuerSettings>],
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, KeyError> {
        let mut all = Self { by_iss: HashMap::new(), by_name: HashMap::new(), max_size: 0 };
        let mut trust = Trust::default();
        for one in settings {
            let failed = |problem| KeyError { issuer: Arc::clone(&one.name), problem };
            let issuer = Issuer::new(Arc::clone(one), &mut trust, Arc::clone(&clock), Arc::clone(&observer));
            let issuer = issuer.map_err(failed)?;
            let known = self.by_name.get(&one.name).filter(|known| known.has_keys_of(&issuer));
            let issuer = match known {
                Some(known) if known.settings() == issuer.settings() => Arc::clone(known),
                known => {
                    known.iter().for_each(|known| issuer.take_over(known));
                    Arc::new(issuer)
                }
            };
            if let Some(other) = all.by_iss.insert(Arc::clone(&one.issuer), Arc::clone(&issuer)) {
                let same = format!("has the same `iss` as issuer.{}; a token could not tell them apart", other.name());
                return Err(failed(same));
            }
            if all.by_name.insert(Arc::clone(&one.name), issuer).is_some() {
                return Err(failed("stands twice".to_owned()));
            }
            all.max_size = all.max_size.max(one.max_size);
        }
        Ok(all)
    }

    /// Verifies a token: signature, algorithm, `iss`, `aud`, `typ`, `crit`, times, size. Awaits only where
    /// other keys could say otherwise (its `kid` is unknown, or it names no single key and none made it) and may be
    /// fetched again; concurrent callers share that fetch.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, Denial> {
        check_size(token, self.max_size)?;
        let Compact { signing_input, header, claims, signature } = Compact::parse(token)?;
        let header = Header::read(&header)?;
        let issuer = self.by_iss(claims::issuer(&claims)?)?;
        let settings = issuer.settings();
        check_size(token, settings.max_size)?;
        let algorithm = header.algorithm(settings)?;
        header.check_type(settings)?;
        let thumbprint = issuer.prove(header.key_id, algorithm, signing_input.as_bytes(), &signature, now).await?;
        claims::check(settings, claims, signing_input, thumbprint, now)
    }

    /// Whether the issuer of this configured name still has the key of this thumbprint and may use it now.
    pub fn has_key(&self, issuer_name: &str, thumbprint: &[u8; 32], now: Timestamp) -> bool {
        self.by_name.get(issuer_name).is_some_and(|issuer| issuer.has_key(thumbprint, now))
    }

    /// Fetches the keys of every remote issuer once, all at a time; the problems of those that failed.
    pub async fn refresh(&self) -> Vec<KeyError> {
        self.fetch(|_| true).await
    }

    /// Fetches the keys of every remote issuer that has none; the problems of those that failed.
    pub async fn fetch_missing(&self) -> Vec<KeyError> {
        self.fetch(|issuer| issuer.has_none()).await
    }

    async fn fetch(&self, which: impl Fn(&Issuer) -> bool) -> Vec<KeyError> {
        let fetches = self.by_name.values().filter(|i| i.is_remote() && which(i)).map(|issuer| async {
            let outcome = issuer.fetch_now().await;
            outcome.err().map(|problem| KeyError { issuer: Arc::clone(issuer.name()), problem })
        });
        join_all(fetches).await.into_iter().flatten().collect()
    }

    /// Keeps remote keys fresh until dropped. Fetches that verification asks for run here too, as long as it does.
    pub async fn run(&self) {
        let home = Handle::current();
        let loops = self.by_name.values().filter(|i| i.is_remote()).map(|issuer| issuer.keep_fresh(home.clone()));
        join_all(loops).await;
        std::future::pending().await
    }

    fn by_iss(&self, iss: &str) -> Result<&Arc<Issuer>, Denial> {
        self.by_iss.get(iss).ok_or_else(|| {
            Denial::because(Reason::TokenIssuer, format!("iss: token has {}, no issuer has it", Shown(iss)))
        })
    }
}

fn check_size(token: &str, most: usize) -> Result<(), Denial> {
    let has = token.len();
    if has <= most {
        return Ok(());
    }
    Err(Denial::because(Reason::TokenTooLarge, format!("size: token has {has} bytes, {most} are wanted at most")))
}

#[cfg(test)]
mod tests;
