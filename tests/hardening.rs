//! `docs/hardening.md` says what is in force: each limit of its table is the configuration's default or stands in the code.

use std::collections::BTreeMap;
use std::path::Path;

const HARDENING: &str = include_str!("../docs/hardening.md");
/// Generated from the keys themselves, which another test holds it to.
const REFERENCE: &str = include_str!("../docs/configuration.md");

/// What has no setting: the row's name, its default, the source that says so, and how.
const FIXED: &[(&str, &str, &str, &str)] = &[
    ("PROXY protocol: length of the header", "4096 bytes", "edge/proxy_protocol/v2.rs", "MOST: usize = 4096;"),
    ("TLS: handshakes at once, each worker", "1024", "edge/accept.rs", "HANDSHAKES: usize = 1024;"),
    ("TLS: certificates that a client sends", "8", "edge/tls/verify/mod.rs", "MOST_CERTIFICATES: usize = 8;"),
    ("TLS: bytes of one of them", "16 KiB", "edge/tls/verify/mod.rs", "LARGEST_CERTIFICATE: usize = 16 * 1024;"),
    (
        "TLS: bytes of all of them",
        "64 KiB",
        "edge/tls/verify/mod.rs",
        "rustls reads no more than 64 KiB of all of them",
    ),
    (
        "TLS: signatures that are verified for one chain",
        "100",
        "edge/tls/verify/mod.rs",
        "webpki verifies 100 signatures at most",
    ),
    (
        "HTTP/2: streams that a client resets before they are looked at",
        "20",
        "edge/http2/mod.rs",
        "RESET_BY_CLIENT: usize = 20;",
    ),
    (
        "HTTP/2: streams that are reset for a client's errors",
        "256",
        "edge/http2/mod.rs",
        "RESET_FOR_ERRORS: usize = 256;",
    ),
    ("HTTP/2: sent ahead on a stream", "256 KiB", "edge/http2/mod.rs", "STREAM_WINDOW: u32 = 256 * 1024;"),
    ("HTTP/2: sent ahead on a connection", "1 MiB", "edge/http2/mod.rs", "CONNECTION_WINDOW: u32 = 1024 * 1024;"),
    (
        "HTTP/2: an answer waiting to be sent, each stream",
        "64 KiB",
        "edge/http2/mod.rs",
        "SEND_BUFFER: usize = 64 * 1024;",
    ),
    ("HTTP/2: silence before a PING", "30 s", "edge/http2/silence.rs", "ask_after: Duration::from_secs(30)"),
    ("HTTP/2: time for its answer", "20 s", "edge/http2/silence.rs", "answer_within: Duration::from_secs(20)"),
    (
        "bytes held behind a request to switch protocols",
        "16 KiB",
        "edge/framing/guard.rs",
        "HOLD_AT_MOST: usize = 16 * 1024;",
    ),
    (
        "read and thrown away behind a refusal",
        "8 MiB",
        "edge/framing/guard.rs",
        "LINGER_BYTES: usize = 8 * 1024 * 1024;",
    ),
    ("for how long", "2 s", "edge/framing/guard.rs", "LINGER_TIME: Duration = Duration::from_secs(2);"),
    ("request id of a trusted proxy", "128 bytes", "proxy/request.rs", "MAX_REQUEST_ID: usize = 128;"),
    ("JWT: keys that are tried, where several fit", "8", "crypto/key/set.rs", "MOST_TRIES: usize = 8;"),
    (
        "JSON: nesting, in tokens, proofs, key sets and answers of introspection",
        "127 levels",
        "crypto/jwt/json.rs",
        "127 levels are read, 128 are not",
    ),
    ("key set or discovery document: bytes", "256 KiB", "crypto/issuers/fetch.rs", "LARGEST: usize = 256 * 1024;"),
    ("key set: keys", "128", "crypto/key/set.rs", "MOST_KEYS: usize = 128;"),
    ("introspection: answer", "64 KiB", "crypto/introspection/mod.rs", "LARGEST: usize = 64 * 1024;"),
    ("introspection: calls at once", "64", "crypto/introspection/mod.rs", "MOST_CALLS: usize = 64;"),
    ("DPoP: proof", "4096 bytes", "crypto/dpop/mod.rs", "MAX_SIZE: usize = 4096;"),
    ("DPoP: `jti`", "256 bytes", "crypto/dpop/mod.rs", "MAX_ID: usize = 256;"),
    ("Basic: name and password, as base64", "1 KiB", "gate/identity/basic.rs", "LONGEST: usize = 1024;"),
    ("Basic: passwords that wait to be hashed", "32", "gate/identity/basic.rs", "MOST_WAITING: usize = 32;"),
    ("htpasswd: file", "4 MiB", "crypto/htpasswd/mod.rs", "LARGEST: u64 = 4 * 1024 * 1024;"),
    ("htpasswd: cost of bcrypt", "14", "crypto/htpasswd/hash.rs", "BCRYPT_MOST: u32 = 14;"),
    ("session of an application: record", "64 KiB", "gate/identity/foreign/mod.rs", "MOST_BYTES: usize = 64 * 1024;"),
    ("session of an application: nesting", "32 levels", "gate/identity/foreign/mod.rs", "MOST_DEPTH: usize = 32;"),
    ("session of an application: values, in PHP", "8192", "gate/identity/foreign/php.rs", "MOST_VALUES: usize = 8192;"),
    ("session of an application: attributes, in Spring", "512", "store/redis/foreign.rs", "MOST_FIELDS: usize = 512;"),
    ("verifications at once", "16384", "gate/identity/flight.rs", "MOST: usize = 16_384;"),
    ("verified credentials: count", "100,000", "gate/shared.rs", "CACHED_CREDENTIALS: u64 = 100_000;"),
    ("verified credentials: bytes", "128 MiB", "gate/shared.rs", "CACHED_BYTES: u64 = 128 << 20;"),
    ("unknown sessions and keys", "10,000", "gate/identity/cache.rs", "UNKNOWN_CAPACITY: u64 = 10_000;"),
    ("keys of one rate limit", "131,072", "gate/limit/counters.rs", "MOST_KEYS: usize = 131_072;"),
    (
        "identity headers that are kept ready",
        "8192 in each of two generations",
        "gate/headers/introduction.rs",
        "GENERATION: usize = 8192;",
    ),
    ("changes of the log that are remembered apart", "4096", "gate/identity/changes.rs", "MOST: usize = 4096;"),
    ("log of a `memory:` store", "65,536 entries", "store/memory/state.rs", "LOG_ENTRIES: usize = 65_536;"),
    ("head of an answer", "64 KiB", "upstream/connect.rs", "MAX_HEAD: u32 = 64 * 1024;"),
    ("fields of an answer, in HTTP/1.1", "100", "upstream/connect.rs", "hyper reads 100 fields"),
    ("held of an answer between the sockets", "128 KiB", "upstream/connect.rs", "BUFFER: usize = 128 * 1024;"),
    (
        "token for an upstream: length",
        "16 KiB",
        "crypto/client_credentials/answer.rs",
        "LONGEST_TOKEN: usize = 16 * 1024;",
    ),
    (
        "token for an upstream: the endpoint's answer",
        "64 KiB",
        "crypto/client_credentials/mod.rs",
        "LARGEST: usize = 64 * 1024;",
    ),
    ("health check: head of an answer", "16 KiB", "upstream/health/check.rs", "MAX_HEAD: usize = 16 * 1024;"),
    ("health check: body of an answer", "64 KiB", "upstream/health/check.rs", "MAX_BODY: usize = 64 * 1024;"),
    ("values from outside in a line of the log", "64 characters", "crypto/shown.rs", "LONGEST: usize = 64;"),
    ("lines about refused connections, each second, worker and kind", "10", "edge/quiet.rs", "AT_MOST: u32 = 10;"),
    ("admin and health: connections at once", "256", "admin/serve.rs", "MAX_CONNECTIONS: usize = 256;"),
    (
        "admin and health: time for a head",
        "10 s",
        "admin/serve.rs",
        "HEAD_TIMEOUT: Duration = Duration::from_secs(10);",
    ),
    ("admin: body", "64 KiB", "admin/request.rs", "MAX_BODY: usize = 64 * 1024;"),
    ("admin: time for a body", "5 s", "admin/request.rs", "BODY_TIMEOUT: Duration = Duration::from_secs(5);"),
    ("configuration: includes within includes", "8", "config/gather.rs", "MAX_DEPTH: usize = 8;"),
    ("secret from a file", "64 KiB", "config/secret.rs", "MAX_BYTES: u64 = 64 * 1024;"),
    ("own error page", "64 KiB", "config/section/pages.rs", "LONGEST: u64 = 64 * 1024;"),
];

