//! TLS as curl and OpenSSL see it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::certificates::{Authority, curl};
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

/// A listener `main` with the certificates `server` and `other`, and more lines for its `tls`.
fn configuration(upstream: &Upstream, tls: &str) -> String {
    format!(
        r#"
[listener.main]
bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}, {{ chain = "other.pem", key = "other.key" }}]
{tls}
[defaults]
upstream = "{}"
[route.open]
match = "/open"
accept = "anyone"
"#,
        upstream.url()
    )
}

fn certificates(folder: &Path) -> Authority {
    let mut authority = Authority::new(folder);
    authority.server("server", &["localhost", "a.example"]);
    authority.server("other", &["b.example"]);
    authority
}

fn port(serving: &Serving) -> u16 {
    serving.address("main").port()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, ""));
    certificates(&here);
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/open", port(&serving));
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        assert_eq!(curl(&here, &[&version[..], &[&url]].concat()).status(), 200, "{version:?}");
    }
    // Lowered so that this curl's own library does not refuse in our stead: its hello does reach Portcullis.
    let lowered = ["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &url];
    let refused = curl(&here, &lowered);
    assert_eq!(refused.code, 35, "{refused:?}");
    assert!(refused.text.contains(" alert "), "it is the server that refuses: {refused:?}");
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn the_older_version_can_be_switched_off() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, "tls12 = false"));
    certificates(&here);
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/open", port(&serving));
    assert_eq!(curl(&here, &["--tls-max", "1.2", &url]).code, 35);
    assert_eq!(curl(&here, &[&url]).status(), 200);
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, ""));
    certificates(&here);
    let serving = Serving::run(&here).ready();
    let port = port(&serving);
    for name in ["a.example", "b.example"] {
        let resolve = format!("{name}:{port}:127.0.0.1");
        // curl verifies the certificate against the name, so a wrong choice is an error 60.
        let answer = curl(&here, &["--resolve", &resolve, &format!("https://{name}:{port}/open")]);
        assert_eq!(answer.status(), 200, "{name}");
    }
    let resolve = format!("c.example:{port}:127.0.0.1");
    let answer = curl(&here, &["--resolve", &resolve, &format!("https://c.example:{port}/open")]);
    assert_ne!(answer.code, 0, "nobody vouches for c.example: {answer:?}");
}

#[test]
fn alpn_chooses_the_version_of_http() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, ""));
    certificates(&here);
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/open", port(&serving));
    assert!(curl(&here, &["--http2", &url]).text.starts_with("HTTP/2 200"));
    assert!(curl(&here, &["--http1.1", &url]).text.starts_with("HTTP/1.1 200"));
    assert!(curl(&here, &["--no-alpn", &url]).text.starts_with("HTTP/1.1 200"));
}

const MTLS: &str = r#"
[[mtls]]
match = { uri = "spiffe://cluster.local/ns/{ns}/sa/{sa}" }
subject = "{ns}/{sa}"
roles = ["service"]
[roles]
service = ["orders:read"]
accountant = []
[route.orders]
match = "/orders"
accept = "mtls"
allow = [{ permissions = ["orders:read"] }]
[route.billing]
match = "/billing"
accept = "mtls"
allow = [{ roles = ["accountant"] }]
"#;

