//! Certificates from an agent that speaks the SPIFFE Workload API: a stand-in that speaks gRPC by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::sync::watch;

use super::certificates::{certs, shown};
use crate::harness::certificates::curl;
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

/// Ends when dropped, and its connections with it.
struct Agent {
    /// What it says: a message, or a gRPC status.
    says: watch::Sender<Result<Vec<u8>, u8>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Agent {
    fn start(socket: PathBuf, says: Result<Vec<u8>, u8>) -> Self {
        let _ = std::fs::remove_file(&socket);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (says, heard) = watch::channel(says);
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(socket).expect("a socket") });
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, heard.clone()));
            }
        });
        Self { says, runtime: Some(runtime) }
    }

    fn says(&self, message: Vec<u8>) {
        drop(self.says.send_replace(Ok(message)));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(stream: tokio::net::UnixStream, mut says: watch::Receiver<Result<Vec<u8>, u8>>) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchX509SVID");
        assert_eq!(request.headers().get("content-type").map(HeaderValue::as_bytes), Some(&b"application/grpc"[..]));
        assert_eq!(request.headers().get("te").map(HeaderValue::as_bytes), Some(&b"trailers"[..]));
        // Who does not send it may be a browser that was misled: a real agent refuses.
        assert_eq!(request.headers().get("workload.spiffe.io").map(HeaderValue::as_bytes), Some(&b"true"[..]));
        let mut says = says.clone();
        tokio::spawn(async move {
            let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
            let mut body = respond.send_response(head, false).expect("a stream");
            loop {
                let message = says.borrow_and_update().clone();
                match message {
                    Ok(message) => {
                        let mut frame = vec![0];
                        frame.extend(u32::try_from(message.len()).expect("a length").to_be_bytes());
                        frame.extend(message);
                        // Who took it for bad is gone by the time of the next one.
                        if body.send_data(Bytes::from(frame), false).is_err() {
                            return;
                        }
                    }
                    Err(status) => {
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", HeaderValue::from(u16::from(status)));
                        trailers.insert("grpc-message", HeaderValue::from_static("no identity issued"));
                        body.send_trailers(trailers).expect("a stream");
                        return;
                    }
                }
                if says.changed().await.is_err() {
                    return;
                }
            }
        });
    }
    let _ = says.changed().await;
}

/// `X509SVIDResponse` with one SVID.
fn message(here: &Path, id: &str, chain: &str, key: &str, bundle: &[&str]) -> Vec<u8> {
    let ders = |file: &str| -> Vec<u8> {
        let certificates = CertificateDer::pem_file_iter(here.join(file)).expect("a file");
        certificates.flat_map(|der| der.expect("a certificate").to_vec()).collect()
    };
    let key = PrivatePkcs8KeyDer::from_pem_file(here.join(key)).expect("a key");
    let bundle: Vec<u8> = bundle.iter().flat_map(|file| ders(file)).collect();
    let svid = [field(1, id.as_bytes()), field(2, &ders(chain)), field(3, key.secret_pkcs8_der()), field(4, &bundle)];
    field(1, &svid.concat())
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).expect("seven bits"));
    field.extend(bytes);
    field
}

const RELOADED: &str = "reloaded cause=\"files\"";

fn configuration(app: &Upstream) -> String {
    format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s" }}
        health.bind = "127.0.0.1:0"
        [spiffe]
        socket = "unix:agent.sock"
        directory = "svid"
        [listener.main]
        bind = "127.0.0.1:0"
        tls.certificates = [{{ chain = "svid/svid.pem", key = "svid/svid.key" }}]
        tls.client_auth = {{ mode = "required", ca = "svid/bundle.pem" }}
        [[mtls]]
        match.uri = "spiffe://dev/{{name}}"
        [route.all]
        match = "/{{*rest}}"
        accept = "mtls"
        upstream = "app"
        [upstream.app]
        endpoints = ["{}"]
        "#,
        app.url()
    )
}

fn world(here: &Path) {
    for ca in ["a", "b"] {
        certs(here, &format!("ca --out {ca}"));
        for name in ["one", "two"] {
            certs(here, &format!("server localhost --file {name} --both --uri spiffe://dev/own --ca {ca} --out {ca}"));
        }
        certs(here, &format!("client good --uri spiffe://dev/good --ca {ca} --out {ca}"));
    }
}

