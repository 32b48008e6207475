//! The path that the upstream is asked for, and the host, where they are not those that were asked for.

use std::borrow::Cow;
use std::fmt::Write;

use super::host::Host;
use super::table::Rank;
use super::target::decode;
use crate::model::denial::Reason;
use crate::model::settings::{
    HostPattern, PathPattern, PathRewrite, PathSegment, PathTolerance, RouteChanges, RouteMatch,
};

/// What a route makes of requests of one match.
#[derive(Debug)]
pub(super) struct Rewrite {
    path: Option<Template>,
    rank: Rank,
    host: Option<(Box<str>, Rank)>,
}

/// A template, its captures found in the match that it belongs to.
#[derive(Debug)]
struct Template {
    parts: Vec<Part>,
    trailing_slash: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Encoded already.
    Literal(String),
    /// The segment that stands there in the request.
    Segment(usize),
    /// All that stands there and after, byte for byte.
    Rest(usize),
}

impl Rewrite {
    /// For requests of this match. `None` where the template names what that does not capture, where the prefix is none
    /// of it, or where the host is none.
    pub(super) fn new(changes: &RouteChanges, matches: &RouteMatch) -> Option<Self> {
        let (path, reads_as) = match &changes.path {
            None => (None, matches.path.clone()),
            Some(rewrite) => {
                let (template, reads_as) = template(rewrite, &matches.path)?;
                (Some(template), reads_as)
            }
        };
        let matches = RouteMatch { path: reads_as, ..matches.clone() };
        let rank = Rank::of(&matches);
        let host = match &changes.host {
            None => None,
            Some(host) => {
                let name = Host::parse(host.to_str().ok()?)?.name;
                let host = HostPattern::Exact(name.as_ref().into());
                Some((name.into(), Rank::of(&RouteMatch { host, ..matches })))
            }
        };
        Some(Self { path, rank, host })
    }

    /// Under which hosts the upstream may know what it is asked for, and how specific the route would be there, were
    /// what it asks for what it matches.
    pub(super) fn readings<'a>(&'a self, asked: &'a str) -> impl Iterator<Item = (&'a str, &'a Rank)> {
        let other = self.host.as_ref().map(|(host, rank)| (&**host, rank));
        std::iter::once((asked, &self.rank)).chain(other)
    }

    /// The target to ask for instead of this one, which has been matched; its query stays. Borrowed where the path does.
    pub(super) fn fill<'t>(&self, target: &'t str) -> Result<Cow<'t, str>, Reason> {
        match &self.path {
            None => Ok(Cow::Borrowed(target)),
            Some(template) => template.fill(target).map(Cow::Owned),
        }
    }
}

/// The template, and the path that it leads to as a pattern.
fn template(rewrite: &PathRewrite, path: &PathPattern) -> Option<(Template, PathPattern)> {
    match rewrite {
        PathRewrite::StripPrefix(prefix) => {
            let left = path.segments.strip_prefix(prefix.segments.as_slice())?;
            let reads_as = PathPattern { segments: left.to_vec(), trailing_slash: path.trailing_slash };
            // The slash that follows the prefix stays if one was sent.
            Some((Template { parts: vec![Part::Rest(prefix.segments.len())], trailing_slash: false }, reads_as))
        }
        PathRewrite::Template(template) => {
            let captured = |segment: &PathSegment| path.segments.iter().position(|known| known == segment);
            let part = |segment: &PathSegment| match segment {
                PathSegment::Literal(text) => Some(Part::Literal(encoded(text))),
                PathSegment::Param(_) => captured(segment).map(Part::Segment),
                PathSegment::Rest(_) => captured(segment).map(Part::Rest),
            };
            let parts = template.segments.iter().map(part).collect::<Option<_>>()?;
            Some((Template { parts, trailing_slash: template.trailing_slash }, template.clone()))
        }
    }
}

impl Template {
    fn fill(&self, target: &str) -> Result<String, Reason> {
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let path = path.strip_prefix('/').ok_or(Reason::TargetForm)?;
        let mut filled = String::with_capacity(target.len() + 32);
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    filled.push('/');
                    filled.push_str(text);
                }
                Part::Segment(at) => {
                    let segment = path.split('/').nth(*at).ok_or(Reason::Internal)?;
                    filled.push('/');
                    filled.push_str(&encoded(&decode(segment, &mut PathTolerance::default())?));
                }
                // It may be absent: `/a/{*rest}` is `/a` as well.
                Part::Rest(at) => {
                    if let Some(rest) = path.splitn(at.saturating_add(1), '/').nth(*at) {
                        filled.push('/');
                        filled.push_str(rest);
                    }
                }
            }
        }
        if self.trailing_slash || filled.is_empty() {
            filled.push('/');
        }
        // Behind us it could be read as the name of a host (RFC 9112, section 3.2.2).
        if filled.starts_with("//") {
            return Err(Reason::EmptySegment);
        }
        filled.push_str(query);
        Ok(filled)
    }
}

/// A segment as data: everything is encoded but what a segment may contain as it is (RFC 3986, section 3.3), and of
/// that also `;`, which begins a parameter.
fn encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
#[path = "tests/rewrites.rs"]
mod tests;
