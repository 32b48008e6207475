//! DPoP proofs. A line feed divides a header from claims, which are then rightly signed by the key that is wanted; other
//! data is a proof as it is. `@JWK` and `@ATH` stand for that key and for the digest of the token. A second, slower
//! reader says what must become of them, and both must agree.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use libfuzzer_sys::fuzz_target;
use portcullis::crypto::base64url;
use portcullis::crypto::dpop::{Nonces, Wanted, verify};
use portcullis::model::SystemEntropy;
use portcullis::model::settings::Algorithm;
use portcullis_fuzz::unambiguous;
use serde_json::{Map, Value, json};

const TOKEN: &str = "a.token.of-alice";
const LONGEST: usize = 4096;

struct Holder {
    pair: Ed25519KeyPair,
    jwk: Value,
    thumbprint: [u8; 32],
    ath: String,
    nonces: Nonces,
}

static HOLDER: LazyLock<Holder> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let jwk = json!({"crv": "Ed25519", "kty": "OKP", "x": base64url::encode(pair.public_key().as_ref())});
    let thumbprint = digest(&SHA256, jwk.to_string().as_bytes()).as_ref().try_into().expect("32 bytes");
    let ath = base64url::encode(digest(&SHA256, TOKEN.as_bytes()).as_ref());
    Holder { pair, jwk, thumbprint, ath, nonces: Nonces::new(&SystemEntropy) }
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let holder = &*HOLDER;
    assert!(holder.nonces.check(text, Duration::from_secs(60), Duration::from_secs(100)).is_err());
    let signed = text.split_once('\n').map(|(header, claims)| {
        let fill = |text: &str| text.replace("@JWK", &holder.jwk.to_string()).replace("@ATH", &holder.ath);
        let encode = |text: &str| base64url::encode(fill(text).as_bytes());
        let input = format!("{}.{}", encode(header), encode(claims));
        format!("{input}.{}", base64url::encode(holder.pair.sign(input.as_bytes()).as_ref()))
    });
    let proof = signed.as_deref().unwrap_or(text);
    let algorithms = [Algorithm::EdDSA, Algorithm::ES256];
    let wanted = Wanted { algorithms: &algorithms, key: &holder.thumbprint, token: TOKEN };
    let Ok(verified) = verify(proof, &wanted) else {
        assert!(signed.is_none() || !is_good(proof, true), "a good proof is refused: {proof}");
        return;
    };
    assert!(is_good(proof, false), "accepted: {proof}");

    // Neither for another token nor of another key, and of algorithms only those that are allowed.
    let mut other = holder.thumbprint;
    other[31] ^= 1;
    assert!(verify(proof, &Wanted { key: &other, ..wanted }).is_err());
    assert!(verify(proof, &Wanted { token: "another", ..wanted }).is_err());
    assert!(verify(proof, &Wanted { algorithms: &[Algorithm::ES256, Algorithm::HS256], ..wanted }).is_err());
    let [_, claims] = read(proof).expect("it was read");
    let said = |name: &str| claims.get(name).and_then(Value::as_str);
    assert_eq!((said("htm"), said("htu")), (Some(&*verified.method), Some(&*verified.url)));
    assert_eq!(said("nonce"), verified.nonce.as_deref());

    // The same text a second time is the same use.
    assert_eq!(verify(proof, &wanted).expect("again").digest, verified.digest);
});

fn read(proof: &str) -> Option<[Map<String, Value>; 2]> {
    let parts: Vec<_> = proof.split('.').map(base64url::decode).collect::<Option<_>>()?;
    let [header, claims, _]: [Vec<u8>; 3] = parts.try_into().ok()?;
    Some([unambiguous(&header)?, unambiguous(&claims)?])
}

/// Whether a proof must be accepted (`surely`), or at least may be.
fn is_good(proof: &str, surely: bool) -> bool {
    let Some([header, claims]) = read(proof) else { return false };
    let holder = &*HOLDER;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let date = |name: &str| claims.get(name).is_none_or(Value::is_number);
    let never = ["crit", "b64", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip"];
    let key = match header.get("jwk") {
        // What else may stand in a key is for its own reader to say.
        Some(Value::Object(key)) if !surely => {
            holder.jwk.as_object().expect("an object").iter().all(|(name, value)| key.get(name) == Some(value))
                && !["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| key.contains_key(*name))
        }
        key => key == Some(&holder.jwk),
    };
    proof.len() <= LONGEST
        && header.get("typ").is_some_and(|typ| typ == "dpop+jwt")
        && header.get("alg").is_some_and(|alg| alg == "EdDSA")
        && never.iter().all(|name| !header.contains_key(*name))
        && key
        && text("jti").is_some_and(|id| (1..=256).contains(&id.len()))
        && text("ath").is_some_and(|ath| ath == holder.ath)
        && text("htm").is_some()
        && text("htu").is_some()
        && claims.get("iat").is_some_and(Value::is_number)
        && date("exp")
        && date("nbf")
        && claims.get("nonce").is_none_or(Value::is_string)
}
