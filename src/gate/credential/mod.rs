//! Stage 3: what the client presents, as far as the route accepts it.

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
