//! Paths that a route rewrites: what the upstream is asked for, and that no rule is led around by it.

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
}

impl World {
    fn new() -> Self {
        let upstream = Upstream::start();
        let portcullis = Portcullis::start(&format!(
            r#"
            [defaults]
            upstream = "{}"
            accept = ["jwt"]
            [route.owners]
            match = "/o/{{owner}}/{{*rest}}"
            rewrite = "/internal/{{owner}}/{{*rest}}"
            accept = ["anyone"]
            [route.api]
            match = ["/api/{{*rest}}", "old.example/api/v1/{{*rest}}"]
            strip_prefix = "/api"
            accept = ["anyone"]
            [route.lenient]
            match = "/lenient/{{*rest}}"
            strip_prefix = "/lenient"
            accept = ["anyone"]
            tolerate = ["empty_segments", "encoded_slash"]
            [route.admin]
            match = ["/admin/{{*rest}}", "/v2/{{*rest}}"]
            [route.old-admin]
            match = "/api/old-admin/{{*rest}}"
            rewrite = "/admin/{{*rest}}"
            [route.rest]
            match = "/{{*rest}}"
            "#,
            upstream.url()
        ));
        Self { upstream, portcullis }
    }

    fn get(&self, target: &str) -> Answer {
        http::get(self.portcullis.address(), target, "")
    }
}

#[test]
fn f20_the_upstream_is_asked_for_the_rewritten_path_and_the_query_as_sent() {
    let world = World::new();
    for (target, expected) in [
        ("/o/ann/a%20b/?", "/internal/ann/a%20b/?"),
        ("/o/%61nn@x/a/b?x=/../y&z=%2F", "/internal/ann@x/a/b?x=/../y&z=%2F"),
        ("/o/ann", "/internal/ann"),
        ("/api", "/"),
        ("/api/orders/1?q", "/orders/1?q"),
        ("/lenient/a//b%2Fc", "/a//b%2Fc"),
    ] {
        assert_eq!(world.get(target).status, 200, "{target}");
        assert_eq!(world.upstream.last().target(), expected, "{target}");
    }
}

#[test]
fn f20_rules_go_by_the_path_that_was_asked_for_and_refusals_by_both() {
    let world = World::new();
    assert_eq!(world.get("/internal/ann/x").status, 401);
    assert_eq!(world.get("/api/old-admin/users").status, 401);
    assert_eq!(world.get("/api/old-%61dmin/users").status, 401);
    for target in ["/api/admin/users", "/api/%61dmin/users", "/api/v2/x"] {
        let answer = world.get(target);
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (403, &"urn:portcullis:rewrite_guarded".into()),
            "{target}"
        );
    }
    for target in
        ["/api//orders", "/api/%2e%2e/x", "/api/..;/x", "/api/a%2Fb", "/o/%2e%2e/x", "/o/a%2fb/x", "/o/a%3Bb/x"]
    {
        assert_eq!(world.get(target).status, 400, "{target}");
    }
    // Tolerated as it was sent, but without its prefix it could be the name of a host.
    assert_eq!(world.get("/lenient//evil.example/x").json()["type"], "urn:portcullis:empty_segment");
    assert!(world.upstream.received().is_empty());
}
