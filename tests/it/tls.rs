//! TLS towards clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::tls::Authority;
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Client, Gate, PATIENCE, Setup, ok, post, text};

const GET: &str = "GET /page HTTP/1.1\r\nHost: wx.example.com\r\n\r\n";

/// A setup that terminates TLS as `localhost`.
pub(crate) fn secured(setup: Setup, authority: &Authority) -> Setup {
    let (cert, key) = authority.pair("localhost");
    fs::write(setup.dir().join("fullchain.pem"), cert).unwrap();
    fs::write(setup.dir().join("privkey.pem"), key).unwrap();
    setup.limits("[tls]\ncert = \"fullchain.pem\"\nkey = \"privkey.pem\"")
}

fn gate(bot: &Bot, authority: &Authority) -> Gate {
    secured(Setup::before(bot), authority).start()
}

#[test]
fn callbacks_and_pages_share_one_tls_connection() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = gate(&bot, &authority);
    for protocols in [&[][..], &["http/1.1"], &["h3", "http/1.1"]] {
        let mut client = Client::connect_tls(gate.port, authority.client(protocols));
        for request in [post(text("hi")), GET.into(), post(text("hi")), GET.into()] {
            client.send(request).reply().is(200, "hello");
        }
    }
    for request in bot.requests() {
        assert_eq!(request.header("x-forwarded-proto"), Some("https"), "{request:?}");
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    }
    assert_eq!(bot.requests().len(), 12);
}

#[test]
fn what_comes_in_one_record_is_answered_one_by_one() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = gate(&bot, &authority);
    let mut client = Client::connect_tls(gate.port, authority.client(&[]));
    // Later requests wait deciphered, and no socket tells of them: whole ones, a streamed one between, and parts.
    let all = [post(text("a")), GET.into(), post(text("b")), GET.into(), post(text("c"))].concat();
    client.send(&all);
    (0..5).for_each(|_| client.reply().is(200, "hello"));
    let (first, second) = all.split_at(700);
    client.send(first).send(second);
    (0..5).for_each(|_| client.reply().is(200, "hello"));
    assert_eq!(bot.requests().len(), 10);
}

#[test]
fn a_message_is_handed_over_over_tls() {
    let (bot, authority) = (Bot::saying(reply("200 OK", "X-Kf-Transfer: 1\r\n", "success")), Authority::new());
    let gate = gate(&bot, &authority);
    let mut client = Client::connect_tls(gate.port, authority.client(&[]));
    client.send(post(text("hello"))).reply().is_transfer();
    gate.record().is_transfer("rewrite", "flag");
}

#[test]
fn long_bodies_pass_in_both_directions() {
    let body = vec![b'x'; 3 << 20];
    let (big, authority) = (body.clone(), Authority::new());
    let bot = Bot::answering(move |request| ok(if request.method() == "POST" { &request.body } else { &big }));
    let gate = gate(&bot, &authority);
    let mut client = Client::connect_tls(gate.port, authority.client(&[]));
    assert!(client.send(GET).reply().body == body);
    let mut upload = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    upload.extend(chunked(&[&body], ""));
    assert!(client.send(upload).reply().body == body);
}

#[test]
fn who_speaks_no_tls_is_closed_and_keeps_nobody_waiting() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = secured(Setup::before(&bot).limits("header_timeout = \"1s\""), &authority).start();
    let mut silent: Vec<_> = (0..50).map(|_| gate.connect()).collect();
    let mut slow = gate.connect();
    slow.send(b"\x16\x03\x01");
    let mut plain = gate.connect();
    plain.send(GET);
    Client::connect_tls(gate.port, authority.client(&[])).send(GET).reply().is(200, "hello");
    // An alert at most: nothing of the bot.
    assert!(plain.ended().len() < 16);
    slow.is_closed();
    silent.iter_mut().for_each(Client::is_closed);
    assert_eq!(bot.requests().len(), 1);
}

