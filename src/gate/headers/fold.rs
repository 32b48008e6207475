//! The names that no client may set, in whatever spelling an upstream may take for them.

use http::{HeaderMap, HeaderName};

use crate::model::header::{fold, fold_byte};
use crate::model::reserved::{IDENTITY, IDENTITY_PREFIX, OVERRIDES};

/// The names that no client may set, in every spelling.
#[derive(Debug, Clone)]
pub(in crate::gate) struct Forbidden {
    /// Folded.
    names: Vec<Box<str>>,
    /// Bit n: some name is n bytes long (the last bit: that or longer), so that most headers are let by at a glance.
    lengths: u64,
}

impl Forbidden {
    /// These, the names under `x-auth-`, those of all presets, and those that would override method or URL.
    pub(in crate::gate) fn new<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let own = names.into_iter().map(|name| name.as_str());
        let always = OVERRIDES.into_iter().chain(IDENTITY);
        let mut names: Vec<Box<str>> = always.chain(own).map(|name| fold(name).into()).collect();
        names.sort_unstable();
        names.dedup();
        let lengths = names.iter().fold(0, |bits, name| bits | length_bit(name.len()));
        Self { names, lengths }
    }

    /// Removes them all, however often and however spelled.
    pub(in crate::gate) fn strip(&self, headers: &mut HeaderMap) {
        let found: Vec<HeaderName> = headers.keys().filter(|name| self.covers(name.as_str())).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    /// Whether this name, in whatever spelling, is one of them.
    fn covers(&self, name: &str) -> bool {
        name.get(..IDENTITY_PREFIX.len()).is_some_and(|start| same(start, IDENTITY_PREFIX))
            || (self.lengths & length_bit(name.len()) != 0 && self.names.iter().any(|own| same(name, own)))
    }
}

const fn length_bit(length: usize) -> u64 {
    1 << if length < 63 { length } else { 63 }
}

/// Whether `name` folds to `own`, which is folded.
fn same(name: &str, own: &str) -> bool {
    name.len() == own.len() && name.bytes().map(fold_byte).eq(own.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    /// Every character of a header name (RFC 9110, section 5.6.2) that is no letter or digit.
    const MARKS: &str = "!#$%&'*+-.^_`|~";

    fn stripped(forbidden: &Forbidden, name: &str) -> bool {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name.clone(), HeaderValue::from_static("spoofed"));
        headers.append(name, HeaderValue::from_static("again"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        forbidden.strip(&mut headers);
        assert_eq!(headers["accept"], "*/*");
        headers.len() == 1
    }

    #[test]
    fn f01_f02_f03_every_spelling_of_a_name_is_removed() {
        let forbidden = Forbidden::new(&[HeaderName::from_static("x-user"), HeaderName::from_static("remote_user.id")]);
        for mark in MARKS.chars() {
            for name in [
                format!("x{mark}user"),
                format!("X{mark}USER"),
                format!("Remote{mark}User{mark}Id"),
                format!("x{mark}auth{mark}subject"),
                format!("X{mark}Auth{mark}Whatever"),
                format!("x-auth{mark}"),
                format!("X{mark}HTTP{mark}Method{mark}Override"),
                format!("X{mark}HTTP{mark}Method"),
                format!("X{mark}Method{mark}Override"),
                format!("X{mark}Original{mark}URL"),
                format!("X{mark}Rewrite{mark}URL"),
                format!("Remote{mark}User"),
                format!("REMOTE{mark}GROUPS"),
                format!("X{mark}Remote{mark}User"),
                format!("x{mark}forwarded{mark}user"),
                format!("X{mark}Forwarded{mark}Preferred{mark}Username"),
                format!("X{mark}Auth{mark}Request{mark}User"),
            ] {
                assert!(stripped(&forbidden, &name), "{name}");
            }
        }
    }

    #[test]
    fn other_names_stay() {
        let forbidden = Forbidden::new(&[HeaderName::from_static("x-user")]);
        for name in
            ["xuser", "x-users", "x-use", "user", "x-authx", "xx-auth-a", "authorization", "x-api-key", "cookie"]
        {
            assert!(!stripped(&forbidden, name), "{name}");
        }
    }

    #[test]
    fn names_longer_than_the_length_mask_are_found() {
        let long = HeaderName::from_bytes("x-".repeat(60).as_bytes()).unwrap();
        let forbidden = Forbidden::new([&long]);
        assert!(stripped(&forbidden, &"X_".repeat(60)));
        assert!(!stripped(&forbidden, &"X_".repeat(61)));
    }

    proptest! {
        #[test]
        fn f02_whatever_folds_to_a_name_is_removed(marks in prop::collection::vec(0..MARKS.len(), 2), upper: bool) {
            let mark = |n: usize| MARKS.as_bytes()[marks[n]] as char;
            let name = format!("x{}tenant{}id", mark(0), mark(1));
            let name = if upper { name.to_uppercase() } else { name };
            let own = HeaderName::from_static("x-tenant-id");
            prop_assert!(stripped(&Forbidden::new([&own]), &name));
        }
    }
}
