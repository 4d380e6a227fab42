//! What a bot said: read for the rules on replies and for the event guard, never rewritten.

use std::borrow::Cow;

use super::account::Account;
use super::fields::{Field, Fields, Name, Unreadable};
use super::{Format, SUCCESS, TRANSFER, json, xml};

/// A bot's reply, as far as a decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BotReply<'a> {
    /// An empty body, white space, or `success`: the bot has nothing to say.
    Nothing,
    /// A text reply and its `Content`.
    Text(Cow<'a, str>),
    /// The bot hands over by itself.
    Transfer,
    /// Any other reply: pictures, news, a page, ciphertext that does not open.
    Other,
}

impl<'a> BotReply<'a> {
    /// Reads a reply body. What stands before the document (a PHP warning, a byte order mark) does not
    /// hide it, as it does not hide it from WeChat. What is sealed is opened, if the account has the key.
    pub fn read(body: &'a str, account: Option<&Account>) -> Self {
        let said = said(body);
        if said.is_empty() || said == SUCCESS {
            return Self::Nothing;
        }
        match fields(body) {
            Ok(fields) if let Some(reply) = sealed(&fields, account) => reply,
            Ok(fields) if fields[Name::MsgType] != Field::Unclear => Self::of(fields),
            // Unknown is how WeChat would read it, so the event guard takes the worse.
            _ if names_transfer(said) => Self::Transfer,
            _ => Self::Other,
        }
    }

    fn of(mut fields: Fields<'a>) -> Self {
        match fields[Name::MsgType].value() {
            Some(msg_type) if msg_type.eq_ignore_ascii_case(TRANSFER) => Self::Transfer,
            Some("text") if !fields.foreign_encoding => {
                fields.take(Name::Content).into_raw().map_or(Self::Other, Self::Text)
            }
            _ => Self::Other,
        }
    }

    fn into_owned<'o>(self) -> BotReply<'o> {
        match self {
            Self::Nothing => BotReply::Nothing,
            Self::Text(text) => BotReply::Text(Cow::Owned(text.into_owned())),
            Self::Transfer => BotReply::Transfer,
            Self::Other => BotReply::Other,
        }
    }
}

/// What is inside an envelope, if it opens. Where a reply is there in plain too, only a transfer counts, so that
/// neither hides the other.
fn sealed<'o>(fields: &Fields<'_>, account: Option<&Account>) -> Option<BotReply<'o>> {
    let opened = account?.open_reply(fields[Name::Encrypt].value()?)?;
    let reply = BotReply::read(&opened, None).into_owned();
    (fields[Name::MsgType].is_absent() || reply == BotReply::Transfer).then_some(reply)
}

/// The elements of a reply body, as [`BotReply::read`] finds them.
///
/// # Errors
/// When it is no document, or a broken one.
pub fn fields(body: &str) -> Result<Fields<'_>, Unreadable> {
    let said = said(body);
    match Format::sniff(said.as_bytes()) {
        Some(Format::Json) => json::read(said),
        _ => xml::read(document(said)),
    }
}

/// A body without what stands around it and says nothing.
fn said(body: &str) -> &str {
    body.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

/// The `<xml>` document in a body, with whatever stands around it cut off.
fn document(body: &str) -> &str {
    let start = ["<?xml", "<xml"].iter().filter_map(|opening| body.find(opening)).min().unwrap_or(0);
    let end = body.rfind("</xml>").map_or(body.len(), |at| at + "</xml>".len());
    body.get(start..end).unwrap_or(body)
}

/// Whether a reply that can not be read for certain names the transfer as its type somewhere.
fn names_transfer(body: &str) -> bool {
    body.match_indices("MsgType").any(|(at, name)| {
        let is_closing = body[..at].ends_with('/');
        !is_closing && starts_with_transfer(&body.as_bytes()[at + name.len()..])
    })
}

/// Whether the transfer is named before the value that starts here can be over. What may stand around it,
/// quotes or `<![CDATA[`, is short.
fn starts_with_transfer(text: &[u8]) -> bool {
    let near = &text[..text.len().min(TRANSFER.len() + 64)];
    let value = near.split(|byte| b",}/".contains(byte)).next().unwrap_or(near);
    value.windows(TRANSFER.len()).any(|run| run.eq_ignore_ascii_case(TRANSFER.as_bytes()))
}
