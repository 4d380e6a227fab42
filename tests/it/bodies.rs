//! Bodies of every size and shape, in both directions, in constant memory.

use std::io::Write;
use std::sync::mpsc;
use std::thread;

use serde_json::json;

use crate::support::wechat::post_to;
use crate::support::wire::chunked;
use crate::support::{Bot, Gate, Setup, ok, post, text};

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
    for byte in post(text("hello")) {
        client.send([byte]);
    }
    client.reply().is(200, &text("hello"));
    gate.record().has(json!({"msg_type": "text", "bytes_in": text("hello").len()}));
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
    first.recv_timeout(crate::support::PATIENCE).expect("the first half arrives before the second is sent");
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
            thread::sleep(std::time::Duration::from_millis(60));
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
    sender.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
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
