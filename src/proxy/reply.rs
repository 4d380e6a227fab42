//! Reading a bot's reply, for a decision that depends on it.

use std::borrow::Cow;
use std::io::Read;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;
use tokio::time::timeout;

use super::body::{Leased, ReplyBody};
use super::transport::Answer;
use super::upstream::UpstreamError;
use crate::state::{Kept, Lead};

/// A bot's answer, as far as it has been read.
#[derive(Debug)]
pub(super) struct Streaming {
    pub(super) parts: Parts,
    pub(super) body: ReplyBody,
    origin: Origin,
}

/// Whom an answer is from, and for.
#[derive(Debug)]
enum Origin {
    /// The bot gave it to this request.
    Bot,
    /// The bot gave it to this request, and others wait for it.
    Shared(Lead),
    /// The bot gave it to an earlier one.
    Replay,
}

impl Streaming {
    /// `lead`: it is for other deliveries too, once it is read.
    pub(super) fn unread(response: http::Response<Leased>, lead: Option<Lead>) -> Box<Self> {
        let (parts, leased) = response.into_parts();
        let body = ReplyBody { rest: Some(leased), ..ReplyBody::default() };
        Box::new(Self { parts, body, origin: lead.map_or(Origin::Bot, Origin::Shared) })
    }

    pub(super) fn replayed(kept: &Kept) -> Box<Self> {
        let Kept { parts, body, trailers } = kept.clone();
        let first = Some(body).filter(|body| !body.is_empty());
        Box::new(Self { parts, body: ReplyBody { first, trailers, rest: None }, origin: Origin::Replay })
    }

    /// Leaves the answer to those who wait for it, unless it is a failure or has not been read whole.
    fn share(&mut self) {
        if !matches!(self.origin, Origin::Shared(_)) {
            return;
        }
        if let Origin::Shared(lead) = std::mem::replace(&mut self.origin, Origin::Bot)
            && self.body.rest.is_none()
            && !self.parts.status.is_server_error()
        {
            lead.answered(self.copy(), Instant::now());
        }
    }

    /// A copy with memory of its own: what hyper reads is cut out of larger pieces.
    fn copy(&self) -> Kept {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = self.parts.status;
        parts.headers = copied(&self.parts.headers);
        let reason = self.parts.extensions.get::<ReasonPhrase>();
        if let Some(Ok(reason)) = reason.map(|reason| ReasonPhrase::try_from(reason.as_bytes())) {
            parts.extensions.insert(reason);
        }
        let body = self.body.first.as_deref().map(Bytes::copy_from_slice).unwrap_or_default();
        Kept { parts, body, trailers: self.body.trailers.as_ref().map(copied) }
    }

    fn is_undelimited(&self) -> bool {
        let Parts { status, headers, .. } = &self.parts;
        let has_body = !matches!(*status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        has_body && !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING)
    }
}

impl Answer for Box<Streaming> {
    fn status(&self) -> StatusCode {
        self.parts.status
    }

    fn named(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.parts.headers.get_all(name).iter().cloned().collect()
    }

    async fn read(&mut self, limit: usize, patience: Duration) -> Result<(), UpstreamError> {
        if declared_length(&self.parts.headers).is_some_and(|length| length > limit as u64) {
            return Ok(());
        }
        let read = timeout(patience, self.body.read(limit)).await;
        read.map_err(|_| UpstreamError::BodyTimeout)?.map_err(UpstreamError::Broken)?;
        self.share();
        Ok(())
    }

    fn text(&self, limit: usize) -> Option<Cow<'_, str>> {
        if self.body.rest.is_some() {
            return None;
        }
        let coding = self.parts.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        plain_text(coding, self.body.first.as_deref().unwrap_or_default(), limit)
    }

    fn is_replay(&self) -> bool {
        matches!(self.origin, Origin::Replay)
    }

    fn ends_with_connection(&self) -> bool {
        self.is_undelimited() && !is_event_stream(self.parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes))
    }
}

fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.append(name.clone(), value);
        }
    }
    copy
}

/// Whether a reply is a stream of events, which nobody should wait for the end of.
pub(super) fn is_event_stream(content_type: Option<&[u8]>) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let start = content_type.and_then(|value| value.get(..EVENT_STREAM.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

/// A body as text, uncompressed. None if it is compressed in a way that can not be undone within `limit` bytes.
pub(super) fn plain_text<'b>(coding: Option<&[u8]>, bytes: &'b [u8], limit: usize) -> Option<Cow<'b, str>> {
    let Some(coding) = coding else { return Some(String::from_utf8_lossy(bytes)) };
    let plain = match coding.to_ascii_lowercase().as_slice() {
        b"identity" | b"" => return Some(String::from_utf8_lossy(bytes)),
        b"gzip" | b"x-gzip" => bounded(MultiGzDecoder::new(bytes), limit)?,
        b"deflate" => bounded(ZlibDecoder::new(bytes), limit)?,
        _ => return None,
    };
    Some(Cow::Owned(String::from_utf8_lossy(&plain).into_owned()))
}

impl ReplyBody {
    async fn read(&mut self, limit: usize) -> Result<(), hyper::Error> {
        while let Some(leased) = &mut self.rest {
            if self.first.as_ref().is_some_and(|first| first.len() > limit) {
                return Ok(());
            }
            match leased.incoming.frame().await.transpose()? {
                None => self.rest = None,
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.first = Some(appended(self.first.take(), data)),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
            if self.rest.as_ref().is_some_and(|rest| rest.incoming.is_end_stream()) {
                self.rest = None;
            }
        }
        Ok(())
    }
}

/// Kept in the body after each frame, so that nothing is lost when reading is given up.
fn appended(first: Option<Bytes>, data: Bytes) -> Bytes {
    let Some(first) = first else { return data };
    let mut joined = first.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    joined.extend_from_slice(&data);
    joined.freeze()
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn bounded(reader: impl Read, limit: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= limit).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn answer(coding: &'static str, body: Vec<u8>) -> Box<Streaming> {
        let (parts, ()) = http::Response::builder().header(CONTENT_ENCODING, coding).body(()).unwrap().into_parts();
        Box::new(Streaming {
            parts,
            body: ReplyBody { first: Some(body.into()), ..ReplyBody::default() },
            origin: Origin::Bot,
        })
    }

    #[test]
    fn compressed_replies_are_read_within_a_bound() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&[b'a'; 1000]).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(b"text").unwrap();
        assert_eq!(answer("gzip", gzip.clone()).text(1000).as_deref(), Some(&*"a".repeat(1000)));
        assert_eq!(answer("gzip", gzip.clone()).text(999), None, "a bomb");
        assert_eq!(answer("gzip", gzip[..10].to_vec()).text(1000), None, "cut off");
        assert_eq!(answer("deflate", zlib.finish().unwrap()).text(1000).as_deref(), Some("text"));
        assert_eq!(answer("identity", b"text".to_vec()).text(1000).as_deref(), Some("text"));
        assert_eq!(answer("br", b"text".to_vec()).text(1000), None);
    }
}
