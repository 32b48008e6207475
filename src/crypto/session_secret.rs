//! The secret in a session cookie: 256 bits as base64url, 43 characters; and public ids.

use zeroize::Zeroize;

use super::digest::{hex, sha256};
use super::{base62, base64url};
use crate::model::{Entropy, Secret};

/// Makes a secret; returns the cookie's value and the SHA-256 under which the store keeps the record.
pub fn mint(entropy: &dyn Entropy) -> (Secret<String>, [u8; 32]) {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let minted = (Secret::new(base64url::encode(&secret)), sha256(&secret));
    secret.zeroize();
    minted
}

/// The SHA-256 of the secret in a cookie's value; `None` where it is not canonical base64url of 32 bytes.
pub fn parse(value: &str) -> Option<[u8; 32]> {
    if value.len() != 43 {
        return None;
    }
    let mut secret = base64url::decode_array::<32>(value)?;
    let digest = sha256(&secret);
    secret.zeroize();
    Some(digest)
}

/// A random public id of 128 bits, base62, 22 characters.
pub fn public_id(entropy: &dyn Entropy) -> String {
    let mut id = [0; 16];
    entropy.fill(&mut id);
    base62::encode(&id, base62::WIDTH_128)
}

/// What the public id of an application's session begins with, so that none of its secret ids is taken for one: those of
/// PHP have 32 hexadecimal digits as well.
const OF_APPLICATION: &str = "app";
/// And how many hexadecimal digits follow.
const DIGITS: usize = 32;

/// The public id of a session that the application keeps, from a digest of its own id, which is the secret.
pub fn application_id(digest: &[u8; 32]) -> String {
    OF_APPLICATION.chars().chain(hex(digest).chars().take(DIGITS)).collect()
}

/// Whether a text has the form of [`application_id`].
pub fn is_application_id(text: &str) -> bool {
    text.strip_prefix(OF_APPLICATION).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn what_is_minted_parses_to_the_same_digest() {
        let (secret, digest) = mint(&SystemEntropy);
        assert_eq!(secret.expose().len(), 43);
        assert_eq!(parse(secret.expose()), Some(digest));
        assert_ne!(mint(&SystemEntropy).1, digest);
    }

    #[test]
    fn only_the_canonical_text_of_32_bytes_is_a_secret() {
        let canonical = format!("{}A", "A".repeat(42));
        assert!(parse(&canonical).is_some());
        // The last character carries two bits that mean nothing: they must be zero.
        for wrong in [
            format!("{}B", "A".repeat(42)),
            format!("{canonical}="),
            format!("{canonical}A"),
            "A".repeat(42),
            format!("{}+", "A".repeat(42)),
            String::new(),
            "é".repeat(22),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn public_ids_have_one_length_and_differ() {
        let id = public_id(&SystemEntropy);
        assert!(base62::is(&id, 22));
        assert_ne!(id, public_id(&SystemEntropy));
    }
}
