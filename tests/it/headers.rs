//! Headers: their case and order, those of one hop, those about the client, and the gate's own.

use serde_json::json;

use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Client, Gate, Message, Setup, ok, post, text};

const UNTRUSTED: &str = "trusted_proxies = []";

/// The request as the bot sees it.
fn seen(setup: impl FnOnce(Setup) -> Setup, headers: &str) -> Message {
    let bot = Bot::saying(ok("hello"));
    let gate = setup(Setup::before(&bot)).start();
    gate.ask(format!("GET /wx HTTP/1.1\r\nHost: wx.example.com\r\n{headers}\r\n")).is(200, "hello");
    bot.request()
}

fn trusted(setup: Setup) -> Setup {
    setup
}

fn untrusted(setup: Setup) -> Setup {
    setup.top(UNTRUSTED)
}

#[test]
fn names_keep_their_case_and_values_their_bytes() {
    let lines: [&[u8]; 8] = [
        b"hOST: wx.example.com",
        b"x-lower: a",
        b"X-UPPER: b",
        b"X-mIxEd: c",
        b"Soap-ACTION: \"urn:x\"",
        b"X-Empty:",
        b"X-Latin: caf\xe9 \xe5\xbe\xae\xe4\xbf\xa1",
        b"Cookie: a=b; c=\"d e\"; \t f",
    ];
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    gate.ask([b"GET / HTTP/1.1\r\n", &*lines.join(&b"\r\n"[..]), b"\r\n\r\n"].concat()).is(200, "hello");
    let request = bot.request();
    for line in lines {
        let with_space = if line.ends_with(b":") { [line, b" "].concat() } else { line.to_vec() };
        assert!(request.has_line(line) || request.has_line(&with_space), "{} in {request:?}", line.escape_ascii());
    }
}

#[test]
fn a_replys_names_keep_their_case_and_its_values_their_bytes() {
    let lines: [&[u8]; 6] = [
        b"x-lower: a",
        b"X-UPPER: b",
        b"SET-cookie: a=b; Path=/",
        b"X-Latin: caf\xe9",
        b"ETag: W/\"1\"",
        b"P3P: CP=\"x\"",
    ];
    for request in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), post(text("hello"))] {
        let bot = Bot::saying(
            [b"HTTP/1.1 200 OK\r\n", &*lines.join(&b"\r\n"[..]), b"\r\ncontent-LENGTH: 2\r\n\r\nhi"].concat(),
        );
        let reply = Gate::before(&bot).ask(request);
        for line in lines {
            assert!(reply.has_line(line), "{} in {reply:?}", line.escape_ascii());
        }
        assert!(reply.has_line(b"content-LENGTH: 2"), "{reply:?}");
    }
}

#[test]
fn repeated_headers_keep_their_order_and_stay_apart() {
    let request = seen(trusted, "X-A: 1\r\nX-B: 2\r\nx-a: 3\r\nX-a: 1\r\nX-B: 4, 5\r\n");
    assert_eq!(request.headers("x-a"), ["1", "3", "1"]);
    assert_eq!(request.headers("x-b"), ["2", "4, 5"]);
    assert!(request.has_line(b"x-a: 3") && request.has_line(b"X-a: 1"), "{request:?}");

    let bot = Bot::saying(reply("200 OK", "Set-Cookie: a\r\nX: 1\r\nset-cookie: b\r\nSet-Cookie: a\r\n", "hi"));
    assert_eq!(Gate::before(&bot).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").headers("set-cookie"), ["a", "b", "a"]);
}

#[test]
fn as_many_headers_pass_as_the_http_library_reads() {
    let many = (0..90).map(|number| format!("X-{number}: {number}\r\n")).collect::<Vec<_>>().concat();
    let bot = Bot::saying(reply("200 OK", &many, "hi"));
    let gate = Gate::before(&bot);
    let answer = gate.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"));
    answer.is(200, "hi");
    for number in 0..90 {
        let (name, value) = (format!("x-{number}"), number.to_string());
        assert_eq!(answer.header(&name), Some(&*value));
        assert_eq!(bot.request().header(&name), Some(&*value));
    }
    gate.record().is("forward", "not-callback");
    let answer = gate.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}{many}\r\n"));
    assert_eq!(answer.status(), 431);
    gate.record().is("reject", "bad-request").has(json!({"status": 431}));
}

#[test]
fn what_belongs_to_one_hop_ends_there() {
    let request = seen(
        trusted,
        "Connection: keep-alive, X-Named, x-Other\r\nKeep-Alive: timeout=5\r\nX-Named: 1\r\nX-Other: 2\r\n\
         Proxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\nX-Kept: 3\r\n",
    );
    for name in ["connection", "keep-alive", "x-named", "x-other", "proxy-connection", "te", "upgrade"] {
        assert_eq!(request.headers(name), [""; 0], "{name}");
    }
    assert_eq!(request.header("x-kept"), Some("3"));
}

