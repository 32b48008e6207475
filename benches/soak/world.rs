//! The processes, and what is done to them.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::crypto::{Signer, api_key, session_secret};
use portcullis::model::identity::LOCAL_ISSUER;
use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings, StoreKind, StoreSettings};
use portcullis::model::{ApiKeyRecord, Clock as _, Principal, SessionRecord, SystemClock, SystemEntropy};
use portcullis::store::Store;
use serde_json::{Map, json};

const ISSUER: &str = "https://bench.invalid";
/// Of each kind.
const CREDENTIALS: usize = 1_000;

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    reloads: u32,
    upstreams: u32,
    redis: u32,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} reloads, {} restarts of an upstream, {} of Redis", self.reloads, self.upstreams, self.redis)
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    health: SocketAddr,
    /// Lines of a head, one credential each.
    pub(crate) credentials: Vec<String>,
    folder: tempfile::TempDir,
    upstreams: [(SocketAddr, Child); 2],
    redis: (SocketAddr, Child),
    portcullis: Child,
}

impl World {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [address, health, one, two, redis_at] = [(); 5].map(|()| free_address());
        let upstreams = [(one, nginx(folder.path(), one)), (two, nginx(folder.path(), two))];
        let redis = (redis_at, redis(folder.path(), redis_at));
        for address in [one, two, redis_at] {
            wait_for(address).await;
        }
        let signer = Signer::generate().expect("a signing key");
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).expect("a JWKS");
        let credentials = credentials(&signer, redis_at).await;
        configure(
            folder.path(),
            &format!(
                r#"
            server = {{ workers = 1, shed_above = "off" }}
            listener.main.bind = "{address}"
            health.bind = "{health}"
            store.url = "redis://{redis_at}"
            log.access = false
            [upstream.app]
            endpoints = ["http://{one}", "http://{two}"]
            [issuer.bench]
            url = "{ISSUER}"
            audiences = ["bench"]
            keys.jwks_file = "jwks.json"
            [route]
            app = {{ match = "/", accept = ["jwt", "api_key", "session"], upstream = "app" }}
            "#
            ),
        );
        let portcullis = portcullis(folder.path());
        Self { address, health, credentials, folder, upstreams, redis, portcullis }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.portcullis.id()
    }

    /// Writes the configuration anew, a little different, and says so.
    pub(crate) fn reload(&self, trouble: &mut Trouble) {
        trouble.reloads += 1;
        let file = self.folder.path().join("portcullis.toml");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        let text = text.lines().filter(|line| !line.starts_with("# reload")).collect::<Vec<_>>().join("\n");
        configure(self.folder.path(), &format!("{text}\n# reload {}\n", trouble.reloads));
        signal("HUP", self.pid());
    }

    /// Ends one of the upstreams as its operator would, and starts it again.
    pub(crate) async fn restart_upstream(&mut self, trouble: &mut Trouble) {
        let which = usize::from(trouble.upstreams % 2 == 1);
        trouble.upstreams += 1;
        let folder = self.folder.path().to_owned();
        let Some((address, child)) = self.upstreams.get_mut(which) else { return };
        signal("QUIT", child.id());
        ended(child).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        *child = nginx(&folder, *address);
        wait_for(*address).await;
    }

    /// Ends Redis, and starts it again with what it had.
    pub(crate) async fn restart_redis(&mut self, trouble: &mut Trouble) {
        trouble.redis += 1;
        let (address, child) = &mut self.redis;
        signal("TERM", child.id());
        ended(child).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        *child = redis(self.folder.path(), *address);
        wait_for(*address).await;
    }

    /// Lines of `/metrics` that begin so.
    pub(crate) fn metric(&self, name: &str) -> String {
        let mut stream = TcpStream::connect(self.health).expect("a connection");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>().join(", ")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let [(_, one), (_, two)] = &mut self.upstreams;
        for child in [&mut self.portcullis, one, two, &mut self.redis.1] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// In one step, as a careful operator does.
fn configure(folder: &Path, text: &str) {
    let (new, file) = (folder.join("portcullis.toml.new"), folder.join("portcullis.toml"));
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &file)).expect("a configuration");
}

