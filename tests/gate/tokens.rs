//! Tokens that are not what they say, and what is remembered of those that are.

use std::net::SocketAddr;

use portcullis::crypto::base64url;
use portcullis::crypto::digest::{hex, sha256};
use portcullis::model::{Clock, LogEntry, Revocation, SystemClock};
use serde_json::{Value, json};

use super::keys::{Key, KeyServer, RSA, claims, claims_with, pem_issuer};
use super::until;
use crate::harness::http::get;
use crate::harness::portcullis::{ISSUER, Portcullis, Setup, bearer, block_on};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

const EC: &str = "https://ec.example";

/// One route for the tokens of `issuer.ec` (P-256) and `issuer.rsa`.
fn start(ec: &Key, upstream: &Upstream) -> Portcullis {
    let setup = Setup::new();
    let issuers = pem_issuer(setup.folder(), "ec", ec) + &pem_issuer(setup.folder(), "rsa", &RSA);
    let route = r#"app = { match = "/{*rest}", accept = ["jwt:ec", "jwt:rsa"]"#;
    setup.start(&format!("{issuers}\n[route]\n{route}, upstream = \"{}\" }}\n", upstream.url()))
}

fn status(to: SocketAddr, token: &str) -> u16 {
    get(to, "/x", &bearer(token)).status
}

fn header(alg: &str) -> Value {
    json!({"alg": alg, "typ": "at+jwt"})
}

