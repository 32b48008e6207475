use std::net::TcpListener;

use super::SIDECAR;
use crate::harness::process::{folder, run};

#[test]
fn what_init_prints_passes_check() {
    let (_guard, here) = folder("");
    let arguments =
        ["--upstream", "http://127.0.0.1:3000", "--issuer", "https://id.example.com", "--audience", "orders"];
    let text = run(&here, &[&["init"], &arguments[..]].concat()).ok();
    std::fs::write(here.join("portcullis.toml"), text).unwrap();
    let ended = run(&here, &["check"]);
    assert!(ended.stderr.contains("the configuration is good"), "{ended:#?}");
    ended.ok();
    run(&here, &["init", "--upstream", "nonsense", "--issuer", "x", "--audience", "y"]).failed(2, &["nonsense"]);
}

#[test]
fn without_a_configuration_it_says_where_it_looked_and_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    for verb in [&["run"][..], &["check"], &["keys", "list"]] {
        run(folder.path(), verb).failed(
            2,
            &["`./portcullis.toml`", "`/etc/portcullis/portcullis.toml`", "portcullis init", "--config FILE"],
        );
    }
    run(folder.path(), &["check", "--config", "nowhere.toml"]).failed(2, &["nowhere.toml"]);
}

#[test]
fn every_problem_is_shown_at_once_and_counted() {
    let (_guard, here) = folder("listener.main.bond = \"127.0.0.1:0\"\nstore.timeout = \"soon\"\n");
    run(&here, &["check"]).failed(2, &["portcullis.toml:1", "bind", "portcullis.toml:2", "^", " problems"]);
    let ended = run(&here, &["check", "--json"]);
    assert_eq!(ended.code, Some(2));
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["problems"][0]["line"], 1);
}

#[test]
fn the_effective_configuration_says_where_each_value_comes_from() {
    let (_guard, here) = folder(SIDECAR);
    let text = run(&here, &["check", "--print", "--set", "store.timeout=80ms"]).ok();
    for line in [
        "listener.main.bind = \"127.0.0.1:0\"  # portcullis.toml:2",
        "store.timeout = \"80ms\"  # --set",
        "store.prefix = \"pc:\"  # default",
    ] {
        assert!(text.lines().any(|l| l == line), "`{line}` is not in:\n{text}");
    }
    let report = run(&here, &["check", "--print", "--json"]).json();
    assert!(report["effective"].as_array().unwrap().len() > 10, "{report:#}");
}

#[test]
fn f49_secrets_are_never_printed() {
    let (_guard, here) = folder(&format!(
        "{SIDECAR}\n[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"a\"]\nalgorithms = [\"HS256\"]\n\
         keys = {{ secret = {{ file = \"secret\" }} }}\n"
    ));
    std::fs::write(here.join("secret"), "canary-canary-canary-canary-canary").unwrap();
    for arguments in [&["check", "--print"][..], &["check", "--print", "--json"], &["check"]] {
        let ended = run(&here, arguments);
        assert!(!format!("{ended:?}").contains("canary"), "{ended:#?}");
        ended.ok();
    }
}

#[test]
fn connections_are_tried_and_reported_one_by_one() {
    let reachable = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let configuration = SIDECAR.replace("defaults.upstream = \"http://127.0.0.1:9\"", "defaults.upstream = \"both\"")
        + &format!(
            "[upstream.both]\nendpoints = [\"http://{}\", \"http://{closed}\"]\n",
            reachable.local_addr().unwrap()
        )
        + &format!("[store]\nurl = \"redis://{closed}\"\n");
    let (_guard, here) = folder(&configuration);
    let ended = run(&here, &["check", "--connect"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stdout.contains(&format!("reached  upstream.both: http://{}", reachable.local_addr().unwrap())));
    assert!(ended.stdout.contains(&format!("FAILED   upstream.both: http://{closed}")), "{ended:#?}");
    assert!(ended.stdout.contains("FAILED   store: "), "{ended:#?}");
}

#[test]
fn files_that_starting_would_refuse_are_refused_by_check() {
    let tls = "[listener.main.tls]\ncertificates = [{ chain = \"server.pem\", key = \"server.key\" }]\n";
    let (_guard, here) = folder(&format!("{SIDECAR}\n{tls}"));
    run(&here, &["check"]).failed(2, &["server.pem"]);
    std::fs::write(here.join("server.pem"), "no certificate").unwrap();
    std::fs::write(here.join("server.key"), "no key").unwrap();
    run(&here, &["check"]).failed(2, &["server.pem"]);
}
