//! Identity headers: whatever a client sends, the upstream sees what Portcullis says and nothing else of that name.

use crate::harness::http::{self, Answer, Wire};
use crate::harness::portcullis::{Portcullis, Setup, bearer, cookie};
use crate::harness::upstream::{Received, Upstream};

/// What RFC 9110, section 5.6.2 lets stand in a name besides letters and digits.
const MARKS: &str = "!#$%&'*+-.^_`|~";

/// A protected, an optional and a public route, with an own header name and the assertion.
struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    key: String,
    session: String,
}

impl World {
    fn new() -> Self {
        Self::with("x-user")
    }

    fn with(own_name: &str) -> Self {
        let upstream = Upstream::start();
        let setup = Setup::new();
        let (key, session) = (setup.api_key(|_| {}), setup.session(|_| {}));
        let portcullis = setup.start(&format!(
            r#"
            [defaults]
            upstream = "{}"
            identity = {{ headers = {{ "{own_name}" = "subject" }}, assertion = true }}
            [route]
            protected = {{ match = "/protected", accept = ["api_key", "jwt", "session"] }}
            optional = {{ match = "/optional", accept = ["api_key", "anyone"] }}
            public = {{ match = "/public", accept = "anyone" }}
            websocket = {{ match = "/websocket", accept = "jwt", websocket_bearer = true }}
            "#,
            upstream.url()
        ));
        Self { upstream, portcullis, key, session }
    }

    fn get(&self, target: &str, headers: &str) -> Answer {
        http::get(self.portcullis.address(), target, headers)
    }

    /// What the upstream sees of a request by `alice`.
    fn seen(&self, headers: &str) -> Received {
        let answer = self.get("/protected", &format!("{headers}X-Api-Key: {}\r\n", self.key));
        assert_eq!(answer.status, 200, "{headers}: {}", answer.head);
        self.upstream.last()
    }

    /// What the upstream sees of a request by nobody.
    fn seen_of_nobody(&self, target: &str, headers: &str) -> Received {
        let answer = self.get(target, headers);
        assert_eq!(answer.status, 200, "{target} {headers}: {}", answer.head);
        self.upstream.last()
    }
}

/// How often a name, in whatever spelling, stands in what the upstream sees.
fn count(seen: &Received, folded: &str) -> usize {
    seen.folded_names().iter().filter(|name| *name == folded).count()
}

/// The lines of names that speak of identity, own or of the preset.
fn identity_lines(seen: &Received) -> Vec<String> {
    let speaks = |name: &str| name == "x-user" || name.starts_with("x-auth-");
    let lines = seen.head.lines().skip(1).zip(seen.folded_names());
    lines.filter(|(_, name)| speaks(name)).map(|(line, _)| line.to_owned()).collect()
}

#[test]
fn f01_an_underscore_alias_of_an_injected_header_does_not_arrive() {
    let world = World::new();
    for name in ["X_User", "x_user", "X_USER"] {
        let seen = world.seen(&format!("{name}: admin\r\n"));
        assert_eq!(count(&seen, "x-user"), 1, "{}", seen.head);
        assert_eq!(seen.value("x-user"), Some("alice"));
    }
    for name in ["X_Auth_Subject", "X_Auth-Subject", "X-Auth_Roles", "X_AUTH_ASSERTION", "x_auth_anything"] {
        let seen = world.seen(&format!("{name}: admin\r\n"));
        assert!(!seen.head.contains("admin"), "{name}: {}", seen.head);
        assert_eq!(seen.value("x-auth-subject"), Some("alice"));
    }
}

#[test]
fn f02_no_token_character_makes_an_alias_that_arrives() {
    let world = World::new();
    let mut arrived = Vec::new();
    for mark in MARKS.chars() {
        for name in ["X-User", "X-Auth-Subject", "X-Auth-Assertion", "X-Auth-Of-No-Preset"] {
            let alias = name.replace('-', &mark.to_string());
            let seen = world.seen(&format!("{alias}: admin\r\n"));
            if seen.head.contains("admin") {
                arrived.push(alias);
            }
            assert_eq!((count(&seen, "x-user"), seen.value("x-user")), (1, Some("alice")));
            assert_eq!((count(&seen, "x-auth-subject"), seen.value("x-auth-subject")), (1, Some("alice")));
        }
    }
    assert_eq!(arrived, Vec::<String>::new());
    // And what folds to no such name is nobody's business: the rule does not simply remove everything.
    let seen = world.seen("X-Users: 1\r\nXUser: 2\r\nX-Authx: 3\r\n");
    assert_eq!((seen.value("x-users"), seen.value("xuser"), seen.value("x-authx")), (Some("1"), Some("2"), Some("3")));
}

