//! What the gate lets through and what an upstream is told, asked over real sockets: raw bytes to a listener, a recording
//! upstream behind it.

mod api_keys;
mod basic;
mod certificates;
mod credentials;
mod dpop;
mod every_byte;
mod foreign_sessions;
mod fuzz;
mod headers;
mod hostile;
mod issuers;
mod jwks;
mod keys;
mod opaque;
mod outage;
mod oversized;
mod paths;
mod policy;
mod presets;
mod revocation;
mod routes;
mod sessions;
mod step_up;
mod tokens;
mod trust;

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::http::{Answer, Wire};
use crate::harness::portcullis::Portcullis;

/// All but issuers, roles and routes, with this store and a revocation log that may be this old.
fn preamble_with(store: &str, max_staleness: &str) -> String {
    format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s", shutdown_grace = "10s" }}
        listener.main.bind = "127.0.0.1:0"
        health.bind = "127.0.0.1:0"
        admin.socket = "admin.sock"
        store = {{ url = "{store}", timeout = "5s" }}
        revocation.max_staleness = "{max_staleness}"
        "#
    )
}

/// The same with two roles, patient with a busy machine.
fn preamble(store: &str) -> String {
    preamble_with(store, "30s") + "[roles]\nreader = [\"read\"]\nnobody = []\n"
}

/// Asks again until it is so. Only so that a broken test ends is there a bound, far beyond what it can take.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never was so that {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One operation over the admin socket.
fn operate(portcullis: &Portcullis, method: &str, path: &str, body: &Value) -> Answer {
    let socket = portcullis.running.admin_socket().expect("an admin socket");
    let stream = UnixStream::connect(socket).expect("the admin socket is open");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    Wire::over(stream).exchange(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
    ))
}
