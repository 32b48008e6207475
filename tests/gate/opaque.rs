//! Opaque tokens, and the endpoint that says what they mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::crypto::digest::{hex, sha256};
use portcullis::model::{Clock, LogEntry, Principal, Revocation, SystemClock};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{operate, preamble, until};
use crate::harness::certificates::Authority;
use crate::harness::http::{Answer, get};
use crate::harness::portcullis::{Portcullis, Setup, bearer, block_on};
use crate::harness::process::{Serving, folder};
use crate::harness::redis::Redis;
use crate::harness::upstream::{Received, Upstream};

const SECRET: &str = "canary-of-the-introspection-client";

/// `htpasswd -nbB -C 4` of `canary-password-of-alice`.
const HASH: &str = "$2y$04$KV1d5Dny5odoxnpID6.55ePeP8ewX6OsimSdbiXCK97zOehWOYoZS";

/// An introspection endpoint: knows tokens, wants its client to prove itself, and can fail or keep its clients waiting.
struct Endpoint {
    server: Upstream,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tokens: Mutex<HashMap<String, Value>>,
    asked: AtomicUsize,
    down: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

impl Endpoint {
    fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let for_server = Arc::clone(&shared);
        let server = Upstream::answering(move |request| for_server.answer(request));
        Self { server, shared }
    }

    /// From now on the token means this.
    fn knows(&self, token: &str, answer: Value) {
        self.shared.tokens.lock().unwrap().insert(token.to_owned(), answer);
    }

    fn forgets(&self, token: &str) {
        self.shared.tokens.lock().unwrap().remove(token);
    }

    fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    fn down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    fn hold(&self, hold: bool) {
        *self.shared.held.lock().unwrap() = hold;
        self.shared.released.notify_all();
    }
}

