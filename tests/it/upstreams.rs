//! Connections to bots: kept, tried again, given up; over TCP, TLS and unix sockets.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bot::DEAD;
use crate::support::tls::Authority;
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Gate, Setup, Talk, eventually, ok, post, text};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers the first request of its first connection, and closes that when the second one comes.
fn closes_on_the_second_request(parting: &'static str) -> Bot {
    Bot::with(move |talk| {
        if talk.connection == 1 {
            talk.request()?;
            talk.send(ok("first"))?;
            talk.request()?;
            return talk.send(parting);
        }
        answers(talk)
    })
}

fn answers(talk: &mut Talk) -> std::io::Result<()> {
    while talk.request()?.is_some() {
        talk.send(ok("hello"))?;
    }
    Ok(())
}

#[test]
fn a_pooled_connection_that_was_closed_is_tried_once_more() {
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into();
    for request in [GET.into(), post(text("hello")), put] {
        let bot = closes_on_the_second_request("");
        let gate = Gate::before(&bot);
        gate.ask(&request).is(200, "first");
        gate.ask(&request).is(200, "hello");
        let seen: Vec<_> = bot.requests().iter().map(|request| (request.connection, request.start.clone())).collect();
        assert_eq!(seen.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [1, 1, 2]);
        assert_eq!(seen[1].1, seen[2].1);
        assert_eq!(bot.requests()[1].body, bot.requests()[2].body);
        gate.records(2);
    }
}

#[test]
fn a_retried_request_is_the_same_request() {
    let bot = closes_on_the_second_request("");
    let gate = Gate::before(&bot);
    let request = "POST /a?b HTTP/1.1\r\nhOsT: a\r\nx-One: 1\r\nX-one: 2\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    gate.ask(request);
    gate.ask(request).is(200, "hello");
    let requests = bot.requests();
    assert_eq!(requests[1].raw_head.escape_ascii().to_string(), requests[2].raw_head.escape_ascii().to_string());
    assert_eq!(requests[1].body, requests[2].body);
}

#[test]
fn an_answer_that_was_begun_is_not_asked_for_again() {
    for parting in ["H", "HTTP/1.1 200 OK\r\nContent-", "nonsense\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        for request in [GET.into(), post(text("hello"))] {
            let bot = closes_on_the_second_request(parting);
            let gate = Gate::before(&bot);
            gate.ask(&request).is(200, "first");
            assert_eq!(gate.ask(&request).status(), 502, "{parting:?}");
            assert_eq!(bot.requests().len(), 2, "{parting:?}");
            gate.record();
            gate.record().is("error", "upstream-error").has(json!({"status": 502, "upstream_status": null}));
        }
    }
}

#[test]
fn a_streamed_body_is_never_sent_twice() {
    let long = "x".repeat(300_000);
    for request in [
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nstreamed".to_owned(),
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nstreamed\r\n0\r\n\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{long}", long.len()),
    ] {
        let bot = closes_on_the_second_request("");
        let gate = Gate::before(&bot);
        gate.ask(GET).is(200, "first");
        assert_eq!(gate.ask(request).status(), 502);
        assert_eq!(bot.requests().len(), 2);
        gate.record();
        gate.record().is("error", "upstream-error");
    }
}

#[test]
fn a_fresh_connection_that_closes_is_not_tried_again() {
    let bot = Bot::with(|talk| talk.request().map(drop));
    let gate = Gate::before(&bot);
    assert_eq!(gate.ask(post(text("hello"))).status(), 502);
    assert_eq!((bot.requests().len(), bot.connections()), (1, 1));
}

#[test]
fn a_pooled_connection_that_was_closed_long_ago_is_not_used() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send(ok("hello"))
    });
    let gate = Gate::before(&bot);
    for number in 1..5 {
        let streamed = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nstreamed";
        gate.ask(streamed).is(200, "hello");
        bot.wait_for_ends(number);
        // The gate has heard of it too, a moment later.
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_bot_says_unasked_is_not_the_next_answer() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send([ok("hello"), ok("unasked")].concat())?;
        while talk.request()?.is_some() {
            talk.send(ok("asked"))?;
        }
        Ok(())
    });
    let gate = Gate::before(&bot);
    gate.ask(GET).is(200, "hello");
    gate.ask(GET).is(200, "hello");
    assert_eq!(bot.connections(), 2);
}

#[test]
fn an_answer_that_was_not_read_does_not_spoil_the_next() {
    let bot =
        Bot::answering(|request| if request.target() == "/long" { ok("x".repeat(5_000_000)) } else { ok("hello") });
    let gate = Gate::before(&bot);
    for _ in 0..3 {
        let mut client = gate.connect();
        client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n").head();
        drop(client);
        gate.ask(GET).is(200, "hello");
    }
}

#[test]
fn connections_are_not_used_again_when_idle_for_too_long() {
    let bot = Bot::with(answers);
    let gate = Setup::before(&bot).limits("upstream_idle = \"100ms\"").start();
    gate.ask(GET);
    gate.ask(GET);
    assert_eq!(bot.connections(), 1);
    thread::sleep(Duration::from_millis(150));
    gate.ask(GET);
    assert_eq!(bot.connections(), 2);
    bot.wait_for_ends(1);
}

