//! How bytes from outside appear in a log line.

use std::fmt::{self, Write};

use serde_json::Value;

/// A text from outside: at most [`LONGEST`] characters of it, and none that could end a line, move a cursor or turn the
/// reading direction.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

/// Several of them: at most [`MOST`], in brackets.
pub(crate) struct ShownList<'a>(pub(crate) Vec<&'a str>);

const LONGEST: usize = 64;
const MOST: usize = 8;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(LONGEST) {
            match character {
                ' '..='~' => f.write_char(character)?,
                _ if character.is_alphanumeric() => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_unicode())?,
            }
        }
        if characters.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

impl fmt::Display for ShownList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, text) in self.0.iter().take(MOST).enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            Shown(text).fmt(f)?;
        }
        f.write_str(if self.0.len() > MOST { ", …]" } else { "]" })
    }
}

/// What kind of JSON value it is; the value itself may be anything and is not shown.
pub(crate) fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "none",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a string",
        Some(Value::Array(_)) => "an array",
        Some(Value::Object(_)) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f63_nothing_from_outside_ends_a_line_or_moves_a_cursor() {
        let shown = Shown("a\r\nb\u{1b}[2J\u{202e}é").to_string();
        assert_eq!(shown, "a\\u{d}\\u{a}b\\u{1b}[2J\\u{202e}é");
    }

    #[test]
    fn long_texts_and_lists_are_cut() {
        assert_eq!(Shown(&"a".repeat(65)).to_string(), format!("{}…", "a".repeat(64)));
        assert_eq!(Shown(&"é".repeat(64)).to_string(), "é".repeat(64));
        assert_eq!(ShownList(vec!["a"; 9]).to_string(), "[a, a, a, a, a, a, a, a, …]");
        assert_eq!(ShownList(vec!["a", "b"]).to_string(), "[a, b]");
    }
}
