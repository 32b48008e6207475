//! `conf.d/*.toml`

use std::io;
use std::path::{Path, PathBuf};

/// Whether a text has `*` or `?` in it.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The files that match, sorted; hidden ones only where the pattern begins with a dot. A directory that is not there
/// has no files.
pub(super) fn expand(base: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let (mut found, pattern) = match pattern.strip_prefix('/') {
        Some(rest) => (vec![PathBuf::from("/")], rest),
        None => (vec![base.to_owned()], pattern),
    };
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in found {
            if is_pattern(part) {
                next.extend(entries(&directory, part)?);
            } else {
                next.push(directory.join(part));
            }
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found.sort();
    Ok(found)
}

fn entries(directory: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in listing {
        let name = entry?.file_name();
        let fits = |name: &str| matches(pattern, name) && (!name.starts_with('.') || pattern.starts_with('.'));
        if name.to_str().is_some_and(fits) {
            let clean = directory.strip_prefix(".").unwrap_or(directory);
            found.push(clean.join(name));
        }
    }
    Ok(found)
}

/// Linear in the product of both lengths, whatever the pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let mut reached = vec![true];
    reached.extend(name.chars().map(|_| false));
    for p in pattern.chars() {
        let mut next = vec![p == '*' && reached.first().copied().unwrap_or(false)];
        for (index, c) in name.chars().enumerate() {
            let before = reached.get(index).copied().unwrap_or(false);
            let here = reached.get(index + 1).copied().unwrap_or(false);
            let left = next.last().copied().unwrap_or(false);
            next.push(match p {
                '*' => here || left,
                '?' => before,
                literal => before && literal == c,
            });
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml.bak", false),
            ("a?.toml", "ab.toml", true),
            ("a?.toml", "a.toml", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_sorted_without_hidden_ones_and_directories() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["b.toml", "a.toml", ".c.toml", "d.txt"] {
            std::fs::write(directory.path().join(name), "").expect("a file");
        }
        std::fs::create_dir(directory.path().join("e.toml")).expect("a directory");
        let found = expand(directory.path(), "*.toml").expect("readable");
        assert_eq!(found, [directory.path().join("a.toml"), directory.path().join("b.toml")]);
        assert!(expand(directory.path(), "missing/*.toml").expect("readable").is_empty());
    }
}
