//! What header and claims may say: the rows of `json.txt`, and what is too large to be written there.

use portcullis::model::denial::Reason;
use serde_json::json;

use super::world::{NOW, P256};
use super::{Cases, good_claims, good_header, signed};

const ROWS: &str = include_str!("../../fixtures/hostile/json.txt");

pub(super) fn add(cases: &mut Cases) {
    for row in ROWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = row.splitn(3, " | ");
        let (Some(place), Some(reason), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            panic!("not a row: {row}")
        };
        let (header, claims) = texts(place, &bytes(text));
        let token = P256.token_of_bytes("ES256", &header, &claims);
        match reason {
            "ok" => cases.accepted(row, token),
            name => cases.refused(row, token, reason_of(name)),
        }
    }
    sizes(cases);
}

fn reason_of(name: &str) -> Reason {
    let found = Reason::ALL.iter().copied().find(|reason| format!("{reason:?}") == name);
    found.unwrap_or_else(|| panic!("no such reason: {name}"))
}

/// The text of a row: `\xHH` is a byte, `@EXP` and `@NOW` are times.
fn bytes(text: &str) -> Vec<u8> {
    let text = text.replace("@EXP", &(NOW + 600).to_string()).replace("@NOW", &NOW.to_string());
    let mut rest = text.as_bytes();
    let mut bytes = Vec::new();
    while let [first, others @ ..] = rest {
        let byte = others.get(1..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match byte.filter(|_| *first == b'\\' && others[0] == b'x') {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[3..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

/// Header and claims of a row.
fn texts(place: &str, text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (header, claims) = (good_header("ES256"), good_claims("ES256"));
    let (plain_header, plain_claims) = (header.to_string().into_bytes(), claims.to_string().into_bytes());
    match place.split_once('.') {
        None if place == "header" => (text.to_vec(), plain_claims),
        None if place == "claims" => (plain_header, text.to_vec()),
        None if place == "+claims" => {
            let front = &plain_claims[..plain_claims.len() - 1];
            (plain_header, [front, b",", text, b"}"].concat())
        }
        Some(("header", name)) => (member(header, name, text), plain_claims),
        Some(("claims", name)) => (plain_header, member(claims, name, text)),
        _ => panic!("no such place: {place}"),
    }
}

/// The object with this text as that member.
fn member(mut object: serde_json::Value, name: &str, text: &[u8]) -> Vec<u8> {
    let members = object.as_object_mut().expect("an object");
    members.remove(name);
    let rest = object.to_string();
    if text == b"-" {
        return rest.into_bytes();
    }
    [&rest.as_bytes()[..rest.len() - 1], b",\"", name.as_bytes(), b"\":", text, b"}"].concat()
}

fn sizes(cases: &mut Cases) {
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good_claims("ES256");
        claims[name] = value;
        signed(&P256, "ES256", &good_header("ES256"), &claims)
    };
    let nested = |depth: usize| {
        let claims = good_claims("ES256").to_string();
        let text = format!("{},\"x\":{}{}}}", &claims[..claims.len() - 1], "[".repeat(depth), "]".repeat(depth));
        P256.token_of("ES256", &good_header("ES256").to_string(), &text)
    };
    cases.accepted("a claim of 5000 bytes", with("x", json!("a".repeat(5000))));
    cases.refused("a claim of 8 KiB", with("x", json!("a".repeat(8192))), Reason::TokenTooLarge);
    cases.refused("a claim of a megabyte", with("x", json!("a".repeat(1 << 20))), Reason::TokenTooLarge);
    cases.refused("a subject of a megabyte", with("sub", json!("a".repeat(1 << 20))), Reason::TokenTooLarge);
    cases.refused("a hundred thousand audiences", with("aud", json!(vec!["orders"; 100_000])), Reason::TokenTooLarge);
    cases.refused("a megabyte of dots", ".".repeat(1 << 20), Reason::TokenTooLarge);
    cases.accepted("arrays 100 deep", nested(100));
    cases.refused("arrays 200 deep", nested(200), Reason::TokenMalformed);
    cases.refused("arrays 2000 deep", nested(2000), Reason::TokenMalformed);
    cases.refused("arrays 100000 deep", nested(100_000), Reason::TokenTooLarge);
    let objects = |depth: usize| {
        let text = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        P256.token_of("ES256", &text, &good_claims("ES256").to_string())
    };
    cases.refused("a header of objects 500 deep", objects(500), Reason::TokenMalformed);
    let mut header = good_header("ES256");
    header["x"] = json!("a".repeat(1 << 20));
    cases.refused(
        "a header of a megabyte",
        signed(&P256, "ES256", &header, &good_claims("ES256")),
        Reason::TokenTooLarge,
    );
    let digits = "9".repeat(4000);
    let claims = format!("{{\"iss\":\"https://es256.example\",\"sub\":\"alice\",\"aud\":\"orders\",\"exp\":{digits}}}");
    let token = P256.token_of("ES256", &good_header("ES256").to_string(), &claims);
    cases.refused("a number of 4000 digits", token, Reason::TokenMalformed);
}
