//! Structured logs on standard error.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::model::settings::LogSettings;

/// Starts logging for the process. Later calls change nothing.
///
/// Text carries no colour codes, and no byte that came from outside can start a line of its own or move a cursor.
pub fn start(settings: &LogSettings) {
    let (filter, problem) = match EnvFilter::try_new(&settings.level) {
        Ok(filter) => (filter, None),
        Err(problem) => (EnvFilter::new("info"), Some(problem)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(StandardError);
    let started = if settings.json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        lines.with_target(false).try_init()
    };
    if let (Ok(()), Some(problem)) = (started, problem) {
        tracing::warn!(%problem, level = settings.level, "log.level cannot be read; going on with `info`");
    }
}

/// Writes each line at once, with control characters made visible.
struct StandardError;

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Escaping<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaping(io::stderr())
    }
}

/// Makes control characters visible, but for the line feed at the end of what is written.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match std::str::from_utf8(text) {
            Ok(text) if !text.chars().any(char::is_control) => self.0.write_all(line)?,
            _ => self.0.write_all(escaped(&String::from_utf8_lossy(text)).as_bytes())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &[u8]) -> String {
        let mut writer = Escaping(Vec::new());
        writer.write_all(line).unwrap();
        String::from_utf8(writer.0).unwrap()
    }

    #[test]
    fn f63_bytes_from_outside_start_no_line_and_move_no_cursor() {
        assert_eq!(written(b"sni=a\r\nlevel=INFO x\x1b[2J\n"), "sni=a\\r\\nlevel=INFO x\\u{1b}[2J\n");
        assert_eq!(written("a\u{9b}31m\n".as_bytes()), "a\\u{9b}31m\n");
    }

    #[test]
    fn ordinary_lines_are_written_as_they_are() {
        assert_eq!(written("größe=3 \"x\"\n".as_bytes()), "größe=3 \"x\"\n");
    }

    #[test]
    fn starting_twice_and_with_a_bad_level_harms_nothing() {
        let settings = LogSettings { json: false, level: "no=such=level".to_owned(), access: false };
        start(&settings);
        start(&settings);
    }
}
