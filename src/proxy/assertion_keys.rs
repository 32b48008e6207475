//! The public keys of the assertion, which Portcullis serves itself.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};

use super::{Body, Proxy};
use crate::model::Denial;
use crate::model::denial::Reason;

impl Proxy {
    pub(super) fn assertion_keys(&self, method: &Method) -> Result<Response<Body>, Denial> {
        let body = match *method {
            Method::GET => Body::full(self.jwks.clone()),
            Method::HEAD => Body::empty(),
            _ => return Err(Denial::because(Reason::MethodRefused, "the assertion's keys can only be read")),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(CONTENT_LENGTH, self.jwks.len().into());
        Ok(response)
    }
}
