//! What can be done to credentials: the one place for the admin socket and for commands that speak to a shared store.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::views::{CreatedKey, CreatedSession, KeyView, SessionView};
use crate::crypto::{api_key, session_secret};
use crate::model::identity::LOCAL_ISSUER;
use crate::model::settings::{SessionLayout, SessionSettings, Settings};
use crate::model::{ApiKeyRecord, Clock, Entropy, Principal, Secret, SessionRecord};
use crate::store::{RevokeError, Store, StoreError};

/// Operations over a store.
pub struct Operations {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    environment: Arc<str>,
    session: SessionSettings,
}

/// Why an operation did not happen.
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
    /// The store did not revoke it, or not all of it.
    #[error("store: {0}")]
    Revoke(#[from] RevokeError),
}

/// An API key to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose.
    pub subject: String,
    /// The issuer of that subject; [`LOCAL_ISSUER`] if absent.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub label: Option<String>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Networks that may use it; empty means any.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// When it ends; absent: when it is revoked.
    #[serde(default)]
    pub expires_in_seconds: Option<u64>,
}

/// A session to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// Whose.
    pub subject: String,
    /// The issuer of that subject; [`LOCAL_ISSUER`] if absent.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// E-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Display name.
    #[serde(default)]
    pub name: Option<String>,
}

impl Operations {
    /// Over this store, with the environment of keys and the lifetimes of sessions from `settings`.
    pub fn new(settings: &Settings, store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let environment = Arc::clone(&settings.api_key.environment);
        Self { store, clock, entropy, environment, session: settings.session.clone() }
    }

    /// Makes an API key.
    pub async fn create_key(&self, new: NewKey) -> Result<CreatedKey, OperationError> {
        let principal = principal(new.issuer.as_deref(), &new.subject)?;
        let now = self.clock.now();
        let expires_at = match new.expires_in_seconds {
            Some(0) => return Err(OperationError::Invalid("a key that ends at once is of no use".to_owned())),
            other => other.map(|seconds| now.after(Duration::from_secs(seconds))),
        };
        let minted = api_key::mint(&self.environment, &*self.entropy);
        let record = ApiKeyRecord {
            label: optional("label", new.label)?,
            roles: list("role", new.roles)?,
            scopes: list("scope", new.scopes)?,
            groups: list("group", new.groups)?,
            tenant: optional("tenant", new.tenant)?,
            networks: new.networks,
            expires_at,
            ..ApiKeyRecord::new(&minted.id, minted.secret_sha256, principal, now)
        };
        self.store.api_keys.create(&record).await?;
        tracing::info!(key = &*record.id, principal = %record.principal, "API key created");
        Ok(CreatedKey { key: minted.text, record: KeyView::new(record, now) })
    }

    /// All API keys, or those of one principal, oldest first.
    pub async fn list_keys(&self, of: Option<&Principal>) -> Result<Vec<KeyView>, OperationError> {
        let now = self.clock.now();
        let mut records = self.store.api_keys.list().await?;
        records.retain(|record| of.is_none_or(|principal| record.principal == *principal));
        Ok(records.into_iter().map(|record| KeyView::new(record, now)).collect())
    }

    /// One API key.
    pub async fn show_key(&self, id: &str) -> Result<KeyView, OperationError> {
        let record = self.store.api_keys.find(id).await?.ok_or_else(|| no_key(id))?;
        Ok(KeyView::new(record, self.clock.now()))
    }

    /// Revokes an API key everywhere.
    pub async fn revoke_key(&self, id: &str) -> Result<KeyView, OperationError> {
        let now = self.clock.now();
        let record = self.store.revoke_api_key(id, now).await?.ok_or_else(|| no_key(id))?;
        tracing::info!(key = id, principal = %record.principal, "API key revoked");
        Ok(KeyView::new(record, now))
    }

