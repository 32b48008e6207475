//! Every reason to refuse, and the only table that says what each one means to the client and to the log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A refusal: the reason, what the log may say about it, and what the answer needs.
///
/// `detail` is for the operator (`audience: token has [account], issuer.main wants [orders]`); no answer ever shows it.
/// It never holds a secret.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// Both sides of the comparison that failed, for the log.
    pub detail: Option<Box<str>>,
    /// When to come back, for 429 and 503.
    pub retry_after: Option<Duration>,
    /// The scopes that would have been enough, for `insufficient_scope` (RFC 6750, section 3).
    pub wanted_scopes: Vec<Arc<str>>,
    /// The route that was chosen before the refusal.
    pub route: Option<Arc<str>>,
    /// How to authenticate, for `insufficient_user_authentication` (RFC 9470, section 3).
    pub step_up: Option<Box<StepUp>>,
    /// The nonce to use, for `DPoP-Nonce`.
    pub nonce: Option<Box<str>>,
    /// The limit that was used up, for `RateLimit` and `RateLimit-Policy`.
    pub limit: Option<Box<UsedUp>>,
}

/// How a caller would have to authenticate (RFC 9470, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepUp {
    /// One of these authentication context classes; where empty, that is not what matters.
    pub acr_values: Vec<Arc<str>>,
    /// At most so long ago.
    pub max_age: Option<Duration>,
}

/// A limit that admits no more for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How many …
    pub count: u32,
    /// … in how long.
    pub per: Duration,
}

impl Denial {
    /// A refusal that needs no further words.
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            retry_after: None,
            wanted_scopes: Vec::new(),
            route: None,
            step_up: None,
            nonce: None,
            limit: None,
        }
    }

    /// A refusal with a line for the log.
    pub fn because(reason: Reason, detail: impl Into<Box<str>>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(reason) }
    }

    /// With the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.row().label)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// What goes into `WWW-Authenticate` (RFC 6750, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No challenge.
    None,
    /// The schemes that the route takes, without an error code: nothing was presented.
    Bare,
    /// `error="invalid_request"`.
    InvalidRequest,
    /// `error="invalid_token"`.
    InvalidToken,
    /// `error="insufficient_scope"`.
    InsufficientScope,
    /// `error="insufficient_user_authentication"` (RFC 9470, section 3).
    StepUp,
    /// DPoP's `error="invalid_dpop_proof"` (RFC 9449, section 7.1).
    InvalidProof,
    /// DPoP's `error="use_dpop_nonce"` (RFC 9449, section 9).
    UseNonce,
}

/// How loud the log is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// So many that the log would suffer; they are counted.
    Debug,
    /// An everyday refusal.
    Info,
    /// Somebody should look when there are many.
    Warn,
    /// Something of ours or behind us is broken.
    Error,
}

/// What one reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// HTTP status (RFC 9110, section 15).
    pub status: u16,
    /// gRPC status code.
    pub grpc: u8,
    /// `WWW-Authenticate`.
    pub challenge: Challenge,
    /// Log level.
    pub level: Level,
    /// The name in logs, metrics and the problem's `type`.
    pub label: &'static str,
    /// The problem's `title`: all that the client is told.
    pub title: &'static str,
}

