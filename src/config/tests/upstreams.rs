//! `[upstream.NAME]`.

use std::time::Duration;

use super::*;
use crate::model::settings::{
    Balance, CertifiedName, CredentialSource, HashKey, HttpVersion, ProxyProtocol, Retries, TokenClientAuth,
    UpstreamSettings, UpstreamTls,
};

/// An upstream with two endpoints and `more`.
pub(super) fn upstream(more: &str) -> UpstreamSettings {
    let loaded = good(&format!("[upstream.up]\nendpoints = ['http://a:1', 'http://b:2']\n{more}"));
    let found = loaded.settings.upstreams.iter().find(|upstream| &*upstream.name == "up").expect("the upstream");
    UpstreamSettings::clone(found)
}

/// What is said of one with `more`, without places.
pub(super) fn said(more: &str) -> Vec<String> {
    let text = format!("{BASE}{ROUTE}[upstream.up]\nendpoints = ['http://a:1', 'http://b:2']\n{more}");
    problems(&text).iter().map(|line| line.split_once(' ').expect("a place").1.to_owned()).collect()
}

#[test]
fn retries_are_few_unless_said_otherwise() {
    assert_eq!(upstream("").retries, Retries { attempts: 1, budget_percent: 20 });
    assert_eq!(upstream("").retries, Retries::default());
    assert_eq!(
        upstream("retries = { attempts = 3, budget = '5%' }").retries,
        Retries { attempts: 3, budget_percent: 5 }
    );
    assert_eq!(said("retries.attempts = 11"), ["`11` is out of range"]);
    for share in ["0%", "101%", "-1%", "20", "%", "0.2"] {
        assert_eq!(said(&format!("retries.budget = '{share}'")), [format!("`{share}` is no share of the requests")]);
    }
}

#[test]
fn all_tries_together_may_have_a_time() {
    assert_eq!(upstream("").timeouts.total, None);
    assert_eq!(upstream("timeouts.total = '10s'").timeouts.total, Some(Duration::from_secs(10)));
    assert_eq!(said("timeouts.total = '0s'"), ["must not be zero"]);
}

#[test]
fn endpoints_take_turns_or_go_by_load_or_by_something_of_the_request() {
    assert_eq!(upstream("").balance, Balance::RoundRobin);
    assert_eq!(upstream("balance = 'least_requests'").balance, Balance::LeastRequests);
    let by = |hash: &str| upstream(&format!("balance = 'hash'\nhash = {hash}")).balance;
    assert_eq!(by("'client.address'"), Balance::Hash(HashKey::ClientAddress));
    assert_eq!(by("{ header = 'X-Tenant' }"), Balance::Hash(HashKey::Header("x-tenant".parse().expect("a name"))));
    assert_eq!(by("{ cookie = 'cart' }"), Balance::Hash(HashKey::Cookie("cart".into())));

    assert_eq!(said("balance = 'hash'"), ["`hash` must say what it goes by"]);
    assert_eq!(said("hash = 'client.address'"), ["only `balance = \"hash\"` goes by this"]);
    let wrong = |hash: &str| said(&format!("balance = 'hash'\nhash = {hash}"));
    assert_eq!(wrong("{}"), ["a hash goes by one thing"]);
    assert_eq!(wrong("{ header = 'a', cookie = 'b' }"), ["a hash goes by one thing"]);
    assert_eq!(wrong("{ header = 'a b' }"), ["`a b` is no header name"]);
    assert_eq!(wrong("{ cookie = 'a=b' }"), ["`a=b` is no name of a cookie"]);
    assert_eq!(wrong("'client'"), ["`client` is not one of the choices"]);
}

