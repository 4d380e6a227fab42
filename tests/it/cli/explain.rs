//! `explain`, alone and beside a gate that serves.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use super::{Bot, Files, KFGATE, assert_refused, assert_says, kfgate, signal, text_reply};

pub(super) const ROUTES: &str = r#"
[[route]]
name = "shop"
path = "/shop"
upstream = "http://127.0.0.1:9000"
account = "test1@test"
on_error = "transfer"
[[route.rule]]
name = "ask-for-human"
contains = ["转人工"]
unless = ["不要转人工"]
[[route.rule]]
name = "complaint"
starts_with = ["投诉"]
mode = "rewrite"
[[route.rule]]
name = "lost"
on = "reply"
contains = ["没听懂"]
"#;

const TWO_ROUTES: &str = r#"
[[route]]
name = "a"
host = "a.example.com"
upstream = "http://127.0.0.1:9000"
[[route]]
name = "b"
host = "b.example.com"
upstream = "http://127.0.0.1:9000"
transfer = "dry-run"
[[route.rule]]
name = "all"
types = ["text"]
"#;

#[test]
fn explain_names_the_rule_and_the_word_and_shows_the_reply() {
    let explained = Files::with(ROUTES).explain(&message("我要转人工"), &[]);
    assert_says(
        &explained,
        0,
        &[
            "callback text message, MsgId 7",
            "words \"我要转人工\"",
            "6 short-circuit rules ask-for-human matches: contains \"转人工\"",
            "7 the bot not asked",
            "result transfer to test1@test; log: transfer/short-circuit, rule:ask-for-human",
            "<xml><ToUserName><![CDATA[o1]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>",
            "<TransInfo><KfAccount><![CDATA[test1@test]]></KfAccount></TransInfo></xml>",
        ],
    );
}

#[test]
fn explain_says_why_a_rule_does_not_match_and_what_the_bot_can_still_do() {
    let explained = Files::with(ROUTES).explain(&message("不要转人工"), &[]);
    assert_says(
        &explained,
        0,
        &[
            "ask-for-human is cancelled: unless \"不要转人工\"",
            "it fails: transfer to test1@test (on_error = \"transfer\")",
            "x-kf-transfer: 1 -> transfer to test1@test",
            "x-kf-transfer: 0 -> the bot's reply, untouched",
            "lost looks at the bot's reply",
            "complaint does not match",
            "result the bot decides",
        ],
    );
}

#[test]
fn explain_never_lets_an_event_through() {
    let explained = Files::with(ROUTES).explain(&click("转人工"), &[]);
    assert_says(
        &explained,
        0,
        &[
            "callback event CLICK, EventKey \"转人工\"",
            "2 an event yes: there can be no transfer",
            "it fails: 502, 504, or its own 5xx",
            "x-kf-transfer: 1 -> the bot's reply, untouched",
            "a transfer by the bot itself -> `success`",
        ],
    );
}

#[test]
fn explain_takes_the_route_from_a_whole_request() {
    let files = Files::with(TWO_ROUTES);
    let request = |host, openid| {
        format!("POST /?openid={openid} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\n{}", message("hi"))
    };
    let dry = ["route b (b.example.com/)", "transfer dry-run", "this is logged, and the bot's reply goes out"];
    assert_says(&files.explain(&request("b.example.com", "o1"), &[]), 0, &dry);
    let other = ["route a", "1 a readable callback no: the query's `openid` is not FromUserName"];
    assert_says(&files.explain(&request("a.example.com", "o2"), &[]), 0, &other);
    let json = request("a.example.com", "o1").replacen("Host", "Content-Type: application/json\r\nHost", 1);
    assert_says(&files.explain(&json, &[]), 0, &["log: forward, bad-xml"]);
    assert_refused(&files.explain(&request("c.example.com", "o1"), &[]), 1, "404 (no-route)");
    assert_refused(&files.explain(&message("hi"), &[]), 1, "a (a.example.com/), b (b.example.com/)");
    assert_refused(&files.explain(&message("hi"), &["--route", "c"]), 1, "there is no route \"c\"");
    assert_says(&files.explain(&message("hi"), &["--host", "b.example.com"]), 0, &["route b"]);
}

/// A bot with a flag, a phrase and a failure in it.
fn moody(request: &str) -> String {
    let flag = if request.contains("退款") { "X-Kf-Transfer: 1\r\n" } else { "" };
    let reply = text_reply(if request.contains("在吗") { "没听懂" } else { "您好" });
    let status = if request.contains("坏了") { "503 X" } else { "200 OK" };
    format!("HTTP/1.1 {status}\r\n{flag}Content-Length: {}\r\n\r\n{reply}", reply.len())
}

/// What the gate does with a callback is what explain says it does: action, via and cause.
#[test]
fn explain_says_what_the_gate_does() {
    let files = Files::with("");
    let log = files.path("log");
    let bot = Bot::start(moody);
    let head = format!("listen = [\"127.0.0.1:0\"]\nlog.path = {log:?}\n");
    files.write("kfgate.toml", &(head + &ROUTES.replace("127.0.0.1:9000", &bot.address.to_string())));
    let gate = Gate::start(&files);
    let texts = ["我要转人工", "不要转人工", "我要退款", "在吗", "投诉", "坏了", "投诉，坏了", "hi"];
    let texts = texts.iter().zip(1..).map(|(words, id)| message(words).replace("<MsgId>7", &format!("<MsgId>{id}")));
    let callbacks: Vec<_> = texts.chain([click("转人工"), click("退款"), "<xml/>".to_owned()]).collect();
    for body in &callbacks {
        let file = files.write("callback.xml", body);
        kfgate(&["send", "--to", &format!("http://{}/shop", gate.address), "--file", &file]);
    }
    let logged = gate.end(&log);
    assert_eq!(logged.len(), callbacks.len());
    for (body, logged) in callbacks.iter().zip(logged) {
        let reply = files.write("reply.http", &moody(body));
        assert_says(&files.explain(body, &["--reply", &reply]), 0, &[&format!("; log: {logged}")]);
    }
}

fn message(words: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName>\n<FromUserName>o1</FromUserName>\n<CreateTime>1</CreateTime>\n\
         <MsgType>text</MsgType>\n<Content><![CDATA[{words}]]></Content>\n<MsgId>7</MsgId>\n</xml>"
    )
}

fn click(key: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName>\n<FromUserName>o1</FromUserName>\n<CreateTime>1</CreateTime>\n\
         <MsgType>event</MsgType>\n<Event>CLICK</Event>\n<EventKey>{key}</EventKey>\n</xml>"
    )
}

/// A gate that serves, until it is ended.
struct Gate {
    child: Child,
    address: String,
}

impl Gate {
    fn start(files: &Files) -> Self {
        let mut command = Command::new(KFGATE);
        command.arg("run").arg("--config").arg(files.path("kfgate.toml")).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on ") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the gate did not start");
        }
        thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let (_, address) = line.split_once("listening on ").unwrap();
        Self { address: address.split_whitespace().next().unwrap().to_owned(), child }
    }

    /// Ends it; what it logged, as explain says it.
    fn end(mut self, log: &Path) -> Vec<String> {
        signal("TERM", &self.child);
        assert!(self.child.wait().unwrap().success());
        let lines = fs::read_to_string(log).unwrap();
        lines.lines().map(|line| logged(&serde_json::from_str(line).unwrap())).collect()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn logged(record: &Value) -> String {
    let via = record["via"].as_str().map_or_else(String::new, |via| format!("/{via}"));
    format!("{}{via}, {}", record["action"].as_str().unwrap(), record["cause"].as_str().unwrap())
}
