//! Several processes that share one Redis, credentials of every kind, and witnesses of what each process makes of them.

mod credentials;
mod witness;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis::crypto::Signer;
use tempfile::TempDir;

use super::certificates::Authority;
use super::process::Serving;
use super::upstream::Upstream;

pub use credentials::{Credential, Credentials, Kind};
pub use witness::Watch;

/// The `iss` of the fleet's tokens.
pub const ISSUER: &str = "https://id.fleet.test";

/// What all instances have in common: a folder, an issuer's key, a certificate authority, a service behind them.
pub struct Fleet {
    folder: TempDir,
    upstream: Upstream,
    signer: Signer,
    authority: Authority,
    max_staleness: &'static str,
}

/// One process.
pub struct Instance {
    serving: Serving,
    folder: PathBuf,
}

impl Fleet {
    /// Nobody runs yet. Each instance refuses everything once it has been out of touch for `max_staleness`.
    pub fn new(max_staleness: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::generate().expect("a key");
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).expect("a JWKS");
        let mut authority = Authority::new(folder.path());
        authority.server("server", &["localhost"]);
        Self { folder, upstream: Upstream::forgetful(), signer, authority, max_staleness }
    }

    /// Starts a process that finds its Redis at this URL, and waits until it is ready.
    pub fn start(&self, name: &str, redis: &str) -> Instance {
        let instance = self.begin(name, redis);
        Instance { serving: instance.serving.ready(), ..instance }
    }

    /// The same without waiting.
    pub fn begin(&self, name: &str, redis: &str) -> Instance {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("portcullis.toml"), self.configuration(redis)).expect("a file can be written");
        Instance { serving: Serving::run(&folder), folder }
    }

    /// The folder with `ca.pem`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn configuration(&self, redis: &str) -> String {
        let (upstream, max_staleness) = (self.upstream.url(), self.max_staleness);
        format!(
            r#"
            server = {{ workers = 1, drain_delay = "0s", shutdown_grace = "10s" }}
            listener.main.bind = "127.0.0.1:0"
            health.bind = "127.0.0.1:0"
            admin.socket = "admin.sock"
            store = {{ url = "{redis}", timeout = "1s" }}
            revocation.max_staleness = "{max_staleness}"
            log.access = false
            [listener.mutual]
            bind = "127.0.0.1:0"
            [listener.mutual.tls]
            certificates = [{{ chain = "../server.pem", key = "../server.key" }}]
            client_auth = {{ mode = "optional", ca = "../ca.pem" }}
            [issuer.main]
            url = "{ISSUER}"
            audiences = ["fleet"]
            keys.jwks_file = "../jwks.json"
            [[mtls]]
            match = {{ uri = "spiffe://fleet.test/{{name}}" }}
            [route.all]
            match = "/{{*rest}}"
            accept = ["jwt:main", "session", "api_key", "mtls"]
            listeners = ["main", "mutual"]
            upstream = "{upstream}"
            "#
        )
    }
}

impl Instance {
    /// Where it listens, clear text.
    pub fn address(&self) -> SocketAddr {
        self.serving.address("main")
    }

    /// Where it listens and asks for certificates.
    pub fn mutual(&self) -> SocketAddr {
        self.serving.address("mutual")
    }

    /// The process.
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until it is ready.
    pub fn ready(self) -> Self {
        Self { serving: self.serving.ready(), ..self }
    }
}
