//! Errors and warnings about a configuration, each shown where it stands.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::fault::Fault;

/// Everything that is wrong with a configuration: at least one thing, in the order of the file.
#[derive(Debug)]
pub struct Errors {
    first: Box<Issue>,
    rest: Vec<Issue>,
}

impl Errors {
    pub(super) fn one(first: Issue) -> Self {
        Self { first: Box::new(first), rest: Vec::new() }
    }

    /// None where nothing is wrong.
    pub(super) fn of(mut issues: Vec<Issue>) -> Option<Self> {
        let rest = issues.split_off(issues.len().min(1));
        issues.pop().map(|first| Self { first: Box::new(first), rest })
    }

    /// How many errors there are, at least 1.
    pub fn count(&self) -> usize {
        1 + self.rest.len()
    }

    /// All errors, one block each, and a line that counts them. With `color`, for a terminal.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for issue in std::iter::once(&*self.first).chain(&self.rest) {
            text.push_str(&issue.render(Level::ERROR, color));
            text.push_str("\n\n");
        }
        let errors = if self.count() == 1 { "error" } else { "errors" };
        text + &format!("{} {errors} in {}", self.count(), self.first.place)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Error for Errors {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.first.fault.cause()
    }
}

/// Something that works and is probably not meant. Displayed in one line, with its position.
#[derive(Debug)]
pub struct Warning(pub(super) Issue);

impl Warning {
    /// The warning as a block, with the line it is about. With `color`, for a terminal.
    pub fn render(&self, color: bool) -> String {
        self.0.render(Level::WARNING, color)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Issue { fault, place } = &self.0;
        write!(f, "{place}")?;
        if let Place::Line(excerpt) = place {
            write!(f, ":{}:{}", excerpt.line, excerpt.column)?;
        }
        write!(f, ": {fault}")?;
        fault.suggestion().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// A fault and its place.
#[derive(Debug)]
pub(super) struct Issue {
    pub(super) fault: Fault,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    Line(Excerpt),
    /// A file as a whole.
    File(String),
    /// An option of the command line.
    Option(&'static str),
}

/// One line of a file, its secrets masked.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub(super) file: String,
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1, as it is in the file.
    pub(super) column: usize,
    pub(super) text: String,
    /// The offending bytes of `text`.
    pub(super) mark: Range<usize>,
}

impl Issue {
    /// What, where, and the line with what to write instead. Drawn in two parts: the column is that of
    /// the file, and the line shown may be masked.
    fn render(&self, level: Level<'_>, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let help = self.fault.suggestion().map(|help| Level::HELP.message(help));
        let Place::Line(excerpt) = &self.place else { return renderer.render(&[self.head(level).elements(help)]) };
        let head = renderer.render(&[self.head(level.clone())]);
        head + "\n" + &renderer.render(&[excerpt.drawn(level).elements(help)])
    }

    fn head<'a>(&'a self, level: Level<'a>) -> Group<'a> {
        let titled = |title: String| Group::with_title(level.primary_title(title));
        match &self.place {
            Place::Line(excerpt) => titled(self.fault.to_string()).element(excerpt.origin()),
            Place::File(file) => titled(self.fault.to_string()).element(Origin::path(file)),
            Place::Option(name) => titled(format!("{name}: {}", self.fault)),
        }
    }
}

impl Excerpt {
    fn origin(&self) -> Origin<'_> {
        Origin::path(&self.file).line(self.line).char_column(self.column)
    }

    fn drawn<'a>(&'a self, level: Level<'a>) -> Group<'a> {
        let mark = AnnotationKind::Primary.span(self.mark.clone());
        Group::with_level(level).element(Snippet::source(&self.text).line_start(self.line).annotation(mark))
    }
}

/// The place as a whole: a file, or the command line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(Excerpt { file, .. }) | Self::File(file) => f.write_str(file),
            Self::Option(_) => f.write_str("the command line"),
        }
    }
}
