//! What is asked of the contestants: credentials, configuration, and the proof that the work is done.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portcullis::crypto::{Signer, api_key, session_secret};
use portcullis::model::identity::LOCAL_ISSUER;
use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{RedisAddress, RedisNode, RedisSettings, StoreKind, StoreSettings};
use portcullis::model::{ApiKeyRecord, Clock as _, Principal, SessionRecord, SystemClock, SystemEntropy, Timestamp};
use portcullis::store::Store;
use serde_json::{Map, json};

use crate::Scenario;
use crate::ports::{free_address, wait_for};

/// Header lines, one of which goes with each request, in turn; none: no credential.
pub(crate) type Credentials = Arc<[(&'static str, String)]>;

const ISSUER: &str = "https://bench.invalid";
const MANY: usize = 10_000;

pub(crate) struct Work {
    folder: PathBuf,
    pub(crate) origin: SocketAddr,
    redis: SocketAddr,
    redis_process: Child,
    tokens: Vec<String>,
    keys: Vec<String>,
    sessions: Vec<String>,
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.redis_process.kill();
        let _ = self.redis_process.wait();
    }
}

impl Work {
    /// Starts Redis on core 1 and makes 10,000 tokens, API keys and sessions.
    pub(crate) fn prepare(folder: &Path) -> Self {
        let redis = free_address();
        let redis_process = Command::new("taskset")
            .args(["-c", "1", "redis-server", "--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"])
            .arg(redis.port().to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        wait_for(redis);
        let signer = Signer::generate().expect("a signing key");
        std::fs::write(folder.join("jwks.json"), signer.jwks().to_string()).expect("a JWKS");
        let mut work = Self {
            folder: folder.to_owned(),
            origin: free_address(),
            redis,
            redis_process,
            tokens: (0..MANY).map(|n| token(&signer, n)).collect(),
            keys: Vec::new(),
            sessions: Vec::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work.fill_store());
        work
    }

    async fn fill_store(&mut self) {
        let settings = StoreSettings {
            kind: StoreKind::Redis(RedisSettings {
                address: RedisAddress::Server(RedisNode { host: "127.0.0.1".into(), port: self.redis.port() }),
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
        let now = SystemClock.now();
        for _ in 0..MANY {
            let minted = api_key::mint("bench", &SystemEntropy);
            store.api_keys.create(&key_record(&minted, now)).await.expect("a key is kept");
            self.keys.push(minted.text.expose().clone());
            let (cookie, digest) = session_secret::mint(&SystemEntropy);
            store.sessions.create(&digest, &session_record(now)).await.expect("a session is kept");
            self.sessions.push(cookie.expose().clone());
        }
    }

    /// Portcullis's configuration: every stage on, metrics on.
    pub(crate) fn configuration(&self, listen: SocketAddr) -> String {
        format!(
            r#"
            server.workers = 1
            listener.main.bind = "{listen}"
            health.bind = "127.0.0.1:0"
            store.url = "redis://{redis}"
            log.access = false
            defaults.upstream = "http://{origin}"
            [issuer.bench]
            url = "{ISSUER}"
            audiences = ["bench"]
            keys.jwks_file = "jwks.json"
            [limit.per-address]
            key = "client.address"
            rate = "10000000/s"
            burst = 1000000
            stage = "before_authentication"
            [limit.per-principal]
            key = "identity.principal"
            rate = "10000000/s"
            burst = 1000000
            [roles]
            reader = ["bench:read"]
            admin = ["*"]
            [route]
            s0 = {{ match = "/s0", accept = "anyone" }}
            s1 = {{ match = "/s1", accept = "jwt" }}
            s2 = {{ match = "/s2", accept = "api_key" }}
            s3 = {{ match = "/s3", accept = "session" }}
            s8 = {{ match = "/s8", accept = "jwt", limits = ["per-address", "per-principal"], allow = [{{ roles = ["admin"] }}, {{ permissions = ["bench:read"], scopes = ["bench"] }}] }}
            "#,
            redis = self.redis,
            origin = self.origin,
        )
    }

    /// What is measured, the base of all ratios first.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let bearer = |tokens: &[String]| {
            tokens.iter().map(|t| ("Authorization", format!("Bearer {t}"))).collect::<Credentials>()
        };
        let one = bearer(&self.tokens[..1]);
        let keys: Credentials = self.keys.iter().map(|k| ("X-API-Key", k.clone())).collect();
        let sessions: Credentials = self.sessions.iter().map(|s| ("Cookie", format!("__Host-session={s}"))).collect();
        let ours = |name, what, path, credentials| Scenario { name, what, contestant: "portcullis", path, credentials };
        vec![
            Scenario { name: "S0", what: "pass-through", contestant: "nginx", path: "/s0", credentials: Arc::new([]) },
            ours("S0", "pass-through", "/s0", Arc::new([])),
            ours("S1", "JWT ES256, one token", "/s1", Arc::clone(&one)),
            ours("S1b", "JWT ES256, 10,000 tokens", "/s1", bearer(&self.tokens)),
            ours("S2", "API key, 10,000 keys", "/s2", keys),
            ours("S3", "session, 10,000 sessions", "/s3", sessions),
            ours("S8", "S1 + two limits + policy", "/s8", one),
        ]
    }

    /// A script for wrk that sends the scenario's credentials in turn and prints its figures.
    pub(crate) fn script(&self, scenario: &Scenario) -> PathBuf {
        let path = self.folder.join(format!("{}-{}.lua", scenario.contestant, scenario.name));
        let mut text = String::from("requests = {}\nn = 0\nfunction init(args)\n");
        if scenario.credentials.is_empty() {
            text.push_str("requests[1] = wrk.format('GET', nil, {})\n");
        }
        let list = self.folder.join(format!("{}-{}.txt", scenario.contestant, scenario.name));
        if let Some((header, _)) = scenario.credentials.first() {
            let values: String = scenario.credentials.iter().map(|(_, v)| format!("{v}\n")).collect();
            std::fs::write(&list, values).expect("a list of credentials");
            let _ = writeln!(
                text,
                "for value in io.lines('{}') do requests[#requests + 1] = wrk.format('GET', nil, {{['{header}'] = value}}) end",
                list.display()
            );
        }
        text.push_str(
            "end
function request() n = n % #requests + 1; return requests[n] end
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format('FIGURES %d %d %.1f %.1f %d %d', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
",
        );
        std::fs::write(&path, text).expect("a script");
        path
    }
}

pub(crate) struct Proof {
    pub(crate) with: u16,
    pub(crate) without: u16,
    pub(crate) tampered: u16,
    /// `X-Auth-Subject` as the origin saw it.
    pub(crate) seen: Option<String>,
}

/// Asks with, without and with a tampered credential; a spoofed identity header goes along.
pub(crate) fn prove(address: SocketAddr, scenario: &Scenario) -> Proof {
    let line = |value: &str| scenario.credentials.first().map(|(n, _)| format!("{n}: {value}\r\n")).unwrap_or_default();
    let value = scenario.credentials.first().map(|(_, v)| v.clone()).unwrap_or_default();
    let mut tampered = value.clone();
    if let Some(last) = tampered.pop() {
        tampered.pop();
        tampered.push(if last == 'A' { 'B' } else { 'A' });
        tampered.push(last);
    }
    let (with, head) = ask(address, scenario.path, &line(&value));
    let seen = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("x-seen:").map(|v| v.trim().to_owned()));
    Proof {
        with,
        without: ask(address, scenario.path, "").0,
        tampered: ask(address, scenario.path, &line(&tampered)).0,
        seen,
    }
}

fn ask(address: SocketAddr, path: &str, header: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nX-Auth-Subject: spoofed\r\n{header}\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    (answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0), answer)
}

fn token(signer: &Signer, n: usize) -> String {
    let now = SystemClock.now().as_secs();
    let claims = json!({
        "iss": ISSUER, "sub": "bench", "aud": "bench", "iat": now, "exp": now + 12 * 3600, "jti": format!("token-{n}"),
        "scope": "bench", "roles": ["reader"],
    });
    let claims: Map<_, _> = claims.as_object().cloned().unwrap_or_default();
    signer.sign("at+jwt", &claims, &SystemEntropy).expect("a token")
}

fn key_record(minted: &api_key::MintedKey, now: Timestamp) -> ApiKeyRecord {
    ApiKeyRecord {
        roles: vec!["reader".into()],
        scopes: vec!["bench".into()],
        ..ApiKeyRecord::new(&minted.id, minted.secret_sha256, Principal::new(LOCAL_ISSUER, "bench"), now)
    }
}

fn session_record(now: Timestamp) -> SessionRecord {
    let (id, hour) = (session_secret::public_id(&SystemEntropy), Duration::from_secs(3600));
    let record = SessionRecord::new(&id, Principal::new(LOCAL_ISSUER, "bench"), now, hour, 12 * hour);
    SessionRecord { roles: vec!["reader".into()], ..record }
}
