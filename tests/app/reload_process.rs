//! Reloads of the built binary: under load, by signal, by files, by command.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::certificates::Authority;
use crate::harness::http::{Wire, get};
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

/// Only so that a broken test ends; no test waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A listener in clear and one with TLS, and a route that is something else each time.
pub(super) fn configuration(upstream: &Upstream, variant: usize) -> String {
    let url = upstream.url();
    let more = match variant % 4 {
        0 => "[upstream.spare]\nendpoints = [\"http://127.0.0.1:1\"]\n".to_owned(),
        1 => format!("[route.more]\nmatch = \"/more/{variant}\"\naccept = \"anyone\"\nupstream = \"app\"\n"),
        2 => "[limit.wide]\nkey = \"client.address\"\nrate = \"1000000/s\"\n".to_owned(),
        _ => "[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"a\"]\nkeys.secret = { env = \"PATH\" }\n\
              algorithms = [\"HS256\"]\n"
            .to_owned(),
    };
    // Every other time all connections to the upstream are new ones.
    let response = 20 + variant % 2;
    format!(
        r#"
server = {{ workers = 2, watch = false, shed_above = "off", shutdown_grace = "30s" }}
health.bind = "127.0.0.1:0"
admin.socket = "admin.sock"
log.access = false
[listener.clear]
bind = "127.0.0.1:0"
[listener.tls]
bind = "127.0.0.1:0"
tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
[upstream.app]
endpoints = ["{url}"]
timeouts.response = "{response}s"
[route.all]
listeners = ["clear", "tls"]
match = "/load"
accept = "anyone"
upstream = "app"
{more}"#
    )
    .replace("[route.more]\n", "[route.more]\nlisteners = [\"clear\", \"tls\"]\n")
}

/// Clients of every kind that ask again and again, each waiting for its answer.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(clear: SocketAddr, tls: SocketAddr, folder: &Path) -> Self {
        let (stop, asked, answered) = (Arc::<AtomicBool>::default(), Arc::default(), Arc::default());
        let config = tls_config(folder);
        let clients = (0..5).map(|kind| {
            let counts = Counts { stop: stop.clone(), asked: Arc::clone(&asked), answered: Arc::clone(&answered) };
            let config = config.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    match kind {
                        0 => {
                            http1(&counts, || async { TcpStream::connect(clear).await.expect("a connection") }, true)
                                .await
                        }
                        1 => {
                            http1(&counts, || async { TcpStream::connect(clear).await.expect("a connection") }, false)
                                .await
                        }
                        2 => http1(&counts, || handshake(tls, &config, &[]), true).await,
                        3 => http1(&counts, || handshake(tls, &config, &[]), false).await,
                        _ => http2(&counts, || handshake(tls, &config, &[b"h2"])).await,
                    }
                });
            })
        });
        Self { clients: clients.collect(), stop, asked, answered }
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits for so many more answers.
    pub(super) fn goes_on(&self, count: usize) {
        let from = self.answered();
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.answered() < from + count {
            assert!(std::time::Instant::now() < deadline, "only {} answers of {count}", self.answered() - from);
            assert!(!self.clients.iter().any(std::thread::JoinHandle::is_finished), "a client has given up");
            std::thread::yield_now();
        }
    }

    /// Stops it: how many requests there were, all of which were answered with 200.
    pub(super) fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("every request was answered as it should be");
        }
        let asked = self.asked.load(Ordering::SeqCst);
        assert_eq!(self.answered.load(Ordering::SeqCst), asked);
        asked
    }
}

struct Counts {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

impl Counts {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    async fn judge(&self, answer: impl Future<Output = hyper::Result<http::Response<hyper::body::Incoming>>>) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let last = answer.headers().get("connection").is_some_and(|value| value == "close");
        let body = answer.into_body().collect().await.expect("all of the body").to_bytes();
        assert_eq!(body, "hello");
        self.answered.fetch_add(1, Ordering::SeqCst);
        last
    }
}

