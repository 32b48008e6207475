//! An answer (RFC 7662, section 2.2), checked against the settings. Whatever has the wrong type is refused; it is never
//! taken for absent.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Introspected, unavailable};
use crate::crypto::jwt::claims::{Bindings, check_audience, date, required, wrong};
use crate::crypto::jwt::json;
use crate::crypto::shown::{Shown, kind};
use crate::model::denial::Reason;
use crate::model::settings::OpaqueSettings;
use crate::model::{Denial, Timestamp};

/// The issuer has found the token to have begun, by its own clock.
const LEEWAY: Duration = Duration::from_secs(30);

/// What the members that name a kind of token may say of an access token: `token_type` of RFC 7662, and what well-known
/// servers add to it.
const ACCESS: [&str; 8] = [
    "bearer",
    "dpop",
    "access_token",
    "access",
    "at+jwt",
    "application/at+jwt",
    "jwt",
    "urn:ietf:params:oauth:token-type:access_token",
];

pub(super) fn check(settings: &OpaqueSettings, body: &[u8], now: Timestamp) -> Result<Introspected, Denial> {
    let claims = json::object(body).map_err(|problem| unavailable(format!("the answer {problem}")))?;
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            return Err(Denial::because(Reason::TokenInactive, "active: its issuer says that it is not"));
        }
        other => return Err(unavailable(format!("the answer's `active` is {}, a boolean is wanted", kind(other)))),
    }
    let subject = required(&claims, "sub")?.into();
    let (expires_at, issued_at, not_before) = (date(&claims, "exp")?, date(&claims, "iat")?, date(&claims, "nbf")?);
    if let Some(expires_at) = expires_at.filter(|at| *at <= now) {
        let detail = format!("exp: token has {}, it is {}", expires_at.as_secs(), now.as_secs());
        return Err(Denial::because(Reason::TokenExpired, detail));
    }
    let not_before = not_before.map(|at| at.before(LEEWAY));
    if let Some(begins) = not_before.filter(|at| now < *at) {
        let detail = format!("nbf: token begins at {}, it is {}", begins.as_secs(), now.as_secs());
        return Err(Denial::because(Reason::TokenNotYetValid, detail));
    }
    check_issuer(settings, &claims)?;
    if claims.contains_key("aud") || !settings.allow_missing_audience {
        check_audience(&claims, &settings.audiences, "opaque")?;
    }
    let bindings = claims.get("cnf").map(Bindings::read).transpose()?.unwrap_or_default();
    check_kind(&claims, bindings.key.is_some())?;
    if let Some(other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) =
        claims.get("scope")
    {
        return Err(wrong("scope", Some(other), "a string"));
    }
    let Bindings { certificate: bound_certificate, key: bound_key } = bindings;
    Ok(Introspected { subject, expires_at, issued_at, not_before, bound_certificate, bound_key, claims })
}

fn check_issuer(settings: &OpaqueSettings, claims: &Map<String, Value>) -> Result<(), Denial> {
    match claims.get("iss") {
        None => Ok(()),
        Some(Value::String(iss)) if **iss == *settings.issuer => Ok(()),
        Some(Value::String(iss)) => {
            let detail = format!("iss: token has {}, opaque wants {}", Shown(iss), settings.issuer);
            Err(Denial::because(Reason::TokenIssuer, detail))
        }
        other => Err(wrong("iss", other, "a string")),
    }
}

/// A refresh token or an ID token is active too, but gives access to nothing.
fn check_kind(claims: &Map<String, Value>, has_key: bool) -> Result<(), Denial> {
    for name in ["token_type", "token_use", "typ"] {
        let says = match claims.get(name) {
            None => continue,
            Some(Value::String(says)) => says.to_ascii_lowercase(),
            other => return Err(wrong(name, other, "a string")),
        };
        if !ACCESS.contains(&&*says) {
            let detail = format!("{name}: token has {}, an access token is wanted", Shown(&says));
            return Err(Denial::because(Reason::TokenType, detail));
        }
        if says == "dpop" && !has_key {
            return Err(Denial::because(Reason::TokenClaim, format!("{name}: token has dpop, but no cnf with jkt")));
        }
    }
    Ok(())
}
