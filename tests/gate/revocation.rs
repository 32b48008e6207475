//! What the revocation log says takes effect, whoever wrote it.

use std::sync::Arc;
use std::time::Duration;

use portcullis::model::{Clock, LogEntry, Principal, Revocation, SystemClock};
use portcullis::store::Store;
use serde_json::json;

use super::keys::{Key, claims_with, pem_issuer};
use super::{preamble, until};
use crate::harness::http::get;
use crate::harness::portcullis::{Portcullis, Setup, bearer, block_on};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

const EC: &str = "https://ec.example";

fn start(redis: &Redis, key: &Key, upstream: &Upstream) -> Portcullis {
    let setup = Setup::new();
    let issuer = pem_issuer(setup.folder(), "ec", key);
    let route = "[route]\napp = { match = \"/{*rest}\", accept = [\"jwt\", \"anyone\"], upstream = ";
    let configuration = format!("{}{issuer}{route}\"{}\" }}", preamble(&redis.url()), upstream.url());
    setup.try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"))
}

fn revoke(store: &Store, what: Revocation) {
    let until = SystemClock.now().after(Duration::from_secs(700));
    block_on(store.log.append(&LogEntry { what, until })).expect("the log takes it");
}

fn token(key: &Key, sub: &str, jti: &str) -> String {
    let mut claims = claims_with(EC, "sub", json!(sub));
    claims["jti"] = json!(jti);
    bearer(&key.token(&json!({"alg": "ES256"}), &claims))
}

#[test]
fn a_revoked_token_is_refused_by_every_instance_and_by_those_to_come() {
    let (redis, upstream, key) = (Redis::start(), Upstream::start(), Key::p256());
    let store = redis.store();
    let instances = [start(&redis, &key, &upstream), start(&redis, &key, &upstream)];
    let (bad, good) = (token(&key, "alice", "bad"), token(&key, "alice", "good"));
    for instance in &instances {
        assert_eq!(get(instance.address(), "/", &bad).status, 200);
    }
    revoke(&store, Revocation::Token { issuer: "https://other.example".into(), id: "good".into() });
    revoke(&store, Revocation::Token { issuer: EC.into(), id: "bad".into() });
    let third = start(&redis, &key, &upstream);
    // The route serves anyone, but what was presented on purpose must count.
    assert_eq!(get(third.address(), "/", &bad).status, 401, "it has read the log before it was ready");
    for instance in &instances {
        until("it is refused", || get(instance.address(), "/", &bad).status == 401);
        assert_eq!(get(instance.address(), "/", &good).status, 200, "another issuer's of that id");
    }
}

#[test]
fn all_that_a_principal_had_before_ends_and_what_he_gets_later_counts() {
    let (redis, upstream, key) = (Redis::start(), Upstream::start(), Key::p256());
    let store = redis.store();
    let portcullis = start(&redis, &key, &upstream);
    let to = portcullis.address();
    let now = SystemClock.now().as_secs();
    let issued = |iat: Option<u64>, sub: &str| {
        let mut claims = claims_with(EC, "sub", json!(sub));
        match iat {
            Some(iat) => claims["iat"] = json!(iat),
            None => drop(claims.as_object_mut().expect("an object").remove("iat")),
        }
        bearer(&key.token(&json!({"alg": "ES256"}), &claims))
    };
    let (old, undated) = (issued(Some(now - 100), "alice"), issued(None, "alice"));
    let (new, other) = (issued(Some(now), "alice"), issued(Some(now - 100), "bob"));
    for token in [&old, &undated, &new, &other] {
        assert_eq!(get(to, "/", token).status, 200);
    }
    let before = portcullis::model::Timestamp::from_secs(now - 50);
    revoke(&store, Revocation::PrincipalBefore { principal: Principal::new(EC, "alice"), before });
    until("the old one is refused", || get(to, "/", &old).status == 401);
    assert_eq!(get(to, "/", &undated).status, 401, "it may have been issued before");
    assert_eq!(get(to, "/", &new).status, 200);
    assert_eq!(get(to, "/", &other).status, 200);
}

#[test]
fn f35_a_change_of_the_record_changes_the_decision() {
    let (redis, upstream) = (Redis::start(), Upstream::start());
    let store = redis.store();
    let configuration = format!(
        "{}[route]\napp = {{ match = \"/{{*rest}}\", accept = \"session\", upstream = \"{}\", \
         allow = [{{ roles = [\"reader\"] }}] }}",
        preamble(&redis.url()),
        upstream.url()
    );
    let portcullis = Setup::new().try_start(&configuration).unwrap_or_else(|problem| panic!("{problem}"));
    let made = super::operate(&portcullis, "POST", "/v1/sessions", &json!({"subject": "alice", "roles": ["reader"]}));
    let made = made.json();
    let (cookie, id) = (made["cookie"].as_str().expect("a cookie"), made["session"]["id"].as_str().expect("an id"));
    let line = format!("Cookie: {cookie}\r\n");
    assert_eq!(get(portcullis.address(), "/", &line).status, 200);
    // As an administrator's tool would: the record first, then the log.
    let secret = cookie.split_once('=').expect("name and value").1;
    let digest = portcullis::crypto::session_secret::parse(secret).expect("a secret");
    let mut record = block_on(store.sessions.find(&digest, SystemClock.now())).expect("Redis").expect("a session");
    record.roles = vec![Arc::from("nobody")];
    block_on(store.sessions.remove(id)).expect("Redis");
    block_on(store.sessions.create(&digest, &record)).expect("Redis");
    revoke(&store, Revocation::Changed { id: id.into() });
    until("the role is gone", || get(portcullis.address(), "/", &line).status == 403);
}

#[test]
fn f34_a_revocation_that_the_store_does_not_take_is_answered_with_503_and_what_is_in_force() {
    // Redis lets its user write the log, but no generation of sessions: half of it fails.
    let acl = "user default on nopass resetkeys ~pc:log* ~pc:revoked %R~pc:* +@all";
    let (mut redis, upstream, key) = (Redis::with().line(acl).start(), Upstream::start(), Key::p256());
    let portcullis = start(&redis, &key, &upstream);
    let to = portcullis.address();
    let (alice, bob) = (token(&key, "alice", "a"), token(&key, "bob", "b"));
    assert_eq!((get(to, "/", &alice).status, get(to, "/", &bob).status), (200, 200));
    let subject = |subject| json!({"kind": "subject", "issuer": "ec", "subject": subject});
    let answer = super::operate(&portcullis, "POST", "/v1/revocations", &subject("alice"));
    assert_eq!(answer.status, 503, "{}", answer.body);
    for text in ["in force: all that `https://ec.example|alice` was issued", "not finished: its sessions", "NOPERM"] {
        assert!(answer.body.contains(text), "`{text}` is not in {}", answer.body);
    }
    assert_eq!(get(to, "/", &alice).status, 401, "what is said to be in force is");
    redis.kill();
    let answer = super::operate(&portcullis, "POST", "/v1/revocations", &subject("bob"));
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("may still be valid"), "{}", answer.body);
    assert_eq!(get(to, "/", &bob).status, 200, "what nobody else refuses is not refused here alone");
}
