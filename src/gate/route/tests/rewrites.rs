use std::sync::Arc;

use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::*;
use crate::gate::CheckRequest;
use crate::gate::fixtures;
use crate::gate::route::Router;
use crate::gate::route::target::Target;
use crate::model::settings::{RouteChanges, RouteSettings};
use crate::model::{Denial, Timestamp};

const ALL: PathTolerance = PathTolerance {
    encoded_slash: true,
    encoded_backslash: true,
    empty_segments: true,
    parameters: true,
    double_encoding: true,
};
const NONE: PathTolerance = PathTolerance {
    encoded_slash: false,
    encoded_backslash: false,
    empty_segments: false,
    parameters: false,
    double_encoding: false,
};

fn template(text: &str) -> PathRewrite {
    PathRewrite::Template(fixtures::route_match(text).path)
}

fn strip(text: &str) -> PathRewrite {
    PathRewrite::StripPrefix(fixtures::route_match(text).path)
}

fn route(name: &str, matches: &str, path: Option<PathRewrite>, tolerate: PathTolerance) -> RouteSettings {
    let matches = vec![fixtures::route_match(matches)];
    let changes = RouteChanges { path, ..RouteChanges::default() };
    RouteSettings { name: name.into(), matches, changes, tolerate, ..fixtures::route() }
}

fn router(routes: &[RouteSettings]) -> Router<Arc<str>> {
    let mut router = Router::new();
    routes.iter().for_each(|route| router.add(route, &route.name).expect("a route"));
    router
}

/// What the upstream is asked for.
fn asked(router: &Router<Arc<str>>, target: &str) -> Result<String, Reason> {
    let (method, client) = (Method::GET, fixtures::client("192.0.2.1"));
    let request = CheckRequest {
        listener: "main",
        method: &method,
        target,
        host: "h.example",
        headers: &HeaderMap::new(),
        client: &client,
        public_origin: None,
        now: Timestamp(0),
    };
    let found = router.find(&request).map_err(|denial: Denial| denial.reason)?;
    assert_eq!(found.target, target, "what was asked for is kept");
    Ok(found.rewritten.map_or_else(|| "unchanged".into(), |to| to.as_str().to_owned()))
}

fn rewritten(matches: &str, path: PathRewrite, target: &str) -> Result<String, Reason> {
    asked(&router(&[route("a", matches, Some(path), NONE)]), target)
}

#[test]
fn templates_are_filled() {
    for (matches, to, target, expected) in [
        ("/o/{owner}/{*rest}", "/internal/{owner}/{*rest}", "/o/ann/a/b?x=/y&z", "/internal/ann/a/b?x=/y&z"),
        ("/o/{owner}/{*rest}", "/{*rest}", "/o/ann/a%20b/%C3%A4/", "/a%20b/%C3%A4/"),
        ("/o/{owner}/{*rest}", "/{*rest}", "/o/ann", "/"),
        ("/o/{owner}/{*rest}", "/x/{*rest}", "/o/ann", "/x"),
        ("/o/{owner}/{*rest}", "/x/{*rest}", "/o/ann/?q", "/x/?q"),
        ("/{a}/{b}", "/{b}/{a}", "/1/2?", "/2/1?"),
        ("/{a}", "/x y/ä/{a}/", "/%41%7e%c3%a4", "/x%20y/%C3%A4/A~%C3%A4/"),
        ("/{a}", "/{a}", "/a%3Ab@c+d%2Be", "/a:b@c+d+e"),
        ("/{a}", "/{a}", "/%3Fx=1%23", "/%3Fx=1%23"),
        ("/{a}", "/fixed", "/a?q=1", "/fixed?q=1"),
        ("/{*rest}", "/app/{*rest}", "/", "/app/"),
    ] {
        assert_eq!(rewritten(matches, template(to), target).as_deref(), Ok(expected), "{matches} {to} {target}");
    }
}

#[test]
fn a_prefix_is_stripped_by_segments() {
    for (target, expected) in
        [("/api", "/"), ("/api/", "/"), ("/api/x?a=/api", "/x?a=/api"), ("/api/api/", "/api/"), ("/%61pi/%61", "/%61")]
    {
        assert_eq!(rewritten("/api/{*rest}", strip("/api"), target).as_deref(), Ok(expected), "{target}");
    }
    assert_eq!(rewritten("/a/b/{id}", strip("/a"), "/a/b/7").as_deref(), Ok("/b/7"));
    assert_eq!(rewritten("/a/b/", strip("/a/b"), "/a/b/").as_deref(), Ok("/"));
    assert_eq!(rewritten("/api/{*rest}", strip("/api"), "/apix/y"), Err(Reason::NoRoute));
}

