//! Against an origin that is a bare socket.

mod addresses;
mod balancing;
mod bodies;
mod connections;
mod failures;
mod health;
mod http2;
mod interim;
mod limits;
mod proxy_protocol;
mod retries;
mod surge;
mod tls;
mod unix;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::balance::Upstream;
use super::health::{Checker, Conditions};
use super::request::{RequestBody, frame};
use super::testing::{OK, Origin, Wire, on_one_thread, settings};
use super::{BodyError, ResponseBody};
use crate::model::Denial;
use crate::model::settings::{Endpoint, HostHeader, Scheme, UpstreamSettings};

fn upstream(settings: UpstreamSettings) -> Rc<Shared> {
    let settings = Arc::new(settings);
    let health = Conditions::new(&[]).of(&settings);
    Rc::new(Shared(Upstream::new(&settings, health, None).unwrap()))
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
    forward_within(upstream, request, None).await
}

/// For a route that waits for so long.
async fn forward_within<B>(
    upstream: &Shared,
    request: Request<B>,
    within: Option<Duration>,
) -> Result<Response<ResponseBody>, Denial>
where
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<BodyError>,
{
    let (mut head, body) = request.into_parts();
    head.version = Version::HTTP_11;
    frame(&mut head, &body)?;
    let (body, progress) = RequestBody::new(body, None, None);
    let client = std::net::SocketAddr::from(([192, 0, 2, 7], 4711));
    upstream.send(Request::from_parts(head, body), &progress, client, within).await
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
