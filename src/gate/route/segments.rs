//! The segments of a path, without allocation where nothing is percent-encoded.

use std::borrow::Cow;

/// Paths of up to this many segments are held in place.
const FEW: usize = 16;

/// The segments of one path, in order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one, and is there to spare an allocation"
)]
pub(super) enum Segments<'a> {
    /// As sent: nothing is encoded.
    Few([&'a str; FEW], usize),
    /// As sent, and many.
    Many(Vec<&'a str>),
    /// Decoded once.
    Decoded(Vec<Cow<'a, str>>),
}

impl<'a> Segments<'a> {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self::Few([""; FEW], 0)
    }

    /// Appends a segment that has no escapes.
    pub(super) fn push(&mut self, segment: &'a str) {
        match self {
            Self::Few(list, len) => match list.get_mut(*len) {
                Some(place) => {
                    *place = segment;
                    *len += 1;
                }
                None => {
                    let mut many = list.to_vec();
                    many.push(segment);
                    *self = Self::Many(many);
                }
            },
            Self::Many(list) => list.push(segment),
            Self::Decoded(list) => list.push(Cow::Borrowed(segment)),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let (plain, decoded): (&[&str], &[Cow<'_, str>]) = match self {
            Self::Few(list, len) => (list.get(..*len).unwrap_or_default(), &[]),
            Self::Many(list) => (list, &[]),
            Self::Decoded(list) => (&[], list),
        };
        plain.iter().copied().chain(decoded.iter().map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_beyond_the_few_are_kept_in_order() {
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let mut segments = Segments::new();
        for (n, name) in names.iter().enumerate() {
            segments.push(name);
            assert_eq!(segments.iter().count(), n + 1);
        }
        assert!(segments.iter().eq(names.iter().map(String::as_str)));
    }
}
