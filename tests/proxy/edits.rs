//! Headers and the host that a route changes: what reaches the upstream and the client, and what no edit reaches.

use crate::harness::http;
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;
use serde_json::json;

fn start(upstream: &Upstream) -> Portcullis {
    Portcullis::start(&format!(
        r#"
        [defaults]
        upstream = "{}"
        [route.edited]
        match = "/edited"
        accept = ["jwt", "anyone"]
        host = "internal.example:8080"
        security_headers = "standard"
        request_headers = {{ set = {{ x-env = "prod" }}, add = {{ x-seen = "2" }}, remove = ["x-debug"] }}
        response_headers = {{ set = {{ x-served-by = "us" }}, add = {{ vary = "x-env" }}, remove = ["server", "cache-control"] }}
        [route.plain]
        match = "/plain"
        accept = "anyone"
        "#,
        upstream.url()
    ))
}

#[test]
fn f01_f02_f03_requests_are_edited_and_nothing_that_portcullis_says() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let spoofed = "X-Env: evil\r\nx_env: evil\r\nX.Env: evil\r\nX-Debug: 1\r\nX_Debug: 1\r\nX-Seen: 1\r\n\
                   X-Auth-Subject: root\r\nX-Forwarded-Host: evil\r\n";
    let client = format!("{spoofed}{}", bearer(&portcullis.token(json!({}))));
    assert_eq!(http::get(portcullis.address(), "/edited", &client).status, 200);
    let seen = upstream.last();
    assert_eq!((seen.value("x-env"), seen.values("x-seen")), (Some("prod"), vec!["1", "2"]));
    let names = seen.folded_names();
    assert_eq!(names.iter().filter(|name| *name == "x-env").count(), 1, "{names:?}");
    assert!(!names.iter().any(|name| name == "x-debug"), "{names:?}");
    let asked = portcullis.address().to_string();
    assert_eq!((seen.value("host"), seen.value("x-forwarded-host")), (Some("internal.example:8080"), Some(&*asked)));
    assert_eq!(seen.value("x-auth-subject"), Some("alice"));

    assert_eq!(http::get(portcullis.address(), "/plain", spoofed).status, 200);
    let seen = upstream.last();
    assert_eq!((seen.value("x-env"), seen.value("host")), (Some("evil"), Some(&*asked)));
}

#[test]
fn f05_a_connection_header_takes_no_edit_away() {
    let upstream = Upstream::start();
    let portcullis = start(&upstream);
    let request = "GET /edited HTTP/1.1\r\nHost: a.example\r\nConnection: close, x-env, x-seen, host\r\n\r\n";
    assert_eq!(http::send(portcullis.address(), request).status, 200);
    let seen = upstream.last();
    assert_eq!((seen.value("x-env"), seen.value("x-seen")), (Some("prod"), Some("2")));
    assert_eq!(seen.value("host"), Some("internal.example:8080"));
}

#[test]
fn answers_are_edited_and_are_no_less_careful_for_it() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nServer: old/1.0\r\nCache-Control: public\r\nVary: accept\r\nX-Served-By: me\r\n\
          X_Served_By: me\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let portcullis = start(&upstream);
    let client = bearer(&portcullis.token(json!({})));
    let answer = http::get(portcullis.address(), "/edited", &client);
    assert_eq!((answer.value("server"), answer.values("vary")), (None, vec!["accept", "x-env"]));
    assert_eq!((answer.values("x-served-by"), answer.values("x_served_by").len()), (vec!["us"], 0));
    // Removed as the upstream's, and said again as ours.
    assert_eq!(answer.values("cache-control"), ["private"]);
    assert_eq!(answer.value("x-frame-options"), Some("DENY"));
    assert_eq!(http::get(portcullis.address(), "/edited", "").values("cache-control").len(), 0);
    // What Portcullis answers itself is not the upstream's answer.
    let denied = http::get(portcullis.address(), "/edited", "Authorization: Bearer x\r\n");
    assert_eq!((denied.status, denied.value("x-served-by")), (401, None));
}

