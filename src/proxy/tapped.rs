//! Watching a client's socket, on its way to hyper.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tap::Tap;

/// A client's socket, watched.
pub(super) struct Tapped<S> {
    socket: S,
    tap: Rc<Tap>,
    /// What was written has not gone out yet.
    is_held_up: bool,
}

impl<S> Tapped<S> {
    pub(super) fn new(socket: S, tap: Rc<Tap>) -> Self {
        Self { socket, tap, is_held_up: false }
    }

    pub(super) fn into_socket(self) -> S {
        self.socket
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.socket).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if poll.is_pending() {
            this.tap.nothing_to_read();
        } else if !new.is_empty() {
            this.tap.moved();
            this.tap.received(new);
        }
        poll
    }
}

impl<S> Tapped<S> {
    /// Notes whether the client takes what it is sent.
    fn written(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &poll {
            Poll::Pending => self.tap.nothing_moves(),
            Poll::Ready(_) => self.tap.moved(),
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.socket).poll_flush(cx);
        if poll.is_pending() {
            self.tap.nothing_moves();
        } else if self.is_held_up {
            self.tap.moved();
        }
        self.is_held_up = poll.is_pending();
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
