//! What is behind is gone, slow or broken.

use std::net::TcpListener;

use crate::harness::http;
use crate::harness::portcullis::Portcullis;
use crate::harness::upstream::Upstream;

fn start(endpoint: &str, timeouts: &str) -> Portcullis {
    Portcullis::start(&format!(
        r#"
        [upstream.behind]
        endpoints = ["{endpoint}"]
        timeouts = {{ {timeouts} }}
        [route.all]
        match = "/{{*rest}}"
        accept = "anyone"
        upstream = "behind"
        "#
    ))
}

#[track_caller]
fn refused(portcullis: &Portcullis, status: u16, code: &str) {
    for answer in [http::get(portcullis.address(), "/x", ""), http::post(portcullis.address(), "/x", "")] {
        assert_eq!((answer.status, answer.value("content-type")), (status, Some("application/problem+json")));
        assert_eq!(answer.json()["type"], format!("urn:portcullis:{code}"));
        assert!(!answer.body.contains("127.0.0.1"), "the address behind is nobody's business: {}", answer.body);
    }
}

#[test]
fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    // A port that was free a moment ago; nobody else here listens where the system has just let go.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let portcullis = start(&format!("http://{gone}"), "");
    refused(&portcullis, 502, "upstream_unreachable");
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout() {
    // The system accepts for it, and nobody ever reads.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let portcullis = start(&format!("http://{}", silent.local_addr().expect("an address")), "response = \"50ms\"");
    refused(&portcullis, 504, "upstream_timeout");
}

#[test]
fn an_upstream_that_breaks_off_or_speaks_nonsense_is_a_bad_gateway() {
    for answer in
        ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "HTTP/1.1 "]
    {
        // What is not whole is followed by the end.
        let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = upstream.local_addr().expect("an address");
        std::thread::spawn(move || {
            for mut stream in upstream.incoming().flatten() {
                let mut buffer = [0; 4096];
                let _ = std::io::Read::read(&mut stream, &mut buffer);
                let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
            }
        });
        refused(&start(&format!("http://{address}"), ""), 502, "upstream_failed");
    }
}

#[test]
fn what_an_upstream_itself_says_is_passed_on() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy".to_vec()
    });
    let portcullis = start(&upstream.url(), "");
    let answer = http::get(portcullis.address(), "/x", "");
    assert_eq!((answer.status, answer.value("retry-after"), &*answer.body), (503, Some("7"), "busy"));
    assert_eq!(upstream.received().len(), 1, "an answer is an answer: it is not tried again");
}
