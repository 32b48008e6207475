//! What a verified token says of its bearer.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::crypto::VerifiedToken;
use crate::model::denial::Reason;
use crate::model::{CredentialKind, Denial, Principal, Timestamp, Verified};

/// The identity that a verified token proves, by its issuer's claim pointers.
///
/// A claim that decisions go by (roles, groups, scopes, tenant) and that is of another type than it must be refuses the
/// token: ignoring it could make a deny rule miss.
pub(super) fn identity(token: VerifiedToken) -> Result<Verified, Denial> {
    let VerifiedToken { issuer, claims, subject, .. } = token;
    let pointers = &issuer.claims;
    let find = |pointer: &Option<Arc<str>>| pointer.as_deref().and_then(|pointer| at(&claims, pointer));
    let problem = |what, pointer: &Option<Arc<str>>, wanted| {
        let (name, pointer) = (&issuer.name, pointer.as_deref().unwrap_or_default());
        Denial::because(Reason::TokenClaim, format!("{what}: claim `{pointer}` for issuer.{name} must be {wanted}"))
    };
    let list = |what, pointer, split| {
        strings(find(pointer), split).ok_or_else(|| problem(what, pointer, "a string or an array of strings"))
    };
    let roles = list("roles", &pointers.roles, false)?;
    let groups = list("groups", &pointers.groups, false)?;
    let scopes = list("scopes", &pointers.scopes, true)?;
    let tenant = match find(&pointers.tenant) {
        None | Some(Value::Null) => None,
        Some(Value::String(tenant)) => Some(tenant.as_str().into()),
        Some(_) => return Err(problem("tenant", &pointers.tenant, "a string")),
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(Arc::from);
    Ok(Verified {
        principal: Principal { issuer: Arc::clone(&issuer.issuer), subject },
        kind: CredentialKind::Jwt,
        issuer_name: Some(Arc::clone(&issuer.name)),
        credential_id: token.id,
        family: None,
        roles,
        scopes,
        groups,
        tenant,
        email: text(find(&pointers.email)),
        name: text(find(&pointers.name)),
        issued_at: token.issued_at,
        not_before: token.not_before,
        expires_at: token.expires_at,
        authenticated_at: claims.get("auth_time").and_then(numeric_date),
        acr: text(claims.get("acr")),
        amr: strings(claims.get("amr"), false).unwrap_or_default(),
        networks: Vec::new(),
        bound_certificate: token.bound_certificate,
        bound_key: token.bound_key,
        key_thumbprint: Some(token.key_thumbprint),
        generation: 0,
        claims: Arc::new(claims),
    })
}

/// The value at a JSON pointer (RFC 6901), or of a plain name.
pub(super) fn at<'a>(claims: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let Some(path) = pointer.strip_prefix('/') else { return claims.get(pointer) };
    let first = path.split('/').next().unwrap_or_default();
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    value.pointer(path.get(first.len()..)?)
}

/// Sorted, without duplicates and empty ones; `None` where it is something else than a string or an array of strings.
pub(super) fn strings(value: Option<&Value>, split_at_spaces: bool) -> Option<Vec<Arc<str>>> {
    let mut list: Vec<Arc<str>> = Vec::new();
    let mut add = |text: &str| {
        if split_at_spaces {
            list.extend(text.split(' ').filter(|part| !part.is_empty()).map(Arc::from));
        } else if !text.is_empty() {
            list.push(text.into());
        }
    };
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => add(text),
        Some(Value::Array(items)) => {
            for item in items {
                add(item.as_str()?);
            }
        }
        Some(_) => return None,
    }
    Some(super::sorted(list))
}

/// RFC 7519, section 2: seconds, perhaps with a fraction.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(|secs| *secs >= 0.0).map(|secs| secs as u64))
        .map(Timestamp::from_secs)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
