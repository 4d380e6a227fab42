//! `send` and `explain` for an account in safe mode.

use super::{Bot, Files, assert_says, kfgate, plain, stdout, text_reply};
use crate::support::sealing::{
    APP_ID, KEY, OLD_KEY, TOKEN, account, compatible, query, safe, sealed, sealed_with, section,
};
use crate::support::{Setup, text};
use kfgate::wechat::{Account, Format, envelope};

/// `send` of a text in safe mode.
fn send(url: &str, words: &str) -> std::process::Output {
    let account = ["--token", TOKEN, "--aes-key", KEY, "--app-id", APP_ID];
    kfgate(&[&["send", "--to", url, "--text", words, "--from", "o1"][..], &account].concat())
}

fn reply(account: &Account, text: &str) -> String {
    envelope(account, Format::Xml, &account.seal(text, [7; 16]).unwrap(), 1, "n")
}

#[test]
fn send_seals_the_callback_and_judges_what_is_inside_the_reply() {
    let good = reply(&account(KEY), &text_reply("您好"));
    let forged = good.replace("<TimeStamp>1<", "<TimeStamp>2<");
    for (body, status, lines) in [
        (&*good, 0, &["text reply \"您好\", encrypted", "decrypted:", "<Content>您好</Content>"][..]),
        ("success", 0, &["nothing (success): the user sees nothing"]),
        (&*text_reply("您好"), 1, &["not accepted: the callback was encrypted, and the reply is not"]),
        (&*forged, 1, &["not accepted: -40001: the MsgSignature"]),
        (&*reply(&account(OLD_KEY), "a"), 1, &["not accepted: the reply: -40008"]),
        (&*reply(&account(KEY), "success"), 1, &["must not be encrypted"]),
    ] {
        let answer = plain(body);
        let bot = Bot::start(move |_| answer.clone());
        assert_says(&send(&format!("http://{}/", bot.address), "hi"), status, lines);
        let request = bot.heard.recv().unwrap();
        assert!(request.contains("&encrypt_type=aes&msg_signature="), "{request}");
        assert!(request.contains("<Encrypt>") && !request.contains("<Content>"), "{request}");
    }
}

#[test]
fn send_and_the_gate_understand_each_other() {
    let answer = plain(&reply(&account(KEY), &text_reply("您好")));
    let bot = Bot::start(move |_| answer.clone());
    let setup = Setup::to(&format!("http://{}", bot.address)).route(&section("verify = \"enforce\""));
    let gate = setup.rule("name = \"human\"\ncontains = [\"人工\"]\naccount = \"test1@test\"").start();
    let url = format!("http://127.0.0.1:{}/", gate.port);
    assert_says(&send(&url, "你好"), 0, &["text reply \"您好\", encrypted"]);
    assert_says(&send(&url, "转人工"), 0, &["transfer to test1@test, encrypted"]);
    assert_says(&kfgate(&["send", "--to", &url, "--text", "转人工", "--token", "wrong"]), 1, &["403", "not accepted"]);
    assert_says(&kfgate(&["send", "--to", &url, "--echostr", "--token", "wrong"]), 1, &["403"]);
}

#[test]
fn send_takes_a_sealed_file_as_it_is() {
    let files = Files::with("");
    let sealed = sealed(&text("hi"));
    let file = files.write("sealed.xml", &safe(&sealed));
    let bot = Bot::start(|_| plain("success"));
    let url = format!("http://{}/", bot.address);
    let arguments = ["send", "--to", &url, "--file", &file, "--token", TOKEN, "--aes-key", KEY, "--app-id", APP_ID];
    for arguments in [&arguments[..], &arguments[..7]] {
        assert_says(&kfgate(arguments), 0, &["nothing (success)"]);
        let request = bot.heard.recv().unwrap();
        assert!(request.contains("msg_signature=") && request.contains(&sealed), "{request}");
    }
}

#[test]
fn explain_opens_what_is_sealed() {
    let configuration = |verify| {
        let route = "[[route]]\nname = \"shop\"\nupstream = \"http://127.0.0.1:9000\"\n";
        let rule = "[[route.rule]]\nname = \"human\"\ncontains = [\"人工\"]\n";
        format!("{route}{}{rule}", section(&format!("verify = \"{verify}\"")))
    };
    let plain = text("转人工");
    let encrypt = sealed(&plain);
    let (query, body) = (query(Some(&encrypt)), safe(&encrypt));
    let of_another = sealed_with("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &text("转人工"));
    let files = Files::with(&configuration("enforce"));
    let transfer = ["callback text message", ", encrypted", "result transfer; log: transfer/short-circuit, rule:human"];
    assert_says(&files.explain(&body, &[]), 0, &transfer);
    assert_says(&files.explain(&body, &["--query", &query]), 0, &transfer);
    assert_says(&files.explain(&compatible(&plain, &encrypt), &["--query", &query]), 0, &transfer);
    let explained = files.explain(&body, &["--query", &query]);
    assert!(stdout(&explained).contains("<MsgSignature>"), "{}", stdout(&explained));
    let captured = format!("POST /wx?{query} HTTP/1.1\r\nHost: a\r\n\r\n{body}");
    assert_says(&files.explain(&captured, &[]), 0, &transfer);

    let refused = ["result 403; log: reject, bad-signature"];
    assert_says(&files.explain(&body, &["--query", &query.replace("nonce=1", "nonce=2")]), 0, &refused);
    assert_says(&files.explain("GET /?echostr=1 HTTP/1.1\r\nHost: a\r\n\r\n", &[]), 0, &refused);
    let number = ["no: -40008: does not decrypt", "encrypted, not decrypted", "log: forward, cannot-decrypt"];
    assert_says(&files.explain(&safe(&of_another), &[]), 0, &number);
    let files = Files::with(&configuration("transfer"));
    let number = ["no: -40001: the signature is wrong or missing", "log: forward, bad-signature"];
    assert_says(&files.explain(&body, &["--query", "encrypt_type=aes"]), 0, &number);
}
