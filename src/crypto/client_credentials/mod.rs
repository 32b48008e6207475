//! Tokens for ourselves: the client credentials grant (RFC 6749, section 4.4).

mod answer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::timeout;
use url::form_urlencoded;

use super::client_auth::basic;
use super::issuers::fetch::{post, refusal};
use super::issuers::source::Trust;
use super::issuers::target::Target;
use crate::model::Secret;
use crate::model::settings::{CertificateFiles, TokenClientAuth, TokenEndpointSettings};

/// An access token, and for how long it counts from when it was asked for.
#[derive(Debug)]
pub struct IssuedToken {
    /// Visible ASCII.
    pub value: Secret<String>,
    /// Never zero, never more than a day.
    pub lasts: Duration,
}

/// Where tokens come from.
pub struct TokenEndpoint {
    settings: Arc<TokenEndpointSettings>,
    target: Target,
    tls: Arc<ClientConfig>,
    authorization: Option<HeaderValue>,
}

/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;

impl TokenEndpoint {
    /// Reads certificates; the endpoint itself is not asked yet. `certificate`: who we are, where the endpoint knows us by
    /// that.
    pub fn new(settings: &Arc<TokenEndpointSettings>, certificate: Option<&CertificateFiles>) -> Result<Self, String> {
        let target = Target::parse(&settings.url)?;
        let trust = Trust::default().for_ca(settings.ca.as_deref())?;
        let (authorization, tls) = match (&settings.client_auth, certificate) {
            (TokenClientAuth::Basic(secret), _) => (Some(basic(&settings.client_id, secret.expose())?), trust),
            (TokenClientAuth::Post(_), _) => (None, trust),
            (TokenClientAuth::Mtls, Some(files)) => (None, showing(&trust, files)?),
            (TokenClientAuth::Mtls, None) => return Err("there is no certificate to show".to_owned()),
        };
        Ok(Self { settings: settings.clone(), target, tls, authorization })
    }

    /// A new token, within the time that a call may take. The problem says nothing of the token, of the secret, or of what
    /// else the endpoint says.
    pub async fn fetch(&self) -> Result<IssuedToken, String> {
        let limit = self.settings.timeout;
        let call = post(&self.target, &self.tls, self.authorization.as_ref(), self.form(), LARGEST);
        let url = &self.settings.url;
        match timeout(limit, call).await {
            Ok(Ok((StatusCode::OK, body))) => answer::read(&body).map_err(|why| format!("`{url}`: {why}")),
            Ok(Ok((status, _))) => Err(format!("`{url}`: {}", refusal(status))),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("`{url}`: no answer within {limit:?}")),
        }
    }

    fn form(&self) -> String {
        let TokenEndpointSettings { client_id, client_auth, scopes, audience, .. } = &*self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        if let Some(audience) = audience {
            form.append_pair("audience", audience);
        }
        match client_auth {
            TokenClientAuth::Basic(_) => {}
            TokenClientAuth::Post(secret) => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose());
            }
            // RFC 8705, section 2: the certificate alone does not say which client it is.
            TokenClientAuth::Mtls => {
                form.append_pair("client_id", client_id);
            }
        }
        form.finish()
    }
}

/// The same, showing this certificate to who asks for one.
fn showing(trust: &ClientConfig, files: &CertificateFiles) -> Result<Arc<ClientConfig>, String> {
    let unusable = |path: &Path, why: &dyn std::fmt::Display| format!("`{}`: {why}", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&files.chain, &error))?;
    // What is wrong with a key is said without a byte of it.
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|_| unusable(&files.key, &"no private key in PEM form"))?;
    let certified = CertifiedKey::from_der(chain, key, trust.crypto_provider()).map_err(|error| {
        format!("`{}` and `{}` cannot be used together: {error}", files.chain.display(), files.key.display())
    })?;
    let mut config = trust.clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
