//! The claims (RFC 7519, section 4), checked against the issuer's settings. Whatever has the wrong type is refused; it is
//! never taken for absent.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Named, VerifiedToken};
use crate::crypto::base64url;
use crate::crypto::digest::{hex, sha256};
use crate::crypto::shown::{Shown, ShownList, kind};
use crate::model::denial::Reason;
use crate::model::settings::IssuerSettings;
use crate::model::{Denial, Timestamp};

/// `iss`, read from claims that nothing proves yet: it may pick a configured issuer and nothing else.
pub(crate) fn issuer(claims: &Map<String, Value>) -> Result<&str, Denial> {
    match claims.get("iss") {
        Some(Value::String(issuer)) => Ok(issuer),
        other => Err(wrong("iss", other, "a string")),
    }
}

/// Checks the claims of a token whose signature has been verified by the key of `thumbprint`.
pub(crate) fn check(
    issuer: &Arc<IssuerSettings>,
    claims: Map<String, Value>,
    signing_input: &str,
    thumbprint: [u8; 32],
    now: Timestamp,
) -> Result<VerifiedToken, Denial> {
    if self::issuer(&claims)? != &*issuer.issuer {
        return Err(Denial::new(Reason::TokenIssuer));
    }
    let (expires_at, issued_at, not_before) = check_times(issuer, &claims, now)?;
    check_audience(&claims, &issuer.audiences, format_args!("issuer.{}", issuer.name))?;
    let subject = required(&claims, "sub")?.into();
    for name in &issuer.required_claims {
        if claims.get(&**name).is_none_or(Value::is_null) {
            let detail = format!("{name}: token has none, issuer.{} wants it", issuer.name);
            return Err(Denial::because(Reason::TokenClaim, detail));
        }
    }
    let id = id(&claims, signing_input)?;
    let Bindings { certificate, key } = claims.get("cnf").map(Bindings::read).transpose()?.unwrap_or_default();
    if issuer.sender_constrained && certificate.is_none() && key.is_none() {
        let detail = format!("cnf: token is bound to nothing, issuer.{} wants it bound to its sender", issuer.name);
        return Err(Denial::because(Reason::TokenBinding, detail));
    }
    Ok(VerifiedToken {
        issuer: Arc::clone(issuer),
        subject,
        id,
        expires_at,
        issued_at,
        not_before,
        bound_certificate: certificate,
        bound_key: key,
        key_thumbprint: thumbprint,
        claims,
    })
}

/// What names a token among those of its issuer: `jti`, or a digest that stands for it.
fn id(claims: &Map<String, Value>, signing_input: &str) -> Result<Arc<str>, Denial> {
    Ok(match claims.contains_key("jti") {
        true => required(claims, "jti")?.into(),
        // Over the signing input, not the token: a signature can be written in more than one way.
        false => format!("sha256:{}", hex(&sha256(signing_input.as_bytes()))).into(),
    })
}

/// By what a token is revoked, whoever made it.
pub(crate) fn name(claims: &Map<String, Value>, signing_input: &str) -> Result<Named, Denial> {
    let expires_at = date(claims, "exp")?.ok_or_else(|| wrong("exp", None, "a number"))?;
    Ok(Named { issuer: issuer(claims)?.into(), id: id(claims, signing_input)?, expires_at })
}

type Times = (Timestamp, Option<Timestamp>, Option<Timestamp>);

fn check_times(issuer: &IssuerSettings, claims: &Map<String, Value>, now: Timestamp) -> Result<Times, Denial> {
    let Some(expires) = date(claims, "exp")? else {
        return Err(wrong("exp", None, "a number"));
    };
    let (issued_at, not_before) = (date(claims, "iat")?, date(claims, "nbf")?);
    let leeway = issuer.leeway;
    let differs = |reason, name, has: Timestamp| {
        let detail = format!("{name}: token has {}, it is {} (leeway {leeway:?})", has.as_secs(), now.as_secs());
        Denial::because(reason, detail)
    };

    let expires_at = expires.after(leeway);
    if now >= expires_at {
        return Err(differs(Reason::TokenExpired, "exp", expires));
    }
    for (name, date) in [("nbf", not_before), ("iat", issued_at)] {
        if let Some(date) = date.filter(|date| now < date.before(leeway)) {
            return Err(differs(Reason::TokenNotYetValid, name, date));
        }
    }
    let lifetime = expires.since(issued_at.unwrap_or(now));
    if lifetime > issuer.max_lifetime {
        let (has, name, most) = (lifetime.as_secs(), &issuer.name, issuer.max_lifetime);
        let detail = format!("lifetime: token has {has}s, issuer.{name} wants {most:?} at most");
        return Err(Denial::because(Reason::TokenLifetime, detail));
    }
    Ok((expires_at, issued_at, not_before.map(|date| date.before(leeway))))
}

