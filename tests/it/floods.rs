//! Too much of everything: connections, descriptors, header bytes, time, and XML that is made to be dear.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::wechat::{message, post_to};
use crate::support::{Bot, Client, Gate, PATIENCE, Recorder, Setup, eventually, ok, post, shown, text};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Whether the gate closes this connection without a word.
fn is_refused(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(GET.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer.is_empty()
}

#[test]
fn connections_beyond_the_limit_are_refused_and_the_others_go_on() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).limits("connections = 20").start();
    let mut clients: Vec<Client> = (0..20).map(|_| gate.connect()).collect();
    for client in &mut clients {
        client.send(GET).reply().is(200, "hello");
    }
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).unwrap();
        assert!(is_refused(&mut stream));
    }
    for client in &mut clients {
        client.send(post(text("hello"))).reply().is(200, "hello");
    }
    // A place that becomes free is given to the next.
    clients.truncate(19);
    eventually("there is room again", || {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).unwrap();
        stream.write_all(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    });
}

/// One flood takes no more memory than the one before it.
#[test]
fn memory_is_flat_under_a_flood_of_connections() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).limits("connections = 500").spawn();
    let flood = || {
        let mut streams = Vec::new();
        for number in 0..700 {
            let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).unwrap();
            // Half of a head, half of a callback, a whole one, or nothing.
            let sent = [&b"POST / HTTP/1.1\r\nHost"[..], &post(text("hello"))[..300], &post(text("hello")), b""];
            let _ = stream.write_all(sent[number % 4]);
            streams.push(stream);
        }
    };
    flood();
    flood();
    let before = gate.peak_memory();
    for _ in 0..4 {
        flood();
    }
    let grown = gate.peak_memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
    eventually("it serves again", || {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).ok()?;
        (!is_refused_politely(&mut stream)).then_some(())
    });
}

fn is_refused_politely(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(GET.as_bytes());
    !matches!(stream.read(&mut [0; 100]), Ok(1..))
}

#[test]
fn without_descriptors_the_gate_waits_says_so_and_recovers() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).spawn();
    let mut old = gate.connect();
    old.send(post(text("hello"))).reply().is(200, "hello");
    let used = std::fs::read_dir(format!("/proc/{}/fd", gate.id())).unwrap().count();
    let limit = format!("--nofile={}:{}", used + 12, used + 12);
    let limited = Command::new("prlimit").args(["--pid", &gate.id().to_string(), &limit]).status();
    if !limited.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no prlimit here");
        return;
    }
    let many: Vec<_> = (0..60).map(|_| TcpStream::connect(("127.0.0.1", gate.port)).unwrap()).collect();
    eventually("it says so", || gate.said().contains("cannot accept connections").then_some(()));
    old.send(post(text("hello"))).reply().is(200, "hello");
    let lines = gate.said().matches("cannot accept connections").count();
    assert!(lines < 20, "{lines} lines");
    drop(many);
    gate.connect().send(post(text("hello"))).reply().is(200, "hello");
}

/// Heads of all sizes pass whole, or are refused with 431; never cut.
#[test]
fn heads_of_64_kib_and_more_pass_or_are_refused() {
    let bot = Recorder::echoing();
    let gate = Setup::to(&bot.url()).start();
    for size in [30_000, 60_000, 65_400, 65_536, 70_000, 120_000, 300_000, 380_000] {
        for (way, start) in [("POST", "POST /wx"), ("GET", "GET /wx")] {
            let value = "a".repeat(size);
            let request = format!("{start} HTTP/1.1\r\nHost: a\r\nX-A: {value}\r\nContent-Length: 6\r\n\r\n<xml/>");
            let answer = gate.ask(request);
            let seen = bot.take();
            assert_eq!((answer.status(), seen.len()), (200, 1), "{way} {size}");
            assert_eq!(seen[0].values("x-a"), [value.as_bytes()], "{way} {size}");
        }
    }
    for headers in [60, 99, 101, 150] {
        let lines = "X-A: b\r\n".repeat(headers);
        let answer = gate.ask(format!("POST /wx HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: 6\r\n\r\n<xml/>"));
        let seen = bot.take();
        let passed = answer.status() == 200 && seen.len() == 1 && seen[0].values("x-a").len() == headers;
        assert!(passed || (answer.status() == 431 && seen.is_empty()), "{headers}: {answer:?}");
    }
    assert_eq!(bot.faults(), Vec::<String>::new());
}

/// A callback that comes slowly, byte by byte, and an answer that is taken slowly, over both ways.
#[test]
fn slow_senders_and_readers_are_served() {
    let long = "y".repeat(3_000_000);
    let body = long.clone();
    let bot = Bot::answering(move |request| if request.target() == "/long" { ok(&body) } else { ok("hello") });
    let gate = Gate::before(&bot);
    let mut slow = gate.connect();
    for byte in post(text("hello")) {
        slow.send([byte]);
    }
    slow.reply().is(200, "hello");
    let mut reader = gate.connect();
    reader.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    gate.ask(post(text("hello"))).is(200, "hello");
    assert_eq!(reader.reply().body, long.as_bytes());
}

/// One that takes nothing of its answer is let go after `idle_timeout`, and nobody waits for it.
#[test]
fn who_stops_in_the_middle_is_let_go() {
    let bot = Bot::answering(|request| if request.target() == "/long" { ok("y".repeat(30_000_000)) } else { ok("hi") });
    let gate = Setup::before(&bot).limits("idle_timeout = \"200ms\"\nheader_timeout = \"1s\"").start();
    let mut deaf = gate.connect();
    deaf.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut mute = gate.connect();
    mute.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n<xml");
    let mut dribbling = gate.connect();
    let began = std::time::Instant::now();
    // A byte at a time does not prolong the time for a head.
    while dribbling.try_send("X").is_ok() && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() < PATIENCE, "a head that never ends");
    assert!(mute.ended().starts_with(b"HTTP/1.1 400 "), "half a body is no request");
    bot.wait_for_ends(1);
    gate.ask(GET).is(200, "hi");
}

