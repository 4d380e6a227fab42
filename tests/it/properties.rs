//! What holds for any input: forwarding is the identity, and no input makes an event a transfer.

use kfgate::wechat::{Inbound, open};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::wechat::{bot_reply, json_event, post_to, says};
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Gate, Setup, event, ok};

fn runner(cases: u32) -> TestRunner {
    // Nothing is written into the tree; what fails is printed.
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// A header that belongs to nobody in particular.
fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let value = vec(prop_oneof![0x21..0x7f_u8, Just(b' '), Just(b'\t'), 0x80..=0xff_u8], 0..40);
    ("[Xx]-[A-Za-z0-9!#$%&'*+.^`|~-]{1,20}", value.prop_map(|value| value.trim_ascii().to_vec())).prop_filter(
        "the gate's own",
        |(name, _)| {
            let name = name.to_ascii_lowercase();
            !name.starts_with("x-forwarded-") && name != "x-request-id" && name != "x-kf-transfer"
        },
    )
}

fn head_lines(headers: &[(String, Vec<u8>)]) -> Vec<u8> {
    headers.iter().flat_map(|(name, value)| [name.as_bytes(), b": ", value, b"\r\n"].concat()).collect()
}

/// These lines of a head, in order, for each name alone: between names there is no order.
fn lines_by_name(raw_head: &[u8], wanted: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut lines: Vec<_> = raw_head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let line = line.trim_ascii();
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((String::from_utf8_lossy(&line[..colon]).into_owned(), line[colon + 1..].trim_ascii().to_vec()))
        })
        .filter(|(name, _)| wanted.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)))
        .collect();
    lines.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    lines
}

fn sorted(headers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut sorted = headers.to_vec();
    sorted.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    sorted
}

