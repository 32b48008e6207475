//! Version 1, a line of text (section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{HeaderError, Source, Step};

pub(super) const START: &[u8] = b"PROXY ";

/// Bytes of the longest line there can be, CRLF included.
pub(super) const LONGEST: usize = 107;

/// Spaces of a line with addresses.
const SPACES: usize = 5;

pub(super) fn step(read: &[u8]) -> Result<Step, HeaderError> {
    let unknown = read.starts_with(b"PROXY UNKNOWN\r") || read.starts_with(b"PROXY UNKNOWN ");
    if !unknown && !read.starts_with(b"PROXY TCP4 ") && !read.starts_with(b"PROXY TCP6 ") {
        return Err(HeaderError::Malformed("it names neither TCP4 nor TCP6 nor UNKNOWN"));
    }
    let (line, ended) = match read.strip_suffix(b"\r\n") {
        Some(line) => (line, true),
        // The first half of the end may have been read.
        None => (read.strip_suffix(b"\r").unwrap_or(read), false),
    };
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(HeaderError::Malformed("its line does not end with CRLF"));
    }
    if ended {
        let source = if unknown { Some(Source::Unknown) } else { source(line).map(Source::Client) };
        return source.map(Step::Done).ok_or(HeaderError::Malformed("its addresses or ports cannot be read"));
    }
    let room = LONGEST.saturating_sub(read.len());
    if room == 0 {
        return Err(HeaderError::Malformed("its line is longer than 107 bytes"));
    }
    // What the line cannot do without: each space that is missing with a character after it, and its end.
    let spaces = line.iter().filter(|byte| **byte == b' ').count();
    let fields = if unknown { 0 } else { 2 * SPACES.saturating_sub(spaces) };
    let end = if line.len() < read.len() { 1 } else { 2 };
    Ok(Step::More((fields + end).min(room)))
}

/// The source of `PROXY TCP4 source destination port port`.
fn source(line: &[u8]) -> Option<SocketAddr> {
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split(' ').skip(1);
    let mut field = || fields.next();
    let (family, source, destination) = (field()?, field()?, field()?);
    let (source_port, destination_port) = (port(field()?)?, port(field()?)?);
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        _ => text.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical()),
    };
    let source = address(source)?;
    // Not used, but what cannot be read says that the sender does something else than we think.
    let _ = (address(destination)?, destination_port);
    field().is_none().then_some(SocketAddr::new(source, source_port))
}

fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}
