//! The lines of a head as they stand on the wire, taken only where there is one way to read them.

use memchr::memchr;

/// Where one header line stands in its message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) kind: Kind,
    start: u32,
    colon: u32,
    /// Without the CR LF.
    end: u32,
}

/// What a line means to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Host,
    ContentLength,
    ContentType,
    ContentEncoding,
    AcceptEncoding,
    Connection,
    TransferEncoding,
    Upgrade,
    /// Of one connection only, and of no interest (RFC 9110, section 7.6.1).
    Hop,
    ForwardedFor,
    ForwardedProto,
    ForwardedHost,
    RequestId,
    /// Changes how the message is exchanged: `TE`, `Trailer`, `Expect`.
    Unfit,
    /// Holds a `_`: PHP reads it as `-`, so that it may be one of the gate's own.
    Underscore,
}

impl Line {
    /// With its CR LF.
    pub(super) fn whole<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        &message[self.start as usize..self.end as usize + 2]
    }

    pub(super) fn name<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        &message[self.start as usize..self.colon as usize]
    }

    pub(super) fn value<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        message[self.colon as usize + 1..self.end as usize].trim_ascii()
    }
}

/// How far a head could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// To its end, which is here.
    Complete(usize),
    Partial,
    /// There is something in it that not everybody reads alike.
    Odd,
}

/// Header lines of one head that are looked at; one with more is odd.
const LINES_MAX: usize = 100;

/// Finds the header lines from `at` on, behind the first line.
pub(super) fn scan(message: &[u8], mut at: usize, lines: &mut Vec<Line>) -> Scan {
    lines.clear();
    let start = at;
    loop {
        let rest = &message[at..];
        let Some(feed) = memchr(b'\n', rest) else { return Scan::Partial };
        let Some(line) = rest[..feed].strip_suffix(b"\r") else { return Scan::Odd };
        let next = at + feed + 1;
        if line.is_empty() {
            // Each line has two of them at its end, and so there are none elsewhere.
            let is_clear = controls(&message[start..next]) == 2 * (lines.len() + 1);
            return if is_clear { Scan::Complete(next) } else { Scan::Odd };
        }
        let Some((kind, colon)) = read(line).filter(|_| lines.len() < LINES_MAX) else { return Scan::Odd };
        lines.push(Line { kind, start: at as u32, colon: (at + colon) as u32, end: (at + line.len()) as u32 });
        at = next;
    }
}

/// How many bytes can not stand in a header's value (RFC 9110, section 5.5).
pub(super) fn controls(bytes: &[u8]) -> usize {
    // Counted in pieces whose number fits into a byte, so that many are looked at at once.
    let of_piece = |piece: &[u8]| piece.iter().map(|byte| u8::from(is_control(*byte))).sum::<u8>();
    bytes.chunks(255).map(|piece| usize::from(of_piece(piece))).sum()
}

#[expect(clippy::needless_bitwise_bool, reason = "without branches, many bytes are looked at at once")]
fn is_control(byte: u8) -> bool {
    (byte < b' ') & (byte != b'\t') | (byte == 0x7f)
}

/// The kind of a line and where its colon is. None if its name is odd.
fn read(line: &[u8]) -> Option<(Kind, usize)> {
    let plain = line.iter().take_while(|byte| IS_PLAIN[usize::from(**byte)]).count();
    match line.get(plain)? {
        b':' if plain > 0 => Some((kind(&line[..plain]), plain)),
        b'_' => {
            let is_of_name = |byte: &&u8| **byte == b'_' || IS_PLAIN[usize::from(**byte)];
            let colon = line.iter().take_while(is_of_name).count();
            (line.get(colon) == Some(&b':')).then_some((Kind::Underscore, colon))
        }
        _ => None,
    }
}

/// Whether a byte can stand in a header's name (RFC 9110, section 5.6.2) and is no `_`.
const IS_PLAIN: [bool; 256] = {
    let mut is_plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is_plain[byte as usize] = matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#'..=b'\''
            | b'*' | b'+' | b'-' | b'.' | b'^' | b'`' | b'|' | b'~');
        byte += 1;
    }
    is_plain
};

fn kind(name: &[u8]) -> Kind {
    // Of what can stand in a name, a letter alone becomes one by this bit, and a `-` alone a `-`.
    let is = |known: &[u8]| name.iter().zip(known).all(|(byte, known)| byte | 0x20 == *known);
    match name.len() {
        2 if is(b"te") => Kind::Unfit,
        4 if is(b"host") => Kind::Host,
        6 if is(b"expect") => Kind::Unfit,
        7 if is(b"trailer") => Kind::Unfit,
        7 if is(b"upgrade") => Kind::Upgrade,
        10 if is(b"connection") => Kind::Connection,
        10 if is(b"keep-alive") => Kind::Hop,
        12 if is(b"content-type") => Kind::ContentType,
        12 if is(b"x-request-id") => Kind::RequestId,
        14 if is(b"content-length") => Kind::ContentLength,
        15 if is(b"accept-encoding") => Kind::AcceptEncoding,
        15 if is(b"x-forwarded-for") => Kind::ForwardedFor,
        16 if is(b"content-encoding") => Kind::ContentEncoding,
        16 if is(b"proxy-connection") => Kind::Hop,
        16 if is(b"x-forwarded-host") => Kind::ForwardedHost,
        17 if is(b"transfer-encoding") => Kind::TransferEncoding,
        17 if is(b"x-forwarded-proto") => Kind::ForwardedProto,
        _ => Kind::Plain,
    }
}

