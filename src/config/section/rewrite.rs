//! `rewrite`, `strip_prefix` and `host` of a route.

use http::HeaderValue;

use super::pattern;
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::model::settings::{HostPattern, PathPattern, PathRewrite, PathSegment, RouteMatch};

/// Reads what becomes of the path; every match of the route must have what the template names.
pub(super) fn read(section: &Section<'_>, matches: &[(RouteMatch, Place)]) -> Option<PathRewrite> {
    if section.has("rewrite") && section.has("strip_prefix") {
        let fault = Fault::new("`rewrite` and `strip_prefix` both say what becomes of the path");
        section.problem("strip_prefix", fault.help("one of them; a template can leave a prefix out"));
        return None;
    }
    if let Some(template) = section.parse("rewrite", template) {
        for segment in template.segments.iter().filter(|segment| !is_literal(segment)) {
            check_captured(section, segment, matches);
        }
        return Some(PathRewrite::Template(template));
    }
    let prefix = section.parse("strip_prefix", prefix)?;
    for (_, place) in matches.iter().filter(|(found, _)| !found.path.segments.starts_with(&prefix.segments)) {
        let fault = Fault::new("a path that matches here does not begin with `strip_prefix`");
        section.context.report.problem(*place, fault.help("match = \"/PREFIX/{*rest}\""));
    }
    Some(PathRewrite::StripPrefix(prefix))
}

/// A template is written like a match: decoded, captures as whole segments, `{*rest}` last.
fn template(text: &str) -> Result<PathPattern, Fault> {
    pattern::path(text).map_err(|fault| fault.help("like a match: rewrite = \"/internal/{owner}/{*rest}\""))
}

fn prefix(text: &str) -> Result<PathPattern, Fault> {
    let help = "whole segments, as they stand in `match`: strip_prefix = \"/api\"";
    let prefix = pattern::path(text).map_err(|fault| fault.help(help))?;
    if prefix.segments.is_empty() || prefix.trailing_slash || !prefix.segments.iter().all(is_literal) {
        return Err(Fault::new(format!("`{text}` is no prefix")).help(help));
    }
    Ok(prefix)
}

const fn is_literal(segment: &PathSegment) -> bool {
    matches!(segment, PathSegment::Literal(_))
}

fn check_captured(section: &Section<'_>, segment: &PathSegment, matches: &[(RouteMatch, Place)]) {
    let Some((_, place)) = matches.iter().find(|(found, _)| !found.path.segments.contains(segment)) else { return };
    let (PathSegment::Literal(name) | PathSegment::Param(name) | PathSegment::Rest(name)) = segment;
    let star = if matches!(segment, PathSegment::Rest(_)) { "*" } else { "" };
    let fault = Fault::new(format!("`{{{star}{name}}}` is not captured by each `match` of this route"));
    let fault = fault
        .and(*place, "not by this one")
        .help("name what `match` does, in the same form: `{name}`, or `{*name}` last");
    section.problem("rewrite", fault);
}

/// Reads what the upstream is told as `Host`.
pub(super) fn host(section: &Section<'_>) -> Option<HeaderValue> {
    let host = section.parse("host", authority)?;
    let upstreams = section.context.named("upstream");
    let own =
        upstreams.iter().find(|(name, _)| Some(&**name) == section.text("upstream")).map(|(_, upstream)| upstream);
    if let Some(own) = own.filter(|own| own.text("host_header") == Some("endpoint")) {
        let fault = Fault::new("`host` and `host_header = \"endpoint\"` both say what the upstream's `Host` is");
        let fault = fault.and(own.place_of("host_header"), "the upstream's");
        section.problem("host", fault.help("one of them; another table may have the same endpoints"));
    }
    Some(host)
}

/// `name[:port]`, as `Host` has it (RFC 9110, section 7.2).
fn authority(text: &str) -> Result<HeaderValue, Fault> {
    let wrong = || Fault::new(format!("`{text}` is no host")).help("a name or an address: \"internal.example:8080\"");
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_none_or(is_port) && matches!(pattern::host(name), Ok(HostPattern::Exact(_))) {
        HeaderValue::from_str(text).map_err(|_| wrong())
    } else {
        Err(wrong())
    }
}
