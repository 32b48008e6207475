//! The answer on its way back: what its head must be, and what becomes of its connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, PROXY_AUTHENTICATE, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode, Version, response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::BodyError;
use super::circuit::Admitted;
use super::http2::IncomingStream;
use super::lease::Lease;

/// Reads what the head says of the connection and removes it: returns whether the connection may carry another request.
pub(super) fn unframe(head: &mut response::Parts, upgrade_wanted: bool) -> Result<bool, &'static str> {
    if head.status == StatusCode::SWITCHING_PROTOCOLS && !upgrade_wanted {
        return Err("101 without a request to switch protocols");
    }
    let chunked = {
        let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) => false,
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
            // Nothing else was offered (RFC 9112, section 6.1); the client would get a body in a coding it is not told of.
            _ => return Err("a transfer coding other than `chunked`"),
        }
    };
    if chunked && head.version != Version::HTTP_11 {
        return Err("a transfer coding in HTTP/1.0, which has none");
    }
    // Whichever of the two counted here, the next reader might go by the other (RFC 9112, section 6.3).
    if chunked && head.headers.contains_key(CONTENT_LENGTH) {
        return Err("a length beside a transfer coding");
    }
    head.headers.remove(TRANSFER_ENCODING);
    if head.status == StatusCode::NO_CONTENT || head.status.is_informational() {
        head.headers.remove(CONTENT_LENGTH);
    } else {
        single_length(&mut head.headers)?;
    }
    // After an answer in HTTP/1.0 hyper would speak it too, and cannot send a body of unknown length.
    let persistent = head.version >= Version::HTTP_11 && head.status != StatusCode::SWITCHING_PROTOCOLS;
    head.version = Version::HTTP_11;
    let bound = [WWW_AUTHENTICATE, PROXY_AUTHENTICATE].iter().any(|name| binds_connection(&head.headers, name));
    Ok(persistent && !bound)
}

/// Whether credentials of these headers authenticate the connection instead of the request: the next request on it would
/// be taken for the same user's (f60).
pub(super) fn binds_connection(headers: &HeaderMap, name: &http::HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| {
        // Schemes may stand anywhere in a list of challenges; a false alarm costs a connection, a miss an identity.
        value.as_bytes().split(|b| matches!(b, b' ' | b',' | b'\t')).any(|word| {
            [&b"ntlm"[..], b"negotiate", b"kerberos"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
        })
    })
}

/// Leaves one `Content-Length`, or none: the same again is the same length (RFC 9110, section 8.6), anything else is none.
/// hyper looks at those of answers that have a body, and takes `5, 5` as it is.
fn single_length(headers: &mut HeaderMap) -> Result<(), &'static str> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(()) };
    if values.next().is_none() && length(first.as_bytes()).is_some() {
        return Ok(());
    }
    let all = headers.get_all(CONTENT_LENGTH).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let mut lengths = all.map(|text| length(text.trim_ascii()));
    let known = lengths.next().flatten().ok_or("a `Content-Length` that is no length")?;
    if lengths.any(|length| length != Some(known)) {
        return Err("lengths that differ");
    }
    headers.insert(CONTENT_LENGTH, known.into());
    Ok(())
}

/// `1*DIGIT` that fits.
fn length(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// The body of an upstream's answer. Read to its end, it gives its connection back; dropped before, it closes it.
pub struct ResponseBody {
    incoming: Source,
    lease: Option<Lease>,
    reusable: bool,
    /// Where requests under way are limited.
    admitted: Option<Admitted>,
}

/// Where a body comes from.
pub(super) enum Source {
    Http1(Incoming),
    Http2(IncomingStream),
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl ResponseBody {
    pub(super) fn new(incoming: Source, lease: Lease, reusable: bool) -> Self {
        let mut body = Self { incoming, lease: Some(lease), reusable, admitted: None };
        // A tunnel goes on after its answer's end, and counts as a connection for as long.
        if reusable && body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// The request counts as one of those that may be under way, until this is read to its end or dropped.
    pub(super) fn hold(&mut self, admitted: Option<Admitted>) {
        self.admitted = admitted;
    }

    fn finish(&mut self) {
        if self.reusable
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
            self.admitted = None;
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(self.incoming.poll_frame(cx)) {
            None => {
                self.finish();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                if let Some(lease) = self.lease.take() {
                    tracing::warn!(upstream = %lease.pool(), %error, "an answer broke off");
                }
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("ended", &self.is_end_stream()).finish_non_exhaustive()
    }
}
