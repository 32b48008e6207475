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
    /// A bearer token of any other form.
    Opaque(&'a str),
    /// User name and password, as `Authorization: Basic` has them (RFC 7617): base64, not yet decoded.
    Basic(&'a str),
    /// A key of our own format.
    ApiKey(&'a str),
    /// The value of our session cookie.
    Session(&'a str),
    /// A verified client certificate.
    Certificate(&'a ClientCertificate),
}

impl<'a> Presented<'a> {
    /// The text of a token that may come with a proof.
    pub(in crate::gate) const fn token(&self) -> Option<&'a str> {
        match self {
            Self::Jwt(token) | Self::Opaque(token) | Self::ApiKey(token) => Some(token),
            Self::Basic(_) | Self::Session(_) | Self::Certificate(_) => None,
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Jwt(_) => CredentialKind::Jwt,
            Self::Opaque(_) => CredentialKind::Opaque,
            Self::Basic(_) => CredentialKind::Basic,
            Self::ApiKey(_) => CredentialKind::ApiKey,
            Self::Session(_) => CredentialKind::Session,
            Self::Certificate(_) => CredentialKind::Mtls,
        }
    }
}

/// What brought the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gate) enum Carrier {
    /// `Authorization`.
    Authorization,
    /// `Authorization: DPoP`, with a proof in `DPoP`.
    Dpop,
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
    /// A header that says who it is, which nobody sends by accident: it must be right. (A browser repeats a password that
    /// was once typed, so that `basic` is ambient where other sites are concerned; a wrong one is an attempt all the same.)
    pub(in crate::gate) const fn is_explicit(&self) -> bool {
        !matches!(self.carrier, Carrier::Cookie | Carrier::Connection)
    }
}

#[cfg(test)]
mod tests;
