//! `[upstream.NAME]`, and upstreams that routes name by URL.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::endpoint::{endpoint, is_url};
use super::upstream_credential;
use super::upstream_health;
use super::upstream_tls;
use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{
    Balance, Endpoint, EndpointHealth, HashKey, HostHeader, HttpVersion, ProxyProtocol, Retries, UpstreamLimits,
    UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "endpoints",
        Shape::List(&Shape::Either(&[Shape::Text, Shape::Table(ENDPOINT)])),
        "Its addresses: `\"http://127.0.0.1:3000\"`, `\"https://orders.internal\"`, `\"h2c://127.0.0.1:50051\"`, \
         `\"unix:/run/app.sock\"`, `{ url = \"http://a:3000\", weight = 3 }`.",
    )
    .required(),
    Key::new(
        "balance",
        Shape::Choice { now: &["round_robin", "least_requests", "hash"], later: &[] },
        "Which of them gets a request: each in turn, the less busy of two, or always the same for the same `hash`.",
    )
    .default(Given::Text("round_robin")),
    Key::new(
        "hash",
        Shape::Either(&[Shape::Choice { now: &["client.address"], later: &[] }, Shape::Table(HASH)]),
        "What `balance = \"hash\"` goes by: the client's address, a header or a cookie.",
    ),
    Key::new(
        "host_header",
        Shape::Choice { now: &["preserve", "endpoint"], later: &[] },
        "What it is told as `Host`: what the client said, or the endpoint's own name.",
    )
    .default(Given::Text("preserve")),
    Key::new("timeouts", Shape::Table(TIMEOUTS), "Timeouts towards it.").default(Given::Table),
    Key::new(
        "retries",
        Shape::Table(RETRIES),
        "What is sent again after a failure: never what may have had an effect.",
    )
    .default(Given::Table),
    Key::new(
        "max_idle",
        Shape::Integer { min: 0, max: 100_000 },
        "Idle connections kept per worker and endpoint; more for a few seconds after a surge.",
    )
    .default(Given::Integer(MAX_IDLE)),
    Key::new("max_connections", crate::config::keys::CAP, "Connections at once per worker and endpoint.")
        .default(Given::Integer(MAX_CONNECTIONS)),
    Key::new(
        "http",
        Shape::Choice { now: &["auto", "1.1", "2"], later: &[] },
        "Which HTTP is spoken with `https` endpoints: HTTP/2 where they agree to it (`auto`, the default), always 1.1, or always 2.",
    ),
    Key::new(
        "dns_refresh",
        DURATION,
        "How often the names of endpoints are looked up, requests being spread over all addresses; else for each connection.",
    ),
    Key::new(
        "max_pending",
        Shape::Integer { min: 0, max: 1_000_000 },
        "Requests of all workers that may wait while all connections are in use; the others are answered 503 at once.",
    )
    .default(Given::Integer(0)),
    Key::new(
        "max_requests",
        crate::config::keys::CAP,
        "Requests of all workers under way at once, to the end of the answer.",
    ),
    Key::new(
        "proxy_protocol",
        Shape::Choice { now: &["v1", "v2"], later: &[] },
        "How it is told whose each connection is; not at all by default. Each request has a connection of its own then.",
    ),
    Key::new("tls", Shape::Table(upstream_tls::KEYS), "How `https` endpoints are verified.").default(Given::Table),
    Key::new(
        "credential",
        Shape::Table(upstream_credential::KEYS),
        "What Portcullis itself shows it: one of `value`, `token_file` and `oauth2`. What clients say in that header never reaches it.",
    ),
    Key::new(
        "health",
        Shape::Table(upstream_health::CHECK),
        "What each endpoint is asked to find out how it is; nothing otherwise.",
    ),
    Key::new(
        "ejection",
        Shape::Table(upstream_health::EJECTION),
        "When an endpoint that fails requests is left alone for a while; never otherwise.",
    ),
    Key::new(
        "panic_below",
        Shape::Text,
        "When fewer than this share of the endpoints are well, all get requests again; `\"0%\"`: never.",
    )
    .default(Given::Text("50%")),
    Key::new("slow_start", DURATION, "How long an endpoint that is well again takes to get its whole share."),
    Key::later("discovery"),
];

const ENDPOINT: &[Key] = &[
    Key::new("url", Shape::Text, "Its address.").required(),
    Key::new("weight", Shape::Integer { min: 1, max: 1000 }, "Its share, against those of the others.")
        .default(Given::Integer(1)),
];

const HASH: &[Key] = &[
    Key::new("header", Shape::Text, "A header, as the upstream sees it."),
    Key::new("cookie", Shape::Text, "A cookie of the application."),
];

