use std::os::unix::fs::PermissionsExt;

use super::SIDECAR;
use crate::harness::process::{folder, run, run_with_input};

const ISSUER: &str = r#"
[issuer.dev]
url = "https://id.example.com"
audiences = ["orders"]
keys = { jwks_file = "jwks.json" }
"#;

fn mint<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["tokens", "mint", "--key", "dev.pem", "--issuer", "https://id.example.com"];
    arguments.extend(["--subject", "alice"]);
    arguments.extend(more);
    arguments
}

#[test]
fn a_minted_token_is_what_the_configured_issuer_accepts() {
    let (_guard, here) = folder(&format!("{SIDECAR}{ISSUER}"));
    let audience = ["--audience", "orders", "--scope", "orders:read", "--role", "editor", "--claim", "tenant=acme"];
    run(&here, &mint(&audience)).failed(2, &["dev.pem", "--new-key"]);
    let token = run(&here, &mint(&[&audience[..], &["--new-key"]].concat())).ok();
    assert_eq!(std::fs::metadata(here.join("dev.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    run(&here, &mint(&[&audience[..], &["--new-key"]].concat())).failed(2, &["dev.pem"]);
    std::fs::write(here.join("jwks.json"), run(&here, &["tokens", "jwks", "--key", "dev.pem"]).ok()).unwrap();

    let text = run_with_input(&here, &["tokens", "inspect", "-c", "portcullis.toml"], &token).ok();
    for line in ["alg: \"ES256\"", "sub: \"alice\"", "scope: \"orders:read\"", "tenant: \"acme\"", "valid: issuer.dev"]
    {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    let report = run(&here, &["tokens", "inspect", token.trim(), "--json"]).json();
    assert_eq!(report["claims"]["roles"][0], "editor");
    assert_eq!(report["verdict"], serde_json::Value::Null, "nobody was asked to judge");
}

#[test]
fn a_token_for_somebody_else_is_refused_with_both_sides() {
    let (_guard, here) = folder(&format!("{SIDECAR}{ISSUER}"));
    let token = run(&here, &mint(&["--audience", "account", "--new-key"])).ok();
    std::fs::write(here.join("jwks.json"), run(&here, &["tokens", "jwks", "--key", "dev.pem"]).ok()).unwrap();
    let ended = run(&here, &["tokens", "inspect", token.trim(), "-c", "portcullis.toml"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stdout.contains("account") && ended.stdout.contains("orders"), "{ended:#?}");
    run(&here, &["tokens", "inspect", "no token"]).failed(1, &["this is no JWT"]);
}
