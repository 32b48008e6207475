use super::SIDECAR;
use crate::harness::http::get;
use crate::harness::process::{Serving, folder, run};
use crate::harness::redis::Redis;

#[test]
fn keys_of_an_embedded_store_are_made_and_revoked_through_the_running_instance() {
    let (_guard, here) = folder(SIDECAR);
    let serving = Serving::run(&here).ready();
    let address = serving.address("main");

    let created =
        run(&here, &["keys", "create", "--subject", "ci", "--role", "viewer", "--label", "nightly", "--json"]).json();
    let (key, id) = (created["key"].as_str().unwrap(), created["record"]["id"].as_str().unwrap());
    assert!(key.starts_with("pc_"), "{key}");
    assert_eq!(get(address, "/", &format!("X-API-Key: {key}\r\n")).status, 502, "it is let through to nobody");

    let list = run(&here, &["keys", "list"]).ok();
    assert!(list.contains(id) && list.contains("nightly") && list.contains("active"), "{list}");
    assert!(!list.contains(key));
    assert_eq!(run(&here, &["keys", "list", "--subject", "ci", "--ids-only"]).ok(), format!("{id}\n"));
    assert_eq!(run(&here, &["keys", "list", "--subject", "somebody else", "--ids-only"]).ok(), "");
    let shown = run(&here, &["keys", "show", id]).ok();
    assert!(shown.contains("viewer") && !shown.contains(key), "{shown}");

    assert_eq!(run(&here, &["keys", "revoke", id]).ok(), format!("revoked {id}\n"));
    assert_eq!(get(address, "/", &format!("X-API-Key: {key}\r\n")).status, 401);
    assert!(run(&here, &["keys", "list"]).ok().contains("revoked"));
    run(&here, &["keys", "revoke", "NoSuchKey"]).failed(1, &["there is no API key `NoSuchKey`"]);
    run(&here, &["keys", "revoke", "../status"]).failed(2, &["letters and digits"]);
    run(&here, &["keys", "create", "--subject", ""]).failed(1, &["the subject may not be empty"]);
}

#[test]
fn sessions_too() {
    let (_guard, here) = folder(SIDECAR);
    let serving = Serving::run(&here).ready();
    let address = serving.address("main");

    let cookie = run(&here, &["sessions", "create", "--subject", "carol", "--role", "viewer", "--secret-only"]).ok();
    let cookie = format!("Cookie: {}\r\nSec-Fetch-Site: same-origin\r\n", cookie.trim());
    assert_eq!(get(address, "/", &cookie).status, 502);
    let id = run(&here, &["sessions", "list", "--subject", "carol", "--ids-only"]).ok();
    run(&here, &["sessions", "revoke", id.trim()]).ok();
    assert_eq!(get(address, "/", &cookie).status, 401);
    assert_eq!(run(&here, &["sessions", "list", "--ids-only"]).ok(), "");
}

#[test]
fn without_an_instance_or_a_socket_it_says_what_to_do() {
    let (_guard, here) = folder(SIDECAR);
    run(&here, &["keys", "list"]).failed(1, &["admin.sock", "no instance listens there", "portcullis run"]);
    run(&here, &["keys", "list", "--admin", "unix:elsewhere.sock"]).failed(1, &["elsewhere.sock"]);
    let (_guard, here) = folder(&SIDECAR.replace("admin.socket = \"unix:admin.sock\"", ""));
    run(&here, &["keys", "list"]).failed(2, &["admin.socket", "embedded"]);
}

#[test]
fn with_redis_no_instance_is_needed_and_every_instance_obeys() {
    let redis = Redis::start();
    let configuration = format!("{SIDECAR}\n[store]\nurl = \"{}\"\ntimeout = \"5s\"\n", redis.url());
    let (_guard, here) = folder(&configuration.replace("admin.socket = \"unix:admin.sock\"", ""));
    let key = run(&here, &["keys", "create", "--subject", "ci", "--role", "viewer", "--secret-only"]).ok();
    let key = format!("X-API-Key: {}\r\n", key.trim());

    let serving = Serving::run(&here).ready();
    let address = serving.address("main");
    assert_eq!(get(address, "/", &key).status, 502);
    let id = run(&here, &["keys", "list", "--ids-only"]).ok();
    run(&here, &["keys", "revoke", id.trim()]).ok();
    // Another process wrote it; this one hears of it through the log.
    let heard = (0..10_000).any(|_| get(address, "/", &key).status == 401);
    assert!(heard, "the revocation is not in force");
}
