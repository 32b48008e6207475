//! Interim answers (1xx; RFC 9110, section 15.2).

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};

/// In a request's extensions: whoever wants to hear interim answers to it, which end here otherwise. Each is told as it
/// comes, also those of an upstream that then fails, after which another may be asked; none after the answer.
#[derive(Clone)]
pub struct Interim(Arc<Hear>);

type Hear = dyn Fn(StatusCode, &HeaderMap) + Send + Sync;

impl Interim {
    /// Tells this.
    pub fn new(hear: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(super) fn tell(&self, status: StatusCode, headers: &HeaderMap) {
        (self.0)(status, headers);
    }
}

/// Has whoever wants to hear them hear those to another request, too.
pub(super) fn copy<A, B>(from: &Request<A>, to: &mut Request<B>) {
    if let Some(interim) = from.extensions().get::<Interim>() {
        to.extensions_mut().insert(interim.clone());
    }
}

/// Has them told by a connection of HTTP/1.1.
pub(super) fn listen<B>(request: &mut Request<B>) {
    if let Some(interim) = request.extensions_mut().get::<Interim>().cloned() {
        hyper::ext::on_informational(request, move |answer| interim.tell(answer.status(), answer.headers()));
    }
}
