//! Digests under a key that only this process has.

use aws_lc_rs::hmac;
use zeroize::Zeroize;

use crate::model::Entropy;

/// HMAC-SHA-256 under a random key: whoever sees a digest alone cannot try out what it may be the digest of.
pub struct KeyedDigest(hmac::Key);

impl KeyedDigest {
    /// With a new key.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut random = [0; 32];
        entropy.fill(&mut random);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        random.zeroize();
        Self(key)
    }

    /// Of several fields, each preceded by its length, so that no byte can move from one to the next.
    pub fn of(&self, fields: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for field in fields {
            context.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(field);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn it_is_of_the_key_and_of_the_fields_apart() {
        let (one, other) = (KeyedDigest::new(&SystemEntropy), KeyedDigest::new(&SystemEntropy));
        assert_eq!(one.of(&[b"ab", b"c"]), one.of(&[b"ab", b"c"]));
        assert_ne!(one.of(&[b"ab", b"c"]), one.of(&[b"a", b"bc"]));
        assert_ne!(one.of(&[b"ab", b"c"]), other.of(&[b"ab", b"c"]));
    }
}
