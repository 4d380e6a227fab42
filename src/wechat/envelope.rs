//! The three modes of an account: plain, compatible (兼容模式: plain, with the ciphertext beside it) and safe
//! (安全模式: the ciphertext alone), in XML and in JSON.
//!
//! What came sealed is decided on as it was opened, and can be answered sealed only.

use std::fmt;

use super::account::{Account, Verify};
use super::crypto::{AesKey, Fault};
use super::fields::{Field, Fields, Name, is_writable};
use super::message::{Format, Inbound, Other, Why, classify, elements, open_as};
use super::query::Query;
use super::reply::push_element;

/// A request body that has come in, opened if it was sealed and could be. An [`Inbound`] borrows from it.
pub struct Received<'a> {
    declared: Option<Format>,
    text: &'a str,
    body: Body<'a>,
    /// The signature was looked at, and is not right.
    is_badly_signed: bool,
    verify: Verify,
}

enum Body<'a> {
    /// In plain, or not to be opened.
    AsItCame,
    Unopened(Fault),
    Opened(Box<Opened<'a>>),
}

struct Opened<'a> {
    plaintext: String,
    /// What stands around the ciphertext: little in safe mode, the whole message in compatible mode.
    outer: Fields<'a>,
    seal: Seal<'a>,
}

/// Takes a request body in, checks its signature as the account says, and opens what is sealed.
///
/// `declared` is what its Content-Type says, `query` the request's raw query string.
pub fn receive<'a>(
    account: Option<&'a Account>,
    declared: Option<Format>,
    text: &'a str,
    query: Option<&str>,
) -> Received<'a> {
    let verify = account.map_or(Verify::Off, Account::verify);
    let as_it_came = Received { declared, text, body: Body::AsItCame, is_badly_signed: false, verify };
    account.map_or(as_it_came, |account| of_account(account, verify, declared, text, Query::new(query)))
}

/// [`receive`] for a body whose signature is not known: it is not looked at.
pub fn receive_unsigned<'a>(
    account: Option<&'a Account>,
    declared: Option<Format>,
    text: &'a str,
    query: Option<&str>,
) -> Received<'a> {
    match account {
        Some(account) => of_account(account, Verify::Off, declared, text, Query::new(query)),
        None => receive(None, declared, text, query),
    }
}

fn of_account<'a>(
    account: &'a Account,
    verify: Verify,
    declared: Option<Format>,
    text: &'a str,
    query: Query<'_>,
) -> Received<'a> {
    let is_badly_signed = |encrypt| verify != Verify::Off && !account.has_signed(query, encrypt);
    let as_it_came = |is_badly_signed| Received { declared, text, body: Body::AsItCame, is_badly_signed, verify };
    if query.is_sealed() != Some(true) {
        return as_it_came(is_badly_signed(None));
    }
    let is_readable = declared.is_none() || declared == Format::sniff(text.as_bytes());
    let outer = elements(text).ok().filter(|_| is_readable);
    let Some((outer, format)) = outer.filter(|(outer, _)| outer[Name::Encrypt].value().is_some()) else {
        // Without a ciphertext there is nothing that its signature could be right for.
        return as_it_came(verify != Verify::Off);
    };
    let encrypt = outer[Name::Encrypt].value().unwrap_or_default();
    // What is forged is not even tried to open.
    let is_bad = is_badly_signed(Some(encrypt));
    if is_bad || !account.has_key() {
        return as_it_came(is_bad);
    }
    let opened = account.open(encrypt).and_then(|(message, key)| Ok((readable(message, verify)?, key)));
    let body = match opened {
        Ok((plaintext, key)) => {
            let seal = Seal { account, key, nonce: nonce(query), format };
            Body::Opened(Box::new(Opened { plaintext, outer, seal }))
        }
        Err(fault) => Body::Unopened(fault),
    };
    Received { declared, text, body, is_badly_signed: false, verify }
}