#[test]
fn what_a_match_does_not_have_cannot_be_rewritten_to() {
    for (matches, path) in [
        ("/other/{*rest}", strip("/api")),
        ("/{a}/{*rest}", strip("/api")),
        ("/{other}", template("/{id}")),
        ("/{*id}", template("/{id}")),
    ] {
        let changes = RouteChanges { path: Some(path), ..RouteChanges::default() };
        assert!(Rewrite::new(&changes, &fixtures::route_match(matches)).is_none(), "{matches}");
    }
}

#[test]
fn f20_a_rewritten_path_passes_the_same_refusals() {
    for (target, reason) in [
        ("/api//b", Reason::EmptySegment),
        ("/api/a//b", Reason::EmptySegment),
        ("/api/a%2Fb", Reason::EncodedSlash),
        ("/api/%5Cb", Reason::Backslash),
        ("/api/a;b", Reason::PathParameter),
        ("/api/%252e%252e", Reason::DotSegment),
        ("/api/%2541", Reason::DoubleEncoding),
        ("/api/..", Reason::DotSegment),
        ("/api/..;/x", Reason::DotSegment),
        ("/api/%2e%2e/x", Reason::DotSegment),
    ] {
        assert_eq!(rewritten("/api/{*rest}", strip("/api"), target), Err(reason), "{target}");
        assert_eq!(rewritten("/api/{*rest}", template("/v2/{*rest}"), target), Err(reason), "{target}");
    }
    // Tolerated as it was sent, but without its prefix it could be the name of a host.
    let lenient = router(&[route("a", "/api/{*rest}", Some(strip("/api")), ALL)]);
    assert_eq!(asked(&lenient, "/api//evil.example/x"), Err(Reason::EmptySegment));
    assert_eq!(asked(&lenient, "/api/a//b").as_deref(), Ok("/a//b"));
    // What is tolerated as a capture stays data.
    let lenient = router(&[route("a", "/{a}", Some(template("/x/{a}")), ALL)]);
    for (target, expected) in
        [("/a%2fb", "/x/a%2Fb"), ("/a;b", "/x/a%3Bb"), ("/a%5cb", "/x/a%5Cb"), ("/%2541", "/x/%2541")]
    {
        assert_eq!(asked(&lenient, target).as_deref(), Ok(expected), "{target}");
    }
}

#[test]
fn f20_no_rewrite_leads_around_the_rules_of_another_route_to_the_same_upstream() {
    let with = |api: RouteSettings, tolerate| {
        let admin = route("admin", "/admin/{*rest}", None, tolerate);
        let user = route("user", "/users/{id}", None, tolerate);
        router(&[api, admin, user, route("all", "/{*rest}", None, tolerate)])
    };
    let api = route("api", "/api/{*rest}", Some(strip("/api")), NONE);
    let strict = with(api.clone(), NONE);
    for target in ["/api/admin", "/api/admin/x", "/api/%61dmin/", "/api/users/7"] {
        assert_eq!(asked(&strict, target), Err(Reason::RewriteGuarded), "{target}");
    }
    // What only a catch-all would serve, or nobody, is the rewriting route's own.
    for (target, expected) in [("/api/x", "/x"), ("/api/users/7/x", "/users/7/x"), ("/api", "/")] {
        assert_eq!(asked(&strict, target).as_deref(), Ok(expected), "{target}");
    }
    // Forms that an upstream may read as the other's path.
    let lenient = with(RouteSettings { tolerate: ALL, ..api.clone() }, ALL);
    for target in ["/api/admin;v=1/x", "/api/x%2F..%2Fadmin", "/api/admin%2Fx", "/api/%2561dmin/x"] {
        let refused = asked(&lenient, target).expect_err(target);
        assert!(matches!(refused, Reason::RewriteGuarded | Reason::DotSegment), "{target}: {refused:?}");
    }
    // Another upstream has other paths, and who says just that path means it.
    let elsewhere = with(RouteSettings { upstream: "other".into(), ..api }, NONE);
    assert_eq!(asked(&elsewhere, "/api/admin/x").as_deref(), Ok("/admin/x"));
    let meant = with(route("api", "/api/admin/{*rest}", Some(strip("/api")), NONE), NONE);
    assert_eq!(asked(&meant, "/api/admin/x").as_deref(), Ok("/admin/x"));
}