    /// Makes a session, as if its principal had just logged in.
    pub async fn create_session(&self, new: NewSession) -> Result<CreatedSession, OperationError> {
        if let SessionLayout::Foreign(foreign) = &self.session.layout {
            let layout = foreign.format.name();
            let problem = format!("`session.layout` is `{layout}`: only the application makes sessions");
            return Err(OperationError::Invalid(problem));
        }
        let now = self.clock.now();
        let mut attributes = Map::new();
        for (name, value) in [("email", new.email), ("name", new.name)] {
            if let Some(value) = optional(name, value)? {
                attributes.insert(name.to_owned(), Value::String(value.to_string()));
            }
        }
        let (id, principal) =
            (session_secret::public_id(&*self.entropy), principal(new.issuer.as_deref(), &new.subject)?);
        let SessionSettings { idle_timeout, absolute_timeout, .. } = self.session;
        let record = SessionRecord {
            roles: list("role", new.roles)?,
            groups: list("group", new.groups)?,
            scopes: list("scope", new.scopes)?,
            tenant: optional("tenant", new.tenant)?,
            attributes,
            ..SessionRecord::new(&id, principal, now, idle_timeout, absolute_timeout)
        };
        let (secret, secret_sha256) = session_secret::mint(&*self.entropy);
        self.store.sessions.create(&secret_sha256, &record).await?;
        tracing::info!(session = &*record.id, principal = %record.principal, "session created");
        let cookie = Secret::new(format!("{}={}", self.session.cookie, secret.expose()));
        Ok(CreatedSession { cookie, session: record.into() })
    }

    /// All live sessions, or those of one principal, oldest first.
    pub async fn list_sessions(&self, of: Option<&Principal>) -> Result<Vec<SessionView>, OperationError> {
        let records = self.store.sessions.list(of, self.clock.now()).await?;
        Ok(records.into_iter().map(SessionView::from).collect())
    }

    /// Ends a session everywhere.
    pub async fn revoke_session(&self, id: &str) -> Result<SessionView, OperationError> {
        let record = self.store.revoke_session(id, self.clock.now()).await?;
        let record = record.ok_or_else(|| OperationError::NotFound { what: "session", id: id.to_owned() })?;
        tracing::info!(session = id, principal = %record.principal, "session revoked");
        Ok(record.into())
    }
}

/// The pair that a request names.
pub fn principal(issuer: Option<&str>, subject: &str) -> Result<Principal, OperationError> {
    let issuer = issuer.unwrap_or(LOCAL_ISSUER);
    Ok(Principal::new(plain("issuer", issuer)?, plain("subject", subject)?))
}

fn no_key(id: &str) -> OperationError {
    OperationError::NotFound { what: "API key", id: id.to_owned() }
}

/// Longest value, in bytes: all of them must fit in a header together.
const MAX_LENGTH: usize = 256;

fn plain<'a>(field: &str, value: &'a str) -> Result<&'a str, OperationError> {
    let problem = if value.is_empty() {
        "may not be empty"
    } else if value.len() > MAX_LENGTH {
        "is longer than 256 bytes"
    } else if value.chars().any(char::is_control) {
        "contains a control character"
    } else {
        return Ok(value);
    };
    Err(OperationError::Invalid(format!("the {field} {problem}")))
}

fn optional(field: &str, value: Option<String>) -> Result<Option<Arc<str>>, OperationError> {
    value.map(|value| plain(field, &value).map(Arc::from)).transpose()
}

/// Sorted, without duplicates. Roles, scopes and groups are told to upstreams in one header each, so an entry that holds
/// the separator would be read as two.
fn list(field: &str, values: Vec<String>) -> Result<Vec<Arc<str>>, OperationError> {
    let mut list: Vec<Arc<str>> = Vec::with_capacity(values.len());
    for value in &values {
        if plain(field, value)?.contains([',', ' ']) {
            return Err(OperationError::Invalid(format!("the {field} `{value}` contains a comma or a space")));
        }
        list.push(Arc::from(value.as_str()));
    }
    list.sort();
    list.dedup();
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_could_be_read_as_two_are_refused() {
        assert!(list("role", vec!["admin,root".to_owned()]).is_err());
        assert!(list("scope", vec!["a b".to_owned()]).is_err());
        assert!(list("role", vec![String::new()]).is_err());
        assert!(principal(None, "a\r\nX-User: root").is_err());
        assert!(principal(None, &"a".repeat(257)).is_err());
        assert!(optional("label", Some("for the nightly job".to_owned())).is_ok());
    }

    #[test]
    fn lists_are_sorted_and_without_duplicates() {
        let roles = list("role", vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]).unwrap();
        assert_eq!(roles, ["a".into(), "b".into()] as [Arc<str>; 2]);
    }

    #[test]
    fn a_principal_without_an_issuer_is_local() {
        assert_eq!(principal(None, "ci").unwrap(), Principal::new(LOCAL_ISSUER, "ci"));
    }
}
