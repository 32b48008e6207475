use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use super::world::World;
use super::{Files, rest, run, settings};
use crate::model::settings::{Bind, ListenerSettings, TlsSettings};

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A listener behind a proxy at 127.0.0.1.
fn relayed(tls: Option<TlsSettings>) -> ListenerSettings {
    ListenerSettings {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        proxy_protocol: Some(Duration::from_secs(20)),
        ..settings(tls)
    }
}

#[test]
fn tls_begins_after_the_header() {
    let mut world = World::new();
    run(relayed(Some(world.tls())), |server| async move {
        let connector = TlsConnector::from(Arc::new(world.client(&[], None)));
        let name = || ServerName::try_from("localhost").unwrap();
        let mut stream = server.connect().await;
        stream.write_all(HEADER).await.unwrap();
        let mut stream = connector.connect(name(), stream).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        let text = rest(&mut stream).await;
        assert!(text.contains("from=203.0.113.9 tls=true"), "{text}");

        // A handshake without a header before it is none.
        assert!(connector.connect(name(), server.connect().await).await.is_err());
    });
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let short = ListenerSettings { proxy_protocol: Some(Duration::from_millis(20)), ..relayed(None) };
    run(short, |server| async move {
        for begun in [&b""[..], &HEADER[..20]] {
            // The header timeout and that of handshakes are longer than the test's patience lets them be noticed.
            assert_eq!(closed(&server, begun).await, "");
        }
    });
}

/// What comes before the connection ends, which may be by a reset.
async fn closed(server: &super::Server, bytes: &[u8]) -> String {
    let mut stream = server.connect().await;
    // It may be closed before it has taken all of this.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

#[test]
fn nobody_else_is_listened_to() {
    let elsewhere = ListenerSettings { trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()], ..relayed(None) };
    run(elsewhere, |server| async move {
        for bytes in [&[HEADER, REQUEST].concat(), REQUEST, HEADER, b""] {
            assert_eq!(closed(&server, bytes).await, "");
        }
    });
}

#[test]
fn a_proxy_on_a_unix_socket_names_clients_too() {
    let files = Files::new();
    let path = files.0.path().join("edge.sock");
    let unix = ListenerSettings {
        bind: Bind::Unix(path.clone()),
        trusted_proxies: Vec::new(),
        trust_unix: true,
        ..relayed(None)
    };
    run(unix, |_server| async move {
        for (header, from) in [(HEADER, "203.0.113.9"), (b"PROXY UNKNOWN\r\n", "0.0.0.0")] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n";
            stream.write_all(&[header, request.as_bytes()].concat()).await.unwrap();
            let text = rest(&mut stream).await;
            assert!(text.contains(&format!("from={from} ")), "{text}");
        }
    });
}
