//! Issuers as operators name them.

use std::sync::Arc;

use super::{OperationError, Operations};
use crate::model::identity::{BASIC_ISSUER, LOCAL_ISSUER, MTLS_ISSUER};
use crate::model::settings::{IssuerSettings, SessionLayout};

impl Operations {
    /// The exact `iss` of an issuer that is named, or written as it is; of Portcullis itself if absent. One that nobody
    /// has configured is a slip of the pen: it would revoke nothing, and look as if it had.
    pub(super) fn issuer_named(&self, name: Option<&str>) -> Result<Arc<str>, OperationError> {
        let own = match name.unwrap_or(LOCAL_ISSUER) {
            // As rules write it.
            "local" => LOCAL_ISSUER,
            name => name,
        };
        let configured = self.issuers.iter().find(|issuer| *issuer.name == *own || *issuer.issuer == *own);
        let reserved = self.own_issuers().any(|reserved| reserved == own);
        match configured {
            Some(issuer) if reserved && *issuer.issuer != *own => Err(OperationError::Invalid(format!(
                "the issuer `{own}` could be issuer.{own} as well: name that one by its URL, `{}`",
                issuer.issuer
            ))),
            Some(issuer) => Ok(Arc::clone(&issuer.issuer)),
            None if reserved => Ok(own.into()),
            None => Err(OperationError::Invalid(format!(
                "no issuer `{}` is configured; there are {}",
                shown(own),
                self.known_issuers()
            ))),
        }
    }

    /// The settings of the issuer of tokens that is named, or written as it is in `iss`.
    pub(super) fn token_issuer(&self, name: &str) -> Result<&Arc<IssuerSettings>, OperationError> {
        // A name counts before a URL: no `iss` is likely to be the name of another issuer, but it could be.
        let by_url = self.issuers.iter().find(|issuer| *issuer.issuer == *name);
        by_url.or_else(|| self.issuers.iter().find(|issuer| *issuer.name == *name)).ok_or_else(|| {
            let known = self.configured();
            let known = if known.is_empty() { "none is".to_owned() } else { format!("there are {}", known.join(", ")) };
            OperationError::Invalid(format!("no issuer `{}` of tokens is configured; {known}", shown(name)))
        })
    }

    /// Those of principals that no JWT has.
    fn own_issuers(&self) -> impl Iterator<Item = &str> {
        [LOCAL_ISSUER, MTLS_ISSUER, BASIC_ISSUER].into_iter().chain(self.application()).chain(self.opaque.as_deref())
    }

    /// The issuer of sessions that the application itself keeps.
    pub(super) fn application(&self) -> Option<&str> {
        match &self.session.layout {
            SessionLayout::Foreign(foreign) => Some(&foreign.issuer),
            _ => None,
        }
    }

    fn known_issuers(&self) -> String {
        self.own_issuers().map(str::to_owned).chain(self.configured()).collect::<Vec<_>>().join(", ")
    }

    fn configured(&self) -> Vec<String> {
        self.issuers.iter().map(|issuer| format!("{} ({})", issuer.name, issuer.issuer)).collect()
    }
}

/// What came from outside, perhaps from a token: a part of it, on one line.
fn shown(text: &str) -> String {
    const LONGEST: usize = 128;
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}
