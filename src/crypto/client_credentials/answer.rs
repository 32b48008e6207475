//! What a token endpoint answers (RFC 6749, section 5.1). Whatever has the wrong type is refused; it is never taken for
//! absent.

use std::time::Duration;

use serde_json::Value;

use super::IssuedToken;
use crate::crypto::jwt::json;
use crate::crypto::shown::{Shown, kind};
use crate::model::Secret;

/// Longest token, in bytes: it has to fit in a head.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How long a token counts of which nobody says how long.
const UNSAID: Duration = Duration::from_secs(300);
/// No token is used for longer without asking again, whatever its issuer says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn read(body: &[u8]) -> Result<IssuedToken, String> {
    let members = json::object(body).map_err(|problem| format!("the answer {problem}"))?;
    match members.get("token_type") {
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(Value::String(kind)) => return Err(format!("token_type is {}, Bearer is wanted", Shown(kind))),
        other => return Err(format!("token_type is {}, a string is wanted", kind(other))),
    }
    let lasts = lasts(members.get("expires_in"))?;
    let value = match members.get("access_token") {
        Some(Value::String(token)) => token.clone(),
        other => return Err(format!("access_token is {}, a string is wanted", kind(other))),
    };
    let value = Secret::new(value);
    let token = value.expose();
    if token.is_empty() || token.len() > LONGEST_TOKEN {
        return Err(format!("access_token has {} bytes, 1 to {LONGEST_TOKEN} are wanted", token.len()));
    }
    // Anything else could end the line that it is written on, or begin another parameter.
    if !token.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"')) {
        return Err("access_token has characters that no bearer token has (RFC 6750, section 2.1)".to_owned());
    }
    Ok(IssuedToken { value, lasts })
}

/// `expires_in`, in seconds; some servers write the number as text.
fn lasts(said: Option<&Value>) -> Result<Duration, String> {
    let seconds = match said {
        None => return Ok(UNSAID),
        Some(Value::Number(number)) => match (number.as_u64(), number.as_f64()) {
            (Some(seconds), _) => Some(seconds),
            (None, Some(seconds)) if seconds >= 1.0 => {
                Some(Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |d| d.as_secs()))
            }
            _ => None,
        },
        Some(Value::String(text)) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.parse().unwrap_or(u64::MAX))
        }
        other => return Err(format!("expires_in is {}, a number is wanted", kind(other))),
    };
    match seconds {
        Some(seconds @ 1..) => Ok(Duration::from_secs(seconds).min(LONGEST)),
        _ => Err("expires_in says that the token has expired already".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(changes: &Value) -> Result<(String, u64), String> {
        let mut answer = json!({"access_token": "canary.token", "token_type": "Bearer", "expires_in": 600});
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => answer.as_object_mut().unwrap().remove(name),
                value => answer.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let token = read(answer.to_string().as_bytes())?;
        Ok((token.value.expose().clone(), token.lasts.as_secs()))
    }

    #[test]
    fn how_long_a_token_counts_is_believed_within_reason() {
        for (expires_in, lasts) in [
            (json!(600), 600),
            (json!(1), 1),
            (json!("3599"), 3599),
            (json!(59.9), 59),
            (json!(null), 300),
            (json!(86_401), 86_400),
            (json!(u64::MAX), 86_400),
            (json!(1e300), 86_400),
            (json!("99999999999999999999999"), 86_400),
        ] {
            assert_eq!(said(&json!({"expires_in": expires_in})).unwrap().1, lasts, "{expires_in}");
        }
        for absurd in
            [json!(0), json!(-1), json!(0.5), json!("0"), json!(""), json!("-1"), json!("1h"), json!([1]), json!(true)]
        {
            assert!(said(&json!({"expires_in": absurd})).is_err(), "{absurd}");
        }
    }

    #[test]
    fn only_a_bearer_token_that_fits_on_a_line_is_one() {
        assert_eq!(said(&json!({"token_type": "bearer"})).unwrap().0, "canary.token");
        assert!(said(&json!({"access_token": "a".repeat(16 * 1024)})).is_ok());
        for token in
            ["", "a\r\nx-evil: 1", "a\nb", "a b", "a\0b", "a\u{7f}", "ä", "a,b", "a\"b", &"a".repeat(16 * 1024 + 1)]
        {
            let why = said(&json!({"access_token": token})).unwrap_err();
            assert!(token.is_empty() || !why.contains(token), "{why}");
        }
        for changes in [
            json!({"access_token": null}),
            json!({"access_token": 1}),
            json!({"access_token": ["a"]}),
            json!({"token_type": null}),
            json!({"token_type": "DPoP"}),
            json!({"token_type": "mac"}),
            json!({"token_type": 1}),
        ] {
            let why = said(&changes).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn what_is_no_answer_is_not_told() {
        for body in
            ["", "canary", "[\"canary\"]", "{\"access_token\":\"canary\",\"access_token\":\"b\"}", "<html>canary"]
        {
            let why = read(body.as_bytes()).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }
}