const TIMEOUTS: &[Key] = &[
    Key::new("connect", DURATION, "For a connection, TLS included.").default(Given::Text("2s")),
    Key::new(
        "pending",
        DURATION,
        "How long a request waits for a connection while all are in use, with `max_pending`.",
    )
    .default(Given::Text("2s")),
    Key::new("response", DURATION, "From the request's end to the head of the answer.").default(Given::Text("30s")),
    Key::new("idle", DURATION, "How long an unused connection is kept.").default(Given::Text("50s")),
    Key::new(
        "ping",
        DURATION,
        "How long an HTTP/2 connection may owe answers in silence before it is asked whether it is alive.",
    )
    .default(Given::Text("5m")),
    Key::new("total", DURATION, "Until the head of the answer, all tries and the request's body included."),
];

const RETRIES: &[Key] = &[
    Key::new(
        "attempts",
        Shape::Integer { min: 0, max: 10 },
        "How many more endpoints are tried when nothing was sent to the first; `0`: nothing is ever sent again.",
    )
    .default(Given::Integer(1)),
    Key::new("budget", Shape::Text, "Such tries per worker, as a share of its requests, beyond one a second.")
        .default(Given::Text("20%")),
];

/// Most endpoints of an upstream.
const MAX_ENDPOINTS: usize = 64;
const MAX_IDLE: i64 = 64;
const MAX_CONNECTIONS: i64 = 1024;

pub(in crate::config) fn read(context: &Context<'_>) -> Vec<Arc<UpstreamSettings>> {
    let named = context.named("upstream");
    let mut upstreams: Vec<_> = named.iter().filter_map(|(name, section)| upstream(name, section)).collect();
    for (_, route) in context.named("route") {
        if let Some(Ok(endpoint)) = route.text("upstream").filter(|text| is_url(text)).map(endpoint) {
            let name = Arc::from(endpoint.to_string());
            if !upstreams.iter().any(|known| known.name == name) {
                upstreams.push(of_url(name, endpoint));
            }
        }
    }
    upstreams.sort_by(|a, b| a.name.cmp(&b.name));
    upstreams.into_iter().map(Arc::new).collect()
}

fn upstream(name: &Arc<str>, section: &Section<'_>) -> Option<UpstreamSettings> {
    section.not_empty("endpoints", "endpoints = [\"http://127.0.0.1:3000\"]");
    let endpoints = endpoints(section);
    let (timeouts, retries, tls) = (section.table("timeouts")?, section.table("retries")?, section.table("tls")?);
    if tls.keys().next().is_some() && !endpoints.is_empty() && !endpoints.iter().any(Endpoint::is_tls) {
        let fault = Fault::new(format!("`{}` says how to verify `https`, and no endpoint is", tls.path));
        section.problem("tls", fault.help("endpoints = [\"https://…\"]"));
    }
    if section.has("http") && !endpoints.is_empty() && !endpoints.iter().any(Endpoint::is_tls) {
        let fault = Fault::new("`http` is about `https` endpoints, and no endpoint is");
        section.problem("http", fault.help("HTTP/2 without TLS: endpoints = [\"h2c://…\"]"));
    }
    if section.has("dns_refresh") && !endpoints.is_empty() && !endpoints.iter().any(Endpoint::has_name) {
        let fault = Fault::new("`dns_refresh` is about names, and no endpoint has one");
        section.problem("dns_refresh", fault.help("endpoints = [\"http://orders.internal:3000\"]"));
    }
    if section.has("dns_refresh") && section.duration("dns_refresh") < Duration::from_secs(1) {
        section.problem("dns_refresh", Fault::new("that is too often").help("dns_refresh = \"10s\", at least \"1s\""));
    }
    Some(UpstreamSettings {
        name: name.clone(),
        endpoints,
        balance: balance(section),
        host_header: match section.text("host_header")? {
            "endpoint" => HostHeader::Endpoint,
            _ => HostHeader::Preserve,
        },
        timeouts: UpstreamTimeouts {
            connect: timeouts.duration("connect"),
            response: timeouts.duration("response"),
            idle: timeouts.duration("idle"),
            ping: timeouts.duration("ping"),
            total: timeouts.has("total").then(|| timeouts.duration("total")),
        },
        retries: Retries {
            attempts: retries.integer("attempts").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            budget_percent: retries.parse("budget", percent).unwrap_or(0),
        },
        health: upstream_health::read(section),
        max_idle: section.integer("max_idle").and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        max_connections: section.count("max_connections"),
        http: http(section),
        dns_refresh: section.has("dns_refresh").then(|| section.duration("dns_refresh")),
        limits: UpstreamLimits {
            max_requests: section.has("max_requests").then(|| section.count("max_requests")),
            max_pending: section.integer("max_pending").and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            pending: timeouts.duration("pending"),
        },
        tls: upstream_tls::read(&tls),
        proxy_protocol: match section.text("proxy_protocol") {
            Some("v1") => Some(ProxyProtocol::V1),
            Some("v2") => Some(ProxyProtocol::V2),
            _ => None,
        },
        credential: upstream_credential::read(section),
    })
}

