//! How keys are named.

use std::fmt::Write;
use std::sync::Arc;

use crate::model::Principal;

#[derive(Clone)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// All of them in one slot of a cluster: a prefix without a hash tag becomes one.
    pub(super) fn in_one_slot(prefix: &str) -> Self {
        Self { prefix: if hash_tag(prefix).is_some() { prefix.into() } else { format!("{{{prefix}}}").into() } }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// To be followed by the hexadecimal SHA-256 of the secret.
    pub(super) fn session_prefix(&self) -> String {
        format!("{}session:", self.prefix)
    }

    pub(super) fn session(&self, secret_sha256: &[u8; 32]) -> String {
        self.session_prefix() + &hex(secret_sha256)
    }

    /// To be followed by the public id.
    pub(super) fn session_id_prefix(&self) -> String {
        format!("{}session-id:", self.prefix)
    }

    pub(super) fn session_id(&self, id: &str) -> String {
        self.session_id_prefix() + id
    }

    pub(super) fn sessions(&self) -> String {
        format!("{}sessions", self.prefix)
    }

    /// The issuer's length comes first, so that no byte can move between issuer and subject.
    pub(super) fn sessions_of(&self, principal: &Principal) -> String {
        let Principal { issuer, subject } = principal;
        format!("{}sessions:of:{}:{issuer}:{subject}", self.prefix, issuer.len())
    }

    /// Likewise.
    pub(super) fn generation(&self, of: &Principal) -> String {
        format!("{}generation:{}:{}:{}", self.prefix, of.issuer.len(), of.issuer, of.subject)
    }

    pub(super) fn api_key(&self, id: &str) -> String {
        format!("{}key:{id}", self.prefix)
    }

    pub(super) fn api_keys(&self) -> String {
        format!("{}keys", self.prefix)
    }

    pub(super) fn used(&self, digest: &[u8; 32]) -> String {
        format!("{}used:{}", self.prefix, hex(digest))
    }

    pub(super) fn revoked(&self) -> String {
        format!("{}revoked", self.prefix)
    }

    pub(super) fn log(&self) -> String {
        format!("{}log", self.prefix)
    }

    pub(super) fn run(&self) -> String {
        format!("{}log:run", self.prefix)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What decides over the slot of a key that begins so: the text in the first braces, unless that is empty.
pub(super) fn hash_tag(prefix: &str) -> Option<&str> {
    let (_, rest) = prefix.split_once('{')?;
    rest.split_once('}').map(|(tag, _)| tag).filter(|tag| !tag.is_empty())
}

/// The slot of a key with this hash tag: CRC-16 (XMODEM), modulo the number of slots.
pub(super) fn slot(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f39_no_byte_moves_between_issuer_and_subject() {
        let keys = Keys::new("pc:");
        let pairs = [("a", "b:c"), ("a:b", "c"), ("", "a:b:c"), ("1:a", "b:c")];
        let mut names: Vec<_> = pairs.iter().map(|(i, s)| keys.sessions_of(&Principal::new(i, s))).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), pairs.len());
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"user1000"), 3443);
    }

    #[test]
    fn all_keys_of_a_cluster_share_a_hash_tag() {
        for (prefix, tag) in [("pc:", "pc:"), ("app{1}:", "1"), ("a{", "a{"), ("{}a", "{"), ("a}b", "a")] {
            assert_eq!(hash_tag(Keys::in_one_slot(prefix).prefix()), Some(tag), "{prefix}");
        }
        assert_eq!(Keys::in_one_slot("pc:").log(), "{pc:}log");
        assert_eq!(Keys::in_one_slot("app{1}:").log(), "app{1}:log");
        for prefix in ["", "}"] {
            assert_eq!(hash_tag(Keys::in_one_slot(prefix).prefix()), None, "{prefix}");
        }
    }

    #[test]
    fn digests_are_lower_case_hexadecimal() {
        assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
    }
}
