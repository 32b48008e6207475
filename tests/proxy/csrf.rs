//! A browser sends its cookies along with whatever any page makes it send: that alone must change nothing.

use serde_json::json;

use crate::harness::http::{self, Answer};
use crate::harness::portcullis::{Portcullis, Setup, bearer, cookie};
use crate::harness::upstream::Upstream;

struct World {
    upstream: Upstream,
    portcullis: Portcullis,
    session: String,
    key: String,
}

impl World {
    fn new(keys: &str) -> Self {
        let upstream = Upstream::start();
        let setup = Setup::new();
        let (session, key) = (setup.session(|_| {}), setup.api_key(|_| {}));
        let route = format!(
            r#"
            [route.all]
            match = "/{{*rest}}"
            accept = ["session", "api_key", "jwt"]
            origins = ["https://partner.example"]
            upstream = "{}"
            "#,
            upstream.url()
        );
        let portcullis = setup.start_with(keys, &route);
        Self { upstream, portcullis, session, key }
    }

    fn send(&self, method: &str, headers: &str) -> Answer {
        let to = self.portcullis.address();
        let session = cookie(&self.session);
        http::send(to, format!("{method} /x HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{session}{headers}\r\n"))
    }

    fn own(&self) -> String {
        format!("http://{}", self.portcullis.address())
    }
}

#[test]
fn a_session_counts_on_unsafe_methods_only_from_our_own_pages() {
    let world = World::new("");
    let own = world.own();
    let cases = [
        (String::new(), 403),
        ("Sec-Fetch-Site: same-origin\r\n".to_owned(), 200),
        ("Sec-Fetch-Site: none\r\n".to_owned(), 200),
        ("Sec-Fetch-Site: same-site\r\n".to_owned(), 403),
        ("Sec-Fetch-Site: cross-site\r\n".to_owned(), 403),
        (format!("Origin: {own}\r\n"), 200),
        (format!("Sec-Fetch-Site: cross-site\r\nOrigin: {own}\r\n"), 200),
        ("Origin: https://partner.example\r\n".to_owned(), 200),
        ("Sec-Fetch-Site: cross-site\r\nOrigin: https://partner.example\r\n".to_owned(), 200),
        ("Origin: http://partner.example\r\n".to_owned(), 403),
        ("Origin: https://partner.example.evil.example\r\n".to_owned(), 403),
        ("Origin: https://evil.example\r\n".to_owned(), 403),
        (format!("Origin: {}\r\n", own.replace("http:", "https:")), 403),
        ("Origin: null\r\n".to_owned(), 403),
        (format!("Referer: {own}/form\r\n"), 403),
    ];
    for (headers, expected) in &cases {
        for method in ["POST", "PUT", "PATCH", "DELETE", "BREW"] {
            let before = world.upstream.received().len();
            let answer = world.send(method, &format!("Content-Length: 0\r\n{headers}"));
            assert_eq!(answer.status, *expected, "{method} {headers}");
            assert_eq!(world.upstream.received().len() - before, usize::from(*expected == 200), "{method} {headers}");
            if *expected == 403 {
                assert_eq!(answer.json()["type"], "urn:portcullis:cross_site");
            }
        }
    }
}

#[test]
fn safe_methods_and_explicit_credentials_need_no_origin() {
    let world = World::new("");
    let foreign = "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n";
    for method in ["GET", "OPTIONS"] {
        assert_eq!(world.send(method, foreign).status, 200, "{method}");
    }
    let to = world.portcullis.address();
    for credential in [format!("X-Api-Key: {}\r\n", world.key), bearer(&world.portcullis.token(json!({})))] {
        assert_eq!(http::post(to, "/x", &credential).status, 200);
        assert_eq!(http::post(to, "/x", &format!("{foreign}{credential}")).status, 200);
        // Also beside a cookie: the explicit one is what counts.
        assert_eq!(http::post(to, "/x", &format!("{foreign}{}{credential}", cookie(&world.session))).status, 200);
    }
}

#[test]
fn behind_a_public_origin_that_one_counts_and_host_does_not() {
    let world = World::new("listener.main.public_origin = \"https://shop.example\"");
    let post = |headers: &str| world.send("POST", &format!("Content-Length: 0\r\n{headers}")).status;
    assert_eq!(post("Origin: https://shop.example\r\n"), 200);
    assert_eq!(post("Origin: https://shop.example:443\r\n"), 200);
    assert_eq!(post(&format!("Origin: {}\r\n", world.own())), 403);
    assert_eq!(post("X-Forwarded-Host: evil.example\r\nOrigin: http://evil.example\r\n"), 403);
}
