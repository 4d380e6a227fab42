//! Safe mode, from WeChat's side: callbacks go out sealed, and replies come back so.

use serde_json::Value;

use super::callback::Callback;
use crate::telemetry::Entropy;
use crate::wechat::bot_reply::fields;
use crate::wechat::{Account, Fault, Format, Inbound, Name, push_element, receive_unsigned};

/// What says in a URL that the body is encrypted.
const SEALED: Option<&str> = Some("encrypt_type=aes");

/// A body, opened if it is sealed for the account, and what it is.
pub(super) fn read<T>(account: Option<&Account>, body: &str, look: impl FnOnce(&Inbound<'_>) -> T) -> T {
    let query = SEALED.filter(|_| encrypt(body).is_some());
    look(&receive_unsigned(account, None, body, query).inbound(query))
}

/// The ciphertext of a body that is an envelope.
pub(super) fn encrypt(body: &str) -> Option<String> {
    let fields = fields(body).ok()?;
    let encrypt = fields[Name::Encrypt].value()?;
    Some(encrypt.to_owned())
}

impl Callback {
    /// Sealed, unless it came so.
    pub(super) fn sealed(self, account: &Account) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        if encrypt(&text).is_some() {
            return self;
        }
        let Some(encrypt) = account.seal(&text, Entropy::unguessable()) else { return self };
        let body = envelope(self.format, self.to.as_deref().unwrap_or_default(), &encrypt).into_bytes();
        Self { what: format!("{}, encrypted", self.what), body, ..self }
    }
}

/// As captured: indented, and with a line end at the end.
fn envelope(format: Option<Format>, to: &str, encrypt: &str) -> String {
    if format == Some(Format::Json) {
        return format!(r#"{{"ToUserName":{},"Encrypt":"{encrypt}"}}"#, Value::from(to));
    }
    let mut body = "<xml>\n    ".to_owned();
    push_element(&mut body, "ToUserName", to);
    body.push_str("\n    ");
    push_element(&mut body, "Encrypt", encrypt);
    body + "\n</xml>\n"
}

/// A reply, as WeChat opens it.
#[derive(Debug)]
pub(super) enum Opened {
    /// It came in plain.
    Plain,
    Sealed(String),
    /// Why it does not open.
    Fault(String),
}

/// Checks the signature of a reply, and opens it.
pub(super) fn open(account: &Account, reply: &str) -> Opened {
    let Some(encrypt) = encrypt(reply) else { return Opened::Plain };
    let value = |name| value(reply, name);
    let (Some(signature), Some(timestamp), Some(nonce)) = (value("MsgSignature"), value("TimeStamp"), value("Nonce"))
    else {
        return Opened::Fault("the envelope has no MsgSignature, TimeStamp or Nonce".to_owned());
    };
    if !signature.eq_ignore_ascii_case(&account.sign(&timestamp, &nonce, &encrypt)) {
        return Opened::Fault("-40001: the MsgSignature of the reply is wrong (another token?)".to_owned());
    }
    let received = receive_unsigned(Some(account), None, reply, SEALED);
    let fault = || received.fault(&received.inbound(SEALED)).unwrap_or(Fault::Buffer);
    received
        .plaintext()
        .map_or_else(|| Opened::Fault(format!("the reply: {}", fault())), |text| Opened::Sealed(text.to_owned()))
}

/// An element or a member of an envelope. Some libraries write their names in lower case.
fn value(reply: &str, name: &str) -> Option<String> {
    if Format::sniff(reply.as_bytes()) == Some(Format::Json) {
        let members: serde_json::Map<String, Value> = serde_json::from_str(reply.trim()).ok()?;
        let (_, value) = members.into_iter().find(|(member, _)| member.eq_ignore_ascii_case(name))?;
        return Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let (_, rest) = reply.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    let value = value.trim();
    let inner = value.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>"));
    Some(inner.unwrap_or(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::{AesKey, Token, Verify, envelope};

    fn account(token: &str, key: &str) -> Account {
        let key = AesKey::parse(&key.repeat(43)).unwrap();
        Account::new(Token::new(token.to_owned()), Verify::Off).sealed_with(vec![key], "wx1")
    }

    #[test]
    fn a_callback_is_sealed_once() {
        let account = account("token", "A");
        let callback = Callback::text("o1", "hi").sealed(&account);
        let body = String::from_utf8(callback.body.clone()).unwrap();
        assert!(body.starts_with("<xml>\n    <ToUserName><![CDATA[gh_2b7da7a439a4]]></ToUserName>\n    <Encrypt>"));
        let is_message = |inbound: &Inbound<'_>| matches!(inbound, Inbound::Message(_));
        assert!(read(Some(&account), &body, is_message));
        assert!(!read(None, &body, is_message));
        assert_eq!(callback.sealed(&account).body, body.into_bytes());
    }

    #[test]
    fn a_reply_is_opened_if_it_is_signed_and_for_us() {
        let (ours, other_token, other_key) = (account("token", "A"), account("other", "A"), account("token", "B"));
        for format in [Format::Xml, Format::Json] {
            let reply = |account: &Account| envelope(account, format, &account.seal("hi", [0; 16]).unwrap(), 1, "n");
            assert!(matches!(open(&ours, &reply(&ours)), Opened::Sealed(text) if text == "hi"));
            for (reply, code) in [(reply(&other_token), "-40001"), (reply(&other_key), "-40008")] {
                assert!(matches!(open(&ours, &reply), Opened::Fault(fault) if fault.contains(code)), "{reply}");
            }
        }
        assert!(matches!(open(&ours, "success"), Opened::Plain));
    }
}
