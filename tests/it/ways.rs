//! The gate speaks HTTP in two ways, its own and hyper's, and nobody is to notice which: the same bytes, cut in the
//! same places, sent to one gate that has both and to one that has only hyper's, are the same requests to the bot, the
//! same answers to the client, and the same lines in the log.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::support::strict::Request;
use crate::support::wechat::{bots_transfer, says};
use crate::support::wire::chunked;
use crate::support::{Gate, PATIENCE, Recorder, Setup, event, eventually, shown, text};

/// What a bot may answer, and whether it closes the connection then. The number stands in the target.
fn answers() -> Vec<(Vec<u8>, bool)> {
    let chunks = |trailers: &str| String::from_utf8(chunked(&[b"hel", b"lo"], trailers)).unwrap();
    let reply = says("hm");
    let stays = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{reply}", reply.len()),
        format!("HTTP/1.1 200 OK\r\nX-Flag: 1\r\nX_Flag: 1\r\nContent-Length: {}\r\n\r\n{reply}", reply.len()),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", bots_transfer().len(), bots_transfer()),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunks("")),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunks("X-T: 1\r\nX-Flag: 1\r\nX_Flag: 1\r\n")),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_owned(),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops".to_owned(),
        "HTTP/1.1 302 \r\nLocation: /x\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-A:  two  words \r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        format!("{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".repeat(9)),
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi".to_owned(),
        "HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\nodd line\r\nX A: b\r\n\r\nhi".to_owned(),
        "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nContent-Length: 2\r\n\r\nhi"
            .to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}", "x".repeat(70_000)),
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone".to_owned(),
        "HTTP/1.1 200 OK\r\nX-B: caf\u{e9}\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned(),
    ];
    // Only those that the gate can not take for a connection that goes on.
    let closes = [
        "HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned(),
        "HTTP/1.0 200 OK\r\n\r\nuntil the end".to_owned(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhigher".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Le".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_owned(),
        "HTTP/2 200\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
        String::new(),
    ];
    let stays = stays.map(|answer| (answer.into_bytes(), false));
    stays.into_iter().chain(closes.map(|answer| (answer.into_bytes(), true))).collect()
}

fn recorder() -> Recorder {
    let answers = answers();
    Recorder::answering(move |request: &Request| {
        let digits: String = request.target.chars().filter(char::is_ascii_digit).take(2).collect();
        let (answer, closes) = &answers[digits.parse::<usize>().unwrap_or(0) % answers.len()];
        if request.method == "HEAD" {
            return (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(), false);
        }
        (answer.clone(), *closes)
    })
}

fn headers() -> impl Strategy<Value = Vec<&'static str>> {
    let usual = select(vec![
        "User-Agent: Mozilla/4.0",
        "Accept: */*",
        "X-A: 1",
        "x-a:  2 ",
        "X-a:3",
        "Cookie: a=b",
        "X-Empty:",
        "X-Forwarded-For: 1.1.1.1",
        "x-forwarded-for: 2.2.2.2, 3.3.3.3",
        "X-Forwarded-For:",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: other",
        "X-Request-Id: mine",
        "X-Request-Id: not/one of ours",
        "Accept-Encoding: gzip",
        "accept-encoding: br, gzip",
        "Content-Type: text/xml",
        "Content-Type: application/json; charset=utf-8",
        "Connection: keep-alive",
        "Connection: upgrade, keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "X-Flag: 1",
        "Authorization: Basic YTpi",
        "X-B: \u{e9}\tx",
    ]);
    let odd = select(vec![
        "Connection: close",
        "Connection: x-a",
        "Connection: x-forwarded-for",
        "Upgrade: websocket",
        "X_Forwarded_For: 9.9.9.9",
        "X_Request_Id: 9",
        "X-Forwarded_Proto: ftp",
        "TE: trailers",
        "Trailer: X-T",
        "Expect: 100-continue",
        "Content-Encoding: gzip",
        "Content-Length: 1",
        "Transfer-Encoding: chunked",
        "Host: b",
        "X A: b",
        "X-A : b",
        " X-A: b",
        "no colon",
        ": b",
        "X-A: \u{1}",
        "X-A: a\rb",
    ]);
    vec(prop_oneof![9 => usual, 1 => odd], 0..7)
}

