//! The request log: one line a request, what it says, and what it never says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wechat::{USER, bot_reply, json_text, message, post_to, says, text_of};
use crate::support::{Bot, Gate, Setup, event, eventually, ok, post, text};

const FIELDS: [&str; 22] = [
    "time",
    "id",
    "route",
    "client",
    "method",
    "path",
    "status",
    "action",
    "via",
    "cause",
    "account",
    "msg_type",
    "event",
    "msg_id",
    "openid",
    "encrypted",
    "dry_run",
    "upstream_status",
    "upstream_ms",
    "duration_ms",
    "bytes_in",
    "bytes_out",
];

#[test]
fn every_field_is_there_and_true() {
    let bot = Bot::slow(Duration::from_millis(30), bot_reply("X-Kf-Transfer: test1@test\r\n", &says("hm")));
    let gate = Gate::before(&bot);
    let body = text_of(USER, "6535986188354779215", "hello");
    let answer = gate.ask(post(&body));
    let record = gate.record();
    record.has(json!({
        "route": "bot", "client": "127.0.0.1", "method": "POST", "path": "/wx", "status": 200, "action": "transfer",
        "via": "rewrite", "cause": "flag", "account": "test1@test", "msg_type": "text", "event": null,
        "msg_id": "6535986188354779215", "openid": "oGO4…KRRE".replace("KRRE", "RRE"), "encrypted": false, "dry_run": false,
        "upstream_status": 200, "bytes_in": body.len(), "bytes_out": answer.body.len(),
    }));
    let (upstream, whole) = (record.0["upstream_ms"].as_f64().unwrap(), record.0["duration_ms"].as_f64().unwrap());
    assert!((29.0..5000.0).contains(&upstream) && upstream <= whole, "{upstream} {whole}");
    assert_eq!(record.text("id").len(), 26);
    let line = gate.log_text();
    // {"time":"2026-11-22T13:14:23.123+08:00",
    let time = record.text("time");
    assert_eq!((time.len(), &time[10..11], &time[19..20]), (29, "T", "."), "{time}");
    let positions: Vec<_> = FIELDS.iter().map(|field| line.find(&format!("\"{field}\":")).expect(field)).collect();
    assert!(positions.is_sorted(), "{line}");
    assert_eq!(record.0.as_object().unwrap().len(), FIELDS.len());
}

#[test]
fn an_event_has_its_name() {
    let bot = Bot::saying(ok("success"));
    let gate = Gate::before(&bot);
    gate.ask(post(event("kf_create_session")));
    gate.record().is("forward", "event").has(json!({
        "msg_type": "event", "event": "kf_create_session", "msg_id": null, "via": null, "account": null, "bytes_out": 7,
    }));
}

#[test]
fn each_request_has_one_line() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).top("workers = 2").start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = gate.connect();
                for number in 0..50 {
                    client.send(if number % 2 == 0 {
                        post(text("hello"))
                    } else {
                        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()
                    });
                    client.reply();
                }
            });
        }
    });
    let records = gate.records(200);
    assert_eq!(records.len(), 200);
    let mut ids: Vec<_> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200);
}

#[test]
fn queries_and_words_are_never_written() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: 1\r\n", &says("botwords")));
    for format in ["json", "text"] {
        let gate = Setup::before(&bot).log(&format!("path = \"requests.log\"\nformat = \"{format}\"")).start();
        for request in [
            post_to("/wx", "Cookie: secretcookie\r\nReferer: http://a/?secretreferer\r\n", text("userwords")),
            post(json_text("userwords")),
            post(message("voice", "<Recognition>userwords</Recognition>")),
            b"GET /a?secretquery HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"GET http://a/a?secretquery HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ] {
            gate.ask(request);
        }
        gate.connect().send("GET /a?secretquery HTTP/1.1\r\nHost : a\r\n\r\n").head();
        gate.connect().send("GET /a?secretquery HTTP/1.1\r\n\r\n").head();
        let log = eventually("seven lines", || Some(gate.log_text()).filter(|log| log.lines().count() >= 7));
        for secret in ["userwords", "secret", "signature", "nonce", "botwords", USER, "?"] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
    }
}

