//! The posture of TLS, as testssl.sh grades it. `scripts/setup` installs that.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::certificates::Authority;
use crate::harness::process::{Serving, folder};
use crate::harness::upstream::Upstream;

/// All that a grade is made of, and which ciphers there are. Neither name servers nor anybody outside is asked.
const PARTS: &str = "--protocols --std --fs --server-preference --server-defaults --headers --heartbleed --ccs --ticketbleed \
                     --robot --renegotiation --crime --poodle --tls-fallback --drown --beast --rc4 --logjam \
                     --nodns none --ip 127.0.0.1 --warnings off --color 0 --quiet";

/// What it complains of that is none of Portcullis's own, and why.
const EXPLAINED: &[(&str, &str)] = &[
    ("engine_problem", "its own OpenSSL cannot do GOST ciphers; a socket of its own tests for those"),
    ("cert_revocation", "the development CA publishes no CRL and no OCSP, and this certificate is 90 days old at most"),
    ("sessionresumption_ticket", "its client hangs up, and the tickets of TLS 1.3 may come a moment later"),
];

/// The ciphers of TLS 1.2: authenticated, with forward secrecy.
const OF_TLS_1_2: [&str; 3] =
    ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"];

#[test]
fn testssl_gives_the_best_grade_and_takes_it_away_without_hsts() {
    let upstream = Upstream::start();
    let (_guard, here) = folder(&format!(
        r#"
server.workers = 1
[listener.main]
bind = "127.0.0.1:0"
tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
hsts = {{ max_age = "365d", include_subdomains = true }}
[listener.services]
bind = "127.0.0.1:0"
tls.certificates = [{{ chain = "server.pem", key = "server.key" }}]
tls.client_auth = {{ mode = "required", ca = "ca.pem" }}
[defaults]
upstream = "{}"
listeners = ["main", "services"]
security_headers = "standard"
[route.all]
match = "/{{*rest}}"
accept = "anyone"
"#,
        upstream.url()
    ));
    let mut authority = Authority::new(&here);
    authority.server("server", &["localhost"]);
    authority.client("client", "spiffe://cluster.local/ns/shop/sa/orders");
    let read = |name: &str| std::fs::read_to_string(here.join(name)).expect("a file");
    std::fs::write(here.join("both.pem"), read("client.pem") + &read("client.key")).expect("a file can be written");
    let serving = Serving::run(&here).ready();

    // Both at once: most of the time it waits for what does not come.
    let main = Grading::of(&here, &serving, "main", &[]);
    let services = Grading::of(&here, &serving, "services", &["--mtls", "both.pem"]);
    let (main, services) = (main.done(), services.done());

    assert_eq!(main.finding("overall_grade"), "A+", "{}", main.text);
    assert_eq!(services.finding("overall_grade"), "A", "without HSTS there is no A+: {}", services.text);
    assert!(services.finding("grade_cap_reason_1").contains("HSTS"), "{}", services.text);
    main.nothing_else_found(&[]);
    services.nothing_else_found(&["HSTS"]);

    for report in [&main, &services] {
        report.is("TLS1_3", "offered with final");
        report.is("TLS1_2", "offered");
        for version in ["SSLv2", "SSLv3", "TLS1", "TLS1_1"] {
            report.is(version, "not offered");
        }
        for weak in ["NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "OBSOLETED", "STRONG_NOFS"] {
            report.is(&format!("cipherlist_{weak}"), "not offered");
        }
        report.is("FS_KEMs", "X25519MLKEM768");
        report.is("secure_renego", "supported");
        report.is("secure_client_renego", "not vulnerable");
        report.is("CRIME_TLS", "not vulnerable");
        let mut ciphers = report.with_prefix("cipher-tls1_2_");
        ciphers.sort();
        assert_eq!(ciphers.len(), OF_TLS_1_2.len(), "{ciphers:?}");
        for name in OF_TLS_1_2 {
            assert!(ciphers.iter().any(|finding| finding.contains(name)), "{name}: {ciphers:?}");
        }
    }
    main.is("HSTS_time", "365 days");
    main.is("cert_chain_of_trust", "passed.");
    main.is("TLS_session_ticket", "valid for 43200 seconds");
    assert!(!upstream.received().is_empty(), "its requests arrive");
}

/// testssl.sh, under way.
struct Grading {
    child: Child,
    folder: PathBuf,
    name: String,
}

/// What it found.
struct Report {
    findings: Vec<Value>,
    /// As people read it.
    text: String,
}

impl Grading {
    fn of(folder: &Path, serving: &Serving, listener: &str, more: &[&str]) -> Self {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/testssl");
        let program = installed.join("usr/bin/testssl");
        assert!(program.exists(), "there is no {}: run scripts/setup", program.display());
        let text = std::fs::File::create(folder.join(format!("{listener}.txt"))).expect("a file");
        let child = Command::new("timeout")
            .args(["--kill-after=5", "900", "bash"])
            .arg(&program)
            .args(PARTS.split_whitespace())
            .args(["--add-ca", "ca.pem", "--jsonfile", &format!("{listener}.json")])
            .args(more)
            .arg(format!("https://localhost:{}/", serving.address(listener).port()))
            .current_dir(folder)
            .env("TESTSSL_INSTALL_DIR", installed.join("etc/testssl"))
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(text.try_clone().expect("a file"))
            .stderr(text)
            .spawn()
            .expect("bash");
        Self { child, folder: folder.to_owned(), name: listener.to_owned() }
    }

    #[track_caller]
    fn done(mut self) -> Report {
        // Its exit code counts findings; that it came to its end is seen by the grade, which is its last word.
        self.child.wait().expect("it ends");
        let read = |extension: &str| {
            std::fs::read_to_string(self.folder.join(format!("{}.{extension}", self.name))).unwrap_or_default()
        };
        let (text, json) = (read("txt"), read("json"));
        let findings = serde_json::from_str(&json).unwrap_or_else(|problem| panic!("no JSON ({problem}): {text}"));
        Report { findings, text }
    }
}

impl Report {
    #[track_caller]
    fn finding(&self, id: &str) -> &str {
        let found = self.findings.iter().find(|finding| finding["id"] == id);
        found.and_then(|finding| finding["finding"].as_str()).unwrap_or_else(|| panic!("no `{id}`: {}", self.text))
    }

    #[track_caller]
    fn is(&self, id: &str, text: &str) {
        let found = self.finding(id);
        assert!(found.starts_with(text), "{id}: {found}, and not {text}");
    }

    /// What it says of each with such a name.
    fn with_prefix(&self, prefix: &str) -> Vec<&str> {
        let of = |finding: &&Value| finding["id"].as_str().is_some_and(|id| id.starts_with(prefix));
        self.findings.iter().filter(of).filter_map(|finding| finding["finding"].as_str()).collect()
    }

    /// It complains of nothing but what is explained, and of these.
    #[track_caller]
    fn nothing_else_found(&self, expected: &[&str]) {
        let complaint = |finding: &&Value| !["OK", "INFO"].contains(&finding["severity"].as_str().unwrap_or_default());
        let known = |finding: &&Value| {
            let id = finding["id"].as_str().unwrap_or_default();
            expected.contains(&id) || EXPLAINED.iter().any(|(explained, _)| *explained == id)
        };
        let others: Vec<&Value> = self.findings.iter().filter(complaint).filter(|one| !known(one)).collect();
        assert!(others.is_empty(), "{others:#?}\n{}", self.text);
    }
}
