//! `[upstream.NAME.credential]`: what Portcullis itself shows an upstream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::model::Secret;

/// A credential, and the header that it goes into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSettings {
    /// The header; what the client says in it never reaches the upstream.
    pub header: HeaderName,
    /// What stands before the credential (RFC 9110, section 11.4); `None`: nothing.
    pub scheme: Option<Arc<str>>,
    /// Where it comes from.
    pub source: CredentialSource,
}

/// Where a credential comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// The configuration.
    Fixed(Secret<Vec<u8>>),
    /// A file that somebody else renews.
    File(PathBuf),
    /// A token endpoint.
    ClientCredentials(Arc<TokenEndpointSettings>),
}

/// Tokens by the client credentials grant (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEndpointSettings {
    /// The endpoint.
    pub url: String,
    /// Who asks.
    pub client_id: String,
    /// And proves it with this.
    pub client_auth: TokenClientAuth,
    /// `scope`; empty: what the server gives by default.
    pub scopes: Vec<Arc<str>>,
    /// `audience`, which some servers want.
    pub audience: Option<Arc<str>>,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// How long one call may take, and a request wait for its token.
    pub timeout: Duration,
}

/// How a client proves who it is to a token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenClientAuth {
    /// A secret in `Authorization` (RFC 6749, section 2.3.1).
    Basic(Secret<String>),
    /// A secret in the form.
    Post(Secret<String>),
    /// The upstream's `tls.certificate` (RFC 8705, section 2).
    Mtls,
}
