//! When the bot fails, or is too slow.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bot::DEAD;
use crate::support::wechat::{bot_reply, json_text, says};
use crate::support::wire::reply;
use crate::support::{Bot, Gate, PATIENCE, Setup, event, ok, post, text};

const GET: &str = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";

/// Every way in which a bot fails: its name, its upstream, what a proxy answers, the cause.
struct Failing {
    name: &'static str,
    upstream: String,
    _bot: Option<Bot>,
    /// None: the reply breaks off, and so does the client's.
    status: Option<u16>,
    cause: &'static str,
    upstream_status: Option<u16>,
}

fn failing() -> Vec<Failing> {
    let of = |name, bot: Bot, status, cause, upstream_status| Failing {
        name,
        upstream: bot.url(),
        _bot: Some(bot),
        status,
        cause,
        upstream_status,
    };
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<xml>half";
    let half_in_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n<xml>half\r\n";
    let hangs = Bot::with(|talk| {
        talk.request()?;
        talk.wait_for_close();
        Ok(())
    });
    vec![
        Failing {
            name: "refused",
            upstream: DEAD.to_owned(),
            _bot: None,
            status: Some(502),
            cause: "upstream-error",
            upstream_status: None,
        },
        of("reset", Bot::with(|talk| talk.request().map(drop)), Some(502), "upstream-error", None),
        of("garbage", Bot::saying_and_closing("garbage\r\n\r\n"), Some(502), "upstream-error", None),
        of("half a body", Bot::saying_and_closing(half), None, "upstream-error", Some(200)),
        of("half its chunks", Bot::saying_and_closing(half_in_chunks), None, "upstream-error", Some(200)),
        of("500", Bot::saying(reply("500 Internal Server Error", "", "oops")), Some(500), "upstream-error", Some(500)),
        of("503", Bot::saying(reply("503 Service Unavailable", "", "oops")), Some(503), "upstream-error", Some(503)),
        of("no answer", hangs, Some(504), "timeout", None),
    ]
}

fn gate(failing: &Failing, on_error: &str) -> Gate {
    Setup::to(&failing.upstream)
        .limits("upstream_timeout = \"150ms\"")
        .route(&format!("on_error = \"{on_error}\""))
        .start()
}

/// Answered as a proxy answers.
#[track_caller]
fn passes(failing: &Failing, gate: &Gate, request: impl AsRef<[u8]>) {
    let mut client = gate.connect();
    let mut answer = client.send(request).head();
    match failing.status {
        Some(status) => assert_eq!(answer.status(), status, "{}", failing.name),
        // A whole reply is awaited only where something else can be said instead.
        None if answer.status() == 200 => drop(client.try_body(&mut answer).expect_err(failing.name)),
        None => assert_eq!(answer.status(), 502, "{}", failing.name),
    }
    let record = gate.record();
    let action = record.text("action");
    assert!(["error", "forward"].contains(&action), "{}: {record:?}", failing.name);
    record.has(json!({"via": null, "account": null}));
}

#[test]
fn pass_is_what_a_proxy_does() {
    for failing in failing() {
        let gate = gate(&failing, "pass");
        for request in [post(text("hello")), post(event("CLICK")), GET.into(), post("a=b")] {
            passes(&failing, &gate, request);
        }
    }
}

