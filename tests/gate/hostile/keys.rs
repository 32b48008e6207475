//! Keys that are none, or too weak: a set of them alone is refused when it is read, so no token ever meets them.

use portcullis::crypto::{KeySet, base64url};
use portcullis::model::settings::Algorithm;
use serde_json::{Value, json};

use super::super::keys::Key;
use super::world::{ED25519, P256, P384, SECRET, jwk};
use crate::gate::keys::RSA;

/// The key with one member replaced, or with `null` removed.
fn with(key: &Key, name: &str, value: Value) -> Value {
    let mut jwk = jwk(key, "k");
    let members = jwk.as_object_mut().expect("an object");
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    jwk
}

fn number(jwk: &Value, name: &str) -> Vec<u8> {
    base64url::decode(jwk[name].as_str().expect("a number")).expect("base64url")
}

fn text(bytes: &[u8]) -> Value {
    json!(base64url::encode(bytes))
}

#[test]
fn keys_that_are_none_or_too_weak_verify_nothing() {
    let mut rows: Vec<(String, Value)> = Vec::new();
    for (curve, key) in [("P-256", &*P256), ("P-384", &*P384)] {
        let own = jwk(key, "k");
        let (x, y) = (number(&own, "x"), number(&own, "y"));
        let zeros = vec![0; x.len()];
        let mut off = y.clone();
        *off.last_mut().expect("bytes") ^= 1;
        for (name, member, value) in [
            ("y moved by one bit", "y", text(&off)),
            ("y = x", "y", text(&x)),
            ("x = 0", "x", text(&zeros)),
            ("y = 0", "y", text(&zeros)),
            ("x all ones", "x", text(&vec![0xff; x.len()])),
            ("x a byte short", "x", text(&x[1..])),
            ("x a byte long", "x", text(&[&[0], &x[..]].concat())),
            ("y a byte short", "y", text(&y[..y.len() - 1])),
            ("no y", "y", Value::Null),
            ("no x", "x", Value::Null),
            ("x empty", "x", json!("")),
            ("x padded", "x", json!(format!("{}=", own["x"].as_str().expect("a text")))),
            ("x a number", "x", json!(7)),
            ("x in hexadecimal", "x", json!("ff".repeat(x.len()))),
            ("curve of another name", "crv", json!(if curve == "P-256" { "P-384" } else { "P-256" })),
            ("curve in lower case", "crv", json!(curve.to_lowercase())),
            ("secp256k1", "crv", json!("secp256k1")),
            ("P-521", "crv", json!("P-521")),
            ("no curve", "crv", Value::Null),
            ("kty of another", "kty", json!("RSA")),
            ("kty in lower case", "kty", json!("ec")),
            ("for encryption", "use", json!("enc")),
            ("for another algorithm", "alg", json!("ES512")),
            ("an algorithm that is none", "alg", json!("none")),
            ("only to sign", "key_ops", json!(["sign"])),
            ("operations that are no list", "key_ops", json!("verify")),
        ] {
            rows.push((format!("{curve}: {name}"), with(key, member, value)));
        }
        let mut infinity = with(key, "x", text(&zeros));
        infinity["y"] = text(&zeros);
        rows.push((format!("{curve}: the point at infinity"), infinity));
    }
    let own = jwk(&RSA, "k");
    let n = number(&own, "n");
    for (name, member, value) in [
        ("1024 bits", "n", text(&n[..128])),
        ("2040 bits", "n", text(&n[..255])),
        ("empty modulus", "n", json!("")),
        ("modulus of zeros", "n", text(&[0; 256])),
        ("even modulus", "n", text(&[&n[..255], &[n[255] & 0xfe]].concat())),
        ("16384 bits", "n", text(&[&n[..]; 8].concat())),
        ("no modulus", "n", Value::Null),
        ("exponent 0", "e", text(&[0])),
        ("exponent 1", "e", text(&[1])),
        ("exponent 2", "e", text(&[2])),
        ("exponent even", "e", text(&[1, 0, 0])),
        ("exponent of 33 bits", "e", text(&[1, 0, 0, 0, 1])),
        ("exponent as large as the modulus", "e", text(&n)),
        ("no exponent", "e", Value::Null),
        ("exponent as a number", "e", json!(65537)),
        ("for encryption", "use", json!("enc")),
        ("for OAEP", "alg", json!("RSA-OAEP")),
    ] {
        rows.push((format!("RSA: {name}"), with(&RSA, member, value)));
    }
    for (name, member, value) in [
        ("31 bytes", "x", text(&number(&jwk(&ED25519, "k"), "x")[..31])),
        ("33 bytes", "x", text(&[number(&jwk(&ED25519, "k"), "x"), vec![0]].concat())),
        ("Ed448", "crv", json!("Ed448")),
        ("X25519", "crv", json!("X25519")),
        ("no x", "x", Value::Null),
    ] {
        rows.push((format!("Ed25519: {name}"), with(&ED25519, member, value)));
    }
    for (at, point) in super::signatures::SMALL.iter().enumerate() {
        let point = super::signatures::hex(point);
        rows.push((format!("Ed25519: point of small order {at}"), with(&ED25519, "x", text(&point))));
    }
    for (name, value) in
        [("empty", json!("")), ("16 bytes", text(&[7; 16])), ("31 bytes", text(&[7; 31])), ("none", Value::Null)]
    {
        rows.push((format!("secret: {name}"), with(&SECRET, "k", value)));
    }
    assert!(rows.len() >= 90, "{}", rows.len());
    let read = |jwk: &Value| KeySet::from_jwks(json!({"keys": [jwk]}).to_string().as_bytes(), &Algorithm::ALL, true);
    for key in [&*P256, &*P384, &*RSA, &*ED25519, &*SECRET] {
        assert!(read(&jwk(key, "k")).is_ok(), "{}", jwk(key, "k"));
    }
    let accepted: Vec<_> = rows.iter().filter(|(_, jwk)| read(jwk).is_ok()).map(|(name, _)| name).collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
}
