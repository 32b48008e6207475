//! Chooses an endpoint, sends, and tries again where that is safe.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION, UPGRADE};
use http::{Request, Response};
use hyper::client::conn::http1::SendRequest;

use super::UpstreamError;
use super::admission::Open;
use super::chain::Chain;
use super::choice::{Chooser, Set};
#[cfg(test)]
use super::circuit::Load;
use super::circuit::RetryCause;
use super::credential::Credential;
use super::failure::{Failure, broke_off, failed};
use super::health::UpstreamHealth;
use super::http2::{Answer, Broken, IncomingStream, Spare, translate};
use super::interim;
use super::lease::{Lease, Sender, Wanted};
use super::no_lease::NoLease;
use super::pool::Pool;
use super::request::{Patience, Progress, RequestBody};
use super::response::{ResponseBody, Source, binds_connection, unframe};
use super::retry::{Budget, copy_of};
use super::slot::Slot;
use super::tls::{EndpointTls, client_config, files_digest};
use super::traffic::{Line, Traffic};
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{Endpoint, HostHeader, UpstreamSettings};

/// One upstream: its endpoints, and who gets the next request.
pub(super) struct Upstream {
    pub(super) settings: Arc<UpstreamSettings>,
    /// Of the files that its TLS was made of.
    files: [u8; 32],
    pub(super) pools: Vec<Rc<Pool>>,
    pub(super) chooser: Chooser,
    pub(super) health: Arc<UpstreamHealth>,
    pub(super) traffic: Rc<Traffic>,
    /// What it is shown.
    pub(super) credential: Option<Arc<Credential>>,
    pub(super) budget: Budget,
}

impl Upstream {
    pub(super) fn new(
        settings: &Arc<UpstreamSettings>,
        health: Arc<UpstreamHealth>,
        credential: Option<Arc<Credential>>,
    ) -> Result<Self, UpstreamError> {
        // Taken before they are used: should one change in between, that is noticed the next time.
        let files = files_digest(&settings.tls);
        let broken = |problem| UpstreamError { upstream: settings.name.clone(), problem };
        let https = settings.endpoints.iter().any(Endpoint::is_tls);
        let config = if https { Some(client_config(&settings.tls).map_err(broken)?) } else { None };
        let chooser = Chooser::new(&settings.balance, &settings.endpoints);
        let budget = Budget::new(settings.retries);
        let traffic = Traffic::new(health.load().clone());
        let mut pools = Vec::with_capacity(settings.endpoints.len());
        for (at, endpoint) in (0..).zip(&settings.endpoints) {
            let tls = match &config {
                Some(config) if endpoint.is_tls() => {
                    Some(EndpointTls::new(config, endpoint, &settings.tls, settings.http).map_err(broken)?)
                }
                _ => None,
            };
            let (settings, traffic) = (settings.clone(), traffic.clone());
            pools.push(Pool::new(settings, endpoint.clone(), tls, traffic, health.addresses(at)).map_err(broken)?);
        }
        Ok(Self { settings: settings.clone(), files, pools, chooser, health, traffic, credential, budget })
    }

    /// Whether these settings, what stands in the files that they name, and this credential would make the same of it.
    pub(super) fn is_of(&self, settings: &Arc<UpstreamSettings>, credential: Option<&Arc<Credential>>) -> bool {
        self.settings == *settings
            && self.credential.as_ref().map(Arc::as_ptr) == credential.map(Arc::as_ptr)
            && self.files == files_digest(&settings.tls)
    }

