//! Sessions as stores hand them back. The first line says what the rest is: a record of our own (`record`), or the layout
//! of an application; there the second line is the cookie's value, and what follows is the record (of a hash: names and
//! values in turn, divided by a zero byte). What can be read is written and read again as the same.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;
use portcullis::gate::fuzzing::Application;
use portcullis::model::settings::{
    ClaimPointers, ForeignFormat, ForeignSettings, IdAlphabet, PhpHandler, SessionIdForm,
};
use portcullis::model::{ApiKeyRecord, LogEntry, Secret, SessionRecord, Timestamp, Verified};
use portcullis_fuzz::NOW;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const SECRET: &[u8] = b"keyboard cat";

static JSON: LazyLock<Application> = LazyLock::new(|| {
    let id = SessionIdForm { alphabet: IdAlphabet::Base64url, min: 16, max: 64 };
    application(ForeignFormat::Json { id })
});
static NODE: LazyLock<Application> =
    LazyLock::new(|| application(ForeignFormat::ConnectRedis { secrets: vec![Secret::new(SECRET.to_vec())] }));
static SPRING: LazyLock<Application> = LazyLock::new(|| application(ForeignFormat::Spring));
static PHP: LazyLock<Application> = LazyLock::new(|| application(ForeignFormat::Php { handler: PhpHandler::Php }));
static SERIALIZED: LazyLock<Application> =
    LazyLock::new(|| application(ForeignFormat::Php { handler: PhpHandler::PhpSerialize }));

fn application(format: ForeignFormat) -> Application {
    let claims = ClaimPointers {
        roles: Some("/user/roles".into()),
        groups: Some("groups".into()),
        scopes: Some("scope".into()),
        tenant: Some("tenant".into()),
        email: Some("/user/email".into()),
        name: None,
    };
    Application::new(ForeignSettings {
        format,
        key_prefix: "x:".into(),
        issuer: "app".into(),
        subject: "/user/id".into(),
        claims,
        issued_at: None,
        expires: None,
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((layout, rest)) = line(data) else { return };
    if layout == b"record" {
        return own(rest);
    }
    let Some((cookie, record)) = line(rest) else { return };
    let (application, layout) = match layout {
        b"json" => (&*JSON, "json"),
        b"connect-redis" => (&*NODE, "connect-redis"),
        b"spring" => (&*SPRING, "spring"),
        b"php" => (&*PHP, "php"),
        b"php_serialize" => (&*SERIALIZED, "php_serialize"),
        _ => return,
    };
    if let Some(id) = std::str::from_utf8(cookie).ok().and_then(|cookie| application.id(cookie)) {
        check_id(&id, std::str::from_utf8(cookie).expect("text"), layout);
    }
    let in_store = Some(Timestamp::from_secs(NOW));
    let parts: Vec<Vec<u8>> = match layout {
        "spring" => record.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
        _ => vec![record.to_vec()],
    };
    let Some(verified) = application.read(&parts, in_store) else { return };
    check_identity(&verified);
    let again = match layout {
        "json" | "connect-redis" => {
            let text: Value = serde_json::from_slice(record).expect("it was read");
            assert_eq!(text, Value::Object((*verified.claims).clone()));
            text.to_string().into_bytes()
        }
        "php" => variables(&verified.claims),
        "php_serialize" => serialized(&Value::Object((*verified.claims).clone())),
        _ => return,
    };
    if again.len() < 64 * 1024 {
        let again = application.read(&[again], in_store).expect("what was read is written and read again");
        assert_eq!(again.principal, verified.principal);
        assert_eq!((again.roles, again.groups), (verified.roles, verified.groups));
    }
});

fn line(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.iter().position(|byte| *byte == b'\n')?;
    Some((&data[..at], &data[at + 1..]))
}

fn own(data: &[u8]) {
    if let Some(record) = again::<SessionRecord>(data) {
        assert!(record.ends_at() <= record.expires_at);
        assert!(record.ends_at() >= record.seen_at.min(record.expires_at));
    }
    again::<ApiKeyRecord>(data);
    again::<LogEntry>(data);
}

fn again<T: Serialize + DeserializeOwned>(data: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_string(&read).expect("what was read can be written");
    let second: T = serde_json::from_str(&written).expect("and read again");
    // A number with a fraction may be rounded once, not twice.
    let written = serde_json::to_string(&second).expect("and written");
    let third: T = serde_json::from_str(&written).expect("and read");
    if !written.contains(['.', 'e', 'E']) {
        assert_eq!(written, serde_json::to_string(&third).expect("and written"));
    }
    Some(read)
}

/// Nothing else ever becomes a part of a key of Redis.
fn check_id(id: &str, cookie: &str, layout: &str) {
    let extra = if layout.starts_with("php") { "-," } else { "-_" };
    assert!((16..=256).contains(&id.len()), "{id}");
    assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c)), "{id}");
    if layout == "connect-redis" {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        let tag = hmac::sign(&key, id.as_bytes());
        let text = portcullis::crypto::base64url::encode(tag.as_ref()).replace('-', "+").replace('_', "/");
        let decoded = cookie.replace("%3A", ":").replace("%3a", ":");
        assert!(decoded.len() >= id.len() + 45 && tag.as_ref().len() == 32, "{cookie}");
        let plain: String = percent_decoded(cookie);
        assert_eq!(plain, format!("s:{id}.{text}"));
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|d| bytes[at] == b'%' && d.bytes().all(|b| b.is_ascii_hexdigit()));
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).expect("text")
}

fn check_identity(verified: &Verified) {
    let subject = &*verified.principal.subject;
    assert_eq!(&*verified.principal.issuer, "app");
    assert!((1..=256).contains(&subject.len()) && !subject.chars().any(char::is_control), "{subject:?}");
    for list in [&verified.roles, &verified.groups, &verified.scopes] {
        assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
        assert!(list.iter().all(|text| !text.is_empty()));
    }
    assert!(verified.expires_at <= Timestamp::from_secs(NOW), "it outlives what the store keeps");
}

/// As PHP's own handler writes variables.
fn variables(attributes: &Map<String, Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in attributes {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'|');
        bytes.extend(serialized(value));
    }
    bytes
}

/// As `serialize` writes a value.
fn serialized(value: &Value) -> Vec<u8> {
    let text = |text: &str| [format!("s:{}:\"", text.len()).as_bytes(), text.as_bytes(), b"\";"].concat();
    match value {
        Value::Null => b"N;".to_vec(),
        Value::Bool(value) => format!("b:{};", u8::from(*value)).into_bytes(),
        Value::Number(number) if number.is_i64() => format!("i:{number};").into_bytes(),
        Value::Number(number) => format!("d:{number};").into_bytes(),
        Value::String(one) => text(one),
        Value::Array(items) => {
            let entries = items.iter().enumerate();
            let entries = entries.flat_map(|(at, item)| [format!("i:{at};").into_bytes(), serialized(item)].concat());
            [format!("a:{}:{{", items.len()).into_bytes(), entries.collect(), b"}".to_vec()].concat()
        }
        Value::Object(members) => {
            let entries = members.iter().flat_map(|(name, value)| [text(name), serialized(value)].concat());
            [format!("a:{}:{{", members.len()).into_bytes(), entries.collect(), b"}".to_vec()].concat()
        }
    }
}
