//! The session cookie. Each line is a header: one that begins with `<` is a `Set-Cookie` of an answer, any other a
//! `Cookie` of a request. A second, simpler reader says which values there are.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::crypto::{base64url, session_secret};
use portcullis::gate::fuzzing::{Credentials, remove_cookie, remove_set_cookie};
use portcullis::model::denial::Reason;
use portcullis::model::settings::{Accept, Alternative};
use portcullis::model::{Client, CredentialKind};
use portcullis_fuzz::{client, lines, settings};

const NAME: &str = "__Host-session";

static CREDENTIALS: LazyLock<(Credentials, Client)> = LazyLock::new(|| {
    let alternatives = vec![Alternative { kind: CredentialKind::Session, issuer: None, with_certificate: false }];
    let accept = Accept::OneOf { alternatives, optional: false };
    (Credentials::new(&settings(""), &accept).expect("sessions can be accepted"), client())
});

fuzz_target!(|data: &[u8]| {
    let (mut sent, mut set) = (HeaderMap::new(), HeaderMap::new());
    for line in lines(data) {
        let (headers, name, value) = match line.strip_prefix(b"<") {
            Some(value) => (&mut set, SET_COOKIE, value),
            None => (&mut sent, COOKIE, line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }

    let expected = cookies(&sent);
    let ours: Vec<&[u8]> = expected.iter().filter(|c| c.0 == NAME.as_bytes()).map(|c| c.1).collect();
    let (credentials, client) = &*CREDENTIALS;
    match (ours.as_slice(), credentials.read(&sent, client)) {
        ([], Err(Reason::CredentialMissing)) | ([_, _, ..], Err(Reason::TwoCredentials)) => {}
        ([one], Ok(Some((CredentialKind::Session, text)))) => {
            assert_eq!(text.as_bytes(), std::str::from_utf8(one).unwrap_or_default().as_bytes());
            check_secret(&text);
        }
        (ours, read) => panic!("{} cookies are read as {read:?}", ours.len()),
    }

    // What the upstream gets: nothing of ours, and everything else as it was.
    let others: Vec<_> = expected.iter().filter(|c| c.0 != NAME.as_bytes() && **c != NOTHING).collect();
    let mut left = sent.clone();
    remove_cookie(&mut left, NAME);
    if ours.is_empty() {
        assert_eq!(left, sent, "nothing to take out, and yet it changed");
    }
    assert_eq!(others, cookies(&left).iter().filter(|cookie| **cookie != NOTHING).collect::<Vec<_>>());
    let once = left.clone();
    remove_cookie(&mut left, NAME);
    assert_eq!(once, left);

    // What the browser gets.
    let mut left = set.clone();
    remove_set_cookie(&mut left, NAME);
    let kept: Vec<_> = set.get_all(SET_COOKIE).iter().filter(|value| !sets_ours(value.as_bytes())).collect();
    assert_eq!(kept, left.get_all(SET_COOKIE).iter().collect::<Vec<_>>());
});

const NOTHING: (&[u8], &[u8]) = (b"", b"");

/// Name and value of every crumb.
fn cookies(headers: &HeaderMap) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    for header in headers.get_all(COOKIE) {
        for crumb in header.as_bytes().split(|byte| *byte == b';') {
            let mut halves = crumb.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default().trim_ascii();
            found.push((name, halves.next().unwrap_or_default().trim_ascii()));
        }
    }
    found
}

/// Whether a browser may take it for our cookie: by RFC 6265, or by one that reads past the missing name of `=name=value`.
fn sets_ours(value: &[u8]) -> bool {
    let start = value.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'=')).unwrap_or(value.len());
    let name = value[start..].splitn(2, |byte| *byte == b'=').next().unwrap_or_default();
    name.trim_ascii() == NAME.as_bytes()
}

/// One text for one secret.
fn check_secret(text: &str) {
    let Some(found) = session_secret::parse(text) else {
        let secret = base64url::decode(text);
        assert!(secret.is_none_or(|secret| secret.len() != 32), "a secret of the right form is none");
        return;
    };
    let secret = base64url::decode(text).expect("base64url");
    assert_eq!((secret.len(), base64url::encode(&secret).as_str()), (32, text));
    assert_eq!(digest(&SHA256, &secret).as_ref(), found);
}