#[test]
fn what_belongs_to_the_bots_hop_ends_there_too() {
    let bot = Bot::saying(reply(
        "200 OK",
        "Connection: X-Named, Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\nX-Named: 1\r\nProxy-Connection: x\r\nX-Kept: 2\r\n",
        "hi",
    ));
    for request in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), post(text("hello"))] {
        let answer = Gate::before(&bot).ask(request);
        for name in ["connection", "keep-alive", "x-named", "proxy-connection"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.header("x-kept"), Some("2"));
    }
}

#[test]
fn connection_can_not_take_away_what_the_request_needs() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    gate.ask("POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length, X-Forwarded-For, X-Request-Id\r\nContent-Length: 2\r\n\r\nhi");
    let request = bot.request();
    assert_eq!((request.header("host"), request.body_text()), (Some("a"), "hi"));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(request.header("x-request-id").is_some());
}

#[test]
fn trailers_pass_both_ways() {
    let bot = Bot::answering(|request| {
        assert_eq!(request.trailers, [("X-Sum".to_owned(), "abc".to_owned())]);
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Digest\r\n\r\n";
        [head, &*chunked(&[b"hel", b"lo"], "X-Digest: def\r\n")].concat()
    });
    let gate = Gate::before(&bot);
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    let answer = gate.ask([head.as_bytes(), &chunked(&[b"up"], "X-Sum: abc\r\n")].concat());
    answer.is(200, "hello");
    assert_eq!(answer.trailers, [("X-Digest".to_owned(), "def".to_owned())]);
    assert_eq!(bot.request().header("te"), Some("trailers"));
    assert_eq!(bot.request().trailers.len(), 1);
}

#[test]
fn trailers_pass_behind_a_body_that_looks_like_a_callback() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    gate.ask([head.as_bytes(), &chunked(&[b"{\"a\":1}"], "X-Sum: abc\r\n")].concat()).is(200, "hello");
    assert_eq!(bot.request().trailers, [("X-Sum".to_owned(), "abc".to_owned())]);
}

#[test]
fn what_the_gate_says_of_a_client_can_not_be_said_again_in_trailers() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).top(UNTRUSTED).start();
    // Two ways through the gate.
    for (method, body) in [("PUT", "streamed"), ("POST", "<xml></xml>")] {
        let head = format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Kf-Transfer, X-Forwarded-For, X-Request-Id, X_Forwarded_For, X-Sum\r\n\r\n"
        );
        let trailers = "X-Kf-Transfer: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-Id: a\r\nX_Forwarded_For: 6.6.6.6\r\nX-Sum: b\r\n";
        gate.ask([head.as_bytes(), &chunked(&[body.as_bytes()], trailers)].concat()).is(200, "hello");
        let seen = bot.requests().pop().unwrap();
        assert_eq!(seen.trailers, [("X-Sum".to_owned(), "b".to_owned())]);
    }
}

#[test]
fn trailers_of_a_reply_that_was_read_pass_too() {
    let bot = Bot::answering(|_| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Digest, X-Kf-Transfer\r\n\r\n";
        [head, &*chunked(&[b"hello"], "X-Digest: def\r\nX-Kf-Transfer: 1\r\n")].concat()
    });
    let gate = Setup::before(&bot).rule("name = \"r\"\non = \"reply\"\ncontains = [\"x\"]").start();
    let request = crate::support::wechat::post_to("/wx", "TE: trailers\r\n", text("hello"));
    let answer = gate.ask(request);
    answer.is(200, "hello");
    assert_eq!(answer.trailers, [("X-Digest".to_owned(), "def".to_owned())]);
}

#[test]
fn the_bot_learns_who_the_client_is() {
    let request = seen(trusted, "");
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-host"), Some("wx.example.com"));
    assert_eq!(request.header("host"), Some("wx.example.com"), "preserved");
}

