//! Whether bytes are DER and not the wider BER (X.690, section 10): webpki reads only what it needs that strictly, and names
//! that two readers see differently must not become identities.

/// Elements within elements; certificates have about ten.
const DEEPEST: usize = 24;

/// Whether all of these bytes are elements of DER, as far as lengths tell.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    are_elements(bytes, 0)
}

fn are_elements(mut bytes: &[u8], depth: usize) -> bool {
    while !bytes.is_empty() {
        let Some((tag, content, rest)) = element(bytes) else { return false };
        let constructed = tag & 0x20 != 0;
        if constructed && (depth == DEEPEST || !are_elements(content, depth + 1)) {
            return false;
        }
        bytes = rest;
    }
    true
}

/// The first element's tag and content, and what follows it. `None` for a length that is indefinite, longer than it needs to
/// be or than what is there, and for tags of several bytes, which no certificate has.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes(rest.first_chunk().copied()?)), rest.get(2..)?),
        _ => return None,
    };
    let least = match first {
        0x81 => 0x80,
        0x82 => 0x100,
        _ => 0,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (tag & 0x1f != 0x1f && length >= least).then_some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_definite_and_as_short_as_can_be() {
        let long = [&[0x04, 0x81, 0x80][..], &[0; 128]].concat();
        let longer = [&[0x04, 0x82, 1, 0][..], &[0; 256]].concat();
        for good in [&[][..], &[5, 0], &[0x30, 2, 5, 0], &[5, 0, 5, 0], &long, &longer] {
            assert!(is_der(good), "{good:?}");
        }
        let padded = [&[0x04, 0x82, 0, 0x80][..], &[0; 128]].concat();
        let deep: Vec<u8> = (0..60).rev().flat_map(|inside| [0x30, inside * 2]).collect();
        let bad =
            [&[0x30][..], &[0x30, 1], &[0x30, 0x80, 0, 0], &[4, 0x81, 1, 7], &padded, &[0x30, 1, 5], &[0x1f, 0], &deep];
        for bad in bad {
            assert!(!is_der(bad), "{bad:?}");
        }
    }
}
