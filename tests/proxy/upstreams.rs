//! Endpoints: which one gets a request, and what is tried again.

use crate::harness::http;
use crate::harness::portcullis::Portcullis;

use std::io::{Read, Write};
use std::net::TcpListener;

/// One worker, all requests to `upstream.behind` with this.
fn start(upstream: &str) -> Portcullis {
    Portcullis::start(&format!(
        "[upstream.behind]\n{upstream}\n[route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"behind\""
    ))
}

#[test]
fn an_upstream_that_closes_after_each_answer_without_saying_so_never_becomes_a_bad_gateway() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in upstream.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let portcullis = start(&format!("endpoints = [\"http://{address}\"]"));
    for number in 0..200 {
        let answer = http::get(portcullis.address(), "/x", "");
        assert_eq!((answer.status, &*answer.body), (200, "ok"), "request {number}");
    }
}
