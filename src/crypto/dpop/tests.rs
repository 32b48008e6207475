use serde_json::json;

use super::*;
use crate::crypto::testing::{ED25519, NOW, P256, P384, RSA, TestKey};
use crate::model::settings::Algorithm::{ES256, ES384, EdDSA, PS256, RS256};

const TOKEN: &str = "a.token.of-alice";
const ALLOWED: &[Algorithm] = &[ES256, ES384, EdDSA, RS256, PS256];

fn public(key: &TestKey) -> Value {
    let mut jwk = key.jwk("");
    jwk.as_object_mut().unwrap().remove("kid");
    jwk
}

fn thumbprint(key: &TestKey) -> [u8; 32] {
    jwk::read(public(key).as_object().unwrap(), &Algorithm::ALL).unwrap().thumbprint
}

fn header(key: &TestKey, alg: &str) -> Value {
    json!({"typ": "dpop+jwt", "alg": alg, "jwk": public(key)})
}

fn claims() -> Value {
    json!({
        "jti": "e1j3V_bKic8-LAEB", "htm": "GET", "htu": "https://a.example/x", "iat": NOW,
        "ath": base64url::encode(&sha256(TOKEN.as_bytes())),
    })
}

/// With one member replaced, or with `None` left out.
fn with(of: &Value, name: &str, value: Option<Value>) -> Value {
    let mut changed = of.clone();
    let members = changed.as_object_mut().unwrap();
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.remove(name).expect("it was there")),
    }
    changed
}

fn check_with(proof: &str, key: &TestKey, algorithms: &[Algorithm]) -> Result<Proof, Denial> {
    verify(proof, &Wanted { algorithms, key: &thumbprint(key), token: TOKEN })
}

fn check(proof: &str) -> Result<Proof, Denial> {
    check_with(proof, &P256, ALLOWED)
}

#[track_caller]
fn refused(proof: &str, what: &str) {
    let denial = check(proof).expect_err(what);
    assert_eq!(denial.reason, Reason::ProofInvalid, "{what}: {denial}");
    assert!(!denial.to_string().contains(TOKEN), "{what}: {denial}");
}

#[test]
fn a_proof_says_what_it_is_for() {
    let proof = check(&P256.token(&header(&P256, "ES256"), &claims())).unwrap();
    assert_eq!((&*proof.method, &*proof.url), ("GET", "https://a.example/x"));
    assert_eq!((proof.issued_at, proof.nonce), (Timestamp::from_secs(NOW), None));
    let more = json!({"nonce": "n", "exp": NOW + 5, "nbf": NOW - 5, "more": {"of": "it"}});
    let mut all = claims();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let proof = check(&P256.token(&header(&P256, "ES256"), &all)).unwrap();
    assert_eq!(proof.nonce.as_deref(), Some("n"));
    assert_eq!(proof.expires_at, Some(Timestamp::from_secs(NOW + 5)));
    assert_eq!(proof.not_before, Some(Timestamp::from_secs(NOW - 5)));
}

#[test]
fn every_algorithm_that_is_allowed_proves_with_its_own_key_alone() {
    let keys = [("ES256", &*P256), ("ES384", &*P384), ("EdDSA", &*ED25519), ("RS256", &*RSA), ("PS256", &*RSA)];
    for (name, key) in keys {
        for (other, _) in keys {
            let proof = key.token(&header(key, other), &claims());
            let fits = name == other || (std::ptr::eq(key, &*RSA) && ["RS256", "PS256"].contains(&other));
            assert_eq!(check_with(&proof, key, ALLOWED).is_ok(), fits, "{name} as {other}");
        }
        let only_others: Vec<_> = ALLOWED.iter().copied().filter(|algorithm| algorithm.name() != name).collect();
        assert!(check_with(&key.token(&header(key, name), &claims()), key, &only_others).is_err(), "{name}");
        let stranger = check_with(&key.token(&header(key, name), &claims()), &TestKey::p256(), ALLOWED);
        assert_eq!(stranger.unwrap_err().reason, Reason::ProofInvalid, "{name}");
    }
}