#[test]
fn f03_a_configured_name_in_mixed_case_and_marks_is_still_removed() {
    let world = World::with("X-Remote_USER.Id");
    for name in ["X-Remote_USER.Id", "x-remote_user.id", "X-REMOTE-USER-ID", "x_remote_user_id", "X-Remote_User.ID"] {
        let seen = world.seen(&format!("{name}: admin\r\n{name}: root\r\n"));
        assert_eq!(count(&seen, "x-remote-user-id"), 1, "{name}: {}", seen.head);
        assert_eq!(seen.value("x-remote_user.id"), Some("alice"), "{name}: {}", seen.head);
        let seen = world.seen_of_nobody("/public", &format!("{name}: admin\r\n"));
        assert_eq!(count(&seen, "x-remote-user-id"), 0, "{name}: {}", seen.head);
    }
}

#[test]
fn f04_a_route_that_sets_no_identity_removes_the_clients_copy_too() {
    let world = World::new();
    let claims = "X-User: admin\r\nx.user: admin\r\nX-Auth-Subject: admin\r\nX_Auth_Roles: admin\r\n\
                  X-Auth-Assertion: a.b.c\r\nX-Auth-Whatever: admin\r\n";
    for target in ["/public", "/optional"] {
        let seen = world.seen_of_nobody(target, claims);
        assert_eq!(identity_lines(&seen), Vec::<String>::new(), "{target}");
    }
    // What a public route does not read it does not touch: the application's own.
    let seen = world.seen_of_nobody("/public", "Authorization: Basic YXBwOmFwcA==\r\nX-Tenant: acme\r\n");
    assert_eq!((seen.value("authorization"), seen.value("x-tenant")), (Some("Basic YXBwOmFwcA=="), Some("acme")));
}

#[test]
fn f05_connection_cannot_delete_what_is_injected() {
    let world = World::new();
    let plain = world.seen("");
    let names: Vec<String> = plain.folded_names().into_iter().filter(|name| name.starts_with("x-")).collect();
    assert!(names.iter().any(|name| name == "x-auth-subject") && names.iter().any(|name| name == "x-auth-assertion"));
    for named in [
        names.join(", "),
        "x-auth-subject".to_owned(),
        "X-User, X-Auth-Assertion, X-Auth-Roles".to_owned(),
        "host, x-forwarded-for, x-real-ip, x-request-id, forwarded".to_owned(),
        "cookie, content-length, x_user".to_owned(),
    ] {
        // `http::get` sends a `Connection` of its own: this is a second line of the list.
        let headers = format!("Connection: {named}\r\nX-User: admin\r\nX-Auth-Subject: admin\r\n");
        let answer = world.get("/protected", &format!("{headers}X-Api-Key: {}\r\n", world.key));
        assert_eq!(answer.status, 200, "{named}: {}", answer.head);
        let seen = world.upstream.last();
        for name in &names {
            assert_eq!(count(&seen, name), 1, "`Connection: {named}` and `{name}`:\n{}", seen.head);
        }
        assert_eq!((seen.value("x-user"), seen.value("x-auth-subject")), (Some("alice"), Some("alice")), "{named}");
    }
}

#[test]
fn f05_connection_deletes_what_it_names_of_the_clients_own() {
    let world = World::new();
    let seen = world.seen("Connection: x-once\r\nX-Once: 1\r\nX-Stays: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n");
    assert_eq!((seen.value("x-once"), seen.value("x-stays")), (None, Some("1")));
    assert_eq!((seen.value("keep-alive"), seen.value("proxy-connection")), (None, None));
}

#[test]
fn f05_trailers_carry_no_identity() {
    let world = World::new();
    let mut names: Vec<String> = MARKS.chars().map(|mark| format!("X{mark}User")).collect();
    names.extend(
        ["X-Auth-Subject", "x_auth_roles", "X-Auth-Assertion", "X-Forwarded-For", "X.Real.Ip"].map(str::to_owned),
    );
    let announced = names.join(", ");
    let trailers: String = names.iter().map(|name| format!("{name}: admin\r\n")).collect();
    for credential in [format!("X-Api-Key: {}\r\n", world.key), String::new()] {
        let target = if credential.is_empty() { "/optional" } else { "/protected" };
        let answer = http::send(
            world.portcullis.address(),
            format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTE: trailers\r\n{credential}\
                 Trailer: {announced}, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\n{trailers}X-Sum: 7\r\n\r\n"
            ),
        );
        assert_eq!(answer.status, 200, "{}", answer.head);
        let seen = world.upstream.last();
        assert_eq!(seen.body, b"hello");
        let [trailer] = &seen.trailers[..] else { panic!("{target}: {:?}", seen.trailers) };
        assert_eq!(trailer.to_ascii_lowercase(), "x-sum: 7", "{target}");
    }
}

