//! The signed assertion, as an upstream verifies it with nothing but the published keys.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::model::{Clock as _, SystemClock, SystemEntropy};
use serde_json::{Value, json};

use crate::harness::http;
use crate::harness::portcullis::{ISSUER, Portcullis, Setup, bearer, cookie};
use crate::harness::upstream::Upstream;

fn start(setup: Setup, upstream: &Upstream) -> Portcullis {
    setup.start(&format!(
        r#"
        [upstream]
        orders = {{ endpoints = ["{}"] }}
        [defaults]
        upstream = "orders"
        accept = ["jwt", "api_key", "session"]
        identity = {{ assertion = true }}
        [route]
        all = {{ match = "/{{*rest}}" }}
        "#,
        upstream.url()
    ))
}

/// What a client of the keys would do: fetch them, pick by `kid`, verify ES256 (RFC 7518, section 3.4).
fn verified(portcullis: &Portcullis, assertion: &str) -> Option<(Value, Value)> {
    let keys = http::get(portcullis.address(), "/.well-known/portcullis/jwks.json", "");
    assert_eq!(keys.status, 200, "{}", keys.head);
    assert_eq!(keys.value("content-type"), Some("application/jwk-set+json"));
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (input, signature) = assertion.rsplit_once('.').expect("three segments");
    let (header, claims) = input.split_once('.').expect("three segments");
    let parse = |text: &str| serde_json::from_slice::<Value>(&decode(text)).expect("JSON");
    let (header, claims) = (parse(header), parse(claims));
    assert_eq!(header["alg"], "ES256");
    let keys = keys.json();
    let key = keys["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("the key");
    assert_eq!((&key["kty"], &key["crv"], key.get("d")), (&json!("EC"), &json!("P-256"), None));
    let mut point = vec![4];
    point.extend(decode(key["x"].as_str().expect("x")));
    point.extend(decode(key["y"].as_str().expect("y")));
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(input.as_bytes(), &decode(signature)).is_ok().then_some((header, claims))
}

#[test]
fn an_upstream_can_verify_who_is_calling_with_the_published_keys() {
    let upstream = Upstream::start();
    let portcullis = start(Setup::new(), &upstream);
    let token = portcullis.token(json!({ "sub": "bob", "roles": ["writer"], "scope": "read write" }));
    assert_eq!(http::get(portcullis.address(), "/x", &bearer(&token)).status, 200);
    let seen = upstream.last();
    let assertion = seen.value("x-auth-assertion").expect("an assertion");
    let (header, claims) = verified(&portcullis, assertion).expect("it verifies");
    assert_eq!(header["typ"], "portcullis-assertion+jwt");
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["sub"], &claims["method"]),
        (&json!("portcullis"), &json!("orders"), &json!("bob"), &json!("jwt"))
    );
    assert_eq!(claims["principal"], json!({ "issuer": "https://id.example.com", "subject": "bob" }));
    assert_eq!((&claims["roles"], &claims["scopes"]), (&json!(["writer"]), &json!(["read", "write"])));
    let life = claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat");
    assert!((1..=61).contains(&life), "{life}");
    // What is changed no longer verifies.
    let (input, signature) = assertion.rsplit_once('.').unwrap();
    let (head, body) = input.split_once('.').unwrap();
    let mut forged = claims.clone();
    forged["sub"] = json!("root");
    let forged = URL_SAFE_NO_PAD.encode(forged.to_string());
    assert_ne!(body, forged);
    assert!(verified(&portcullis, &format!("{head}.{forged}.{signature}")).is_none());
}

#[test]
fn each_credential_gets_its_own_assertion() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let (key, session) = (setup.api_key(|_| {}), setup.session(|record| record.roles = vec!["writer".into()]));
    let portcullis = start(setup, &upstream);
    for (credential, method, roles) in [
        (format!("X-Api-Key: {key}\r\n"), "api_key", json!(["reader"])),
        (cookie(&session), "session", json!(["writer"])),
        (bearer(&portcullis.token(json!({ "roles": [] }))), "jwt", json!([])),
    ] {
        assert_eq!(http::get(portcullis.address(), "/x", &credential).status, 200, "{method}");
        let seen = upstream.last();
        let (_, claims) = verified(&portcullis, seen.value("x-auth-assertion").expect("one")).expect("it verifies");
        assert_eq!((&claims["method"], &claims["roles"]), (&json!(method), &roles));
        assert_eq!(claims.get("session").is_some(), method == "session");
    }
}

#[test]
fn f36_an_assertion_is_no_credential() {
    let upstream = Upstream::start();
    let portcullis = start(Setup::new(), &upstream);
    assert_eq!(http::get(portcullis.address(), "/x", &bearer(&portcullis.token(json!({})))).status, 200);
    let assertion = upstream.last().value("x-auth-assertion").expect("an assertion").to_owned();
    assert_eq!(http::get(portcullis.address(), "/x", &bearer(&assertion)).status, 401);
    assert_eq!(http::get(portcullis.address(), "/x", &format!("X-Auth-Assertion: {assertion}\r\n")).status, 401);
    assert_eq!(http::get(portcullis.address(), "/x", &format!("X-Api-Key: {assertion}\r\n")).status, 401);
    assert_eq!(http::get(portcullis.address(), "/x", &cookie(&assertion)).status, 401);
    assert_eq!(upstream.received().len(), 1);

    // Not even where everything but its type would make it one: the issuer's own key, name and audience.
    let setup = Setup::new();
    let now = SystemClock.now().as_secs();
    let claims = json!({ "iss": ISSUER, "sub": "alice", "aud": "orders", "iat": now, "exp": now + 60 });
    let sign = |typ: &str| {
        let token = setup.signer().sign(typ, claims.as_object().expect("an object"), &SystemEntropy);
        bearer(&token.expect("a token"))
    };
    let (access_token, forged) = (sign("at+jwt"), sign(portcullis::gate::assertion::TYPE));
    let portcullis = start(setup, &upstream);
    assert_eq!(http::get(portcullis.address(), "/x", &access_token).status, 200);
    assert_eq!(http::get(portcullis.address(), "/x", &forged).status, 401);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn the_keys_are_public_and_nothing_else_is_there() {
    let upstream = Upstream::start();
    let portcullis = start(Setup::new(), &upstream);
    let to = portcullis.address();
    let keys = http::get(to, "/.well-known/portcullis/jwks.json", "Authorization: Bearer nonsense\r\n");
    assert_eq!((keys.status, keys.value("cache-control")), (200, Some("public, max-age=300")));
    assert!(!keys.body.contains("\"d\""), "a private key is served");
    assert_eq!(http::get(to, "/.well-known/portcullis/jwks.json/x", "").status, 401);
    assert_eq!(http::post(to, "/.well-known/portcullis/jwks.json", "").status, 401);
    assert_eq!(upstream.received().len(), 0);
}
