//! What a client can present.

use std::fmt;

/// The kinds of credential that a route can accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A session cookie.
    Session,
    /// A bearer token in three segments (RFC 7519).
    Jwt,
    /// A bearer token that only its issuer can read.
    Opaque,
    /// A key of our own format.
    ApiKey,
    /// A client certificate.
    Mtls,
    /// User name and password (RFC 7617).
    Basic,
}

impl CredentialKind {
    /// The name used in configuration, logs, metrics and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
            Self::ApiKey => "api_key",
            Self::Mtls => "mtls",
            Self::Basic => "basic",
        }
    }

    /// Sent by the client's software without the page asking: a cookie, a certificate, a remembered password.
    pub const fn is_ambient(self) -> bool {
        matches!(self, Self::Session | Self::Mtls | Self::Basic)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
