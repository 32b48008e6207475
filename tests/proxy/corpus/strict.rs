//! A reader of HTTP/1.1 that forgives nothing, and shares no line with what it judges.

use std::ops::Range;

/// One message, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// Names in lower case, and values.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// Trailers of a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// All values of a field.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// Method and target, with the body where there is one.
    pub fn summary(&self) -> String {
        let request = self.start.strip_suffix(" HTTP/1.1").unwrap_or(&self.start);
        if self.body.is_empty() {
            return request.to_owned();
        }
        format!("{request} {}", String::from_utf8_lossy(&self.body))
    }
}

/// What stands first in `bytes`: a message and its length, `None` if it is not whole yet, or why it is none.
type Read<T> = Result<Option<(T, usize)>, String>;

/// Reads a request that a proxy may send.
pub fn request(bytes: &[u8]) -> Read<Message> {
    let Some((start, fields, head)) = head(bytes)? else { return Ok(None) };
    let parts: Vec<&str> = start.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { return Err(format!("request line {start:?}")) };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(format!("method {method:?}"));
    }
    if !(target.starts_with('/') || (target == "*" && method == "OPTIONS"))
        || !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\')
    {
        return Err(format!("target {target:?}"));
    }
    let count = |name: &str| fields.iter().filter(|(n, _)| n == name).count();
    if count("host") != 1 {
        return Err(format!("{} times Host", count("host")));
    }
    // A server that folds names must not read more into it than one that does not.
    for (name, _) in &fields {
        let folded: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let framing = ["content-length", "transfer-encoding", "host", "connection", "upgrade", "te", "trailer"];
        if *name != folded && framing.contains(&&*folded) {
            return Err(format!("{name} imitates {folded}"));
        }
    }
    for gone in ["keep-alive", "proxy-connection", "proxy", "http2-settings", "expect"] {
        if count(gone) > 0 {
            return Err(format!("{gone} is for one connection"));
        }
    }
    let value = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice());
    let handshake = ["connection", "upgrade", "sec-websocket-key"].iter().all(|name| count(name) == 1)
        && value("sec-websocket-key").is_some_and(|key| key.len() == 24)
        && fields.iter().filter(|(name, _)| name == "sec-websocket-version").all(|(_, version)| version == b"13");
    match (value("connection"), value("upgrade")) {
        (None, None) => {}
        (Some(b"upgrade"), Some(b"websocket")) if handshake => {}
        other => return Err(format!("Connection and Upgrade: {other:?}")),
    }
    message(bytes, start, fields, head, Some(0))
}

/// Reads an answer, to a request of this method.
pub fn answer(bytes: &[u8], method: &str) -> Read<Message> {
    let Some((start, fields, head)) = head(bytes)? else { return Ok(None) };
    let status = status(&start).ok_or_else(|| format!("status line {start:?}"))?;
    if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Some((Message { start, fields, body: Vec::new(), trailers: Vec::new() }, head)));
    }
    message(bytes, start, fields, head, None)
}

/// The status of a status line in good form.
pub fn status(start: &str) -> Option<u16> {
    let rest = start.strip_prefix("HTTP/1.1 ").or_else(|| start.strip_prefix("HTTP/1.0 "))?;
    let (code, _reason) = rest.split_once(' ')?;
    code.parse().ok().filter(|_| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()))
}

/// The body after a head. `without`: its length where nothing is said; `None`: to the end of the connection.
fn message(
    bytes: &[u8],
    start: String,
    fields: Vec<(String, Vec<u8>)>,
    head: usize,
    without: Option<usize>,
) -> Read<Message> {
    let all = |name: &str| -> Vec<&[u8]> { fields.iter().filter(|(n, _)| n == name).map(|(_, v)| &v[..]).collect() };
    let rest = &bytes[head..];
    let (body, trailers, length) = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => match without {
            Some(length) => (Vec::new(), Vec::new(), length),
            None => (rest.to_vec(), Vec::new(), rest.len()),
        },
        ([length], []) => {
            let text = std::str::from_utf8(length).map_err(|e| e.to_string())?;
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("Content-Length {text:?}"));
            }
            let length: usize = text.parse().map_err(|_| format!("Content-Length {text:?}"))?;
            let Some(body) = rest.get(..length) else { return Ok(None) };
            (body.to_vec(), Vec::new(), length)
        }
        ([], [b"chunked"]) => match chunks(rest)? {
            Some(((body, trailers), length)) => (body, trailers, length),
            None => return Ok(None),
        },
        other => return Err(format!("framing {other:?}")),
    };
    Ok(Some((Message { start, fields, body, trailers }, head + length)))
}