fn portcullis(folder: &Path) -> Child {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", env!("CARGO_BIN_EXE_portcullis"), "run", "--config"]).arg(folder.join("portcullis.toml"));
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("portcullis starts");
    let mut log = BufReader::new(child.stderr.take().expect("its log")).lines();
    assert!(log.any(|line| line.is_ok_and(|line| line.contains("ready"))), "portcullis does not become ready");
    std::thread::spawn(move || log.for_each(drop));
    child
}

fn nginx(folder: &Path, address: SocketAddr) -> Child {
    let at = folder.join(format!("nginx-{}", address.port()));
    std::fs::create_dir_all(&at).expect("a folder");
    let here = at.display();
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {here}/pid; error_log {here}/error.log warn;
         events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 100000; keepalive_timeout 600s;
           client_body_temp_path {here}/c; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f;
           uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
           server {{ listen {address} backlog=4096; location / {{ default_type text/plain; return 200 'hello'; }} }} }}"
    );
    std::fs::write(at.join("nginx.conf"), text).expect("a configuration");
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("taskset");
    command
        .env("PATH", path)
        .args(["-c", "1", "nginx", "-e", "stderr", "-p"])
        .arg(&at)
        .arg("-c")
        .arg(at.join("nginx.conf"));
    command.stdin(Stdio::null()).spawn().expect("nginx starts")
}

fn redis(folder: &Path, address: SocketAddr) -> Child {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "redis-server", "--save", "", "--appendonly", "yes", "--bind", "127.0.0.1", "--port"]);
    command.arg(address.port().to_string()).arg("--dir").arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("redis-server starts")
}

fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(done.is_ok_and(|status| status.success()), "{pid} cannot be told {name}");
}

async fn ended(child: &mut Child) {
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn wait_for(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on {address}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}

/// Tokens, API keys and sessions, in turn.
async fn credentials(signer: &Signer, redis: SocketAddr) -> Vec<String> {
    let settings = StoreSettings {
        kind: StoreKind::Redis(RedisSettings {
            address: RedisAddress::Server(RedisNode { host: "127.0.0.1".into(), port: redis.port() }),
            tls: None,
            database: 0,
            username: None,
            password: None,
        }),
        prefix: "pc:".into(),
        timeout: Duration::from_secs(5),
        replicas: 1,
    };
    let store = Store::open(&settings, Arc::new(SystemClock), Arc::new(Unobserved)).expect("the store opens");
    let (now, hour) = (SystemClock.now(), Duration::from_secs(3600));
    let mut lines = Vec::new();
    for n in 0..CREDENTIALS {
        let seconds = now.as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": "bench", "aud": "bench", "iat": seconds, "exp": seconds + 12 * 3600, "jti": n.to_string(),
        });
        let claims: Map<_, _> = claims.as_object().cloned().unwrap_or_default();
        let token = signer.sign("at+jwt", &claims, &SystemEntropy).expect("a token");
        lines.push(format!("authorization: Bearer {token}"));
        let minted = api_key::mint("bench", &SystemEntropy);
        let owner = Principal::new(LOCAL_ISSUER, "bench");
        let record = ApiKeyRecord::new(&minted.id, minted.secret_sha256, owner.clone(), now);
        store.api_keys.create(&record).await.expect("a key is kept");
        lines.push(format!("x-api-key: {}", minted.text.expose()));
        let (cookie, digest) = session_secret::mint(&SystemEntropy);
        let record = SessionRecord::new(&session_secret::public_id(&SystemEntropy), owner, now, hour, 12 * hour);
        store.sessions.create(&digest, &record).await.expect("a session is kept");
        lines.push(format!("cookie: __Host-session={}", cookie.expose()));
    }
    lines
}
