//! Certificates, field by field.

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis::model::{Clock as _, SystemClock};
use time::OffsetDateTime;

use super::der::{bits, common_name, element, flags, integer, octets, oid, sequence};
use super::keys::Key;

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;

/// What a certificate is made of; all but the plain numbers in DER.
pub struct Fields {
    pub version: Option<u8>,
    pub serial: Vec<u8>,
    /// Where it differs from that of the issuer's key.
    pub inner_algorithm: Option<Vec<u8>>,
    pub outer_algorithm: Option<Vec<u8>>,
    pub issuer: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub subject: Vec<u8>,
    pub public: Vec<u8>,
    pub unique_ids: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    /// After the extensions.
    pub more: Vec<u8>,
}

/// A certificate, and the name and key that it is for.
#[derive(Clone)]
pub struct Issued {
    pub der: Vec<u8>,
    pub name: Vec<u8>,
    pub key: Key,
    pub serial: Vec<u8>,
}

impl Issued {
    /// A CA that signed itself.
    pub fn root(name: &str) -> Self {
        Self::root_with(name, Key::p256(), |_| {})
    }

    pub fn root_with(name: &str, key: Key, change: impl FnOnce(&mut Fields)) -> Self {
        let mut fields = Fields::new(common_name(name), common_name(name), &key, authority(None));
        change(&mut fields);
        fields.issued(&key.clone(), key)
    }

    /// A CA below this one.
    pub fn authority(&self, name: &str) -> Self {
        self.authority_with(name, Key::p256(), |_| {})
    }

    pub fn authority_with(&self, name: &str, key: Key, change: impl FnOnce(&mut Fields)) -> Self {
        let mut fields = Fields::new(self.name.clone(), common_name(name), &key, authority(None));
        change(&mut fields);
        fields.issued(&self.key, key)
    }

    /// A client with the SAN `spiffe://test/client`.
    pub fn client(&self) -> Self {
        self.client_with(Key::p256(), |_| {})
    }

    pub fn client_but(&self, change: impl FnOnce(&mut Fields)) -> Self {
        self.client_with(Key::p256(), change)
    }

    pub fn client_with(&self, key: Key, change: impl FnOnce(&mut Fields)) -> Self {
        let extensions = vec![
            basic(false, None),
            key_usage(&[DIGITAL_SIGNATURE]),
            purposes(&[CLIENT_AUTH]),
            names(&[uri("spiffe://test/client")]),
        ];
        let mut fields = Fields::new(self.name.clone(), common_name("client"), &key, extensions);
        change(&mut fields);
        fields.issued(&self.key, key)
    }
}

impl Fields {
    fn new(issuer: Vec<u8>, subject: Vec<u8>, key: &Key, extensions: Vec<Vec<u8>>) -> Self {
        Self {
            version: Some(2),
            serial: next_serial(),
            inner_algorithm: None,
            outer_algorithm: None,
            issuer,
            not_before: at(-HOUR),
            not_after: at(DAY),
            subject,
            public: key.public(),
            unique_ids: Vec::new(),
            extensions,
            more: Vec::new(),
        }
    }

    /// Takes this extension in place of the one of its kind.
    pub fn set(&mut self, extension: Vec<u8>) {
        self.drop(&kind(&extension));
        self.extensions.push(extension);
    }

    /// Without the extension of this kind.
    pub fn drop(&mut self, oid: &[u8]) {
        self.extensions.retain(|extension| kind(extension) != oid);
    }

    fn issued(self, issuer: &Key, key: Key) -> Issued {
        let algorithm = issuer.algorithm();
        let version = self.version.map(|version| element(0xa0, &integer(&[version]))).unwrap_or_default();
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => element(0xa3, &element(0x30, &self.extensions.concat())),
        };
        let to_be_signed = sequence(&[
            &version,
            &integer(&self.serial),
            self.inner_algorithm.as_ref().unwrap_or(&algorithm),
            &self.issuer,
            &sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.public,
            &self.unique_ids,
            &extensions,
            &self.more,
        ]);
        let signature = bits(&issuer.sign(&to_be_signed));
        let der = sequence(&[&to_be_signed, self.outer_algorithm.as_ref().unwrap_or(&algorithm), &signature]);
        Issued { der, name: self.subject, key, serial: self.serial }
    }
}

