//! `store.url` where it leads to Redis, and what belongs to it.

use url::Url;

use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::Secret;
use crate::model::settings::{CertificateFiles, RedisAddress, RedisNode, RedisSettings, RedisTls, SentinelSettings};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What the URL begins with.
#[derive(Clone, Copy)]
pub(super) struct Scheme {
    name: &'static str,
    kind: Kind,
    tls: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Unix,
    Sentinel,
    Cluster,
}

const SCHEMES: [Scheme; 7] = [
    Scheme { name: "redis", kind: Kind::Server, tls: false },
    Scheme { name: "rediss", kind: Kind::Server, tls: true },
    Scheme { name: "redis+unix", kind: Kind::Unix, tls: false },
    Scheme { name: "redis+sentinel", kind: Kind::Sentinel, tls: false },
    Scheme { name: "rediss+sentinel", kind: Kind::Sentinel, tls: true },
    Scheme { name: "redis+cluster", kind: Kind::Cluster, tls: false },
    Scheme { name: "rediss+cluster", kind: Kind::Cluster, tls: true },
];

impl Scheme {
    pub(super) fn of(name: &str) -> Option<Self> {
        SCHEMES.into_iter().find(|scheme| scheme.name == name)
    }

    /// What a good URL looks like.
    const fn help(self) -> &'static str {
        match (self.kind, self.tls) {
            (Kind::Server, false) => "\"redis://HOST:6379/0\"",
            (Kind::Server, true) => "\"rediss://HOST:6379/0\"",
            (Kind::Unix, _) => "\"redis+unix:///run/redis/redis.sock\"",
            (Kind::Sentinel, false) => "\"redis+sentinel://HOST:26379,HOST:26379,HOST:26379/MASTER\"",
            (Kind::Sentinel, true) => "\"rediss+sentinel://HOST:26379,HOST:26379,HOST:26379/MASTER\"",
            (Kind::Cluster, false) => "\"redis+cluster://HOST:6379,HOST:6379,HOST:6379\"",
            (Kind::Cluster, true) => "\"rediss+cluster://HOST:6379,HOST:6379,HOST:6379\"",
        }
    }

    fn wrong(self, what: &str) -> Fault {
        Fault::new(what).help(self.help())
    }
}

pub(super) fn read(scheme: Scheme, text: &str, section: &Section<'_>) -> Result<RedisSettings, Fault> {
    let (first, others) = split(scheme, text)?;
    let url = Url::parse(&first).map_err(|_| scheme.wrong("not a URL"))?;
    let from_environment = section.node("url").is_some_and(|node| node.variable.is_some());
    let inline = url.password().map(|password| decode(password).map(Secret::new)).transpose()?;
    if inline.is_some() && !from_environment {
        let fault = Fault::new("`store.url` holds a password, which is a secret and must not be written here");
        return Err(fault.help("store.password = { env = \"NAME\" } or { file = \"PATH\" }"));
    }
    if inline.is_some() && section.has("password") {
        return Err(Fault::new("a password in `store.url` and another in `store.password`").help("keep one of them"));
    }
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(decode).transpose()?;
    if user.is_some() && section.has("username") {
        return Err(Fault::new("a user in `store.url` and another in `store.username`").help("keep one of them"));
    }
    let others = others.iter().map(|host| other(scheme, host)).collect::<Result<Vec<_>, _>>()?;
    let (address, database) = address(scheme, &url, others, section)?;
    let username = user.or_else(|| section.text("username").map(str::to_owned));
    let password = inline.or_else(|| section.secret_text("password"));
    if username.is_some() && password.is_none() && !section.has("password") {
        return Err(Fault::new("a user without a password").help("store.password = { env = \"NAME\" }"));
    }
    if scheme.kind != Kind::Sentinel {
        for key in ["sentinel_username", "sentinel_password"].into_iter().filter(|key| section.has(key)) {
            let fault = Fault::new(format!("`store.{key}` is for sentinels, and `store.url` names none"));
            section.problem(key, fault.help("store.url = \"redis+sentinel://HOST:26379,HOST:26379/MASTER\""));
        }
    }
    Ok(RedisSettings { address, tls: tls(scheme, section), database, username, password })
}

