//! Header names as the most lenient reader may read them.
//!
//! CGI, WSGI and their kin turn `X-User`, `x_user` and, some of them, `X.User` into one variable. So names are compared
//! folded: lower case, with every character that is no letter or digit as `-`.

use std::borrow::Cow;

/// One character of a name, folded.
pub const fn fold_byte(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// A name, folded; borrowed where nothing changes.
pub fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| fold_byte(byte) == byte) {
        Cow::Borrowed(name)
    } else {
        name.bytes().map(|byte| char::from(fold_byte(byte))).collect()
    }
}

/// Whether `name`, in whatever spelling, is the one that folds to `folded`.
pub fn is_spelling_of(name: &str, folded: &str) -> bool {
    name.len() == folded.len() && name.bytes().map(fold_byte).eq(folded.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_every_spelling_folds_to_one_name() {
        for name in ["x-user", "X-User", "x_user", "X.User", "x~user", "x!USER"] {
            assert_eq!(fold(name), "x-user", "{name}");
            assert!(is_spelling_of(name, "x-user"), "{name}");
        }
        assert!(matches!(fold("x-user"), Cow::Borrowed(_)));
        assert_ne!(fold("xuser"), "x-user");
        assert!(!is_spelling_of("xuser", "x-user") && !is_spelling_of("x-users", "x-user"));
    }
}
