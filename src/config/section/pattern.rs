//! `"[METHOD ][host]/path"`

use std::net::Ipv6Addr;
use std::sync::Arc;

use http::Method;

use crate::config::report::Fault;
use crate::model::settings::{HostPattern, PathPattern, PathSegment, RouteMatch};

const HELP: &str = "\"[METHOD ][host]/path\": \"/orders/{id}\", \"GET api.example.com/orders/{*rest}\"";

fn wrong(what: impl Into<String>) -> Fault {
    Fault::new(what).help(HELP)
}

/// Reads what a route matches.
pub(super) fn read(text: &str) -> Result<RouteMatch, Fault> {
    let (method, rest) = match text.split_once(' ') {
        Some((word, rest)) => (Some(method(word)?), rest),
        None => (None, text),
    };
    let start = rest.find('/').ok_or_else(|| wrong("no path: it begins with `/`"))?;
    let (host_text, path_text) = rest.split_at_checked(start).ok_or_else(|| wrong("no path"))?;
    Ok(RouteMatch { method, host: host(host_text)?, path: path(path_text)? })
}

/// Reads a path without captures.
pub(super) fn fixed(text: &str) -> Result<String, Fault> {
    let found = path(text)?;
    let literal = found.segments.iter().all(|segment| matches!(segment, PathSegment::Literal(_)));
    if literal && !found.segments.is_empty() {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("not one path").help("\"/a/b\""))
    }
}

/// A method that may be asked for, in capitals.
pub(super) fn method(text: &str) -> Result<Method, Fault> {
    let wrong = |what: String| Fault::new(what).help("GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS");
    match text {
        "CONNECT" | "TRACE" => Err(wrong(format!("`{text}` is never served"))),
        _ if text.is_empty() || !text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') => {
            Err(wrong(format!("`{text}` is no method")))
        }
        _ => text.parse().map_err(|_| wrong(format!("`{text}` is no method"))),
    }
}

/// Which hosts a route serves.
pub(super) fn host(text: &str) -> Result<HostPattern, Fault> {
    if text.is_empty() || text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| wrong(format!("`{text}` is no host")))?;
        return Ok(HostPattern::Exact(format!("[{address}]").into()));
    }
    if text.contains(':') {
        return Err(wrong(format!("`{text}` is no host")).help("hosts are matched without scheme and port"));
    }
    let (suffix, name) = match text.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, text),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let in_label = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits = name.len() <= 253 && name.split('.').all(|label| !label.is_empty() && label.bytes().all(in_label));
    match (fits, suffix) {
        (false, _) if name.contains('*') => {
            Err(wrong(format!("`{text}` is no host")).help("`*.` stands in front alone"))
        }
        (false, _) => Err(wrong(format!("`{text}` is no host"))),
        (true, true) => Ok(HostPattern::Suffix(name.into())),
        (true, false) => Ok(HostPattern::Exact(name.into())),
    }
}

/// A path by segments. What the gate refuses in requests is refused here too, since it could never match.
pub(super) fn path(text: &str) -> Result<PathPattern, Fault> {
    let inner = text.strip_prefix('/').ok_or_else(|| wrong("a path begins with `/`"))?;
    for (bad, what) in [
        ('%', "a path is written decoded, without `%`"),
        ('?', "the query is not matched"),
        ('#', "a request has no fragment"),
        ('\\', "a path has no `\\`"),
        (';', "a path has no `;` parameters"),
        (' ', "a path has no spaces"),
    ] {
        if inner.contains(bad) {
            return Err(wrong(what));
        }
    }
    if inner.is_empty() {
        return Ok(PathPattern { segments: Vec::new(), trailing_slash: false });
    }
    let (inner, trailing_slash) = match inner.strip_suffix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let mut segments: Vec<PathSegment> = Vec::new();
    for part in inner.split('/') {
        if matches!(segments.last(), Some(PathSegment::Rest(_))) {
            return Err(wrong("nothing follows `{*rest}`"));
        }
        let next = segment(part)?;
        if name(&next).is_some_and(|found| segments.iter().any(|known| name(known) == Some(found))) {
            return Err(wrong("the same capture twice"));
        }
        segments.push(next);
    }
    if trailing_slash && matches!(segments.last(), Some(PathSegment::Rest(_))) {
        return Err(wrong("nothing follows `{*rest}`"));
    }
    Ok(PathPattern { segments, trailing_slash })
}

fn segment(part: &str) -> Result<PathSegment, Fault> {
    let capture = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let Some(capture) = capture else {
        return match part {
            "" => Err(wrong("an empty segment: `//` never matches")),
            "." | ".." => Err(wrong("a dot segment never matches")),
            _ if part.contains(['{', '}']) => Err(wrong("a capture is a whole segment")),
            _ if part.contains('*') => Err(wrong("`*` is not a wildcard here; `{*rest}` is all that is left")),
            _ => Ok(PathSegment::Literal(part.into())),
        };
    };
    let (rest, name) = match capture.strip_prefix('*') {
        Some(name) => (true, name),
        None => (false, capture),
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(wrong("a capture has a name of letters, digits and `_`"));
    }
    let name: Arc<str> = name.into();
    Ok(if rest { PathSegment::Rest(name) } else { PathSegment::Param(name) })
}

fn name(segment: &PathSegment) -> Option<&Arc<str>> {
    match segment {
        PathSegment::Literal(_) => None,
        PathSegment::Param(name) | PathSegment::Rest(name) => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_host_and_path_are_taken_apart() {
        let found = read("GET *.Example.com./orders/{id}/{*rest}").expect("a match");
        assert_eq!(found.method, Some(Method::GET));
        assert_eq!(found.host, HostPattern::Suffix("example.com".into()));
        assert_eq!(
            found.path.segments,
            [PathSegment::Literal("orders".into()), PathSegment::Param("id".into()), PathSegment::Rest("rest".into())]
        );
        assert!(read("/a/").expect("a match").path.trailing_slash);
        assert_eq!(read("/").expect("a match").path, PathPattern { segments: vec![], trailing_slash: false });
        assert_eq!(read("[0::1]/").expect("a match").host, HostPattern::Exact("[::1]".into()));
    }

    #[test]
    fn f17_f18_f19_what_requests_may_not_have_cannot_be_matched() {
        for text in ["/a//b", "//", "/a/../b", "/./a", "/a%2fb", "/a?x", "/a#b", "/a\\b", "/a;b", "/a b/c d"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn f25_what_is_no_pattern_is_refused() {
        for text in [
            "",
            "a",
            "get /",
            "GET",
            "GET  /",
            "TRACE /",
            "a:80/",
            "a..b/",
            "*a/",
            "a.*/",
            "/{a",
            "/a}",
            "/x{a}",
            "/{}",
            "/{*}",
            "/{*a}/b",
            "/{*a}/",
            "/{a}/{a}",
            "/*",
            "/a*",
            "http://a/b",
            "/{a-b}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