#[test]
fn files_that_can_not_be_used_are_errors_where_they_are_named() {
    let authority = Authority::new();
    let ((cert, key), (other, _)) = (authority.pair("localhost"), authority.pair("localhost"));
    let dir = tempfile::TempDir::new().unwrap();
    for (name, text) in [("cert.pem", &cert), ("key.pem", &key), ("other.pem", &other)] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::write(dir.path().join("broken.pem"), "-----BEGIN PRIVATE KEY-----\nS3CRET!\n-----END PRIVATE KEY-----\n")
        .unwrap();
    let refused = |tls: &str| {
        let text =
            format!("admin = \"off\"\n[tls]\n{tls}\n[[route]]\nname = \"a\"\nupstream = \"http://127.0.0.1:1\"\n");
        let loaded = kfgate::config::parse(&text, &dir.path().join("kfgate.toml"));
        loaded.err().map(|errors| format!("{errors}{errors:?}"))
    };
    assert_eq!(refused("cert = \"cert.pem\"\nkey = \"key.pem\""), None);
    for (tls, line, reason) in [
        ("cert = \"none.pem\"\nkey = \"key.pem\"", 3, "can not read"),
        ("cert = \"key.pem\"\nkey = \"key.pem\"", 3, "no certificate in"),
        ("cert = \"cert.pem\"\nkey = \"none.pem\"", 4, "can not read"),
        ("cert = \"cert.pem\"\nkey = \"cert.pem\"", 4, "no private key in"),
        ("cert = \"cert.pem\"\nkey = \"broken.pem\"", 4, "no private key in"),
        ("cert = \"other.pem\"\nkey = \"key.pem\"", 4, "does not belong to the certificate"),
        ("cert = \"cert.pem\"", 2, "`key` is missing"),
        ("key = \"key.pem\"", 2, "`cert` is missing"),
    ] {
        let said = refused(tls).unwrap_or_else(|| panic!("{tls} is taken"));
        assert!(said.contains(reason) && said.contains(&format!("kfgate.toml:{line}:")), "{tls}: {said}");
        assert!(!said.contains("S3CRET"), "{said}");
    }
}

#[test]
fn versions_before_1_2_are_refused() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = gate(&bot, &authority);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = authority.client_of(&[version], &[]);
        Client::connect_tls(gate.port, config).send(GET).reply().is(200, "hello");
    }
    // A hello of TLS 1.1, with one cipher suite: what comes back is an alert (21).
    let mut hello = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\x00\x02\xc0\x13\x01\x00");
    let mut client = gate.connect();
    client.send(hello);
    assert_eq!(client.ended().first(), Some(&21));
}

#[test]
fn a_unix_socket_stays_plain() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let setup = secured(Setup::before(&bot).top("listen = [\"unix:gate.sock\"]"), &authority);
    let gate = setup.start();
    Client::connect_unix(&gate.path("gate.sock")).send(post(text("hi"))).reply().is(200, "hello");
    assert_eq!(bot.request().header("x-forwarded-proto"), Some("http"));
}

#[test]
fn draining_finishes_what_is_begun_over_tls() {
    let (bot, authority) = (Bot::slow(Duration::from_millis(300), ok("late")), Authority::new());
    let gate = gate(&bot, &authority);
    let mut client = Client::connect_tls(gate.port, authority.client(&[]));
    client.send(post(text("hello")));
    bot.wait_for_requests(1);
    gate.drain(Duration::from_secs(5));
    client.reply().is(200, "late");
    client.is_closed();
}

#[test]
fn many_handshakes_at_once_succeed() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = secured(Setup::before(&bot).top("workers = 2"), &authority).start();
    let config = authority.client(&[]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    Client::connect_tls(gate.port, config.clone()).send(GET).reply().is(200, "hello");
                }
            });
        }
    });
    assert_eq!(bot.requests().len(), 80);
}

#[test]
fn the_session_is_ended_in_order() {
    let (bot, authority) = (Bot::saying(ok("hello")), Authority::new());
    let gate = gate(&bot, &authority);
    for request in [
        String::from_utf8(post(text("hi"))).unwrap().replace("Pragma: no-cache", "Connection: close"),
        GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    ] {
        let socket = TcpStream::connect(("127.0.0.1", gate.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut session = crate::support::tls::session(authority.client(&[]), socket);
        session.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        // Without the end of TLS this would be an error: what was read could have been cut off.
        session.read_to_end(&mut all).expect("a whole session");
        assert!(all.ends_with(b"hello"));
    }
}
