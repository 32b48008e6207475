//! A real `redis-server` of its own for each test: other ports, another folder, nothing on disk unless asked.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings, RedisTls, StoreKind, StoreSettings};
use portcullis::model::{Secret, SystemClock};
use portcullis::store::Store;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server; it ends when this is dropped. It listens on TCP (or TLS) at 127.0.0.1 and on a Unix socket.
pub struct Redis {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    options: RedisOptions,
}

/// How a server is to be.
#[derive(Default, Clone)]
pub struct RedisOptions {
    tls: bool,
    sentinel: bool,
    /// With `ca.pem`, `server.pem`, `server.key`; otherwise the server makes its own.
    certificates: Option<PathBuf>,
    password: Option<String>,
    lines: Vec<String>,
}

impl RedisOptions {
    /// TLS instead of plain TCP; [`Redis::ca`] is the certificate to trust, `localhost` the name.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// TLS with the `ca.pem`, `server.pem` and `server.key` of this folder, also between servers.
    pub fn tls_from(mut self, folder: &Path) -> Self {
        self.certificates = Some(folder.to_owned());
        self.tls().line("tls-replication yes").line("tls-cluster yes")
    }

    /// A sentinel.
    pub fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// The password of the default user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// A line of `redis.conf`.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Starts it and waits until it accepts connections.
    pub fn start(self) -> Redis {
        let mut redis = self.prepare();
        redis.restart();
        redis
    }

    /// Everything but the process: its address is known, and nobody listens there.
    pub fn prepare(self) -> Redis {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let redis = Redis { child: None, folder, port: free_port(), options: self };
        if redis.options.tls && redis.options.certificates.is_none() {
            redis.write_certificates();
        }
        redis
    }
}

impl Redis {
    /// A plain one.
    pub fn start() -> Self {
        RedisOptions::default().start()
    }

    /// With options.
    pub fn with() -> RedisOptions {
        RedisOptions::default()
    }

    /// `redis://…` or `rediss://…`, without user and password.
    pub fn url(&self) -> String {
        match self.options.tls {
            true => format!("rediss://localhost:{}", self.port),
            false => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// `redis+unix://…`.
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The certificate to trust.
    pub fn ca(&self) -> PathBuf {
        self.certificates().join("ca.pem")
    }

    fn certificates(&self) -> &Path {
        self.options.certificates.as_deref().unwrap_or_else(|| self.folder.path())
    }

    /// The password of the default user, if it has one.
    pub fn given_password(&self) -> Option<String> {
        self.options.password.clone()
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How a store reaches it, as the default user.
    pub fn settings(&self) -> RedisSettings {
        let host = if self.options.tls { "localhost" } else { "127.0.0.1" };
        let address = RedisAddress::Server(RedisNode { host: host.into(), port: self.port });
        let tls = self.options.tls.then(|| RedisTls { ca: Some(self.ca()), certificate: None });
        let password = self.options.password.clone().map(Secret::new);
        RedisSettings { address, tls, database: 0, username: None, password }
    }

    /// A store in it that is patient with a busy machine.
    pub fn store(&self) -> Store {
        open(self.settings(), "pc:", Duration::from_secs(20))
    }

    /// One command, over the Unix socket and past every store.
    pub fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap_or_else(|e| panic!("{words:?}: {e}"))
    }

    /// The same where it may refuse.
    pub fn try_command<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let password = self.options.password.as_ref().map(|p| format!("?pass={p}")).unwrap_or_default();
        let client = redis::Client::open(format!("unix://{}{password}", self.socket().display())).expect("an address");
        let mut connection = client.get_connection().expect("redis-server answers on its socket");
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection)
    }

    /// Ends the process at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().expect("redis-server can be waited for");
        }
    }

    /// Starts it where it was, with the data of the last `SAVE` if there was one, and waits until it accepts
    /// connections.
    pub fn restart(&mut self) {
        self.kill();
        let configuration = self.folder.path().join("redis.conf");
        // A sentinel keeps what it learns there.
        if !(self.options.sentinel && configuration.exists()) {
            std::fs::write(&configuration, self.configuration()).expect("redis.conf can be written");
        }
        let mut child = Command::new("redis-server")
            .arg(&configuration)
            .args(self.options.sentinel.then_some("--sentinel"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start `redis-server` ({e}): run `make test`, which installs it"));
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        self.child = Some(child);
        let mut told = String::new();
        loop {
            let Some(Ok(line)) = output.next() else { panic!("redis-server ended:\n{told}") };
            let line = line.to_lowercase();
            if line.contains("ready to accept connections") || line.contains("sentinel id is") {
                break;
            }
            let _ = writeln!(told, "{line}");
        }
        // So that it can go on talking.
        std::thread::spawn(move || output.for_each(drop));
    }

    /// Lets it hang: connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let id = Pid::from_raw(child.id().try_into().expect("a process id")).expect("a process id");
        kill_process(id, signal).expect("a signal can be sent");
    }

    fn configuration(&self) -> String {
        let file = |name: &str| self.certificates().join(name).display().to_string();
        let disk = if self.options.sentinel { "" } else { "save ''\nappendonly no\n" };
        let mut text = format!(
            "bind 127.0.0.1\n{disk}daemonize no\ndir {}\nunixsocket {}\n",
            self.folder.path().display(),
            self.socket().display()
        );
        let _ = match self.options.tls {
            false => writeln!(text, "port {}", self.port),
            true => writeln!(
                text,
                "port 0\ntls-port {}\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}",
                self.port,
                file("server.pem"),
                file("server.key"),
                file("ca.pem"),
            ),
        };
        if let Some(password) = &self.options.password {
            let _ = writeln!(text, "requirepass {password}");
        }
        text + &self.options.lines.join("\n") + "\n"
    }

    fn write_certificates(&self) {
        let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().expect("a key");
        let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = server.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
        for (name, text) in
            [("ca.pem", ca_certificate.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
        {
            std::fs::write(self.folder.path().join(name), text).expect("a file can be written");
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A store in Redis.
pub fn open(settings: RedisSettings, prefix: &str, timeout: Duration) -> Store {
    let settings = StoreSettings { kind: StoreKind::Redis(settings), prefix: prefix.into(), timeout, replicas: 1 };
    Store::open(&settings, Arc::new(SystemClock), Arc::new(Unobserved)).expect("a store opens without connecting")
}

/// Asks again until it is so.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "it does not come true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