macro_rules! reasons {
    ($( $(#[$doc:meta])* $name:ident: $status:literal, $grpc:ident, $challenge:ident, $level:ident, $label:literal, $title:literal; )*) => {
        /// Every reason to refuse a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $( $(#[$doc])* $name, )* }

        impl Reason {
            /// All of them, for metrics and tests.
            pub const ALL: &'static [Reason] = &[ $( Reason::$name, )* ];

            /// The table.
            pub const fn row(self) -> Row {
                match self {
                    $( Self::$name => Row {
                        status: $status, grpc: grpc::$grpc, challenge: Challenge::$challenge, level: Level::$level,
                        label: $label, title: $title,
                    }, )*
                }
            }
        }
    };
}

/// gRPC status codes, as its documentation numbers them.
mod grpc {
    pub(super) const INVALID_ARGUMENT: u8 = 3;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const NOT_FOUND: u8 = 5;
    pub(super) const PERMISSION_DENIED: u8 = 7;
    pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
    pub(super) const UNAUTHENTICATED: u8 = 16;
}

reasons! {
    // ── the request could be read in two ways, or not at all ──
    /// `.` or `..` as a path segment, also percent-encoded.
    DotSegment: 400, INVALID_ARGUMENT, None, Info, "dot_segment", "The path contains a dot segment";
    /// `//` in the path.
    EmptySegment: 400, INVALID_ARGUMENT, None, Info, "empty_segment", "The path contains an empty segment";
    /// `%2F` in the path.
    EncodedSlash: 400, INVALID_ARGUMENT, None, Info, "encoded_slash", "The path contains an encoded slash";
    /// `\` or `%5C` in the path.
    Backslash: 400, INVALID_ARGUMENT, None, Info, "backslash", "The path contains a backslash";
    /// `%25` followed by two hexadecimal digits.
    DoubleEncoding: 400, INVALID_ARGUMENT, None, Info, "double_encoding", "The path is encoded twice";
    /// NUL or another control character, raw or encoded.
    ControlCharacter: 400, INVALID_ARGUMENT, None, Info, "control_character", "The path contains a control character";
    /// `;` in a path segment.
    PathParameter: 400, INVALID_ARGUMENT, None, Info, "path_parameter", "The path contains a `;` parameter";
    /// Segments that are not UTF-8 once decoded.
    InvalidUtf8: 400, INVALID_ARGUMENT, None, Info, "invalid_utf8", "The path is not valid UTF-8";
    /// `%` without two hexadecimal digits.
    InvalidEscape: 400, INVALID_ARGUMENT, None, Info, "invalid_escape", "The path contains an invalid percent escape";
    /// `#` in the target (RFC 9112, section 3.2 has none).
    Fragment: 400, INVALID_ARGUMENT, None, Info, "fragment", "The request target contains a fragment";
    /// A target that is not in origin-form, or in an absolute-form that disagrees with `Host`.
    TargetForm: 400, INVALID_ARGUMENT, None, Info, "target_form", "The request target is not in a form that is served here";
    /// No `Host`, several, or one that is no host.
    InvalidHost: 400, INVALID_ARGUMENT, None, Info, "invalid_host", "The Host is missing, repeated or malformed";
    /// `Forwarded` (RFC 7239) of a trusted proxy that cannot be read.
    ForwardedMalformed: 400, INVALID_ARGUMENT, None, Warn, "forwarded_malformed", "The Forwarded header is malformed";
    /// A request for another host than its connection was opened for, where client certificates count (RFC 9110, section
    /// 15.5.20).
    Misdirected: 421, INVALID_ARGUMENT, None, Info, "misdirected", "This host is served over connections of its own";
    /// Message framing that two parsers could read differently.
    AmbiguousFraming: 400, INVALID_ARGUMENT, None, Warn, "ambiguous_framing", "The message framing is ambiguous";
    /// A request head with more fields or bytes than the listener takes (RFC 6585, section 5).
    HeadTooLarge: 431, RESOURCE_EXHAUSTED, None, Info, "head_too_large", "The request head is too large";
    /// `Expect` with anything but `100-continue` (RFC 9110, section 10.1.1).
    ExpectationUnknown: 417, INVALID_ARGUMENT, None, Info, "expectation_unknown", "The request expects what is not offered here";
    /// A method that is never forwarded (`CONNECT`, `TRACE`).
    MethodRefused: 405, INVALID_ARGUMENT, None, Info, "method_refused", "This method is not served";

    // ── routing ──
    /// The path or host that a route rewrites to belongs to another route.
    RewriteGuarded: 403, PERMISSION_DENIED, None, Warn, "rewrite_guarded", "This is not served under this path";
    /// No route matches.
    NoRoute: 404, NOT_FOUND, None, Info, "no_route", "Nothing is served here";

    // ── credentials ──
    /// The route wants a credential and there is none.
    CredentialMissing: 401, UNAUTHENTICATED, Bare, Info, "credential_missing", "A credential is required";
    /// Two explicit credentials, or the same header twice.
    TwoCredentials: 400, INVALID_ARGUMENT, InvalidRequest, Info, "two_credentials", "More than one credential was presented";
    /// An `Authorization` header that no grammar allows.
    CredentialMalformed: 401, UNAUTHENTICATED, InvalidToken, Info, "credential_malformed", "The credential is malformed";
    /// A kind of credential, or an issuer, that this route does not accept.
    CredentialNotAccepted: 401, UNAUTHENTICATED, InvalidToken, Info, "credential_not_accepted", "This credential is not accepted here";
    /// A token that is longer than its issuer's limit.
    TokenTooLarge: 401, UNAUTHENTICATED, InvalidToken, Info, "token_too_large", "The token is invalid";
    /// A token that is not canonical JWS compact serialization, or whose JSON is not as it must be.
    TokenMalformed: 401, UNAUTHENTICATED, InvalidToken, Info, "token_malformed", "The token is invalid";
    /// An algorithm that the issuer does not allow or the key does not have.
    TokenAlgorithm: 401, UNAUTHENTICATED, InvalidToken, Warn, "token_algorithm", "The token is invalid";
    /// `crit` names what we do not understand (RFC 7515, section 4.1.11).
    TokenCritical: 401, UNAUTHENTICATED, InvalidToken, Info, "token_critical", "The token is invalid";
    /// No key of the issuer fits.
    TokenKeyUnknown: 401, UNAUTHENTICATED, InvalidToken, Info, "token_key_unknown", "The token is invalid";
    /// The signature does not verify.
    TokenSignature: 401, UNAUTHENTICATED, InvalidToken, Warn, "token_signature", "The token is invalid";
    /// No configured issuer has this `iss`.
    TokenIssuer: 401, UNAUTHENTICATED, InvalidToken, Info, "token_issuer", "The token is invalid";
    /// None of the issuer's audiences is in `aud`.
    TokenAudience: 401, UNAUTHENTICATED, InvalidToken, Info, "token_audience", "The token is invalid";
    /// `typ` is not one that the issuer uses for access tokens.
    TokenType: 401, UNAUTHENTICATED, InvalidToken, Info, "token_type", "The token is invalid";
    /// A required claim is absent or of the wrong type.
    TokenClaim: 401, UNAUTHENTICATED, InvalidToken, Info, "token_claim", "The token is invalid";
    /// It lives longer than the issuer's `max_lifetime`.
    TokenLifetime: 401, UNAUTHENTICATED, InvalidToken, Info, "token_lifetime", "The token is invalid";
    /// `exp` has passed.
    TokenExpired: 401, UNAUTHENTICATED, InvalidToken, Info, "token_expired", "The token has expired";
    /// `nbf` or `iat` lies ahead.
    TokenNotYetValid: 401, UNAUTHENTICATED, InvalidToken, Info, "token_not_yet_valid", "The token is not valid yet";
    /// No such key, or the secret is wrong.
    ApiKeyUnknown: 401, UNAUTHENTICATED, InvalidToken, Info, "api_key_unknown", "The API key is invalid";
    /// The key has expired.
    ApiKeyExpired: 401, UNAUTHENTICATED, InvalidToken, Info, "api_key_expired", "The API key has expired";
    /// Its issuer says that the token is not active (RFC 7662, section 2.2).
    TokenInactive: 401, UNAUTHENTICATED, InvalidToken, Info, "token_inactive", "The token is invalid";
    /// No such user, or the password is wrong.
    PasswordWrong: 401, UNAUTHENTICATED, InvalidToken, Info, "password_wrong", "The user name or password is wrong";
    /// The credential may not be used from the client's address.
    NetworkNotAllowed: 403, PERMISSION_DENIED, None, Warn, "network_not_allowed", "This credential may not be used from here";
    /// No such session.
    SessionUnknown: 401, UNAUTHENTICATED, Bare, Info, "session_unknown", "The session is not valid";
    /// The session has ended.
    SessionExpired: 401, UNAUTHENTICATED, Bare, Info, "session_expired", "The session has expired";
    /// The application's session has nobody logged in.
    SessionAnonymous: 401, UNAUTHENTICATED, Bare, Info, "session_anonymous", "Nobody is logged in";
    /// The application's session is not as its layout must be.
    SessionUnreadable: 401, UNAUTHENTICATED, Bare, Warn, "session_unreadable", "The session is not valid";
    /// The certificate fits no rule, or has expired on a live connection.
    CertificateNotAccepted: 401, UNAUTHENTICATED, None, Warn, "certificate_not_accepted", "The client certificate is not accepted";
    /// The token is bound to another certificate (RFC 8705, section 3).
    CertificateMismatch: 401, UNAUTHENTICATED, InvalidToken, Warn, "certificate_mismatch", "The token is bound to another certificate";
    /// A token that is bound to a key was presented without a proof, one that is bound to none with one, or it is bound
    /// to nothing where it must be.
    TokenBinding: 401, UNAUTHENTICATED, InvalidToken, Warn, "token_binding", "The token may not be presented like this";
    /// No DPoP proof, several, or one that proves nothing for this request (RFC 9449, section 4.3).
    ProofInvalid: 401, UNAUTHENTICATED, InvalidProof, Info, "proof_invalid", "The DPoP proof is invalid";
    /// A DPoP proof that was used before.
    ProofReplayed: 401, UNAUTHENTICATED, InvalidProof, Warn, "proof_replayed", "The DPoP proof is invalid";
    /// The proof lacks a nonce of this instance, or its nonce is too old (RFC 9449, section 9).
    ProofNonce: 401, UNAUTHENTICATED, UseNonce, Info, "proof_nonce", "The DPoP proof needs the nonce of this answer";
    /// Revoked.
    Revoked: 401, UNAUTHENTICATED, InvalidToken, Warn, "revoked", "The credential has been revoked";

    // ── what is needed to decide is gone ──
    /// The revocation log has not been read for longer than `max_staleness`.
    RevocationStale: 503, UNAVAILABLE, None, Error, "revocation_stale", "The service cannot decide right now";
    /// The store did not answer in time.
    StoreUnavailable: 503, UNAVAILABLE, None, Error, "store_unavailable", "The service cannot decide right now";
    /// The issuer's keys have never been had, or are too old.
    KeysUnavailable: 503, UNAVAILABLE, None, Error, "keys_unavailable", "The service cannot decide right now";
    /// The endpoint that knows opaque tokens gave no answer that could be used.
    IntrospectionUnavailable: 503, UNAVAILABLE, None, Error, "introspection_unavailable", "The service cannot decide right now";

    /// This instance remembers as many used proofs as it may.
    ProofsFull: 503, UNAVAILABLE, None, Error, "proofs_full", "The service cannot decide right now";

    // ── decided against ──
    /// Cross-site use of an ambient credential.
    CrossSite: 403, PERMISSION_DENIED, None, Warn, "cross_site", "Cross-site requests are not allowed here";
    /// A preflight for an origin, method or header that the route's `cors` does not name.
    PreflightRefused: 403, PERMISSION_DENIED, None, Info, "preflight_refused", "Cross-origin requests of this kind are not allowed here";
    /// A limit is used up.
    RateLimited: 429, RESOURCE_EXHAUSTED, None, Info, "rate_limited", "Too many requests";
    /// Too many failed authentications.
    TooManyFailures: 429, RESOURCE_EXHAUSTED, None, Warn, "too_many_failures", "Too many failed attempts";
    /// A `deny` rule matched.
    DeniedByRule: 403, PERMISSION_DENIED, None, Info, "denied_by_rule", "Not allowed";
    /// No `allow` rule matched.
    NotAllowed: 403, PERMISSION_DENIED, None, Info, "not_allowed", "Not allowed";
    /// No `allow` rule matched, and scopes were what was missing.
    InsufficientScope: 403, PERMISSION_DENIED, InsufficientScope, Info, "insufficient_scope", "The token's scope is not enough";
    /// No `allow` rule matched, and how or when the caller has authenticated was what was missing.
    StepUp: 401, UNAUTHENTICATED, StepUp, Info, "insufficient_user_authentication", "A more recent or stronger login is needed";
    /// A value of the identity cannot be put in a header and the route says to refuse then.
    IdentityNotEncodable: 403, PERMISSION_DENIED, None, Warn, "identity_not_encodable", "Not allowed";

    // ── behind us ──
    /// The request's body is larger than the route's `max_body`.
    BodyTooLarge: 413, RESOURCE_EXHAUSTED, None, Info, "body_too_large", "The request body is too large";
    /// The request's body came too slowly or broke off.
    BodyIncomplete: 400, INVALID_ARGUMENT, None, Info, "body_incomplete", "The request body is incomplete";
    /// No connection to the upstream.
    UpstreamUnreachable: 502, UNAVAILABLE, None, Error, "upstream_unreachable", "The service behind could not be reached";
    /// The upstream broke off or sent what is no HTTP.
    UpstreamFailed: 502, UNAVAILABLE, None, Error, "upstream_failed", "The service behind gave no valid answer";
    /// The upstream did not answer in time.
    UpstreamTimeout: 504, DEADLINE_EXCEEDED, None, Error, "upstream_timeout", "The service behind did not answer in time";
    /// All connections to the upstream are in use.
    UpstreamBusy: 503, UNAVAILABLE, None, Error, "upstream_busy", "The service behind is busy";
    /// No endpoint of the upstream is well, and `panic_below = "0%"` says to send it nothing then.
    UpstreamUnhealthy: 503, UNAVAILABLE, None, Error, "upstream_unhealthy", "The service behind is not well";
    /// The credential that the upstream is to be shown is not to be had.
    UpstreamCredentialUnavailable: 503, UNAVAILABLE, None, Error, "upstream_credential_unavailable", "The service behind cannot be asked right now";

    // ── ours ──
    /// The route, or the whole instance, is down for maintenance.
    Maintenance: 503, UNAVAILABLE, None, Info, "maintenance", "Down for maintenance";
    /// More requests come than can be answered.
    Overloaded: 503, UNAVAILABLE, None, Debug, "overloaded", "The service is overloaded";
    /// A fault of ours.
    Internal: 500, INTERNAL, None, Error, "internal", "Internal error";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f22_no_reason_to_refuse_is_a_success() {
        for reason in Reason::ALL {
            let row = reason.row();
            assert!((400..600).contains(&row.status), "{reason:?} answers {}", row.status);
            assert_ne!(row.grpc, 0, "{reason:?} is OK to gRPC");
        }
    }

    #[test]
    fn labels_are_unique_and_plain() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let label = reason.row().label;
            assert!(seen.insert(label), "{label} stands twice");
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{label}");
        }
    }

    #[test]
    fn every_401_but_a_certificates_challenges() {
        for reason in Reason::ALL {
            let row = reason.row();
            if row.status == 401 && *reason != Reason::CertificateNotAccepted {
                assert_ne!(row.challenge, Challenge::None, "{reason:?}");
            }
        }
    }
}
