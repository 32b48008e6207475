//! JSON under an id that is the cookie's value: what many frameworks do, and the ground of others' layouts.

use serde_json::Value;

use super::{MOST_DEPTH, Session, Unreadable, is_base64url, is_id};
use crate::crypto::json;
use crate::model::settings::{IdAlphabet, SessionIdForm};

/// The cookie's value, if it is of the form that the configuration gives ids.
pub(super) fn id(cookie: &str, form: &SessionIdForm) -> Option<String> {
    let fits = |byte: u8| match form.alphabet {
        IdAlphabet::Hex => byte.is_ascii_hexdigit() || byte == b'-',
        IdAlphabet::Alphanumeric => byte.is_ascii_alphanumeric(),
        IdAlphabet::Base64url => is_base64url(byte),
    };
    is_id(cookie, form.min..=form.max, fits).then(|| cookie.to_owned())
}

/// An object.
pub(super) fn read(value: &[u8]) -> Result<Session, Unreadable> {
    match parse(value)? {
        Value::Object(attributes) => Ok(Session { attributes, ..Session::default() }),
        _ => Err(Unreadable::new("it is JSON, but no object")),
    }
}

/// Any JSON that is not nested too deep and has no name twice.
pub(super) fn parse(value: &[u8]) -> Result<Value, Unreadable> {
    let value = json::value(value).map_err(|problem| Unreadable::new(format!("it {problem}")))?;
    if is_deeper(&value, MOST_DEPTH) {
        return Err(Unreadable::new(format!("it is nested deeper than {MOST_DEPTH} levels")));
    }
    Ok(value)
}

/// The reader of JSON has bounded the depth of this recursion already.
fn is_deeper(value: &Value, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, left)),
        Value::Object(members) => members.values().any(|member| is_deeper(member, left)),
        _ => false,
    }
}
