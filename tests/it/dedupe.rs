//! One request to the bot for all of WeChat's deliveries of a callback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::support::sealing::{bots, post_safe, section};
use crate::support::wechat::{bot_reply, bots_transfer, says, text_of};
use crate::support::wire::{chunked, reply};
use crate::support::{Bot, Gate, PATIENCE, Setup, event, ok, post};

fn text(id: &str) -> String {
    text_of("oGO4t07Fz_DGdbkIs1snsuHFKRRE", id, "hello")
}

fn gate(bot: &Bot, more: &str) -> Gate {
    Setup::before(bot).top("workers = 2").route("dedupe = true").route(more).start()
}

/// A bot that answers each request when it is told with what.
fn told_bot() -> (Bot, mpsc::Sender<Vec<u8>>) {
    let (answer, answers) = mpsc::channel::<Vec<u8>>();
    let answers = Mutex::new(answers);
    let bot = Bot::answering(move |_| answers.lock().unwrap().recv_timeout(PATIENCE).unwrap_or_default());
    (bot, answer)
}

#[test]
fn the_third_try_gets_the_answer_to_the_first_although_wechat_hung_up_twice() {
    let (bot, answer) = told_bot();
    let gate = gate(&bot, "");
    for _ in 0..2 {
        let mut client = gate.connect();
        client.send(post(text("1")));
        bot.wait_for_requests(1);
    }
    let mut third = gate.connect();
    third.send(post(text("1")));
    answer.send(bot_reply("X-Own: a\r\n", &says("at last"))).unwrap();
    let reply = third.reply();
    reply.is(200, &says("at last"));
    assert_eq!((reply.header("content-type"), reply.header("x-own")), (Some("text/xml"), Some("a")));
    bot.request();
    let mut actions: Vec<_> =
        gate.records(3).iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect();
    actions.sort();
    assert_eq!(actions, ["forward", "replay", "replay"]);
}

#[test]
fn one_that_comes_later_gets_the_same_answer() {
    let body = says("hm");
    for answer in [
        bot_reply("X-Own: a\r\nX-Own: b\r\n", &body),
        reply("404 Gone Fishing", "X-Own: a\r\nX-Own: b\r\n", &body),
        [
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: a\r\nX-Own: b\r\n\r\n"[..],
            &chunked(&[body.as_bytes()], ""),
        ]
        .concat(),
        reply("200 OK", "X-Own: a\r\nX-Own: b\r\n", ""),
    ] {
        let bot = Bot::saying(answer);
        let gate = gate(&bot, "");
        let first = gate.ask(post(text("1")));
        gate.record().is("forward", "no-rule");
        for _ in 0..4 {
            let again = gate.ask(post(text("1")));
            assert_eq!((&again.start, &again.body), (&first.start, &first.body));
            assert_eq!(again.headers("x-own"), ["a", "b"]);
            assert_eq!(again.content_length(), Some(first.body.len()));
            gate.record()
                .is("replay", "no-rule")
                .has(json!({"via": null, "upstream_status": null, "upstream_ms": null}));
        }
        bot.request();
    }
}

#[test]
fn failures_are_not_replayed() {
    let asked = AtomicUsize::new(0);
    let bot = Bot::with(move |talk| {
        while talk.request()?.is_some() {
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => talk.send(reply("500 Broken", "", "oops"))?,
                1 => talk.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?,
                2 => thread::sleep(Duration::from_millis(400)),
                3 => return Ok(()),
                _ => {
                    talk.send(ok("hm"))?;
                    continue;
                }
            }
            return Ok(());
        }
        Ok(())
    });
    let gate = Setup::before(&bot).limits("upstream_timeout = \"200ms\"").route("dedupe = true").start();
    let statuses: Vec<_> = (0..6).map(|_| gate.ask(post(text("1"))).status()).collect();
    assert_eq!(statuses, [500, 502, 504, 502, 200, 200]);
    assert_eq!(bot.requests().len(), 5);
}

#[test]
fn those_who_wait_for_one_that_fails_ask_again_one_at_a_time() {
    let (bot, answer) = told_bot();
    let gate = gate(&bot, "");
    let mut clients: Vec<_> = (0..3).map(|_| gate.connect()).collect();
    for client in &mut clients {
        client.send(post(text("1")));
    }
    bot.wait_for_requests(1);
    answer.send(reply("503 Busy", "", "busy")).unwrap();
    bot.wait_for_requests(2);
    answer.send(ok("hm")).unwrap();
    let mut statuses: Vec<_> = clients.iter_mut().map(|client| client.reply().status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503]);
    assert_eq!(bot.requests().len(), 2);
}

