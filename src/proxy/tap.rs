//! Watching what a client sends, on its way to hyper: the head as it stands on the wire, and when it began.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{self, Checked, Framing, Refusal};
use crate::config::Limits;

/// A client's socket, watched.
pub(super) struct Tapped<S> {
    socket: S,
    tap: Rc<Tap>,
}

impl<S> Tapped<S> {
    pub(super) fn new(socket: S, tap: Rc<Tap>) -> Self {
        Self { socket, tap }
    }
}

/// What is known of one client connection beside what hyper tells.
#[derive(Debug)]
pub(super) struct Tap {
    wire: RefCell<Wire>,
    stage: Cell<Stage>,
    /// When the first byte of the request came that is being received.
    began: Cell<Option<Instant>>,
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
    /// The connection's position among those of its worker.
    place: Cell<usize>,
}

/// Where in the stream of requests the next byte belongs.
#[derive(Debug)]
struct Wire {
    at: Position,
    /// Bytes of the head that is being received, and of any that follow it already.
    head: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    Head,
    /// In a body with so many bytes still to come.
    Body(u64),
    /// In a body whose end is not known here: the connection serves no request after it.
    Unknown,
}

/// What a connection is doing, since when.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nothing was sent since the last reply.
    Idle(Instant),
    /// A request's head is being received.
    Head(Instant),
    /// A request is being answered.
    Busy,
}

/// What a connection is asked to do from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    /// Finish what is begun, and close.
    Drain,
    /// Close now.
    Close,
}

impl Tap {
    pub(super) fn new(now: Instant, place: usize) -> Self {
        Self {
            wire: RefCell::new(Wire { at: Position::Head, head: Vec::new() }),
            stage: Cell::new(Stage::Head(now)),
            began: Cell::new(None),
            order: Cell::new(Order::Serve),
            waker: RefCell::new(None),
            place: Cell::new(place),
        }
    }

    /// Checks the head that hyper has just handed over, and steps behind it. Returns when its first
    /// byte came, if that is known, and how its body is delimited.
    pub(super) fn take_head(&self) -> Result<(Option<Instant>, Framing), Refusal> {
        self.stage.set(Stage::Busy);
        let began = self.began.take();
        let mut wire = self.wire.borrow_mut();
        let Checked { len, framing } = framing::check(&wire.head)?;
        wire.step_behind(len, framing);
        Ok((began, framing))
    }

    /// The reply has gone out, or nobody wants it any more.
    pub(super) fn request_done(&self, now: Instant) {
        let more = !self.wire.borrow().head.is_empty();
        self.stage.set(if more { Stage::Head(now) } else { Stage::Idle(now) });
        self.began.set(more.then_some(now));
    }

    /// Calls `look` with the bytes of a head that hyper could not parse.
    pub(super) fn with_broken_head<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.wire.borrow().head)
    }

    /// Whether the client takes longer than it may.
    pub(super) fn is_overdue(&self, now: Instant, limits: &Limits) -> bool {
        let (since, limit) = match self.stage.get() {
            Stage::Idle(since) => (since, limits.idle_timeout),
            Stage::Head(since) => (since, limits.header_timeout),
            Stage::Busy => return false,
        };
        now.saturating_duration_since(since) > limit.max(Duration::from_millis(1))
    }

    /// Whether any byte of a request has come that is not answered yet.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.stage.get(), Stage::Busy) || self.began.get().is_some()
    }

    pub(super) fn place(&self) -> usize {
        self.place.get()
    }

    pub(super) fn move_to(&self, place: usize) {
        self.place.set(place);
    }

    pub(super) fn order(&self) -> Order {
        self.order.get()
    }

    /// Gives an order and wakes the connection.
    pub(super) fn give(&self, order: Order) {
        self.order.set(order);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Remembers whom to wake when an order comes.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn received(&self, bytes: &[u8]) {
        let mut wire = self.wire.borrow_mut();
        if !wire.receive(bytes) || self.began.get().is_some() {
            return;
        }
        let now = Instant::now();
        self.began.set(Some(now));
        if matches!(self.stage.get(), Stage::Idle(_)) {
            self.stage.set(Stage::Head(now));
        }
    }
}

impl Wire {
    /// Takes up what was read. True if any of it belongs to a head.
    fn receive(&mut self, bytes: &[u8]) -> bool {
        let bytes = match self.at {
            Position::Unknown => return false,
            Position::Head => bytes,
            Position::Body(left) => {
                let of_body = left.min(bytes.len() as u64);
                let left = left - of_body;
                self.at = if left == 0 { Position::Head } else { Position::Body(left) };
                &bytes[of_body as usize..]
            }
        };
        self.head.extend_from_slice(bytes);
        !bytes.is_empty()
    }

    fn step_behind(&mut self, head: usize, framing: Framing) {
        let received = (self.head.len() - head) as u64;
        match framing {
            Framing::Chunked => {
                self.head.clear();
                self.at = Position::Unknown;
            }
            Framing::Length(body) if body >= received => {
                self.head.clear();
                self.at = if body == received { Position::Head } else { Position::Body(body - received) };
            }
            Framing::Length(body) => {
                self.head.drain(..head + body as usize);
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.socket).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            this.tap.received(new);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";

    fn received(parts: &[&[u8]]) -> Tap {
        let tap = Tap::new(Instant::now(), 0);
        for part in parts {
            tap.received(part);
        }
        tap
    }

    #[test]
    fn a_body_is_stepped_over_wherever_the_reads_fall() {
        for parts in [&[HEAD, b"abc", HEAD, b"abc"][..], &[HEAD, b"a"], &[&[HEAD, b"abc", HEAD, b"ab"].concat()]] {
            let tap = received(parts);
            assert_eq!(tap.take_head().map(|(_, framing)| framing), Ok(Framing::Length(3)));
            tap.received(b"bc");
            tap.request_done(Instant::now());
            if parts.len() != 2 {
                assert_eq!(tap.take_head().map(|(_, framing)| framing), Ok(Framing::Length(3)), "the second request");
            }
        }
    }

    #[test]
    fn only_the_head_and_the_idle_time_are_limited() {
        let limits = Limits {
            callback_body: 0,
            connections: 0,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            connect_timeout: Duration::ZERO,
            upstream_timeout: Duration::ZERO,
            upstream_idle: Duration::ZERO,
        };
        let start = Instant::now();
        let overdue = |tap: &Tap, seconds| tap.is_overdue(start + Duration::from_secs(seconds), &limits);
        let tap = Tap::new(start, 0);
        assert!(!overdue(&tap, 10));
        assert!(overdue(&tap, 11), "a head is not complete after 10 s");
        tap.received(HEAD);
        tap.take_head().unwrap();
        assert!(!overdue(&tap, 1000), "a request is being answered");
        tap.received(b"abc");
        tap.request_done(start);
        assert!(!overdue(&tap, 75));
        assert!(overdue(&tap, 76), "nothing came for 75 s");
    }
}
