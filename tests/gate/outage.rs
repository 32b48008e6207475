//! Redis goes away and comes back.

use serde_json::json;

use super::{operate, preamble_with, until};
use crate::harness::http::get;
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

fn start(redis: &Redis, upstream: &Upstream, max_staleness: &str) -> Portcullis {
    let configuration = format!(
        r#"{}
        [route]
        app = {{ match = "/app", accept = ["api_key", "session"], upstream = "{1}" }}
        lenient = {{ match = "/lenient", accept = ["api_key", "session"], upstream = "{1}", on_stale = "allow" }}
        open = {{ match = "/open", accept = "anyone", upstream = "{1}" }}
        "#,
        preamble_with(&redis.url(), max_staleness),
        upstream.url()
    );
    Setup::new().try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"))
}

fn key(portcullis: &Portcullis) -> String {
    let made = operate(portcullis, "POST", "/v1/keys", &json!({"subject": "ci"}));
    bearer(made.json()["key"].as_str().unwrap_or_else(|| panic!("{}", made.body)))
}

#[test]
fn what_is_cached_is_served_until_the_log_is_stale_and_what_is_not_is_503() {
    let (mut redis, upstream) = (Redis::start(), Upstream::start());
    let portcullis = start(&redis, &upstream, "6s");
    let to = portcullis.address();
    let (cached, uncached) = (key(&portcullis), key(&portcullis));
    assert_eq!(get(to, "/app", &cached).status, 200);
    redis.command::<String>(&["SAVE"]);
    redis.kill();

    assert_eq!(get(to, "/app", &cached).status, 200, "known, and the log is fresh enough");
    let refused = get(to, "/app", &uncached);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.value("retry-after").is_some(), "{}", refused.head);
    let mut last = None;
    until("the log is stale", || {
        let answer = get(to, "/app", &cached);
        assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
        last = Some(answer);
        last.as_ref().is_some_and(|answer| answer.status == 503)
    });
    let refused = last.expect("an answer");
    assert!(refused.value("retry-after").is_some(), "{}", refused.head);
    assert_eq!(get(to, "/lenient", &cached).status, 200, "that route goes by what is known");
    assert_eq!(get(to, "/lenient", &uncached).status, 503);
    assert_eq!(get(to, "/open", "").status, 200);
    assert_eq!(get(to, "/app", &bearer("pc_test_x_y")).status, 401, "no store is needed to see that");

    redis.restart();
    until("the cached one is served again", || get(to, "/app", &cached).status == 200);
    until("the other one is served", || get(to, "/app", &uncached).status == 200);
}

#[test]
fn f34_what_the_store_did_not_take_is_not_revoked() {
    let (mut redis, upstream) = (Redis::start(), Upstream::start());
    let portcullis = start(&redis, &upstream, "60s");
    let made = operate(&portcullis, "POST", "/v1/keys", &json!({"subject": "ci"})).json();
    let (id, key) = (made["record"]["id"].as_str().expect("an id"), bearer(made["key"].as_str().expect("a key")));
    assert_eq!(get(portcullis.address(), "/app", &key).status, 200);
    redis.command::<String>(&["SAVE"]);
    redis.kill();
    let path = format!("/v1/keys/{id}");
    assert_eq!(operate(&portcullis, "DELETE", &path, &json!(null)).status, 503, "nobody is told that it is done");
    redis.restart();
    until("it can be revoked", || operate(&portcullis, "DELETE", &path, &json!(null)).status == 200);
    assert_eq!(get(portcullis.address(), "/app", &key).status, 401);
}
