//! Inputs beyond any reason, of clients and of those that issuers run: each meets its limit, and nothing else suffers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::crypto::base64url;
use portcullis::model::{Clock, SystemClock};
use serde_json::json;

use super::keys::{Key, claims};
use super::until;
use crate::harness::http::get;
use crate::harness::portcullis::{Setup, bearer};
use crate::harness::upstream::{Received, Upstream};

fn answer(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// What nobody's head or body should be: a chunked body or a head of this many bytes, of which the end comes too.
fn endless_head(bytes: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 2\r\n\r\n{{}}", "x".repeat(bytes)).into_bytes()
}

#[test]
fn f61_key_sets_beyond_reason_are_not_used() {
    let key = Key::p256();
    let set = |more: &str| format!("{{\"keys\":[{}]{more}}}", key.jwk("one"));
    let sets = [
        ("good", answer(&set(&format!(",\"x\":{}", nested(100))))),
        ("deep", answer(&set(&format!(",\"x\":{}", nested(200))))),
        ("abyss", answer(&set(&format!(",\"x\":{}", nested(100_000))))),
        ("long", answer(&set(&format!(",\"x\":\"{}\"", "x".repeat(256 * 1024))))),
        ("head", endless_head(1024 * 1024)),
    ];
    let names = sets.each_ref().map(|(name, _)| *name);
    let server = Upstream::answering(move |request| {
        let found = sets.iter().find(|(name, _)| request.target() == format!("/{name}"));
        found.expect("a known path").1.clone()
    });
    let upstream = Upstream::start();
    let mut configuration = format!("[defaults]\nupstream = \"{}\"\n", upstream.url());
    for name in names {
        let (url, jwks) = (format!("https://{name}.example"), format!("{}/{name}", server.url()));
        configuration += &format!(
            "[issuer.{name}]\nurl = \"{url}\"\naudiences = [\"orders\"]\nkeys = {{ jwks_url = \"{jwks}\" }}\n\
             [route.{name}]\nmatch = \"/{name}\"\naccept = \"jwt:{name}\"\n"
        );
    }
    let portcullis = Setup::new().start(&configuration);
    let to = portcullis.address();
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "one"});
    let ask = |name: &str| {
        let token = key.token(&header, &claims(&format!("https://{name}.example")));
        get(to, &format!("/{name}"), &bearer(&token)).status
    };
    until("the good keys are there", || ask("good") == 200);
    for name in &names[1..] {
        until("they were fetched", || server.received().iter().any(|seen| seen.target() == format!("/{name}")));
        assert_eq!(ask(name), 503, "{name}");
    }
    assert_eq!(ask("good"), 200, "the others do not suffer");
}

#[test]
fn f61_answers_of_introspection_beyond_reason_admit_nobody() {
    let now = SystemClock.now().as_secs();
    let active = move |more: &str| {
        format!("{{\"active\":true,\"sub\":\"alice\",\"aud\":[\"orders\"],\"exp\":{},\"iat\":{now}{more}}}", now + 600)
    };
    let endpoint = Upstream::answering(move |request: &Received| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
        match token {
            "deep" => answer(&active(&format!(",\"x\":{}", nested(200)))),
            "abyss" => answer(&active(&format!(",\"x\":{}", nested(30_000)))),
            "long" => answer(&active(&format!(",\"x\":\"{}\"", "x".repeat(64 * 1024)))),
            "head" => endless_head(1024 * 1024),
            _ => answer(&active(&format!(",\"x\":{}", nested(100)))),
        }
    });
    let upstream = Upstream::start();
    let setup = Setup::new();
    std::fs::write(setup.folder().join("client-secret"), "a secret of the client").unwrap();
    let portcullis = setup.start(&format!(
        r#"
        [opaque]
        introspection_url = "{}/introspect"
        issuer = "https://opaque.example"
        audiences = ["orders"]
        client_id = "gate"
        client_secret = {{ file = "client-secret" }}
        timeout = "20s"
        [route]
        app = {{ match = "/{{*rest}}", accept = "opaque", upstream = "{}" }}
        "#,
        endpoint.url(),
        upstream.url()
    ));
    let to = portcullis.address();
    // Fewer than what the breaker bears, each followed by one that is good.
    for (number, token) in ["deep", "abyss", "long", "head"].into_iter().enumerate() {
        assert_eq!(get(to, "/", &bearer(token)).status, 503, "{token}");
        assert_eq!(get(to, "/", &bearer(&format!("good-{number}"))).status, 200, "after {token}");
    }
    assert_eq!(upstream.received().len(), 4);
}

#[test]
fn f61_credentials_beyond_reason_are_refused() {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let key = Key::p256();
    let jwks = json!({"keys": [key.jwk("one")]}).to_string();
    std::fs::write(setup.folder().join("other.json"), jwks).unwrap();
    std::fs::write(
        setup.folder().join("users"),
        "alice:$2y$04$KV1d5Dny5odoxnpID6.55ePeP8ewX6OsimSdbiXCK97zOehWOYoZS\n",
    )
    .unwrap();
    let portcullis = setup.start_with(
        "listener.main.max_header_size = \"1MiB\"",
        &format!(
            r#"
            [issuer.other]
            url = "https://other.example"
            audiences = ["orders"]
            keys = {{ jwks_file = "other.json" }}
            max_size = "256KiB"
            [basic]
            file = "users"
            [route]
            app = {{ match = "/{{*rest}}", accept = ["jwt:main", "jwt:other", "api_key", "session", "basic"], upstream = "{}" }}
            "#,
            upstream.url()
        ),
    );
    let to = portcullis.address();
    let long = "x".repeat(100 * 1024);
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "one"}).to_string();
    let claims = claims("https://other.example").to_string();
    let deep = |levels| format!("{},\"x\":{}}}", claims.trim_end_matches('}'), nested(levels));
    let signed = |header: &str, claims: &str| bearer(&key.token_of("ES256", header, claims));
    assert_eq!(get(to, "/", &signed(&header, &deep(100))).status, 200, "not too deep for anybody");
    for (what, line) in [
        ("a JWT", bearer(&format!("{long}.{long}.{long}"))),
        ("a JWT of main", bearer(&portcullis.token(json!({"pad": long})))),
        ("claims within claims", signed(&header, &deep(200))),
        ("and further", signed(&header, &deep(50_000))),
        (
            "a header within a header",
            signed(&format!("{},\"x\":{}}}", header.trim_end_matches('}'), nested(200)), &claims),
        ),
        ("lists without end", bearer(&format!("{0}.{0}.x", base64url::encode("[".repeat(60_000).as_bytes())))),
        ("an API key", format!("X-API-Key: pc_live_{long}\r\n")),
        ("an API key as bearer", bearer(&format!("pc_live_{long}_{long}"))),
        ("a session", format!("Cookie: __Host-session={long}\r\n")),
        ("many cookies", format!("Cookie: {}__Host-session=x\r\n", "a=b; ".repeat(20_000))),
        ("a password", format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("alice:{long}")))),
        ("a scheme", format!("Authorization: {long} x\r\n")),
    ] {
        assert_eq!(get(to, "/", &line).status, 401, "{what}");
    }
    assert_eq!(upstream.received().len(), 1);
}
