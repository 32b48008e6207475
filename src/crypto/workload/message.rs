//! The two messages of the SPIFFE Workload API that are spoken here, in the wire format of protocol buffers, and the frame
//! of gRPC around them.

use zeroize::Zeroizing;

use crate::model::Secret;

/// One X.509 SVID: who we are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Svid {
    pub(super) spiffe_id: String,
    /// Certificates, DER, one after the other; the end entity first.
    pub(super) chain: Vec<u8>,
    /// PKCS#8, DER.
    pub(super) key: Secret<Vec<u8>>,
    /// CAs of the trust domain, DER, one after the other.
    pub(super) bundle: Vec<u8>,
}

/// What cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent's answer is not what the Workload API says: {0}")]
pub struct Malformed(pub(super) &'static str);

/// `X509SVIDRequest {}` in its frame.
pub(super) const REQUEST: &[u8] = &[0; HEADER];
/// Of a frame: whether it is compressed, and its length.
const HEADER: usize = 5;
/// Longest message that is taken.
const MAX_MESSAGE: usize = 1 << 20;

/// Takes a whole message out of what has come so far; `None`: more must come.
pub(super) fn take_message(buffer: &mut Vec<u8>) -> Result<Option<Zeroizing<Vec<u8>>>, Malformed> {
    let Some((&[compressed, a, b, c, d], rest)) = buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if compressed != 0 {
        return Err(Malformed("a compressed message, which nobody asked for"));
    }
    if length > MAX_MESSAGE {
        return Err(Malformed("a message of more than 1 MiB"));
    }
    let Some(message) = rest.get(..length) else { return Ok(None) };
    let message = Zeroizing::new(message.to_vec());
    buffer.drain(..HEADER + length);
    Ok(Some(message))
}

/// The first of `X509SVIDResponse.svids`: that is the default one (Workload API, section 5.2.1).
pub(super) fn first_svid(message: &[u8]) -> Result<Svid, Malformed> {
    let mut fields = Fields(message);
    while let Some((number, bytes)) = fields.next()? {
        if number == 1 {
            return svid(bytes);
        }
    }
    Err(Malformed("no SVID"))
}

fn svid(message: &[u8]) -> Result<Svid, Malformed> {
    let none = Svid { spiffe_id: String::new(), chain: Vec::new(), key: Secret::new(Vec::new()), bundle: Vec::new() };
    let (mut svid, mut fields) = (none, Fields(message));
    while let Some((number, bytes)) = fields.next()? {
        match number {
            1 => {
                svid.spiffe_id = String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("an id that is not UTF-8"))?
            }
            2 => svid.chain = bytes.to_vec(),
            3 => svid.key = Secret::new(bytes.to_vec()),
            4 => svid.bundle = bytes.to_vec(),
            _ => {}
        }
    }
    Ok(svid)
}

/// The fields of a message; those that are not made of bytes are passed over.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, &'a [u8])>, Malformed> {
        while !self.0.is_empty() {
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                5 => drop(self.take(4)?),
                2 => {
                    let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                    return Ok(Some((tag >> 3, self.take(length)?)));
                }
                _ => return Err(Malformed("a field of unknown kind")),
            }
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("a field that is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&[byte], rest) = self.0.split_first_chunk::<1>().ok_or(Malformed("a number that is cut off"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a number of more than 64 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        field.extend(bytes);
        field
    }

    #[test]
    fn the_first_svid_counts_and_fields_of_later_versions_are_passed_over() {
        let key = vec![7; 300];
        let one = [
            field(9, b"new"),
            vec![8 << 3, 1],
            field(1, b"spiffe://a/b"),
            field(2, b"c"),
            field(3, &key),
            field(4, b"d"),
        ];
        let message = [field(2, b"crl"), field(1, &one.concat()), field(1, &field(1, b"spiffe://a/other"))].concat();
        let svid = first_svid(&message).unwrap();
        let expected = Svid {
            spiffe_id: "spiffe://a/b".into(),
            chain: b"c".to_vec(),
            key: Secret::new(key),
            bundle: b"d".to_vec(),
        };
        assert_eq!(svid, expected);
        assert!(!format!("{svid:?}").contains("7, 7"), "the key is never shown");
        assert_eq!(first_svid(&field(2, b"crl")), Err(Malformed("no SVID")));
    }

    #[test]
    fn messages_are_taken_out_whole() {
        let mut buffer = vec![0, 0, 0, 0, 2, b'a'];
        assert_eq!(take_message(&mut buffer), Ok(None));
        buffer.extend([b'b', 0, 0]);
        assert_eq!(take_message(&mut buffer), Ok(Some(Zeroizing::new(b"ab".to_vec()))));
        assert_eq!(buffer, [0, 0]);
        assert!(take_message(&mut vec![1, 0, 0, 0, 0]).is_err());
        assert!(take_message(&mut vec![0, 255, 0, 0, 0]).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = field(1, &[field(1, b"spiffe://a/b"), field(2, b"c")].concat());
        for end in 0..whole.len() {
            let _ = first_svid(&whole[..end]);
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[end] = byte;
                let _ = first_svid(&changed);
            }
        }
        assert!(first_svid(&[0xff; 20]).is_err());
    }
}
