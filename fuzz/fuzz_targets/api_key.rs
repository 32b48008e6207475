//! API keys and what carries them. Lines: the text of a key; a value of `Authorization`; one of `X-Api-Key`; then, for a
//! key that is put together here, an environment and bytes for the rest.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::crypto::api_key;
use portcullis::gate::fuzzing::Credentials;
use portcullis::model::denial::Reason;
use portcullis::model::settings::{Accept, Alternative};
use portcullis::model::{Client, CredentialKind};
use portcullis_fuzz::{client, lines, settings};

static CREDENTIALS: LazyLock<(Credentials, Client)> = LazyLock::new(|| {
    let one =
        |kind, issuer: Option<&str>| Alternative { kind, issuer: issuer.map(Into::into), with_certificate: false };
    let alternatives = vec![one(CredentialKind::Jwt, Some("main")), one(CredentialKind::ApiKey, None)];
    let accept = Accept::OneOf { alternatives, optional: false };
    (Credentials::new(&settings(""), &accept).expect("both can be accepted"), client())
});

fuzz_target!(|data: &[u8]| {
    let mut lines = lines(data);
    if let Ok(text) = std::str::from_utf8(lines.next().unwrap_or_default()) {
        check(text);
    }
    let (authorization, header) = (lines.next(), lines.next());
    check_carriers(authorization, header);
    if let (Some(environment), Some(rest)) = (lines.next(), lines.next()) {
        put_together(environment, rest);
    }
});

/// What is read has one text, with the right checksum.
fn check(text: &str) {
    let Some(key) = api_key::parse(text) else { return };
    assert!(api_key::has_prefix(text) && text.is_ascii());
    let parts: Vec<&str> = text.rsplitn(3, '_').collect();
    let [tail, id, front] = parts[..] else { panic!("three parts") };
    assert_eq!(key.id, id);
    assert!(api_key::is_environment(front.strip_prefix("pc_").expect("the prefix")));
    let (secret, checksum) = tail.split_at(tail.len() - 6);
    assert_eq!(digest(&SHA256, secret.as_bytes()).as_ref(), key.secret_sha256);
    assert_eq!(checksum, base62(u128::from(crc32(&text.as_bytes()[..text.len() - 6])), 6));
    // No other text is close to it.
    for at in [3, text.len() / 2, text.len() - 1] {
        let mut typo = text.as_bytes().to_vec();
        typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
        assert_eq!(api_key::parse(std::str::from_utf8(&typo).expect("ASCII")), None);
    }
}

/// A key of the right form is read as what it was made of.
fn put_together(environment: &[u8], rest: &[u8]) {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Ok(environment) = std::str::from_utf8(environment) else { return };
    let digit = |at: usize| char::from(ALPHABET[usize::from(*rest.get(at).unwrap_or(&0)) % 62]);
    let id: String = (0..22).map(digit).collect();
    let secret: String = (22..65).map(digit).collect();
    let covered = format!("pc_{environment}_{id}_{secret}");
    let text = format!("{covered}{}", base62(u128::from(crc32(covered.as_bytes())), 6));
    let parsed = api_key::parse(&text);
    if !api_key::is_environment(environment) {
        return assert_eq!(parsed, None);
    }
    let parsed = parsed.expect("it is of the right form");
    assert_eq!(parsed.id, id);
    assert_eq!(digest(&SHA256, secret.as_bytes()).as_ref(), parsed.secret_sha256);
}

/// Two credentials are never one, and one is of the kind that its form says.
fn check_carriers(authorization: Option<&[u8]>, header: Option<&[u8]>) {
    let mut headers = HeaderMap::new();
    let value = |bytes: Option<&[u8]>| bytes.and_then(|bytes| HeaderValue::from_bytes(bytes).ok());
    let (authorization, header) = (value(authorization), value(header));
    for (name, value) in [("authorization", &authorization), ("x-api-key", &header)] {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    let (credentials, client) = &*CREDENTIALS;
    match credentials.read(&headers, client) {
        Ok(Some((kind, text))) => {
            let bearer = authorization.as_ref().and_then(bearer);
            let alone = header.as_ref().map(|value| value.to_str().expect("text"));
            match (bearer, alone) {
                (Some(found), None) | (None, Some(found)) => assert_eq!(found, text),
                both => panic!("{both:?} are read as {text}"),
            }
            let is_key = kind == CredentialKind::ApiKey;
            assert_eq!(is_key, header.is_some() || api_key::has_prefix(&text));
            let segments = text.split('.').filter(|segment| !segment.is_empty()).count();
            assert!(is_key || (segments == 3 && text.matches('.').count() == 2), "{text} is read as a token");
        }
        Ok(None) => panic!("nothing is enough"),
        Err(Reason::CredentialMissing) => {
            assert!(header.is_none() && authorization.as_ref().and_then(bearer).is_none());
        }
        Err(reason) => assert!(matches!(reason.row().status, 400 | 401), "{reason:?}"),
    }
}

/// RFC 6750, section 2.1, and RFC 9449, section 7.1; spaces as RFC 9110, section 11.4 has them.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let body = token.trim_end_matches('=');
    // What comes with a proof is read likewise, and refused later unless it is bound to a key.
    let is_read = ["bearer", "dpop"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
    (is_read && !body.is_empty() && body.chars().all(allowed)).then_some(token)
}

fn base62(mut number: u128, width: usize) -> String {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8(digits).expect("ASCII")
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
