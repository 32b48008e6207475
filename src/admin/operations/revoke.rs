//! Revoking one credential of any kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{OperationError, Operations};
use crate::admin::views::{RevocationView, Revoked, exposed};
use crate::crypto::{api_key, certificate, introspection, jwt};
use crate::model::{Revocation, Secret, Timestamp};
use crate::store::MARGIN;

/// What to revoke.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Revoke {
    /// One session.
    Session {
        /// Its public id.
        id: String,
    },
    /// One API key.
    ApiKey {
        /// Its public id.
        id: String,
    },
    /// Everything of a principal.
    Subject {
        /// The subject.
        subject: String,
        /// Its issuer: a configured name, a URL, `mtls`, or Portcullis itself if absent.
        #[serde(default)]
        issuer: Option<String>,
        /// Only what was issued before then (RFC 3339); absent: before now.
        #[serde(default)]
        before: Option<String>,
        /// For how long, where credentials do not say when they were issued (certificates); absent: for ever.
        #[serde(default)]
        for_seconds: Option<u64>,
    },
    /// One token, by its text.
    Token {
        /// Its text.
        #[serde(with = "exposed")]
        token: Secret<String>,
    },
    /// One token, by its `jti`.
    TokenId {
        /// Its issuer: a configured name, or a URL.
        issuer: String,
        /// Its `jti`.
        id: String,
    },
    /// One client certificate.
    Certificate {
        /// The SHA-256 of its DER, in hexadecimal digits, with or without colons.
        fingerprint: String,
        /// When it ends (RFC 3339); absent: it is remembered for ever.
        #[serde(default)]
        not_after: Option<String>,
    },
}

/// Longest `jti`: none fits into a token that is longer.
const MAX_TOKEN_ID: usize = 8 * 1024;

impl Operations {
    /// Revokes it everywhere; returns once the store has it.
    pub async fn revoke(&self, what: Revoke) -> Result<Revoked, OperationError> {
        match what {
            Revoke::Session { id } => {
                let sessions = self.revoke_session(&id).await.map(|_| 1)?;
                Ok(Revoked { sessions, ..Revoked::default() })
            }
            Revoke::ApiKey { id } => {
                let api_keys = self.revoke_key(&id).await.map(|_| 1)?;
                Ok(Revoked { api_keys, ..Revoked::default() })
            }
            Revoke::Subject { subject, issuer, before, for_seconds } => {
                self.revoke_subject(issuer.as_deref(), &subject, before.as_deref(), for_seconds).await
            }
            Revoke::Token { token } => self.revoke_token(token.expose()).await,
            Revoke::TokenId { issuer, id } => self.revoke_token_id(&issuer, &id).await,
            Revoke::Certificate { fingerprint, not_after } => {
                self.revoke_certificate(&fingerprint, not_after.as_deref()).await
            }
        }
    }

    /// Its signature need not verify: whoever holds a token may give it up, and one that nobody would accept does no
    /// harm in the log.
    ///
    /// What an opaque token means and when it ends only its issuer knows, who is not asked here: it is remembered for ever.
    async fn revoke_token(&self, token: &str) -> Result<Revoked, OperationError> {
        if let Some(issuer) = self.opaque.as_ref().filter(|_| !jwt::has_form(token) && !api_key::has_prefix(token)) {
            let id = introspection::public_id(token).into();
            return self.entered(Revocation::Token { issuer: Arc::clone(issuer), id }, Timestamp::NEVER).await;
        }
        let named = jwt::name(token).map_err(|denial| OperationError::Invalid(denial.to_string()))?;
        let issuer = self.token_issuer(&named.issuer)?;
        let until = named.expires_at.after(issuer.leeway).after(MARGIN);
        self.entered(Revocation::Token { issuer: Arc::clone(&issuer.issuer), id: named.id }, until).await
    }

    async fn revoke_token_id(&self, issuer: &str, id: &str) -> Result<Revoked, OperationError> {
        let issuer = self.token_issuer(issuer)?;
        if id.is_empty() || id.len() > MAX_TOKEN_ID || id.chars().any(char::is_control) {
            return Err(OperationError::Invalid("this cannot be the `jti` of a token".to_owned()));
        }
        if jwt::inspect(id).is_ok() {
            return Err(OperationError::Invalid(
                "this is the token itself, not its `jti`: give it on standard input".to_owned(),
            ));
        }
        let until = self.clock.now().after(issuer.max_lifetime).after(issuer.leeway).after(MARGIN);
        self.entered(Revocation::Token { issuer: Arc::clone(&issuer.issuer), id: id.into() }, until).await
    }

    async fn revoke_certificate(&self, fingerprint: &str, end: Option<&str>) -> Result<Revoked, OperationError> {
        let fingerprint = certificate::fingerprint(fingerprint).ok_or_else(|| {
            OperationError::Invalid(
                "the fingerprint of a certificate is its SHA-256: 64 hexadecimal digits, with or without colons"
                    .to_owned(),
            )
        })?;
        let until = end.map(time).transpose()?.map_or(Timestamp::NEVER, |end| end.after(MARGIN));
        self.entered(Revocation::Certificate { fingerprint: fingerprint.into() }, until).await
    }

    async fn entered(&self, what: Revocation, until: Timestamp) -> Result<Revoked, OperationError> {
        Ok(Revoked { in_force: vec![self.enter(what, until).await?], ..Revoked::default() })
    }

    /// One entry of the log.
    pub(super) async fn enter(&self, what: Revocation, until: Timestamp) -> Result<RevocationView, OperationError> {
        let entry = self.store.revoke(what, until).await?;
        let view = RevocationView::from(&entry);
        let (issuer, id) = (view.issuer.as_deref(), view.id.as_deref());
        tracing::info!(kind = view.kind, issuer, id, until = view.until, "revoked");
        Ok(view)
    }
}

/// A time as RFC 3339 writes it.
pub(super) fn time(text: &str) -> Result<Timestamp, OperationError> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    let millis = parsed.and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok());
    millis.map(Timestamp).ok_or_else(|| {
        OperationError::Invalid(format!(
            "`{}` is no time; RFC 3339 is wanted, such as 2026-01-31T12:00:00Z",
            text.escape_debug()
        ))
    })
}
