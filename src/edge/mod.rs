//! Where clients connect: listeners, TLS, connections, the client's address, drain.
//!
//! ```text
//! listener ─ accept ─ proxy_protocol ─ tls ─┬ framing::guard ─ http (hyper) ─┬─► Handler
//!                                           └ http2 (h2) ────────────────────┘
//! ```

mod absolute_form;
mod accept;
mod ambiguity;
mod bind;
mod body;
mod certified;
mod connection;
mod date;
mod drain;
mod early_hints;
mod forwarded;
mod framing;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hangup;
mod http;
mod http2;
mod listener;
mod overload;
mod progress;
mod proxy_protocol;
mod quiet;
mod socket;
mod tls;
mod tunnel;

use std::sync::Arc;

use ::http::{Request, Response};
pub use accept::{Server, serve};
pub use body::{BrokenBody, Incoming};
use bytes::Bytes;
pub use connection::Connection;
pub use drain::Drain;
pub use early_hints::EarlyHints;
pub use hangup::Hangup;
pub use listener::{ListenError, Listener, Terms};
pub use tunnel::{NotOpened, Opening, Tunnel};

use crate::model::settings::HttpLimits;

/// Answers requests. Futures stay on the connection's core, so they need not be `Send`.
pub trait Handler: 'static {
    /// The answer's body.
    type Body: http_body::Body<Data = Bytes, Error = Box<dyn std::error::Error + Send + Sync>> + 'static;

    /// Answers one request. What the edge itself refuses (framing that can be read in two ways) arrives here too, as
    /// [`Refused`] in the request's extensions, so that there is one place that writes denials. `hangup` ends the exchange
    /// from outside.
    fn handle(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
        hangup: Hangup,
    ) -> impl Future<Output = Response<Self::Body>>;
}

/// In a request's extensions: the edge refuses this request for this reason. Of a refused HTTP/1 request nothing else is
/// what the client sent: method, target and headers are a stand-in's.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub crate::model::denial::Reason);

/// Defaults of the caps, for messages.
pub fn default_limits() -> HttpLimits {
    HttpLimits::default()
}

#[cfg(test)]
mod tests;
