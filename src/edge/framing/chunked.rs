//! The chunked transfer coding (RFC 9112, section 7.1), read strictly: it tells where the next request head begins.

use super::head::is_token;

/// Where in a chunked body the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of chunk extensions and trailer fields so far: neither may go on for ever.
    aside: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// The body's framing is broken: no byte after this point has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokenBody;

impl Chunked {
    pub(super) const fn new() -> Self {
        Self { at: At::Size { size: 0, digits: 0 }, aside: 0 }
    }

    /// Whether the body is complete.
    pub(super) fn ended(self) -> bool {
        self.at == At::End
    }

    /// Reads on; how many of `bytes` belong to the body, and whether what follows them may stand there. Stops at the
    /// body's end.
    pub(super) fn advance(&mut self, bytes: &[u8], max_aside: usize) -> (usize, Result<(), BrokenBody>) {
        let mut taken = 0;
        while self.at != At::End {
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(byte) = rest.first() else { break };
            if let At::Data(left) = &mut self.at {
                let now = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= now as u64;
                taken += now;
                if *left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            if self.step(*byte).is_err() || self.aside > max_aside {
                return (taken, Err(BrokenBody));
            }
            taken += 1;
        }
        (taken, Ok(()))
    }

    fn step(&mut self, byte: u8) -> Result<(), BrokenBody> {
        self.at = match (self.at, byte) {
            (At::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                At::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (At::Size { size, digits: 1.. }, b';') => At::Extension { size },
            (At::Size { size, digits: 1.. } | At::Extension { size }, b'\r') => At::SizeLf { size },
            (At::Extension { size }, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.aside += 1;
                At::Extension { size }
            }
            (At::SizeLf { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeLf { size }, b'\n') => At::Data(size),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size { size: 0, digits: 0 },
            (At::TrailerStart, b'\r') => At::EndLf,
            (At::TrailerStart | At::TrailerName, _) if is_token(byte) => {
                self.aside += 1;
                At::TrailerName
            }
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerValue, b'\r') => At::TrailerLf,
            (At::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.aside += 1;
                At::TrailerValue
            }
            (At::TrailerLf, b'\n') => At::TrailerStart,
            (At::EndLf, b'\n') => At::End,
            _ => return Err(BrokenBody),
        };
        Ok(())
    }
}