impl Shared {
    fn answer(&self, request: &Received) -> Vec<u8> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.lock().unwrap();
        while *held {
            held = self.released.wait(held).unwrap();
        }
        drop(held);
        let form = String::from_utf8(request.body.clone()).unwrap();
        let field = |name: &str| {
            form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or_default().to_owned()
        };
        let basic = format!("Basic {}", STANDARD.encode(format!("gate:{SECRET}")));
        let proved = request.value("authorization") == Some(&basic) || field("client_secret") == SECRET;
        let form_is_right = request.line() == "POST /introspect HTTP/1.1"
            && field("token_type_hint") == "access_token"
            && request.value("content-type") == Some("application/x-www-form-urlencoded");
        let (status, body) = match self.tokens.lock().unwrap().get(&field("token")) {
            _ if self.down.load(Ordering::SeqCst) => (503, String::new()),
            _ if !proved => (401, String::new()),
            _ if !form_is_right => (400, String::new()),
            Some(answer) => (200, answer.to_string()),
            None => (200, json!({"active": false}).to_string()),
        };
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

fn alice() -> Value {
    let now = SystemClock.now().as_secs();
    json!({
        "active": true, "sub": "alice", "aud": ["orders"], "iss": "https://id.example.com", "scope": "read write",
        "exp": now + 600, "iat": now, "roles": ["reader"], "token_type": "Bearer", "email": "alice@example.com",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut answer = alice();
    answer[name] = value;
    answer
}

/// `[opaque]` at this endpoint, and a route `/` that accepts opaque tokens alone.
fn configuration(url: &str, keys: &str, upstream: &Upstream) -> String {
    format!(
        r#"
        [opaque]
        introspection_url = "{url}/introspect"
        issuer = "https://id.example.com"
        audiences = ["orders"]
        client_id = "gate"
        client_secret = {{ file = "client-secret" }}
        {keys}
        [route]
        app = {{ match = "/{{*rest}}", accept = "opaque", upstream = "{up}" }}
        all = {{ match = "/all", accept = ["opaque", "jwt:main", "api_key", "anyone"], upstream = "{up}" }}
        jwt = {{ match = "/jwt", accept = "jwt:main", upstream = "{up}" }}
        kept = {{ match = "/kept", accept = "opaque", forward_credentials = true, upstream = "{up}" }}
        "#,
        up = upstream.url()
    )
}

fn setup() -> Setup {
    let setup = Setup::new();
    std::fs::write(setup.folder().join("client-secret"), SECRET).unwrap();
    setup
}

fn start(endpoint: &Endpoint, keys: &str, upstream: &Upstream) -> Portcullis {
    setup().start(&configuration(&endpoint.server.url(), keys, upstream))
}

fn ask(portcullis: &Portcullis, token: &str) -> Answer {
    get(portcullis.address(), "/x", &bearer(token))
}

#[test]
fn a_token_is_what_its_issuer_says_and_asked_about_once() {
    for keys in ["", "client_auth = \"post\""] {
        let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
        let portcullis = start(&endpoint, keys, &upstream);
        endpoint.knows("random", alice());
        for _ in 0..5 {
            assert_eq!(ask(&portcullis, "random").status, 200, "{keys}");
        }
        assert_eq!(endpoint.asked(), 1);
        let seen = upstream.last();
        assert_eq!(seen.value("x-auth-subject"), Some("alice"));
        assert_eq!(seen.value("x-auth-issuer"), Some("https://id.example.com"));
        assert_eq!(seen.value("x-auth-method"), Some("opaque"));
        assert_eq!(seen.value("x-auth-roles"), Some("reader"));
        assert_eq!(seen.value("x-auth-scopes"), Some("read write"));
        assert_eq!(seen.value("x-auth-email"), Some("alice@example.com"));
        assert_eq!(seen.value("x-auth-credential"), Some(&*hex(&sha256(b"opaque:random"))));
        assert!(!seen.head.contains("random"), "the token goes no further: {}", seen.head);
        assert_eq!(get(portcullis.address(), "/kept", &bearer("random")).status, 200);
        assert_eq!(upstream.last().value("authorization"), Some("Bearer random"), "unless the route says so");
    }
}

#[test]
fn f38_a_bearer_is_classified_by_its_form_and_never_falls_through() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let setup = setup();
    let key = setup.api_key(|_| {});
    let portcullis = setup.start(&configuration(&endpoint.server.url(), "", &upstream));
    let (to, jwt) = (portcullis.address(), portcullis.token(json!({})));
    let broken_key = format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { 'y' } else { 'x' });
    // An issuer that would vouch for anything is not even asked about what is something else by its form.
    for token in [&*jwt, "a.b.c", &key, &broken_key] {
        endpoint.knows(token, alice());
    }
    for (path, token, expected) in [
        ("/all", &*jwt, 200),
        ("/all", &*key, 200),
        ("/all", "a.b.c", 401),
        ("/all", &*broken_key, 401),
        ("/x", &*jwt, 401),
        ("/x", &*key, 401),
        ("/jwt", "random", 401),
        ("/jwt", "a.b", 401),
    ] {
        assert_eq!(get(to, path, &bearer(token)).status, expected, "{path}");
    }
    assert_eq!(endpoint.asked(), 0);
    for token in ["random", "a.b", "a.b.c.d.e"] {
        assert_eq!(get(to, "/all", &bearer(token)).status, 401, "also where none is needed: {token}");
    }
    assert_eq!(endpoint.asked(), 3);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn f30_a_verdict_of_one_route_is_none_for_another() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let portcullis = start(&endpoint, "", &upstream);
    endpoint.knows("random", alice());
    assert_eq!(ask(&portcullis, "random").status, 200);
    assert_eq!(get(portcullis.address(), "/jwt", &bearer("random")).status, 401);
    assert_eq!(get(portcullis.address(), "/all", &bearer("random")).status, 200);
    assert_eq!(endpoint.asked(), 1);
}

#[test]
fn f36_what_is_not_active_or_not_for_us_is_refused_and_asked_about_once_a_moment() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let portcullis = start(&endpoint, "", &upstream);
    endpoint.knows("foreign", with("aud", json!("elsewhere")));
    endpoint.knows("stranger", with("iss", json!("https://other.example.com")));
    endpoint.knows("refresh", with("token_type", json!("refresh_token")));
    endpoint.knows("text", with("exp", json!("4102444800")));
    endpoint.knows("ended", with("exp", json!(1)));
    endpoint.knows("roles", with("roles", json!({"admin": true})));
    endpoint.knows("keyed", with("cnf", json!({"jkt": "A".repeat(43)})));
    endpoint.knows("held", with("cnf", json!({"x5t#S256": "A".repeat(43)})));
    for token in ["unknown", "foreign", "stranger", "refresh", "text", "ended", "roles", "held", "keyed"] {
        let asked = endpoint.asked();
        for _ in 0..5 {
            let answer = ask(&portcullis, token);
            assert_eq!(answer.status, 401, "{token}");
            let challenge = "Bearer realm=\"portcullis\", error=\"invalid_token\"";
            assert_eq!(answer.value("www-authenticate"), Some(challenge), "{token}");
            assert!(!answer.body.contains("audience") && !answer.body.contains(token), "{}", answer.body);
        }
        // The negative cache forgets after two seconds: five requests take less, but a busy machine may not.
        assert!((1..=4).contains(&(endpoint.asked() - asked)), "{token}");
    }
    assert!(upstream.received().is_empty());
}