fn request(version: http::Version, close: bool) -> Request<Empty<Bytes>> {
    let request = Request::get(if version == http::Version::HTTP_2 { "https://localhost/load" } else { "/load" });
    let request = request.version(version);
    let request = if version == http::Version::HTTP_2 { request } else { request.header("host", "localhost") };
    let request = if close { request.header("connection", "close") } else { request };
    request.body(Empty::new()).expect("a request")
}

async fn http1<S, F>(counts: &Counts, connect: impl Fn() -> F, keeps: bool)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = S>,
{
    while counts.goes_on() {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connect().await)).await.expect("a connection");
        tokio::spawn(connection);
        loop {
            let last = counts.judge(sender.send_request(request(http::Version::HTTP_11, !keeps))).await;
            if last || !keeps || !counts.goes_on() {
                break;
            }
            sender.ready().await.expect("the connection stays open until it is said otherwise");
        }
    }
}

async fn http2<S, F>(counts: &Counts, connect: impl Fn() -> F)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = S>,
{
    while counts.goes_on() {
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.handshake(TokioIo::new(connect().await)).await.expect("a connection");
        tokio::spawn(connection);
        while counts.goes_on() && sender.ready().await.is_ok() {
            let answer = sender.try_send_request(request(http::Version::HTTP_2, false)).await;
            match answer {
                Ok(answer) => drop(counts.judge(async { Ok(answer) }).await),
                // After GOAWAY a stream that was not processed is sent again elsewhere (RFC 9113, section 6.8).
                Err(mut refused) => {
                    assert!(refused.take_message().is_some(), "{:?}", refused.into_error());
                    break;
                }
            }
        }
    }
}

fn tls_config(folder: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("a CA")).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(builder.expect("versions").with_root_certificates(roots).with_no_client_auth())
}

