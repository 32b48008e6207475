//! What answers tell browsers to be careful about.

use crate::harness::certificates::{Authority, curl};
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

const OWN: &str =
    "Strict-Transport-Security: max-age=5\r\nX-Frame-Options: SAMEORIGIN\r\nReferrer-Policy: no-referrer\r\n";
const POLICY: &str = "Content-Security-Policy: frame-ancestors https://a.example\r\n";

fn upstream() -> Upstream {
    Upstream::answering(|received| {
        let more = match received.target().rsplit('/').next() {
            Some("own") => OWN,
            Some("policy") => POLICY,
            _ => "",
        };
        format!("HTTP/1.1 200 OK\r\n{more}Content-Length: 2\r\n\r\nok").into_bytes()
    })
}

/// The lines of these names, in lower case.
fn lines(text: &str) -> Vec<String> {
    let names = ["strict-transport-security", "x-content-type-options", "x-frame-options", "referrer-policy"];
    let mut found: Vec<String> = text.lines().map(str::to_ascii_lowercase).collect();
    found.retain(|line| names.iter().any(|name| line.starts_with(&format!("{name}:"))));
    found.sort();
    found
}

#[test]
fn they_are_added_where_the_upstream_says_nothing() {
    let upstream = upstream();
    let (_guard, here) = folder(&format!(
        r#"
server.workers = 1
[listener.clear]
bind = "127.0.0.1:0"
[listener.tls]
bind = "127.0.0.1:0"
tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
hsts = {{ max_age = "2d", include_subdomains = true }}
[defaults]
listeners = ["clear", "tls"]
upstream = "{}"
[route]
plain = {{ match = "/plain/{{*rest}}", accept = "anyone" }}
safe = {{ match = "/safe/{{*rest}}", security_headers = "standard", accept = "anyone" }}
never = {{ match = "/never", deny = [{{ methods = ["GET"] }}], accept = "anyone" }}
"#,
        upstream.url()
    ));
    Authority::new(&here).server("server", &["localhost"]);
    let serving = Serving::run(&here).ready();
    let clear = format!("http://localhost:{}", serving.address("clear").port());
    let tls = format!("https://localhost:{}", serving.address("tls").port());
    let of = |url: String| {
        let answer = curl(&here, &["-4", &url]);
        assert_eq!(answer.code, 0, "{answer:?}");
        lines(&answer.text)
    };
    let hsts = "strict-transport-security: max-age=172800; includesubdomains";
    let (nosniff, referrer) = ("x-content-type-options: nosniff", "referrer-policy: strict-origin-when-cross-origin");

    assert_eq!(of(format!("{tls}/plain/")), [hsts]);
    assert_eq!(of(format!("{clear}/plain/")), [""; 0], "not in clear text");
    assert_eq!(of(format!("{tls}/safe/")), [referrer, hsts, nosniff, "x-frame-options: deny"]);
    assert_eq!(of(format!("{clear}/safe/")), [referrer, nosniff, "x-frame-options: deny"]);
    assert_eq!(
        of(format!("{tls}/safe/own")),
        [
            "referrer-policy: no-referrer",
            "strict-transport-security: max-age=5",
            nosniff,
            "x-frame-options: sameorigin"
        ]
    );
    assert_eq!(of(format!("{tls}/safe/policy")), [referrer, hsts, nosniff]);
    // Answers of our own: a denial, nothing served.
    assert_eq!(of(format!("{tls}/never")), [hsts]);
    assert_eq!(of(format!("{tls}/nothing")), [hsts]);
}