/// The example of RFC 9449, section 7.1, with the key, token and `ath` of sections 4 and 6.1.
#[test]
fn the_example_of_the_rfc_is_good() {
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let key = base64url::decode_array("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let wanted = Wanted { algorithms: ALLOWED, key: &key, token };
    let proved = verify(proof, &wanted).unwrap();
    assert_eq!((&*proved.method, &*proved.url), ("GET", "https://resource.example.org/protectedresource"));
    assert_eq!(proved.issued_at, Timestamp::from_secs(1_562_262_618));
    assert!(verify(proof, &Wanted { token: "another", ..wanted }).is_err());
    assert!(verify(proof, &Wanted { key: &[0; 32], ..wanted }).is_err());
}

#[test]
fn f27_a_proof_never_says_how_it_is_verified() {
    let good = header(&P256, "ES256");
    let mut hostile = Vec::new();
    for alg in ["none", "None", "", "HS256", "HS512", "es256", "ES256 ", "ES512", "ES256K", "RS256", "ES384", "PS256"] {
        hostile.push(P256.token(&with(&good, "alg", Some(json!(alg))), &claims()));
    }
    for alg in [json!(null), json!(7), json!(["ES256"]), json!({"name": "ES256"})] {
        hostile.push(P256.token(&with(&good, "alg", Some(alg)), &claims()));
    }
    for typ in ["JWT", "at+jwt", "DPOP+JWT", "dpop+JWT", "application/dpop+jwt", "dpop+jwt ", "dpop", ""] {
        hostile.push(P256.token(&with(&good, "typ", Some(json!(typ))), &claims()));
    }
    hostile.push(P256.token(&with(&good, "typ", Some(json!(["dpop+jwt"]))), &claims()));
    for name in ["typ", "alg", "jwk"] {
        hostile.push(P256.token(&with(&good, name, None), &claims()));
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(true)),
        ("jku", json!("https://a.example/keys")),
        ("x5u", json!("https://a.example/chain")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
        ("enc", json!("A128GCM")),
        ("zip", json!("DEF")),
    ] {
        hostile.push(P256.token(&with(&good, name, Some(value)), &claims()));
    }
    // The public key as a shared secret.
    for secret in [public(&P256).to_string(), P256.public_pem(), "secret".to_owned()] {
        for alg in ["HS256", "HS384", "HS512"] {
            let header = with(&good, "alg", Some(json!(alg)));
            hostile.push(TestKey::Secret(secret.clone().into_bytes()).token(&header, &claims()));
        }
    }
    for proof in &hostile {
        refused(proof, proof);
    }
    // Not even where the settings allow the whole registry.
    let secret = TestKey::Secret(vec![7; 64]);
    let header = json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": base64url::encode(&[7; 64])}});
    assert!(check_with(&secret.token(&header, &claims()), &P256, &Algorithm::ALL).is_err());
    assert!(hostile.len() > 40, "{}", hostile.len());
}

#[test]
fn f27_the_key_in_a_proof_is_public_whole_and_the_one_that_signed() {
    let (good, jwk) = (header(&P256, "ES256"), public(&P256));
    let signed = |jwk: Value| P256.token(&with(&good, "jwk", Some(jwk)), &claims());
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        refused(&signed(with(&jwk, name, Some(json!("AA")))), name);
        refused(&signed(with(&jwk, name, Some(json!(null)))), name);
    }
    for (name, value) in [
        ("kty", json!("oct")),
        ("kty", json!("RSA")),
        ("kty", json!("OKP")),
        ("kty", json!(7)),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("x", jwk["y"].clone()),
        ("x", json!(format!("{}=", jwk["x"].as_str().unwrap()))),
        ("x", json!("AA")),
        ("y", json!("")),
        ("y", json!(base64url::encode(&[0; 32]))),
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("alg", json!("ES384")),
        ("alg", json!("HS256")),
    ] {
        refused(&signed(with(&jwk, name, Some(value.clone()))), &format!("{name}: {value}"));
    }
    for name in ["kty", "crv", "x", "y"] {
        refused(&signed(with(&jwk, name, None)), name);
    }
    for whole in [json!(null), json!("key"), json!([jwk]), json!({}), public(&TestKey::p256()), public(&P384)] {
        refused(&signed(whole.clone()), &whole.to_string());
    }
    // Another key signs, and says that the right one did.
    refused(&TestKey::p256().token(&good, &claims()), "a stranger's signature");
    // What says nothing of the key is left alone.
    assert!(check(&signed(with(&jwk, "use", Some(json!("sig"))))).is_ok());
    assert!(check(&signed(with(&jwk, "kid", Some(json!("../../dev/null"))))).is_ok());
}

