//! What is decided on a callback, end to end: flags, rules, modes, accounts.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::wechat::{bot_reply, bots_json_transfer, bots_transfer, json_text, message, post_to, says};
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Gate, Message, Setup, event, ok, post, text};

/// A rule for every message of every type.
const CATCH_ALL: &str = "name = \"all\"\non = \"message\"\ntypes = [\"text\", \"image\", \"voice\", \"video\", \"shortvideo\", \"location\", \"link\", \"miniprogrampage\"]\n";

fn flagged(values: &[&str]) -> Bot {
    let headers: Vec<_> = values.iter().map(|value| format!("X-Kf-Transfer: {value}\r\n")).collect();
    Bot::saying(bot_reply(&headers.concat(), &says("hm")))
}

fn rule(bot: &Bot, lines: &str) -> Gate {
    Setup::before(bot).rule(lines).start()
}

fn bot() -> Bot {
    Bot::saying(bot_reply("", &says("hm")))
}

#[test]
fn the_bots_flag_asks_for_a_transfer() {
    for (values, account) in [
        (&["1"][..], None),
        (&["true"], None),
        (&["TRUE"], None),
        (&["on"], None),
        (&["Yes"], None),
        (&[" 1 "], None),
        (&["1", "yes"], None),
        (&["1, true"], None),
        (&["test1@test"], Some("test1@test")),
        (&[" Test1@test "], Some("Test1@test")),
        (&["test1@test", "test1@test"], Some("test1@test")),
        (&["a]]>b@c"], Some("a]]]]><![CDATA[>b@c")),
    ] {
        let bot = flagged(values);
        let gate = Gate::before(&bot);
        let answer = gate.ask(post(text("hello")));
        match account {
            None => answer.is_transfer(),
            Some(account) => answer.is_transfer_to(account),
        }
        let logged = account.map(|account| account.replace("]]]]><![CDATA[>", "]]>"));
        gate.record().is_transfer("rewrite", "flag").has(
            json!({"account": logged, "status": 200, "upstream_status": 200, "msg_type": "text", "dry_run": false}),
        );
    }
}

#[test]
fn the_bots_flag_vetoes_rules() {
    for value in ["0", "false", "OFF", "No", " 0\t"] {
        let bot = flagged(&[value]);
        for rule_lines in
            [format!("{CATCH_ALL}mode = \"rewrite\""), "name = \"r\"\non = \"reply\"\ncontains = [\"hm\"]".into()]
        {
            let gate = rule(&bot, &rule_lines);
            let answer = gate.ask(post(text("hello")));
            answer.is(200, &says("hm"));
            assert_eq!(answer.header("x-kf-transfer"), None);
            gate.record().is("forward", "veto");
        }
    }
}

#[test]
fn a_flag_that_means_nothing_is_ignored_and_logged() {
    for values in
        [&["maybe"][..], &[""], &["2"], &["1", "0"], &["1, 0"], &["1", "test1@test"], &["a@b", "c@d"], &["\u{1f600}"]]
    {
        let bot = flagged(values);
        let gate = Gate::before(&bot);
        let answer = gate.ask(post(text("hello")));
        answer.is(200, &says("hm"));
        assert_eq!(answer.headers("x-kf-transfer"), [""; 0]);
        gate.record().is("forward", "flag-invalid");
        // A rule goes on as if there were none.
        let gate = rule(&bot, &format!("{CATCH_ALL}mode = \"rewrite\""));
        gate.ask(post(text("hello"))).is_transfer();
        gate.record().is_transfer("rewrite", "rule:all");
    }
}

#[test]
fn a_flag_counts_on_2xx_alone() {
    for status in ["302 Found", "404 Not Found", "500 Internal Server Error", "304 Not Modified"] {
        let bytes = if status.starts_with("304") {
            b"HTTP/1.1 304 Not Modified\r\nX-Kf-Transfer: 1\r\n\r\n".to_vec()
        } else {
            reply(status, "X-Kf-Transfer: 1\r\n", "page")
        };
        let bot = Bot::saying(bytes);
        let gate = rule(&bot, &format!("{CATCH_ALL}mode = \"rewrite\""));
        let answer = gate.ask(post(text("hello")));
        assert!(answer.start.ends_with(status), "{answer:?}");
        assert_eq!(answer.headers("x-kf-transfer"), [""; 0]);
        let cause = if status.starts_with('5') { "upstream-error" } else { "no-rule" };
        gate.record().is("forward", cause);
    }
    let bot = Bot::saying("HTTP/1.1 204 No Content\r\nX-Kf-Transfer: 1\r\n\r\n");
    Gate::before(&bot).ask(post(text("hello"))).is_transfer();
    let bot = Bot::saying(reply("201 Created", "X-Kf-Transfer: 1\r\n", ""));
    Gate::before(&bot).ask(post(text("hello"))).is_transfer();
}

