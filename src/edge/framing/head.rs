//! One request head of HTTP/1, read strictly (RFC 9112, sections 2 to 6).
//!
//! What the grammar lets a recipient forgive (bare LF, folded lines, repeated lengths) is refused: every forgiveness is
//! one that the next parser may not share.

use std::ops::Range;

use http::uri::Authority;
use memchr::memchr;

use super::FramingLimits;
use crate::model::denial::Reason;

/// Longest target and field name that the types behind hyper hold, in bytes.
const LONGEST_TARGET: usize = 65_534;
const LONGEST_NAME: usize = 65_535;

/// A head that can be read in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Its length in bytes, the empty line included.
    pub(super) length: usize,
    /// What follows it.
    pub(super) body: BodyLength,
    /// Whether it asks for another protocol, so that what follows its body is unknown until the answer.
    pub(super) upgrade: bool,
}

/// How a request's body is delimited (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// This many bytes.
    Sized(u64),
    /// Chunks.
    Chunked,
}

/// Reads a head line by line as its bytes arrive; no byte is looked at twice, however they are split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HeadScan {
    /// How far the search for a line's end has got.
    scanned: usize,
    /// Where the line begins that is being read.
    line: usize,
    skipped_empty_line: bool,
    version: Option<Version>,
    authority: Option<Range<usize>>,
    host: Option<Range<usize>>,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    fields: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl HeadScan {
    /// Reads on. `bytes` is everything from the head's first byte; `None` where the head is not complete yet.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: &FramingLimits) -> Result<Option<Head>, Reason> {
        if self.scanned == 0 && bytes.first().is_some_and(|first| !is_token(*first) && *first != b'\r') {
            return Err(Reason::AmbiguousFraming);
        }
        loop {
            let Some(at) = memchr(b'\n', bytes.get(self.scanned..).unwrap_or_default()) else {
                self.scanned = bytes.len();
                return if bytes.len() > limits.max_head_bytes { Err(Reason::HeadTooLarge) } else { Ok(None) };
            };
            let end = self.scanned + at;
            if end >= limits.max_head_bytes {
                return Err(Reason::HeadTooLarge);
            }
            let line = self.line..end.saturating_sub(1);
            // A line ends in CR LF; a bare LF is where parsers part.
            if bytes.get(line.end) != Some(&b'\r') || line.end < line.start {
                return Err(Reason::AmbiguousFraming);
            }
            (self.scanned, self.line) = (end + 1, end + 1);
            if self.take_line(bytes, line, limits)? {
                return self.finish(bytes).map(Some);
            }
        }
    }

    /// Takes one line; whether it was the empty one that ends the head.
    fn take_line(&mut self, bytes: &[u8], line: Range<usize>, limits: &FramingLimits) -> Result<bool, Reason> {
        let text = bytes.get(line.clone()).unwrap_or_default();
        if self.version.is_none() {
            // One empty line before a request is to be forgiven (RFC 9112, section 2.2).
            if text.is_empty() && !self.skipped_empty_line {
                self.skipped_empty_line = true;
                return Ok(false);
            }
            self.request_line(text, line.start)?;
            return Ok(false);
        }
        if text.is_empty() {
            return Ok(true);
        }
        self.fields += 1;
        if self.fields > limits.max_fields {
            return Err(Reason::HeadTooLarge);
        }
        self.field(text, line.start)?;
        Ok(false)
    }

    fn request_line(&mut self, line: &[u8], start: usize) -> Result<(), Reason> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::AmbiguousFraming);
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Reason::AmbiguousFraming);
        }
        self.version = Some(match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return Err(Reason::AmbiguousFraming),
        });
        // A tunnel to anywhere is no service of ours, and its bytes would be framed by nobody.
        if method == b"CONNECT" {
            return Err(Reason::MethodRefused);
        }
        check_target_bytes(target)?;
        match target {
            [b'/', ..] => Ok(()),
            b"*" if method == b"OPTIONS" => Ok(()),
            _ => {
                let scheme = [&b"http://"[..], b"https://"]
                    .into_iter()
                    .find(|scheme| target.get(..scheme.len()).is_some_and(|have| have.eq_ignore_ascii_case(scheme)))
                    .ok_or(Reason::TargetForm)?;
                let rest = target.get(scheme.len()..).unwrap_or_default();
                let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
                let from = start + method.len() + 1 + scheme.len();
                self.authority = Some(from..from + length);
                Ok(())
            }
        }
    }

    fn field(&mut self, line: &[u8], start: usize) -> Result<(), Reason> {
        // A name of token characters up to the colon: no empty name, no space before the colon, no folded line.
        let colon = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
        if colon == 0 || line.get(colon) != Some(&b':') {
            return Err(Reason::AmbiguousFraming);
        }
        if colon > LONGEST_NAME {
            return Err(Reason::HeadTooLarge);
        }
        let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
        if !is_clean(value) {
            return Err(Reason::AmbiguousFraming);
        }
        let leading = value.iter().take_while(|byte| is_blank(**byte)).count();
        let trailing = value.iter().rev().take_while(|byte| is_blank(**byte)).count();
        let value = value.get(leading..value.len().saturating_sub(trailing)).unwrap_or_default();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let from = start + colon + 1 + leading;
                if self.host.replace(from..from + value.len()).is_some() || !is_host(value) {
                    return Err(Reason::InvalidHost);
                }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = digits(value).ok_or(Reason::AmbiguousFraming)?;
                if self.content_length.replace(length).is_some() {
                    return Err(Reason::AmbiguousFraming);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Reason::AmbiguousFraming);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// What only the whole head tells.
    fn finish(&self, bytes: &[u8]) -> Result<Head, Reason> {
        let modern = self.version == Some(Version::Http11);
        if self.chunked && (self.content_length.is_some() || !modern) {
            return Err(Reason::AmbiguousFraming);
        }
        let part = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        match (&self.authority, &self.host) {
            (None, None) if modern => return Err(Reason::InvalidHost),
            (Some(_), None) => return Err(Reason::InvalidHost),
            (Some(authority), Some(host)) if !part(authority).eq_ignore_ascii_case(part(host)) => {
                return Err(Reason::TargetForm);
            }
            // What can stand in `Host`, where it is only compared, need not be an authority that can be read.
            (Some(authority), Some(_)) if Authority::try_from(part(authority)).is_err() => {
                return Err(Reason::TargetForm);
            }
            _ => {}
        }
        let body = if self.chunked { BodyLength::Chunked } else { BodyLength::Sized(self.content_length.unwrap_or(0)) };
        Ok(Head { length: self.scanned, body, upgrade: self.upgrade && modern })
    }
}