#[test]
fn f27_a_token_never_says_how_it_is_verified() {
    let (upstream, bait) = (Upstream::start(), KeyServer::start(&[]));
    let (ec, mallory) = (Key::p256(), Key::p256());
    let portcullis = start(&ec, &upstream);
    let to = portcullis.address();
    assert_eq!(status(to, &ec.token(&header("ES256"), &claims(EC))), 200);
    bait.serve(&[mallory.jwk("k")]);

    let mut forged = Vec::new();
    // No signature, and an algorithm that is none.
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "ES512", "es256"] {
        let input = format!(
            "{}.{}",
            base64url::encode(json!({"alg": alg}).to_string().as_bytes()),
            base64url::encode(claims(EC).to_string().as_bytes())
        );
        forged.push(format!("{input}."));
        forged.push(format!("{input}.AA"));
        forged.push(format!("{input}.{}", base64url::encode(&[0; 64])));
    }
    // The public key as a shared secret.
    for (key, iss) in [(&ec, EC), (&*RSA, "https://rsa.example")] {
        let pem = key.public_pem();
        for secret in [pem.clone(), pem.trim_end().to_owned(), pem.lines().nth(1).expect("a line").to_owned()] {
            for alg in ["HS256", "HS384", "HS512"] {
                forged.push(Key::Secret(secret.clone().into_bytes()).token(&header(alg), &claims(iss)));
            }
        }
    }
    // A key of its own, or the way to one.
    for (name, value) in [
        ("jwk", mallory.jwk("k")),
        ("jku", json!(bait.url())),
        ("x5u", json!(bait.url())),
        ("x5c", json!([mallory.public_pem()])),
        ("kid", json!(bait.url())),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("/proc/self/environ")),
        ("kid", json!("k' UNION SELECT 'secret")),
        ("kid", json!("|/bin/true")),
        ("kid", json!("")),
    ] {
        let mut header = header("ES256");
        header[name] = value;
        forged.push(mallory.token(&header, &claims(EC)));
    }
    // The signature of one algorithm under the name of another.
    for (signed, said) in [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("RS256", "ES256")] {
        forged.push(RSA.token_of(signed, &header(said).to_string(), &claims("https://rsa.example").to_string()));
    }
    // Unknown `crit` (RFC 7515, section 4.1.11), rightly signed.
    forged.push(ec.token(&json!({"alg": "ES256", "crit": ["exp"]}), &claims(EC)));
    forged.push(ec.token(&json!({"alg": "ES256", "crit": ["b64"], "b64": false}), &claims(EC)));
    for token in &forged {
        assert_eq!(status(to, token), 401, "{token}");
    }
    assert_eq!(bait.asked(), 0, "a token chose a URL");
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn f28_a_claim_of_the_wrong_type_is_not_an_absent_one() {
    let upstream = Upstream::start();
    let ec = Key::p256();
    let portcullis = start(&ec, &upstream);
    let to = portcullis.address();
    let now = SystemClock.now().as_secs();
    let text = (now + 600).to_string();
    let odd = [json!(text), json!(""), json!(true), json!([now + 600]), json!({"v": now + 600}), json!([])];
    for name in ["exp", "nbf", "iat"] {
        for value in odd.clone() {
            let token = ec.token(&header("ES256"), &claims_with(EC, name, value.clone()));
            assert_eq!(status(to, &token), 401, "{name} = {value}");
        }
        // `null` in the claims is a value of the wrong type, not an absent one.
        let mut with_null = claims(EC);
        with_null[name] = Value::Null;
        assert_eq!(status(to, &ec.token(&header("ES256"), &with_null)), 401, "{name} = null");
    }
    for (name, value) in [
        ("sub", json!(7)),
        ("sub", json!("")),
        ("sub", json!(["alice"])),
        ("iss", json!([EC])),
        ("iss", json!(7)),
        ("aud", json!(7)),
        ("aud", json!({"orders": true})),
        ("aud", json!([["orders"]])),
        ("aud", json!("orders extra")),
        ("aud", json!([])),
        ("jti", json!(7)),
        ("jti", json!(["a"])),
        ("cnf", json!("none")),
        ("exp", json!(now - 31)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(now + 10 * 24 * 3600)),
        ("nbf", json!(now + 600)),
        ("iat", json!(now + 600)),
    ] {
        let token = ec.token(&header("ES256"), &claims_with(EC, name, value.clone()));
        assert_eq!(status(to, &token), 401, "{name} = {value}");
    }
    for name in ["exp", "sub", "iss", "aud"] {
        let token = ec.token(&header("ES256"), &claims_with(EC, name, Value::Null));
        assert_eq!(status(to, &token), 401, "without {name}");
    }
    // The same claim twice, and what is no JSON number: parsers differ.
    for exp in ["1e400", "99999999999999999999999999", "NaN", "0x7fffffff"] {
        let claims = format!(r#"{{"iss":"{EC}","sub":"alice","aud":"orders","exp":{exp}}}"#);
        assert_eq!(status(to, &ec.token_of("ES256", &header("ES256").to_string(), &claims)), 401, "{exp}");
    }
    let twice = format!(r#"{{"iss":"{EC}","sub":"alice","aud":"orders","exp":1,"exp":{}}}"#, now + 600);
    assert_eq!(status(to, &ec.token_of("ES256", &header("ES256").to_string(), &twice)), 401);
    assert!(upstream.received().is_empty());
}

/// The same signature written with n − s instead of s, which verifies just as well.
fn malleated(token: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = base64url::decode(signature).expect("base64url");
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(N[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = (difference & 0xff) as u8;
    }
    format!("{input}.{}", base64url::encode(&signature))
}

/// The same bytes in another base64 text: the last character has bits that count for nothing.
fn not_canonical(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (front, last) = token.split_at(token.len() - 1);
    let at = ALPHABET.find(last).expect("a character of base64url");
    // 64 bytes leave four bits that count for nothing.
    format!("{front}{}", &ALPHABET[at ^ 1..][..1])
}

#[test]
fn f29_a_revoked_token_stays_revoked_in_every_spelling() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let store = redis.store();
    let setup = Setup::new();
    let ec = Key::p256();
    let issuer = pem_issuer(setup.folder(), "ec", &ec);
    let configuration = super::preamble(&redis.url())
        + &issuer
        + &format!("[route]\napp = {{ match = \"/{{*rest}}\", accept = \"jwt\", upstream = \"{}\" }}", upstream.url());
    let portcullis = setup.try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"));
    let to = portcullis.address();
    let revoke = |id: &str| {
        let what = Revocation::Token { issuer: EC.into(), id: id.into() };
        let until = SystemClock.now().after(std::time::Duration::from_secs(700));
        block_on(store.log.append(&LogEntry { what, until })).expect("the log takes it");
    };
    let with_jti = ec.token(&header("ES256"), &claims_with(EC, "jti", json!("t-1")));
    let without = ec.token(&header("ES256"), &claims(EC));
    let input = without.rsplit_once('.').expect("three parts").0;
    for (token, id) in [(&with_jti, "t-1".to_owned()), (&without, format!("sha256:{}", hex(&sha256(input.as_bytes()))))]
    {
        let (flipped, odd) = (malleated(token), not_canonical(token));
        assert_ne!(*token, flipped);
        assert_eq!(status(to, token), 200);
        assert_eq!(status(to, &odd), 401, "one text for the same bytes");
        let other = ec.token(&header("ES256"), &claims_with(EC, "jti", json!("t-2")));
        revoke(&id);
        until("the token is refused", || status(to, token) == 401);
        // It verifies, so it was never seen before and is no cache entry: it is the same token.
        assert_eq!(status(to, &flipped), 401, "{id}");
        assert_eq!(status(to, &odd), 401);
        assert_eq!(status(to, &other), 200, "nobody else's");
    }
    // That a flipped signature is otherwise good is what makes the above a proof.
    let third = ec.token(&header("ES256"), &claims_with(EC, "jti", json!("t-3")));
    assert_eq!(status(to, &malleated(&third)), 200);
}

#[test]
fn f30_what_is_remembered_of_a_credential_is_never_that_a_route_let_it_in() {
    let (upstream, ec) = (Upstream::start(), Key::p256());
    let setup = Setup::new();
    let key = setup.api_key(|_| ());
    let issuer = pem_issuer(setup.folder(), "ec", &ec);
    let portcullis = setup.start(&format!(
        r#"{issuer}
        [route]
        main = {{ match = "/main", accept = "jwt:main", upstream = "{0}" }}
        ec = {{ match = "/ec", accept = "jwt:ec", upstream = "{0}" }}
        write = {{ match = "/write", accept = ["jwt:main", "api_key"], upstream = "{0}", allow = [{{ scopes = ["write"] }}] }}
        banned = {{ match = "/banned", accept = ["jwt:main", "api_key"], upstream = "{0}", deny = [{{ roles = ["reader"] }}] }}
        keys = {{ match = "/keys", accept = "api_key", upstream = "{0}" }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let main = bearer(&portcullis.token(json!({})));
    let other = bearer(&ec.token(&header("ES256"), &claims(EC)));
    let key = bearer(&key);
    // Twice, so that the second time everything is in the cache.
    for _ in 0..2 {
        for (credential, path, expected) in [
            (&main, "/main", 200),
            (&main, "/ec", 401),
            (&main, "/write", 403),
            (&main, "/banned", 403),
            (&main, "/keys", 401),
            (&other, "/ec", 200),
            (&other, "/main", 401),
            (&other, "/write", 401),
            (&key, "/keys", 200),
            (&key, "/main", 401),
            (&key, "/write", 403),
            (&key, "/banned", 403),
        ] {
            assert_eq!(get(to, path, credential).status, expected, "{path}: {credential}");
        }
    }
    assert!(upstream.received().iter().all(|r| ["/main", "/ec", "/keys"].contains(&r.target())));
}

#[test]
fn f38_that_something_was_presented_proves_nothing() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let good = setup.api_key(|_| ());
    let portcullis = setup.start(&format!(
        r#"[route]
        app = {{ match = "/app", accept = ["jwt", "api_key", "session"], upstream = "{0}" }}
        optional = {{ match = "/optional", accept = ["jwt", "api_key", "session", "anyone"], upstream = "{0}" }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let token = portcullis.token(json!({}));
    let (input, _) = token.rsplit_once('.').expect("three parts");
    let stranger = Key::p256().token(&header("ES256"), &claims(ISSUER));
    let mut wrong_secret = good.clone().into_bytes();
    let at = wrong_secret.len() - 8;
    wrong_secret[at] = if wrong_secret[at] == b'a' { b'b' } else { b'a' };
    for bearer_text in [
        "x",
        "random-bearer",
        "a.b.c",
        "e30.e30.e30",
        "null",
        "undefined",
        "pc_test_x_y",
        "pc_",
        &format!("{input}.AAAA"),
        &stranger,
        &String::from_utf8(wrong_secret).expect("text"),
        &base64url::encode(&[7; 32]),
    ] {
        for path in ["/app", "/optional"] {
            assert_eq!(status_at(to, path, &bearer(bearer_text)), 401, "{path} {bearer_text}");
        }
    }
    for line in [
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: bearer\tx\r\n",
        "Authorization: Basic YWRtaW46YWRtaW4=\r\n",
        "Authorization: Digest username=\"x\"\r\n",
        "Authorization: x\r\n",
        "Authorization: \r\n",
        "X-Api-Key: x\r\n",
        "X-Api-Key: \r\n",
        "Cookie: __Host-session=x\r\n",
        "Cookie: __Host-session=\r\n",
        "Cookie: __Host-session\r\n",
        "X-User: admin\r\n",
        "X-Forwarded-User: admin\r\n",
    ] {
        assert_eq!(status_at(to, "/app", line), 401, "{line}");
    }
    assert!(upstream.received().is_empty());
    assert_eq!(status_at(to, "/app", &bearer(&token)), 200);
    assert_eq!(status_at(to, "/app", &bearer(&good)), 200);
}

fn status_at(to: SocketAddr, path: &str, headers: &str) -> u16 {
    get(to, path, headers).status
}
