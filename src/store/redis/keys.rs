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
    fn digests_are_lower_case_hexadecimal() {
        assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
    }
}