#[test]
fn forwarding_is_the_identity() {
    let bot = Bot::answering(|request| {
        let extra: Vec<_> = request
            .raw_head
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"X-") || line.starts_with(b"x-"))
            .collect();
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        for line in extra {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", request.body.len()).as_bytes());
        [bytes, request.body.clone()].concat()
    });
    for transfer in ["on", "off"] {
        let gate = Setup::before(&bot).route(&format!("transfer = \"{transfer}\"")).start();
        let method = prop_oneof![Just("POST"), Just("PUT"), Just("GET"), Just("PATCH")];
        let target = "/[A-Za-z0-9%._~!$&'()*+,;=:@/-]{0,60}(\\?[A-Za-z0-9%._~!$&'()*+,;=:@/?-]{0,60})?";
        let body = prop_oneof![
            vec(any::<u8>(), 0..3000),
            "<xml>\\PC{0,200}".prop_map(String::into_bytes),
            Just(event("CLICK").into_bytes())
        ];
        let request = (method, target, vec(header(), 0..8), body, any::<bool>());
        let outcome = runner(40).run(&request, |(method, target, headers, body, in_chunks)| {
            let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: wx.example.com\r\n").into_bytes();
            bytes.extend_from_slice(&head_lines(&headers));
            if in_chunks {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                bytes.extend_from_slice(&chunked(&body.chunks(700).collect::<Vec<_>>(), ""));
            } else {
                bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                bytes.extend_from_slice(&body);
            }
            let answer = gate.ask(bytes);
            let seen = bot.requests().pop().unwrap();
            prop_assert_eq!(&seen.start, &format!("{method} {target} HTTP/1.1"));
            prop_assert_eq!(&seen.body, &body);
            prop_assert_eq!(lines_by_name(&seen.raw_head, &headers), sorted(&headers));
            prop_assert_eq!(answer.status(), 200);
            prop_assert_eq!(&answer.body, &body);
            prop_assert_eq!(lines_by_name(&answer.raw_head, &headers), sorted(&headers));
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// One of several requests on a connection.
fn one_of_many() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..200),
        Just(event("CLICK").into_bytes()),
        // What looks like the next request, and is not.
        Just(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
    ];
    (prop_oneof![Just("POST"), Just("PUT"), Just("GET"), Just("DELETE")], body)
}

#[test]
fn wherever_the_reads_fall_each_request_is_one_request() {
    let bot = Bot::answering(|request| ok(request.target()));
    let gate = Gate::before(&bot);
    let many = (vec(one_of_many(), 1..8), vec(any::<prop::sample::Index>(), 0..12));
    let outcome = runner(60).run(&many, |(requests, cuts)| {
        let before = bot.requests().len();
        let bytes: Vec<u8> = requests
            .iter()
            .enumerate()
            .flat_map(|(number, (method, body))| {
                let head = format!("{method} /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
                [head.into_bytes(), body.clone()].concat()
            })
            .collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut client = gate.connect();
        for cut in cuts.windows(2) {
            client.send(&bytes[cut[0]..cut[1]]);
            std::thread::yield_now();
        }
        for number in 0..requests.len() {
            let answer = client.reply();
            prop_assert_eq!(answer.body_text(), format!("/{number}"));
        }
        client.finish().is_closed();
        let seen = bot.requests().split_off(before);
        prop_assert_eq!(seen.len(), requests.len());
        for (number, (seen, (method, body))) in seen.iter().zip(&requests).enumerate() {
            prop_assert_eq!((seen.method(), seen.target()), (*method, &*format!("/{number}")));
            prop_assert_eq!(&seen.body, body);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// What is done to an event: bytes put in anywhere, and cut out anywhere but from its type.
#[derive(Debug, Clone)]
enum Change {
    PutIn(prop::sample::Index, Vec<u8>),
    CutOut(prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let hostile = prop::sample::select(vec![
        "<MsgType>text</MsgType>",
        "<MsgType><![CDATA[text]]></MsgType>",
        "<MsgType/>",
        "]]>",
        "]]></Event><MsgType>text</MsgType>",
        "<xml>",
        "</xml>",
        "<Content>人工</Content>",
        "<Content>",
        "&lt;",
        "&#x65;",
        "<",
        ">",
        "\"MsgType\":\"text\",",
        "\"}",
        "{",
        "\\",
        "\u{feff}",
        "<?xml version=\"1.0\" encoding=\"gbk\"?>",
        "<?",
        "\0",
        "<Event>",
        "</Event>",
        "<a b=\"",
        "text",
        "<X xmlns=\"y\">",
        "<ToUserName>gh_x</ToUserName>",
        "<FromUserName>",
        "<Encrypt>",
        "\r\n",
    ]);
    let bytes = prop_oneof![hostile.prop_map(|text| text.as_bytes().to_vec()), vec(any::<u8>(), 1..8)];
    prop_oneof![
        3 => (any::<prop::sample::Index>(), bytes).prop_map(|(at, bytes)| Change::PutIn(at, bytes)),
        1 => (any::<prop::sample::Index>(), 1..20_usize).prop_map(|(at, length)| Change::CutOut(at, length)),
    ]
}

/// The type of the event stays whole: what is put into it makes it another, and never that of a message.
fn changed(mut body: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        match change {
            Change::PutIn(at, bytes) => {
                let at = at.index(body.len() + 1);
                body.splice(at..at, bytes);
            }
            Change::CutOut(at, length) => {
                let at = at.index(body.len());
                let cut = at..(at + length).min(body.len());
                let rest = [&body[..cut.start], &body[cut.end..]].concat();
                if says_event(&rest) {
                    body = rest;
                }
            }
        }
    }
    body
}

/// Whether its type can still be read by anybody.
fn says_event(body: &[u8]) -> bool {
    ["<MsgType><![CDATA[event]]></MsgType>", "\"MsgType\":\"event\""]
        .iter()
        .any(|whole| body.windows(whole.len()).any(|window| window == whole.as_bytes()))
}

fn mutation() -> impl Strategy<Value = Vec<u8>> {
    (
        prop_oneof![Just(event("CLICK")), Just(json_event("CLICK")), Just(event("kf_create_session"))],
        vec(change(), 1..6),
    )
        .prop_map(|(body, changes)| changed(body.into_bytes(), changes))
}

#[test]
fn no_change_to_an_event_makes_it_a_message() {
    let outcome = runner(6000).run(&mutation(), |body| {
        let text = String::from_utf8_lossy(&body);
        let inbound = open(&text, None);
        prop_assert!(!matches!(inbound, Inbound::Message(_)), "{inbound:?}");
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

fn everybody_asks(bot: &Bot) -> Gate {
    Setup::before(bot)
        .route("accept_request_flag = true\non_error = \"transfer\"\nfallbacks_per_minute = 1000000")
        .rule("name = \"all\"\non = \"message\"\ntypes = [\"text\", \"image\", \"voice\", \"video\", \"location\", \"link\"]")
        .start()
}

#[test]
fn no_change_to_an_event_makes_it_a_transfer() {
    let bots = [
        Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &says("hm"))),
        Bot::saying(reply("500 Oops", "X-Kf-Transfer: 1\r\n", "oops")),
    ];
    let gates = bots.each_ref().map(everybody_asks);
    let outcome = runner(150).run(&mutation(), |body| {
        for gate in &gates {
            let answer = gate.ask(post_to("/wx", "X-Kf-Transfer: 1\r\n", &body));
            prop_assert!([200, 500].contains(&answer.status()), "{answer:?}");
            prop_assert!(!answer.holds_a_transfer(), "{answer:?}");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn any_body_gets_the_bots_answer() {
    let bot = Bot::saying(ok("hello"));
    let gate = Gate::before(&bot);
    let body = prop_oneof![vec(any::<u8>(), 0..300), mutation(), "[<{]\\PC{0,100}".prop_map(String::into_bytes)];
    let outcome = runner(150).run(&body, |body| {
        let answer = gate.ask(post_to("/wx", "", &body));
        prop_assert_eq!((answer.status(), answer.body_text()), (200, "hello"));
        prop_assert_eq!(&bot.requests().pop().unwrap().body, &body);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
