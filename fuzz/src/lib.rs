//! What the targets share.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use portcullis::crypto::{Issuers, base64url};
use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{Algorithm, IssuerSettings, KeySource, Settings};
use portcullis::model::{Client, Clock, Secret, Timestamp};
use serde_json::{Map, Value};

/// When everything happens, in seconds.
pub const NOW: u64 = 1_800_000_000;
/// The `iss` of [`issuers`].
pub const ISS: &str = "https://id.example.com";
/// Its audience.
pub const AUDIENCE: &str = "orders";
/// Its clocks may differ by so many seconds.
pub const LEEWAY: u64 = 30;
/// How long its tokens may live, in seconds.
pub const LIFETIME: u64 = 24 * 3600;
/// Its longest token.
pub const SIZE: usize = 8192;
/// Its shared secret.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW)
    }
}

/// One issuer with a shared secret.
pub fn issuers() -> Issuers {
    let text = format!("[issuer.main]\nurl = \"{ISS}\"\naudiences = [\"{AUDIENCE}\"]\n");
    let configured = settings(&text).issuers.pop().expect("one issuer");
    let settings = IssuerSettings {
        algorithms: vec![Algorithm::HS256],
        keys: KeySource::Secret(Secret::new(SECRET.to_vec())),
        ..IssuerSettings::clone(&configured)
    };
    assert_eq!((settings.leeway.as_secs(), settings.max_lifetime.as_secs()), (LEEWAY, LIFETIME));
    assert_eq!(settings.max_size, SIZE);
    Issuers::new(&[Arc::new(settings)], Arc::new(Held), Arc::new(Unobserved)).expect("a secret is a key")
}

/// A token over these bytes, signed with [`SECRET`].
pub fn signed(header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", base64url::encode(tag.as_ref()))
}

/// What a future that waits for nothing comes to.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits although everything is here"),
    }
}

/// A configuration with this in it, and routes unless it has some.
pub fn settings(more: &str) -> Settings {
    let mut text = format!(
        "defaults.upstream = \"http://127.0.0.1:1\"\nlistener.main.bind = \"127.0.0.1:0\"\nstore.url = \"memory:\"\n{more}"
    );
    if !more.contains("[route]") {
        text.push_str("\n[route]\nany = { match = \"/{*rest}\", accept = \"anyone\" }\n");
    }
    match portcullis::config::parse(&text, "fuzz.toml", std::path::Path::new("/"), &[]) {
        Ok(loaded) => loaded.settings,
        Err(problems) => {
            panic!("{}", problems.problems.iter().map(|p| p.rendered.clone()).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// A client without a certificate.
pub fn client() -> Client {
    let address = "192.0.2.1".parse().expect("an address");
    Client { peer: None, address, trusted: false, https: true, certificate: None }
}

/// `data` in lines.
pub fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// An object of which no part stands twice: as many colons outside of strings as there are members.
pub fn unambiguous(text: &[u8]) -> Option<Map<String, Value>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let (mut colons, mut in_string, mut escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => colons += 1,
            _ => {}
        }
    }
    match value {
        _ if members(&value) != colons => None,
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn members(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        Value::Array(array) => array.iter().map(members).sum(),
        _ => 0,
    }
}
