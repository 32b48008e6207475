//! A certificate authority of a test, and the files that it makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::crypto::dev_certs::{DevCertificate, DevCertificates};
use portcullis::model::{Clock as _, SystemClock};

/// A CA whose certificate stands in a folder as `ca.pem` (or another name).
pub struct Authority {
    folder: PathBuf,
    ca: DevCertificates,
}

impl Authority {
    /// In `ca.pem`.
    pub fn new(folder: &Path) -> Self {
        Self::named(folder, "ca")
    }

    /// In `NAME.pem`.
    pub fn named(folder: &Path, name: &str) -> Self {
        let ca = DevCertificates::new(SystemClock.now()).expect("a CA");
        std::fs::write(folder.join(format!("{name}.pem")), ca.ca_pem()).expect("a file can be written");
        Self { folder: folder.to_owned(), ca }
    }

    /// `NAME.pem` and `NAME.key` for a server of these hosts.
    pub fn server(&mut self, name: &str, hosts: &[&str]) {
        let made = self.ca.server(hosts).expect("a certificate");
        self.write(name, &made);
    }

    /// `NAME.pem` and `NAME.key` for a client with this SAN URI.
    pub fn client(&mut self, name: &str, uri: &str) {
        let made = self.ca.client(name, &[uri], &[]).expect("a certificate");
        self.write(name, &made);
    }

    fn write(&self, name: &str, made: &DevCertificate) {
        let file = |extension: &str| self.folder.join(format!("{name}.{extension}"));
        std::fs::write(file("pem"), &made.chain_pem).expect("a file can be written");
        std::fs::write(file("key"), made.key_pem.expose()).expect("a file can be written");
    }
}

/// What curl says.
#[derive(Debug)]
pub struct Curled {
    /// Its exit code: 35 and 56 for TLS that failed, 60 for a certificate that it does not trust.
    pub code: i32,
    /// Head and body, or what it complained of.
    pub text: String,
}

impl Curled {
    /// The status of the answer.
    #[track_caller]
    pub fn status(&self) -> u16 {
        assert_eq!(self.code, 0, "{self:?}");
        let status = self.text.split(' ').nth(1).and_then(|status| status.trim().parse().ok());
        status.unwrap_or_else(|| panic!("no status: {self:?}"))
    }
}

/// `curl -i` in a folder, with `--cacert ca.pem` and no proxy.
pub fn curl(folder: &Path, arguments: &[&str]) -> Curled {
    let fixed = ["-sS", "-i", "--max-time", "30", "--noproxy", "*", "--cacert", "ca.pem"];
    let output = Command::new("curl").current_dir(folder).args(fixed).args(arguments).output().expect("curl");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Curled { code: output.status.code().expect("an exit code"), text }
}
