//! Rules of routes, asked with real credentials.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::keys::{Key, claims_with, pem_issuer};
use crate::harness::http::{Answer, get, send};
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;

const ROLES: &str = r#"
    [roles]
    viewer = ["orders:read"]
    editor = { inherits = ["viewer"], permissions = ["orders:write"] }
    owner = { inherits = ["editor"], permissions = ["orders:*"] }
    root = ["*"]
    clerk = ["invoices:*"]
    nobody = []
"#;

/// One issuer whose key is here, these routes.
fn start(routes: &str) -> (Portcullis, Upstream, Key) {
    let (upstream, key, setup) = (Upstream::start(), Key::p256(), Setup::new());
    let issuer = pem_issuer(setup.folder(), "ec", &key);
    let preamble = super::preamble_with("memory:", "30s");
    let routes = routes.replace("UPSTREAM", &upstream.url());
    let portcullis = setup.try_start(&format!("{preamble}{issuer}{ROLES}\n{routes}"));
    (portcullis.unwrap_or_else(|problem| panic!("{problem}")), upstream, key)
}

fn token(key: &Key, changes: Value) -> String {
    let mut claims = claims_with("https://ec.example", "roles", json!([]));
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    bearer(&key.token(&json!({"alg": "ES256"}), &claims))
}

fn with_roles(key: &Key, roles: &[&str]) -> String {
    token(key, json!({ "roles": roles }))
}

fn ask(to: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    send(to, format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}Content-Length: 0\r\n\r\n"))
}

#[test]
fn a_deny_rule_comes_before_every_allow_rule() {
    let (portcullis, upstream, key) = start(
        r#"
        [defaults]
        deny = [{ groups = ["banned"] }]
        [route.app]
        match = "/{*rest}"
        accept = ["jwt", "anyone"]
        upstream = "UPSTREAM"
        allow = [{ roles = ["viewer"] }, { groups = ["staff", "banned"] }]
        deny = [{ methods = ["DELETE"] }, { principals = ["ec/mallory"] }, { networks = ["192.0.2.0/24"] }]
        "#,
    );
    let to = portcullis.address();
    let viewer = with_roles(&key, &["viewer"]);
    assert_eq!(get(to, "/", &viewer).status, 200);
    assert_eq!(get(to, "/", &token(&key, json!({"groups": ["staff"]}))).status, 200);
    let served = upstream.received().len();
    for (method, headers) in [
        ("GET", token(&key, json!({"roles": ["viewer"], "groups": ["banned"]}))),
        ("GET", token(&key, json!({"roles": ["viewer"], "groups": ["x", "banned", "staff"]}))),
        ("GET", token(&key, json!({"roles": ["viewer"], "groups": "banned"}))),
        ("GET", token(&key, json!({"roles": ["root", "viewer"], "sub": "mallory"}))),
        ("DELETE", viewer.clone()),
        ("DELETE", String::new()),
        ("GET", String::new()),
        ("GET", with_roles(&key, &["nobody"])),
        ("GET", with_roles(&key, &["unheard-of"])),
        ("GET", with_roles(&key, &["Viewer"])),
    ] {
        assert_eq!(ask(to, method, "/", &headers).status, 403, "{method} {headers}");
    }
    assert_eq!(upstream.received().len(), served);
}

#[test]
fn roles_inherit_and_permissions_follow_them() {
    let (portcullis, _upstream, key) = start(
        r#"
        [route]
        view = { match = "/view", accept = "jwt", upstream = "UPSTREAM", allow = [{ roles = ["viewer"] }] }
        edit = { match = "/edit", accept = "jwt", upstream = "UPSTREAM", allow = [{ roles = ["editor"] }] }
        read = { match = "/read", accept = "jwt", upstream = "UPSTREAM", allow = [{ permissions = ["orders:read"] }] }
        write = { match = "/write", accept = "jwt", upstream = "UPSTREAM", allow = [{ permissions = ["orders:write"] }] }
        purge = { match = "/purge", accept = "jwt", upstream = "UPSTREAM", allow = [{ permissions = ["orders:purge"] }] }
        both = { match = "/both", accept = "jwt", upstream = "UPSTREAM", allow = [{ permissions = ["orders:read", "invoices:read"] }] }
        "#,
    );
    let to = portcullis.address();
    let paths = ["/view", "/edit", "/read", "/write", "/purge", "/both"];
    for (roles, may) in [
        (&["viewer"][..], "+.+..."),
        (&["editor"], "++++.."),
        (&["owner"], "+++++."),
        // It permits everything, but is no viewer.
        (&["root"], "..++++"),
        (&["clerk"], "......"),
        (&["clerk", "viewer"], "+.+..+"),
        (&["nobody"], "......"),
        (&["*"], "......"),
        (&["orders:read"], "......"),
        (&[], "......"),
    ] {
        let headers = with_roles(&key, roles);
        for (path, may) in paths.iter().zip(may.chars()) {
            let expected = if may == '+' { 200 } else { 403 };
            assert_eq!(get(to, path, &headers).status, expected, "{roles:?} at {path}");
        }
    }
}

