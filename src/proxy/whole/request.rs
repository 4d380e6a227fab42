//! A callback's request as it stands on the wire, and as it goes to the bot.

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
    target: &'m str,
    host: &'m str,
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
    pub(super) fn look(bytes: &'m [u8]) -> Look<'m> {
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
        let (Some(host), Some(length), Some(closes)) =
            (host(bytes, &lines), body_length(bytes, &lines), closes(bytes, &lines))
        else {
            return Look::Unfit;
        };
        match bytes.get(..body + length) {
            Some(message) => Look::Fit(Self { message, target, host, lines, body, closes }),
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
        match memchr(b'?', self.target.as_bytes()) {
            Some(mark) => (&self.target[..mark], Some(&self.target[mark + 1..])),
            None => (self.target, None),
        }
    }

    pub(super) fn host(&self) -> &'m str {
        self.host
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

    fn value(&self, kind: Kind) -> Option<&'m [u8]> {
        self.values(kind).next()
    }

    fn values(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &'m [u8]> {
        self.lines.iter().filter(move |line| line.kind == kind).map(|line| line.value(self.message))
    }

    /// Writes it as it goes to the bot: everything as it is, but for what contract section 4 names.
    pub(super) fn write(&self, onward: &Onward<'_>, out: &mut Vec<u8>) {
        out.reserve(self.message.len() + 256);
        let base_path = onward.route.upstream.base_path.as_bytes();
        push(out, [b"POST ", base_path, self.target.as_bytes(), b" HTTP/1.1\r\n"]);
        let mut asked_for_identity = false;
        for line in &self.lines {
            match line.kind {
                Kind::AcceptEncoding if asked_for_identity => {}
                Kind::Connection | Kind::Hop | Kind::Upgrade | Kind::ForwardedFor | Kind::RequestId => {}
                Kind::ForwardedProto | Kind::ForwardedHost if !onward.trusted => {}
                Kind::AcceptEncoding if onward.identity => {
                    asked_for_identity = true;
                    out.extend_from_slice(b"Accept-Encoding: identity\r\n");
                }
                Kind::Plain if !onward.trusted && is(line.name(self.message), &onward.route.flag_header) => {}
                _ => out.extend_from_slice(line.whole(self.message)),
            }
        }
        self.write_forwarded(onward, out);
        push(out, [b"X-Request-Id: ", onward.id.as_str().as_bytes(), b"\r\n\r\n", self.body()]);
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
            out.extend_from_slice(peer.as_bytes());
        }
        if out.len() > before {
            out.extend_from_slice(b"\r\n");
        }
        if !is_known(Kind::ForwardedProto) {
            push(out, [b"X-Forwarded-Proto: ", onward.scheme.as_bytes(), b"\r\n", b""]);
        }
        if !is_known(Kind::ForwardedHost) {
            push(out, [b"X-Forwarded-Host: ", self.host.as_bytes(), b"\r\n", b""]);
        }
    }
}

/// How a request goes on to the bot.
#[derive(Debug)]
pub(super) struct Onward<'a> {
    pub(super) route: &'a Route,
    /// None over a unix socket.
    pub(super) peer: Option<&'a str>,
    pub(super) trusted: bool,
    pub(super) scheme: &'static str,
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

/// The target of a request line, if it is a path and the version is HTTP/1.1.
fn target(line: &[u8]) -> Option<&str> {
    let line = line.strip_suffix(b" HTTP/1.1\r")?;
    let target = line.get(b"POST ".len()..)?;
    let odd = target.iter().fold(false, |odd, byte| odd | ODD_IN_TARGET[usize::from(*byte)]);
    if target.starts_with(b"/") && !odd { str::from_utf8(target).ok() } else { None }
}

/// The bytes of a target that not everybody reads alike: a fragment, what is no ASCII, and what RFC 3986 has
/// only percent-encoded.
const ODD_IN_TARGET: [bool; 256] = {
    let mut odd = [true; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        odd[byte as usize] = matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
        byte += 1;
    }
    odd
};

fn push(out: &mut Vec<u8>, parts: [&[u8]; 4]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The one host.
fn host<'m>(bytes: &'m [u8], lines: &[Line]) -> Option<&'m str> {
    let mut hosts = lines.iter().filter(|line| line.kind == Kind::Host);
    let host = hosts.next()?.value(bytes);
    if is_host(host) && hosts.next().is_none() { str::from_utf8(host).ok() } else { None }
}

