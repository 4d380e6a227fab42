//! A callback's request as it stands on the wire, and as it goes to the bot.

use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;

use http::{HeaderName, HeaderValue};
use memchr::memchr;

use super::lines::{Kind, Line, Persistence, Scan, length, persistence, scan};
use crate::config::Route;
use crate::proxy::framing::is_host;
use crate::telemetry::RequestId;
use crate::wechat::Format;

/// Bytes of a message that is exchanged whole, head and body. What is longer is streamed.
pub(super) const MESSAGE_MAX: usize = 64 * 1024;

/// A POST of known length that is here whole.
#[derive(Debug)]
pub(super) struct Request<'m> {
    message: &'m [u8],
    target: Range<usize>,
    lines: Vec<Line>,
    body: usize,
    /// The client wants the connection to end with the reply.
    pub(super) closes: bool,
}

/// What the bytes of a client are.
#[derive(Debug)]
pub(super) enum Look<'m> {
    /// A request, which may be followed by others.
    Fit(Request<'m>),
    /// The start of one. How many bytes it has, if that is known already.
    Partial(Option<usize>),
    /// Not for an exchange as a whole.
    Unfit,
}

impl<'m> Request<'m> {
    /// Looks at what a client has sent so far.
    pub(super) fn look(bytes: &'m [u8], body_max: usize) -> Look<'m> {
        const METHOD: &[u8] = b"POST ";
        let shared = METHOD.len().min(bytes.len());
        if bytes[..shared] != METHOD[..shared] {
            return Look::Unfit;
        }
        let Some(feed) = memchr(b'\n', bytes) else { return partial(bytes, None) };
        let Some(target) = target(&bytes[..feed]) else { return Look::Unfit };
        let mut lines = Vec::with_capacity(24);
        let body = match scan(bytes, feed + 1, &mut lines) {
            Scan::Complete(end) => end,
            Scan::Partial => return partial(bytes, None),
            Scan::Odd => return Look::Unfit,
        };
        let (Some(length), Some(closes)) = (body_length(bytes, &lines, body_max), closes(bytes, &lines)) else {
            return Look::Unfit;
        };
        match bytes.get(..body + length) {
            Some(message) => Look::Fit(Self { message, target, lines, body, closes }),
            None => partial(bytes, Some(body + length)),
        }
    }

    /// Bytes of it, head and body.
    pub(super) fn len(&self) -> usize {
        self.message.len()
    }

    pub(super) fn body(&self) -> &'m [u8] {
        &self.message[self.body..]
    }

    /// The path and the query, as on the request line.
    pub(super) fn target(&self) -> (&'m str, Option<&'m str>) {
        // It is ASCII: looked at above.
        let target = str::from_utf8(&self.message[self.target.clone()]).unwrap_or_default();
        target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
    }

