//! The client: threads on one core, each with a connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::crypto::dev_certs::{DevCertificate, DevCertificates};
use portcullis::model::{Clock as _, SystemClock};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned,
};

use crate::process::Contestant;

/// Whom the certificate is for.
const WHO: &str = "spiffe://cluster.local/ns/bench/sa/client";

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A connection with a full handshake, and one request.
    Full,
    /// A connection that resumes a session by its ticket, and one request.
    Resumed,
    /// A request on a connection that stays.
    Request,
    /// [`Kind::Full`] with the hybrid key exchange that resists quantum computers.
    Hybrid,
}

impl Kind {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Full => "full handshake + 1 request",
            Self::Resumed => "resumed handshake + 1 request",
            Self::Request => "request, keep-alive",
            Self::Hybrid => "full handshake (X25519MLKEM768) + 1 request",
        }
    }
}

/// Who asks.
pub(crate) struct Client {
    good: DevCertificate,
    /// Of another CA.
    foreign: DevCertificate,
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Client {
    /// Makes the certificates of both sides: `ca.pem`, `server.pem`, `server.key`.
    pub(crate) fn prepare(folder: &Path) -> Self {
        let make = || DevCertificates::new(SystemClock.now()).expect("a CA");
        let (mut ca, mut other) = (make(), make());
        let server = ca.server(&["localhost"]).expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file can be written");
        write("ca.pem", &ca.ca_pem());
        write("server.pem", &server.chain_pem);
        write("server.key", server.key_pem.expose());
        let client = |ca: &mut DevCertificates| ca.client("bench", &[WHO], &[]).expect("a certificate");
        Self { good: client(&mut ca), foreign: client(&mut other) }
    }

    /// Nobody without a certificate of the CA gets through, who it is reaches the origin, also in a session that resumes.
    pub(crate) fn prove(&self, contestant: &Contestant) {
        let (name, to) = (contestant.name, contestant.address);
        for certificate in [None, Some(&self.foreign)] {
            let config = config(certificate, false, Resumption::disabled());
            let answer = connect(&config, to).and_then(|mut stream| ask(&mut stream));
            assert!(!answer.is_ok_and(|head| head.contains(" 200 ")), "{name} serves who has no certificate of the CA");
        }
        let config = config(Some(&self.good), false, Resumption::default());
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = connect(&config, to).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            let head = ask(&mut stream).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            assert!(head.starts_with("HTTP/1.1 200 "), "{name}: {head}");
            let seen =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-seen:").map(str::to_owned));
            assert!(seen.is_some_and(|seen| seen.contains("bench")), "{name} does not tell who it is: {head}");
            assert_eq!(stream.conn.handshake_kind(), Some(kind), "{name}");
        }
    }

    /// So many threads do this until the window ends; how often they did.
    pub(crate) fn load(&self, to: SocketAddr, kind: Kind, at_once: usize, window: Duration) -> u64 {
        let until = Instant::now() + window;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(|| self.work(to, kind, until))).collect();
            threads.into_iter().map(|thread| thread.join().expect("the client works")).sum()
        })
    }

    fn work(&self, to: SocketAddr, kind: Kind, until: Instant) -> u64 {
        let resumption = if kind == Kind::Resumed { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
        let config = config(Some(&self.good), kind == Kind::Hybrid, resumption);
        let open = || connect(&config, to).expect("a connection");
        let good = |stream: &mut Stream| {
            let head = ask(stream).expect("an answer");
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        };
        let mut stream = open();
        good(&mut stream);
        let mut count = 0;
        while Instant::now() < until {
            if kind != Kind::Request {
                close(&mut stream);
                stream = open();
            }
            good(&mut stream);
            let wanted = if kind == Kind::Resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
            assert_eq!(stream.conn.handshake_kind(), Some(wanted));
            count += 1;
        }
        close(&mut stream);
        count
    }

    /// Connections that have asked once.
    pub(crate) fn idle(&self, to: SocketAddr, count: usize) -> Vec<Stream> {
        let config = config(Some(&self.good), false, Resumption::disabled());
        let open = |_| {
            let mut stream = connect(&config, to).expect("a connection");
            ask(&mut stream).expect("an answer");
            stream
        };
        (0..count).map(open).collect()
    }
}

fn config(certificate: Option<&DevCertificate>, hybrid: bool, resumption: Resumption) -> Arc<ClientConfig> {
    let group = if hybrid { aws_lc_rs::kx_group::X25519MLKEM768 } else { aws_lc_rs::kx_group::X25519 };
    let provider = CryptoProvider {
        kx_groups: vec![group],
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..aws_lc_rs::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified));
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(made) => {
            let chain = CertificateDer::pem_slice_iter(made.chain_pem.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(made.key_pem.expose().as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("they fit")
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = resumption;
    Arc::new(config)
}

fn connect(config: &Arc<ClientConfig>, to: SocketAddr) -> io::Result<Stream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect(to)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(StreamOwned::new(session, socket))
}

/// One request; the head of the answer, whose body of 1 KiB is read, too.
fn ask(stream: &mut Stream) -> io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    stream.flush()?;
    let (mut buffer, mut length) = ([0; 8192], 0);
    loop {
        match stream.read(&mut buffer[length..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
        let Some(end) = buffer[..length].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        if !head.starts_with("HTTP/1.1 200 ") || length >= end + 4 + 1024 {
            return Ok(head);
        }
    }
}

fn close(stream: &mut Stream) {
    stream.conn.send_close_notify();
    // Who has closed already is closed.
    let _ = stream.conn.write_tls(&mut stream.sock);
}

/// The client is not what is measured: its core has better things to do than to verify the server.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