#[test]
fn a_flag_on_anything_but_a_message_is_ignored_and_stripped() {
    let bot = flagged(&["1"]);
    let gate = Gate::before(&bot);
    for (request, cause) in [
        (post(event("CLICK")), "event"),
        (b"GET /wx?echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "not-callback"),
        (post_to("/wx?echostr=1&", "", text("hello")), "not-callback"),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_vec(), "not-callback"),
        (String::from_utf8(post(text("hello"))).unwrap().replace("POST", "PUT").into_bytes(), "not-callback"),
        (post("a=b&c=d"), "not-callback"),
        (post("<html><body>hi</body></html>"), "not-callback"),
        (post("<xml><a>"), "bad-xml"),
        (post("<xml><action>CheckContainerPath</action></xml>"), "not-callback"),
        (post("{\"action\":\"CheckContainerPath\"}"), "not-callback"),
        (post("[1]"), "not-callback"),
        (post("{"), "bad-xml"),
        (post(message("file", "")), "type"),
        (post(message("device_text", "")), "type"),
        (post(message("TEXT", "")), "type"),
        (post(message("text", "<Event>CLICK</Event>")), "type"),
        (post(message("text", "<MsgType>text</MsgType>")), "bad-xml"),
        (post(text("hello").replace("FromUserName", "From")), "bad-xml"),
        (post(text("hello").replace("oGO4t0", "oOTHER")), "openid-mismatch"),
        (post(text("hello").replace("<xml>", "<!DOCTYPE xml><xml>")), "bad-xml"),
        (post("<xml><ToUserName>gh</ToUserName><Encrypt>abc</Encrypt></xml>"), "cannot-decrypt"),
        (post_to("/wx?encrypt_type=aes&", "", text("hello")), "cannot-decrypt"),
    ] {
        let answer = gate.ask(&request);
        answer.is(200, &says("hm"));
        assert_eq!(answer.headers("x-kf-transfer"), [""; 0]);
        gate.record().is("forward", cause);
        let seen = bot.requests().pop().unwrap();
        assert!(request.ends_with(&seen.body), "untouched");
    }
}

#[test]
fn every_type_on_the_routes_list_can_be_transferred() {
    let bot = flagged(&["1"]);
    let all = ["text", "image", "voice", "video", "shortvideo", "location", "link", "miniprogrampage", "file"];
    for (setup, allowed) in
        [("", &all[..8]), ("types = [\"text\", \"file\"]", &["text", "file"]), ("types = [\"voice\"]", &["voice"])]
    {
        let gate = Setup::before(&bot).route(setup).start();
        for (id, msg_type) in all.into_iter().enumerate() {
            let answer = gate.ask(post(message(msg_type, &format!("<MsgId>{id}</MsgId>"))));
            let record = gate.record();
            record.has(json!({ "msg_type": msg_type }));
            if allowed.contains(&msg_type) {
                answer.is_transfer();
                record.is_transfer("rewrite", "flag");
            } else {
                answer.is(200, &says("hm"));
                record.is("forward", "type");
            }
        }
    }
}

