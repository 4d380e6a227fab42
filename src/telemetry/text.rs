//! A record as a line of text, in columns, for a person to read.

use std::fmt::{self, Display};
use std::io::Write as _;
use std::time::Duration;

use super::clock::Stamp;
use super::escape::{CONTENT_MAX, NAME_MAX, PATH_MAX, Spaces, escape};
use super::openid::Shown;
use super::record::Record;
use crate::config::OpenidStyle;
use crate::policy::Action;

/// How lines of text look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) openid: OpenidStyle,
    pub(super) content: bool,
    pub(super) coloured: bool,
}

/// Appends the record's line: time, status, duration, route, action, cause, type, OpenID, account,
/// method and path. What is unknown is `-`, but for the account, which is left out.
pub(super) fn record(record: &Record, look: Look, now: Stamp<'_>, out: &mut Vec<u8>) {
    let mut line = Line { coloured: look.coloured, out };
    line.time(now);
    line.outcome(record);
    line.decision(&record.action);
    line.callback(record, look.openid);
    line.request(record);
    if let Some(words) = record.content.as_deref().filter(|_| look.content) {
        line.words(words);
    }
    out.push(b'\n');
}

/// Appends the line that owns up to lost records.
pub(super) fn dropped(count: u64, now: Stamp<'_>, out: &mut Vec<u8>) {
    Line { coloured: false, out }.time(now);
    let records = if count == 1 { "record" } else { "records" };
    // Writing to a Vec does not fail.
    let _ = writeln!(out, "{count} {records} dropped: the log could not be written fast enough");
}

/// Select Graphic Rendition, the terminal's colours (ECMA-48, 8.3.117).
#[derive(Debug, Clone, Copy)]
enum Colour {
    Plain,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Colour {
    fn of_status(status: Option<u16>) -> Self {
        match status {
            Some(500..) => Self::Red,
            Some(400..) | None => Self::Yellow,
            Some(_) => Self::Plain,
        }
    }

    fn of_action(action: &Action) -> Self {
        match action {
            Action::Transfer(_) => Self::Green,
            Action::Suppress | Action::Empty(_) => Self::Yellow,
            Action::Reject(_) | Action::Error(_) => Self::Red,
            Action::Forward(_) | Action::Replay(_) => Self::Plain,
        }
    }

    fn sequence(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Dim => b"\x1b[2m",
            Self::Green => b"\x1b[32m",
            Self::Yellow => b"\x1b[33m",
            Self::Red => b"\x1b[31m",
        }
    }
}

struct Line<'a> {
    coloured: bool,
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    /// Month to millisecond: `11-22 13:14:23.123`.
    fn time(&mut self, now: Stamp<'_>) {
        let (date, time) = now.date_time.split_once('T').unwrap_or_default();
        let month_and_day = date.split_once('-').map_or(date, |(_, rest)| rest);
        self.column(18, Colour::Dim, |out| {
            let _ = write!(out, "{month_and_day} {time}.{:03}", now.millis);
        });
    }

    fn outcome(&mut self, record: &Record) {
        self.column(3, Colour::of_status(record.status), |out| {
            let _ = match record.status {
                Some(status) => write!(out, "{status}"),
                None => write!(out, "-"),
            };
        });
        self.column(7, Colour::Plain, |out| {
            let _ = write!(out, "{}", Took(record.duration));
        });
        self.word(8, record.route.as_deref());
    }

    /// The widest is `transfer/short-circuit`.
    fn decision(&mut self, action: &Action) {
        self.column(22, Colour::of_action(action), |out| {
            out.extend_from_slice(action.as_str().as_bytes());
            if let Action::Transfer(transfer) = action {
                out.push(b'/');
                out.extend_from_slice(transfer.via.as_str().as_bytes());
            }
        });
        self.word(14, Some(action.cause()));
    }

    fn callback(&mut self, record: &Record, style: OpenidStyle) {
        let kind = record.msg_type.as_deref().map(|name| Type { name, event: record.event.as_deref() });
        self.word(10, kind);
        self.word(8, record.openid.as_deref().map(|openid| Shown(style, openid)));
    }

    fn request(&mut self, record: &Record) {
        if let Action::Transfer(transfer) = &record.action
            && let Some(account) = &transfer.account
        {
            self.word(0, Some(account));
        }
        self.word(0, record.method.as_ref());
        match &record.path {
            Some(path) => escape(path, PATH_MAX, Spaces::Escaped, self.out),
            None => self.out.push(b'-'),
        }
        if record.dry_run {
            self.out.extend_from_slice(b" (dry-run)");
        }
    }

    fn words(&mut self, words: &str) {
        self.out.extend_from_slice(b" \"");
        escape(words, CONTENT_MAX, Spaces::Kept, self.out);
        self.out.push(b'"');
    }

    fn word(&mut self, width: usize, value: Option<impl Display>) {
        self.column(width, Colour::Plain, |out| match value {
            Some(value) => escape(value, NAME_MAX, Spaces::Escaped, out),
            None => out.push(b'-'),
        });
    }

    /// Appends what `write` writes, filled up with spaces to `width` characters, and a space.
    fn column(&mut self, width: usize, colour: Colour, write: impl FnOnce(&mut Vec<u8>)) {
        let colour = if self.coloured { colour.sequence() } else { b"" };
        self.out.extend_from_slice(colour);
        let start = self.out.len();
        write(self.out);
        let fill = width.saturating_sub(characters(&self.out[start..])) + 1;
        if !colour.is_empty() {
            self.out.extend_from_slice(b"\x1b[0m");
        }
        self.out.resize(self.out.len() + fill, b' ');
    }
}

