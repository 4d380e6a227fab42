//! Safe mode, compatible mode and signatures, end to end.

use serde_json::json;

use crate::support::sealing::{
    KEY, OLD_KEY, bots, compatible, element, is_sealed_transfer, opened, post, post_safe, query, safe, sealed,
    sealed_with, section,
};
use crate::support::wechat::{bot_reply, bots_transfer, json_text, says};
use crate::support::wire::reply;
use crate::support::{Bot, Gate, Setup, event, text};

const HUMAN: &str = "name = \"human\"\ncontains = [\"人工\"]";
const LOST: &str = "name = \"lost\"\non = \"reply\"\ncontains = [\"没听懂\"]";

fn bot() -> Bot {
    Bot::saying(bot_reply("", &bots(&says("hm"))))
}

/// A gate with the keys, and the rule on the user's words.
fn gate(bot: &Bot, more: &str) -> Gate {
    Setup::before(bot).route(&section(more)).rule(HUMAN).start()
}

#[test]
fn a_sealed_message_is_decided_on_and_answered_sealed() {
    for verify in ["", "verify = \"transfer\"", "verify = \"enforce\""] {
        let bot = bot();
        let gate = gate(&bot, verify);
        is_sealed_transfer(&gate.ask(post_safe(&text("转人工"))), KEY);
        gate.record()
            .is_transfer("short-circuit", "rule:human")
            .has(json!({"encrypted": true, "msg_type": "text", "openid": "oGO4…RRE", "upstream_status": null}));
        assert!(bot.was_not_asked());
    }
}

#[test]
fn what_no_rule_is_for_passes_as_the_bytes_that_came() {
    let bot = bot();
    let gate = Setup::before(&bot).route(&section("verify = \"enforce\"")).rule(HUMAN).rule(LOST).start();
    let encrypt = sealed(&text("hello"));
    gate.ask(post(&query(Some(&encrypt)), &safe(&encrypt))).is(200, &bots(&says("hm")));
    gate.record().is("forward", "no-rule").has(json!({"encrypted": true, "msg_type": "text"}));
    assert_eq!(bot.request().body_text(), safe(&encrypt));
    assert_eq!(bot.request().target(), format!("/wx?{}", query(Some(&encrypt))));
}

#[test]
fn a_sealed_reply_is_opened_for_the_rules_on_it() {
    for body in [bots(&says("我没听懂")), says("我没听懂")] {
        let bot = Bot::saying(bot_reply("", &body));
        let gate = Setup::before(&bot).route(&section("")).rule(LOST).start();
        is_sealed_transfer(&gate.ask(post_safe(&text("hello"))), KEY);
        gate.record().is_transfer("rewrite", "rule:lost");
    }
}

#[test]
fn the_bots_flag_works_in_safe_mode() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: test1@test\r\n", &bots(&says("hm"))));
    let answer = gate(&bot, "").ask(post_safe(&text("hello")));
    is_sealed_transfer(&answer, KEY);
    assert_eq!(element(&opened(&answer, KEY), "KfAccount"), "test1@test");
}

#[test]
fn a_bot_that_hands_over_by_itself_passes_untouched() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &bots(&bots_transfer())));
    gate(&bot, "").ask(post_safe(&text("hello"))).is(200, &bots(&bots_transfer()));
}

#[test]
fn a_sealed_event_is_never_transferred() {
    for (reply, flag) in [(bots(&bots_transfer()), ""), (bots_transfer(), ""), (bots(&bots_transfer()), "1")] {
        let flag = if flag.is_empty() { String::new() } else { format!("X-Kf-Transfer: {flag}\r\n") };
        let bot = Bot::saying(bot_reply(&flag, &reply));
        let gate = gate(&bot, "");
        gate.ask(post_safe(&event("subscribe"))).is_success();
        gate.record().is("suppress", "event").has(json!({"encrypted": true, "event": "subscribe"}));
    }
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &bots(&says("welcome"))));
    let gate = gate(&bot, "");
    gate.ask(post_safe(&event("subscribe"))).is(200, &bots(&says("welcome")));
    gate.record().is("forward", "event");
}