#[test]
fn content_is_written_where_that_is_wanted() {
    let bot = Bot::saying(ok("success"));
    let gate = Setup::before(&bot).log("path = \"requests.log\"\ncontent = true\nopenid = \"full\"").start();
    gate.ask(post(text("hello \"you\"\r\n\u{1b}[31m")));
    gate.record().has(json!({"content": "hello \"you\"\r\n\u{1b}[31m", "openid": USER}));
    let line = gate.log_text();
    assert!(line.bytes().all(|byte| byte >= b' ' || byte == b'\n'), "control characters are escaped: {line:?}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn an_openid_can_be_hashed() {
    let bot = Bot::saying(ok("success"));
    let gate = Setup::before(&bot).log("path = \"requests.log\"\nopenid = \"hash\"").start();
    gate.ask(post(text("hello")));
    gate.ask(post(event("CLICK")));
    let (first, second) = (gate.record(), gate.record());
    assert_eq!(first.text("openid"), second.text("openid"));
    assert!(first.text("openid").len() == 16 && !first.text("openid").contains("oGO"));
}

#[test]
fn nobody_can_forge_a_line() {
    let bot = Bot::saying(ok("success"));
    let forged = "x\n{\"action\":\"transfer\"}\n\u{2028}";
    let body = text("hello").replace("6535986188354779215", forged);
    for format in ["json", "text"] {
        let gate = Setup::before(&bot).log(&format!("path = \"requests.log\"\nformat = \"{format}\"")).start();
        gate.ask(post(&body));
        gate.ask(post(event(forged)));
        gate.ask(post(message(forged, "")));
        gate.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {}\r\n\r\n", "\"}\\".repeat(20)));
        let log = eventually("four lines", || Some(gate.log_text()).filter(|log| log.lines().count() >= 4));
        assert_eq!(log.lines().count(), 4, "{log}");
    }
}

#[test]
fn text_is_one_aligned_line_a_request() {
    let bot = Bot::saying(bot_reply("X-Kf-Transfer: test1@test\r\n", &says("hm")));
    let gate = Setup::before(&bot).log("path = \"requests.log\"\nformat = \"text\"").start();
    gate.ask(post(text("hello")));
    gate.ask(post(event("CLICK")));
    let log = eventually("two lines", || Some(gate.log_text()).filter(|log| log.lines().count() == 2));
    let lines: Vec<_> = log.lines().collect();
    for word in ["200", "transfer", "rewrite", "flag", "test1@test", "bot", "text", "oGO4…RRE", "POST", "/wx"] {
        assert!(lines[0].contains(word), "{word}: {}", lines[0]);
    }
    for word in ["forward", "event", "CLICK"] {
        assert!(lines[1].contains(word), "{word}: {}", lines[1]);
    }
    assert!(!log.contains('\u{1b}'), "a file is not coloured");
}

#[test]
fn off_is_off() {
    let bot = Bot::saying(ok("success"));
    let setup = Setup::before(&bot).log("path = \"off\"");
    let gate = setup.start();
    gate.ask(post(text("hello"))).is(200, "success");
    assert_eq!(fs::read_dir(gate.path(".")).unwrap().count(), 0);
}

#[test]
fn a_log_file_is_appended_to_and_not_for_everybody() {
    let bot = Bot::saying(ok("success"));
    let setup = Setup::before(&bot);
    fs::write(setup.dir().join("requests.log"), "{\"from\":\"yesterday\"}\n").unwrap();
    let gate = setup.start();
    gate.ask(post(text("hello")));
    assert_eq!(gate.records(2)[0], json!({"from": "yesterday"}));
    let gate = Gate::before(&bot);
    gate.ask(post(text("hello")));
    gate.record();
    let mode = fs::metadata(gate.path("requests.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew_on_sigusr1() {
    let bot = Bot::saying(ok("success"));
    let gate = Setup::before(&bot).spawn();
    let ask = || gate.connect().send(post(text("hello"))).reply().is(200, "success");
    ask();
    gate.records("requests.log", 1);
    fs::rename(gate.path("requests.log"), gate.path("requests.log.1")).unwrap();
    ask();
    gate.records("requests.log.1", 2);
    gate.signal("USR1");
    eventually("the file is there again", || gate.path("requests.log").exists().then_some(()));
    ask();
    gate.records("requests.log", 1);
    assert_eq!(gate.records("requests.log.1", 2).len(), 2);
}

#[test]
fn a_log_that_can_not_be_written_stops_nothing() {
    if !std::path::Path::new("/dev/full").exists() {
        eprintln!("skipped: no /dev/full");
        return;
    }
    let bot = Bot::saying(ok("success"));
    let gate = Setup::before(&bot).log("path = \"/dev/full\"").start();
    for _ in 0..20 {
        gate.ask(post(text("hello"))).is(200, "success");
    }
}

#[test]
fn stdout_gets_a_line_a_request_and_nothing_else() {
    use crate::support::process::kfgate;
    use std::process::Stdio;
    let bot = Bot::saying(ok("success"));
    let url = bot.url();
    let mut child =
        kfgate(&["run", "--upstream", &url, "--listen", "127.0.0.1:0", "--keyword", "人工", "--account", "a@b"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on 127.0.0.1:") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut stderr, &mut line).unwrap() > 0);
    }
    let port = line.split_once("127.0.0.1:").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
    // Over one connection: the order of records is that of one worker.
    let mut client = crate::support::Client::connect(port);
    client.send(post(text("转人工"))).reply().is_transfer_to("a@b");
    client.send(post(text("hello"))).reply().is(200, "success");
    drop(client);
    std::process::Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["cause"], &lines[0]["route"]), (&json!("rule:keyword"), &json!("default")));
}