/// What is dear to parse is refused as a callback before it costs anything, and goes to the bot as it came.
#[test]
fn xml_that_is_made_to_be_dear_passes_untouched_in_bounded_memory() {
    let bot = Recorder::echoing();
    let gate = Setup::to(&bot.url())
        .limits("callback_body = \"4MiB\"")
        .rule("on = \"message\"\nname = \"all\"\ncontains = [\"lol\"]")
        .spawn();
    let laughs: String = (1..10).fold(String::new(), |all, level| {
        all + &format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10))
    });
    let words = |words: &str| message("text", &format!("<Content>{words}</Content><MsgId>1</MsgId>"));
    let attributes: String = (0..100_000).fold(String::new(), |all, number| all + " a" + &number.to_string() + "=\"\"");
    let bombs = [
        ("billion laughs", format!("<!DOCTYPE x [<!ENTITY l0 \"lol\">{laughs}]>{}", words("&l9;"))),
        ("an external entity", format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{}", words("&e;"))),
        ("an entity of nobody", words("&lol;")),
        ("100,000 levels", format!("<xml>{}{}</xml>", "<a>".repeat(100_000), "</a>".repeat(100_000))),
        ("100,000 levels that stay open", format!("<xml>{}", "<a>".repeat(100_000))),
        ("100,000 attributes", format!("<xml{attributes}><MsgType>event</MsgType></xml>")),
        ("the same attribute 100,000 times", format!("<xml{}></xml>", " a=\"\"".repeat(100_000))),
        ("100,000 elements", format!("<xml>{}</xml>", "<a/>".repeat(100_000))),
        ("100,000 types", format!("<xml>{}</xml>", "<MsgType>text</MsgType>".repeat(100_000))),
        (
            "1 MiB of CDATA in an event",
            message("event", &format!("<Event><![CDATA[{}]]></Event>", "x".repeat(1 << 20))),
        ),
        ("1 MiB of an attribute", format!("<xml a=\"{}\"/>", "x".repeat(1 << 20))),
        ("1 MiB of a name", format!("<{}/>", "x".repeat(1 << 20))),
        ("1 MiB of a comment", format!("<!--{}--><xml/>", "-".repeat(1 << 20))),
        ("100,000 references", words(&"&#120;".repeat(100_000))),
        ("100,000 CDATA", words(&"<![CDATA[x]]>".repeat(100_000))),
        ("JSON of 100,000 levels", format!("{}1", "{\"a\":".repeat(100_000))),
        ("JSON of 100,000 lists", format!("{{\"a\":{}", "[".repeat(100_000))),
        ("1 MiB of nothing", " ".repeat(1 << 20) + "<xml/>"),
    ];
    let ask = |body: &str| {
        let mut client = gate.connect();
        client.send(post_to("/wx", "", body)).reply()
    };
    ask(&words(&"x".repeat(3 << 20))).is(200, &format!("/wx{}", query()));
    bot.take();
    let before = gate.peak_memory();
    for (what, body) in &bombs {
        let answer = ask(body);
        assert_eq!(answer.status(), 200, "{what}: {answer:?}");
        let seen = bot.take();
        let came = seen.iter().map(|request| request.body == body.as_bytes()).collect::<Vec<_>>();
        assert_eq!(came, [true], "{what}: {}", shown(body.as_bytes()));
    }
    let grown = gate.peak_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
}

/// What `post_to` writes behind the path.
fn query() -> String {
    let request = String::from_utf8(post_to("", "", "")).unwrap();
    request.split(' ').nth(1).unwrap().to_owned()
}

/// A stranger's word on flags and addresses counts for nothing, spelled in any way, on both ways.
#[test]
fn what_a_stranger_says_of_itself_is_not_believed() {
    let bot = Recorder::echoing();
    let gate = Setup::to(&bot.url()).top("trusted_proxies = []").route("accept_request_flag = true").start();
    let forged = "X-Kf-Transfer: 1\r\nx-kf-transfer: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Request-Id: forged\r\n";
    let twins = "X_Kf_Transfer: 1\r\nX-Kf_Transfer: 1\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\n\
        x_forwarded-host: evil\r\nX_Request_Id: forged\r\n";
    for (way, headers) in
        [("whole", forged.to_owned()), ("streamed", format!("{forged}{twins}")), ("twins", twins.to_owned())]
    {
        let answer = gate.ask(post_to("/wx", &headers, text("hello")));
        assert!(!answer.holds_a_transfer() && answer.status() == 200, "{way}: {answer:?}");
        let seen = bot.take();
        let [request] = &seen[..] else { panic!("{way}: {seen:?}") };
        assert_eq!(request.values("x-forwarded-for"), [b"127.0.0.1"], "{way}");
        assert_eq!(request.values("x-forwarded-proto"), [b"http"], "{way}");
        assert_eq!(request.values("x-forwarded-host"), [b"wx.example.com"], "{way}");
        let odd: Vec<_> = request
            .headers
            .iter()
            .filter(|(name, value)| {
                name.contains('_')
                    || name.eq_ignore_ascii_case("x-kf-transfer")
                    || value.windows(6).any(|word| word == b"forged")
            })
            .collect();
        assert!(odd.is_empty(), "{way}: {odd:?}");
        gate.record().has(json!({"client": "127.0.0.1", "action": "forward"}));
    }
}