#[test]
fn a_request_flag_counts_where_it_is_accepted() {
    let bot = bot();
    for (value, outcome) in [
        ("1", ("transfer", "request-flag")),
        ("test1@test", ("transfer", "request-flag")),
        ("0", ("forward", "veto")),
        ("maybe", ("forward", "flag-invalid")),
    ] {
        let request = post_to("/wx", &format!("X-Kf-Transfer: {value}\r\n"), text("hello"));
        let gate = Setup::before(&bot).route("accept_request_flag = true").start();
        let answer = gate.ask(&request);
        let record = gate.record();
        record.is(outcome.0, outcome.1);
        match value {
            "1" => answer.is_transfer(),
            "test1@test" => answer.is_transfer_to(value),
            _ => answer.is(200, &says("hm")),
        }
        if outcome.0 == "transfer" {
            record.has(json!({"via": "short-circuit", "upstream_status": null, "upstream_ms": null}));
        }
        // Not from anybody, and not where it is not accepted.
        for setup in
            [Setup::before(&bot).route("accept_request_flag = true").top("trusted_proxies = []"), Setup::before(&bot)]
        {
            let gate = setup.start();
            gate.ask(&request).is(200, &says("hm"));
            gate.record().is("forward", "no-rule");
        }
    }
    assert_eq!(bot.requests().len(), 10, "a short-circuit does not ask the bot");
}

#[test]
fn a_request_flags_veto_is_final() {
    let bot = flagged(&["1"]);
    let gate = Setup::before(&bot).route("accept_request_flag = true\non_error = \"transfer\"").rule(CATCH_ALL).start();
    gate.ask(post_to("/wx", "X-Kf-Transfer: no\r\n", text("hello"))).is(200, &says("hm"));
    gate.record().is("forward", "veto");
}

#[test]
fn a_short_circuit_rule_does_not_ask_the_bot() {
    let bot = bot();
    let gate = rule(&bot, "name = \"human\"\non = \"message\"\ncontains = [\"人工\"]");
    for words in ["人工", "我要转人工！", " 人\u{3000}工".trim(), "ＡＢＣ人工"] {
        let answer = gate.ask(post(text(words)));
        if words.contains("人工") {
            answer.is_transfer();
            gate.record()
                .is_transfer("short-circuit", "rule:human")
                .has(json!({"upstream_status": null, "upstream_ms": null, "account": null}));
        } else {
            answer.is(200, &says("hm"));
            gate.record();
        }
    }
    gate.ask(post(text("你好"))).is(200, &says("hm"));
    gate.record().is("forward", "no-rule").has(json!({"upstream_status": 200}));
}

#[test]
fn rules_match_in_every_way() {
    let bot = bot();
    for (conditions, hits, misses) in [
        ("contains = [\"人工\", \"agent\"]", &["转人工吧", "an AGENT please", "ａｇｅｎｔ"][..], &["人 工", "age"][..]),
        ("equals = [\"0\"]", &["0", " 0 ", "０"], &["00", "", "1"]),
        ("starts_with = [\"投诉\"]", &["投诉你们", " 投诉"], &["我要投诉"]),
        ("regex = [\"^找.{0,4}客服$\"]", &["找客服", "找一下客服"], &["找不到你们的客服", "找客服吧"]),
        ("contains = [\"人工\"]\nunless = [\"不要\"]", &["人工"], &["不要人工", "人工不要"]),
        ("contains = [\"Human\"]\nexact_text = true", &["a Human b"], &["human", "HUMAN"]),
        ("keywords_file = \"words.txt\"", &["来个真人"], &["# comment", "comment"]),
    ] {
        let setup = Setup::before(&bot);
        std::fs::write(setup.dir().join("words.txt"), "# comment\n真人\n\n").unwrap();
        let gate = setup.rule(&format!("name = \"r\"\non = \"message\"\n{conditions}")).start();
        for words in hits {
            gate.ask(post(text(words))).is_transfer();
        }
        for words in misses {
            gate.ask(post(text(words))).is(200, &says("hm"));
        }
    }
}

#[test]
fn the_first_rule_wins_and_short_circuits_come_first() {
    let bot = bot();
    let gate = Setup::before(&bot)
        .rule("name = \"rewrite\"\non = \"message\"\ncontains = [\"a\"]\nmode = \"rewrite\"\naccount = \"w@t\"")
        .rule("name = \"first\"\non = \"message\"\ncontains = [\"b\"]\naccount = \"f@t\"")
        .rule("name = \"second\"\non = \"message\"\ncontains = [\"b\", \"c\"]\naccount = \"s@t\"")
        .rule("name = \"reply\"\non = \"reply\"\ncontains = [\"hm\"]\naccount = \"r@t\"")
        .start();
    for (words, account, via, cause) in [
        ("a", "w@t", "rewrite", "rule:rewrite"),
        ("ab", "f@t", "short-circuit", "rule:first"),
        ("bc", "f@t", "short-circuit", "rule:first"),
        ("c", "s@t", "short-circuit", "rule:second"),
        ("d", "r@t", "rewrite", "rule:reply"),
    ] {
        gate.ask(post(text(words))).is_transfer_to(account);
        gate.record().is_transfer(via, cause).has(json!({ "account": account }));
    }
}

