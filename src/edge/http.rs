//! Speaking HTTP on one connection: which version, with which limits, until when.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures_util::future::poll_fn;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::body::Incoming;
use super::certified::Enrolled;
use super::drain::{Counted, Entry, Farewell, Roster};
use super::framing::FramingLimits;
use super::framing::guard::Guarded;
use super::hangup::Hangup;
use super::http2::{Debtors, Exchanges, Http2};
use super::overload::Overload;
use super::progress::{Progress, Tracked, Wait};
use super::socket::Transport;
use super::{Connection, Handler, Refused, absolute_form};
use crate::model::denial::Reason;
use crate::model::settings::HttpLimits;

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Header fields for which hyper needs no allocation; its own default.
const HYPER_MAX_HEADERS: usize = 100;

/// hyper's read buffer grows up to this while a body streams.
const READ_BUFFER: usize = 128 * 1024;

/// The version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Finds out what a client on a clear connection speaks, from the first bytes where it differs; what was read.
pub(super) async fn sniff<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<(Protocol, BytesMut)> {
    let mut read = BytesMut::new();
    loop {
        if !PREFACE.starts_with(read.get(..read.len().min(PREFACE.len())).unwrap_or_default()) {
            return Ok((Protocol::Http1, read));
        }
        if read.len() >= PREFACE.len() {
            return Ok((Protocol::Http2, read));
        }
        if io.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A connection on which HTTP can be spoken.
pub(super) struct Ready {
    pub(super) protocol: Protocol,
    pub(super) io: Transport,
    /// What was read to find out the protocol.
    pub(super) read: BytesMut,
    pub(super) connection: Connection,
}

/// What a connection has to do with those of its core, and what is known of it outside.
pub(super) struct Company {
    pub(super) roster: Rc<Roster>,
    pub(super) overload: Rc<Overload>,
    pub(super) progress: Arc<Progress>,
}

/// What lasts as long as a connection, whatever it speaks by then: it is counted, and found when what vouches for its
/// client has changed.
pub(super) type Keep = (Counted, Option<Enrolled>);

/// Serves a connection to its end.
pub(super) async fn serve<H: Handler>(
    Ready { protocol, io, read, connection }: Ready,
    handler: Rc<H>,
    Company { roster, overload, progress }: Company,
    keep: Keep,
) {
    let connection = Arc::new(connection);
    let settings = Arc::clone(&connection.listener);
    let limits = &settings.limits;
    match protocol {
        Protocol::Http1 => {
            let framing = FramingLimits { max_head_bytes: limits.max_header_bytes, max_fields: limits.max_headers };
            let io = Guarded::http1(io, read, framing, Arc::clone(&progress), keep);
            let service = {
                let (progress, roster) = (Arc::clone(&progress), Rc::clone(&roster));
                service_fn(move |request: Request<hyper::body::Incoming>| {
                    let company = Company {
                        roster: Rc::clone(&roster),
                        overload: Rc::clone(&overload),
                        progress: Arc::clone(&progress),
                    };
                    answer(Rc::clone(&handler), Arc::clone(&connection), company, request)
                })
            };
            let mut builder = hyper::server::conn::http1::Builder::new();
            // The guard refuses first; hyper's own limit stands a little higher. Its header timer counts idle time too
            // and costs a timer for each request: `drive` does both for less.
            builder
                .header_read_timeout(None)
                .max_header_size(limits.max_header_bytes.saturating_add(1024))
                .max_buf_size(READ_BUFFER.max(limits.max_header_bytes.saturating_add(1024)));
            if limits.max_headers > HYPER_MAX_HEADERS {
                builder.max_headers(limits.max_headers);
            }
            let http = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
            drive(http, |http| http.graceful_shutdown(), || (), &progress, limits, &roster).await;
        }
        Protocol::Http2 => {
            let io = Guarded::opaque(io, read, Arc::clone(&progress), keep);
            let debtors = Debtors::default();
            let reap = {
                let (debtors, patience) = (debtors.clone(), limits.send_timeout);
                move || {
                    let stalled = debtors.reap(patience);
                    if stalled > 0 {
                        tracing::debug!(stalled, "streams reset: nothing of their answers taken within timeouts.send");
                    }
                }
            };
            let exchanges = Exchanges { handler, connection, progress: Arc::clone(&progress), overload, debtors };
            let start = move |request, reply| exchanges.start(request, reply);
            let http = Http2::new(io, limits, Arc::clone(&progress), start);
            drive(http, |http| http.get_mut().finish(), reap, &progress, limits, &roster).await;
        }
    }
}

/// Answers one request of HTTP/1.
async fn answer<H: Handler>(
    handler: Rc<H>,
    connection: Arc<Connection>,
    Company { roster, overload, progress }: Company,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Tracked<H::Body>>, Infallible> {
    let (active, refused) = progress.begin();
    let mut request = request.map(Incoming::http1);
    let turn = overload.turn().await;
    if let Some(reason) = refused.or(turn.is_err().then_some(Reason::Overloaded)) {
        request.extensions_mut().insert(Refused(reason));
    }
    absolute_form::complete(request.uri_mut());
    let hangup = Hangup::of_connection(&progress);
    let mut response = handler.handle(request, connection, hangup).await;
    drop(turn);
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    progress.answer(upgraded);
    // An answer that is ready at the very poll in which draining begins is written before hyper is told.
    if !upgraded && roster.farewell() > Farewell::None {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Tracked::new(body, active)))
}

/// Polls a connection to its end, which also comes when it waits too long for the client or when the worker drains.
async fn drive<C: Future<Output = Result<(), E>>, E: std::fmt::Display>(
    http: C,
    finish: impl Fn(Pin<&mut C>),
    reap: impl Fn(),
    progress: &Progress,
    limits: &HttpLimits,
    roster: &Rc<Roster>,
) {
    let mut http = pin!(http);
    let mut entry: Option<Entry> = None;
    let mut finishing = false;
    let mut armed = Instant::now() + limits.header_timeout;
    let mut alarm = pin!(tokio::time::sleep_until(armed));
    poll_fn(|cx: &mut Context<'_>| {
        let entry = entry.get_or_insert_with(|| {
            progress.driven_by(cx.waker());
            roster.enter(cx.waker())
        });
        if progress.is_cut() {
            return Poll::Ready(());
        }
        loop {
            if let Poll::Ready(ended) = http.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return Poll::Ready(());
            }
            // After the poll: a request that has arrived is answered before the connection is asked to end.
            let last_answer = if progress.is_http1() { Farewell::Prompt } else { Farewell::Patient };
            if finishing || entry.farewell() < last_answer {
                break;
            }
            finishing = true;
            finish(http.as_mut());
        }
        // A deadline that moves away is left for the alarm to find out, so that most requests touch no timer.
        if let Some(due) = progress.deadline(limits)
            && due.at < armed
        {
            armed = due.at;
            alarm.as_mut().reset(armed);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            reap();
            armed = match progress.deadline(limits) {
                Some(due) if due.at > now => due.at,
                Some(due) if due.kind == Wait::Reader => {
                    tracing::debug!("connection closed: nothing of an answer taken within timeouts.send");
                    progress.cut();
                    return Poll::Ready(());
                }
                // Told to finish when it was idle, and has not.
                Some(_) if finishing => return Poll::Ready(()),
                Some(due) if due.kind == Wait::Head => {
                    tracing::debug!("connection closed: no request head within header_timeout");
                    return Poll::Ready(());
                }
                Some(_) => {
                    finishing = true;
                    finish(http.as_mut());
                    cx.waker().wake_by_ref();
                    now + limits.header_timeout
                }
                None => now + limits.send_timeout.min(limits.idle_timeout),
            };
            alarm.as_mut().reset(armed);
        }
        Poll::Pending
    })
    .await;
}
