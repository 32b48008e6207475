//! A client that presents whatever it is told to, and signs with whatever key.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// What became of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The head of the answer to a request.
    Answered(String),
    Alert(AlertDescription),
    /// Closed without a word, or before it could be read.
    Closed,
    /// What the client itself made of it.
    Failed(String),
}

/// Connects with this chain, and asks for `/` once the server has taken it.
pub fn connect(to: SocketAddr, chain: &[Vec<u8>], key: Option<Arc<dyn SigningKey>>, tls12: bool) -> Outcome {
    let (mut tls, mut socket) = begin(to, chain, key, tls12);
    exchange(&mut tls, &mut socket).unwrap_or_else(|error| outcome(&error))
}

/// A connection that the server has taken.
pub fn open(
    to: SocketAddr,
    chain: &[Vec<u8>],
    key: Option<Arc<dyn SigningKey>>,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let (mut tls, mut socket) = begin(to, chain, key, false);
    verdict(&mut tls, &mut socket)?;
    Ok(StreamOwned::new(tls, socket))
}

fn begin(
    to: SocketAddr,
    chain: &[Vec<u8>],
    key: Option<Arc<dyn SigningKey>>,
    tls12: bool,
) -> (ClientConnection, TcpStream) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = if tls12 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let config = match key {
        None => builder.with_no_client_auth(),
        Some(key) => {
            let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
            builder.with_client_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, key)))))
        }
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(to).expect("it listens");
    // Only so that a broken test ends; no test waits for it.
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    (tls, socket)
}

/// The handshake; in TLS 1.3 the server's verdict comes after that of this side: an alert, or tickets. What is sent before
/// would make a server that closes reset the connection, and the alert would be lost.
fn verdict(tls: &mut ClientConnection, socket: &mut TcpStream) -> std::io::Result<()> {
    while tls.is_handshaking() {
        tls.complete_io(socket)?;
    }
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    if tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
        if tls.read_tls(socket)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        tls.process_new_packets().map_err(std::io::Error::other)?;
    }
    Ok(())
}

fn exchange(tls: &mut ClientConnection, socket: &mut TcpStream) -> std::io::Result<Outcome> {
    verdict(tls, socket)?;
    let mut stream = rustls::Stream::new(tls, socket);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error),
    }
    Ok(if answer.is_empty() { Outcome::Closed } else { Outcome::Answered(String::from_utf8_lossy(&answer).into()) })
}

fn outcome(error: &std::io::Error) -> Outcome {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Outcome::Alert(*alert),
        Some(other) => Outcome::Failed(other.to_string()),
        None => match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Outcome::Closed,
            _ => Outcome::Failed(error.to_string()),
        },
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// It is the other side that is tested.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
