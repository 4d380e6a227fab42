//! A bot's reply that is here whole, and how it goes on to the client.

use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;

use http::{HeaderName, HeaderValue, StatusCode};
use memchr::memchr;

use super::chunks::{self, Chunks};
use super::lines::{Kind, Line, Odd, Persistence, Scan, controls, length, persistence, scan};
use super::request::{MESSAGE_MAX, is};
use crate::proxy::reply::{is_event_stream, plain_text};

/// A bot's reply, whole.
#[derive(Debug)]
pub(in crate::proxy) struct Reply {
    /// What came from the bot.
    pub(in crate::proxy) wire: Vec<u8>,
    head: Head,
    body: Body,
    /// Memory that the question took.
    pub(in crate::proxy) spare: Vec<u8>,
    /// Nothing stands behind it, and the connection goes on.
    pub(in crate::proxy) keeps_connection: bool,
}

#[derive(Debug)]
struct Head {
    status: StatusCode,
    /// What stands behind the version: the code and the reason.
    status_line: Range<usize>,
    lines: Vec<Line>,
    /// Where the body begins.
    len: usize,
    framing: Framing,
    persists: bool,
}

#[derive(Debug)]
enum Body {
    /// It stands on the wire as it is.
    Within(Range<usize>),
    /// It was put together of chunks.
    Joined(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// The body ends where the connection does.
    UntilClose,
    /// There is none, and no length (204).
    Nothing,
}

/// What a bot's bytes are.
#[derive(Debug)]
pub(in crate::proxy) enum Look {
    Whole(Box<Reply>),
    /// The head is not here yet.
    Headless(Vec<u8>),
    /// The body is not here yet; how much of it is missing, if that is known.
    Bodiless(Vec<u8>, Option<usize>),
    /// Not for an exchange as a whole.
    Unfit(Vec<u8>),
}

impl Look {
    /// What came from the bot.
    pub(in crate::proxy) fn into_wire(self) -> Vec<u8> {
        match self {
            Self::Whole(reply) => reply.wire,
            Self::Headless(wire) | Self::Bodiless(wire, _) | Self::Unfit(wire) => wire,
        }
    }
}

impl Reply {
    /// Looks at what a bot has sent so far. `ended`: it has closed the connection behind it.
    pub(in crate::proxy) fn look(wire: Vec<u8>, ended: bool) -> Look {
        let head = match Head::read(&wire) {
            Ok(Some(head)) => head,
            Ok(None) if wire.len() <= MESSAGE_MAX && !ended => return Look::Headless(wire),
            _ => return Look::Unfit(wire),
        };
        let (body, end) = match head.body(&wire, ended) {
            Ok(Some(body)) => body,
            Ok(None) if !ended && wire.len() <= MESSAGE_MAX => {
                let missing = head.end().map(|end| end - wire.len());
                return Look::Bodiless(wire, missing);
            }
            _ => return Look::Unfit(wire),
        };
        let keeps_connection = head.persists && !ended && end == wire.len();
        Look::Whole(Box::new(Self { wire, spare: Vec::new(), head, body, keeps_connection }))
    }

    pub(in crate::proxy) fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Whether it leaves as chunks or with the end of the connection only, for whoever waits for it.
    pub(in crate::proxy) fn is_delimited(&self) -> bool {
        !matches!(self.head.framing, Framing::Chunked | Framing::UntilClose)
    }

    pub(in crate::proxy) fn named(&self, name: &HeaderName) -> Vec<HeaderValue> {
        let values = self.head.lines.iter().filter(|line| is(line.name(&self.wire), name));
        values.filter_map(|line| HeaderValue::from_bytes(line.value(&self.wire)).ok()).collect()
    }

    /// The body as text, uncompressed. None if it is compressed in a way that can not be undone within
    /// `limit` bytes.
    pub(in crate::proxy) fn text(&self, limit: usize) -> Option<Cow<'_, str>> {
        let coding = self.head.lines.iter().find(|line| line.kind == Kind::ContentEncoding);
        plain_text(coding.map(|line| line.value(&self.wire)), self.body(), limit)
    }

