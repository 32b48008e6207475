//! Portcullis as it is deployed: the built binary, its own process, TLS.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::certificates::{Authority, Curled, curl};
use crate::harness::process::{Serving, folder, run};

/// Hosts that its certificate is good for.
pub const HOST: &str = "localhost";
pub const APP: &str = "app.example";
/// To browsers the same site as [`APP`]: its cookies go along with what pages from here send there.
pub const NEIGHBOUR: &str = "forum.app.example";
pub const ELSEWHERE: &str = "elsewhere.example";

/// A listener `main` with TLS, operations on a socket, a store in memory. Ends when dropped.
pub struct Front {
    folder: PathBuf,
    pub serving: Serving,
    /// Removed after the process has ended.
    _guard: tempfile::TempDir,
}

impl Front {
    /// With these routes and upstreams, and what they need.
    pub fn start(configuration: &str) -> Self {
        Self::start_in(configuration, |_| {})
    }

    /// The same with more files in the folder. There are `ca.pem`, `server.pem`, `server.key`; certificates of clients are
    /// accepted from whom `clients.pem` names.
    pub fn start_in(configuration: &str, prepare: impl FnOnce(&Path)) -> Self {
        let (guard, folder) = folder(&format!("{PREAMBLE}{configuration}"));
        Authority::new(&folder).server("server", &[HOST, APP, NEIGHBOUR, ELSEWHERE]);
        Authority::named(&folder, "clients").client("shop", "spiffe://cluster.local/ns/shop/sa/orders");
        prepare(&folder);
        let serving = Serving::run(&folder).ready();
        Self { folder, serving, _guard: guard }
    }

    /// Where its configuration and certificates are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port of the listener `main`.
    pub fn port(&self) -> u16 {
        self.serving.address("main").port()
    }

    /// `https://localhost:PORT` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.port())
    }

    /// curl, in the folder.
    pub fn curl(&self, arguments: &[&str]) -> Curled {
        curl(&self.folder, arguments)
    }

    /// A session of this subject: its public id, and the cookie (name and value).
    pub fn session(&self, subject: &str, more: &[&str]) -> (String, String) {
        let made = self.run(&["sessions", "create", "--subject", subject, "--json"], more).json();
        (text(&made, "/session/id"), text(&made, "/cookie"))
    }

    /// An API key of this subject: its public id, and its text.
    pub fn key(&self, subject: &str, more: &[&str]) -> (String, String) {
        let made = self.run(&["keys", "create", "--subject", subject, "--json"], more).json();
        (text(&made, "/record/id"), text(&made, "/key"))
    }

    /// Any verb of the command line that ends well.
    #[track_caller]
    pub fn do_it(&self, arguments: &[&str]) {
        self.run(arguments, &[]).ok();
    }

    fn run(&self, arguments: &[&str], more: &[&str]) -> crate::harness::process::Ended {
        run(&self.folder, &[arguments, more].concat())
    }
}

fn text(made: &Value, place: &str) -> String {
    let text = made.pointer(place).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no `{place}` in {made:#}")).to_owned()
}

/// Nothing is refused for want of CPU time: that of a build without optimization on a busy machine says nothing.
const PREAMBLE: &str = r#"
server.workers = 2
server.shed_above = "off"
admin.socket = "admin.sock"
store.url = "memory:"
listener.main.bind = "127.0.0.1:0"
listener.main.tls.certificates = [{ chain = "server.pem", key = "server.key" }]
listener.main.tls.client_auth = { mode = "optional", ca = "clients.pem" }
"#;
