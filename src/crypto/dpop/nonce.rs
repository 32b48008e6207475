//! Nonces that only the instance that gave them out accepts (RFC 9449, section 8), without remembering any.
//!
//! A nonce is a time, the instance's random name, and a MAC over both with a key that is made at the start and never
//! leaves the process. The time is that of a clock that nobody sets.

use std::time::Duration;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use crate::crypto::base64url;
use crate::model::Entropy;

/// Gives out nonces and knows them again.
pub struct Nonces {
    key: hmac::Key,
    instance: [u8; NAME],
}

const NAME: usize = 8;
const TIME: usize = 8;
const MAC: usize = 16;

/// Why a nonce does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// It is none of ours.
    #[error("it was not given out here")]
    Unknown,
    /// Another instance's, or this one's before its last start.
    #[error("another instance gave it out")]
    Elsewhere,
    /// It is too old.
    #[error("it is {0:?} old")]
    Stale(Duration),
}

impl Nonces {
    /// With a key of its own.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let (mut key, mut instance) = ([0; 32], [0; NAME]);
        entropy.fill(&mut key);
        entropy.fill(&mut instance);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), instance }
    }

    /// A nonce of now. `elapsed`: evenly passing time, as [`Clock::elapsed`](crate::model::Clock::elapsed) has it.
    pub fn issue(&self, elapsed: Duration) -> String {
        let time = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).to_be_bytes();
        base64url::encode(&[&time[..], &self.instance, &self.mac(time)].concat())
    }

    /// When a nonce was given out, if it was here and at most `max_age` ago.
    pub fn check(&self, nonce: &str, max_age: Duration, elapsed: Duration) -> Result<Duration, NonceError> {
        let bytes: [u8; TIME + NAME + MAC] = base64url::decode_array(nonce).ok_or(NonceError::Unknown)?;
        let (time, rest) = bytes.split_first_chunk::<TIME>().ok_or(NonceError::Unknown)?;
        let (instance, mac) = rest.split_first_chunk::<NAME>().ok_or(NonceError::Unknown)?;
        if *instance != self.instance {
            return Err(NonceError::Elsewhere);
        }
        if !bool::from(mac.ct_eq(&self.mac(*time))) {
            return Err(NonceError::Unknown);
        }
        let issued = Duration::from_millis(u64::from_be_bytes(*time));
        let age = elapsed.saturating_sub(issued);
        if age < max_age { Ok(issued) } else { Err(NonceError::Stale(age)) }
    }

    /// Over fields of fixed length, so that no byte can move between them.
    fn mac(&self, time: [u8; TIME]) -> [u8; MAC] {
        let tag = hmac::sign(&self.key, &[b"portcullis dpop nonce".as_slice(), &time, &self.instance].concat());
        let mut mac = [0; MAC];
        mac.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    const AGE: Duration = Duration::from_secs(60);

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_nonce_counts_for_a_while_where_it_was_given_out() {
        let (here, there) = (Nonces::new(&SystemEntropy), Nonces::new(&SystemEntropy));
        let nonce = here.issue(at(100));
        assert_eq!(here.check(&nonce, AGE, at(100)), Ok(at(100)));
        assert_eq!(here.check(&nonce, AGE, at(159)), Ok(at(100)));
        assert_eq!(here.check(&nonce, AGE, at(160)), Err(NonceError::Stale(AGE)));
        assert_eq!(there.check(&nonce, AGE, at(100)), Err(NonceError::Elsewhere));
        assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{nonce}");
    }

    #[test]
    fn f39_no_bit_of_a_nonce_can_be_changed() {
        let nonces = Nonces::new(&SystemEntropy);
        let bytes = base64url::decode(&nonces.issue(at(100))).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(nonces.check(&base64url::encode(&changed), AGE, at(100)).is_err(), "bit {bit}");
        }
        for text in ["", "AAAA", &"A".repeat(43), &format!("{}=", nonces.issue(at(100))), "\u{0}"] {
            assert!(nonces.check(text, AGE, at(100)).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}|[A-Za-z0-9_-]{43}") {
            proptest::prop_assert!(Nonces::new(&SystemEntropy).check(&text, AGE, at(1)).is_err());
        }
    }
}
