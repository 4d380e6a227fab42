//! What goes in comes out: request lines, statuses, connections, interim responses.

use std::sync::mpsc;
use std::time::Duration;

use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Gate, Message, Setup, ok, post, text};

/// The request line as the bot sees it.
fn seen(request: &str) -> Message {
    let bot = Bot::saying(ok("hello"));
    Gate::before(&bot).ask(request).is(200, "hello");
    bot.request()
}

#[test]
fn the_request_line_arrives_byte_for_byte() {
    for target in [
        "/",
        "/wx?signature=b4ec&timestamp=1&nonce=2&openid=o1",
        "/wx?",
        "/wx??a=b&&c",
        "//double//slashes/",
        "/a/../b/./c",
        "/%E5%BE%AE%e4%bf%a1?q=%20+%2B&x=%zz&y=%",
        "/wx?redirect=http://a/b?c=d&e=[1]",
        "/~!$&'()*+,;=:@-._",
        "/wx?name=\u{5fae}\u{4fe1}",
        "/\u{5fae}\u{4fe1}",
    ] {
        let request = seen(&format!("GET {target} HTTP/1.1\r\nHost: wx.example.com\r\n\r\n"));
        assert_eq!(request.start, format!("GET {target} HTTP/1.1"));
    }
}

/// The HTTP library takes a target for one of RFC 3986, in UTF-8; these bytes it refuses.
#[test]
fn every_byte_of_a_target_passes_but_for_those_that_no_uri_may_hold() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let refused = |prefix: &str| {
        let refused = (0x21..=0xff_u8).filter(|byte| {
            let target = [prefix.as_bytes(), &[*byte], b"z"].concat();
            let answer = gate.ask([b"GET ", &*target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
            if answer.status() == 200 {
                let seen = bot.requests().pop().unwrap();
                assert_eq!(seen.target().as_bytes(), target);
            }
            answer.status() == 400
        });
        refused.filter(u8::is_ascii).map(char::from).collect::<String>()
    };
    assert_eq!(refused("/"), "#<>`\u{7f}");
    assert_eq!(refused("/?"), "\"#<>\u{7f}");
}

#[test]
fn a_very_long_query_arrives_whole() {
    let target = format!("/wx?{}", "0123456789".repeat(3000));
    assert_eq!(seen(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).target(), target);
}

#[test]
fn every_method_passes() {
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE", "get", "X-ODD"] {
        let request = seen(&format!("{method} /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"));
        assert_eq!((request.method(), request.body_text()), (method, "hi"));
    }
}

#[test]
fn an_absolute_target_goes_to_the_bot_as_a_path() {
    for (target, path) in [("http://a/b?c", "/b?c"), ("http://a", "/"), ("http://a?b=c", "/?b=c"), ("HTTP://A/b", "/b")]
    {
        let request = seen(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((request.target(), request.header("host")), (path, Some("a")));
    }
}

#[test]
fn an_http_10_request_without_a_host_is_served_and_closed() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("GET /a HTTP/1.0\r\n\r\n").reply().is(200, "hello");
    client.is_closed();
    let request = bot.request();
    assert_eq!(request.start, "GET /a HTTP/1.1");
    assert!(request.header("host").is_some(), "HTTP/1.1 needs one");
}

#[test]
fn an_http_10_client_that_asks_for_it_keeps_its_connection() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for _ in 0..3 {
        let reply = client.send("GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").reply();
        reply.is(200, "hello");
        assert!(reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive")), "{reply:?}");
    }
    assert_eq!(bot.requests().len(), 3);
}

#[test]
fn an_http_10_client_gets_a_chunked_reply_without_chunks() {
    let bot = Bot::saying(
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &*chunked(&[b"one", b"two"], "")].concat(),
    );
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let reply = client.send("GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").reply();
    reply.is(200, "onetwo");
    assert!(!reply.is_chunked());
}

#[test]
fn an_http_10_callback_is_decided_on_like_any_other() {
    let bot = Bot::saying(reply("200 OK", "X-Kf-Transfer: 1\r\n", "hm"));
    let gate = Gate::before(&bot);
    let request = String::from_utf8(post(text("hello"))).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let mut client = gate.connect();
    assert!(client.send(request).reply().holds_a_transfer());
    client.is_closed();
}

#[test]
fn a_connection_serves_many_requests() {
    let bot = Bot::answering(|request| ok(request.target()));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for number in 0..50 {
        let path = format!("/{number}");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).reply().is(200, &path);
    }
    assert_eq!(bot.connections(), 1, "and so does the bot's");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let bot = Bot::answering(|request| ok(format!("{} {}", request.target(), request.body_text())));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let (mut all, callback) = (Vec::new(), text("hello"));
    for number in 0..20 {
        let body = "x".repeat(number);
        all.extend_from_slice(
            format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {number}\r\n\r\n{body}").as_bytes(),
        );
        all.extend_from_slice(&post(&callback));
    }
    client.send(all);
    for number in 0..20 {
        client.reply().is(200, &format!("/{number} {}", "x".repeat(number)));
        assert!(client.reply().body_text().ends_with(&callback));
    }
    gate.records(40);
}

