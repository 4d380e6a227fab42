//! What others sent, written so that it can neither end a line nor forge one.

use std::fmt::{self, Display, Write as _};

/// The longest forms, in bytes as written. Together they keep a line below 8 KiB.
pub(super) const PATH_MAX: usize = 1024;
/// 128 characters of three bytes each.
pub(super) const NAME_MAX: usize = 384;
/// 1024 characters of three bytes each.
pub(super) const CONTENT_MAX: usize = 3072;

/// Whether white space stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spaces {
    Kept,
    /// In a line of columns, a space would begin the next column.
    Escaped,
}

/// Appends `value` as the inside of a JSON string, at most `max` bytes and then `…`.
pub(super) fn escape(value: impl Display, max: usize, spaces: Spaces, out: &mut Vec<u8>) {
    let mut escaped = Escaped { room: max, spaces, out };
    if write!(escaped, "{value}").is_err() {
        out.extend_from_slice("…".as_bytes());
    }
}

/// [`escape`] for what is text already, in half of the time.
pub(super) fn escape_text(value: &str, max: usize, spaces: Spaces, out: &mut Vec<u8>) {
    let mut escaped = Escaped { room: max, spaces, out };
    if escaped.write_str(value).is_err() {
        out.extend_from_slice("…".as_bytes());
    }
}

/// Fails when there is no more room.
struct Escaped<'a> {
    room: usize,
    spaces: Spaces,
    out: &'a mut Vec<u8>,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // No early end, so that many bytes are looked at at once.
        if text.len() <= self.room && text.bytes().fold(true, |so_far, byte| so_far & is_plain(byte)) {
            return self.put(text.as_bytes());
        }
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        match character {
            '"' => self.put(b"\\\""),
            '\\' => self.put(b"\\\\"),
            _ if self.must_hide(character) => self.put(&unicode_escape(character)),
            _ => self.put(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

impl Escaped<'_> {
    fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        self.room = self.room.checked_sub(bytes.len()).ok_or(fmt::Error)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn must_hide(&self, character: char) -> bool {
        character.is_control() || is_layout(character) || (self.spaces == Spaces::Escaped && character.is_whitespace())
    }
}

/// Printable ASCII that means nothing in JSON. A space is left to the long way round.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

/// The line and paragraph separators, and what turns the direction of writing: on a screen they
/// can move text to where it does not stand.
fn is_layout(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// All that is hidden lies below U+10000, so four digits hold it.
fn unicode_escape(character: char) -> [u8; 6] {
    let digit = |place: u32| b"0123456789abcdef"[(u32::from(character) >> (4 * place) & 15) as usize];
    [b'\\', b'u', digit(3), digit(2), digit(1), digit(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(value: &str, max: usize, spaces: Spaces) -> String {
        let mut out = Vec::new();
        escape(value, max, spaces, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_could_end_or_forge_a_line_is_escaped() {
        for (value, expected) in [
            ("plain/path-1", "plain/path-1"),
            ("two words", "two words"),
            ("say \"hi\"", r#"say \"hi\""#),
            (r"C:\n", r"C:\\n"),
            ("a\nb\r\tc\0", r"a\u000ab\u000d\u0009c\u0000"),
            ("\u{1b}[2J", r"\u001b[2J"),
            ("\u{7f}\u{80}\u{85}\u{9f}\u{a0}", "\\u007f\\u0080\\u0085\\u009f\u{a0}"),
            ("\u{2028}\u{2029}", r"\u2028\u2029"),
            ("\u{202e}gnp.exe\u{2066}", r"\u202egnp.exe\u2066"),
            ("转人工 😀", "转人工 😀"),
        ] {
            assert_eq!(escaped(value, 100, Spaces::Kept), expected);
        }
    }

    #[test]
    fn in_columns_white_space_is_escaped_too() {
        assert_eq!(escaped("a b\u{3000}c", 100, Spaces::Escaped), r"a\u0020b\u3000c");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        for (value, max, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcde…"),
            ("转人工", 9, "转人工"),
            ("转人工", 8, "转人…"),
            ("ab\ncd", 7, "ab…"),
            ("ab\ncd", 8, "ab\\u000a…"),
            ("a\"", 2, "a…"),
            ("x", 0, "…"),
        ] {
            assert_eq!(escaped(value, max, Spaces::Kept), expected);
        }
    }
}
