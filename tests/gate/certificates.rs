//! What the certificate of a client's connection proves, and what upstreams are told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::crypto::{base64url, digest};
use portcullis::model::{Clock, SystemClock, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::{operate, until};
use crate::harness::certificates::{Authority, curl};
use crate::harness::http;
use crate::harness::portcullis::{Portcullis, Setup};
use crate::harness::upstream::{Received, Upstream};

/// A clock that can be put forward.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        SystemClock.now().after(Duration::from_secs(self.0.load(Ordering::SeqCst)))
    }
}

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    clock: Arc<Hand>,
}

const TOLD: [&str; 3] = ["x-forwarded-client-cert", "client-cert", "client-cert-chain"];

impl World {
    fn new() -> Self {
        let (upstream, setup, clock) = (Upstream::start(), Setup::new(), Arc::<Hand>::default());
        let mut authority = Authority::new(setup.folder());
        authority.server("server", &["localhost"]);
        // Of a CA that curl does not know: it would send its certificate along by itself.
        let mut clients = Authority::named(setup.folder(), "clients");
        for name in ["first", "second"] {
            clients.client(name, &format!("spiffe://example.org/{name}"));
        }
        // A chain of two: what comes after the client's own certificate is told as well.
        let at = |name: &str| setup.folder().join(name);
        let both = ["first.pem", "clients.pem"].map(|name| std::fs::read_to_string(at(name)).unwrap()).concat();
        std::fs::write(at("chained.pem"), both).unwrap();
        std::fs::copy(at("first.key"), at("chained.key")).unwrap();
        let configuration = format!(
            r#"
            server = {{ workers = 1, drain_delay = "0s" }}
            health.bind = "127.0.0.1:0"
            admin.socket = "admin.sock"
            [listener.main]
            bind = "127.0.0.1:0"
            tls = {{ certificates = [{{ chain = "server.pem", key = "server.key" }}], client_auth = {{ mode = "optional", ca = "clients.pem" }} }}
            [listener.clear]
            bind = "127.0.0.1:0"
            [issuer.main]
            url = "https://id.example.com"
            audiences = ["orders"]
            keys.jwks_file = "jwks.json"
            [[mtls]]
            match = {{ uri = "spiffe://example.org/{{name}}", issuer = "CN=Portcullis development CA {{ca}}" }}
            subject = "{{name}}"
            groups = ["{{name}}s"]
            [defaults]
            upstream = "{}"
            listeners = ["main"]
            [route]
            xfcc = {{ match = "/xfcc", accept = ["mtls", "anyone"], identity.preset = "xfcc" }}
            more = {{ match = "/more", accept = "anyone", identity = {{ preset = "none", certificate = ["xfcc:cert", "xfcc:chain"] }} }}
            rfc = {{ match = "/rfc", accept = "anyone", identity.preset = "client-cert" }}
            both = {{ match = "/both", accept = "mtls", identity.certificate = ["xfcc", "client-cert"] }}
            silent = {{ match = "/silent", accept = "anyone" }}
            clear = {{ match = "/clear", accept = "anyone", listeners = ["clear"], identity.preset = "client-cert" }}
            bound = {{ match = "/bound", accept = "jwt" }}
            two = {{ match = "/two", accept = "mtls+jwt" }}
            "#,
            upstream.url()
        );
        let portcullis =
            setup.try_start_by(clock.clone(), &configuration).unwrap_or_else(|problem| panic!("{problem}"));
        Self { upstream, portcullis, clock }
    }

    fn status(&self, certificate: Option<&str>, path: &str, more: &[&str]) -> u16 {
        let address = self.portcullis.running.address("main").expect("a listener");
        let url = format!("https://localhost:{}{path}", address.port());
        let files = certificate.map(|name| (format!("{name}.pem"), format!("{name}.key")));
        let own = files.iter().flat_map(|(chain, key)| ["--cert", chain, "--key", key]).collect::<Vec<_>>();
        curl(self.portcullis.folder(), &[&own[..], more, &[&url]].concat()).status()
    }

    fn seen(&self, certificate: Option<&str>, path: &str, more: &[&str]) -> Received {
        assert_eq!(self.status(certificate, path, more), 200, "{path}");
        self.upstream.last()
    }

    fn der(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.portcullis.folder().join(name)).unwrap()
    }
}

/// What the service is told of certificates, in whatever spelling.
fn told(seen: &Received) -> Vec<String> {
    let lines = seen.head.lines().skip(1).zip(seen.folded_names());
    lines.filter(|(_, folded)| TOLD.contains(&folded.as_str())).map(|(line, _)| line.to_owned()).collect()
}

