//! A connection in the hands of one request.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use hyper::client::conn::http1::SendRequest;

use super::pool::Pool;
use super::request::RequestBody;
use super::slot::{Slot, Stream, Use};

/// A connection in somebody's hands, or a part of one that carries several requests. Dropped, it is closed, or its
/// stream is reset; [`Lease::give_back`] keeps it.
pub(super) struct Lease {
    pub(super) sender: Sender,
    pub(super) slot: Rc<Slot>,
    /// Whether it has carried a request before: over HTTP/2, one that was answered.
    pub(super) reused: bool,
    pub(super) use_of: Use,
}

/// What a request goes out with.
pub(super) enum Sender {
    Http1(SendRequest<RequestBody>),
    Http2(h2::client::SendRequest<Bytes>, Stream),
}

/// What a request wants of its connection.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// HTTP/1.1: to switch protocols on it.
    pub(super) http1: bool,
    /// That nobody else's requests are on it: what it says may be taken to be said of the whole connection (f60).
    pub(super) alone: bool,
    /// That it has not rested: others that have may be closing just as one was.
    pub(super) fresh: bool,
    /// Whose it is.
    pub(super) client: SocketAddr,
}

impl Lease {
    /// Keeps it for others, if the exchange is over on both sides. When it is not (an answer that came before the
    /// request's end), who comes next would wait for somebody else's client.
    pub(super) fn give_back(self) {
        // A part of a connection is given back by being dropped.
        if let Sender::Http1(sender) = self.sender {
            self.use_of.pool.keep(sender, &self.slot);
        }
    }

    /// Who is at its other end.
    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.use_of.pool
    }
}
