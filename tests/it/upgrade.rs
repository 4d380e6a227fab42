//! Requests to go on in another protocol: a WebSocket echo bot on raw sockets.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::tls::Authority;
use crate::support::{Bot, Client, Gate, Setup, Talk, eventually, ok};
use crate::tls::secured;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Kf-Transfer: 1\r\n\r\n";

/// The echo of RFC 6455: what comes masked in a text frame goes back unmasked. A close frame ends it.
fn echo(talk: &mut Talk) -> std::io::Result<()> {
    loop {
        let head = talk.bytes(2)?;
        let length = usize::from(head[1] & 0x7f);
        let (mask, mut payload) = (talk.bytes(4)?, talk.bytes(length)?);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        talk.send([&[head[0], length as u8][..], &payload].concat())?;
        if head[0] == 0x88 {
            return Ok(());
        }
    }
}

fn websocket_bot() -> Bot {
    Bot::with(|talk| {
        while let Some(request) = talk.request()? {
            if request.header("upgrade").is_some() {
                talk.send(AGREED)?;
                return echo(talk);
            }
            talk.send(ok("plain"))?;
        }
        Ok(())
    })
}

fn said(words: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = words.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, 0x80 | words.len() as u8].into_iter().chain(mask).chain(masked).collect()
}

fn echoed(words: &str) -> Vec<u8> {
    [&[0x81, words.len() as u8][..], words.as_bytes()].concat()
}

const CLOSE: [u8; 6] = [0x88, 0x80, 0, 0, 0, 0];

fn open(bot: &Bot) -> Gate {
    Setup::before(bot).route("upgrade = true").start()
}

fn converse(client: &mut Client) {
    let head = client.send(ASK).head();
    assert_eq!(head.start, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(head.header("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"));
    assert_eq!(head.header("connection"), Some("upgrade"));
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.header("x-kf-transfer"), None);
    for words in ["hello", "人工", ""] {
        assert_eq!(client.send(said(words)).read(2 + words.len()), echoed(words));
    }
}

#[test]
fn a_websocket_passes_and_is_logged_once_with_its_bytes() {
    let bot = websocket_bot();
    let gate = open(&bot);
    let mut client = gate.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").reply().is(200, "plain");
    converse(&mut client);
    assert_eq!(client.send(CLOSE).read(2), [0x88, 0]);
    client.is_closed();
    let request = &bot.requests()[1];
    assert_eq!((request.header("upgrade"), request.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    gate.record().is("forward", "not-callback");
    gate.record().is("forward", "not-callback").has(json!({
        "status": 101, "upstream_status": 101, "bytes_in": 6 * 4 + 11, "bytes_out": 2 * 4 + 11, "path": "/chat"
    }));
    gate.has_no_more_records();
}

#[test]
fn a_websocket_passes_over_tls() {
    let (bot, authority) = (websocket_bot(), Authority::new());
    let gate = secured(Setup::before(&bot).route("upgrade = true\ntransfer = \"off\""), &authority).start();
    let mut client = Client::connect_tls(gate.port, authority.client(&["http/1.1"]));
    converse(&mut client);
    client.send(CLOSE).read(2);
    client.is_closed();
    gate.record().is("forward", "off").has(json!({"status": 101}));
}

#[test]
fn what_is_said_at_once_is_not_lost() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send([AGREED.as_bytes(), &echoed("first")].concat())?;
        echo(talk)
    });
    let gate = open(&bot);
    let mut client = gate.connect();
    client.send([ASK.as_bytes(), &said("early")].concat());
    assert_eq!(client.head().status(), 101);
    assert_eq!(client.read(14), [echoed("first"), echoed("early")].concat());
}

#[test]
fn no_tunnel_is_opened_that_the_route_the_request_or_the_bot_does_not_allow() {
    let bot = websocket_bot();
    for (route, ask) in [
        ("", ASK.to_owned()),
        ("upgrade = false", ASK.to_owned()),
        ("upgrade = true", ASK.replace("HTTP/1.1", "HTTP/1.0")),
        ("upgrade = true", ASK.replace("Upgrade: websocket", "Upgrade: h2c")),
        ("upgrade = true", ASK.replace("Upgrade: websocket", "Upgrade: websocket, h2c")),
        ("upgrade = true", ASK.replace("keep-alive, Upgrade", "keep-alive")),
        ("upgrade = true", ASK.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi")),
        ("upgrade = true", ASK.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")),
    ] {
        let gate = Setup::before(&bot).route(route).start();
        gate.ask(&ask).is(200, "plain");
    }
    assert!(bot.requests().iter().all(|request| request.header("upgrade").is_none()));
}

#[test]
fn an_answer_that_declines_goes_back_as_it_came() {
    let bot = Bot::saying(ok("no chat today"));
    let gate = open(&bot);
    let mut client = gate.connect();
    for _ in 0..2 {
        client.send(ASK).reply().is(200, "no chat today");
    }
    gate.record().is("forward", "not-callback").has(json!({"status": 200, "bytes_out": 13}));
}

#[test]
fn a_bot_that_agrees_to_something_else_gets_no_tunnel() {
    for answer in [
        AGREED.replace("Upgrade: WebSocket", "Upgrade: other"),
        AGREED.replace("Upgrade: WebSocket\r\n", ""),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let bot = Bot::with(move |talk| {
            talk.request()?;
            talk.send(&answer)?;
            talk.wait_for_close();
            Ok(())
        });
        let gate = open(&bot);
        assert_eq!(gate.ask(ASK).status(), 502);
        bot.wait_for_ends(1);
        gate.record().is("error", "upstream-error");
    }
    let gate = Setup::to(crate::support::bot::DEAD).route("upgrade = true").start();
    assert_eq!(gate.ask(ASK).status(), 502);
}

#[test]
fn a_tunnel_ends_with_either_side() {
    let bot = websocket_bot();
    let gate = open(&bot);
    let mut client = gate.connect();
    converse(&mut client);
    drop(client);
    bot.wait_for_ends(1);
    gate.record().has(json!({"status": 101}));
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send(AGREED)
    });
    let gate = open(&bot);
    let mut client = gate.connect();
    assert_eq!(client.send(ASK).head().status(), 101);
    client.is_closed();
}

#[test]
fn a_tunnel_in_which_nothing_is_said_is_closed() {
    let bot = websocket_bot();
    let gate = Setup::before(&bot).route("upgrade = true").limits("idle_timeout = \"300ms\"").start();
    let mut client = gate.connect();
    converse(&mut client);
    // It lasts for as long as something is said.
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(100));
        assert_eq!(client.send(said("a")).read(3), echoed("a"));
    }
    client.is_closed();
}

#[test]
fn draining_closes_a_tunnel_at_the_deadline() {
    let bot = websocket_bot();
    let gate = open(&bot);
    let mut client = gate.connect();
    converse(&mut client);
    gate.drain(Duration::from_millis(300));
    assert_eq!(client.send(said("still")).read(7), echoed("still"));
    client.is_closed();
    eventually("the gate ends", || gate.has_ended().then_some(()));
    gate.record().has(json!({"status": 101, "bytes_in": 6 * 4 + 11 + 5}));
}
