//! The text of an API key: `pc_<env>_<id>_<secret><crc32>`, base62, so that scanners and typos are recognised.

use crate::model::{Entropy, Secret};

/// A key that was just made; its text is shown once.
pub struct MintedKey {
    /// The whole text.
    pub text: Secret<String>,
    /// Its public id.
    pub id: String,
    /// SHA-256 of its secret part.
    pub secret_sha256: [u8; 32],
}

/// A key's text, taken apart; the checksum fits.
#[derive(Debug, PartialEq, Eq)]
pub struct ParsedKey<'a> {
    /// Its public id.
    pub id: &'a str,
    /// SHA-256 of its secret part.
    pub secret_sha256: [u8; 32],
}

/// Makes a key with a 256-bit secret.
pub fn mint(environment: &str, entropy: &dyn Entropy) -> MintedKey {
    let _ = (environment, entropy);
    todo!()
}

/// Whether a bearer text claims to be a key of ours (it begins with `pc_`).
pub fn has_prefix(text: &str) -> bool {
    text.starts_with("pc_")
}

/// Takes a key's text apart; `None` where the form or the checksum is wrong.
pub fn parse(text: &str) -> Option<ParsedKey<'_>> {
    let _ = text;
    todo!()
}
