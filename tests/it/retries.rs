//! A message once transferred stays transferred when WeChat sends it again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::json;

use crate::support::bot::DEAD;
use crate::support::sealing::{self, is_sealed_transfer, post_safe, section};
use crate::support::wechat::{bot_reply, json_text, message, says, text_of};
use crate::support::wire::reply;
use crate::support::{Bot, Gate, Setup, ok, post};

const HUMAN: &str = "name = \"human\"\ncontains = [\"人工\"]\naccount = \"a@x\"";

/// The user's words, in a message with this id.
fn text(id: &str, words: &str) -> String {
    text_of("oGO4t07Fz_DGdbkIs1snsuHFKRRE", id, words)
}

/// A bot that hands over the first time it is asked, and then has nothing more to say.
fn bot_that_does_not_repeat_itself(answer: &'static str) -> Bot {
    let asked = AtomicUsize::new(0);
    Bot::answering(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => bot_reply("X-Kf-Transfer: a@x\r\n", &says("hm")),
        _ => ok(answer),
    })
}

#[test]
fn the_retry_is_the_same_transfer_although_the_bot_has_nothing_more_to_say() {
    for answer in ["success", ""] {
        let bot = bot_that_does_not_repeat_itself(answer);
        let gate = Setup::before(&bot).top("workers = 2").start();
        gate.ask(post(text("1", "hello"))).is_transfer_to("a@x");
        gate.record().is_transfer("rewrite", "flag");
        for _ in 0..4 {
            gate.ask(post(text("1", "hello"))).is_transfer_to("a@x");
            gate.record().is_transfer("short-circuit", "retry").has(json!({"account": "a@x", "upstream_status": null}));
        }
        bot.request();
        gate.ask(post(text("2", "hello"))).is(200, answer);
        gate.record().is("forward", "no-rule");
    }
}

#[test]
fn every_kind_of_transfer_is_remembered() {
    let bot = Bot::saying(bot_reply("", &says("hm")));
    let lines = |mode| format!("{HUMAN}\nmode = \"{mode}\"");
    let reply_rule = "name = \"human\"\non = \"reply\"\ncontains = [\"hm\"]\naccount = \"a@x\"";
    for (setup, via, cause) in [
        (Setup::before(&bot).rule(&lines("short-circuit")), "short-circuit", "rule:human"),
        (Setup::before(&bot).rule(&lines("rewrite")), "rewrite", "rule:human"),
        (Setup::before(&bot).rule(reply_rule), "rewrite", "rule:human"),
        (Setup::to(DEAD).route("on_error = \"transfer\"\naccount = \"a@x\""), "fallback", "upstream-error"),
    ] {
        let gate = setup.start();
        gate.ask(post(text("1", "人工"))).is_transfer_to("a@x");
        gate.record().is_transfer(via, cause);
        gate.ask(post(text("1", "人工"))).is_transfer_to("a@x");
        gate.record().is_transfer("short-circuit", "retry").has(json!({"account": "a@x"}));
    }
}

#[test]
fn a_transfer_that_wechat_did_not_wait_for_is_remembered() {
    for streamed in [false, true] {
        let (answer, may_answer) = mpsc::channel::<()>();
        let may_answer = Mutex::new(may_answer);
        let bot = Bot::answering(move |_| {
            may_answer.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap_or_default();
            bot_reply("X-Kf-Transfer: 1\r\n", &says("hm"))
        });
        let gate = Gate::before(&bot);
        let mut client = gate.connect();
        let request = post(text("1", "hello"));
        if streamed {
            let head = String::from_utf8(request.clone()).unwrap();
            client.send(head.replacen("Accept: */*\r\n", "Accept: */*\r\nExpect: 100-continue\r\n", 1));
        } else {
            client.send(&request);
        }
        bot.wait_for_requests(1);
        drop(client);
        answer.send(()).unwrap();
        gate.record().is_transfer("rewrite", "flag");
        gate.ask(&request).is_transfer();
        gate.record().is_transfer("short-circuit", "retry");
        bot.request();
    }
}