/// What RFC 3986 has in no target. hyper lets some of it pass in a path or in a query; what it does not, is refused here
/// first, with a reason.
fn check_target_bytes(target: &[u8]) -> Result<(), Reason> {
    if target.len() > LONGEST_TARGET {
        return Err(Reason::HeadTooLarge);
    }
    let mut in_query = false;
    for byte in target {
        match byte {
            b'?' => in_query = true,
            b'`' if !in_query => return Err(Reason::TargetForm),
            b'"' if in_query => return Err(Reason::TargetForm),
            b'#' => return Err(Reason::Fragment),
            b'\\' => return Err(Reason::Backslash),
            0..=0x20 | 0x7f => return Err(Reason::ControlCharacter),
            b'<' | b'>' | 0x80.. => return Err(Reason::TargetForm),
            _ => {}
        }
    }
    Ok(())
}

/// `token` characters (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(
                clippy::indexing_slicing,
                clippy::cast_possible_truncation,
                reason = "a constant: checked by the compiler"
            )]
            {
                table[byte] = (byte as u8).is_ascii_alphanumeric()
                    || matches!(
                        byte as u8,
                        b'!' | b'#'
                            | b'$'
                            | b'%'
                            | b'&'
                            | b'\''
                            | b'*'
                            | b'+'
                            | b'-'
                            | b'.'
                            | b'^'
                            | b'_'
                            | b'`'
                            | b'|'
                            | b'~'
                    );
            }
            byte += 1;
        }
        table
    };
    TABLE.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether a field's value has no control character but HTAB (RFC 9110, section 5.5). Without an early exit, so that
/// the compiler looks at many bytes at a time.
pub(super) fn is_clean(value: &[u8]) -> bool {
    !value.iter().fold(false, |bad, byte| bad | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `Host` is one host and perhaps a port: no list, no user, no path.
pub(in crate::edge) fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']'))
}

/// `1*DIGIT` that fits: no sign, no list, no blank.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}
