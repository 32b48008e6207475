//! Tests of CORS.

use std::time::Duration;

use super::*;

fn cors(origins: &[&str], credentials: bool) -> Cors {
    let origins = match origins {
        ["*"] => CorsOrigins::Any,
        list => CorsOrigins::These(list.iter().map(|text| Origin::parse(text).unwrap()).collect()),
    };
    Cors::new(&CorsSettings {
        origins,
        methods: vec![Method::GET, Method::PUT],
        headers: vec![HeaderName::from_static("authorization"), HeaderName::from_static("content-type")],
        expose: vec![HeaderName::from_static("x-total")],
        credentials,
        max_age: Duration::from_secs(600),
    })
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn origins_are_compared_exactly() {
    let cors = cors(&["https://app.example", "http://localhost:3000", "https://[::1]"], false);
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://app.example:443", true),
        ("http://localhost:3000", true),
        ("https://[::1]", true),
        ("http://app.example", false),
        ("https://app.example:8443", false),
        ("http://localhost", false),
        ("https://app.example.evil.example", false),
        ("https://evil.example/https://app.example", false),
        ("https://evilapp.example", false),
        ("https://app.example/", false),
        ("https://app.example.", false),
        ("https://appxexample", false),
        ("https://u@app.example", false),
        ("https://app.example https://app.example", false),
        ("null", false),
        ("", false),
        ("*", false),
    ] {
        let mut answer = HeaderMap::new();
        cors.mark(Some(&HeaderValue::from_str(origin).unwrap()), &mut answer);
        assert_eq!(answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some(), allowed, "{origin}");
        assert_eq!(answer[VARY], "Origin", "{origin}");
    }
}

#[test]
fn two_origins_are_none() {
    let twice = headers(&[("origin", "https://app.example"), ("origin", "https://app.example")]);
    assert_eq!(origin(&twice), None);
    assert!(cors(&["https://app.example"], false).agree(&Method::GET, &twice).is_err());
}

#[test]
fn what_the_upstream_said_is_replaced() {
    let theirs = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-private-network", "true"),
        ("access-control-expose-headers", "*"),
        ("vary", "Accept-Encoding, origin"),
    ];
    let origin = HeaderValue::from_static("https://app.example");
    let mut answer = headers(&theirs);
    cors(&["https://app.example"], false).mark(Some(&origin), &mut answer);
    let ours = headers(&[
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-expose-headers", "x-total"),
        ("vary", "Accept-Encoding, origin"),
    ]);
    assert_eq!(answer, ours);

    let mut answer = headers(&theirs);
    cors(&["https://other.example"], true).mark(Some(&origin), &mut answer);
    assert_eq!(answer, headers(&[("vary", "Accept-Encoding, origin")]));
}

#[test]
fn an_answer_for_everybody_is_the_same_for_all() {
    for origin in [None, Some(HeaderValue::from_static("https://any.example"))] {
        let mut answer = HeaderMap::new();
        cors(&["*"], false).mark(origin.as_ref(), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.contains_key(VARY) && !answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}

#[test]
fn a_preflight_must_fit_in_everything() {
    const WANTED: &str = "access-control-request-headers";
    let cors = cors(&["https://app.example"], false);
    let cases: &[(&str, &[&str], bool)] = &[
        ("GET", &[], true),
        ("PUT", &["authorization"], true),
        ("PUT", &["Authorization,content-type"], true),
        ("PUT", &["authorization", " content-type , "], true),
        ("POST", &[], false),
        ("put", &[], false),
        ("GET", &["x-other"], false),
        ("GET", &["authorization, x-other"], false),
        ("GET", &["authorization", "x-other"], false),
        ("GET", &["*"], false),
        ("GET", &["authorization x"], false),
    ];
    for (method, wanted, agreed) in cases {
        let mut asked = headers(&[("origin", "https://app.example")]);
        for names in *wanted {
            asked.append(WANTED, names.parse().unwrap());
        }
        let found = cors.agree(&Method::from_bytes(method.as_bytes()).unwrap(), &asked);
        assert_eq!(found.is_ok(), *agreed, "{method} {wanted:?}");
        assert!(found.err().is_none_or(|denial| denial.reason == Reason::PreflightRefused));
    }
    assert!(cors.agree(&Method::GET, &headers(&[("origin", "https://evil.example")])).is_err());
}