#[test]
fn requests_at_the_same_time_have_connections_of_their_own() {
    let waiting = AtomicUsize::new(0);
    let bot = Bot::with(move |talk| {
        while talk.request()?.is_some() {
            waiting.fetch_add(1, Ordering::SeqCst);
            // None is answered until all are there.
            eventually("all are there", || (waiting.load(Ordering::SeqCst) >= 8).then_some(()));
            talk.send(ok("hello"))?;
        }
        Ok(())
    });
    let gate = Gate::before(&bot);
    let mut clients: Vec<_> = (0..8).map(|_| gate.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for client in &mut clients {
        client.reply().is(200, "hello");
    }
    assert_eq!(bot.connections(), 8);
}

#[test]
fn nobody_there_is_a_502() {
    let gate = Setup::to(DEAD).start();
    for request in
        [GET.into(), post(text("hello")), b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".to_vec()]
    {
        let mut client = gate.connect();
        let answer = client.send(request).reply();
        assert_eq!(answer.status(), 502);
        assert!(
            !answer.body.is_empty() && answer.body.len() < 200 && !answer.body_text().contains("127.99"),
            "{answer:?}"
        );
        assert!(answer.header("content-type").is_some_and(|value| value.starts_with("text/plain")));
        gate.record()
            .is("error", "upstream-error")
            .has(json!({"status": 502, "upstream_status": null, "route": "bot"}));
    }
}

#[test]
fn a_name_that_does_not_resolve_is_a_502() {
    let gate = Setup::to("http://no-such-bot.invalid:9000").limits("connect_timeout = \"5s\"").start();
    assert!([502, 504].contains(&gate.ask(GET).status()));
}

#[test]
fn no_answer_in_time_is_a_504() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.wait_for_close();
        Ok(())
    });
    let gate = Setup::before(&bot).limits("upstream_timeout = \"150ms\"").start();
    for (number, request) in [GET.into(), post(text("hello"))].into_iter().enumerate() {
        let began = Instant::now();
        assert_eq!(gate.ask(request).status(), 504);
        assert!((140..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        gate.record().is("error", "timeout").has(json!({"status": 504, "upstream_status": null}));
        bot.wait_for_ends(number + 1);
    }
}

#[test]
fn a_head_that_dribbles_is_a_504_too() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: 1234567890123456789012345678901234567890" {
            talk.send([*byte])?;
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    let gate = Setup::before(&bot).limits("upstream_timeout = \"100ms\"").start();
    assert_eq!(gate.ask(GET).status(), 504);
}

#[test]
fn a_reply_may_take_longer_than_its_head() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")?;
        for byte in b"hello" {
            thread::sleep(Duration::from_millis(40));
            talk.send([*byte])?;
        }
        Ok(())
    });
    let gate = Setup::before(&bot).limits("upstream_timeout = \"100ms\"").start();
    gate.ask(GET).is(200, "hello");
}

/// A listener whose queue is full does not answer at all.
#[test]
fn a_bot_that_does_not_take_the_connection_is_a_504() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    loop {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => queued.push(stream),
            Err(_) => break,
        }
        if queued.len() > 5000 {
            eprintln!("skipped: this system's queue of connections does not fill up");
            return;
        }
    }
    let gate = Setup::to(&format!("http://{address}")).limits("connect_timeout = \"150ms\"").start();
    let began = Instant::now();
    assert_eq!(gate.ask(post(text("hello"))).status(), 504);
    assert!(began.elapsed() < Duration::from_secs(3));
    gate.record().is("error", "timeout");
}

#[test]
fn what_is_no_http_is_a_502() {
    for garbage in [
        "nonsense",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "\r\n\r\n\r\n",
    ] {
        let bot = Bot::saying_and_closing(garbage);
        let gate = Gate::before(&bot);
        assert_eq!(gate.ask(post(text("hello"))).status(), 502, "{garbage:?}");
        gate.record().is("error", "upstream-error");
    }
}

#[test]
fn a_bots_small_sins_are_passed_over() {
    for head in [
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nodd line\r\nContent-Length: 5\r\n\r\n",
    ] {
        let bot = Bot::saying_and_closing(format!("{head}hello"));
        Gate::before(&bot).ask(GET).is(200, "hello");
    }
}

#[test]
fn a_base_path_stands_before_every_path() {
    let bot = Bot::saying(ok("hello"));
    for base in ["/old/bot", "/old/bot/"] {
        let gate = Setup::to(&format!("{}{base}", bot.url())).start();
        for (target, path) in
            [("/", "/old/bot/"), ("/wx?a=b", "/old/bot/wx?a=b"), ("//x", "/old/bot//x"), ("http://a?b", "/old/bot/?b")]
        {
            gate.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).is(200, "hello");
            assert_eq!(bot.requests().pop().unwrap().target(), path);
        }
        gate.records(4).iter().for_each(|record| assert!(!record["path"].as_str().unwrap().contains("old")));
    }
}