#[test]
fn a_client_certificate_becomes_an_identity() {
    let upstream = Upstream::start();
    let auth = "client_auth = { mode = \"optional\", ca = \"clients.pem\" }";
    let (_guard, here) = folder(&(configuration(&upstream, auth) + MTLS));
    certificates(&here);
    let mut clients = Authority::named(&here, "clients");
    clients.client("orders", "spiffe://cluster.local/ns/shop/sa/orders");
    clients.client("stranger", "spiffe://elsewhere.example/ns/shop/sa/orders");
    Authority::named(&here, "foreign").client("forged", "spiffe://cluster.local/ns/shop/sa/orders");
    let serving = Serving::run(&here).ready();
    let url = |path: &str| format!("https://localhost:{}{path}", port(&serving));
    let with = |name: &str, path: &str| {
        let (chain, key) = (format!("{name}.pem"), format!("{name}.key"));
        curl(&here, &["--cert", &chain, "--key", &key, &url(path)])
    };

    assert_eq!(with("orders", "/orders").status(), 200);
    assert_eq!(upstream.last().value("x-auth-subject"), Some("shop/orders"));
    assert_eq!(with("orders", "/billing").status(), 403);
    assert_eq!(with("stranger", "/orders").status(), 401, "its CA is ours, but no rule names it");
    assert_eq!(curl(&here, &[&url("/orders")]).status(), 401);
    assert_eq!(curl(&here, &[&url("/open")]).status(), 200);
    let forged = with("forged", "/orders");
    assert_ne!(forged.code, 0, "another CA signed it: {forged:?}");
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn where_a_client_certificate_is_required_nobody_speaks_without_one() {
    let upstream = Upstream::start();
    let auth = "client_auth = { mode = \"required\", ca = \"clients.pem\" }";
    let (_guard, here) = folder(&configuration(&upstream, auth));
    certificates(&here);
    Authority::named(&here, "clients").client("orders", "spiffe://cluster.local/ns/shop/sa/orders");
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/open", port(&serving));
    for version in ["1.2", "1.3"] {
        let refused = curl(&here, &["--tls-max", version, &url]);
        assert!([35, 55, 56, 98].contains(&refused.code), "{version}: {refused:?}");
    }
    assert_eq!(upstream.received().len(), 0);
    assert_eq!(curl(&here, &["--cert", "orders.pem", "--key", "orders.key", &url]).status(), 200);
}

/// `portcullis run` and `portcullis check` refuse: exit code 2, these words, and nothing listens.
#[track_caller]
fn refused(folder: &Path, says: &[&str]) {
    run(folder, &["run"]).failed(2, says);
    run(folder, &["check"]).failed(2, says);
}

#[test]
fn f54_a_bad_ca_file_or_an_empty_option_never_means_that_nobody_is_asked() {
    let upstream = Upstream::start();
    for mode in ["required", "optional"] {
        let auth = format!("client_auth = {{ mode = \"{mode}\", ca = \"clients.pem\" }}");
        let (_guard, here) = folder(&configuration(&upstream, &auth));
        certificates(&here);
        refused(&here, &["clients.pem"]);
        let half = {
            Authority::named(&here, "clients");
            let whole = std::fs::read_to_string(here.join("clients.pem")).unwrap();
            whole[..whole.len() / 2].to_owned()
        };
        let not_base64 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let key = std::fs::read_to_string(here.join("server.key")).unwrap();
        for content in ["", "no certificate", &half, not_base64, &key] {
            std::fs::write(here.join("clients.pem"), content).unwrap();
            refused(&here, &["clients.pem"]);
        }
    }
    for (auth, says) in [
        ("client_auth = {}", "client_auth"),
        ("client_auth = { mode = \"required\" }", "ca"),
        ("client_auth = { mode = \"required\", ca = \"\" }", "ca"),
        ("client_auth = { ca = \"ca.pem\" }", "mode"),
        ("client_auth = { mode = \"\", ca = \"ca.pem\" }", "mode"),
        ("client_auth = \"\"", "client_auth"),
        ("client_auth = { mode = \"required\", ca = \"ca.pem\", crls = [\"\"] }", "crls"),
        ("client_auth = { mode = \"required\", ca = \"ca.pem\", crls = [\"ca.pem\"] }", "ca.pem"),
    ] {
        let (_guard, here) = folder(&configuration(&upstream, auth));
        certificates(&here);
        refused(&here, &[says]);
    }
}

#[test]
fn f54_a_route_that_wants_certificates_needs_a_listener_that_asks_for_them() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&(configuration(&upstream, "") + MTLS));
    certificates(&here);
    refused(&here, &["`mtls` without client certificates", "client_auth"]);
}

#[test]
fn f55_early_data_is_not_taken() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&configuration(&upstream, ""));
    certificates(&here);
    let serving = Serving::run(&here).ready();
    let address = serving.address("main").to_string();
    let client = |arguments: &[&str]| {
        let fixed = ["s_client", "-connect", &address, "-servername", "localhost", "-CAfile", "ca.pem", "-tls1_3"];
        let mut child = Command::new("openssl")
            .current_dir(&here)
            .args(fixed)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl");
        // Tickets come after the handshake: the answer to a request shows that they have been read.
        let request = "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        child.stdin.take().expect("a pipe").write_all(request.as_bytes()).expect("it listens");
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let first = client(&["-sess_out", "session.pem", "-ign_eof"]);
    assert!(first.contains("HTTP/1.1 200"), "{first}");
    assert!(here.join("session.pem").exists(), "there is a session to resume");
    std::fs::write(here.join("early"), "GET /open?early HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let second = client(&["-sess_in", "session.pem", "-early_data", "early", "-ign_eof"]);
    assert!(!second.contains("Early data was accepted"), "{second}");
    assert!(upstream.received().iter().all(|request| request.target() == "/open"), "{:#?}", upstream.received());
    let ticket = Command::new("openssl")
        .current_dir(&here)
        .args(["sess_id", "-in", "session.pem", "-noout", "-text"])
        .output()
        .expect("openssl");
    let text = String::from_utf8_lossy(&ticket.stdout).into_owned();
    assert!(text.contains("Max Early Data: 0"), "{text}");
}
