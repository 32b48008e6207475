//! `portcullis certs ca`, and the folder of a development CA.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::files::{self, NewFile};
use crate::admin::views::rfc3339;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::crypto::dev_authority::{DevAlgorithm, DevAuthority, DevPair, DevTerms};
use crate::model::{Clock, Entropy, SystemClock, SystemEntropy};

/// Names of the files of a CA: its certificate, its key, and the same of what it signs with where that is another.
const ROOT: (&str, &str) = ("ca.pem", "ca.key");
const INTERMEDIATE: (&str, &str) = ("intermediate.pem", "intermediate.key");

/// A new CA.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The folder for `ca.pem` and `ca.key`
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Its name; default: one that no other CA has
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Make an intermediate too, and sign with that: chains are two certificates long then
    #[arg(long)]
    intermediate: bool,
    /// For how many days it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    #[command(flatten)]
    making: Making,
}

/// How files are made.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(in crate::cli) struct Making {
    /// The kind of its key
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    algorithm: Algorithm,
    /// Replace files that are there
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Algorithm {
    /// ECDSA on P-256
    #[default]
    P256,
    /// Ed25519, which browsers do not take
    Ed25519,
}

impl Making {
    pub(super) fn terms(self, days: u32) -> DevTerms<'static> {
        let algorithm = match self.algorithm {
            Algorithm::P256 => DevAlgorithm::P256,
            Algorithm::Ed25519 => DevAlgorithm::Ed25519,
        };
        DevTerms { algorithm, ..terms(days) }
    }
}

/// From now on, for so many days.
pub(super) fn terms(days: u32) -> DevTerms<'static> {
    let validity = Duration::from_secs(u64::from(days) * 86_400);
    DevTerms { now: SystemClock.now(), validity, algorithm: DevAlgorithm::P256, entropy: &SystemEntropy }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let terms = args.making.terms(args.days);
    let name = args.name.clone().unwrap_or_else(|| {
        // Of its own, so that a browser that has seen an earlier one does not take this for a forgery.
        let mut random = [0; 4];
        SystemEntropy.fill(&mut random);
        format!("Portcullis development CA {:08x}", u32::from_be_bytes(random))
    });
    let (root, pair) = DevAuthority::root(&name, args.intermediate, terms).map_err(failed)?;
    let mut made = vec![(ROOT, pair)];
    if args.intermediate {
        let (_, pair) = root.intermediate(&format!("{name} intermediate"), terms).map_err(failed)?;
        made.push((INTERMEDIATE, pair));
    }
    files::make_folder(&args.out)?;
    let stale = args.out.join(INTERMEDIATE.0);
    if !args.intermediate && stale.exists() {
        let message = format!("`{}` is of another CA; remove it, or say --intermediate", stale.display());
        return Err(Failure::failed(message));
    }
    let new = made.iter().flat_map(|((certificate, key), pair)| pair.files(&args.out, certificate, key, ""));
    files::write(&new.collect::<Vec<_>>(), args.making.force)?;
    for ((certificate, key), pair) in &made {
        say_made(&args.out.join(certificate), &format!("the CA's certificate, until {}", rfc3339(pair.not_after)));
        say_made(&args.out.join(key), "its private key, unencrypted");
    }
    let ca = args.out.join(ROOT.0);
    output::line(&format!(
        "\nThis CA is for development: whoever can read its key can be anybody to those who trust it.\n\n\
         certificates:      portcullis certs server localhost 127.0.0.1 --ca {out}\n\
         \u{20}                  portcullis certs client orders --uri spiffe://dev/orders --ca {out}\n\
         a listener:        tls.client_auth = {{ mode = \"required\", ca = {ca} }}\n\
         an upstream:       tls.ca = {ca}",
        out = args.out.display(),
        ca = quoted(&ca),
    ));
    Ok(())
}

/// A folder that `portcullis certs ca` has filled.
pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Folder<'_> {
    /// What signs certificates, and its own certificate where that belongs into each chain.
    pub(super) fn signer(&self) -> Result<(DevAuthority, String), Failure> {
        if !self.0.join(INTERMEDIATE.0).exists() {
            return Ok((self.open(ROOT)?, String::new()));
        }
        let chain = read(&self.0.join(INTERMEDIATE.0))?;
        Ok((self.open(INTERMEDIATE)?, String::from_utf8_lossy(&chain).into_owned()))
    }

    /// All of its CAs, the root first.
    pub(super) fn all(&self) -> Result<Vec<DevAuthority>, Failure> {
        let mut all = vec![self.open(ROOT)?];
        if self.0.join(INTERMEDIATE.0).exists() {
            all.push(self.open(INTERMEDIATE)?);
        }
        Ok(all)
    }

    /// Where the certificate is that others have to trust.
    pub(super) fn trusted(&self) -> PathBuf {
        self.0.join(ROOT.0)
    }

    fn open(&self, (certificate, key): (&str, &str)) -> Result<DevAuthority, Failure> {
        let (certificate, key) = (self.0.join(certificate), self.0.join(key));
        let text = String::from_utf8(read(&key)?).map(Zeroizing::new);
        let text = text.map_err(|_| Failure::failed(format!("`{}` is not PEM", key.display())))?;
        DevAuthority::open(&read(&certificate)?, &text).map_err(|problem| {
            Failure::failed(format!("`{}` and `{}`: {problem}", certificate.display(), key.display()))
        })
    }
}

impl DevPair {
    /// As files, the key first: who watches the chain finds its key there. `chain`: all of it, where it is longer than the
    /// certificate.
    pub(super) fn files<'a>(&'a self, folder: &Path, certificate: &str, key: &str, chain: &'a str) -> [NewFile<'a>; 2] {
        let chain = if chain.is_empty() { &self.certificate_pem } else { chain };
        [
            NewFile { path: folder.join(key), text: self.key_pem.expose(), secret: true },
            NewFile { path: folder.join(certificate), text: chain, secret: false },
        ]
    }
}

pub(super) fn failed(problem: impl Display) -> Failure {
    Failure::failed(problem.to_string())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|problem| Failure::failed(format!("`{}`: {problem}", path.display())))
}

pub(super) fn say_made(path: &Path, what: &str) {
    output::line(&format!("made  {}  {what}", path.display()));
}

/// A path as TOML has it.
pub(super) fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}