    pub(in crate::proxy) fn body(&self) -> &[u8] {
        match &self.body {
            Body::Within(range) => &self.wire[range.clone()],
            Body::Joined(bytes) => bytes,
        }
    }

    /// Writes it as it goes to the client: everything as it is but for the headers of one connection, the
    /// flag, and how the body is delimited.
    pub(in crate::proxy) fn write(&self, flag: &HeaderName, closes: bool, out: &mut Vec<u8>) {
        let Head { status_line, lines, framing, .. } = &self.head;
        out.reserve(self.wire.len() + 64);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(&self.wire[status_line.clone()]);
        out.extend_from_slice(b"\r\n");
        for line in lines {
            let stays = match line.kind {
                Kind::Connection | Kind::Hop | Kind::Upgrade | Kind::TransferEncoding => false,
                Kind::Plain | Kind::Underscore => !is(line.name(&self.wire), flag),
                _ => true,
            };
            if stays {
                out.extend_from_slice(line.whole(&self.wire));
            }
        }
        if matches!(framing, Framing::Chunked | Framing::UntilClose) {
            // Writing to a Vec does not fail.
            let _ = write!(out, "Content-Length: {}\r\n", self.body().len());
        }
        out.extend_from_slice(if closes { b"Connection: close\r\n\r\n" } else { b"\r\n" });
        out.extend_from_slice(self.body());
    }
}

impl Head {
    /// None while it is not complete.
    ///
    /// # Errors
    /// When it is odd.
    fn read(wire: &[u8]) -> Result<Option<Self>, Odd> {
        const VERSION: &[u8] = b"HTTP/1.";
        let shared = VERSION.len().min(wire.len());
        if wire[..shared] != VERSION[..shared] {
            return Err(Odd);
        }
        let Some(feed) = memchr(b'\n', wire) else { return Ok(None) };
        let (status, is_latest, line) = status_line(&wire[..feed]).ok_or(Odd)?;
        let mut lines = Vec::with_capacity(24);
        let len = match scan(wire, feed + 1, &mut lines) {
            Scan::Complete(len) => len,
            Scan::Partial => return Ok(None),
            Scan::Odd => return Err(Odd),
        };
        if lines.iter().any(|line| line.kind == Kind::Unfit) || is_event_stream(content_type(wire, &lines)) {
            return Err(Odd);
        }
        let framing = framing(status, wire, &lines)?;
        let persists = match persistence(wire, &lines).ok_or(Odd)? {
            Persistence::Close => false,
            // One of HTTP/1.0 that says so may still mean what others do not.
            Persistence::Unsaid | Persistence::KeepAlive => is_latest && framing != Framing::UntilClose,
        };
        Ok(Some(Self { status, status_line: line, lines, len, framing, persists }))
    }