/// A message as text. Where no signature vouches for it, bytes that are no UTF-8 are the mark of a ciphertext
/// that was tampered with.
fn readable(message: Vec<u8>, verify: Verify) -> Result<String, Fault> {
    match String::from_utf8(message) {
        Ok(text) => Ok(text),
        Err(_) if verify == Verify::Off => Err(Fault::Buffer),
        Err(error) => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// The nonce for the reply.
fn nonce(query: Query<'_>) -> String {
    query.only("nonce").filter(|nonce| is_writable(nonce)).map_or_else(|| "0".to_owned(), Into::into)
}

impl Received<'_> {
    /// What it is. `query` is the one it was taken in with.
    pub fn inbound(&self, query: Option<&str>) -> Inbound<'_> {
        match &self.body {
            Body::AsItCame if self.is_badly_signed => untrusted(open_as(self.declared, self.text, query)),
            Body::AsItCame => open_as(self.declared, self.text, query),
            Body::Unopened(_) => other(Why::Encrypted),
            Body::Opened(opened) => opened.inbound(query),
        }
    }

    /// Whether it came encrypted, opened or not. `inbound` is what it is.
    pub fn is_encrypted(&self, inbound: &Inbound<'_>, query: Option<&str>) -> bool {
        match inbound {
            Inbound::Message(message) => message.is_encrypted(),
            Inbound::Event(event) => event.is_encrypted(),
            Inbound::Other(Other { why: Why::Encrypted, .. }) => true,
            Inbound::Other(_) => Query::new(query).is_sealed() == Some(true),
        }
    }

    /// Whether it is to be refused for its signature.
    pub fn is_refused(&self) -> bool {
        self.is_badly_signed && self.verify == Verify::Enforce
    }

    /// What is wrong with it, for the operator. `inbound` is what it is.
    pub fn fault(&self, inbound: &Inbound<'_>) -> Option<Fault> {
        match (&self.body, inbound) {
            _ if self.is_badly_signed => Some(Fault::Signature),
            (Body::Unopened(fault), _) => Some(*fault),
            (Body::AsItCame, Inbound::Other(Other { why: Why::Encrypted, .. })) => Some(self.unopened()),
            _ => None,
        }
    }

    /// Why nothing was opened of what is encrypted, or half of it.
    fn unopened(&self) -> Fault {
        let is_envelope = elements(self.text).is_ok_and(|(outer, _)| outer[Name::Encrypt].value().is_some());
        if is_envelope { Fault::NoKey } else { Fault::Envelope }
    }

    /// What was opened.
    pub fn plaintext(&self) -> Option<&str> {
        match &self.body {
            Body::Opened(opened) => Some(&opened.plaintext),
            Body::AsItCame | Body::Unopened(_) => None,
        }
    }
}

/// Leaves out the user's words.
impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("is_badly_signed", &self.is_badly_signed).finish_non_exhaustive()
    }
}

fn other<'a>(why: Why) -> Inbound<'a> {
    Inbound::Other(Other { why, msg_type: None })
}

/// What a callback is that may not be from WeChat.
fn untrusted(inbound: Inbound<'_>) -> Inbound<'_> {
    let msg_type = match inbound {
        Inbound::Message(message) => Some(message.kind().as_str().into()),
        Inbound::Event(_) => Some("event".into()),
        Inbound::Other(Other { why: Why::NotCallback, .. }) => return inbound,
        Inbound::Other(other) => other.msg_type,
    };
    Inbound::Other(Other { why: Why::BadSignature, msg_type })
}

impl Opened<'_> {
    fn inbound(&self, query: Option<&str>) -> Inbound<'_> {
        match elements(&self.plaintext) {
            Ok((inner, format)) if agree(&self.outer, &inner) => {
                classify(inner, format, &self.plaintext, Query::new(query), Some(&self.seal))
            }
            Ok(_) => other(Why::Malformed),
            Err(why) => other(why),
        }
    }
}

/// Whether what stands beside a ciphertext says nothing else than the message in it, if it is one.
fn agree(outer: &Fields<'_>, inner: &Fields<'_>) -> bool {
    const SAID_TWICE: [Name; 8] = [
        Name::ToUserName,
        Name::FromUserName,
        Name::MsgType,
        Name::MsgId,
        Name::Content,
        Name::Recognition,
        Name::Event,
        Name::EventKey,
    ];
    inner[Name::MsgType].is_absent()
        || SAID_TWICE.into_iter().all(|name| match (&outer[name], &inner[name]) {
            (Field::Absent, _) => true,
            (Field::Given(outer), Field::Given(inner)) => outer.trim() == inner.trim(),
            _ => false,
        })
}

