//! Making, showing and revoking API keys.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::grants::{Granted, Grants, optional, public_id};
use super::{OperationError, Operations};
use crate::admin::views::{CreatedKey, KeyView};
use crate::crypto::api_key;
use crate::model::{ApiKeyRecord, Principal};

/// An API key to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose, and what it may do.
    #[serde(flatten)]
    pub grants: Grants,
    /// What it is for.
    #[serde(default)]
    pub label: Option<String>,
    /// Networks that may use it; empty means any.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// When it ends; absent: when it is revoked.
    #[serde(default)]
    pub expires_in_seconds: Option<u64>,
}

impl Operations {
    /// Makes an API key.
    pub async fn create_key(&self, new: NewKey) -> Result<CreatedKey, OperationError> {
        let now = self.clock.now();
        let expires_at = match new.expires_in_seconds {
            Some(0) => return Err(OperationError::Invalid("a key that ends at once is of no use".to_owned())),
            other => other.map(|seconds| now.after(Duration::from_secs(seconds))),
        };
        let Granted { principal, roles, scopes, groups, tenant } = new.grants.checked()?;
        let label = optional("label", new.label)?;
        let minted = api_key::mint(&self.environment, &*self.entropy);
        let record = ApiKeyRecord {
            label,
            roles,
            scopes,
            groups,
            tenant,
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
        let record = self.store.api_keys.find(public_id(id)?).await?.ok_or_else(|| no_key(id))?;
        Ok(KeyView::new(record, self.clock.now()))
    }

    /// Revokes an API key everywhere.
    pub async fn revoke_key(&self, id: &str) -> Result<KeyView, OperationError> {
        let now = self.clock.now();
        let record = self.store.revoke_api_key(public_id(id)?, now).await?.ok_or_else(|| no_key(id))?;
        tracing::info!(key = id, principal = %record.principal, "API key revoked");
        Ok(KeyView::new(record, now))
    }
}

fn no_key(id: &str) -> OperationError {
    OperationError::NotFound { what: "API key", id: id.to_owned() }
}
