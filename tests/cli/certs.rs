//! `portcullis certs`: what it makes is taken by openssl, by curl and by a listener; what it shows.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::certificates::curl;
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

fn certs(here: &Path, arguments: &str) -> String {
    let arguments: Vec<&str> = ["certs"].into_iter().chain(arguments.split_whitespace()).collect();
    run(here, &arguments).ok()
}

/// Whether it ended well, and what it said.
fn openssl(here: &Path, arguments: &str) -> (bool, String) {
    let output = Command::new("openssl").current_dir(here).args(arguments.split_whitespace()).output();
    let output = output.expect("openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[track_caller]
fn openssl_ok(here: &Path, arguments: &str) -> String {
    let (ok, text) = openssl(here, arguments);
    assert!(ok, "openssl {arguments}: {text}");
    text
}

#[test]
fn openssl_takes_what_is_made() {
    let (_guard, here) = folder("");
    for (ca, more) in [("plain", ""), ("deep", "--intermediate"), ("ed", "--algorithm ed25519 --intermediate")] {
        certs(&here, &format!("ca --out {ca} {more}"));
        certs(&here, &format!("server localhost *.dev.example 127.0.0.1 --uri spiffe://dev/a --ca {ca} --out {ca}"));
        let client = "client orders --uri spiffe://dev/orders --dns orders.dev --email o@dev.example";
        certs(&here, &format!("{client} --ca {ca} --out {ca}"));
        let verify = format!("verify -x509_strict -CAfile {ca}/ca.pem -untrusted");
        let server = format!("{verify} {ca}/server.pem -purpose sslserver");
        openssl_ok(&here, &format!("{server} -verify_hostname a.dev.example {ca}/server.pem"));
        openssl_ok(&here, &format!("{server} -verify_ip 127.0.0.1 {ca}/server.pem"));
        assert!(!openssl(&here, &format!("{server} -verify_hostname dev.example {ca}/server.pem")).0);
        openssl_ok(&here, &format!("{verify} {ca}/orders.pem -purpose sslclient {ca}/orders.pem"));
        assert!(!openssl(&here, &format!("{verify} {ca}/orders.pem -purpose sslserver {ca}/orders.pem")).0);
        let text = openssl_ok(&here, &format!("x509 -in {ca}/orders.pem -noout -text"));
        for says in ["URI:spiffe://dev/orders", "DNS:orders.dev", "email:o@dev.example", "CN=orders"] {
            assert!(text.replace("CN = ", "CN=").contains(says), "{says}: {text}");
        }
        for key in ["ca.key", "server.key", "orders.key"] {
            let path = here.join(ca).join(key);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
            openssl_ok(&here, &format!("pkey -in {ca}/{key} -check -noout"));
        }
        let chain = std::fs::read_to_string(here.join(ca).join("server.pem")).unwrap();
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), if ca == "plain" { 1 } else { 2 });
    }
}

#[test]
fn nothing_that_is_there_is_lost_and_nothing_is_half_made() {
    let (_guard, here) = folder("");
    certs(&here, "ca --out ca");
    let key = std::fs::read(here.join("ca/ca.key")).unwrap();
    run(&here, &["certs", "ca", "--out", "ca"]).failed(1, &["ca/ca.key", "--force"]);
    assert_eq!(std::fs::read(here.join("ca/ca.key")).unwrap(), key);
    certs(&here, "server localhost --ca ca");
    std::fs::remove_file(here.join("server.key")).unwrap();
    run(&here, &["certs", "server", "localhost", "--ca", "ca"]).failed(1, &["server.pem", "--force"]);
    assert!(!here.join("server.key").exists());
    certs(&here, "server localhost --ca ca --force");
    certs(&here, "ca --out ca --force");
    assert_ne!(std::fs::read(here.join("ca/ca.key")).unwrap(), key);
    for (arguments, code, says) in [
        ("server localhost --ca nowhere", 1, "nowhere/ca.key"),
        ("server a/b --ca ca", 2, "no such name"),
        ("client ../x --ca ca", 2, "--file"),
        ("client x --uri spiffe --ca ca", 2, "--uri"),
        ("client x --days 0 --ca ca", 2, "--days"),
    ] {
        let arguments: Vec<&str> = ["certs"].into_iter().chain(arguments.split_whitespace()).collect();
        run(&here, &arguments).failed(code, &[says]);
    }
    // A key of another CA than the certificate's.
    certs(&here, "ca --out other");
    std::fs::copy(here.join("other/ca.key"), here.join("ca/ca.key")).unwrap();
    run(&here, &["certs", "client", "x", "--ca", "ca"]).failed(1, &["not the one of the certificate"]);
    // An end entity signs nothing.
    std::fs::copy(here.join("server.pem"), here.join("other/ca.pem")).unwrap();
    std::fs::copy(here.join("server.key"), here.join("other/ca.key")).unwrap();
    run(&here, &["certs", "client", "x", "--ca", "other"]).failed(1, &["not that of a CA"]);
}

