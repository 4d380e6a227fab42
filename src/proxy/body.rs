//! Bodies on their way through: to the bot, and to the client.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::entry::Entry;
use super::header::strip_trailers;
use super::upstream::Lease;

/// A body for the bot: what has been read of the client's, and what has not.
#[derive(Debug, Default)]
pub(super) struct RequestBody {
    first: Option<Bytes>,
    /// What stood behind a body that has been read whole.
    trailers: Option<HeaderMap>,
    rest: Option<Incoming>,
    /// The route's flag, which has no place in trailers.
    flag: Option<HeaderName>,
    /// Bytes that have come from `rest`.
    received: Rc<Cell<u64>>,
}

impl RequestBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { first: Some(bytes).filter(|bytes| !bytes.is_empty()), ..Self::default() }
    }

    /// What has been read whole, with what stood behind it.
    pub(super) fn with_trailers(self, mut trailers: Option<HeaderMap>, flag: &HeaderName) -> Self {
        if let Some(trailers) = &mut trailers {
            strip_trailers(trailers, flag);
        }
        Self { trailers, ..self }
    }

    /// What has been read, followed by what has not; `received` counts both.
    pub(super) fn followed_by(self, rest: Incoming, flag: HeaderName, received: Rc<Cell<u64>>) -> Self {
        received.set(self.first.as_ref().map_or(0, |bytes| bytes.len() as u64));
        Self { rest: Some(rest), flag: Some(flag), received, ..self }
    }

    /// Counts what has come from the client while the body is sent.
    pub(super) fn received(&self) -> Rc<Cell<u64>> {
        self.received.clone()
    }

    /// The same body once more, if none of it has to come from the client.
    pub(super) fn again(&self) -> Option<Self> {
        let only_first = self.rest.as_ref().is_none_or(Body::is_end_stream);
        only_first.then(|| Self { first: self.first.clone(), trailers: self.trailers.clone(), ..Self::default() })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        let mut poll = Pin::new(rest).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut poll {
            if let (Some(trailers), Some(flag)) = (frame.trailers_mut(), &self.flag) {
                strip_trailers(trailers, flag);
            }
            if let Some(data) = frame.data_ref() {
                self.received.set(self.received.get() + data.len() as u64);
            }
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.trailers.is_none() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if self.trailers.is_some() {
            return SizeHint::new();
        }
        added(self.first.as_ref(), self.rest.as_ref().map(Body::size_hint))
    }
}

/// A bot's reply: what has been read of it, and what has not.
#[derive(Debug, Default)]
pub(super) struct ReplyBody {
    pub(super) first: Option<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) rest: Option<Leased>,
}

/// The part of a reply that still comes from the bot, and the connection it comes over.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) incoming: Incoming,
    /// Goes back to the pool when the body has been read, or is dropped.
    pub(super) lease: Lease,
}

/// A body for the client, and the log entry that is written when it has gone out.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: ReplyBody,
    /// Not passed on, in trailers as in headers.
    hidden: Option<HeaderName>,
    /// None where what comes after the reply belongs to it too.
    entry: Option<Box<Entry>>,
}

impl Outgoing {
    pub(super) fn relayed(body: ReplyBody, flag: HeaderName, entry: Box<Entry>) -> Self {
        Self { body, hidden: Some(flag), entry: Some(entry) }
    }

    /// A body that the gate wrote itself.
    pub(super) fn own(bytes: Bytes, entry: Box<Entry>) -> Self {
        let body = ReplyBody { first: Some(bytes).filter(|bytes| !bytes.is_empty()), ..ReplyBody::default() };
        Self { body, hidden: None, entry: Some(entry) }
    }

    /// No body, before a tunnel.
    pub(super) fn nothing() -> Self {
        Self { body: ReplyBody::default(), hidden: None, entry: None }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.body.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(rest) = &mut self.body.rest {
            let poll = Pin::new(&mut rest.incoming).poll_frame(cx);
            if matches!(poll, Poll::Ready(None)) {
                self.body.rest = None;
            }
            return poll;
        }
        Poll::Ready(self.body.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut poll = self.next(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut poll {
            if let (Some(trailers), Some(hidden)) = (frame.trailers_mut(), &self.hidden) {
                trailers.remove(hidden);
            }
            if let (Some(data), Some(entry)) = (frame.data_ref(), &mut self.entry) {
                entry.record.bytes_out += data.len() as u64;
            }
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        let ReplyBody { first, trailers, rest } = &self.body;
        first.is_none() && trailers.is_none() && rest.as_ref().is_none_or(|rest| rest.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.body.trailers.is_some() {
            // Only behind chunks is there room for trailers.
            return SizeHint::new();
        }
        added(self.body.first.as_ref(), self.body.rest.as_ref().map(|rest| rest.incoming.size_hint()))
    }
}

fn added(first: Option<&Bytes>, rest: Option<SizeHint>) -> SizeHint {
    let first = first.map_or(0, |bytes| bytes.len() as u64);
    let rest = rest.unwrap_or_else(|| SizeHint::with_exact(0));
    let mut hint = SizeHint::new();
    hint.set_lower(first + rest.lower());
    if let Some(upper) = rest.upper() {
        hint.set_upper(first + upper);
    }
    hint
}
