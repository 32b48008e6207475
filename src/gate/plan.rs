//! What the gate does for each route, prepared once.

use std::collections::HashMap;
use std::sync::Arc;

use super::assertion::Assertions;
use super::credential::Accepts;
use super::headers::Introducer;
use super::limit::RouteLimits;
use super::permit::Destination;
use super::policy::Policy;
use super::route::Router;
use super::{GateError, Shared};
use crate::crypto::Signer;
use crate::model::settings::{Accept, HeaderPreset, IdentityHeaders, OnStale, PathTolerance, RouteSettings, Settings};

/// One route with all its stages.
pub(super) struct Plan {
    pub(super) settings: Arc<RouteSettings>,
    pub(super) destination: Destination,
    pub(super) accepts: Accepts,
    pub(super) limits: RouteLimits,
    pub(super) policy: Policy,
    pub(super) introducer: Arc<Introducer>,
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
    // Routes that tell the same upstream the same share what they prepare, so that an identity has one assertion there.
    let mut introducers: HashMap<(&Arc<str>, Vec<u8>), Arc<Introducer>> = HashMap::new();
    let mut router = Router::new();

    for route in &settings.routes {
        let key = (&route.upstream, format!("{:?}", route.identity).into_bytes());
        let introducer = introducers
            .entry(key)
            .or_insert_with(|| Arc::new(Introducer::new(&route.identity, &route.upstream, &assertions)));
        let plan = Arc::new(Plan {
            destination: Destination::Upstream(route.upstream.clone()),
            accepts: Accepts::new(&route.accept, only_issuer)
                .map_err(|problem| GateError(format!("route.{} {problem}", route.name)))?,
            limits: RouteLimits::new(&shared.limits, &route.limits),
            policy: Policy::new(route, &settings.roles),
            introducer: introducer.clone(),
            settings: route.clone(),
        });
        router.add(route, &plan).map_err(|error| GateError(error.to_string()))?;
    }
    add_assertion_keys(&mut router, settings, shared, &assertions)?;
    Ok(router)
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
            policy: Policy::new(&route, &settings.roles),
            introducer: Arc::new(Introducer::new(&route.identity, &route.upstream, assertions)),
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
        deny: Vec::new(),
        allow: Vec::new(),
        upstream: "assertion keys".into(),
        identity: IdentityHeaders { preset: HeaderPreset::None, headers: Vec::new(), assertion: false },
        on_stale: OnStale::Deny,
        origins: Vec::new(),
        forward_credentials: false,
        websocket_bearer: false,
        tolerate: PathTolerance::default(),
    }
}
