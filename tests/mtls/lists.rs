//! Revocation lists, field by field.

use super::der::{element, integer, octets, oid, sequence};
use super::keys::Key;
use super::makers::{DAY, HOUR, Issued, at, extension};

/// What a revocation list is made of.
pub struct List {
    pub issuer: Vec<u8>,
    pub this_update: Vec<u8>,
    pub next_update: Vec<u8>,
    pub entries: Vec<Vec<u8>>,
    pub extensions: Vec<Vec<u8>>,
    pub key: Key,
}

/// The list of this CA that revokes these.
pub fn list(by: &Issued, revoked: &[&Issued]) -> Vec<u8> {
    list_but(by, revoked, |_| {})
}

pub fn list_but(by: &Issued, revoked: &[&Issued], change: impl FnOnce(&mut List)) -> Vec<u8> {
    let mut list = List {
        issuer: by.name.clone(),
        this_update: at(-HOUR),
        next_update: at(DAY),
        entries: revoked.iter().map(|one| entry(&one.serial, None)).collect(),
        extensions: vec![extension("2.5.29.20", false, &integer(&[1]))],
        key: by.key.clone(),
    };
    change(&mut list);
    list.der()
}

/// A revoked serial number, with a reason where it says one.
pub fn entry(serial: &[u8], reason: Option<u8>) -> Vec<u8> {
    let reason = reason.map(|reason| sequence(&[&extension("2.5.29.21", false, &element(10, &[reason]))]));
    sequence(&[&integer(serial), &at(-HOUR), &reason.unwrap_or_default()])
}

/// The issuing distribution point at this URI, of end entities' certificates alone where that is said.
pub fn distribution_point(uri: &str, users_only: bool) -> Vec<u8> {
    let name = element(0xa0, &element(0xa0, &element(0x86, uri.as_bytes())));
    let users_only = if users_only { element(0x81, &[0xff]) } else { Vec::new() };
    extension("2.5.29.28", true, &sequence(&[&name, &users_only]))
}

/// For a certificate: where the list is that names it.
pub fn find_list_at(uri: &str) -> Vec<u8> {
    let name = element(0xa0, &element(0xa0, &element(0x86, uri.as_bytes())));
    extension("2.5.29.31", false, &sequence(&[&sequence(&[&name])]))
}

impl List {
    fn der(self) -> Vec<u8> {
        let entries = if self.entries.is_empty() { Vec::new() } else { element(0x30, &self.entries.concat()) };
        let algorithm = self.key.algorithm();
        let to_be_signed = sequence(&[
            &integer(&[1]),
            &algorithm,
            &self.issuer,
            &self.this_update,
            &self.next_update,
            &entries,
            &element(0xa0, &element(0x30, &self.extensions.concat())),
        ]);
        let signature = super::der::bits(&self.key.sign(&to_be_signed));
        sequence(&[&to_be_signed, &algorithm, &signature])
    }
}

/// A delta list's indicator.
pub fn delta() -> Vec<u8> {
    sequence(&[&oid("2.5.29.27"), &element(1, &[0xff]), &octets(&integer(&[1]))])
}
