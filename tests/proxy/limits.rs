//! Rates, by address and of failures.

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::{Portcullis, Setup};
use crate::harness::upstream::Upstream;

fn start(setup: Setup, upstream: &Upstream, limits: &str) -> Portcullis {
    setup.start(&format!(
        r#"
        {limits}
        [defaults]
        upstream = "{}"
        [route]
        limited = {{ match = "/limited", accept = ["api_key", "anyone"], limits = ["some"] }}
        other = {{ match = "/other", accept = ["api_key", "anyone"], limits = ["some"] }}
        free = {{ match = "/free", accept = ["api_key", "anyone"] }}
        "#,
        upstream.url()
    ))
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.value("content-type")), (429, Some("application/problem+json")));
    assert_eq!(answer.json()["type"], format!("urn:portcullis:{code}"));
    let after: u64 = answer.value("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=3600).contains(&after), "{after}");
    let policy = answer.value("ratelimit-policy").expect("RateLimit-Policy");
    assert!(policy.starts_with("\"some\";q=") && policy.contains(";w="), "{policy}");
    assert_eq!(answer.value("ratelimit"), Some(format!("\"some\";r=0;t={after}").as_str()));
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let upstream = Upstream::start();
    let portcullis = start(Setup::new(), &upstream, "[limit.some]\nkey = \"client.address\"\nrate = \"2/h\"");
    let to = portcullis.address();
    assert_eq!(http::get(to, "/limited", "").status, 200);
    assert_eq!(http::get(to, "/limited", "").status, 200);
    refused(&http::get(to, "/limited", ""), "rate_limited");
    // One limit is one counter, whichever route asks; what a client says of its address changes nothing.
    refused(&http::get(to, "/other", "X-Forwarded-For: 203.0.113.5\r\nX-Real-IP: 203.0.113.6\r\n"), "rate_limited");
    assert_eq!(upstream.received().len(), 2);
    assert_eq!(http::get(to, "/free", "").status, 200);
}

#[test]
fn a_limit_by_credential_counts_each_apart() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let keys = [setup.api_key(|_| {}), setup.api_key(|_| {})].map(|key| format!("X-Api-Key: {key}\r\n"));
    let portcullis = start(setup, &upstream, "[limit.some]\nkey = \"credential.id\"\nrate = \"1/h\"");
    let to = portcullis.address();
    assert_eq!(http::get(to, "/limited", &keys[0]).status, 200);
    refused(&http::get(to, "/limited", &keys[0]), "rate_limited");
    assert_eq!(http::get(to, "/limited", &keys[1]).status, 200);
    refused(&http::get(to, "/limited", &keys[1]), "rate_limited");
}

#[test]
fn guessing_is_limited_and_the_right_guess_is_no_way_out() {
    let upstream = Upstream::start();
    let setup = Setup::new();
    let key = format!("X-Api-Key: {}\r\n", setup.api_key(|_| {}));
    let limit = "[limit.some]\nkey = \"client.address\"\nrate = \"3/h\"\nstage = \"failed_authentication\"";
    let portcullis = start(setup, &upstream, limit);
    let to = portcullis.address();
    // What succeeds, and what presents nothing, is no failure.
    for _ in 0..5 {
        assert_eq!(http::get(to, "/limited", &key).status, 200);
        assert_eq!(http::get(to, "/limited", "").status, 200);
    }
    for guess in 0..3 {
        assert_eq!(http::get(to, "/limited", &format!("X-Api-Key: guess{guess}\r\n")).status, 401);
    }
    refused(&http::get(to, "/limited", "X-Api-Key: guess4\r\n"), "too_many_failures");
    refused(&http::get(to, "/limited", &key), "too_many_failures");
    // Whoever presents nothing guesses nothing.
    assert_eq!(http::get(to, "/limited", "").status, 200);
    assert_eq!(http::get(to, "/free", &key).status, 200);
}
