use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::buffers::Buffers;
use super::stream::Stream;
use super::tap::Tap;

/// A client's socket, and what of it was read and not answered yet.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) unread: Vec<u8>,
}

impl Client {
    pub(super) fn new(stream: Stream, unread: Vec<u8>) -> Self {
        Self { stream, unread }
    }

    /// Reads what is there, `missing` bytes at least if they come at once. While there is nothing, a client
    /// that is waited for takes no memory.
    pub(super) async fn receive(&mut self, missing: usize, buffers: &Buffers) -> io::Result<usize> {
        if self.unread.capacity() == 0 {
            self.stream.readable().await?;
            self.unread = buffers.take();
        }
        self.unread.reserve(missing);
        self.stream.read_buf(&mut self.unread).await
    }

    /// Forgets a request of so many bytes, which was answered. False if nothing stands behind it.
    pub(super) fn consume(&mut self, length: usize, buffers: &Buffers) -> bool {
        self.unread.drain(..length);
        self.has_begun(buffers)
    }

    /// Whether part of a request is here. Empty lines may stand before one (RFC 9112, section 2.2); they do
    /// not begin it.
    pub(super) fn has_begun(&mut self, buffers: &Buffers) -> bool {
        let lines = self.unread.chunks(2).take_while(|line| line == b"\r\n").count();
        self.unread.drain(..2 * lines);
        if self.unread.is_empty() {
            buffers.give(std::mem::take(&mut self.unread));
        }
        !self.unread.is_empty()
    }

    pub(super) async fn send(&mut self, mut bytes: &[u8], tap: &Tap) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| {
                let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
                match &poll {
                    Poll::Pending => tap.nothing_moves(),
                    Poll::Ready(_) => tap.moved(),
                }
                poll
            });
            match sent.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                sent => bytes = &bytes[sent..],
            }
        }
        // What TLS has made of it may not have gone out yet. A socket has nothing of the kind.
        poll_fn(|cx| {
            let poll = Pin::new(&mut self.stream).poll_flush(cx);
            if poll.is_pending() {
                tap.nothing_moves();
            }
            poll
        })
        .await
    }

    /// Tells the client that nothing more will come.
    pub(super) async fn end(&mut self) {
        // It may be gone already.
        let _ = self.stream.shutdown().await;
    }
}
