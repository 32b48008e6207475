//! Endpoints: which one gets a request, and what is tried again.

use crate::harness::http;
use crate::harness::portcullis::Portcullis;
use crate::harness::process::{Serving, folder, run};

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

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

/// An upstream whose `/healthz` answers what `how` says, and all else with its name.
fn watched(name: &'static str, how: Arc<AtomicU8>) -> SocketAddr {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = upstream.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in upstream.incoming().flatten() {
            let how = how.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let is_check = request.get(..length).is_some_and(|head| head.starts_with(b"GET /healthz "));
                let answer = match how.load(Relaxed) {
                    HANGS if is_check => {
                        let _ = stream.read(&mut request);
                        return;
                    }
                    GARBAGE if is_check => "\0\0garbage\r\n\r\n".to_owned(),
                    BROKEN if is_check => "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
                    _ => {
                        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{name}", name.len())
                    }
                };
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}

const WELL: u8 = 0;
const BROKEN: u8 = 1;
const GARBAGE: u8 = 2;
const HANGS: u8 = 3;

/// Asks until the last ten answers came from these alone, and from each of them.
fn until_answers_come_from(portcullis: &Portcullis, names: &[&str]) {
    let mut last: VecDeque<String> = VecDeque::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = http::get(portcullis.address(), "/x", "");
        assert_eq!(answer.status, 200, "checks harm nobody");
        last.push_back(answer.body);
        if last.len() > 10 {
            last.pop_front();
            let all_named = last.iter().all(|body| names.contains(&body.as_str()));
            if all_named && names.iter().all(|name| last.iter().any(|body| body == name)) {
                return;
            }
        }
        assert!(Instant::now() < deadline, "answers come from {last:?}, not from {names:?}");
    }
}

#[test]
fn an_endpoint_whose_checks_fail_gets_no_requests_until_they_pass_again() {
    let (a, b) = (Arc::new(AtomicU8::new(WELL)), Arc::new(AtomicU8::new(WELL)));
    let endpoints = (watched("a", a.clone()), watched("b", b.clone()));
    let portcullis = start(&format!(
        "endpoints = [\"http://{}\", \"http://{}\"]\n\
         health = {{ path = \"/healthz\", interval = \"50ms\", timeout = \"50ms\", healthy = 1, unhealthy = 1 }}",
        endpoints.0, endpoints.1
    ));
    until_answers_come_from(&portcullis, &["a", "b"]);
    for how in [BROKEN, GARBAGE, HANGS] {
        a.store(how, Relaxed);
        until_answers_come_from(&portcullis, &["b"]);
        b.store(how, Relaxed);
        until_answers_come_from(&portcullis, &["a", "b"]);
        a.store(WELL, Relaxed);
        until_answers_come_from(&portcullis, &["a"]);
        b.store(WELL, Relaxed);
        until_answers_come_from(&portcullis, &["a", "b"]);
    }
}

#[test]
fn f14_who_calls_itself_a_health_check_is_a_client_like_any_other() {
    let endpoint = watched("a", Arc::new(AtomicU8::new(WELL)));
    let portcullis = Portcullis::start(&format!(
        "[upstream.behind]\nendpoints = [\"http://{endpoint}\"]\nhealth = {{ path = \"/healthz\" }}\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"session\"\nupstream = \"behind\""
    ));
    for agent in ["portcullis", "kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0"] {
        let answer = http::get(portcullis.address(), "/healthz", &format!("User-Agent: {agent}\r\n"));
        assert_eq!(answer.status, 401, "{agent}");
    }
}

#[test]
fn operators_see_each_endpoint_its_state_and_why() {
    let (well, broken) = (watched("a", Arc::new(AtomicU8::new(WELL))), watched("b", Arc::new(AtomicU8::new(BROKEN))));
    let (_guard, here) = folder(&format!(
        "listener.main.bind = \"127.0.0.1:0\"\nhealth.bind = \"127.0.0.1:0\"\nadmin.socket = \"unix:admin.sock\"\n\
         [upstream.behind]\nendpoints = [\"http://{well}\", \"http://{broken}\"]\n\
         health = {{ path = \"/healthz\", interval = \"50ms\", timeout = \"50ms\" }}\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\nupstream = \"behind\"\n"
    ));
    let serving = Serving::run(&here).ready();
    let deadline = Instant::now() + Duration::from_secs(60);
    let found = loop {
        let found = run(&here, &["upstreams", "--json"]).json();
        let states = ["/0/endpoints/0/state", "/0/endpoints/1/state"].map(|at| found.pointer(at).cloned());
        if states == [Some("healthy".into()), Some("unhealthy".into())] {
            break found;
        }
        assert!(Instant::now() < deadline, "{found}");
    };
    assert_eq!(found.pointer("/0/endpoints/1/why"), Some(&"status 503".into()));
    assert_eq!(found.pointer("/0/panic"), Some(&false.into()));
    let table = run(&here, &["upstreams"]).ok();
    assert!(
        table.lines().any(|line| line.contains(&broken.to_string()) && line.ends_with("unhealthy  status 503")),
        "{table}"
    );
    assert_eq!(http::get(serving.address("main"), "/x", "").body, "a");
    let metrics = http::get(serving.health(), "/metrics", "").body;
    for (endpoint, healthy) in [(well, 1), (broken, 0)] {
        let series = format!(
            "portcullis_upstream_endpoint_healthy{{upstream=\"behind\",endpoint=\"http://{endpoint}\"}} {healthy}"
        );
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}
