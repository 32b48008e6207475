//! What can be done to credentials: the one place for the admin socket and for commands that speak to a shared store.

mod grants;
mod issuers;
mod keys;
mod revocations;
mod revoke;
mod revoke_subject;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

pub use self::grants::{Grants, principal, public_id};
pub use self::keys::NewKey;
pub use self::revocations::{DEFAULT_LIMIT, MOST, listed};
pub use self::revoke::Revoke;
pub use self::sessions::{EndedSession, NewSession};
use crate::model::settings::{IssuerSettings, SessionSettings, Settings};
use crate::model::{Clock, Entropy};
use crate::store::{RevokeError, Store, StoreError};

/// Operations over a store.
pub struct Operations {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    environment: Arc<str>,
    session: SessionSettings,
    issuers: Vec<Arc<IssuerSettings>>,
    /// The issuer of opaque tokens.
    opaque: Option<Arc<str>>,
}

/// Why an operation did not happen, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// `API key` or `session`.
        what: &'static str,
        /// What was looked for.
        id: String,
    },
    /// The store did not do it.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The store did not revoke it.
    #[error("store: {0}")]
    Revoke(#[from] RevokeError),
    /// The store did a part of it.
    #[error("store: {problem}; in force: {in_force}; not finished: {rest}; call again, which is safe")]
    Unfinished {
        /// What is revoked everywhere.
        in_force: String,
        /// What was to be done then.
        rest: &'static str,
        /// Why it was not.
        problem: StoreError,
    },
}

impl Operations {
    /// Over this store, with issuers, the environment of keys and the lifetimes of sessions from `settings`.
    pub fn new(settings: &Settings, store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            store,
            clock,
            entropy,
            environment: Arc::clone(&settings.api_key.environment),
            session: settings.session.clone(),
            issuers: settings.issuers.clone(),
            opaque: settings.opaque.as_ref().map(|opaque| Arc::clone(&opaque.issuer)),
        }
    }

    /// How long anything can be valid that says when it was issued.
    fn longest_lifetime(&self) -> Duration {
        let tokens = self.issuers.iter().map(|issuer| issuer.max_lifetime.saturating_add(issuer.leeway));
        tokens.fold(self.session.absolute_timeout, Duration::max)
    }
}
