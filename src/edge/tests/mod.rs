//! The edge on real sockets.

mod certificates;
mod client_auth;
mod drain;
mod early_hints;
mod http1;
mod http2;
mod listen;
mod proxy_protocol;
mod tls;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::{Connection, Drain, Handler, Hangup, Incoming, Listener, Opening, Refused};
use crate::model::observer::Unobserved;
use crate::model::settings::{Bind, HttpLimits, ListenerSettings, Serve, TlsSettings};
use crate::model::{Clock, SystemClock};

/// Settings of a listener on a port that the system chooses.
fn settings(tls: Option<TlsSettings>) -> ListenerSettings {
    ListenerSettings {
        name: "main".into(),
        bind: Bind::Tcp("127.0.0.1:0".parse().unwrap()),
        serve: Serve::Proxy,
        public_origin: None,
        trusted_proxies: Vec::new(),
        trust_unix: false,
        proxy_protocol: None,
        hsts: None,
        tls,
        limits: HttpLimits::default(),
    }
}

fn open(settings: ListenerSettings) -> Result<Listener, super::ListenError> {
    Listener::open(Arc::new(settings), Arc::new(SystemClock), Arc::new(Unobserved))
}

/// Says what it was asked, in a line.
#[derive(Default)]
struct Teller {
    /// A request for `/wait` tells that it has begun, and waits to be let go.
    begun: Notify,
    go: Notify,
}

impl Handler for Teller {
    type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    async fn handle(
        &self,
        mut request: Request<Incoming>,
        connection: Arc<Connection>,
        hangup: Hangup,
    ) -> Response<Self::Body> {
        let answer = |status: StatusCode, text: String| {
            let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
            let mut response = Response::new(body);
            *response.status_mut() = status;
            response
        };
        if let Some(Refused(reason)) = request.extensions().get() {
            let row = reason.row();
            return answer(StatusCode::from_u16(row.status).unwrap(), row.label.to_owned());
        }
        match request.uri().path() {
            "/wait" => {
                self.begun.notify_one();
                self.go.notified().await;
            }
            "/hints" => {
                if let Some(hints) = hangup.early_hints(request.version()) {
                    hints.send([HeaderValue::from_static("</a>")].iter());
                }
                self.begun.notify_one();
                self.go.notified().await;
            }
            // Has a hint when it has answered, and ends its answer after that.
            "/late" => {
                let (tell, told) = tokio::sync::oneshot::channel::<()>();
                let hints = hangup.early_hints(request.version());
                tokio::task::spawn_local(async move {
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    hints.iter().for_each(|hints| hints.send([HeaderValue::from_static("</late>")].iter()));
                    tokio::task::yield_now().await;
                    tell.send(())
                });
                let rest = futures_util::stream::once(async {
                    let _ = told.await;
                    Ok(http_body::Frame::data(Bytes::from_static(b"late")))
                });
                return Response::new(http_body_util::StreamBody::new(rest).boxed_unsync());
            }
            // Answers before the request has ended, with a long head, and reads on.
            "/early-and-long" => {
                tokio::task::spawn_local(request.into_body().collect());
                let mut response = answer(StatusCode::NO_CONTENT, String::new());
                response.headers_mut().insert("long", "x".repeat(early_hints::LONG).parse().unwrap());
                return response;
            }
            "/panic" => panic!("asked to"),
            "/upgrade" => {
                let opening = Opening::of(&mut request);
                tokio::task::spawn_local(async move {
                    let mut io = opening.await.unwrap();
                    let mut bytes = [0; 1024];
                    while let Ok(read @ 1..) = io.read(&mut bytes).await {
                        io.write_all(&bytes[..read]).await.unwrap();
                    }
                });
                let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, String::new());
                response.headers_mut().insert("connection", "upgrade".parse().unwrap());
                response.headers_mut().insert("upgrade", "echo".parse().unwrap());
                return response;
            }
            "/early" => return answer(StatusCode::UNAUTHORIZED, "early".to_owned()),
            _ => {}
        }
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return answer(StatusCode::BAD_REQUEST, "body broken".to_owned()) };
        let trailers = body.trailers().map_or(0, http::HeaderMap::len);
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let sni = connection.server_name.as_deref().unwrap_or("-");
        let uris = connection.certificate.as_ref().map_or("-".to_owned(), |certificate| certificate.uris.join(","));
        let client = connection.client(&head.headers);
        answer(
            StatusCode::OK,
            format!(
                "{} {} {:?} body={body} trailers={trailers} sni={sni} cert={uris} from={} tls={}\n",
                head.method, head.uri, head.version, client.address, client.https
            ),
        )
    }
}

/// A server, as tests see it.
struct Server {
    address: SocketAddr,
    teller: Rc<Teller>,
    drain: Drain,
    listeners: Vec<Arc<Listener>>,
}

impl Server {
    /// Sends bytes and reads to the end of the connection.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// All that is left to read.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    String::from_utf8(all).unwrap()
}

/// Reads until `end` has been read.
async fn until(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "closed after {:?}", String::from_utf8_lossy(&all));
    }
    String::from_utf8(all).unwrap()
}

/// Runs a server and a test against it on one thread; then drains, which must come to an end by itself.
fn run<F: Future<Output = ()>>(settings: ListenerSettings, test: impl FnOnce(Rc<Server>) -> F) {
    run_by(Arc::new(SystemClock), settings, test);
}

/// The same by another clock.
fn run_by<F: Future<Output = ()>>(
    clock: Arc<dyn Clock>,
    settings: ListenerSettings,
    test: impl FnOnce(Rc<Server>) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = Listener::open(Arc::new(settings), clock, Arc::new(Unobserved)).unwrap();
        let listeners = vec![Arc::new(listener)];
        let address = listeners[0].local_addr().unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let (teller, drain) = (Rc::<Teller>::default(), Drain::new());
        let serving =
            tokio::task::spawn_local(super::serve(listeners.clone(), Rc::clone(&teller), drain.clone(), None));
        let server = Rc::new(Server { address, teller, drain: drain.clone(), listeners });
        // Only so that a test that fails does not hang.
        let hang = Duration::from_secs(30);
        tokio::time::timeout(hang, test(Rc::clone(&server))).await.expect("the test hangs");
        drain.begin();
        tokio::time::timeout(hang, serving).await.expect("draining hangs").unwrap();
    });
}

/// A directory with files, gone with the test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}