#[test]
fn empty_is_success_for_callbacks() {
    for failing in failing() {
        let gate = gate(&failing, "empty");
        for request in [post(text("hello")), post(event("CLICK")), post(json_text("hello"))] {
            gate.ask(request).is_success();
            let upstream_status = failing.upstream_status;
            gate.record()
                .is("empty", failing.cause)
                .has(json!({"status": 200, "via": null, "upstream_status": upstream_status}));
        }
        for request in
            [GET.into(), post("a=b"), post("<xml><a/></xml>"), b"GET /?echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()]
        {
            passes(&failing, &gate, request);
        }
    }
}

#[test]
fn transfer_is_for_user_messages_alone() {
    for failing in failing() {
        let gate = gate(&failing, "transfer");
        gate.ask(post(text("hello"))).is_transfer();
        gate.record()
            .is_transfer("fallback", failing.cause)
            .has(json!({"status": 200, "upstream_status": failing.upstream_status}));
        gate.ask(post(json_text("hello"))).is_json_transfer();
        gate.record().is_transfer("fallback", failing.cause);
        for request in [post(event("CLICK")), GET.into(), post("a=b"), post("<xml><MsgType>text</MsgType></xml>")] {
            passes(&failing, &gate, request);
        }
    }
}

#[test]
fn a_fallback_goes_to_the_routes_account() {
    let gate = Setup::to(DEAD).route("on_error = \"transfer\"\naccount = \"test1@test\"").start();
    gate.ask(post(text("hello"))).is_transfer_to("test1@test");
    gate.record().has(json!({"account": "test1@test"}));
}

#[test]
fn a_type_that_is_not_transferred_is_none_as_a_fallback_either() {
    let gate = Setup::to(DEAD).route("on_error = \"transfer\"\ntypes = [\"voice\"]").start();
    assert_eq!(gate.ask(post(text("hello"))).status(), 502);
    gate.record().is("error", "upstream-error");
}

#[test]
fn a_veto_on_a_5xx_forbids_the_fallback() {
    let bot = Bot::saying(reply("500 Internal Server Error", "X-Kf-Transfer: 0\r\n", "oops"));
    for on_error in ["transfer", "empty"] {
        let gate = Setup::before(&bot).route(&format!("on_error = \"{on_error}\"")).start();
        gate.ask(post(text("hello"))).is(500, "oops");
        gate.record().is("forward", "veto");
    }
}

#[test]
fn a_request_flags_veto_forbids_the_fallback() {
    let gate = Setup::to(DEAD).route("on_error = \"transfer\"\naccept_request_flag = true").start();
    assert_eq!(gate.ask(crate::support::wechat::post_to("/wx", "X-Kf-Transfer: 0\r\n", text("hello"))).status(), 502);
    gate.record().is("error", "upstream-error");
}

#[test]
fn a_dead_bot_can_not_flood_the_desk() {
    let gate = Setup::to(DEAD).route("on_error = \"transfer\"\nfallbacks_per_minute = 3").start();
    for number in 0..6 {
        let answer = gate.ask(post(text("hello")));
        let record = gate.record();
        if number < 3 {
            answer.is_transfer();
            record.is_transfer("fallback", "upstream-error");
        } else {
            answer.is_success();
            record.is("empty", "upstream-error");
        }
    }
}

#[test]
fn the_limit_is_the_routes_own_and_for_fallbacks_alone() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", ""));
    let gate = Setup::before(&bot)
        .route("path = \"/flag\"\non_error = \"transfer\"\nfallbacks_per_minute = 0")
        .and_route("dead", DEAD, "path = \"/dead\"\non_error = \"transfer\"\nfallbacks_per_minute = 1")
        .and_route("dead2", DEAD, "path = \"/dead2\"\non_error = \"transfer\"\nfallbacks_per_minute = 1")
        .start();
    let ask = |path| gate.ask(crate::support::wechat::post_to(path, "", text("hello")));
    for _ in 0..3 {
        ask("/flag").is_transfer();
    }
    ask("/dead").is_transfer();
    ask("/dead2").is_transfer();
    ask("/dead").is_success();
}

fn slow_gate(delay: u64, route: &str) -> (Bot, Gate) {
    let bot = Bot::slow(Duration::from_millis(delay), bot_reply("X-Kf-Transfer: 0\r\n", &says("late")));
    let gate = Setup::before(&bot).route(route).start();
    (bot, gate)
}

#[test]
fn a_bot_that_is_late_is_waited_for_unless_told_otherwise() {
    for route in ["", "deadline = \"50ms\"", "deadline = \"50ms\"\non_timeout = \"wait\""] {
        let (_bot, gate) = slow_gate(120, route);
        gate.ask(post(text("hello"))).is(200, &says("late"));
        gate.record().is("forward", "veto");
    }
}

#[test]
fn at_the_deadline_wechat_gets_success() {
    let (bot, gate) = slow_gate(300, "deadline = \"60ms\"\non_timeout = \"empty\"");
    for request in [post(text("hello")), post(event("CLICK"))] {
        let began = Instant::now();
        gate.ask(request).is_success();
        assert!((55..280).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        gate.record().is("empty", "timeout").has(json!({"status": 200}));
    }
    gate.ask(GET).is(200, &says("late"));
    gate.record().is("forward", "not-callback");
    assert_eq!(bot.requests().len(), 3);
}

#[test]
fn at_the_deadline_a_message_is_transferred_and_an_event_waits() {
    let (_bot, gate) = slow_gate(250, "deadline = \"60ms\"\non_timeout = \"transfer\"\naccount = \"test1@test\"");
    gate.ask(post(text("hello"))).is_transfer_to("test1@test");
    gate.record().is_transfer("fallback", "timeout");
    gate.ask(post(event("CLICK"))).is(200, &says("late"));
    gate.record().is("forward", "event");
    gate.ask(GET).is(200, &says("late"));
}

#[test]
fn a_bot_in_time_is_not_touched_by_the_deadline() {
    let (_bot, gate) = slow_gate(10, "deadline = \"5s\"\non_timeout = \"transfer\"");
    gate.ask(post(text("hello"))).is(200, &says("late"));
}

#[test]
fn the_deadline_covers_the_whole_body() {
    let bot = Bot::with(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")?;
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(20));
            talk.send("x")?;
        }
        Ok(())
    });
    for (on_timeout, action) in [("empty", "empty"), ("transfer", "transfer")] {
        let gate = Setup::before(&bot).route(&format!("deadline = \"100ms\"\non_timeout = \"{on_timeout}\"")).start();
        let began = Instant::now();
        let answer = gate.ask(post(text("hello")));
        assert!(began.elapsed() < Duration::from_millis(350), "{:?}", began.elapsed());
        assert_eq!(answer.holds_a_transfer(), action == "transfer", "{answer:?}");
        gate.record().is(action, "timeout");
    }
}