#[test]
fn a_fallback_is_sealed_and_success_is_not() {
    let broken = Bot::saying(reply("500 Broken", "", "oops"));
    for (setting, is_transfer) in [("transfer", true), ("empty", false)] {
        let setup = Setup::before(&broken).route(&format!("on_error = \"{setting}\"")).route(&section(""));
        let answer = setup.start().ask(post_safe(&text("hello")));
        if is_transfer {
            is_sealed_transfer(&answer, KEY);
        } else {
            answer.is_success();
        }
    }
}

#[test]
fn while_the_key_changes_each_is_answered_with_its_own() {
    let bot = bot();
    let gate = gate(&bot, "verify = \"enforce\"");
    for key in [KEY, OLD_KEY] {
        let encrypt = sealed_with(key, &text("人工"));
        is_sealed_transfer(&gate.ask(post(&query(Some(&encrypt)), &safe(&encrypt))), key);
    }
}

#[test]
fn no_two_replies_are_the_same() {
    let bot = bot();
    let gate = gate(&bot, "");
    let ask = || element(gate.ask(post_safe(&text("人工"))).body_text(), "Encrypt").to_owned();
    assert_ne!(ask(), ask());
}

#[test]
fn json_is_answered_in_json() {
    let bot = bot();
    let gate = gate(&bot, "verify = \"enforce\"");
    let encrypt = sealed(&json_text("人工"));
    let answer = gate.ask(post(&query(Some(&encrypt)), &format!(r#"{{"ToUserName":"gh_1","Encrypt":"{encrypt}"}}"#)));
    // The envelope names another account than the message.
    answer.is(200, &bots(&says("hm")));
    gate.record().is("forward", "bad-xml");

    let answer = gate.ask(post(&query(Some(&encrypt)), &format!(r#"{{"Encrypt":"{encrypt}"}}"#)));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let reply: serde_json::Value = serde_json::from_str(answer.body_text()).unwrap();
    assert!(reply["TimeStamp"].is_u64() && reply["Nonce"] == "1320562132", "{reply}");
}

#[test]
fn in_compatible_mode_the_decrypted_message_decides() {
    let bot = bot();
    let gate = gate(&bot, "");
    let body = text("人工");
    let encrypt = sealed(&body);
    is_sealed_transfer(&gate.ask(post(&query(Some(&encrypt)), &compatible(&body, &encrypt))), KEY);
    gate.record().is_transfer("short-circuit", "rule:human").has(json!({"encrypted": true}));
    for lie in [text("hello"), event("CLICK")] {
        gate.ask(post(&query(Some(&encrypt)), &compatible(&lie, &encrypt))).is(200, &bots(&says("hm")));
        gate.record().is("forward", "bad-xml");
    }
}

#[test]
fn without_a_key_compatible_mode_is_answered_in_plain_and_safe_mode_is_not() {
    let bot = bot();
    let gate = Setup::before(&bot).rule(HUMAN).start();
    let encrypt = sealed(&text("人工"));
    gate.ask(post(&query(Some(&encrypt)), &compatible(&text("人工"), &encrypt))).is_transfer();
    gate.record().is_transfer("short-circuit", "rule:human").has(json!({"encrypted": true}));
    gate.ask(post_safe(&text("人工"))).is(200, &bots(&says("hm")));
    gate.record().is("forward", "cannot-decrypt").has(json!({"encrypted": true, "msg_type": null}));
}

#[test]
fn what_does_not_decrypt_passes_and_is_never_transferred() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &bots(&says("hm"))));
    let gate = gate(&bot, "");
    let encrypt = sealed_with("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &text("人工"));
    for body in [safe(&encrypt), compatible(&text("人工"), &encrypt), safe("AAAA"), safe("?")] {
        gate.ask(post(&query(Some(&encrypt)), &body)).is(200, &bots(&says("hm")));
        gate.record().is("forward", "cannot-decrypt").has(json!({"encrypted": true}));
    }
}

/// The requests whose signature is bad: plain, and sealed for another message.
fn forged() -> Vec<Vec<u8>> {
    let encrypt = sealed(&text("人工"));
    let good = query(None);
    vec![
        post("", &text("人工")),
        post("signature=1&timestamp=2&nonce=3", &text("人工")),
        post(&good.replace("timestamp=1", "timestamp=2"), &text("人工")),
        post(&good.replace("&nonce", "&nonse"), &text("人工")),
        post(&query(Some(&sealed(&text("another")))), &safe(&encrypt)),
        post(&query(Some(&encrypt)).replace("msg_signature", "x"), &safe(&encrypt)),
    ]
}

#[test]
fn a_bad_signature_is_forwarded_and_never_transferred() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &says("hm")));
    let gate = gate(&bot, "verify = \"transfer\"");
    for request in forged() {
        gate.ask(request).is(200, &says("hm"));
        gate.record().is("forward", "bad-signature");
    }
    gate.ask(post(&query(None), &text("人工"))).is_transfer();
    gate.ask(post("", &event("subscribe"))).is(200, &says("hm"));
}

#[test]
fn under_enforce_a_bad_signature_is_refused() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &says("hm")));
    let gate = gate(&bot, "verify = \"enforce\"");
    for request in forged() {
        assert_eq!(gate.ask(request).status(), 403);
        gate.record().is("reject", "bad-signature").has(json!({"status": 403, "upstream_status": null}));
    }
    for request in [
        "GET /wx?signature=1&timestamp=2&nonce=3&echostr=4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /wx?echostr=4 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /wx HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n<xml>",
        "PUT /wx HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n<xml>",
        "POST /wx HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b",
        "POST /wx HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ] {
        assert_eq!(gate.ask(request).status(), 403, "{request}");
        gate.record().is("reject", "bad-signature");
    }
    assert!(bot.was_not_asked());

    let check = format!("GET /wx?{}&echostr=4 HTTP/1.1\r\nHost: a\r\n\r\n", query(None));
    for request in [&*check, "GET /wx/page?code=1 HTTP/1.1\r\nHost: a\r\n\r\n"] {
        gate.ask(request).is(200, &says("hm"));
        gate.record().is("forward", "not-callback");
    }
    gate.ask(post(&query(None), &text("人工"))).is_transfer();
}

