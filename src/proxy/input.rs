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
        let mut is_text = false;
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
            is_text = is_text || Format::sniff(&gathered).is_some();
            let cause = match () {
                () if gathered.len() > limit => Cause::TooLarge,
                () if !is_text && !is_blank(&gathered) => Cause::NotCallback,
                () => continue,
            };
            return Self::Other { first: gathered.freeze(), rest: body, cause };
        }
    }
}

/// Nothing but what may stand before a document.
fn is_blank(bytes: &[u8]) -> bool {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let rest = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    rest.iter().all(u8::is_ascii_whitespace) || BYTE_ORDER_MARK.starts_with(bytes)
}
