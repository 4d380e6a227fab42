//! Strict framing: what is ambiguous in a request's head is refused, not passed on.
//!
//! hyper alone accepts bare line feeds, repeated lengths and hosts, and targets with a fragment, and shows
//! none of it afterwards; so the head is checked as it stood on the wire.

use std::fmt;

use memchr::memchr;

/// How the body behind a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes; 0 where no length is given.
    Length(u64),
    Chunked,
}

/// A head that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// Bytes up to and with the empty line.
    pub(super) len: usize,
    pub(super) framing: Framing,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    LineEnding,
    Folding,
    ControlByte,
    HeaderName,
    ContentLength,
    TransferEncoding,
    LengthAndEncoding,
    HostMissing,
    HostRepeated,
    HostMalformed,
    HostDiffers,
    Target,
    RequestLine,
    /// CONNECT: a reverse proxy opens no tunnels.
    Connect,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LineEnding => "a line of the head does not end in CR LF",
            Self::Folding => "folded header line",
            Self::ControlByte => "control byte in the head",
            Self::HeaderName => "malformed header name",
            Self::ContentLength => "repeated or malformed Content-Length",
            Self::TransferEncoding => "Transfer-Encoding other than a single chunked",
            Self::LengthAndEncoding => "both Content-Length and Transfer-Encoding",
            Self::HostMissing => "no Host",
            Self::HostRepeated => "repeated Host",
            Self::HostMalformed => "malformed Host",
            Self::HostDiffers => "Host differs from the target",
            Self::Target => "the target is neither a path nor an http URL",
            Self::RequestLine => "malformed request line",
            Self::Connect => "CONNECT is not supported",
        })
    }
}

/// Checks the first head in `bytes`, which holds at least one that hyper took for complete.
pub(super) fn check(bytes: &[u8]) -> Result<Checked, Refusal> {
    let mut lines = Lines { bytes, at: 0 };
    let request_line = loop {
        // Empty lines ahead of a request are allowed (RFC 9112, section 2.2).
        match lines.next()? {
            [] => {}
            line => break RequestLine::parse(line)?,
        }
    };
    let mut seen = Seen::default();
    loop {
        match lines.next()? {
            [] => break,
            line => seen.header(line)?,
        }
    }
    Ok(Checked { len: lines.at, framing: seen.framing(&request_line)? })
}

/// The method and path of a head that could not be parsed, as far as they are there.
pub(super) fn first_words(bytes: &[u8]) -> (Option<&str>, Option<&str>) {
    let line = &bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())];
    let mut words = line.split(|byte| *byte == b' ').map(|word| str::from_utf8(word).ok());
    let method = words.next().flatten().filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()));
    let target = words.next().flatten().filter(|word| word.starts_with('/'));
    (method, method.and(target).map(|target| target.split(['?', '#']).next().unwrap_or(target).trim_end()))
}

struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line, without its CR LF.
    fn next(&mut self) -> Result<&'a [u8], Refusal> {
        let rest = &self.bytes[self.at..];
        let end = memchr(b'\n', rest).ok_or(Refusal::LineEnding)?;
        self.at += end + 1;
        let line = rest[..end].strip_suffix(b"\r").ok_or(Refusal::LineEnding)?;
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(if line.contains(&b'\r') { Refusal::LineEnding } else { Refusal::ControlByte });
        }
        Ok(line)
    }
}

struct RequestLine<'a> {
    /// The host in an absolute target.
    authority: Option<&'a [u8]>,
    http_10: bool,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::RequestLine);
        };
        if method == b"CONNECT" {
            return Err(Refusal::Connect);
        }
        Ok(Self { authority: authority(target)?, http_10: version == b"HTTP/1.0" })
    }
}

