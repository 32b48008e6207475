//! What an opaque token means: its issuer is asked (RFC 7662).

mod answer;
mod breaker;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use rustls::ClientConfig;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::form_urlencoded;

use self::breaker::Breaker;
use super::client_auth::basic;
use super::digest::{hex, sha256};
use super::issuers::fetch::{self, post};
use super::issuers::source::Trust;
use super::issuers::target::Target;
use crate::model::denial::Reason;
use crate::model::settings::{ClientSecretMethod, OpaqueSettings};
use crate::model::{Clock, Denial, Timestamp};

/// Why an endpoint cannot be asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("opaque: {0}")]
pub struct IntrospectionError(String);

/// What an issuer says of a token that is active and meant for us.
#[derive(Debug, Clone)]
pub struct Introspected {
    /// The whole answer.
    pub claims: Map<String, Value>,
    /// `sub`.
    pub subject: Arc<str>,
    /// `exp`; `None` where the issuer keeps it to itself.
    pub expires_at: Option<Timestamp>,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `nbf` − 30 s.
    pub not_before: Option<Timestamp>,
    /// `cnf` `x5t#S256` (RFC 8705, section 3.2).
    pub bound_certificate: Option<[u8; 32]>,
    /// `cnf` `jkt` (RFC 9449, section 6.2).
    pub bound_key: Option<[u8; 32]>,
}

/// Asks what opaque tokens mean.
pub struct Introspector {
    settings: OpaqueSettings,
    target: Target,
    tls: Arc<ClientConfig>,
    authorization: Option<HeaderValue>,
    calls: Semaphore,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
}

/// More calls at a time wait for their turn.
const MOST_CALLS: usize = 64;

/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// When to come back where the endpoint gives no answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Introspector {
    /// Reads the CA file; the endpoint itself is not asked yet.
    pub fn new(settings: &OpaqueSettings, clock: Arc<dyn Clock>) -> Result<Self, IntrospectionError> {
        let target = Target::parse(&settings.introspection_url).map_err(IntrospectionError)?;
        let tls = Trust::default().for_ca(settings.ca.as_deref()).map_err(IntrospectionError)?;
        let authorization = match settings.client_auth {
            ClientSecretMethod::Basic => {
                Some(basic(&settings.client_id, settings.client_secret.expose()).map_err(IntrospectionError)?)
            }
            ClientSecretMethod::Post => None,
        };
        let (calls, breaker) = (Semaphore::new(MOST_CALLS), Breaker::default());
        Ok(Self { settings: settings.clone(), target, tls, authorization, calls, breaker, clock })
    }

    /// What it was made of.
    pub fn settings(&self) -> &OpaqueSettings {
        &self.settings
    }

    /// What the issuer says of `token`, checked against the settings. Where it gives no answer that could be used, the
    /// reason is [`Reason::IntrospectionUnavailable`]; the token itself is in no denial.
    pub async fn introspect(&self, token: &str, now: Timestamp) -> Result<Introspected, Denial> {
        let (has, most) = (token.len(), self.settings.max_size);
        if has > most {
            let detail = format!("size: token has {has} bytes, {most} are wanted at most");
            return Err(Denial::because(Reason::TokenTooLarge, detail));
        }
        answer::check(&self.settings, &self.ask(token).await?, now)
    }

    async fn ask(&self, token: &str) -> Result<Bytes, Denial> {
        self.breaker.admit(self.clock.elapsed()).map_err(|_| {
            let detail = format!(
                "`{}` has not answered several times; it is spared for a moment",
                self.settings.introspection_url
            );
            unavailable(detail)
        })?;
        let limit = self.settings.timeout;
        let Ok(Ok(_turn)) = timeout(limit, self.calls.acquire()).await else {
            return Err(unavailable(format!("{MOST_CALLS} calls under way, none ended within {limit:?}")));
        };
        let call = post(&self.target, &self.tls, self.authorization.as_ref(), self.form(token), LARGEST);
        let answered = timeout(limit, call).await;
        let answered =
            answered.unwrap_or_else(|_| Err(format!("`{}`: none within {limit:?}", self.settings.introspection_url)));
        // Whatever it answers, it is there: what a token makes it answer must not keep others from asking.
        self.breaker.note(answered.is_ok(), self.clock.elapsed());
        match answered {
            Ok((StatusCode::OK, body)) => Ok(body),
            Ok((status, _)) => {
                Err(unavailable(format!("`{}`: {}", self.settings.introspection_url, fetch::refusal(status))))
            }
            Err(problem) => Err(unavailable(problem)),
        }
    }

    /// RFC 7662, section 2.1.
    fn form(&self, token: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", "access_token");
        if self.settings.client_auth == ClientSecretMethod::Post {
            form.append_pair("client_id", &self.settings.client_id);
            form.append_pair("client_secret", self.settings.client_secret.expose());
        }
        form.finish()
    }
}

/// Names a token without giving it away, in logs and in the revocation log: what `printf 'opaque:%s' TOKEN | sha256sum`
/// prints.
pub fn public_id(token: &str) -> String {
    hex(&sha256(format!("opaque:{token}").as_bytes()))
}

fn unavailable(problem: String) -> Denial {
    Denial::because(Reason::IntrospectionUnavailable, format!("introspection: {problem}")).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests;
