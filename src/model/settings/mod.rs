//! What a configuration means once resolved: the plain settings that stages are built from.
//!
//! `config` makes these out of TOML; nothing here reads a file. Every path is absolute or relative to the working
//! directory, every name that refers to another table has been checked, and every secret is in a [`Secret`].

mod access;
mod bounds;
mod changes;
mod cors;
mod dpop;
mod identity;
mod listener;
mod maintenance;
mod pages;
mod redis;
mod route;
mod rule;
mod tls;
mod upstream;
mod upstream_credential;
mod upstream_health;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use access::{LimitKey, LimitSettings, LimitStage, PermissionPattern, RoleTable};
pub use bounds::RouteBounds;
pub use changes::{HeaderEdits, PathRewrite, RouteChanges};
pub use cors::{CorsOrigins, CorsSettings};
pub use dpop::{DpopSettings, ReplayScope};
pub use identity::{
    Algorithm, ApiKeySettings, AssertionSettings, BasicSettings, ClaimPointers, ClientSecretMethod, ForeignFormat,
    ForeignSettings, IdAlphabet, IssuerSettings, JwksSettings, KeySource, MtlsMatch, MtlsRule, OpaqueSettings,
    PhpHandler, SessionIdForm, SessionLayout, SessionSettings,
};
pub use listener::{Bind, HttpLimits, ListenerSettings, Origin, Serve};
pub use maintenance::MaintenanceSettings;
pub use pages::{PageFor, PagePiece, PageTemplate, PagesSettings};
pub use redis::{RedisAddress, RedisNode, RedisSettings, RedisTls, SentinelSettings};
pub use route::{
    Accept, Alternative, CertificateHeaders, HeaderPreset, HostPattern, IdentityField, IdentityHeaders, OnStale,
    PathPattern, PathSegment, PathTolerance, RouteMatch, RouteSettings, StreamGrace, Xfcc,
};
pub use rule::{ClaimTest, ClaimValue, Rule, RuleMode, Rules};
pub use tls::{CertificateFiles, ClientAuth, TlsHost, TlsSettings};
pub use upstream::{
    Balance, CertifiedName, Endpoint, HashKey, HostHeader, HttpVersion, ProxyProtocol, Retries, Scheme,
    UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};
pub use upstream_credential::{CredentialSettings, CredentialSource, TokenClientAuth, TokenEndpointSettings};
pub use upstream_health::{Ejection, EndpointHealth, HealthCheck, Statuses, UpstreamLimits};

use super::Secret;

/// A whole configuration, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[server]`
    pub server: ServerSettings,
    /// `[listener.NAME]`, in order of name.
    pub listeners: Vec<Arc<ListenerSettings>>,
    /// `[health]`
    pub health: Option<HealthSettings>,
    /// `[admin]`
    pub admin: AdminSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[revocation] max_staleness`
    pub max_staleness: Duration,
    /// `[session]`
    pub session: SessionSettings,
    /// `[issuer.NAME]`, in order of name.
    pub issuers: Vec<Arc<IssuerSettings>>,
    /// `[dpop]`
    pub dpop: DpopSettings,
    /// `[opaque]`
    pub opaque: Option<OpaqueSettings>,
    /// `[basic]`
    pub basic: Option<BasicSettings>,
    /// `[api_key]`
    pub api_key: ApiKeySettings,
    /// `[[mtls]]`, in order: the first match wins.
    pub mtls: Vec<MtlsRule>,
    /// `[spiffe]`
    pub spiffe: Option<SpiffeSettings>,
    /// `maintenance` of the whole instance
    pub maintenance: MaintenanceSettings,
    /// `[pages]`
    pub pages: PagesSettings,
    /// `[assertion]`
    pub assertion: AssertionSettings,
    /// `[limit.NAME]`, by name.
    pub limits: BTreeMap<Arc<str>, LimitSettings>,
    /// `[roles]`, inheritance resolved.
    pub roles: RoleTable,
    /// `[upstream.NAME]` and the ones that routes name by URL, in order of name.
    pub upstreams: Vec<Arc<UpstreamSettings>>,
    /// `[route.NAME]`, in order of name.
    pub routes: Vec<Arc<RouteSettings>>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Request-serving threads; `None` follows the CPU quota of the cgroup.
    pub workers: Option<usize>,
    /// How long requests in flight may take once draining has begun.
    pub shutdown_grace: Duration,
    /// How long to go on accepting after becoming unready.
    pub drain_delay: Duration,
    /// How long a request may wait for a worker that is overloaded, in CPU time, before it is refused; `None`: it never is
    /// for that.
    pub shed_above: Option<Duration>,
    /// Whether files that change bring about a reload.
    pub watch: bool,
    /// How long before certificates and revocation lists end there are warnings.
    pub certificate_warning: Duration,
}

/// `[health]`: `/livez`, `/readyz`, `/metrics`, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// Where.
    pub bind: SocketAddr,
}

/// `[spiffe]`: where SVIDs come from, and where they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeSettings {
    /// The socket of the agent.
    pub socket: PathBuf,
    /// The directory of the files.
    pub directory: PathBuf,
}

/// `[admin]`: operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// A Unix socket that only its owner can open; `None` where it is switched off.
    pub socket: Option<PathBuf>,
    /// Also over TCP, with a bearer token.
    pub tcp: Option<AdminTcp>,
}

/// Operations over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminTcp {
    /// Where.
    pub bind: SocketAddr,
    /// What callers must present.
    pub token: Secret<String>,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// The least level that is written: `error`, `warn`, `info`, `debug`, `trace`, or a filter directive.
    pub level: String,
    /// Whether each request is logged (denials always are).
    pub access: bool,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Which.
    pub kind: StoreKind,
    /// What every key begins with.
    pub prefix: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// How many instances share it.
    pub replicas: u32,
}

/// Where shared state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// In this process, with a file that keeps it through a restart.
    Memory {
        /// Where, if at all.
        file: Option<PathBuf>,
    },
    /// In Redis.
    Redis(RedisSettings),
}

impl Settings {
    /// The hosts that a listener is known to serve: that of its `https` public origin, and those that its routes name. A
    /// route for any host names none.
    pub fn https_hosts(&self, listener: &ListenerSettings) -> Vec<HostPattern> {
        let own = listener.public_origin.iter().filter(|origin| origin.https);
        let own = own.map(|origin| HostPattern::Exact(origin.host.clone()));
        let routes = self.routes.iter().filter(|route| route.listeners.contains(&listener.name));
        let named = routes.flat_map(|route| &route.matches).map(|found| found.host.clone());
        own.chain(named.filter(|host| *host != HostPattern::Any)).collect()
    }
}
