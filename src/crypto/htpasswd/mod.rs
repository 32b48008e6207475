//! Users, what their passwords hash to, and their groups, from files in Apache's formats.

mod hash;
mod pool;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::{HashMap, HashMapExt};

pub use self::pool::{Busy, Hashers};

use self::hash::Hash;
use super::keyed::KeyedDigest;
use super::shown::Shown;
use crate::model::Entropy;

/// What is wrong with a file: place, problem, and what would be right.
#[derive(Debug, Clone, thiserror::Error)]
#[error("basic: {0}")]
pub struct PasswordFileError(String);

impl PasswordFileError {
    /// There are no threads to check passwords on.
    pub fn threads(problem: &std::io::Error) -> Self {
        Self(format!("cannot start the threads that check passwords: {problem}"))
    }
}

/// Users and their password hashes.
pub struct PasswordFile {
    users: HashMap<Arc<str>, User>,
    /// All hashes there are: somebody unknown is checked against one of them, so that it costs what a user costs.
    hashes: Vec<Arc<Hash>>,
    choice: KeyedDigest,
    work: AtomicU64,
}

/// One of them.
#[derive(Debug)]
pub struct User {
    /// The name.
    pub name: Arc<str>,
    /// Groups, sorted and without duplicates.
    pub groups: Vec<Arc<str>>,
    hash: Arc<Hash>,
}

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The longest name of a user, in bytes (`htpasswd` takes no longer one).
const LONGEST_NAME: usize = 255;

impl PasswordFile {
    /// Reads both files. The texts are warnings: what works, but ought to be better.
    pub fn read(
        file: &Path,
        group_file: Option<&Path>,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Vec<String>), PasswordFileError> {
        let (mut users, mut hashes, mut warnings) = (HashMap::new(), Vec::new(), Vec::new());
        for (place, line) in lines(&text(file)?, file) {
            let at = |problem: String| PasswordFileError(format!("{place}: {problem}"));
            // What has no colon may be a password: the line itself is not shown.
            let (name, hash) = line.split_once(':').ok_or_else(|| at("`user:hash` is wanted".to_owned()))?;
            check_name(name).map_err(at)?;
            let better = || format!("make a new one: htpasswd -B -C 12 {} {}", file.display(), Shown(name));
            let (hash, warning) = Hash::parse(hash)
                .map_err(|problem| at(format!("user `{}` has {problem}; {}", Shown(name), better())))?;
            if let Some(warning) = warning {
                warnings.push(format!("{place}: user `{}` has {warning}; {}", Shown(name), better()));
            }
            let (name, hash): (Arc<str>, _) = (name.into(), Arc::new(hash));
            hashes.push(hash.clone());
            if users.insert(name.clone(), User { name: name.clone(), groups: Vec::new(), hash }).is_some() {
                return Err(at(format!("user `{}` stands there twice", Shown(&name))));
            }
        }
        if users.is_empty() {
            let path = file.display();
            let problem = format!("`{path}` holds no user; make one: htpasswd -B -C 12 -c {path} USER");
            return Err(PasswordFileError(problem));
        }
        if let Some(group_file) = group_file {
            add_groups(&mut users, group_file, &mut warnings)?;
        }
        Ok((Self { users, hashes, choice: KeyedDigest::new(entropy), work: AtomicU64::new(0) }, warnings))
    }

    /// The user, if there is one of this name and this is the password. That takes long, the same whether there is such
    /// a user or not: call it where it holds nobody up.
    pub fn check(&self, name: &str, password: &[u8]) -> Option<&User> {
        let user = self.users.get(name);
        let hash = user.map(|user| &user.hash).or_else(|| self.decoy(name))?;
        self.work.fetch_add(hash.work(), Ordering::Relaxed);
        let is_right = hash.is_of(password);
        user.filter(|_| is_right)
    }

    /// How much hashing there has been, in a unit of its own.
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// The same for the same name each time, as a user's is, and for all names together as often as users have it.
    fn decoy(&self, name: &str) -> Option<&Arc<Hash>> {
        let [a, b, c, d, e, f, g, h, ..] = self.choice.of(&[name.as_bytes()]);
        let count = u64::try_from(self.hashes.len()).ok().filter(|count| *count > 0)?;
        let index = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % count;
        self.hashes.get(usize::try_from(index).ok()?)
    }
}

/// `group: user user`
fn add_groups(
    users: &mut HashMap<Arc<str>, User>,
    file: &Path,
    warnings: &mut Vec<String>,
) -> Result<(), PasswordFileError> {
    for (place, line) in lines(&text(file)?, file) {
        let at = |problem: &str| PasswordFileError(format!("{place}: {problem}"));
        let (group, members) = line.split_once(':').ok_or_else(|| at("`group: user user` is wanted"))?;
        let group = group.trim();
        if group.is_empty() || group.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',') {
            return Err(at("the group's name is empty or has white space, commas or control characters"));
        }
        let group: Arc<str> = group.into();
        for member in members.split_whitespace() {
            match users.get_mut(member) {
                Some(user) => user.groups.push(group.clone()),
                None => warnings.push(format!("{place}: there is no user `{}`", Shown(member))),
            }
        }
    }
    for user in users.values_mut() {
        user.groups.sort_unstable();
        user.groups.dedup();
    }
    Ok(())
}

/// A name that `Authorization: Basic` can carry (RFC 7617, section 2) and that breaks no line of a log.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(format!("a user's name has 1 to {LONGEST_NAME} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("the user's name `{}` has control characters", Shown(name)));
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, PasswordFileError> {
    let wrong = |problem: String| PasswordFileError(format!("`{}` {problem}", path.display()));
    let file = File::open(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(format!("is larger than {} MiB", LARGEST >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not valid UTF-8".to_owned()))
}

/// Lines that say something, and where each stands.
fn lines<'a>(text: &'a str, path: &'a Path) -> impl Iterator<Item = (String, &'a str)> {
    let trimmed = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
    let told = trimmed.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    told.map(|(number, line)| (format!("{}:{number}", path.display()), line))
}

#[cfg(test)]
mod tests;
