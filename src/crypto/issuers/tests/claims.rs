use std::time::Duration;

use serde_json::{Value, json};

use super::{refusal, verify};
use crate::crypto::testing::*;
use crate::crypto::{Issuers, base64url};
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, IssuerSettings, KeySource};
use crate::model::{Secret, Timestamp};

fn issuers_with(change: impl FnOnce(&mut IssuerSettings)) -> Issuers {
    let TestKey::Secret(secret) = &*SECRET else { unreachable!() };
    let mut settings = settings(KeySource::Secret(Secret::new(secret.clone())), &[Algorithm::HS256]);
    change(&mut settings);
    open(settings).unwrap()
}

fn issuers() -> Issuers {
    issuers_with(|_| {})
}

fn token(claims: &Value) -> String {
    SECRET.token(&json!({"alg": "HS256"}), claims)
}

fn with(name: &str, value: Value) -> String {
    token(&claims_with(name, Some(value)))
}

#[tokio::test]
async fn f28_a_claim_of_the_wrong_type_is_never_taken_for_absent() {
    let anything = [
        json!(null),
        json!(true),
        json!(""),
        json!("9999999999"),
        json!(NOW + 600),
        json!([]),
        json!([NOW + 600]),
        json!(["orders", 1]),
        json!([["orders"]]),
        json!({}),
        json!({"orders": "orders"}),
    ];
    for name in ["exp", "nbf", "iat"] {
        for value in anything.iter().filter(|v| !v.is_number()) {
            assert_eq!(refusal(&issuers(), &with(name, value.clone())).await, Reason::TokenClaim, "{name}: {value}");
        }
    }
    for name in ["sub", "jti"] {
        for value in anything.iter().filter(|v| *v != "9999999999") {
            assert_eq!(refusal(&issuers(), &with(name, value.clone())).await, Reason::TokenClaim, "{name}: {value}");
        }
    }
    for value in &anything {
        let iss = if value.is_string() { Reason::TokenIssuer } else { Reason::TokenClaim };
        assert_eq!(refusal(&issuers(), &with("iss", value.clone())).await, iss, "iss: {value}");
        let strings_only = value.is_string() || *value == json!([]);
        let aud = if strings_only { Reason::TokenAudience } else { Reason::TokenClaim };
        assert_eq!(refusal(&issuers(), &with("aud", value.clone())).await, aud, "aud: {value}");
        assert_eq!(refusal(&issuers(), &with("cnf", value.clone())).await, Reason::TokenClaim, "cnf: {value}");
    }
}

#[tokio::test]
async fn f28_what_is_required_may_not_be_absent() {
    for (name, reason) in [
        ("exp", Reason::TokenClaim),
        ("sub", Reason::TokenClaim),
        ("iss", Reason::TokenClaim),
        ("aud", Reason::TokenAudience),
    ] {
        assert_eq!(refusal(&issuers(), &token(&claims_with(name, None))).await, reason, "{name}");
    }
    verify(&issuers(), &token(&claims_with("iat", None))).await.unwrap();
    let issuers = issuers_with(|s| s.required_claims = vec!["tenant".into()]);
    for claims in [claims(), claims_with("tenant", Some(json!(null)))] {
        assert_eq!(refusal(&issuers, &token(&claims)).await, Reason::TokenClaim);
    }
    verify(&issuers, &with("tenant", json!("acme"))).await.unwrap();
}

#[tokio::test]
async fn times_are_judged_with_leeway_and_no_more() {
    let end = NOW + 600;
    let (issuers, token) = (issuers(), token(&claims()));
    let at = |secs: u64, millis: u64| Timestamp(secs * 1000 + millis);
    assert!(issuers.verify(&token, at(end + 29, 999)).await.is_ok());
    let late = issuers.verify(&token, at(end + 30, 0)).await.unwrap_err();
    assert_eq!(late.reason, Reason::TokenExpired);
    assert!(issuers.verify(&token, at(NOW - 30, 0)).await.is_ok());
    let early = issuers.verify(&token, at(NOW - 31, 999)).await.unwrap_err();
    assert_eq!(early.reason, Reason::TokenNotYetValid);

    verify(&issuers, &with("nbf", json!(NOW + 30))).await.unwrap();
    assert_eq!(refusal(&issuers, &with("nbf", json!(NOW + 31))).await, Reason::TokenNotYetValid);
    let verified = verify(&issuers, &with("nbf", json!(NOW))).await.unwrap();
    assert_eq!(verified.expires_at, at(end + 30, 0));
    assert_eq!(verified.not_before, Some(at(NOW - 30, 0)));
    assert_eq!(verified.issued_at, Some(at(NOW, 0)));
}

