//! HTTP/2 from clients: frames as they stand on the wire, and a client of hyper's for what is usual.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::tls::Authority;
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Client, Gate, PATIENCE, Setup, eventually, ok, text};
use crate::tls::secured;

type Body = Full<Bytes>;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("in time") })
}

/// Waits while the connection goes on.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn connected<B>(gate: &Gate) -> SendRequest<B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let socket = TcpStream::connect(("127.0.0.1", gate.port)).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn callback(words: &str) -> Request<Body> {
    let uri =
        "http://wx.example.com/wx?signature=b4ec&timestamp=1521777871&nonce=1&openid=oGO4t07Fz_DGdbkIs1snsuHFKRRE";
    Request::post(uri).header("content-type", "text/xml").body(Full::from(text(words))).unwrap()
}

fn page(uri: &str) -> Request<Body> {
    Request::get(uri).body(Full::default()).unwrap()
}

async fn whole(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn callbacks_and_pages_go_on_over_http_1_1() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    run(async {
        let mut sender = connected(&gate).await;
        for request in [callback("hi"), page("http://wx.example.com/page?a=b"), callback("hi")] {
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.headers()["content-length"], "5");
            assert!(!response.headers().contains_key("connection"));
            assert_eq!(whole(response).await, (200, "hello".to_owned()));
        }
    });
    let requests = bot.requests();
    assert!(String::from_utf8_lossy(&requests[0].body).contains("<Content><![CDATA[hi]]></Content>"));
    assert_eq!(requests[1].start, "GET /page?a=b HTTP/1.1");
    for request in &requests {
        assert_eq!(request.header("host"), Some("wx.example.com"));
        assert_eq!(request.header("x-forwarded-host"), Some("wx.example.com"));
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    }
    gate.record().is("forward", "no-rule").has(json!({"method": "POST", "bytes_in": text("hi").len()}));
}

#[test]
fn messages_are_handed_over_and_others_are_not_kept_waiting() {
    let bot = Bot::answering(|request| {
        if request.target().starts_with("/slow") {
            std::thread::sleep(Duration::from_millis(300));
        }
        reply("200 OK", "X-Kf-Transfer: 1\r\n", "success")
    });
    let gate = Gate::before(&bot);
    run(async {
        let sender = connected(&gate).await;
        let (mut one, mut other) = (sender.clone(), sender);
        let slow = one.send_request(page("http://a/slow"));
        let (status, body) = whole(other.send_request(callback("hi")).await.unwrap()).await;
        assert_eq!(status, 200);
        assert!(body.contains("transfer_customer_service"), "{body}");
        assert_eq!(whole(slow.await.unwrap()).await, (200, "success".to_owned()));
    });
    gate.record().is_transfer("rewrite", "flag");
}

#[test]
fn trailers_pass_in_both_directions() {
    let mut answer = b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    answer.extend(chunked(&[b"hello"], "x-sum: 7\r\nX-Kf-Transfer: 1\r\n"));
    let bot = Bot::saying(answer);
    let gate = Gate::before(&bot);
    run(async {
        let mut sender = connected(&gate).await;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-mine", "9".parse().unwrap());
        let frames = [Frame::data(Bytes::from_static(b"data")), Frame::trailers(trailers)];
        let body = Frames(frames.into_iter().collect());
        let request = Request::post("http://a/").header("trailer", "x-mine").header("te", "trailers");
        let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap().get("x-sum").unwrap(), "7");
        assert!(!collected.trailers().unwrap().contains_key("x-kf-transfer"));
    });
    let request = bot.request();
    assert_eq!((request.body_text(), &*request.trailers), ("data", &[("X-Mine".to_owned(), "9".to_owned())][..]));
}

/// A body of frames that are there already.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[test]
fn bodies_of_any_size_pass_in_both_directions() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Gate::before(&bot);
    let body = vec![b'x'; 3 << 20];
    run(async {
        let mut sender = connected(&gate).await;
        let request = Request::post("http://a/").body(Body::from(body.clone())).unwrap();
        let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert!(answer == body);
    });
}

#[test]
fn both_sides_agree_on_http_2_over_tls() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = secured(Setup::before(&bot), &authority).start();
    run(async {
        let socket = TcpStream::connect(("127.0.0.1", gate.port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(authority.client(&["h2", "http/1.1"])));
        let session = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        assert_eq!(session.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(session)).await.unwrap();
        tokio::spawn(connection);
        for request in [callback("hi"), page("https://wx.example.com/")] {
            assert_eq!(whole(sender.send_request(request).await.unwrap()).await, (200, "hello".to_owned()));
        }
    });
    assert!(bot.requests().iter().all(|request| request.header("x-forwarded-proto") == Some("https")));
}

#[test]
fn draining_answers_what_is_begun_and_closes() {
    let bot = Bot::slow(Duration::from_millis(300), ok("late"));
    let gate = Gate::before(&bot);
    run(async {
        let mut sender = connected(&gate).await;
        let answer = sender.send_request(callback("hi"));
        until(|| !bot.was_not_asked()).await;
        gate.drain(Duration::from_secs(5));
        assert_eq!(whole(answer.await.unwrap()).await, (200, "late".to_owned()));
    });
    eventually("the gate ends", || gate.has_ended().then_some(()));
}

