//! What the tests of several stages start from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};

use super::assertion::Assertions;
use super::identity::Cache;
use super::limit::Limits;
use super::proof::Instance;
use super::revocation::RevocationSet;
use super::route::Captures;
use super::tenure::Tenure;
use super::{Case, CheckRequest, Shared};
use crate::crypto::{Issuers, Signer};
use crate::model::observer::Unobserved;
use crate::model::settings::{
    Accept, AdminSettings, Algorithm, ApiKeySettings, AssertionSettings, Bind, ClaimPointers, DpopSettings,
    HeaderPreset, HostPattern, HttpLimits, IdentityHeaders, IssuerSettings, KeySource, ListenerSettings, LogSettings,
    MaintenanceSettings, OnStale, PagesSettings, PathPattern, PathSegment, PathTolerance, ReplayScope, RoleTable,
    RouteBounds, RouteChanges, RouteMatch, RouteSettings, Rules, Serve, ServerSettings, SessionLayout, SessionSettings,
    Settings, StoreKind, StoreSettings, StreamGrace,
};
use crate::model::{Client, Clock, CredentialKind, Identity, Principal, Secret, SystemEntropy, Timestamp, Verified};
use crate::store::Store;
use crate::telemetry::Metrics;

/// A clock that stands still until it is moved.
pub(crate) struct HeldClock(AtomicU64);

impl HeldClock {
    pub(crate) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now.0)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).expect("a short time"), Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// An empty store in memory.
pub(crate) fn store(clock: Arc<dyn Clock>) -> Store {
    let settings = StoreSettings {
        kind: StoreKind::Memory { file: None },
        prefix: "pc:".into(),
        timeout: Duration::from_millis(50),
        replicas: 1,
    };
    Store::open(&settings, clock, Arc::new(Unobserved)).expect("memory opens")
}

/// With [`issuer`], fresh of now, without limits.
pub(crate) fn shared(clock: Arc<dyn Clock>) -> Arc<Shared> {
    let issuers = Issuers::new(&[Arc::new(issuer())], Arc::clone(&clock), Arc::new(Unobserved));
    let revocations = Arc::new(RevocationSet::new(Duration::from_secs(5)));
    revocations.fresh_as_of(clock.now());
    Arc::new(Shared {
        issuers: Arc::new(issuers.expect("a shared secret is a key")),
        cache: Cache::new(1000, 1 << 30),
        revocations,
        proofs: Arc::new(Instance::new(&dpop_settings(), &SystemEntropy)),
        limits: Limits::new(&BTreeMap::new(), Arc::clone(&clock)),
        introspector: None,
        passwords: None,
        maintenance: Arc::default(),
        metrics: Arc::new(Metrics::new(&[])),
        clock,
        entropy: Arc::new(SystemEntropy),
    })
}

/// A public route without rules or limits.
pub(crate) fn route() -> RouteSettings {
    RouteSettings {
        name: "x".into(),
        listeners: vec!["main".into()],
        matches: vec![],
        accept: Accept::Public,
        limits: vec![],
        rules: Rules::default(),
        upstream: "app".into(),
        identity: IdentityHeaders {
            preset: HeaderPreset::XAuth,
            headers: vec![],
            certificate: Default::default(),
            assertion: false,
        },
        on_stale: OnStale::Deny,
        stream_grace: StreamGrace::For(Duration::ZERO),
        origins: vec![],
        cors: None,
        changes: RouteChanges::default(),
        bounds: RouteBounds::default(),
        forward_credentials: false,
        websocket_bearer: false,
        security_headers: false,
        early_hints: false,
        maintenance: MaintenanceSettings::default(),
        tolerate: PathTolerance::default(),
    }
}

/// That of somebody whose credential lasts.
pub(crate) fn tenure() -> Tenure {
    let verified = Verified { expires_at: Timestamp::NEVER, ..verified(CredentialKind::Jwt) };
    Tenure::new(&Arc::new(verified), None, Timestamp::NEVER, None)
}

/// `issuer.main` with a shared secret.
pub(crate) fn issuer() -> IssuerSettings {
    IssuerSettings {
        name: "main".into(),
        issuer: "https://id.example.com".into(),
        audiences: vec!["orders".into()],
        algorithms: vec![Algorithm::HS256],
        types: vec![],
        leeway: Duration::from_secs(30),
        required_claims: vec![],
        sender_constrained: false,
        max_lifetime: Duration::from_secs(24 * 3600),
        max_size: 8192,
        keys: KeySource::Secret(Secret::new(b"0123456789abcdef0123456789abcdef".to_vec())),
        claims: ClaimPointers {
            roles: Some("roles".into()),
            groups: Some("groups".into()),
            scopes: Some("scope".into()),
            tenant: Some("tenant".into()),
            email: Some("email".into()),
            name: Some("name".into()),
        },
    }
}

/// A client without a certificate.
pub(crate) fn client(address: &str) -> Client {
    Client { peer: None, address: address.parse().expect("an address"), trusted: false, https: true, certificate: None }
}

/// Somebody whose credential never ends.
pub(crate) fn verified(kind: CredentialKind) -> Verified {
    Verified {
        issued_at: Some(Timestamp(0)),
        ..Verified::new(Principal::new("https://id.example.com", "alice"), kind, "c1".into(), Timestamp::NEVER)
    }
}