#[test]
fn a_trusted_proxy_is_believed() {
    let headers = "X-Forwarded-For: 101.226.103.59\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n";
    let request = seen(trusted, headers);
    assert_eq!(request.header("x-forwarded-for"), Some("101.226.103.59, 10.0.0.1, 127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("x-forwarded-host"), Some("outer"));
}

#[test]
fn anybody_else_is_not() {
    let headers =
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Host: evil2\r\n";
    for setup in [untrusted as fn(Setup) -> Setup, |setup| setup.top("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]")] {
        let request = seen(setup, headers);
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.header("x-forwarded-proto"), Some("http"));
        assert_eq!(request.header("x-forwarded-host"), Some("wx.example.com"));
    }
}

#[test]
fn the_log_names_the_last_untrusted_address() {
    let bot = Bot::saying(ok("hello"));
    for (top, chain, client) in [
        ("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]", "6.6.6.6, 101.226.103.59, 10.0.0.1", "101.226.103.59"),
        ("trusted_proxies = [\"127.0.0.0/8\"]", "6.6.6.6, 10.0.0.1", "10.0.0.1"),
        ("trusted_proxies = [\"127.0.0.0/8\"]", "6.6.6.6, nonsense", "127.0.0.1"),
        ("trusted_proxies = [\"127.0.0.0/8\"]", "[2001:db8::1]:1234", "2001:db8::1"),
        (UNTRUSTED, "6.6.6.6", "127.0.0.1"),
    ] {
        let gate = Setup::before(&bot).top(top).start();
        gate.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {chain}\r\n\r\n"));
        gate.record().has(json!({ "client": client }));
    }
}

#[test]
fn the_request_id_is_new_unless_a_trusted_proxy_gave_one() {
    let bot = Bot::saying(ok("hello"));
    for (top, headers, kept) in [
        ("", "", None),
        ("", "x-Request-ID: from-outside\r\n", Some("from-outside")),
        ("", "X-Request-Id: two words\r\n", None),
        (UNTRUSTED, "X-Request-Id: from-outside\r\n", None),
    ] {
        let gate = Setup::before(&bot).top(top).start();
        gate.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        let request = bot.requests().pop().unwrap();
        let id = request.header("x-request-id").expect("an id");
        assert_eq!(gate.record().text("id"), id, "the log's");
        match kept {
            Some(kept) => assert_eq!(id, kept),
            None => assert_eq!((id.len(), id.contains("from-outside")), (26, false), "{id}"),
        }
    }
}

#[test]
fn two_requests_have_two_ids() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    for _ in 0..10 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").reply();
    }
    let mut ids: Vec<_> =
        bot.requests().iter().map(|request| request.header("x-request-id").unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[test]
fn underscore_twins_of_the_gates_headers_are_removed() {
    let headers = "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nx_request_id: a\r\nX_REQUEST-ID: b\r\n\
                   X_Kf_Transfer: 1\r\nX-Kf_Transfer: 1\r\nX_Forwarded_Port: 1\r\nX_Mine: kept\r\n";
    for setup in [trusted as fn(Setup) -> Setup, untrusted] {
        let request = seen(setup, headers);
        for (name, _) in &request.headers {
            assert!(!name.contains('_') || name == "X_Mine", "{name}");
        }
        assert_eq!(request.header("x_mine"), Some("kept"));
    }
}

#[test]
fn the_flag_header_never_reaches_the_client() {
    for mode in ["on", "off", "dry-run"] {
        let bot = Bot::saying(reply(
            "404 Not Found",
            "x-KF-transfer: 1\r\nX-Kf-Transfer: 0\r\nX-Kf-Transfer-Other: 1\r\n",
            "hi",
        ));
        let gate = Setup::before(&bot).route(&format!("transfer = \"{mode}\"")).start();
        for request in
            [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), post(text("hello")), post(crate::support::event("CLICK"))]
        {
            let answer = gate.ask(request);
            assert_eq!(answer.headers("x-kf-transfer"), [""; 0], "{mode}");
            assert_eq!(answer.header("x-kf-transfer-other"), Some("1"));
        }
    }
}

#[test]
fn the_flag_header_can_have_another_name() {
    let bot = Bot::saying(reply("200 OK", "X-Desk: 1\r\nX-Kf-Transfer: 1\r\n", "hi"));
    let gate = Setup::before(&bot).route("flag_header = \"X-Desk\"").start();
    let answer = gate.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.header("x-desk"), answer.header("x-kf-transfer")), (None, Some("1")));
    gate.ask(post(text("hello"))).is_transfer();
}

#[test]
fn the_flag_on_a_request_passes_from_trusted_peers_alone() {
    assert_eq!(seen(trusted, "X-Kf-Transfer: 1\r\n").header("x-kf-transfer"), Some("1"));
    assert_eq!(seen(untrusted, "X-Kf-Transfer: 1\r\nx-kf-transfer: 0\r\n").headers("x-kf-transfer"), [""; 0]);
}

#[test]
fn a_client_on_a_unix_socket_is_trusted_and_has_no_address() {
    let bot = Bot::saying(ok("hello"));
    let setup = Setup::before(&bot).top("listen = [\"unix:gate.sock\", \"127.0.0.1:0\"]");
    let path = setup.dir().join("gate.sock");
    let gate = setup.start();
    let mut client = Client::connect_unix(&path);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n").reply().is(200, "hello");
    let request = bot.request();
    assert_eq!(request.headers("x-forwarded-for"), [""; 0]);
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    gate.record().has(json!({"client": "unix"}));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n").reply().is(200, "hello");
    assert_eq!(bot.requests()[1].header("x-forwarded-for"), Some("1.2.3.4"));
    gate.record().has(json!({"client": "1.2.3.4"}));
    drop(gate);
    assert!(!path.exists(), "the socket file is cleared away");
}
