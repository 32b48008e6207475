//! The texts that a configuration is read from, and places in them.

use std::path::{Path, PathBuf};

/// A range of bytes in one of the [`Sources`]; ordered by file, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    source: usize,
    start: usize,
    end: usize,
}

impl Place {
    /// Of values that nobody wrote.
    pub(super) const DEFAULT: Self = Self { source: usize::MAX, start: 0, end: 0 };

    /// Bytes `start..end` of a source.
    pub(super) const fn new(source: usize, start: usize, end: usize) -> Self {
        Self { source, start, end }
    }
}

/// Line and column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One line of a source and what part of it is meant.
pub(super) struct Excerpt<'a> {
    pub(super) name: &'a str,
    pub(super) line: usize,
    pub(super) text: &'a str,
    /// Bytes of `text`.
    pub(super) span: std::ops::Range<usize>,
}

/// Every text, in the order of reading: the file, its includes, then `--set`.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    base: PathBuf,
    is_file: bool,
}

impl Sources {
    /// Adds a file's text; paths in it are relative to `base`.
    pub(super) fn add_file(&mut self, name: &str, text: String, base: &Path) -> usize {
        self.add(Source { name: name.to_owned(), text, base: base.to_owned(), is_file: true })
    }

    /// Adds the text of one `--set`; paths in it are relative to the working directory.
    pub(super) fn add_override(&mut self, text: &str) -> usize {
        self.add(Source { name: "--set".to_owned(), text: text.to_owned(), base: PathBuf::new(), is_file: false })
    }

    fn add(&mut self, source: Source) -> usize {
        self.0.push(source);
        self.0.len() - 1
    }

    /// The name of the source that a place is in.
    pub(super) fn name(&self, place: Place) -> &str {
        self.0.get(place.source).map_or("default", |s| &s.name)
    }

    /// The directory that paths at this place are relative to.
    pub(super) fn base(&self, place: Place) -> &Path {
        self.0.get(place.source).map_or(Path::new(""), |s| &s.base)
    }

    /// `FILE:LINE`, `--set` or `default`.
    pub(super) fn describe(&self, place: Place) -> String {
        match self.0.get(place.source) {
            Some(source) if source.is_file => format!("{}:{}", source.name, self.position(place).line),
            Some(source) => source.name.clone(),
            None => "default".to_owned(),
        }
    }

    /// Where a place begins.
    pub(super) fn position(&self, place: Place) -> Position {
        let before = self.before(place);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Position { line, column }
    }

    /// The lines that a place covers, first and last.
    pub(super) fn lines(&self, place: Place) -> (usize, usize, usize) {
        let first = self.position(place).line;
        let last = self.position(Place { start: place.end.max(place.start), ..place }).line;
        (place.source, first, last)
    }

    /// The line in which a place begins.
    pub(super) fn excerpt(&self, place: Place) -> Option<Excerpt<'_>> {
        let source = self.0.get(place.source)?;
        let before = self.before(place);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = source.text.get(line_start..)?.lines().next().unwrap_or_default();
        let start = before.len().saturating_sub(line_start).min(text.len());
        let end = place.end.saturating_sub(line_start).clamp(start, text.len());
        Some(Excerpt { name: &source.name, line: self.position(place).line, text, span: start..end })
    }

    /// The text of the source up to a place.
    pub(super) fn before(&self, place: Place) -> &str {
        let Some(source) = self.0.get(place.source) else { return "" };
        let mut end = place.start.min(source.text.len());
        while !source.text.is_char_boundary(end) {
            end -= 1;
        }
        source.text.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut sources = Sources::default();
        let id = sources.add_file("a.toml", "x = 1\nä = 'é' # y\n".to_owned(), Path::new(""));
        let at = |start, end| sources.position(Place::new(id, start, end));
        assert_eq!(at(0, 1), Position { line: 1, column: 1 });
        assert_eq!(at(11, 15), Position { line: 2, column: 5 });
        let excerpt = sources.excerpt(Place::new(id, 11, 15)).expect("a line");
        assert_eq!((excerpt.line, excerpt.text, excerpt.span), (2, "ä = 'é' # y", 5..9));
    }

    #[test]
    fn places_outside_the_text_do_not_panic() {
        let mut sources = Sources::default();
        let id = sources.add_file("a.toml", "ä".to_owned(), Path::new(""));
        for (start, end) in [(0, 99), (1, 1), (99, 0), (2, 2)] {
            let place = Place::new(id, start, end);
            assert_eq!(sources.position(place).line, 1);
            assert!(sources.excerpt(place).is_some());
        }
        assert!(sources.excerpt(Place::DEFAULT).is_none());
    }
}