#[test]
fn an_endpoint_may_have_to_be_one_of_several_names_and_may_ask_who_we_are() {
    let tls = |more: &str| {
        let loaded = good(&format!("upstream.up = {{ endpoints = 'https://a', {more} }}"));
        let found = loaded.settings.upstreams.iter().find(|upstream| &*upstream.name == "up").expect("the upstream");
        UpstreamSettings::clone(found)
    };
    let names = "names = ['spiffe://a/b', 'a.example', 'spiffe://a/ns/*/sa/*', '::1', 'urn:x:y', '10.0.0.7']";
    let set =
        tls(&format!("tls = {{ {names}, crls = ['r.pem'], certificate = {{ chain = 'c.pem', key = 'c.key' }} }}")).tls;
    let is_uri = |name: &CertifiedName| matches!(name, CertifiedName::Uri(_));
    let names: Vec<_> = set.names.iter().map(|name| (name.to_string(), is_uri(name))).collect();
    let names: Vec<_> = names.iter().map(|(name, is_uri)| (&**name, *is_uri)).collect();
    let (uris, hosts) = (["spiffe://a/b", "spiffe://a/ns/*/sa/*", "urn:x:y"], ["a.example", "::1", "10.0.0.7"]);
    assert_eq!(
        names,
        [uris[0], hosts[0], uris[1], hosts[1], uris[2], hosts[2]].map(|name| (name, uris.contains(&name)))
    );
    assert!(set.crls[0].ends_with("r.pem"));
    let files = set.certificate.expect("files");
    assert!(files.chain.ends_with("c.pem") && files.key.ends_with("c.key"));
    assert_eq!(tls("max_idle = 1").tls, UpstreamTls::default());
    assert_eq!(tls("max_idle = 1").proxy_protocol, None);
    assert_eq!(tls("proxy_protocol = 'v1'").proxy_protocol, Some(ProxyProtocol::V1));
    assert_eq!(tls("proxy_protocol = 'v2'").proxy_protocol, Some(ProxyProtocol::V2));
    for (name, why) in [
        ("a b", "no name in"),
        ("spiffe://a b", "no name in"),
        ("-", "no name in"),
        ("*.example", "no name in"),
        ("spiffe://a/sh*p", "`*` for a part of a segment"),
        ("spiffe://a/**", "`*` for a part of a segment"),
        ("spiffe://*/x", "`*` elsewhere"),
        ("spiffe://*", "`*` elsewhere"),
        ("https://a/*", "`*` elsewhere"),
    ] {
        let said = said(&format!("tls.names = ['{name}']"));
        assert_eq!(said.iter().filter(|told| told.contains(why)).count(), 1, "{name} {said:?}");
    }
}

#[test]
fn over_tls_either_http_is_spoken_or_one() {
    let over_tls = |http: &str| {
        let loaded = good(&format!("upstream.up = {{ endpoints = 'https://a', {http} }}"));
        loaded.settings.upstreams.iter().find(|upstream| &*upstream.name == "up").expect("the upstream").http
    };
    assert_eq!(over_tls("max_idle = 1"), HttpVersion::Auto);
    assert_eq!(over_tls("http = 'auto'"), HttpVersion::Auto);
    assert_eq!(over_tls("http = '1.1'"), HttpVersion::Http1);
    assert_eq!(over_tls("http = '2'"), HttpVersion::Http2);
    assert_eq!(said("http = '2'"), ["`http` is about `https` endpoints, and no endpoint is"]);
}

