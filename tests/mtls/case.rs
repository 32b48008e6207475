//! A case: what the operator trusts, what the client presents, and what must become of it. All cases of a test are put to
//! one process, each to a listener of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::AlertDescription;
use tempfile::TempDir;

use super::client::{Outcome, connect};
use super::keys::Key;
use super::makers::Issued;
use crate::harness::certificates::Authority;
use crate::harness::http::get;
use crate::harness::process::{Serving, folder, run};
use crate::harness::upstream::Upstream;

/// The log says no more than this of a kind in a second, so that no test may cause more.
const MOST_REFUSALS: usize = 10;

#[derive(Clone)]
pub struct Case {
    name: &'static str,
    trusted: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
    key: Option<Key>,
    tls12: bool,
    expected: Expected,
}

#[derive(Clone)]
enum Expected {
    /// The subject of the identity that the upstream is told.
    Accepted(&'static str),
    /// The reason's name.
    Refused(&'static str),
}

impl Case {
    /// The first certificate is the client's, the others are sent with it.
    pub fn new(name: &'static str, trusted: &[&Issued], sent: &[&Issued]) -> Self {
        Self {
            name,
            trusted: trusted.iter().map(|one| one.der.clone()).collect(),
            lists: Vec::new(),
            chain: sent.iter().map(|one| one.der.clone()).collect(),
            key: sent.first().map(|one| one.key.clone()),
            tls12: false,
            expected: Expected::Accepted("client"),
        }
    }

    pub fn lists(mut self, lists: &[Vec<u8>]) -> Self {
        self.lists = lists.to_vec();
        self
    }

    /// Sends something else in place of the client's own certificate.
    pub fn sending(mut self, der: Vec<u8>) -> Self {
        self.chain[0] = der;
        self
    }

    pub fn signing_with(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    pub fn over_tls12(mut self) -> Self {
        self.tls12 = true;
        self
    }

    pub fn known_as(mut self, subject: &'static str) -> Self {
        self.expected = Expected::Accepted(subject);
        self
    }

    pub fn refused(mut self, reason: &'static str) -> Self {
        self.expected = Expected::Refused(reason);
        self
    }

    fn listener(&self, folder: &Path) -> String {
        let Self { name, trusted, lists, .. } = self;
        write_pem(&folder.join(format!("{name}.ca.pem")), "CERTIFICATE", trusted);
        let mut crls = String::new();
        for (at, list) in lists.iter().enumerate() {
            write_pem(&folder.join(format!("{name}.{at}.crl")), "X509 CRL", std::slice::from_ref(list));
            write!(crls, "\"{name}.{at}.crl\", ").unwrap();
        }
        format!(
            r#"
[listener.{name}]
bind = "127.0.0.1:0"
[listener.{name}.tls]
certificates = [{{ chain = "server.pem", key = "server.key" }}]
client_auth = {{ mode = "required", ca = "{name}.ca.pem", crls = [{crls}] }}
"#
        )
    }

    /// Whether it came out as it must; otherwise what was different.
    fn run(&self, serving: &Serving, upstream: &Upstream) -> Result<(), String> {
        let key = self.key.as_ref().and_then(|key| key.private().or_else(|| Key::p256().private()));
        let before = upstream.received().len();
        let outcome = connect(serving.address(self.name), &self.chain, key, self.tls12);
        let asked = upstream.received().len() - before;
        match (&self.expected, &outcome) {
            (Expected::Accepted(subject), Outcome::Answered(answer)) => {
                let told = upstream.received().last().and_then(|last| last.value("x-auth-subject").map(str::to_owned));
                let well = answer.starts_with("HTTP/1.1 200") && asked == 1 && told.as_deref() == Some(*subject);
                if well { Ok(()) } else { Err(format!("subject {told:?}, answer {answer}")) }
            }
            (Expected::Refused(reason), Outcome::Alert(_) | Outcome::Closed) => {
                let begin = format!("client certificate refused listener={} ", self.name);
                let line = serving.says(&begin);
                if !line.contains(&format!(" reason=\"{reason}\" ")) {
                    return Err(format!("another reason than {reason}: {line}"));
                }
                if outcome != Outcome::Closed && outcome != Outcome::Alert(alert(reason)) {
                    return Err(format!("another alert than {:?}: {outcome:?}", alert(reason)));
                }
                if asked == 0 { Ok(()) } else { Err("the upstream was asked".to_owned()) }
            }
            (_, outcome) => Err(format!("{outcome:?}\n{}", serving.log())),
        }
    }
}

/// Puts them to a process that runs, and checks the answers, the log and the count of each reason.
pub fn all(cases: Vec<Case>) {
    let upstream = Upstream::start();
    let (_guard, here) = configured(&cases, &upstream);
    let serving = Serving::run(&here).ready();

    let failed: Vec<_> = cases
        .iter()
        .filter_map(|case| case.run(&serving, &upstream).err().map(|why| format!("{}: {why}", case.name)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));

    let metrics = get(serving.health(), "/metrics", "").body;
    let reasons: Vec<_> = cases
        .iter()
        .filter_map(|case| match case.expected {
            Expected::Refused(reason) => Some(reason),
            Expected::Accepted(_) => None,
        })
        .collect();
    assert!(reasons.len() <= MOST_REFUSALS, "the log would hold lines back: {}", reasons.len());
    for reason in &reasons {
        let times = reasons.iter().filter(|other| other == &reason).count();
        let line = format!("portcullis_connections_refused_total{{reason=\"client_certificate_{reason}\"}} {times}\n");
        assert!(metrics.contains(&line), "`{line}` is not in:\n{metrics}");
    }
}

/// Of what the operator trusts something cannot be used: neither `run` nor `check` goes on.
pub fn refuses_to_load(what: &str, case: &Case) {
    let (_guard, here) = configured(std::slice::from_ref(case), &Upstream::start());
    for verb in ["run", "check"] {
        let ended = run(&here, &[verb]);
        let named = ended.stderr.contains(&format!("{}.{}.crl", case.name, case.lists.len() - 1));
        assert!(ended.code == Some(2) && named, "{what}: {ended:#?}");
    }
}

/// A folder with all files, and a configuration with a listener for each case.
fn configured(cases: &[Case], upstream: &Upstream) -> (TempDir, PathBuf) {
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    let (guard, here) = folder("");
    Authority::new(&here).server("server", &["localhost"]);
    let listeners: String = cases.iter().map(|case| case.listener(&here)).collect();
    let configuration = format!(
        r#"
health.bind = "127.0.0.1:0"
server.workers = 1
{listeners}
{RULES}
[route.all]
match = "/"
accept = "mtls"
listeners = {names:?}
upstream = "{}"
"#,
        upstream.url()
    );
    std::fs::write(here.join("portcullis.toml"), configuration).unwrap();
    (guard, here)
}

/// RFC 8446, section 6.2, as docs/mtls.md has it.
fn alert(reason: &str) -> AlertDescription {
    match reason {
        "missing" => AlertDescription::CertificateRequired,
        "expired" | "not_yet_valid" => AlertDescription::CertificateExpired,
        "revoked" => AlertDescription::CertificateRevoked,
        "ca_expired" | "unknown_issuer" | "not_a_ca" | "path_length" | "crl_expired" | "crl_missing"
        | "crl_invalid" => AlertDescription::UnknownCA,
        "bad_signature" | "signature_algorithm" | "weak_key" | "critical_extension" | "malformed" | "bad_name" => {
            AlertDescription::BadCertificate
        }
        "wrong_purpose" | "key_usage" | "ca_as_client" => AlertDescription::UnsupportedCertificate,
        "key_not_held" => AlertDescription::DecryptError,
        "name_constraints" | "chain_too_long" | "too_large" | "too_complex" => AlertDescription::CertificateUnknown,
        other => panic!("docs/mtls.md knows no reason {other}"),
    }
}

const RULES: &str = r#"
[[mtls]]
match = { uri = "spiffe://test/{id}" }
subject = "{id}"
[[mtls]]
match = { dns = "{id}.test.example" }
subject = "{id}"
[[mtls]]
match = { email = "{id}@test.example" }
subject = "{id}"
[[mtls]]
match = { subject = "CN={id}" }
subject = "subject-{id}"
"#;

/// A PEM file of these.
pub fn write_pem(file: &Path, label: &str, blocks: &[Vec<u8>]) {
    let pem: String = blocks.iter().map(|der| pem(label, der)).collect();
    std::fs::write(file, pem).unwrap();
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