/// Bare URLs, and tables that say more of one.
fn endpoints(section: &Section<'_>) -> Vec<Endpoint> {
    let mut endpoints = section.parse_list("endpoints", endpoint);
    endpoints.extend(section.table_list("endpoints").iter().filter_map(|table| {
        let weight = table.integer("weight").and_then(|weight| u32::try_from(weight).ok())?;
        Some(Endpoint { weight, ..table.parse("url", endpoint)? })
    }));
    if endpoints.len() > MAX_ENDPOINTS {
        let fault = Fault::new(format!("{} endpoints are more than {MAX_ENDPOINTS}", endpoints.len()));
        section.problem("endpoints", fault.help("a name with several addresses behind it is one endpoint"));
    }
    endpoints
}

fn balance(section: &Section<'_>) -> Balance {
    let example = "balance = \"hash\", hash = { header = \"x-tenant\" }";
    match (section.text("balance"), section.has("hash")) {
        (Some("hash"), true) => hash(section).map_or(Balance::RoundRobin, Balance::Hash),
        (Some("hash"), false) => {
            section.problem("balance", Fault::new("`hash` must say what it goes by").help(example));
            Balance::RoundRobin
        }
        (other, has) => {
            if has {
                section.problem("hash", Fault::new("only `balance = \"hash\"` goes by this").help(example));
            }
            if other == Some("least_requests") { Balance::LeastRequests } else { Balance::RoundRobin }
        }
    }
}

fn http(section: &Section<'_>) -> HttpVersion {
    match section.text("http") {
        Some("1.1") => HttpVersion::Http1,
        Some("2") => HttpVersion::Http2,
        _ => HttpVersion::Auto,
    }
}

fn hash(section: &Section<'_>) -> Option<HashKey> {
    let Some(table) = section.table("hash") else {
        return section.text("hash").map(|_| HashKey::ClientAddress);
    };
    match (table.has("header"), table.has("cookie")) {
        (true, false) => table.parse("header", header).map(HashKey::Header),
        (false, true) => table.parse("cookie", cookie).map(HashKey::Cookie),
        _ => {
            let fault = Fault::new("a hash goes by one thing");
            section.problem("hash", fault.help("\"client.address\", { header = \"…\" } or { cookie = \"…\" }"));
            None
        }
    }
}

fn header(text: &str) -> Result<HeaderName, Fault> {
    text.parse().map_err(|_| Fault::new(format!("`{text}` is no header name")).help("letters, digits and `-`"))
}

/// A token (RFC 6265, section 4.1.1), as names of headers are.
fn cookie(text: &str) -> Result<Arc<str>, Fault> {
    match text.parse::<HeaderName>() {
        Ok(_) => Ok(text.into()),
        Err(_) => Err(Fault::new(format!("`{text}` is no name of a cookie")).help("letters, digits, `-` and `_`")),
    }
}

/// The upstream that a route names: one of `[upstream]`, or a URL.
pub(super) fn refer(text: &str, context: &Context<'_>) -> Result<Arc<str>, Fault> {
    if is_url(text) {
        return endpoint(text).map(|endpoint| Arc::from(endpoint.to_string()));
    }
    let fault = match context.refer("upstream", text) {
        Ok(name) => return Ok(name),
        Err(fault) => fault,
    };
    if text.contains([':', '/']) {
        Err(fault.help(format!("a URL begins with its scheme: \"http://{text}\"")))
    } else {
        Err(fault)
    }
}

/// The same defaults as the table of keys has.
fn of_url(name: Arc<str>, endpoint: Endpoint) -> UpstreamSettings {
    UpstreamSettings {
        name,
        endpoints: vec![endpoint],
        balance: Balance::RoundRobin,
        host_header: HostHeader::Preserve,
        timeouts: UpstreamTimeouts::default(),
        retries: Retries::default(),
        health: EndpointHealth::default(),
        max_idle: usize::try_from(MAX_IDLE).unwrap_or(0),
        max_connections: usize::try_from(MAX_CONNECTIONS).unwrap_or(1),
        http: HttpVersion::Auto,
        dns_refresh: None,
        limits: UpstreamLimits::default(),
        tls: UpstreamTls::default(),
        proxy_protocol: None,
        credential: None,
    }
}

fn percent(text: &str) -> Result<u32, Fault> {
    match text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok()) {
        Some(share @ 1..=100) => Ok(share),
        _ => Err(Fault::new(format!("`{text}` is no share of the requests")).help("from \"1%\" to \"100%\"")),
    }
}
