//! Another configuration in place of the one in force, with connections and requests going on.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use portcullis::admin::ReloadView;
use portcullis::app::{App, Options, Running, Source};
use portcullis::config::{self, Loaded};
use portcullis::crypto::Signer;
use serde_json::json;

use crate::harness::http::{Wire, get};
use crate::harness::portcullis::{bearer, block_on, token};
use crate::harness::upstream::Upstream;

/// Only so that a broken test ends; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Portcullis whose configuration is a text that can be replaced.
pub(super) struct World {
    pub(super) running: Running,
    text: Arc<Mutex<String>>,
    folder: tempfile::TempDir,
    signer: Signer,
}

const PREAMBLE: &str = "server.workers = 2\nserver.watch = false\nserver.drain_delay = \"0s\"\nhealth.bind = \"127.0.0.1:0\"\n\
                        admin.socket = \"admin.sock\"\n";

fn read(text: &str, folder: &Path) -> Result<Loaded, String> {
    config::parse(&format!("{PREAMBLE}{text}"), "test.toml", folder, &[]).map_err(|problems| problems.to_string())
}

impl World {
    pub(super) fn start(text: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), text)
    }

    pub(super) fn start_in(folder: tempfile::TempDir, text: &str) -> Self {
        let signer = Signer::generate().unwrap();
        std::fs::write(folder.path().join("jwks.json"), signer.jwks().to_string()).unwrap();
        let loaded = read(text, folder.path()).unwrap_or_else(|problem| panic!("{problem}"));
        let text = Arc::new(Mutex::new(text.to_owned()));
        let (now, at) = (text.clone(), folder.path().to_owned());
        let source = Source::new(&loaded, move || read(&now.lock().unwrap(), &at));
        let running = App::start(loaded.settings, Options { source: Some(source), ..Options::default() });
        let running = running.unwrap_or_else(|problem| panic!("{problem}"));
        assert!(block_on(running.ready()));
        Self { running, text, folder, signer }
    }

    fn try_reload(&self, text: &str) -> ReloadView {
        *self.text.lock().unwrap() = text.to_owned();
        block_on(self.running.reload("test")).expect("it reloads")
    }

    #[track_caller]
    pub(super) fn reload(&self, text: &str) {
        let outcome = self.try_reload(text);
        assert_eq!(outcome.problem, None);
        assert!(outcome.applied);
    }

    #[track_caller]
    pub(super) fn refuses(&self, text: &str, says: &[&str]) {
        let outcome = self.try_reload(text);
        assert!(!outcome.applied);
        let problem = outcome.problem.expect("a reason");
        for text in says {
            assert!(problem.contains(text), "`{text}` is not in: {problem}");
        }
    }

    pub(super) fn address(&self, listener: &str) -> SocketAddr {
        self.running.address(listener).expect("the listener is open")
    }

    pub(super) fn metrics(&self) -> String {
        get(self.running.health_address().unwrap(), "/metrics", "").body
    }

    pub(super) fn token(&self, changes: serde_json::Value) -> String {
        bearer(&token(&self.signer, changes))
    }
}

/// Waits until nobody listens there: each worker stops between two connections.
fn closes(address: SocketAddr) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(std::time::Instant::now() < deadline, "{address} is still open");
        std::thread::yield_now();
    }
}

fn listener(name: &str) -> String {
    format!("listener.{name}.bind = \"127.0.0.1:0\"\n")
}

