//! Chooses an endpoint, sends, and tries again where that is safe.

use std::cell::Cell;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION, UPGRADE};
use http::{Request, Response};

use super::UpstreamError;
use super::choice::Chooser;
use super::health::UpstreamHealth;
use super::pool::{Lease, Pool};
use super::request::{Patience, Progress, RequestBody};
use super::response::{ResponseBody, binds_connection, unframe};
use super::retry::{Budget, copy_of};
use super::tls::{EndpointTls, client_config};
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Endpoint, HostHeader, UpstreamSettings};

/// One upstream: its endpoints, and who gets the next request.
pub(super) struct Upstream {
    settings: Arc<UpstreamSettings>,
    pools: Vec<Rc<Pool>>,
    chooser: Chooser,
    health: Arc<UpstreamHealth>,
    budget: Budget,
}

/// Why there is no answer.
enum Failure {
    /// Not a byte of the request went out: it may go elsewhere.
    Unsent(Box<Request<RequestBody>>, hyper::Error),
    /// It was written, and the connection ended without a byte of an answer.
    Unanswered(Denial),
    /// The upstream may have acted on it, or has begun to answer: it must not get it twice.
    Final(Denial),
}

impl Upstream {
    pub(super) fn new(settings: &Arc<UpstreamSettings>, health: Arc<UpstreamHealth>) -> Result<Self, UpstreamError> {
        let broken = |problem| UpstreamError { upstream: settings.name.clone(), problem };
        let https = settings.endpoints.iter().any(Endpoint::is_tls);
        let config = if https { Some(client_config(&settings.tls).map_err(broken)?) } else { None };
        let chooser = Chooser::new(&settings.balance, &settings.endpoints);
        let budget = Budget::new(settings.retries);
        let mut pools = Vec::with_capacity(settings.endpoints.len());
        for endpoint in &settings.endpoints {
            let tls = match &config {
                Some(config) if endpoint.is_tls() => {
                    Some(EndpointTls::new(config, endpoint, &settings.tls).map_err(broken)?)
                }
                _ => None,
            };
            pools.push(Pool::new(settings.clone(), endpoint.clone(), tls).map_err(broken)?);
        }
        Ok(Self { settings: settings.clone(), pools, chooser, health, budget })
    }

    /// Sends to the next endpoint that can be had, within the time that all tries have together.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        progress: &Progress,
        client: IpAddr,
    ) -> Result<Response<ResponseBody>, Denial> {
        let key = self.chooser.key(request.headers(), client);
        let tried = Cell::new(None);
        let tries = self.try_each(request, progress, key, &tried);
        let Some(limit) = self.settings.timeouts.total else { return tries.await };
        tokio::time::timeout(limit, tries).await.unwrap_or_else(|_| {
            let who = if progress.awaits_client() { Reason::BodyIncomplete } else { Reason::UpstreamTimeout };
            let why = Denial::because(who, format!("{}: no answer within {limit:?} in total", self.settings.name));
            if let (Some(only), Reason::UpstreamTimeout) = (tried.get(), who) {
                self.health.failed(only, &why);
            }
            Err(why)
        })
    }

    /// `tried` is the endpoint that has had all the time that has passed, if it is only one.
    async fn try_each(
        &self,
        mut request: Request<RequestBody>,
        progress: &Progress,
        key: Option<u64>,
        tried: &Cell<Option<u32>>,
    ) -> Result<Response<ResponseBody>, Denial> {
        let mut left = self.chooser.all();
        let mut denial: Option<Denial> = None;
        let mut attempts = self.budget.attempts();
        let mut sent_again = false;
        while let Some((at, pool)) = self.chooser.choose(&self.pools, &mut left, key, &self.health) {
            // An endpoint whose connections are all in use has failed nobody: the next one costs nothing.
            if denial.as_ref().is_some_and(|why| why.reason != Reason::UpstreamBusy) && !attempts.another() {
                break;
            }
            tried.set(if denial.is_none() { Some(at) } else { None });
            if self.settings.host_header == HostHeader::Endpoint {
                request.headers_mut().insert(HOST, pool.authority.clone());
            }
            // What was sent again goes out on a new connection: other kept ones may be closing just as well.
            let mut lease = if sent_again { None } else { pool.idle() };
            loop {
                let connection = match lease.take() {
                    Some(lease) => lease,
                    None => match pool.dial().await {
                        Ok(lease) => lease,
                        Err(why) => {
                            if why.reason != Reason::UpstreamBusy {
                                self.health.failed(at, &why);
                            }
                            denial = Some(why);
                            break;
                        }
                    },
                };
                let reused = connection.reused;
                let copy = if reused { self.budget.allows_resend().then(|| copy_of(&request)).flatten() } else { None };
                match self.exchange(connection, request, progress).await {
                    Ok(response) => {
                        self.health.answered(at, response.status().as_u16());
                        return Ok(response);
                    }
                    Err(Failure::Final(why)) => {
                        // A client that breaks off says nothing of the endpoint.
                        if why.reason != Reason::BodyIncomplete {
                            self.health.failed(at, &why);
                        }
                        return Err(why);
                    }
                    Err(Failure::Unanswered(why)) => {
                        if !reused {
                            self.health.failed(at, &why);
                        }
                        // A kept connection that the upstream closed just as it was written to. That one has answered
                        // before, so an upstream that answers nobody is not asked twice by this.
                        request = copy.ok_or(why)?;
                        sent_again = true;
                    }
                    Err(Failure::Unsent(unsent, error)) => {
                        request = *unsent;
                        // A reused connection whose peer had just closed it says nothing of the endpoint: once more on
                        // a new one. A new one that does not even take a request is a broken endpoint.
                        if !reused {
                            let why = Denial::because(Reason::UpstreamFailed, format!("{pool}: {error}"));
                            self.health.failed(at, &why);
                            denial = Some(why);
                            break;
                        }
                    }
                }
            }
        }
        Err(denial.unwrap_or_else(|| {
            let detail = format!("{}: none of its endpoints is well", self.settings.name);
            Denial::because(Reason::UpstreamUnhealthy, detail).retry_after(Duration::from_secs(1))
        }))
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
        lease.slot.heard.store(false, Relaxed);
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
                    None => match failed(&Chain(&error.into_error())) {
                        Failure::Final(why) if !lease.slot.heard.load(Relaxed) => Failure::Unanswered(why),
                        failure => failure,
                    },
                });
            }
        };
        let (mut head, body) = response.into_parts();
        let reusable = unframe(&mut head, upgrade_wanted).map_err(|why| failed(&why))? && !bound;
        Ok(Response::from_parts(head, ResponseBody::new(body, lease, reusable)))
    }

    #[cfg(test)]
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
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
