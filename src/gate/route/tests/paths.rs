//! Targets that two parsers could read differently.

use proptest::prelude::*;

use super::*;
use crate::model::settings::{PathPattern, PathSegment};

#[test]
fn f15_a_query_never_matches() {
    let router = router(&[("public", &["/public/{*rest}"], STRICT), ("admin", &["/admin"], STRICT)]);
    assert_eq!(name(&router, "GET", "x", "/admin?x=/public"), "admin");
    assert_eq!(name(&router, "GET", "x", "/admin?/public/../public"), "admin");
    assert_eq!(name(&router, "GET", "x", "/nothing?/public/a"), "NoRoute");
}

#[test]
fn f16_f21_targets_of_another_form_are_refused() {
    let router = router(&[("all", &["/{*rest}"], LENIENT)]);
    for target in ["", "*", "a", "a/b", "?/a", "http://x/a", "/a b", "/a?b c"] {
        assert_eq!(name(&router, "GET", "x", target), "TargetForm", "{target}");
    }
    assert_eq!(name(&router, "OPTIONS", "x", "*"), "TargetForm");
    for target in ["/a#b", "/#", "/a?b#c", "/a?#"] {
        assert_eq!(name(&router, "GET", "x", target), "Fragment", "{target}");
    }
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(name(&router, method, "x", "/a"), "MethodRefused");
    }
}

/// What no route can opt in to.
const ALWAYS_REFUSED: &[&str] = &[
    "/.",
    "/..",
    "/./",
    "/../",
    "/a/.",
    "/a/..",
    "/a/./b",
    "/a/../b",
    "/../../etc",
    "/%2e",
    "/%2E",
    "/%2e%2e",
    "/%2E%2e/",
    "/.%2e",
    "/%2e.",
    "/a/%2e%2E/b",
    "/a/.%2E/b",
    "/..;/a",
    "/..;x=y/a",
    "/a/..;/b",
    "/a/.;/b",
    "/%2e%2e;/a",
    "/..%3b/a",
    "/..%3Bx/a",
    "/..%2fa",
    "/..%2Fa",
    "/a%2f..",
    "/a%2F..%2Fb",
    "/%2e%2e%2fa",
    "/a%2f%2e%2e%2fb",
    "/..%5ca",
    "/..%5Ca",
    "/a%5c..",
    "/a%5C..%5Cb",
    "/a%5c..%2fb",
    "/%252e",
    "/%252e%252e",
    "/%252e%252e/a",
    "/%252E%252E%252Fa",
    "/.%252e",
    "/%25%32%65%25%32%65/a",
    "/%2525252e%2525252e/a",
    "/..%252fa",
    "/..%255ca",
    "/a%252f..%252fb",
    "/a\\b",
    "/\\",
    "/..\\a",
    "/a\u{0}",
    "/a%00",
    "/%00",
    "/a%0a",
    "/a%0D%0Ab",
    "/a%1f",
    "/a%7f",
    "/a%7F/b",
    "/a%2500",
    "/a%250d%250ab",
    "/a\u{7f}",
    "/a\r\nb",
    "/a\tb",
    "/a\u{85}b",
    "/a%c2%85",
    "/a%",
    "/a%2",
    "/a%zz",
    "/a%2g",
    "/%%",
    "/%u002e",
    "/a%-1",
    "/a%+1",
    "/%ff",
    "/%c0%ae",
    "/%c0%ae%c0%ae/a",
    "/%c0%af",
    "/%e0%80%ae",
    "/%ed%a0%80",
    "/%f8%80",
    "/a/%fe",
    "/a?b\u{0}",
    "/a?b\nc",
    "/a?b#",
];

/// What a route can opt in to, with the reason that others give.
const OPTIONAL: &[(&str, Reason)] = &[
    ("//", Reason::EmptySegment),
    ("//a", Reason::EmptySegment),
    ("/a//", Reason::EmptySegment),
    ("/a//b", Reason::EmptySegment),
    ("///a", Reason::EmptySegment),
    ("/a///b", Reason::EmptySegment),
    ("/%2f", Reason::EncodedSlash),
    ("/%2F", Reason::EncodedSlash),
    ("/a%2fb", Reason::EncodedSlash),
    ("/a%2Fb/c", Reason::EncodedSlash),
    ("/%2f%2fa", Reason::EncodedSlash),
    ("/%5c", Reason::Backslash),
    ("/a%5Cb", Reason::Backslash),
    ("/a%5cb/c", Reason::Backslash),
    ("/a%252fb", Reason::DoubleEncoding),
    ("/a%255cb", Reason::DoubleEncoding),
    ("/a%2541", Reason::DoubleEncoding),
    ("/%2541dmin", Reason::DoubleEncoding),
    ("/%25%34%31dmin", Reason::DoubleEncoding),
    ("/a;b", Reason::PathParameter),
    ("/a;x=y/b", Reason::PathParameter),
    ("/;/a", Reason::PathParameter),
    ("/a;jsessionid=1", Reason::PathParameter),
    ("/a%3bb", Reason::PathParameter),
];