#[test]
fn events_are_one_request_too_and_stay_no_transfer() {
    for (answer, action) in [(says("hm"), "replay"), (bots_transfer(), "suppress")] {
        let bot = Bot::saying(bot_reply("", &answer));
        let gate = gate(&bot, "");
        gate.ask(post(event("CLICK")));
        gate.record();
        let again = gate.ask(post(event("CLICK")));
        assert!(!again.holds_a_transfer());
        gate.record().is(action, "event");
        bot.request();
        gate.ask(post(event("VIEW")));
        assert_eq!(bot.requests().len(), 2);
    }
}

#[test]
fn a_transfer_that_the_bot_asked_for_is_for_all_deliveries() {
    let (bot, answer) = told_bot();
    let gate = gate(&bot, "");
    let mut clients: Vec<_> = (0..2).map(|_| gate.connect()).collect();
    for client in &mut clients {
        client.send(post(text("1")));
    }
    bot.wait_for_requests(1);
    answer.send(bot_reply("X-Kf-Transfer: a@x\r\n", &says("hm"))).unwrap();
    for client in &mut clients {
        client.reply().is_transfer_to("a@x");
    }
    gate.ask(post(text("1"))).is_transfer_to("a@x");
    bot.request();
}

#[test]
fn at_the_deadline_the_bot_is_not_asked_twice() {
    let (bot, answer) = told_bot();
    let gate = gate(&bot, "deadline = \"100ms\"\non_timeout = \"empty\"");
    for _ in 0..2 {
        gate.ask(post(text("1"))).is_success();
        gate.record().is("empty", "timeout");
    }
    answer.send(ok("hm")).unwrap();
    crate::support::eventually("the answer is kept", || (gate.ask(post(text("1"))).body_text() == "hm").then_some(()));
    bot.request();
}

#[test]
fn a_sealed_reply_is_replayed_as_it_came() {
    let answer = bots(&says("hm"));
    let bot = Bot::saying(bot_reply("", &answer));
    let gate = gate(&bot, &section(""));
    for action in ["forward", "replay"] {
        gate.ask(post_safe(&text("1"))).is(200, &answer);
        gate.record().is(action, "no-rule").has(json!({"encrypted": true}));
    }
    bot.request();
}

#[test]
fn without_it_and_in_a_dry_run_every_delivery_reaches_the_bot() {
    for lines in ["", "dedupe = true\ntransfer = \"dry-run\"", "dedupe = true\ntransfer = \"off\""] {
        let bot = Bot::saying(ok("hm"));
        let gate = Setup::before(&bot).route(lines).start();
        for _ in 0..3 {
            gate.ask(post(text("1"))).is(200, "hm");
        }
        assert_eq!(bot.requests().len(), 3, "{lines}");
    }
}

#[test]
fn a_bot_that_counts_on_retries_works_without_it() {
    let asked = AtomicUsize::new(0);
    let held = Arc::new(Mutex::new(()));
    let holding = held.lock().unwrap();
    let wait = held.clone();
    let bot = Bot::answering(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) < 2 {
            drop(wait.lock());
            return ok("");
        }
        ok(says("third"))
    });
    let gate = Gate::before(&bot);
    for delivery in 1..3 {
        let mut client = gate.connect();
        client.send(post(text("1")));
        bot.wait_for_requests(delivery);
    }
    gate.ask(post(text("1"))).is(200, &says("third"));
    drop(holding);
    let records = gate.records(3);
    assert!(records.iter().all(|record| record["action"] == "forward" && record["cause"] == "no-rule"), "{records:?}");
    assert_eq!(bot.requests().len(), 3);
}

#[test]
fn many_users_at_once_each_get_their_own_answer_and_the_bot_is_asked_once_for_each_message() {
    let bot = Bot::answering(|request| ok(request.body_text()));
    let gate = gate(&bot, "");
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let rounds = AtomicUsize::new(0);
    let outcome = runner.run(&vec(vec((0..5_u32, 0..4_u32), 1..12), 4..=4), |clients| {
        let round = rounds.fetch_add(1, Ordering::Relaxed);
        let before = bot.requests().len();
        let mut messages = clients.concat();
        messages.sort_unstable();
        messages.dedup();
        let deliver = |(user, id): (u32, u32)| {
            let body = text_of(&format!("oUser{user}"), &format!("{round}0{id}"), "a");
            let request = String::from_utf8(post(&body)).unwrap();
            let answer = gate.ask(request.replace("&openid=oGO4t07Fz_DGdbkIs1snsuHFKRRE", ""));
            assert_eq!(answer.body_text(), body);
        };
        thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| client.into_iter().for_each(deliver));
            }
        });
        prop_assert_eq!(bot.requests().len() - before, messages.len());
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
