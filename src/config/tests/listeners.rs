//! What is said of listeners that cannot be.

use super::bad::check;

#[test]
fn a_redirect_to_https_leads_somewhere_and_serves_nothing() {
    let tls = "listener.tls.bind = '127.0.0.1:1'\nlistener.tls.tls.certificates = { chain = 'c', key = 'k' }\n";
    let named = format!("{tls}listener.tls.public_origin = 'https://a.example'\n");
    let on = "route.app.listeners = 'tls'\nlistener.main.serve = 'redirect_to_https'\n";
    let no_host = "`redirect_to_https` knows no host: no listener with `tls` names one";
    let serves_none = |at: &str, name: &str| format!("{at} `listener.{name}` redirects to HTTPS and serves no route");
    let of_tls = "listener.c.bind = '127.0.0.1:2'\nlistener.c.serve = 'redirect_to_https'\nlistener.c.tls.certificates = { chain = 'c', key = 'k' }";
    check(&[
        (&format!("{named}{on}"), &[]),
        (&format!("{tls}{on}route.b = {{ match = 'a.example/b', accept = 'anyone', upstream = 'http://a' }}"), &[]),
        (&format!("{tls}{on}"), &[&format!("4:23 {no_host}")]),
        // The only listener that serves anything needs no mention.
        (&format!("{named}listener.main.serve = 'redirect_to_https'"), &[]),
        ("listener.main.serve = 'redirect_to_https'", &[&format!("1:23 {no_host}")]),
        (
            &format!("{named}route.app.listeners = 'main'\nlistener.main.serve = 'redirect_to_https'"),
            &[&serves_none("4:23", "main")],
        ),
        (&format!("{named}{on}listener.tls.serve = 'redirect_to_https'"), &[&serves_none("4:23", "tls")]),
        (&format!("{named}{on}{of_tls}"), &["7:20 `listener.c` speaks TLS itself"]),
        ("listener.main.https_port = 8443", &["1:28 `listener.main` redirects nobody"]),
        (&format!("{named}{on}listener.main.https_port = 0"), &["6:28 `0` is out of range"]),
    ]);
}

#[test]
fn hsts_needs_tls_and_lists_of_browsers_want_more() {
    let tls = "listener.main.tls.certificates = { chain = 'c', key = 'k' }\n";
    check(&[
        ("listener.main.hsts = {}", &["1:22 `hsts` without `tls`: browsers ignore what comes in clear text"]),
        ("listener.main.hsts = 'off'", &[]),
        (
            &format!("{tls}listener.main.hsts = {{ preload = true }}"),
            &["2:34 browsers would not take this into their lists"],
        ),
        (
            &format!("{tls}listener.main.hsts = {{ preload = true, include_subdomains = true, max_age = '364d' }}"),
            &["2:34 browsers would not take this into their lists"],
        ),
    ]);
}

#[test]
fn the_proxy_protocol_needs_proxies_that_are_trusted() {
    let nobody = |line: usize| format!("{line}:32 `proxy_protocol` without `trusted_proxies`: nobody could connect");
    let on = "listener.main.proxy_protocol = true";
    check(&[
        (on, &[&nobody(1)]),
        (&format!("listener.main.trusted_proxies = 'unix:'\n{on}"), &[&nobody(2)]),
        (&format!("listener.main.trusted_proxies = '10.0.0.0/8'\n{on}"), &[]),
        (&format!("listener.main.trusted_proxies = ['unix:', '10.0.0.1']\n{on}"), &[]),
        (&format!("listener.main.trusted_proxies = ['x']\n{on}"), &["1:34 `x` is no network"]),
        ("listener.main.timeouts.proxy_protocol = '0s'", &["1:41 must not be zero"]),
    ]);
}
