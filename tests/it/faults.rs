//! Bots that fail in every way, over both ways through the gate: each fault has one outcome and one line in the log,
//! and no message is lost or sent twice.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::wire::reply;
use crate::support::{Bot, Gate, Recorder, Setup, eventually, ok, post, text};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The same callback over the gate's own HTTP, over hyper's, and a request that is no callback.
fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let streamed = "POST /wx HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Length: 6\r\n\r\n<xml/>";
    vec![("whole", post(text("hello"))), ("streamed", streamed.into()), ("no callback", GET.into())]
}

/// How the bot fails, and what the client gets: a status, and whether all of the answer.
fn faults() -> Vec<(&'static str, Vec<u8>, u16, bool)> {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let storm = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(200);
    vec![
        ("closed before the head", b"".into(), 502, true),
        ("closed in the status line", b"HTTP/1.1 20".into(), 502, true),
        ("closed in the head", b"HTTP/1.1 200 OK\r\nContent-Length: 1".into(), 502, true),
        ("closed behind the head", head.into(), 200, false),
        ("half a body", format!("{head}hello").into(), 200, false),
        ("Content-Length too long", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello".into(), 200, false),
        ("Content-Length too short", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world".into(), 200, true),
        ("garbage", b"\x16\x03\x01 nonsense\r\n\r\n".into(), 502, true),
        ("garbage of zeros", vec![0; 5000], 502, true),
        ("an endless head", format!("HTTP/1.1 200 OK\r\nX-A: {}", "a".repeat(2 << 20)).into(), 502, true),
        ("too many headers", format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(5000)).into(), 502, true),
        (
            "a storm of interim answers, and one",
            format!("{storm}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").into(),
            200,
            true,
        ),
        ("a storm of interim answers, and none", storm.into(), 502, true),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!".into(), 502, true),
        ("half a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".into(), 200, false),
        ("no last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".into(), 200, false),
        ("a chunk of no size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".into(), 200, false),
        (
            "another protocol",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".into(),
            502,
            true,
        ),
    ]
}

#[test]
fn each_fault_has_its_outcome_and_its_line_in_the_log() {
    for (what, answer, status, is_whole) in faults() {
        for (way, request) in requests() {
            let what = format!("{what}, {way}");
            let bot = Bot::saying_and_closing(answer.clone());
            let gate = Gate::before(&bot);
            let mut client = gate.connect();
            client.send(request);
            if is_whole {
                assert_eq!(client.reply().status(), status, "{what}");
            } else {
                is_cut_off(&client.ended(), &what);
            }
            assert_eq!(bot.requests().len(), 1, "{what}: asked once");
            drop(client);
            let record = gate.record();
            if status == 200 {
                record.has(json!({"action": "forward", "status": 200, "upstream_status": 200}));
            } else {
                record.is("error", "upstream-error").has(json!({"status": 502, "upstream_status": null}));
            }
            gate.has_no_more_records();
        }
    }
}

/// What came of an answer can not be taken for all of it.
fn is_cut_off(answer: &[u8], what: &str) {
    let answer = String::from_utf8_lossy(answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return assert_eq!(answer, "", "{what}") };
    let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let is_whole = length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length: usize| body.len() >= length);
    assert!(head.starts_with("HTTP/1.1 200 ") && !is_whole, "{what}: {answer}");
}

/// Interim answers do not prolong the time for the one that counts.
#[test]
fn a_storm_without_end_is_a_504() {
    for (way, request) in requests() {
        let bot = Bot::with(|talk| {
            talk.request()?;
            loop {
                talk.send("HTTP/1.1 102 Processing\r\n\r\n")?;
                thread::sleep(Duration::from_millis(5));
            }
        });
        let gate = Setup::before(&bot).limits("upstream_timeout = \"150ms\"").start();
        let answer = gate.ask(request);
        assert_eq!(answer.status(), 504, "{way}: {answer:?}");
        gate.record().is("error", "timeout");
        bot.wait_for_ends(1);
    }
}

/// A bot whose connection is reset, after so much of an answer.
fn resetting(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(answer.as_bytes());
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    (port, asked)
}

#[test]
fn a_reset_is_no_more_than_a_close() {
    for (answer, statuses) in [
        ("", &[502][..]),
        ("HTTP/1.1 200 OK\r\nConte", &[502]),
        // A reset may overtake what was sent before it.
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", &[200, 502]),
    ] {
        for (way, request) in requests() {
            let (port, asked) = resetting(answer);
            let gate = Setup::to(&format!("http://127.0.0.1:{port}")).start();
            let mut client = gate.connect();
            let mut reply = client.send(request).head();
            assert!(statuses.contains(&reply.status()), "{answer:?}, {way}: {reply:?}");
            assert_eq!(client.try_body(&mut reply).is_ok(), reply.status() == 502, "{answer:?}, {way}");
            assert_eq!(asked.load(Ordering::SeqCst), 1, "{answer:?}, {way}: asked once");
        }
    }
}

