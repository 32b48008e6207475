//! Tokens of every algorithm and of several issuers, from the client to the upstream.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::keys::{Key, RSA, claims, claims_with, pem_issuer};
use crate::harness::http::get;
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn header(alg: &str) -> Value {
    json!({"alg": alg, "typ": "JWT"})
}

#[test]
fn a_good_token_of_each_algorithm_is_let_through() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let (p256, p384, ed) = (Key::p256(), Key::p384(), Key::ed25519());
    let secret = Key::Secret(SECRET.into());
    std::fs::write(setup.folder().join("secret"), SECRET).expect("a file can be written");
    let issuers: String = [("rsa", &*RSA), ("p256", &p256), ("p384", &p384), ("ed", &ed)]
        .map(|(name, key)| pem_issuer(setup.folder(), name, key))
        .concat();
    let portcullis = setup.start(&format!(
        r#"{issuers}
        [issuer.hs]
        url = "https://hs.example"
        audiences = ["orders"]
        algorithms = ["HS256", "HS384", "HS512"]
        keys.secret = {{ file = "secret" }}
        [route.app]
        match = "/{{*rest}}"
        accept = ["jwt:hs", "jwt:rsa", "jwt:p256", "jwt:p384", "jwt:ed"]
        upstream = "{}"
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let all = [
        ("HS256", "hs", &secret),
        ("HS384", "hs", &secret),
        ("HS512", "hs", &secret),
        ("RS256", "rsa", &*RSA),
        ("RS384", "rsa", &RSA),
        ("RS512", "rsa", &RSA),
        ("PS256", "rsa", &RSA),
        ("PS384", "rsa", &RSA),
        ("PS512", "rsa", &RSA),
        ("ES256", "p256", &p256),
        ("ES384", "p384", &p384),
        ("EdDSA", "ed", &ed),
    ];
    for (algorithm, issuer, key) in all {
        let iss = format!("https://{issuer}.example");
        let claims = claims_with(&iss, "sub", json!(format!("user-of-{algorithm}")));
        let token = key.token(&header(algorithm), &claims);
        for _ in 0..2 {
            assert_eq!(get(to, "/x", &bearer(&token)).status, 200, "{algorithm}");
        }
        let last = upstream.last();
        assert!(last.head.contains(&format!("user-of-{algorithm}")), "{}", last.head);
        assert!(!last.head.contains(&token), "the token itself goes no further");
        // One bit of the signature makes it another.
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let first = if signature.starts_with('A') { "B" } else { "A" };
        assert_eq!(get(to, "/x", &bearer(&format!("{input}.{first}{}", &signature[1..]))).status, 401, "{algorithm}");
    }
    assert_eq!(upstream.received().len(), 2 * all.len());
}

fn two_issuers(upstream: &Upstream) -> (Portcullis, Key, Key) {
    let setup = Setup::new();
    let (a, b) = (Key::p256(), Key::p256());
    let issuers = pem_issuer(setup.folder(), "a", &a) + &pem_issuer(setup.folder(), "b", &b);
    let portcullis = setup.start(&format!(
        r#"{issuers}
        [route]
        both = {{ match = "/both", accept = ["jwt:a", "jwt:b"], upstream = "{0}" }}
        a = {{ match = "/a", accept = "jwt:a", upstream = "{0}" }}
        "#,
        upstream.url()
    ));
    (portcullis, a, b)
}

fn status(to: SocketAddr, path: &str, token: &str) -> u16 {
    get(to, path, &bearer(token)).status
}

#[test]
fn one_issuers_key_signs_nothing_for_another() {
    let upstream = Upstream::start();
    let (portcullis, a, b) = two_issuers(&upstream);
    let to = portcullis.address();
    let (iss_a, iss_b) = ("https://a.example", "https://b.example");
    let es256 = header("ES256");
    for path in ["/both", "/a"] {
        assert_eq!(status(to, path, &a.token(&es256, &claims(iss_a))), 200);
        assert_eq!(status(to, path, &a.token(&es256, &claims(iss_b))), 401, "a speaks for b");
        assert_eq!(status(to, path, &b.token(&es256, &claims(iss_a))), 401, "b speaks for a");
        for iss in ["https://a.example/", "https://A.example", "https://c.example", "a", "", "portcullis"] {
            assert_eq!(status(to, path, &a.token(&es256, &claims(iss))), 401, "{iss}");
        }
    }
    let of_b = b.token(&es256, &claims(iss_b));
    assert_eq!(status(to, "/both", &of_b), 200);
    assert_eq!(status(to, "/a", &of_b), 401, "the route does not accept that issuer");
}

#[test]
fn a_token_beyond_the_issuers_size_is_refused() {
    let upstream = Upstream::start();
    let (portcullis, a, _) = two_issuers(&upstream);
    let to = portcullis.address();
    let of_length = |padding: usize| {
        let claims = claims_with("https://a.example", "note", json!("x".repeat(padding)));
        a.token(&header("ES256"), &claims)
    };
    let (fits, large) = (of_length(5_500), of_length(6_500));
    assert!(fits.len() <= 8192 && large.len() > 8192);
    assert_eq!(status(to, "/a", &fits), 200);
    assert_eq!(status(to, "/a", &large), 401);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn f49_the_log_tells_both_sides_and_the_answer_neither() {
    let upstream = Upstream::start();
    let key = Key::p256();
    let (folder, path) = folder(&format!(
        r#"
        server.workers = 1
        listener.main.bind = "127.0.0.1:0"
        [issuer.main]
        url = "https://main.example"
        audiences = ["wanted-audience"]
        keys.pem_file = "key.pem"
        [route.app]
        match = "/{{*rest}}"
        accept = "jwt"
        upstream = "{}"
        "#,
        upstream.url()
    ));
    std::fs::write(path.join("key.pem"), key.public_pem()).expect("a file can be written");
    let serving = Serving::run(&path).ready();
    let to = serving.address("main");
    let mut claims = claims("https://main.example");
    claims["aud"] = json!("presented-audience");
    let token = key.token(&header("ES256"), &claims);
    let answer = get(to, "/x?canary=query-canary", &bearer(&token));
    assert_eq!(answer.status, 401);
    let line = serving.says("token_audience");
    assert!(line.contains("presented-audience") && line.contains("wanted-audience"), "{line}");
    let whole = format!("{}\n{}", answer.head, answer.body);
    for secret in ["presented-audience", "wanted-audience", "audience:", "issuer.main", "main.example"] {
        assert!(!whole.contains(secret), "the answer tells `{secret}`:\n{whole}");
    }
    assert!(whole.contains("invalid_token"), "{whole}");
    let id = answer.json()["decision_id"].as_str().map(str::to_owned);
    if let Some(id) = id {
        assert!(line.contains(&id), "the answer names another decision: {line}");
    }
    // Parts of a token are as good as the whole, and a query may hold anything.
    let log = serving.log();
    for part in token.split('.').skip(1).chain(["query-canary"]) {
        assert!(!log.contains(part) && !whole.contains(part), "{part} was told");
    }
    drop(folder);
}
