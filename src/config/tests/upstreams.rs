//! `[upstream.NAME]`.

use std::time::Duration;

use super::*;
use crate::model::settings::{
    Balance, CertifiedName, HashKey, HttpVersion, ProxyProtocol, Retries, UpstreamSettings, UpstreamTls,
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
