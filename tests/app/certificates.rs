//! Certificates that change on disk, as cert-manager and spiffe-helper write them, and what is told before they end.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis::crypto::dev_certs::DevCertificates;
use portcullis::model::{Clock as _, SystemClock};

use crate::harness::certificates::curl;
use crate::harness::http::get;
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

#[track_caller]
pub(super) fn certs(here: &Path, arguments: &str) {
    let arguments: Vec<&str> = ["certs"].into_iter().chain(arguments.split_whitespace()).collect();
    run(here, &arguments).ok();
}

/// Puts files into a new version of a Secret volume and swaps to it, as the kubelet does.
fn swap(here: &Path, volume: &str, version: &str, files: &[(&str, &[&str])]) {
    let at = here.join(volume);
    std::fs::create_dir_all(at.join(version)).expect("a directory");
    for (name, parts) in files {
        let parts = parts.iter().map(|part| std::fs::read_to_string(here.join(part)).expect("a file"));
        std::fs::write(at.join(version).join(name), parts.collect::<String>()).expect("a file can be written");
    }
    let before = std::fs::read_link(at.join("..data")).ok();
    symlink(version, at.join("..data_tmp")).expect("a link");
    std::fs::rename(at.join("..data_tmp"), at.join("..data")).expect("a link can be replaced");
    for (name, _) in files {
        let _ = symlink(format!("..data/{name}"), at.join(name));
    }
    if let Some(before) = before {
        std::fs::remove_dir_all(at.join(before)).expect("the version before can be removed");
    }
}

/// The certificate that a listener shows, as PEM has it.
pub(super) fn shown(serving: &Serving) -> String {
    let address = serving.address("main").to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "localhost"])
        .stdin(Stdio::null())
        .output()
        .expect("openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE").unwrap_or_else(|| panic!("no certificate: {output:?}"));
    text[begin..].split_inclusive("-----END CERTIFICATE-----").next().unwrap_or_default().to_owned()
}

fn front(backend: &str, more: &str) -> String {
    format!(
        r#"
        server = {{ workers = 1, drain_delay = "0s" }}
        health.bind = "127.0.0.1:0"
        [listener.main]
        bind = "127.0.0.1:0"
        tls.certificates = [{{ chain = "tls/tls.crt", key = "tls/tls.key" }}]
        tls.client_auth = {{ mode = "required", ca = "tls/ca.crt", crls = ["tls/ca.crl"] }}
        [[mtls]]
        match.uri = "spiffe://dev/{{name}}"
        [route.all]
        match = "/{{*rest}}"
        accept = "mtls"
        upstream = "app"
        [upstream.app]
        endpoints = ["{backend}"]
        {more}
        "#
    )
}

