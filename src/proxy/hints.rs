//! An upstream's hints before its answer (`103 Early Hints`, RFC 8297).

use std::sync::Arc;

use http::header::LINK;
use http::{HeaderMap, StatusCode};

use super::{edits, hop_by_hop};
use crate::edge::EarlyHints;
use crate::model::settings::RouteSettings;
use crate::upstream::Interim;

/// Passes an upstream's hints on: their `Link`, with what the route makes of it in answers, and no other header. Nothing
/// that hints say may have an effect of its own (section 2), so that nothing else is missed. Other interim answers are
/// between the upstream and us.
pub(super) fn pass_on(hints: EarlyHints, route: Arc<RouteSettings>) -> Interim {
    Interim::new(move |status, headers| {
        if status == StatusCode::EARLY_HINTS && headers.contains_key(LINK) {
            hints.send(shown(headers, &route).get_all(LINK).iter());
        }
    })
}

fn shown(said: &HeaderMap, route: &RouteSettings) -> HeaderMap {
    let mut headers = said.clone();
    hop_by_hop::remove_from_response(&mut headers);
    edits::apply(&route.changes.response_headers, &mut headers);
    headers
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::gate::fixtures::route;

    fn links(said: &[(&'static str, &'static str)], change: impl FnOnce(&mut RouteSettings)) -> Vec<String> {
        let mut route = route();
        change(&mut route);
        let said = said.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let shown = shown(&said.collect(), &route);
        shown.get_all(LINK).iter().map(|link| link.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn links_are_as_they_would_be_in_the_answer() {
        assert_eq!(links(&[("link", "</a>"), ("set-cookie", "a=b")], |_| {}), ["</a>"]);
        assert!(links(&[("link", "</a>"), ("connection", "link")], |_| {}).is_empty());
        assert!(links(&[("link", "</a>")], |route| route.changes.response_headers.remove.push(LINK)).is_empty());
    }
}