#[test]
fn a_bot_can_be_on_a_unix_socket() {
    let bot = Bot::on_unix_socket(answers);
    for (url, target) in [(bot.url(), "/wx"), (format!("{}:/base", bot.url()), "/base/wx")] {
        let gate = Setup::to(&url).start();
        gate.ask("GET /wx HTTP/1.1\r\nHost: a\r\n\r\n").is(200, "hello");
        let request = bot.requests().pop().unwrap();
        assert_eq!((request.target(), request.header("host")), (target, Some("a")));
        gate.ask("GET /wx HTTP/1.0\r\n\r\n").is(200, "hello");
    }
    assert_eq!(Setup::to("unix:/nonexistent/bot.sock").start().ask(GET).status(), 502);
}

#[test]
fn a_bot_over_tls_is_checked_against_its_private_ca() {
    let authority = Authority::new();
    for name in ["127.0.0.1", "localhost"] {
        let bot = Bot::over_tls(authority.server(name), answers);
        let setup = Setup::to(&format!("https://{name}:{}", bot.port())).route("upstream_ca = \"ca.pem\"");
        std::fs::write(setup.dir().join("ca.pem"), &authority.pem).unwrap();
        let gate = setup.start();
        for _ in 0..3 {
            gate.ask(post(text("hello"))).is(200, "hello");
        }
        assert_eq!(bot.connections(), 1, "its connections are kept too");
        assert_eq!(bot.requests()[0].header("x-forwarded-proto"), Some("http"), "the client's");
    }
}

#[test]
fn a_bot_with_the_wrong_certificate_is_a_502() {
    let (authority, other) = (Authority::new(), Authority::new());
    let bot = Bot::over_tls(authority.server("127.0.0.1"), answers);
    let misnamed = Bot::over_tls(authority.server("localhost"), answers);
    for (bot, pem) in [(&bot, &other.pem), (&misnamed, &authority.pem)] {
        let setup = Setup::to(&format!("https://127.0.0.1:{}", bot.port())).route("upstream_ca = \"ca.pem\"");
        std::fs::write(setup.dir().join("ca.pem"), pem).unwrap();
        let gate = setup.start();
        assert_eq!(gate.ask(post(text("hello"))).status(), 502);
        gate.record().is("error", "upstream-error");
        assert!(bot.was_not_asked());
    }
    let gate = Setup::to(&format!("https://127.0.0.1:{}", bot.port())).start();
    assert_eq!(gate.ask(GET).status(), 502, "not one of the system's authorities");
    let gate = Setup::to(&format!("https://127.0.0.1:{}", misnamed.port())).route("upstream_insecure = true").start();
    gate.ask(GET).is(200, "hello");
}

#[test]
fn a_bot_that_speaks_no_tls_is_a_502() {
    let bot = Bot::saying_and_closing(ok("hello"));
    let gate = Setup::to(&format!("https://127.0.0.1:{}", bot.port())).route("upstream_insecure = true").start();
    assert_eq!(gate.ask(GET).status(), 502);
    let authority = Authority::new();
    let bot = Bot::over_tls(authority.server("localhost"), answers);
    assert_eq!(Setup::to(&format!("http://127.0.0.1:{}", bot.port())).start().ask(GET).status(), 502);
}

#[test]
fn a_chunked_reply_is_as_good_for_the_pool_as_any() {
    let bot = Bot::answering(|_| {
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &*chunked(&[b"hello"], "")].concat()
    });
    for request in [GET.into(), post(text("hello"))] {
        let before = bot.connections();
        let gate = Gate::before(&bot);
        for _ in 0..5 {
            gate.ask(&request).is(200, "hello");
        }
        assert_eq!(bot.connections(), before + 1);
    }
}

#[test]
fn a_bot_that_comes_back_is_found_again() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let bot = Bot::with(move |talk| {
        while talk.request()?.is_some() && well.load(Ordering::SeqCst) {
            talk.send(ok("hello"))?;
        }
        Ok(())
    });
    let gate = Gate::before(&bot);
    for _ in 0..3 {
        assert_eq!(gate.ask(GET).status(), 502);
    }
    is_well.store(true, Ordering::SeqCst);
    gate.ask(GET).is(200, "hello");
}

/// The bot has answered, and still reads what the client of that answer does not send.
#[test]
fn an_upload_that_is_never_finished_does_not_delay_the_next_callback() {
    let bot = Bot::with(|talk| {
        let head = talk.head()?;
        if head.is_some_and(|head| head.method() == "PUT") {
            talk.send(reply("404 Not Found", "", "no"))?;
            talk.wait_for_close();
            return Ok(());
        }
        talk.send(ok("hello"))
    });
    let gate = Setup::before(&bot).top("workers = 1").start();
    let mut uploading = gate.connect();
    uploading.send("PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\nhi").reply().is(404, "no");
    let began = Instant::now();
    gate.ask(post(text("hello"))).is(200, "hello");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let seen: Vec<_> = bot.requests().iter().map(|request| request.connection).collect();
    assert_eq!(seen, [1, 2]);
    drop(uploading);
    bot.wait_for_ends(2);
}
