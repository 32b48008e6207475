//! `[listener.NAME]`

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::{hsts, tls};
use crate::config::keys::{CAP, DURATION, Given, Key, Later, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{Bind, HttpLimits, ListenerSettings, Origin, Serve};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("bind", Shape::Text, "Address and port (`\"0.0.0.0:8443\"`, `\"[::]:8443\"`), or `\"unix:PATH\"`.")
        .required(),
    Key::new(
        "public_origin",
        Shape::Text,
        "What browsers call it (`\"https://api.example.com\"`); default: whatever `Host` says.",
    ),
    Key::new(
        "serve",
        SERVE,
        "What it does: `\"redirect_to_https\"` sends every request to the same host and target over TLS, and serves no route.",
    ).default(Given::Text("proxy")),
    Key::new(
        "trusted_proxies",
        TEXTS,
        "Peers whose `X-Forwarded-*` and `Forwarded` count: networks, addresses, or `\"unix:\"`. Nobody by default.",
    )
    .default(Given::Texts(&[])),
    Key::new("tls", Shape::Table(tls::KEYS), "TLS; without it, clear text."),
    Key::new("hsts", hsts::SHAPE, "`Strict-Transport-Security` (RFC 6797): tells browsers to come by HTTPS only.")
        .default(Given::Text("off")),
    Key::new("timeouts", Shape::Table(TIMEOUTS), "Timeouts of connections.").default(Given::Table),
    Key::new("max_connections", CAP, "Connections at once, all workers together.").default(Given::Integer(10_000)),
    Key::new("max_headers", Shape::Integer { min: 1, max: 10_000 }, "Header fields of one request.")
        .default(Given::Integer(100)),
    Key::new("max_header_size", Shape::Size, "Bytes of one request head.").default(Given::Text("16KiB")),
    Key::new("max_streams", Shape::Integer { min: 1, max: 10_000 }, "Concurrent streams of one HTTP/2 connection.")
        .default(Given::Integer(128)),
    Key::new(
        "proxy_protocol",
        Shape::Boolean,
        "Whether every connection begins with a header of the PROXY protocol (version 1 or 2) that names its client; \
         `trusted_proxies` alone may connect.",
    )
    .default(Given::Boolean(false)),
    Key::new("https_port", Shape::Integer { min: 1, max: 65_535 }, "The port that `redirect_to_https` sends clients to.")
        .default(Given::Integer(443)),
    Key::later("http3"),
];

const SERVE: Shape = Shape::Choice {
    now: &["proxy", "redirect_to_https"],
    later: &[
        Later::new("auth_request", "serve = \"proxy\""),
        Later::new("forward_auth", "serve = \"proxy\""),
        Later::new("ext_authz", "serve = \"proxy\""),
    ],
};