type Fields = Vec<(String, Vec<u8>)>;

fn head(bytes: &[u8]) -> Result<Option<(String, Fields, usize)>, String> {
    let Some(line) = line(bytes, 0)? else { return Ok(None) };
    let start = std::str::from_utf8(&bytes[line.clone()]).map_err(|_| "no text in the first line".to_owned())?;
    if start.bytes().any(|b| b.is_ascii_control()) {
        return Err(format!("control character in {start:?}"));
    }
    let Some((fields, end)) = field_lines(bytes, line.end + 2)? else { return Ok(None) };
    Ok(Some((start.to_owned(), fields, end)))
}

fn field_lines(bytes: &[u8], mut at: usize) -> Read<Fields> {
    let mut fields = Vec::new();
    loop {
        let Some(line) = line(bytes, at)? else { return Ok(None) };
        at = line.end + 2;
        if line.is_empty() {
            return Ok(Some((fields, at)));
        }
        let text = &bytes[line];
        let shown = || String::from_utf8_lossy(text).into_owned();
        let colon = text.iter().position(|b| *b == b':').ok_or_else(|| format!("no colon in {:?}", shown()))?;
        let (name, value) = (&text[..colon], &text[colon + 1..]);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(format!("name in {:?}", shown()));
        }
        if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err(format!("value in {:?}", shown()));
        }
        fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.trim_ascii().to_vec()));
    }
}

fn chunks(bytes: &[u8]) -> Read<(Vec<u8>, Fields)> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let Some(size) = line(bytes, at)? else { return Ok(None) };
        at = size.end + 2;
        let text = String::from_utf8_lossy(&bytes[size]).into_owned();
        if text.is_empty() || text.len() > 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("chunk size {text:?}"));
        }
        let size = usize::from_str_radix(&text, 16).map_err(|e| e.to_string())?;
        if size == 0 {
            return Ok(field_lines(bytes, at)?.map(|(trailers, end)| ((body, trailers), end)));
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk without its end".to_owned());
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

/// Where the line is that begins at `at`; it ends in CR LF, and neither stands anywhere else.
fn line(bytes: &[u8], at: usize) -> Result<Option<Range<usize>>, String> {
    let rest = &bytes[at..];
    match rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
        None => Ok(None),
        Some(end) if rest[end] == b'\n' => Err("a bare LF".to_owned()),
        Some(end) => match rest.get(end + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(at..at + end)),
            Some(_) => Err("a bare CR".to_owned()),
        },
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[test]
fn the_reader_itself_forgives_nothing() {
    let good = "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: u\r\n\r\n";
    let (message, length) = request(good.as_bytes()).unwrap().unwrap();
    assert_eq!((message.summary().as_str(), length), ("POST /x abc", good.len()));
    for cut in 0..good.len() {
        assert_eq!(request(&good.as_bytes()[..cut]), Ok(None), "{cut}");
    }
    for (from, to) in [
        (" HTTP/1.1", " HTTP/1.0"),
        (" HTTP", "  HTTP"),
        ("host: a\r\n", ""),
        ("host: a", "host: a\r\nhost: a"),
        ("host: a", "host : a"),
        ("host: a", "host: a\nx: y"),
        ("host: a", "host: a\r\n folded"),
        ("host: a", "host: a\r\ncontent-length: 3"),
        ("host: a", "host: a\r\ncontent_length: 3"),
        ("host: a", "host: a\r\nconnection: close"),
        ("chunked", "gzip, chunked"),
        ("3\r\nabc", "3;x\r\nabc"),
        ("3\r\nabc", "+3\r\nabc"),
        ("3\r\nabc", "3\nabc"),
        ("abc\r\n", "abcd\r\n"),
        ("t: u", "t u"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(request(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
