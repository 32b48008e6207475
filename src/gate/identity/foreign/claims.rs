//! Where in an application's session the configuration looks for whom.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Session, Unreadable};
use crate::gate::identity::claims::strings;
use crate::model::identity::claim_at;
use crate::model::settings::ForeignSettings;
use crate::model::{CredentialKind, Principal, Timestamp, Verified};

/// Longest subject and tenant, in bytes.
const LONGEST: usize = 256;

/// A number of seconds would lie beyond the year 5000 from here on: it counts milliseconds.
const MILLISECONDS_FROM: f64 = 1e11;

/// Whom the session is of; `None` where nobody is logged in. `in_store`: when the store forgets it.
pub(super) fn identity(
    settings: &ForeignSettings,
    session: Session,
    in_store: Option<Timestamp>,
    public_id: &str,
) -> Result<Option<Verified>, Unreadable> {
    let Session { attributes, began_at, ends_at } = session;
    let find = |pointer: &Option<Arc<str>>| pointer.as_deref().and_then(|pointer| claim_at(&attributes, pointer));
    let Some(subject) = name(claim_at(&attributes, &settings.subject), "subject")? else { return Ok(None) };
    let list = |what, pointer, split| {
        let problem = || Unreadable::new(format!("its {what} are neither a string nor an array of strings"));
        strings(find(pointer), split).ok_or_else(problem)
    };
    let claims = &settings.claims;
    let text = |pointer| find(pointer).and_then(Value::as_str).map(Arc::from);
    // A time that is to be looked at and is not there bounds nothing.
    let said = match &settings.expires {
        None => None,
        expires => Some(time(find(expires)).ok_or_else(|| Unreadable::new("its `expires` is no time"))?),
    };
    let issued_at = match &settings.issued_at {
        None => began_at,
        issued => Some(time(find(issued)).ok_or_else(|| Unreadable::new("its `issued_at` is no time"))?),
    };
    let expires_at = [in_store, ends_at, said].into_iter().flatten().min().unwrap_or(Timestamp::NEVER);
    Ok(Some(Verified {
        roles: list("roles", &claims.roles, false)?,
        scopes: list("scopes", &claims.scopes, true)?,
        groups: list("groups", &claims.groups, false)?,
        tenant: name(find(&claims.tenant), "tenant")?,
        email: text(&claims.email),
        name: text(&claims.name),
        issued_at,
        // Generations are times: whoever ends all sessions so far ends none that begins later.
        generation: issued_at.map_or(0, |at| at.0),
        claims: Arc::new(attributes),
        ..Verified::new(
            Principal { issuer: Arc::clone(&settings.issuer), subject },
            CredentialKind::Session,
            public_id.into(),
            expires_at,
        )
    }))
}

/// A string, or a whole number as applications number their users; `None` for what stands for nobody.
fn name(value: Option<&Value>, what: &str) -> Result<Option<Arc<str>>, Unreadable> {
    let text: Arc<str> = match value {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::Number(number)) if number.as_i64() == Some(0) => return Ok(None),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string().into(),
        Some(Value::String(text)) if text.len() <= LONGEST && !text.chars().any(char::is_control) => {
            text.as_str().into()
        }
        Some(_) => {
            return Err(Unreadable::new(format!(
                "its {what} is neither a text of at most {LONGEST} bytes nor a whole number"
            )));
        }
    };
    Ok(Some(text))
}

/// Seconds or milliseconds since the epoch, or a date of RFC 3339.
fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => {
            let number = number.as_f64().filter(|number| *number >= 0.0)?;
            let milliseconds = if number < MILLISECONDS_FROM { number * 1000.0 } else { number };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "casts from f64 saturate, which is what is wanted at both ends"
            )]
            let milliseconds = milliseconds as u64;
            Some(Timestamp(milliseconds))
        }
        Value::String(text) => OffsetDateTime::parse(text, &Rfc3339).ok().map(timestamp),
        _ => None,
    }
}

/// What lies before the epoch is the epoch.
pub(super) fn timestamp(date: OffsetDateTime) -> Timestamp {
    Timestamp(u64::try_from(date.unix_timestamp_nanos() / 1_000_000).unwrap_or_default())
}
