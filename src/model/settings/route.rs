//! `[route.NAME]`: what is served, to whom, and from where.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use super::{CorsSettings, MaintenanceSettings, Origin, RouteBounds, RouteChanges, Rules};
use crate::model::CredentialKind;

/// One route, defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// Its name.
    pub name: Arc<str>,
    /// Names of the listeners that serve it; never empty.
    pub listeners: Vec<Arc<str>>,
    /// What it matches; never empty.
    pub matches: Vec<RouteMatch>,
    /// What it accepts.
    pub accept: Accept,
    /// Names of limits.
    pub limits: Vec<Arc<str>>,
    /// Who may, those of its policies included.
    pub rules: Rules,
    /// Name of the upstream.
    pub upstream: Arc<str>,
    /// How the upstream learns who it is.
    pub identity: IdentityHeaders,
    /// What counts while the revocation log is stale.
    pub on_stale: OnStale,
    /// How long a live stream may go on once its credential does not count any more.
    pub stream_grace: StreamGrace,
    /// Other origins that may use ambient credentials and open WebSockets.
    pub origins: Vec<Origin>,
    /// Which other origins' pages may read answers; `None`: Portcullis has no part in that.
    pub cors: Option<CorsSettings>,
    /// What it changes of requests and answers.
    pub changes: RouteChanges,
    /// How much of anything one request may take.
    pub bounds: RouteBounds,
    /// Whether credentials that Portcullis used are forwarded.
    pub forward_credentials: bool,
    /// Whether a WebSocket client may carry a bearer token in `Sec-WebSocket-Protocol`.
    pub websocket_bearer: bool,
    /// Whether answers get the standard security headers that the upstream does not set.
    pub security_headers: bool,
    /// Whether clients get the upstream's hints before its answers.
    pub early_hints: bool,
    /// Whether it is down.
    pub maintenance: MaintenanceSettings,
    /// Forms of path that would otherwise be refused.
    pub tolerate: PathTolerance,
}

/// `"[METHOD ][host]/path"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMatch {
    /// This method only.
    pub method: Option<Method>,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
}

/// Which hosts; names are lower case, without a trailing dot or port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// Any.
    Any,
    /// `*.suffix`: one or more labels before `.suffix` (kept without the `*.`).
    Suffix(Arc<str>),
    /// This one.
    Exact(Arc<str>),
}

impl HostPattern {
    /// Whether it matches this host (lower case, without a trailing dot or port).
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Suffix(suffix) => {
                let labels = host.strip_suffix(&**suffix).and_then(|labels| labels.strip_suffix('.'));
                labels.is_some_and(|labels| !labels.is_empty())
            }
            Self::Exact(name) => **name == *host,
        }
    }
}

/// A path by segments. `/` alone has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// Its segments; [`PathSegment::Rest`] only as the last.
    pub segments: Vec<PathSegment>,
    /// Whether it ends in `/` (`/a/` is another path than `/a`).
    pub trailing_slash: bool,
}

/// A segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathSegment {
    /// These characters, percent-decoded.
    Literal(Arc<str>),
    /// `{name}`: one segment that is not empty.
    Param(Arc<str>),
    /// `{*name}`: all that is left, which may be nothing.
    Rest(Arc<str>),
}

/// `accept`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accept {
    /// `"anyone"` alone: public, credentials are not even read.
    Public,
    /// One of these; if `optional`, none will do as well.
    OneOf {
        /// Never empty.
        alternatives: Vec<Alternative>,
        /// `"anyone"` in the list.
        optional: bool,
    },
}

/// One thing that a route accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// Which kind.
    pub kind: CredentialKind,
    /// For [`CredentialKind::Jwt`]: the configured name of the issuer.
    pub issuer: Option<Arc<str>>,
    /// `"mtls+…"`: a client certificate as well.
    pub with_certificate: bool,
}

/// What counts while the revocation log is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStale {
    /// 503.
    Deny,
    /// Go by what is known.
    Allow,
}

/// How long a live stream may go on once its credential does not count any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamGrace {
    /// This long; zero ends it at once.
    For(Duration),
    /// To its own end: what was permitted is never looked at again.
    Unlimited,
}

/// How the upstream learns who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// A set of well-known names.
    pub preset: HeaderPreset,
    /// Own names, besides or instead.
    pub headers: Vec<(HeaderName, IdentityField)>,
    /// What is told of the client's certificate.
    pub certificate: CertificateHeaders,
    /// Whether the signed assertion is sent.
    pub assertion: bool,
}

/// What is told of the certificate of the client's connection, whatever the identity rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CertificateHeaders {
    /// `X-Forwarded-Client-Cert`, as Envoy writes it.
    pub xfcc: Option<Xfcc>,
    /// `Client-Cert` (RFC 9440).
    pub client_cert: bool,
    /// `Client-Cert-Chain` (RFC 9440).
    pub client_cert_chain: bool,
}

/// What stands in `X-Forwarded-Client-Cert` besides names and fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Xfcc {
    /// The certificate.
    pub cert: bool,
    /// All that the client has sent.
    pub chain: bool,
}

/// Sets of identity headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPreset {
    /// `X-Auth-Subject`, `X-Auth-Issuer`, `X-Auth-Method`, `X-Auth-Roles`, `X-Auth-Scopes`, `X-Auth-Groups`,
    /// `X-Auth-Tenant`, `X-Auth-Email`, `X-Auth-Name`, `X-Auth-Session`, `X-Auth-Credential`.
    XAuth,
    /// `Remote-User` (the subject), `Remote-Groups`, `Remote-Name`, `Remote-Email`: as Authelia sends them.
    RemoteUser,
    /// `X-Forwarded-User` (the subject), `X-Forwarded-Email`, `X-Forwarded-Groups`, `X-Forwarded-Preferred-Username`
    /// (the claim `preferred_username`), and the same under `X-Auth-Request-`: as oauth2-proxy sends them.
    OAuth2Proxy,
    /// None.
    None,
}

/// What a header can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityField {
    /// The subject.
    Subject,
    /// The issuer.
    Issuer,
    /// The kind of credential.
    Method,
    /// Roles, separated by commas.
    Roles,
    /// Scopes, separated by spaces.
    Scopes,
    /// Groups, separated by commas.
    Groups,
    /// The tenant.
    Tenant,
    /// E-mail address.
    Email,
    /// Display name.
    Name,
    /// The session's public id.
    Session,
    /// The credential's public id.
    Credential,
    /// A claim, by JSON pointer or plain name.
    Claim(Arc<str>),
}

/// Forms of path that are refused unless a route opts in; dot segments, control characters, `#` and raw backslashes
/// always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathTolerance {
    /// `%2F` within a segment.
    pub encoded_slash: bool,
    /// `%5C` within a segment.
    pub encoded_backslash: bool,
    /// `//`.
    pub empty_segments: bool,
    /// `;` in a segment.
    pub parameters: bool,
    /// `%25` followed by two hexadecimal digits.
    pub double_encoding: bool,
}
