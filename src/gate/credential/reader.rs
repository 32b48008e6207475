//! Reads from a request the one credential that counts.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::bearer::{self, Authorization, Reads};
use super::{Accepts, Carrier, Found, Presented, websocket};
use crate::gate::headers::cookie;
use crate::gate::proof::DPOP;
use crate::model::denial::Reason;
use crate::model::settings::{ForeignFormat, SessionLayout, Settings};
use crate::model::{Client, CredentialKind, Denial};

/// Knows where credentials are carried.
#[derive(Debug)]
pub(in crate::gate) struct Reader {
    session_cookie: Arc<str>,
    /// Whether PHP reads that cookie too, and by more names than we do.
    is_php: bool,
    api_key_header: HeaderName,
}

impl Reader {
    /// As configured.
    pub(in crate::gate) fn new(settings: &Settings) -> Self {
        let is_php = match &settings.session.layout {
            SessionLayout::Foreign(foreign) => matches!(foreign.format, ForeignFormat::Php { .. }),
            SessionLayout::Portcullis => false,
        };
        Self {
            session_cookie: settings.session.cookie.clone(),
            is_php,
            api_key_header: settings.api_key.header.clone(),
        }
    }

    /// The credential that counts: an explicit one before an ambient one, a session before a certificate. `None` only
    /// where the route serves anyone. Two explicit ones are refused, since another reader might take the other.
    pub(in crate::gate) fn read<'a>(
        &self,
        headers: &'a HeaderMap,
        client: &'a Client,
        accepts: &Accepts,
        websocket_bearer: bool,
    ) -> Result<Option<Found<'a>>, Denial> {
        let explicit = [
            if accepts.reads_authorization() { authorization(headers, accepts)? } else { None },
            if accepts.takes(CredentialKind::ApiKey) { self.api_key(headers)? } else { None },
            if websocket_bearer && accepts.takes_bearers() { websocket(headers, accepts)? } else { None },
        ];
        let mut explicit = explicit.into_iter().flatten();
        if let Some(found) = explicit.next() {
            return match explicit.next() {
                None => Ok(Some(found)),
                Some(other) => {
                    let detail = format!("{:?} and {:?} both carry a credential", found.carrier, other.carrier);
                    Err(Denial::because(Reason::TwoCredentials, detail))
                }
            };
        }
        if accepts.takes(CredentialKind::Session)
            && let Some(session) = self.session(headers)?
        {
            return Ok(Some(session));
        }
        if accepts.takes(CredentialKind::Mtls)
            && let Some(certificate) = &client.certificate
        {
            return Ok(Some(Found { presented: Presented::Certificate(certificate), carrier: Carrier::Connection }));
        }
        if accepts.is_optional() {
            Ok(None)
        } else {
            Err(Denial::because(Reason::CredentialMissing, accepts.to_string()))
        }
    }

    /// Takes a credential that was used out of what the upstream sees. (The session cookie always goes, elsewhere.)
    pub(in crate::gate) fn remove(&self, carrier: Carrier, headers: &mut HeaderMap) {
        match carrier {
            Carrier::Authorization => {
                headers.remove(AUTHORIZATION);
            }
            Carrier::Dpop => {
                headers.remove(AUTHORIZATION);
                headers.remove(DPOP);
            }
            Carrier::ApiKeyHeader => {
                headers.remove(&self.api_key_header);
            }
            Carrier::WebSocketProtocol => websocket::remove(headers),
            Carrier::Cookie | Carrier::Connection => {}
        }
    }

    fn api_key<'a>(&self, headers: &'a HeaderMap) -> Result<Option<Found<'a>>, Denial> {
        // Where keys are to travel in `Authorization` itself, they do so as bearers.
        if self.api_key_header == AUTHORIZATION {
            return Ok(None);
        }
        let mut values = headers.get_all(&self.api_key_header).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Denial::because(Reason::TwoCredentials, format!("{} stands twice", self.api_key_header)));
        }
        match value.to_str() {
            Ok(text) if !text.is_empty() => {
                Ok(Some(Found { presented: Presented::ApiKey(text), carrier: Carrier::ApiKeyHeader }))
            }
            _ => Err(Denial::because(Reason::CredentialMalformed, format!("{} is no text", self.api_key_header))),
        }
    }

    fn session<'a>(&self, headers: &'a HeaderMap) -> Result<Option<Found<'a>>, Denial> {
        if self.is_php && cookie::has_php_alias(headers, &self.session_cookie) {
            let detail = format!("PHP would read another cookie as {}", self.session_cookie);
            return Err(Denial::because(Reason::TwoCredentials, detail));
        }
        let mut values = cookie::values(headers, &self.session_cookie);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Denial::because(
                Reason::TwoCredentials,
                format!("cookie {} stands twice", self.session_cookie),
            ));
        }
        // What is no text is no session of ours, and neither is the empty text.
        let value = std::str::from_utf8(value).unwrap_or_default();
        Ok(Some(Found { presented: Presented::Session(value), carrier: Carrier::Cookie }))
    }
}

fn authorization<'a>(headers: &'a HeaderMap, accepts: &Accepts) -> Result<Option<Found<'a>>, Denial> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Denial::because(Reason::TwoCredentials, "Authorization stands twice"));
    }
    let reads = Reads { basic: accepts.takes(CredentialKind::Basic), dpop: accepts.takes_proofs() };
    match bearer::read(value.as_bytes(), reads) {
        Authorization::Bearer(token) if accepts.takes_bearers() => {
            Ok(Some(accepted(token, accepts, Carrier::Authorization)?))
        }
        Authorization::Dpop(token) => Ok(Some(accepted(token, accepts, Carrier::Dpop)?)),
        Authorization::Basic(text) => {
            Ok(Some(Found { presented: Presented::Basic(text), carrier: Carrier::Authorization }))
        }
        Authorization::Bearer(_) | Authorization::Other => Ok(None),
        Authorization::Malformed => Err(Denial::because(Reason::CredentialMalformed, "Authorization is malformed")),
    }
}

fn websocket<'a>(headers: &'a HeaderMap, accepts: &Accepts) -> Result<Option<Found<'a>>, Denial> {
    let mut tokens = websocket::tokens(headers);
    let Some(token) = tokens.next() else { return Ok(None) };
    if tokens.next().is_some() {
        return Err(Denial::because(Reason::TwoCredentials, "Sec-WebSocket-Protocol holds two tokens"));
    }
    match std::str::from_utf8(token).ok().filter(|token| bearer::is_b64token(token)) {
        Some(token) => Ok(Some(accepted(token, accepts, Carrier::WebSocketProtocol)?)),
        None => Err(Denial::because(Reason::CredentialMalformed, "the token in Sec-WebSocket-Protocol is malformed")),
    }
}

/// A bearer is what its form says and never falls through to another kind.
fn accepted<'a>(token: &'a str, accepts: &Accepts, carrier: Carrier) -> Result<Found<'a>, Denial> {
    let presented = bearer::classify(token);
    if accepts.takes(presented.kind()) {
        return Ok(Found { presented, carrier });
    }
    let kind = presented.kind();
    Err(Denial::because(Reason::CredentialNotAccepted, format!("it is {kind}, {accepts}")))
}
