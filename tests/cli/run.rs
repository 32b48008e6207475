use std::net::TcpListener;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use portcullis::crypto::dev_certs::DevCertificates;
use portcullis::model::{Clock, SystemClock};
use rustix::process::Signal;

use super::SIDECAR;
use crate::harness::http::{Wire, get, post, send};
use crate::harness::process::{Serving, folder, run};
use crate::harness::redis::Redis;
use crate::harness::upstream::Upstream;

#[test]
fn it_says_what_it_serves_and_probes_are_answered_apart() {
    let (_guard, here) = folder(&format!("{SIDECAR}\n[route.open]\nmatch = \"/open\"\naccept = \"anyone\"\n"));
    let serving = Serving::run(&here).ready();
    assert!(serving.says("open").contains("PUBLIC"));
    let health = serving.health();
    assert_eq!(get(health, "/livez", "").status, 200);
    let ready = get(health, "/readyz", "");
    assert_eq!((ready.status, ready.body.trim()), (200, r#"{"ready":true,"reasons":[]}"#));
    let metrics = get(health, "/metrics", "");
    assert!(metrics.value("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(metrics.body.contains("portcullis_requests_total{route=\"all\",status=\"4xx\"} 0"), "{}", metrics.body);
    for nothing in ["/", "/v1/keys", "/metrics/", "/livez?x", "/READYZ"] {
        let expected = if nothing == "/livez?x" { 200 } else { 404 };
        assert_eq!(get(health, nothing, "").status, expected, "{nothing}");
    }
    assert_eq!(post(health, "/readyz", "").status, 405);
}

#[test]
fn f14_a_probes_user_agent_opens_nothing() {
    let (_guard, here) = folder(SIDECAR);
    let serving = Serving::run(&here).ready();
    for agent in ["kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0"] {
        let answer = get(serving.address("main"), "/", &format!("User-Agent: {agent}\r\n"));
        assert_eq!(answer.status, 401, "{agent}");
    }
}

#[test]
fn f64_operations_are_not_where_probes_and_clients_are() {
    let (_guard, here) = folder(
        &format!("{SIDECAR}\n[admin]\nbind = \"127.0.0.1:0\"\ntoken = {{ file = \"token\" }}\n")
            .replace("admin.socket = \"unix:admin.sock\"", ""),
    );
    std::fs::write(here.join("token"), "0123456789abcdef0123456789abcdef").unwrap();
    let serving = Serving::run(&here).ready();
    for address in [serving.health(), serving.address("main")] {
        assert!([401, 404].contains(&get(address, "/v1/keys", "").status));
    }
    let line = serving.says("operations, with the token");
    let admin = line.split("bind=").nth(1).unwrap().trim().parse().unwrap();
    assert_eq!(get(admin, "/v1/keys", "").status, 401);
    let token = "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n";
    assert_eq!(get(admin, "/v1/keys", token).status, 200);
    assert_eq!(get(admin, "/v1/keys", &format!("{token}Origin: http://evil.example\r\n")).status, 403);
    for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:1"] {
        let request = format!("GET /v1/keys HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}\r\n");
        let answer = send(admin, request);
        assert!((400..500).contains(&answer.status), "{host}: {}", answer.head);
    }
}

#[test]
fn an_occupied_port_is_said_and_is_no_fault_of_the_configuration() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    let (_guard, here) = folder(SIDECAR);
    for key in ["listener.main.bind", "health.bind"] {
        let set = format!("{key}={address}");
        let ended = run(&here, &["run", "--set", &set]);
        ended.failed(1, &[&address.to_string(), key.trim_end_matches(".bind")]);
    }
    assert!(!here.join("admin.sock").exists(), "nothing is left behind");
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start() {
    let issuer =
        "[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"a\"]\nkeys = { jwks_file = \"keys.json\" }\n";
    let (_guard, here) = folder(&format!("{SIDECAR}\n{issuer}"));
    std::fs::write(here.join("keys.json"), "{\"keys\": [").unwrap();
    run(&here, &["run"]).failed(2, &["keys.json"]);
    let tls = "[listener.main.tls]\ncertificates = [{ chain = \"server.pem\", key = \"server.key\" }]\n";
    let (_guard, here) = folder(&format!("{SIDECAR}\n{tls}"));
    run(&here, &["run"]).failed(2, &["server.pem"]);
    let mut authority = DevCertificates::new(SystemClock.now()).unwrap();
    let (one, other) = (authority.server(&["a.example"]).unwrap(), authority.server(&["a.example"]).unwrap());
    std::fs::write(here.join("server.pem"), &one.chain_pem).unwrap();
    std::fs::write(here.join("server.key"), other.key_pem.expose()).unwrap();
    run(&here, &["run"]).failed(2, &["server.key"]);
    let (_guard, here) = folder(&format!("{SIDECAR}\nroute = 3\n"));
    run(&here, &["run"]).failed(2, &["portcullis.toml:"]);
}

#[test]
fn without_redis_it_starts_is_not_ready_and_says_so() {
    let redis = Redis::with().prepare();
    let (_guard, here) = folder(&format!("{SIDECAR}\n[store]\nurl = \"{}\"\n", redis.url()));
    let serving = Serving::run(&here);
    assert!(serving.says("not ready").contains("store"), "{}", serving.log());
    let answer = get(serving.health(), "/readyz", "");
    assert_eq!(answer.status, 503);
    assert!(answer.json()["reasons"][0].as_str().unwrap().contains("store"), "{}", answer.body);
    assert_eq!(get(serving.health(), "/livez", "").status, 200);
    // What cannot be decided is not let through.
    let key = "X-API-Key: pc_live_0000000000000000000000_0\r\n";
    assert!([401, 503].contains(&get(serving.address("main"), "/", key).status));
}

#[test]
fn a_redis_that_forgets_by_itself_keeps_it_unready() {
    let redis = Redis::with().line("maxmemory 64mb").line("maxmemory-policy allkeys-lru").start();
    let (_guard, here) = folder(&format!("{SIDECAR}\n[store]\nurl = \"{}\"\ntimeout = \"5s\"\n", redis.url()));
    let serving = Serving::run(&here);
    assert!(serving.says("not ready").contains("maxmemory-policy"), "{}", serving.log());
}

#[test]
fn a_lost_redis_does_not_make_it_unready() {
    let mut redis = Redis::start();
    let (_guard, here) = folder(&format!("{SIDECAR}\n[store]\nurl = \"{}\"\ntimeout = \"5s\"\n", redis.url()));
    let serving = Serving::run(&here).ready();
    redis.kill();
    assert_eq!(get(serving.health(), "/readyz", "").status, 200);
}

#[test]
fn a_signal_drains_and_a_second_one_ends_at_once() {
    let (_guard, here) = folder(SIDECAR);
    for signal in [Signal::TERM, Signal::INT] {
        let mut serving = Serving::run(&here).ready();
        serving.signal(signal);
        assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
        serving.says("ended");
        assert!(!here.join("admin.sock").exists());
    }

    let mut serving =
        Serving::start(crate::harness::process::portcullis(&here).args(["run", "--set", "server.drain_delay=1h"]))
            .ready();
    let health = serving.health();
    serving.signal(Signal::TERM);
    serving.says("draining");
    let answer = get(health, "/readyz", "");
    assert_eq!((answer.status, answer.body.trim()), (503, r#"{"ready":false,"reasons":["draining"]}"#));
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended().code(), Some(1), "{}", serving.log());
}

#[test]
fn a_request_in_flight_is_answered_while_draining() {
    let (arrived, arrives) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let upstream = Upstream::answering(move |_| {
        arrived.send(()).expect("the test waits");
        let _ = released.lock().expect("no panic").recv_timeout(Duration::from_secs(20));
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()
    });
    let (_guard, here) = folder(&format!(
        "listener.main.bind = \"127.0.0.1:0\"\ndefaults.upstream = \"{}\"\n\
         [route.all]\nmatch = \"/{{*rest}}\"\naccept = \"anyone\"\n",
        upstream.url()
    ));
    let mut serving = Serving::run(&here).ready();
    let mut client = Wire::connect(serving.address("main"));
    client.write("GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n");
    arrives.recv_timeout(Duration::from_secs(20)).expect("the request reaches the upstream");
    serving.signal(Signal::TERM);
    serving.says("draining");
    release.send(()).expect("the upstream waits");
    assert_eq!(client.read_answer().expect("an answer").body, "done");
    assert_eq!(serving.ended().code(), Some(0), "{}", serving.log());
}
