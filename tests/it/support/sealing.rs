//! An account in safe mode: what WeChat seals and signs for it, and what it makes of a reply.

use kfgate::wechat::{
    Account, AesKey, BotReply, Format, Name, Token, Verify, bot_reply, envelope, msg_signature, receive_unsigned,
    signature,
};

use super::Message;
use super::wechat::{ACCOUNT, USER};

pub(crate) const TOKEN: &str = "kfgatetoken";
pub(crate) const APP_ID: &str = "wx1234567890abcdef";
pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
pub(crate) const OLD_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg";

/// What a configuration says of the account.
pub(crate) fn section(more: &str) -> String {
    format!(
        "[route.wechat]\ntoken = \"{TOKEN}\"\naes_key = [\"{KEY}\", \"{OLD_KEY}\"]\napp_id = \"{APP_ID}\"\n{more}\n"
    )
}

fn key(text: &str) -> AesKey {
    AesKey::parse(text).expect("a key")
}

/// The account, as WeChat knows it with this key.
pub(crate) fn account(text: &str) -> Account {
    Account::new(Token::new(TOKEN.to_owned()), Verify::Off).sealed_with(vec![key(text)], APP_ID)
}

pub(crate) fn sealed(message: &str) -> String {
    sealed_with(KEY, message)
}

pub(crate) fn sealed_with(text: &str, message: &str) -> String {
    key(text).seal(message, APP_ID, *b"0123456789abcdef")
}

/// The body of safe mode.
pub(crate) fn safe(encrypt: &str) -> String {
    format!(
        "<xml>\n    <ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>\n    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n"
    )
}

/// The body of compatible mode.
pub(crate) fn compatible(plain: &str, encrypt: &str) -> String {
    plain.replace("</xml>", &format!("    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n"))
}

/// The query that WeChat adds.
pub(crate) fn query(encrypt: Option<&str>) -> String {
    let (timestamp, nonce) = ("1409735669", "1320562132");
    let signature = signature(TOKEN, timestamp, nonce);
    let plain = format!("signature={signature}&timestamp={timestamp}&nonce={nonce}&openid={USER}");
    let Some(encrypt) = encrypt else { return plain };
    format!("{plain}&encrypt_type=aes&msg_signature={}", msg_signature(TOKEN, timestamp, nonce, encrypt))
}

/// WeChat's request with this query and body.
pub(crate) fn post(query: &str, body: &str) -> Vec<u8> {
    let content_type = if body.starts_with('{') { "application/json" } else { "text/xml" };
    format!(
        "POST /wx?{query} HTTP/1.1\r\nHost: wx.example.com\r\nUser-Agent: Mozilla/4.0\r\nContent-Length: {}\r\n\
         Content-Type: {content_type}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A message in safe mode, signed.
pub(crate) fn post_safe(message: &str) -> Vec<u8> {
    let encrypt = sealed(message);
    post(&query(Some(&encrypt)), &safe(&encrypt))
}

/// A bot's sealed reply.
pub(crate) fn bots(reply: &str) -> String {
    envelope(&account(KEY), Format::Xml, &sealed(reply), 1_409_735_670, "1320562132")
}

/// The value of an element, or of a JSON member, as the text has it.
pub(crate) fn element<'t>(text: &'t str, name: &str) -> &'t str {
    let rest = text.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    let value = rest.and_then(|rest| rest.split_once(&format!("</{name}>"))).map(|(value, _)| value);
    let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
    value.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>")).unwrap_or(value)
}

/// What WeChat reads in a reply that is sealed with this key: its signature is right, and it names the account.
#[track_caller]
pub(crate) fn opened(reply: &Message, text: &str) -> String {
    let body = reply.body_text();
    let [encrypt, timestamp, nonce] = ["Encrypt", "TimeStamp", "Nonce"].map(|name| element(body, name));
    assert_eq!(element(body, "MsgSignature"), msg_signature(TOKEN, timestamp, nonce, encrypt), "{body}");
    let account = account(text);
    let received = receive_unsigned(Some(&account), None, body, Some("encrypt_type=aes"));
    received.plaintext().unwrap_or_else(|| panic!("does not open: {body}")).to_owned()
}

#[track_caller]
pub(crate) fn is_sealed_transfer(reply: &Message, text: &str) {
    assert_eq!((reply.status(), reply.content_length()), (200, Some(reply.body.len())), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("text/xml; charset=utf-8"), "{reply:?}");
    let opened = opened(reply, text);
    assert_eq!(BotReply::read(&opened, None), BotReply::Transfer, "{opened}");
    let fields = bot_reply::fields(&opened).expect("a document");
    assert_eq!(
        (fields[Name::ToUserName].value(), fields[Name::FromUserName].value()),
        (Some(USER), Some(ACCOUNT)),
        "{opened}"
    );
    assert_eq!(element(reply.body_text(), "Nonce"), "1320562132", "the nonce of the call");
}