#[test]
fn a_retry_that_the_bot_is_asked_about_already_is_transferred_with_the_first() {
    let (answer, may_answer) = mpsc::channel::<()>();
    let (may_answer, asked) = (Mutex::new(may_answer), AtomicUsize::new(0));
    let (second, may_answer_second) = mpsc::channel::<()>();
    let may_answer_second = Mutex::new(may_answer_second);
    let bot = Bot::answering(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            may_answer.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap_or_default();
            return bot_reply("X-Kf-Transfer: 1\r\n", &says("hm"));
        }
        may_answer_second.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap_or_default();
        ok("success")
    });
    let gate = Setup::before(&bot).top("workers = 2").start();
    let (mut one, mut other) = (gate.connect(), gate.connect());
    one.send(post(text("1", "hello")));
    bot.wait_for_requests(1);
    other.send(post(text("1", "hello")));
    bot.wait_for_requests(2);
    answer.send(()).unwrap();
    one.reply().is_transfer();
    gate.record().is_transfer("rewrite", "flag");
    second.send(()).unwrap();
    other.reply().is_transfer();
    gate.record().is_transfer("rewrite", "retry");
}

#[test]
fn a_retry_comes_before_vetoes_and_failures() {
    let asked = AtomicUsize::new(0);
    let bot = Bot::answering(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => bot_reply("X-Kf-Transfer: 1\r\n", &says("hm")),
        _ => reply("500 Broken", "", "oops"),
    });
    let gate = Setup::before(&bot).route("accept_request_flag = true").start();
    gate.ask(post(text("1", "hello"))).is_transfer();
    let veto = crate::support::wechat::post_to("/wx", "X-Kf-Transfer: 0\r\n", text("1", "hello"));
    gate.ask(veto).is_transfer();
    bot.request();
}

#[test]
fn without_an_id_the_same_body_at_the_same_time_is_the_same_message() {
    let bot = Bot::saying(ok("success"));
    let gate = Setup::before(&bot).rule(HUMAN).start();
    let words = |words: &str| message("text", &format!("<Content><![CDATA[{words}]]></Content>"));
    for (words, cause) in [(words("人工"), "rule:human"), (words("人工"), "retry"), (words("转人工"), "rule:human")]
    {
        gate.ask(post(words)).is_transfer_to("a@x");
        gate.record().is("transfer", cause);
    }
}

#[test]
fn a_retry_is_answered_in_its_own_form() {
    let bot = Bot::saying(ok("success"));
    let gate = Setup::before(&bot).route(&section("")).rule("name = \"human\"\ncontains = [\"人工\"]").start();
    for cause in ["rule:human", "retry"] {
        is_sealed_transfer(&gate.ask(post_safe(&text("1", "人工"))), sealing::KEY);
        gate.record().is("transfer", cause);
    }
    let json = json_text("人工");
    for cause in ["rule:human", "retry"] {
        gate.ask(post(&json)).is_json_transfer();
        gate.record().is("transfer", cause);
    }
}

#[test]
fn a_dry_run_leaves_nothing_to_remember() {
    let bot = Bot::saying(ok("hm"));
    let gate = Setup::before(&bot).route("transfer = \"dry-run\"\nsticky = \"10m\"").rule(HUMAN).start();
    for _ in 0..2 {
        gate.ask(post(text("1", "人工"))).is(200, "hm");
        gate.record().is_transfer("short-circuit", "rule:human").has(json!({"dry_run": true}));
    }
    gate.ask(post(text("2", "hello"))).is(200, "hm");
    gate.record().is("forward", "no-rule");
}

#[test]
fn another_route_and_another_user_have_not_been_transferred() {
    let bot = Bot::saying(bot_reply("", &says("hm")));
    let rule = format!("path = \"/a\"\n[[route.rule]]\n{HUMAN}");
    let gate = Setup::empty().and_route("a", &bot.url(), &rule).and_route("b", &bot.url(), "").start();
    let ask = |path: &str, body: String| {
        let request = String::from_utf8(crate::support::wechat::post_to(path, "", body)).unwrap();
        gate.ask(request.replace("&openid=oGO4t07Fz_DGdbkIs1snsuHFKRRE", ""))
    };
    ask("/a", text("1", "人工")).is_transfer_to("a@x");
    ask("/b", text("1", "人工")).is(200, &says("hm"));
    ask("/a", text_of("oOther", "1", "hello")).is(200, &says("hm"));
}
