//! A trie of segments for each host.

use std::collections::HashMap;

use http::Method;

use crate::model::settings::{HostPattern, PathPattern, PathSegment, RouteMatch};

/// Places by host, path and method.
pub(super) struct Table<T> {
    exact: HashMap<Box<str>, Node<T>>,
    /// Longest first.
    suffixes: Vec<(Box<str>, Node<T>)>,
    any: Node<T>,
}

/// How specific a match is, comparable between those that match the same request: first the host, then, from the left, a
/// literal is more than `{name}`, which is more than the path's end, which is more than `{*rest}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The length of what is fixed of the host.
    host: usize,
    path: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Rest,
    End,
    Param,
    Literal,
}

impl Rank {
    /// Of a match.
    pub(super) fn of(matches: &RouteMatch) -> Self {
        let host = match &matches.host {
            HostPattern::Any => 0,
            HostPattern::Suffix(suffix) => suffix.len(),
            HostPattern::Exact(_) => usize::MAX,
        };
        let mut path: Vec<Step> = matches
            .path
            .segments
            .iter()
            .map(|segment| match segment {
                PathSegment::Literal(_) => Step::Literal,
                PathSegment::Param(_) => Step::Param,
                PathSegment::Rest(_) => Step::Rest,
            })
            .collect();
        if path.last() != Some(&Step::Rest) {
            path.push(Step::End);
        }
        Self { host, path }
    }
}

impl<T> Table<T> {
    /// Without any place.
    pub(super) fn new() -> Self {
        Self { exact: HashMap::new(), suffixes: Vec::new(), any: Node::new() }
    }

    /// Puts `value` where `at` says; returns what was there before.
    pub(super) fn insert(&mut self, at: &RouteMatch, value: T) -> Option<T> {
        let root = match &at.host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(host) => self.exact.entry(host.as_ref().into()).or_insert_with(Node::new),
            HostPattern::Suffix(suffix) => self.suffix_root(suffix),
        };
        root.place(&at.path).put(at.method.as_ref(), value)
    }

    fn suffix_root(&mut self, suffix: &str) -> &mut Node<T> {
        let at = self.suffixes.iter().position(|(s, _)| **s == *suffix).unwrap_or_else(|| {
            let at = self.suffixes.partition_point(|(s, _)| s.len() >= suffix.len());
            self.suffixes.insert(at, (suffix.into(), Node::new()));
            at
        });
        #[expect(clippy::indexing_slicing, reason = "the index was found or made on the line above")]
        &mut self.suffixes[at].1
    }

    /// The most specific place that matches. Looks at each node of the trie at most once, so no path makes it slow.
    pub(super) fn find<S: AsRef<str>>(
        &self,
        host: &str,
        segments: &[S],
        trailing_slash: bool,
        method: &Method,
    ) -> Option<&T> {
        if let Some(found) = self.exact.get(host).and_then(|root| root.find(segments, trailing_slash, method)) {
            return Some(found);
        }
        for (suffix, root) in &self.suffixes {
            if is_below(host, suffix)
                && let Some(found) = root.find(segments, trailing_slash, method)
            {
                return Some(found);
            }
        }
        self.any.find(segments, trailing_slash, method)
    }
}

/// Whether `host` is one or more labels in front of `.suffix`.
fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).and_then(|labels| labels.strip_suffix('.')).is_some_and(|labels| !labels.is_empty())
}

/// What follows one path of segments.
struct Node<T> {
    literals: HashMap<Box<str>, Node<T>>,
    param: Option<Box<Node<T>>>,
    end: Methods<T>,
    end_with_slash: Methods<T>,
    rest: Methods<T>,
}

impl<T> Node<T> {
    fn new() -> Self {
        Self {
            literals: HashMap::new(),
            param: None,
            end: Methods::new(),
            end_with_slash: Methods::new(),
            rest: Methods::new(),
        }
    }

    fn place(&mut self, path: &PathPattern) -> &mut Methods<T> {
        let mut node = self;
        for segment in &path.segments {
            node = match segment {
                PathSegment::Literal(text) => node.literals.entry(text.as_ref().into()).or_insert_with(Node::new),
                PathSegment::Param(_) => node.param.get_or_insert_with(|| Box::new(Node::new())),
                PathSegment::Rest(_) => return &mut node.rest,
            };
        }
        // `/` has no segments, and its slash is not a trailing one.
        if path.trailing_slash && !path.segments.is_empty() { &mut node.end_with_slash } else { &mut node.end }
    }

    fn find<S: AsRef<str>>(&self, segments: &[S], trailing_slash: bool, method: &Method) -> Option<&T> {
        let deeper = match segments.split_first() {
            None if trailing_slash => self.end_with_slash.pick(method),
            None => self.end.pick(method),
            Some((first, others)) => {
                let first = first.as_ref();
                let literal = self.literals.get(first).and_then(|node| node.find(others, trailing_slash, method));
                literal.or_else(|| {
                    let node = self.param.as_ref().filter(|_| !first.is_empty())?;
                    node.find(others, trailing_slash, method)
                })
            }
        };
        deeper.or_else(|| self.rest.pick(method))
    }
}

/// What is served at one path.
struct Methods<T> {
    named: Vec<(Method, T)>,
    any: Option<T>,
}

impl<T> Methods<T> {
    const fn new() -> Self {
        Self { named: Vec::new(), any: None }
    }

    fn put(&mut self, method: Option<&Method>, value: T) -> Option<T> {
        let Some(method) = method else { return self.any.replace(value) };
        match self.named.iter_mut().find(|(named, _)| named == method) {
            Some((_, place)) => Some(std::mem::replace(place, value)),
            None => {
                self.named.push((method.clone(), value));
                None
            }
        }
    }

    fn pick(&self, method: &Method) -> Option<&T> {
        let named = |wanted: &Method| self.named.iter().find(|(named, _)| named == wanted).map(|(_, value)| value);
        named(method).or_else(|| if *method == Method::HEAD { named(&Method::GET) } else { None }).or(self.any.as_ref())
    }
}
