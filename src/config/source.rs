//! The text of a configuration file, and excerpts of it that show no secret.

use std::ops::Range;
use std::path::Path;

use super::error::Excerpt;
use super::mask::Mask;

pub(super) struct Source<'t> {
    pub(super) text: &'t str,
    pub(super) file: &'t Path,
    pub(super) mask: Mask,
}

impl Source<'_> {
    /// The bytes of the line around an offset, without its line end.
    pub(super) fn line_at(&self, offset: usize) -> Range<usize> {
        line_at(self.text, offset)
    }

    /// The first line of a span.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let line = self.line_at(span.start);
        let start = self.text.floor_char_boundary(span.start.clamp(line.start, line.end));
        let end = self.text.floor_char_boundary(span.end.clamp(start, line.end));
        let (text, mark) = self.mask.apply(self.text, line.clone(), start..end);
        Excerpt {
            file: self.file.display().to_string(),
            line: 1 + self.text[..line.start].matches('\n').count(),
            column: 1 + self.text[line.start..start].chars().count(),
            text,
            mark,
        }
    }
}

/// The bytes of the line around an offset, without its line end.
pub(super) fn line_at(text: &str, offset: usize) -> Range<usize> {
    let offset = text.floor_char_boundary(offset);
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline);
    let end = start + text[start..end].trim_end_matches('\r').len();
    start..end
}