/// `"[METHOD ][host]/path"` as a match.
pub(crate) fn route_match(text: &str) -> RouteMatch {
    let (method, rest) = match text.split_once(' ') {
        Some((method, rest)) if method.bytes().all(|b| b.is_ascii_uppercase()) => {
            (Some(Method::from_bytes(method.as_bytes()).expect("a method")), rest)
        }
        _ => (None, text),
    };
    let (host, path) = rest.split_once('/').expect("a path");
    let host = match host.strip_prefix("*.") {
        _ if host.is_empty() => HostPattern::Any,
        Some(suffix) => HostPattern::Suffix(suffix.into()),
        None => HostPattern::Exact(host.into()),
    };
    let segment = |text: &str| match text.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        Some(name) => match name.strip_prefix('*') {
            Some(name) => PathSegment::Rest(name.into()),
            None => PathSegment::Param(name.into()),
        },
        None => PathSegment::Literal(text.into()),
    };
    let segments = path.split('/').filter(|s| !s.is_empty()).map(segment).collect();
    RouteMatch { method, host, path: PathPattern { segments, trailing_slash: rest.ends_with('/') } }
}

/// Settings of these routes on listener `main`, with [`issuer`] and nothing else.
pub(crate) fn settings(routes: Vec<RouteSettings>) -> Settings {
    Settings {
        server: ServerSettings {
            workers: None,
            shutdown_grace: Duration::ZERO,
            drain_delay: Duration::ZERO,
            shed_above: None,
            watch: false,
            certificate_warning: Duration::ZERO,
        },
        listeners: vec![Arc::new(ListenerSettings {
            name: "main".into(),
            bind: Bind::Unix("unused".into()),
            serve: Serve::Proxy,
            public_origin: None,
            trusted_proxies: vec![],
            trust_unix: false,
            proxy_protocol: None,
            hsts: None,
            tls: None,
            limits: HttpLimits::default(),
        })],
        health: None,
        admin: AdminSettings { socket: None, tcp: None },
        log: LogSettings { json: false, level: "off".into(), access: true },
        store: StoreSettings {
            kind: StoreKind::Memory { file: None },
            prefix: "pc:".into(),
            timeout: Duration::from_millis(50),
            replicas: 1,
        },
        max_staleness: Duration::from_secs(5),
        session: SessionSettings {
            cookie: "__Host-session".into(),
            idle_timeout: Duration::from_secs(1800),
            absolute_timeout: Duration::from_secs(12 * 3600),
            layout: SessionLayout::Portcullis,
        },
        issuers: vec![Arc::new(issuer())],
        dpop: dpop_settings(),
        opaque: None,
        basic: None,
        spiffe: None,
        maintenance: MaintenanceSettings::default(),
        pages: PagesSettings::default(),
        api_key: ApiKeySettings { header: HeaderName::from_static("x-api-key"), environment: "test".into() },
        mtls: vec![],
        assertion: assertion_settings(),
        limits: BTreeMap::new(),
        roles: RoleTable::default(),
        upstreams: vec![],
        routes: routes.into_iter().map(Arc::new).collect(),
    }
}

/// As they are by default.
pub(crate) fn dpop_settings() -> DpopSettings {
    DpopSettings {
        algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
        max_age: Duration::from_secs(60),
        leeway: Duration::from_secs(5),
        replay: ReplayScope::Instance,
        nonce: true,
        max_remembered: 1000,
    }
}

/// Signs with a key of its own.
pub(crate) fn assertions() -> Arc<Assertions> {
    let signer = Signer::generate().expect("a key");
    Arc::new(Assertions::new(assertion_settings(), Arc::new(signer), Arc::new(SystemEntropy)))
}

fn assertion_settings() -> AssertionSettings {
    AssertionSettings {
        issuer: "portcullis".into(),
        key: None,
        header: HeaderName::from_static("x-auth-assertion"),
        lifetime: Duration::from_secs(60),
        jwks_path: Some("/.well-known/portcullis/jwks.json".into()),
    }
}

/// A `GET` of this route by somebody at this address.
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) client: Client,
    pub(crate) route: RouteSettings,
    pub(crate) identity: Identity,
    pub(crate) target: String,
    pub(crate) now: Timestamp,
}

impl Asking {
    pub(crate) fn of(identity: &Identity, address: &str) -> Self {
        Self {
            method: Method::GET,
            headers: HeaderMap::new(),
            client: client(address),
            route: route(),
            identity: identity.clone(),
            target: "/".into(),
            now: Timestamp::from_secs(1_000_000),
        }
    }

    pub(crate) fn put<R>(&self, to: impl FnOnce(&Case<'_>) -> R) -> R {
        let request = CheckRequest {
            listener: "main",
            method: &self.method,
            target: &self.target,
            host: "test.example",
            headers: &self.headers,
            client: &self.client,
            public_origin: None,
            now: self.now,
        };
        to(&Case {
            request: &request,
            route: &self.route,
            host: "test.example",
            captures: Captures::default(),
            rewritten: None,
            identity: &self.identity,
        })
    }
}