#[test]
fn an_idle_connection_does_not_delay_the_end() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    run(async {
        let mut sender = connected(&gate).await;
        assert_eq!(whole(sender.send_request(callback("hi")).await.unwrap()).await.0, 200);
        gate.drain(Duration::from_mins(1));
        until(|| gate.has_ended()).await;
    });
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).limits("idle_timeout = \"1s\"").start();
    let mut client = Raw::connect(&gate);
    client.get(1, &[]);
    assert_eq!(client.status(1), Some(200));
    client.is_closed();
}

#[test]
fn a_head_has_its_time_and_no_more() {
    let bot = Bot::slow(Duration::from_millis(1500), ok("hello"));
    let gate = Setup::before(&bot).limits("header_timeout = \"300ms\"").start();
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0; 40]);
    for part in [&head[..3], &head[..20]] {
        let mut client = Raw::connect(&gate);
        // Another request is answered meanwhile, which takes longer: it is no reason to wait for this one.
        client.get(1, &[]);
        bot.wait_for_requests(1);
        client.0.send(part);
        assert_eq!(client.status(1), None);
    }
    // All of a head in time, however long the answer takes.
    let mut client = Raw::connect(&gate);
    client.get(1, &[]);
    assert_eq!(client.status(1), Some(200));
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client that sends frames as it likes.
struct Raw(Client);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK has them, each literal and with its name.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        assert!(name.len() < 127 && value.len() < 127);
        bytes.extend([0, name.len() as u8]);
        bytes.extend(name.as_bytes());
        bytes.push(value.len() as u8);
        bytes.extend(value.as_bytes());
    }
    bytes
}

impl Raw {
    fn connect(gate: &Gate) -> Self {
        let mut client = gate.connect();
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").send(frame(SETTINGS, 0, 0, &[]));
        Self(client)
    }

    /// A GET of `http://a/` with these fields beside.
    fn get(&mut self, stream: u32, more: &[(&str, &str)]) {
        let all = [&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")][..], more].concat();
        self.0.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&all)));
    }

    fn frame(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let head = self.0.try_read(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        Some((head[3], stream, self.0.try_read(length)?))
    }

    /// The status of the answer on this stream; None if it is reset, or all is over.
    fn status(&mut self, stream: u32) -> Option<u16> {
        loop {
            match self.frame()? {
                (HEADERS, on, block) if on == stream => return Some(status(&block)),
                (RST_STREAM, on, _) if on == stream => return None,
                (GOAWAY, ..) => return None,
                _ => {}
            }
        }
    }

    fn is_closed(&mut self) {
        while self.frame().is_some() {}
    }
}

/// The status stands first, from the static table or with its name (RFC 7541, appendix A).
fn status(block: &[u8]) -> u16 {
    // An update of the table's size may stand before it.
    let block = if block[0] >> 5 == 1 { &block[1..] } else { block };
    match block[0] {
        0x88 => 200,
        0x8c => 400,
        0x8d => 404,
        // Encoded by Huffman's code: "405" and "431" are told apart by their bytes.
        _ => match &block[2..] {
            [0x68, 0x0d | 0x0b, ..] => 405,
            rest => panic!("an unknown status: {rest:x?}"),
        },
    }
}

