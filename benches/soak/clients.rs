//! Clients over HTTP/1.1 and HTTP/2, and what became of their requests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::world::World;

/// Connections over HTTP/1.1; those over HTTP/2, and the streams of each.
const HTTP1: usize = 24;
const HTTP2: usize = 2;
const STREAMS: usize = 4;
/// Requests after which a client over HTTP/1.1 comes on a new connection.
const PER_CONNECTION: usize = 2_000;

/// Every request, by what became of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    asked: Cell<u64>,
    by_status: RefCell<BTreeMap<u16, u64>>,
    /// No answer came, or not to its end.
    lost: RefCell<BTreeMap<String, u64>>,
    /// On a kept connection that was closed before anything of the answer came, and asked again on a new one.
    again: Cell<u64>,
}

impl Tally {
    pub(crate) fn answered(&self) -> u64 {
        self.by_status.borrow().values().sum()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.borrow().values().sum()
    }

    fn count(&self, outcome: Result<u16, String>) {
        match outcome {
            Ok(status) => *self.by_status.borrow_mut().entry(status).or_default() += 1,
            Err(why) => *self.lost.borrow_mut().entry(why).or_default() += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<_> = self.by_status.borrow().iter().map(|(status, n)| format!("{n} × {status}")).collect();
        write!(
            f,
            "{} requests: {}; {} asked again on a new connection; {} without an answer {:?}",
            self.asked.get(),
            statuses.join(", "),
            self.again.get(),
            self.lost(),
            self.lost.borrow()
        )
    }
}

pub(crate) struct Clients {
    tally: Rc<Tally>,
    stop: Rc<Cell<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What all clients know.
struct Plan {
    address: SocketAddr,
    credentials: Vec<String>,
    next: Cell<usize>,
    /// Between two requests of one client; `None`: at once.
    pause: Option<Duration>,
    stop: Rc<Cell<bool>>,
    tally: Rc<Tally>,
}

impl Clients {
    /// All together so many requests a second, or as many as they can.
    pub(crate) fn start(world: &World, rate: Option<u32>) -> Self {
        let everybody = u32::try_from(HTTP1 + HTTP2 * STREAMS).unwrap_or(1);
        let (tally, stop): (Rc<Tally>, Rc<Cell<bool>>) = Default::default();
        let plan = Rc::new(Plan {
            address: world.address,
            credentials: world.credentials.clone(),
            next: Cell::new(0),
            pause: rate.map(|rate| Duration::from_secs(1) * everybody / rate),
            stop: Rc::clone(&stop),
            tally: Rc::clone(&tally),
        });
        let mut tasks: Vec<_> = (0..HTTP1).map(|_| tokio::task::spawn_local(over_http1(Rc::clone(&plan)))).collect();
        tasks.extend((0..HTTP2).map(|_| tokio::task::spawn_local(over_http2(Rc::clone(&plan)))));
        Self { tally, stop, tasks }
    }

    pub(crate) fn tally(&self) -> Rc<Tally> {
        Rc::clone(&self.tally)
    }

    /// Lets each finish its request.
    pub(crate) async fn stop(self) -> Rc<Tally> {
        self.stop.set(true);
        for task in self.tasks {
            task.await.expect("a client");
        }
        self.tally
    }
}

impl Plan {
    fn request(&self, http2: bool) -> Request<Empty<Bytes>> {
        self.tally.asked.set(self.tally.asked.get() + 1);
        let at = self.next.get();
        self.next.set((at + 1) % self.credentials.len());
        let (name, value) = self.credentials.get(at).and_then(|line| line.split_once(": ")).expect("a credential");
        let request = Request::get(if http2 { "http://bench/" } else { "/" }).header(name, value);
        let request = if http2 { request } else { request.header("host", "bench") };
        request.body(Empty::new()).expect("a request")
    }

    /// Waits until the next request is due.
    async fn due(&self, last: &mut Instant) {
        if let Some(pause) = self.pause {
            *last = (*last + pause).max(Instant::now() - 10 * pause);
            tokio::time::sleep_until((*last).into()).await;
        }
    }
}

async fn over_http1(plan: Rc<Plan>) {
    let mut due = Instant::now();
    let mut unanswered: Option<Request<Empty<Bytes>>> = None;
    while !plan.stop.get() || unanswered.is_some() {
        let Ok(stream) = TcpStream::connect(plan.address).await else {
            plan.tally.count(Err("cannot connect".to_owned()));
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        let driver = tokio::task::spawn_local(connection);
        for nth in 0..PER_CONNECTION {
            let request = match unanswered.take() {
                Some(request) => request,
                None if plan.stop.get() => break,
                None => {
                    plan.due(&mut due).await;
                    plan.request(false)
                }
            };
            match sender.try_send_request(request).await {
                Ok(response) => plan.tally.count(read(response).await),
                Err(mut error) => {
                    // Never sent: the connection was closed while it was at rest, as a server may.
                    match error.take_message() {
                        Some(request) if nth > 0 => {
                            plan.tally.again.set(plan.tally.again.get() + 1);
                            unanswered = Some(request);
                        }
                        _ => plan.tally.count(Err(format!("HTTP/1.1: {:?}", error.error()))),
                    }
                    break;
                }
            }
            if sender.ready().await.is_err() {
                break;
            }
        }
        drop(sender);
        let _ = driver.await;
    }
}

async fn over_http2(plan: Rc<Plan>) {
    while !plan.stop.get() {
        let stream = TcpStream::connect(plan.address).await.expect("a connection");
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a connection");
        let driver = tokio::task::spawn_local(connection);
        let streams: Vec<_> =
            (0..STREAMS).map(|_| tokio::task::spawn_local(one_stream(Rc::clone(&plan), sender.clone()))).collect();
        drop(sender);
        for stream in streams {
            stream.await.expect("a client");
        }
        let _ = driver.await;
    }
}

async fn one_stream(plan: Rc<Plan>, mut sender: http2::SendRequest<Empty<Bytes>>) {
    let mut due = Instant::now();
    while !plan.stop.get() {
        plan.due(&mut due).await;
        if sender.ready().await.is_err() {
            return;
        }
        match sender.try_send_request(plan.request(true)).await {
            Ok(response) => plan.tally.count(read(response).await),
            Err(error) => plan.tally.count(Err(format!("HTTP/2: {:?}", error.error()))),
        }
    }
}

async fn read(response: http::Response<hyper::body::Incoming>) -> Result<u16, String> {
    let status = response.status().as_u16();
    response.into_body().collect().await.map(|_| status).map_err(|error| format!("{status}, then {error}"))
}
