//! What is allowed but looks like a mistake.

use std::sync::Arc;

use super::accept;
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{
    Accept, Bind, HostPattern, LimitKey, ListenerSettings, PathSegment, RouteMatch, RouteSettings, Settings,
};

/// Warns of everything that more than one section has a part in.
pub(in crate::config) fn check(settings: &Settings, context: &Context<'_>) {
    let sections = context.named("route");
    let section = |name: &Arc<str>| sections.iter().find(|(known, _)| known == name).map(|(_, section)| section);
    for route in &settings.routes {
        let Some(section) = section(&route.name) else { continue };
        without_rules(route, section);
        inside_weaker(route, section, &settings.routes);
        address_limits(route, section, settings);
        super::basic::guessable(route, section, &settings.limits);
        lent(route, section, settings);
    }
}

fn without_rules(route: &RouteSettings, section: &Section<'_>) {
    if route.rules.allow.is_empty() && route.accept != Accept::Public {
        let fault = Fault::new(format!("`{}` admits every identity that it accepts", section.path));
        let help =
            format!("it accepts {}; say who may: allow = [{{ roles = [\"…\"] }}]", accept::describe(&route.accept));
        section.context.report.warning(section.place, fault.help(help));
    }
}

/// A path that the upstream reads differently from us could reach it through the weaker route.
fn inside_weaker(route: &RouteSettings, section: &Section<'_>, routes: &[Arc<RouteSettings>]) {
    let weaker = |other: &&Arc<RouteSettings>| {
        other.name != route.name
            && other.upstream == route.upstream
            && other.listeners.iter().any(|listener| route.listeners.contains(listener))
            && is_stricter(route, other)
            && other.matches.iter().any(|outer| route.matches.iter().any(|inner| covers(outer, inner)))
    };
    if let Some(other) = routes.iter().find(weaker) {
        let fault = Fault::new(format!(
            "`{}` is stricter than `route.{}`, which catches all around it",
            section.path, other.name
        ));
        let help = "a path that the upstream reads differently would go there; give it rules or an upstream of its own";
        section.warning("match", fault.help(help));
    }
}

fn is_stricter(inner: &RouteSettings, outer: &RouteSettings) -> bool {
    (is_open(outer) && !is_open(inner)) || (outer.rules.allow.is_empty() && !inner.rules.allow.is_empty())
}

/// Whether nobody has to say who they are.
fn is_open(route: &RouteSettings) -> bool {
    match &route.accept {
        Accept::Public => true,
        Accept::OneOf { optional, .. } => *optional,
    }
}

/// Whether all that `inner` matches lies within a catch-all.
fn covers(outer: &RouteMatch, inner: &RouteMatch) -> bool {
    let Some((PathSegment::Rest(_), prefix)) = outer.path.segments.split_last() else { return false };
    let host = match (&outer.host, &inner.host) {
        (HostPattern::Any, _) => true,
        (HostPattern::Suffix(suffix), HostPattern::Exact(host) | HostPattern::Suffix(host)) => {
            host == suffix || host.ends_with(&format!(".{suffix}"))
        }
        (outer, inner) => outer == inner,
    };
    let method = outer.method.is_none() || outer.method == inner.method;
    let step = |(outer, inner): (&PathSegment, &PathSegment)| match (outer, inner) {
        (PathSegment::Literal(a), PathSegment::Literal(b)) => a == b,
        (PathSegment::Param(_), PathSegment::Literal(_) | PathSegment::Param(_)) => true,
        _ => false,
    };
    let inside = inner.path.segments.len() >= prefix.len() && prefix.iter().zip(&inner.path.segments).all(step);
    host && method && inside
}

/// Whoever reaches such a listener speaks to the upstream as we do.
fn lent(route: &RouteSettings, section: &Section<'_>, settings: &Settings) {
    if !is_open(route) {
        return;
    }
    let Some(upstream) = settings.upstreams.iter().find(|upstream| upstream.name == route.upstream) else { return };
    let shown = match (&upstream.credential, &upstream.tls.certificate) {
        (Some(_), _) => "credential",
        (None, Some(_)) => "certificate",
        (None, None) => return,
    };
    let is_far = |listener: &&Arc<ListenerSettings>| match &listener.bind {
        Bind::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Bind::Unix(_) => false,
    };
    let mut listeners = settings.listeners.iter().filter(|listener| route.listeners.contains(&listener.name));
    if let Some(listener) = listeners.find(is_far) {
        let fault = Fault::new(format!(
            "`{}` lends the {shown} of `upstream.{}` to everybody who reaches `listener.{}`",
            section.path, upstream.name, listener.name
        ));
        let help = "bind = \"unix:…\" or a loopback address, or say who may: accept = [\"api_key\"]";
        section.warning("accept", fault.help(help));
    }
}

/// Behind a proxy that nobody trusts, all clients have the proxy's address.
fn address_limits(route: &RouteSettings, section: &Section<'_>, settings: &Settings) {
    let by_address = |name: &&Arc<str>| {
        settings.limits.get(&***name).is_some_and(|limit| limit.key.contains(&LimitKey::ClientAddress))
    };
    let Some(limit) = route.limits.iter().find(by_address) else { return };
    let listeners = settings.listeners.iter().filter(|listener| route.listeners.contains(&listener.name));
    for listener in listeners.filter(|listener| is_behind_stranger(listener)) {
        let fault = Fault::new(format!(
            "`limit.{limit}` counts by address, but behind the proxy in front of `listener.{}` all clients have one",
            listener.name
        ));
        let help = format!("listener.{}.trusted_proxies = [\"…\"]: the proxy's network, or \"unix:\"", listener.name);
        section.warning("limits", fault.help(help));
    }
}

/// Whether there must be a proxy in front, and it is not trusted: clients come by a Unix socket, or are told to use
/// another scheme, or another host than the loopback that we listen on.
fn is_behind_stranger(listener: &ListenerSettings) -> bool {
    let trusts_nobody = listener.trusted_proxies.is_empty() && !listener.trust_unix;
    let https_elsewhere = listener.tls.is_none() && listener.public_origin.as_ref().is_some_and(|origin| origin.https);
    let proxied = match &listener.bind {
        Bind::Unix(_) => true,
        Bind::Tcp(address) => {
            let origin_is_local = |host: &str| host == "localhost" || host.starts_with("127.") || host == "[::1]";
            let away = listener.public_origin.as_ref().is_some_and(|origin| !origin_is_local(&origin.host));
            https_elsewhere || (address.ip().is_loopback() && away)
        }
    };
    trusts_nobody && proxied
}
