//! HTTP/2 from clients: many requests over one connection, each on the same path as those of HTTP/1.1.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::arrival::Connection;
use super::body::Outgoing;
use super::client::Client;
use super::framing::{Refusal, is_host};
use super::handler::handle;
use super::rewound::Rewound;
use super::tap::{Order, Tap};
use super::tapped::Tapped;

/// What a client that speaks HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests of one client at a time; RFC 9113 advises no less than 100.
const STREAMS: u32 = 128;
/// Bytes of a body that may come before they are taken, and of all bodies of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes of a reply that wait for the client to take them.
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of a request's header fields, as RFC 9113 counts them.
const HEADER_LIST: u32 = 64 * 1024;
/// Requests taken back before they could be looked at, later than that, and refused ones, that a connection survives
/// (CVE-2023-44487, CVE-2025-8671).
const TAKEN_BACK: usize = 20;
const TAKEN_BACK_LATER: u64 = 100;
const REFUSED: usize = 256;
/// Every so often a client is asked whether it is still there, and has as long to say so.
const PING: Duration = Duration::from_secs(20);

/// Whether a client begins as HTTP/2 does, without having said so before. Reads on until that is clear.
pub(super) async fn begins(connection: &Connection, client: &mut Client) -> bool {
    loop {
        let known = client.unread.len().min(PREFACE.len());
        if known == 0 || client.unread[..known] != PREFACE[..known] {
            return false;
        }
        if known == PREFACE.len() {
            return true;
        }
        if !matches!(client.receive(1, &connection.worker.buffers).await, Ok(1..)) {
            return false;
        }
    }
}

/// Serves a client to its end.
pub(super) async fn serve(connection: &Rc<Connection>, client: Client) {
    let tap = &connection.tap;
    tap.multiplex(Instant::now());
    let patience = connection.worker.live.snapshot().config.limits.idle_timeout;
    let streams = Streams { begun: Rc::default(), patience };
    let (served, begun, budget) = (connection.clone(), streams.begun.clone(), Rc::<Budget>::default());
    let service = service_fn(move |request: Request<Incoming>| {
        let (connection, pace) = (served.clone(), Rc::<Pace>::default());
        begun.replace(Some(pace.clone()));
        let asked = Asked { budget: budget.clone(), tap: connection.tap.clone(), is_answered: false };
        Box::pin(async move {
            let mut asked = asked;
            let response = handle(connection, request).await;
            asked.is_answered = true;
            Ok::<_, std::convert::Infallible>(response.map(|body| Paced { body, pace }))
        })
    });
    let socket = Rewound::new(client.unread.into(), client.stream);
    let mut http = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(REFUSED)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(Tapped::new(socket, tap.clone())), service);
    let mut draining = false;
    let ended = poll_fn(|cx| {
        tap.listen(cx);
        if tap.order() == Order::Close {
            return Poll::Ready(Ok(()));
        }
        // First what has come in already.
        if let Poll::Ready(result) = Pin::new(&mut http).poll(cx) {
            return Poll::Ready(result);
        }
        if draining || tap.order() != Order::Drain || tap.awaits_head(Instant::now()) {
            return Poll::Pending;
        }
        draining = true;
        Pin::new(&mut http).graceful_shutdown();
        Pin::new(&mut http).poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!("client connection: {error}");
    }
}

/// How many requests a client has had answered, and how many it has taken back. Each of these may have cost a bot
/// its work, and is no longer one of those that are open at a time.
#[derive(Debug, Default)]
struct Budget {
    answered: Cell<u64>,
    taken_back: Cell<u64>,
}

/// A request until it is answered.
struct Asked {
    budget: Rc<Budget>,
    tap: Rc<Tap>,
    is_answered: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Budget { answered, taken_back } = &*self.budget;
        if self.is_answered {
            return answered.set(answered.get() + 1);
        }
        taken_back.set(taken_back.get() + 1);
        if taken_back.get() > TAKEN_BACK_LATER + answered.get() {
            self.tap.give(Order::Close);
        }
    }
}

/// Runs what answers a client's requests. A request is begun, and then run: hyper does both in one go.
#[derive(Clone)]
struct Streams {
    begun: Rc<RefCell<Option<Rc<Pace>>>>,
    /// How long a client may leave a part of a reply untaken.
    patience: Duration,
}

