//! `express-session` with `connect-redis`: the cookie is `s:<id>.<signature>`, percent-encoded; the record is JSON whose
//! `cookie` says how long it lives.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Session, Unreadable, is_base64url, is_id, json};
use crate::crypto::signed_value;
use crate::model::{Secret, Timestamp};

/// No cookie of this kind is longer: three times the id, the signature and `s:`.
const LONGEST: usize = 3 * (128 + 1 + 43 + 2);

/// The id, if one of the secrets has signed it.
pub(super) fn id(cookie: &str, secrets: &[Secret<Vec<u8>>]) -> Option<String> {
    if cookie.len() > LONGEST {
        return None;
    }
    let cookie = percent_decode_str(cookie).decode_utf8().ok()?;
    let id = signed_value::verified(cookie.strip_prefix("s:")?, secrets)?;
    // 32 characters of base64url, unless the application has a `genid` of its own.
    is_id(id, 16..=128, is_base64url).then(|| id.to_owned())
}

/// `in_store`: when Redis forgets it. A session in use lives on past the `expires` in its record: using it prolongs its
/// time in Redis alone. So `expires` counts where Redis keeps it for ever (`disableTTL`).
pub(super) fn read(value: &[u8], in_store: Option<Timestamp>) -> Result<Session, Unreadable> {
    let session = json::read(value)?;
    let Some(Value::Object(cookie)) = session.attributes.get("cookie") else {
        return Err(Unreadable::new("it has no `cookie`"));
    };
    let ends_at = match cookie.get("expires") {
        None | Some(Value::Null | Value::Bool(false)) => None,
        Some(Value::String(text)) => Some(date(text)?),
        Some(_) => return Err(Unreadable::new("its `cookie.expires` is no date")),
    };
    match cookie.get("originalMaxAge") {
        None | Some(Value::Null | Value::Number(_)) => {}
        Some(_) => return Err(Unreadable::new("its `cookie.originalMaxAge` is no number")),
    }
    Ok(Session { ends_at: if in_store.is_some() { None } else { ends_at }, ..session })
}

/// As `Date.prototype.toISOString` writes it.
fn date(text: &str) -> Result<Timestamp, Unreadable> {
    let date = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Unreadable::new("its `cookie.expires` is no date"))?;
    Ok(super::claims::timestamp(date))
}