    /// Where the reply ends, if its head tells.
    fn end(&self) -> Option<usize> {
        match self.framing {
            Framing::Length(length) => Some(self.len + length),
            Framing::Nothing => Some(self.len),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }

    /// The body, and where it ends. None while it is not complete.
    fn body(&self, wire: &[u8], ended: bool) -> Result<Option<(Body, usize)>, Odd> {
        let within = |end| Ok(Some((Body::Within(self.len..end), end)));
        match self.framing {
            Framing::Nothing => within(self.len),
            Framing::Length(length) if wire.len() - self.len >= length => within(self.len + length),
            Framing::UntilClose if ended => within(wire.len()),
            Framing::Length(_) | Framing::UntilClose => Ok(None),
            Framing::Chunked => match chunks::read(&wire[self.len..]) {
                Chunks::Whole { body, end } => Ok(Some((Body::Joined(body), self.len + end))),
                Chunks::Partial => Ok(None),
                Chunks::Odd => Err(Odd),
            },
        }
    }
}

/// The code, whether the version is 1.1, and where code and reason stand.
fn status_line(line: &[u8]) -> Option<(StatusCode, bool, Range<usize>)> {
    const CODE: usize = b"HTTP/1.1 ".len();
    let line = line.strip_suffix(b"\r")?;
    let is_latest = match line.get(..CODE)? {
        b"HTTP/1.1 " => true,
        b"HTTP/1.0 " => false,
        _ => return None,
    };
    let status = StatusCode::from_bytes(line.get(CODE..CODE + 3)?).ok()?;
    // The space behind the code belongs to it even where no reason follows.
    let is_clear = line.get(CODE + 3) == Some(&b' ') && controls(line) == 0;
    is_clear.then_some((status, is_latest, CODE..line.len()))
}

fn framing(status: StatusCode, wire: &[u8], lines: &[Line]) -> Result<Framing, Odd> {
    let length = length(wire, lines)?;
    let mut codings = lines.iter().filter(|line| line.kind == Kind::TransferEncoding);
    match (codings.next(), length) {
        _ if status.is_informational() || status == StatusCode::NOT_MODIFIED => Err(Odd),
        (None, None) if status == StatusCode::NO_CONTENT => Ok(Framing::Nothing),
        _ if status == StatusCode::NO_CONTENT => Err(Odd),
        (None, Some(length)) => match usize::try_from(length) {
            Ok(length) if length <= MESSAGE_MAX => Ok(Framing::Length(length)),
            _ => Err(Odd),
        },
        (None, None) => Ok(Framing::UntilClose),
        (Some(line), None) if codings.next().is_none() && line.value(wire).eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (Some(_), _) => Err(Odd),
    }
}

fn content_type<'w>(wire: &'w [u8], lines: &[Line]) -> Option<&'w [u8]> {
    lines.iter().find(|line| line.kind == Kind::ContentType).map(|line| line.value(wire))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAG: HeaderName = HeaderName::from_static("x-kf-transfer");

    fn relayed(wire: &str, ended: bool) -> Option<(String, bool)> {
        let Look::Whole(reply) = Reply::look(wire.into(), ended) else { return None };
        let mut out = Vec::new();
        reply.write(&FLAG, false, &mut out);
        Some((String::from_utf8(out).unwrap(), reply.keeps_connection))
    }

    #[test]
    fn a_reply_goes_on_as_it_came_but_for_what_belongs_to_the_connection() {
        for (wire, out, keeps_connection) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true),
            (
                "HTTP/1.0 200 \u{597d}\r\nx_A:  b \r\nX-KF-Transfer: 1\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 200 \u{597d}\r\nx_A:  b \r\ncontent-length: 0\r\n\r\n",
                false,
            ),
            (
                "HTTP/1.1 404 \r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\nKeep-Alive: 1\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nA: b\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi",
                true,
            ),
            ("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nh", false),
        ] {
            assert_eq!(relayed(wire, false), Some((out.to_owned(), keeps_connection)), "{wire:?}");
        }
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let wire = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhi";
        assert!(matches!(Reply::look(wire.into(), false), Look::Bodiless(_, None)));
        let out = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(relayed(wire, true), Some((out.to_owned(), false)));
    }

    #[test]
    fn it_is_known_what_is_missing() {
        let wire = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        for end in 0..wire.len() {
            let head = wire.len() - 2;
            match Reply::look(wire[..end].into(), false) {
                Look::Headless(_) => assert!(end < head, "{end}"),
                Look::Bodiless(_, missing) => assert_eq!(missing, Some(wire.len() - end)),
                other => panic!("{end}: {other:?}"),
            }
            assert!(matches!(Reply::look(wire[..end].into(), true), Look::Unfit(_)), "{end}: broken off");
        }
    }

    #[test]
    fn what_is_not_exchanged_whole_is_left_to_others() {
        for wire in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: x-mine\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            "garbage",
        ] {
            assert!(matches!(Reply::look(wire.into(), false), Look::Unfit(_)), "{wire:?}");
        }
    }
}
