//! Tokens. A line feed divides a header from claims, which are then rightly signed; other data is a token as it is.
//! A second, slower reader says what must become of them, and both must agree.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use libfuzzer_sys::fuzz_target;
use portcullis::crypto::{Issuers, base64url, jwt};
use portcullis::model::Timestamp;
use portcullis_fuzz::{AUDIENCE, ISS, LEEWAY, LIFETIME, NOW, SIZE, issuers, ready, signed, unambiguous};
use serde_json::{Map, Value};

static ISSUERS: LazyLock<Issuers> = LazyLock::new(issuers);

fuzz_target!(|data: &[u8]| {
    let token = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => signed(&data[..at], &data[at + 1..]),
        None => match std::str::from_utf8(data) {
            Ok(token) => token.to_owned(),
            Err(_) => return,
        },
    };
    let verified = ready(ISSUERS.verify(&token, Timestamp::from_secs(NOW)));
    let inspected = jwt::inspect(&token);
    let Ok(verified) = verified else {
        if data.contains(&b'\n') {
            assert!(!is_good(&token), "a good token is refused: {token}");
        }
        return;
    };
    assert!(is_good(&token), "accepted: {token}");

    // One text, one token.
    let inspected = inspected.expect("what verifies can be read");
    let [header, claims, signature] = segments(&token).expect("three segments");
    for (segment, bytes) in token.split('.').zip([&header, &claims, &signature]) {
        assert_eq!(base64url::encode(bytes), segment);
    }
    let expected = Value::Object(verified.claims.clone());
    assert_eq!(serde_json::from_slice::<Value>(&claims).expect("JSON"), expected);
    assert_eq!(inspected.claims, verified.claims);
    assert_eq!(expected["sub"].as_str(), Some(&*verified.subject));
    let input = token.rsplit_once('.').expect("three segments").0;
    match expected["jti"].as_str() {
        Some(id) => assert_eq!(id, &*verified.id),
        None => {
            let digits: String =
                digest(&SHA256, input.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(*verified.id, format!("sha256:{digits}"));
        }
    }
    assert!(verified.expires_at > Timestamp::from_secs(NOW));

    // Written anew it is the same token.
    let again = signed(Value::Object(inspected.header).to_string().as_bytes(), expected.to_string().as_bytes());
    if again.len() <= SIZE {
        let again = ready(ISSUERS.verify(&again, Timestamp::from_secs(NOW))).expect("written anew it is still good");
        assert_eq!((again.subject, again.expires_at), (verified.subject, verified.expires_at));
    }
});

/// Whether a token whose signature is right (or that was accepted) must be accepted.
fn is_good(token: &str) -> bool {
    let Some([header, claims, _]) = segments(token) else { return false };
    let (Some(header), Some(claims)) = (unambiguous(&header), unambiguous(&claims)) else { return false };
    token.len() <= SIZE && good_header(&header) && good_claims(&claims)
}

fn segments(token: &str) -> Option<[Vec<u8>; 3]> {
    let parts: Vec<_> = token.split('.').map(base64url::decode).collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn good_header(header: &Map<String, Value>) -> bool {
    let text = |name| header.get(name).is_none_or(Value::is_string);
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    let other = ["id_token", "id", "logout_token", "logout", "refresh_token", "refresh", "jwe", "jose+json"];
    header.get("alg").is_some_and(|alg| alg == "HS256")
        && !header.contains_key("crit")
        && !header.contains_key("b64")
        && text("kid")
        && text("typ")
        && (typ == "at+jwt" || !typ.contains('+'))
        && !other.contains(&typ)
}

fn good_claims(claims: &Map<String, Value>) -> bool {
    let named = |name| {
        let text = claims.get(name).and_then(Value::as_str);
        text.is_some_and(|text| !text.is_empty() && !text.chars().any(char::is_control))
    };
    let date = |name| claims.get(name).map(|value| value.as_u64().or_else(|| value.as_f64().map(|f| f as u64)));
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => one == AUDIENCE,
        Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(|one| one == AUDIENCE),
        _ => false,
    };
    let Some(Some(exp)) = date("exp") else { return false };
    let (iat, nbf) = (date("iat"), date("nbf"));
    let begun = |date: Option<Option<u64>>| date.is_none_or(|at| at.is_some_and(|at| at <= NOW + LEEWAY));
    claims.get("iss").is_some_and(|iss| iss == ISS)
        && named("sub")
        && audience
        && exp.saturating_add(LEEWAY) > NOW
        && begun(iat)
        && begun(nbf)
        && exp.saturating_sub(iat.flatten().unwrap_or(NOW)) <= LIFETIME
        && (!claims.contains_key("jti") || named("jti"))
        && claims.get("cnf").is_none_or(good_binding)
}

/// A binding that can be checked here: one method, and 32 bytes.
fn good_binding(cnf: &Value) -> bool {
    let Some(methods) = cnf.as_object().filter(|methods| methods.len() == 1) else { return false };
    let (name, value) = methods.iter().next().expect("one");
    let bytes = value.as_str().and_then(base64url::decode);
    matches!(&**name, "x5t#S256" | "jkt") && bytes.is_some_and(|bytes| bytes.len() == 32)
}
