//! Stage 1: host, decoded segments and method lead to one immutable route.
//!
//! The most specific match wins: an exact host before the longest suffix before any host; then, segment by segment from
//! the left, a literal before `{name}` before `{*rest}`; then a named method before any. What a more specific host or
//! segment cannot serve falls back to the next, so a route for every host still serves. `{*rest}` stands for any number
//! of segments, none included: `/orders/{*rest}` serves `/orders`, `/orders/` and all below. Elsewhere a trailing slash
//! makes another path. `HEAD` goes where `GET` is named and `HEAD` is not.

mod captures;
mod host;
mod rewrite;
mod segments;
mod table;
mod target;

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;
use http::header::HOST;
use http::uri::PathAndQuery;

pub use captures::Captures;
use captures::Places;
pub(in crate::gate) use host::Host;
use rewrite::Rewrite;
use table::{Rank, Table};
use target::Target;

use super::CheckRequest;
use crate::model::Denial;
use crate::model::denial::Reason;
use crate::model::settings::{HostPattern, PathTolerance, RouteMatch, RouteSettings};

/// The routes of every listener. `R` is what the gate keeps of a route.
pub(in crate::gate) struct Router<R> {
    listeners: Vec<Listener<R>>,
}

/// What one listener serves.
struct Listener<R> {
    name: Arc<str>,
    table: Table<Leaf<R>>,
    builtin: Vec<(Arc<str>, R)>,
}

/// A route at one place in the table.
struct Leaf<R> {
    route: R,
    name: Arc<str>,
    tolerate: PathTolerance,
    rank: Rank,
    captures: Places,
    upstream: Arc<str>,
    rewrite: Option<Rewrite>,
}

/// What stage 1 has found out.
pub(in crate::gate) struct Routed<'r, 'a, R> {
    /// The route.
    pub(in crate::gate) route: &'r R,
    /// The host that was asked for.
    pub(in crate::gate) host: Host<'a>,
    /// The target, byte for byte as it was matched.
    pub(in crate::gate) target: PathAndQuery,
    /// What the upstream is asked for instead, where the route rewrites paths.
    pub(in crate::gate) rewritten: Option<PathAndQuery>,
    /// What its match captures of the path.
    pub(in crate::gate) captures: Captures<'a>,
}

/// Two routes that match the same requests equally well, or a host that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(in crate::gate) enum RouterError {
    /// Neither is more specific.
    #[error("route.{0} and route.{1} match the same requests on listener.{2}; make one more specific")]
    Tie(Arc<str>, Arc<str>, Arc<str>),
    /// Such a `Host` is never accepted.
    #[error("route.{0} matches host `{1}`, which is no host name")]
    Host(Arc<str>, Arc<str>),
    /// A rewrite that names what a match does not have, or a host that is none.
    #[error("route.{0} rewrites to what it does not capture, or to what is no host")]
    Rewrite(Arc<str>),
}

impl<R: Clone> Router<R> {
    /// Serves nothing yet.
    pub(in crate::gate) const fn new() -> Self {
        Self { listeners: Vec::new() }
    }

    /// Adds a route to each of its listeners.
    pub(in crate::gate) fn add(&mut self, settings: &RouteSettings, route: &R) -> Result<(), RouterError> {
        for listener in &settings.listeners {
            for found in &settings.matches {
                let matches = normal_host(found)
                    .ok_or_else(|| RouterError::Host(settings.name.clone(), host_text(&found.host)))?;
                let changes = &settings.changes;
                let rewrite = if changes.path.is_some() || changes.host.is_some() {
                    let rewrite = Rewrite::new(changes, &matches);
                    Some(rewrite.ok_or_else(|| RouterError::Rewrite(settings.name.clone()))?)
                } else {
                    None
                };
                let leaf = Leaf {
                    route: route.clone(),
                    name: settings.name.clone(),
                    tolerate: settings.tolerate,
                    rank: Rank::of(&matches),
                    captures: Places::of(&matches.path),
                    upstream: settings.upstream.clone(),
                    rewrite,
                };
                if let Some(other) = self.listener(listener).table.insert(&matches, leaf)
                    && other.name != settings.name
                {
                    return Err(RouterError::Tie(other.name, settings.name.clone(), listener.clone()));
                }
            }
        }
        Ok(())
    }

    /// Answers `GET` and `HEAD` of exactly this path on this listener, before any other route and whatever the host.
    pub(in crate::gate) fn add_builtin(&mut self, listener: &Arc<str>, path: &Arc<str>, route: &R) {
        self.listener(listener).builtin.push((path.clone(), route.clone()));
    }

