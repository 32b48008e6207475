//! An HTTP/2 client that sends exactly the frames it is told to (RFC 9113), with as much HPACK (RFC 7541) as that takes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 0x20;

/// Error codes (RFC 9113, section 7).
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A field as bytes that no library would send.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// The bytes of a frame; its length is that of `payload`, whatever that is.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A setting as it stands in a frame.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// An integer with a prefix of so many bits (RFC 7541, section 5.1), below these upper bits.
pub fn integer(upper: u8, bits: u8, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![upper | value as u8];
    }
    let (mut bytes, mut rest) = (vec![upper | most as u8], value - most);
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// A string without Huffman code (section 5.2).
pub fn string(text: &[u8]) -> Vec<u8> {
    [integer(0, 7, text.len()), text.to_vec()].concat()
}

/// A literal field that enters no table (section 6.2.2).
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A literal field that enters the table (section 6.2.1).
pub fn indexed_literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// A block of literals.
pub fn block(fields: &[Field<'_>]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// The fields of a request that nothing is wrong with.
pub fn get(path: &str) -> Vec<Field<'_>> {
    request(b"GET", path)
}

/// The same with another method.
pub fn request<'a>(method: &'static [u8], path: &'a str) -> Vec<Field<'a>> {
    vec![(b":method", method), (b":scheme", b"http"), (b":authority", b"shop.example"), (b":path", path.as_bytes())]
}

/// What was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Four bytes of the payload as a number.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With this status; its body.
    Answered(u16, String),
    /// The stream was reset with this code.
    Reset(u32),
    /// The connection was ended with this code.
    GoneAway(u32),
    /// The connection was closed without a word.
    Closed,
}

/// A connection.
pub struct H2<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl H2 {
    /// Connects, and says what a client has to say first.
    pub fn open(to: SocketAddr) -> Self {
        let mut connection = Self::silent(to);
        connection.begin(&[]);
        connection
    }

    /// Connects and says nothing.
    pub fn silent(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("a connection");
        // Only so that a broken test ends; no test waits for it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_nodelay(true).expect("a socket");
        Self::over(stream)
    }

    /// What it is spoken over.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl<S: Read + Write> H2<S> {
    /// Over an open stream.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Preface and settings.
    pub fn begin(&mut self, settings: &[u8]) {
        self.send([PREFACE, &frame(SETTINGS, 0, 0, settings)].concat());
    }

    /// Sends bytes; whether they could be sent.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Sends bytes. The other side may have closed already: what comes of it is seen when reading.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes);
    }

    /// A request with these fields and no body.
    pub fn ask(&mut self, stream: u32, fields: &[Field<'_>]) {
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields)));
    }

    /// A request with these fields, of which a body or more follows.
    pub fn head(&mut self, stream: u32, fields: &[Field<'_>]) {
        self.send(frame(HEADERS, END_HEADERS, stream, &block(fields)));
    }

    /// The next frame; `None` at the end, or when none comes for a long time.
    pub fn next(&mut self) -> Option<Frame> {
        while self.buffer.len() < 9 || self.buffer.len() < 9 + self.length() {
            let mut more = [0; 16 * 1024];
            match self.stream.read(&mut more) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&more[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing comes any more")
                }
                Err(_) => return None,
            }
        }
        let rest = self.buffer.split_off(9 + self.length());
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let stream = u32::from_be_bytes(bytes[5..9].try_into().expect("four bytes")) & 0x7fff_ffff;
        Some(Frame { kind: bytes[3], flags: bytes[4], stream, payload: bytes[9..].to_vec() })
    }

    fn length(&self) -> usize {
        usize::from(self.buffer[0]) << 16 | usize::from(self.buffer[1]) << 8 | usize::from(self.buffer[2])
    }

    /// The next frame of this kind.
    #[track_caller]
    pub fn wait_for(&mut self, kind: u8, fits: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().expect("a frame of that kind");
            assert!(frame.kind != GOAWAY || kind == GOAWAY, "it ends: {frame:?}");
            if frame.kind == kind && fits(&frame) {
                return frame;
            }
        }
    }

    /// Reads until this stream, or the connection, has ended. Acknowledges settings and opens windows.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Some(read) = self.next() else { return Outcome::Closed };
            match read.kind {
                SETTINGS if read.flags & ACK == 0 => self.send(frame(SETTINGS, ACK, 0, &[])),
                GOAWAY if read.number(4) != 0 => return Outcome::GoneAway(read.number(4)),
                RST_STREAM if read.stream == stream => return Outcome::Reset(read.number(0)),
                HEADERS if read.stream == stream && status < 200 => status = status_of(&read.payload),
                DATA if read.stream == stream => {
                    let more = u32::try_from(read.payload.len()).expect("a frame").to_be_bytes();
                    body.extend(&read.payload);
                    if more != [0; 4] {
                        self.send([frame(WINDOW_UPDATE, 0, 0, &more), frame(WINDOW_UPDATE, 0, stream, &more)].concat());
                    }
                }
                _ => {}
            }
            if read.stream == stream && matches!(read.kind, HEADERS | DATA) && read.flags & END_STREAM != 0 {
                return Outcome::Answered(status, String::from_utf8_lossy(&body).into_owned());
            }
        }
    }

    /// Whether the connection still answers.
    pub fn lives(&mut self) -> bool {
        self.send(frame(PING, 0, 0, b"alive?!?"));
        while let Some(read) = self.next() {
            if read.kind == PING && read.flags & ACK != 0 && read.payload == b"alive?!?" {
                return true;
            }
            if read.kind == GOAWAY && read.number(4) != 0 {
                return false;
            }
        }
        false
    }

    /// Reads until the connection ends; the code it ended with, if one was named.
    pub fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(read) = self.next() {
            if read.kind == GOAWAY {
                code = Some(read.number(4));
            }
        }
        code
    }
}

/// `:status`, which is the first field of an answer: one of the static table, or a literal with its name from there.
fn status_of(block: &[u8]) -> u16 {
    match block {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        [0x48 | 0x08 | 0x18, length, rest @ ..] => {
            let text = &rest[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 { String::from_utf8_lossy(text).into_owned() } else { digits(text) };
            digits.parse().expect("a status")
        }
        _ => panic!("no status first: {block:02x?}"),
    }
}

/// Digits in Huffman code (RFC 7541, appendix B): five bits for 0 to 2, six for the others.
fn digits(code: &[u8]) -> String {
    let bits: Vec<u8> = code.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let (mut text, mut at) = (String::new(), 0);
    let number = |bits: &[u8]| bits.iter().fold(0_u8, |sum, bit| sum << 1 | bit);
    while bits.len() - at >= 5 {
        let five = number(&bits[at..at + 5]);
        let (digit, width) = match five {
            0..=2 => (five, 5),
            _ if bits.len() - at < 6 => break,
            _ => (number(&bits[at..at + 6]).wrapping_sub(0x19).wrapping_add(3), 6),
        };
        if digit > 9 {
            break;
        }
        text.push(char::from(b'0' + digit));
        at += width;
    }
    text
}
