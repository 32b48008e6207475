//! `portcullis certs crl`.

use std::path::PathBuf;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::authority::{self, Folder, failed, quoted, read, say_made};
use super::files::{self, NewFile};
use crate::admin::views::rfc3339;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::crypto::dev_authority::DevAuthorityError;

/// Which CA, and what it takes back.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The folder of the CA, as `portcullis certs ca` has made it
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// A certificate to revoke: the first in this file; can be repeated; without it the list is only made current
    #[arg(long = "revoke", value_name = "FILE", num_args = 1..)]
    revoke: Vec<PathBuf>,
    /// The list; what is on it stays on it; default: `ca.crl` in the CA's folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// For how many days it is current; then certificates are refused until there is a new one
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let signers = Folder(&args.ca).all()?;
    let path = args.out.clone().unwrap_or_else(|| args.ca.join("ca.crl"));
    let before = if path.exists() { lists(&read(&path)?, &path)? } else { Vec::new() };
    if before.iter().any(|list| !signers.iter().any(|signer| signer.is_list_of(list))) {
        return Err(Failure::failed(format!("`{}` holds a list of another CA", path.display())));
    }
    let mut revoked = vec![Vec::new(); signers.len()];
    for file in &args.revoke {
        let problem = |problem: DevAuthorityError| Failure::failed(format!("`{}`: {problem}", file.display()));
        let certificate = CertificateDer::pem_slice_iter(&read(file)?).next();
        let certificate = certificate.and_then(Result::ok).ok_or_else(|| problem(DevAuthorityError::NoCertificate))?;
        let serials = signers.iter().map(|signer| signer.serial_of(&certificate));
        let by = serials.zip(&mut revoked).find_map(|(serial, list)| Some((serial.ok()?, list)));
        let (serial, list) = by.ok_or_else(|| problem(DevAuthorityError::NotIssuedHere))?;
        list.push(serial);
    }
    let terms = authority::terms(args.days);
    let mut text = String::new();
    for (signer, serials) in signers.iter().zip(&revoked) {
        let before = before.iter().find(|list| signer.is_list_of(list));
        text.push_str(&signer.revocation_list(serials, before, terms).map_err(failed)?);
    }
    files::write(&[NewFile { path: path.clone(), text: &text, secret: false }], true)?;
    let until = rfc3339(terms.now.after(terms.validity));
    say_made(&path, &format!("revocation list, current until {until}, {} added", args.revoke.len()));
    output::line(&format!(
        "\na listener:        tls.client_auth = {{ mode = \"required\", ca = {}, crls = [{}] }}",
        quoted(&Folder(&args.ca).trusted()),
        quoted(&path),
    ));
    Ok(())
}

fn lists(text: &[u8], path: &std::path::Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Failure> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Err(Failure::failed(format!("`{}` is there and holds no revocation list", path.display()))),
    }
}