/// The rows of the table of limits: name, default, setting.
fn limits() -> Vec<[&'static str; 3]> {
    let section = HARDENING.split("\n## ").find(|section| section.starts_with("Limits\n")).expect("a section `Limits`");
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.filter(|row| !row.starts_with("| **"))
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 5, "what, default, setting, why and beyond it: {row}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {row}");
            [cells[0], cells[1], cells[2]]
        })
        .collect()
}

/// The default of each key of the reference, without quotes; empty where there is none.
fn defaults() -> BTreeMap<String, &'static str> {
    let mut found = BTreeMap::new();
    for section in REFERENCE.split("\n## `").skip(1) {
        let (name, rest) = section.split_once('`').expect("a heading ends");
        for row in rest.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let key = format!("{name}.{}", cells[0].trim_matches('`'));
            found.insert(key, cells[2].trim_matches('`').trim_matches('"'));
        }
    }
    assert!(found.len() > 100, "the reference has been read: {found:?}");
    found
}

/// What is bounded by the setting of another row, and what is not bounded unless it is set.
const WITHOUT_DEFAULT: &[&str] = &["live streams", "requests under way at once, of all workers"];

#[test]
fn limits_with_a_setting_have_its_default() {
    let defaults = defaults();
    let mut seen = 0;
    for [what, default, setting] in limits().into_iter().filter(|row| !matches!(row[2], "fixed" | "none")) {
        let key = setting.trim_matches('`');
        let in_force = defaults.get(key).unwrap_or_else(|| panic!("{what}: there is no key `{key}`"));
        assert!(
            WITHOUT_DEFAULT.contains(&what) || *in_force == default,
            "{what}: `{key}` is {in_force}, not {default}"
        );
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn limits_without_a_setting_are_those_of_the_code() {
    let stated: Vec<_> = limits().into_iter().filter(|row| row[2] == "fixed").collect();
    for [what, default, _] in &stated {
        let row = FIXED.iter().find(|row| row.0 == *what);
        let (_, known, file, code) = row.unwrap_or_else(|| panic!("nobody checks the limit `{what}`"));
        assert_eq!(default, known, "{what}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let source = std::fs::read_to_string(source).unwrap();
        assert!(source.contains(code), "{what}: `{code}` is not in {file}");
    }
    for (what, ..) in FIXED {
        assert!(stated.iter().any(|row| row[0] == *what), "the table lacks `{what}`");
    }
}

#[test]
fn every_setting_that_bounds_something_is_in_the_table() {
    let known: Vec<_> = limits().into_iter().map(|row| row[2].trim_matches('`').to_owned()).collect();
    for key in defaults().into_keys() {
        let last = key.rsplit('.').next().unwrap_or_default();
        let of_clients = key.starts_with("listener.NAME.timeouts.");
        // What ejection may do, and what browsers remember, bounds nothing that comes from outside.
        let bounds = last.starts_with("max_") && ![".ejection.", ".cors."].iter().any(|of| key.contains(of));
        assert!(!(of_clients || bounds) || known.contains(&key), "the table lacks `{key}`");
    }
}
