//! Checks of endpoints over `https`: whom they trust, and that requests go by them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::harness::certificates::Authority;
use crate::harness::http;
use crate::harness::process::{Serving, folder, run};

/// An `https` service that answers with its name, and the heads of the requests that it has read.
struct Origin {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// With `NAME.pem` and `NAME.key` of this folder.
    fn start(name: &'static str, folder: &Path) -> Self {
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        let chain = CertificateDer::pem_file_iter(file("pem")).expect("certificates").collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_file(file("key")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates"), key)
            .expect("a pair");
        let (config, heads) = (Arc::new(config), Arc::<Mutex<Vec<String>>>::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, seen) = (config.clone(), seen.clone());
                thread::spawn(move || serve(stream, config, name, &seen));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, name: &str, seen: &Mutex<Vec<String>>) {
    let connection = ServerConnection::new(config).expect("a connection");
    let mut stream = StreamOwned::new(connection, stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        // A peer that does not trust the certificate ends it here.
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    seen.lock().expect("no panic").push(String::from_utf8_lossy(&head).into_owned());
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    let _ = stream.write_all(answer.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

#[test]
fn a_check_over_https_trusts_the_own_ca_and_the_endpoints_name_alone() {
    let (_guard, here) = folder("");
    let mut own = Authority::new(&here);
    own.server("own", &["127.0.0.1"]);
    own.server("elsewhere", &["other.example"]);
    Authority::named(&here, "foreign-ca").server("foreign", &["127.0.0.1"]);
    let [good, elsewhere, foreign] = ["own", "elsewhere", "foreign"].map(|name| Origin::start(name, &here));
    let configuration = format!(
        "listener.main.bind = \"127.0.0.1:0\"\nhealth.bind = \"127.0.0.1:0\"\nadmin.socket = \"unix:admin.sock\"\n\
         [upstream.behind]\nendpoints = [\"https://{}\", \"https://{}\", \"https://{}\"]\ntls = {{ ca = \"ca.pem\" }}\n\
         health = {{ path = \"/healthz\", host = \"own.internal\", interval = \"20s\", timeout = \"20s\" }}\n\
         panic_below = \"0%\"\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"behind\"\n",
        good.address, elsewhere.address, foreign.address
    );
    std::fs::write(here.join("portcullis.toml"), configuration).expect("a file can be written");
    let serving = Serving::run(&here).ready();
    let deadline = Instant::now() + Duration::from_secs(60);
    let endpoints = loop {
        let found = run(&here, &["upstreams", "--json"]).json();
        let endpoints = found.pointer("/0/endpoints").and_then(Value::as_array).cloned().expect("endpoints");
        let states: Vec<_> = endpoints.iter().filter_map(|endpoint| endpoint["state"].as_str()).collect();
        if states == ["healthy", "unhealthy", "unhealthy"] {
            break endpoints;
        }
        assert!(Instant::now() < deadline, "{found}");
    };
    for endpoint in &endpoints[1..] {
        assert!(endpoint["why"].as_str().is_some_and(|why| why.contains("certificate")), "{endpoint}");
    }
    for _ in 0..6 {
        assert_eq!(http::get(serving.address("main"), "/x", "").body, "own");
    }
    let heads = good.heads();
    let check = heads.iter().find(|head| head.starts_with("GET /healthz HTTP/1.1\r\n")).expect("a check");
    assert!(check.contains("\r\nhost: own.internal\r\n"), "{check}");
    assert_eq!((elsewhere.heads(), foreign.heads()), (vec![], vec![]), "nothing is said to whom nobody vouches for");
}