#[test]
fn an_endpoint_that_fails_refuses_what_is_new_and_leaves_what_is_known() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let portcullis = start(&endpoint, "timeout = \"20s\"", &upstream);
    endpoint.knows("known", alice());
    endpoint.knows("new", alice());
    assert_eq!(ask(&portcullis, "known").status, 200);
    endpoint.down(true);
    for _ in 0..8 {
        let answer = ask(&portcullis, "new");
        assert_eq!(answer.status, 503);
        assert!(answer.value("retry-after").is_some(), "{}", answer.head);
        assert_eq!(answer.json()["type"], "urn:portcullis:cannot_decide");
        assert_eq!(ask(&portcullis, "known").status, 200, "served from the cache");
    }
    endpoint.down(false);
    assert_eq!(ask(&portcullis, "new").status, 200, "that there was no answer is not remembered");
}

#[test]
fn f38_an_endpoint_that_cannot_be_reached_or_does_not_know_us_lets_nobody_in() {
    let upstream = Upstream::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let portcullis = setup().start(&configuration(&url, "", &upstream));
    for _ in 0..8 {
        assert_eq!(ask(&portcullis, "random").status, 503);
        assert_eq!(get(portcullis.address(), "/all", &bearer("random")).status, 503, "nobody becomes anonymous");
    }
    assert_eq!(get(portcullis.address(), "/all", "").status, 200);
    let endpoint = Endpoint::start();
    endpoint.knows("random", alice());
    let setup = setup();
    std::fs::write(setup.folder().join("client-secret"), "another-secret").unwrap();
    let portcullis = setup.start(&configuration(&endpoint.server.url(), "", &upstream));
    assert_eq!(ask(&portcullis, "random").status, 503);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn many_with_one_new_token_ask_once() {
    const MANY: usize = 24;
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let portcullis = start(&endpoint, "timeout = \"20s\"", &upstream);
    endpoint.knows("random", alice());
    let health = portcullis.health();
    let misses = || -> usize {
        let metrics = get(health, "/metrics", "").body;
        let series = "portcullis_credentials_total{kind=\"opaque\",cached=\"false\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(series)).map_or(0, |number| number.parse().unwrap())
    };
    endpoint.hold(true);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..MANY).map(|_| scope.spawn(|| ask(&portcullis, "random").status)).collect();
        until("all of them wait", || misses() == MANY);
        endpoint.hold(false);
        for one in all {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    assert_eq!(endpoint.asked(), 1);
}

#[test]
fn an_answer_is_believed_for_as_long_as_configured_and_no_longer() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let portcullis = start(&endpoint, "cache = \"1ms\"", &upstream);
    endpoint.knows("random", alice());
    assert_eq!(ask(&portcullis, "random").status, 200);
    endpoint.forgets("random");
    until("the issuer's revocation is seen", || ask(&portcullis, "random").status == 401);
}

#[test]
fn f37_a_token_is_revoked_here_at_once_by_its_id_or_with_its_principal() {
    let (redis, endpoint, upstream) = (Redis::start(), Endpoint::start(), Upstream::start());
    let store = redis.store();
    let configuration = configuration(&endpoint.server.url(), "", &upstream).replace(", \"jwt:main\", \"api_key\"", "");
    let configuration = configuration.replace("\"jwt:main\"", "\"opaque\"");
    let portcullis = setup().try_start(&format!("{}{configuration}", preamble(&redis.url()))).unwrap();
    let revoke = |what| {
        let until = SystemClock.now().after(Duration::from_secs(700));
        block_on(store.log.append(&LogEntry { what, until })).unwrap();
    };
    let issuer: Arc<str> = "https://id.example.com".into();
    let id = |token: &str| -> Arc<str> { hex(&sha256(format!("opaque:{token}").as_bytes())).into() };
    for (token, sub) in [("one", "alice"), ("two", "alice"), ("three", "bob")] {
        endpoint.knows(token, with("sub", json!(sub)));
        assert_eq!(ask(&portcullis, token).status, 200);
    }
    revoke(Revocation::Token { issuer: issuer.clone(), id: id("one") });
    until("the token is refused", || ask(&portcullis, "one").status == 401);
    assert_eq!(ask(&portcullis, "two").status, 200);
    let before = SystemClock.now().after(Duration::from_secs(2));
    revoke(Revocation::PrincipalBefore { principal: Principal { issuer, subject: "alice".into() }, before });
    until("all of the principal's are", || ask(&portcullis, "two").status == 401);
    assert_eq!(ask(&portcullis, "three").status, 200);
    // What is announced to have changed is asked about anew.
    let asked = endpoint.asked();
    endpoint.knows("three", json!({"active": false}));
    assert_eq!((ask(&portcullis, "three").status, endpoint.asked()), (200, asked));
    revoke(Revocation::Changed { id: id("three") });
    until("the issuer has been asked again", || ask(&portcullis, "three").status == 401);
}

