//! A token never decides how, or by which key, it is verified.

use serde_json::{Value, json};

use super::{refusal, verify};
use crate::crypto::testing::*;
use crate::crypto::{Issuers, base64url};
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, KeySource};

fn unsigned(header: &Value) -> String {
    format!(
        "{}.{}.",
        base64url::encode(header.to_string().as_bytes()),
        base64url::encode(claims().to_string().as_bytes())
    )
}

fn es256() -> Issuers {
    with_jwks(&[P256.jwk("k1")], &[Algorithm::ES256]).unwrap()
}

#[tokio::test]
async fn f27_none_is_no_algorithm_however_it_is_written() {
    for name in ["none", "None", "NONE", "nOnE", "", "none ", "null", "es256", "ES256 ", "HS256", "ES512"] {
        let token = unsigned(&json!({"alg": name, "kid": "k1"}));
        assert_eq!(refusal(&es256(), &token).await, Reason::TokenAlgorithm, "{name:?}");
        // Nor with a signature that would be right.
        let signed = P256.token(&json!({"alg": name, "kid": "k1"}), &claims());
        assert_eq!(refusal(&es256(), &signed).await, Reason::TokenAlgorithm, "{name:?}");
    }
    for header in [json!({}), json!({"alg": null}), json!({"alg": 1}), json!({"alg": ["ES256"]}), json!({"alg": {}})] {
        assert_eq!(refusal(&es256(), &P256.token(&header, &claims())).await, Reason::TokenMalformed, "{header}");
    }
}

#[tokio::test]
async fn f27_a_public_key_is_never_a_shared_secret() {
    // Even where the settings unwisely allow both families.
    let allowed = [Algorithm::RS256, Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let file = TestFile::new(RSA.public_pem());
    let by_pem = open(settings(KeySource::PemFile(file.path()), &allowed)).unwrap();
    let by_jwks = with_jwks(&[RSA.jwk("k1")], &allowed).unwrap();
    let jwk = RSA.jwk("k1").to_string().into_bytes();
    for secret in [RSA.public_pem().into_bytes(), RSA.public_pem().trim().as_bytes().to_vec(), RSA.spki(), jwk] {
        for alg in ["HS256", "HS384", "HS512"] {
            let forged = TestKey::Secret(secret.clone()).token(&json!({"alg": alg, "kid": "k1"}), &claims());
            assert_eq!(refusal(&by_pem, &forged).await, Reason::TokenKeyUnknown);
            assert_eq!(refusal(&by_jwks, &forged).await, Reason::TokenAlgorithm);
        }
    }
}

#[tokio::test]
async fn f27_the_key_decides_the_algorithm() {
    let all = Algorithm::ALL;
    let keys = [("rsa", &*RSA), ("p256", &*P256), ("p384", &*P384), ("ed", &*ED25519)];
    let issuers = with_jwks(&keys.map(|(kid, key)| key.jwk(kid)), &all).unwrap();
    for (kid, key) in keys {
        for algorithm in all {
            let token = key.token(&json!({"alg": algorithm.name(), "kid": kid}), &claims());
            if std::ptr::eq(TestKey::of(algorithm), key) {
                verify(&issuers, &token).await.unwrap();
            } else {
                assert_eq!(refusal(&issuers, &token).await, Reason::TokenAlgorithm, "{kid} {algorithm:?}");
            }
        }
    }
}

#[tokio::test]
async fn f27_a_jwk_that_names_its_algorithm_is_used_with_no_other() {
    let mut jwk = RSA.jwk("k1");
    jwk["alg"] = json!("PS256");
    let issuers = with_jwks(&[jwk], &[Algorithm::RS256, Algorithm::PS256]).unwrap();
    verify(&issuers, &RSA.token(&json!({"alg": "PS256", "kid": "k1"}), &claims())).await.unwrap();
    let other = RSA.token(&json!({"alg": "RS256", "kid": "k1"}), &claims());
    assert_eq!(refusal(&issuers, &other).await, Reason::TokenAlgorithm);
}

#[tokio::test]
async fn f27_keys_that_a_token_brings_along_are_not_used() {
    let mallory = TestKey::p256();
    for header in [
        json!({"alg": "ES256", "jwk": mallory.jwk("k1")}),
        json!({"alg": "ES256", "kid": "k1", "jwk": mallory.jwk("k1")}),
        json!({"alg": "ES256", "kid": "k1", "x5c": [base64url::encode(&mallory.spki())]}),
        json!({"alg": "ES256", "kid": "k1", "jku": "https://mallory.example/keys", "x5u": "https://mallory.example/c"}),
    ] {
        assert_eq!(refusal(&es256(), &mallory.token(&header, &claims())).await, Reason::TokenSignature, "{header}");
        // They are ignored, not an error.
        verify(&es256(), &P256.token(&header, &claims())).await.unwrap();
    }
}

#[tokio::test]
async fn f27_kid_picks_a_key_and_nothing_else() {
    for kid in ["../../../../dev/null", "/etc/passwd", "k1\0", "K1", "", "' OR 1=1 --", "http://127.0.0.1/", "k1/../k1"]
    {
        let token = P256.token(&json!({"alg": "ES256", "kid": kid}), &claims());
        assert_eq!(refusal(&es256(), &token).await, Reason::TokenKeyUnknown, "{kid:?}");
    }
    for kid in [json!(1), json!(["k1"]), json!(null), json!({})] {
        let token = P256.token(&json!({"alg": "ES256", "kid": kid}), &claims());
        assert_eq!(refusal(&es256(), &token).await, Reason::TokenMalformed, "{kid}");
    }
}

#[tokio::test]
async fn f27_kid_picks_within_its_issuer_only() {
    use std::sync::Arc;
    let (ours, theirs) = (TestKey::p256(), TestKey::p256());
    let (our_file, their_file) =
        (TestFile::new(jwks(&[ours.jwk("ours")])), TestFile::new(jwks(&[theirs.jwk("theirs")])));
    let a = settings(KeySource::JwksFile(our_file.path()), &[Algorithm::ES256]);
    let mut b = settings(KeySource::JwksFile(their_file.path()), &[Algorithm::ES256]);
    (b.name, b.issuer) = ("other".into(), "https://other.example".into());
    let observer = Arc::new(crate::model::observer::Unobserved);
    let issuers = Issuers::new(&[Arc::new(a), Arc::new(b)], ManualClock::new(), observer).unwrap();
    let header = json!({"alg": "ES256", "kid": "theirs"});
    assert_eq!(refusal(&issuers, &theirs.token(&header, &claims())).await, Reason::TokenKeyUnknown);
    let other = claims_with("iss", Some(json!("https://other.example")));
    assert_eq!(&*verify(&issuers, &theirs.token(&header, &other)).await.unwrap().issuer.name, "other");
    assert_eq!(refusal(&issuers, &ours.token(&json!({"alg": "ES256"}), &other)).await, Reason::TokenSignature);
}

#[tokio::test]
async fn without_a_kid_every_key_that_fits_is_tried_but_not_without_end() {
    let keys: Vec<_> = (0..9).map(|_| TestKey::p256()).collect();
    let jwks: Vec<_> = keys.iter().enumerate().map(|(i, key)| key.jwk(&format!("k{i}"))).collect();
    let issuers = with_jwks(&jwks, &[Algorithm::ES256]).unwrap();
    verify(&issuers, &keys[7].token(&json!({"alg": "ES256"}), &claims())).await.unwrap();
    assert_eq!(refusal(&issuers, &keys[8].token(&json!({"alg": "ES256"}), &claims())).await, Reason::TokenSignature);
    verify(&issuers, &keys[8].token(&json!({"alg": "ES256", "kid": "k8"}), &claims())).await.unwrap();
}

#[tokio::test]
async fn what_is_critical_and_not_understood_is_refused() {
    for extra in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"crit": null}),
        json!({"crit": "b64"}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": true}),
        json!({"b64": false}),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "k1"});
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(refusal(&es256(), &P256.token(&header, &claims())).await, Reason::TokenCritical, "{header}");
    }
}