fn open(upstream: &Upstream, pattern: &str) -> String {
    format!("[route.open]\nmatch = \"{pattern}\"\naccept = \"anyone\"\nupstream = \"{}\"\n", upstream.url())
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[test]
fn the_next_request_on_an_open_connection_goes_by_the_new_configuration() {
    let (old, new) =
        (Upstream::start(), Upstream::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew".to_vec()));
    let world = World::start(&(listener("main") + &open(&old, "/a")));
    let mut client = Wire::connect(world.address("main"));
    assert_eq!(client.exchange(GET).body, "hello");
    world.reload(&(listener("main") + &open(&new, "/a")));
    assert_eq!(client.exchange(GET).body, "new");
    world.reload(&(listener("main") + &open(&new, "/b")));
    assert_eq!(client.exchange(GET).status, 404);
    assert!(world.metrics().contains("portcullis_reloads_total{outcome=\"applied\"} 2\n"));
}

#[test]
fn a_configuration_that_is_bad_changes_nothing_and_is_told_with_its_place() {
    let upstream = Upstream::start();
    let good = listener("main") + &open(&upstream, "/a");
    let world = World::start(&good);
    let digest = world.try_reload(&good).configuration;
    // In whichever step it fails: reading, what stands in files, what is open already, what cannot change.
    world.refuses(
        &good.replace("accept", "acept"),
        &["test.toml:9:1", "`route.open` has no key `acept`", "did you mean `accept`"],
    );
    let issuer =
        "[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"a\"]\nkeys.jwks_file = \"none.json\"\n";
    world.refuses(&format!("{good}{issuer}"), &["issuer.main", "none.json` cannot be read"]);
    let tls = "listener.main.tls.certificates = [{ chain = \"none.pem\", key = \"none.key\" }]\n";
    world.refuses(&format!("{tls}{good}"), &["listener.main", "none.pem` cannot be read"]);
    let ca = good.replace("http://", "https://") + "[upstream.x]\nendpoints = [\"https://a\"]\ntls.ca = \"none.pem\"\n";
    world.refuses(&ca, &["upstream.x", "none.pem"]);
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listener.other.bind = \"{}\"\n", occupied.local_addr().unwrap());
    world.refuses(
        &(taken + &good).replace("accept", "listeners = [\"main\", \"other\"]\naccept"),
        &["listener.other", "in use"],
    );
    world.refuses(&format!("store.prefix = \"x:\"\n{good}"), &["`store` cannot be changed while running"]);
    assert_eq!(get(world.address("main"), "/a", "").status, 200);
    let metrics = world.metrics();
    assert!(metrics.contains("portcullis_reloads_total{outcome=\"refused\"} 6\n"), "{metrics}");
    assert!(
        metrics.contains(&format!("portcullis_configuration_timestamp_seconds{{digest=\"{digest}\"}}")),
        "{metrics}"
    );
    // And it takes the next good one.
    world.reload(&(listener("main") + &open(&upstream, "/b")));
    assert_eq!(get(world.address("main"), "/b", "").status, 200);
}

#[test]
fn a_request_in_flight_ends_on_the_configuration_that_it_began_with() {
    let (arrives, arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let slow = Upstream::answering(move |_| {
        arrives.send(()).unwrap();
        released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow".to_vec()
    });
    let world = World::start(
        &(listener("main")
            + &listener("other")
            + &open(&slow, "/a").replace("accept", "listeners = [\"main\", \"other\"]\naccept")),
    );
    let clients: Vec<_> = ["main", "other"]
        .map(|name| {
            let mut client = Wire::connect(world.address(name));
            client.write(GET);
            arrived.recv_timeout(PATIENCE).unwrap();
            client
        })
        .into();
    let other = world.address("other");
    // Route, upstream and one of the listeners are gone.
    world.reload(&(listener("main") + &open(&Upstream::start(), "/b")));
    for mut client in clients {
        release.send(()).unwrap();
        let answer = client.read_answer().expect("the answer is not lost");
        assert_eq!((answer.status, &*answer.body), (200, "slow"));
    }
    closes(other);
    assert!(world.running.address("other").is_none());
}

#[test]
fn f09_trust_that_is_withdrawn_is_withdrawn_from_open_connections() {
    let upstream = Upstream::start();
    let routes = open(&upstream, "/a");
    let world =
        World::start(&format!("{}listener.main.trusted_proxies = [\"127.0.0.0/8\"]\n{routes}", listener("main")));
    let mut proxy = Wire::connect(world.address("main"));
    let request = "GET /a HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
    assert_eq!(proxy.exchange(request).status, 200);
    assert_eq!(upstream.last().value("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"));
    world.reload(&(listener("main") + &routes));
    assert_eq!(proxy.exchange(request).status, 200);
    assert_eq!(upstream.last().value("x-forwarded-for"), Some("127.0.0.1"));
}

fn with_issuer(upstream: &Upstream, audience: &str) -> String {
    format!(
        "{}[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"{audience}\"]\nkeys.jwks_file = \"jwks.json\"\n\
         [route.app]\nmatch = \"/a\"\naccept = \"jwt\"\nupstream = \"{}\"\n",
        listener("main"),
        upstream.url()
    )
}

#[test]
fn a_token_that_was_verified_before_is_held_to_what_its_issuer_must_say_now() {
    let upstream = Upstream::start();
    let world = World::start(&with_issuer(&upstream, "orders"));
    let token = world.token(json!({}));
    let ask = || get(world.address("main"), "/a", &token).status;
    assert_eq!([ask(), ask()], [200, 200]);
    world.reload(&with_issuer(&upstream, "invoices"));
    assert_eq!(ask(), 401);
    world.reload(&with_issuer(&upstream, "orders"));
    assert_eq!(ask(), 200);
    // The file is another, and nothing else.
    std::fs::write(world.folder.path().join("jwks.json"), Signer::generate().unwrap().jwks().to_string()).unwrap();
    world.reload(&with_issuer(&upstream, "orders"));
    assert_eq!(ask(), 401);
}

#[test]
fn what_is_verified_stays_verified_where_no_verifier_changes() {
    let upstream = Upstream::start();
    let world = World::start(&with_issuer(&upstream, "orders"));
    let token = world.token(json!({}));
    let hits = || world.metrics().contains("portcullis_credentials_total{kind=\"jwt\",cached=\"true\"} 1\n");
    assert_eq!(get(world.address("main"), "/a", &token).status, 200);
    world.reload(&(with_issuer(&upstream, "orders") + &open(&upstream, "/b")));
    assert_eq!(get(world.address("main"), "/a", &token).status, 200);
    assert!(hits(), "{}", world.metrics());
}

#[test]
fn counters_of_limits_live_on_where_the_limit_stays_the_same() {
    let upstream = Upstream::start();
    let limit = |rate: &str| {
        format!("limit.few = {{ key = \"client.address\", rate = \"{rate}\", stage = \"before_authentication\" }}\n")
    };
    let text = |rate: &str, more: &str| {
        let limited = open(&upstream, "/a").replace("accept", "limits = [\"few\"]\naccept");
        format!("{}{}{limited}{more}", listener("main"), limit(rate))
    };
    let world = World::start(&text("2/h", ""));
    let ask = || get(world.address("main"), "/a", "").status;
    assert_eq!([ask(), ask(), ask()], [200, 200, 429]);
    world.reload(&text(
        "2/h",
        "[route.more]\nmatch = \"/more\"\naccept = \"anyone\"\nupstream = \"http://127.0.0.1:1\"\n",
    ));
    assert_eq!(ask(), 429);
    world.reload(&text("3/h", ""));
    assert_eq!(ask(), 200);
}

#[test]
fn connections_to_upstreams_that_stay_the_same_are_kept() {
    let upstream = Upstream::start();
    let world = World::start(&(listener("main") + &open(&upstream, "/a")));
    let mut client = Wire::connect(world.address("main"));
    assert_eq!(client.exchange(GET).status, 200);
    assert_eq!(upstream.connections(), 1);
    world.reload(&(listener("main") + &open(&upstream, "/{*rest}")));
    assert_eq!(client.exchange(GET).status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn listeners_come_move_and_are_renamed_without_a_closed_door() {
    let upstream = Upstream::start();
    let world = World::start(&(listener("main") + &open(&upstream, "/a")));
    let first = world.address("main");
    let both = open(&upstream, "/a").replace("accept", "listeners = [\"main\", \"second\"]\naccept");
    world.reload(&(listener("main") + &listener("second") + &both));
    let second = world.address("second");
    assert_eq!((get(first, "/a", "").status, get(second, "/a", "").status), (200, 200));
    assert_eq!(world.address("main"), first, "it keeps its socket");

    // Each under the other's name now, at the same addresses.
    let mut client = Wire::connect(second);
    assert_eq!(client.exchange(GET).status, 200);
    let swapped = format!("listener.main.bind = \"{second}\"\nlistener.second.bind = \"{first}\"\n{both}");
    world.reload(&swapped);
    assert_eq!((get(first, "/a", "").status, get(second, "/a", "").status), (200, 200));
    let last = client.exchange(GET);
    assert_eq!((last.status, last.value("connection")), (200, Some("close")), "it finishes, and loses nothing");

    world.reload(&(format!("listener.main.bind = \"{second}\"\n") + &open(&upstream, "/a")));
    closes(first);
    assert_eq!(get(second, "/a", "").status, 200);
}