/// A `NumericDate`: a number, of which the fraction is cut off. What lies before the epoch is the epoch.
pub(crate) fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "casts from f64 saturate, which is what is wanted at both ends"
            )]
            let seconds = number.as_u64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as u64);
            Ok(Some(Timestamp::from_secs(seconds)))
        }
        other => Err(wrong(name, other, "a number")),
    }
}

/// Whether `aud` holds one of the wanted audiences; `whose` names in the log who wants them.
pub(in crate::crypto) fn check_audience(
    claims: &Map<String, Value>,
    wanted: &[Arc<str>],
    whose: impl Display,
) -> Result<(), Denial> {
    let has = match claims.get("aud") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => {
            let texts = several.iter().map(|one| one.as_str().ok_or_else(|| wrong("aud", Some(one), "only strings")));
            texts.collect::<Result<_, _>>()?
        }
        other => return Err(wrong("aud", other, "a string or an array of strings")),
    };
    if has.iter().any(|audience| wanted.iter().any(|wanted| **wanted == **audience)) {
        return Ok(());
    }
    let wanted = ShownList(wanted.iter().map(AsRef::as_ref).collect());
    let detail = format!("audience: token has {}, {whose} wants {wanted}", ShownList(has));
    Err(Denial::because(Reason::TokenAudience, detail))
}

/// A string that names somebody or something: not empty, and nothing that could break a log line or a header.
pub(in crate::crypto) fn required<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, Denial> {
    match claims.get(name) {
        Some(Value::String(text)) if text.is_empty() => {
            Err(Denial::because(Reason::TokenClaim, format!("{name}: token has an empty one")))
        }
        Some(Value::String(text)) if text.chars().any(char::is_control) => {
            let detail = format!("{name}: token has {} with control characters", Shown(text));
            Err(Denial::because(Reason::TokenClaim, detail))
        }
        Some(Value::String(text)) => Ok(text),
        other => Err(wrong(name, other, "a string")),
    }
}

/// What a token is bound to by its `cnf` (RFC 7800); where there are two, both are to be proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bindings {
    /// `x5t#S256`: SHA-256 of a client certificate (RFC 8705, section 3.1).
    pub certificate: Option<[u8; 32]>,
    /// `jkt`: RFC 7638 thumbprint of a key (RFC 9449, section 6.1).
    pub key: Option<[u8; 32]>,
}

impl Bindings {
    /// Reads `cnf`. Any other way of binding a token to its holder is one that nobody here would check: a token that
    /// asks for it is refused rather than taken from whoever carries it.
    ///
    /// # Errors
    /// [`Reason::TokenClaim`]
    pub fn read(cnf: &Value) -> Result<Self, Denial> {
        let Value::Object(methods) = cnf else {
            return Err(wrong("cnf", Some(cnf), "an object"));
        };
        if methods.is_empty() || methods.keys().any(|name| name != "x5t#S256" && name != "jkt") {
            let has = ShownList(methods.keys().map(String::as_str).collect());
            let detail = format!("cnf: token has {has}, only [x5t#S256, jkt] can be proved here");
            return Err(Denial::because(Reason::TokenClaim, detail));
        }
        let thumbprint = |name: &str| {
            let Some(value) = methods.get(name) else { return Ok(None) };
            value.as_str().and_then(base64url::decode_array).map(Some).ok_or_else(|| {
                Denial::because(Reason::TokenClaim, format!("cnf: token's {name} is not 32 bytes in base64url"))
            })
        };
        Ok(Self { certificate: thumbprint("x5t#S256")?, key: thumbprint("jkt")? })
    }
}

/// A claim of the wrong type.
pub(in crate::crypto) fn wrong(name: &str, has: Option<&Value>, wants: &str) -> Denial {
    Denial::because(Reason::TokenClaim, format!("{name}: token has {}, {wants} is wanted", kind(has)))
}
