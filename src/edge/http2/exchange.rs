//! One request and its answer, on a stream of their own.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use tokio::sync::oneshot;

use super::outgoing;
use super::stream::{Debtors, Owing, Stream};
use super::tunnel::StreamTunnel;
use crate::edge::ambiguity::http2_refusal;
use crate::edge::body::Incoming;
use crate::edge::hangup::Hangup;
use crate::edge::overload::Overload;
use crate::edge::progress::{Active, Progress};
use crate::edge::{Connection, Handler, Refused, date};
use crate::model::denial::Reason as Denied;

/// Answers the requests of one connection.
pub(in crate::edge) struct Exchanges<H> {
    pub(in crate::edge) handler: Rc<H>,
    pub(in crate::edge) connection: Arc<Connection>,
    pub(in crate::edge) progress: Arc<Progress>,
    pub(in crate::edge) overload: Rc<Overload>,
    pub(in crate::edge) debtors: Debtors,
}

impl<H: Handler> Exchanges<H> {
    /// Begins one, in a task on this core: nothing of a connection leaves it.
    pub(in crate::edge) fn start(&self, request: Request<RecvStream>, reply: SendResponse<Bytes>) {
        let (active, refused) = self.progress.begin();
        let refused = refused.or_else(|| http2_refusal(&request, self.connection.listener.limits.max_headers));
        let stream = Rc::<Stream>::default();
        let (head, received) = request.into_parts();
        let (body, tunnel) = if head.method == Method::CONNECT {
            let (opens, pledge) = oneshot::channel();
            (Incoming::connect(pledge), Some((opens, received)))
        } else {
            let expects = awaits_leave(&head.headers).then(|| Rc::clone(&stream));
            (Incoming::http2(received, length(&head.headers), expects), None)
        };
        let is_head = head.method == Method::HEAD;
        let request = Request::from_parts(head, body);
        let mut exchange = Exchange { reply, stream, debtors: self.debtors.clone(), active, tunnel, is_head };
        let (handler, overload) = (Rc::clone(&self.handler), Rc::clone(&self.overload));
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_local(async move {
            let hangup = Hangup::of_stream(Rc::clone(&exchange.stream));
            // Once it is there, the answer has the room that the handler had.
            let answer = {
                let mut handling = pin!(handle(&*handler, &overload, refused, request, connection, hangup));
                poll_fn(|cx| exchange.poll_answer(handling.as_mut(), cx)).await
            };
            if let Some(answer) = answer {
                exchange.finish(answer).await;
            }
        });
    }
}

/// Has a request handled, once it is its turn.
async fn handle<H: Handler>(
    handler: &H,
    overload: &Rc<Overload>,
    refused: Option<Denied>,
    mut request: Request<Incoming>,
    connection: Arc<Connection>,
    hangup: Hangup,
) -> Response<H::Body> {
    let turn = overload.turn().await;
    if let Some(reason) = refused.or(turn.is_err().then_some(Denied::Overloaded)) {
        request.extensions_mut().insert(Refused(reason));
    }
    let response = handler.handle(request, connection, hangup).await;
    drop(turn);
    response
}

/// Whether a client waits before it sends its body (RFC 9110, section 10.1.1).
fn awaits_leave(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A stated length; one that is in doubt has been refused.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

struct Exchange {
    reply: SendResponse<Bytes>,
    stream: Rc<Stream>,
    debtors: Debtors,
    active: Active,
    /// What a tunnel would be made of, and how it is handed over.
    tunnel: Option<(oneshot::Sender<StreamTunnel>, RecvStream)>,
    is_head: bool,
}

impl Exchange {
    /// Ready with the answer, or with nothing where nobody waits for it any more.
    fn poll_answer<F: Future>(&mut self, handling: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.stream.is_cut(cx) {
            self.reply.send_reset(Reason::CANCEL);
            return Poll::Ready(None);
        }
        if self.reply.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        let polled = handling.poll(cx);
        if polled.is_pending() {
            self.stream.say_interim(&mut self.reply, cx);
        }
        polled.map(Some)
    }

    /// Sends the answer. Dropped before its end, the stream is reset.
    async fn finish<B>(mut self, answer: Response<B>)
    where
        B: http_body::Body<Data = Bytes, Error = Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut head, body) = answer.into_parts();
        remove_connection_headers(&mut head.headers);
        head.headers.entry(DATE).or_insert_with(date::now);
        if let Some((opens, received)) = self.tunnel.take()
            && head.status.is_success()
            && !opens.is_closed()
        {
            head.headers.remove(CONTENT_LENGTH);
            if let Some(sent) = self.reply(Response::from_parts(head, ()), false) {
                // Whoever would have it may have gone.
                drop(opens.send(StreamTunnel::new(received, sent, self.stream, self.active)));
            }
            return;
        }
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if !bodiless
            && !body.is_end_stream()
            && !head.headers.contains_key(CONTENT_LENGTH)
            && let Some(length) = body.size_hint().exact()
        {
            head.headers.insert(CONTENT_LENGTH, length.into());
        }
        let whole = bodiless || self.is_head || body.is_end_stream();
        let Some(sent) = self.reply(Response::from_parts(head, ()), whole) else { return };
        if !whole {
            let owing = Owing::new(self.stream, self.debtors);
            outgoing::send(pin!(body), sent, owing).await;
        }
        drop(self.active);
    }

    fn reply(&mut self, head: Response<()>, whole: bool) -> Option<h2::SendStream<Bytes>> {
        let sent = match head.status().is_informational() {
            // `h2` would take it for the answer.
            true => Err(Reason::INTERNAL_ERROR.into()),
            false => self.reply.send_response(head, whole),
        };
        match sent {
            Ok(sent) => Some(sent),
            Err(error) => {
                tracing::debug!(%error, "an answer cannot be sent");
                self.reply.send_reset(Reason::INTERNAL_ERROR);
                None
            }
        }
    }
}

/// What HTTP/2 has no use for (RFC 9113, section 8.2.2), whoever has put it there.
fn remove_connection_headers(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
}
