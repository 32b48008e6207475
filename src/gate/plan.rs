//! What the gate does for each route, prepared once.

use std::sync::Arc;
use std::time::Duration;

use super::assertion::Assertions;
use super::cors::Cors;
use super::credential::Accepts;
use super::headers::Introducer;
use super::limit::RouteLimits;
use super::permit::Destination;
use super::policy::Policy;
use super::route::Router;
use super::{GateError, Shared};
use crate::crypto::Signer;
use crate::model::CredentialKind;
use crate::model::settings::{
    Accept, HeaderPreset, IdentityHeaders, MaintenanceSettings, OnStale, PathTolerance, RouteBounds, RouteChanges,
    RouteSettings, Rules, Settings, StreamGrace,
};

/// One route with all its stages.
pub(super) struct Plan {
    pub(super) settings: Arc<RouteSettings>,
    pub(super) destination: Destination,
    pub(super) accepts: Accepts,
    pub(super) limits: RouteLimits,
    pub(super) policy: Policy,
    pub(super) introducer: Arc<Introducer>,
    pub(super) cors: Option<Cors>,
}

/// Prepares every route and lays them out by listener, host, path and method.
pub(super) fn router(
    settings: &Settings,
    shared: &Shared,
    signer: Arc<Signer>,
) -> Result<Router<Arc<Plan>>, GateError> {
    let assertions = Arc::new(Assertions::new(settings.assertion.clone(), signer, shared.entropy.clone()));
    let only_issuer = match &*settings.issuers {
        [issuer] => Some(&issuer.name),
        _ => None,
    };
    let mut introducers = Introducers { known: Vec::new(), assertions: assertions.clone() };
    let mut router = Router::new();

    for route in &settings.routes {
        // Each worker has a copy of its own: one that all share would have its count of users passed between cores with
        // every request.
        let own = Arc::new(RouteSettings::clone(route));
        let failed = |problem| GateError(format!("route.{} {problem}", route.name));
        let accepts = Accepts::new(&route.accept, only_issuer).map_err(failed)?;
        check_verifiable(&accepts, shared).map_err(failed)?;
        let plan = Arc::new(Plan {
            destination: Destination::Upstream(Arc::from(&*route.upstream)),
            accepts,
            limits: RouteLimits::new(&shared.limits, &route.limits),
            policy: Policy::new(&route.rules, &settings.roles),
            introducer: introducers.of(route),
            cors: route.cors.as_ref().map(Cors::new),
            settings: own,
        });
        router.add(route, &plan).map_err(|error| GateError(error.to_string()))?;
    }
    add_assertion_keys(&mut router, settings, shared, &assertions)?;
    Ok(router)
}

/// Whether there is something to verify what the route accepts.
fn check_verifiable(accepts: &Accepts, shared: &Shared) -> Result<(), String> {
    let Shared { introspector, passwords, .. } = shared;
    let verifiers = [(CredentialKind::Opaque, introspector.is_some()), (CredentialKind::Basic, passwords.is_some())];
    match verifiers.into_iter().find(|(kind, there)| accepts.takes(*kind) && !there) {
        Some((kind, _)) => Err(format!("accepts `{kind}`, which nothing verifies")),
        None => Ok(()),
    }
}

/// Routes that tell the same upstream the same share what they prepare, so that an identity has one assertion there.
struct Introducers<'a> {
    known: Vec<(&'a RouteSettings, Arc<Introducer>)>,
    assertions: Arc<Assertions>,
}

impl<'a> Introducers<'a> {
    fn of(&mut self, route: &'a RouteSettings) -> Arc<Introducer> {
        let alike =
            |(other, _): &&(&RouteSettings, _)| other.upstream == route.upstream && other.identity == route.identity;
        if let Some((_, introducer)) = self.known.iter().find(alike) {
            return introducer.clone();
        }
        let introducer = Arc::new(Introducer::new(&route.identity, &route.upstream, &self.assertions));
        self.known.push((route, introducer.clone()));
        introducer
    }
}

/// Serves the assertion's keys on each listener that has a route whose upstream gets assertions.
fn add_assertion_keys(
    router: &mut Router<Arc<Plan>>,
    settings: &Settings,
    shared: &Shared,
    assertions: &Arc<Assertions>,
) -> Result<(), GateError> {
    let Some(path) = &settings.assertion.jwks_path else { return Ok(()) };
    for listener in &settings.listeners {
        let serves = |route: &&Arc<RouteSettings>| route.identity.assertion && route.listeners.contains(&listener.name);
        if settings.routes.iter().find(serves).is_none() {
            continue;
        }
        let route = assertion_keys_route(&listener.name);
        let plan = Plan {
            destination: Destination::AssertionKeys,
            accepts: Accepts::new(&route.accept, None).map_err(GateError)?,
            limits: RouteLimits::new(&shared.limits, &[]),
            policy: Policy::new(&route.rules, &settings.roles),
            introducer: Arc::new(Introducer::new(&route.identity, &route.upstream, assertions)),
            cors: None,
            settings: Arc::new(route),
        };
        router.add_builtin(&listener.name, path, &Arc::new(plan));
    }
    Ok(())
}

/// A public route that no configuration names: configured names have no space.
fn assertion_keys_route(listener: &Arc<str>) -> RouteSettings {
    RouteSettings {
        name: "assertion keys".into(),
        listeners: vec![listener.clone()],
        matches: Vec::new(),
        accept: Accept::Public,
        limits: Vec::new(),
        rules: Rules::default(),
        upstream: "assertion keys".into(),
        identity: IdentityHeaders {
            preset: HeaderPreset::None,
            headers: Vec::new(),
            certificate: Default::default(),
            assertion: false,
        },
        on_stale: OnStale::Deny,
        stream_grace: StreamGrace::For(Duration::ZERO),
        origins: Vec::new(),
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
