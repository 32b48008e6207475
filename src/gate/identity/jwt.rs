//! What a verified token says of its bearer.

use std::sync::Arc;

use serde_json::Value;

use super::claims::{Facts, strings};
use crate::crypto::VerifiedToken;
use crate::model::{CredentialKind, Denial, Principal, Timestamp, Verified};

/// The identity that a verified token proves, by its issuer's claim pointers.
///
/// A claim that decisions go by (roles, groups, scopes, tenant) and that is of another type than it must be refuses the
/// token: ignoring it could make a deny rule miss.
pub(super) fn identity(token: VerifiedToken) -> Result<Verified, Denial> {
    let VerifiedToken { issuer, claims, subject, .. } = token;
    let Facts { roles, groups, scopes, tenant, email, name } =
        Facts::read(&issuer.claims, &claims, format_args!("issuer.{}", issuer.name))?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(Arc::from);
    Ok(Verified {
        issuer_name: Some(Arc::clone(&issuer.name)),
        roles,
        scopes,
        groups,
        tenant,
        email,
        name,
        issued_at: token.issued_at,
        not_before: token.not_before,
        authenticated_at: claims.get("auth_time").and_then(numeric_date),
        acr: text(claims.get("acr")),
        amr: strings(claims.get("amr"), false).unwrap_or_default(),
        bound_certificate: token.bound_certificate,
        bound_key: token.bound_key,
        key_thumbprint: Some(token.key_thumbprint),
        claims: Arc::new(claims),
        ..Verified::new(
            Principal { issuer: Arc::clone(&issuer.issuer), subject },
            CredentialKind::Jwt,
            token.id,
            token.expires_at,
        )
    })
}

/// RFC 7519, section 2: seconds, perhaps with a fraction.
pub(super) fn numeric_date(value: &Value) -> Option<Timestamp> {
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(|secs| *secs >= 0.0).map(|secs| secs as u64))
        .map(Timestamp::from_secs)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
