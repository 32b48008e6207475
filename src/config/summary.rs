//! One line per route, for start-up.

use super::section::accept;
use crate::model::settings::{HostPattern, PathPattern, PathSegment, RouteMatch, RouteSettings, Settings};

/// What is served, to whom, and by which rules: one line per route. Public ones say `PUBLIC`.
pub fn summary(settings: &Settings) -> Vec<String> {
    settings.routes.iter().map(|route| line(route, settings.listeners.len() > 1)).collect()
}

fn line(route: &RouteSettings, several_listeners: bool) -> String {
    let matches: Vec<_> = route.matches.iter().map(describe).collect();
    let mut line = format!("route.{}: {}", route.name, matches.join(", "));
    if several_listeners {
        line += &format!(" on {}", route.listeners.join(", "));
    }
    line += &format!(" → {} | accept: {}", route.upstream, accept::describe(&route.accept));
    if !route.limits.is_empty() {
        line += &format!(" | limits: {}", route.limits.join(", "));
    }
    if !route.rules.deny.is_empty() {
        line += &format!(" | deny: {}", count(route.rules.deny.len()));
    }
    line += &match route.rules.allow.len() {
        0 if route.accept == crate::model::settings::Accept::Public => String::new(),
        0 => " | allow: every accepted identity".to_owned(),
        rules => format!(" | allow: {}", count(rules)),
    };
    line
}

fn count(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}

fn describe(found: &RouteMatch) -> String {
    let method = found.method.as_ref().map(|method| format!("{method} ")).unwrap_or_default();
    let host = match &found.host {
        HostPattern::Any => String::new(),
        HostPattern::Suffix(suffix) => format!("*.{suffix}"),
        HostPattern::Exact(host) => host.to_string(),
    };
    format!("{method}{host}{}", path(&found.path))
}

fn path(pattern: &PathPattern) -> String {
    let segment = |segment: &PathSegment| match segment {
        PathSegment::Literal(text) => text.to_string(),
        PathSegment::Param(name) => format!("{{{name}}}"),
        PathSegment::Rest(name) => format!("{{*{name}}}"),
    };
    let segments: Vec<_> = pattern.segments.iter().map(segment).collect();
    format!("/{}{}", segments.join("/"), if pattern.trailing_slash { "/" } else { "" })
}
