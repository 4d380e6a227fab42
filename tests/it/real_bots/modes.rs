//! The same bots in safe and in compatible mode, with plain mode beside them.

use serde_json::{Value, json};

use super::{Bot, Event, Gate, Reply, Said, Text, USER, ask, assert_logged, between, fresh_path, signed_query, unique};
use crate::support::sealing::{KEY, TOKEN, account, compatible, element, safe, sealed};
use kfgate::wechat::{Format, msg_signature, receive_unsigned};

#[test]
fn wechatpy_in_every_mode_behind_the_gate() {
    Scene::with("wechatpy").play();
}

#[test]
fn werobot_in_every_mode_behind_the_gate() {
    Scene::with("werobot").play();
}

#[test]
fn node_wechat_in_every_mode_behind_the_gate() {
    Scene::with("node-wechat").play();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Plain,
    Compatible,
    Safe,
}

struct Scene {
    bot: Bot,
    gate: Gate,
}

/// What WeChat reads in a reply, and how the gate logged it.
struct Outcome {
    text: String,
    record: Value,
}

impl Scene {
    fn with(name: &str) -> Self {
        let bot = Bot::start(name);
        let gate = Gate::start_sealed(bot.port);
        Self { bot, gate }
    }

    fn play(&self) {
        // WeRoBot answers in plain only until it has seen a ciphertext.
        for mode in [Mode::Plain, Mode::Compatible, Mode::Safe] {
            self.messages_pass(mode);
            self.messages_are_transferred(mode);
            self.events_pass(mode);
        }
        self.a_forged_message_does_not_reach_the_bot();
    }

    fn messages_pass(&self, mode: Mode) {
        for (said, answer) in [("ping", "pong"), ("你好 & <b>", "你好 & <b>")] {
            let outcome = self.ask(mode, "/rules", Text(said));
            assert_eq!(between(&outcome.text, "<Content><![CDATA[", "]]></Content>"), Some(answer), "{mode:?}");
            assert_logged(&outcome.record, &json!({"action": "forward", "cause": "no-rule", "upstream_status": 200}));
        }
        let own = self.ask(mode, "/rules", Text("transfer"));
        assert!(own.text.contains("transfer_customer_service"), "{}", own.text);
        assert_logged(&own.record, &json!({"action": "forward", "upstream_status": 200}));
    }

    fn messages_are_transferred(&self, mode: Mode) {
        for (said, via, cause, account) in [
            ("我要转人工", "short-circuit", "rule:ask-for-human", None),
            ("unknown", "rewrite", "rule:not-understood", None),
            ("flag", "rewrite", "flag", None),
            ("flag-account", "rewrite", "flag", Some("test1@test")),
        ] {
            let outcome = self.ask(mode, "/rules", Text(said));
            let expected = json!({"action": "transfer", "via": via, "cause": cause, "account": account});
            assert_logged(&outcome.record, &expected);
            assert_eq!(element(&outcome.text, "MsgType"), "transfer_customer_service", "{mode:?}");
            assert_eq!(element(&outcome.text, "ToUserName"), USER);
            assert_eq!(between(&outcome.text, "<KfAccount><![CDATA[", "]]>"), account);
        }
    }

    fn events_pass(&self, mode: Mode) {
        let outcome = self.ask(mode, "/rules", Event("subscribe", ""));
        assert_eq!(between(&outcome.text, "<Content><![CDATA[", "]]></Content>"), Some("welcome"), "{mode:?}");
        let outcome = self.ask(mode, "/rules", Event("CLICK", "flag"));
        assert_eq!(between(&outcome.text, "<Content><![CDATA[", "]]></Content>"), Some("one moment"), "{mode:?}");
        let outcome = self.ask(mode, "/rules", Event("CLICK", "transfer"));
        assert_eq!(outcome.text, "success", "never encrypted");
        assert_logged(&outcome.record, &json!({"action": "suppress", "cause": "event"}));
    }

    fn a_forged_message_does_not_reach_the_bot(&self) {
        let path = fresh_path("/rules");
        let body = safe(&sealed(&Text("ping").body(unique())));
        let query = format!("{}&encrypt_type=aes&msg_signature={}", signed_query(), "0".repeat(40));
        let direct = ask(self.bot.port, "POST", &format!("/rules?{query}"), &body);
        assert!(direct.status >= 400, "the bot would not take it either: {direct:?}");
        assert_eq!(ask(self.gate.port, "POST", &format!("{path}?{query}"), &body).status, 403);
        assert_logged(&self.gate.record(&path), &json!({"action": "reject", "cause": "bad-signature"}));
    }

    /// Says something in a mode, and reads what comes back as WeChat does.
    fn ask(&self, mode: Mode, route: &str, said: Said) -> Outcome {
        let (path, query, plain) = (fresh_path(route), signed_query(), said.body(unique()));
        let encrypt = sealed(&plain);
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap().to_owned();
        let signature = msg_signature(TOKEN, &parameter("timestamp="), &parameter("nonce="), &encrypt);
        let (query, body) = match mode {
            Mode::Plain => (query, plain),
            Mode::Compatible => (sealing(&query, &signature), compatible(&plain, &encrypt)),
            Mode::Safe => (sealing(&query, &signature), safe(&encrypt)),
        };
        let reply = ask(self.gate.port, "POST", &format!("{path}?{query}&openid={USER}"), &body);
        assert_eq!(reply.status, 200, "{mode:?} {said:?}: {reply:?}");
        let record = self.gate.record(&path);
        assert_logged(&record, &json!({"encrypted": mode != Mode::Plain, "bytes_in": body.len()}));
        Outcome { text: read(mode, &reply), record }
    }
}

fn sealing(query: &str, signature: &str) -> String {
    format!("{query}&encrypt_type=aes&msg_signature={signature}")
}

/// What is inside a reply. In compatible mode, a reply may be in plain.
fn read(mode: Mode, reply: &Reply) -> String {
    let body = &reply.body;
    if !body.contains("<Encrypt>") {
        assert!(mode != Mode::Safe || body == "success", "{reply:?}");
        return body.clone();
    }
    assert_ne!(mode, Mode::Plain, "{reply:?}");
    let [encrypt, timestamp, nonce] = ["Encrypt", "TimeStamp", "Nonce"].map(|name| element(body, name));
    assert_eq!(element(body, "MsgSignature"), msg_signature(TOKEN, timestamp, nonce, encrypt), "{body}");
    let account = account(KEY);
    let received = receive_unsigned(Some(&account), Some(Format::Xml), body.trim(), Some("encrypt_type=aes"));
    received.plaintext().unwrap_or_else(|| panic!("does not open: {body}")).to_owned()
}
