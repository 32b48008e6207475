//! Opaque tokens: their issuer says what they mean.

use std::sync::Arc;

use serde_json::Value;

use super::cache::Finding;
use super::claims::{Facts, strings};
use super::jwt::numeric_date;
use crate::crypto::introspection::public_id;
use crate::crypto::{Introspected, Introspector};
use crate::model::settings::OpaqueSettings;
use crate::model::{CredentialKind, Denial, Principal, Timestamp, Verified};

/// What the issuer says of this token.
pub(super) async fn verify(introspector: Arc<Introspector>, token: String, now: Timestamp) -> Result<Finding, Denial> {
    let answer = introspector.introspect(&token, now).await?;
    let settings = introspector.settings();
    Ok(Finding { verified: identity(settings, &token, answer)?, touch: None, believed_for: settings.cache })
}

fn identity(settings: &OpaqueSettings, token: &str, answer: Introspected) -> Result<Verified, Denial> {
    let Introspected { claims, subject, .. } = answer;
    let Facts { roles, groups, scopes, tenant, email, name } =
        Facts::read(&settings.claims, &claims, format_args!("opaque"))?;
    Ok(Verified {
        roles,
        scopes,
        groups,
        tenant,
        email,
        name,
        issued_at: answer.issued_at,
        not_before: answer.not_before,
        authenticated_at: claims.get("auth_time").and_then(numeric_date),
        acr: claims.get("acr").and_then(Value::as_str).map(Arc::from),
        amr: strings(claims.get("amr"), false).unwrap_or_default(),
        bound_certificate: answer.bound_certificate,
        bound_key: answer.bound_key,
        claims: Arc::new(claims),
        ..Verified::new(
            Principal { issuer: Arc::clone(&settings.issuer), subject },
            CredentialKind::Opaque,
            public_id(token).into(),
            answer.expires_at.unwrap_or(Timestamp::NEVER),
        )
    })
}
