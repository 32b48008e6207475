//! Identity headers by the names that software knows: `remote-user`, `oauth2-proxy`.

use serde_json::json;

use crate::harness::http;
use crate::harness::portcullis::{Portcullis, bearer};
use crate::harness::upstream::Upstream;

/// What clients might forge, by names that some service believes.
const NAMES: [&str; 14] = [
    "Remote-User",
    "Remote-Groups",
    "Remote-Name",
    "Remote-Email",
    "X-Remote-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Preferred-Username",
];

fn world() -> (Upstream, Portcullis) {
    let upstream = Upstream::start();
    let keys = format!("listener.main.trusted_proxies = \"127.0.0.0/8\"\ndefaults.upstream = \"{}\"", upstream.url());
    let portcullis = crate::harness::portcullis::Setup::new().start_with(
        &keys,
        r#"
        [route]
        remote = { match = "/remote", accept = ["jwt", "anyone"], identity.preset = "remote-user" }
        oauth2 = { match = "/oauth2", accept = ["jwt", "anyone"], identity.preset = "oauth2-proxy" }
        usual = { match = "/usual", accept = ["jwt", "anyone"] }
        silent = { match = "/silent", accept = ["jwt", "anyone"], identity.preset = "none" }
        public = { match = "/public", accept = "anyone" }
        "#,
    );
    (upstream, portcullis)
}

/// The names of a service's request that are among [`NAMES`], in whatever spelling, with their values, in order.
fn told(upstream: &Upstream) -> Vec<String> {
    let seen = upstream.last();
    let known = |folded: &str| NAMES.iter().any(|name| name.eq_ignore_ascii_case(folded));
    let lines = seen.head.lines().skip(1).zip(seen.folded_names());
    let mut told: Vec<String> =
        lines.filter(|(_, folded)| known(folded)).map(|(line, _)| line.to_ascii_lowercase()).collect();
    told.sort_unstable();
    told
}

#[test]
fn each_preset_tells_the_service_by_its_names_and_by_no_others() {
    let (upstream, portcullis) = world();
    let token = portcullis.token(json!({
        "groups": ["staff", "ops"], "email": "alice@example.com", "name": "Alice", "preferred_username": "al",
    }));
    let family = |prefix: &str| {
        ["email: alice@example.com", "groups: ops,staff", "preferred-username: al", "user: alice"]
            .map(|line| format!("{prefix}-{line}"))
    };
    let remote = ["email: alice@example.com", "groups: ops,staff", "name: alice", "user: alice"];
    for (path, expected) in [
        ("/remote", remote.map(|line| format!("remote-{line}")).to_vec()),
        ("/oauth2", [family("x-auth-request"), family("x-forwarded")].concat()),
        ("/usual", Vec::new()),
        ("/silent", Vec::new()),
    ] {
        assert_eq!(http::get(portcullis.address(), path, &bearer(&token)).status, 200);
        assert_eq!(told(&upstream), expected, "{path}");
    }
}

#[test]
fn f02_f04_f10_no_client_speaks_by_these_names_whatever_the_route_tells() {
    let (upstream, portcullis) = world();
    let token = portcullis.token(json!({}));
    for mark in ['-', '_', '.', '~'] {
        let forged: String =
            NAMES.iter().map(|name| format!("{}: mallory\r\n", name.replace('-', &mark.to_string()))).collect();
        // The peer is a trusted proxy: that makes it no witness of who the user is.
        for path in ["/remote", "/oauth2", "/usual", "/silent", "/public"] {
            assert_eq!(http::get(portcullis.address(), path, &forged).status, 200);
            assert_eq!(told(&upstream), Vec::<String>::new(), "{path}");
            assert_eq!(http::get(portcullis.address(), path, &(forged.clone() + &bearer(&token))).status, 200);
            let told = told(&upstream);
            assert!(told.iter().all(|line| !line.contains("mallory")), "{path}: {told:?}");
        }
    }
}
