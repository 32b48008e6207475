//! The only place that writes to standard output, and the messages on standard error that are not logs.
//!
//! A reader that has gone away (`portcullis keys list | head -1`) is no reason to fail, so write errors are ignored.

use std::io::{self, Write};

use serde::Serialize;

/// One line on standard output.
pub(super) fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A text as it is on standard output.
pub(super) fn raw(text: &[u8]) {
    let mut to = io::stdout().lock();
    let _ = to.write_all(text).and_then(|()| to.flush());
}

/// A value as indented JSON on standard output.
pub(super) fn json<T: Serialize>(value: &T) {
    let text = serde_json::to_string_pretty(value);
    line(&text.unwrap_or_else(|_| "null".to_owned()));
}

/// One line on standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Rows below a header, columns aligned; values come from outside, so control characters are made visible.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) {
    raw(aligned(header, rows).as_bytes());
}

/// Names and values, one a line, aligned; absent values are left out.
pub(super) fn fields(fields: &[(&str, Option<String>)]) {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        line(&format!("{name:width$}  {}", visible(value)));
    }
}

fn aligned(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<Vec<String>> =
        [&header].into_iter().chain(rows).map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// With control characters escaped: what a record says may not move a terminal's cursor.
pub(super) fn visible(text: &str) -> String {
    let escape = |character: char| {
        if character.is_control() { character.escape_default().to_string() } else { character.to_string() }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let rows =
            vec![vec!["a".to_owned(), "größe".to_owned(), "".to_owned()], vec!["long".into(), "x".into(), "y".into()]];
        assert_eq!(aligned(&["ID", "LABEL", "C"], &rows), "ID    LABEL  C\na     größe\nlong  x      y\n");
    }

    #[test]
    fn f63_values_move_no_cursor() {
        assert_eq!(visible("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
    }
}