#[tokio::test]
async fn numeric_dates_may_have_fractions_and_odd_sizes() {
    let verified = verify(&issuers(), &with("exp", json!(NOW as f64 + 600.9))).await.unwrap();
    assert_eq!(verified.expires_at, Timestamp::from_secs(NOW + 630));
    for (exp, reason) in [
        (json!(0), Reason::TokenExpired),
        (json!(-1), Reason::TokenExpired),
        (json!(-1e300), Reason::TokenExpired),
        (json!(1e300), Reason::TokenLifetime),
        (json!(u64::MAX), Reason::TokenLifetime),
        (json!(NOW * 1000), Reason::TokenLifetime),
    ] {
        assert_eq!(refusal(&issuers(), &with("exp", exp.clone())).await, reason, "{exp}");
    }
    verify(&issuers(), &with("nbf", json!(-5))).await.unwrap();
}

#[tokio::test]
async fn a_token_may_not_live_longer_than_its_issuer_may_say() {
    let issuers = issuers_with(|s| s.max_lifetime = Duration::from_secs(3600));
    let lives = |iat: Option<u64>, exp: u64| {
        let mut claims = claims_with("iat", iat.map(Value::from));
        claims["exp"] = json!(exp);
        token(&claims)
    };
    verify(&issuers, &lives(Some(NOW), NOW + 3600)).await.unwrap();
    assert_eq!(refusal(&issuers, &lives(Some(NOW), NOW + 3601)).await, Reason::TokenLifetime);
    assert_eq!(refusal(&issuers, &lives(Some(NOW - 3000), NOW + 3600)).await, Reason::TokenLifetime);
    verify(&issuers, &lives(None, NOW + 3600)).await.unwrap();
    assert_eq!(refusal(&issuers, &lives(None, NOW + 3601)).await, Reason::TokenLifetime);
}

#[tokio::test]
async fn one_audience_of_several_is_enough_and_none_is_not() {
    verify(&issuers(), &with("aud", json!(["account", "orders"]))).await.unwrap();
    for aud in [json!("account"), json!(["account"]), json!("Orders"), json!("orders "), json!("orders/x"), json!([])] {
        assert_eq!(refusal(&issuers(), &with("aud", aud.clone())).await, Reason::TokenAudience, "{aud}");
    }
}

#[tokio::test]
async fn iss_is_compared_exactly() {
    for iss in ["https://id.example.com/", "https://ID.example.com", "http://id.example.com", " https://id.example.com"]
    {
        assert_eq!(refusal(&issuers(), &with("iss", json!(iss))).await, Reason::TokenIssuer, "{iss}");
    }
}

#[tokio::test]
async fn the_log_sees_both_sides_and_nothing_that_could_forge_a_line() {
    let detail = async |token: String| verify(&issuers(), &token).await.unwrap_err().detail.unwrap();
    assert_eq!(
        &*detail(with("aud", json!("account"))).await,
        "audience: token has [account], issuer.main wants [orders]"
    );
    let forged = detail(with("aud", json!("x\r\nlevel=info granted\u{1b}[2K"))).await;
    assert!(!forged.contains(char::is_control), "{forged:?}");
    let long = detail(with("aud", json!(vec!["a".repeat(500); 10]))).await;
    assert!(long.len() < 800, "{}", long.len());
    let header = json!({"alg": "x".repeat(4000)});
    assert!(detail(SECRET.token(&header, &claims())).await.len() < 200);
    for sub in ["a\nb", "a\u{0}b", "a\u{85}b", "\u{7f}"] {
        assert_eq!(refusal(&issuers(), &with("sub", json!(sub))).await, Reason::TokenClaim, "{sub:?}");
    }
}

#[tokio::test]
async fn f49_no_refusal_repeats_the_token() {
    let canary = "canary5f2c";
    let tokens = [
        with("exp", json!(canary)),
        with("cnf", json!(canary)),
        with("secret", json!(canary)) + "A",
        format!("{canary}.{canary}.{canary}"),
        SECRET.token_of(&format!("{{\"alg\":\"HS256\",\"{canary}\":1,\"{canary}\":2}}"), &claims().to_string()),
    ];
    for token in tokens {
        let denial = verify(&issuers(), &token).await.unwrap_err();
        let shown = format!("{denial} {denial:?}");
        let signature = token.rsplit('.').next().unwrap();
        assert!(!shown.contains(canary) && !shown.contains(signature), "{shown}");
    }
}

#[tokio::test]
async fn size_is_checked_before_anything_else() {
    let issuers = issuers_with(|s| s.max_size = 300);
    assert_eq!(refusal(&issuers, &"x".repeat(301)).await, Reason::TokenTooLarge);
    let long = with("padding", json!("x".repeat(300)));
    assert_eq!(refusal(&issuers, &long).await, Reason::TokenTooLarge);
    let token = token(&claims());
    let exact = issuers_with(|s| s.max_size = token.len());
    verify(&exact, &token).await.unwrap();
}