/// A request that is right, or nearly.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![12 => Just("POST"), 1 => select(vec!["GET", "PUT", "HEAD", "DELETE", "post", "OPTIONS"])];
    let query = select(vec![
        "",
        "?signature=a&timestamp=1&nonce=2",
        "?signature=a&openid=oGO4t07Fz_DGdbkIs1snsuHFKRRE",
        "?msg_signature=a&encrypt_type=aes",
        "?",
        "?a=%0d%0a",
        "?a=b?c",
        "?a={b}",
        "#c",
    ]);
    let start = (
        method,
        0..41_u8,
        query,
        prop_oneof![15 => Just(" HTTP/1.1"), 1 => select(vec![" HTTP/1.0", "  HTTP/1.1", ""])],
    );
    let body = prop_oneof![
        4 => select(vec![text("hello"), text("转人工"), event("CLICK"), text("]]>"), text("{}"), "<xml>".to_owned(), "{}".to_owned()])
            .prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..60),
        1 => Just(vec![b'x'; 70_000]),
    ];
    let framing = prop_oneof![9 => Just(0), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
    (start, headers(), any::<Index>(), body, framing).prop_map(|(start, headers, at, body, framing)| {
        let (method, shape, query, version) = start;
        let length = match framing {
            0 => format!("Content-Length: {}", body.len()),
            1 => "Transfer-Encoding: chunked".to_owned(),
            2 => format!("content-length:  00{}", body.len()),
            _ => "X-None: 1".to_owned(),
        };
        let mut lines: Vec<&str> = headers;
        lines.insert(at.index(lines.len() + 1), &length);
        lines.insert(at.index(lines.len() + 1), "Host: wx.example.com");
        let head = format!("{method} /{shape:02}{query}{version}\r\n{}\r\n\r\n", lines.join("\r\n"));
        let body = match framing {
            1 => chunked(&body.chunks(30_000).collect::<Vec<_>>(), ""),
            3 => Vec::new(),
            _ => body,
        };
        [head.into_bytes(), body].concat()
    })
}

/// Several on one connection, perhaps with something wrong somewhere.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let token = select(vec!["\r\n", "\n", "\r", " ", ":", "\0", "a", ";", "Content-Length: 3\r\n", "0\r\n\r\n", "\t"]);
    let change = prop_oneof![2 => Just(None), 1 => (any::<Index>(), 0..3_usize, token).prop_map(Some)];
    (vec(request(), 1..4), change).prop_map(|(requests, change)| {
        let mut bytes = requests.concat();
        if let Some((at, cut, token)) = change {
            // Nearly all that matters stands in the heads.
            let at = at.index(bytes.len().min(600));
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, token.bytes());
        }
        bytes
    })
}

/// What a client can tell of an answer. How its body is framed is not part of it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    start: String,
    headers: Vec<String>,
    body: String,
    is_whole: bool,
}

fn read_answers(mut bytes: &[u8], methods: &[String]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        if start.starts_with("HTTP/1.1 1") {
            continue;
        }
        let mut headers: Vec<_> = lines.map(|line| line.split_once(':').unwrap_or((line, ""))).collect();
        let value = |name: &str| {
            headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let is_bodiless = start.contains(" 204")
            || start.contains(" 304")
            || methods.get(answers.len()).is_some_and(|method| method == "HEAD");
        let (body, is_whole) = match (value("transfer-encoding"), value("content-length")) {
            _ if is_bodiless => (Vec::new(), true),
            (Some(_), _) => dechunked(&mut bytes),
            (None, Some(length)) => {
                let length: usize = length.parse().unwrap();
                let here = &bytes[..length.min(bytes.len())];
                bytes = &bytes[here.len()..];
                (here.to_vec(), here.len() == length)
            }
            (None, None) => (std::mem::take(&mut bytes).to_vec(), true),
        };
        headers.retain(|(name, _)| {
            !["date", "content-length", "transfer-encoding", "x-flag", "x_flag"].contains(&&*name.to_ascii_lowercase())
        });
        let mut headers: Vec<_> =
            headers.iter().map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), value.trim())).collect();
        headers.sort_by_key(|line| line.split(':').next().unwrap_or_default().to_owned());
        answers.push(Answer { start: start.trim_end().to_owned(), headers, body: timeless(&body), is_whole });
    }
    answers
}

fn dechunked(bytes: &mut &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        *bytes = &bytes[end + 2..];
        if size == 0 {
            let end = if bytes.starts_with(b"\r\n") {
                Some(2)
            } else {
                bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|end| end + 4)
            };
            *bytes = &bytes[end.unwrap_or(bytes.len())..];
            return (body, end.is_some());
        }
        let here = size.min(bytes.len());
        body.extend_from_slice(&bytes[..here]);
        *bytes = &bytes[(here + 2).min(bytes.len())..];
        if here < size {
            return (body, false);
        }
    }
}

/// As text, without the moment in which it was made.
fn timeless(body: &[u8]) -> String {
    let text = body.escape_ascii().to_string();
    match text.split_once("<CreateTime>") {
        Some((before, after)) => {
            format!("{before}{}", after.trim_start_matches(|letter: char| letter.is_ascii_digit()))
        }
        None => text,
    }
}

