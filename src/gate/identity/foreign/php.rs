//! PHP with the session handler of php-redis. Scalars and arrays are read; an object, whatever its class, makes the whole
//! record unreadable, and so do references.
//!
//! `session.serialize_handler` must be configured here as it is there: what one handler writes another could read as
//! something else.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use super::{MOST_DEPTH, Session, Unreadable, is_id};
use crate::model::settings::PhpHandler;

/// More values than this are no session.
const MOST_VALUES: usize = 8192;

/// The id: `session.sid_length` characters, of which one is a comma that the cookie has as `%2C`.
pub(super) fn id(cookie: &str) -> Option<String> {
    if cookie.len() > 3 * 256 {
        return None;
    }
    let id = percent_decode_str(cookie).decode_utf8().ok()?;
    is_id(&id, 22..=256, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b',')).then(|| id.into_owned())
}

/// What `session_encode` wrote. A session without variables is empty.
pub(super) fn read(value: &[u8], handler: PhpHandler) -> Result<Session, Unreadable> {
    let mut reader = Reader { rest: value, values: 0 };
    let mut attributes = Map::new();
    match handler {
        _ if value.is_empty() => {}
        PhpHandler::Php => {
            while !reader.rest.is_empty() {
                let name = reader.until(b'|')?;
                let value = reader.value(1)?;
                if let Ok(name) = std::str::from_utf8(name) {
                    attributes.insert(name.to_owned(), value);
                }
            }
        }
        PhpHandler::PhpSerialize => {
            reader.tag(b"a:")?;
            attributes = members(reader.entries(1)?);
            if !reader.rest.is_empty() {
                return Err(wrong("something follows its end"));
            }
        }
    }
    Ok(Session { attributes, ..Session::default() })
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

type Entries = Vec<(Key, Value)>;

enum Key {
    Index(i64),
    /// `None`: no text.
    Name(Option<String>),
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Unreadable> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Unreadable::new(format!("it holds more than {MOST_VALUES} values")));
        }
        let (&kind, _) = self.rest.split_first().ok_or_else(|| wrong("it ends too early"))?;
        match kind {
            b'N' => self.tag(b"N;").map(|()| Value::Null),
            b'b' => {
                self.tag(b"b:")?;
                match self.until(b';')? {
                    b"0" => Ok(Value::Bool(false)),
                    b"1" => Ok(Value::Bool(true)),
                    _ => Err(wrong("a truth value is neither 0 nor 1")),
                }
            }
            b'i' => {
                self.tag(b"i:")?;
                self.integer().map(Value::from)
            }
            b'd' => {
                self.tag(b"d:")?;
                self.float()
            }
            b's' => {
                self.tag(b"s:")?;
                let text = self.string()?;
                self.tag(b";")?;
                // Bytes that are no text stand for nothing: another text in their place could be somebody else's name.
                Ok(text.map_or(Value::Null, Value::String))
            }
            b'a' => {
                self.tag(b"a:")?;
                self.entries(depth).map(array)
            }
            b'O' | b'C' | b'E' => Err(Unreadable::new(
                "it holds an object, which is not read here: keep scalars and arrays in the session",
            )),
            b'R' | b'r' => Err(Unreadable::new("it holds a reference, which is not read here")),
            _ => Err(wrong(
                "a value is of no known type (is `session.foreign.handler` the `session.serialize_handler` of the application?)",
            )),
        }
    }

    /// After `a:`
    fn entries(&mut self, depth: usize) -> Result<Entries, Unreadable> {
        if depth >= MOST_DEPTH {
            return Err(Unreadable::new(format!("it is nested deeper than {MOST_DEPTH} levels")));
        }
        let count = self.length()?;
        self.tag(b"{")?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = match self.rest.first() {
                Some(b'i') => {
                    self.tag(b"i:")?;
                    Key::Index(self.integer()?)
                }
                _ => {
                    self.tag(b"s:")?;
                    let name = self.string()?;
                    self.tag(b";")?;
                    Key::Name(name)
                }
            };
            entries.push((key, self.value(depth + 1)?));
        }
        self.tag(b"}")?;
        Ok(entries)
    }

    /// After `s:`
    fn string(&mut self) -> Result<Option<String>, Unreadable> {
        let length = self.length()?;
        self.tag(b"\"")?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or_else(|| wrong("a string ends too early"))?;
        self.rest = rest;
        self.tag(b"\"")?;
        Ok(std::str::from_utf8(text).ok().map(str::to_owned))
    }

    fn integer(&mut self) -> Result<i64, Unreadable> {
        let text = std::str::from_utf8(self.until(b';')?).ok().filter(|text| !text.starts_with('+'));
        text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong("a number is none"))
    }

    fn float(&mut self) -> Result<Value, Unreadable> {
        let text = std::str::from_utf8(self.until(b';')?).unwrap_or_default();
        let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'E' | b'e');
        match text {
            "INF" | "-INF" | "NAN" => Ok(Value::Null),
            text if text.bytes().all(plain) => {
                let number = text.parse().map_err(|_| wrong("a number is none"))?;
                Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
            }
            _ => Err(wrong("a number is none")),
        }
    }

    /// A count of bytes or entries and its colon. What follows cannot be more than what is left.
    fn length(&mut self) -> Result<usize, Unreadable> {
        let digits = self.until(b':')?;
        let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let length = text.and_then(|text| text.parse().ok()).filter(|length| *length <= self.rest.len());
        length.ok_or_else(|| wrong("a length is none, or too large"))
    }

    /// What stands before this byte, which is taken as well.
    fn until(&mut self, end: u8) -> Result<&'a [u8], Unreadable> {
        let at = self.rest.iter().position(|b| *b == end).ok_or_else(|| wrong("it ends too early"))?;
        let (before, rest) = self.rest.split_at_checked(at).unwrap_or_default();
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(before)
    }

    fn tag(&mut self, tag: &[u8]) -> Result<(), Unreadable> {
        self.rest = self.rest.strip_prefix(tag).ok_or_else(|| wrong("a value is malformed"))?;
        Ok(())
    }
}

fn wrong(problem: &str) -> Unreadable {
    Unreadable::new(format!("it is not what PHP writes: {problem}"))
}

/// A list where the keys are 0, 1, 2, …
fn array(entries: Entries) -> Value {
    let is_list = entries.iter().zip(0_i64..).all(|((key, _), at)| matches!(key, Key::Index(index) if *index == at));
    if is_list {
        return Value::Array(entries.into_iter().map(|(_, value)| value).collect());
    }
    Value::Object(members(entries))
}

/// A key that is no text can be nobody's pointer.
fn members(entries: Entries) -> Map<String, Value> {
    let named = entries.into_iter().filter_map(|(key, value)| match key {
        Key::Index(index) => Some((index.to_string(), value)),
        Key::Name(name) => Some((name?, value)),
    });
    named.collect()
}