#[test]
fn an_operator_revokes_a_token_by_its_text_and_all_of_a_subject_by_its_issuer() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let portcullis = start(&endpoint, "", &upstream);
    for (token, sub) in [("one", "alice"), ("two.parts", "alice"), ("three", "bob")] {
        endpoint.knows(token, with("sub", json!(sub)));
        assert_eq!(ask(&portcullis, token).status, 200);
    }
    let revoke = |what: Value| {
        let answer = operate(&portcullis, "POST", "/v1/revocations", &what);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.body.contains("two.parts"), "{}", answer.body);
    };
    revoke(json!({ "kind": "token", "token": "two.parts" }));
    assert_eq!((ask(&portcullis, "two.parts").status, ask(&portcullis, "one").status), (401, 200));
    revoke(json!({ "kind": "subject", "subject": "alice", "issuer": "https://id.example.com" }));
    assert_eq!((ask(&portcullis, "one").status, ask(&portcullis, "three").status), (401, 200));
}

#[test]
fn over_tls_the_endpoint_must_be_of_the_named_ca() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    endpoint.knows("random", alice());
    for (ca, expected) in [("ca.pem", 200), ("other.pem", 503)] {
        // Portcullis itself ends TLS in front of the endpoint.
        let front = Setup::new();
        let mut authority = Authority::new(front.folder());
        authority.server("server", &["127.0.0.1"]);
        Authority::named(front.folder(), "other");
        let folder = front.folder().to_owned();
        let tls = "listener.main.tls.certificates = { chain = \"server.pem\", key = \"server.key\" }";
        let route = format!(
            "[route]\nall = {{ match = \"/{{*rest}}\", accept = \"anyone\", upstream = \"{}\" }}",
            endpoint.server.url()
        );
        let front = front.start_with(tls, &route);
        let url = format!("https://{}", front.address());
        let keys = format!("ca = \"{}\"", folder.join(ca).display());
        let portcullis = setup().start(&configuration(&url, &keys, &upstream));
        assert_eq!(ask(&portcullis, "random").status, expected, "{ca}");
    }
    assert_eq!(endpoint.asked(), 1);
}

#[test]
fn f49_neither_tokens_nor_passwords_nor_the_clients_secret_are_ever_told() {
    let (endpoint, upstream) = (Endpoint::start(), Upstream::start());
    let (token, password) = ("canary-token-of-alice-0123456789", "canary-password-of-alice");
    let unknown = "canary-token-of-nobody-0123456789";
    let (_guard, here) = folder(&format!(
        r#"
        listener.main.bind = "127.0.0.1:0"
        health.bind = "127.0.0.1:0"
        log.level = "trace"
        [basic]
        file = "htpasswd"
        {}
        both = {{ match = "/both", accept = ["opaque", "basic"], upstream = "{}" }}
        "#,
        configuration(&endpoint.server.url(), "timeout = \"20s\"", &upstream).replace("\"jwt:main\"", "\"session\""),
        upstream.url()
    ));
    std::fs::write(here.join("client-secret"), SECRET).unwrap();
    std::fs::write(here.join("htpasswd"), format!("alice:{HASH}\n")).unwrap();
    endpoint.knows(token, alice());
    let serving = Serving::run(&here).ready();
    let (to, health) = (serving.address("main"), serving.health());
    let basic = |password: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("alice:{password}")));
    let mut seen = Vec::new();
    for down in [false, true] {
        endpoint.down(down);
        let lines = [bearer(token), bearer(unknown), bearer(&format!("{unknown}{down}")), basic(password)];
        for line in lines.into_iter().chain([basic(&format!("{password}-wrong")), basic(&format!("{password}\0"))]) {
            let answer = get(to, "/both", &line);
            seen.push(format!("{}\n{}", answer.head, answer.body));
        }
    }
    let statuses: Vec<&str> = seen.iter().map(|answer| &answer[9..12]).collect();
    let expected = ["200", "401", "401", "200", "401", "401", "200", "401", "503", "200", "401", "401"];
    // The endpoint's no is forgotten after two seconds; a busy machine may need them.
    assert!(statuses.iter().zip(expected).enumerate().all(|(at, (is, want))| *is == want || (at == 7 && *is == "503")));
    seen.push(get(health, "/metrics", "").body);
    serving.says("password_wrong");
    serving.says("introspection_unavailable");
    serving.signal(Signal::TERM);
    let mut serving = serving;
    serving.ended();
    seen.extend([serving.log(), serving.printed()]);
    seen.extend(upstream.received().into_iter().map(|received| received.head));
    let encoded = |text: &str| STANDARD.encode(text).trim_end_matches('=').to_owned();
    for canary in
        ["canary".to_owned(), HASH.to_owned(), encoded("alice:canary-password"), encoded(&format!("gate:{SECRET}"))]
    {
        for text in &seen {
            let line = text.lines().find(|line| line.contains(&canary));
            assert!(line.is_none(), "{canary} is in {line:?}");
        }
    }
}