#[test]
fn secrets_that_kubernetes_swaps_are_taken_up_for_listeners_and_upstreams() {
    let app = Upstream::start();
    let (_guard, here) = folder("");
    for ca in ["a", "b"] {
        certs(&here, &format!("ca --out {ca}"));
        certs(&here, &format!("server localhost --ca {ca} --out {ca}"));
        for name in ["front", "good", "bad"] {
            certs(&here, &format!("client {name} --uri spiffe://dev/{name} --ca {ca} --out {ca}"));
        }
        certs(&here, &format!("crl --ca {ca} --revoke {ca}/bad.pem"));
    }
    let server = |ca: &str| {
        [format!("{ca}/server.pem"), format!("{ca}/server.key"), format!("{ca}/ca.pem"), format!("{ca}/ca.crl")]
    };
    let volume = |version: &str, own: &str, trusted: &[&str], at: &str| {
        let [chain, key, ..] = server(own);
        let cas: Vec<String> = trusted.iter().map(|ca| format!("{ca}/ca.pem")).collect();
        let crls: Vec<String> = trusted.iter().map(|ca| format!("{ca}/ca.crl")).collect();
        let (cas, crls): (Vec<&str>, Vec<&str>) =
            (cas.iter().map(String::as_str).collect(), crls.iter().map(String::as_str).collect());
        let files: [(&str, &[&str]); 4] =
            [("tls.crt", &[&*chain]), ("tls.key", &[&*key]), ("ca.crt", &cas), ("ca.crl", &crls)];
        swap(&here, at, version, &files);
    };
    let identity = |version: &str, own: &str, trusted: &[&str]| {
        let (chain, key) = (format!("{own}/front.pem"), format!("{own}/front.key"));
        let cas: Vec<String> = trusted.iter().map(|ca| format!("{ca}/ca.pem")).collect();
        let cas: Vec<&str> = cas.iter().map(String::as_str).collect();
        swap(&here, "identity", version, &[("tls.crt", &[&*chain]), ("tls.key", &[&*key]), ("ca.crt", &cas)]);
    };
    volume("..1", "a", &["a"], "back");
    volume("..1", "a", &["a"], "tls");
    identity("..1", "a", &["a"]);

    std::fs::write(here.join("back.toml"), front(&app.url(), "").replace("\"tls/", "\"back/")).expect("a file");
    let back =
        Serving::start(crate::harness::process::portcullis(&here).args(["run", "--config", "back.toml"])).ready();
    let https = format!("https://localhost:{}", back.address("main").port());
    let outbound =
        r#"tls = { ca = "identity/ca.crt", certificate = { chain = "identity/tls.crt", key = "identity/tls.key" } }"#;
    std::fs::write(here.join("portcullis.toml"), front(&https, outbound)).expect("a file");
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/", serving.address("main").port());
    let ask = |ca: &str, name: &str| {
        std::fs::copy(here.join(ca).join("ca.pem"), here.join("ca.pem")).expect("a file");
        let (cert, key) = (format!("{ca}/{name}.pem"), format!("{ca}/{name}.key"));
        curl(&here, &[&url, "--cert", &cert, "--key", &key])
    };
    let refused = |ca: &str, name: &str| {
        let answer = ask(ca, name);
        assert!(matches!(answer.code, 35 | 55 | 56), "{ca}/{name}: {answer:?}");
    };
    assert_eq!(ask("a", "good").status(), 200);
    refused("a", "bad");

    // What is behind trusts the new CA too, before anybody shows a certificate of it.
    volume("..2", "a", &["a", "b"], "back");
    back.says_after("reloaded cause=\"files\"", 0);
    volume("..2", "b", &["b"], "tls");
    serving.says_after("reloaded cause=\"files\"", 0);
    identity("..2", "b", &["a", "b"]);
    serving.says_after("reloaded cause=\"files\"", 1);
    assert_eq!(ask("b", "good").status(), 200);
    refused("b", "bad");
    std::fs::copy(here.join("b/ca.pem"), here.join("ca.pem")).expect("a file");
    let old = curl(&here, &[&url, "--cert", "a/good.pem", "--key", "a/good.key"]);
    assert!(matches!(old.code, 35 | 55 | 56), "the old CA counts no more: {old:?}");
    // And now it knows nothing but the new one.
    volume("..3", "b", &["b"], "back");
    back.says_after("reloaded cause=\"files\"", 1);
    assert_eq!(ask("b", "good").status(), 200);
    // A revocation list alone.
    certs(&here, "crl --ca b --revoke b/good.pem");
    volume("..3", "b", &["b"], "tls");
    serving.says_after("reloaded cause=\"files\"", 2);
    refused("b", "good");
}

#[test]
fn files_that_are_written_one_after_the_other_are_taken_up_once_they_fit() {
    let app = Upstream::start();
    let text = front(&app.url(), "")
        .replace("tls/tls.crt", "svid.pem")
        .replace("tls/tls.key", "svid_key.pem")
        .replace("tls/ca.crt", "svid_bundle.pem")
        .replace(", crls = [\"tls/ca.crl\"]", "");
    let (_guard, here) = folder(&text);
    for ca in ["a", "b"] {
        certs(&here, &format!("ca --out {ca}"));
        certs(&here, &format!("server localhost --ca {ca} --out {ca} --both --uri spiffe://dev/own"));
        certs(&here, &format!("client good --uri spiffe://dev/good --ca {ca} --out {ca}"));
    }
    // In place, as spiffe-helper writes.
    let write = |ca: &str, from: &str, to: &str| {
        let text = std::fs::read(here.join(ca).join(from)).expect("a file");
        std::fs::write(here.join(to), text).expect("a file can be written");
    };
    let (chain, key, bundle) =
        (("server.pem", "svid.pem"), ("server.key", "svid_key.pem"), ("ca.pem", "svid_bundle.pem"));
    for (from, to) in [chain, key, bundle] {
        write("a", from, to);
    }
    let serving = Serving::run(&here).ready();
    let certificate =
        |ca: &str| std::fs::read_to_string(here.join(ca).join("server.pem")).expect("a file").trim().to_owned();
    assert_eq!(shown(&serving), certificate("a"));

    write("b", chain.0, chain.1);
    serving.says("does not belong to the first certificate");
    assert_eq!(shown(&serving), certificate("a"), "the old ones go on");
    write("b", key.0, key.1);
    serving.says_after("reloaded cause=\"files\"", 0);
    assert_eq!(shown(&serving), certificate("b"));
    write("b", bundle.0, bundle.1);
    serving.says_after("reloaded cause=\"files\"", 1);
    let url = format!("https://localhost:{}/", serving.address("main").port());
    std::fs::copy(here.join("b/ca.pem"), here.join("ca.pem")).expect("a file");
    assert_eq!(curl(&here, &[&url, "--cert", "b/good.pem", "--key", "b/good.key"]).status(), 200);

    // The other way round, and cut off in the middle.
    write("a", key.0, key.1);
    serving.says_after("does not belong to the first certificate", 1);
    let whole = std::fs::read_to_string(here.join("a/server.pem")).expect("a file");
    std::fs::write(here.join("svid.pem"), &whole[..whole.len() / 2]).expect("a file can be written");
    serving.says("svid.pem` is not valid PEM");
    assert_eq!(shown(&serving), certificate("b"));
    write("a", chain.0, chain.1);
    serving.says_after("reloaded cause=\"files\"", 2);
    assert_eq!(shown(&serving), certificate("a"));
}