    /// Sends to the next endpoint that can be had, within the time that all tries have together: the upstream's, or
    /// `within` where that is less.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        progress: &Progress,
        client: SocketAddr,
        within: Option<Duration>,
    ) -> Result<Response<ResponseBody>, Denial> {
        let admitted = self.admit()?;
        let mut response = self.send_in_time(request, progress, client, within).await?;
        response.body_mut().hold(admitted);
        Ok(response)
    }

    async fn send_in_time(
        &self,
        request: Request<RequestBody>,
        progress: &Progress,
        client: SocketAddr,
        within: Option<Duration>,
    ) -> Result<Response<ResponseBody>, Denial> {
        let key = self.chooser.key(request.headers(), client.ip());
        let tried = Cell::new(None);
        let tries = self.try_shown(request, progress, key, client, &tried);
        let own = self.settings.timeouts.total;
        let Some(limit) = own.into_iter().chain(within).min() else { return tries.await };
        tokio::time::timeout(limit, tries).await.unwrap_or_else(|_| {
            let who = if progress.awaits_client() { Reason::BodyIncomplete } else { Reason::UpstreamTimeout };
            let why = Denial::because(who, format!("{}: no answer within {limit:?} in total", self.settings.name));
            // A route that waits for less than others do says nothing of the endpoint.
            if let (Some(only), Reason::UpstreamTimeout, true) = (tried.get(), who, own == Some(limit)) {
                self.health.failed(only, &why);
            }
            Err(why)
        })
    }

    /// `tried` is the endpoint that has had all the time that has passed, if it is only one.
    pub(super) async fn try_each(
        &self,
        mut request: Request<RequestBody>,
        progress: &Progress,
        key: Option<u64>,
        client: SocketAddr,
        tried: &Cell<Option<u32>>,
    ) -> Result<Response<ResponseBody>, Denial> {
        let mut open =
            Open { left: self.chooser.all(), busy: Set::NONE, line: Line::new(&self.traffic, self.settings.limits) };
        if open.line.is_formed() && !open.line.wait().await {
            return Err(self.busy(&"others wait for a connection already"));
        }
        let mut denial: Option<Denial> = None;
        let mut attempts = self.budget.attempts();
        let bound = [AUTHORIZATION, PROXY_AUTHORIZATION].iter().any(|name| binds_connection(request.headers(), name));
        // A connection that is said to be one client's carries nobody else's requests, nor this one's next.
        let alone = bound || self.settings.proxy_protocol.is_some();
        let mut wanted = Wanted { http1: request.headers().contains_key(UPGRADE), alone, fresh: false, client };
        while let Some((at, pool)) = self.next(&mut open, key).await {
            // An endpoint whose connections are all in use has failed nobody: the next one costs nothing.
            if let Some(why) = denial.as_ref().filter(|why| why.reason != Reason::UpstreamBusy) {
                if !attempts.another() {
                    break;
                }
                self.traffic.load.retried(RetryCause::of(why.reason));
            }
            tried.set(if denial.is_none() { Some(at) } else { None });
            if pool.has_room() {
                open.line.leave();
            }
            if self.settings.host_header == HostHeader::Endpoint {
                request.headers_mut().insert(HOST, pool.authority.clone());
            }
            loop {
                let lease = match pool.lease(wanted).await {
                    Ok(lease) => lease,
                    Err(NoLease { why, told }) => {
                        match why.reason {
                            Reason::UpstreamBusy => open.busy = open.busy.with(at),
                            // One failure, however many wait for the connection that did not come about.
                            Reason::UpstreamUnreachable | Reason::UpstreamTimeout if !told => {
                                self.health.failed(at, &why);
                            }
                            // What was asked for is not to be had there: that says nothing of how it is.
                            _ => {}
                        }
                        denial = Some(why);
                        break;
                    }
                };
                open.line.leave();
                let reused = lease.reused;
                match self.exchange(lease, request, wanted, progress).await {
                    Ok(response) => {
                        self.health.answered(at, response.status().as_u16());
                        return Ok(response);
                    }
                    Err(Failure::Final(why)) => {
                        // A client that breaks off, or names a host that cannot be, says nothing of the endpoint.
                        if matches!(why.reason, Reason::UpstreamFailed | Reason::UpstreamTimeout) {
                            self.health.failed(at, &why);
                        }
                        return Err(why);
                    }
                    Err(Failure::Unanswered(again, why)) => {
                        if !reused {
                            self.health.failed(at, &why);
                        }
                        // A kept connection that the upstream closed just as it was written to. That one has answered
                        // before, so an upstream that answers nobody is not asked twice by this.
                        request = *again.ok_or(why)?;
                        wanted.fresh = true;
                        self.traffic.load.retried(RetryCause::Closed);
                    }
                    Err(Failure::Unprocessed(again, why)) => {
                        request = *again;
                        denial = Some(why);
                        // Elsewhere; where there is nothing else, here.
                        if !open.left.is_empty() || !attempts.another() {
                            break;
                        }
                        self.traffic.load.retried(RetryCause::Failed);
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
        lease: Lease,
        request: Request<RequestBody>,
        wanted: Wanted,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Failure> {
        progress.restart();
        let Lease { sender, slot, reused, use_of } = lease;
        match sender {
            Sender::Http1(mut sender) => {
                let copy = if reused && self.budget.allows_resend() { copy_of(&request) } else { None };
                let answer = self.over_http1(&mut sender, &slot, request, copy, progress).await?;
                accept(answer, Lease { sender: Sender::Http1(sender), slot, reused, use_of }, wanted)
            }
            Sender::Http2(mut sender, stream) => {
                let answer = self.over_http2(&mut sender, &slot, reused, request, progress).await?;
                accept(answer, Lease { sender: Sender::Http2(sender, stream), slot, reused, use_of }, wanted)
            }
        }
    }

    async fn over_http1(
        &self,
        sender: &mut SendRequest<RequestBody>,
        slot: &Slot,
        mut request: Request<RequestBody>,
        copy: Option<Request<RequestBody>>,
        progress: &Progress,
    ) -> Result<Response<Source>, Failure> {
        interim::listen(&mut request);
        let heard = slot.heard.count();
        match self.wait(slot, pin!(sender.try_send_request(request)), progress).await? {
            Ok(response) => Ok(response.map(Source::Http1)),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Failure::Unsent(Box::new(request), error.into_error().to_string()),
                None if progress.failed() => broke_off(),
                None => {
                    let why = failed(slot, &Chain(&error.into_error()));
                    if slot.heard.count() == heard {
                        Failure::Unanswered(copy.map(Box::new), why)
                    } else {
                        Failure::Final(why)
                    }
                }
            }),
        }
    }

    /// What is sent again is decided by stream: what others on the same connection have heard does not matter.
    async fn over_http2(
        &self,
        sender: &mut h2::client::SendRequest<Bytes>,
        slot: &Slot,
        reused: bool,
        request: Request<RequestBody>,
        progress: &Progress,
    ) -> Result<Response<Source>, Failure> {
        if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
            return Err(Failure::Unsent(Box::new(request), error.to_string()));
        }
        let spare = self.budget.allows_resend().then(|| Spare::of(&request));
        let harmless = reused && request.method().is_idempotent() && matches!(request.body(), RequestBody::Empty);
        let (head, body) = request.into_parts();
        let head = translate(head, slot.pool().endpoint.is_tls()).map_err(Failure::Final)?;
        let mut answer = Answer::to(sender, head, body).map_err(|error| Failure::Final(failed(slot, &error)))?;
        let heard = slot.heard.count();
        let outcome = self.wait(slot, Pin::new(&mut answer), progress).await;
        if let Err(Failure::Final(why)) = &outcome
            && why.reason == Reason::UpstreamTimeout
            && slot.heard.count() == heard
        {
            // Nobody is there, or so it seems: others need not find out as slowly.
            slot.close();
        }
        let error = match outcome? {
            Ok(response) => {
                slot.answers();
                return Ok(IncomingStream::new(response, answer.into_outgoing()).map(Source::Http2));
            }
            Err(error) => error,
        };
        if progress.failed() {
            return Err(broke_off());
        }
        let why = failed(slot, &error);
        Err(match (answer.broken_by(&error), spare) {
            (Broken::Unprocessed, Some(spare)) => match answer.take_back() {
                Some(body) => Failure::Unprocessed(Box::new(spare.with(body)), why),
                None => Failure::Final(why),
            },
            (Broken::Lost, Some(spare)) if harmless => {
                Failure::Unanswered(Some(Box::new(spare.with(RequestBody::Empty))), why)
            }
            _ => Failure::Final(why),
        })
    }

    /// Waits for the head of an answer for as long as upstream and client may take.
    async fn wait<F: Future>(
        &self,
        slot: &Slot,
        mut answer: Pin<&mut F>,
        progress: &Progress,
    ) -> Result<F::Output, Failure> {
        let limit = self.settings.timeouts.response;
        loop {
            match progress.patience(limit) {
                Patience::Until(until) => {
                    if let Ok(answered) = tokio::time::timeout_at(until, answer.as_mut()).await {
                        return Ok(answered);
                    }
                }
                Patience::UpstreamSlow => {
                    let detail = format!("{}: no answer within {limit:?}", slot.pool());
                    return Err(Failure::Final(Denial::because(Reason::UpstreamTimeout, detail)));
                }
                Patience::ClientSlow => {
                    let detail = format!("nothing of the body for {limit:?}");
                    return Err(Failure::Final(Denial::because(Reason::BodyIncomplete, detail)));
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    #[cfg(test)]
    pub(super) fn load(&self) -> &Load {
        &self.traffic.load
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

fn accept(answer: Response<Source>, lease: Lease, wanted: Wanted) -> Result<Response<ResponseBody>, Failure> {
    let (mut head, body) = answer.into_parts();
    let reusable = unframe(&mut head, wanted.http1).map_err(|why| Failure::Final(failed(&lease.slot, &why)))?;
    if !reusable {
        lease.slot.close();
    }
    Ok(Response::from_parts(head, ResponseBody::new(body, lease, reusable && !wanted.alone)))
}
