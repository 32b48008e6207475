//! The built binary, as a user runs it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Only so that a broken test ends; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, in a folder, with nothing of the tester's environment that it would read.
pub fn portcullis(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    isolated(&mut command, folder);
    command
}

fn isolated<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.current_dir(folder).env_remove("PORTCULLIS_CONFIG").stdin(Stdio::null())
}

/// Runs a verb to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    // A start that ought to be refused would serve for ever: exit code 124 instead.
    let mut command = Command::new("timeout");
    command.args(["60", env!("CARGO_BIN_EXE_portcullis")]).args(arguments);
    ended(&isolated(&mut command, folder).output().expect("the binary can be run"))
}

/// The same with something on standard input.
pub fn run_with_input(folder: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut command = portcullis(folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary can be run");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("input can be written");
    ended(&child.wait_with_output().expect("the binary ends"))
}

fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A verb that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// It ended well; what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// It ended well; what it printed, as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|problem| panic!("no JSON ({problem}): {text}"))
    }

    /// It ended with this code and said all of this on standard error.
    #[track_caller]
    pub fn failed(self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in says {
            assert!(self.stderr.contains(text), "`{text}` is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// A process that serves; it is killed when dropped.
pub struct Serving {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Serving {
    /// `portcullis run --config portcullis.toml` in a folder.
    pub fn run(folder: &Path) -> Self {
        Self::start(portcullis(folder).args(["run", "--config", "portcullis.toml"]))
    }

    /// Any command.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be run");
        let stdout = Lines::of(child.stdout.take().expect("a pipe"));
        let stderr = Lines::of(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    /// The first line of its log that holds this text, once there is one.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        self.stderr.wait_for(text)
    }

    /// The line with this text that comes after so many others with it, once there is one.
    #[track_caller]
    pub fn says_after(&self, text: &str, others: usize) -> String {
        self.stderr.wait(text, |lines| lines.iter().filter(|line| line.contains(text)).nth(others).cloned())
    }

    /// The first line that it printed on standard output with this text, once there is one.
    #[track_caller]
    pub fn prints(&self, text: &str) -> String {
        self.stdout.wait_for(text)
    }

    /// Waits until so many lines with this text stand on standard output.
    #[track_caller]
    pub fn prints_times(&self, text: &str, times: usize) {
        let enough = |lines: &[String]| lines.iter().filter(|line| line.contains(text)).count() >= times;
        self.stdout.wait(text, |lines| enough(lines).then_some(()));
    }

    /// What it printed, once it is JSON.
    #[track_caller]
    pub fn prints_json(&self) -> serde_json::Value {
        self.stdout.wait("JSON", |lines| serde_json::from_str(&lines.join("\n")).ok())
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        self.stderr.all()
    }

    /// All that it printed so far on standard output.
    pub fn printed(&self) -> String {
        self.stdout.all()
    }

    /// Where the listener of this name listens.
    #[track_caller]
    pub fn address(&self, listener: &str) -> SocketAddr {
        let named =
            [format!("listening listener=\"{listener}\""), format!("\"listening\",\"listener\":\"{listener}\"")];
        bind_in(&self.stderr.wait("listening", |lines| {
            lines.iter().find(|line| named.iter().any(|named| line.contains(named))).cloned()
        }))
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    #[track_caller]
    pub fn health(&self) -> SocketAddr {
        bind_in(&self.says("health and metrics"))
    }

    /// Where operations are over TCP.
    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        bind_in(&self.says("operations, with the token"))
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn ready(self) -> Self {
        self.stderr.wait("ready", |lines| {
            lines.iter().any(|line| line.ends_with(" ready") || line.contains("\"message\":\"ready\"")).then_some(())
        });
        self
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it still runs");
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line of either form of log.
#[track_caller]
fn bind_in(line: &str) -> SocketAddr {
    let bind = line.split("bind=").nth(1).or_else(|| line.split("\"bind\":\"").nth(1));
    let bind = bind.and_then(|rest| rest.split([' ', '"']).next());
    bind.and_then(|bind| bind.parse().ok()).unwrap_or_else(|| panic!("no address in: {line}"))
}

/// Lines that a thread collects.
#[derive(Clone, Default)]
struct Lines(Arc<Collected>);

#[derive(Default)]
struct Collected {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        let lines = Self::default();
        let for_thread = lines.clone();
        std::thread::spawn(move || {
            let Collected { state, arrived } = &*for_thread.0;
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                state.lock().expect("no panic").lines.push(line);
                arrived.notify_all();
            }
            state.lock().expect("no panic").ended = true;
            arrived.notify_all();
        });
        lines
    }

    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        self.wait(text, |lines| lines.iter().find(|line| line.contains(text)).cloned())
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, found: impl Fn(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let Collected { state, arrived } = &*self.0;
        let mut guard = state.lock().expect("no panic");
        loop {
            if let Some(found) = found(&guard.lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!guard.ended && !left.is_zero(), "`{what}` never came; instead:\n{}", guard.lines.join("\n"));
            guard = arrived.wait_timeout(guard, left).expect("no panic").0;
        }
    }

    fn all(&self) -> String {
        self.0.state.lock().expect("no panic").lines.join("\n")
    }
}

/// A folder with a `portcullis.toml`.
pub fn folder(configuration: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("portcullis.toml"), configuration).expect("a file can be written");
    let path = folder.path().to_owned();
    (folder, path)
}