impl<F: Future + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (pace, patience) = (self.begun.take(), self.patience);
        spawn_local(async move {
            let mut stream = Box::pin(stream);
            // Dropped when its client takes nothing any more, it is reset.
            while timeout(patience, &mut stream).await.is_err() {
                if pace.as_ref().is_some_and(|pace| pace.is_stuck(patience)) {
                    return;
                }
            }
        });
    }
}

/// Since when a part of a reply waits to be taken by the client.
#[derive(Debug, Default)]
struct Pace(Cell<Option<Instant>>);

impl Pace {
    fn is_stuck(&self, patience: Duration) -> bool {
        self.0.get().is_some_and(|since| since.elapsed() >= patience)
    }
}

/// A reply's body: the next part is asked for once the client has room for it.
struct Paced {
    body: Outgoing,
    pace: Rc<Pace>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        let waits = matches!(poll, Poll::Ready(Some(_)));
        self.pace.0.set(waits.then(Instant::now));
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Checks what hyper lets pass: a request has one host, one length, and a path.
pub(super) fn check<B: Body>(request: &Request<B>) -> Result<(), Refusal> {
    let (uri, headers) = (request.uri(), request.headers());
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let is_http = uri.scheme().is_none_or(|scheme| matches!(scheme.as_str(), "http" | "https"));
    if !is_http || !uri.path().starts_with('/') {
        return Err(Refusal::Target);
    }
    let host = only(headers, &HOST).map_err(|()| Refusal::HostRepeated)?.map(HeaderValue::as_bytes);
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (authority, host) {
        (None, None) => return Err(Refusal::HostMissing),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => return Err(Refusal::HostDiffers),
        (Some(host), _) | (_, Some(host)) if !is_host(host) => return Err(Refusal::HostMalformed),
        _ => {}
    }
    let length = only(headers, &CONTENT_LENGTH).map_err(|()| Refusal::ContentLength)?;
    let is_number = |length: &HeaderValue| length.to_str().is_ok_and(|text| text.parse::<u64>().is_ok());
    // The library counts the bytes of a body. Where it says there are none, no length may say so either.
    let agrees = |length: &HeaderValue| !request.body().is_end_stream() || length.as_bytes().iter().all(|b| *b == b'0');
    if length.is_some_and(|length| !is_number(length) || !agrees(length)) {
        return Err(Refusal::ContentLength);
    }
    Ok(())
}

/// The value of a header that may stand there once.
fn only<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Result<Option<&'h HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

/// Makes one Cookie of several, as HTTP/1.1 has it (RFC 9113, section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};

    use super::*;

    fn checked(uri: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let builder = Request::builder().method("POST").uri(uri);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        check(&builder.body(Full::new(Bytes::from_static(b"hi"))).unwrap())
    }

    #[test]
    fn one_host_one_length_and_a_path_pass() {
        for (uri, headers) in [
            ("https://a/", &[][..]),
            ("http://a:80/b?c", &[("host", "A:80"), ("content-length", "2")]),
            ("/b", &[("host", "a")]),
            ("https://[::1]:8443/", &[]),
        ] {
            assert_eq!(checked(uri, headers), Ok(()), "{uri} {headers:?}");
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for (uri, headers, refusal) in [
            ("/", &[][..], Refusal::HostMissing),
            ("https://a/", &[("host", "b")], Refusal::HostDiffers),
            ("https://a/", &[("host", "a"), ("host", "a")], Refusal::HostRepeated),
            ("https://u@a/", &[], Refusal::HostMalformed),
            ("/", &[("host", "a/b")], Refusal::HostMalformed),
            ("ftp://a/", &[], Refusal::Target),
            ("*", &[("host", "a")], Refusal::Target),
            ("https://a/", &[("content-length", "2"), ("content-length", "2")], Refusal::ContentLength),
            ("https://a/", &[("content-length", "2x")], Refusal::ContentLength),
        ] {
            assert_eq!(checked(uri, headers), Err(refusal), "{uri} {headers:?}");
        }
        let nothing = Request::post("https://a/").header("content-length", "2").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(check(&nothing), Err(Refusal::ContentLength));
        let connect = Request::connect("a:80").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(check(&connect), Err(Refusal::Connect));
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let mut headers = HeaderMap::new();
        for crumb in ["a=1", "b=2", "c=3"] {
            headers.append(COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }
}
