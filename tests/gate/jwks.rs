//! Keys that are fetched: they change, their server fails, and nobody can make Portcullis ask it too often.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::keys::{Key, KeyServer, claims, claims_with};
use super::until;
use crate::harness::http::{Answer, get};
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;

const ISS: &str = "https://remote.example";

fn start(server: &KeyServer, upstream: &Upstream, keys: &str) -> Portcullis {
    Setup::new().start(&format!(
        r#"
        [issuer.remote]
        url = "{ISS}"
        audiences = ["orders"]
        keys = {{ jwks_url = "{}", timeout = "20s", {keys} }}
        [route]
        app = {{ match = "/{{*rest}}", accept = "jwt:remote", upstream = "{}" }}
        "#,
        server.url(),
        upstream.url()
    ))
}

/// A token that was never seen, of the key of this name.
fn token(key: &Key, kid: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": kid});
    key.token(&header, &claims_with(ISS, "jti", json!(number.to_string())))
}

fn ask(to: SocketAddr, token: &str) -> Answer {
    get(to, "/x", &bearer(token))
}

#[test]
fn keys_rotate_while_requests_flow() {
    let (upstream, old, new) = (Upstream::start(), Key::p256(), Key::p256());
    let server = KeyServer::start(&[old.jwk("old")]);
    let portcullis = start(&server, &upstream, r#"refresh = "24h", min_interval = "1ms""#);
    let to = portcullis.address();
    until("the first keys are there", || ask(to, &token(&old, "old")).status == 200);
    let before = token(&old, "old");
    assert_eq!(ask(to, &before).status, 200);

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flows: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut served = 0;
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(ask(to, &token(&old, "old")).status, 200, "a good token was refused");
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        server.serve(&[old.jwk("old"), new.jwk("new")]);
        // The first token of the new key makes its own way.
        assert_eq!(ask(to, &token(&new, "new")).status, 200);
        assert_eq!(ask(to, &before).status, 200);
        done.store(true, Ordering::Relaxed);
        for flow in flows {
            flow.join().expect("no request failed");
        }
    });

    // A key that has left takes with it what it verified, also where that is in the cache.
    server.serve(&[new.jwk("new")]);
    assert_eq!(ask(to, &token(&new, "unheard-of")).status, 401);
    assert_eq!(ask(to, &before).status, 401);
    assert_eq!(ask(to, &token(&old, "old")).status, 401);
    assert_eq!(ask(to, &token(&new, "new")).status, 200);
}

#[test]
fn the_last_good_keys_outlive_their_server() {
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[key.jwk("k")]);
    let portcullis = start(&server, &upstream, r#"refresh = "20ms", min_interval = "1ms""#);
    let to = portcullis.address();
    until("the first keys are there", || ask(to, &token(&key, "k")).status == 200);
    let nothing = json!({"keys": []}).to_string();
    let private = json!({"keys": [{"kty": "oct", "k": "AAAA", "kid": "k"}]}).to_string();
    for answer in [
        Some((500, "gone".to_owned())),
        Some((404, String::new())),
        Some((200, "<html>".to_owned())),
        Some((200, nothing)),
        Some((200, private)),
        Some((200, " ".repeat(300 * 1024))),
        None,
    ] {
        server.answer(answer.clone());
        let asked = server.asked();
        until("keys were asked for in vain", || server.asked() > asked + 1);
        assert_eq!(ask(to, &token(&key, "k")).status, 200, "{:?}", answer.map(|a| a.0));
        assert_eq!(ask(to, &token(&key, "unknown")).status, 401);
    }
}

#[test]
fn without_any_keys_the_answer_is_503_until_they_come() {
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[]);
    server.answer(None);
    let portcullis = start(&server, &upstream, r#"refresh = "20ms", min_interval = "1ms""#);
    let to = portcullis.address();
    let token = token(&key, "k");
    let answer = ask(to, &token);
    assert_eq!(answer.status, 503);
    assert!(answer.value("retry-after").is_some(), "{}", answer.head);
    assert!(upstream.received().is_empty());
    server.serve(&[key.jwk("k")]);
    until("the keys have come", || ask(to, &token).status == 200);
}

#[test]
fn a_storm_of_unknown_keys_asks_their_server_once() {
    const STORM: usize = 24;
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[key.jwk("k")]);
    let portcullis = start(&server, &upstream, r#"refresh = "24h", min_interval = "1ms""#);
    let (to, health) = (portcullis.address(), portcullis.health());
    until("the first keys are there", || ask(to, &token(&key, "k")).status == 200);
    let misses = || -> usize {
        let metrics = get(health, "/metrics", "").body;
        let series = "portcullis_credentials_total{kind=\"jwt\",cached=\"false\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)).expect("the series");
        line.parse().expect("a number")
    };
    let (asked, missed) = (server.asked(), misses());
    server.hold(true);
    std::thread::scope(|scope| {
        let storm: Vec<_> = (0..STORM)
            .map(|number| {
                let token = token(&key, &format!("unknown-{number}"));
                scope.spawn(move || ask(to, &token).status)
            })
            .collect();
        until("all of them wait", || misses() == missed + STORM);
        // A known key does not wait with them.
        assert_eq!(ask(to, &token(&key, "k")).status, 200);
        server.hold(false);
        for one in storm {
            assert_eq!(one.join().expect("an answer"), 401);
        }
    });
    assert_eq!(server.asked(), asked + 1);
}

#[test]
fn an_unknown_key_asks_its_server_no_sooner_than_it_may() {
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[key.jwk("k")]);
    let portcullis = start(&server, &upstream, r#"refresh = "24h", min_interval = "1h""#);
    let to = portcullis.address();
    until("the first keys are there", || ask(to, &token(&key, "k")).status == 200);
    for number in 0..40 {
        assert_eq!(ask(to, &token(&key, &format!("unknown-{number}"))).status, 401);
    }
    assert_eq!(server.asked(), 1);
}

#[test]
fn f32_tokens_whose_keys_cannot_be_had_are_refused_side_by_side() {
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[]);
    server.answer(None);
    let portcullis = start(&server, &upstream, r#"refresh = "24h", min_interval = "1ms""#);
    let to = portcullis.address();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let token = token(&key, "k");
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(ask(to, &token).status, 503);
                }
            });
        }
    });
    assert!(upstream.received().is_empty());
    let foreign: Value = claims("https://elsewhere.example");
    assert_eq!(ask(to, &key.token(&json!({"alg": "ES256"}), &foreign)).status, 401, "it still decides");
}
