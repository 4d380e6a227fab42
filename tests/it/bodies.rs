//! Bodies of every size and shape, in both directions, in constant memory.

use std::io::{self, Write};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::wechat::{post_to, says};
use crate::support::wire::chunked;
use crate::support::{Bot, Client, Gate, PATIENCE, Setup, event, ok, post, shown, text};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LIMIT: usize = 256 * 1024;
const SIZES: [usize; 9] = [0, 1, 2, 4096, LIMIT - 1, LIMIT, LIMIT + 1, 1 << 20, 5_000_001];

fn filled(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

/// A callback of exactly so many bytes.
fn long_text(size: usize) -> String {
    let frame = text("").len();
    text(&"x".repeat(size - frame))
}

#[test]
fn bodies_of_every_size_pass_both_ways() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for method in ["POST", "PUT", "GET"] {
        for size in SIZES {
            let body = filled(size);
            let mut sender = client.sender();
            let request =
                [format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").as_bytes(), &body]
                    .concat();
            let sending = thread::spawn(move || sender.write_all(&request));
            let answer = client.reply();
            sending.join().unwrap().unwrap();
            assert_eq!((answer.status(), answer.content_length()), (200, Some(size)), "{method} {size}");
            assert!(answer.body == body, "{method} {size}");
        }
    }
}

#[test]
fn chunked_bodies_of_every_size_pass_both_ways() {
    let bot = Bot::answering(|request| {
        let chunks: Vec<_> = request.body.chunks(10_000).collect();
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &*chunked(&chunks, "")].concat()
    });
    let gate = Gate::before(&bot);
    for method in ["POST", "PUT", "DELETE", "GET"] {
        for size in SIZES {
            let body = filled(size);
            let mut client = gate.connect();
            let mut sender = client.sender();
            let mut request =
                format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            request.extend_from_slice(&chunked(&body.chunks(7000).collect::<Vec<_>>(), ""));
            let sending = thread::spawn(move || sender.write_all(&request));
            let answer = client.reply();
            sending.join().unwrap().unwrap();
            assert_eq!(answer.status(), 200, "{method} {size}");
            assert!(answer.body == body, "{method} {size}: {}", answer.body.len());
            client.is_closed();
        }
    }
}

#[test]
fn a_callback_is_inspected_up_to_the_limit_and_streamed_beyond_it() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Setup::before(&bot).rule("name = \"all\"\non = \"message\"\ntypes = [\"text\"]").start();
    for (size, transferred) in [(LIMIT - 1, true), (LIMIT, true), (LIMIT + 1, false), (1 << 20, false)] {
        let body = long_text(size);
        let answer = gate.ask(post(&body));
        let record = gate.record();
        if transferred {
            answer.is_transfer();
            record.is_transfer("short-circuit", "rule:all");
        } else {
            assert!(answer.body == body.as_bytes());
            record.is("forward", "too-large");
        }
        record.has(json!({"bytes_in": if transferred { size } else { body.len() }}));
    }
}

#[test]
fn a_chunked_callback_is_inspected_up_to_the_limit_too() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Setup::before(&bot).rule("name = \"all\"\non = \"message\"\ntypes = [\"text\"]").start();
    for (size, transferred) in [(LIMIT, true), (LIMIT + 1, false)] {
        let body = long_text(size);
        let mut request = b"POST /wx HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        request.extend_from_slice(&chunked(&body.as_bytes().chunks(100_000).collect::<Vec<_>>(), ""));
        let answer = gate.ask(request);
        if transferred {
            answer.is_transfer();
        } else {
            assert!(answer.body == body.as_bytes());
            gate.records(2);
        }
    }
    assert_eq!(gate.records(2)[1]["cause"], "too-large");
}

#[test]
fn a_callback_that_dribbles_in_is_one_callback() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let body = text("hello");
    for byte in post(&body) {
        client.send([byte]);
    }
    client.reply().is(200, &body);
    gate.record().has(json!({"msg_type": "text", "bytes_in": body.len()}));
}

#[test]
fn a_body_that_is_no_callback_is_not_held_back() {
    let (got, first) = mpsc::channel();
    let bot = Bot::with(move |talk| {
        talk.head()?;
        talk.skip(5)?;
        got.send(()).unwrap();
        talk.skip(5)?;
        talk.send(ok("hello"))
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst");
    first.recv_timeout(PATIENCE).expect("the first half arrives before the second is sent");
    client.send("later").reply().is(200, "hello");
    gate.record().is("forward", "not-callback").has(json!({"bytes_in": 10, "bytes_out": 5}));
}

#[test]
fn a_client_that_breaks_off_is_no_fault_of_the_bots() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).route("on_error = \"transfer\"").start();
    for body in ["<xml>", "not xml"] {
        let mut client = gate.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{body}"));
        client.finish();
        client.ended();
        gate.record().is("reject", "bad-request");
    }
    assert!(bot.requests().is_empty(), "no whole request came");
}

