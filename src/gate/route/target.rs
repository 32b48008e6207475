//! The request target: refused where two parsers could read it differently, else taken apart for matching.

use std::borrow::Cow;

use http::Method;
use http::uri::PathAndQuery;

use super::segments::Segments;
use super::table::Table;
use crate::model::denial::Reason;
use crate::model::settings::PathTolerance;

/// How often a path that is encoded more than once is decoded to look for dot segments.
const MAX_DECODINGS: usize = 4;

/// A target in origin-form (RFC 9112, section 3.2.1) without anything that is always refused.
#[derive(Debug)]
pub(super) struct Target<'a> {
    raw: &'a str,
    segments: Segments<'a>,
    trailing_slash: bool,
    /// The forms that it has and that only a route can tolerate.
    forms: PathTolerance,
}

impl<'a> Target<'a> {
    /// Takes a target apart. Refused whatever the route says: what does not begin with `/`; `#` and control characters
    /// anywhere; in the path also raw backslashes, dot segments in every encoding, invalid escapes, and what is not
    /// UTF-8 once decoded.
    pub(super) fn parse(raw: &'a str) -> Result<Self, Reason> {
        let (path, query) = raw.split_once('?').unwrap_or((raw, ""));
        let rest = path.strip_prefix('/').ok_or(Reason::TargetForm)?;
        let marks = Marks::of(path)?;
        Marks::of_query(query)?;

        let mut forms = PathTolerance { parameters: marks.semicolon, ..PathTolerance::default() };
        let mut segments = if marks.percent { Segments::Decoded(Vec::new()) } else { Segments::new() };
        let mut pieces = rest.split('/').peekable();
        let mut trailing_slash = false;
        while let Some(piece) = pieces.next() {
            if piece.is_empty() {
                // The last piece is what follows the last slash; `/` alone is the root.
                trailing_slash = pieces.peek().is_none() && !rest.is_empty();
                if pieces.peek().is_some() {
                    forms.empty_segments = true;
                    segments.push(piece);
                }
                continue;
            }
            match &mut segments {
                Segments::Decoded(list) => list.push(decode(piece, &mut forms)?),
                plain => {
                    if piece.starts_with('.') && is_dots(piece) {
                        return Err(Reason::DotSegment);
                    }
                    plain.push(piece);
                }
            }
        }
        Ok(Self { raw, segments, trailing_slash, forms })
    }

    /// The bytes to forward: the very ones that were matched.
    pub(super) fn forwarded(&self) -> Result<PathAndQuery, Reason> {
        let target = PathAndQuery::try_from(self.raw).map_err(|_| Reason::TargetForm)?;
        if target.as_str() == self.raw { Ok(target) } else { Err(Reason::TargetForm) }
    }

    /// The place in a table that matches best.
    pub(super) fn find_in<'t, T>(&self, table: &'t Table<T>, host: &str, method: &Method) -> Option<&'t T> {
        match &self.segments {
            Segments::Few(list, len) => table.find(host, list.get(..*len)?, self.trailing_slash, method),
            Segments::Many(list) => table.find(host, list, self.trailing_slash, method),
            Segments::Decoded(list) => table.find(host, list, self.trailing_slash, method),
        }
    }

    /// Why a route that tolerates no more than this refuses the target.
    pub(super) const fn refused_by(&self, tolerate: PathTolerance) -> Option<Reason> {
        let forms = &self.forms;
        if forms.empty_segments && !tolerate.empty_segments {
            Some(Reason::EmptySegment)
        } else if forms.encoded_slash && !tolerate.encoded_slash {
            Some(Reason::EncodedSlash)
        } else if forms.encoded_backslash && !tolerate.encoded_backslash {
            Some(Reason::Backslash)
        } else if forms.double_encoding && !tolerate.double_encoding {
            Some(Reason::DoubleEncoding)
        } else if forms.parameters && !tolerate.parameters {
            Some(Reason::PathParameter)
        } else {
            None
        }
    }

    /// The segments as the most lenient server would read them, and whether a slash follows: decoded until nothing is
    /// left to decode, both slashes dividing, parameters and empty segments gone.
    pub(super) fn plain_reading(&self) -> (Vec<String>, bool) {
        let mut plain = Vec::new();
        for segment in self.segments.iter() {
            let mut text = Cow::Borrowed(segment);
            for _ in 0..MAX_DECODINGS {
                let Some(next) = decode_leniently(&text) else { break };
                text = Cow::Owned(next);
            }
            let pieces = text.split(['/', '\\']).map(|piece| piece.split(';').next().unwrap_or_default());
            plain.extend(pieces.filter(|piece| !piece.is_empty()).map(str::to_owned));
        }
        let slash = self.trailing_slash && !plain.is_empty();
        (plain, slash)
    }
}

