//! Whose word on a client's address and on an earlier hop counts: nobody's, unless the listener names them.

use std::net::{IpAddr, SocketAddr, TcpStream};

use serde_json::json;

use crate::harness::http::{self, Answer, Wire};
use crate::harness::portcullis::{Portcullis, Setup};
use crate::harness::upstream::{Received, Upstream};

/// Names by which one or another server knows a client's address or an earlier hop's word.
const CLAIMS: [&str; 28] = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Scheme",
    "X-Forwarded-By",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "X-Original-Url",
    "X-Original-Uri",
    "X-Original-Method",
    "X-Original-Host",
    "X-Original-For",
    "X-Original-Proto",
    "X-Original-Remote-Addr",
    "X-Original-Forwarded-For",
    "X-Rewrite-Url",
];

const MARKS: &str = "!#$%&'*+-.^_`|~";

/// A network that no test client is in.
const ELSEWHERE: &str = "203.0.113.0/24";

/// A public route, one that wants a key, one for a network elsewhere and one for all but the local network.
fn start(keys: &str) -> (Upstream, Portcullis) {
    let upstream = Upstream::start();
    let routes = format!(
        r#"
        [limit.each]
        rate = "1/h"
        [defaults]
        upstream = "{}"
        [route]
        public = {{ match = "/public", accept = ["api_key", "anyone"] }}
        private = {{ match = "/private", accept = "api_key" }}
        elsewhere = {{ match = "/elsewhere", accept = ["api_key", "anyone"], allow = [{{ networks = ["{ELSEWHERE}"] }}] }}
        not_local = {{ match = "/not-local", accept = ["api_key", "anyone"], deny = [{{ networks = ["127.0.0.0/8"] }}] }}
        limited = {{ match = "/limited", accept = ["api_key", "anyone"], limits = ["each"] }}
        "#,
        upstream.url()
    );
    let portcullis = Setup::new().start_with(keys, &routes);
    (upstream, portcullis)
}

fn trusting(networks: &str) -> (Upstream, Portcullis) {
    start(&format!("listener.main.trusted_proxies = [{networks}]"))
}

/// The address that the upstream is told to be the client's.
fn client(seen: &Received) -> String {
    seen.value("x-real-ip").expect("X-Real-IP").to_owned()
}

/// `GET` from another address of this machine.
fn get_from(source: IpAddr, to: SocketAddr, target: &str, headers: &str) -> Answer {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("an address of the loopback network");
    socket.connect(&to.into()).expect("a connection");
    let mut wire = Wire::over(TcpStream::from(socket));
    wire.exchange(format!("GET {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{headers}\r\n"))
}

#[test]
fn f09_without_trusted_proxies_nobody_is_believed() {
    let (upstream, portcullis) = start("");
    let to = portcullis.address();
    // Neither where the request comes from …
    let claims = "X-Forwarded-For: 203.0.113.5\r\nForwarded: for=203.0.113.5;proto=https\r\nX-Real-IP: 203.0.113.5\r\n";
    assert_eq!(http::get(to, "/elsewhere", claims).status, 403);
    assert_eq!(http::get(to, "/not-local", claims).status, 403);
    // … nor what it is: an earlier hop's word on path, method and host changes no route.
    let other = "X-Forwarded-Uri: /public\r\nX-Forwarded-Method: OPTIONS\r\nX-Forwarded-Host: b.example\r\n\
                 X-Original-Url: /public\r\nX-Rewrite-Url: /public\r\nX-Original-Uri: /public\r\n\
                 X-HTTP-Method-Override: GET\r\nX-Forwarded-User: admin\r\nX-Forwarded-Client-Cert: By=a;URI=b\r\n";
    assert_eq!(http::get(to, "/private", other).status, 401);
    assert_eq!(http::post(to, "/private", other).status, 401);
    assert_eq!(upstream.received().len(), 0);
    assert_eq!(http::post(to, "/public", other).status, 200);
    let seen = upstream.last();
    assert_eq!(seen.line(), "POST /public HTTP/1.1");
    for gone in ["x-forwarded-uri", "x-forwarded-method", "x-forwarded-user", "x-forwarded-client-cert"] {
        assert_eq!(seen.value(gone), None, "{gone}");
    }
    for gone in ["x-original-url", "x-original-uri", "x-rewrite-url", "x-http-method-override"] {
        assert_eq!(seen.value(gone), None, "{gone}");
    }
    assert_eq!(seen.value("x-forwarded-host"), Some(to.to_string().as_str()));
}

