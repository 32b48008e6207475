//! Version 2, binary (section 2.2).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{HeaderError, Source, Step};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
const FIXED: usize = 16;

/// Bytes that may follow the fixed part: room for a client's certificate, far below what the length field could say.
pub(super) const MOST: usize = 4096;

/// The type of the field with the checksum (section 2.2.3).
const CRC32C: u8 = 0x03;

pub(super) fn step(read: &[u8]) -> Result<Step, HeaderError> {
    let Some((fixed, block)) = read.split_first_chunk::<FIXED>() else {
        return Ok(Step::More(FIXED.saturating_sub(read.len())));
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MOST {
        return Err(HeaderError::Malformed("it is longer than 4096 bytes"));
    }
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Malformed("its version or command is unknown")),
    };
    match length.checked_sub(block.len()) {
        Some(0) if local => Ok(Step::Done(Source::Unknown)),
        Some(0) => source(family, read, block).map(Step::Done),
        Some(missing) => Ok(Step::More(missing)),
        None => Err(HeaderError::Malformed("its length is wrong")),
    }
}

/// The source, once all that stands in the block is known to end where it should.
fn source(family: u8, header: &[u8], block: &[u8]) -> Result<Source, HeaderError> {
    const SHORT: HeaderError = HeaderError::Malformed("its addresses are cut off");
    let (source, fields) = match family {
        // Nothing is said, so there is nothing to check: what follows is to be ignored.
        0x00 => return Ok(Source::Unknown),
        0x11 => {
            let (addresses, fields) = block.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            (client([a, b, c, d].into(), [high, low]), fields)
        }
        0x21 => {
            let (source, rest) = block.split_first_chunk::<16>().ok_or(SHORT)?;
            let (ports, fields) = rest.split_first_chunk::<20>().ok_or(SHORT)?;
            let [.., high, low, _, _] = *ports;
            (client(Ipv6Addr::from(*source).into(), [high, low]), fields)
        }
        // A Unix socket's client has no address that limits or networks could go by.
        0x31 => (Source::Unknown, block.get(216..).ok_or(SHORT)?),
        _ => return Err(HeaderError::Malformed("its family is unknown or none of streams")),
    };
    check_fields(header, fields)?;
    Ok(source)
}

fn client(address: IpAddr, port: [u8; 2]) -> Source {
    Source::Client(SocketAddr::new(address.to_canonical(), u16::from_be_bytes(port)))
}

/// The fields after the addresses (type, length, value) fill the header to its last byte, none reaches beyond it, and
/// the checksum, where there is one, is right.
fn check_fields(header: &[u8], fields: &[u8]) -> Result<(), HeaderError> {
    const SPILLS: HeaderError = HeaderError::Malformed("a field reaches beyond its end");
    let mut rest = fields;
    let mut checked = false;
    while !rest.is_empty() {
        let ([kind, high, low], after) = rest.split_first_chunk::<3>().ok_or(SPILLS)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = after.split_at_checked(length).ok_or(SPILLS)?;
        if *kind == CRC32C {
            let sum = value.try_into().map_err(|_| HeaderError::Malformed("its checksum is not 4 bytes long"))?;
            let at = header.len() - after.len();
            if std::mem::replace(&mut checked, true) || u32::from_be_bytes(sum) != crc32c_without(header, at) {
                return Err(HeaderError::Malformed("its checksum is wrong"));
            }
        }
        rest = next;
    }
    Ok(())
}

/// CRC32c (RFC 3720, appendix B.4) of the bytes with four zeros at `at`, where the sum itself stands.
pub(super) fn crc32c_without(bytes: &[u8], at: usize) -> u32 {
    let mut crc = u32::MAX;
    for (index, byte) in bytes.iter().enumerate() {
        let byte = if (at..at + 4).contains(&index) { 0 } else { *byte };
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    !crc
}
