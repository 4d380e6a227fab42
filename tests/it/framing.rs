//! Strict framing: what two readers could read in two ways is refused, reaches no bot, and is logged.

use serde_json::json;

use crate::support::{Bot, Client, Gate, event, ok, post, shown, text};

/// A request that must not get through, smuggled or not.
const SECOND: &str = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

pub(crate) fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let with = |headers: &str| format!("POST /wx?secret HTTP/1.1\r\nHost: a\r\n{headers}\r\n").into_bytes();
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let host = |hosts: &str| format!("GET /wx?secret HTTP/1.1\r\n{hosts}\r\n").into_bytes();
    vec![
        ("Content-Length twice", with("Content-Length: 0\r\nContent-Length: 0\r\n")),
        ("two Content-Lengths", with("Content-Length: 0\r\nContent-Length: 35\r\n")),
        ("a list as Content-Length", with("Content-Length: 0, 0\r\n")),
        ("Content-Length with a sign", with("Content-Length: +0\r\n")),
        ("negative Content-Length", with("Content-Length: -1\r\n")),
        ("hexadecimal Content-Length", with("Content-Length: 0x10\r\n")),
        ("Content-Length with a fraction", with("Content-Length: 1.0\r\n")),
        ("empty Content-Length", with("Content-Length:\r\n")),
        ("Content-Length with a space inside", with("Content-Length: 1 0\r\n")),
        ("Content-Length too large", with("Content-Length: 18446744073709551616\r\n")),
        ("Transfer-Encoding twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        ("chunked twice", with("Transfer-Encoding: chunked, chunked\r\n")),
        ("gzip, chunked", with("Transfer-Encoding: gzip, chunked\r\n")),
        ("chunked, identity", with("Transfer-Encoding: chunked, identity\r\n")),
        ("identity", with("Transfer-Encoding: identity\r\n")),
        ("gzip", with("Transfer-Encoding: gzip\r\n")),
        ("xchunked", with("Transfer-Encoding: xchunked\r\n")),
        ("quoted chunked", with("Transfer-Encoding: \"chunked\"\r\n")),
        ("empty Transfer-Encoding", with("Transfer-Encoding:\r\n")),
        ("chunked with a parameter", with("Transfer-Encoding: chunked;a=b\r\n")),
        ("Content-Length and Transfer-Encoding", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
        ("Transfer-Encoding and Content-Length", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
        (
            "Transfer-Encoding in HTTP/1.0",
            b"POST /wx?secret HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        ),
        ("no Host", host("")),
        ("Host twice", host("Host: a\r\nHost: a\r\n")),
        ("two Hosts", host("Host: a\r\nhost: b\r\n")),
        ("empty Host", host("Host:\r\n")),
        ("Host with a space", host("Host: a b\r\n")),
        ("Host with a path", host("Host: a/b\r\n")),
        ("Host with a user", host("Host: u@a\r\n")),
        ("Host with two ports", host("Host: a:1:2\r\n")),
        ("Host with a word as port", host("Host: a:b\r\n")),
        ("a list of Hosts", host("Host: a, b\r\n")),
        ("Host in UTF-8", host("Host: \u{5fae}\r\n")),
        ("another Host in the target", target("http://b/wx")),
        ("another port in the target", target("http://a:81/wx")),
        ("a user in the target", target("http://u@a/wx")),
        ("a fragment", target("/wx#fragment")),
        ("a target without a slash", target("wx")),
        ("an exclamation mark", target("!")),
        ("an asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("an authority", target("a:80")),
        ("another scheme", target("ftp://a/wx")),
        ("no target", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("two spaces", b"GET  /wx HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("a tab in the request line", b"GET\t/wx HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("a space in the target", target("/w x")),
        ("a space behind the version", b"GET /wx HTTP/1.1 \r\nHost: a\r\n\r\n".into()),
        ("an unknown version", b"GET /wx HTTP/1.2\r\nHost: a\r\n\r\n".into()),
        ("HTTP/0.9", b"GET /wx\r\n\r\n".into()),
        ("the preface of HTTP/2, unless it is served", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n".into()),
        ("a space before the colon", with("Content-Length : 5\r\n")),
        ("a tab before the colon", with("X-A\t: 5\r\n")),
        ("a space in a name", with("X A: 5\r\n")),
        ("no colon", with("nonsense\r\n")),
        ("no name", with(": 5\r\n")),
        ("a control byte in a name", with("X-\x01A: 5\r\n")),
        ("NUL in a name", with("X-\0A: 5\r\n")),
        ("NUL in a value", with("X-A: a\0b\r\n")),
        ("a control byte in a value", with("X-A: a\x01b\r\n")),
        ("DEL in a value", with("X-A: a\x7fb\r\n")),
        ("a bare CR in a value", with("X-A: a\rb\r\n")),
        ("a bare CR before a header", with("X-A: a\rContent-Length: 5\r\n")),
        ("a control byte in the target", target("/w\x01x")),
        ("a byte that is no name", with("X-\u{e9}: 5\r\n")),
        ("brackets in a name", with("X(A): 5\r\n")),
        ("obsolete folding", with("X-A: a\r\n b\r\n")),
        ("folding with a tab", with("X-A: a\r\n\tb\r\n")),
        ("folding of the first header", b"GET /wx HTTP/1.1\r\n Host: a\r\n\r\n".into()),
        ("folded Transfer-Encoding", with("Transfer-Encoding:\r\n chunked\r\n")),
        ("a bare line feed behind the request line", b"GET /wx HTTP/1.1\nHost: a\r\n\r\n".into()),
        ("a bare line feed behind a header", with("X-A: a\nX-B: b\r\n")),
        ("bare line feeds throughout", b"GET /wx HTTP/1.1\nHost: a\n\n".into()),
        ("a bare line feed at the end", b"GET /wx HTTP/1.1\r\nHost: a\r\n\n".into()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".into()),
        ("binary", (0..=255).chain(*b"\r\n\r\n").collect()),
    ]
}

#[test]
fn what_is_ambiguous_is_refused_and_closed_and_logged() {
    let bot = Bot::saying(ok("hello"));
    for (what, request) in refused() {
        let gate = Gate::before(&bot);
        let mut client = gate.connect();
        client.try_send(&request).expect(what);
        let answer = client.head();
        assert_eq!(answer.status(), 400, "{what}");
        client.ended();
        assert!(bot.was_not_asked(), "{what}: {:?}", bot.requests());
        let record = gate.record();
        record.is("reject", "bad-request");
        record.has(json!({"status": 400, "client": "127.0.0.1", "upstream_status": null, "route": null}));
        assert!(!record.0.to_string().contains("secret"), "{what}: {}", record.0);
        gate.has_no_more_records();
    }
}

#[test]
fn nothing_behind_a_refused_request_gets_through() {
    let bot = Bot::saying(ok("hello"));
    for (what, request) in refused() {
        let gate = Gate::before(&bot);
        let mut client = gate.connect();
        // With a good request before it, and bad ones after it.
        let first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
        let all = [first.as_bytes(), &request, b"0\r\n\r\n", SECOND.as_bytes(), SECOND.as_bytes()].concat();
        client.try_send(&all).expect(what);
        assert_eq!(client.reply().status(), 200, "{what}");
        assert_eq!(client.head().status(), 400, "{what}");
        let rest = client.ended();
        assert!(!rest.windows(9).any(|window| window == b"HTTP/1.1 "), "{what}: answered twice: {}", shown(&rest));
        let targets: Vec<_> = bot.requests().iter().map(|request| request.target().to_owned()).collect();
        assert!(targets.iter().all(|target| target == "/first"), "{what}: {targets:?}");
    }
}

#[test]
fn connect_is_not_allowed() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    for request in ["CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT a:443 HTTP/1.0\r\n\r\n"] {
        let mut client = gate.connect();
        let answer = client.send(request).reply();
        assert_eq!(answer.status(), 405);
        assert!(answer.header("content-length").is_some() && answer.body.len() < 200, "a short text: {answer:?}");
        client.is_closed();
        gate.record().is("reject", "bad-request").has(json!({"status": 405, "method": "CONNECT"}));
    }
    assert!(bot.was_not_asked());
}

#[test]
fn what_the_parser_refuses_is_logged_with_what_is_known() {
    let bot = Bot::saying(ok("hello"));
    for (request, method, path) in [
        ("POST /wx?secret HTTP/1.1\r\nHost : a\r\n\r\n", json!("POST"), json!("/wx")),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", json!("GET"), json!("/a")),
        ("\x16\x03\x01\x02\r\n\r\n", json!(null), json!(null)),
    ] {
        let gate = Gate::before(&bot);
        gate.connect().send(request).head();
        gate.record().is("reject", "bad-request").has(json!({"method": method, "path": path, "status": 400}));
        assert!(!gate.log_text().contains("secret"));
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_and_logged() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let huge = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "a".repeat(2 << 20));
    // It may have been refused before all of it was sent.
    let _ = client.try_send(huge);
    let answer = client.ended();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", shown(&answer));
    gate.record().is("reject", "bad-request").has(json!({"status": 431, "method": "GET"}));
    assert!(bot.was_not_asked());
}

#[test]
fn what_is_merely_odd_passes() {
    let bot = Bot::saying(ok("hello"));
    for request in [
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a_b.example.com.\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChUnKeD\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=\"1\"\r\nhello\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let gate = Gate::before(&bot);
        gate.ask(request).is(200, "hello");
        gate.record().is("forward", "not-callback");
    }
}

#[test]
fn a_chunked_request_is_the_last_of_its_connection() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let request = "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    client.send(format!("{request}{SECOND}"));
    let answer = client.reply();
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    client.ended();
    assert_eq!(bot.request().target(), "/first");
}

/// The rest of a body that was not read must not be taken for a request.
#[test]
fn an_unread_body_is_not_the_next_request() {
    let bot = Bot::saying(ok("hello"));
    let gate = crate::support::Setup::empty().and_route("bot", &bot.url(), "path = \"/wx\"").start();
    let mut client = gate.connect();
    let body = SECOND.replace("/second", "/wx/second");
    client.send(format!("POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(client.reply().status(), 404);
    let mut client2 = gate.connect();
    client2.send("GET /wx HTTP/1.1\r\nHost: a\r\n\r\n").reply().is(200, "hello");
    client.finish().is_closed();
    assert_eq!(bot.request().target(), "/wx");
}

#[test]
fn one_request_in_is_one_request_out_through_the_pool() {
    // What a client sends as a body must never become a request on the bot's connection.
    let bot = Bot::answering(|request| ok(request.target()));
    let gate = Gate::before(&bot);
    let smuggled = format!("{SECOND}{SECOND}");
    for framing in [
        format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
    ] {
        for method in ["GET", "POST", "HEAD", "DELETE", "OPTIONS"] {
            let mut client = gate.connect();
            client.send(format!("{method} /first HTTP/1.1\r\nHost: a\r\n{framing}"));
            assert_eq!(client.head().status(), 200);
            gate.ask(post(event("CLICK"))).status();
        }
    }
    let requests = bot.requests();
    assert_eq!(requests.len(), 20);
    assert!(requests.iter().all(|request| request.target() != "/second"), "{requests:?}");
}

#[test]
fn slow_heads_and_idle_connections_are_closed() {
    let bot = Bot::saying(ok("hello"));
    let gate =
        crate::support::Setup::before(&bot).limits("header_timeout = \"200ms\"\nidle_timeout = \"300ms\"").start();
    let mut silent = gate.connect();
    let mut slow = gate.connect();
    slow.send("GET / HTTP/1.1\r\nHost:");
    let mut idle = gate.connect();
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").reply().is(200, "hello");
    for client in [&mut silent, &mut slow, &mut idle] as [&mut Client; 3] {
        client.is_closed();
    }
    gate.ask(post(text("hello"))).is(200, "hello");
}