#[test]
fn a_client_that_says_close_is_answered_and_closed() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let reply = client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").reply();
    assert!(reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")), "{reply:?}");
    client.is_closed();
}

#[test]
fn nothing_is_served_behind_a_request_that_says_close() {
    let bot = Bot::answering(|request| ok(request.target()));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.reply().is(200, "/1");
    client.is_closed();
    assert_eq!(bot.request().target(), "/1");
}

#[test]
fn a_bot_that_closes_does_not_close_the_client() {
    let bot = Bot::saying_and_closing(reply("200 OK", "Connection: close\r\n", "hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for _ in 0..3 {
        let reply = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").reply();
        reply.is(200, "hello");
        assert_eq!(reply.header("connection"), None);
    }
    assert_eq!(bot.connections(), 3);
}

#[test]
fn a_client_that_is_done_sending_still_gets_its_answer() {
    let bot = Bot::slow(Duration::from_millis(50), ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send(post(text("hello"))).finish().reply().is(200, "hello");
    client.is_closed();
}

#[test]
fn statuses_and_their_reasons_pass() {
    for status in [
        "200 OK",
        "200 Fine by me",
        "201 Created",
        "206 Partial Content",
        "301 Moved Permanently",
        "302 Found",
        "400 Bad Request",
        "401 Unauthorized",
        "404 Nope",
        "418 I'm a teapot",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Service Unavailable",
        "599 Odd",
    ] {
        let bot = Bot::saying(reply(status, "", "body"));
        let answer = Gate::before(&bot).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.start, format!("HTTP/1.1 {status}"));
        assert_eq!(answer.body_text(), "body");
    }
}

#[test]
fn a_status_without_a_reason_gets_a_valid_status_line() {
    for status in ["200 ", "299 "] {
        let bot = Bot::saying(reply(status, "", "body"));
        let answer = Gate::before(&bot).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.start.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}");
    }
}

#[test]
fn nothing_is_added_to_a_reply() {
    let bytes = reply("200 OK", "X-Powered-By: PHP/5.6.40\r\nContent-Type: text/xml\r\n", "hello");
    let bot = Bot::saying(bytes.clone());
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read(bytes.len()).escape_ascii().to_string(), bytes.escape_ascii().to_string());
    client.finish().is_closed();
}

#[test]
fn a_callbacks_reply_is_the_bots_byte_for_byte() {
    let bytes = reply(
        "200 OK",
        "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nServer: Apache\r\nContent-Type: text/xml\r\n",
        "success",
    );
    let bot = Bot::saying(bytes.clone());
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send(post(text("hello")));
    assert_eq!(client.read(bytes.len()).escape_ascii().to_string(), bytes.escape_ascii().to_string());
    client.finish().is_closed();
}

