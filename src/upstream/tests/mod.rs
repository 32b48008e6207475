//! Against an origin that is a bare socket: tests see the bytes that it gets and write the bytes that it sends.

mod bodies;
mod connections;
mod failures;
mod tls;

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet};

use super::balance::Upstream;
use super::request::{RequestBody, frame};
use super::{BodyError, ResponseBody};
use crate::model::Denial;
use crate::model::settings::{Endpoint, HostHeader, UpstreamSettings, UpstreamTimeouts, UpstreamTls};

/// One end of a connection, in the hands of a test.
struct Wire<T = TcpStream>(T);

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// What comes up to and including an empty line.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a whole head"));
        }
        String::from_utf8(head).unwrap()
    }

    async fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        self.0.read_exact(&mut bytes).await.expect("as many bytes");
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Waits until the other side closes; whatever it still sends is dropped.
    async fn closed(mut self) {
        let mut rest = [0; 4096];
        while matches!(self.0.read(&mut rest).await, Ok(1..)) {}
    }
}

struct Origin(TcpListener);

impl Origin {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { https: false, host: "127.0.0.1".into(), port: self.0.local_addr().unwrap().port() }
    }

    async fn accept(&self) -> Wire {
        Wire(self.0.accept().await.unwrap().0)
    }

    /// Accepts, reads a head, answers `ok`.
    async fn serve(&self) -> Wire {
        let mut wire = self.accept().await;
        wire.head().await;
        wire.say(OK).await;
        wire
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn settings(endpoints: Vec<Endpoint>) -> UpstreamSettings {
    UpstreamSettings {
        name: "up".into(),
        endpoints,
        host_header: HostHeader::Preserve,
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(20),
            response: Duration::from_secs(20),
            idle: Duration::from_secs(20),
        },
        max_idle: 8,
        max_connections: 8,
        tls: UpstreamTls::default(),
    }
}

fn upstream(settings: UpstreamSettings) -> Rc<Shared> {
    Rc::new(Shared(Upstream::new(&Arc::new(settings)).unwrap()))
}

/// What tests share with the tasks that they spawn on their own thread.
struct Shared(Upstream);

impl std::ops::Deref for Shared {
    type Target = Upstream;
    fn deref(&self) -> &Upstream {
        &self.0
    }
}

impl Shared {
    /// Connections open and idle, of the first endpoint.
    fn counts(&self) -> (usize, usize) {
        self.pools()[0].counts()
    }
}

async fn forward<B>(upstream: &Shared, request: Request<B>) -> Result<Response<ResponseBody>, Denial>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<BodyError>,
{
    let (mut head, body) = request.into_parts();
    head.version = Version::HTTP_11;
    frame(&mut head, &body)?;
    let (body, progress) = RequestBody::new(body, None);
    upstream.send(Request::from_parts(head, body), &progress).await
}

/// Forwards in a task of its own, so that the test can be the origin meanwhile.
fn forwarding<B>(upstream: &Rc<Shared>, request: Request<B>) -> JoinHandle<Result<Response<ResponseBody>, Denial>>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<BodyError>,
{
    let upstream = upstream.clone();
    tokio::task::spawn_local(async move { forward(&upstream, request).await })
}

fn get() -> Request<http_body_util::Empty<Bytes>> {
    Request::get("/a?b=%2e").header("host", "a.example").body(http_body_util::Empty::new()).unwrap()
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Fails rather than waits for what does not come.
async fn on_one_thread<F: Future>(test: F) -> F::Output {
    let test = tokio::time::timeout(Duration::from_secs(60), test);
    LocalSet::new().run_until(test).await.expect("an end")
}
