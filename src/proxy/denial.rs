//! Denials as clients see them: the table's row and nothing more.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};

use super::Body;
use super::pages::Pages;
use super::request::REQUEST_ID;
use crate::gate::proof::DPOP_NONCE;
use crate::model::denial::{Challenge, Reason, Row, UsedUp};
use crate::model::settings::{Accept, Algorithm, RouteSettings};
use crate::model::{CredentialKind, DecisionId, Denial};

const REALM: &str = "portcullis";

/// What answering a refused request needs to know of it.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) version: Version,
    pub(super) id: DecisionId,
    pub(super) request_id: &'a HeaderValue,
    /// Its gRPC content type, for a gRPC client.
    pub(super) grpc: Option<&'static str>,
    /// What it looks like to people, for who prefers that.
    pub(super) pages: Option<&'a Pages>,
}

/// Which kinds of challenge each route's 401 carries.
pub(super) struct Challenges {
    by_route: BTreeMap<Arc<str>, Schemes>,
    /// `algs` of DPoP's.
    proof_algorithms: String,
    /// Of `Basic`: browsers show it.
    realm: Arc<str>,
}

#[derive(Clone, Copy, Default)]
struct Schemes {
    bearer: bool,
    dpop: bool,
    basic: bool,
    cookie: bool,
}

impl Challenges {
    /// `proof_algorithms`: those that DPoP proofs may be signed with.
    pub(super) fn new(routes: &[Arc<RouteSettings>], proof_algorithms: &[Algorithm]) -> Self {
        let names: Vec<&str> = proof_algorithms.iter().map(|algorithm| algorithm.name()).collect();
        Self {
            by_route: routes.iter().map(|route| (route.name.clone(), Schemes::of(&route.accept))).collect(),
            proof_algorithms: names.join(" "),
            realm: REALM.into(),
        }
    }

    /// With what browsers show when they ask for a password.
    pub(super) fn with_realm(self, realm: Option<Arc<str>>) -> Self {
        Self { realm: realm.unwrap_or(self.realm), ..self }
    }

