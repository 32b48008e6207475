//! What is behind: endpoints, connections, forwarding.

mod address;
mod admission;
mod balance;
mod chain;
mod choice;
mod circuit;
mod connect;
mod credential;
mod ear;
mod failure;
mod health;
mod http2;
mod interim;
mod lease;
mod lookup;
mod names;
mod no_lease;
mod pool;
mod probe;
mod proxy_protocol;
mod queue;
mod request;
mod response;
mod retry;
mod shared;
mod shown;
mod slot;
mod surge;
mod tls;
mod traffic;
mod verify;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri, Version};
use http_body::Body;

use self::balance::Upstream;
use self::request::RequestBody;
use crate::gate::Permit;
use crate::gate::permit::Destination;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::UpstreamSettings;

pub use self::circuit::RetryCause;
pub use self::credential::Credentials;
pub use self::health::{Checker, Conditions, EndpointStanding, Standing, UpstreamStanding};
pub use self::interim::Interim;
pub use self::lookup::{Lookup, Resolver, SystemResolver};
pub use self::probe::probe;
pub use self::response::ResponseBody;

/// What went wrong with a body, of whichever side.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("upstream.{upstream}: {problem}")]
pub struct UpstreamError {
    /// Its name.
    pub upstream: Arc<str>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// All upstreams of one worker, each with its own connections. Used on one thread, within a `LocalSet`.
pub struct Upstreams {
    by_name: BTreeMap<Arc<str>, Rc<Upstream>>,
}

impl Upstreams {
    /// Reads certificates; opens no connection yet. `conditions`: what is known of these upstreams' endpoints, shared by
    /// all workers.
    pub fn new(settings: &[Arc<UpstreamSettings>], conditions: &Conditions) -> Result<Self, UpstreamError> {
        Self { by_name: BTreeMap::new() }.renewed(settings, conditions)
    }

    /// By these settings from now on; files are read again. An upstream whose settings and certificates stay the same is
    /// the same, with its connections and what it knows of its endpoints. The others are left with the requests that they
    /// are answering.
    pub fn renewed(&self, settings: &[Arc<UpstreamSettings>], conditions: &Conditions) -> Result<Self, UpstreamError> {
        let one = |settings: &Arc<UpstreamSettings>| {
            let credential = conditions.credentials().of(&settings.name);
            if credential.is_none() && settings.credential.is_some() {
                // Rather none of its requests than requests that show nothing.
                let problem = "nobody keeps its credential".to_owned();
                return Err(UpstreamError { upstream: settings.name.clone(), problem });
            }
            let known = self.by_name.get(&settings.name);
            let upstream = match known.filter(|known| known.is_of(settings, credential.as_ref())) {
                Some(known) => Rc::clone(known),
                None => Rc::new(Upstream::new(settings, conditions.of(settings), credential)?),
            };
            Ok((settings.name.clone(), upstream))
        };
        Ok(Self { by_name: settings.iter().map(one).collect::<Result<_, UpstreamError>>()? })
    }

    /// Sends a permitted request to the upstream of its permit, with the method and target of its permit, and returns
    /// the head of the answer; bodies stream both ways. Consumes the permit: one decision, one forward. Headers must be
    /// as the upstream may see them. `client` is who asks, for endpoints that are chosen by that or told of it; its port
    /// is 0 where it is not known. The route's own timeout counts where it is less than that of the upstream. Interim
    /// answers are told to the request's [`Interim`].
    ///
    /// The answer's head says nothing of how its body was framed on the upstream's connection. Dropping the future or
    /// the answer's body closes that connection.
    pub async fn forward<B>(
        &self,
        permit: Permit,
        request: Request<B>,
        client: SocketAddr,
    ) -> Result<Response<ResponseBody>, Denial>
    where
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<BodyError>,
    {
        let Destination::Upstream(name) = permit.destination() else {
            return Err(Denial::because(Reason::Internal, "the permit is not for an upstream"));
        };
        let Some(upstream) = self.by_name.get(name) else {
            return Err(Denial::because(Reason::Internal, format!("upstream.{name} does not exist")));
        };
        let (mut head, body) = request.into_parts();
        head.method = permit.method().clone();
        head.uri = Uri::from(permit.forwarded().clone());
        // Whatever the client spoke: an HTTP/2 version would be written as an HTTP/1 one without its framing rules.
        head.version = Version::HTTP_11;
        request::frame(&mut head, &body)?;
        let within = permit.route().bounds.timeout;
        let own = upstream.credential.as_ref().map(|credential| credential.folded().into());
        let (body, progress) = RequestBody::new(body, Some(permit), own);
        upstream.send(Request::from_parts(head, body), &progress, client, within).await
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