#[test]
fn a_revocation_list_grows_and_openssl_heeds_it() {
    let (_guard, here) = folder("");
    certs(&here, "ca --out ca --intermediate");
    for name in ["one", "two", "three"] {
        certs(&here, &format!("client {name} --ca ca"));
    }
    certs(&here, "crl --ca ca --revoke one.pem");
    certs(&here, "crl --ca ca --revoke two.pem one.pem");
    certs(&here, "crl --ca ca");
    for (name, good) in [("one", false), ("two", false), ("three", true)] {
        let command =
            format!("verify -CAfile ca/ca.pem -untrusted {name}.pem -CRLfile ca/ca.crl -crl_check_all {name}.pem");
        let (ok, text) = openssl(&here, &command);
        assert_eq!(ok, good, "{name}: {text}");
        assert_eq!(text.contains("revoked"), !good, "{name}: {text}");
    }
    let text = openssl_ok(&here, "crl -in ca/ca.crl -noout -text");
    assert!(text.contains("Next Update"), "{text}");
    // Both lists are there: that of the root, and that of the intermediate with two entries and the number of the third.
    let lists = std::fs::read_to_string(here.join("ca/ca.crl")).unwrap();
    assert_eq!(lists.matches("BEGIN X509 CRL").count(), 2);
    let second = lists.rfind("-----BEGIN").unwrap();
    std::fs::write(here.join("second.crl"), &lists[second..]).unwrap();
    let text = openssl_ok(&here, "crl -in second.crl -noout -text");
    assert_eq!(text.matches("Serial Number:").count(), 2, "{text}");
    let number = text.split("X509v3 CRL Number:").nth(1).unwrap().split_whitespace().next();
    assert_eq!(number, Some("3"), "{text}");

    certs(&here, "ca --out other");
    certs(&here, "client stranger --ca other");
    run(&here, &["certs", "crl", "--ca", "ca", "--revoke", "stranger.pem"]).failed(1, &["not signed by this CA"]);
    let other = ["certs", "crl", "--ca", "other", "--out", "ca/ca.crl"];
    run(&here, &other).failed(1, &["another CA"]);
    assert_eq!(std::fs::read_to_string(here.join("ca/ca.crl")).unwrap(), lists);
}

#[test]
fn a_listener_takes_what_is_made_and_refuses_what_is_revoked() {
    let upstream = Upstream::start();
    let text = format!(
        r#"
        server.workers = 1
        health.bind = "127.0.0.1:0"
        admin.socket = "admin.sock"
        [listener.main]
        bind = "127.0.0.1:0"
        tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
        tls.client_auth = {{ mode = "required", ca = "ca.pem", crls = ["ca.crl"] }}
        [[mtls]]
        match.uri = "spiffe://dev/{{name}}"
        [route.all]
        match = "/{{*rest}}"
        accept = "mtls"
        upstream = "app"
        [upstream.app]
        endpoints = ["{}"]
        "#,
        upstream.url()
    );
    let (_guard, here) = folder(&text);
    certs(&here, "ca --out . --intermediate");
    certs(&here, "server localhost --ca .");
    for name in ["good", "bad"] {
        certs(&here, &format!("client {name} --uri spiffe://dev/{name} --ca ."));
    }
    certs(&here, "crl --ca . --revoke bad.pem");
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/", serving.address("main").port());
    assert_eq!(curl(&here, &[&url, "--cert", "good.pem", "--key", "good.key"]).status(), 200);
    for arguments in [&[&*url, "--cert", "bad.pem", "--key", "bad.key"][..], &[&*url]] {
        let refused = curl(&here, arguments);
        assert!(matches!(refused.code, 35 | 55 | 56), "{refused:?}");
    }
}