fn next_serial() -> Vec<u8> {
    static LAST: AtomicU32 = AtomicU32::new(0x1000_0000);
    LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec()
}

/// So many seconds from now, as RFC 5280 writes it before 2050.
pub fn at(seconds: i64) -> Vec<u8> {
    let format = time::macros::format_description!("[year repr:last_two][month][day][hour][minute][second]Z");
    element(0x17, moment(seconds).format(format).expect("a date").as_bytes())
}

/// The same as GeneralizedTime.
pub fn generalized(seconds: i64) -> Vec<u8> {
    let format = time::macros::format_description!("[year][month][day][hour][minute][second]Z");
    element(0x18, moment(seconds).format(format).expect("a date").as_bytes())
}

fn moment(seconds: i64) -> OffsetDateTime {
    let now = i64::try_from(SystemClock.now().as_secs()).expect("a time");
    OffsetDateTime::from_unix_timestamp(now + seconds).expect("a time")
}

pub const BASIC: &str = "2.5.29.19";
pub const KEY_USAGE: &str = "2.5.29.15";
pub const PURPOSES: &str = "2.5.29.37";
pub const NAMES: &str = "2.5.29.17";
pub const CONSTRAINTS: &str = "2.5.29.30";

pub const DIGITAL_SIGNATURE: u8 = 0;
pub const KEY_ENCIPHERMENT: u8 = 2;
pub const CERT_SIGN: u8 = 5;
pub const CRL_SIGN: u8 = 6;

pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub const ANY_PURPOSE: &str = "2.5.29.37.0";

/// The extensions of a CA with this path length.
pub fn authority(path_length: Option<u8>) -> Vec<Vec<u8>> {
    vec![basic(true, path_length), key_usage(&[CERT_SIGN, CRL_SIGN])]
}

pub fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { element(1, &[0xff]) } else { Vec::new() };
    sequence(&[&oid(kind), &critical, &octets(value)])
}

fn kind(extension: &[u8]) -> Vec<u8> {
    let start = if extension[1] < 0x80 { 2 } else { 2 + usize::from(extension[1] & 0x7f) };
    extension[start..start + 2 + usize::from(extension[start + 1])].to_vec()
}

pub fn basic(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca = if ca { element(1, &[0xff]) } else { Vec::new() };
    let length = path_length.map(|length| integer(&[length])).unwrap_or_default();
    extension(BASIC, true, &sequence(&[&ca, &length]))
}

pub fn key_usage(uses: &[u8]) -> Vec<u8> {
    extension(KEY_USAGE, true, &flags(uses))
}

pub fn purposes(oids: &[&str]) -> Vec<u8> {
    let oids: Vec<Vec<u8>> = oids.iter().map(|text| oid(text)).collect();
    extension(PURPOSES, false, &element(0x30, &oids.concat()))
}

/// Alternative names.
pub fn names(general: &[Vec<u8>]) -> Vec<u8> {
    extension(NAMES, false, &element(0x30, &general.concat()))
}

pub fn uri(text: &str) -> Vec<u8> {
    element(0x86, text.as_bytes())
}

pub fn dns(text: &str) -> Vec<u8> {
    element(0x82, text.as_bytes())
}

pub fn email(text: &str) -> Vec<u8> {
    element(0x81, text.as_bytes())
}

pub fn ip(bytes: &[u8]) -> Vec<u8> {
    element(0x87, bytes)
}

/// A name of the directory.
pub fn directory(name: &[u8]) -> Vec<u8> {
    element(0xa4, name)
}

/// Name constraints: what is permitted, and what is excluded.
pub fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let subtrees = |tag: u8, names: &[Vec<u8>]| match names {
        [] => Vec::new(),
        names => element(tag, &names.iter().flat_map(|name| sequence(&[name])).collect::<Vec<u8>>()),
    };
    extension(CONSTRAINTS, true, &sequence(&[&subtrees(0xa0, permitted), &subtrees(0xa1, excluded)]))
}
