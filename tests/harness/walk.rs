//! Documents whose commands are run as they are printed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fenced block of a document: what follows the fence's backticks, and its lines.
pub struct Block {
    pub kind: &'static str,
    pub text: &'static str,
}

/// All fenced blocks of a document.
pub fn blocks(document: &'static str) -> Vec<Block> {
    let mut parts = document.split("```");
    let mut blocks = Vec::new();
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').expect("a line after the fence");
        blocks.push(Block { kind: kind.trim(), text });
    }
    blocks
}

/// A program that the walk leaves running, and the port that the document prints for it.
pub struct Started {
    pub program: &'static str,
    pub printed: u16,
}

/// What a walk printed.
pub struct Walked {
    pub stdout: String,
    pub stderr: String,
    /// Statuses that the document promises; each is the one that came.
    pub statuses: Vec<String>,
}

/// Runs the blocks `sh walk` of a document as one script in a folder of their own, other ports in the place of those that
/// are printed, with these folders before all others in the path. A command with a status as its comment (`# 401`) is to
/// print an answer with that status.
#[track_caller]
pub fn walk(document: &'static str, started: &[Started], path: &[PathBuf]) -> Walked {
    let ports: Vec<u16> = started.iter().map(|_| free_port()).collect();
    let script = script(document, started, &ports);
    for Started { printed, .. } in started {
        assert!(!script.contains(&printed.to_string()), "port {printed} is not replaced:\n{script}");
    }
    let home = tempfile::tempdir().expect("a folder");
    let binaries = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().expect("a folder").to_owned();
    let of_system = std::env::var_os("PATH").expect("a PATH");
    let path = std::iter::once(binaries).chain(path.iter().cloned()).chain(std::env::split_paths(&of_system));
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(home.path())
        .env("PATH", std::env::join_paths(path).expect("a PATH"))
        .env("no_proxy", "*")
        .env_remove("PORTCULLIS_CONFIG")
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{:?}\n{stdout}\n{stderr}", output.status.code());

    let mut statuses = Vec::new();
    for part in stdout.split("@expect ").skip(1) {
        let expected = part.lines().next().expect("a status");
        let answered = part.lines().rfind(|line| line.starts_with("HTTP/"));
        let answered = answered.unwrap_or_else(|| panic!("no answer:\n{stdout}\n{stderr}"));
        assert_eq!(answered.split(' ').nth(1), Some(expected), "{stdout}\n{stderr}");
        statuses.push(expected.to_owned());
    }
    for port in ports {
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "port {port} is still in use");
    }
    Walked { stdout, stderr, statuses }
}

/// A port that nobody had a moment ago, for programs that cannot choose one and say which.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port()
}

/// Background processes end with the script, by the ids that the shell knows. A person takes longer than a script from one
/// line to the next, so it waits until what was started listens. Before each command with a status in a comment stands a
/// line that tells the test what to expect.
fn script(document: &'static str, started: &[Started], ports: &[u16]) -> String {
    let mut walk: String =
        blocks(document).iter().filter(|block| block.kind == "sh walk").map(|block| block.text).collect();
    for (Started { printed, .. }, port) in started.iter().zip(ports) {
        walk = walk.replace(&format!(":{printed}"), &format!(":{port}"));
        walk = walk.replace(&format!(" {printed} "), &format!(" {port} "));
    }
    let mut script = String::from("set -eu\ntrap 'kill $(jobs -p)' EXIT\n");
    for line in walk.lines() {
        let expected = line.rsplit_once('#').map(|(_, comment)| comment.trim()).filter(|c| c.parse::<u16>().is_ok());
        if let Some(status) = expected {
            script.push_str(&format!("echo; echo '@expect {status}'\n"));
        }
        script.push_str(line);
        script.push('\n');
        if line.trim_end().ends_with('&') {
            let started = started.iter().position(|one| line.starts_with(one.program));
            let port = started.map(|at| ports[at]).unwrap_or_else(|| panic!("who listens after `{line}`?"));
            script.push_str(&format!(
                "until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do kill -0 $!; sleep 0.05; done\n"
            ));
        }
    }
    script
}
