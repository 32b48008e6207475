//! The README keeps what it promises: every command in it is run or checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::process::{Serving, folder, portcullis, run};
use crate::harness::walk::{Block, Started, Walked, blocks, walk};

const README: &str = include_str!("../README.md");

/// The only block of plain `sh` that begins so.
#[track_caller]
fn command(start: &str) -> &'static str {
    let found: Vec<_> =
        blocks(README).into_iter().filter(|block| block.kind == "sh" && block.text.starts_with(start)).collect();
    assert_eq!(found.len(), 1, "the README has one block that begins with `{start}`");
    found[0].text.trim()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_block_is_one_that_these_tests_know() {
    for Block { kind, text } in blocks(README) {
        let known = match kind {
            "text" | "sh walk" => true,
            "sh" => {
                ["cargo run", "make test", "cargo build", "portcullis init"].iter().any(|start| text.starts_with(start))
            }
            _ => false,
        };
        assert!(known, "nobody checks this block:\n```{kind}\n{text}```");
    }
}

#[test]
fn what_it_links_to_is_there() {
    let targets: BTreeSet<_> = README.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for target in targets.iter().filter(|target| !target.starts_with("http")) {
        let file = target.split('#').next().unwrap_or_default();
        assert!(repository().join(file).exists(), "there is no `{file}`");
    }
    assert!(targets.contains("config.example.toml"), "{targets:?}");
}

#[test]
fn the_walk_works_as_printed() {
    let started = [Started { program: "python3", printed: 3000 }, Started { program: "portcullis", printed: 8080 }];
    let Walked { stdout, stderr, statuses } = walk(README, &started, &[]);
    assert_eq!(statuses, ["401", "403", "200", "401"], "{stdout}\n{stderr}");
    assert!(stdout.contains("hello from the files"), "{stdout}");
    assert!(stdout.contains("files") && stderr.contains("the configuration is good"), "{stdout}\n{stderr}");
}

#[test]
fn the_demo_does_what_it_prints() {
    assert_eq!(command("cargo run"), "cargo run --release -- demo");
    let (_guard, here) = folder("");
    let help = run(&here, &["demo", "--help"]).ok();
    assert!(README.contains("https://127.0.0.1:8443") && help.contains("[default: 8443]"), "{help}");

    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Serving::start(portcullis(&here).args(["demo", "--port", "0"]).env("TMPDIR", temporary.path()));
    demo.prints("keys list");
    let printed = demo.printed();
    let lines: Vec<&str> = printed.lines().collect();
    let (mut passed, mut refused, mut revoked) = (0, 0, None);
    for pair in lines.windows(2).filter(|pair| pair[0].starts_with("# ") && !pair[1].starts_with('#')) {
        let [title, command] = pair else { unreachable!() };
        if command.is_empty() {
            continue;
        }
        let ended = Command::new("sh").args(["-c", command]).env("no_proxy", "*").output().expect("a shell");
        let stdout = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{title}\n{command}\n{stdout}{}", String::from_utf8_lossy(&ended.stderr));
        let Some((_, status)) = title.rsplit_once('(') else { continue };
        let status = status.trim_end_matches(')');
        if status.parse::<u16>().is_err() {
            continue;
        }
        assert_eq!(stdout.split(' ').nth(1), Some(status), "{title}\n{command}\n{stdout}");
        if status == "200" {
            passed += 1
        } else {
            refused += 1
        }
        if title.contains("an API key") {
            revoked = Some(*command);
        }
    }
    assert!(passed >= 4 && refused >= 4, "{printed}");
    assert!(printed.contains("keys revoke") && printed.contains("sessions revoke"), "{printed}");
    let again = Command::new("sh").args(["-c", revoked.expect("an API key")]).output().expect("a shell");
    let again = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(again.split(' ').nth(1), Some("401"), "it was revoked in between: {again}");

    demo.signal(Signal::INT);
    assert_eq!(demo.ended().code(), Some(0), "{}", demo.log());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn make_test_is_there_and_installs_what_the_readme_says() {
    assert_eq!(command("make test"), "make test");
    let planned = Command::new("make").args(["--dry-run", "test"]).current_dir(repository()).output().expect("make");
    let plan = String::from_utf8_lossy(&planned.stdout);
    assert!(planned.status.success() && plan.contains("scripts/setup") && plan.contains(" test "), "{plan}");
    let setup = std::fs::read_to_string(repository().join("scripts/setup")).unwrap();
    for package in ["redis-server", "nghttp2-client", "chromium", "cargo-deny"] {
        assert!(README.contains(&format!("`{package}`")) && setup.contains(package), "{package}");
    }
}

#[test]
fn what_is_built_is_where_the_path_points() {
    let build = command("cargo build");
    assert_eq!(build, "cargo build --release\nexport PATH=\"$PWD/target/release:$PATH\"");
    let manifest = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("default-run = \"portcullis\""), "`cargo run` and the binary's name");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version of Rust");
    assert!(README.contains(&format!("({} or later)", version.trim_matches('"'))), "{version}");
}

#[test]
fn what_init_prints_is_a_good_configuration() {
    let line = command("portcullis init");
    let (_guard, here) = folder("");
    let arguments: Vec<&str> = line.split_whitespace().skip(1).collect();
    let text = run(&here, &arguments).ok();
    assert!(text.contains("https://sso.example.com/realms/acme") && text.contains("# "), "{text}");
    std::fs::write(here.join("portcullis.toml"), text).unwrap();
    run(&here, &["check"]).ok();
}
