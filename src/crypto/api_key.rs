//! The text of an API key: `pc_<env>_<id>_<secret><crc32>`, base62, so that scanners and typos are recognised.

use zeroize::Zeroize;

use super::crc32::crc32;
use super::{base62, digest::sha256, session_secret::public_id};
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

/// Makes a key with a 256-bit secret. The environment must be one that [`is_environment`] allows, or the key would not
/// parse.
pub fn mint(environment: &str, entropy: &dyn Entropy) -> MintedKey {
    let id = public_id(entropy);
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let secret = Secret::new(base62::encode(&random, base62::WIDTH_256));
    random.zeroize();

    let mut text = format!("{PREFIX}{environment}_{id}_{}", secret.expose());
    let checksum = base62::encode(&crc32(text.as_bytes()).to_be_bytes(), base62::WIDTH_32);
    // A buffer that grows leaves its old bytes behind: the whole is put together in one of the right size.
    let mut whole = String::with_capacity(text.len() + checksum.len());
    whole.push_str(&text);
    whole.push_str(&checksum);
    text.zeroize();
    MintedKey { text: Secret::new(whole), id, secret_sha256: sha256(secret.expose().as_bytes()) }
}

/// Whether a bearer text claims to be a key of ours (it begins with `pc_`).
pub fn has_prefix(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Takes a key's text apart; `None` where the form or the checksum is wrong.
pub fn parse(text: &str) -> Option<ParsedKey<'_>> {
    // From the right, because an environment may contain `_`.
    let (rest, tail) = text.strip_prefix(PREFIX)?.rsplit_once('_')?;
    let (environment, id) = rest.rsplit_once('_')?;
    if !is_environment(environment)
        || !base62::is(id, base62::WIDTH_128)
        || !base62::is(tail, base62::WIDTH_256 + base62::WIDTH_32)
    {
        return None;
    }
    let (secret, checksum) = tail.split_at_checked(base62::WIDTH_256)?;
    let covered = text.get(..text.len() - base62::WIDTH_32)?;
    if base62::encode(&crc32(covered.as_bytes()).to_be_bytes(), base62::WIDTH_32) != checksum {
        return None;
    }
    Some(ParsedKey { id, secret_sha256: sha256(secret.as_bytes()) })
}

/// Whether keys can carry this `<env>`: 1 to 32 ASCII letters, digits, `-` and `_`.
pub fn is_environment(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

const PREFIX: &str = "pc_";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn what_is_minted_parses() {
        for environment in ["live", "test-2", "blue_green"] {
            let key = mint(environment, &SystemEntropy);
            let text = key.text.expose();
            assert!(has_prefix(text) && text.starts_with(&format!("pc_{environment}_{}_", key.id)));
            assert_eq!(parse(text), Some(ParsedKey { id: &key.id, secret_sha256: key.secret_sha256 }));
        }
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let key = mint("live", &SystemEntropy);
        let text = key.text.expose();
        for at in 0..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(parse(std::str::from_utf8(&typo).unwrap()), None, "position {at}");
        }
    }

    #[test]
    fn f38_what_only_looks_like_a_key_is_none() {
        let key = mint("live", &SystemEntropy);
        let text = key.text.expose();
        for wrong in ["", "pc_", "pc___", "pc_live", "pc_live_x_y", "pc_é_é_é", &text[1..], &text[..text.len() - 1]]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse(&format!("{text}0")), None);
        assert_eq!(parse(&text.to_uppercase()), None);
        assert_eq!(parse(&format!(" {text}")), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,120}") {
            let _ = parse(&text);
            let _ = parse(&format!("pc_{text}"));
        }
    }
}
