//! A `ClientHello` in pieces, however it is cut: the same certificate is chosen, and the same client certificates count.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::harness::certificates::Authority;
use crate::harness::portcullis::{Portcullis, Setup};
use crate::harness::upstream::Upstream;

/// A listener that requires client certificates, with a host that goes by them and one that does not.
fn start(more: &str) -> (Upstream, Portcullis) {
    let (upstream, setup) = (Upstream::start(), Setup::new());
    let mut authority = Authority::new(setup.folder());
    authority.server("default", &["default.example"]);
    authority.server("server", &["a.example", "b.example"]);
    Authority::named(setup.folder(), "clients").client("orders", "spiffe://a/orders");
    Authority::named(setup.folder(), "foreign").client("forged", "spiffe://a/orders");
    let keys = format!(
        "listener.main.tls.certificates = [{{ chain = \"default.pem\", key = \"default.key\" }}, \
         {{ chain = \"server.pem\", key = \"server.key\" }}]\n\
         listener.main.tls.client_auth = {{ mode = \"required\", ca = \"clients.pem\" }}\n{more}"
    );
    let portcullis = setup.start_with(
        &keys,
        &format!(
            r#"
            [[mtls]]
            match = {{ uri = "spiffe://a/{{name}}" }}
            subject = "{{name}}"
            [defaults]
            upstream = "{}"
            [route]
            a = {{ match = "a.example/{{*rest}}", accept = "mtls" }}
            b = {{ match = "b.example/{{*rest}}", accept = "anyone" }}
            "#,
            upstream.url()
        ),
    );
    (upstream, portcullis)
}

fn client(folder: &Path, certificate: Option<&str>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
        }
    })
}

/// How a hello is cut: into records of so many bytes, the first of them shorter; and written so many bytes at a time.
#[derive(Debug, Clone, Copy)]
struct Cut {
    first: usize,
    record: usize,
    write: usize,
}

const CUTS: &[Cut] = &[
    Cut { first: usize::MAX, record: usize::MAX, write: usize::MAX },
    Cut { first: usize::MAX, record: usize::MAX, write: 1 },
    Cut { first: 1, record: usize::MAX, write: usize::MAX },
    Cut { first: 4, record: usize::MAX, write: usize::MAX },
    Cut { first: 40, record: usize::MAX, write: 7 },
    Cut { first: 100, record: 100, write: usize::MAX },
    Cut { first: 16, record: 16, write: 1 },
    Cut { first: 1, record: 1, write: usize::MAX },
];

impl Cut {
    /// The same hello in other records (RFC 8446, section 5.1).
    fn records(self, hello: &[u8]) -> Vec<u8> {
        let (head, mut rest) = hello.split_at(5);
        let (mut records, mut take) = (Vec::new(), self.first);
        while !rest.is_empty() {
            let (record, after) = rest.split_at(take.min(rest.len()));
            records.extend_from_slice(&head[..3]);
            records.extend_from_slice(&u16::try_from(record.len()).unwrap().to_be_bytes());
            records.extend_from_slice(record);
            (rest, take) = (after, self.record);
        }
        records
    }
}

/// All that comes back of HTTP; nothing where the handshake fails.
fn ask(to: SocketAddr, config: &Arc<ClientConfig>, name: &'static str, host: &str, cut: Cut) -> String {
    let mut session = ClientConnection::new(Arc::clone(config), ServerName::try_from(name).unwrap()).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let mut socket = TcpStream::connect(to).unwrap();
    socket.set_nodelay(true).unwrap();
    // Only so that a broken test ends.
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for piece in cut.records(&hello).chunks(cut.write.min(1 << 20)) {
        socket.write_all(piece).unwrap();
    }
    let mut stream = Stream::new(&mut session, &mut socket);
    let mut answer = Vec::new();
    let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn f51_client_certificates_count_however_a_hello_is_cut() {
    let (upstream, portcullis) = start("");
    let to = portcullis.address();
    let mut served = 0;
    for version in [&version::TLS12, &version::TLS13] {
        let of = |certificate| client(portcullis.folder(), certificate, version);
        let (known, forged, nobody) = (of(Some("orders")), of(Some("forged")), of(None));
        for cut in CUTS {
            // That the handshake succeeds says that the certificate is the one of the name.
            for name in ["a.example", "b.example"] {
                let answer = ask(to, &known, name, name, *cut);
                assert!(answer.starts_with("HTTP/1.1 200 "), "{name}, {cut:?}: {answer}");
                served += 1;
                let subject = (name == "a.example").then_some("orders");
                assert_eq!(upstream.last().value("x-auth-subject"), subject, "{name}, {cut:?}");
                for refused in [&forged, &nobody] {
                    assert_eq!(ask(to, refused, name, name, *cut), "", "{name}, {cut:?}");
                }
            }
            for (name, host) in [("b.example", "a.example"), ("a.example", "b.example")] {
                let answer = ask(to, &known, name, host, *cut);
                assert!(answer.starts_with("HTTP/1.1 421 "), "{host} through {name}, {cut:?}: {answer}");
            }
        }
    }
    assert_eq!(upstream.received().len(), served);
}

#[test]
fn f61_a_hello_without_end_is_neither_kept_nor_waited_for() {
    let (upstream, portcullis) = start("listener.main.timeouts.handshake = \"20s\"");
    let record = [&[0x16, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat();
    let mut socket = TcpStream::connect(portcullis.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    // A hello of 16 MiB, as its length says; the first 64 KiB of it are more than is ever kept.
    let mut first = record.clone();
    first[5..9].copy_from_slice(&[1, 0xff, 0xff, 0xff]);
    let mut sent = 0;
    for record in std::iter::once(&first).chain(std::iter::repeat_n(&record, 1023)) {
        if socket.write_all(record).is_err() {
            break;
        }
        sent += record.len();
    }
    let mut rest = Vec::new();
    // An alert and the end, or a reset: long before the time for the handshake has passed.
    let ended = socket.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(!matches!(ended, Err(std::io::ErrorKind::WouldBlock)), "it is still waited for after {sent} bytes");
    drop(portcullis);

    let (_, portcullis) = start("listener.main.timeouts.handshake = \"30ms\"");
    for begun in [&b""[..], b"\x16", &record[..100], &record] {
        let mut socket = TcpStream::connect(portcullis.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(begun).unwrap();
        let mut rest = Vec::new();
        let ended = socket.read_to_end(&mut rest).map_err(|error| error.kind());
        assert!(!matches!(ended, Err(std::io::ErrorKind::WouldBlock)), "{} bytes are waited for", begun.len());
    }
    assert!(upstream.received().is_empty());
}