async fn handshake(
    to: SocketAddr,
    config: &Arc<ClientConfig>,
    protocols: &[&[u8]],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(to).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// A `POST` to the admin socket.
fn reload(folder: &Path) -> crate::harness::http::Answer {
    let mut admin = Wire::over(UnixStream::connect(folder.join("admin.sock")).expect("the admin socket"));
    admin.exchange("POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

pub(super) fn serving(upstream: &Upstream) -> (tempfile::TempDir, PathBuf, Authority, Serving) {
    let (guard, here) = folder(&configuration(upstream, 0));
    let mut authority = Authority::new(&here);
    authority.server("server", &["localhost"]);
    let serving = Serving::run(&here).ready();
    (guard, here, authority, serving)
}

#[test]
fn no_request_fails_in_a_hundred_reloads_under_load() {
    const RELOADS: usize = 100;
    let upstream = Upstream::forgetful();
    let (_guard, here, mut authority, serving) = serving(&upstream);
    let load = Load::start(serving.address("clear"), serving.address("tls"), &here);
    load.goes_on(50);
    for variant in 1..=RELOADS {
        if variant % 5 == 0 {
            authority.server("server", &["localhost"]);
        }
        std::fs::write(here.join("portcullis.toml"), configuration(&upstream, variant)).expect("a file can be written");
        let answer = reload(&here);
        assert_eq!(answer.status, 200, "{}", answer.body);
        load.goes_on(5);
    }
    let asked = load.stop();
    println!("{asked} requests during {RELOADS} reloads");
    let metrics = get(serving.health(), "/metrics", "").body;
    let counted = |name: &str| -> usize {
        let line =
            metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.trim().parse().expect("a number")
    };
    assert_eq!(counted("portcullis_requests_total{route=\"all\",status=\"2xx\"}"), asked, "all of them, once");
    assert_eq!(counted("portcullis_reloads_total{outcome=\"applied\"}"), RELOADS);
    assert!(upstream.connections() < asked, "connections to the upstream are used again");
}

#[test]
fn sighup_reloads_and_what_is_bad_is_logged_as_start_would_print_it() {
    let upstream = Upstream::start();
    let (_guard, here, _, mut serving) = serving(&upstream);
    let address = serving.address("clear");
    let write = |text: &str| std::fs::write(here.join("portcullis.toml"), text).expect("a file can be written");
    write(&configuration(&upstream, 1));
    serving.signal(Signal::HUP);
    serving.says("reloaded cause=\"SIGHUP\"");
    assert_eq!(get(address, "/more/1", "").status, 200);

    write(&configuration(&upstream, 1).replace("accept = \"anyone\"", "acept = \"anyone\""));
    serving.signal(Signal::HUP);
    serving.says("reload refused");
    serving.says("--> portcullis.toml:17:1");
    serving.says("4 problems in the configuration");
    assert_eq!(get(address, "/more/1", "").status, 200);

    // The command says the same, and asks nobody where it can tell by itself.
    let refused = run(&here, &["reload", "--admin", "admin.sock"]);
    refused.failed(1, &["--> portcullis.toml:17:1", "did you mean `accept`?"]);
    run(&here, &["reload", "--config", "portcullis.toml"]).failed(2, &["--> portcullis.toml:17:1"]);
    let status = Wire::over(UnixStream::connect(here.join("admin.sock")).expect("the admin socket"))
        .exchange("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .json();
    assert_eq!(status["last_reload"]["applied"], false, "{status}");
    assert!(status["last_reload"]["problem"].as_str().is_some_and(|text| text.contains("acept")), "{status}");

    write(&configuration(&upstream, 5));
    let said = run(&here, &["reload"]).ok();
    assert!(said.starts_with("reloaded; configuration "), "{said}");
    assert_eq!((get(address, "/more/1", "").status, get(address, "/more/5", "").status), (404, 200));
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
}

#[test]
fn files_that_are_swapped_behind_a_link_are_noticed() {
    let upstream = Upstream::start();
    let (guard, here) = folder("");
    drop(std::fs::remove_file(here.join("portcullis.toml")));
    // As Kubernetes mounts a ConfigMap: a link to a link to a directory, which is replaced as a whole.
    let version = |name: &str, variant: usize| {
        std::fs::create_dir(here.join(name)).expect("a directory");
        let text = configuration(&upstream, variant).replace("watch = false", "watch = true");
        std::fs::write(here.join(name).join("portcullis.toml"), text).expect("a file");
        let mut authority = Authority::new(&here.join(name));
        authority.server("server", &["localhost"]);
        symlink(name, here.join("..new")).expect("a link");
        std::fs::rename(here.join("..new"), here.join("..data")).expect("a link can be replaced");
    };
    version("..one", 1);
    for file in ["portcullis.toml", "server.pem", "server.key", "ca.pem"] {
        symlink(format!("..data/{file}"), here.join(file)).expect("a link");
    }
    let serving = Serving::run(&here).ready();
    let address = serving.address("clear");
    assert_eq!(get(address, "/more/1", "").status, 200);
    version("..two", 5);
    std::fs::remove_dir_all(here.join("..one")).expect("the old one can be removed");
    serving.says("reloaded cause=\"files\"");
    assert_eq!((get(address, "/more/1", "").status, get(address, "/more/5", "").status), (404, 200));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // By the CA of the second one.
    runtime.block_on(async { drop(handshake(serving.address("tls"), &tls_config(&here), &[]).await) });

    // In place, and broken at first; what is half written is not reported a second time.
    let mut file = std::fs::File::create(here.join("portcullis.toml")).expect("a file");
    file.write_all(b"[route").expect("bytes can be written");
    serving.says("reload refused");
    assert_eq!(get(address, "/more/5", "").status, 200);
    let good = configuration(&upstream, 9).replace("watch = false", "watch = true");
    std::fs::write(here.join("portcullis.toml"), good).expect("a file");
    let deadline = std::time::Instant::now() + PATIENCE;
    while get(address, "/more/9", "").status != 200 {
        assert!(std::time::Instant::now() < deadline, "{}", serving.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(guard);
}
