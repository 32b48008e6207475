//! The path that the upstream is asked for, where it is not the one that was asked for.

use std::fmt::Write;

use super::table::Rank;
use super::target::decode;
use crate::model::denial::Reason;
use crate::model::settings::{PathPattern, PathRewrite, PathSegment, PathTolerance, RouteMatch};

/// A template, its captures found in the match that it belongs to.
#[derive(Debug)]
pub(super) struct Rewrite {
    parts: Vec<Part>,
    trailing_slash: bool,
    rank: Rank,
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
    /// For requests of this match; `None` where the template names what that does not capture, or where the prefix is
    /// none of it.
    pub(super) fn new(rewrite: &PathRewrite, matches: &RouteMatch) -> Option<Self> {
        let path = &matches.path;
        let (template, parts) = match rewrite {
            PathRewrite::StripPrefix(prefix) => {
                let left = path.segments.strip_prefix(prefix.segments.as_slice())?;
                let template = PathPattern { segments: left.to_vec(), trailing_slash: path.trailing_slash };
                (template, vec![Part::Rest(prefix.segments.len())])
            }
            PathRewrite::Template(template) => {
                let captured = |segment: &PathSegment| path.segments.iter().position(|known| known == segment);
                let part = |segment: &PathSegment| match segment {
                    PathSegment::Literal(text) => Some(Part::Literal(encoded(text))),
                    PathSegment::Param(_) => captured(segment).map(Part::Segment),
                    PathSegment::Rest(_) => captured(segment).map(Part::Rest),
                };
                (template.clone(), template.segments.iter().map(part).collect::<Option<_>>()?)
            }
        };
        // A prefix is left out with the slash that follows it, if one was sent.
        let trailing_slash = matches!(rewrite, PathRewrite::Template(_)) && template.trailing_slash;
        let rank = Rank::of(&RouteMatch { path: template, ..matches.clone() });
        Some(Self { parts, trailing_slash, rank })
    }

    /// How specific its route would be, were what it asks for what it matches.
    pub(super) const fn rank(&self) -> &Rank {
        &self.rank
    }

    /// The target to ask for instead of this one, which has been matched; its query stays.
    pub(super) fn fill(&self, target: &str) -> Result<String, Reason> {
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
