//! Password hashes that are good enough, and what is to be said of others.

use std::str::FromStr;

use argon2::{Argon2, Params, PasswordHash, PasswordVerifier, Version};
use bcrypt::HashParts;

/// A hash that is slow on purpose, within bounds: no file can make the process hang.
#[derive(Debug)]
pub(super) enum Hash {
    Bcrypt { text: String, cost: u32 },
    Argon2 { hash: Box<PasswordHash>, work: u64 },
}

/// Below it guesses are cheap …
const BCRYPT_WANTED: u32 = 10;
/// … and above it one check takes a second or more.
const BCRYPT_MOST: u32 = 14;
/// bcrypt looks at no more of a password.
const BCRYPT_BYTES: usize = 72;

/// KiB: several are at work at a time.
const ARGON2_MOST_MEMORY: u32 = 64 * 1024;
/// KiB × passes.
const ARGON2_MOST: u32 = 4 * ARGON2_MOST_MEMORY;
/// What is recommended at least, whichever way memory and passes are traded (OWASP, Password Storage Cheat Sheet).
const ARGON2_WANTED: u32 = 7 * 1024 * 5;
const ARGON2_MOST_LANES: u32 = 16;

impl Hash {
    /// Reads what stands after a user's name; the second is a warning. No text of the file is in either.
    pub(super) fn parse(text: &str) -> Result<(Self, Option<String>), String> {
        if ["$2y$", "$2b$", "$2a$"].iter().any(|prefix| text.starts_with(prefix)) {
            bcrypt(text)
        } else if ["$argon2id$", "$argon2i$"].iter().any(|prefix| text.starts_with(prefix)) {
            argon2(text)
        } else {
            Err(format!("{}; bcrypt or argon2id is wanted", unfit(text)))
        }
    }

    /// How much work one check is.
    pub(super) fn work(&self) -> u64 {
        match self {
            Self::Bcrypt { cost, .. } => 1 << cost,
            Self::Argon2 { work, .. } => *work,
        }
    }

    /// Whether this is the password. Compared in constant time by both libraries.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        match self {
            // The rest of a longer one would not be looked at, and everything that begins like it would do as well.
            Self::Bcrypt { text, .. } => {
                bcrypt::verify(password, text).unwrap_or(false) && password.len() <= BCRYPT_BYTES
            }
            Self::Argon2 { hash, .. } => Argon2::default().verify_password(password, &**hash).is_ok(),
        }
    }
}

fn bcrypt(text: &str) -> Result<(Hash, Option<String>), String> {
    let parts = HashParts::from_str(text).map_err(|_| "a bcrypt hash that is malformed".to_owned())?;
    let cost = parts.get_cost();
    if !(4..=BCRYPT_MOST).contains(&cost) {
        return Err(format!("a bcrypt hash of cost {cost}; 4 to {BCRYPT_MOST} are taken"));
    }
    let weak = cost < BCRYPT_WANTED;
    let warning = weak.then(|| format!("a bcrypt hash of cost {cost}, at least {BCRYPT_WANTED} is wanted"));
    Ok((Hash::Bcrypt { text: text.to_owned(), cost }, warning))
}

fn argon2(text: &str) -> Result<(Hash, Option<String>), String> {
    let malformed = || "an argon2 hash that is malformed (a PHC string is wanted)".to_owned();
    let hash = PasswordHash::new(text).map_err(|_| malformed())?;
    let params = Params::try_from(&hash).map_err(|_| malformed())?;
    let is_complete = hash.salt.is_some() && hash.hash.as_ref().is_some_and(|output| output.len() >= 16);
    let is_plain = params.keyid().is_empty() && params.data().is_empty();
    if !is_complete || !is_plain || hash.version != Some(Version::V0x13.into()) {
        return Err(malformed());
    }
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let total = memory.saturating_mul(passes);
    if memory > ARGON2_MOST_MEMORY || total > ARGON2_MOST || lanes > ARGON2_MOST_LANES {
        let most = format!("m={ARGON2_MOST_MEMORY}, m × t = {ARGON2_MOST}, p={ARGON2_MOST_LANES} at most");
        return Err(format!("an argon2 hash of m={memory},t={passes},p={lanes}, which takes too much ({most})"));
    }
    let weak = total < ARGON2_WANTED;
    let warning = weak.then(|| format!("an argon2 hash of m={memory},t={passes}, weaker than m=19456,t=2"));
    Ok((Hash::Argon2 { hash: Box::new(hash), work: total.into() }, warning))
}

/// What it is instead, in words; the hash itself might be a password.
fn unfit(text: &str) -> &'static str {
    const KNOWN: [(&str, &str); 9] = [
        ("$apr1$", "an MD5 hash (apr1)"),
        ("{SHA}", "a SHA-1 hash without salt"),
        ("{SSHA", "a SHA hash of one round"),
        ("$1$", "an MD5 hash (crypt)"),
        ("$5$", "a SHA-256 hash (crypt)"),
        ("$6$", "a SHA-512 hash (crypt)"),
        ("$2x$", "a hash of a broken bcrypt"),
        ("$argon2d$", "an argon2d hash, which is not meant for passwords"),
        ("$", "a hash of another scheme"),
    ];
    let known = KNOWN.iter().find(|(prefix, _)| text.starts_with(prefix));
    known.map_or("a password in clear text or an old crypt hash", |(_, what)| what)
}
