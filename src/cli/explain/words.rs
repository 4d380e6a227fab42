//! The decision's values in an operator's words.

use crate::cli::terminal::harmless;
use crate::policy::{Action, By, Cause, Flag, OnFailure, Reading, Trace, Transfer};
use crate::wechat::{BotReply, Event, Inbound, Kind, Other, UserMessage, Why};

/// What a callback is.
pub(super) fn inbound(inbound: &Inbound<'_>) -> String {
    match inbound {
        Inbound::Message(message) => of_message(message),
        Inbound::Event(event) => of_event(event),
        Inbound::Other(_) => "neither a message nor an event".to_owned(),
    }
}

fn of_message(message: &UserMessage<'_>) -> String {
    let id = message.msg_id().map_or_else(String::new, |id| format!(", MsgId {}", harmless(id)));
    format!("{} message{id}", message.kind().as_str())
}

fn of_event(event: &Event<'_>) -> String {
    let name = event.name().map_or_else(|| "without a name".to_owned(), harmless);
    let key = event.key().map_or_else(String::new, |key| format!(", EventKey {}", quoted(key)));
    format!("event {name}{key}")
}

/// Who sent a callback, and to whom.
pub(super) fn addresses(inbound: &Inbound<'_>) -> Option<String> {
    let (from, to) = match inbound {
        Inbound::Message(message) => (message.from_user(), message.to_user()),
        Inbound::Event(event) => (event.from_user()?, event.to_user()?),
        Inbound::Other(_) => return None,
    };
    Some(format!("{} to {}", harmless(from), harmless(to)))
}

/// Why something is neither a message nor an event.
pub(super) fn why(other: &Other<'_>) -> String {
    let msg_type = other.msg_type.as_deref().unwrap_or_default();
    match other.why {
        Why::NotCallback => "no XML or JSON callback with a MsgType".to_owned(),
        Why::Malformed => {
            "broken or contradictory (a DOCTYPE, MsgType or words twice, no sender or receiver)".to_owned()
        }
        Why::Encrypted => "encrypted, or body and `encrypt_type` do not agree about it; there is no key".to_owned(),
        Why::BadSignature => "its signature is wrong or missing".to_owned(),
        Why::MsgType if Kind::of(msg_type).is_some() => format!("an Event element beside MsgType {msg_type}"),
        Why::MsgType => format!("MsgType {} is no type of user message", quoted(msg_type)),
        Why::OpenidMismatch => "the query's `openid` is not FromUserName".to_owned(),
    }
}

/// What goes out.
pub(super) fn deed(action: &Action) -> String {
    match action {
        Action::Transfer(transfer) => self::transfer(transfer),
        Action::Suppress => "`success`, in place of the bot's own transfer".to_owned(),
        Action::Empty(_) => "`success`".to_owned(),
        Action::Reject(_) => "403".to_owned(),
        Action::Forward(_) | Action::Replay(_) | Action::Error(_) => "the bot's reply, untouched".to_owned(),
    }
}

pub(super) fn transfer(transfer: &Transfer) -> String {
    let account = transfer.account.as_deref();
    account.map_or_else(|| "transfer".to_owned(), |account| format!("transfer to {}", harmless(account)))
}

/// How the request log will have it.
pub(super) fn logged(action: &Action) -> String {
    let via = match action {
        Action::Transfer(transfer) => format!("/{}", transfer.via.as_str()),
        _ => String::new(),
    };
    format!("{}{via}, {}", action.as_str(), harmless(&action.cause().to_string()))
}

/// What a flag header says.
pub(super) fn flag(flag: Flag<'_>) -> String {
    match flag {
        Flag::Absent => "none".to_owned(),
        Flag::Ask(None) => "asks for a transfer".to_owned(),
        Flag::Ask(Some(account)) => format!("asks for a transfer to {}", harmless(account)),
        Flag::Veto => "forbids a transfer".to_owned(),
        Flag::Invalid => format!("means nothing, or two things: ignored ({})", Cause::FlagInvalid),
    }
}

/// What the bot said.
pub(super) fn said(reply: &BotReply<'_>) -> String {
    match reply {
        BotReply::Nothing => "nothing".to_owned(),
        BotReply::Text(text) => format!("text {}", quoted(text)),
        BotReply::Transfer => "a transfer of its own".to_owned(),
        BotReply::Other => "something other than text".to_owned(),
    }
}

/// What a rule makes of a text.
pub(super) fn rule(trace: &Trace<'_>) -> String {
    format!("{} {}", trace.name, reading(&trace.reading))
}

fn reading(reading: &Reading) -> String {
    match reading {
        Reading::Types => "does not look at messages of this type".to_owned(),
        Reading::Match(By::Contains(word)) => format!("matches: contains {}", quoted(word)),
        Reading::Match(By::Equals(word)) => format!("matches: equals {}", quoted(word)),
        Reading::Match(By::StartsWith(word)) => format!("matches: starts_with {}", quoted(word)),
        Reading::Match(By::Regex(pattern)) => format!("matches: regex {}", quoted(pattern)),
        Reading::Match(By::Anything) => "matches every message of its types".to_owned(),
        Reading::Cancelled(word) => format!("is cancelled: unless {}", quoted(word)),
        Reading::NoMatch => "does not match".to_owned(),
    }
}

/// A setting of `on_error` or `on_timeout`, as written.
pub(super) fn setting(setting: OnFailure, as_proxy: &'static str) -> &'static str {
    match setting {
        OnFailure::AsProxy => as_proxy,
        OnFailure::Empty => "empty",
        OnFailure::Transfer => "transfer",
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", harmless(text).replace('\n', "\\n"))
}
