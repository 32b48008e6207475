//! The whole of Portcullis within the test process, on ports of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::app::{App, Options, Running, StartError};
use portcullis::config::Problems;
use portcullis::crypto::{Signer, api_key, session_secret};
use portcullis::model::identity::LOCAL_ISSUER;
use portcullis::model::observer::Unobserved;
use portcullis::model::settings::{StoreKind, StoreSettings};
use portcullis::model::{ApiKeyRecord, Clock, Principal, SessionRecord, SystemClock, SystemEntropy, Timestamp};
use portcullis::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The `iss` of [`Setup::token`].
pub const ISSUER: &str = "https://id.example.com";

/// What is there before Portcullis starts: a folder, keys and sessions in a store file, an issuer with one key.
pub struct Setup {
    folder: TempDir,
    signer: Signer,
    store: Store,
}

/// Portcullis, running. Ends when dropped.
pub struct Portcullis {
    pub running: Running,
    setup_folder: TempDir,
    signer: Signer,
}

impl Setup {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::generate().expect("a key");
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).expect("a JWKS");
        let settings = StoreSettings {
            kind: StoreKind::Memory { file: Some(folder.path().join("store.json")) },
            prefix: "pc:".into(),
            timeout: Duration::from_secs(5),
            replicas: 1,
        };
        let store = Store::open(&settings, Arc::new(SystemClock), Arc::new(Unobserved)).expect("the store opens");
        Self { folder, signer, store }
    }

    /// The folder that relative paths of the configuration mean.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The issuer's key.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// A key of `alice`, with the role `reader` and the scope `read` unless `change` says otherwise; its text.
    pub fn api_key(&self, change: impl FnOnce(&mut ApiKeyRecord)) -> String {
        let minted = api_key::mint("test", &SystemEntropy);
        let alice = Principal::new(LOCAL_ISSUER, "alice");
        let mut record = ApiKeyRecord {
            roles: vec!["reader".into()],
            scopes: vec!["read".into()],
            ..ApiKeyRecord::new(&minted.id, minted.secret_sha256, alice, SystemClock.now())
        };
        change(&mut record);
        block_on(self.store.api_keys.create(&record)).expect("the key is kept");
        minted.text.expose().clone()
    }

    /// A session of `alice`, with the role `reader` unless `change` says otherwise; the cookie's value.
    pub fn session(&self, change: impl FnOnce(&mut SessionRecord)) -> String {
        let (cookie, digest) = session_secret::mint(&SystemEntropy);
        let id = session_secret::public_id(&SystemEntropy);
        let (alice, hour) = (Principal::new(LOCAL_ISSUER, "alice"), Duration::from_secs(3600));
        let mut record = SessionRecord {
            roles: vec!["reader".into()],
            ..SessionRecord::new(&id, alice, SystemClock.now(), hour / 2, 12 * hour)
        };
        change(&mut record);
        block_on(self.store.sessions.create(&digest, &record)).expect("the session is kept");
        cookie.expose().clone()
    }

    /// A token of `issuer.main` for `alice`, its claims replaced or (with `null`) removed by those of `changes`.
    pub fn token(&self, changes: Value) -> String {
        token(&self.signer, changes)
    }

    /// Starts with this configuration, below a preamble that has one clear-text listener `main`, the store, the issuer
    /// `main`, the role `reader` (permission `read`) and one worker.
    pub fn start(self, configuration: &str) -> Portcullis {
        self.try_start(&format!("{PREAMBLE}\n{configuration}")).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The same, with these keys of the preamble's own tables (`listener.main.trusted_proxies = […]`) before all else.
    pub fn start_with(self, keys: &str, configuration: &str) -> Portcullis {
        self.try_start(&format!("{keys}\n{PREAMBLE}\n{configuration}")).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Starts with exactly this configuration.
    pub fn try_start(self, configuration: &str) -> Result<Portcullis, StartError> {
        self.try_start_by(Arc::new(SystemClock), configuration)
    }

    /// The same by another clock.
    pub fn try_start_by(self, clock: Arc<dyn Clock>, configuration: &str) -> Result<Portcullis, StartError> {
        // Two holders of one store file would not see each other's changes.
        drop(self.store);
        let loaded = portcullis::config::parse(configuration, "test.toml", self.folder.path(), &[])
            .unwrap_or_else(|problems| panic!("{}", rendered(&problems)));
        let running = App::start(loaded.settings, Options { clock, ..Options::default() })?;
        assert!(block_on(running.ready()), "it starts to drain before it is ready");
        Ok(Portcullis { running, setup_folder: self.folder, signer: self.signer })
    }
}

impl Portcullis {
    /// With nothing but routes.
    pub fn start(configuration: &str) -> Self {
        Setup::new().start(configuration)
    }

    /// Where the listener `main` is.
    pub fn address(&self) -> SocketAddr {
        self.running.address("main").expect("listener.main")
    }

    /// Where health and metrics are.
    pub fn health(&self) -> SocketAddr {
        self.running.health_address().expect("health")
    }

    /// The folder that relative paths of the configuration mean.
    pub fn folder(&self) -> &Path {
        self.setup_folder.path()
    }

    /// A token of `issuer.main`, as [`Setup::token`] makes them.
    pub fn token(&self, changes: Value) -> String {
        token(&self.signer, changes)
    }

    /// Ends it with patience.
    pub fn shutdown(self) -> portcullis::app::Drained {
        block_on(self.running.shutdown())
    }
}

const PREAMBLE: &str = r#"
server.workers = 1
server.drain_delay = "0s"
server.shutdown_grace = "10s"
listener.main.bind = "127.0.0.1:0"
health.bind = "127.0.0.1:0"
admin.socket = "admin.sock"
store.url = "memory:store.json"
[issuer.main]
url = "https://id.example.com"
audiences = ["orders"]
keys.jwks_file = "jwks.json"
[roles]
reader = ["read"]
writer = { inherits = ["reader"], permissions = ["write"] }
"#;

/// An `Authorization` line.
pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A `Cookie` line with the session cookie.
pub fn cookie(value: &str) -> String {
    format!("Cookie: __Host-session={value}\r\n")
}

/// All problems, as they would be printed.
pub fn rendered(problems: &Problems) -> String {
    problems.problems.iter().map(|p| p.rendered.as_str()).collect::<Vec<_>>().join("\n")
}

/// Runs a future to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A token that this key signs, as [`Setup::token`] makes them.
pub fn token(signer: &Signer, changes: Value) -> String {
    let now: Timestamp = SystemClock.now();
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "orders", "iat": now.as_secs(), "exp": now.as_secs() + 600,
        "scope": "read", "roles": ["reader"],
    });
    let claims = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object of changes") {
        match value {
            Value::Null => claims.remove(name),
            value => claims.insert(name.clone(), value.clone()),
        };
    }
    signer.sign("at+jwt", claims, &SystemEntropy).expect("a token")
}