/// Counts the characters of UTF-8: its bytes but for those that continue one.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

/// `text`, or `event/subscribe`.
struct Type<'a> {
    name: &'a str,
    event: Option<&'a str>,
}

impl Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.event.map_or(Ok(()), |event| write!(f, "/{event}"))
    }
}

/// A duration in four digits or a few more: `0.184ms`, `12.34ms`, `123.4ms`, `4.512s`.
struct Took(Duration);

impl Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let (whole, thousandths, unit) = match micros {
            0..1_000_000 => (micros / 1000, micros % 1000, "ms"),
            _ => (micros / 1_000_000, micros / 1000 % 1000, "s"),
        };
        match whole {
            0..10 => write!(f, "{whole}.{thousandths:03}{unit}"),
            10..100 => write!(f, "{whole}.{:02}{unit}", thousandths / 10),
            _ => write!(f, "{whole}.{}{unit}", thousandths / 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Cause, Transfer, Via};
    use crate::telemetry::RequestPath;
    use crate::telemetry::layout::Layout;
    use crate::telemetry::samples::{dropped_line, forwarded, line, refused, transferred};

    const LOOK: Look = Look { openid: OpenidStyle::Masked, content: false, coloured: false };
    const PLAIN: Layout = Layout::Text(LOOK);

    #[test]
    fn a_record_is_one_line_of_columns() {
        let transfer = "200 0.184ms shop     transfer/short-circuit \
                        rule:ask-for-human text       oABC…xyz test1@test POST /wechat/shop";
        let event = "200 12.34ms shop     forward                \
                     event          event/subscribe oABC…xyz POST /wechat/shop";
        let noise = "-   0.000ms -        reject                 \
                     bad-request    -          -        - -";
        for (record, expected) in [(transferred(), transfer), (forwarded(), event), (refused(), noise)] {
            assert_eq!(line(PLAIN, &record), format!("11-22 13:14:23.123 {expected}\n"));
        }
    }

    #[test]
    fn a_dry_run_and_the_users_words_stand_at_the_end() {
        let record = Record { dry_run: true, ..transferred() };
        let with_words = line(Layout::Text(Look { content: true, ..LOOK }), &record);
        assert!(with_words.ends_with("POST /wechat/shop (dry-run) \"转人工\\u000a\\\"now\\\"\"\n"));
    }

    #[test]
    fn neither_lines_nor_columns_can_be_forged() {
        let mut record = forwarded();
        record.event = Some("a b\nc".into());
        record.path = Some(RequestPath::raw(b"/x\r\n\x1b[2J y"));
        let line = line(PLAIN, &record);
        assert!(line.contains(r"event/a\u0020b\u000ac oABC…xyz POST /x\u000d\u000a\u001b[2J\u0020y"));
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn colour_does_not_move_the_columns() {
        let coloured = line(Layout::Text(Look { coloured: true, ..LOOK }), &transferred());
        assert!(coloured.contains("\x1b[32mtransfer/short-circuit\x1b[0m"));
        let bare = ["2", "32"].iter().fold(coloured, |line, colour| line.replace(&format!("\x1b[{colour}m"), ""));
        assert_eq!(bare.replace("\x1b[0m", ""), line(PLAIN, &transferred()));
    }

    #[test]
    fn trouble_has_a_colour_of_its_own() {
        let transfer = Transfer { via: Via::Rewrite, cause: Cause::Flag, account: None };
        for (action, colour) in [
            (Action::Forward(Cause::NoRule), ""),
            (Action::Transfer(transfer), "\x1b[32m"),
            (Action::Suppress, "\x1b[33m"),
            (Action::Error(Cause::NoRoute), "\x1b[31m"),
        ] {
            assert_eq!(Colour::of_action(&action).sequence(), colour.as_bytes());
        }
        for (status, colour) in [(200, ""), (302, ""), (404, "\x1b[33m"), (502, "\x1b[31m")] {
            assert_eq!(Colour::of_status(Some(status)).sequence(), colour.as_bytes());
        }
    }

    #[test]
    fn a_duration_has_four_digits_and_its_unit() {
        for (micros, expected) in [
            (0, "0.000ms"),
            (9_999, "9.999ms"),
            (10_000, "10.00ms"),
            (99_999, "99.99ms"),
            (999_999, "999.9ms"),
            (1_000_000, "1.000s"),
            (12_345_678, "12.34s"),
            (3_600_000_000, "3600.0s"),
        ] {
            assert_eq!(Took(Duration::from_micros(micros)).to_string(), expected);
        }
    }

    #[test]
    fn lost_records_are_owned_up_to() {
        let expected = "11-22 13:14:23.123 17 records dropped: the log could not be written fast enough\n";
        assert_eq!(dropped_line(PLAIN, 17), expected);
        assert!(dropped_line(PLAIN, 1).contains(" 1 record dropped: "));
    }
}
