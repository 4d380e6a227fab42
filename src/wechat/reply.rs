//! The reply that hands a message to the customer-service desk: the one place that writes it.

use super::TRANSFER;
use super::envelope::Seal;
use super::message::{Format, UserMessage};

/// The answer that makes WeChat hand the message just received to the desk.
///
/// The one constructor takes a user's message:
///
/// ```
/// use kfgate::wechat::{Inbound, TransferReply, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let Inbound::Message(message) = open(body, None) else { panic!("a message") };
/// let reply = TransferReply::answering(&message).render(1_400_000_000, || [0; 16]);
/// assert!(reply.starts_with("<xml><ToUserName><![CDATA[o1]]></ToUserName>"));
/// ```
///
/// so that no event can be answered with it:
///
/// ```compile_fail,E0308
/// use kfgate::wechat::{Inbound, TransferReply, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>event</MsgType></xml>";
/// let Inbound::Event(event) = open(body, None) else { panic!("an event") };
/// let reply = TransferReply::answering(&event).render(1_400_000_000, || [0; 16]);
/// ```
///
/// It does not come from nothing, nor is it put together by hand, nor read from somewhere:
///
/// ```compile_fail,E0277
/// fn from_nothing<T: Default>() {}
/// from_nothing::<kfgate::wechat::TransferReply>();
/// ```
///
/// ```compile_fail,E0451
/// use kfgate::wechat::{Inbound, TransferReply, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let Inbound::Message(message) = open(body, None) else { panic!("a message") };
/// let reply = TransferReply { message: &message, account: None };
/// ```
///
/// ```compile_fail,E0277
/// fn read<'d, T: serde::Deserialize<'d>>() {}
/// read::<kfgate::wechat::TransferReply>();
/// ```
///
/// as these do:
///
/// ```
/// fn from_nothing<T: Default>() {}
/// fn read<'d, T: serde::Deserialize<'d>>() {}
/// from_nothing::<kfgate::policy::Policy>();
/// read::<String>();
/// ```
#[derive(Debug)]
pub struct TransferReply<'m> {
    message: &'m UserMessage<'m>,
    account: Option<&'m str>,
}

impl<'m> TransferReply<'m> {
    /// Answers this message, and leaves it to WeChat who takes it.
    pub fn answering(message: &'m UserMessage<'m>) -> Self {
        Self { message, account: None }
    }

    /// Names the agent who gets the message, as `prefix@account`. WeChat tells nobody else, even when
    /// that agent is away.
    #[must_use]
    pub fn to_account(self, account: Option<&'m str>) -> Self {
        Self { account, ..self }
    }

    /// The body to send, with To and From swapped, as WeChat documents it; sealed, if the message was.
    ///
    /// `now` is in seconds since 1970. `noise` is asked for 16 bytes, fresh and not to be guessed, if the reply
    /// is sealed.
    pub fn render(&self, now: u64, noise: impl FnOnce() -> [u8; 16]) -> String {
        let plain = self.plain(now);
        match self.message.seal() {
            None => plain,
            Some(seal) => seal.close(&plain, now, noise()),
        }
    }

    /// The Content-Type that goes with [`TransferReply::render`].
    pub fn content_type(&self) -> &'static str {
        match self.message.seal().map_or(self.message.format(), Seal::format) {
            Format::Xml => "text/xml; charset=utf-8",
            Format::Json => "application/json; charset=utf-8",
        }
    }

    fn plain(&self, now: u64) -> String {
        match self.message.format() {
            Format::Xml => self.xml(now),
            Format::Json => self.json(now),
        }
    }

    fn xml(&self, now: u64) -> String {
        let mut out = String::with_capacity(320);
        out.push_str("<xml>");
        push_element(&mut out, "ToUserName", self.message.from_user());
        push_element(&mut out, "FromUserName", self.message.to_user());
        out.push_str("<CreateTime>");
        out.push_str(&now.to_string());
        out.push_str("</CreateTime>");
        push_element(&mut out, "MsgType", TRANSFER);
        if let Some(account) = self.account {
            out.push_str("<TransInfo>");
            push_element(&mut out, "KfAccount", account);
            out.push_str("</TransInfo>");
        }
        out.push_str("</xml>");
        out
    }

    /// `TransInfo` is not documented for JSON accounts (mini programs), so it is not sent.
    fn json(&self, now: u64) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            r#"{{"ToUserName":{},"FromUserName":{},"CreateTime":{now},"MsgType":"{TRANSFER}"}}"#,
            quoted(self.message.from_user()),
            quoted(self.message.to_user()),
        )
    }
}

/// `<name><![CDATA[value]]></name>`, with a value's own `]]>` split over two sections.
pub fn push_element(out: &mut String, name: &str, value: &str) {
    out.extend(["<", name, "><![CDATA["]);
    if value.contains(']') {
        out.push_str(&value.replace("]]>", "]]]]><![CDATA[>"));
    } else {
        out.push_str(value);
    }
    out.extend(["]]></", name, ">"]);
}
