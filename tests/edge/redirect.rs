//! Clients in clear text are sent to HTTPS, and nowhere else.

use std::net::SocketAddr;

use crate::harness::certificates::{Authority, curl};
use crate::harness::http::{Answer, Wire};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

fn start(upstream: &Upstream, port: &str) -> (tempfile::TempDir, Serving) {
    let (guard, here) = folder(&format!(
        r#"
server.workers = 1
[listener.clear]
bind = "127.0.0.1:0"
serve = "redirect_to_https"
{port}
[listener.tls]
bind = "127.0.0.1:0"
public_origin = "https://localhost"
tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
[defaults]
upstream = "{}"
[route]
any = {{ match = "/any/{{*rest}}", accept = "anyone" }}
shop = {{ match = ["shop.example/{{*rest}}", "*.apps.example/app"], accept = "anyone" }}
objects = {{ match = "shop.example/objects/{{*rest}}", tolerate = ["encoded_slash"], accept = "anyone" }}
"#,
        upstream.url()
    ));
    Authority::new(&here).server("server", &["localhost"]);
    let serving = Serving::run(&here).ready();
    (guard, serving)
}

fn ask(to: SocketAddr, method: &str, host: &str, target: &str) -> Answer {
    let mut wire = Wire::connect(to);
    wire.write(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    let head = wire.read_until("\r\n\r\n");
    let status = head[9..12].parse().unwrap_or_else(|_| panic!("no status: {head}"));
    Answer { status, head, body: String::new() }
}

#[test]
fn every_method_is_sent_to_the_same_host_and_target() {
    let upstream = Upstream::start();
    let (_guard, serving) = start(&upstream, "");
    let clear = serving.address("clear");
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(clear, method, "shop.example", "/a");
        assert_eq!((answer.status, answer.values("location")), (308, vec!["https://shop.example/a"]), "{method}");
    }
    for (host, target, location) in [
        ("shop.example", "/", "https://shop.example/"),
        (
            "Shop.Example.:8080",
            "/a%20b/%C3%A4?x=/..//&y=%zz&z=https://evil.example",
            "https://shop.example/a%20b/%C3%A4?x=/..//&y=%zz&z=https://evil.example",
        ),
        ("x.y.apps.example", "/app?", "https://x.y.apps.example/app?"),
        ("localhost", "/any/thing", "https://localhost/any/thing"),
        // As the route has it.
        ("shop.example", "/objects/a%2Fb", "https://shop.example/objects/a%2Fb"),
    ] {
        let answer = ask(clear, "GET", host, target);
        assert_eq!((answer.status, answer.values("location")), (308, vec![location]), "{host}{target}");
    }
    let absolute = ask(clear, "GET", "shop.example", "http://shop.example/a?b");
    assert_eq!((absolute.status, absolute.values("location")), (308, vec!["https://shop.example/a?b"]));
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn a_host_that_is_not_known_is_sent_nowhere() {
    let upstream = Upstream::start();
    let (_guard, serving) = start(&upstream, "");
    let clear = serving.address("clear");
    for (host, target) in [
        // A route for any host is no reason to take just any name.
        ("evil.example", "/any/thing"),
        ("evil.example", "/"),
        ("shop.example.evil.example", "/"),
        ("evilshop.example", "/"),
        ("apps.example", "/app"),
        ("evilapps.example", "/app"),
        ("127.0.0.1", "/any/thing"),
        ("x.apps.example", "/other"),
    ] {
        let answer = ask(clear, "GET", host, target);
        assert_eq!((answer.status, answer.values("location").len()), (404, 0), "{host}{target}");
    }
    for host in [
        "",
        "shop.example@evil.example",
        "shop.example/",
        "shop.example,evil.example",
        "shop example",
        "shop.example:x",
    ] {
        let answer = ask(clear, "GET", host, "/");
        assert_eq!((answer.status, answer.values("location").len()), (400, 0), "{host}");
    }
    assert_eq!(ask(clear, "GET", "shop.example\r\nHost: evil.example", "/").status, 400);
    let other = "shop.example\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example";
    assert_eq!(ask(clear, "GET", other, "/").values("location"), ["https://shop.example/"]);
}

#[test]
fn malformed_targets_are_refused_as_everywhere() {
    let upstream = Upstream::start();
    let (_guard, serving) = start(&upstream, "");
    let clear = serving.address("clear");
    for target in [
        "//evil.example/",
        "/a/../b",
        "/%2e%2e/b",
        "/a%2Fb",
        "/a\\b",
        "/%5Cb",
        "/a%00",
        "/a;b",
        "/%zz",
        "/a#b",
        "*",
        "evil.example",
        "/%0d%0aSet-Cookie:a=b",
        "http://evil.example/",
        "/a%252Fb",
    ] {
        let answer = ask(clear, "GET", "shop.example", target);
        assert_eq!((answer.status, answer.values("location").len()), (400, 0), "{target}");
    }
    assert_eq!(ask(clear, "TRACE", "shop.example", "/").status, 405);
}

#[test]
fn curl_follows_to_another_port() {
    let upstream = Upstream::start();
    // The port of HTTPS has to be known before: one that is free now.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let (guard, serving) = start(&upstream, &format!("https_port = {port}"));
    let clear = serving.address("clear").port();
    let secure = serving.address("tls").port();
    let connect = format!("localhost:{port}:127.0.0.1:{secure}");
    let url = format!("http://localhost:{clear}/any/thing?a=b");
    let followed = curl(guard.path(), &["-L", "--connect-to", &connect, "-d", "body", &url]);
    assert_eq!(followed.status(), 308);
    assert!(followed.text.contains(" 200"), "{followed:?}");
    let seen = upstream.last();
    assert!(seen.line().starts_with("POST ") && seen.target() == "/any/thing?a=b", "{seen:?}");
}
