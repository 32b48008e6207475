mod paths;

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::gate::fixtures;
use crate::model::{Client, Timestamp};
use http::HeaderMap;

fn router(routes: &[(&str, &[&str], PathTolerance)]) -> Router<Arc<str>> {
    let mut router = Router::new();
    for (name, matches, tolerate) in routes {
        let mut settings = named(name);
        settings.matches = matches.iter().map(|text| fixtures::route_match(text)).collect();
        settings.tolerate = *tolerate;
        router.add(&settings, &Arc::from(*name)).unwrap();
    }
    router
}

fn named(name: &str) -> RouteSettings {
    let matches = vec![fixtures::route_match("/{*rest}")];
    RouteSettings { name: name.into(), matches, ..fixtures::route() }
}

const STRICT: PathTolerance = PathTolerance {
    encoded_slash: false,
    encoded_backslash: false,
    empty_segments: false,
    parameters: false,
    double_encoding: false,
};
const LENIENT: PathTolerance = PathTolerance {
    encoded_slash: true,
    encoded_backslash: true,
    empty_segments: true,
    parameters: true,
    double_encoding: true,
};

fn ask<R: Clone>(router: &Router<R>, method: &str, host: &str, target: &str) -> Result<(R, String), Denial> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let client =
        Client { peer: None, address: IpAddr::V4(Ipv4Addr::LOCALHOST), trusted: false, https: true, certificate: None };
    let request = CheckRequest {
        listener: "main",
        method: &method,
        target,
        host,
        headers: &HeaderMap::new(),
        client: &client,
        public_origin: None,
        now: Timestamp(0),
    };
    router.find(&request).map(|found| (found.route.clone(), found.target.as_str().to_owned()))
}

fn name(router: &Router<Arc<str>>, method: &str, host: &str, target: &str) -> String {
    ask(router, method, host, target).map_or_else(|denial| format!("{:?}", denial.reason), |(name, _)| name.to_string())
}

#[test]
fn the_most_specific_route_wins() {
    let router = router(&[
        ("all", &["/{*rest}"], STRICT),
        ("root", &["/"], STRICT),
        ("orders", &["/orders/{*rest}"], STRICT),
        ("order", &["/orders/{id}"], STRICT),
        ("new", &["/orders/new"], STRICT),
        ("new-post", &["POST /orders/new"], STRICT),
        ("lines", &["/orders/{id}/lines"], STRICT),
        ("slash", &["/orders/new/"], STRICT),
        ("api", &["api.example/{*rest}"], STRICT),
        ("sub", &["*.example/{*rest}"], STRICT),
        ("deep", &["*.b.example/{*rest}"], STRICT),
        ("get", &["GET /only-get"], STRICT),
        ("head", &["GET /both", "HEAD /both"], STRICT),
    ]);
    for (method, host, target, expected) in [
        ("GET", "x", "/", "root"),
        ("GET", "x", "/?a=b", "root"),
        ("GET", "x", "/other", "all"),
        ("GET", "x", "/orders", "orders"),
        ("GET", "x", "/orders/", "orders"),
        ("GET", "x", "/orders/7", "order"),
        ("GET", "x", "/orders/7/", "orders"),
        ("GET", "x", "/orders/7/lines", "lines"),
        ("GET", "x", "/orders/7/lines/1", "orders"),
        ("GET", "x", "/orders/new", "new"),
        ("POST", "x", "/orders/new", "new-post"),
        ("GET", "x", "/orders/new/", "slash"),
        ("GET", "x", "/orders/new/lines", "lines"),
        ("GET", "x", "/orders/n%65w", "new"),
        ("GET", "x", "/Orders/new", "all"),
        ("GET", "api.example", "/orders/new", "api"),
        ("GET", "API.Example.:443", "/orders/new", "api"),
        ("GET", "x.example", "/orders/new", "sub"),
        ("GET", "x.y.example", "/", "sub"),
        ("GET", "x.b.example", "/", "deep"),
        ("GET", "b.example", "/", "sub"),
        ("GET", "example", "/orders/new", "new"),
        ("GET", "xexample", "/orders/new", "new"),
        ("GET", "apixexample", "/orders/new", "new"),
        ("GET", "x", "/only-get", "get"),
        ("HEAD", "x", "/only-get", "get"),
        ("POST", "x", "/only-get", "all"),
        ("HEAD", "x", "/both", "head"),
    ] {
        assert_eq!(name(&router, method, host, target), expected, "{method} {host} {target}");
    }
}

