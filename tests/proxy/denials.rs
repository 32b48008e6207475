//! What a client is told of a refusal: the same shape for all, and never why beyond what it may know.

use serde_json::json;

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::{Portcullis, Setup, bearer, cookie};
use crate::harness::upstream::Upstream;

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    key: String,
}

fn world() -> World {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let key = setup.api_key(|_| {});
    let portcullis = setup.start(&format!(
        r#"
        [defaults]
        upstream = "{}"
        accept = ["jwt", "api_key"]
        [route]
        any = {{ match = "/any" }}
        session = {{ match = "/session", accept = "session" }}
        scoped = {{ match = "/scoped", allow = [{{ scopes = ["write", "audit"] }}] }}
        writers = {{ match = "/writers", allow = [{{ roles = ["writer"] }}] }}
        denied = {{ match = "/denied", deny = [{{ roles = ["reader"] }}] }}
        "#,
        upstream.url()
    ));
    World { upstream, portcullis, key }
}

/// A problem document (RFC 9457) as every refusal has it.
#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.head);
    assert_eq!(answer.value("content-type"), Some("application/problem+json"));
    assert_eq!(answer.value("cache-control"), Some("no-store"));
    let problem = answer.json();
    let members: Vec<&str> = problem.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["decision_id", "status", "title", "type"]);
    assert_eq!(problem["type"], format!("urn:portcullis:{code}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
    assert_eq!(problem["decision_id"].as_str(), answer.value("x-request-id"));
}

#[test]
fn every_class_of_refusal_is_a_problem_with_its_challenge() {
    let world = world();
    let to = world.portcullis.address();
    let key = format!("X-Api-Key: {}\r\n", world.key);
    let expired = bearer(&world.portcullis.token(json!({ "exp": 1_700_000_000, "iat": 1_699_999_000 })));
    let foreign = bearer(&Setup::new().token(json!({})));
    let bare = Some("Bearer realm=\"portcullis\"");
    let invalid = Some("Bearer realm=\"portcullis\", error=\"invalid_token\"");
    let request = Some("Bearer realm=\"portcullis\", error=\"invalid_request\"");
    let scope = Some("Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"write audit\"");
    for (target, headers, status, code, challenge) in [
        ("/any", "", 401, "credential_missing", bare),
        ("/any", &*expired, 401, "invalid_token", invalid),
        ("/any", &*foreign, 401, "invalid_token", invalid),
        ("/any", "Authorization: Bearer\r\n", 401, "invalid_token", invalid),
        ("/any", "X-Api-Key: pc_test_x_y\r\n", 401, "invalid_token", invalid),
        ("/any", &*format!("{key}{key}"), 400, "two_credentials", request),
        ("/session", "", 401, "credential_missing", Some("Cookie realm=\"portcullis\"")),
        ("/session", &*cookie("nonsense"), 401, "session_unknown", Some("Cookie realm=\"portcullis\"")),
        ("/scoped", &*key, 403, "insufficient_scope", scope),
        ("/writers", &*key, 403, "not_allowed", None),
        ("/denied", &*key, 403, "not_allowed", None),
        ("/nowhere", &*key, 404, "no_route", None),
        ("/any/../any", &*key, 400, "dot_segment", None),
    ] {
        let answer = http::get(to, target, headers);
        is_problem(&answer, status, code);
        assert_eq!(answer.value("www-authenticate"), challenge, "{target} {headers}");
    }
    for request in ["TRACE /any HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"] {
        let answer = http::send(to, request);
        is_problem(&answer, 405, "method_refused");
        assert!(answer.value("allow").is_some_and(|allowed| allowed.contains("GET") && !allowed.contains("TRACE")));
    }
    let long = "x".repeat(17 * 1024);
    is_problem(&http::get(to, "/any", &format!("X-Long: {long}\r\n")), 431, "head_too_large");
    is_problem(&http::send(to, "GET /any HTTP/1.1\r\n\r\n"), 400, "invalid_host");
    assert_eq!(world.upstream.received().len(), 0);
}

#[test]
fn f49_a_refusal_repeats_nothing_that_was_presented() {
    let world = world();
    let to = world.portcullis.address();
    let canary = "c4n4ry";
    let token = world.portcullis.token(json!({ "sub": canary, "aud": canary }));
    let tail = &token[token.len() - 20..];
    for headers in [
        bearer(&token),
        bearer(canary),
        format!("X-Api-Key: {canary}\r\n"),
        format!("Authorization: {canary} {canary}\r\nX-Request-Id: {canary}\r\n"),
        cookie(canary),
    ] {
        for target in ["/any", "/session", "/c4n4ry?c4n4ry=<script>"] {
            let answer = http::get(to, target, &headers);
            assert!(answer.status >= 400);
            for secret in [canary, tail, "<script>"] {
                assert!(
                    !answer.head.contains(secret) && !answer.body.contains(secret),
                    "{target} {headers}: {answer:?}"
                );
            }
        }
    }
}

#[test]
fn forged_tokens_cannot_be_told_apart_from_outside() {
    let world = world();
    let good = world.portcullis.token(json!({}));
    let (input, _) = good.rsplit_once('.').unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for token in [
        world.portcullis.token(json!({ "aud": "others" })),
        world.portcullis.token(json!({ "iss": "https://evil.example" })),
        world.portcullis.token(json!({ "sub": null })),
        Setup::new().token(json!({})),
        format!("{input}.{}", "A".repeat(86)),
    ] {
        let answer = http::get(world.portcullis.address(), "/any", &bearer(&token));
        let mut problem = answer.json();
        problem["decision_id"] = json!(null);
        seen.insert((answer.status, answer.value("www-authenticate").map(str::to_owned), problem.to_string()));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
}

#[test]
fn a_refused_head_request_has_no_body() {
    let world = world();
    let mut wire = http::Wire::connect(world.portcullis.address());
    wire.write("HEAD /any HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = String::from_utf8(wire.read_exactly(12)).unwrap();
    assert_eq!(head, "HTTP/1.1 401");
    // Had a body followed, the next answer would not begin here.
    let rest = wire.read_until("\r\n\r\n");
    assert!(rest.contains("content-type: application/problem+json"), "{rest}");
    assert_eq!(wire.read_answer().expect("the second answer").status, 404);
}
