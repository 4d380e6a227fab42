//! Connections to the bots: opened on demand, kept for the next request, each used for one at a time.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_local;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

use super::body::{Leased, RequestBody};
use super::stream::Stream;
use super::tls::{self, Connector};
use crate::config::{Address, Limits, Upstream};
use crate::policy::Failure;

/// One worker's pools, one an upstream.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    pools: RefCell<Vec<Rc<Pool>>>,
}

impl Upstreams {
    pub(super) fn pool(&self, upstream: &Arc<Upstream>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) =
            pools.iter().find(|pool| Arc::ptr_eq(&pool.upstream, upstream) || pool.upstream == *upstream)
        {
            return pool.clone();
        }
        let pool = Rc::new(Pool::new(upstream.clone()));
        pools.push(pool.clone());
        pool
    }
}

/// Why there is no answer of the bot.
#[derive(Debug)]
pub(super) enum UpstreamError {
    Connect(io::Error),
    ConnectTimeout,
    Tls(io::Error),
    /// The connection broke, or what came over it is no HTTP.
    Broken(hyper::Error),
    /// The head of the answer took too long.
    Timeout,
    /// The body of the answer took too long.
    BodyTimeout,
    /// The bot switched protocols without being asked.
    Switched,
}

impl UpstreamError {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::ConnectTimeout | Self::Timeout | Self::BodyTimeout => Failure::Timeout,
            Self::Connect(_) | Self::Tls(_) | Self::Broken(_) | Self::Switched => Failure::Error,
        }
    }

    /// Whether it was the client that broke off, in the middle of its body.
    pub(super) fn is_the_clients(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_user())
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.failure() {
            Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Failure::Error => StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::ConnectTimeout => f.write_str("cannot connect: no answer within connect_timeout"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::Broken(error) if error.is_incomplete_message() => {
                f.write_str("the connection was closed before the reply was complete")
            }
            Self::Broken(error) if error.is_parse() => write!(f, "the reply is not HTTP: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Timeout => f.write_str("no reply within upstream_timeout"),
            Self::BodyTimeout => f.write_str("the reply was not complete within upstream_timeout"),
            Self::Switched => f.write_str("the bot switched protocols without being asked to"),
        }
    }
}

/// The connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    upstream: Arc<Upstream>,
    connector: OnceCell<Option<Connector>>,
    /// The one that was used last is at the end, and is used next: the others may grow old and go.
    idle: RefCell<Vec<Idle>>,
    idle_for: Cell<Duration>,
    is_swept: Cell<bool>,
    warned: Cell<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<RequestBody>,
    /// Whether any byte came since the last request was sent.
    heard: Rc<Cell<bool>>,
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
    fn new(upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            connector: OnceCell::new(),
            idle: RefCell::default(),
            idle_for: Cell::default(),
            is_swept: Cell::default(),
            warned: Cell::default(),
        }
    }

    /// Sends a request, and waits for the head of the answer.
    ///
    /// A pooled connection that the upstream had closed before any byte of an answer came is the one case
    /// in which the request is sent again, once, over a fresh connection.
    pub(super) async fn send(
        self: &Rc<Self>,
        request: Box<Request<RequestBody>>,
        limits: &Limits,
    ) -> Result<Response<Leased>, UpstreamError> {
        self.idle_for.set(limits.upstream_idle);
        let request = match self.reuse() {
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

    /// A connection that was open a moment ago.
    fn reuse(&self) -> Option<Connection> {
        loop {
            let Idle { connection, since } = self.idle.borrow_mut().pop()?;
            if since.elapsed() > self.idle_for.get() {
                // All others have been idle for longer.
                self.idle.borrow_mut().clear();
                return None;
            }
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
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
                let lease = Lease { connection: Some(connection), pool: self.clone() };
                Ok(response.map(|incoming| Leased { incoming, lease }))
            }
        }
    }

    async fn connect(&self) -> Result<Connection, UpstreamError> {
        let stream = match &self.upstream.address {
            Address::Tcp { host, port } => tcp(host, *port).await.map(Stream::Tcp),
            Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        };
        let stream = stream.map_err(UpstreamError::Connect)?;
        match self.connector().map_err(UpstreamError::Tls)? {
            Some(connector) => converse(connector.connect(stream).await.map_err(UpstreamError::Tls)?).await,
            None => converse(stream).await,
        }
    }

    fn connector(&self) -> io::Result<Option<&Connector>> {
        if self.connector.get().is_none() {
            let made = tls::connector(&self.upstream)?;
            return Ok(self.connector.get_or_init(|| made).as_ref());
        }
        Ok(self.connector.get().and_then(Option::as_ref))
    }

    fn give_back(self: &Rc<Self>, connection: Connection) {
        self.idle.borrow_mut().push(Idle { connection, since: Instant::now() });
        if !self.is_swept.replace(true) {
            spawn_local(self.clone().sweep());
        }
    }

    /// Closes connections that have been idle for too long, until none is left.
    async fn sweep(self: Rc<Self>) {
        while !self.idle.borrow().is_empty() {
            sleep(Duration::from_secs(1)).await;
            self.idle.borrow_mut().retain(|idle| idle.since.elapsed() <= self.idle_for.get());
        }
        self.is_swept.set(false);
    }

    /// Says on the diagnostics log what is wrong, at most once a second.
    pub(super) fn warn(&self, route: &str, what: impl fmt::Display) {
        let now = Instant::now();
        if self.warned.get().is_none_or(|last| now - last >= Duration::from_secs(1)) {
            self.warned.set(Some(now));
            tracing::warn!(route, upstream = self.upstream.url, "{what}");
        }
    }
}

/// A connection in use. It goes back to its pool once the answer has been read.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Connection>,
    pool: Rc<Pool>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // One on which hyper still reads the answer or sends the request's body is closed.
        if let Some(connection) = self.connection.take().filter(|connection| connection.sender.is_ready()) {
            self.pool.give_back(connection);
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

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = match host.parse::<std::net::IpAddr>() {
        Ok(address) => TcpStream::connect((address, port)).await?,
        Err(_) => TcpStream::connect((host, port)).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Begins HTTP on a connection. A bot's small sins in its headers are passed over, as other clients do.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + 'static>(stream: S) -> Result<Connection, UpstreamError> {
    let heard = Rc::new(Cell::new(false));
    let stream = Listening { stream, heard: heard.clone() };
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .title_case_headers(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(UpstreamError::Broken)?;
    spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!("upstream connection: {error}");
        }
    });
    Ok(Connection { sender, heard })
}

/// A socket that notes when anything is heard from the other side.
struct Listening<S> {
    stream: S,
    heard: Rc<Cell<bool>>,
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
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