#[test]
fn head_goes_to_get_only_where_none_names_it() {
    let router = router(&[("get", &["GET /a"], STRICT), ("head", &["HEAD /a"], STRICT), ("rest", &["/{*r}"], STRICT)]);
    assert_eq!(name(&router, "HEAD", "x", "/a"), "head");
    assert_eq!(name(&router, "GET", "x", "/a"), "get");
    assert_eq!(name(&router, "PUT", "x", "/a"), "rest");
}

#[test]
fn a_more_specific_host_that_has_no_such_path_falls_back() {
    let router = router(&[("health", &["/healthz"], STRICT), ("api", &["api.example/v1/{*rest}"], STRICT)]);
    assert_eq!(name(&router, "GET", "api.example", "/healthz"), "health");
    assert_eq!(name(&router, "GET", "api.example", "/v1/x"), "api");
    assert_eq!(name(&router, "GET", "other.example", "/v1/x"), "NoRoute");
}

#[test]
fn two_routes_that_tie_are_refused() {
    let mut router = Router::new();
    let add = |router: &mut Router<()>, name: &str, text: &str| {
        let mut settings = named(name);
        settings.matches = vec![fixtures::route_match(text)];
        router.add(&settings, &())
    };
    add(&mut router, "a", "/x/{id}").unwrap();
    let error = add(&mut router, "b", "/x/{name}").unwrap_err();
    assert_eq!(error, RouterError::Tie("a".into(), "b".into(), "main".into()));
    add(&mut router, "c", "h.example/y").unwrap();
    assert!(add(&mut router, "d", "H.example./y").is_err(), "hosts are compared once normalized");
    assert!(add(&mut router, "e", "bad host/y").is_err());
}

#[test]
fn f23_hosts_and_escapes_in_any_case_lead_to_the_same_route() {
    let router = router(&[("secret", &["h.example/s%cret/é"], STRICT), ("all", &["/{*rest}"], STRICT)]);
    let hosts = ["h.example", "H.EXAMPLE", "h.Example:443", "h.example.", "H.example.:8443"];
    let paths = ["/s%25cret/%c3%a9", "/s%25cret/%C3%A9", "/%73%25cret/%c3%A9", "/s%25%63ret/é"];
    for host in hosts {
        for path in paths {
            assert_eq!(name(&router, "GET", host, path), "secret", "{host}{path}");
        }
    }
    for host in ["", "h.example/", "h.example:", "h..example", "h.example:443:1", "h.example@x", "h%2eexample"] {
        assert_eq!(name(&router, "GET", host, "/a"), "InvalidHost", "{host}");
    }
}

#[test]
fn f07_a_repeated_host_is_refused() {
    let router = router(&[("all", &["/{*rest}"], STRICT)]);
    let client = Client { peer: None, address: [127, 0, 0, 1].into(), trusted: false, https: false, certificate: None };
    let mut headers = HeaderMap::new();
    headers.append(HOST, "x".parse().unwrap());
    headers.append(HOST, "x".parse().unwrap());
    let request = CheckRequest {
        listener: "main",
        method: &Method::GET,
        target: "/",
        host: "x",
        headers: &headers,
        client: &client,
        public_origin: None,
        now: Timestamp(0),
    };
    assert_eq!(router.find(&request).map(|_| ()).unwrap_err().reason, Reason::InvalidHost);
}

#[test]
fn f25_a_dot_in_a_pattern_is_a_dot() {
    let router = router(&[("file", &["a.example/v1.0/x"], STRICT)]);
    assert_eq!(name(&router, "GET", "a.example", "/v1.0/x"), "file");
    assert_eq!(name(&router, "GET", "a.example", "/v1x0/x"), "NoRoute");
    assert_eq!(name(&router, "GET", "axexample", "/v1.0/x"), "NoRoute");
}

#[test]
fn another_listener_serves_nothing_of_this_one() {
    let mut router = Router::new();
    let mut settings = named("a");
    settings.listeners = vec!["inner".into()];
    router.add(&settings, &Arc::<str>::from("a")).unwrap();
    assert_eq!(name(&router, "GET", "x", "/"), "NoRoute");
}

#[test]
fn a_builtin_path_is_answered_before_any_route_and_only_for_get_and_head() {
    let mut router = router(&[("all", &["/{*rest}", "x/{*rest}"], LENIENT)]);
    router.add_builtin(&"main".into(), &"/.well-known/keys".into(), &"builtin".into());
    assert_eq!(name(&router, "GET", "x", "/.well-known/keys?x=1"), "builtin");
    assert_eq!(name(&router, "HEAD", "y", "/.well-known/keys"), "builtin");
    assert_eq!(name(&router, "POST", "x", "/.well-known/keys"), "all");
    assert_eq!(name(&router, "GET", "x", "/.well-known/keys/"), "all");
    assert_eq!(name(&router, "GET", "x", "/a/../.well-known/keys"), "DotSegment");
}