/// What one look at every byte of a path tells.
struct Marks {
    percent: bool,
    semicolon: bool,
}

impl Marks {
    fn of(path: &str) -> Result<Self, Reason> {
        let mut marks = Self { percent: false, semicolon: false };
        let mut ascii = true;
        for byte in path.bytes() {
            match byte {
                b'%' => marks.percent = true,
                b';' => marks.semicolon = true,
                b'\\' => return Err(Reason::Backslash),
                b'#' => return Err(Reason::Fragment),
                0..0x20 | 0x7f => return Err(Reason::ControlCharacter),
                0x80.. => ascii = false,
                _ => {}
            }
        }
        if !ascii && path.chars().any(char::is_control) {
            return Err(Reason::ControlCharacter);
        }
        Ok(marks)
    }

    fn of_query(query: &str) -> Result<(), Reason> {
        if query.bytes().any(|b| b == b'#') {
            Err(Reason::Fragment)
        } else if query.chars().any(char::is_control) {
            Err(Reason::ControlCharacter)
        } else {
            Ok(())
        }
    }
}

/// Decodes a segment once and notes the forms that it has.
pub(super) fn decode<'a>(segment: &'a str, forms: &mut PathTolerance) -> Result<Cow<'a, str>, Reason> {
    let text = if segment.contains('%') {
        let mut bytes = Vec::with_capacity(segment.len());
        let mut rest = segment.as_bytes();
        while let Some((&first, others)) = rest.split_first() {
            rest = others;
            if first != b'%' {
                bytes.push(first);
                continue;
            }
            let (byte, others) = escaped(others).ok_or(Reason::InvalidEscape)?;
            bytes.push(byte);
            rest = others;
        }
        Cow::Owned(String::from_utf8(bytes).map_err(|_| Reason::InvalidUtf8)?)
    } else {
        Cow::Borrowed(segment)
    };
    if text.chars().any(char::is_control) {
        return Err(Reason::ControlCharacter);
    }
    if is_dots(&text) {
        return Err(Reason::DotSegment);
    }
    forms.encoded_slash |= text.contains('/');
    forms.encoded_backslash |= text.contains('\\');
    forms.parameters |= text.contains(';');
    if let Some(again) = decode_leniently(&text) {
        forms.double_encoding = true;
        refuse_deep(again)?;
    }
    Ok(text)
}

/// What is encoded twice may be tolerated, but not what it hides.
fn refuse_deep(mut text: String) -> Result<(), Reason> {
    for _ in 0..MAX_DECODINGS {
        if is_dots(&text) {
            return Err(Reason::DotSegment);
        }
        if text.chars().any(char::is_control) {
            return Err(Reason::ControlCharacter);
        }
        match decode_leniently(&text) {
            Some(next) => text = next,
            None => return Ok(()),
        }
    }
    Err(Reason::DoubleEncoding)
}

/// Decodes every valid escape; `None` where there is none.
fn decode_leniently(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut any = false;
    while let Some((&first, others)) = rest.split_first() {
        let (byte, after) = match escaped(others).filter(|_| first == b'%') {
            Some(found) => {
                any = true;
                found
            }
            None => (first, others),
        };
        bytes.push(byte);
        rest = after;
    }
    any.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn escaped(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = after_percent.split_first_chunk::<2>()?;
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

/// Whether any part of a decoded segment is a dot segment to a server that divides at both slashes and drops parameters.
fn is_dots(segment: &str) -> bool {
    segment
        .split(['/', '\\'])
        .map(|piece| piece.split(';').next().unwrap_or_default())
        .any(|piece| piece == "." || piece == "..")
}
