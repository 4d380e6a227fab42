//! Requests that hyper sends, with bodies that are streamed.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::spawn_local;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Pool, Resumed, UpstreamError};
use crate::config::Limits;
use crate::proxy::body::{Leased, RequestBody};
use crate::state::Flight;

/// A request for hyper to send.
pub(in crate::proxy) struct ToBot {
    pub(in crate::proxy) request: Box<Request<RequestBody>>,
    /// The connection over which the bot has it already, and has begun to answer.
    pub(in crate::proxy) resumed: Option<Box<Resumed>>,
    /// Shared with other deliveries of the same callback.
    pub(in crate::proxy) flight: Option<Flight>,
}

#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    /// Whether any byte came since the last request was sent.
    heard: Rc<Cell<bool>>,
}

impl Connection {
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_ready()
    }
}

/// An attempt that failed.
struct Failed {
    error: UpstreamError,
    /// The request, where none of it was sent.
    unsent: Option<Box<Request<RequestBody>>>,
    /// No byte of an answer came before the connection closed.
    unheard: bool,
}

impl Pool {
    /// Sends a request, and waits for the head of the answer.
    ///
    /// A pooled connection that the upstream had closed before any byte of an answer came is the one case
    /// in which the request is sent again, once, over a fresh connection.
    pub(in crate::proxy) async fn send(
        self: &Rc<Self>,
        to_bot: ToBot,
        limits: &Limits,
    ) -> Result<Response<Leased>, UpstreamError> {
        self.idle_for.set(limits.upstream_idle);
        let ToBot { request, resumed, .. } = to_bot;
        if let Some(resumed) = resumed {
            return Box::pin(self.resume(request, *resumed, limits)).await;
        }
        let request = match self.streamed.take(limits.upstream_idle, Connection::is_open) {
            None => request,
            Some(connection) => {
                let spare = again(&request);
                match self.send_over(connection, request, limits).await {
                    Ok(response) => return Ok(response),
                    Err(Failed { unsent: Some(request), .. }) => request,
                    Err(Failed { error, unheard, .. }) => spare.filter(|_| unheard).ok_or(error)?,
                }
            }
        };
        // Boxed: most requests find a connection, and should not carry the room that making one takes.
        Box::pin(self.send_afresh(request, limits)).await
    }

    async fn send_afresh(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
        limits: &Limits,
    ) -> Result<Response<Leased>, UpstreamError> {
        let connection = timeout(limits.connect_timeout, self.connect()).await;
        let connection = connection.map_err(|_| UpstreamError::ConnectTimeout)??;
        self.send_over(connection, request, limits).await.map_err(|failed| failed.error)
    }

    /// Takes the answer to a request that was sent already. What hyper sends of it once more goes nowhere.
    async fn resume(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
        resumed: Resumed,
        limits: &Limits,
    ) -> Result<Response<Leased>, UpstreamError> {
        let connection = converse(Answered { stream: resumed.rewound(), is_written: false, reader: None }).await?;
        let mut answer = self.send_over(connection, request, limits).await.map_err(|failed| failed.error)?;
        answer.body_mut().lease.pool = None;
        Ok(answer)
    }

    async fn send_over(
        self: &Rc<Self>,
        mut connection: Connection,
        request: Box<Request<RequestBody>>,
        limits: &Limits,
    ) -> Result<Response<Leased>, Failed> {
        connection.heard.set(false);
        let received = request.body().received();
        let sending = pin!(connection.sender.try_send_request(*request));
        match unless_stuck(limits.upstream_timeout, &received, sending).await {
            Err(_) => Err(Failed { error: UpstreamError::Timeout, unsent: None, unheard: false }),
            Ok(Err(mut failed)) => {
                let (unsent, unheard) = (failed.take_message().map(Box::new), !connection.heard.get());
                Err(Failed { error: UpstreamError::Broken(failed.into_error()), unsent, unheard })
            }
            Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Err(Failed { error: UpstreamError::Switched, unsent: None, unheard: false })
            }
            Ok(Ok(response)) => {
                // To one that has spoken HTTP/1.0, hyper sends no chunks any more: a body of unknown length would
                // be left out.
                let pool = (response.version() == Version::HTTP_11).then(|| self.clone());
                let lease = Lease { connection: Some(connection), pool };
                Ok(response.map(|incoming| Leased { incoming, lease }))
            }
        }
    }

    async fn connect(&self) -> Result<Connection, UpstreamError> {
        let stream = self.open().await?;
        match self.connector().map_err(UpstreamError::Tls)? {
            Some(connector) => converse(connector.connect(stream).await.map_err(UpstreamError::Tls)?).await,
            None => converse(stream).await,
        }
    }
}

/// A connection in use. It goes back to its pool once the answer has been read.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    connection: Option<Connection>,
    /// None where the connection serves no other request.
    pool: Option<Rc<Pool>>,
}

impl Lease {
    /// Of a connection that serves no other request.
    pub(super) fn last(sender: SendRequest<RequestBody>) -> Self {
        Self { connection: Some(Connection { sender, heard: Rc::default() }), pool: None }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // One on which hyper still reads the answer or sends the request's body is closed.
        if let Some(connection) = self.connection.take().filter(Connection::is_open)
            && let Some(pool) = &self.pool
        {
            pool.streamed.put(connection);
            pool.watch();
        }
    }
}

/// Waits for `limit`, and begins anew as long as a client's body is still coming: its time is not the bot's.
async fn unless_stuck<F: Future>(
    limit: Duration,
    received: &Cell<u64>,
    mut work: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    loop {
        let before = received.get();
        match timeout(limit, work.as_mut()).await {
            Err(_) if received.get() != before => {}
            outcome => return outcome,
        }
    }
}

/// The same request once more, if its body can be had again.
fn again(request: &Request<RequestBody>) -> Option<Box<Request<RequestBody>>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(Box::new(copy))
}

/// HTTP with a bot, whose small sins in its headers are passed over, as other clients do.
pub(super) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .preserve_header_case(true)
        .title_case_headers(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    builder
}

/// Begins HTTP on a connection.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + 'static>(stream: S) -> Result<Connection, UpstreamError> {
    let heard = Rc::new(Cell::new(false));
    let stream = Listening { stream, heard: heard.clone(), is_deaf: false };
    let (sender, connection) = builder().handshake(TokioIo::new(stream)).await.map_err(UpstreamError::Broken)?;
    spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!("upstream connection: {error}");
        }
    });
    Ok(Connection { sender, heard })
}

/// A socket that notes when anything is heard from the other side.
///
/// A bot may answer before it has read all of the request, and close: then the rest can not be sent, but the answer
/// is there all the same. So what the bot does not take any more goes nowhere, and reading tells how it ended.
struct Listening<S> {
    stream: S,
    heard: Rc<Cell<bool>>,
    /// The bot takes nothing any more.
    is_deaf: bool,
}

impl<S> Listening<S> {
    fn written(&mut self, length: usize, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match poll {
            Poll::Ready(Err(_)) => {
                self.is_deaf = true;
                Poll::Ready(Ok(length))
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard.set(true);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(buf.len(), poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(length));
        }
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(length, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(_)) => {
                self.is_deaf = true;
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A socket over which a request went already. What is written to it goes nowhere; what came over it is read
/// once something was written, as hyper takes no answer before it.
struct Answered<S> {
    stream: S,
    is_written: bool,
    reader: Option<Waker>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Answered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_written {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<S: Unpin> AsyncWrite for Answered<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_written = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
