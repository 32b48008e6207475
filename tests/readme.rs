//! The README keeps what it promises: every command in it is run or checked.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::process::{Serving, folder, portcullis, run};

const README: &str = include_str!("../README.md");

/// A fenced block of the README: what follows the fence's backticks, and its lines.
struct Block {
    kind: &'static str,
    text: &'static str,
}

fn blocks() -> Vec<Block> {
    let mut parts = README.split("```");
    let mut blocks = Vec::new();
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').expect("a line after the fence");
        blocks.push(Block { kind: kind.trim(), text });
    }
    blocks
}

/// The only block of plain `sh` that begins so.
#[track_caller]
fn command(start: &str) -> &'static str {
    let found: Vec<_> =
        blocks().into_iter().filter(|block| block.kind == "sh" && block.text.starts_with(start)).collect();
    assert_eq!(found.len(), 1, "the README has one block that begins with `{start}`");
    found[0].text.trim()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port()
}

#[test]
fn every_block_is_one_that_these_tests_know() {
    for Block { kind, text } in blocks() {
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

/// The walk as one script. Background processes end with it, by the ids that the shell knows. A person takes longer than
/// a script from one line to the next, so it waits until what was started listens. Before each command with a status in
/// a comment stands a line that tells the test what to expect.
fn script(service: u16, front: u16) -> String {
    let mut script = String::from("set -eu\ntrap 'kill $(jobs -p)' EXIT\n");
    let walk: String = blocks().iter().filter(|block| block.kind == "sh walk").map(|block| block.text).collect();
    let walk = walk.replace(":3000", &format!(":{service}")).replace(" 3000 ", &format!(" {service} "));
    let walk = walk.replace(":8080", &format!(":{front}"));
    for line in walk.lines() {
        let expected = line.rsplit_once('#').map(|(_, comment)| comment.trim()).filter(|c| c.parse::<u16>().is_ok());
        if let Some(status) = expected {
            script.push_str(&format!("echo; echo '@expect {status}'\n"));
        }
        script.push_str(line);
        script.push('\n');
        if line.trim_end().ends_with('&') {
            let port = if line.contains("portcullis") { front } else { service };
            script.push_str(&format!(
                "until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do kill -0 $!; sleep 0.05; done\n"
            ));
        }
    }
    script
}

#[test]
fn the_walk_works_as_printed() {
    let (service, front) = (free_port(), free_port());
    let script = script(service, front);
    assert!(!script.contains("3000") && !script.contains("8080"), "fixed ports are replaced:\n{script}");
    let home = tempfile::tempdir().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().expect("a folder");
    let path = std::env::join_paths(
        [PathBuf::from(binaries)].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))),
    );
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(home.path())
        .env("PATH", path.expect("a PATH"))
        .env("no_proxy", "*")
        .env_remove("PORTCULLIS_CONFIG")
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}\n{stdout}\n{stderr}", output.status.code());

    let mut statuses = Vec::new();
    for part in stdout.split("@expect ").skip(1) {
        let expected = part.lines().next().expect("a status");
        let answered = part.lines().rfind(|line| line.starts_with("HTTP/1.1 ")).expect("an answer");
        assert_eq!(answered.split(' ').nth(1), Some(expected), "{stdout}\n{stderr}");
        statuses.push(expected);
    }
    assert_eq!(statuses, ["401", "403", "200", "401"], "{stdout}\n{stderr}");
    assert!(stdout.contains("hello from the files"), "{stdout}");
    assert!(stdout.contains("files") && stderr.contains("the configuration is good"), "{stdout}\n{stderr}");
    for port in [service, front] {
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "port {port} is still in use");
    }
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