#[test]
fn voice_is_matched_by_what_was_recognised() {
    let bot = bot();
    let gate = rule(&bot, "name = \"r\"\non = \"message\"\ncontains = [\"人工\"]");
    gate.ask(post(message("voice", "<Recognition><![CDATA[我要人工。]]></Recognition>"))).is_transfer();
    gate.ask(post(message("voice", "<MediaId>人工</MediaId>"))).is(200, &says("hm"));
    gate.ask(post(message("image", "<Content>人工</Content>"))).is(200, &says("hm"));
}

#[test]
fn a_rewrite_rule_asks_the_bot_first() {
    let bot = bot();
    let gate = rule(&bot, &format!("{CATCH_ALL}mode = \"rewrite\""));
    let body = text("hello");
    gate.ask(post(&body)).is_transfer();
    gate.record().is_transfer("rewrite", "rule:all").has(json!({"upstream_status": 200}));
    assert_eq!(bot.request().body_text(), body);
}

const NOT_UNDERSTOOD: &str = "name = \"lost\"\non = \"reply\"\ncontains = [\"没听懂\"]";

#[test]
fn a_reply_rule_reads_what_the_bot_says() {
    let php_warning = format!("<br />\n<b>Warning</b>: foo() in <b>/a.php</b> on line 1<br />\n{}", says("没听懂"));
    let declared = format!("\u{feff}\n<?xml version=\"1.0\"?>\n{}\n", says("没听懂"));
    for (body, transferred) in [
        (says("对不起，没听懂"), true),
        (php_warning, true),
        (declared, true),
        (says("好的"), false),
        ("没听懂".to_owned(), false),
        ("success".to_owned(), false),
        (says("没听懂").replace("text", "news"), false),
        (says("没听懂").replace("</xml>", ""), false),
    ] {
        let bot = Bot::saying(bot_reply("", &body));
        let gate = rule(&bot, NOT_UNDERSTOOD);
        let answer = gate.ask(post(text("hello")));
        if transferred {
            answer.is_transfer();
            gate.record().is_transfer("rewrite", "rule:lost");
        } else {
            answer.is(200, &body);
            gate.record().is("forward", "no-rule");
        }
    }
}

#[test]
fn a_reply_rule_can_ask_for_silence() {
    for (body, transferred) in [
        ("", true),
        ("success", true),
        (" success\n", true),
        ("\u{feff}success", true),
        ("\r\n", true),
        ("Success!", false),
    ] {
        let bot = Bot::saying(ok(body));
        let gate = rule(&bot, "name = \"silent\"\non = \"reply\"\nequals = [\"\"]");
        let answer = gate.ask(post(text("hello")));
        if transferred {
            answer.is_transfer();
        } else {
            answer.is(200, body);
        }
    }
}

#[test]
fn a_compressed_reply_is_read_too() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(says("没听懂").as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let compressed = gzip.clone();
    let bot = Bot::answering(move |_| reply("200 OK", "Content-Encoding: gzip\r\n", &gzip));
    let gate = rule(&bot, NOT_UNDERSTOOD);
    gate.ask(post_to("/wx", "Accept-Encoding: gzip\r\n", text("hello"))).is_transfer();
    assert_eq!(bot.request().header("accept-encoding"), Some("identity"), "it was not asked for");
    // Where no rule matches, the bytes stay as they are.
    let gate = rule(&bot, "name = \"r\"\non = \"reply\"\ncontains = [\"other\"]");
    let answer = gate.ask(post(text("hello")));
    assert_eq!((answer.header("content-encoding"), &answer.body), (Some("gzip"), &compressed));
    // And where nothing has to be read, the client decides.
    let gate = Gate::before(&bot);
    gate.ask(post_to("/wx", "Accept-Encoding: gzip, br\r\n", text("hello")));
    assert_eq!(bot.requests().pop().unwrap().header("accept-encoding"), Some("gzip, br"));
}

