//! The configured issuers and their keys, isolated from each other.

use std::sync::Arc;

use super::VerifiedToken;
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
pub struct Issuers {}

impl Issuers {
    /// Reads key files and secrets now; keys behind URLs are had by [`Issuers::refresh`] and [`Issuers::run`].
    pub fn new(
        settings: &[Arc<IssuerSettings>],
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, KeyError> {
        let _ = (settings, clock, observer);
        todo!()
    }

    /// Verifies a token: signature, algorithm, `iss`, `aud`, `typ`, `crit`, times, size. Awaits only where a `kid` is
    /// unknown and its issuer's keys may be fetched again; concurrent callers share that fetch.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, Denial> {
        let _ = (token, now);
        todo!()
    }

    /// Whether the issuer of this configured name still has the key of this thumbprint and may use it now.
    pub fn has_key(&self, issuer_name: &str, thumbprint: &[u8; 32], now: Timestamp) -> bool {
        let _ = (issuer_name, thumbprint, now);
        todo!()
    }

    /// Fetches the keys of every remote issuer once, all at a time; the problems of those that failed.
    pub async fn refresh(&self) -> Vec<KeyError> {
        todo!()
    }

    /// Keeps remote keys fresh until dropped.
    pub async fn run(&self) {
        todo!()
    }
}
