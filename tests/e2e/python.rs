//! Programs in Python, in the environment that `scripts/setup` makes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::process::Serving;

/// Only so that a broken test ends; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program of the environment.
pub fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/e2e-venv/bin").join(name);
    assert!(program.exists(), "there is no {}: run scripts/setup", program.display());
    program
}

/// A script of this folder.
fn script(name: &str) -> Command {
    let mut command = Command::new(program("python"));
    // Nothing is written beside the sources, and what is printed comes at once.
    command.args(["-B", "-u"]).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(name));
    for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTHONPATH"] {
        command.env_remove(variable);
    }
    command
}

/// A script that serves on a port that it chooses and prints. It is killed when dropped.
pub struct Server {
    serving: Serving,
    pub port: u16,
}

impl Server {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    pub fn start_with(name: &str, arguments: &[&str]) -> Self {
        let serving = Serving::start(script(name).args(arguments).stdin(Stdio::null()));
        let line = serving.prints("listening on ");
        let port = line.rsplit(' ').next().and_then(|port| port.parse().ok());
        Self { port: port.unwrap_or_else(|| panic!("no port: {line}")), serving }
    }

    /// The first line with this text, once it has been printed.
    #[track_caller]
    pub fn prints(&self, text: &str) -> String {
        self.serving.prints(text)
    }

    /// Waits until lines with this text have been printed so many times.
    #[track_caller]
    pub fn prints_again(&self, text: &str, times: usize) {
        self.serving.prints_times(text, times);
    }

    /// Kills it, and waits for its end.
    pub fn stop(&mut self) {
        self.serving.signal(Signal::KILL);
        self.serving.ended();
    }

    /// All that it printed so far.
    pub fn printed(&self) -> String {
        self.serving.printed()
    }
}

/// A script that is a client: each line of JSON that it reads is a request, each that it prints the answer.
pub struct Client {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Client {
    pub fn start(name: &str) -> Self {
        // What it complains of is shown with the test's own output.
        let mut child = script(name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python can be run");
        let (sender, answers) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { name: name.to_owned(), stdin: child.stdin.take(), child, answers }
    }

    /// Has it do something, and waits for the outcome.
    #[track_caller]
    pub fn ask(&mut self, what: &str, arguments: Value) -> Value {
        let request = json!({ "do": what, "with": arguments });
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        writeln!(stdin, "{request}").unwrap_or_else(|e| panic!("{}: {e}; asked for {request}", self.name));
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.unwrap_or_else(|e| panic!("{}: no answer ({e}) to {request}", self.name));
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{}: {e}: {answer}", self.name));
        assert!(answer.get("broke").is_none(), "{}: {request}\n{}", self.name, answer["broke"].as_str().unwrap_or(""));
        answer["is"].clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It ends by itself at the end of its input, and cleans up.
        self.stdin = None;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
