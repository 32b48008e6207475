use serde_json::json;

use super::{refusal, verify};
use crate::crypto::key::set::{KeySet, Verdict};
use crate::crypto::testing::*;
use crate::crypto::{Signer, base64url};
use crate::model::SystemEntropy;
use crate::model::denial::Reason;
use crate::model::settings::{Algorithm, KeySource};

#[tokio::test]
async fn each_algorithm_is_accepted_with_a_key_that_fits() {
    for algorithm in Algorithm::ALL {
        let key = TestKey::of(algorithm);
        let issuers = with_jwks(&[key.jwk("k1")], &[algorithm]).unwrap();
        let token = key.token(&json!({"alg": algorithm.name(), "kid": "k1"}), &claims());
        let verified = verify(&issuers, &token).await.unwrap_or_else(|e| panic!("{algorithm:?}: {e}"));
        assert_eq!(&*verified.subject, "alice");

        // One bit of the signature, and one of what it is over.
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = base64url::decode(signature).unwrap();
        bytes[20] ^= 1;
        let tampered = format!("{input}.{}", base64url::encode(&bytes));
        assert_eq!(refusal(&issuers, &tampered).await, Reason::TokenSignature, "{algorithm:?}");
        let other =
            key.token(&json!({"alg": algorithm.name(), "kid": "k1"}), &claims_with("sub", Some(json!("mallory"))));
        let swapped = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
        assert_eq!(refusal(&issuers, &swapped).await, Reason::TokenSignature, "{algorithm:?}");
        for cut in ["", "AA"] {
            assert_eq!(refusal(&issuers, &format!("{input}.{cut}")).await, Reason::TokenSignature, "{algorithm:?}");
        }
    }
}

#[tokio::test]
async fn a_pem_file_verifies_tokens_of_its_key_whatever_their_kid() {
    for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let key = TestKey::of(algorithm);
        let file = TestFile::new(key.public_pem());
        let issuers = open(settings(KeySource::PemFile(file.path()), &[algorithm])).unwrap();
        for header in [json!({"alg": algorithm.name()}), json!({"alg": algorithm.name(), "kid": "any"})] {
            verify(&issuers, &key.token(&header, &claims())).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_our_signer_signs_verifies_by_its_jwks_and_by_its_pem() {
    let signer = Signer::from_pem(Signer::generate().unwrap().to_pem().expose()).unwrap();
    let token = signer.sign("at+jwt", claims().as_object().unwrap(), &SystemEntropy).unwrap();
    let (jwks, pem) = (TestFile::new(signer.jwks().to_string()), TestFile::new(signer.public_pem()));
    for source in [KeySource::JwksFile(jwks.path()), KeySource::PemFile(pem.path())] {
        let verified = verify(&open(settings(source, &[Algorithm::ES256])).unwrap(), &token).await.unwrap();
        assert_eq!(base64url::encode(&verified.key_thumbprint), signer.key_id());
    }
}

#[test]
fn the_examples_of_the_standards_verify() {
    // RFC 7515, appendices A.1, A.2 and A.3; RFC 8037, appendix A.4.
    const CLAIMS: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let examples = [
        (
            Algorithm::HS256,
            json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}"),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            Algorithm::RS256,
            json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}),
            format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            Algorithm::ES256,
            json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDSA,
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (algorithm, jwk, input, signature) in examples {
        let set = KeySet::from_jwks(jwks(&[jwk]).as_bytes(), &[algorithm], true).unwrap();
        let verdict = set.judge(None, algorithm, input.as_bytes(), &base64url::decode(signature).unwrap());
        assert!(matches!(verdict, Verdict::Verified(_)), "{algorithm:?}: {verdict:?}");
    }
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    // RFC 7638, section 3.1; RFC 8037, appendix A.3.
    let rsa = json!({"kty": "RSA", "e": "AQAB", "kid": "2011-04-29", "alg": "RS256", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
    let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    for (jwk, algorithm, thumbprint) in [
        (rsa, Algorithm::RS256, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ed25519, Algorithm::EdDSA, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        let set = KeySet::from_jwks(jwks(&[jwk]).as_bytes(), &[algorithm], false).unwrap();
        assert!(set.has(&base64url::decode_array(thumbprint).unwrap()));
    }
}
