//! Whether endpoints can be reached at all, for `portcullis check --connect`.

use tokio::net::{TcpStream, UnixStream};

use super::UpstreamError;
use super::connect::ConnectError;
use super::tls::{EndpointTls, client_config};
use crate::model::settings::{Endpoint, Scheme, UpstreamSettings};

/// Connects to every endpoint as far as TLS, and hangs up; why it failed where it did.
pub async fn probe(settings: &UpstreamSettings) -> Result<Vec<(Endpoint, Option<String>)>, UpstreamError> {
    let broken = |problem| UpstreamError { upstream: settings.name.clone(), problem };
    let mut outcomes = Vec::with_capacity(settings.endpoints.len());
    for endpoint in &settings.endpoints {
        let tls = if endpoint.is_tls() {
            let config = client_config(&settings.tls).map_err(broken)?;
            Some(EndpointTls::new(&config, endpoint, &settings.tls, settings.http).map_err(broken)?)
        } else {
            None
        };
        let limit = settings.timeouts.connect;
        let attempt = tokio::time::timeout(limit, reach(endpoint, tls.as_ref())).await;
        let outcome = attempt.unwrap_or(Err(ConnectError::TimedOut(limit)));
        outcomes.push((endpoint.clone(), outcome.err().map(|problem| problem.to_string())));
    }
    Ok(outcomes)
}

async fn reach(endpoint: &Endpoint, tls: Option<&EndpointTls>) -> Result<(), ConnectError> {
    if endpoint.scheme == Scheme::Unix {
        return UnixStream::connect(&*endpoint.host).await.map(drop).map_err(ConnectError::Tcp);
    }
    let tcp = TcpStream::connect((&*endpoint.host, endpoint.port)).await.map_err(ConnectError::Tcp)?;
    if let Some(tls) = tls {
        tls.connect(tcp, false).await?;
    }
    Ok(())
}
