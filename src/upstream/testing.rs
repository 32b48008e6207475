//! An origin that is a bare socket: tests see the bytes that it gets and write the bytes that it sends.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::model::settings::{
    Balance, Endpoint, EndpointHealth, HostHeader, HttpVersion, Retries, Scheme, UpstreamLimits, UpstreamSettings,
    UpstreamTimeouts, UpstreamTls,
};

/// One end of a connection, in the hands of a test.
pub(crate) struct Wire<T = TcpStream>(pub(crate) T);

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// What comes up to and including an empty line.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a whole head"));
        }
        String::from_utf8(head).unwrap()
    }

    pub(crate) async fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        self.0.read_exact(&mut bytes).await.expect("as many bytes");
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// What comes until the other side closes, in whatever way.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }

    /// Waits until the other side closes; whatever it still sends is dropped.
    pub(crate) async fn closed(mut self) {
        let mut rest = [0; 4096];
        while matches!(self.0.read(&mut rest).await, Ok(1..)) {}
    }
}

pub(crate) struct Origin(pub(crate) TcpListener);

impl Origin {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            scheme: Scheme::Http,
            host: "127.0.0.1".into(),
            port: self.0.local_addr().unwrap().port(),
            weight: 1,
        }
    }

    pub(crate) async fn accept(&self) -> Wire {
        Wire(self.0.accept().await.unwrap().0)
    }

    /// Accepts, reads a head, answers `ok`.
    pub(crate) async fn serve(&self) -> Wire {
        let mut wire = self.accept().await;
        wire.head().await;
        wire.say(OK).await;
        wire
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub(crate) fn settings(endpoints: Vec<Endpoint>) -> UpstreamSettings {
    UpstreamSettings {
        name: "up".into(),
        endpoints,
        balance: Balance::RoundRobin,
        host_header: HostHeader::Preserve,
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(20),
            response: Duration::from_secs(20),
            idle: Duration::from_secs(20),
            ping: Duration::from_secs(300),
            total: None,
        },
        retries: Retries::default(),
        health: EndpointHealth::default(),
        max_idle: 8,
        max_connections: 8,
        http: HttpVersion::Auto,
        dns_refresh: None,
        limits: UpstreamLimits::default(),
        tls: UpstreamTls::default(),
        proxy_protocol: None,
        credential: None,
    }
}

/// Fails rather than waits for what does not come.
pub(crate) async fn on_one_thread<F: Future>(test: F) -> F::Output {
    let test = tokio::time::timeout(Duration::from_secs(60), test);
    LocalSet::new().run_until(test).await.expect("an end")
}
