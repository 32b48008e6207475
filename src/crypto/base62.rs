//! Numbers as fixed-width base62 (`0-9A-Za-z`): a double click selects all of it and no URL or shell minds it.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many digits 32 bits need.
pub(crate) const WIDTH_32: usize = 6;
/// How many digits 128 bits need.
pub(crate) const WIDTH_128: usize = 22;
/// How many digits 256 bits need.
pub(crate) const WIDTH_256: usize = 43;

/// The big-endian number in `bytes`, with leading zeros up to `width` digits; digits beyond are cut off.
pub(crate) fn encode(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec!['0'; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder: u16 = 0;
        for byte in &mut number {
            let dividend = (remainder << 8) | u16::from(*byte);
            // Below 256, because the remainder is below 62.
            *byte = u8::try_from(dividend / 62).unwrap_or(u8::MAX);
            remainder = dividend % 62;
        }
        *digit = DIGITS.get(usize::from(remainder)).copied().map_or('0', char::from);
    }
    zeroize::Zeroize::zeroize(&mut number);
    digits.into_iter().collect()
}

/// Whether `text` is `width` base62 digits.
pub(crate) fn is(text: &str, width: usize) -> bool {
    text.len() == width && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_hold_the_largest_number() {
        assert_eq!(encode(&[0xff; 4], WIDTH_32), "4gfFC3");
        // One more digit would be a leading zero: nothing is cut off.
        assert_eq!(encode(&[0xff; 16], WIDTH_128 + 1), format!("0{}", encode(&[0xff; 16], WIDTH_128)));
        assert_eq!(encode(&[0xff; 32], WIDTH_256 + 1), format!("0{}", encode(&[0xff; 32], WIDTH_256)));
    }

    #[test]
    fn small_numbers_keep_their_zeros() {
        assert_eq!(encode(&[0, 61], 3), "00z");
        assert_eq!(encode(&[0, 62], 3), "010");
    }
}
