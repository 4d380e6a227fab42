//! Real bots behind the gate: PHP, Java, Python and Node SDKs on their own servers (`tests/bots`),
//! asked by a WeChat that speaks over sockets, and compared with what the same bot says when asked directly.

mod modes;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use crate::support::sealing::section;

const TOKEN: &str = "kfgatetoken";
const ACCOUNT: &str = "gh_2b7da7a439a4";
const USER: &str = "oGO4t07Fz_DGdbkIs1snsuHFKRRE";
const FLAG: &str = "X-Kf-Transfer";
/// A JVM takes seconds, and more when the other tests have the cores.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn php_cli_bot_behind_the_gate() {
    let scene = Scene::with("php-cli");
    scene.play();
    scene.a_php_warning_goes_through();
}

#[test]
fn php_fpm_bot_behind_the_gate() {
    let scene = Scene::with("php-fpm");
    scene.play();
    scene.a_php_warning_goes_through();
}

#[test]
fn jdk_bot_behind_the_gate() {
    Scene::with("jdk").play();
}

#[test]
fn tomcat_bot_behind_the_gate() {
    Scene::with("tomcat").play();
}

#[test]
fn wechatpy_bot_behind_the_gate() {
    Scene::with("wechatpy").play();
}

#[test]
fn werobot_bot_behind_the_gate() {
    Scene::with("werobot").play();
}

#[test]
fn node_wechat_bot_behind_the_gate() {
    Scene::with("node-wechat").play();
}

#[test]
fn a_bot_that_has_died_is_a_transfer_or_a_502() {
    let mut scene = Scene::with("php-cli");
    scene.passes("/failover", Text("ping"), "no-rule");
    scene.bot.process.stop();

    let (reply, record) = scene.through("/failover", Text("ping"));
    reply.is_transfer(None);
    assert_logged(&record, &json!({"action": "transfer", "via": "fallback", "cause": "upstream-error"}));
    for (route, said) in [("/plain", Text("ping")), ("/failover", Event("subscribe", ""))] {
        let (reply, record) = scene.through(route, said);
        assert_eq!(reply.status, 502, "{route}");
        assert_logged(&record, &json!({"action": "error", "status": 502, "via": null, "upstream_status": null}));
    }
}

/// A bot, and a gate before it.
struct Scene {
    bot: Bot,
    gate: Gate,
}

impl Scene {
    fn with(name: &str) -> Self {
        let bot = Bot::start(name);
        let gate = Gate::start(bot.port);
        Self { bot, gate }
    }

    fn play(&self) {
        self.the_url_check();
        self.a_stranger_is_turned_away_by_the_bot();
        self.messages_pass();
        self.the_bot_asks_for_a_transfer();
        self.the_bot_vetoes_one();
        self.the_bot_transfers_by_itself();
        self.the_bot_fails();
        self.rules_transfer();
        self.events_pass();
    }

    fn the_url_check(&self) {
        let query = format!("{}&echostr=4375120948345356249", signed_query());
        let direct = ask(self.bot.port, "GET", &format!("/plain?{query}"), "");
        let path = fresh_path("/plain");
        let reply = ask(self.gate.port, "GET", &format!("{path}?{query}"), "");
        assert_eq!((reply.status, &*reply.body), (200, "4375120948345356249"));
        direct.equals(&reply);
        if !direct.is_chunked() {
            assert_eq!(reply.header("content-length"), Some("19"), "WeChat refuses a chunked answer here");
        }
        let record = self.gate.record(&path);
        assert_logged(
            &record,
            &json!({"action": "forward", "cause": "not-callback", "method": "GET", "upstream_status": 200}),
        );
    }

    fn a_stranger_is_turned_away_by_the_bot(&self) {
        let target = "/plain?signature=0&timestamp=1&nonce=2&echostr=3";
        let direct = ask(self.bot.port, "GET", target, "");
        assert!([401, 403].contains(&direct.status), "{direct:?}");
        direct.equals(&ask(self.gate.port, "GET", target, ""));
    }