#[test]
fn a_reply_that_can_not_be_read_passes() {
    let bot = Bot::saying(bot_reply("Content-Encoding: br\r\n", &says("没听懂")));
    let gate = rule(&bot, NOT_UNDERSTOOD);
    gate.ask(post(text("hello"))).is(200, &says("没听懂"));
    gate.record().is("forward", "no-rule");
}

#[test]
fn a_reply_that_is_too_long_passes_whole() {
    let long = format!("{}{}", says("没听懂"), " ".repeat(300_000));
    let in_chunks: Vec<u8> = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &*chunked(&long.as_bytes().chunks(50_000).collect::<Vec<_>>(), ""),
    ]
    .concat();
    for bytes in [ok(&long), in_chunks] {
        let bot = Bot::saying(bytes);
        let gate = rule(&bot, NOT_UNDERSTOOD);
        gate.ask(post(text("hello"))).is(200, &long);
        gate.record().is("forward", "no-rule").has(json!({"bytes_out": long.len()}));
        gate.ask(post(event("CLICK"))).is(200, &long);
    }
}

#[test]
fn a_reply_in_chunks_is_read_and_sent_with_its_length_or_its_chunks() {
    let body = says("好的");
    let bytes = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &*chunked(&body.as_bytes().chunks(7).collect::<Vec<_>>(), ""),
    ]
    .concat();
    let bot = Bot::saying(bytes);
    let gate = rule(&bot, NOT_UNDERSTOOD);
    gate.ask(post(text("hello"))).is(200, &body);
    gate.ask(post(event("CLICK"))).is(200, &body);
}

#[test]
fn a_transfer_of_the_bots_own_passes_untouched() {
    for (body, request) in [(bots_transfer(), text("hello")), (bots_json_transfer(), json_text("hello"))] {
        for headers in ["", "X-Kf-Transfer: test1@test\r\n"] {
            let bot = Bot::saying(bot_reply(headers, &body));
            for lines in [
                format!("{CATCH_ALL}mode = \"rewrite\"\naccount = \"x@y\""),
                "name = \"r\"\non = \"reply\"\nregex = [\".*\"]\naccount = \"x@y\"".to_owned(),
            ] {
                let gate = rule(&bot, &lines);
                gate.ask(post(&request)).is(200, &body);
                gate.record().is("forward", "no-rule").has(json!({"upstream_status": 200}));
            }
        }
    }
}

#[test]
fn a_callback_in_json_gets_its_reply_in_json() {
    let bot = Bot::saying(reply("200 OK", "X-Kf-Transfer: test1@test\r\n", "success"));
    let gate = Setup::before(&bot).rule("name = \"r\"\non = \"message\"\ncontains = [\"人工\"]").start();
    let body = json_text("hello");
    gate.ask(post(&body)).is_json_transfer();
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    gate.record()
        .is_transfer("rewrite", "flag")
        .has(json!({"msg_type": "text", "msg_id": sent["MsgId"].to_string(), "account": "test1@test"}));
    gate.ask(post(json_text("人工"))).is_json_transfer();
    gate.record().is_transfer("short-circuit", "rule:r");
    gate.ask(post(json_text("\\u4eba\\u5de5"))).is_json_transfer();
}

#[test]
fn the_flags_account_comes_before_the_rules_and_that_before_the_routes() {
    let with_rule = format!("{CATCH_ALL}mode = \"rewrite\"\naccount = \"rule@t\"");
    for (flag, route, rule, account) in [
        (Some("flag@t"), "account = \"route@t\"", Some(&with_rule), Some("flag@t")),
        (Some("1"), "account = \"route@t\"", Some(&with_rule), Some("route@t")),
        (Some("1"), "", Some(&with_rule), None),
        (Some("flag@t"), "", None, Some("flag@t")),
        (None, "account = \"route@t\"", Some(&with_rule), Some("rule@t")),
        (None, "account = \"route@t\"", Some(&format!("{CATCH_ALL}mode = \"rewrite\"")), Some("route@t")),
    ] {
        let bot = flagged(&flag.into_iter().collect::<Vec<_>>());
        let setup = Setup::before(&bot).route(route);
        let gate = match rule {
            Some(lines) => setup.rule(lines),
            None => setup,
        }
        .start();
        let answer = gate.ask(post(text("hello")));
        match account {
            Some(account) => answer.is_transfer_to(account),
            None => answer.is_transfer(),
        }
        gate.record().has(json!({ "account": account }));
    }
}