    pub(super) fn host(&self) -> &'m str {
        self.value(Kind::Host).and_then(|host| str::from_utf8(host).ok()).unwrap_or_default()
    }

    /// The format that its Content-Type declares.
    pub(super) fn declared(&self) -> Option<Format> {
        self.value(Kind::ContentType).and_then(Format::declared)
    }

    pub(super) fn forwarded_for(&self) -> impl DoubleEndedIterator<Item = &'m [u8]> {
        self.values(Kind::ForwardedFor)
    }

    pub(super) fn request_id(&self) -> Option<HeaderValue> {
        self.value(Kind::RequestId).and_then(|id| HeaderValue::from_bytes(id).ok())
    }

    /// The values of a header, by its name.
    pub(super) fn named(&self, name: &HeaderName) -> Vec<HeaderValue> {
        let is_named = |line: &&Line| line.name(self.message).eq_ignore_ascii_case(name.as_str().as_bytes());
        let values = self.lines.iter().filter(is_named).map(|line| line.value(self.message));
        values.filter_map(|value| HeaderValue::from_bytes(value).ok()).collect()
    }

    /// Whether the client may be WeChat, which does not understand chunked replies: it is when it says so.
    pub(super) fn is_signed(&self) -> bool {
        let is_signature = |pair: &str| pair.strip_prefix("msg_").unwrap_or(pair).starts_with("signature=");
        self.target().1.is_some_and(|query| query.split('&').any(is_signature))
    }

    fn value(&self, kind: Kind) -> Option<&'m [u8]> {
        self.values(kind).next()
    }

    fn values(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &'m [u8]> {
        self.lines.iter().filter(move |line| line.kind == kind).map(|line| line.value(self.message))
    }

    /// Writes it as it goes to the bot: everything as it is, but for what contract section 4 names.
    pub(super) fn write(&self, onward: &Onward<'_>, out: &mut Vec<u8>) {
        out.reserve(self.message.len() + 256);
        out.extend_from_slice(b"POST ");
        out.extend_from_slice(onward.route.upstream.base_path.as_bytes());
        out.extend_from_slice(&self.message[self.target.clone()]);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        for line in &self.lines {
            match line.kind {
                Kind::Connection | Kind::Hop | Kind::Upgrade | Kind::ForwardedFor | Kind::RequestId => {}
                Kind::ForwardedProto | Kind::ForwardedHost if !onward.trusted => {}
                Kind::AcceptEncoding if onward.identity => out.extend_from_slice(b"Accept-Encoding: identity\r\n"),
                Kind::Plain if !onward.trusted && is(line.name(self.message), &onward.route.flag_header) => {}
                _ => out.extend_from_slice(line.whole(self.message)),
            }
        }
        self.write_forwarded(onward, out);
        out.extend([b"X-Request-Id: ", onward.id.as_str().as_bytes(), b"\r\n\r\n"].into_iter().flatten());
        out.extend_from_slice(self.body());
    }

    /// Tells the bot about the client. What an untrusted client says of itself is replaced.
    fn write_forwarded(&self, onward: &Onward<'_>, out: &mut Vec<u8>) {
        let is_known = |kind| onward.trusted && self.lines.iter().any(|line| line.kind == kind);
        let known = self.forwarded_for().filter(|value| onward.trusted && !value.is_empty());
        let before = out.len();
        for value in known {
            out.extend_from_slice(if out.len() == before { b"X-Forwarded-For: " } else { b", " });
            out.extend_from_slice(value);
        }
        if let Some(peer) = onward.peer {
            out.extend_from_slice(if out.len() == before { b"X-Forwarded-For: " } else { b", " });
            // Writing to a Vec does not fail.
            let _ = write!(out, "{peer}");
        }
        if out.len() > before {
            out.extend_from_slice(b"\r\n");
        }
        if !is_known(Kind::ForwardedProto) {
            out.extend_from_slice(b"X-Forwarded-Proto: http\r\n");
        }
        if !is_known(Kind::ForwardedHost) {
            out.extend([b"X-Forwarded-Host: ", self.host().as_bytes(), b"\r\n"].into_iter().flatten());
        }
    }
}

/// How a request goes on to the bot.
#[derive(Debug)]
pub(super) struct Onward<'a> {
    pub(super) route: &'a Route,
    /// None over a unix socket.
    pub(super) peer: Option<IpAddr>,
    pub(super) trusted: bool,
    pub(super) id: &'a RequestId,
    /// The reply may have to be read: it is asked for uncompressed.
    pub(super) identity: bool,
}

pub(super) fn is(name: &[u8], known: &HeaderName) -> bool {
    name.eq_ignore_ascii_case(known.as_str().as_bytes())
}

fn partial(bytes: &[u8], total: Option<usize>) -> Look<'_> {
    if total.unwrap_or(bytes.len()) > MESSAGE_MAX { Look::Unfit } else { Look::Partial(total) }
}

/// Where the target stands on the request line, if it is a path and HTTP/1.1.
fn target(line: &[u8]) -> Option<Range<usize>> {
    let line = line.strip_suffix(b" HTTP/1.1\r")?;
    let target = line.get(b"POST ".len()..)?;
    let is_clear = |byte: &u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    (target.starts_with(b"/") && target.iter().all(is_clear)).then(|| b"POST ".len()..line.len())
}

/// The length of a body that can be a callback, where nothing else is unusual.
fn body_length(bytes: &[u8], lines: &[Line], body_max: usize) -> Option<usize> {
    let is_odd =
        |line: &Line| matches!(line.kind, Kind::TransferEncoding | Kind::Upgrade | Kind::Unfit | Kind::Underscore);
    let mut hosts = lines.iter().filter(|line| line.kind == Kind::Host);
    let has_host = hosts.next().is_some_and(|line| is_host(line.value(bytes))) && hosts.next().is_none();
    if !has_host || lines.iter().any(is_odd) {
        return None;
    }
    let length = usize::try_from(length(bytes, lines)??).ok()?;
    (1..=body_max.min(MESSAGE_MAX)).contains(&length).then_some(length)
}

fn closes(bytes: &[u8], lines: &[Line]) -> Option<bool> {
    Some(persistence(bytes, lines)? == Persistence::Close)
}
