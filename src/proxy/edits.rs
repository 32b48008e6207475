//! Edits of headers that a route asks for.

use http::{HeaderMap, HeaderName};

use crate::model::header::fold;
use crate::model::settings::HeaderEdits;

/// Removes, sets, adds. What is set or removed goes in every spelling that some server takes for the same name (f01 to
/// f03).
///
/// This comes before anything that Portcullis itself says, in requests and in answers, so that no edit can change that.
pub(super) fn apply(edits: &HeaderEdits, headers: &mut HeaderMap) {
    if !(edits.set.is_empty() && edits.remove.is_empty()) {
        let goes = |name: &HeaderName| {
            let folded = fold(name.as_str());
            edits.set.iter().map(|(own, _)| own).chain(&edits.remove).any(|own| *fold(own.as_str()) == *folded)
        };
        let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name)).cloned().collect();
        for name in gone {
            headers.remove(name);
        }
    }
    for (name, value) in edits.set.iter().chain(&edits.add) {
        headers.append(name, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    #[test]
    fn f02_what_is_set_or_removed_goes_in_every_spelling() {
        let pair = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let edits = HeaderEdits {
            set: vec![pair("x-env", "prod")],
            add: vec![pair("via-us", "2")],
            remove: vec![HeaderName::from_static("x_debug")],
        };
        let mut headers = map(&[
            ("X-Env", "evil"),
            ("x_env", "evil"),
            ("x.env", "evil"),
            ("X-Debug", "1"),
            ("x_debug", "1"),
            ("via-us", "1"),
            ("x-environment", "stays"),
            ("debug", "stays"),
        ]);
        apply(&edits, &mut headers);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(left, ["debug: stays", "via-us: 1", "via-us: 2", "x-env: prod", "x-environment: stays"]);
    }

    #[test]
    fn no_edits_change_nothing() {
        let before = map(&[("a", "1"), ("a", "2")]);
        let mut after = before.clone();
        apply(&HeaderEdits::default(), &mut after);
        assert_eq!(after, before);
    }
}
