//! JSON objects that nobody can read in two ways: a name that stands twice, at any depth, is an error.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The object that `text` is. Nesting is bounded by serde_json (127 levels are read, 128 are not),
/// size by the caller.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, NotAnObject> {
    match value(text)? {
        Value::Object(members) => Ok(members),
        _ => Err(NotAnObject("is JSON, but no object".to_owned())),
    }
}

/// The value that `text` is, likewise.
pub(crate) fn value(text: &[u8]) -> Result<Value, NotAnObject> {
    match serde_json::from_slice(text) {
        Ok(Unambiguous(value)) => Ok(value),
        // Not the error's own text: it may quote what came from outside.
        Err(e) if e.is_data() => Err(NotAnObject(format!("has a name that stands twice, at column {}", e.column()))),
        Err(e) => Err(NotAnObject(format!("is not JSON from column {}", e.column()))),
    }
}

/// Why a text is not such an object or value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAnObject(String);

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Strict).map(Self)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\u0041"],"b":{"c":{}},"d":18446744073709551615}"#;
        assert_eq!(Value::Object(object(text.as_bytes()).unwrap()), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn f61_nesting_is_bounded() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |levels| format!("{}1{}", open.repeat(levels), close.repeat(levels));
            assert!(value(nested(127).as_bytes()).is_ok());
            for levels in [128, 129, 200_000] {
                assert!(value(nested(levels).as_bytes()).is_err(), "{levels} levels of {open}");
                assert!(value(open.repeat(levels).as_bytes()).is_err(), "{levels} levels of {open} without end");
            }
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"b":2}]}"#, r#"{"a":1,"\u0061":2}"#]
        {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let deep_object = format!("{{\"a\":{deep}}}");
        for text in ["", "[]", "1", "{", "{}x", "{\"a\":1e999}", "\u{feff}{}", "{'a':1}", &deep, &deep_object] {
            assert!(object(text.as_bytes()).is_err());
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = object(&bytes);
        }
    }
}
