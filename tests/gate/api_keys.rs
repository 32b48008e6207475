//! API keys from their making to their end, with each kind of store.

use std::time::Duration;

use portcullis::model::{Clock, SystemClock};
use serde_json::{Value, json};

use super::{operate, preamble, until};
use crate::harness::http::get;
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

fn start(store: &str, upstream: &Upstream) -> Portcullis {
    let route = "[route]\napp = { match = \"/{*rest}\", accept = \"api_key\", upstream = ";
    let configuration = format!("{}{route}\"{}\" }}", preamble(store), upstream.url());
    Setup::new().try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"))
}

fn make(portcullis: &Portcullis, of: &Value) -> (String, String) {
    let made = operate(portcullis, "POST", "/v1/keys", of);
    assert_eq!(made.status, 201, "{}", made.body);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made.json()["key"]), text(&made.json()["record"]["id"]))
}

fn comes_and_goes(store: &str) {
    let upstream = Upstream::start();
    let portcullis = start(store, &upstream);
    let to = portcullis.address();
    let (key, id) = make(&portcullis, &json!({"subject": "ci", "roles": ["reader"]}));
    let (other, _) = make(&portcullis, &json!({"subject": "ci"}));
    for line in [bearer(&key), format!("X-Api-Key: {key}\r\n")] {
        assert_eq!(get(to, "/x", &line).status, 200);
        assert!(!upstream.last().head.contains(&key), "the key itself goes no further");
    }
    let revoked = operate(&portcullis, "DELETE", &format!("/v1/keys/{id}"), &Value::Null);
    assert_eq!((revoked.status, &revoked.json()["state"]), (200, &json!("revoked")));
    let served = upstream.received().len();
    for line in [bearer(&key), format!("X-Api-Key: {key}\r\n")] {
        assert_eq!(get(to, "/x", &line).status, 401, "the very next request");
    }
    assert_eq!(upstream.received().len(), served);
    assert_eq!(get(to, "/x", &bearer(&other)).status, 200, "nobody else's");
    // Once more harms nothing, and a key that never was is not found.
    assert_eq!(operate(&portcullis, "DELETE", &format!("/v1/keys/{id}"), &Value::Null).status, 200);
    assert_eq!(operate(&portcullis, "DELETE", "/v1/keys/none", &Value::Null).status, 404);
    assert_eq!(get(to, "/x", &bearer(&key)).status, 401);
}

#[test]
fn a_key_comes_and_goes_in_memory() {
    comes_and_goes("memory:");
}

#[test]
fn a_key_comes_and_goes_in_redis() {
    comes_and_goes(&Redis::start().url());
}

#[test]
fn a_key_that_is_revoked_at_one_instance_is_refused_at_the_other() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let (one, other) = (start(&redis.url(), &upstream), start(&redis.url(), &upstream));
    let (key, id) = make(&one, &json!({"subject": "ci"}));
    assert_eq!(get(one.address(), "/", &bearer(&key)).status, 200);
    assert_eq!(get(other.address(), "/", &bearer(&key)).status, 200);
    assert_eq!(operate(&one, "DELETE", &format!("/v1/keys/{id}"), &Value::Null).status, 200);
    assert_eq!(get(one.address(), "/", &bearer(&key)).status, 401);
    until("the other refuses it too", || get(other.address(), "/", &bearer(&key)).status == 401);
    // One that starts later knows it as well.
    let third = start(&redis.url(), &upstream);
    assert_eq!(get(third.address(), "/", &bearer(&key)).status, 401);
}

#[test]
fn a_key_counts_from_its_networks_and_until_its_end() {
    let now = SystemClock.now();
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let network = |text: &str| vec![text.parse().expect("a network")];
    let here = setup.api_key(|record| record.networks = network("127.0.0.0/8"));
    let elsewhere = setup.api_key(|record| record.networks = network("10.0.0.0/8"));
    let mapped = setup.api_key(|record| record.networks = network("::1/128"));
    let ended = setup.api_key(|record| record.expires_at = Some(now.before(Duration::from_secs(1))));
    let lasting = setup.api_key(|record| record.expires_at = Some(now.after(Duration::from_secs(3600))));
    let revoked = setup.api_key(|record| record.revoked_at = Some(now));
    let portcullis = setup.start(&format!(
        "[route]\napp = {{ match = \"/{{*rest}}\", accept = [\"api_key\", \"anyone\"], upstream = \"{}\" }}",
        upstream.url()
    ));
    let to = portcullis.address();
    // Twice: from the store, and from the cache.
    for _ in 0..2 {
        for (key, expected) in
            [(&here, 200), (&elsewhere, 403), (&mapped, 403), (&ended, 401), (&lasting, 200), (&revoked, 401)]
        {
            assert_eq!(get(to, "/", &bearer(key)).status, expected);
            // What the client says of its address changes nothing.
            let spoofed = format!("{}X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n", bearer(key));
            assert_eq!(get(to, "/", &spoofed).status, expected);
        }
    }
    assert_eq!(upstream.received().len(), 8);
}