/// What a client sees, but for what differs from one exchange to the next anyway.
fn visible(message: &Message) -> String {
    format!("{}{}", message.raw_head.escape_ascii(), message.body.escape_ascii())
}

#[test]
fn a_dry_run_decides_and_logs_and_changes_nothing() {
    let flagged = flagged(&["1"]);
    let plain = Bot::saying(bot_reply("", &says("没听懂")));
    let failing = Bot::saying(reply("500 Internal Server Error", "", "oops"));
    let own_transfer = Bot::saying(bot_reply("", &bots_transfer()));
    for (bot, lines, request, action, cause) in [
        (&flagged, "", post(text("hello")), "transfer", "flag"),
        (
            &plain,
            "[[route.rule]]\nname = \"r\"\non = \"message\"\ncontains = [\"人工\"]",
            post(text("人工")),
            "transfer",
            "rule:r",
        ),
        (
            &plain,
            "[[route.rule]]\nname = \"r\"\non = \"reply\"\ncontains = [\"没听懂\"]",
            post(text("x")),
            "transfer",
            "rule:r",
        ),
        (&failing, "on_error = \"transfer\"", post(text("x")), "transfer", "upstream-error"),
        (&failing, "on_error = \"empty\"", post(event("CLICK")), "empty", "upstream-error"),
        (&own_transfer, "", post(event("CLICK")), "suppress", "event"),
        (&plain, "", post(event("CLICK")), "forward", "event"),
        (&plain, "", b"GET /?echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "forward", "not-callback"),
    ] {
        let off = Setup::before(bot).route("transfer = \"off\"").route(lines).start();
        let dry = Setup::before(bot).route("transfer = \"dry-run\"").route(lines).start();
        let without = off.ask(&request);
        let asked = bot.requests().len();
        let with = dry.ask(&request);
        assert_eq!(visible(&with), visible(&without));
        assert_eq!(bot.requests().len(), asked + 1, "the bot is asked all the same");
        let [.., first, second] = &bot.requests()[..] else { panic!("two requests") };
        let timeless = |message: &Message| {
            let id = message.header("x-request-id").unwrap().to_owned();
            visible(message).replace(&id, "")
        };
        assert_eq!(timeless(first), timeless(second));
        dry.record()
            .is(action, cause)
            .has(json!({"dry_run": true, "status": with.status(), "upstream_status": with.status()}));
        off.record().is("forward", "off").has(json!({"dry_run": false, "msg_type": null, "openid": null}));
    }
}

#[test]
fn off_keeps_nothing_and_decides_nothing() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &bots_transfer()));
    let gate = Setup::before(&bot).route("transfer = \"off\"").rule(CATCH_ALL).start();
    for request in [post(text("hello")), post(event("CLICK"))] {
        gate.ask(request).is(200, &bots_transfer());
        gate.record().is("forward", "off");
    }
}

#[test]
fn a_body_that_is_not_what_its_content_type_says_is_never_transferred() {
    let bot = flagged(&["1"]);
    let gate = Setup::before(&bot).route("on_error = \"transfer\"").rule(CATCH_ALL).start();
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "text/json"] {
        let body = text("hello");
        let request = String::from_utf8(post(&body)).unwrap().replace("text/xml", content_type);
        let answer = gate.ask(&request);
        answer.is(200, &says("hm"));
        gate.record().is("forward", "bad-xml").has(json!({"via": null, "status": 200}));
        let seen = bot.requests().pop().unwrap();
        assert_eq!((seen.header("content-type"), seen.body_text()), (Some(content_type), &*body));
    }
    assert_eq!(bot.requests().len(), 3);
}

#[test]
fn a_json_body_that_says_so_is_transferred_as_json() {
    let bot = flagged(&["1"]);
    let gate = Setup::before(&bot).rule(CATCH_ALL).start();
    for content_type in ["application/json", "application/json; charset=utf-8", "text/json"] {
        let request = String::from_utf8(post(json_text("hello"))).unwrap().replace("application/json", content_type);
        gate.ask(request).is_json_transfer();
        gate.record().is("transfer", "rule:all").has(json!({"via": "short-circuit"}));
    }
    assert!(bot.was_not_asked());
}