/// The authority of an absolute target; None for a path. Anything else is refused, a fragment too.
fn authority(target: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    if target.contains(&b'#') {
        return Err(Refusal::Target);
    }
    if target.starts_with(b"/") {
        return Ok(None);
    }
    let scheme = |name: &[u8]| target.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let rest = match () {
        () if scheme(b"http://") => &target[b"http://".len()..],
        () if scheme(b"https://") => &target[b"https://".len()..],
        () => return Err(Refusal::Target),
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Ok(Some(&rest[..end]))
}

/// The headers that delimit a request and say whom it is for.
#[derive(Default)]
struct Seen<'a> {
    length: Option<u64>,
    chunked: bool,
    host: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    fn header(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        if matches!(line[0], b' ' | b'\t') {
            return Err(Refusal::Folding);
        }
        let colon = memchr(b':', line).ok_or(Refusal::HeaderName)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(Refusal::HeaderName);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let repeated = self.length.replace(length(value)?).is_some();
            return if repeated { Err(Refusal::ContentLength) } else { Ok(()) };
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let repeated = std::mem::replace(&mut self.chunked, true);
            let odd = repeated || !value.eq_ignore_ascii_case(b"chunked");
            return if odd { Err(Refusal::TransferEncoding) } else { Ok(()) };
        }
        if name.eq_ignore_ascii_case(b"host") && self.host.replace(value).is_some() {
            return Err(Refusal::HostRepeated);
        }
        Ok(())
    }

    fn framing(&self, request_line: &RequestLine<'_>) -> Result<Framing, Refusal> {
        match self.host {
            None if !request_line.http_10 => return Err(Refusal::HostMissing),
            Some(host) if !is_host(host) => return Err(Refusal::HostMalformed),
            _ => {}
        }
        if let Some(authority) = request_line.authority {
            if !is_host(authority) {
                return Err(Refusal::Target);
            }
            if self.host.is_some_and(|host| !host.eq_ignore_ascii_case(authority)) {
                return Err(Refusal::HostDiffers);
            }
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::LengthAndEncoding),
            (true, None) if request_line.http_10 => Err(Refusal::TransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// Digits only: no sign, no list.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(Refusal::ContentLength)
}

/// The bytes of a host's name (RFC 3986, section 3.2.2).
const IN_NAME: [bool; 256] = {
    let mut in_name = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        in_name[byte as usize] = matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~'
            | b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b'%');
        byte += 1;
    }
    in_name
};

/// Whether this is a host with an optional port, as a Host header has it (RFC 9110, section 7.2).
pub(super) fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(at) if !value[at..].contains(&b']') => (&value[..at], &value[at + 1..]),
        _ => (value, &b""[..]),
    };
    let is_name = match name.strip_prefix(b"[") {
        Some(literal) => literal.strip_suffix(b"]").is_some_and(|address| {
            !address.is_empty() && address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }),
        None => !name.is_empty() && name.iter().all(|byte| IN_NAME[usize::from(*byte)]),
    };
    is_name && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str) -> Result<Framing, Refusal> {
        check(head.as_bytes()).map(|checked| checked.framing)
    }

    #[test]
    fn unambiguous_heads_pass() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
            ("GET /?a=b HTTP/1.0\r\n\r\n", Framing::Length(0)),
            ("POST / HTTP/1.1\r\nHost: a:80\r\ncontent-length:  5 \r\n\r\nhello", Framing::Length(5)),
            ("POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked),
            ("GET http://a/ HTTP/1.1\r\nHost: A\r\n\r\n", Framing::Length(0)),
            ("GET HTTPS://a:80?x HTTP/1.1\r\nHost: a:80\r\n\r\n", Framing::Length(0)),
            ("GET / HTTP/1.1\r\nHost: a\r\nX-Odd: caf\u{e9}\r\n\r\n", Framing::Length(0)),
        ] {
            assert_eq!(framing(head), Ok(expected), "{head:?}");
        }
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        for (head, expected) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", Refusal::LineEnding),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", Refusal::LineEnding),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", Refusal::LineEnding),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Refusal::LineEnding),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", Refusal::Folding),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Refusal::ControlByte),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\u{7f}: b\r\n\r\n", Refusal::ControlByte),
            ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", Refusal::HeaderName),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Refusal::HeaderName),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", Refusal::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", Refusal::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", Refusal::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", Refusal::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", Refusal::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::TransferEncoding),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Refusal::TransferEncoding),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                Refusal::TransferEncoding,
            ),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TransferEncoding),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                Refusal::LengthAndEncoding,
            ),
            ("GET / HTTP/1.1\r\n\r\n", Refusal::HostMissing),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refusal::HostRepeated),
            ("GET / HTTP/1.1\r\nHost: \r\n\r\n", Refusal::HostMalformed),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Refusal::HostMalformed),
            ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Refusal::HostMalformed),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refusal::HostMalformed),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Refusal::HostMalformed),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::HostDiffers),
            ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
            ("GET ! HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::RequestLine),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Refusal::Connect),
        ] {
            assert_eq!(framing(head), Err(expected), "{head:?}");
        }
    }

    #[test]
    fn what_is_known_of_a_broken_head_is_its_first_words() {
        for (head, words) in [
            ("GET /a?b HTTP/1.1\r\n", (Some("GET"), Some("/a"))),
            ("POST /a", (Some("POST"), Some("/a"))),
            ("\u{16}\u{3}\u{1}", (None, None)),
            ("get /a HTTP/1.1", (None, None)),
            ("GET a HTTP/1.1", (Some("GET"), None)),
            ("", (None, None)),
        ] {
            assert_eq!(first_words(head.as_bytes()), words, "{head:?}");
        }
    }
}