#[test]
fn head_has_the_length_and_no_body() {
    let bot = Bot::with(|talk| {
        while talk.request()?.is_some() {
            talk.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: text/html\r\n\r\n")?;
        }
        Ok(())
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for _ in 0..2 {
        let head = client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n").head();
        assert_eq!((head.status(), head.header("content-length")), (200, Some("1234")));
    }
}

#[test]
fn head_without_a_length_gets_none() {
    let bot = Bot::saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for path in ["/a", "/a?echostr=1"] {
        let head = client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).head();
        assert_eq!((head.status(), head.header("content-length")), (200, None), "{path}");
    }
    client.finish().is_closed();
}

#[test]
fn a_head_of_a_close_delimited_reply_says_nothing_of_a_length() {
    let bot = Bot::saying_and_closing("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    let gate = Gate::before(&bot);
    let head = gate.connect().send("HEAD /a?echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n").head();
    assert_eq!((head.status(), head.header("content-length")), (200, None));
}

#[test]
fn no_content_and_not_modified_have_no_body() {
    for (status, headers) in [("204 No Content", ""), ("304 Not Modified", "ETag: \"a\"\r\n")] {
        let bot = Bot::saying(format!("HTTP/1.1 {status}\r\n{headers}\r\n"));
        let gate = Gate::before(&bot);
        let mut client = gate.connect();
        for request in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            post(text("hello")),
            "GET /?echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        ] {
            let reply = client.send(request).reply();
            assert_eq!(reply.start, format!("HTTP/1.1 {status}"));
            assert!(!reply.is_chunked() && reply.header("content-length").is_none(), "{reply:?}");
        }
        client.finish().is_closed();
    }
}

#[test]
fn interim_responses_do_not_replace_the_final_one() {
    let bot = Bot::answering(|_| {
        [&b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"[..], &ok("hello")]
            .concat()
    });
    let gate = Gate::before(&bot);
    gate.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is(200, "hello");
    gate.ask(post(text("hello"))).is(200, "hello");
}

#[test]
fn a_client_that_expects_100_continue_gets_it_before_it_sends() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Gate::before(&bot);
    for body in ["streamed".to_owned(), text("hello")] {
        let mut client = gate.connect();
        client.send(format!(
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        ));
        assert_eq!(client.head().status(), 100);
        client.send(&body).reply().is(200, &body);
    }
}

#[test]
fn a_bot_that_waits_for_its_100_continue_is_not_left_waiting() {
    let bot = Bot::with(|talk| {
        while let Some(request) = talk.head()? {
            if request.header("expect").is_some() {
                talk.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let request = talk.body(request)?;
            talk.send(ok(&request.body))?;
        }
        Ok(())
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status(), 100);
    client.send("hello").reply().is(200, "hello");
}

#[test]
fn each_event_of_a_stream_arrives_before_the_next_is_sent() {
    let (next, go) = mpsc::channel::<()>();
    let go = std::sync::Mutex::new(go);
    let bot = Bot::with(move |talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while go.lock().unwrap().recv().is_ok() {
            talk.send("9\r\ndata: x\n\n\r\n")?;
        }
        talk.send("0\r\n\r\n")
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let head = client.send("GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n").head();
    assert!(head.is_chunked());
    for _ in 0..5 {
        next.send(()).unwrap();
        assert_eq!(client.read(14), b"9\r\ndata: x\n\n\r\n");
    }
    drop(next);
    assert_eq!(client.read(5), b"0\r\n\r\n");
}

#[test]
fn a_bot_may_answer_before_it_has_read_the_body() {
    let bot = Bot::with(|talk| {
        talk.head()?;
        talk.send(reply("413 Too Large", "Connection: close\r\n", "no"))?;
        talk.wait_for_close();
        Ok(())
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome of it").reply().is(413, "no");
}

#[test]
fn a_client_that_leaves_a_stream_lets_the_bot_go() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            talk.send("1\r\nx\r\n")?;
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n").head();
    drop(client);
    bot.wait_for_ends(1);
    gate.record().has(serde_json::json!({"action": "forward", "status": 200}));
}

#[test]
fn the_url_check_is_answered_byte_for_byte_with_its_length() {
    let echo = "4375120948345356249";
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        for reply in [
            format!("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{echo}"),
            format!("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{echo}"),
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{echo}"),
        ] {
            let bot = Bot::saying_and_closing(reply);
            let gate = Gate::before(&bot);
            let target = format!("/wx?signature=f464b24f&echostr={echo}&timestamp=1714036504&nonce=1514711492");
            let answer = gate.ask(format!("GET {target} {version}\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"));
            answer.is(200, echo);
            assert_eq!(answer.content_length(), Some(19));
            assert_eq!(bot.request().target(), target);
            gate.record().is("forward", "not-callback").has(serde_json::json!({"method": "GET", "msg_type": null}));
        }
    }
}

#[test]
fn a_callbacks_reply_without_a_length_gets_one() {
    let bot = Bot::saying_and_closing("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\nsuccess");
    let gate = Gate::before(&bot);
    let answer = gate.ask(post(text("hello")));
    answer.is(200, "success");
    assert_eq!(answer.content_length(), Some(7));
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_a_502() {
    let bot = Bot::saying("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    let gate = Gate::before(&bot);
    let request =
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    assert_eq!(gate.ask(request).status(), 502);
    let request = bot.request();
    assert_eq!((request.header("upgrade"), request.header("connection")), (None, None));
    gate.record().is("error", "upstream-error");
}

#[test]
fn a_reply_that_is_framed_twice_leaves_with_one_framing() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let bot = Bot::saying_and_closing(reply);
        let gate = Gate::before(&bot);
        for request in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), post(text("hello"))] {
            let answer = gate.ask(request);
            assert!([200, 502].contains(&answer.status()), "{answer:?}");
            if answer.status() == 200 {
                assert_eq!(answer.body_text(), "hello", "{answer:?}");
            }
        }
    }
}

#[test]
fn a_route_that_is_off_changes_nothing_either() {
    let bot = Bot::answering(|request| reply("200 OK", "X-Kf-Transfer: 1\r\nX-Other: 1\r\n", &request.body));
    let gate = Setup::before(&bot)
        .route("transfer = \"off\"\non_error = \"transfer\"")
        .rule("name = \"all\"\non = \"message\"\ntypes = [\"text\"]")
        .start();
    let body = text("hello");
    let answer = gate.ask(post(&body));
    answer.is(200, &body);
    assert_eq!((answer.header("x-kf-transfer"), answer.header("x-other")), (None, Some("1")));
    gate.record().is("forward", "off");
}

/// If it did, the deadline would have passed before the second request came; hence the sleep, which is the time
/// a client lets pass between two requests.
#[test]
fn an_empty_line_behind_a_body_does_not_begin_the_next_request() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).route("deadline = \"300ms\"\non_timeout = \"transfer\"").start();
    let mut client = gate.connect();
    client.send([&post(text("hello")), &b"\r\n"[..]].concat()).reply().is(200, "hello");
    std::thread::sleep(Duration::from_millis(500));
    client.send(post(text("hello"))).reply().is(200, "hello");
    for record in gate.records(2) {
        assert_eq!(record["action"], "forward");
        assert!(record["duration_ms"].as_f64().unwrap() < 300.0, "{record}");
    }
}
