//! How we prove who we are to an authorization server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::form_urlencoded;

/// RFC 6749, section 2.3.1: both are form-encoded before they are joined.
pub(super) fn basic(id: &str, secret: &str) -> Result<HeaderValue, String> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let text = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))));
    let mut value = HeaderValue::try_from(text).map_err(|_| "client_id and client_secret make no header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
