//! An answer's body on its way through a stream.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use super::stream::Owing;

type BodyError = Box<dyn Error + Send + Sync>;

/// Sends a body as fast as the client takes it, to its end or to the stream's, whichever comes first. One part of it is
/// held here, and what `h2` may buffer there.
pub(super) async fn send<B>(mut body: Pin<&mut B>, stream: SendStream<Bytes>, owing: Owing)
where
    B: Body<Data = Bytes, Error = BodyError>,
{
    let mut outgoing = Outgoing { stream, owing, held: None };
    poll_fn(|cx| outgoing.poll(body.as_mut(), cx)).await;
}

struct Outgoing {
    stream: SendStream<Bytes>,
    owing: Owing,
    /// A part that waits for room, and whether it is the last one.
    held: Option<(Bytes, bool)>,
}

impl Outgoing {
    fn poll<B>(&mut self, mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<()>
    where
        B: Body<Data = Bytes, Error = BodyError>,
    {
        if self.owing.is_cut(cx) {
            self.stream.send_reset(Reason::CANCEL);
            return Poll::Ready(());
        }
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            if self.held.is_some() && !ready!(self.poll_room(cx)) {
                return Poll::Ready(());
            }
            if let Some((data, last)) = self.held.take()
                && (self.stream.send_data(data, last).is_err() || last)
            {
                return Poll::Ready(());
            }
            // Before any room is asked for: what one stream reserves is missing to the others of its connection.
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let last = body.is_end_stream();
                        if !data.is_empty() {
                            // What is handed over in one piece is asked for by `h2` itself.
                            self.stream.reserve_capacity(1);
                            self.held = Some((data, last));
                        } else if last {
                            let _ = self.stream.send_data(data, true);
                            return Poll::Ready(());
                        }
                    }
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        self.stream.reserve_capacity(0);
                        if self.stream.send_trailers(trailers).is_err() {
                            self.stream.send_reset(Reason::INTERNAL_ERROR);
                        }
                        return Poll::Ready(());
                    }
                },
                Some(Err(error)) => {
                    tracing::debug!(%error, "an answer broke off");
                    self.stream.send_reset(code(&*error));
                    return Poll::Ready(());
                }
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Whether there is room, or the stream is over.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(false),
                Poll::Pending => {
                    self.owing.owes();
                    return Poll::Pending;
                }
            }
        }
        self.owing.taken();
        Poll::Ready(true)
    }
}

/// The code of the upstream's stream where it was reset, so that clients can tell a cancelled call from a failed one.
fn code(error: &(dyn Error + 'static)) -> Reason {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(reason) = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason) {
            return reason;
        }
        next = error.source();
    }
    Reason::INTERNAL_ERROR
}
