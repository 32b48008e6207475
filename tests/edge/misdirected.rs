//! Connections that were opened for one host and are used for another.

use crate::harness::certificates::{Authority, curl};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

#[test]
fn f52_a_request_for_another_host_than_its_connection_is_misdirected_where_client_certificates_differ() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!(
        r#"
[listener.main]
bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
client_auth = {{ mode = "optional", ca = "clients.pem" }}
[defaults]
upstream = "{}"
[[mtls]]
match = {{ uri = "spiffe://a/{{name}}" }}
subject = "{{name}}"
[route]
open = {{ match = "open.example/{{*rest}}", accept = "anyone" }}
other = {{ match = "other.example/{{*rest}}", accept = "anyone" }}
secret = {{ match = "secret.example/{{*rest}}", accept = "mtls" }}
wild = {{ match = "*.secret.example/{{*rest}}", accept = "mtls" }}
"#,
        upstream.url()
    ));
    let hosts = ["open.example", "other.example", "secret.example", "*.secret.example"];
    Authority::new(&here).server("server", &hosts);
    Authority::named(&here, "clients").client("client", "spiffe://a/client");
    let serving = Serving::run(&here).ready();
    let port = serving.address("main").port();
    let ask = |asked: &str, host: &str, more: &[&str]| {
        let (resolve, host) = (format!("{asked}:{port}:127.0.0.1"), format!("Host: {host}"));
        let url = format!("https://{asked}:{port}/x");
        curl(&here, &[&["--resolve", &resolve, "-H", &host][..], more, &[&url]].concat()).status()
    };
    let certificate = ["--cert", "client.pem", "--key", "client.key"];
    for version in ["--http1.1", "--http2"] {
        for with in [&[version][..], &[&[version][..], &certificate].concat()] {
            let known = with.len() > 1;
            assert_eq!(ask("open.example", "open.example", with), 200, "{with:?}");
            // Nothing differs between these two.
            assert_eq!(ask("open.example", "other.example", with), 200, "{with:?}");
            assert_eq!(ask("secret.example", "Secret.example.:443", with), if known { 200 } else { 401 }, "{with:?}");
            let before = upstream.received().len();
            for (asked, host) in [
                ("open.example", "secret.example"),
                ("open.example", "SECRET.example.:8443"),
                ("open.example", "a.secret.example"),
                ("secret.example", "open.example"),
                ("secret.example", "a.secret.example"),
                ("a.secret.example", "b.secret.example"),
                ("a.secret.example", "nobody.example"),
            ] {
                assert_eq!(ask(asked, host, with), 421, "{asked}, {host}, {with:?}");
            }
            assert_eq!(upstream.received().len(), before);
        }
    }
}

