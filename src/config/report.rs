//! Collects what is wrong, and renders it without ever showing a line that holds a secret.

use std::cell::{Cell, RefCell};
use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Padding, Renderer, Snippet};

use super::source::{Place, Sources};
use super::{Problem, Problems};

/// What is wrong with a value, before anybody knows where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    help: Option<String>,
    other: Option<(Place, String)>,
}

impl Fault {
    /// A fault and what it is.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, other: None }
    }

    /// What would be right.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Another place that has to do with it.
    #[must_use]
    pub(super) fn and(mut self, place: Place, label: impl Into<String>) -> Self {
        self.other = Some((place, label.into()));
        self
    }
}

/// Where problems and warnings go while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: RefCell<Vec<(Place, Fault)>>,
    warnings: RefCell<Vec<(Place, Fault)>>,
    masked: RefCell<Vec<Place>>,
    incomplete: Cell<bool>,
}

impl Report {
    /// Something is wrong here. What is said twice of one place counts once.
    pub(super) fn problem(&self, place: Place, fault: Fault) {
        push_once(&self.problems, place, fault);
    }

    /// Something here looks like a mistake.
    pub(super) fn warning(&self, place: Place, fault: Fault) {
        push_once(&self.warnings, place, fault);
    }

    /// There is a secret here: its lines are never shown.
    pub(super) fn mask(&self, place: Place) {
        self.masked.borrow_mut().push(place);
    }

    /// Something could not be read at all, so what else seems to be missing says nothing.
    pub(super) fn unreadable(&self, place: Place, fault: Fault) {
        self.incomplete.set(true);
        self.problem(place, fault);
    }

    /// Whether something could not be read.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete.get()
    }

    /// Whether anything is wrong so far.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// All problems, in order of file and line.
    pub(super) fn problems(&self, sources: &Sources) -> Problems {
        self.told(&self.problems, &Level::ERROR, sources)
    }

    /// All warnings, in order of file and line.
    pub(super) fn warnings(&self, sources: &Sources) -> Problems {
        self.told(&self.warnings, &Level::WARNING, sources)
    }

    fn told(&self, found: &RefCell<Vec<(Place, Fault)>>, level: &Level<'static>, sources: &Sources) -> Problems {
        let mut found = found.borrow().clone();
        found.sort_by_key(|(place, _)| *place);
        let problem = |(place, fault): (Place, Fault)| {
            let at = sources.position(place);
            Problem {
                file: sources.name(place).to_owned(),
                line: at.line,
                column: at.column,
                rendered: self.render(level.clone(), place, &fault, sources),
                message: fault.message,
                help: fault.help,
            }
        };
        Problems { problems: found.into_iter().map(problem).collect() }
    }

    fn render(&self, level: Level<'_>, place: Place, fault: &Fault, sources: &Sources) -> String {
        let mut group = level.primary_title(fault.message.as_str()).element(Padding);
        group = self.show(group, AnnotationKind::Primary, place, None, sources);
        if let Some((other, label)) = &fault.other {
            group = self.show(group, AnnotationKind::Context, *other, Some(label), sources);
        }
        if let Some(help) = &fault.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().render(&[group])
    }

    /// Adds the line of a place, or only its position where the line holds a secret.
    fn show<'a>(
        &self,
        group: Group<'a>,
        kind: AnnotationKind,
        place: Place,
        label: Option<&'a String>,
        sources: &'a Sources,
    ) -> Group<'a> {
        let Some(excerpt) = sources.excerpt(place) else { return group };
        if self.is_masked(place, sources) {
            let at = sources.position(place);
            let group = group.element(Origin::path(excerpt.name).line(at.line).char_column(at.column));
            return match label {
                Some(label) => group.element(Level::NOTE.message(label.as_str())),
                None => group,
            };
        }
        if excerpt.text.trim().is_empty() {
            return group.element(Origin::path(excerpt.name));
        }
        let annotation = kind.span(excerpt.span).label(label.map(String::as_str));
        group.element(Snippet::source(excerpt.text).path(excerpt.name).line_start(excerpt.line).annotation(annotation))
    }

    fn is_masked(&self, place: Place, sources: &Sources) -> bool {
        let (source, line, _) = sources.lines(place);
        self.masked.borrow().iter().any(|masked| {
            let (in_source, first, last) = sources.lines(*masked);
            in_source == source && (first..=last).contains(&line)
        })
    }
}

fn push_once(list: &RefCell<Vec<(Place, Fault)>>, place: Place, fault: Fault) {
    let mut list = list.borrow_mut();
    if !list.iter().any(|(at, known)| *at == place && known.message == fault.message) {
        list.push((place, fault));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}\n", problem.rendered)?;
        }
        let plural = if self.problems.len() == 1 { "problem" } else { "problems" };
        write!(f, "{} {plural} in the configuration", self.problems.len())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn report() -> (Report, Sources, usize) {
        let mut sources = Sources::default();
        let id = sources.add_file("a.toml", "one = 1\ntwo = 'hunter2'\nthree = 3\n".to_owned(), Path::new(""));
        (Report::default(), sources, id)
    }

    #[test]
    fn a_problem_shows_its_line_a_caret_and_what_would_be_right() {
        let (report, sources, id) = report();
        report.problem(Place::new(id, 6, 7), Fault::new("`1` is no word").help("write \"one\""));
        let problems = report.problems(&sources);
        assert_eq!(
            problems.problems[0].rendered,
            "error: `1` is no word
  |
 --> a.toml:1:7
  |
1 | one = 1
  |       ^
  |
  = help: write \"one\""
        );
    }

    #[test]
    fn a_line_with_a_secret_is_never_shown() {
        let (report, sources, id) = report();
        report.mask(Place::new(id, 14, 23));
        report.problem(Place::new(id, 8, 11), Fault::new("no").and(Place::new(id, 14, 23), "here"));
        report.warning(Place::new(id, 0, 3), Fault::new("no").and(Place::new(id, 14, 23), "here"));
        let problems = report.problems(&sources);
        assert!(problems.problems[0].rendered.contains("a.toml:2:1"), "{problems}");
        for shown in [format!("{problems:?}{problems}"), report.warnings(&sources).to_string()] {
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("here"), "{shown}");
        }
    }

    #[test]
    fn problems_come_in_order_of_place_and_once() {
        let (report, sources, id) = report();
        for start in [24, 0, 24] {
            report.problem(Place::new(id, start, start + 1), Fault::new("no"));
        }
        let lines: Vec<_> = report.problems(&sources).problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