#[test]
fn the_service_is_told_of_the_certificate_by_the_names_that_its_route_says() {
    let world = World::new();
    let (own, ca) = (world.der("first.pem"), world.der("clients.pem"));
    let hash = digest::hex(&digest::sha256(&own));
    let names = format!("Hash={hash};Subject=\"CN=first\";URI=spiffe://example.org/first");
    let sequence = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
    for version in ["--http1.1", "--http2"] {
        let xfcc = world.seen(Some("first"), "/xfcc", &[version]);
        assert_eq!(told(&xfcc).len(), 1);
        assert_eq!(xfcc.value("x-forwarded-client-cert"), Some(names.as_str()));
        assert!(xfcc.value("x-auth-subject").is_none(), "{}", xfcc.head);
        let both = world.seen(Some("first"), "/both", &[version]);
        assert_eq!(both.value("x-forwarded-client-cert"), Some(names.as_str()));
        assert_eq!(both.value("client-cert"), Some(sequence(&own).as_str()));
        assert_eq!((both.value("x-auth-subject"), both.value("x-auth-groups")), (Some("first"), Some("firsts")));
        let rfc = world.seen(Some("chained"), "/rfc", &[version]);
        assert_eq!(rfc.value("client-cert"), Some(sequence(&own).as_str()));
        assert_eq!(rfc.value("client-cert-chain"), Some(sequence(&ca).as_str()));
        assert_eq!(told(&world.seen(Some("second"), "/rfc", &[version])).len(), 1, "there is nothing else to tell of");
    }
    let more = world.seen(Some("chained"), "/more", &[]);
    let pairs: Vec<&str> = more.value("x-forwarded-client-cert").unwrap().split(';').collect();
    for (key, expected) in [("Cert", vec![own.clone()]), ("Chain", vec![own, ca])] {
        let value =
            pairs.iter().find_map(|pair| pair.strip_prefix(key)?.strip_prefix("=\"")?.strip_suffix('"')).unwrap();
        let pem = percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned();
        let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(read, expected, "{key}");
    }
    for path in ["/xfcc", "/more", "/rfc", "/silent"] {
        assert_eq!(told(&world.seen(None, path, &[])), Vec::<String>::new(), "{path}");
    }
    assert_eq!(told(&world.seen(Some("first"), "/silent", &[])), Vec::<String>::new());
}

#[test]
fn f01_f02_f04_f05_no_client_tells_of_a_certificate_itself() {
    let world = World::new();
    for mark in ['-', '_', '.', '~', '!'] {
        let forged: Vec<String> = TOLD
            .iter()
            .flat_map(|name| [name.to_string(), name.to_uppercase()])
            .map(|name| format!("{}: mallory", name.replace('-', &mark.to_string())))
            .collect();
        let lines: Vec<&str> = forged.iter().flat_map(|line| ["-H", line]).collect();
        for path in ["/xfcc", "/more", "/rfc", "/silent"] {
            for certificate in [None, Some("first")] {
                let seen = world.seen(certificate, path, &lines);
                assert!(!seen.head.contains("mallory"), "{path}: {}", seen.head);
                let expected = usize::from(certificate.is_some() && path != "/silent");
                assert_eq!(told(&seen).len(), expected, "{path}: {}", seen.head);
            }
        }
    }
    // In clear, in trailers, and named as belonging to the connection.
    let clear = world.portcullis.running.address("clear").expect("a listener");
    let forged = "Client-Cert: :mallory:\r\nclient_cert_chain: :mallory:\r\nX.Forwarded.Client.Cert: Hash=mallory\r\n";
    let head = "Host: a\r\nConnection: close, Client-Cert\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\
                Trailer: Client-Cert, client_cert_chain, X.Forwarded.Client.Cert, X-Sum\r\n";
    let request = format!("POST /clear HTTP/1.1\r\n{head}{forged}\r\n5\r\nhello\r\n0\r\n{forged}X-Sum: 7\r\n\r\n");
    assert_eq!(http::send(clear, request).status, 200);
    let seen = world.upstream.last();
    assert!(!seen.head.contains("mallory"), "{}", seen.head);
    assert_eq!(seen.trailers.len(), 1, "{:?}", seen.trailers);
    // Where the client names what is set afterwards, it is set all the same.
    let named = world.seen(Some("first"), "/rfc", &["--http1.1", "-H", "Connection: Client-Cert"]);
    assert_eq!(told(&named).len(), 1);
}

#[test]
fn nothing_is_told_of_a_certificate_that_counts_no_more() {
    let world = World::new();
    assert_eq!(told(&world.seen(Some("second"), "/rfc", &[])).len(), 1);
    let fingerprint = digest::hex(&digest::sha256(&world.der("second.pem")));
    let revoked = operate(
        &world.portcullis,
        "POST",
        "/v1/revocations",
        &json!({"kind": "certificate", "fingerprint": fingerprint}),
    );
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    until("the revocation is in force", || told(&world.seen(Some("second"), "/rfc", &[])).is_empty());
    assert_eq!(world.status(Some("second"), "/both", &[]), 401);
    assert_eq!(told(&world.seen(Some("first"), "/rfc", &[])).len(), 1);
    assert_eq!(world.status(Some("first"), "/both", &[]), 200);
    // Past the 90 days that it is valid for.
    world.clock.0.store(91 * 24 * 60 * 60, Ordering::SeqCst);
    let address = world.portcullis.running.address("main").expect("a listener");
    let url = format!("https://localhost:{}/both", address.port());
    let late = curl(world.portcullis.folder(), &["--cert", "first.pem", "--key", "first.key", &url]);
    assert_ne!(late.code, 0, "not even the handshake: {late:?}");
}

#[test]
fn a_token_that_is_bound_to_a_certificate_comes_with_that_alone() {
    let world = World::new();
    let thumbprint = base64url::encode(&digest::sha256(&world.der("first.pem")));
    let bearer = |claims| format!("Authorization: Bearer {}", world.portcullis.token(claims));
    let bound = bearer(json!({"cnf": {"x5t#S256": thumbprint}}));
    for version in ["--http1.1", "--http2"] {
        let ask = |certificate, path, header: &str| world.status(certificate, path, &[version, "-H", header]);
        assert_eq!(ask(Some("first"), "/bound", &bound), 200);
        assert_eq!(ask(Some("second"), "/bound", &bound), 401);
        assert_eq!(ask(None, "/bound", &bound), 401);
        // Where both are wanted, one without the other is not enough, nor another's.
        let free = bearer(json!({}));
        assert_eq!(ask(Some("second"), "/two", &free), 200);
        assert_eq!(ask(Some("first"), "/two", &bound), 200);
        assert_eq!(ask(Some("second"), "/two", &bound), 401);
        assert_eq!(ask(None, "/two", &free), 401);
        assert_eq!(ask(Some("first"), "/two", "X-Nothing: 1"), 401);
    }
}