const TIMEOUTS: &[Key] = &[
    Key::new("handshake", DURATION, "For the TLS handshake.").default(Given::Text("10s")),
    Key::new("proxy_protocol", DURATION, "For the header of the PROXY protocol.").default(Given::Text("3s")),
    Key::new("header", DURATION, "For a whole request head.").default(Given::Text("10s")),
    Key::new("idle", DURATION, "After which a connection without requests is closed.").default(Given::Text("75s")),
    Key::new("send", DURATION, "For a client to take more of an answer that waits for it.").default(Given::Text("60s")),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Vec<Arc<ListenerSettings>> {
    let named = context.named("listener");
    named.iter().filter_map(|(name, section)| listener(name, section)).map(Arc::new).collect()
}

fn listener(name: &Arc<str>, section: &Section<'_>) -> Option<ListenerSettings> {
    let bind = section.parse("bind", |text| bind(text, section));
    let origin = section.parse("public_origin", origin);
    let proxies = section.parse_list("trusted_proxies", proxy);
    let tls = section.table("tls").and_then(|section| tls::read(&section));
    for (text, place) in section.texts("trusted_proxies") {
        if matches!(text.parse::<IpNet>(), Ok(net) if net.prefix_len() == 0) {
            let fault = Fault::new(format!("`{}` lets every client choose its own address", section.path));
            section.context.report.warning(place, fault.help("name only the proxies in front"));
        }
    }
    let timeouts = section.table("timeouts")?;
    let bind = bind?;
    let trust_unix = proxies.iter().any(Option::is_none);
    let proxy_protocol = section.boolean("proxy_protocol").then(|| timeouts.duration("proxy_protocol"));
    if proxy_protocol.is_some() {
        let (fits, example) = match bind {
            Bind::Tcp(_) => (proxies.iter().any(Option::is_some), "trusted_proxies = [\"10.0.0.0/8\"]"),
            Bind::Unix(_) => (trust_unix, "trusted_proxies = [\"unix:\"]"),
        };
        // A list that has problems of its own is reported already.
        if !fits && proxies.len() == section.list("trusted_proxies").len() {
            let fault = Fault::new("`proxy_protocol` without `trusted_proxies`: nobody could connect");
            section.problem("proxy_protocol", fault.help(format!("name the proxies in front: {example}")));
        }
    }
    Some(ListenerSettings {
        name: name.clone(),
        bind,
        serve: serve(section),
        public_origin: origin,
        trusted_proxies: proxies.iter().flatten().copied().collect(),
        trust_unix,
        proxy_protocol,
        hsts: hsts::read(section),
        tls,
        limits: HttpLimits {
            handshake_timeout: timeouts.duration("handshake"),
            header_timeout: timeouts.duration("header"),
            idle_timeout: timeouts.duration("idle"),
            send_timeout: timeouts.duration("send"),
            max_connections: section.count("max_connections"),
            max_headers: section.count("max_headers"),
            max_header_bytes: section.size("max_header_size"),
            max_streams: u32::try_from(section.count("max_streams")).unwrap_or(1),
        },
    })
}

fn serve(section: &Section<'_>) -> Serve {
    match section.text("serve") {
        Some("redirect_to_https") => {
            Serve::RedirectToHttps { port: u16::try_from(section.count("https_port")).unwrap_or(443) }
        }
        _ => Serve::Proxy,
    }
}

fn bind(text: &str, section: &Section<'_>) -> Result<Bind, Fault> {
    match text.strip_prefix("unix:") {
        Some("") => Err(Fault::new("`unix:` wants a path").help("\"unix:/run/portcullis/http.sock\"")),
        Some(path) => {
            let base = section.context.sources.base(section.place_of("bind"));
            Ok(Bind::Unix(base.join(path)))
        }
        None => socket(text).map(Bind::Tcp),
    }
}

/// An address and a port.
pub(in crate::config) fn socket(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let help = match text.rsplit_once(':') {
            Some(("" | "*", port)) => format!("\"0.0.0.0:{port}\" for all IPv4 addresses, \"[::]:{port}\" for IPv6"),
            Some(("localhost", port)) => format!("\"127.0.0.1:{port}\""),
            _ => "an address and a port: \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
        };
        Fault::new(format!("`{text}` is no address and port")).help(help)
    })
}

/// An origin as browsers write it.
pub(in crate::config) fn origin(text: &str) -> Result<Origin, Fault> {
    Origin::parse(text)
        .ok_or_else(|| Fault::new("not an origin").help("scheme, host and port alone: \"https://api.example.com\""))
}

/// A network or address; `None` for `unix:`.
fn proxy(text: &str) -> Result<Option<IpNet>, Fault> {
    if text == "unix:" { Ok(None) } else { network(text).map(Some) }
}

/// A network, or an address for the network of it alone.
pub(in crate::config) fn network(text: &str) -> Result<IpNet, Fault> {
    let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
    let wrong = || Fault::new(format!("`{text}` is no network")).help("\"10.0.0.0/8\", \"fd00::/8\" or one address");
    let network = text.parse::<IpNet>().ok().or_else(address).ok_or_else(wrong)?;
    if network.trunc() == network {
        return Ok(network);
    }
    let fault = Fault::new(format!("`{text}` has bits beyond its prefix"));
    Err(fault.help(format!("\"{}\", or \"{}\" for the one address", network.trunc(), network.addr())))
}