/// What a bot can tell of a request. A request that came twice over two connections came once.
fn told(requests: &[Request]) -> Vec<(String, Vec<String>, String)> {
    let mut told = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        if number > 0 && requests[number - 1] == *request {
            continue;
        }
        let line = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", value.escape_ascii());
        let mut headers: Vec<_> = request.headers.iter().map(line).collect();
        headers.retain(|line| {
            let line = line.to_ascii_lowercase();
            !["x-request-id: ", "x-flag: ", "x_flag: "].iter().any(|name| line.starts_with(name))
        });
        for line in &mut headers {
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                *line = format!("content-length: {}", length.trim_start_matches('0'));
            }
            // These are the gate's, which writes them as it likes.
            for own in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "accept-encoding"] {
                if line.to_ascii_lowercase().starts_with(own) {
                    *line = format!("{own}{}", &line[own.len()..]);
                }
            }
        }
        headers.sort_by_key(|line| line.split(':').next().unwrap_or_default().to_ascii_lowercase());
        told.push((format!("{} {}", request.method, request.target), headers, timeless(&request.body)));
    }
    told
}

struct Side {
    bot: Recorder,
    gate: Gate,
    read: usize,
}

type Outcome = (Vec<(String, Vec<String>, String)>, Vec<Answer>);

impl Side {
    fn new(flag: &str, trusted: &str) -> Self {
        let bot = recorder();
        let gate = Setup::to(&bot.url())
            .top(&format!("trusted_proxies = [{trusted}]"))
            .route(&format!("flag_header = \"{flag}\"\non_error = \"empty\""))
            .rule("name = \"human\"\non = \"message\"\ncontains = [\"人工\"]")
            .rule("name = \"reply\"\non = \"reply\"\ncontains = [\"hm\"]")
            .start();
        Self { bot, gate, read: 0 }
    }

    fn exchange(&self, bytes: &[u8], cuts: &[usize]) -> Outcome {
        let mut stream = TcpStream::connect(("127.0.0.1", self.gate.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for cut in cuts.windows(2) {
            if stream.write_all(&bytes[cut[0]..cut[1]]).is_err() {
                break;
            }
            std::thread::yield_now();
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answers) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{}", shown(bytes));
        }
        let seen = self.bot.take();
        let (read, _) = crate::support::strict::all(bytes);
        let methods: Vec<_> = read.iter().map(|request| request.method.clone()).collect();
        (told(&seen), read_answers(&answers, &methods))
    }

    /// How many records there are that were not looked at.
    fn new_records(&self) -> usize {
        self.gate.records(0).len() - self.read
    }

    fn records(&mut self) -> Vec<Value> {
        let mut records = self.gate.records(self.read).split_off(self.read);
        self.read += records.len();
        for record in &mut records {
            let record = record.as_object_mut().unwrap();
            record.retain(|field, _| !["time", "id", "upstream_ms", "duration_ms"].contains(&&**field));
        }
        records
    }
}

/// With `KFGATE_CASES` so many conversations on either side of trust, else 150.
#[test]
fn nobody_can_tell_the_two_ways_apart() {
    for (trusted, cases) in [("", 150), ("\"127.0.0.0/8\"", 150)] {
        let cases = std::env::var("KFGATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
        let (mut whole, mut streamed) = (Side::new("X-Flag", trusted), Side::new("X_Flag", trusted));
        let sides = std::cell::RefCell::new((&mut whole, &mut streamed));
        let mut runner =
            TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() });
        let outcome = runner.run(&(conversation(), vec(any::<Index>(), 0..6)), |(bytes, cuts)| {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (whole, streamed) = &mut *sides.borrow_mut();
            let (of_whole, of_streamed) = (whole.exchange(&bytes, &cuts), streamed.exchange(&bytes, &cuts));
            eventually("every answer is logged, by both", || {
                let (ours, theirs) = (whole.new_records(), streamed.new_records());
                (ours >= of_whole.1.len() && theirs >= of_streamed.1.len()).then_some(())
            });
            let logged = (whole.records(), streamed.records());
            prop_assert_eq!(&of_whole.0, &of_streamed.0, "to the bot: {}", shown(&bytes));
            prop_assert_eq!(&of_whole.1, &of_streamed.1, "to the client: {}", shown(&bytes));
            let (of_whole, of_streamed) = logged;
            prop_assert_eq!(&of_whole, &of_streamed, "in the log: {}", shown(&bytes));
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("trusting {trusted:?}: {error}"));
        let faults = [whole.bot.faults(), streamed.bot.faults()];
        assert_eq!(faults, [Vec::<String>::new(), Vec::new()]);
    }
}
