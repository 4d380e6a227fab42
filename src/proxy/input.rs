use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, request};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::config::Limits;
use crate::policy::Cause;
use crate::wechat::Format;

/// A request's body, as far as it had to be read to know whether it can be a callback.
pub(super) enum Input {
    /// It can, and this is all of it.
    Callback(Bytes, Option<HeaderMap>),
    /// It can not. What was read of it, and what was not.
    Other { first: Bytes, rest: Incoming, cause: Cause },
    /// The client broke off or fell silent, or its chunks are malformed.
    Broken,
}

impl Input {
    /// Reads at most `callback_body` bytes, and no more than a first look where that shows it can be no
    /// callback. A client that says nothing for `idle_timeout` in the middle of its body has broken off.
    pub(super) async fn read(parts: &request::Parts, mut body: Incoming, limits: &Limits) -> Self {
        let limit = limits.callback_body;
        let unread = |rest, cause| Self::Other { first: Bytes::new(), rest, cause };
        if parts.method != Method::POST || body.is_end_stream() {
            return unread(body, Cause::NotCallback);
        }
        if body.size_hint().exact().is_some_and(|length| length > limit as u64) {
            return unread(body, Cause::TooLarge);
        }
        let mut gathered = BytesMut::new();
        // How much of it is known to be what may stand before a document; None once the document has begun.
        let mut blank = Some(0);
        loop {
            let Ok(next) = timeout(limits.idle_timeout, body.frame()).await else { return Self::Broken };
            let Some(frame) = next else { return Self::Callback(gathered.freeze(), None) };
            let Ok(frame) = frame else { return Self::Broken };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => return Self::Callback(gathered.freeze(), frame.into_trailers().ok()),
            };
            if gathered.is_empty() && body.is_end_stream() && Format::sniff(&data).is_some() {
                return Self::Callback(data, None);
            }
            gathered.extend_from_slice(&data);
            let cause = match blank.map(|from| look(&gathered, from)) {
                _ if gathered.len() > limit => Cause::TooLarge,
                Some(Start::Other) => Cause::NotCallback,
                Some(Start::Blank(until)) => {
                    blank = Some(until);
                    continue;
                }
                Some(Start::Document) | None => {
                    blank = None;
                    continue;
                }
            };
            return Self::Other { first: gathered.freeze(), rest: body, cause };
        }
    }
}

/// How a body starts.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// So far with what may stand before a document, up to here.
    Blank(usize),
    Document,
    Other,
}

/// Looks at a body of which everything before `from` is blank, so that each byte is looked at once.
fn look(body: &[u8], from: usize) -> Start {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    if body.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(body) {
        return Start::Blank(0);
    }
    let from = if from == 0 && body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { from };
    match body[from..].iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Start::Blank(body.len()),
        Some(b'<' | b'{') => Start::Document,
        Some(_) => Start::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_known_wherever_the_reads_fall() {
        for (body, start) in [
            (&b"<xml>"[..], Start::Document),
            (b" \r\n{", Start::Document),
            (b"\xef\xbb\xbf\n<xml>", Start::Document),
            (b"", Start::Blank(0)),
            (b" \n", Start::Blank(2)),
            (b"\xef\xbb", Start::Blank(0)),
            (b"\xef\xbb\xbf ", Start::Blank(4)),
            (b"a", Start::Other),
            (b"\xef\xbba", Start::Other),
            (b" \xef\xbb\xbf<", Start::Other),
        ] {
            let mut from = 0;
            let mut found = Start::Blank(0);
            for end in 0..=body.len() {
                found = look(&body[..end], from);
                let Start::Blank(until) = found else { break };
                from = until;
            }
            assert_eq!(found, start, "{body:?}");
        }
    }
}
