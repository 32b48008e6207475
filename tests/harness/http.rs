//! A client that sends exactly the bytes it is told to.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body, chunks joined.
    pub body: String,
}

impl Answer {
    /// All values of a header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The first value of a header.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().copied()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.body))
    }
}

/// Sends bytes on a new connection and reads one answer.
pub fn send(to: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    Wire::connect(to).exchange(request)
}

/// `GET` with these header lines (each with its CRLF).
pub fn get(to: SocketAddr, target: &str, headers: &str) -> Answer {
    send(to, format!("GET {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{headers}\r\n"))
}

/// `POST` without a body, with these header lines (each with its CRLF).
pub fn post(to: SocketAddr, target: &str, headers: &str) -> Answer {
    send(to, format!("POST {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"))
}

/// A connection, clear text or TLS.
pub struct Wire<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("a connection");
        // Only so that a broken test ends; no test waits for it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self::over(stream)
    }

    /// Sends nothing more; what comes back can still be read.
    pub fn finish(&mut self) {
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

impl<S: Read + Write> Wire<S> {
    /// Over an open stream.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("bytes can be sent");
        self.stream.flush().expect("bytes can be sent");
    }

    /// Sends bytes and reads one answer.
    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        // The other side may refuse and close before it has read everything.
        let _ = self.stream.write_all(bytes.as_ref());
        let _ = self.stream.flush();
        self.read_answer().expect("an answer")
    }

    /// The same; `None` where the other side breaks off.
    pub fn try_exchange(&mut self, bytes: impl AsRef<[u8]>) -> Option<Answer> {
        self.stream.write_all(bytes.as_ref()).ok()?;
        self.stream.flush().ok()?;
        self.read_answer()
    }

    /// Reads one answer (to a request that was not `HEAD`); `None` where the connection ends first.
    pub fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = latin1(&self.buffer[..end]);
        self.buffer.drain(..end + 4);
        let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"));
        let mut answer = Answer { status, head, body: String::new() };
        if (100..200).contains(&status) || status == 204 || status == 304 {
            return Some(answer);
        }
        answer.body = if answer.value("transfer-encoding").is_some() {
            self.read_chunked()?
        } else if let Some(length) = answer.value("content-length") {
            let length: usize = length.parse().expect("a length");
            while self.buffer.len() < length {
                if !self.fill() {
                    return None;
                }
            }
            latin1(&self.buffer.drain(..length).collect::<Vec<_>>())
        } else {
            while self.fill() {}
            latin1(&std::mem::take(&mut self.buffer))
        };
        Some(answer)
    }

    /// Whether the other side has closed, once all that it sent has been read.
    pub fn is_closed(&mut self) -> bool {
        while self.fill() {}
        true
    }

    /// Everything up to the first of these, which is taken along.
    pub fn read_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = find(&self.buffer, end.as_bytes()) {
                return latin1(&self.buffer.drain(..at + end.len()).collect::<Vec<_>>());
            }
            assert!(self.fill(), "the connection ended before {end:?}: {}", latin1(&self.buffer));
        }
    }

    /// Everything until the other side closes.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// The next `count` bytes.
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "the connection ended after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    fn read_chunked(&mut self) -> Option<String> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n") {
                    break at;
                }
                if !self.fill() {
                    return None;
                }
            };
            let size = usize::from_str_radix(latin1(&self.buffer[..end]).split(';').next()?.trim(), 16).ok()?;
            while self.buffer.len() < end + 2 + size + 2 {
                if !self.fill() {
                    return None;
                }
            }
            body.extend_from_slice(&self.buffer[end + 2..end + 2 + size]);
            self.buffer.drain(..end + 2 + size + 2);
            if size == 0 {
                return Some(latin1(&body));
            }
        }
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
            // TLS says so of a stream that ends without a farewell.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => false,
            Err(e) => panic!("reading failed: {e}; so far: {}", latin1(&self.buffer)),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}