#[test]
fn where_only_scopes_are_missing_the_challenge_names_them() {
    let (portcullis, upstream, key) = start(
        r#"
        [route.app]
        match = "/{*rest}"
        accept = "jwt"
        upstream = "UPSTREAM"
        allow = [{ roles = ["viewer"], scopes = ["orders.read", "orders.write"] }]
        "#,
    );
    let to = portcullis.address();
    let answer = |roles: &[&str], scope: &str| get(to, "/", &token(&key, json!({"roles": roles, "scope": scope})));
    assert_eq!(answer(&["viewer"], "orders.write other orders.read").status, 200);
    for scope in
        ["", "orders.read", "orders.readorders.write", "orders", "orders.READ orders.write", "orders.read,orders.write"]
    {
        let refused = answer(&["viewer"], scope);
        assert_eq!(refused.status, 403, "{scope}");
        let challenge = refused.value("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
        assert!(challenge.contains(r#"scope="orders.read orders.write""#), "{challenge}");
    }
    // Where more is missing, more scopes would not help.
    let refused = answer(&["nobody"], "");
    assert_eq!(refused.status, 403);
    assert!(refused.value("www-authenticate").is_none(), "{}", refused.head);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn rules_go_by_method_and_by_principal_of_an_issuer() {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let (a, b) = (Key::p256(), Key::p256());
    let issuers = pem_issuer(setup.folder(), "a", &a) + &pem_issuer(setup.folder(), "b", &b);
    let local = setup.api_key(|_| ());
    let portcullis = setup.start(&format!(
        r#"{issuers}
        [route]
        one = {{ match = "/one", accept = ["jwt:a", "jwt:b", "api_key"], upstream = "{0}", allow = [{{ principals = ["a/alice"] }}] }}
        own = {{ match = "/own", accept = ["jwt:a", "jwt:b", "api_key"], upstream = "{0}", allow = [{{ principals = ["local/alice"] }}] }}
        verbs = {{ match = "/verbs", accept = "jwt:a", upstream = "{0}", allow = [{{ methods = ["GET", "HEAD"] }}, {{ methods = ["PUT"], roles = ["writer"] }}] }}
        "#,
        upstream.url()
    ));
    let to = portcullis.address();
    let of = |key: &Key, iss: &str, sub: &str, roles: &[&str]| {
        let mut claims = claims_with(iss, "sub", json!(sub));
        claims["roles"] = json!(roles);
        bearer(&key.token(&json!({"alg": "ES256"}), &claims))
    };
    let (alice, namesake) = (of(&a, "https://a.example", "alice", &[]), of(&b, "https://b.example", "alice", &[]));
    let local = bearer(&local);
    for (headers, one, own) in [(&alice, 200, 403), (&namesake, 403, 403), (&local, 403, 200)] {
        assert_eq!((get(to, "/one", headers).status, get(to, "/own", headers).status), (one, own), "{headers}");
    }
    for sub in ["Alice", "alice ", "bob", "a/alice", "https://a.example/alice"] {
        assert_eq!(get(to, "/one", &of(&a, "https://a.example", sub, &[])).status, 403, "{sub}");
    }
    let writer = of(&a, "https://a.example", "bob", &["writer"]);
    for (method, headers, expected) in [
        ("GET", &alice, 200),
        ("PUT", &alice, 403),
        ("PUT", &writer, 200),
        ("POST", &writer, 403),
        ("DELETE", &writer, 403),
        ("get", &alice, 403),
        ("PATCH", &writer, 403),
        ("FROBNICATE", &writer, 403),
    ] {
        assert_eq!(ask(to, method, "/verbs", headers).status, expected, "{method}");
    }
    for refused in ["TRACE", "CONNECT"] {
        let status = ask(to, refused, "/verbs", &writer).status;
        assert!(matches!(status, 400 | 405), "{refused}: {status}");
    }
}
