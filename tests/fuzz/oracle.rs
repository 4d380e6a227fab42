//! What holds for any input, for both fuzzers: cargo-fuzz, and the blind one of `tests/fuzz.rs`.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kfgate::wechat::{
    Account, AesKey, BotReply, Format, Inbound, Kind, Token, TransferReply, UserMessage, Verify, bot_reply,
    msg_signature, open, open_as, receive, signature,
};

const TOKEN: &str = "spamtest";
const APP_ID: &str = "wx2c2769f8efd9abc2";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const SEALED: &str = "encrypt_type=aes&nonce=n";

fn key() -> AesKey {
    AesKey::parse(KEY).expect("a key")
}

fn account(verify: Verify) -> Account {
    Account::new(Token::new(TOKEN.to_owned()), verify).sealed_with(vec![key()], APP_ID)
}

/// A query string, a line end, and a body.
pub(crate) fn envelope(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (query, body) = input.split_at(end);
    let (query, text) = (String::from_utf8_lossy(query), String::from_utf8_lossy(body));
    for verify in [Verify::Off, Verify::Transfer, Verify::Enforce] {
        as_it_came(verify, &text, &query);
    }
    sealed_is_as_in_plain(&text);
    any_payload(body);
}

/// Nothing is a message that its signature does not vouch for, and what came sealed is answered sealed.
fn as_it_came(verify: Verify, text: &str, query: &str) {
    let account = account(verify);
    let received = receive(Some(&account), None, text, Some(query));
    let inbound = received.inbound(Some(query));
    received.fault(&inbound);
    let is_encrypted = received.is_encrypted(&inbound, Some(query));
    let Inbound::Message(message) = &inbound else { return };
    assert!(verify == Verify::Off || is_signed(text, query), "not signed");
    let reply = TransferReply::answering(message).render(1, || [1; 16]);
    let is_sealed = reply.starts_with("<xml>\n<Encrypt>") || reply.starts_with(r#"{"Encrypt":"#);
    assert_eq!(is_sealed, received.plaintext().is_some());
    assert_eq!(is_sealed, is_encrypted, "with a key, nothing that came encrypted is answered in plain");
    if is_sealed {
        assert_eq!(BotReply::read(&reply, Some(&account)), BotReply::Transfer);
    }
}

/// The signature, computed from the parameters as they stand there.
fn is_signed(text: &str, query: &str) -> bool {
    let value = |name: &str| {
        let pairs = form_urlencoded::parse(query.as_bytes());
        pairs.filter(|(given, _)| given == name).map(|(_, value)| value.into_owned()).next().unwrap_or_default()
    };
    let (timestamp, nonce) = (value("timestamp"), value("nonce"));
    let plain = signature(TOKEN, &timestamp, &nonce);
    let fields = bot_reply::fields(text);
    let encrypt = fields.as_ref().ok().and_then(|fields| fields[kfgate::wechat::Name::Encrypt].value());
    match encrypt {
        Some(encrypt) if value("encrypt_type") == "aes" => {
            value("msg_signature").eq_ignore_ascii_case(&msg_signature(TOKEN, &timestamp, &nonce, encrypt))
        }
        _ => value("signature").eq_ignore_ascii_case(&plain),
    }
}

/// A callback is the same in safe mode as in plain mode.
fn sealed_is_as_in_plain(text: &str) {
    let account = account(Verify::Off);
    let body = format!("<xml><Encrypt>{}</Encrypt></xml>", key().seal(text, APP_ID, [1; 16]));
    let received = receive(Some(&account), None, &body, Some(SEALED));
    assert_eq!(received.plaintext(), Some(text));
    match (received.inbound(Some(SEALED)), open(text, None)) {
        (Inbound::Message(sealed), Inbound::Message(plain)) => assert_eq!(parts(&sealed), parts(&plain)),
        (Inbound::Event(sealed), Inbound::Event(plain)) => {
            assert_eq!((sealed.name(), sealed.from_user()), (plain.name(), plain.from_user()));
        }
        (Inbound::Other(sealed), Inbound::Other(plain)) => assert_eq!(sealed.why, plain.why),
        (sealed, plain) => panic!("{sealed:?} is no {plain:?}"),
    }
}

type Parts<'m> = (Kind, Format, &'m str, &'m str, Option<&'m str>, Option<&'m str>);

fn parts<'m>(message: &'m UserMessage<'_>) -> Parts<'m> {
    let (from, to) = (message.from_user(), message.to_user());
    (message.kind(), message.format(), from, to, message.msg_id(), message.words())
}

/// Whatever is inside a ciphertext of whole blocks, it opens or it does not.
fn any_payload(payload: &[u8]) {
    let mut blocks = payload.to_vec();
    blocks.resize(payload.len().next_multiple_of(16), 0);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&STANDARD.decode(format!("{}E=", &KEY[..42])).expect("a key"));
    let mut iv = [0; 16];
    iv.copy_from_slice(&bytes[..16]);
    let total = blocks.len();
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&bytes.into(), &iv.into());
    cipher.encrypt_padded::<NoPadding>(&mut blocks, total).expect("whole blocks");
    let body = format!("<xml><Encrypt>{}</Encrypt></xml>", STANDARD.encode(blocks));
    as_it_came(Verify::Off, &body, SEALED);
}

/// A callback or a reply, in XML or in JSON.
pub(crate) fn document(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _ = BotReply::read(&text, Some(&account(Verify::Off)));
    let _ = open_as(Some(Format::Json), &text, None);
    let Inbound::Message(message) = open(&text, None) else { return };
    let words = if message.kind() == Kind::Voice { "Recognition" } else { "Content" };
    let mut written = serde_json::json!({
        "ToUserName": message.to_user(), "FromUserName": message.from_user(), "MsgType": message.kind().as_str(),
    });
    if let Some(said) = message.words() {
        written[words] = said.into();
    }
    let written = written.to_string();
    let Inbound::Message(again) = open(&written, None) else { panic!("no message: {written}") };
    let said = |message: &UserMessage<'_>| {
        let (kind, _, from, to, _, words) = parts(message);
        (kind, from.to_owned(), to.to_owned(), words.map(str::to_owned))
    };
    assert_eq!(said(&again), said(&message));
}