#[test]
fn the_deadline_counts_from_the_requests_first_byte() {
    let (_bot, gate) = slow_gate(200, "deadline = \"150ms\"\non_timeout = \"empty\"");
    let mut client = gate.connect();
    let request = post(text("hello"));
    client.send(&request[..20]);
    thread::sleep(Duration::from_millis(120));
    let rest = Instant::now();
    client.send(&request[20..]).reply().is_success();
    assert!(rest.elapsed() < Duration::from_millis(120), "{:?}", rest.elapsed());
    gate.record().is("empty", "timeout");
}

#[test]
fn a_connection_that_was_opened_early_costs_nothing() {
    let (_bot, gate) = slow_gate(100, "deadline = \"300ms\"\non_timeout = \"empty\"");
    let mut client = gate.connect();
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(260));
        client.send(post(text("hello"))).reply().is(200, &says("late"));
        let took = gate.record().0["duration_ms"].as_f64().unwrap();
        assert!((95.0..250.0).contains(&took), "{took}");
    }
}

#[test]
fn a_deadline_after_a_failure_is_the_failures() {
    let gate = Setup::to(DEAD).route("deadline = \"5s\"\non_timeout = \"transfer\"").start();
    assert_eq!(gate.ask(post(text("hello"))).status(), 502);
    let gate = Setup::to(DEAD).route("deadline = \"5s\"\non_timeout = \"empty\"\non_error = \"transfer\"").start();
    gate.ask(post(text("hello"))).is_transfer();
}

#[test]
fn a_bot_is_not_cut_off_at_the_deadline() {
    let (finished, has_finished) = mpsc::channel();
    let bot = Bot::with(move |talk| {
        talk.request()?;
        thread::sleep(Duration::from_millis(150));
        talk.send(ok("done"))?;
        finished.send(talk.request().is_ok_and(|request| request.is_none())).unwrap();
        Ok(())
    });
    let gate = Setup::before(&bot)
        .route("deadline = \"30ms\"\non_timeout = \"empty\"")
        .limits("upstream_idle = \"50ms\"")
        .start();
    gate.ask(post(text("hello"))).is_success();
    gate.record().is("empty", "timeout");
    assert!(has_finished.recv_timeout(Duration::from_secs(5)).unwrap(), "its answer is taken");
    gate.has_no_more_records();
}

#[test]
fn a_client_that_hangs_up_does_not_stop_the_bots_work() {
    let (finished, has_finished) = mpsc::channel();
    let bot = Bot::with(move |talk| {
        talk.request()?;
        thread::sleep(Duration::from_millis(150));
        talk.send(bot_reply("X-Kf-Transfer: 1\r\n", &says("late")))?;
        finished.send(talk.request().is_ok_and(|request| request.is_none())).unwrap();
        Ok(())
    });
    let gate = Setup::before(&bot).limits("upstream_idle = \"50ms\"").start();
    let mut client = gate.connect();
    client.send(post(text("hello")));
    bot.wait_for_requests(1);
    drop(client);
    gate.record().is_transfer("rewrite", "flag").has(json!({"upstream_status": 200, "msg_type": "text"}));
    assert!(has_finished.recv_timeout(Duration::from_secs(5)).unwrap());
    gate.has_no_more_records();
}