#[test]
fn what_is_ambiguous_is_refused_and_reaches_no_bot() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    for more in [
        &[("host", "b")][..],
        &[("host", "a"), ("host", "a")],
        &[("content-length", "5")],
        &[("content-length", "0"), ("content-length", "0")],
        &[("content-length", "1"), ("content-length", "2")],
        &[("content-length", "+0")],
        &[("transfer-encoding", "chunked")],
        &[("connection", "keep-alive")],
        &[("upgrade", "websocket")],
        &[("te", "gzip")],
        &[("X-Upper", "a")],
        &[("x y", "a")],
        &[("x:y", "a")],
        &[("x", "a\r\nInjected: b")],
        &[("x", "a\0b")],
        &[(":path", "/other")],
        &[(":authority", "b")],
        &[(":status", "200")],
        &[(":protocol", "websocket")],
        &[("", "a")],
    ] {
        let mut client = Raw::connect(&gate);
        client.get(1, more);
        assert!(matches!(client.status(1), None | Some(400)), "{more:?}");
    }
    for all in [
        &[(":method", "GET"), (":scheme", "http"), (":path", "/")][..],
        &[(":method", "GET"), (":scheme", "http"), (":path", "*"), (":authority", "a")],
        &[(":method", "GET"), (":scheme", "http"), (":path", "x"), (":authority", "a")],
        &[(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")],
        &[(":method", "GET"), (":scheme", "http"), (":path", "http://b/"), (":authority", "a")],
        &[(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1\r\nA: b"), (":authority", "a")],
        &[(":method", "GET / HTTP/1.1"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
        &[(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "a")],
        &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "u@a")],
        &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a b")],
        &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a\r\nX: b")],
        &[("a", "b"), (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
        &[(":method", "CONNECT"), (":authority", "a:80")],
    ] {
        let mut client = Raw::connect(&gate);
        client.0.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(all)));
        assert!(matches!(client.status(1), None | Some(400 | 405)), "{all:?}");
    }
    assert!(bot.was_not_asked(), "{:?}", bot.requests());
    let mut client = Raw::connect(&gate);
    client.get(1, &[("cookie", "a=1"), ("cookie", "b=2"), ("host", "A")]);
    assert_eq!(client.status(1), Some(200));
    assert_eq!(bot.request().header("cookie"), Some("a=1; b=2"));
}

#[test]
fn a_length_that_its_body_does_not_have_is_one_request_at_most() {
    let bot = Bot::with(|talk| {
        while let Some(head) = talk.head()? {
            talk.body(head)?;
            talk.send(ok("hello"))?;
        }
        Ok(())
    });
    let gate = Gate::before(&bot);
    let injected = b"GET /injected HTTP/1.1\r\nHost: a\r\n\r\n";
    for (length, data) in [("0", &injected[..]), ("5", injected), ("500", injected)] {
        let mut client = Raw::connect(&gate);
        let head =
            [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("content-length", length)];
        client.0.send(frame(HEADERS, END_HEADERS, 1, &fields(&head)));
        client.0.send(frame(0, END_STREAM, 1, data));
        assert!(matches!(client.status(1), None | Some(400)), "{length}");
    }
    Client::connect(gate.port).send("GET /last HTTP/1.1\r\nHost: a\r\n\r\n").reply().is(200, "hello");
    assert!(bot.requests().iter().all(|request| request.target() != "/injected"), "{:?}", bot.requests());
}

#[test]
fn who_takes_everything_back_is_shut_out() {
    let bot = Bot::slow(Duration::from_millis(100), ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = Raw::connect(&gate);
    let fields = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
    let flood: Vec<u8> = (0..5000_u32)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            let taken_back = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            [frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields), taken_back].concat()
        })
        .collect();
    // It may be shut out before it has sent everything.
    let _ = client.0.try_send(&flood);
    client.is_closed();
    gate.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is(200, "hello");
    assert!(bot.requests().len() < 1000, "{}", bot.requests().len());
}

#[test]
fn who_lets_bots_work_and_takes_it_back_is_shut_out() {
    let bot = Bot::slow(Duration::from_secs(2), ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = Raw::connect(&gate);
    let mut asked = 0;
    for stream in (1..1000).step_by(2) {
        let fields = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
        if client.0.try_send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)).is_err() {
            break;
        }
        // A connection that ends while this is waited for is found out with the next request.
        let _ = client.0.try_send(frame(6, 0, 0, &[7; 8]));
        while let Some((kind, ..)) = client.frame()
            && kind != 6
        {}
        asked += 1;
        let _ = client.0.try_send(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    client.is_closed();
    assert!((100..110).contains(&asked), "{asked}");
}

#[test]
fn a_connection_may_ask_for_much_one_after_another() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = Raw::connect(&gate);
    for stream in (1..600).step_by(2) {
        client.get(stream, &[]);
        assert_eq!(client.status(stream), Some(200), "{stream}");
    }
    assert_eq!(bot.requests().len(), 300);
}

#[test]
fn a_head_without_end_is_cut_off() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = Raw::connect(&gate);
    let _ = client.0.try_send(frame(HEADERS, END_STREAM, 1, &fields(&[(":method", "GET"), (":scheme", "http")])));
    let part = frame(9, 0, 1, &fields(&[("x", "y")]).repeat(1000));
    for _ in 0..1000 {
        if client.0.try_send(&part).is_err() {
            break;
        }
    }
    client.is_closed();
    assert!(bot.was_not_asked());
    gate.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is(200, "hello");
}

#[test]
fn what_only_begins_like_http_2_is_refused() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    for start in [
        "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n",
        "PRI /a HTTP/1.1\r\nHost: a\r\n",
        "PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = gate.connect();
        client.send(start).finish();
        assert!(!client.ended().windows(5).any(|window| window == b"hello"), "{start:?}");
    }
    assert!(bot.was_not_asked());
    // Bit by bit it is HTTP/2 all the same.
    let mut client = gate.connect();
    for part in [&b"P"[..], b"RI * HT", b"TP/2.0\r\n\r\nSM\r\n", b"\r\n"] {
        client.send(part);
        std::thread::yield_now();
    }
    let mut client = Raw(client);
    client.0.send(frame(SETTINGS, 0, 0, &[]));
    client.get(1, &[]);
    assert_eq!(client.status(1), Some(200));
}

#[test]
fn a_reply_that_nobody_takes_is_given_up() {
    let body = vec![b'x'; 4 << 20];
    let bot = Bot::saying(ok(&body));
    let gate = Setup::before(&bot).limits("idle_timeout = \"500ms\"").start();
    let mut client = Raw::connect(&gate);
    // Its window stays as it is: nothing more than 65,535 bytes may come.
    client.get(1, &[]);
    assert_eq!(client.status(1), Some(200));
    gate.record().has(json!({"status": 200}));
    client.is_closed();
}
