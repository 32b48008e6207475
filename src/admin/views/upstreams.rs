//! What upstreams show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::upstream::{EndpointStanding, UpstreamStanding};

/// An upstream, as this instance sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpstreamView {
    /// Its name; for one that a route names by URL, that URL.
    pub name: Arc<str>,
    /// Whether so few endpoints are well that all get requests.
    pub panic: bool,
    /// Requests under way.
    pub requests: i64,
    /// Requests that wait for a connection.
    pub pending: usize,
    /// Connections that are open.
    pub connections: i64,
    /// Its endpoints, as configured.
    pub endpoints: Vec<EndpointView>,
}

/// One endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointView {
    /// `http://127.0.0.1:3000`
    pub endpoint: String,
    /// `unchecked`, `healthy`, `returning`, `unhealthy` or `ejected`.
    pub state: String,
    /// Why it is not well, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl From<UpstreamStanding> for UpstreamView {
    fn from(standing: UpstreamStanding) -> Self {
        let UpstreamStanding { upstream, panic, requests, pending, connections, endpoints } = standing;
        let endpoints = endpoints.into_iter().map(EndpointView::from).collect();
        Self { name: upstream, panic, requests, pending, connections, endpoints }
    }
}

impl From<EndpointStanding> for EndpointView {
    fn from(standing: EndpointStanding) -> Self {
        let EndpointStanding { endpoint, standing, why } = standing;
        Self { endpoint, state: standing.name().to_owned(), why }
    }
}