#[test]
fn a_body_with_broken_chunks_is_refused() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    for chunks in ["xyz\r\n<xml>", "5\r\n<xml>XX0\r\n\r\n", "ffffffffffffffffff\r\n", "5\n<xml>\r\n0\r\n\r\n"] {
        let mut client = gate.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
        let answer = client.head();
        assert_eq!(answer.status(), 400, "{chunks:?}");
        client.ended();
        gate.record().is("reject", "bad-request");
    }
    assert!(bot.was_not_asked());
}

#[test]
fn a_reply_that_breaks_off_is_seen_to_break_off() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let bot = Bot::saying_and_closing(reply);
        let gate = Gate::before(&bot);
        let mut client = gate.connect();
        let mut answer = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
        assert_eq!(answer.status(), 200);
        client.try_body(&mut answer).expect_err("the client must not take it for whole");
        gate.record().has(json!({"bytes_out": 4}));
    }
}

/// 256 MiB up, and 256 MiB down, through a process of its own.
#[test]
fn memory_does_not_grow_with_a_body() {
    const SIZE: u64 = 256 << 20;
    let bot = Bot::with(|talk| {
        while let Some(request) = talk.head()? {
            if request.method() == "PUT" {
                talk.skip(SIZE)?;
                talk.send(ok("taken"))?;
                continue;
            }
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"))?;
            let block = vec![b'x'; 1 << 16];
            for _ in 0..SIZE >> 16 {
                talk.send(&block)?;
            }
        }
        Ok(())
    });
    let gate = Setup::before(&bot).spawn();
    let mut client = gate.connect();
    // Everything is in memory once.
    client.send(post_to("/wx", "", text("hello")));
    client.skip(1);
    let mut client = gate.connect();
    let before = gate.peak_memory();

    let mut sender = client.sender();
    let sending = thread::spawn(move || {
        sender.write_all(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).unwrap();
        let block = vec![b'x'; 1 << 16];
        for _ in 0..SIZE >> 16 {
            sender.write_all(&block).unwrap();
        }
    });
    client.reply().is(200, "taken");
    sending.join().unwrap();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    client.skip(SIZE);
    let grown = gate.peak_memory() - before;
    assert!(grown < 6 << 20, "by {} KiB", grown >> 10);
}

#[test]
fn sixty_four_mebibytes_come_back_as_they_went() {
    const SIZE: usize = 64 << 20;
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let body = filled(SIZE);
    let mut sender = client.sender();
    let request = [format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes(), &body].concat();
    let sending = thread::spawn(move || sender.write_all(&request));
    let answer = client.reply();
    sending.join().unwrap().unwrap();
    assert!(answer.body == body);
    gate.record().is("forward", "too-large").has(json!({"bytes_in": SIZE, "bytes_out": SIZE}));
}

/// `upstream_timeout` is the bot's to spend, not the client's.
#[test]
fn a_slow_upload_is_not_a_slow_bot() {
    let bot = Bot::answering(|request| ok(&request.body));
    let gate = Setup::before(&bot).limits("upstream_timeout = \"200ms\"").start();
    for method in ["PUT", "POST"] {
        let mut client = gate.connect();
        client.send(format!("{method} /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"));
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(60));
            client.send("x");
        }
        client.reply().is(200, "xxxxxxxxxx");
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let bot = Bot::with(|talk| {
        talk.head()?;
        talk.send(crate::support::wire::reply("413 Too Large", "", "no"))?;
        talk.wait_for_close();
        Ok(())
    });
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    let mut sender = client.sender();
    let sending = thread::spawn(move || {
        let _ = sender.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n");
        let block = vec![b'x'; 1 << 16];
        while sender.write_all(&block).is_ok() {}
    });
    client.reply().is(413, "no");
    drop(client);
    sending.join().unwrap();
}

#[test]
fn memory_does_not_grow_with_a_client_that_does_not_read() {
    let bot = Bot::with(|talk| {
        while talk.request()?.is_some() {
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 200 << 20))?;
            let block = vec![b'x'; 1 << 16];
            for _ in 0..200 << 4 {
                talk.send(&block)?;
            }
        }
        Ok(())
    });
    let gate = Setup::before(&bot).spawn();
    gate.connect().send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").head();
    let before = gate.peak_memory();
    let mut silent = gate.connect();
    silent.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // And one that sends request after request.
    let flooding = gate.connect();
    let mut sender = flooding.sender();
    sender.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let many = "GET /many HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    for _ in 0..1000 {
        if sender.write_all(many.as_bytes()).is_err() {
            break;
        }
    }
    let grown = gate.peak_memory() - before;
    assert!(grown < 6 << 20, "by {} KiB", grown >> 10);
}

#[test]
fn a_client_that_falls_silent_in_its_body_is_not_waited_for_forever() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).limits("idle_timeout = \"200ms\"\nupstream_timeout = \"200ms\"").start();
    for (request, action) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n<xml>", "reject"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome", "error"),
    ] {
        let mut client = gate.connect();
        client.send(request);
        assert!(client.head().status() >= 400);
        client.ended();
        gate.record().has(json!({ "action": action }));
    }
    assert!(bot.requests().is_empty(), "no whole request came");
}