#[test]
fn svids_are_taken_up_as_they_rotate_and_no_request_is_lost() {
    let app = Upstream::start();
    let (_guard, here) = folder(&configuration(&app));
    world(&here);
    let svid = |ca: &str, name: &str, bundle: &[&str]| {
        message(&here, "spiffe://dev/own", &format!("{ca}/{name}.pem"), &format!("{ca}/{name}.key"), bundle)
    };
    let pem = |ca: &str, name: &str| {
        let text = std::fs::read_to_string(here.join(ca).join(format!("{name}.pem"))).expect("a file");
        text.trim().to_owned()
    };
    let agent = Agent::start(here.join("agent.sock"), Ok(svid("a", "one", &["a/ca.pem"])));
    let serving = Serving::run(&here).ready();
    let reloads = || serving.log().matches(RELOADED).count();
    // The files were not there when the configuration was read: that they are is news, once.
    serving.says(RELOADED);
    assert_eq!(shown(&serving), pem("a", "one"));
    let url = format!("https://localhost:{}/", serving.address("main").port());
    std::fs::copy(here.join("a/ca.pem"), here.join("ca.pem")).expect("a file");

    let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let load = std::thread::spawn({
        let (stop, asked, here, url) = (stop.clone(), asked.clone(), here.clone(), url.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                let answer = curl(&here, &[&url, "--cert", "a/good.pem", "--key", "a/good.key"]);
                assert_eq!(answer.status(), 200);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let before = reloads();
    agent.says(svid("a", "two", &["a/ca.pem", "b/ca.pem"]));
    serving.says_after(RELOADED, before);
    assert_eq!(shown(&serving), pem("a", "two"));
    stop.store(true, Ordering::Relaxed);
    load.join().expect("every request is answered with 200");
    assert!(asked.load(Ordering::Relaxed) > 0);

    // What cannot be right changes nothing: the key of another, another's name, no bundle.
    for (id, key, bundle, problem) in [
        ("spiffe://dev/own", "b/one.key", &["a/ca.pem"][..], "its key does not belong to its certificate"),
        ("spiffe://dev/other", "a/one.key", &["a/ca.pem"], "its certificate is not for its SPIFFE ID"),
        ("spiffe://dev/own", "a/one.key", &[], "its bundle is empty"),
    ] {
        agent.says(message(&here, id, "a/one.pem", key, bundle));
        serving.says(&format!("the SVID cannot be used: {problem}"));
    }
    assert_eq!(std::fs::read_to_string(here.join("svid/svid.pem")).expect("a file").trim(), pem("a", "two"));

    drop(agent);
    serving.says("the last ones stay until they expire");
    let answer = curl(&here, &[&url, "--cert", "b/good.pem", "--key", "b/good.key"]);
    assert_eq!(answer.status(), 200, "the agent is gone, and what it said holds");
    let before = reloads();
    let _agent = Agent::start(here.join("agent.sock"), Ok(svid("b", "one", &["b/ca.pem"])));
    serving.says_after(RELOADED, before);
    assert_eq!(shown(&serving), pem("b", "one"));
    std::fs::copy(here.join("b/ca.pem"), here.join("ca.pem")).expect("a file");
    assert_eq!(curl(&here, &[&url, "--cert", "b/good.pem", "--key", "b/good.key"]).status(), 200);
    let refused = curl(&here, &[&url, "--cert", "a/good.pem", "--key", "a/good.key"]);
    assert!(matches!(refused.code, 35 | 55 | 56), "{refused:?}");
}

#[test]
fn without_an_svid_it_does_not_start_and_with_the_last_one_it_does() {
    let app = Upstream::start();
    let (_guard, here) = folder(&configuration(&app));
    world(&here);
    run(&here, &["run", "--config", "portcullis.toml"]).failed(1, &["agent.sock", "cannot be reached"]);
    let agent = Agent::start(here.join("agent.sock"), Err(7));
    run(&here, &["run", "--config", "portcullis.toml"]).failed(1, &["gRPC status 7", "no identity issued"]);
    drop(agent);
    let says = message(&here, "spiffe://dev/own", "a/one.pem", "a/one.key", &["a/ca.pem"]);
    let agent = Agent::start(here.join("agent.sock"), Ok(says));
    drop(Serving::run(&here).ready());
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &str| std::fs::metadata(here.join(path)).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("svid"), mode("svid/svid.key")), (0o700, 0o600));
    drop(agent);
    let serving = Serving::run(&here).ready();
    serving.says("starting with the last SVID");
}