#[test]
fn f28_a_claim_of_the_wrong_type_is_never_taken_for_absent() {
    let signed = |claims: &Value| P256.token(&header(&P256, "ES256"), claims);
    let odd = [json!(null), json!(true), json!([]), json!(["GET"]), json!({}), json!({"a": 1})];
    for name in ["jti", "htm", "htu", "ath", "nonce"] {
        for value in odd.iter().chain(&[json!(7)]) {
            refused(&signed(&with(&claims(), name, Some(value.clone()))), &format!("{name}: {value}"));
        }
    }
    for name in ["iat", "exp", "nbf"] {
        for value in odd.iter().chain(&[json!(""), json!(NOW.to_string())]) {
            refused(&signed(&with(&claims(), name, Some(value.clone()))), &format!("{name}: {value}"));
        }
    }
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        refused(&signed(&with(&claims(), name, None)), name);
    }
    refused(&signed(&with(&claims(), "jti", Some(json!("")))), "an empty jti");
    refused(&signed(&with(&claims(), "jti", Some(json!("j".repeat(257))))), "a long jti");
    assert!(check(&signed(&with(&claims(), "jti", Some(json!("j".repeat(256)))))).is_ok());
}

#[test]
fn f34_a_proof_is_for_one_token() {
    let of = |bytes: &[u8]| base64url::encode(&sha256(bytes));
    let right = of(TOKEN.as_bytes());
    for ath in [
        of(b"another"),
        of(b""),
        of(format!("{TOKEN} ").as_bytes()),
        of(format!("DPoP {TOKEN}").as_bytes()),
        String::new(),
        right.to_uppercase(),
        format!("{right}="),
        right[1..].to_owned(),
        TOKEN.to_owned(),
        crate::crypto::digest::hex(&sha256(TOKEN.as_bytes())),
    ] {
        refused(&P256.token(&header(&P256, "ES256"), &with(&claims(), "ath", Some(json!(ath)))), &ath);
    }
}

#[test]
fn f29_only_one_text_is_one_proof() {
    let good = P256.token(&header(&P256, "ES256"), &claims());
    assert!(check(&good).is_ok());
    let [head, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{head}.{body}.x.{signature}.y"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}, {good}"),
        format!("{good},{good}"),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{head}.{signature}"),
        format!("{body}.{head}.{signature}"),
        format!("{head}.{body}.{}", &signature[1..]),
        format!("{head}.{body}.{}", base64url::encode(&[0; 64])),
        format!("{head}.{body}.{}", base64url::encode(&[0; 63])),
        format!("{head}.{body}.AA"),
        format!("{}.{body}.{signature}", base64url::encode(b"[]")),
        format!("{}.{body}.{signature}", base64url::encode(b"{\"alg\":\"none\"}")),
        json!({"payload": body, "protected": head, "signature": signature}).to_string(),
    ] {
        refused(&text, &text);
    }
    // A name that stands twice.
    let twice = claims().to_string().replacen('{', "{\"htm\":\"POST\",", 1);
    refused(&P256.token_of(&header(&P256, "ES256").to_string(), &twice), "htm twice");
    let twice = header(&P256, "ES256").to_string().replacen('{', "{\"alg\":\"none\",", 1);
    refused(&P256.token_of(&twice, &claims().to_string()), "alg twice");
    // One that is too long, though right in every other way.
    let padded = with(&claims(), "padding", Some(json!("x".repeat(MAX_SIZE))));
    refused(&P256.token(&header(&P256, "ES256"), &padded), "a long proof");
    // Deep JSON.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    refused(&P256.token_of(&header(&P256, "ES256").to_string(), &deep), "deep JSON");
}

#[test]
fn f29_another_signature_over_the_same_proof_is_the_same_use() {
    let (one, other) = (P256.token(&header(&P256, "ES256"), &claims()), P256.token(&header(&P256, "ES256"), &claims()));
    assert_ne!(one, other, "ECDSA is randomized");
    assert_eq!(check(&one).unwrap().digest, check(&other).unwrap().digest);
    let next = with(&claims(), "jti", Some(json!("another")));
    assert_ne!(check(&P256.token(&header(&P256, "ES256"), &next)).unwrap().digest, check(&one).unwrap().digest);
    // The same `jti` of another key is another's.
    let theirs = check_with(&P384.token(&header(&P384, "ES384"), &claims()), &P384, ALLOWED).unwrap();
    assert_ne!(theirs.digest, check(&one).unwrap().digest);
}

proptest::proptest! {
    #[test]
    fn f26_no_bytes_panic(text in "\\PC{0,60}(\\.\\PC{0,60}){0,4}") {
        proptest::prop_assert!(check(&text).is_err());
    }

    #[test]
    fn f26_what_is_almost_a_proof_does_not_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}") {
        let encode = |text: String| base64url::encode(text.as_bytes());
        let header = format!("{{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{header}}}");
        let almost = encode(header) + "." + &encode(claims) + ".AAAA";
        proptest::prop_assert!(check(&almost).is_err());
    }
}