/// A reset is heard at once, unlike the end of a stream.
#[test]
fn a_client_that_breaks_the_connection_does_not_stop_the_bots_work_either() {
    let bot = Bot::slow(Duration::from_millis(150), bot_reply("", &says("late")));
    let gate =
        Setup::before(&bot).route("on_error = \"transfer\"\ndeadline = \"3s\"\non_timeout = \"transfer\"").start();
    let mut client = gate.connect();
    // What is left unread when a socket is closed turns the close into a reset.
    let two = [GET.as_bytes(), &post(text("hello"))].concat();
    client.send(two);
    bot.wait_for_requests(2);
    drop(client);
    gate.records(2);
    let records = gate.records(2);
    assert_eq!(records[1]["action"], "forward", "{records:?}");
    assert_eq!(records[1]["upstream_status"], 200, "{records:?}");
}

/// Replies with this flag in their heads, whose bodies break off.
fn breaking_off(flag: &str) -> [Bot; 3] {
    let head = format!("HTTP/1.1 200 OK\r\nX-Kf-Transfer: {flag}\r\n");
    [
        Bot::saying_and_closing(format!("{head}Content-Length: 100\r\n\r\n")),
        Bot::saying_and_closing(format!("{head}Content-Length: 100\r\n\r\n<xml>half")),
        Bot::saying_and_closing(format!("{head}Transfer-Encoding: chunked\r\n\r\n9\r\n<xml>half\r\n")),
    ]
}

#[test]
fn a_veto_forbids_the_fallback_though_the_reply_breaks_off() {
    for bot in breaking_off("0") {
        for route in
            ["", "deadline = \"5s\"\non_timeout = \"transfer\"\n", "deadline = \"5s\"\non_timeout = \"empty\"\n"]
        {
            for on_error in ["transfer", "empty"] {
                let gate = Setup::before(&bot).route(&format!("{route}on_error = \"{on_error}\"")).start();
                for request in [post(text("hello")), post(json_text("hello"))] {
                    let answer = gate.ask(request);
                    assert!(answer.status() == 502 && !answer.holds_a_transfer(), "{on_error} {answer:?}");
                    gate.record()
                        .is("error", "upstream-error")
                        .has(json!({"status": 502, "via": null, "upstream_status": 200}));
                }
            }
        }
    }
}

#[test]
fn a_transfer_that_was_asked_for_is_made_though_the_reply_breaks_off() {
    for bot in breaking_off("1") {
        for route in
            ["", "deadline = \"5s\"\non_timeout = \"transfer\"\n", "deadline = \"5s\"\non_timeout = \"empty\"\n"]
        {
            for on_error in ["pass", "empty", "transfer"] {
                // A fallback would not be within its limit.
                let gate = Setup::before(&bot)
                    .route(&format!("{route}on_error = \"{on_error}\"\nfallbacks_per_minute = 0"))
                    .start();
                gate.ask(post(text("hello"))).is_transfer();
                gate.record().is_transfer("rewrite", "flag").has(json!({"status": 200, "upstream_status": 200}));
            }
        }
    }
}

/// A bot that says this flag at once, and the body when it hears of it.
fn late_with_its_body(flag: &str) -> (Bot, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let head = format!("HTTP/1.1 200 OK\r\nX-Kf-Transfer: {flag}\r\nContent-Length: 5\r\n\r\n");
    let bot = Bot::with(move |talk| {
        talk.request()?;
        talk.send(&head)?;
        // An error: the test is over.
        let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        talk.send("hello")
    });
    (bot, go)
}

/// The sleep is the deadline's passing, at which nothing is to happen.
#[test]
fn a_veto_forbids_the_transfer_at_the_deadline_though_the_body_is_late() {
    for on_timeout in ["transfer", "empty"] {
        let (bot, go) = late_with_its_body("0");
        let gate = Setup::before(&bot)
            .route(&format!("deadline = \"100ms\"\non_timeout = \"{on_timeout}\"\non_error = \"transfer\""))
            .start();
        let mut client = gate.connect();
        client.send(post(text("hello")));
        bot.wait_for_requests(1);
        thread::sleep(Duration::from_millis(250));
        go.send(()).unwrap();
        client.reply().is(200, "hello");
        gate.record().is("forward", "veto").has(json!({"status": 200, "via": null, "upstream_status": 200}));
    }
}

#[test]
fn a_transfer_that_was_asked_for_is_made_at_the_deadline_though_the_body_is_late() {
    for on_timeout in ["transfer", "empty"] {
        let (bot, _go) = late_with_its_body("1");
        let gate = Setup::before(&bot)
            .route(&format!("deadline = \"100ms\"\non_timeout = \"{on_timeout}\"\nfallbacks_per_minute = 0"))
            .start();
        gate.ask(post(text("hello"))).is_transfer();
        gate.record().is_transfer("rewrite", "flag").has(json!({"status": 200}));
    }
}