#[test]
fn f20_no_rewritten_host_leads_around_the_rules_of_another_route_to_the_same_upstream() {
    let hosted = |matches: &str, host: &'static str| {
        let mut route = route("outer", matches, None, NONE);
        route.changes.host = Some(http::HeaderValue::from_static(host));
        route
    };
    let inner = || [route("admin", "inner.example/admin/{*rest}", None, NONE), route("all", "/{*rest}", None, NONE)];
    let with = |outer: RouteSettings| router(&[[outer].as_slice(), &inner()].concat());
    let outer = with(hosted("h.example/{*rest}", "Inner.Example.:8080"));
    assert_eq!(asked(&outer, "/admin/x"), Err(Reason::RewriteGuarded));
    assert_eq!(asked(&outer, "/x").as_deref(), Ok("unchanged"));
    let mut stripped = hosted("h.example/a/{*rest}", "inner.example");
    stripped.changes.path = Some(strip("/a"));
    assert_eq!(asked(&with(stripped), "/a/admin/x"), Err(Reason::RewriteGuarded));
    let meant = with(hosted("h.example/admin/{*rest}", "inner.example"));
    assert_eq!(asked(&meant, "/admin/x").as_deref(), Ok("unchanged"));
    let elsewhere = with(hosted("h.example/{*rest}", "other.example"));
    assert_eq!(asked(&elsewhere, "/admin/x").as_deref(), Ok("unchanged"));
}

fn segment() -> impl Strategy<Value = String> {
    let piece = prop_oneof!["[a-z.]{1,3}", "[ -~ä€]{1,4}", "%[0-9a-fA-F]{2}", "%25[0-9a-f]{2}", Just(String::new())];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn f20_what_is_rewritten_reads_as_one_target_within_its_template(
        segments in prop::collection::vec(segment(), 0..5),
        query in prop_oneof![Just(String::new()), "\\?[!-~]{0,8}"],
        lenient: bool,
        stripped: bool,
    ) {
        let path = if stripped { strip("/o") } else { template("/v2/fixed/{owner}/{*rest}") };
        let tolerate = if lenient { ALL } else { NONE };
        let router = router(&[route("a", "/o/{owner}/{*rest}", Some(path), tolerate)]);
        let target = format!("/o/{}{query}", segments.join("/"));
        let Ok(text) = asked(&router, &target) else { return Ok(()) };
        let again = Target::parse(&text).expect("a target");
        prop_assert_eq!(again.refused_by(tolerate), None);
        let forwarded = again.forwarded().expect("a target");
        prop_assert_eq!(forwarded.as_str(), text.as_str());
        let (path, kept) = text.split_at(text.find('?').unwrap_or(text.len()));
        prop_assert_eq!(kept, target.split_at(target.find('?').unwrap_or(target.len())).1);
        prop_assert!(!path.starts_with("//"));
        let (reading, _) = again.plain_reading();
        prop_assert!(reading.iter().all(|segment| segment != "." && segment != ".."));
        if !stripped {
            prop_assert!(path.starts_with("/v2/fixed/"), "{}", path);
            // The most lenient reader finds the template's own segments first.
            prop_assert_eq!(reading.get(..2).expect("two"), ["v2", "fixed"]);
        }
    }

    #[test]
    fn f20_a_capture_stays_one_segment_with_the_same_meaning(text in "[ -~ä€]{1,12}") {
        let target = format!("/{}", encoded(&text));
        if let Ok(found) = asked(&router(&[route("a", "/{a}", Some(template("/x/{a}")), ALL)]), &target) {
            let segment = found.strip_prefix("/x/").expect("the prefix");
            prop_assert!(!segment.contains(['/', '?', '#', ';', '\\']));
            let mut forms = PathTolerance::default();
            let meant = decode(segment, &mut forms).expect("valid");
            prop_assert_eq!(meant.as_ref(), text.as_str());
        }
    }
}
