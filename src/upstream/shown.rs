//! Requests that show an upstream who sends them.

use std::cell::Cell;
use std::net::SocketAddr;

use http::{Method, Request, Response, StatusCode};

use super::balance::Upstream;
use super::circuit::RetryCause;
use super::request::{Progress, RequestBody};
use super::response::ResponseBody;
use super::retry::copy_of;
use crate::model::Denial;

impl Upstream {
    /// With the credential that the upstream is shown, if any. Where it refuses one that was issued to us, another one is
    /// asked for, and what is safe (RFC 9110, section 9.2.1) and has no body is sent once more with it.
    pub(super) async fn try_shown(
        &self,
        mut request: Request<RequestBody>,
        progress: &Progress,
        key: Option<u64>,
        client: SocketAddr,
        tried: &Cell<Option<u32>>,
    ) -> Result<Response<ResponseBody>, Denial> {
        let Some(credential) = &self.credential else {
            return self.try_each(request, progress, key, client, tried).await;
        };
        let held = credential.current().await?;
        credential.show(&held, request.headers_mut());
        if !credential.is_issued() {
            return self.try_each(request, progress, key, client, tried).await;
        }
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let again = if is_safe && self.budget.allows_resend() { copy_of(&request) } else { None };
        let response = self.try_each(request, progress, key, client, tried).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let another = credential.another(&held, again.is_some()).await;
        let (Some(another), Some(mut again)) = (another, again) else { return Ok(response) };
        drop(response);
        credential.show(&another, again.headers_mut());
        self.traffic.load.retried(RetryCause::Refused);
        self.try_each(again, progress, key, client, tried).await
    }
}