#[test]
fn a_dry_run_refuses_nothing_and_logs_what_it_would_have_done() {
    let bot = bot();
    let gate = Setup::before(&bot).route("transfer = \"dry-run\"").route(&section("verify = \"enforce\"")).start();
    for request in forged() {
        gate.ask(request).is(200, &bots(&says("hm")));
        gate.record().is("reject", "bad-signature").has(json!({"dry_run": true, "status": 200}));
    }
    gate.ask("GET /wx?echostr=4 HTTP/1.1\r\nHost: a\r\n\r\n").is(200, &bots(&says("hm")));
    gate.record().is("reject", "bad-signature");
}

#[test]
fn with_transfer_off_nothing_is_looked_at() {
    let bot = bot();
    let gate = Setup::before(&bot).route("transfer = \"off\"").route(&section("verify = \"enforce\"")).start();
    for request in forged() {
        gate.ask(request).is(200, &bots(&says("hm")));
        gate.record().is("forward", "off");
    }
}

#[test]
fn wechats_error_number_is_on_the_diagnostics_log() {
    let bot = bot();
    let wrong = sealed_with("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &text("人工"));
    for (verify, request, said) in [
        ("enforce", post("", &text("人工")), "-40001: the signature is wrong or missing"),
        ("transfer", post("", &text("人工")), "-40001: the signature is wrong or missing"),
        ("off", post(&query(Some(&wrong)), &safe(&wrong)), "-40008: does not decrypt"),
    ] {
        let process = Setup::before(&bot).route(&section(&format!("verify = \"{verify}\""))).spawn();
        process.connect().send(request).reply();
        crate::support::eventually("it is said", || process.said().contains(said).then_some(()));
        assert!(process.said().contains("route=\"bot\""), "{}", process.said());
    }
}