/// What a configuration with these keys of its route is told.
fn said(keys: &str) -> String {
    let text = format!(
        "listener.main.bind = '127.0.0.1:0'\n[upstream.own]\nendpoints = 'http://a'\nhost_header = 'endpoint'\n\
         [issuer.main]\nurl = 'https://id.example'\naudiences = 'a'\n\
         [defaults]\nupstream = 'http://127.0.0.1:1'\n[route.other]\nmatch = '/other'\naccept = 'anyone'\n\
         identity.headers = {{ x-user = 'subject' }}\n[route.app]\nmatch = '/'\naccept = ['jwt', 'anyone']\n{keys}"
    );
    match portcullis::config::parse(&text, "test.toml", Setup::new().folder(), &[]) {
        Ok(_) => String::new(),
        Err(problems) => crate::harness::portcullis::rendered(&problems),
    }
}

#[test]
fn f01_f02_f03_f05_what_is_not_the_operators_to_edit_is_refused_in_every_spelling() {
    let both = [
        "Host",
        "Connection",
        "keep_alive",
        "Transfer.Encoding",
        "content_length",
        "TE",
        "Trailer",
        "Upgrade",
        "expect",
        "proxy-anything",
        "X-Auth-Subject",
        "x_auth_whatever",
        "X_User",
        "Remote_User",
        "x-auth-assertion",
        "X-Forwarded-For",
        "x_forwarded_anything",
        "Forwarded",
        "X-Real-IP",
        "X-Request-Id",
        "sec-websocket-key",
        "content-encoding",
    ];
    let requests =
        ["Authorization", "Cookie", "dpop", "X_Api_Key", "Origin", "X-HTTP-Method-Override", "X-Original-URL"];
    let answers = ["Set-Cookie", "DPoP-Nonce", "Access-Control-Allow-Origin", "Strict-Transport-Security"];
    let refused = |key: &str, name: &str| {
        for keys in [
            format!("{key}.set = {{ '{name}' = 'x' }}"),
            format!("{key}.add = {{ '{name}' = 'x' }}"),
            format!("{key}.remove = '{name}'"),
        ] {
            let said = said(&keys);
            assert!(said.contains(&format!("`{}` ", name.to_lowercase())), "{keys}: {said}");
        }
    };
    both.iter().chain(&requests).for_each(|name| refused("request_headers", name));
    both.iter().chain(&answers).for_each(|name| refused("response_headers", name));
    for (keys, expected) in [
        ("request_headers.set = { x-a = \"a\\r\\nb\" }", "contains a control character"),
        ("request_headers.set = { x-a = 'ä' }", "no value of a header"),
        ("request_headers.set = { x-a = '' }", "must not be empty"),
        ("request_headers.add = { x-a = ' a' }", "no value of a header"),
        ("request_headers.set = { 'x a' = 'a' }", "`x a` is no header name"),
        ("request_headers = { set = { x-a = 'a' }, remove = ['X_A'] }", "`x_a` is edited twice"),
        ("response_headers.set = { cache-control = 'max-age=5' }", "`cache-control` without `private`"),
        ("response_headers.add = { Cache-Control = 'public' }", "`cache-control` without `private`"),
        ("host = 'a b'", "`a b` is no host"),
        ("host = 'https://a'", "`https://a` is no host"),
        ("host = '*.a'", "`*.a` is no host"),
        ("host = 'a:0'", "`a:0` is no host"),
        ("host = 'a:99999'", "`a:99999` is no host"),
        ("host = ''", "must not be empty"),
        (
            "host = 'a'\nupstream = 'own'",
            "`host` and `host_header = \"endpoint\"` both say what the upstream's `Host` is",
        ),
    ] {
        let said = said(keys);
        assert!(said.contains(expected), "{keys}: {said}");
    }
    for keys in [
        "request_headers = { set = { x-env = 'a b', 'accept-encoding' = 'identity' }, remove = ['user-agent'] }",
        "response_headers = { set = { cache-control = 'private, max-age=5' }, remove = ['x-powered-by'] }",
        "[route.public]\nmatch = '/p'\naccept = 'anyone'\nresponse_headers.set = { cache-control = 'public' }",
        "host = 'internal.example:8080'",
        "host = '[::1]:80'",
    ] {
        assert_eq!(said(keys), "", "{keys}");
    }
}