/// What a callback was sealed with, and its reply has to be closed with: the account's token and AppID, and
/// the key that opened it.
///
/// It comes from opening and stays inside the message. So a sealed message's reply is sealed:
///
/// ```
/// # use kfgate::wechat::*;
/// # let key = || AesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
/// # let account = Account::new(Token::new("token".into()), Verify::Off).sealed_with(vec![key()], "wx1");
/// # let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// # let body = format!("<xml><Encrypt>{}</Encrypt></xml>", key().seal(body, "wx1", [0; 16]));
/// # let query = Some("encrypt_type=aes&nonce=n");
/// let received = receive(Some(&account), None, &body, query);
/// let Inbound::Message(message) = received.inbound(query) else { panic!("a message") };
/// let reply = TransferReply::answering(&message).render(1_400_000_000, || [7; 16]);
/// assert!(reply.starts_with("<xml>\n<Encrypt>") && !reply.contains("transfer_customer_service"));
/// ```
///
/// There is no way to have it in plain:
///
/// ```compile_fail,E0624
/// # use kfgate::wechat::*;
/// # let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let received = receive(None, None, body, None);
/// let Inbound::Message(message) = received.inbound(None) else { panic!("a message") };
/// let reply = TransferReply::answering(&message).plain(1_400_000_000);
/// ```
///
/// nor to take the seal off a message, or to put another one on it:
///
/// ```compile_fail,E0616
/// # use kfgate::wechat::*;
/// # let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let received = receive(None, None, body, None);
/// let Inbound::Message(mut message) = received.inbound(None) else { panic!("a message") };
/// message.seal = None;
/// ```
///
/// nor to make a seal, or to have one more of it:
///
/// ```compile_fail,E0451
/// # use kfgate::wechat::*;
/// # let key = || AesKey::parse("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
/// # let account = Account::new(Token::new("token".into()), Verify::Off).sealed_with(vec![key()], "wx1");
/// let seal = Seal { account: &account, key: &key(), nonce: String::new(), format: Format::Xml };
/// ```
///
/// ```compile_fail,E0277
/// fn one_more<T: Clone>() {}
/// one_more::<kfgate::wechat::Seal>();
/// ```
///
/// as there is of this:
///
/// ```
/// fn one_more<T: Clone>() {}
/// one_more::<kfgate::wechat::Format>();
/// ```
pub struct Seal<'k> {
    account: &'k Account,
    key: &'k AesKey,
    /// The call's own.
    nonce: String,
    format: Format,
}

impl Seal<'_> {
    /// The format of the envelope.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Closes a reply. `now` is in seconds since 1970.
    pub(super) fn close(&self, reply: &str, now: u64, noise: [u8; 16]) -> String {
        let encrypt = self.key.seal(reply, self.account.app_id(), noise);
        envelope(self.account, self.format, &encrypt, now, &self.nonce)
    }
}

impl fmt::Debug for Seal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("format", &self.format).finish_non_exhaustive()
    }
}

/// The envelope of a sealed reply, as WeChat's samples have it. `now` is in seconds since 1970.
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>
pub fn envelope(account: &Account, format: Format, encrypt: &str, now: u64, nonce: &str) -> String {
    let now = now.to_string();
    let signature = account.sign(&now, nonce, encrypt);
    if format == Format::Json {
        let nonce = serde_json::Value::from(nonce);
        return format!(r#"{{"Encrypt":"{encrypt}","MsgSignature":"{signature}","TimeStamp":{now},"Nonce":{nonce}}}"#);
    }
    let mut out = String::with_capacity(encrypt.len() + 256);
    out.push_str("<xml>\n");
    push_element(&mut out, "Encrypt", encrypt);
    out.push('\n');
    push_element(&mut out, "MsgSignature", &signature);
    out.extend(["\n<TimeStamp>", &now, "</TimeStamp>\n"]);
    push_element(&mut out, "Nonce", nonce);
    out.push_str("\n</xml>");
    out
}
