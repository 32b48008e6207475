//! The PROXY protocol as proxies speak it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use crate::harness::certificates::{Authority, curl};
use crate::harness::http::{Answer, Wire};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A listener `main` that trusts these, and refuses 198.51.100.0/24.
fn configuration(upstream: &Upstream, trusted: &str, more: &str) -> String {
    format!(
        r#"
[server]
workers = 1
[listener.main]
bind = "127.0.0.1:0"
proxy_protocol = true
trusted_proxies = [{trusted}]
{more}
[route.open]
match = "/open"
accept = "anyone"
upstream = "{}"
deny = [{{ networks = ["198.51.100.0/24"] }}]
"#,
        upstream.url()
    )
}

fn request(headers: &str) -> Vec<u8> {
    format!("GET /open HTTP/1.1\r\nHost: a\r\n{headers}Connection: close\r\n\r\n").into_bytes()
}

fn send(to: SocketAddr, header: &[u8], headers: &str) -> Answer {
    Wire::connect(to).exchange([header, &request(headers)].concat())
}

/// Sends these bytes to somebody who closes the connection and says nothing.
#[track_caller]
fn is_closed(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).expect("a connection");
    // It may be closed before it has taken all of this.
    let _ = stream.write_all(bytes);
    let said = Wire::over(stream).read_to_end();
    assert!(said.is_empty(), "{:?}", String::from_utf8_lossy(&said));
}

#[test]
fn the_client_is_whom_the_header_names_for_rules_the_upstream_and_the_log() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, "\"127.0.0.1\"", ""));
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");

    assert_eq!(send(main, V1, "").status, 200);
    assert_eq!(upstream.last().values("x-forwarded-for"), ["203.0.113.9"]);
    serving.says("client=203.0.113.9");

    let addresses = [203, 0, 113, 77, 192, 0, 2, 1, 0xC8, 0x22, 0x01, 0xBB];
    let v2 = [SIGNATURE, &[0x21, 0x11, 0, 12], &addresses].concat();
    assert_eq!(send(main, &v2, "").status, 200);
    assert_eq!(upstream.last().values("x-forwarded-for"), ["203.0.113.77"]);

    assert_eq!(send(main, b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 443\r\n", "").status, 403);
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn f09_f10_a_client_that_is_named_or_not_named_does_not_name_another() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, "\"127.0.0.1\", \"203.0.113.200\"", ""));
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    let local = [SIGNATURE, &[0x20, 0x00, 0, 0]].concat();
    let unnamed: [&[u8]; 2] = [b"PROXY UNKNOWN\r\n", &local];
    for spoof in ["X-Forwarded-For: 192.0.2.50\r\n", "Forwarded: for=192.0.2.50\r\n", "X-Real-IP: 192.0.2.50\r\n"] {
        assert_eq!(send(main, V1, spoof).status, 200);
        assert_eq!(upstream.last().values("x-forwarded-for"), ["203.0.113.9"], "{spoof}");
        for header in unnamed {
            // The proxy is trusted, but these are not its words.
            assert_eq!(send(main, header, spoof).status, 200);
            assert_eq!(upstream.last().values("x-forwarded-for"), ["127.0.0.1"], "{spoof}");
        }
    }
    // A trusted proxy behind the one that relays.
    let trusted = b"PROXY TCP4 203.0.113.200 192.0.2.1 51234 443\r\n";
    let spoof = "X-Forwarded-For: 198.51.100.7\r\n";
    assert_eq!(send(main, trusted, spoof).status, 403, "the rule sees the client that it vouches for");
    assert_eq!(send(main, V1, spoof).status, 200);
}

#[test]
fn f09_an_untrusted_peer_names_nobody() {
    let upstream = Upstream::start();
    // A private address is trusted no more than others (f12).
    let (_guard, here) = folder(&configuration(&upstream, "\"192.0.2.1\"", ""));
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    is_closed(main, &[V1, &request("")].concat());
    is_closed(main, &request(""));
    let said = serving.says("its peer is not in trusted_proxies");
    assert!(said.contains("127.0.0.1") && !said.contains("203.0.113.9"), "{said}");
    assert_eq!(upstream.received().len(), 0);
}

#[test]
fn f62_without_a_good_header_there_is_no_connection() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, "\"127.0.0.1\"", ""));
    let serving = Serving::run(&here).ready();
    let main = serving.address("main");
    let addresses = [203, 0, 113, 77, 192, 0, 2, 1, 0xC8, 0x22, 0x01, 0xBB];
    // A field that would take bytes of the request.
    let spills = [SIGNATURE, &[0x21, 0x11, 0, 17], &addresses, &[0x04, 0, 40, 0, 0]].concat();
    let sum = [SIGNATURE, &[0x21, 0x11, 0, 19], &addresses, &[0x03, 0, 4, 1, 2, 3, 4]].concat();
    let unix = [SIGNATURE, &[0x21, 0x32, 0, 12], &addresses].concat();
    for header in [&b""[..], b"PROXY TCP4 203.0.113.9\r\n", &spills, &sum, &unix] {
        is_closed(main, &[header, &request("")].concat());
    }
    // Twice: the second is no request.
    let twice = Wire::connect(main).exchange([V1, V1, &request("")].concat());
    assert_eq!(twice.status, 400);
    assert_eq!(upstream.received().len(), 0);
    assert_eq!(send(main, V1, "").status, 200);
}

#[test]
fn curl_speaks_it_in_clear_text_and_before_tls() {
    let upstream = Upstream::start();
    let tls = "tls.certificates = [{ chain = \"server.pem\", key = \"server.key\" }]";
    for (scheme, more) in [("http", ""), ("https", tls)] {
        let (_guard, here) = folder(&configuration(&upstream, "\"127.0.0.1\"", more));
        Authority::new(&here).server("server", &["localhost"]);
        let serving = Serving::run(&here).ready();
        let url = format!("{scheme}://localhost:{}/open", serving.address("main").port());
        let answer = curl(&here, &["-4", "--haproxy-protocol", &url]);
        assert_eq!(answer.status(), 200);
        assert_eq!(upstream.last().values("x-forwarded-for"), ["127.0.0.1"]);
        assert_ne!(curl(&here, &["-4", &url]).code, 0);
    }
}

#[test]
fn plain_http_to_a_listener_without_it_is_not_taken_for_a_header() {
    let upstream = Upstream::start();
    let text = configuration(&upstream, "\"127.0.0.1\"", "").replace("proxy_protocol = true", "");
    let (_guard, here) = folder(&text);
    let serving = Serving::run(&here).ready();
    assert_eq!(send(serving.address("main"), V1, "").status, 400);
    assert_eq!(send(serving.address("main"), b"", "").status, 200);
    assert_eq!(upstream.last().values("x-forwarded-for"), ["127.0.0.1"]);
}
