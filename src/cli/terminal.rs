//! What goes to stdout: text that can be trusted on a terminal, coloured where there is one.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

use super::{Failure, complain};

/// Writes to stdout. A reader that has seen enough (`| head`) is no reason to complain.
pub(super) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = write!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(|error| {
        if error.kind() != ErrorKind::BrokenPipe {
            complain(format_args!("can not write to stdout: {error}"));
        }
        Failure::Failed
    })
}

/// Whether stdout is a terminal that wants colours. See <https://no-color.org>.
pub(super) fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text in a colour, where colours are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn bold(self, text: impl fmt::Display) -> String {
        self.in_style("1", text)
    }

    pub(super) fn green(self, text: impl fmt::Display) -> String {
        self.in_style("32", text)
    }

    /// Select Graphic Rendition (ECMA-48, 8.3.117).
    fn in_style(self, style: &str, text: impl fmt::Display) -> String {
        if self.0 { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// What others sent, with nothing in it that a terminal would obey. Line breaks and tabs stay.
pub(super) fn harmless(text: &str) -> String {
    let escape = |character: char| match character {
        '\n' | '\t' | '\'' | '"' | '\\' => character.to_string(),
        '\r' => String::new(),
        _ => character.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::{Paint, harmless};

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(harmless("<a>\"转人工\"</a>\r\n\t\\"), "<a>\"转人工\"</a>\n\t\\");
        assert_eq!(harmless("\u{1b}[2J\u{202e}\0"), "\\u{1b}[2J\\u{202e}\\0");
    }

    #[test]
    fn colours_are_left_out_where_nobody_wants_them() {
        assert_eq!(Paint(true).bold("a"), "\u{1b}[1ma\u{1b}[0m");
        assert_eq!(Paint(false).bold("a"), "a");
    }
}
