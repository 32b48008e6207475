//! What of a request and its answer passes, and what is Portcullis's alone.

use serde_json::json;

use crate::harness::http;
use crate::harness::portcullis::{Portcullis, Setup, bearer, cookie};
use crate::harness::upstream::{Received, Upstream};

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    key: String,
    session: String,
}

fn world(upstream: Upstream) -> World {
    let setup = Setup::new();
    let (key, session) = (setup.api_key(|_| {}), setup.session(|_| {}));
    let portcullis = setup.start(&format!(
        r#"
        [defaults]
        upstream = "{}"
        accept = ["jwt", "api_key", "session"]
        [route]
        all = {{ match = "/{{*rest}}" }}
        passed = {{ match = "/passed", forward_credentials = true }}
        optional = {{ match = "/optional", accept = ["jwt", "anyone"] }}
        public = {{ match = "/public", accept = "anyone" }}
        "#,
        upstream.url()
    ));
    World { upstream, portcullis, key, session }
}

impl World {
    fn seen(&self, target: &str, headers: &str) -> Received {
        let answer = http::get(self.portcullis.address(), target, headers);
        assert_eq!(answer.status, 200, "{target} {headers}: {} {}", answer.head, answer.body);
        self.upstream.last()
    }
}

#[test]
fn a_request_has_one_id_for_client_and_upstream() {
    let world = world(Upstream::start());
    let first = http::get(world.portcullis.address(), "/public", "X-Request-Id: mine\r\n");
    let id = first.value("x-request-id").expect("an id").to_owned();
    assert_eq!(world.upstream.last().value("x-request-id"), Some(id.as_str()));
    let second = http::get(world.portcullis.address(), "/public", "");
    assert!(![id.as_str(), "mine"].contains(&second.value("x-request-id").expect("an id")));
    let denied = http::get(world.portcullis.address(), "/x", "");
    assert_eq!(denied.value("x-request-id"), denied.json()["decision_id"].as_str());
}

#[test]
fn a_credential_that_was_used_stops_here_unless_the_route_says_otherwise() {
    let world = world(Upstream::start());
    let token = world.portcullis.token(json!({}));
    for (header, line) in [
        ("authorization", bearer(&token)),
        ("authorization", bearer(&world.key)),
        ("x-api-key", format!("X-Api-Key: {}\r\n", world.key)),
    ] {
        assert_eq!(world.seen("/x", &line).value(header), None, "{line}");
        let sent = line.split_once(": ").unwrap().1.trim_end();
        assert_eq!(world.seen("/passed", &line).value(header), Some(sent), "{line}");
    }
    // What no accepted kind uses belongs to the application.
    let basic = "Authorization: Basic YXBwOmFwcA==\r\n";
    let seen = world.seen("/x", &format!("{basic}X-Api-Key: {}\r\n", world.key));
    assert_eq!((seen.value("authorization"), seen.value("x-api-key")), (Some("Basic YXBwOmFwcA=="), None));
    assert_eq!(world.seen("/public", &bearer("the-apps-own")).value("authorization"), Some("Bearer the-apps-own"));
}

#[test]
fn the_session_cookie_stops_here_and_the_others_pass() {
    let world = world(Upstream::start());
    let ours = format!("__Host-session={}", world.session);
    for (sent, passed) in [
        (vec![format!("a=1; {ours}; b=\"2 3\"")], vec!["a=1; b=\"2 3\""]),
        (vec![ours.clone()], vec![]),
        (vec!["a=1".to_owned(), ours.clone(), "b=2".to_owned()], vec!["a=1", "b=2"]),
    ] {
        let lines: String = sent.iter().map(|line| format!("Cookie: {line}\r\n")).collect();
        for target in ["/x", "/passed", "/optional", "/public"] {
            let seen = world.seen(target, &lines);
            assert_eq!(seen.values("cookie"), passed, "{target}");
            assert!(!seen.head.contains(&world.session), "{target}: {}", seen.head);
        }
    }
    let seen = world.seen("/x", &format!("Cookie: a=1\r\n{}", cookie(&world.session)));
    assert_eq!(seen.value("x-auth-method"), Some("session"));
    // Nor does it where another credential is the one that counts, or where it is none of ours.
    let line = format!("{}X-Api-Key: {}\r\n", cookie("stale"), world.key);
    assert_eq!(world.seen("/x", &line).values("cookie"), Vec::<&str>::new());
    assert_eq!(world.seen("/public", &cookie("whatever")).values("cookie"), Vec::<&str>::new());
}

#[test]
fn an_upstream_cannot_set_our_session_cookie() {
    let world = world(Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: __Host-session=fixed; Path=/; Secure\r\n\
          set-cookie:  __Host-session =fixed\r\nSet-Cookie: =__Host-session=fixed\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    }));
    for (target, headers) in [("/public", String::new()), ("/x", format!("X-Api-Key: {}\r\n", world.key))] {
        let answer = http::get(world.portcullis.address(), target, &headers);
        assert_eq!(answer.values("set-cookie"), ["a=1; Path=/", "b=2"], "{target}");
    }
}

#[test]
fn authenticated_answers_are_private_unless_the_upstream_says_otherwise() {
    let plain = world(Upstream::start());
    let cached = world(Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nCache-Control: public, max-age=9\r\nContent-Length: 0\r\n\r\n".to_vec()
    }));
    for (world, target, authenticated, expected) in [
        (&plain, "/x", true, Some("private")),
        (&plain, "/optional", true, Some("private")),
        (&plain, "/optional", false, None),
        (&plain, "/public", false, None),
        (&cached, "/x", true, Some("public, max-age=9")),
    ] {
        let headers = if authenticated { bearer(&world.portcullis.token(json!({}))) } else { String::new() };
        let answer = http::get(world.portcullis.address(), target, &headers);
        assert_eq!((answer.status, answer.value("cache-control")), (200, expected), "{target} {authenticated}");
    }
}

#[test]
fn what_an_answer_says_of_its_own_connection_stays_there() {
    let world = world(Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Once\r\nX-Once: 1\r\nX-Stays: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    }));
    let answer = http::get(world.portcullis.address(), "/public", "");
    assert_eq!((answer.value("x-once"), answer.value("x-stays")), (None, Some("1")), "{}", answer.head);
    for gone in ["keep-alive", "proxy-authenticate", "upgrade"] {
        assert_eq!(answer.value(gone), None, "{gone}");
    }
}
