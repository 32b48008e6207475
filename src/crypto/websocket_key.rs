//! A client's part of the opening handshake of WebSockets (RFC 6455, section 4.1). It proves that the other side speaks
//! the protocol, and nothing about who anybody is.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::Entropy;

/// What every server appends to the key (section 1.3).
const SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A new value of `Sec-WebSocket-Key`: 16 random bytes in base64.
pub fn mint(entropy: &dyn Entropy) -> String {
    let mut nonce = [0; 16];
    entropy.fill(&mut nonce);
    STANDARD.encode(nonce)
}

/// The `Sec-WebSocket-Accept` of whoever has read this key and speaks the protocol.
pub fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{SUFFIX}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_new_each_time() {
        let (one, other) = (mint(&SystemEntropy), mint(&SystemEntropy));
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(one).unwrap().len(), 16);
    }
}
