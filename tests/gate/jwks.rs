//! Keys that are fetched: they change, their server fails, and nobody can make Portcullis ask it too often.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::keys::{Key, KeyServer, claims, claims_with};
use super::until;
use crate::harness::certificates::Authority;
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

/// With the keys, and none of the fetches that tokens cause spent.
fn has_keys(portcullis: &Portcullis) {
    until("the first keys are there", || series(portcullis, "fetched_timestamp_seconds").is_some());
}

/// The value of a series `portcullis_jwks_NAME{issuer="remote"…}`.
fn series(portcullis: &Portcullis, name: &str) -> Option<f64> {
    let (name, labels) = name.split_once(' ').unwrap_or((name, ""));
    let start = format!("portcullis_jwks_{name}{{issuer=\"remote\"{labels}}} ");
    let metrics = get(portcullis.health(), "/metrics", "").body;
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map(|value| value.parse().expect("a number"))
}

/// Like [`start`], with two workers, and keys from this URL.
fn start_two_workers(url: &str, upstream: &Upstream, more: &str) -> Portcullis {
    let started = Setup::new().try_start(&format!(
        r#"
        server = {{ workers = 2, drain_delay = "0s", shutdown_grace = "10s" }}
        listener.main.bind = "127.0.0.1:0"
        health.bind = "127.0.0.1:0"
        admin.socket = "admin.sock"
        store.url = "memory:store.json"
        [issuer.remote]
        url = "{ISS}"
        audiences = ["orders"]
        keys = {{ jwks_url = "{url}", {more} }}
        [route]
        app = {{ match = "/{{*rest}}", accept = "jwt:remote", upstream = "{}" }}
        "#,
        upstream.url()
    ));
    started.unwrap_or_else(|problem| panic!("{problem}"))
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

/// What a client sees of a rotation at once, while it goes on asking with the key of the moment.
fn switch_under_load(name: impl Fn(&Key, &str) -> String + Sync, kids: [Option<&str>; 2]) {
    let (upstream, old, new) = (Upstream::start(), Key::p256(), Key::p256());
    let jwk = |key: &Key, kid: Option<&str>| {
        let mut jwk = key.jwk(kid.unwrap_or_default());
        if kid.is_none() {
            jwk.as_object_mut().expect("an object").remove("kid");
        }
        jwk
    };
    let server = KeyServer::start(&[jwk(&old, kids[0])]);
    let portcullis = start_two_workers(&server.url(), &upstream, r#"refresh = "24h", min_interval = "1h""#);
    let to = portcullis.address();
    has_keys(&portcullis);
    let of = |key: &Key, index: usize| name(key, kids[index].unwrap_or_default());
    let cached = of(&old, 0);
    assert_eq!(ask(to, &cached).status, 200);

    let (switched, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
                while served.load(Ordering::SeqCst) < 60 && std::time::Instant::now() < deadline {
                    let is_new = switched.load(Ordering::SeqCst);
                    let token = if is_new { of(&new, 1) } else { of(&old, 0) };
                    match ask(to, &token).status {
                        200 if is_new => _ = served.fetch_add(1, Ordering::SeqCst),
                        200 => {}
                        401 if !is_new && switched.load(Ordering::SeqCst) => {}
                        status => panic!("{status} for a good token (new: {is_new})"),
                    }
                }
            });
        }
        until("there is load", || upstream.received().len() > 20);
        server.serve(&[jwk(&new, kids[1])]);
        switched.store(true, Ordering::SeqCst);
    });
    assert!(served.load(Ordering::SeqCst) >= 60);
    assert_eq!(server.asked(), 2, "at the start, and once for all who came with the new key");
    assert_eq!(series(&portcullis, "demands_total"), Some(1.0));
    assert_eq!(ask(to, &cached).status, 401, "what is cached ends with its key");
    assert_eq!(ask(to, &of(&old, 0)).status, 401);
}

#[test]
fn a_hard_switch_under_load_refuses_no_good_token() {
    switch_under_load(token, [Some("old"), Some("new")]);
}

#[test]
fn a_hard_switch_without_names_refuses_none_either() {
    let nameless = |key: &Key, _: &str| {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        key.token(&json!({"alg": "ES256"}), &claims_with(ISS, "jti", json!(format!("nameless-{number}"))))
    };
    switch_under_load(nameless, [None, None]);
    switch_under_load(nameless, [Some("a"), Some("b")]);
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
    let portcullis = start(&server, &upstream, r#"refresh = "24h", min_interval = "1h""#);
    let (to, health) = (portcullis.address(), portcullis.health());
    has_keys(&portcullis);
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
    has_keys(&portcullis);
    for number in 0..40 {
        assert_eq!(ask(to, &token(&key, &format!("unknown-{number}"))).status, 401);
    }
    assert_eq!(server.asked(), 2, "once at the start, and once for all of these");
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

#[test]
fn over_https_too_and_a_slow_server_keeps_no_known_key_waiting() {
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[key.jwk("k")]);
    // One that speaks TLS before it.
    let front = Setup::new();
    let folder = front.folder().to_owned();
    Authority::new(&folder).server("server", &["127.0.0.1"]);
    let front = front
        .try_start(&format!(
            r#"
            listener.main = {{ bind = "127.0.0.1:0", tls.certificates = [{{ chain = "server.pem", key = "server.key" }}] }}
            store.url = "memory:store.json"
            route.keys = {{ match = "/keys", accept = "anyone", upstream = "{}" }}
            "#,
            server.url().trim_end_matches("/keys")
        ))
        .unwrap_or_else(|problem| panic!("{problem}"));
    let ca = folder.join("ca.pem");
    let portcullis = start_two_workers(
        &format!("https://{}/keys", front.address()),
        &upstream,
        &format!(r#"ca = "{}", refresh = "20ms", min_interval = "1ms""#, ca.display()),
    );
    let to = portcullis.address();
    has_keys(&portcullis);
    server.hold(true);
    let asked = server.asked();
    until("it is asked and says nothing", || server.asked() > asked);
    for _ in 0..20 {
        assert_eq!(ask(to, &token(&key, "k")).status, 200);
    }
    assert_eq!(server.asked(), asked + 1, "it still says nothing");
    server.hold(false);
    until("it goes on", || server.asked() > asked + 2);
}

#[test]
fn a_start_in_an_outage_has_the_keys_of_the_snapshot() {
    let (upstream, key) = (Upstream::start(), Key::p256());
    let server = KeyServer::start(&[key.jwk("k")]);
    let folder = tempfile::tempdir().expect("a folder");
    let snapshot = folder.path().join("remote.keys");
    let start = || start(&server, &upstream, &format!(r#"snapshot = "{}""#, snapshot.display()));
    let first = start();
    until("it is written", || snapshot.exists());
    first.shutdown();

    server.answer(None);
    let second = start();
    assert_eq!(ask(second.address(), &token(&key, "k")).status, 200);
    assert_eq!(ask(second.address(), &token(&Key::p256(), "k")).status, 401);
    assert_eq!(series(&second, "refreshes_total ,ok=\"true\""), Some(0.0));
    assert!(series(&second, "refreshes_total ,ok=\"false\"") > Some(0.0));
    assert!(series(&second, "fetched_timestamp_seconds") > Some(1.7e9), "the age is that of the fetch");
    second.shutdown();

    std::fs::write(&snapshot, "{").expect("a file can be written");
    assert_eq!(ask(start().address(), &token(&key, "k")).status, 503);
}
