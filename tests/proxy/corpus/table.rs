//! What an entry of the corpus is.

/// A request that nobody sent: it stands where another parser might see one.
pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// Bytes, and what must come of them.
#[derive(Debug, Clone)]
pub struct Entry {
    pub family: &'static str,
    pub bytes: Vec<u8>,
    /// The requests that reach the upstream, as `METHOD target body`; each is answered with 200.
    pub served: Vec<String>,
    pub end: End,
}

/// How it goes on after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The next request is served.
    Open,
    /// The connection ends, and all was well.
    Closed,
    /// This status; the next request is served.
    Denied(u16),
    /// This status, before the body has been read; whether the next one is served depends on whether the body had come.
    Unread(u16),
    /// The last of the requests is answered with this status instead; the next one is served.
    Failed(u16),
    /// This status, and the connection ends.
    Refused(u16),
    /// The body of a request that had begun well has no end: 400 or nothing comes, and the connection ends.
    Broken,
}

/// The entries of one family.
pub struct Table {
    family: &'static str,
    pub entries: Vec<Entry>,
}

impl Table {
    pub fn new(family: &'static str) -> Self {
        Self { family, entries: Vec::new() }
    }

    pub fn add(&mut self, bytes: impl AsRef<[u8]>, served: &[&str], end: End) {
        self.entries.push(Entry {
            family: self.family,
            bytes: bytes.as_ref().to_vec(),
            served: served.iter().map(|&line| line.to_owned()).collect(),
            end,
        });
    }

    /// Refused at once.
    pub fn refused(&mut self, status: u16, bytes: impl AsRef<[u8]>) {
        self.add(bytes, &[], End::Refused(status));
    }

    /// Refused, and harmless.
    pub fn denied(&mut self, status: u16, bytes: impl AsRef<[u8]>) {
        self.add(bytes, &[], End::Denied(status));
    }

    /// Served as this one request.
    pub fn served(&mut self, bytes: impl AsRef<[u8]>, seen: &str) {
        self.add(bytes, &[seen], End::Open);
    }

    /// Its body breaks.
    pub fn broken(&mut self, bytes: impl AsRef<[u8]>) {
        self.add(bytes, &[], End::Broken);
    }
}

/// `GET /x` with these field lines (each with its CRLF) besides `Host`.
pub fn get(fields: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// `POST /x` with these field lines and what follows the head.
pub fn post(fields: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// `POST /x` with a chunked body of these bytes.
pub fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}
