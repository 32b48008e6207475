//! User name and password (RFC 7617), checked against the htpasswd file.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::cache::{Finding, Key};
use crate::crypto::htpasswd::{Hashers, PasswordFile, PasswordFileError, User};
use crate::crypto::keyed::KeyedDigest;
use crate::model::denial::Reason;
use crate::model::identity::BASIC_ISSUER;
use crate::model::settings::BasicSettings;
use crate::model::{CredentialKind, Denial, Entropy, Principal, Timestamp, Verified};

/// Who may log in with a password, and the threads that check it.
pub struct Passwords {
    file: Arc<PasswordFile>,
    settings: BasicSettings,
    hashers: Hashers,
    digest: KeyedDigest,
}

/// The longest user name and password together, as base64.
const LONGEST: usize = 1024;

/// More threads would take from those who are known already what those take who are not.
const MOST_THREADS: usize = 4;

/// How many passwords may wait for their turn.
const MOST_WAITING: usize = 32;

impl Passwords {
    /// Reads the files. Warnings go to the log.
    pub fn open(settings: &BasicSettings, entropy: &dyn Entropy) -> Result<Self, PasswordFileError> {
        let (file, warnings) = PasswordFile::read(&settings.file, settings.group_file.as_deref(), entropy)?;
        for warning in warnings {
            tracing::warn!(warning, "a password is less safe than it could be");
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2).min(MOST_THREADS);
        let hashers = Hashers::start(threads, MOST_WAITING).map_err(|e| PasswordFileError::threads(&e))?;
        Ok(Self { file: Arc::new(file), settings: settings.clone(), hashers, digest: KeyedDigest::new(entropy) })
    }

    /// What browsers show when they ask for the password.
    pub fn realm(&self) -> Arc<str> {
        Arc::clone(&self.settings.realm)
    }

    /// How much hashing there has been, in a unit of its own.
    pub fn work(&self) -> u64 {
        self.file.work()
    }

    /// The key of the cache: a plain digest would let whoever sees the memory try out passwords at the speed of SHA-256.
    pub(super) fn key(&self, fields: &[&[u8]]) -> Key {
        self.digest.of(fields)
    }

    /// Whose password this is.
    pub(super) async fn verify(&self, login: Login) -> Result<Finding, Denial> {
        let file = Arc::clone(&self.file);
        let check = move || {
            let (name, password) = login.parts().unwrap_or_default();
            match file.check(name, password.as_bytes()) {
                Some(user) => Ok(found(user)),
                None => Err(name.to_owned()),
            }
        };
        match self.hashers.run(check).await {
            Ok(Ok((name, groups))) => {
                Ok(Finding { verified: self.identity(&name, groups), touch: None, believed_for: self.settings.cache })
            }
            Ok(Err(name)) => {
                Err(Denial::because(Reason::PasswordWrong, format!("no user {name:?}, or not that user's password")))
            }
            Err(busy) => Err(Denial::because(Reason::Overloaded, busy.to_string()).retry_after(Duration::from_secs(1))),
        }
    }

    fn identity(&self, name: &str, groups: Vec<Arc<str>>) -> Verified {
        Verified {
            roles: super::sorted(self.settings.roles.clone()),
            scopes: super::sorted(self.settings.scopes.clone()),
            groups,
            // A password lasts; how long it is believed without being checked again is another matter.
            ..Verified::new(
                Principal::new(BASIC_ISSUER, name),
                CredentialKind::Basic,
                format!("basic:{name}").into(),
                Timestamp::NEVER,
            )
        }
    }
}

fn found(user: &User) -> (Arc<str>, Vec<Arc<str>>) {
    (Arc::clone(&user.name), user.groups.clone())
}

/// `user:password`, wiped when it is no longer needed.
pub(super) struct Login(Zeroizing<String>);

impl Login {
    /// From strict base64 of UTF-8 without control characters (RFC 7617, sections 2 and 2.1).
    pub(super) fn parse(text: &str) -> Result<Self, Denial> {
        let malformed = |what| Denial::because(Reason::CredentialMalformed, format!("Basic: {what}"));
        if text.len() > LONGEST {
            return Err(malformed("longer than 1 KiB"));
        }
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| malformed("not canonical base64"))?);
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed("not UTF-8"))?;
        let login = Self(Zeroizing::new(text.to_owned()));
        if login.0.chars().any(char::is_control) {
            return Err(malformed("control characters"));
        }
        match login.parts() {
            Some((name, _)) if !name.is_empty() => Ok(login),
            _ => Err(malformed("no user's name and colon")),
        }
    }

    /// A password may contain colons, a user's name may not.
    fn parts(&self) -> Option<(&str, &str)> {
        self.0.split_once(':')
    }
}

#[cfg(test)]
#[path = "basic_tests.rs"]
mod tests;
