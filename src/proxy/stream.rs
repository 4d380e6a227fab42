use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A socket to a client or to a bot.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A client's, boxed: few have one, and it takes much room.
    Tls(Box<TlsStream<Stream>>),
}

/// Runs the same expression on whichever socket it is.
macro_rules! on_socket {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Stream::Unix(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Stream::Tls(session) => {
                let $socket = Pin::new(&mut **session);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_socket!(self, socket => socket.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_socket!(self, socket => socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, socket => socket.poll_shutdown(cx))
    }
}

impl Stream {
    /// Waits until there is something to read, or nothing will come any more. It takes no memory to wait in.
    pub(super) async fn readable(&mut self) -> io::Result<()> {
        poll_fn(|cx| match self {
            // What the client said last may be deciphered already, and no socket tells of that. What has come may
            // also hold nothing to read: only deciphering it shows.
            Self::Tls(session) => Pin::new(&mut **session).poll_fill_buf(cx).map_ok(drop),
            _ => self.poll_readable(cx),
        })
        .await
    }

    /// Whether nothing is known to have come over it, not even its end.
    pub(super) fn is_quiet(&self) -> bool {
        if self.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending() {
            return true;
        }
        // What was read last may have been all there was, so that only trying tells.
        let nothing = match self {
            Self::Tcp(socket) => socket.try_read(&mut [0]),
            Self::Unix(socket) => socket.try_read(&mut [0]),
            // Not without changing the session.
            Self::Tls(_) => return false,
        };
        nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
            Self::Tls(session) => session.get_ref().0.poll_readable(cx),
        }
    }
}

/// A client that has been accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: Stream,
    /// None over a unix socket.
    pub(super) peer: Option<IpAddr>,
}

/// An accepted client on its way to another worker: its socket belongs to no runtime.
#[derive(Debug)]
pub(super) enum Handed {
    Tcp(std::net::TcpStream, Option<IpAddr>),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    pub(super) fn hand_over(self) -> io::Result<Handed> {
        Ok(match self.stream {
            Stream::Tcp(socket) => Handed::Tcp(socket.into_std()?, self.peer),
            Stream::Unix(socket) => Handed::Unix(socket.into_std()?),
            // A session stays with the worker that began it.
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl Handed {
    /// Gives the socket to the runtime of this thread.
    pub(super) fn take(self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(socket, peer) => Accepted { stream: Stream::Tcp(TcpStream::from_std(socket)?), peer },
            Self::Unix(socket) => Accepted { stream: Stream::Unix(UnixStream::from_std(socket)?), peer: None },
        })
    }
}