/// The length of a body that can be a callback, where nothing else is unusual.
fn body_length(bytes: &[u8], lines: &[Line]) -> Option<usize> {
    let is_odd =
        |line: &Line| matches!(line.kind, Kind::TransferEncoding | Kind::Upgrade | Kind::Unfit | Kind::Underscore);
    if lines.iter().any(is_odd) {
        return None;
    }
    let length = usize::try_from(length(bytes, lines).ok()??).ok()?;
    (1..=MESSAGE_MAX).contains(&length).then_some(length)
}

fn closes(bytes: &[u8], lines: &[Line]) -> Option<bool> {
    Some(persistence(bytes, lines)? == Persistence::Close)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::config::parse;

    fn route() -> Arc<Route> {
        let file = "[[route]]\nname = \"a\"\nupstream = \"http://127.0.0.1:1/base\"\n";
        parse(file, std::path::Path::new("kfgate.toml")).unwrap().config.routes[0].clone()
    }

    fn sent_on(message: &str, trusted: bool, identity: bool) -> String {
        let Look::Fit(request) = Request::look(message.as_bytes()) else { panic!("{message:?} is not fit") };
        let (route, id, mut out) = (route(), RequestId::new(UNIX_EPOCH, 0), Vec::new());
        let onward = Onward { route: &route, peer: Some("10.0.0.1"), trusted, scheme: "http", id: &id, identity };
        request.write(&onward, &mut out);
        String::from_utf8(out).unwrap()
    }

    const MESSAGE: &str = "POST /a?b HTTP/1.1\r\nhost: h\r\nX-Kf-Transfer: 1\r\nX-Forwarded-For: 1.1.1.1\r\n\
        Connection: keep-alive\r\nX-Forwarded-Proto: https\r\nX-A:  b \r\naccept-encoding: gzip\r\n\
        x-forwarded-for: 2.2.2.2\r\nContent-Length: 2\r\n\r\nhi";

    #[test]
    fn a_stranger_is_described_anew() {
        let id = "0".repeat(26);
        let expected = format!(
            "POST /base/a?b HTTP/1.1\r\nhost: h\r\nX-A:  b \r\naccept-encoding: gzip\r\nContent-Length: 2\r\n\
             X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\nX-Request-Id: {id}\r\n\r\nhi"
        );
        assert_eq!(sent_on(MESSAGE, false, false), expected);
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        let id = "0".repeat(26);
        let expected = format!(
            "POST /base/a?b HTTP/1.1\r\nhost: h\r\nX-Kf-Transfer: 1\r\nX-Forwarded-Proto: https\r\nX-A:  b \r\n\
             Accept-Encoding: identity\r\nContent-Length: 2\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.1\r\n\
             X-Forwarded-Host: h\r\nX-Request-Id: {id}\r\n\r\nhi"
        );
        assert_eq!(sent_on(MESSAGE, true, true), expected);
    }

    #[test]
    fn a_request_is_partial_until_its_last_byte() {
        let head = MESSAGE.len() - 2;
        for end in 0..MESSAGE.len() {
            let Look::Partial(total) = Request::look(&MESSAGE.as_bytes()[..end]) else { panic!("{end}") };
            assert_eq!(total, (end >= head).then_some(MESSAGE.len()), "{end}");
        }
        let two = [MESSAGE, MESSAGE].concat();
        let Look::Fit(request) = Request::look(two.as_bytes()) else { panic!("two") };
        assert_eq!((request.len(), request.body(), request.closes), (MESSAGE.len(), &b"hi"[..], false));
    }

    #[test]
    fn what_is_in_any_way_else_is_left_to_others() {
        for message in [
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST  / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST /#a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST /\u{e9} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST /\0 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\nHost: h\nContent-Length: 1\n\na",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h/\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nUpgrade: a\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: x-a\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\nX_Kf_Transfer: 1\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\nContent-Length: 1\r\n\r\na",
            "\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na",
            "PRI * HTTP/2.0\r\n\r\n",
            "nonsense",
        ] {
            assert!(matches!(Request::look(message.as_bytes()), Look::Unfit), "{message:?}");
        }
        let endless = format!("POST / HTTP/1.1\r\nA: {}", "a".repeat(MESSAGE_MAX));
        assert!(matches!(Request::look(endless.as_bytes()), Look::Unfit));
    }
}
