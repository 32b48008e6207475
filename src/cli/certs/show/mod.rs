//! `portcullis certs show`.

mod names;
mod problems;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod view;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use serde::Serialize;

use self::problems::{Expected, Problem, of_certificates, of_list, problem};
use self::read::Item;
use self::view::{CertificateView, KeyView, ListView, RequestView, View};
use crate::cli::failure::Failure;
use crate::cli::{output, values};
use crate::model::{Clock, SystemClock, Timestamp};

/// Which files, and what they are to be.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Files of certificates, keys, revocation lists and requests, PEM or DER; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The CA bundle that the certificates must lead to
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The private key that must belong to the first certificate
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The host name or address that the first certificate must be for
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// How long certificates must still be good for, such as 14d
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    expires_within: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A file, and what is wrong with it.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    items: Vec<View>,
    problems: Vec<Problem>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let trusted = args.ca.as_deref().map(trusted).transpose()?;
    let ca = args.ca.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let host = args.host.as_deref().map(|name| match ServerName::try_from(name.to_owned()) {
        Ok(host) => Ok((host, name)),
        Err(_) => Err(Failure::usage(format!("--host `{}` is no name of a host", output::visible(name)))),
    });
    let host = host.transpose()?;
    let expected = Expected {
        now: SystemClock.now(),
        trusted: trusted.as_ref().map(|roots| (roots, ca.as_str())),
        host: host.as_ref().map(|(host, name)| (host, *name)),
        within: args.expires_within,
    };
    let extra = args.key.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let reports: Vec<Report> = args.files.iter().map(|path| report(path, &extra, &expected)).collect();
    let problems: usize = reports.iter().map(|report| report.problems.len()).sum();
    if args.json {
        print_json(&serde_json::json!({ "ok": problems == 0, "files": reports }));
    } else {
        reports.iter().for_each(text::print);
    }
    if problems == 0 { Ok(()) } else { Err(Failure::Said(1)) }
}

fn report(path: &Path, extra: &[Item], expected: &Expected<'_>) -> Report {
    let file = path.display().to_string();
    match read::file(path) {
        Ok(items) => {
            let (items, problems) = look(&items, extra, expected);
            Report { file, items, problems }
        }
        Err(message) => Report { file, items: Vec::new(), problems: vec![problem("unreadable", message)] },
    }
}

/// What there is, and what is wrong. `extra`: from a file beside, where the key is.
fn look(items: &[Item], extra: &[Item], expected: &Expected<'_>) -> (Vec<View>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut certificates = Vec::new();
    let mut views = Vec::new();
    let has_certificates = items.iter().any(|item| matches!(item, Item::Certificate(_)));
    let keys = extra.iter().filter(|item| has_certificates && matches!(item, Item::Key(_) | Item::EncryptedKey));
    for item in items.iter().chain(keys) {
        match item {
            Item::Certificate(der) => match CertificateView::new(der, expected.now) {
                Some(view) => certificates.push(view),
                None => problems.push(problem("unreadable", "a certificate in it cannot be read")),
            },
            other => views.push(view(other, expected.now, &mut problems)),
        }
    }
    let mut keys = Vec::new();
    let mut others = Vec::new();
    for view in views {
        match view {
            View::Key(mut key) => {
                let at = certificates.iter().position(|certificate| certificate.spki == key.spki);
                key.belongs_to = at.map(|at| at + 1);
                keys.push(key);
            }
            View::RevocationList(list) => {
                problems.extend(of_list(&list));
                others.push(View::RevocationList(list));
            }
            other => others.push(other),
        }
    }
    problems.extend(of_certificates(&certificates, &keys, expected));
    let certificates = certificates.into_iter().map(|certificate| View::Certificate(Box::new(certificate)));
    (certificates.chain(keys.into_iter().map(View::Key)).chain(others).collect(), problems)
}

fn view(item: &Item, now: Timestamp, problems: &mut Vec<Problem>) -> View {
    let found = match item {
        Item::Key(key) => KeyView::new(key).map(View::Key).ok_or("a private key in it cannot be used"),
        Item::EncryptedKey => Err("a private key in it is encrypted, which no listener can use"),
        Item::List(list) => {
            ListView::new(list, now).map(View::RevocationList).ok_or("a revocation list in it cannot be read")
        }
        Item::Request(der) => RequestView::new(der).map(View::Request).ok_or("a request in it cannot be read"),
        Item::Certificate(_) => Err("a certificate in it cannot be read"),
    };
    found.unwrap_or_else(|message| {
        problems.push(problem("unreadable", message));
        View::Unreadable
    })
}

fn read_file(path: &Path) -> Result<Vec<Item>, Failure> {
    read::file(path).map_err(|problem| Failure::failed(format!("`{}`: {problem}", path.display())))
}

fn trusted(path: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for item in read_file(path)? {
        if let Item::Certificate(der) = item {
            let added = roots.add(der);
            added.map_err(|problem| Failure::failed(format!("`{}`: no trust anchor: {problem}", path.display())))?;
        }
    }
    if roots.is_empty() {
        return Err(Failure::failed(format!("`{}` holds no certificate", path.display())));
    }
    Ok(roots)
}

/// With everything but printable ASCII escaped, as JSON allows: what a name says moves no cursor.
fn print_json(value: &serde_json::Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~' | '\n') {
            safe.push(character);
        } else {
            let mut units = [0; 2];
            safe.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    output::line(&safe);
}
