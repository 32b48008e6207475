//! Stage 3: what the client presents, as far as the route accepts it.
//!
//! What a route does not accept is not read: on a public route an `Authorization` header belongs to the application.

mod accepts;
mod bearer;
mod reader;
mod websocket;

pub(in crate::gate) use accepts::{Accepts, Companion};
pub(in crate::gate) use reader::Reader;

use crate::model::{ClientCertificate, CredentialKind};

/// What was presented, classified once by its form.
#[derive(Debug, Clone, Copy)]
pub enum Presented<'a> {
    /// A bearer token of three segments.
    Jwt(&'a str),
    /// A key of our own format.
    ApiKey(&'a str),
    /// The value of our session cookie.
    Session(&'a str),
    /// A verified client certificate.
    Certificate(&'a ClientCertificate),
}

impl Presented<'_> {
    /// Its kind.
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Jwt(_) => CredentialKind::Jwt,
            Self::ApiKey(_) => CredentialKind::ApiKey,
            Self::Session(_) => CredentialKind::Session,
            Self::Certificate(_) => CredentialKind::Mtls,
        }
    }
}

/// What brought the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) enum Carrier {
    /// `Authorization: Bearer`.
    Authorization,
    /// The API-key header.
    ApiKeyHeader,
    /// `Sec-WebSocket-Protocol`.
    WebSocketProtocol,
    /// Our session cookie.
    Cookie,
    /// The TLS connection.
    Connection,
}

/// The one credential that counts.
#[derive(Debug, Clone, Copy)]
pub(in crate::gate) struct Found<'a> {
    /// What.
    pub(in crate::gate) presented: Presented<'a>,
    /// How it came.
    pub(in crate::gate) carrier: Carrier,
}

impl Found<'_> {
    /// Put into this request on purpose, by whoever made it.
    pub(in crate::gate) const fn is_explicit(&self) -> bool {
        !self.presented.kind().is_ambient()
    }
}

#[cfg(test)]
mod tests;
