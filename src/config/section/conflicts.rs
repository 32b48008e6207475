//! Two routes that match the same requests equally well.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::report::{Fault, Report};
use crate::config::source::Place;
use crate::model::settings::{HostPattern, PathSegment, RouteMatch};

/// What every route matches on every listener.
#[derive(Default)]
pub(super) struct Places(BTreeMap<Key, Vec<(Arc<str>, Place)>>);

/// Listener, host, method and the path with its captures by position: what is equal here ties.
type Key = (Arc<str>, HostPattern, String, Vec<Step>, bool);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Literal(Arc<str>),
    Param,
    Rest,
}

impl Places {
    pub(super) fn add(&mut self, route: &Arc<str>, listeners: &[Arc<str>], found: &RouteMatch, place: Place) {
        for listener in listeners {
            let steps = found.path.segments.iter().map(|segment| match segment {
                PathSegment::Literal(text) => Step::Literal(text.clone()),
                PathSegment::Param(_) => Step::Param,
                PathSegment::Rest(_) => Step::Rest,
            });
            let method = found.method.as_ref().map(ToString::to_string).unwrap_or_default();
            let key = (listener.clone(), found.host.clone(), method, steps.collect(), found.path.trailing_slash);
            self.0.entry(key).or_default().push((route.clone(), place));
        }
    }

    /// Reports those that tie. A named method is more specific than none, so it does not tie with it.
    pub(super) fn check(&self, report: &Report) {
        for group in self.0.values() {
            let mut group: Vec<_> = group.iter().collect();
            group.sort_by_key(|(_, place)| *place);
            let Some(((first, first_place), others)) = group.split_first() else { continue };
            for (other, place) in others {
                let fault = if first == other {
                    Fault::new(format!("`route.{other}` matches the same twice"))
                } else {
                    Fault::new(format!("`route.{first}` and `route.{other}` match the same requests"))
                };
                report.problem(*place, fault.and(*first_place, "the other one").help("make one of them more specific"));
            }
        }
    }
}
