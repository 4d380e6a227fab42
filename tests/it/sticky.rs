//! A user who was handed over stays with the desk for a while.

use serde_json::json;

use crate::support::sealing::{post_safe, section};
use crate::support::wechat::{bot_reply, says, text_of};
use crate::support::{Bot, Gate, Setup, event, post};

const HUMAN: &str = "name = \"human\"\ncontains = [\"人工\"]\naccount = \"a@x\"";
const STICKY: &str = "sticky = \"10m\"\nsticky_cancel = [\"退出\"]";

fn gate(bot: &Bot) -> Gate {
    Setup::before(bot).top("workers = 2").route(STICKY).rule(HUMAN).start()
}

fn bot() -> Bot {
    Bot::saying(bot_reply("", &says("hm")))
}

fn text(id: &str, words: &str) -> String {
    text_of("oGO4t07Fz_DGdbkIs1snsuHFKRRE", id, words)
}

#[test]
fn later_messages_of_the_user_are_transferred_without_the_bot() {
    let bot = bot();
    let gate = gate(&bot);
    gate.ask(post(text("1", "hello"))).is(200, &says("hm"));
    gate.record().is("forward", "no-rule");
    gate.ask(post(text("2", "人工"))).is_transfer_to("a@x");
    gate.record().is_transfer("short-circuit", "rule:human");
    for id in ["3", "4", "5"] {
        gate.ask(post(text(id, "hello"))).is_transfer_to("a@x");
        gate.record().is_transfer("short-circuit", "sticky").has(json!({"account": "a@x", "upstream_status": null}));
    }
    let other = String::from_utf8(post(text_of("oOther", "6", "hello"))).unwrap();
    gate.ask(other.replace("&openid=oGO4t07Fz_DGdbkIs1snsuHFKRRE", "")).is(200, &says("hm"));
    assert_eq!(bot.requests().len(), 2);
}

#[test]
fn the_session_events_pass_and_end_it() {
    for name in ["kf_create_session", "kf_close_session"] {
        let bot = bot();
        let gate = gate(&bot);
        gate.ask(post(text("1", "人工"))).is_transfer_to("a@x");
        gate.ask(post(event(name))).is(200, &says("hm"));
        gate.ask(post(text("2", "hello"))).is(200, &says("hm"));
        gate.ask(post(text("1", "人工"))).is_transfer_to("a@x");
        gate.ask(post(text("3", "hello"))).is(200, &says("hm"));
    }
}

#[test]
fn sealed_events_end_it_too() {
    let bot = bot();
    let gate = Setup::before(&bot).route(STICKY).route(&section("verify = \"enforce\"")).rule(HUMAN).start();
    for (id, request, cause) in [
        (1, post_safe(&text("1", "人工")), "rule:human"),
        (2, post_safe(&text("2", "hello")), "sticky"),
        (3, post_safe(&event("kf_create_session")), "event"),
        (4, post_safe(&text("4", "hello")), "no-rule"),
    ] {
        assert_eq!(gate.ask(request).status(), 200, "{id}");
        assert_eq!(gate.record().text("cause"), cause, "{id}");
    }
}

#[test]
fn a_cancel_word_ends_it_and_goes_to_the_bot() {
    let bot = bot();
    let gate = gate(&bot);
    gate.ask(post(text("1", "人工"))).is_transfer_to("a@x");
    gate.ask(post(text("2", "我要退出"))).is_transfer_to("a@x");
    gate.ask(post(text("3", " 退出 "))).is(200, &says("hm"));
    gate.ask(post(text("4", "hello"))).is(200, &says("hm"));
}

#[test]
fn an_event_is_never_transferred_by_it() {
    let bot = bot();
    let gate = gate(&bot);
    gate.ask(post(text("1", "人工"))).is_transfer_to("a@x");
    gate.ask(post(event("CLICK"))).is(200, &says("hm"));
    gate.ask(post(text("2", "hello"))).is_transfer_to("a@x");
}
