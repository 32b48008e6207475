//! The header that a credential goes into.

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::model::header::is_spelling_of;
use crate::model::settings::CredentialSettings;

/// Removes a header in every spelling that some server takes for the same name (f02, f05).
pub(in crate::upstream) fn strip(headers: &mut HeaderMap, folded: &str) {
    loop {
        let found: Option<HeaderName> = headers.keys().find(|name| is_spelling_of(name.as_str(), folded)).cloned();
        let Some(name) = found else { return };
        headers.remove(name);
    }
}

/// The header's value. The problem says nothing of the credential.
pub(super) fn value(settings: &CredentialSettings, credential: &[u8]) -> Result<HeaderValue, String> {
    let is_clean = credential.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
        && credential.first().is_some_and(u8::is_ascii_graphic)
        && credential.last().is_some_and(u8::is_ascii_graphic);
    if !is_clean {
        return Err("it is not one line of visible ASCII".to_owned());
    }
    let mut line = Zeroizing::new(Vec::with_capacity(credential.len() + 16));
    if let Some(scheme) = &settings.scheme {
        line.extend_from_slice(scheme.as_bytes());
        line.push(b' ');
    }
    line.extend_from_slice(credential);
    let mut value = HeaderValue::from_bytes(&line).map_err(|_| "it makes no header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
