//! Where in a stream of WebSocket frames one ends and the next begins (RFC 6455, section 5.2).

/// Opcode of a close frame.
const CLOSE: u8 = 8;

/// Follows the bytes that one side sends, in pieces of any size. Interprets nothing but lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frames {
    at: At,
    closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    /// In a header, of which so many bytes are known.
    Header { bytes: [u8; LONGEST], known: usize },
    /// In a payload, of which so many bytes are to come; never none.
    Payload { left: u64 },
    /// Past a length that no frame has: nothing can be said any more.
    Lost,
}

/// Two bytes, a length of eight, a mask of four.
const LONGEST: usize = 14;

impl Frames {
    /// At the beginning of a stream.
    pub(super) const fn new() -> Self {
        Self { at: At::Header { bytes: [0; LONGEST], known: 0 }, closed: false }
    }

    /// These bytes come next.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Lost => return,
                At::Payload { left } => {
                    let now = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    bytes = bytes.get(now..).unwrap_or_default();
                    *left -= now as u64;
                    if *left == 0 {
                        self.at = Self::new().at;
                    }
                }
                At::Header { bytes: header, known } => {
                    let now = needed(header, *known).saturating_sub(*known).min(bytes.len());
                    let (head, rest) = bytes.split_at_checked(now).unwrap_or((bytes, &[]));
                    if let Some(space) = header.get_mut(*known..*known + head.len()) {
                        space.copy_from_slice(head);
                    }
                    *known += head.len();
                    bytes = rest;
                    if *known == needed(header, *known) {
                        self.closed |= header.first().is_some_and(|byte| byte & 0x0f == CLOSE);
                        self.at = match length(header) {
                            Some(0) => Self::new().at,
                            Some(left) => At::Payload { left },
                            None => At::Lost,
                        };
                    }
                }
            }
        }
    }

    /// How many bytes more certainly belong to the frame that has begun: none between two frames. `None` where that
    /// cannot be known.
    pub(super) fn left(&self) -> Option<usize> {
        match &self.at {
            At::Lost => None,
            At::Payload { left } => Some(usize::try_from(*left).unwrap_or(usize::MAX)),
            At::Header { known: 0, .. } => Some(0),
            At::Header { bytes, known } => Some(needed(bytes, *known).saturating_sub(*known)),
        }
    }

    /// Whether a close frame has begun: no frame may follow it.
    pub(super) const fn closed(&self) -> bool {
        self.closed
    }
}

/// How long the header is, as far as its first `known` bytes tell.
const fn needed(header: &[u8; LONGEST], known: usize) -> usize {
    if known < 2 {
        return 2;
    }
    let [_, second, ..] = *header;
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 == 0 { 0 } else { 4 }
}

/// The payload's; `None` where the most significant bit of a long one is set.
fn length(header: &[u8; LONGEST]) -> Option<u64> {
    let [_, second, a, b, c, d, e, f, g, h, ..] = *header;
    match second & 0x7f {
        126 => Some(u64::from(u16::from_be_bytes([a, b]))),
        127 => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])).filter(|length| length >> 63 == 0),
        short => Some(u64::from(short)),
    }
}

/// A close frame of a server, with a code and a reason of at most 123 bytes (section 5.5.1).
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = reason.get(..reason.len().min(123)).unwrap_or_default();
    let mut frame = vec![0x80 | CLOSE, u8::try_from(reason.len() + 2).unwrap_or(2)];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

/// A server's short frame as a client sends it (section 5.3).
pub(super) fn masked(mut frame: Vec<u8>, mask: [u8; 4]) -> Vec<u8> {
    if let [_, length, payload @ ..] = frame.as_mut_slice() {
        *length |= 0x80;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        frame.splice(2..2, mask);
    }
    frame
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
