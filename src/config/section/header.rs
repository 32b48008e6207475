//! Header names that are Portcullis's to give.

use http::HeaderName;

use crate::config::report::Fault;

/// Names with a meaning of their own, folded as [`fold`] does: message framing, what belongs to one connection, what the
/// client or a trusted proxy says, and what Portcullis itself sets.
const TAKEN: [&str; 26] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// A header that can carry something of ours.
pub(super) fn own(text: &str) -> Result<HeaderName, Fault> {
    let name: HeaderName =
        text.parse().map_err(|_| Fault::new(format!("`{text}` is no header name")).help("letters, digits and `-`"))?;
    let folded = fold(name.as_str());
    if TAKEN.contains(&folded.as_str()) || folded.starts_with("sec-") {
        let fault = Fault::new(format!("the header `{name}` has another meaning"));
        return Err(fault.help("use a name of your own: \"x-user\""));
    }
    Ok(name)
}

/// One spelling for all spellings that some server takes for the same header.
pub(super) fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_headers_with_another_meaning_are_refused_in_every_spelling() {
        for name in ["Host", "content_length", "Transfer.Encoding", "X_Forwarded_For", "Cookie", "sec-fetch-site", "TE"]
        {
            assert!(own(name).is_err(), "{name}");
        }
        for name in ["x-user", "X-Api-Key", "remote_user"] {
            assert!(own(name).is_ok(), "{name}");
        }
        for name in ["", "x user", "x:user", "ä"] {
            assert!(own(name).is_err(), "{name}");
        }
    }
}
