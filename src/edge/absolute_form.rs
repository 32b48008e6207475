//! The slash that a target in absolute-form may leave out before its query.

use http::Uri;
use http::uri::PathAndQuery;

/// Makes `http://a?x` the `http://a/?x` that it stands for (RFC 9110, section 4.2.3), so that all who look at the target
/// later see the same origin-form. Only for HTTP/1: in HTTP/2 a `:path` begins with a slash (RFC 9113, section 8.3.1).
pub(super) fn complete(uri: &mut Uri) {
    let Some(query) = uri.path_and_query().map(PathAndQuery::as_str).filter(|path| path.starts_with('?')) else {
        return;
    };
    let Ok(path) = PathAndQuery::try_from(format!("/{query}")) else { return };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    // What could not be put together would stay as it is, and be refused for its form.
    if let Ok(whole) = Uri::from_parts(parts) {
        *uri = whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_path_is_a_slash() {
        for (sent, meant) in [
            ("http://a.example?x", "/?x"),
            ("http://a.example?", "/?"),
            ("https://a.example:8443?a=/../b&c=?", "/?a=/../b&c=?"),
            ("http://a.example", "/"),
            ("http://a.example/?x", "/?x"),
            ("/?x", "/?x"),
            ("/x?y", "/x?y"),
            ("*", "*"),
        ] {
            let mut uri: Uri = sent.parse().unwrap();
            let authority = uri.authority().cloned();
            complete(&mut uri);
            assert_eq!(uri.path_and_query().unwrap().as_str(), meant, "{sent}");
            assert_eq!(uri.authority().cloned(), authority, "{sent}");
        }
    }
}
