//! The proxy under load, its origin, and tokens that it has not seen.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::crypto::Signer;
use portcullis::model::{Clock as _, SystemClock, SystemEntropy};
use serde_json::{Map, json};

const ISSUER: &str = "https://bench.invalid";

/// Processes that end when this is dropped.
pub(crate) struct Subject {
    pub(crate) address: SocketAddr,
    signer: Signer,
    next: Cell<u64>,
    folder: tempfile::TempDir,
    children: Vec<Child>,
}

impl Subject {
    /// With one worker on core 0.
    pub(crate) fn start(binary: &str, shed_above: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (origin, address) = (free_address(), free_address());
        let signer = Signer::generate().expect("a signing key");
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).expect("a JWKS");
        let configuration = format!(
            r#"
            server = {{ workers = 1, shed_above = "{shed_above}" }}
            listener.main.bind = "{address}"
            log.access = false
            defaults.upstream = "http://{origin}"
            [issuer.bench]
            url = "{ISSUER}"
            audiences = ["bench"]
            keys.jwks_file = "jwks.json"
            [route]
            app = {{ match = "/", accept = "jwt" }}
            "#
        );
        std::fs::write(folder.path().join("portcullis.toml"), configuration).expect("a configuration");
        let mut subject = Self { address, signer, next: Cell::new(0), folder, children: Vec::new() };
        subject.start_origin(origin);
        subject.start_portcullis(binary);
        subject
    }

    fn start_origin(&mut self, origin: SocketAddr) {
        let at = self.folder.path().display();
        let text = format!(
            "daemon off; master_process off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/error.log warn;
             events {{ worker_connections 8192; }}
             http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
               client_body_temp_path {at}/c; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u;
               scgi_temp_path {at}/s;
               server {{ listen {origin} backlog=4096; location / {{ default_type text/plain; return 200 'hello'; }} }} }}"
        );
        let file = self.folder.path().join("nginx.conf");
        std::fs::write(&file, text).expect("a configuration");
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut nginx = Command::new("taskset");
        nginx
            .env("PATH", path)
            .args(["-c", "1", "nginx", "-e", "stderr", "-p"])
            .arg(self.folder.path())
            .arg("-c")
            .arg(&file);
        self.children.push(nginx.stdin(Stdio::null()).spawn().expect("nginx starts"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(origin).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn start_portcullis(&mut self, binary: &str) {
        let mut portcullis = Command::new("taskset");
        portcullis.args(["-c", "0", binary, "run", "--config"]);
        portcullis.arg(self.folder.path().join("portcullis.toml"));
        let mut child = portcullis.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("portcullis starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log")).lines();
        assert!(log.any(|line| line.is_ok_and(|line| line.contains("ready"))), "portcullis does not become ready");
        std::thread::spawn(move || log.for_each(drop));
        self.children.push(child);
    }

    /// A request with a token of its own.
    pub(crate) fn request(&self) -> Vec<u8> {
        let (now, n) = (SystemClock.now().as_secs(), self.next.get());
        self.next.set(n + 1);
        let claims = json!({
            "iss": ISSUER, "sub": "bench", "aud": "bench", "iat": now, "exp": now + 3600, "jti": n.to_string(),
        });
        let claims: Map<_, _> = claims.as_object().cloned().unwrap_or_default();
        let token = self.signer.sign("at+jwt", &claims, &SystemEntropy).expect("a token");
        format!("GET / HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}