#[test]
fn endpoints_have_weights() {
    let weights = |endpoints: &str| -> Vec<(String, u32)> {
        let loaded = good(&format!("upstream.up.endpoints = {endpoints}"));
        let up = loaded.settings.upstreams.iter().find(|upstream| &*upstream.name == "up").expect("the upstream");
        up.endpoints.iter().map(|endpoint| (endpoint.authority(), endpoint.weight)).collect()
    };
    assert_eq!(
        weights("['http://a:1', { url = 'http://b:2', weight = 3 }, { url = 'http://c:3' }]"),
        [("a:1".into(), 1), ("b:2".into(), 3), ("c:3".into(), 1)]
    );
    assert_eq!(weights("{ url = 'http://b:2', weight = 3 }"), [("b:2".into(), 3)]);
    let wrong = |endpoints: &str| {
        let found = problems(&format!("{BASE}{ROUTE}upstream.up.endpoints = {endpoints}"));
        found.iter().map(|line| line.split_once(' ').expect("a place").1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(wrong("[{ url = 'http://b:2', weight = 0 }]"), ["`0` is out of range"]);
    assert_eq!(wrong("[{ url = 'ftp://b:2' }]"), ["not an `http:`, `https:`, `h2c:` or `unix:` URL"]);
    assert_eq!(wrong("[{ weight = 2 }]").len(), 1);
    let many: Vec<_> = (0..65).map(|n| format!("'http://h{n}'")).collect();
    assert_eq!(wrong(&format!("[{}]", many.join(","))), ["65 endpoints are more than 64"]);
}

#[test]
fn names_are_looked_up_for_each_connection_unless_said_otherwise() {
    assert_eq!(upstream("").dns_refresh, None);
    assert_eq!(upstream("dns_refresh = '10s'").dns_refresh, Some(Duration::from_secs(10)));
    assert_eq!(said("dns_refresh = '999ms'"), ["that is too often"]);
    let addresses = "[upstream.x]\nendpoints = ['http://127.0.0.1:1', 'unix:/run/x']\ndns_refresh = '10s'";
    assert_eq!(said(addresses), ["`dns_refresh` is about names, and no endpoint has one"]);
}

#[test]
fn an_upstream_may_be_shown_a_credential_of_one_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let shown = |content: &str, more: &str| {
        std::fs::write(&secret, content).expect("writable");
        let more = more.replace("SECRET", &format!("{{ file = '{}' }}", secret.display()));
        (upstream(&more).credential.expect("a credential"), more)
    };
    let (key, _) = shown("s3cret\n", "credential = { header = 'X-Api-Key', value = SECRET }");
    assert_eq!((key.header.as_str(), key.scheme.as_deref()), ("x-api-key", None));
    assert_eq!(key.source, CredentialSource::Fixed(crate::model::Secret::new(b"s3cret".to_vec())));
    let (basic, _) = shown("dTpw", "credential = { scheme = 'Basic', value = SECRET }");
    assert_eq!((basic.header.as_str(), basic.scheme.as_deref()), ("authorization", Some("Basic")));
    let (token, _) = shown("", "credential = { token_file = 'token' }");
    assert_eq!(token.scheme.as_deref(), Some("Bearer"));
    assert!(matches!(token.source, CredentialSource::File(path) if path.ends_with("token")));
    let (bare, _) = shown("", "credential = { scheme = 'none', token_file = 'token' }");
    assert_eq!(bare.scheme, None);
    let (token, more) = shown(
        "s3cret",
        "credential.oauth2 = { token_url = 'https://id/token', client_id = 'me', client_secret = SECRET, \
         client_auth = 'post', scopes = ['a', 'b'], audience = 'c' }",
    );
    assert!(!format!("{token:?}").contains("s3cret"), "{more}");
    let CredentialSource::ClientCredentials(endpoint) = &token.source else { panic!("{:?}", token.source) };
    assert_eq!((&*endpoint.url, &*endpoint.client_id), ("https://id/token", "me"));
    assert_eq!(endpoint.client_auth, TokenClientAuth::Post(crate::model::Secret::new("s3cret".to_owned())));
    assert_eq!((endpoint.scopes.len(), endpoint.audience.as_deref()), (2, Some("c")));
    assert_eq!(endpoint.timeout, Duration::from_secs(5));
    assert_eq!(upstream("").credential, None);
}

#[test]
fn a_credential_that_cannot_be_shown_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).expect("writable");
        format!("{{ file = '{}' }}", folder.path().join(name).display())
    };
    let (secret, lines, padded) = (file("a", "s3cret"), file("b", "s3cret\nx-evil: 1\n\n"), file("c", "s3cret "));
    let oauth2 = |more: &str| format!("oauth2 = {{ token_url = 'https://id/token', client_id = 'me', {more} }}");
    for (credential, why) in [
        (String::new(), "wants one place that it comes from, and has 0"),
        (format!("value = {secret}, token_file = 't'"), "wants one place that it comes from, and has 2"),
        ("value = 's3cret'".to_owned(), "is a secret and must not be written here"),
        (format!("value = {lines}"), "is not one line of visible ASCII"),
        (format!("value = {padded}"), "is not one line of visible ASCII"),
        (format!("header = 'a b', value = {secret}"), "`a b` is no header name"),
        (format!("scheme = 'a b', value = {secret}"), "`a b` is no scheme"),
        (format!("scheme = 'Negotiate', value = {secret}"), "`Negotiate` is no scheme"),
        (format!("scheme = '', value = {secret}"), "must not be empty"),
        (oauth2(""), "lacks `client_secret`"),
        (oauth2("client_auth = 'mtls'"), "there is no certificate to show"),
        (oauth2(&format!("client_auth = 'mtls', client_secret = {secret}")), "the certificate is what proves who asks"),
        (oauth2(&format!("client_secret = {secret}, scopes = ['a b']")), "`a b` is no scope"),
        (
            format!("oauth2 = {{ token_url = 'http://id/token', client_id = 'me', client_secret = {secret} }}"),
            "would travel in clear text",
        ),
    ] {
        let said = said(&format!("credential = {{ {credential} }}"));
        assert_eq!(said.iter().filter(|told| told.contains(why)).count(), 1, "{credential}: {said:?}");
        assert!(!said.iter().any(|told| told.contains("s3cret")), "{said:?}");
    }
    for header in [
        "host",
        "Content_Length",
        "cookie",
        "x-auth-subject",
        "X_Forwarded_For",
        "Connection",
        "x-http-method",
        "remote-user",
        "proxy-authorization",
        "sec-fetch-site",
        "te",
        "dpop",
        "x-request-id",
    ] {
        let said = said(&format!("credential = {{ header = '{header}', value = {secret} }}"));
        assert!(said.iter().any(|told| told.contains("has another meaning")), "{header}: {said:?}");
    }
}

