//! Spring Session, with attributes written as JSON by `GenericJackson2JsonRedisSerializer`: a hash with the fields
//! `creationTime`, `lastAccessedTime` (milliseconds), `maxInactiveInterval` (seconds) and `sessionAttr:<name>`; the
//! cookie is the id in base64.
//!
//! After `RedisSessionMapper`, `RedisSessionRepository` and `RedisIndexedSessionRepository` (spring-session-data-redis)
//! and `DefaultCookieSerializer` (spring-session-core). The indexed repository keeps a session for five minutes after
//! its end, and one that was invalidated with an interval of zero, so the times are what counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Session, Unreadable, is_base64url, is_id, json};
use crate::model::Timestamp;

const ATTRIBUTE: &str = "sessionAttr:";

/// What Java's own serialization begins with (Object Serialization Stream Protocol: `STREAM_MAGIC`).
const JAVA: [u8; 2] = [0xac, 0xed];

/// The id: a UUID, unless the application has a `SessionIdGenerator` of its own.
pub(super) fn id(cookie: &str) -> Option<String> {
    if cookie.len() > 172 {
        return None;
    }
    let id = String::from_utf8(STANDARD.decode(cookie).ok()?).ok()?;
    is_id(&id, 16..=128, is_base64url).then_some(id)
}

/// `parts`: names and values of the fields in turn.
pub(super) fn read(parts: &[Vec<u8>]) -> Result<Session, Unreadable> {
    let mut session = Session::default();
    let (mut began, mut seen, mut interval) = (None, None, None);
    for field in parts.chunks(2) {
        let [name, value] = field else { return Err(Unreadable::new("a field has no value")) };
        // A name that is no text can be nobody's pointer.
        let Ok(name) = std::str::from_utf8(name) else { continue };
        match name {
            "creationTime" => began = Some(number(name, value)?),
            "lastAccessedTime" => seen = Some(number(name, value)?),
            "maxInactiveInterval" => interval = Some(number(name, value)?),
            _ => {
                let Some(attribute) = name.strip_prefix(ATTRIBUTE) else { continue };
                // An attribute that was removed stays as an empty value.
                if !value.is_empty() {
                    session.attributes.insert(attribute.to_owned(), untyped(parse(value)?));
                }
            }
        }
    }
    let missing = |name| move || Unreadable::new(format!("it has no `{name}`"));
    let began = began.ok_or_else(missing("creationTime"))?;
    let seen = seen.ok_or_else(missing("lastAccessedTime"))?;
    let interval = interval.ok_or_else(missing("maxInactiveInterval"))?;
    session.began_at = Some(Timestamp(u64::try_from(began).unwrap_or_default()));
    // A negative interval: it never ends.
    session.ends_at = (interval >= 0)
        .then(|| Timestamp(u64::try_from(seen.saturating_add(interval.saturating_mul(1000))).unwrap_or_default()));
    Ok(session)
}

fn number(name: &str, value: &[u8]) -> Result<i64, Unreadable> {
    untyped(parse(value)?).as_i64().ok_or_else(|| Unreadable::new(format!("its `{name}` is no whole number")))
}

fn parse(value: &[u8]) -> Result<Value, Unreadable> {
    if value.starts_with(&JAVA) {
        return Err(Unreadable::new(
            "it is serialized by Java, which is not read here: give the application a bean `springSessionDefaultRedisSerializer` that is a GenericJackson2JsonRedisSerializer",
        ));
    }
    json::parse(value)
}

/// Without what Jackson adds so that Java finds its classes again: `["java.util.ArrayList", […]]` is the list, and an
/// authority of Spring Security is its name. Names of classes mean nothing here.
fn untyped(value: Value) -> Value {
    match value {
        Value::Array(items) => match <[Value; 2]>::try_from(items) {
            Ok([Value::String(class), Value::Array(items)]) if is_class(&class) => list(items),
            Ok([Value::String(class), Value::Number(number)]) if class.starts_with("java.") => Value::Number(number),
            Ok(two) => list(two.into()),
            Err(items) => list(items),
        },
        Value::Object(mut members) => {
            let is_authority = members.get("@class").and_then(Value::as_str)
                == Some("org.springframework.security.core.authority.SimpleGrantedAuthority");
            match members.remove("authority") {
                Some(Value::String(authority)) if is_authority => Value::String(authority),
                other => {
                    members.extend(other.map(|value| ("authority".to_owned(), value)));
                    Value::Object(members.into_iter().map(|(name, value)| (name, untyped(value))).collect())
                }
            }
        }
        plain => plain,
    }
}

fn list(items: Vec<Value>) -> Value {
    Value::Array(items.into_iter().map(untyped).collect())
}

/// `java.util.ArrayList`, `[Ljava.lang.String;`, `java.util.Collections$EmptyList`
fn is_class(name: &str) -> bool {
    name.contains('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'[' | b';'))
}
