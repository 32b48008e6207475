//! CORS: preflights are answered here, every other answer says who may read it, and nobody is admitted by it.

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::{Portcullis, Setup, bearer, cookie};
use crate::harness::upstream::Upstream;

const APP: &str = "https://app.example";

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    session: String,
}

impl World {
    fn new() -> Self {
        let upstream = Upstream::answering(|_| {
            let head =
                "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n";
            format!("{head}Vary: Accept\r\nContent-Length: 5\r\n\r\nhello").into_bytes()
        });
        let setup = Setup::new();
        let session = setup.session(|_| {});
        let portcullis = setup.start(&format!(
            r#"
            [limit.before]
            rate = "1/h"
            key = ["client.address"]
            stage = "before_authentication"
            [defaults]
            upstream = "{}"
            [route.api]
            match = "/api/{{*rest}}"
            accept = ["jwt", "session"]
            deny = [{{ methods = "DELETE" }}]
            cors = {{ origins = ["{APP}"], methods = ["GET", "PUT", "POST", "DELETE"], headers = ["authorization"], expose = ["x-total"], credentials = true, max_age = "5m" }}
            [route.reports]
            match = "GET /api/reports"
            accept = ["jwt"]
            cors = {{ origins = ["https://reports.example"] }}
            [route.limited]
            match = "/limited"
            accept = ["jwt"]
            limits = ["before"]
            cors = {{ origins = ["{APP}"] }}
            [route.open]
            match = "/open"
            accept = ["anyone"]
            cors = {{ origins = ["*"] }}
            [route.theirs]
            match = "/theirs"
            accept = ["anyone"]
            "#,
            upstream.url()
        ));
        Self { upstream, portcullis, session }
    }

    fn send(&self, method: &str, path: &str, headers: &str) -> Answer {
        let to = self.portcullis.address();
        http::send(
            to,
            format!(
                "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
            ),
        )
    }

    fn preflight(&self, path: &str, origin: &str, method: &str, more: &str) -> Answer {
        self.send("OPTIONS", path, &format!("Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n{more}"))
    }
}

/// The CORS headers of an answer, lower case.
fn cors_of(answer: &Answer) -> Vec<String> {
    let lines = answer.head.lines().map(str::to_ascii_lowercase);
    let mut lines: Vec<_> = lines.filter(|line| line.starts_with("access-control-")).collect();
    lines.sort();
    lines
}

const READABLE: [&str; 3] = [
    "access-control-allow-credentials: true",
    "access-control-allow-origin: https://app.example",
    "access-control-expose-headers: x-total",
];

#[test]
fn a_preflight_is_answered_without_a_credential_and_without_the_upstream() {
    let world = World::new();
    let answer = world.preflight("/api/orders", APP, "PUT", "Access-Control-Request-Headers: authorization\r\n");
    assert_eq!(answer.status, 204);
    let expected = [
        "access-control-allow-credentials: true",
        "access-control-allow-headers: authorization",
        "access-control-allow-methods: get, put, post, delete",
        "access-control-allow-origin: https://app.example",
        "access-control-max-age: 300",
    ];
    assert_eq!(cors_of(&answer), expected);
    assert!(answer.values("vary").contains(&"Origin"), "{}", answer.head);
    assert!(world.upstream.received().is_empty());
}

#[test]
fn a_preflight_that_does_not_fit_is_refused_and_tells_nothing() {
    let world = World::new();
    for (origin, method, more) in [
        ("https://evil.example", "PUT", ""),
        ("http://app.example", "PUT", ""),
        ("https://app.example:8443", "PUT", ""),
        ("null", "PUT", ""),
        ("https://app.example", "PATCH", ""),
        ("https://app.example", "PUT", "Access-Control-Request-Headers: x-other\r\n"),
        ("https://app.example\r\nOrigin: https://app.example", "PUT", ""),
    ] {
        let answer = world.preflight("/api/orders", origin, method, more);
        assert_eq!(answer.status, 403, "{origin} {method} {more}");
        assert_eq!(answer.json()["type"], "urn:portcullis:preflight_refused");
        assert!(cors_of(&answer).is_empty(), "{}", answer.head);
        assert!(answer.values("vary").contains(&"Origin"), "{}", answer.head);
    }
    assert!(world.upstream.received().is_empty());
}