#[test]
fn what_lends_a_credential_to_everybody_is_warned_of() {
    let warned = |bind: &str, accept: &str, upstream: &str| {
        let text = format!(
            "[listener.main]\nbind = '{bind}'\n[route.a]\nmatch = '/'\naccept = {accept}\nupstream = 'up'\n\
             [upstream.up]\nendpoints = ['https://a']\n{upstream}"
        );
        let warnings = read(&text).unwrap_or_else(|problems| panic!("{problems}")).warnings.problems;
        warnings.iter().filter(|warning| warning.message.contains("to everybody who reaches")).count()
    };
    let (token, certificate) = ("credential.token_file = 't'", "tls.certificate = { chain = 'c', key = 'k' }");
    for shown in [token, certificate] {
        assert_eq!(warned("0.0.0.0:80", "'anyone'", shown), 1);
        assert_eq!(warned("[::]:80", "['session', 'anyone']", shown), 1);
        for bind in ["127.0.0.1:80", "[::1]:80", "unix:/run/x.sock"] {
            assert_eq!(warned(bind, "'anyone'", shown), 0, "{bind}");
        }
        assert_eq!(warned("0.0.0.0:80", "['session']", shown), 0);
    }
    assert_eq!(warned("0.0.0.0:80", "'anyone'", "max_idle = 1"), 0);
}

#[test]
fn a_credential_in_clear_text_is_warned_of() {
    let warned = |endpoint: &str| {
        let loaded = good(&format!("upstream.up = {{ endpoints = '{endpoint}', credential.token_file = 't' }}"));
        loaded.warnings.problems.iter().filter(|warning| warning.message.contains("in clear text")).count()
    };
    assert_eq!(["http://a", "h2c://10.0.0.7:1"].map(warned), [1, 1]);
    for endpoint in ["https://a", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "unix:/run/a.sock"] {
        assert_eq!(warned(endpoint), 0, "{endpoint}");
    }
}