/// It has all it wants, says so, and closes with the rest unread, which resets the connection.
#[test]
fn an_answer_before_the_end_of_the_request_wins() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 1000]);
                let _ = stream.write_all(&reply("413 Content Too Large", "Connection: close\r\n", "enough"));
            });
        }
    });
    let long = "x".repeat(4 << 20);
    let inspected = text(&"y".repeat(60_000));
    for (what, request) in [
        ("with a length", format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{long}", long.len())),
        (
            "in chunks",
            format!(
                "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
                long.len()
            ),
        ),
        ("whole", String::from_utf8(post(&inspected)).unwrap()),
    ] {
        let gate = Setup::to(&format!("http://127.0.0.1:{port}")).start();
        for number in 0..10 {
            let mut client = gate.connect();
            let mut sender = client.sender();
            let sent = request.clone();
            let sending = thread::spawn(move || drop(sender.write_all(sent.as_bytes())));
            let answer = client.reply();
            assert_eq!((answer.status(), answer.body_text()), (413, "enough"), "{what}, {number}");
            drop(client);
            sending.join().unwrap();
        }
    }
}

/// To one that has spoken HTTP/1.0, hyper would send a body of unknown length as none.
#[test]
fn an_upload_in_chunks_is_whole_behind_an_answer_of_http_1_0() {
    let bot = Recorder::answering(|_| {
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi".into(), false)
    });
    let gate = Setup::to(&bot.url()).start();
    for _ in 0..3 {
        gate.ask(GET).is(200, "hi");
        gate.ask("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            .is(200, "hi");
    }
    let bodies: Vec<_> =
        bot.take().iter().filter(|request| request.method == "PUT").map(|put| put.body.clone()).collect();
    assert_eq!(bodies, vec![b"hello".to_vec(); 3]);
    assert_eq!(bot.faults(), Vec::<String>::new());
}

/// Every connection closes after some requests, at times with one unread on it.
#[test]
fn a_bot_that_restarts_under_load_loses_and_doubles_nothing() {
    for (way, header) in [("whole", ""), ("streamed", "TE: trailers\r\n")] {
        let bot = Bot::with(|talk| {
            for _ in 0..=talk.connection % 5 {
                let Some(request) = talk.request()? else { return Ok(()) };
                talk.send(ok(request.target()))?;
            }
            Ok(())
        });
        let gate = Setup::before(&bot).start();
        let (clients, each) = (8, 60);
        thread::scope(|scope| {
            for client in 0..clients {
                let gate = &gate;
                scope.spawn(move || {
                    let mut connection = gate.connect();
                    for number in 0..each {
                        let target = format!("/{client}/{number}");
                        let request =
                            format!("POST {target} HTTP/1.1\r\nHost: a\r\n{header}Content-Length: 6\r\n\r\n<xml/>");
                        connection.send(request).reply().is(200, &target);
                    }
                });
            }
        });
        let mut targets: Vec<_> = bot.requests().iter().map(|request| request.target().to_owned()).collect();
        let asked = targets.len();
        targets.sort();
        targets.dedup();
        assert_eq!((targets.len(), asked), (clients * each, clients * each), "{way}: each once");
    }
}

#[test]
fn a_bot_that_is_away_for_a_while_is_found_again() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let gate = Setup::to(&format!("http://{address}")).start();
    for (_, request) in requests() {
        assert_eq!(gate.ask(request).status(), 502);
        gate.record().is("error", "upstream-error");
    }
    let listener = eventually("the port is free", || TcpListener::bind(address).ok());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&ok("back"));
            });
        }
    });
    for (_, request) in requests() {
        gate.ask(request).is(200, "back");
    }
}

/// A name that nothing answers for is looked up when it is needed, and not before.
#[test]
fn a_name_that_does_not_resolve_stops_neither_the_start_nor_others() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::empty()
        .and_route("lost", "http://no-such-bot.invalid:9000", "path = \"/lost\"")
        .and_route("bot", &bot.url(), "")
        .limits("connect_timeout = \"5s\"")
        .start();
    let mut lost = gate.connect();
    lost.send("GET /lost HTTP/1.1\r\nHost: a\r\n\r\n");
    gate.ask(GET).is(200, "hello");
    assert!([502, 504].contains(&lost.reply().status()));
    let named = Setup::to(&format!("http://localhost:{}", bot.port())).start();
    for (_, request) in requests() {
        named.ask(request).is(200, "hello");
    }
    drop(TcpStream::connect(("127.0.0.1", bot.port())));
}
