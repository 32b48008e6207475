//! What the chosen match captures of a path: `route.params` of rules and limits.

use std::borrow::Cow;
use std::sync::Arc;

use super::target::decode;
use crate::model::settings::{PathPattern, PathSegment, PathTolerance};

/// Where a match has its captures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Places(Vec<Place>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    name: Arc<str>,
    segment: usize,
    is_rest: bool,
}

impl Places {
    pub(super) fn of(path: &PathPattern) -> Self {
        let place = |(segment, part): (usize, &PathSegment)| match part {
            PathSegment::Literal(_) => None,
            PathSegment::Param(name) => Some(Place { name: Arc::clone(name), segment, is_rest: false }),
            PathSegment::Rest(name) => Some(Place { name: Arc::clone(name), segment, is_rest: true }),
        };
        Self(path.segments.iter().enumerate().filter_map(place).collect())
    }

    pub(super) fn of_target<'a>(&'a self, target: &'a str) -> Captures<'a> {
        Captures { places: &self.0, target }
    }
}

/// The captures of one request. Nothing is decoded before it is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Captures<'a> {
    places: &'a [Place],
    target: &'a str,
}

impl<'a> Captures<'a> {
    /// What `{name}` or `{*name}` stands for, percent-decoded once. A slash within a segment, which a route must have
    /// tolerated, stays `%2F`, so that it is never taken for one that divides. `None`: the match captures nothing of this
    /// name.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.places.iter().find(|place| *place.name == *name).and_then(|place| self.at(place))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        self.places.iter().filter_map(|place| Some((&*place.name, self.at(place)?)))
    }

    fn at(&self, place: &Place) -> Option<Cow<'a, str>> {
        let path = self.target.split('?').next()?.strip_prefix('/')?;
        if !place.is_rest {
            return segment(path.split('/').nth(place.segment)?);
        }
        // It may be absent: `/a/{*rest}` is `/a` as well.
        let rest = path.splitn(place.segment.saturating_add(1), '/').nth(place.segment).unwrap_or_default();
        if !rest.contains('%') {
            return Some(Cow::Borrowed(rest));
        }
        let segments: Option<Vec<_>> = rest.split('/').map(segment).collect();
        Some(Cow::Owned(segments?.join("/")))
    }
}

/// `None` for what matching has refused already.
fn segment(raw: &str) -> Option<Cow<'_, str>> {
    let text = decode(raw, &mut PathTolerance::default()).ok()?;
    Some(if text.contains('/') { Cow::Owned(text.replace('/', "%2F")) } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let segments = vec![
            PathSegment::Literal("orders".into()),
            PathSegment::Param("owner".into()),
            PathSegment::Rest("rest".into()),
        ];
        Places::of(&PathPattern { segments, trailing_slash: false })
    }

    fn captured(target: &str) -> Vec<(String, String)> {
        places().of_target(target).iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    fn both(owner: &str, rest: &str) -> Vec<(String, String)> {
        vec![("owner".into(), owner.into()), ("rest".into(), rest.into())]
    }

    #[test]
    fn each_is_what_stands_there_decoded_once() {
        assert_eq!(captured("/orders/bob/a/b?x=/y"), both("bob", "a/b"));
        assert_eq!(captured("/orders/b%C3%B6b/a%20b/c"), both("böb", "a b/c"));
        assert_eq!(captured("/orders/bob"), both("bob", ""));
        assert_eq!(captured("/orders/bob/"), both("bob", ""));
        let places = places();
        let captures = places.of_target("/orders/bob/x");
        assert_eq!(captures.get("owner").as_deref(), Some("bob"));
        assert_eq!(captures.get("other"), None);
        assert_eq!(Captures::default().get("owner"), None);
    }

    #[test]
    fn f18_a_slash_within_a_segment_does_not_divide() {
        assert_eq!(captured("/orders/a%2Fb/c%2fd/e"), both("a%2Fb", "c%2Fd/e"));
    }
}
