//! CORS: which other origins' pages may read a route's answers (Fetch standard, section "CORS protocol").
//!
//! It protects what a browser would show to a page; it admits nobody. A preflight is answered by the route that the
//! announced request would take, before any credential is looked for, since it never has one. Every other answer of the
//! route, denials included, tells the origin whether it may be read.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::CheckRequest;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{CorsOrigins, CorsSettings, Origin};

/// What the names of all its headers begin with.
const PREFIX: &str = "access-control-";

/// What one route says to pages of other origins.
#[derive(Debug)]
pub struct Cors {
    settings: CorsSettings,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
}

/// The method that a preflight announces; `None` for any other request.
pub(in crate::gate) fn announced(request: &CheckRequest<'_>) -> Option<Method> {
    if *request.method != Method::OPTIONS || !request.headers.contains_key(ORIGIN) {
        return None;
    }
    Method::from_bytes(sole(request.headers, &ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

/// The origin that a request names; several name none.
pub fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    sole(headers, &ORIGIN)
}

fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

impl Cors {
    /// By these settings.
    pub fn new(settings: &CorsSettings) -> Self {
        let names = |list: &[HeaderName]| joined(list.iter().map(HeaderName::as_str));
        Self {
            methods: joined(settings.methods.iter().map(Method::as_str)),
            headers: names(&settings.headers),
            expose: names(&settings.expose),
            settings: settings.clone(),
        }
    }

    /// Whether origin, method and headers of a preflight are all allowed.
    pub(in crate::gate) fn agree(&self, method: &Method, headers: &HeaderMap) -> Result<(), Denial> {
        let refused = |what: String| Err(Denial::because(Reason::PreflightRefused, what));
        let origin = origin(headers);
        if self.allows(origin).is_none() {
            return refused(format!("origin {} is not in `cors.origins`", shown(origin)));
        }
        if !self.settings.methods.contains(method) {
            return refused(format!("method `{method}` is not in `cors.methods`"));
        }
        for line in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
            let names = line.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
            for name in names {
                if !self.settings.headers.iter().any(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name)) {
                    return refused(format!("header `{}` is not in `cors.headers`", name.escape_ascii()));
                }
            }
        }
        Ok(())
    }

    /// What a page of this origin is told in `Access-Control-Allow-Origin`.
    fn allows(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.settings.origins {
            CorsOrigins::Any => Some(HeaderValue::from_static("*")),
            CorsOrigins::These(known) => {
                let origin = origin?;
                // `null`, which every sandboxed page of anybody's is, is no origin that could be listed.
                let named = Origin::parse(origin.to_str().ok()?)?;
                known.contains(&named).then(|| origin.clone())
            }
        }
    }

    /// Makes an answer one that a page of this origin may read, or not: whatever the upstream said of that is replaced.
    pub fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        self.withhold(headers);
        let Some(allowed) = self.allows(origin) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.settings.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        insert(headers, ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.as_ref());
    }

    /// Makes an answer one that no page of another origin may read.
    pub fn withhold(&self, headers: &mut HeaderMap) {
        let theirs: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
        for name in theirs {
            headers.remove(name);
        }
        if matches!(self.settings.origins, CorsOrigins::These(_)) && !varies_by_origin(headers) {
            // Whoever keeps the answer must not give it to another origin's page.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// What the answer to a preflight says besides: all that is allowed, for as long as it may be remembered.
    pub fn announce(&self, headers: &mut HeaderMap) {
        insert(headers, ACCESS_CONTROL_ALLOW_METHODS, self.methods.as_ref());
        insert(headers, ACCESS_CONTROL_ALLOW_HEADERS, self.headers.as_ref());
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.settings.max_age.as_secs().into());
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let text = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(text).ok().filter(|value| !value.is_empty())
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|b| *b == b',')
            .map(<[u8]>::trim_ascii)
            .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
    };
    headers.get_all(VARY).iter().any(names)
}

fn shown(origin: Option<&HeaderValue>) -> String {
    origin.map_or_else(|| "(none, or several)".to_owned(), |origin| format!("`{}`", origin.as_bytes().escape_ascii()))
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
