//! TLS: handshakes that stop, handshakes without end, and a client of our own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::World;
use crate::process::Process;

/// A client that speaks this protocol.
pub(crate) fn client(process: &Process, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(process.ca()).expect("a CA").flatten() {
        roots.add(certificate).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// A connection, handshake done.
pub(crate) fn connect(
    process: &Process,
    config: &Arc<ClientConfig>,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").ok()?;
    let session = ClientConnection::new(Arc::clone(config), name).ok()?;
    let socket = TcpStream::connect(process.tls).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

pub(crate) fn flood(world: &World) {
    let config = client(&world.process, b"h2");
    while world.goes_on() {
        if connect(&world.process, &config).is_some() {
            world.opened.fetch_add(1, Relaxed);
        }
    }
}

pub(crate) fn stalled(world: &World) {
    // A record of a hello that never comes to its end.
    let begun = [&[22, 3, 1, 2, 0, 1, 0, 1, 252][..], &[3; 100]].concat();
    let mut streams = Vec::new();
    while world.goes_on() {
        if streams.len() < 2000 {
            let Ok(mut stream) = TcpStream::connect(world.process.tls) else { continue };
            world.opened.fetch_add(1, Relaxed);
            let _ = stream.write_all(&begun);
            let _ = stream.set_nonblocking(true);
            streams.push(stream);
            if streams.len() % 50 != 0 {
                continue;
            }
        }
        let before = streams.len();
        streams.retain_mut(|stream| !matches!(stream.read(&mut [0; 64]), Ok(0)));
        world.ended.fetch_add((before - streams.len()) as u64, Relaxed);
        std::thread::sleep(Duration::from_millis(20));
    }
}
