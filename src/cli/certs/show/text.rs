//! A file's contents for people.

use std::time::Duration;

use super::Report;
use super::names::{Names, shown};
use super::view::{CertificateView, KeyView, ListView, RequestView, View};
use crate::cli::output;
use crate::model::expiry::InWords;

pub(super) fn print(report: &Report) {
    output::line(&shown(&report.file));
    let mut number = 0;
    for item in &report.items {
        match item {
            View::Certificate(certificate) => {
                number += 1;
                print_certificate(number, certificate);
            }
            View::Key(key) => print_key(key),
            View::RevocationList(list) => print_list(list),
            View::Request(request) => print_request(request),
            View::Unreadable => output::line("  something that cannot be read"),
        }
    }
    for problem in &report.problems {
        output::line(&format!("  PROBLEM {}: {}", problem.problem, shown(&problem.message)));
    }
}

fn field(name: &str, value: &str) {
    if !value.is_empty() {
        output::line(&format!("    {name:<13}{}", shown(value)));
    }
}

fn print_names(names: &Names) {
    for (kind, name) in names.all() {
        field(kind, name);
    }
}

fn print_certificate(number: usize, certificate: &CertificateView) {
    output::line(&format!("  certificate {number}: {}", shown(&certificate.subject)));
    field("issuer", &certificate.issuer);
    print_names(&certificate.names);
    field("validity", &format!("{} to {}, {}", certificate.not_before, certificate.not_after, when(certificate)));
    if certificate.ca {
        let below = |path: u32| format!("at most {path} CAs below it");
        let length = certificate.path_length.map_or_else(|| "any number of CAs below it".to_owned(), below);
        field("CA", &length);
    }
    field("key", &certificate.public_key);
    field("signature", &certificate.signature);
    field("usage", certificate.key_usage.as_deref().unwrap_or_default());
    field("for", &certificate.extended_key_usage.join(", "));
    field("serial", &certificate.serial);
    field("SHA-256", &certificate.fingerprint_sha256);
    field("key id", certificate.subject_key_id.as_deref().unwrap_or_default());
    field("issuer's id", certificate.authority_key_id.as_deref().unwrap_or_default());
}

fn when(certificate: &CertificateView) -> String {
    let words = |seconds: i64| InWords(Duration::from_secs(seconds.unsigned_abs()));
    let left = certificate.expires_in_seconds;
    if left <= 0 { format!("expired {} ago", words(left)) } else { format!("expires in {}", words(left)) }
}

fn print_key(key: &KeyView) {
    let whose = key
        .belongs_to
        .map_or("belongs to no certificate here".to_owned(), |number| format!("belongs to certificate {number}"));
    output::line(&format!("  private key: {}; {whose}", shown(&key.private_key)));
}

fn print_list(list: &ListView) {
    output::line(&format!("  revocation list of {}", shown(&list.issuer)));
    field("entries", &list.entries.to_string());
    field("number", list.number.as_deref().unwrap_or_default());
    field("current", &format!("{} to {}", list.this_update, list.next_update.as_deref().unwrap_or("no end")));
    field("signature", &list.signature);
}

fn print_request(request: &RequestView) {
    output::line(&format!("  request for a certificate: {}", shown(&request.subject)));
    print_names(&request.names);
    field("key", &request.public_key);
}
