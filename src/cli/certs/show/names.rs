//! Names as certificates have them, and whether they are clean.

use std::net::IpAddr;

use serde::Serialize;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Subject alternative names, by kind.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Names {
    pub(super) dns: Vec<String>,
    pub(super) addresses: Vec<String>,
    pub(super) uris: Vec<String>,
    pub(super) emails: Vec<String>,
    /// Of other kinds, or such as cannot be read.
    pub(super) other: Vec<String>,
}

impl Names {
    pub(super) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Each with its kind.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let kinds = [
            ("DNS", &self.dns),
            ("address", &self.addresses),
            ("URI", &self.uris),
            ("email", &self.emails),
            ("other", &self.other),
        ];
        kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| (kind, name.as_str())))
    }

    pub(super) fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.dns.push((*name).to_owned()),
            GeneralName::URI(name) => self.uris.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => self.emails.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => self.addresses.push(address(bytes)),
            GeneralName::DirectoryName(name) => self.other.push(distinguished(name)),
            GeneralName::OtherName(kind, value) => self.other.push(format!("{} {}", kind.to_id_string(), hex(value))),
            GeneralName::RegisteredID(kind) => self.other.push(kind.to_id_string()),
            GeneralName::Invalid(tag, value) => self.other.push(format!("invalid [{}] {}", tag.0, hex(value))),
            GeneralName::X400Address(_) => self.other.push("X.400 address".to_owned()),
            GeneralName::EDIPartyName(_) => self.other.push("EDI party".to_owned()),
        }
    }
}

/// Such a name means one thing to everybody, wherever it is cut short or shown.
pub(super) fn is_clean(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// As RFC 4514 writes it: most specific first.
pub(super) fn distinguished(name: &X509Name<'_>) -> String {
    let relative = |attributes: Vec<String>| attributes.join("+");
    let mut relatives: Vec<String> =
        name.iter_rdn().map(|attributes| relative(attributes.iter().map(attribute).collect())).collect();
    relatives.reverse();
    relatives.join(",")
}

/// Whether a subject holds what ends a line or a text elsewhere.
pub(super) fn is_clean_subject(name: &X509Name<'_>) -> bool {
    name.iter_attributes().all(|attribute| text(attribute).is_some_and(|text| !text.chars().any(is_treacherous)))
}

/// Moves a cursor, ends a line or turns the direction of reading.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let text = attribute.as_str().ok().or_else(|| std::str::from_utf8(attribute.as_slice()).ok());
    text.map(str::to_owned)
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    let name = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
    let value = text(attribute).unwrap_or_else(|| format!("#{}", hex(attribute.as_slice())));
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    format!("{name}={escaped}")
}

fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return IpAddr::from(four).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(sixteen) => IpAddr::from(sixteen).to_string(),
        Err(_) => format!("invalid {}", hex(bytes)),
    }
}

/// At most 64 bytes of it.
pub(super) fn hex(bytes: &[u8]) -> String {
    let text: String = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 64 { text + "…" } else { text }
}

/// As it may stand on a terminal: what is neither printable ASCII nor a letter or digit is escaped.
pub(super) fn shown(text: &str) -> String {
    let escape = |character: char| match character {
        ' '..='~' | '…' => character.to_string(),
        _ if character.is_alphanumeric() => character.to_string(),
        _ => character.escape_unicode().to_string(),
    };
    text.chars().map(escape).collect()
}
