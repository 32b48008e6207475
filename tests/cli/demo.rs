use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::process::{Serving, folder, portcullis, run};

fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer}"))
}

fn command<'a>(story: &'a Value, title: &str) -> &'a str {
    let steps = story["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["title"].as_str().is_some_and(|t| t.starts_with(title)));
    step.and_then(|step| step["command"].as_str()).unwrap_or_else(|| panic!("no `{title}` in {story:#}"))
}

#[test]
fn every_line_works_as_printed_and_nothing_is_left_behind() {
    let (_guard, here) = folder("");
    let mut demo = Serving::start(portcullis(&here).args(["demo", "--port", "0", "--json"]));
    let story = demo.prints_json();
    let configuration = story["configuration"].as_str().expect("a path");
    assert!(Path::new(configuration).exists());
    run(&here, &["check", "--config", configuration]).ok();

    let mut tried = 0;
    for step in story["steps"].as_array().expect("steps") {
        if let Some(expected) = step["status"].as_u64() {
            let answer = sh(step["command"].as_str().expect("a command"));
            assert_eq!(u64::from(status(&answer)), expected, "{}\n{answer}", step["title"]);
            tried += 1;
        }
    }
    assert!(tried >= 9, "{story:#}");

    let spoofed = sh(command(&story, "identity headers")).to_ascii_lowercase();
    assert!(spoofed.contains("x-auth-subject: alice") && !spoofed.contains("root"), "{spoofed}");
    assert!(!spoofed.contains("x_auth_roles") && !spoofed.contains("admin"), "{spoofed}");

    sh(command(&story, "revoke alice's key"));
    assert_eq!(status(&sh(command(&story, "an API key"))), 401);
    sh(command(&story, "log carol out"));
    assert_eq!(status(&sh(command(&story, "a session cookie"))), 401);
    assert!(sh(command(&story, "what keys there are")).contains("mallory"));

    demo.signal(Signal::TERM);
    assert_eq!(demo.ended().code(), Some(0), "{}", demo.log());
    assert!(!Path::new(configuration).parent().expect("a directory").exists());
}

#[test]
fn an_occupied_port_is_said_with_what_to_do_and_nothing_is_left_behind() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port().to_string();
    let temporary = tempfile::tempdir().unwrap();
    let output =
        portcullis(temporary.path()).args(["demo", "--port", &port]).env("TMPDIR", temporary.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&port) && stderr.contains("--port"), "{stderr}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