#[test]
fn f10_no_claim_of_an_untrusted_peer_counts_or_arrives() {
    // Somebody is trusted, only not this peer.
    let (upstream, portcullis) = trusting(r#""198.51.100.0/24", "unix:""#);
    let to = portcullis.address();
    let mut arrived = Vec::new();
    for name in CLAIMS {
        for mark in MARKS.chars() {
            let alias = name.replace('-', &mark.to_string());
            let line = format!("{alias}: 203.0.113.5\r\n{alias}: for=203.0.113.5;proto=https\r\n");
            assert_eq!(http::get(to, "/public", &line).status, 200, "{alias}");
            let seen = upstream.last();
            if seen.head.contains("203.0.113.5") {
                arrived.push(alias);
            }
            assert_eq!(client(&seen), "127.0.0.1");
            assert_eq!(seen.value("x-forwarded-for"), Some("127.0.0.1"));
            assert_eq!(seen.value("x-forwarded-proto"), Some("http"));
        }
        for value in ["203.0.113.5", "for=203.0.113.5"] {
            let answer = http::get(to, "/elsewhere", &format!("{name}: {value}\r\n"));
            assert_eq!(answer.status, 403, "`{name}: {value}` was believed");
        }
    }
    assert_eq!(arrived, Vec::<String>::new());
}

#[test]
fn f11_internal_headers_from_outside_mean_nothing() {
    let (upstream, portcullis) = start("");
    let to = portcullis.address();
    let assertion = portcullis.token(json!({ "iss": "portcullis" }));
    let internal = format!(
        "X-Auth-Subject: alice\r\nX-Auth-Method: api_key\r\nX-Auth-Assertion: {assertion}\r\n\
         X-Envoy-Internal: true\r\nX-Envoy-Original-Path: /public\r\nX-Envoy-External-Address: 203.0.113.5\r\n\
         X-Portcullis-Route: public\r\nX-Portcullis-Identity: alice\r\nX-Request-Id: spoofed\r\n"
    );
    let answer = http::get(to, "/private", &internal);
    assert_eq!(answer.status, 401);
    assert_ne!(answer.value("x-request-id"), Some("spoofed"));
    assert_eq!(http::get(to, "/elsewhere", &internal).status, 403);
    let answer = http::get(to, "/public", &internal);
    assert_eq!(answer.status, 200);
    let seen = upstream.last();
    let id = seen.value("x-request-id").expect("a request id");
    assert_ne!(id, "spoofed");
    assert_eq!(answer.value("x-request-id"), Some(id));
    assert!(seen.folded_names().iter().all(|name| !name.starts_with("x-auth-")), "{}", seen.head);
    // The stand-in for a refused head is no method that reaches anything.
    let answer = http::send(to, "REFUSED * HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 400, "{}", answer.head);
}

#[test]
fn f12_a_private_address_is_trusted_no_more_than_any_other() {
    // The peer is as private as can be, and nobody said to trust it.
    let (upstream, portcullis) = start("");
    let to = portcullis.address();
    for source in ["127.0.0.1", "127.0.0.2", "127.10.20.30"] {
        let source: IpAddr = source.parse().unwrap();
        let answer = get_from(source, to, "/public", "X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Proto: https\r\n");
        assert_eq!(answer.status, 200);
        assert_eq!(client(&upstream.last()), source.to_string());
        assert_eq!(upstream.last().value("x-forwarded-proto"), Some("http"));
        assert_eq!(get_from(source, to, "/elsewhere", "X-Forwarded-For: 203.0.113.5\r\n").status, 403);
    }
    // A hop of a private network, told by the one proxy that is trusted, is the client and not one more proxy.
    let (upstream, portcullis) = trusting(r#""127.0.0.1""#);
    let to = portcullis.address();
    for private in ["10.0.0.5", "172.16.0.5", "192.168.1.5", "127.0.0.2", "169.254.1.1", "100.64.0.1", "::1", "fd00::5"]
    {
        let line = format!("X-Forwarded-For: 203.0.113.5, {private}\r\n");
        assert_eq!(http::get(to, "/public", &line).status, 200, "{private}");
        assert_eq!(client(&upstream.last()), private);
        assert_eq!(http::get(to, "/elsewhere", &line).status, 403, "{private} was taken for a proxy");
    }
    // Nor is a peer from beside the trusted one.
    let answer = get_from("127.0.0.2".parse().unwrap(), to, "/elsewhere", "X-Forwarded-For: 203.0.113.5\r\n");
    assert_eq!(answer.status, 403);
}

#[test]
fn f13_of_a_trusted_proxys_list_the_nearest_untrusted_address_counts() {
    let (upstream, portcullis) = trusting(r#""127.0.0.0/8", "10.0.0.0/8""#);
    let to = portcullis.address();
    for (lines, expected) in [
        ("X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        ("X-Forwarded-For: 203.0.113.5, 198.51.100.1\r\n", "198.51.100.1"),
        ("X-Forwarded-For: 203.0.113.5, 198.51.100.1, 10.0.0.7\r\n", "198.51.100.1"),
        ("X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-For: 198.51.100.1, 10.0.0.7\r\n", "198.51.100.1"),
        ("X-Forwarded-For: 203.0.113.5, garbage, 198.51.100.1\r\n", "198.51.100.1"),
        ("X-Forwarded-For: 10.0.0.8, 10.0.0.7\r\n", "10.0.0.8"),
        ("Forwarded: for=203.0.113.5, for=\"198.51.100.1:4711\", for=10.0.0.7\r\n", "198.51.100.1"),
        ("Forwarded: for=203.0.113.5\r\nX-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        // Aliases are the client's own words: no proxy writes them.
        ("X_Forwarded_For: 203.0.113.5\r\nX-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"),
        ("X_Forwarded_For: 203.0.113.5\r\n", "127.0.0.1"),
        ("X-Real-IP: 203.0.113.5\r\n", "127.0.0.1"),
        ("", "127.0.0.1"),
    ] {
        assert_eq!(http::get(to, "/public", lines).status, 200, "{lines}");
        let seen = upstream.last();
        assert_eq!(client(&seen), expected, "{lines}");
        assert_eq!(seen.values("x_forwarded_for"), Vec::<&str>::new(), "{lines}");
        assert_eq!(http::get(to, "/elsewhere", lines).status, 403, "{lines}");
    }
    let seen = http::get(to, "/elsewhere", "X-Forwarded-For: 203.0.113.5\r\n");
    assert_eq!(seen.status, 200, "a trusted proxy is believed: {}", seen.head);
}

#[test]
fn f13_garbage_from_a_trusted_proxy_skips_no_check() {
    let (_upstream, portcullis) = trusting(r#""127.0.0.0/8", "10.0.0.0/8""#);
    let to = portcullis.address();
    let (mut limited, mut malformed) = (Vec::new(), 0);
    for garbage in [
        "",
        ",",
        "garbage",
        "unknown",
        "203.0.113.5,",
        "203.0.113.5, garbage",
        "203.0.113.5, garbage, 10.0.0.7",
        "203.0.113.5 198.51.100.1",
        "203.0.113.999",
        "203.0.113.5:port",
        "203.0.113.5/24",
        "[203.0.113.5]",
        "0xcb.0.113.5",
        "203.0.113.5\u{e9}",
        "203.0.113.5;",
        "::ffff:203.0.113.5.6",
        "%32%30%33.0.113.5",
    ] {
        for line in [format!("X-Forwarded-For: {garbage}\r\n"), format!("Forwarded: for={garbage}\r\n")] {
            let statuses = ["/elsewhere", "/not-local", "/limited"].map(|target| http::get(to, target, &line).status);
            if statuses == [400; 3] && line.starts_with("Forwarded") {
                malformed += 1;
                continue;
            }
            // The proxy's own address counts then, for rules that admit and for those that refuse.
            assert_eq!(statuses[..2], [403; 2], "{line}");
            limited.push(statuses[2]);
        }
    }
    assert!(malformed > 5, "{malformed}");
    // And all of it is one client for a limit of one an hour.
    assert_eq!(limited.iter().filter(|status| **status == 200).count(), 1, "{limited:?}");
    assert!(limited[1..].iter().all(|status| *status == 429), "{limited:?}");
}