    fn messages_pass(&self) {
        assert_eq!(self.passes("/plain", Text("ping"), "no-rule").content(), Some("pong"));
        assert_eq!(self.passes("/rules", Text("你好 & <b>"), "no-rule").content(), Some("你好 & <b>"));
        let silent = self.passes("/rules", Text("silent"), "no-rule");
        assert!(["", "success"].contains(&&*silent.body), "{silent:?}");
    }

    fn a_php_warning_goes_through(&self) {
        for route in ["/plain", "/rules"] {
            let reply = self.passes(route, Text("warning"), "no-rule");
            assert!(reply.body.starts_with("<br />\n<b>Warning</b>"), "{reply:?}");
        }
    }

    fn the_bot_asks_for_a_transfer(&self) {
        assert_eq!(self.direct(Text("flag")).header(FLAG), Some("1"));
        self.transfers("/plain", Text("flag"), "rewrite", "flag", None);
        self.transfers("/catch-all", Text("flag"), "rewrite", "flag", Some("test2@test"));
        self.transfers("/plain", Text("flag-account"), "rewrite", "flag", Some("test1@test"));
        self.transfers("/catch-all", Text("flag-account"), "rewrite", "flag", Some("test1@test"));
    }

    fn the_bot_vetoes_one(&self) {
        self.transfers("/catch-all", Text("ping"), "rewrite", "rule:everything", Some("test2@test"));
        assert_eq!(self.passes("/catch-all", Text("veto"), "veto").content(), Some("I can do that"));
    }

    fn the_bot_transfers_by_itself(&self) {
        for route in ["/plain", "/rules", "/catch-all"] {
            let (reply, record) = self.through(route, Text("transfer"));
            assert!(reply.body.contains("transfer_customer_service"), "{reply:?}");
            self.direct(Text("transfer")).equals(&reply);
            assert_logged(&record, &json!({"action": "forward", "via": null, "upstream_status": 200}));
        }
    }

    fn the_bot_fails(&self) {
        let (reply, record) = self.through("/plain", Text("fail"));
        self.direct(Text("fail")).equals(&reply);
        assert_logged(&record, &json!({"action": "forward", "via": null, "status": 500, "upstream_status": 500}));

        let record = self.transfers("/failover", Text("fail"), "fallback", "upstream-error", None);
        assert_logged(&record, &json!({"upstream_status": 500}));
    }

    fn rules_transfer(&self) {
        let record = self.transfers("/rules", Text("我要转人工"), "short-circuit", "rule:ask-for-human", None);
        assert_logged(&record, &json!({"upstream_status": null, "upstream_ms": null}));

        let record = self.transfers("/rules", Text("unknown"), "rewrite", "rule:not-understood", None);
        assert_logged(&record, &json!({"upstream_status": 200}));
        assert_eq!(self.passes("/plain", Text("unknown"), "no-rule").content(), Some("没听懂"));
    }

    fn events_pass(&self) {
        assert_eq!(self.direct(Event("CLICK", "flag")).header(FLAG), Some("1"));
        self.passes("/rules", Event("CLICK", "转人工"), "event");
        for route in ["/plain", "/rules", "/catch-all", "/failover"] {
            assert_eq!(self.passes(route, Event("subscribe", ""), "event").content(), Some("welcome"));
            assert_eq!(self.passes(route, Event("CLICK", "flag"), "event").content(), Some("one moment"));

            let (reply, record) = self.through(route, Event("CLICK", "transfer"));
            assert_eq!((reply.status, &*reply.body), (200, "success"));
            assert_eq!(reply.header("content-length"), Some("7"));
            assert_logged(&record, &json!({"action": "suppress", "via": null, "cause": "event"}));
        }
    }

    /// The gate passes on what the bot says.
    fn passes(&self, route: &str, said: Said, cause: &str) -> Reply {
        let (reply, record) = self.through(route, said);
        self.direct(said).equals(&reply);
        assert_logged(
            &record,
            &json!({"action": "forward", "via": null, "cause": cause, "account": null, "upstream_status": 200}),
        );
        reply
    }