/// A bot that answers with this head, and sends each part once the client has got the one before it; then it
/// closes. What tells it that the client has got one.
fn sends_in_turn(head: &'static str, parts: &'static [&'static str]) -> (Bot, mpsc::Sender<()>) {
    let (got, arrived) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let bot = Bot::with(move |talk| {
        talk.request()?;
        talk.send(head)?;
        for part in parts {
            talk.send(part)?;
            let arrived = arrived.lock().unwrap().recv_timeout(PATIENCE);
            arrived.map_err(|_| io::Error::other("it is held back"))?;
        }
        Ok(())
    });
    (bot, got)
}

/// The client gets each part in a chunk of its own, and then the end.
#[track_caller]
fn arrive_in_turn(client: &mut Client, parts: &[&str], got: &mpsc::Sender<()>) {
    let answer = client.head();
    assert!(answer.status() == 200 && answer.is_chunked(), "{answer:?}");
    for part in parts {
        let chunk = format!("{:X}\r\n{part}\r\n", part.len());
        assert_eq!(shown(&client.read(chunk.len())), shown(chunk.as_bytes()));
        got.send(()).unwrap();
    }
    assert_eq!(client.read(5), b"0\r\n\r\n");
}

fn unsigned_post(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("POST /wx HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn a_stream_of_events_is_not_held_back() {
    const EVENTS: &[&str] = &["data: 1\n\n", "data: 2\n\n", "data: [DONE]\n\n"];
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nConnection: close\r\n\r\n",
    ] {
        for (route, limits) in [("", ""), ("transfer = \"off\"", ""), ("", "upstream_timeout = \"200ms\"")] {
            for request in [post(text("hello")), post("{\"stream\":true}"), unsigned_post("a=b")] {
                let (bot, got) = sends_in_turn(head, EVENTS);
                let gate = Setup::before(&bot).route(route).limits(limits).start();
                arrive_in_turn(gate.connect().send(request), EVENTS, &got);
                gate.record().has(json!({"action": "forward", "status": 200, "bytes_out": EVENTS.concat().len()}));
            }
        }
    }
}

/// The sleep is the silence of a bot that has nothing to say for a while.
#[test]
fn a_stream_of_events_may_last_longer_than_the_bot_may_take_to_begin() {
    for route in ["", "transfer = \"off\""] {
        let bot = Bot::with(|talk| {
            talk.request()?;
            talk.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
            for event in ["data: 1\n\n", "data: 2\n\n"] {
                thread::sleep(Duration::from_millis(300));
                talk.send(event)?;
            }
            Ok(())
        });
        let gate = Setup::before(&bot).route(route).limits("upstream_timeout = \"200ms\"").start();
        gate.ask(post(text("hello"))).is(200, "data: 1\n\ndata: 2\n\n");
    }
}

#[test]
fn wechat_gets_the_length_of_a_reply_that_has_none() {
    let bot = Bot::saying_and_closing(format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n{}", says("hello")));
    let gate = Gate::before(&bot);
    let off = Setup::before(&bot).route("transfer = \"off\"").start();
    let check = "GET /wx?signature=b4ec&echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let of_its_service = "POST /wx?msg_signature=b4ec HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b";
    for (gate, request) in [
        (&gate, post(text("hello"))),
        (&gate, post(event("CLICK"))),
        (&gate, unsigned_post(text("hello"))),
        (&gate, unsigned_post(event("CLICK"))),
        (&gate, check.into()),
        (&gate, of_its_service.into()),
        (&off, post(text("hello"))),
        (&off, post("a=b")),
        (&off, check.into()),
        (&off, of_its_service.into()),
    ] {
        let answer = gate.ask(&request);
        answer.is(200, &says("hello"));
        assert_eq!(answer.content_length(), Some(answer.body.len()), "{}: {answer:?}", shown(&request));
    }
}

#[test]
fn nobody_else_waits_for_the_end_of_a_reply_without_a_length() {
    const PARTS: &[&str] = &["first", "second"];
    for (route, request) in [
        ("", unsigned_post("a=b")),
        ("", unsigned_post("{\"action\":\"CheckContainerPath\"}")),
        ("", GET.into()),
        ("transfer = \"off\"", unsigned_post(text("hello"))),
        ("transfer = \"off\"", GET.into()),
    ] {
        let (bot, got) = sends_in_turn("HTTP/1.1 200 OK\r\n\r\n", PARTS);
        let gate = Setup::before(&bot).route(route).start();
        arrive_in_turn(gate.connect().send(request), PARTS, &got);
    }
}

#[test]
fn a_reply_without_a_length_that_takes_too_long_goes_out_as_it_comes() {
    const PARTS: &[&str] = &["first", "second"];
    for route in ["", "transfer = \"off\""] {
        let (bot, got) = sends_in_turn("HTTP/1.1 200 OK\r\n\r\n", PARTS);
        let gate = Setup::before(&bot).route(route).limits("upstream_timeout = \"200ms\"").start();
        arrive_in_turn(gate.connect().send(post(text("hello"))), PARTS, &got);
        gate.record().has(json!({"action": "forward", "status": 200, "bytes_out": 11}));
    }
}