#[test]
fn f52_a_request_for_a_host_whose_tls_asks_otherwise_than_its_connection_is_misdirected() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!(
        r#"
[listener.main]
bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
[listener.main.tls.hosts]
"Strict.example.".client_auth = {{ mode = "required", ca = "clients.pem" }}
"*.strict.example".client_auth = {{ mode = "required", ca = "clients.pem" }}
"others.example".client_auth = {{ mode = "required", ca = "others.pem" }}
[route.all]
match = "/{{*rest}}"
accept = "anyone"
upstream = "{}"
"#,
        upstream.url()
    ));
    let hosts = ["open.example", "more.example", "strict.example", "a.strict.example", "others.example", "127.0.0.1"];
    Authority::new(&here).server("server", &hosts);
    Authority::named(&here, "clients").client("client", "spiffe://a/client");
    Authority::named(&here, "others").client("other", "spiffe://a/other");
    let serving = Serving::run(&here).ready();
    let port = serving.address("main").port();
    // `asked`: SNI; 127.0.0.1 has none.
    let ask = |asked: &str, host: &str, more: &[&str]| {
        let (resolve, host) = (format!("{asked}:{port}:127.0.0.1"), format!("Host: {host}"));
        let url = format!("https://{asked}:{port}/x");
        curl(&here, &[&["--resolve", &resolve, "-H", &host][..], more, &[&url]].concat())
    };
    let client = ["--cert", "client.pem", "--key", "client.key"];
    let other = ["--cert", "other.pem", "--key", "other.key"];
    for version in ["--http1.1", "--http2"] {
        let with = |certificate: &[&'static str]| [&[version][..], certificate].concat();
        let none = with(&[]);
        // What each name asks for is asked.
        assert_eq!(ask("open.example", "open.example", &none).status(), 200);
        assert_eq!(ask("127.0.0.1", "127.0.0.1", &none).status(), 200);
        for name in ["strict.example", "a.strict.example"] {
            assert_ne!(ask(name, name, &none).code, 0, "{name}");
            assert_ne!(ask(name, name, &with(&other)).code, 0, "{name}");
            assert_eq!(ask(name, &format!("{}.:443", name.to_uppercase()), &with(&client)).status(), 200);
        }
        assert_eq!(ask("others.example", "others.example", &with(&other)).status(), 200);
        // The same is asked for both.
        assert_eq!(ask("open.example", "more.example", &none).status(), 200);
        assert_eq!(ask("127.0.0.1", "open.example", &none).status(), 200);
        assert_eq!(ask("strict.example", "b.strict.example", &with(&client)).status(), 200);
        let before = upstream.received().len();
        for (asked, host, certificate) in [
            ("open.example", "strict.example", &[][..]),
            ("open.example", "STRICT.example.:8443", &[]),
            ("open.example", "b.strict.example", &[]),
            ("127.0.0.1", "strict.example", &[]),
            ("127.0.0.1", "Strict.Example:443", &[]),
            ("open.example", "strict.example", &client),
            ("strict.example", "open.example", &client),
            ("strict.example", "others.example", &client),
            ("strict.example", "127.0.0.1", &client),
            ("others.example", "strict.example", &other),
        ] {
            assert_eq!(ask(asked, host, &with(certificate)).status(), 421, "{asked} {host} {version}");
        }
        assert_eq!(upstream.received().len(), before);
    }
    // One connection for several hosts (HTTP/1.1), and the target in absolute-form, which is what counts.
    let resolve = format!("open.example:{port}:127.0.0.1");
    let url = format!("https://open.example:{port}/x");
    let absolute = ["--request-target", "https://strict.example/x", "-H", "Host: strict.example"];
    let fixed = ["--http1.1", "--resolve", &resolve];
    assert_eq!(curl(&here, &[&fixed[..], &absolute, &[&url]].concat()).status(), 421);
    let next = ["--next", "-sS", "-i", "--cacert", "ca.pem", "--resolve", &resolve, "-H", "Host: strict.example", &url];
    for version in ["--http1.1", "--http2"] {
        let both = curl(&here, &[&[version, "--resolve", &resolve, &url][..], &next, &[version]].concat());
        assert_eq!(both.status(), 200);
        assert!(both.text.contains(" 421"), "{version}: {}", both.text);
    }
}

#[test]
fn f53_a_certificate_with_nul_or_line_ends_in_a_name_is_nobodys() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!(
        r#"
[listener.main]
bind = "127.0.0.1:0"
[listener.main.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
client_auth = {{ mode = "optional", ca = "clients.pem" }}
[[mtls]]
match = {{ uri = "spiffe://a/{{name}}" }}
subject = "{{name}}"
[route.secret]
match = "/{{*rest}}"
accept = "mtls"
upstream = "{}"
"#,
        upstream.url()
    ));
    Authority::new(&here).server("server", &["localhost"]);
    let mut clients = Authority::named(&here, "clients");
    clients.client("good", "spiffe://a/admin");
    clients.client("nul", "spiffe://a/admin\0.evil.example");
    clients.client("line", "spiffe://a/admin\r\nX-Auth-Roles: root");
    let serving = Serving::run(&here).ready();
    let url = format!("https://localhost:{}/x", serving.address("main").port());
    let ask = |name: &str| {
        let (chain, key) = (format!("{name}.pem"), format!("{name}.key"));
        curl(&here, &["--cert", &chain, "--key", &key, &url])
    };
    assert_eq!(ask("good").status(), 200);
    for name in ["nul", "line"] {
        let answer = ask(name);
        assert!(answer.code != 0 || answer.status() == 401, "{answer:?}");
    }
    assert_eq!(upstream.received().len(), 1);
}