    fn transfers(&self, route: &str, said: Said, via: &str, cause: &str, account: Option<&str>) -> Value {
        let (reply, record) = self.through(route, said);
        reply.is_transfer(account);
        assert_logged(&record, &json!({"action": "transfer", "via": via, "cause": cause, "account": account}));
        record
    }

    fn direct(&self, said: Said) -> Reply {
        let target = format!("/plain?{}&openid={USER}", signed_query());
        ask(self.bot.port, "POST", &target, &said.body(unique()))
    }

    fn through(&self, route: &str, said: Said) -> (Reply, Value) {
        let (path, msg_id) = (fresh_path(route), unique());
        let target = format!("{path}?{}&openid={USER}", signed_query());
        let body = said.body(msg_id);
        let reply = ask(self.gate.port, "POST", &target, &body);
        assert_eq!(reply.header(FLAG), None, "{said:?} on {route}");

        let record = self.gate.record(&path);
        assert_logged(
            &record,
            &json!({"route": &route[1..], "method": "POST", "status": reply.status, "openid": USER, "client": "127.0.0.1",
                "encrypted": false, "dry_run": false, "bytes_in": body.len(), "bytes_out": reply.body.len()}),
        );
        assert_logged(
            &record,
            &match said {
                Text(_) => json!({"msg_type": "text", "event": null, "msg_id": msg_id.to_string()}),
                Event(event, _) => json!({"msg_type": "event", "event": event, "msg_id": null}),
            },
        );
        (reply, record)
    }
}

/// What the user says or does.
#[derive(Clone, Copy, Debug)]
enum Said {
    Text(&'static str),
    Event(&'static str, &'static str),
}
use Said::{Event, Text};

impl Said {
    /// As captured: one element a line, nothing after the root.
    fn body(self, msg_id: u64) -> String {
        let (msg_type, rest) = match self {
            Text(content) => ("text", format!("<Content><![CDATA[{content}]]></Content>\n<MsgId>{msg_id}</MsgId>")),
            Event(event, key) => {
                ("event", format!("<Event><![CDATA[{event}]]></Event>\n<EventKey><![CDATA[{key}]]></EventKey>"))
            }
        };
        format!(
            "<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>\n<FromUserName><![CDATA[{USER}]]></FromUserName>\n\
             <CreateTime>{}</CreateTime>\n<MsgType><![CDATA[{msg_type}]]></MsgType>\n{rest}\n</xml>",
            now()
        )
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let named = |(header, _): &&(String, String)| header.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some()
    }

    fn content(&self) -> Option<&str> {
        between(&self.body, "<Content><![CDATA[", "]]></Content>")
    }

    /// The other reply, the bot's through the gate, is this one, but for the moment it was made.
    fn equals(&self, other: &Self) {
        assert_eq!(self.status, other.status, "{self:?}\n{other:?}");
        assert_eq!(timeless(&self.body), timeless(&other.body));
        assert_eq!(self.end_to_end_headers(), other.end_to_end_headers());
        if let Some(length) = self.header("content-length") {
            assert_eq!(other.header("content-length"), Some(length));
        }
    }

    fn end_to_end_headers(&self) -> Vec<&(String, String)> {
        const OTHERS: [&str; 6] =
            ["connection", "keep-alive", "transfer-encoding", "content-length", "date", "x-kf-transfer"];
        let kept = |(name, _): &&(String, String)| !OTHERS.contains(&&*name.to_ascii_lowercase());
        let mut headers: Vec<_> = self.headers.iter().filter(kept).collect();
        headers.sort_by_key(|(name, _)| name);
        headers
    }

