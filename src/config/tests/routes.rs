//! What a route can change and bound.

use std::time::Duration;

use http::Method;

use super::*;
use crate::model::settings::{CorsOrigins, CorsSettings, Origin, PathRewrite};

/// The route of a configuration with these keys of its own.
fn route(keys: &str) -> std::sync::Arc<crate::model::settings::RouteSettings> {
    read(&format!("{BASE}[route.app]\nmatch = '/{{*rest}}'\n{keys}"))
        .unwrap_or_else(|problems| panic!("{problems}"))
        .settings
        .routes[0]
        .clone()
}

/// What is said of a route with these keys, without places.
fn said(keys: &str) -> Vec<String> {
    let found = problems(&format!("{BASE}[route.app]\nmatch = '/{{*rest}}'\n{keys}"));
    found.iter().map(|line| line.split_once(' ').expect("a place").1.to_owned()).collect()
}

#[test]
fn cors_is_off_unless_written_and_then_narrow() {
    assert_eq!(good("").settings.routes[0].cors, None);
    let cors = route("cors = { origins = 'https://App.example.com' }").cors.clone().expect("cors");
    let expected = CorsSettings {
        origins: CorsOrigins::These(vec![Origin::parse("https://app.example.com").unwrap()]),
        methods: vec![Method::GET, Method::HEAD, Method::POST],
        headers: vec![],
        expose: vec![],
        credentials: false,
        max_age: Duration::from_secs(600),
    };
    assert_eq!(cors, expected);
    let cors = route(
        "cors = { origins = '*', methods = 'PUT', headers = ['Content-Type'], expose = 'x-total', max_age = '0s' }",
    );
    let cors = cors.cors.as_ref().expect("cors");
    assert_eq!((&cors.origins, cors.methods.as_slice()), (&CorsOrigins::Any, &[Method::PUT][..]));
    assert_eq!((cors.headers[0].as_str(), cors.expose[0].as_str()), ("content-type", "x-total"));
    assert_eq!(cors.max_age, Duration::ZERO);
}

#[test]
fn cors_that_opens_more_than_it_says_is_refused() {
    for (keys, expected) in [
        ("cors = { origins = '*', credentials = true }", "any page could read what its visitors' cookies open"),
        ("cors = { origins = ['*', 'https://a.example'] }", "`*` is everybody, whoever else is named"),
        ("cors = { origins = 'null' }", "not an origin"),
        ("cors = { origins = 'https://*.example.com' }", "not an origin"),
        ("cors = { origins = 'https://a.example/' }", "not an origin"),
        ("cors = { origins = [] }", "the list must not be empty"),
        ("cors = { methods = 'GET' }", "`route.app.cors` lacks `origins`"),
        ("cors = { origins = 'https://a.example', methods = '*' }", "`*` is no method"),
        ("cors = { origins = 'https://a.example', methods = 'TRACE' }", "`TRACE` is never served"),
        ("cors = { origins = 'https://a.example', headers = '*' }", "`*` is no header name"),
        ("cors = { origins = 'https://a.example', expose = 'a b' }", "`a b` is no header name"),
    ] {
        assert_eq!(said(keys), [expected], "{keys}");
    }
}

#[test]
fn cors_may_be_a_default() {
    let loaded = good("defaults.cors.origins = 'https://a.example'");
    assert!(loaded.settings.routes[0].cors.as_ref().is_some_and(|cors| cors.methods.len() == 3 && !cors.credentials));
}

#[test]
fn a_rewrite_names_what_every_match_captures() {
    assert_eq!(good("").settings.routes[0].changes.path, None);
    assert!(matches!(route("rewrite = '/internal/{*rest}'").changes.path, Some(PathRewrite::Template(_))));
    let unknown = |name: &str| format!("`{name}` is not captured by each `match` of this route");
    for (keys, expected) in [
        ("rewrite = '/{owner}/{*rest}'", unknown("{owner}")),
        ("rewrite = '/{rest}'", unknown("{rest}")),
        ("rewrite = '/{*all}'", unknown("{*all}")),
        (
            "rewrite = '/x'\nstrip_prefix = '/api'",
            "`rewrite` and `strip_prefix` both say what becomes of the path".into(),
        ),
        ("strip_prefix = '/api'", "a path that matches here does not begin with `strip_prefix`".into()),
        ("strip_prefix = '/'", "`/` is no prefix".into()),
        ("strip_prefix = '/api/'", "`/api/` is no prefix".into()),
        ("strip_prefix = '/{*rest}'", "`/{*rest}` is no prefix".into()),
    ] {
        assert_eq!(said(keys), [expected], "{keys}");
    }
    for (key, text) in [
        ("rewrite", "/{*rest}/x"),
        ("rewrite", "/a/../{*rest}"),
        ("rewrite", "internal/{*rest}"),
        ("rewrite", "/a//b"),
        ("rewrite", "/a?x={*rest}"),
        ("rewrite", "/a%2Fb"),
        ("strip_prefix", "api"),
        ("strip_prefix", "/api/../x"),
    ] {
        assert_eq!(said(&format!("{key} = '{text}'")).len(), 1, "{text}");
    }
}

#[test]
fn requests_are_bounded_unless_a_route_says_otherwise() {
    use crate::model::settings::RouteBounds;
    assert_eq!(good("").settings.routes[0].bounds, RouteBounds::default());
    let bounds = route("max_body = 'unlimited'\ntimeout = '5s'\nstream_idle = '1m'").bounds;
    let expected = (None, Some(Duration::from_secs(5)), Some(Duration::from_secs(60)));
    assert_eq!((bounds.max_body, bounds.timeout, bounds.stream_idle), expected);
    assert_eq!(route("max_body = '0B'").bounds.max_body, Some(0));
    for (keys, expected) in [
        ("max_body = '1 potato'", "`1 potato` is no size"),
        ("max_body = '-1'", "`-1` is no size"),
        ("timeout = '0s'", "`0s` is no time to wait"),
        ("stream_idle = 'never'", "`never` is no time to wait"),
    ] {
        assert_eq!(said(keys), [expected], "{keys}");
    }
}
