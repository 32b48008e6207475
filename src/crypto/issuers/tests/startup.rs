//! What is refused before the first token comes.

use std::sync::Arc;

use aws_lc_rs::rsa::KeySize;
use serde_json::json;

use crate::crypto::testing::*;
use crate::crypto::{Issuers, KeyError};
use crate::model::settings::{Algorithm, KeySource};

fn problem(result: Result<Issuers, KeyError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_secret_is_at_least_as_long_as_the_hash() {
    for (algorithm, length) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        with_secret(&vec![1; length], &[algorithm]).unwrap();
        let short = problem(with_secret(&vec![1; length - 1], &[algorithm]));
        assert_eq!(
            short,
            format!("issuer.main: the secret has {} bytes, {} wants {length} or more", length - 1, algorithm.name())
        );
    }
    // One that is long enough for one algorithm is still too short for the other.
    problem(with_secret(&[1; 32], &[Algorithm::HS256, Algorithm::HS512]));
    problem(with_secret(&[1; 64], &[Algorithm::ES256]));
    problem(with_secret(&[], &[Algorithm::HS256]));
}

#[test]
fn rsa_keys_have_at_least_2048_bits() {
    // Of the form of a key, with 2047 bits.
    let mut n = vec![0xff; 256];
    n[0] = 0x7f;
    let jwk = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "n": crate::crypto::base64url::encode(n), "e": crate::crypto::base64url::encode(e)});
    let weak = problem(with_jwks(&[jwk(&n, &[1, 0, 1])], &[Algorithm::RS256]));
    assert!(weak.contains("2047 bits, 2048 to 8192"), "{weak}");
    n[0] = 0xff;
    for e in [&[][..], &[1], &[2], &[1, 0, 0, 0, 1], &[0]] {
        let odd = problem(with_jwks(&[jwk(&n, e)], &[Algorithm::RS256]));
        assert!(odd.contains("exponent"), "{odd}");
    }
    with_jwks(&[TestKey::rsa(KeySize::Rsa3072).jwk("k")], &[Algorithm::RS256]).unwrap();
}

#[test]
fn pem_files_hold_one_public_key() {
    let of = |content: &str, algorithm| {
        let file = TestFile::new(content);
        open(settings(KeySource::PemFile(file.path()), &[algorithm]))
    };
    of(&P256.public_pem(), Algorithm::ES256).unwrap();
    // PKCS #1 as well.
    let TestKey::Rsa(rsa) = &*RSA else { unreachable!() };
    let pkcs1 = aws_lc_rs::signature::KeyPair::public_key(rsa).as_ref().to_vec();
    of(&pem_text("RSA PUBLIC KEY", &pkcs1), Algorithm::RS256).unwrap();
    // And certificates.
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["id.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
    of(&certificate.pem(), Algorithm::ES384).unwrap();

    let private = crate::crypto::Signer::generate().unwrap().to_pem();
    for (content, algorithm, wanted) in [
        (private.expose().as_str(), Algorithm::ES256, "is a private key"),
        ("", Algorithm::ES256, "no PEM section"),
        ("no PEM at all", Algorithm::ES256, "PEM"),
        (&P256.public_pem(), Algorithm::RS256, "a P-256 key fits none of the allowed algorithms"),
        (&P256.public_pem().repeat(2), Algorithm::ES256, "more than one"),
        (&pem_text("PUBLIC KEY", &P256.spki()[..60]), Algorithm::ES256, "not valid DER"),
        (&pem_text("PUBLIC KEY", &[P256.spki(), vec![0]].concat()), Algorithm::ES256, "bytes after the key"),
        (&pem_text("X509 CRL", b"x"), Algorithm::ES256, "`PUBLIC KEY` is wanted"),
    ] {
        let problem = problem(of(content, algorithm));
        assert!(problem.contains(wanted), "{problem}");
        assert!(!problem.contains("MI"), "a key shows in `{problem}`");
    }
}

#[test]
fn keys_that_are_not_for_signatures_are_left_out() {
    let with = |name: &str, value: serde_json::Value| {
        let mut jwk = P256.jwk("k1");
        jwk[name] = value;
        jwk
    };
    let unusable = [
        with("use", json!("enc")),
        with("use", json!(1)),
        with("key_ops", json!(["sign"])),
        with("key_ops", json!("verify")),
        with("alg", json!("ECDH-ES")),
        with("alg", json!("RS256")),
        with("crv", json!("P-521")),
        with("crv", json!("P-384")),
        with("kty", json!("RSA")),
        with("kty", json!("oct")),
        with("x", json!("AAAA")),
        with("y", P256.jwk("k1")["x"].clone()),
        with("kid", json!(1)),
        json!("k1"),
    ];
    for jwk in &unusable {
        problem(with_jwks(std::slice::from_ref(jwk), &[Algorithm::ES256, Algorithm::RS256]));
    }
    let good = [with("use", json!("sig")), with("key_ops", json!(["verify", "sign"])), with("alg", json!("ES256"))];
    for jwk in good {
        // Beside one that can be used, they do no harm.
        let mut all = unusable.to_vec();
        all.push(jwk);
        with_jwks(&all, &[Algorithm::ES256]).unwrap();
    }
}

#[test]
fn files_that_are_not_there_or_hold_something_else_are_named() {
    let missing = problem(open(settings(KeySource::JwksFile("/nonexistent/keys.json".into()), &[Algorithm::ES256])));
    assert!(missing.contains("issuer.main: `/nonexistent/keys.json` cannot be read"), "{missing}");
    for content in ["", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "<html>", "{\"keys\":[],\"keys\":[]}"] {
        let file = TestFile::new(content);
        let other = problem(open(settings(KeySource::JwksFile(file.path()), &[Algorithm::ES256])));
        assert!(other.contains("JWKS"), "{other}");
    }
    let file = TestFile::new(vec![b' '; 300 * 1024]);
    let large = problem(open(settings(KeySource::JwksFile(file.path()), &[Algorithm::ES256])));
    assert!(large.contains("larger than 256 KiB"), "{large}");
}

#[test]
fn two_issuers_with_the_same_iss_are_refused() {
    let file = TestFile::new(jwks(&[P256.jwk("k1")]));
    let one = settings(KeySource::JwksFile(file.path()), &[Algorithm::ES256]);
    let mut two = one.clone();
    two.name = "second".into();
    let observer = Arc::new(crate::model::observer::Unobserved);
    let both = problem(Issuers::new(&[Arc::new(one), Arc::new(two)], ManualClock::new(), observer));
    assert!(both.contains("issuer.second: has the same `iss` as issuer.main"), "{both}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_key_parsers_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = crate::crypto::KeySet::from_jwks(&bytes, &Algorithm::ALL, true);
        let _ = crate::crypto::key::pem::read(&bytes);
        for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
            let _ = crate::crypto::key::pem::read(pem_text(label, &bytes).as_bytes());
        }
    }
}
