//! `[store]`

use super::redis;
use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::{RedisAddress, RedisSettings, StoreKind, StoreSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "url",
        Shape::Text,
        "`memory:` (in this process), `memory:FILE` (kept through restarts), `redis://HOST[:PORT][/DB]`, \
         `redis+unix:///PATH[?db=N]`, `redis+sentinel://HOST[:PORT],…/MASTER[/DB]` or `redis+cluster://HOST[:PORT],…`; \
         over TLS `rediss://…`, `rediss+sentinel://…`, `rediss+cluster://…`. A certificate must be for the host as it is \
         written here, or as Sentinel or Cluster announces it: let them announce names \
         (`sentinel announce-hostnames yes`, `cluster-preferred-endpoint-type hostname`) where it is for names.",
    )
    .default(Given::Text("memory:")),
    Key::new("username", Shape::Text, "ACL user of Redis."),
    Key::new("password", Shape::Secret, "Password of Redis."),
    Key::new("sentinel_username", Shape::Text, "ACL user of the sentinels, which have users of their own."),
    Key::new("sentinel_password", Shape::Secret, "Password of the sentinels; without it, they are asked without one."),
    Key::new("ca", Shape::Path, "Certificates to trust over TLS instead of the system's, PEM."),
    Key::new(
        "certificate",
        Shape::Table(CERTIFICATE),
        "What to present over TLS where Redis wants a client certificate (`tls-auth-clients`).",
    ),
    Key::new(
        "prefix",
        Shape::Text,
        "What every key in Redis begins with. In a cluster all keys must fall into one slot: unless it holds a `{…}` \
         already, it becomes `{pc:}`.",
    )
    .default(Given::Text("pc:")),
    Key::new("timeout", DURATION, "How long one call may take.").default(Given::Text("50ms")),
    Key::new("replicas", Shape::Integer { min: 1, max: 100_000 }, "How many instances share it.")
        .default(Given::Integer(1)),
];

const CERTIFICATE: &[Key] = &[
    Key::new("chain", Shape::Path, "The certificate chain, PEM, end entity first.").required(),
    Key::new("key", Shape::Path, "The private key, PEM.").required(),
];

const URL_HELP: &str = "\"memory:\", \"memory:FILE\", \"redis://HOST:6379/0\", \"rediss://HOST:6379/0\", \
                        \"redis+unix:///PATH\", \"redis+sentinel://HOST:26379,HOST:26379/MASTER\" or \
                        \"redis+cluster://HOST:6379,HOST:6379\"";

/// Keys that mean nothing where everything is in memory.
const REDIS_ONLY: [&str; 6] = ["username", "password", "sentinel_username", "sentinel_password", "ca", "certificate"];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<StoreSettings> {
    let section = context.section("store")?;
    let kind = section.parse("url", |text| kind(text, &section));
    if matches!(kind, Some(StoreKind::Memory { .. })) {
        for key in REDIS_ONLY.into_iter().filter(|key| section.has(key)) {
            let fault = Fault::new(format!("`store.{key}` is for Redis, and `store.url` is `memory:`"));
            section.problem(key, fault.help("store.url = \"redis://HOST:6379\""));
        }
    }
    let prefix = section.text("prefix")?;
    if let Some(StoreKind::Redis(RedisSettings { address: RedisAddress::Cluster(_), .. })) = &kind
        && prefix.starts_with('}')
    {
        let fault = Fault::new("a cluster needs a prefix that can be a hash tag, and this one begins with `}`");
        section.problem("prefix", fault.help("store.prefix = \"pc:\""));
    }
    Some(StoreSettings {
        kind: kind?,
        prefix: prefix.to_owned(),
        timeout: section.duration("timeout"),
        replicas: u32::try_from(section.count("replicas")).unwrap_or(1),
    })
}

fn kind(text: &str, section: &Section<'_>) -> Result<StoreKind, Fault> {
    let (scheme, rest) = text.split_once(':').ok_or_else(|| Fault::new("not a store").help(URL_HELP))?;
    match scheme {
        "memory" if rest.starts_with("//") => {
            Err(Fault::new("`memory:` takes no host").help("\"memory:\" or \"memory:FILE\""))
        }
        "memory" => {
            let base = section.context.sources.base(section.place_of("url"));
            Ok(StoreKind::Memory { file: (!rest.is_empty()).then(|| base.join(rest)) })
        }
        "valkey" | "valkeys" => {
            Err(Fault::new("not a store").help("Valkey speaks the same protocol: \"redis://HOST\""))
        }
        _ => match redis::Scheme::of(scheme) {
            Some(scheme) => redis::read(scheme, text, section).map(StoreKind::Redis),
            None => Err(Fault::new("not a store").help(URL_HELP)),
        },
    }
}
