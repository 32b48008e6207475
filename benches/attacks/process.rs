//! Portcullis as a process, and what the kernel says of it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis::crypto::dev_certs::DevCertificates;
use portcullis::model::{Clock as _, SystemClock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::upstream;

/// One that runs; it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) clear: SocketAddr,
    pub(crate) tls: SocketAddr,
}

/// As many open files as the system lets us have, here and in what is started.
pub(crate) fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

impl Process {
    /// Defaults, with timeouts that an attack of seconds outlives.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ca = DevCertificates::new(SystemClock.now()).expect("a CA");
        let made = ca.server(&["localhost"]).expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("ca.pem", &ca.ca_pem());
        write("server.pem", &made.chain_pem);
        write("server.key", made.key_pem.expose());
        write("portcullis.toml", &configuration(upstream::start()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--config", "portcullis.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let (mut clear, mut tls) = (None, None);
        let mut log = String::new();
        while clear.is_none() || tls.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("it does not start:\n{log}"));
            let address = || line.split("127.0.0.1:").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
            if line.contains("listener=\"main\"") {
                clear = address().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
            } else if line.contains("listener=\"secure\"") {
                tls = address().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
            }
            log.push_str(&line);
            log.push('\n');
        }
        // A full pipe would make it wait.
        std::thread::spawn(move || lines.for_each(drop));
        std::thread::sleep(Duration::from_millis(300));
        Self { child, folder, clear: clear.expect("main"), tls: tls.expect("secure") }
    }

    pub(crate) fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Resident memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(upstream: SocketAddr) -> String {
    format!(
        r#"
server.workers = 2
health.bind = "127.0.0.1:0"
[listener.main]
bind = "127.0.0.1:0"
max_connections = 25000
timeouts = {{ handshake = "3s", header = "3s", idle = "60s", send = "3s" }}
[listener.secure]
bind = "127.0.0.1:0"
max_connections = 25000
timeouts = {{ handshake = "3s", header = "3s", idle = "60s", send = "3s" }}
tls = {{ certificates = [{{ chain = "server.pem", key = "server.key" }}] }}
[upstream.service]
endpoints = ["http://{upstream}"]
max_connections = 1000
timeouts = {{ response = "3s" }}
[route.all]
match = "/{{*rest}}"
accept = "anyone"
upstream = "service"
listeners = ["main", "secure"]
"#
    )
}