#[tokio::test]
async fn encrypted_tokens_are_refused() {
    assert_eq!(refusal(&issuers(), &format!("{}.x.y", token(&claims()))).await, Reason::TokenMalformed);
}

#[tokio::test]
async fn a_token_is_known_by_its_jti_or_by_what_was_signed() {
    assert_eq!(&*verify(&issuers(), &with("jti", json!("t-1"))).await.unwrap().id, "t-1");
    let token = token(&claims());
    let id = verify(&issuers(), &token).await.unwrap().id;
    let digest = crate::crypto::digest::sha256(token.rsplit_once('.').unwrap().0.as_bytes());
    assert_eq!(&*id, format!("sha256:{}", crate::crypto::digest::hex(&digest)));
}

#[tokio::test]
async fn f29_another_signature_over_the_same_token_has_the_same_id() {
    let issuers = with_jwks(&[P256.jwk("k1")], &[Algorithm::ES256]).unwrap();
    let token = P256.token(&json!({"alg": "ES256", "kid": "k1"}), &claims());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = base64url::decode(signature).unwrap();
    // (r, n − s) verifies whenever (r, s) does.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&order[2 * i..2 * i + 2], 16).unwrap()).collect();
    let mut other = signature.clone();
    let mut borrow = 0;
    for i in (0..32).rev() {
        let difference = i16::from(order[i]) - i16::from(signature[32 + i]) - borrow;
        borrow = i16::from(difference < 0);
        other[32 + i] = difference.rem_euclid(256) as u8;
    }
    let twin = format!("{input}.{}", base64url::encode(&other));
    assert_ne!(twin, token);
    let ids = [verify(&issuers, &token).await.unwrap().id, verify(&issuers, &twin).await.unwrap().id];
    assert_eq!(ids[0], ids[1]);
    // And no other writing of the same signature is read at all.
    for other in [format!("{token}="), format!("{token}\n"), token.replace('.', ". ")] {
        assert_eq!(refusal(&issuers, &other).await, Reason::TokenMalformed);
    }
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_says_which() {
    let thumbprint = [7; 32];
    let bound = with("cnf", json!({"x5t#S256": base64url::encode(&thumbprint)}));
    assert_eq!(verify(&issuers(), &bound).await.unwrap().bound_certificate, Some(thumbprint));
    for cnf in [
        json!({}),
        json!({"x5t#S256": base64url::encode(&[7; 31])}),
        json!({"x5t#S256": 1}),
        json!({"jkt": base64url::encode(&[7; 33])}),
        json!({"jkt": null}),
        json!({"x5t#S256": base64url::encode(&thumbprint), "jkt": "x"}),
        json!({"x5t#S256": "x", "jkt": base64url::encode(&thumbprint)}),
        json!({"jkt": base64url::encode(&thumbprint), "jku": "https://evil.example/"}),
        json!([]),
        json!(null),
        json!({"jwk": {}}),
        json!({"kid": "x"}),
    ] {
        assert_eq!(refusal(&issuers(), &with("cnf", cnf.clone())).await, Reason::TokenClaim, "{cnf}");
    }
}

#[tokio::test]
async fn a_token_bound_to_a_key_says_which_and_may_be_bound_twice() {
    let [certificate, key] = [[7; 32], [8; 32]].map(|thumbprint| base64url::encode(&thumbprint));
    let by_key = verify(&issuers(), &with("cnf", json!({"jkt": key}))).await.unwrap();
    assert_eq!((by_key.bound_certificate, by_key.bound_key), (None, Some([8; 32])));
    let by_both = verify(&issuers(), &with("cnf", json!({"jkt": key, "x5t#S256": certificate}))).await.unwrap();
    assert_eq!((by_both.bound_certificate, by_both.bound_key), (Some([7; 32]), Some([8; 32])));
}

#[tokio::test]
async fn where_tokens_must_be_bound_one_that_is_not_is_refused() {
    let strict = || issuers_with(|settings| settings.sender_constrained = true);
    let thumbprint = base64url::encode(&[7; 32]);
    assert_eq!(refusal(&strict(), &token(&claims())).await, Reason::TokenBinding);
    assert_eq!(refusal(&strict(), &with("cnf", json!({}))).await, Reason::TokenClaim);
    verify(&strict(), &with("cnf", json!({"jkt": thumbprint}))).await.unwrap();
    verify(&strict(), &with("cnf", json!({"x5t#S256": thumbprint}))).await.unwrap();
}