/// The URL with its first host only, and the other hosts.
fn split(scheme: Scheme, text: &str) -> Result<(String, Vec<&str>), Fault> {
    if !matches!(scheme.kind, Kind::Sentinel | Kind::Cluster) {
        return Ok((text.to_owned(), Vec::new()));
    }
    let (start, rest) = text.split_once("://").ok_or_else(|| scheme.wrong("not a URL"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    let mut hosts = hosts.split(',');
    let first = hosts.next().unwrap_or_default();
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    Ok((format!("{start}://{user}{first}{path}"), hosts.collect()))
}

fn other(scheme: Scheme, host: &str) -> Result<RedisNode, Fault> {
    let url = Url::parse(&format!("{}://{host}", scheme.name));
    match url {
        Ok(url) if url.path().is_empty() => node(scheme, &url),
        _ => Err(scheme.wrong("one of the hosts is none: `HOST` or `HOST:PORT`, with a `,` between two")),
    }
}

fn node(scheme: Scheme, url: &Url) -> Result<RedisNode, Fault> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(scheme.wrong("no host"));
    }
    let port = if scheme.kind == Kind::Sentinel { SENTINEL_PORT } else { PORT };
    Ok(RedisNode { host: host.to_owned(), port: url.port().unwrap_or(port) })
}

/// Where, and the number of the database.
fn address(
    scheme: Scheme,
    url: &Url,
    others: Vec<RedisNode>,
    section: &Section<'_>,
) -> Result<(RedisAddress, i64), Fault> {
    if scheme.kind == Kind::Unix {
        return unix(scheme, url, section);
    }
    let first = node(scheme, url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(scheme.wrong("no `?` or `#` belongs there"));
    }
    let path = url.path().trim_start_matches('/');
    let nodes = || std::iter::once(first.clone()).chain(others.iter().cloned()).collect();
    match scheme.kind {
        Kind::Cluster => match path {
            "" | "0" => Ok((RedisAddress::Cluster(nodes()), 0)),
            _ => Err(scheme.wrong("a cluster has only database 0")),
        },
        Kind::Sentinel => {
            let (master, number) = path.split_once('/').unwrap_or((path, ""));
            let master = decode(master)?;
            if master.is_empty() {
                return Err(scheme.wrong("the name of the master is missing: what `sentinel monitor` calls it"));
            }
            let settings = SentinelSettings {
                sentinels: nodes(),
                master,
                username: section.text("sentinel_username").map(str::to_owned),
                password: section.secret_text("sentinel_password"),
            };
            if settings.username.is_some() && settings.password.is_none() && !section.has("sentinel_password") {
                let fault = Fault::new("a user of the sentinels without a password");
                return Err(fault.help("store.sentinel_password = { env = \"NAME\" }"));
            }
            Ok((RedisAddress::Sentinel(settings), database(scheme, number)?))
        }
        Kind::Server | Kind::Unix => Ok((RedisAddress::Server(first), database(scheme, path)?)),
    }
}

fn unix(scheme: Scheme, url: &Url, section: &Section<'_>) -> Result<(RedisAddress, i64), Fault> {
    let mut number = 0;
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "db" => number = database(scheme, &value)?,
            _ => return Err(scheme.wrong("`redis+unix:` has no such parameter")),
        }
    }
    // `redis+unix://run/redis.sock` has lost a slash: `run` would be a host.
    if url.host_str().is_some_and(|host| !host.is_empty()) || url.path().len() < 2 {
        return Err(scheme.wrong("`redis+unix:` wants a path"));
    }
    let base = section.context.sources.base(section.place_of("url"));
    Ok((RedisAddress::Unix(base.join(decode(url.path())?)), number))
}

fn database(scheme: Scheme, text: &str) -> Result<i64, Fault> {
    match text {
        "" => Ok(0),
        text => text.parse::<u16>().map(i64::from).map_err(|_| scheme.wrong("the database is not a number")),
    }
}

fn tls(scheme: Scheme, section: &Section<'_>) -> Option<RedisTls> {
    if !scheme.tls {
        for key in ["ca", "certificate"].into_iter().filter(|key| section.has(key)) {
            let fault = Fault::new(format!("`store.{key}` is for `rediss`: this connection is not encrypted"));
            section.problem(key, fault.help("store.url = \"rediss://HOST:6379\""));
        }
        return None;
    }
    let certificate = section
        .table("certificate")
        .and_then(|files| Some(CertificateFiles { chain: files.path("chain")?, key: files.path("key")? }));
    Some(RedisTls { ca: section.path("ca"), certificate })
}

fn decode(text: &str) -> Result<String, Fault> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| Fault::new("an escape that is not valid UTF-8"))
}