#[test]
fn what_ends_soon_is_logged_told_by_readyz_and_by_check_and_is_a_metric() {
    let app = Upstream::start();
    let outbound = r#"tls.ca = "ca/ca.pem""#;
    let (_guard, here) = folder(&front(&app.url().replace("http:", "https:"), outbound));
    certs(&here, "ca --out ca --days 400");
    certs(&here, "server localhost --ca ca --out ca --days 90");
    certs(&here, "crl --ca ca --days 20");
    std::fs::create_dir(here.join("tls")).expect("a directory");
    let copy = |from: &str, to: &str| {
        std::fs::copy(here.join("ca").join(from), here.join("tls").join(to)).expect("a file");
    };
    for (from, to) in [("server.pem", "tls.crt"), ("server.key", "tls.key"), ("ca.pem", "ca.crt"), ("ca.crl", "ca.crl")]
    {
        copy(from, to);
    }
    let serving = Serving::run(&here).ready();
    let ready = get(serving.health(), "/readyz", "");
    assert_eq!((ready.status, ready.body.trim()), (200, r#"{"ready":true,"reasons":[]}"#));
    let metrics = get(serving.health(), "/metrics", "").body;
    for kind in ["listener\",name=\"main", "client_ca\",name=\"main", "crl\",name=\"main", "upstream_ca\",name=\"app"] {
        let start = format!("portcullis_certificate_expiry_timestamp_seconds{{kind=\"{kind}\"");
        assert!(metrics.contains(&start), "{start} is not in {metrics}");
    }
    assert!(!run(&here, &["check"]).stderr.contains("expires"));

    // One that was made 85 days ago and ends in five, and a list that goes with it.
    let write = |days_ago: u64| {
        let then = SystemClock.now().before(Duration::from_secs(days_ago * 86_400));
        let mut ca = DevCertificates::new(then).expect("a CA");
        let made = ca.server(&["localhost"]).expect("a certificate");
        let list = ca.revocation_list(&[]).expect("a list");
        let files = [("tls.key", made.key_pem.expose()), ("tls.crt", &made.chain_pem), ("ca.crl", &list)];
        for (name, text) in files {
            std::fs::write(here.join("tls").join(name), text).expect("a file can be written");
        }
    };
    write(85);
    let logged = serving.says("listener.main: certificate expires in 4 days");
    assert!(logged.contains("WARN"), "{logged}");
    serving.says("listener.main: revocation list expires in 4 days");
    let ready = get(serving.health(), "/readyz", "");
    assert_eq!(ready.status, 200, "it is as ready as ever");
    let told = ready.json()["warnings"].to_string();
    for warning in ["warning: listener.main: certificate expires in 4 days", "revocation list expires in 4 days"] {
        assert!(told.contains(warning), "{told}");
    }
    assert!(!told.contains("a CA"), "{told}");
    run(&here, &["health", "--address", &serving.health().to_string()]).ok();
    let checked = run(&here, &["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stderr.contains("warning: listener.main: certificate expires in 4 days"), "{checked:?}");
    assert!(checked.stderr.contains("the configuration is good, "), "{checked:?}");
    let until = |kind: &str| -> u64 {
        let start = format!("portcullis_certificate_expiry_timestamp_seconds{{kind=\"{kind}\"");
        let metrics = get(serving.health(), "/metrics", "").body;
        let line = metrics.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{kind}: {metrics}"));
        line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    let now = SystemClock.now().as_secs();
    for kind in ["listener", "crl"] {
        assert!((now + 4 * 86_400..now + 5 * 86_400).contains(&until(kind)), "{kind}");
    }
    assert!(until("client_ca") > now + 390 * 86_400);

    // Expired, and served all the same.
    write(100);
    serving.says("listener.main: certificate has expired");
    assert!(get(serving.health(), "/readyz", "").body.contains("certificate has expired"));
    assert!(until("listener") < now);
    assert!(shown(&serving).contains("BEGIN"));
}