/// What the Connection lines of a message say. None where they name headers.
pub(super) fn persistence(message: &[u8], lines: &[Line]) -> Option<Persistence> {
    let mut said = Persistence::Unsaid;
    for line in lines.iter().filter(|line| line.kind == Kind::Connection) {
        for option in line.value(message).split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                said = Persistence::Close;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                said = if said == Persistence::Close { said } else { Persistence::KeepAlive };
            } else if !option.is_empty() && !option.eq_ignore_ascii_case(b"upgrade") {
                return None;
            }
        }
    }
    Some(said)
}

/// Whether a connection goes on behind a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    Unsaid,
    KeepAlive,
    Close,
}

/// There is something in a message that not everybody reads alike, or that is not exchanged whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// The one length that is given, if any is.
pub(super) fn length(message: &[u8], lines: &[Line]) -> Result<Option<u64>, Odd> {
    let mut lengths = lines.iter().filter(|line| line.kind == Kind::ContentLength);
    let Some(line) = lengths.next() else { return Ok(None) };
    let digits = line.value(message);
    if lengths.next().is_some() || digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Odd);
    }
    Ok(Some(digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(head: &str) -> Result<Vec<Kind>, Scan> {
        let mut lines = Vec::new();
        match scan(head.as_bytes(), 0, &mut lines) {
            Scan::Complete(end) => {
                assert_eq!(end, head.len());
                Ok(lines.iter().map(|line| line.kind).collect())
            }
            other => Err(other),
        }
    }

    #[test]
    fn lines_are_known_by_their_name_whatever_its_case() {
        for (head, expected) in [
            ("\r\n", vec![]),
            ("Host: a\r\nX-A:b\r\n\r\n", vec![Kind::Host, Kind::Plain]),
            ("CONTENT-length: 1\r\ncontent-TYPE:\r\n\r\n", vec![Kind::ContentLength, Kind::ContentType]),
            ("Keep-Alive: 1\r\nProxy-Connection: a\r\n\r\n", vec![Kind::Hop, Kind::Hop]),
            ("X_Forwarded_For: 1\r\nX-Forwarded-For: 1\r\n\r\n", vec![Kind::Underscore, Kind::ForwardedFor]),
            ("TE: trailers\r\nExpect: 100-continue\r\nTrailer: a\r\n\r\n", vec![Kind::Unfit; 3]),
            ("A: \u{e9}\tb c\r\n\r\n", vec![Kind::Plain]),
        ] {
            assert_eq!(kinds(head), Ok(expected), "{head:?}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_odd() {
        for head in [
            "Host: a\n\r\n",
            "Host a\r\n\r\n",
            "Host : a\r\n\r\n",
            ": a\r\n\r\n",
            "A: b\r\n c\r\n\r\n",
            "A: b\r\n\tc: d\r\n\r\n",
            "A: b\0\r\n\r\n",
            "A: b\rc: d\r\n\r\n",
            "A\u{e9}: b\r\n\r\n",
            "A(b): c\r\n\r\n",
            "A: \u{7f}\r\n\r\n",
            &"a: b\r\n".repeat(LINES_MAX + 1),
        ] {
            assert_eq!(kinds(head), Err(Scan::Odd), "{head:?}");
        }
    }

    #[test]
    fn a_head_is_partial_until_its_empty_line() {
        let head = "Host: a\r\nA: b\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(kinds(&head[..end]), Err(Scan::Partial), "{end}");
        }
    }

    #[test]
    fn lengths_and_persistence_are_taken_only_where_they_are_clear() {
        let said = |head: &str| {
            let mut lines = Vec::new();
            scan(head.as_bytes(), 0, &mut lines);
            (length(head.as_bytes(), &lines), persistence(head.as_bytes(), &lines))
        };
        for (head, length, persistence) in [
            ("\r\n", Ok(None), Some(Persistence::Unsaid)),
            ("Content-Length: 07\r\nConnection: keep-alive\r\n\r\n", Ok(Some(7)), Some(Persistence::KeepAlive)),
            ("Content-Length: 7\r\nContent-Length: 7\r\n\r\n", Err(Odd), Some(Persistence::Unsaid)),
            ("Content-Length: +7\r\nConnection: Close, keep-alive\r\n\r\n", Err(Odd), Some(Persistence::Close)),
            ("Content-Length:\r\nConnection: x-a\r\n\r\n", Err(Odd), None),
            ("Content-Length: 1,1\r\nConnection: upgrade\r\n\r\n", Err(Odd), Some(Persistence::Unsaid)),
            ("Content-Length: 1234567890123456789\r\n\r\n", Err(Odd), Some(Persistence::Unsaid)),
        ] {
            assert_eq!(said(head), (length, persistence), "{head:?}");
        }
    }
}