    /// Turns a denial into its answer.
    pub(super) fn render(&self, denial: &Denial, asked: &Asked<'_>) -> Response<Body> {
        let row = denial.reason.row();
        let mut response = match asked.grpc {
            Some(content_type) => grpc(row, content_type),
            None => {
                let mut response = match asked.pages {
                    Some(pages) => pages.answer(row, asked.id, asked.method),
                    None => problem(denial.reason, asked),
                };
                response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REQUEST_ID, asked.request_id.clone());
        if let Some(after) = denial.retry_after {
            headers.insert(RETRY_AFTER, in_seconds(after).into());
        }
        if let Some(limit) = &denial.limit {
            rate_limit(headers, limit, denial.retry_after);
        }
        if let Some(nonce) = denial.nonce.as_ref().and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        self.challenge(headers, row.challenge, denial);
        if denial.reason == Reason::MethodRefused {
            // RFC 9110, section 15.5.6 wants to know what would do.
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        // What could be read in two ways may leave bytes behind that are read as the next request (f58).
        if matches!(row.status, 400 | 405 | 431) && asked.version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// `WWW-Authenticate` (RFC 9110, section 11.6.1): the schemes that the route takes; for Bearer with the error
    /// (RFC 6750, section 3.1), for DPoP likewise (RFC 9449, section 7.1).
    fn challenge(&self, headers: &mut HeaderMap, challenge: Challenge, denial: &Denial) {
        let error = match challenge {
            Challenge::None => return,
            Challenge::Bare => None,
            Challenge::InvalidRequest => Some("invalid_request"),
            Challenge::InvalidToken => Some("invalid_token"),
            Challenge::InsufficientScope => Some("insufficient_scope"),
            Challenge::StepUp => Some("insufficient_user_authentication"),
            Challenge::InvalidProof => Some("invalid_dpop_proof"),
            Challenge::UseNonce => Some("use_dpop_nonce"),
        };
        let is_of_proof = matches!(challenge, Challenge::InvalidProof | Challenge::UseNonce);
        let known = denial.route.as_ref().and_then(|route| self.by_route.get(route)).copied();
        let schemes = known.unwrap_or(Schemes { bearer: true, ..Schemes::default() });
        if schemes.bearer {
            let mut bearer = format!("Bearer realm=\"{REALM}\"");
            if let Some(error) = error.filter(|_| !is_of_proof) {
                // Writing to a String does not fail.
                let _ = write!(bearer, ", error=\"{error}\"");
            }
            if challenge == Challenge::InsufficientScope {
                let scopes: Vec<&str> = denial.wanted_scopes.iter().map(|s| &**s).filter(|s| is_scope(s)).collect();
                if !scopes.is_empty() {
                    let _ = write!(bearer, ", scope=\"{}\"", scopes.join(" "));
                }
            }
            bearer.push_str(&step_up(denial));
            append(headers, &bearer);
        }
        if schemes.dpop {
            let error = error.map(|error| format!("error=\"{error}\"{}, ", step_up(denial))).unwrap_or_default();
            append(headers, &format!("DPoP {error}algs=\"{}\"", self.proof_algorithms));
        }
        if schemes.basic {
            append(headers, &format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm));
        }
        // There is no registered scheme for cookies, and a 401 must have a challenge: browsers ignore one that they do
        // not know, where `Bearer` would be untrue and `Basic` would open a dialogue.
        if schemes.cookie && !schemes.bearer && !schemes.basic {
            append(headers, &format!("Cookie realm=\"{REALM}\""));
        }
    }
}

/// The parameters of RFC 9470, section 3.
fn step_up(denial: &Denial) -> String {
    let mut text = String::new();
    let Some(wanted) = &denial.step_up else { return text };
    // Space-separated values of a quoted string: what could end it is left out (`config` refuses such names).
    let classes: Vec<&str> = wanted.acr_values.iter().map(|class| &**class).filter(|class| is_scope(class)).collect();
    if !classes.is_empty() {
        // Writing to a String does not fail.
        let _ = write!(text, ", acr_values=\"{}\"", classes.join(" "));
    }
    if let Some(age) = wanted.max_age {
        let _ = write!(text, ", max_age=\"{}\"", age.as_secs());
    }
    text
}

impl Schemes {
    fn of(accept: &Accept) -> Self {
        let mut schemes = Self::default();
        if let Accept::OneOf { alternatives, .. } = accept {
            for alternative in alternatives {
                match alternative.kind {
                    CredentialKind::Jwt | CredentialKind::Opaque => {
                        schemes.bearer = true;
                        schemes.dpop = true;
                    }
                    // It may always come as a bearer token.
                    CredentialKind::ApiKey => schemes.bearer = true,
                    CredentialKind::Basic => schemes.basic = true,
                    CredentialKind::Session => schemes.cookie = true,
                    CredentialKind::Mtls => {}
                }
            }
        }
        schemes
    }
}

fn append(headers: &mut HeaderMap, challenge: &str) {
    if let Ok(value) = HeaderValue::from_str(challenge) {
        headers.append(WWW_AUTHENTICATE, value);
    }
}

/// scope-token of RFC 6749, section 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

/// What a client may know of the reason: nothing that the title does not say. Reasons with one title have one code, so
/// that neither which check a forged token failed nor which of our parts is gone can be told from outside.
pub(super) fn public_code(reason: Reason) -> &'static str {
    let row = reason.row();
    match reason {
        Reason::RevocationStale
        | Reason::StoreUnavailable
        | Reason::KeysUnavailable
        | Reason::ProofsFull
        | Reason::IntrospectionUnavailable => "cannot_decide",
        Reason::SessionUnknown | Reason::SessionUnreadable => "session_unknown",
        Reason::DeniedByRule | Reason::NotAllowed | Reason::IdentityNotEncodable => "not_allowed",
        _ if row.challenge == Challenge::InvalidToken => "invalid_token",
        _ if row.challenge == Challenge::InvalidProof => "invalid_dpop_proof",
        _ => row.label,
    }
}

/// RFC 9457. The type is a name, not an address: there is nothing to fetch.
fn problem(reason: Reason, asked: &Asked<'_>) -> Response<Body> {
    let row = reason.row();
    // Names and titles are ours: nothing in them is special in JSON. Refusing must cost little.
    let text = Bytes::from(format!(
        r#"{{"decision_id":"{}","status":{},"title":"{}","type":"urn:portcullis:{}"}}"#,
        asked.id,
        row.status,
        row.title,
        public_code(reason),
    ));
    let length = text.len();
    let mut response = Response::new(if asked.method == Method::HEAD { Body::empty() } else { Body::full(text) });
    *response.status_mut() = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// Headers that are trailers at once ("Trailers-Only" of the gRPC protocol): its clients look at `grpc-status` alone.
fn grpc(row: Row, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(HeaderName::from_static("grpc-status"), u16::from(row.grpc).into());
    headers.insert(HeaderName::from_static("grpc-message"), grpc_message(row.title));
    response
}

/// Percent-encoded as the gRPC protocol says: everything but printable ASCII, and `%`.
pub(super) fn grpc_message(title: &str) -> HeaderValue {
    let mut message = String::with_capacity(title.len());
    for byte in title.bytes() {
        match byte {
            b'%' | 0..=0x1F | 0x7F.. => {
                let _ = write!(message, "%{byte:02X}");
            }
            _ => message.push(char::from(byte)),
        }
    }
    HeaderValue::try_from(message).unwrap_or_else(|_| HeaderValue::from_static("denied"))
}

/// Whether a request is gRPC's, and of which content type its answer is.
pub(super) fn grpc_content_type(headers: &HeaderMap) -> Option<&'static str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let base = essence.split('+').next().unwrap_or_default();
    ["application/grpc", "application/grpc-web", "application/grpc-web-text"].into_iter().find(|known| *known == base)
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Which limit is used up, and when to come back (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4).
fn rate_limit(headers: &mut HeaderMap, limit: &UsedUp, after: Option<Duration>) {
    let UsedUp { name, count, per } = limit;
    let policy = format!(r#""{name}";q={count};w={}"#, in_seconds(*per));
    let state = match after {
        Some(after) => format!(r#""{name}";r=0;t={}"#, in_seconds(after)),
        None => format!(r#""{name}";r=0"#),
    };
    for (header, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
        // Names of limits are those of tables in the configuration; one that is no text for a header goes unsaid.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(header, value);
        }
    }
}

/// Rounded up: whoever comes back at that second must not be early. "0" would mean "at once".
fn in_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