    fn is_transfer(&self, account: Option<&str>) {
        let trans_info = account.map_or(String::new(), |account| {
            format!("<TransInfo><KfAccount><![CDATA[{account}]]></KfAccount></TransInfo>")
        });
        assert_eq!(
            timeless(&self.body),
            format!(
                "<xml><ToUserName><![CDATA[{USER}]]></ToUserName><FromUserName><![CDATA[{ACCOUNT}]]></FromUserName>\
                 <CreateTime></CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType>{trans_info}</xml>"
            )
        );
        let created: u64 =
            between(&self.body, "<CreateTime>", "</CreateTime>").expect("CreateTime").parse().expect("seconds");
        assert!(now().abs_diff(created) < 10, "CreateTime {created}");
        assert_eq!(self.status, 200);
        assert_eq!(self.header("content-type"), Some("text/xml; charset=utf-8"));
        assert_eq!(self.header("content-length"), Some(&*self.body.len().to_string()));
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

fn timeless(body: &str) -> String {
    match between(body, "<CreateTime>", "</CreateTime>") {
        Some(time) => body.replacen(&format!("<CreateTime>{time}<"), "<CreateTime><", 1),
        None => body.to_owned(),
    }
}

fn ask(port: u16, method: &str, target: &str, body: &str) -> Reply {
    let head = match method {
        "GET" => "Connection: Keep-Alive\r\n".to_owned(),
        _ => format!("Content-Type: text/xml\r\nContent-Length: {}\r\n", body.len()),
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: wx.example.com\r\nUser-Agent: Mozilla/4.0\r\n{head}\
         Accept: */*\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("send");
    read_reply(&mut BufReader::new(stream))
}

fn read_reply(stream: &mut impl BufRead) -> Reply {
    let status_line = read_line(stream);
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut reply = Reply {
        status: status.unwrap_or_else(|| panic!("not a status line: {status_line:?}")),
        headers: Vec::new(),
        body: String::new(),
    };
    loop {
        let line = read_line(stream);
        let Some((name, value)) = line.split_once(':') else { break };
        reply.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let body = match reply.header("content-length") {
        _ if reply.is_chunked() => read_chunks(stream),
        Some(length) => read_exactly(stream, length.parse().expect("a Content-Length")),
        None => {
            let mut body = Vec::new();
            stream.read_to_end(&mut body).expect("a body to the end of the connection");
            body
        }
    };
    reply.body = String::from_utf8(body).expect("UTF-8");
    reply
}

fn read_line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

fn read_exactly(stream: &mut impl BufRead, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("the whole body");
    bytes
}

fn read_chunks(stream: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&read_line(stream), 16).expect("a chunk size");
        body.extend(read_exactly(stream, size));
        read_line(stream);
        if size == 0 {
            return body;
        }
    }
}

fn signed_query() -> String {
    let (timestamp, nonce) = (now().to_string(), unique().to_string());
    let mut parts = [TOKEN, &timestamp, &nonce];
    parts.sort_unstable();
    let digest = Sha1::digest(parts.concat());
    let signature = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("signature={signature}&timestamp={timestamp}&nonce={nonce}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(6_535_986_188_354_779_215);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A path of its own for each request, so that its log record is found by it.
fn fresh_path(route: &str) -> String {
    format!("{route}/{}", unique())
}

/// Each expected field is in the record, with that value.
fn assert_logged(record: &Value, expected: &Value) {
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(record.get(field), Some(value), "{field} of {record}");
    }
}

struct Bot {
    process: Process,
    port: u16,
}

impl Bot {
    fn start(name: &str) -> Self {
        let port = free_port();
        let start = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bots").join(name).join("start");
        let what = format!("the bot {name} (not installed? run tests/run)");
        let mut process = Process::start(what, |state| {
            let mut command = guarded(&start);
            command.arg(port.to_string()).env("BOT_STATE", state);
            command
        });
        process.wait_for(port);
        Self { process, port }
    }
}

struct Gate {
    _process: Process,
    port: u16,
    log: PathBuf,
}

impl Gate {
    fn start(bot: u16) -> Self {
        Self::start_with(|port| configuration(port, bot))
    }

    /// One that has the account's keys, and takes only what is signed.
    fn start_sealed(bot: u16) -> Self {
        let account = section("verify = \"enforce\"");
        Self::start_with(|port| {
            let rules = "[[route.rule]]\n        name     = \"ask-for-human\"";
            configuration(port, bot).replace(rules, &format!("{account}\n{rules}"))
        })
    }

    fn start_with(configuration: impl FnOnce(u16) -> String) -> Self {
        let port = free_port();
        let mut process = Process::start("kfgate".to_owned(), |dir| {
            let config = dir.join("kfgate.toml");
            fs::write(&config, configuration(port)).expect("write the configuration");
            let mut command = guarded(Path::new(env!("CARGO_BIN_EXE_kfgate")));
            command.args(["run", "--config"]).arg(config);
            command
        });
        process.wait_for(port);
        let log = process.dir.path().join("requests.log");
        Self { _process: process, port, log }
    }

    /// The request's record, which is written after its reply.
    fn record(&self, path: &str) -> Value {
        let started = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            // A line that is still being written is not looked at.
            let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let records = whole.map(|line| serde_json::from_str::<Value>(line).expect("a JSON record"));
            let mut found: Vec<Value> = records.filter(|record| record["path"] == path).collect();
            assert!(found.len() < 2, "logged twice: {found:?}");
            if let Some(record) = found.pop() {
                return record;
            }
            assert!(started.elapsed() < PATIENCE, "no record of {path} in {log}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn configuration(port: u16, bot: u16) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:{port}"]
        admin  = "off"

        [log]
        path   = "requests.log"
        openid = "full"

        [[route]]
        name     = "plain"
        path     = "/plain"
        upstream = "http://127.0.0.1:{bot}"

        [[route]]
        name     = "rules"
        path     = "/rules"
        upstream = "http://127.0.0.1:{bot}"
        [[route.rule]]
        name     = "ask-for-human"
        on       = "message"
        contains = ["转人工"]
        mode     = "short-circuit"
        [[route.rule]]
        name     = "not-understood"
        on       = "reply"
        contains = ["没听懂"]

        [[route]]
        name     = "catch-all"
        path     = "/catch-all"
        upstream = "http://127.0.0.1:{bot}"
        account  = "test2@test"
        [[route.rule]]
        name  = "everything"
        on    = "message"
        types = ["text"]
        mode  = "rewrite"

        [[route]]
        name     = "failover"
        path     = "/failover"
        upstream = "http://127.0.0.1:{bot}"
        on_error = "transfer"
        "#
    )
}

/// A port below those the kernel hands out: nothing else is given it while a JVM starts.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = std::process::id() * 61 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (offset % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The program dies with the thread that started it, even when that is killed.
fn guarded(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command
}

/// A child in a process group and a directory of its own; both end with it.
struct Process {
    what: String,
    child: Child,
    dir: TempDir,
    stopped: bool,
}

impl Process {
    fn start(what: String, command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = TempDir::new().expect("a directory");
        let output = File::create(dir.path().join("output")).expect("a file for the output");
        let mut command = command(dir.path());
        command.stdout(output.try_clone().expect("a second handle")).stderr(output).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{what} did not start: {error}"));
        Self { what, child, dir, stopped: false }
    }

    fn wait_for(&mut self, port: u16) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("{} did not start: {status}", self.what);
            }
            assert!(started.elapsed() < PATIENCE, "{} does not listen on port {port}", self.what);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        self.signal("TERM");
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(15) {
            if self.child.try_wait().expect("wait").is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // Whoever is left of the group: nobody, mostly.
        self.signal("KILL");
        self.child.wait().expect("wait");
        self.stopped = true;
    }

    fn signal(&self, signal: &str) {
        let script = format!("kill -s {signal} -- -{} 2>/dev/null", self.child.id());
        Command::new("sh").args(["-c", &script]).status().expect("sh");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.stopped {
            self.stop();
        }
        if thread::panicking() {
            let output = fs::read_to_string(self.dir.path().join("output")).unwrap_or_default();
            eprintln!("--- {}\n{output}---", self.what);
        }
    }
}
