//! The secret in a session cookie: 256 bits as base64url, 43 characters; and public ids.

use crate::model::{Entropy, Secret};

/// Makes a secret; returns the cookie's value and the SHA-256 under which the store keeps the record.
pub fn mint(entropy: &dyn Entropy) -> (Secret<String>, [u8; 32]) {
    let _ = entropy;
    todo!()
}

/// The SHA-256 of the secret in a cookie's value; `None` where it is not canonical base64url of 32 bytes.
pub fn parse(value: &str) -> Option<[u8; 32]> {
    let _ = value;
    todo!()
}

/// A random public id of 128 bits, base62.
pub fn public_id(entropy: &dyn Entropy) -> String {
    let _ = entropy;
    todo!()
}