    fn listener(&mut self, name: &Arc<str>) -> &mut Listener<R> {
        let at = self.listeners.iter().position(|l| l.name == *name).unwrap_or_else(|| {
            self.listeners.push(Listener { name: name.clone(), table: Table::new(), builtin: Vec::new() });
            self.listeners.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the index was found or made on the line above")]
        &mut self.listeners[at]
    }
}

impl<R> Router<R> {
    /// Finds the route of a request, or says why there is none. A target that could be read in two ways is refused even
    /// where nothing is served.
    pub(in crate::gate) fn find<'r: 'a, 'a>(&'r self, request: &CheckRequest<'a>) -> Result<Routed<'r, 'a, R>, Denial> {
        if *request.method == Method::CONNECT || *request.method == Method::TRACE {
            return Err(Reason::MethodRefused.into());
        }
        let target = Target::parse(request.target)?;
        let host = sole_host(request)?;
        let forwarded = target.forwarded()?;

        let listener = self.listeners.iter().find(|l| *l.name == *request.listener);
        if let Some(route) = listener.and_then(|l| l.builtin_route(request.method, forwarded.path())) {
            return Ok(Routed { route, host, target: forwarded, rewritten: None, captures: Captures::default() });
        }
        let leaf = listener.and_then(|l| target.find_in(&l.table, &host.name, request.method));
        let tolerated = leaf.map_or(PathTolerance::default(), |l| l.tolerate);
        let refused = |reason: Reason| Denial { route: leaf.map(|l| l.name.clone()), ..Denial::new(reason) };

        if let Some(reason) = target.refused_by(tolerated) {
            return Err(refused(reason));
        }
        let (Some(leaf), Some(listener)) = (leaf, listener) else { return Err(Reason::NoRoute.into()) };
        if let Some(reason) = listener.hides_stricter(&target, leaf, &host, request.method) {
            return Err(refused(reason));
        }
        let rewritten = match &leaf.rewrite {
            None => None,
            Some(rewrite) => listener.rewritten(rewrite, leaf, request, &host).map_err(refused)?,
        };
        let captures = leaf.captures.of_target(request.target);
        Ok(Routed { route: &leaf.route, host, target: forwarded, rewritten, captures })
    }
}

impl<R> Listener<R> {
    fn builtin_route(&self, method: &Method, path: &str) -> Option<&R> {
        if self.builtin.is_empty() || !(method == Method::GET || method == Method::HEAD) {
            return None;
        }
        self.builtin.iter().find(|(at, _)| **at == *path).map(|(_, route)| route)
    }

    /// A tolerated form may be read differently behind us: `/a//b` as `/a/b`, `x%2Fy` as `x/y`. Where that reading
    /// belongs to a more specific route, its rules must not be sidestepped.
    fn hides_stricter(&self, target: &Target<'_>, leaf: &Leaf<R>, host: &Host<'_>, method: &Method) -> Option<Reason> {
        let reason = target.refused_by(PathTolerance::default())?;
        let (segments, slash) = target.plain_reading();
        let other = self.table.find(&host.name, &segments, slash, method)?;
        (other.name != leaf.name && other.rank > leaf.rank).then_some(reason)
    }

    /// What the upstream is asked for instead of the target. It is held to what a client's own is held to, and to one
    /// thing more: what another route to the same upstream serves is not had around that route's rules (f20).
    fn rewritten(
        &self,
        rewrite: &Rewrite,
        leaf: &Leaf<R>,
        request: &CheckRequest<'_>,
        host: &Host<'_>,
    ) -> Result<Option<PathAndQuery>, Reason> {
        let text = rewrite.fill(request.target)?;
        let target = Target::parse(&text)?;
        if let Some(reason) = target.refused_by(leaf.tolerate) {
            return Err(reason);
        }
        let lenient = target.refused_by(PathTolerance::default()).map(|_| target.plain_reading());
        for (host, rank) in rewrite.readings(&host.name) {
            let guarded =
                |other: &Leaf<R>| other.name != leaf.name && other.upstream == leaf.upstream && other.rank > *rank;
            let plain = lenient.as_ref().and_then(|(s, slash)| self.table.find(host, s, *slash, request.method));
            if plain.is_some_and(guarded) || target.find_in(&self.table, host, request.method).is_some_and(guarded) {
                return Err(Reason::RewriteGuarded);
            }
        }
        match &text {
            Cow::Borrowed(_) => Ok(None),
            Cow::Owned(_) => target.forwarded().map(Some),
        }
    }
}

fn sole_host<'a>(request: &CheckRequest<'a>) -> Result<Host<'a>, Denial> {
    if request.headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Reason::InvalidHost.into());
    }
    Host::parse(request.host).ok_or_else(|| Reason::InvalidHost.into())
}

/// The match with its host as requests have it once normalized.
fn normal_host(found: &RouteMatch) -> Option<RouteMatch> {
    let host = match &found.host {
        HostPattern::Any => HostPattern::Any,
        HostPattern::Suffix(suffix) => HostPattern::Suffix(Host::parse(suffix)?.name.into()),
        HostPattern::Exact(host) => HostPattern::Exact(Host::parse(host)?.name.into()),
    };
    Some(RouteMatch { host, ..found.clone() })
}

fn host_text(pattern: &HostPattern) -> Arc<str> {
    match pattern {
        HostPattern::Any => "*".into(),
        HostPattern::Suffix(text) | HostPattern::Exact(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests;
