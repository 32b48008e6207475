//! Rules that ask for a fresh or strong login (RFC 9470), and rules that only report.

use serde_json::{Value, json};

use super::keys::{Key, claims_with, pem_issuer};
use crate::harness::http::get;
use crate::harness::portcullis::{Portcullis, Setup, bearer};
use crate::harness::upstream::Upstream;

fn start(routes: &str) -> (Portcullis, Upstream, Key) {
    let (upstream, key, setup) = (Upstream::start(), Key::p256(), Setup::new());
    let issuer = pem_issuer(setup.folder(), "ec", &key);
    let preamble = super::preamble_with("memory:", "30s");
    let routes = routes.replace("UPSTREAM", &upstream.url());
    let started = setup.try_start(&format!("{preamble}{issuer}\n{routes}"));
    (started.unwrap_or_else(|problem| panic!("{problem}")), upstream, key)
}

fn token(key: &Key, changes: &Value) -> String {
    let mut claims = claims_with("https://ec.example", "roles", json!(["viewer"]));
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    bearer(&key.token(&json!({"alg": "ES256"}), &claims))
}

#[test]
fn a_weak_or_old_login_is_told_what_would_do() {
    let (portcullis, upstream, key) = start(
        r#"
        [policy.sensitive]
        [[policy.sensitive.allow]]
        claims = { plan = ["pro", "team"], verified = true }
        authenticated_within = "15m"
        acr = ["urn:example:loa2", "urn:example:loa3"]
        amr = ["mfa"]
        [route.app]
        match = "/{*rest}"
        accept = "jwt"
        upstream = "UPSTREAM"
        policies = "sensitive"
        "#,
    );
    let to = portcullis.address();
    let now = claims_with("https://ec.example", "roles", json!([]))["iat"].as_i64().expect("a number");
    let strong = json!({
        "plan": "pro", "verified": true, "auth_time": now, "acr": "urn:example:loa2", "amr": ["pwd", "mfa"],
    });
    let with = |name: &str, value: Value| {
        let mut claims = strong.clone();
        claims[name] = value;
        token(&key, &claims)
    };
    assert_eq!(get(to, "/", &token(&key, &strong)).status, 200);
    let served = upstream.received().len();
    for (name, value) in [
        ("auth_time", json!(now - 1000)),
        ("auth_time", json!("yesterday")),
        ("auth_time", json!(null)),
        ("acr", json!("urn:example:loa1")),
        ("acr", json!(["urn:example:loa2"])),
        ("amr", json!(["pwd"])),
        ("amr", json!("pwd")),
    ] {
        let answer = get(to, "/", &with(name, value.clone()));
        assert_eq!(answer.status, 401, "{name}: {value}");
        assert_eq!(
            answer.value("www-authenticate"),
            Some(
                "Bearer realm=\"portcullis\", error=\"insufficient_user_authentication\", \
                 acr_values=\"urn:example:loa2 urn:example:loa3\", max_age=\"900\""
            ),
            "{name}: {value}"
        );
    }
    // A login would not help: no challenge.
    for (name, value) in [("plan", json!("free")), ("verified", json!("true")), ("verified", json!(false))] {
        let answer = get(to, "/", &with(name, value.clone()));
        assert_eq!((answer.status, answer.value("www-authenticate")), (403, None), "{name}: {value}");
    }
    assert_eq!(upstream.received().len(), served);
}

#[test]
fn what_a_reporting_rule_would_refuse_passes_and_is_counted() {
    let (portcullis, _upstream, key) = start(
        r#"
        [roles]
        admin = []
        [policy.trial]
        mode = "report"
        deny = [{ groups = ["suspended"] }]
        [route.app]
        match = "/{*rest}"
        accept = "jwt"
        upstream = "UPSTREAM"
        policies = "trial"
        allow = [{ roles = ["admin"], mode = "report" }]
        "#,
    );
    let to = portcullis.address();
    let count = |rule: &str| {
        let start = format!("portcullis_policy_would_deny_total{{rule=\"{rule}\"}} ");
        let metrics = get(portcullis.health(), "/metrics", "").body;
        metrics.lines().find_map(|line| line.strip_prefix(&*start).map(str::to_owned))
    };
    let (suspended, viewer, admin) = (
        token(&key, &json!({"groups": ["suspended"]})),
        token(&key, &json!({})),
        token(&key, &json!({"roles": ["admin"]})),
    );
    for headers in [&suspended, &viewer, &viewer, &admin] {
        assert_eq!(get(to, "/", headers).status, 200);
    }
    assert_eq!(count("policy.trial.deny[0]").as_deref(), Some("1"));
    assert_eq!(count("route.app.allow[0]").as_deref(), Some("2"));
}