#[test]
fn the_route_of_the_announced_method_answers() {
    let world = World::new();
    // `GET` is another route's here, with other origins.
    assert_eq!(world.preflight("/api/reports", APP, "GET", "").status, 403);
    assert_eq!(world.preflight("/api/reports", "https://reports.example", "GET", "").status, 204);
    assert_eq!(world.preflight("/api/reports", APP, "PUT", "").status, 204);
    assert_eq!(world.preflight("/api/reports", "https://reports.example", "PUT", "").status, 403);
    // Nothing is there; and paths that are refused stay so.
    assert_eq!(world.preflight("/nowhere", APP, "GET", "").status, 404);
    assert_eq!(world.preflight("/api/%2e%2e/x", APP, "GET", "").status, 400);
    // `OPTIONS` without a question is a request like any other.
    assert_eq!(world.send("OPTIONS", "/api/orders", &format!("Origin: {APP}\r\n")).status, 401);
    let no_origin = world.send("OPTIONS", "/api/orders", "Access-Control-Request-Method: PUT\r\n");
    assert_eq!(no_origin.status, 401);
    assert!(world.upstream.received().is_empty());
}

#[test]
fn denials_of_every_stage_can_be_read_by_allowed_origins_only() {
    let world = World::new();
    let token = bearer(&world.portcullis.token(serde_json::json!({})));
    let session = cookie(&world.session);
    for (method, path, headers, status) in [
        ("GET", "/api/x", String::new(), 401),
        ("GET", "/api/x", "Authorization: Bearer a.b.c\r\n".to_owned(), 401),
        ("GET", "/api/x%2Fy", token.clone(), 400),
        ("DELETE", "/api/x", token, 403),
        // To let a page read is not to let it change: `cors` is not `origins`.
        ("POST", "/api/x", session, 403),
    ] {
        let answer = world.send(method, path, &format!("Origin: {APP}\r\n{headers}"));
        assert_eq!(
            (answer.status, cors_of(&answer)),
            (status, READABLE.map(str::to_owned).to_vec()),
            "{method} {path}"
        );
        assert!(answer.values("vary").contains(&"Origin"), "{}", answer.head);
        assert_eq!(answer.value("content-type"), Some("application/problem+json"));

        let answer = world.send(method, path, &format!("Origin: https://evil.example\r\n{headers}"));
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.values("vary").contains(&"Origin"), "{}", answer.head);
        assert!(cors_of(&answer).is_empty(), "{}", answer.head);
    }
    assert!(world.upstream.received().is_empty());
    let limited = || world.send("GET", "/limited", &format!("Origin: {APP}\r\n"));
    assert_eq!(limited().status, 401);
    let answer = limited();
    assert_eq!((answer.status, answer.value("access-control-allow-origin")), (429, Some(APP)));
    // Nor are preflights free of limits by address.
    assert_eq!(world.preflight("/limited", APP, "GET", "").status, 429);
}

#[test]
fn answers_say_what_the_route_says_and_not_what_the_upstream_does() {
    let world = World::new();
    let token = bearer(&world.portcullis.token(serde_json::json!({})));
    let answer = world.send("GET", "/api/x", &format!("Origin: {APP}\r\n{token}"));
    assert_eq!((answer.status, cors_of(&answer)), (200, READABLE.map(str::to_owned).to_vec()));
    assert_eq!(answer.values("vary"), ["Accept", "Origin"]);
    for origin in ["", "Origin: https://evil.example\r\n", "Origin: null\r\n"] {
        let answer = world.send("GET", "/api/x", &format!("{origin}{token}"));
        assert_eq!((answer.status, cors_of(&answer)), (200, vec![]), "{origin}");
        assert_eq!(answer.values("vary"), ["Accept", "Origin"]);
    }
    // Anybody's page, without cookies.
    let answer = world.send("GET", "/open", "Origin: https://any.example\r\n");
    assert_eq!(cors_of(&answer), ["access-control-allow-origin: *"]);
    assert_eq!(answer.values("vary"), ["Accept"]);
}

#[test]
fn a_route_without_cors_leaves_it_to_the_upstream() {
    let world = World::new();
    let answer = world.preflight("/theirs", "https://any.example", "PUT", "");
    assert_eq!((answer.status, cors_of(&answer).len()), (200, 2));
    let received = world.upstream.last();
    assert_eq!(received.line(), "OPTIONS /theirs HTTP/1.1");
    assert_eq!(received.value("access-control-request-method"), Some("PUT"));
}