#[tokio::test]
async fn names_that_stand_twice_are_refused() {
    let (header, claims) = (r#"{"alg":"ES256","kid":"k1"}"#, claims().to_string());
    verify(&es256(), &P256.token_of(header, &claims)).await.unwrap();
    let twice = P256.token_of(r#"{"alg":"ES256","kid":"k1","alg":"ES256"}"#, &claims);
    assert_eq!(refusal(&es256(), &twice).await, Reason::TokenMalformed);
    let twice = P256.token_of(header, &claims.replacen('{', r#"{"sub":"mallory","#, 1));
    assert_eq!(refusal(&es256(), &twice).await, Reason::TokenMalformed);
}

#[tokio::test]
async fn tokens_of_another_kind_are_refused_by_their_typ() {
    let issuers = es256();
    let with_typ = |typ: Value| P256.token(&json!({"alg": "ES256", "kid": "k1", "typ": typ}), &claims());
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", "JOSE"] {
        verify(&issuers, &with_typ(json!(typ))).await.unwrap_or_else(|e| panic!("{typ}: {e}"));
    }
    for typ in [
        "id_token+jwt",
        "logout+jwt",
        "Logout+JWT",
        "application/logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "portcullis-assertion+jwt",
        "application/portcullis-assertion+jwt",
        "kb+jwt",
        "vc+sd-jwt",
        "id_token",
    ] {
        assert_eq!(refusal(&issuers, &with_typ(json!(typ))).await, Reason::TokenType, "{typ}");
    }
    for typ in [json!(1), json!(["JWT"]), json!(null)] {
        assert_eq!(refusal(&issuers, &with_typ(typ.clone())).await, Reason::TokenMalformed, "{typ}");
    }
}

#[tokio::test]
async fn an_issuer_that_names_its_types_accepts_no_other() {
    let file = TestFile::new(jwks(&[P256.jwk("k1")]));
    let mut settings = settings(KeySource::JwksFile(file.path()), &[Algorithm::ES256]);
    settings.types = vec!["at+jwt".into(), "portcullis-assertion+jwt".into()];
    let issuers = open(settings).unwrap();
    let with = |header: Value| P256.token(&header, &claims());
    verify(&issuers, &with(json!({"alg": "ES256", "typ": "application/AT+jwt"}))).await.unwrap();
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "typ": "JWT"}),
        json!({"alg": "ES256", "typ": "at+jwt "}),
        // Not even where the settings say so.
        json!({"alg": "ES256", "typ": "portcullis-assertion+jwt"}),
    ] {
        assert_eq!(refusal(&issuers, &with(header.clone())).await, Reason::TokenType, "{header}");
    }
}
