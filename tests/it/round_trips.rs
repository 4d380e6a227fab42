//! What the SDKs seal, kfgate opens, and the other way round: wechatpy and npm's wechat-crypto.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kfgate::wechat::{Account, AesKey, Token, Verify, msg_signature, receive};
use serde_json::{Value, json};

const KEYS: [&str; 2] = ["abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "kfgatedemokfgatedemokfgatedemokfgatedemo12A"];
const TOKEN: &str = "kfgatetoken";
const APP_ID: &str = "wx1234567890abcdef";

/// Messages of every length of padding, with characters of every length.
fn messages() -> Vec<String> {
    let lengths = (1..=70).map(|length| "x".repeat(length));
    let words = ["转人工", "😀 𠮷", "a\u{0}b", "]]>", "<xml>&amp;</xml>", "\r\n", "\u{feff}x"].map(str::to_owned);
    lengths.chain(words).chain([words_of(2048)]).collect()
}

fn words_of(length: usize) -> String {
    "人".repeat(length)
}

fn cases() -> Vec<Value> {
    let case = |(at, message): (usize, &String)| {
        let key = KEYS[at % KEYS.len()];
        let mut noise = [0; 16];
        noise[..8].copy_from_slice(&at.to_be_bytes());
        let sealed = AesKey::parse(key).unwrap().seal(message, APP_ID, noise);
        json!({
            "token": TOKEN, "key": key, "app_id": APP_ID, "message": message, "sealed": sealed,
            "timestamp": (1_409_735_669 + at).to_string(), "nonce": (at * 7919).to_string(),
        })
    };
    messages().iter().enumerate().map(case).collect()
}

fn bots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bots")
}

fn ask(command: &mut Command, cases: &[Value]) -> Vec<Value> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("not installed? run tests/run");
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(cases).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn understand_each_other(command: &mut Command) {
    let cases = cases();
    let answers = ask(command, &cases);
    assert_eq!((answers.len(), cases.len()), (78, 78));
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(answer["opened"], case["message"]);

        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let [sealed, signature] = ["sealed", "signature"].map(|name| text(&answer[name]));
        let [timestamp, nonce, key] = ["timestamp", "nonce", "key"].map(|name| text(&case[name]));
        assert_eq!(signature, msg_signature(TOKEN, &timestamp, &nonce, &sealed));
        let key = AesKey::parse(&key).unwrap();
        let account = Account::new(Token::new(TOKEN.to_owned()), Verify::Enforce).sealed_with(vec![key], APP_ID);
        let body = format!("<xml><Encrypt>{sealed}</Encrypt></xml>");
        let query = format!("timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={signature}");
        let received = receive(Some(&account), None, &body, Some(&query));
        assert_eq!(received.plaintext(), case["message"].as_str());
    }
}

#[test]
fn wechatpy_and_kfgate_understand_each_other() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bots/wechatpy/seal.py");
    understand_each_other(Command::new(bots().join("venv/bin/python")).arg("-B").arg(script));
}

#[test]
fn wechat_crypto_and_kfgate_understand_each_other() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bots/node-wechat/seal.js");
    let modules = bots().join("node-wechat/node_modules");
    understand_each_other(Command::new("node").arg("--no-deprecation").arg(script).env("NODE_PATH", modules));
}