#[test]
fn f17_f18_f19_ambiguous_paths_are_refused_by_default() {
    assert!(ALWAYS_REFUSED.len() + OPTIONAL.len() >= 80);
    let routers = [
        router(&[("all", &["/{*rest}"], STRICT)]),
        router(&[("all", &["/{a}", "/{a}/{b}", "/{a}/{b}/{c}"], STRICT)]),
        router(&[]),
    ];
    for router in &routers {
        for target in ALWAYS_REFUSED {
            let denial = ask(router, "GET", "x", target).unwrap_err();
            assert_eq!(denial.reason.row().status, 400, "{target:?}: {denial}");
        }
        for (target, reason) in OPTIONAL {
            assert_eq!(ask(router, "GET", "x", target).unwrap_err().reason, *reason, "{target}");
        }
    }
}

#[test]
fn f17_no_tolerance_reaches_dots_controls_or_raw_backslashes() {
    let router = router(&[("all", &["/{*rest}"], LENIENT)]);
    for target in ALWAYS_REFUSED {
        let denial = ask(&router, "GET", "x", target).unwrap_err();
        assert_eq!(denial.reason.row().status, 400, "{target:?}: {denial}");
    }
    for (target, _) in OPTIONAL {
        let (_, forwarded) = ask(&router, "GET", "x", target).unwrap();
        assert_eq!(forwarded, *target);
    }
}

#[test]
fn a_tolerance_is_its_own_routes_alone() {
    let only = PathTolerance { encoded_slash: true, ..STRICT };
    let router = router(&[("store", &["/store/{key}"], only), ("all", &["/{*rest}"], STRICT)]);
    assert_eq!(name(&router, "GET", "x", "/store/a%2Fb"), "store");
    let denial = ask(&router, "GET", "x", "/other/a%2Fb").unwrap_err();
    assert_eq!((denial.reason, denial.route.as_deref()), (Reason::EncodedSlash, Some("all")));
    assert_eq!(name(&router, "GET", "x", "/store/a;b"), "PathParameter");
}

#[test]
fn f18_a_tolerated_form_never_sidesteps_a_stricter_route() {
    let router = router(&[("all", &["/{*rest}"], LENIENT), ("admin", &["/admin/{*rest}"], STRICT)]);
    for target in [
        "//admin",
        "/%2fadmin",
        "/%2Fadmin/x",
        "/%5cadmin",
        "/admin;x/y",
        "/admin%2fx",
        "/%2561dmin",
        "/;/admin/x",
        "/admin%255cx",
        "///admin//x",
        "/%252fadmin",
    ] {
        assert_eq!(ask(&router, "GET", "x", target).unwrap_err().reason.row().status, 400, "{target}");
    }
    assert_eq!(name(&router, "GET", "x", "/files//admin"), "all");
}

/// What a plain and independent reading of the path says: decoded segments, and whether a slash follows.
fn reference(path: &str) -> Vec<String> {
    let decoded = |s: &str| percent_encoding::percent_decode_str(s).decode_utf8().unwrap().into_owned();
    path.trim_start_matches('/').split('/').map(decoded).collect()
}

proptest! {
    #[test]
    fn f17_what_is_matched_is_what_is_forwarded(
        segments in prop::collection::vec("[a-c]{1,2}|%6[1-3]|é|%C3%A9|[.]{3}", 1..6),
        query in prop::option::of("[a-z/.%&=]{0,8}"),
    ) {
        let router = router(&[("all", &["/{*rest}"], STRICT)]);
        let path = format!("/{}", segments.join("/"));
        let target = query.map_or_else(|| path.clone(), |q| format!("{path}?{q}"));
        let (_, forwarded) = ask(&router, "GET", "x", &target).unwrap();
        prop_assert_eq!(&forwarded, &target);

        let mut exact = named("exact");
        exact.matches = vec![RouteMatch {
            method: None,
            host: HostPattern::Any,
            path: PathPattern {
                segments: reference(&path).into_iter().map(|s| PathSegment::Literal(s.into())).collect(),
                trailing_slash: false,
            },
        }];
        let mut router = Router::new();
        router.add(&exact, &Arc::<str>::from("exact")).unwrap();
        prop_assert_eq!(name(&router, "GET", "x", &target), "exact");
    }

    #[test]
    fn f26_no_bytes_panic_or_pass_in_a_refused_form(
        target in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| String::from_utf8_lossy(&b).into_owned()),
            "[/.%2eEfF5cC0;\\\\#?a]{0,24}".prop_map(|s| format!("/{s}")),
        ],
        host in prop::collection::vec(any::<u8>(), 0..12).prop_map(|b| String::from_utf8_lossy(&b).into_owned()),
    ) {
        for tolerate in [STRICT, LENIENT] {
            let router = router(&[("all", &["/{*rest}"], tolerate)]);
            let _ = ask(&router, "GET", &host, &target);
            let Ok((_, forwarded)) = ask(&router, "GET", "x", &target) else { continue };
            prop_assert_eq!(&forwarded, &target);
            prop_assert!(target.starts_with('/') && !target.contains('#'));
            prop_assert!(!target.chars().any(char::is_control));
            let path = target.split('?').next().unwrap();
            prop_assert!(!path.contains('\\'));
            for segment in reference(path) {
                prop_assert!(segment != "." && segment != "..", "{}", path);
                prop_assert!(!segment.chars().any(char::is_control));
                let dots = segment.split(['/', '\\']).any(|s| matches!(s.split(';').next(), Some("." | "..")));
                prop_assert!(!dots, "{}", path);
                if tolerate == STRICT {
                    prop_assert!(!segment.contains(['/', '\\', ';']), "{}", path);
                }
            }
            if tolerate == STRICT {
                prop_assert!(!path.contains("//"), "{}", path);
            }
        }
    }
}
