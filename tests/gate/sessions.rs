//! Sessions from their making to their end, with each kind of store.

use std::time::Duration;

use portcullis::model::{Clock, SessionRecord, SystemClock};
use serde_json::{Value, json};

use super::{operate, preamble, until};
use crate::harness::http::{get, post};
use crate::harness::portcullis::{Portcullis, Setup, cookie};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

fn start(store: &str, upstream: &Upstream) -> Portcullis {
    let configuration = format!(
        r#"{}
        [route]
        app = {{ match = "/app", accept = "session", upstream = "{1}" }}
        optional = {{ match = "/optional", accept = ["session", "anyone"], upstream = "{1}" }}
        "#,
        preamble(store),
        upstream.url()
    );
    Setup::new().try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"))
}

/// A session by way of the admin socket: its `Cookie` line and its id.
fn make(portcullis: &Portcullis) -> (String, String) {
    let made = operate(portcullis, "POST", "/v1/sessions", &json!({"subject": "alice", "roles": ["reader"]}));
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    let id = made["session"]["id"].as_str().expect("an id").to_owned();
    (format!("Cookie: theme=dark; {}\r\n", made["cookie"].as_str().expect("a cookie")), id)
}

fn revoke(portcullis: &Portcullis, id: &str) -> u16 {
    operate(portcullis, "DELETE", &format!("/v1/sessions/{id}"), &Value::Null).status
}

fn comes_and_goes(store: &str) {
    let upstream = Upstream::start();
    let portcullis = start(store, &upstream);
    let to = portcullis.address();
    let (session, id) = make(&portcullis);
    let (other, _) = make(&portcullis);
    for _ in 0..2 {
        assert_eq!(get(to, "/app", &session).status, 200);
        assert_eq!(get(to, "/optional", &session).status, 200);
        assert!(upstream.last().head.contains("alice"), "{}", upstream.last().head);
        assert_eq!(upstream.last().value("cookie"), Some("theme=dark"));
    }
    assert_eq!(revoke(&portcullis, &id), 200);
    assert_eq!(get(to, "/app", &session).status, 401, "the very next request");
    // Whoever logged out is nobody, not locked out.
    assert_eq!(get(to, "/optional", &session).status, 200);
    assert!(!upstream.last().head.contains("alice"), "{}", upstream.last().head);
    assert_eq!(get(to, "/app", &other).status, 200, "nobody else's");
    assert_eq!(revoke(&portcullis, &id), 404);
    assert_eq!(get(to, "/app", &session).status, 401);
}

#[test]
fn a_session_comes_and_goes_in_memory() {
    comes_and_goes("memory:");
}

#[test]
fn a_session_comes_and_goes_in_redis() {
    comes_and_goes(&Redis::start().url());
}

#[test]
fn f42_a_session_that_is_ended_at_one_instance_is_ended_at_the_other() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let (one, other) = (start(&redis.url(), &upstream), start(&redis.url(), &upstream));
    let (session, id) = make(&one);
    assert_eq!(get(one.address(), "/app", &session).status, 200);
    assert_eq!(get(other.address(), "/app", &session).status, 200);
    assert_eq!(revoke(&one, &id), 200);
    assert_eq!(get(one.address(), "/app", &session).status, 401);
    until("the other refuses it too", || get(other.address(), "/app", &session).status == 401);
}

#[test]
fn a_session_that_has_ended_is_nobody_where_anyone_may_come() {
    let now = SystemClock.now();
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let past = now.before(Duration::from_secs(3600));
    let absolute = setup.session(|record: &mut SessionRecord| {
        (record.created_at, record.seen_at, record.expires_at) = (past, past, now.before(Duration::from_secs(1)));
    });
    let idle = setup.session(|record| (record.created_at, record.seen_at) = (past, past));
    let live = setup.session(|_| ());
    let portcullis = setup.start(&format!(
        r#"
        [route]
        app = {{ match = "/app", accept = "session", upstream = "{0}" }}
        optional = {{ match = "/optional", accept = ["session", "jwt", "anyone"], upstream = "{0}" }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    for ended in [&absolute, &idle, "x", ""] {
        assert_eq!(get(to, "/app", &cookie(ended)).status, 401, "{ended}");
        assert_eq!(get(to, "/optional", &cookie(ended)).status, 200, "{ended}");
        assert!(!upstream.last().head.contains("alice"), "{}", upstream.last().head);
        // What was presented on purpose and is wrong is refused there as well.
        assert_eq!(get(to, "/optional", &format!("{}Authorization: Bearer a.b.c\r\n", cookie(ended))).status, 401);
    }
    assert_eq!(get(to, "/app", &cookie(&live)).status, 200);
    let bad_beside_good = format!("{}Authorization: Bearer a.b.c\r\n", cookie(&live));
    assert_eq!(get(to, "/optional", &bad_beside_good).status, 401, "it does not fall back to the cookie");
}

#[test]
fn f41_a_cookie_that_stands_twice_is_refused() {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let (mine, planted) = (setup.session(|_| ()), setup.session(|_| ()));
    let portcullis = setup.start(&format!(
        "[route]\napp = {{ match = \"/{{*rest}}\", accept = [\"session\", \"anyone\"], upstream = \"{}\" }}",
        upstream.url()
    ));
    let to = portcullis.address();
    let name = "__Host-session";
    for lines in [
        format!("Cookie: {name}={mine}; {name}={planted}\r\n"),
        format!("Cookie: {name}={mine}; {name}={mine}\r\n"),
        format!("Cookie: {name}={mine}\r\nCookie: {name}={planted}\r\n"),
        format!("Cookie: {name}={mine}; a=b; {name}=\r\n"),
        format!("Cookie: {name}=; {name}={mine}\r\n"),
        format!("Cookie: {name}={mine};{name}={planted}\r\n"),
    ] {
        assert_eq!(get(to, "/", &lines).status, 400, "{lines}");
    }
    assert!(upstream.received().is_empty());
    assert_eq!(get(to, "/", &format!("Cookie: x{name}={planted}; {name}={mine}\r\n")).status, 200);
    assert!(upstream.last().head.contains("alice"));
}

#[test]
fn a_session_changes_nothing_for_another_site() {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let session = setup.session(|_| ());
    let portcullis = setup.start(&format!(
        "[route]\napp = {{ match = \"/{{*rest}}\", accept = \"session\", upstream = \"{}\" }}",
        upstream.url()
    ));
    let to = portcullis.address();
    for (line, expected) in [
        ("", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: none\r\n", 200),
    ] {
        assert_eq!(post(to, "/", &format!("{}{line}", cookie(&session))).status, expected, "{line}");
    }
    assert_eq!(upstream.received().len(), 2);
}
