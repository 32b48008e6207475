//! Chooses an endpoint, sends, and tries again where nothing was sent.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION, UPGRADE};
use http::{Request, Response};

use super::UpstreamError;
use super::pool::{Lease, Pool};
use super::request::{Patience, Progress, RequestBody};
use super::response::{ResponseBody, binds_connection, unframe};
use super::tls::{EndpointTls, client_config};
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{HostHeader, UpstreamSettings};

/// One upstream: its endpoints, in turn.
pub(super) struct Upstream {
    settings: Arc<UpstreamSettings>,
    pools: Vec<Rc<Pool>>,
    next: Cell<usize>,
}

/// Why there is no answer.
enum Failure {
    /// Not a byte of the request went out: it may go elsewhere.
    Unsent(Box<Request<RequestBody>>, hyper::Error),
    /// The upstream may have seen it: it must not get it twice.
    Final(Denial),
}

impl Upstream {
    pub(super) fn new(settings: &Arc<UpstreamSettings>) -> Result<Self, UpstreamError> {
        let broken = |problem| UpstreamError { upstream: settings.name.clone(), problem };
        let https = settings.endpoints.iter().any(|endpoint| endpoint.https);
        let config = if https { Some(client_config(&settings.tls).map_err(broken)?) } else { None };
        let mut pools = Vec::with_capacity(settings.endpoints.len());
        for endpoint in &settings.endpoints {
            let tls = match &config {
                Some(config) if endpoint.https => {
                    Some(EndpointTls::new(config, endpoint, &settings.tls).map_err(broken)?)
                }
                _ => None,
            };
            pools.push(Pool::new(settings.clone(), endpoint.clone(), tls).map_err(broken)?);
        }
        Ok(Self { settings: settings.clone(), pools, next: Cell::new(0) })
    }

    /// Sends to the next endpoint that can be had.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Denial> {
        let mut denial = None;
        for pool in self.in_turn() {
            if self.settings.host_header == HostHeader::Endpoint {
                request.headers_mut().insert(HOST, pool.authority.clone());
            }
            let mut lease = pool.idle();
            loop {
                let connection = match lease.take() {
                    Some(lease) => lease,
                    None => match pool.dial().await {
                        Ok(lease) => lease,
                        Err(why) => {
                            denial = Some(why);
                            break;
                        }
                    },
                };
                let reused = connection.reused;
                match self.exchange(connection, request, progress).await {
                    Ok(response) => return Ok(response),
                    Err(Failure::Final(why)) => return Err(why),
                    Err(Failure::Unsent(unsent, error)) => {
                        request = *unsent;
                        // A reused connection whose peer had just closed it says nothing of the endpoint: once more on
                        // a new one. A new one that does not even take a request is a broken endpoint.
                        if !reused {
                            denial = Some(Denial::because(Reason::UpstreamFailed, format!("{pool}: {error}")));
                            break;
                        }
                    }
                }
            }
        }
        Err(denial.unwrap_or_else(|| Denial::because(Reason::Internal, "an upstream without endpoints")))
    }

    /// Round robin; endpoints that could not be reached a moment ago come last.
    fn in_turn(&self) -> Vec<&Rc<Pool>> {
        let start = self.next.get();
        self.next.set(start.wrapping_add(1));
        let (before, after) = self.pools.split_at(start.checked_rem(self.pools.len()).unwrap_or(0));
        let mut turn: Vec<_> = after.iter().chain(before).collect();
        turn.sort_by_key(|pool| pool.is_avoided());
        turn
    }

    async fn exchange(
        &self,
        mut lease: Lease,
        request: Request<RequestBody>,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Failure> {
        let pool = lease.pool().clone();
        let upgrade_wanted = request.headers().contains_key(UPGRADE);
        let bound = [AUTHORIZATION, PROXY_AUTHORIZATION].iter().any(|name| binds_connection(request.headers(), name));
        progress.restart();
        let answered = {
            let mut answer = pin!(lease.sender.try_send_request(request));
            loop {
                match progress.patience(self.settings.timeouts.response) {
                    Patience::Until(until) => {
                        if let Ok(answered) = tokio::time::timeout_at(until, answer.as_mut()).await {
                            break answered;
                        }
                    }
                    Patience::UpstreamSlow => {
                        let detail = format!("{pool}: no answer within {:?}", self.settings.timeouts.response);
                        return Err(Failure::Final(Denial::because(Reason::UpstreamTimeout, detail)));
                    }
                    Patience::ClientSlow => {
                        let detail = format!("nothing of the body for {:?}", self.settings.timeouts.response);
                        return Err(Failure::Final(Denial::because(Reason::BodyIncomplete, detail)));
                    }
                }
            }
        };
        let failed = |why: &dyn std::fmt::Display| {
            Failure::Final(Denial::because(Reason::UpstreamFailed, format!("{pool}: {why}")))
        };
        let response = match answered {
            Ok(response) => response,
            Err(mut error) => {
                return Err(match error.take_message() {
                    Some(request) => Failure::Unsent(Box::new(request), error.into_error()),
                    None if progress.failed() => {
                        Failure::Final(Denial::because(Reason::BodyIncomplete, "the client broke off its request"))
                    }
                    None => failed(&Chain(&error.into_error())),
                });
            }
        };
        let (mut head, body) = response.into_parts();
        let reusable = unframe(&mut head, upgrade_wanted).map_err(|why| failed(&why))? && !bound;
        Ok(Response::from_parts(head, ResponseBody::new(body, lease, reusable)))
    }

    #[cfg(test)]
    pub(super) fn pools(&self) -> &[Rc<Pool>] {
        &self.pools
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        for pool in &self.pools {
            pool.retire();
        }
    }
}

/// An error and what caused it, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