#[test]
fn f07_a_credential_that_stands_twice_is_refused_whichever_is_right() {
    let world = World::new();
    let (good, bad) = (&world.key, "pc_test_nobody_nothing");
    let (token, session) = (world.portcullis.token(serde_json::json!({})), &world.session);
    let twice = [
        format!("X-Api-Key: {good}\r\nX-Api-Key: {good}\r\n"),
        format!("X-Api-Key: {good}\r\nX-Api-Key: {bad}\r\n"),
        format!("X-Api-Key: {bad}\r\nX-Api-Key: {good}\r\n"),
        format!("X-Api-Key: \r\nX-Api-Key: {good}\r\n"),
        format!("{}{}", bearer(&token), bearer(&token)),
        format!("{}Authorization: Basic eDp5\r\n", bearer(&token)),
        format!("Authorization: Basic eDp5\r\n{}", bearer(&token)),
        format!("{}{}", bearer(&token), bearer(good)),
        format!("{}X-Api-Key: {good}\r\n", bearer(&token)),
        format!("{}{}", cookie(session), cookie(session)),
        format!("{}{}", cookie("tossed"), cookie(session)),
        format!("{}{}", cookie(session), cookie("tossed")),
        format!("Cookie: __Host-session={session}; a=1; __Host-session=tossed\r\n"),
    ];
    for headers in twice {
        let answer = world.get("/protected", &headers);
        assert_eq!(answer.status, 400, "{headers}: {}", answer.head);
        assert_eq!(answer.json()["type"], "urn:portcullis:two_credentials", "{headers}");
    }
    let offered = format!("portcullis.bearer.{token}");
    for headers in [
        format!("Sec-WebSocket-Protocol: {offered}, {offered}\r\n"),
        format!("Sec-WebSocket-Protocol: {offered}\r\nSec-WebSocket-Protocol: {offered}\r\n"),
        format!("Sec-WebSocket-Protocol: {offered}\r\n{}", bearer(&token)),
    ] {
        assert_eq!(world.get("/websocket", &headers).status, 400, "{headers}");
    }
    assert_eq!(world.upstream.received().len(), 0, "something was let through");
    for headers in [format!("X-Api-Key: {good}\r\n"), bearer(&token), bearer(good), cookie(session)] {
        assert_eq!(world.get("/protected", &headers).status, 200, "{headers}");
    }
}

#[test]
fn f07_a_header_that_decides_and_stands_twice_never_decides_for_the_client() {
    let world = World::new();
    let to = world.portcullis.address();
    // Where a request comes from.
    for lines in [
        format!("Origin: http://{to}\r\nOrigin: http://evil.example\r\n"),
        format!("Origin: http://evil.example\r\nOrigin: http://{to}\r\n"),
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n".to_owned(),
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Site: same-origin\r\n".to_owned(),
    ] {
        let answer = http::post(to, "/protected", &format!("{lines}{}", cookie(&world.session)));
        assert_eq!(answer.status, 403, "{lines}");
        assert_eq!(answer.json()["type"], "urn:portcullis:cross_site", "{lines}");
    }
    // What it is for, and where it ends.
    for head in [
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
        "Host: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let request = format!("GET /protected HTTP/1.1\r\n{head}X-Api-Key: {}\r\n\r\n", world.key);
        assert_eq!(http::send(to, request).status, 400, "{head}");
    }
    assert_eq!(world.upstream.received().len(), 0, "something was let through");
    // Every copy of an identity header goes, not only the first or the last.
    let seen = world.seen("X-User: admin\r\nX-User: root\r\nX-User: \r\nX-Auth-Roles: admin\r\nX-Auth-Roles: root\r\n");
    assert_eq!((seen.value("x-user"), seen.value("x-auth-roles")), (Some("alice"), Some("reader")));
}

#[test]
fn f08_an_empty_header_name_is_refused_wherever_it_stands() {
    let world = World::new();
    let key = format!("X-Api-Key: {}\r\n", world.key);
    for broken in [": x", ":", " : x", "\t: x", ": X-Auth-Subject: admin", "X-A : b", "no colon", " folded", "X-\0: b"]
    {
        for lines in [
            format!("{broken}\r\nHost: a\r\n{key}"),
            format!("Host: a\r\n{broken}\r\n{key}"),
            format!("Host: a\r\n{key}{broken}\r\n"),
        ] {
            let mut wire = Wire::connect(world.portcullis.address());
            let smuggled = format!("GET /public?smuggled HTTP/1.1\r\nHost: a\r\n{key}\r\n");
            let answer = wire.exchange(format!("GET /protected HTTP/1.1\r\n{lines}\r\n{smuggled}"));
            assert_eq!(answer.status, 400, "{lines:?}: {}", answer.head);
            assert_eq!(answer.value("connection"), Some("close"), "{lines:?}");
            // By the guard, before a lenient parser has seen it.
            assert!(answer.body.contains("urn:portcullis:ambiguous_framing"), "{lines:?}: {}", answer.body);
            assert!(wire.is_closed() && wire.read_answer().is_none(), "{lines:?}: what followed was answered");
        }
    }
    assert_eq!(world.upstream.received().len(), 0, "something was let through");
}
