//! What is done with a request, and why: the decision's result, and the log's vocabulary.

use std::fmt;
use std::sync::Arc;

use crate::wechat::Why;

/// What is done with a request, with the reason inside: log and metrics can not contradict the deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The bot's answer goes out as it is.
    Forward(Cause),
    /// The message is handed to the desk.
    Transfer(Transfer),
    /// The bot answered an event with a transfer; WeChat gets `success`.
    Suppress,
    /// The bot's answer to an earlier delivery goes out once more.
    Replay(Cause),
    /// The bot failed; WeChat gets `success`.
    Empty(Cause),
    /// The request is refused (400, 403, 405).
    Reject(Cause),
    /// There is no answer to forward (404, 502, 504).
    Error(Cause),
}

impl Action {
    /// The name in the request log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Transfer(_) => "transfer",
            Self::Suppress => "suppress",
            Self::Replay(_) => "replay",
            Self::Empty(_) => "empty",
            Self::Reject(_) => "reject",
            Self::Error(_) => "error",
        }
    }

    pub fn cause(&self) -> &Cause {
        match self {
            Self::Forward(cause)
            | Self::Replay(cause)
            | Self::Empty(cause)
            | Self::Reject(cause)
            | Self::Error(cause) => cause,
            Self::Transfer(transfer) => &transfer.cause,
            Self::Suppress => &Cause::Event,
        }
    }

    /// The same for an answer that the bot gave to an earlier delivery.
    #[must_use]
    pub fn replayed(self) -> Self {
        if let Self::Forward(cause) = self { Self::Replay(cause) } else { self }
    }
}

/// A decided transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub via: Via,
    pub cause: Cause,
    pub account: Option<Arc<str>>,
}

/// How a transfer came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The bot was not asked.
    ShortCircuit,
    /// The bot was asked, and its reply replaced.
    Rewrite,
    /// The bot failed, or was too slow.
    Fallback,
}

impl Via {
    /// The name in the request log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShortCircuit => "short-circuit",
            Self::Rewrite => "rewrite",
            Self::Fallback => "fallback",
        }
    }
}

/// Why. Displayed as in the request log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    Flag,
    RequestFlag,
    Rule(Arc<str>),
    /// The user was handed over a while ago, and stays so.
    Sticky,
    /// WeChat's retry of a message that was transferred.
    Retry,
    Timeout,
    UpstreamError,
    Off,
    Veto,
    Event,
    NotCallback,
    TooLarge,
    BadXml,
    BadSignature,
    CannotDecrypt,
    Type,
    OpenidMismatch,
    FlagInvalid,
    NoRule,
    NoRoute,
    BadRequest,
}

/// Why what is neither a message nor an event passes untouched.
impl From<Why> for Cause {
    fn from(why: Why) -> Self {
        match why {
            Why::NotCallback => Self::NotCallback,
            Why::Malformed => Self::BadXml,
            Why::Encrypted => Self::CannotDecrypt,
            Why::BadSignature => Self::BadSignature,
            Why::MsgType => Self::Type,
            Why::OpenidMismatch => Self::OpenidMismatch,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::RequestFlag => "request-flag",
            Self::Rule(name) => return write!(f, "rule:{name}"),
            Self::Sticky => "sticky",
            Self::Retry => "retry",
            Self::Timeout => "timeout",
            Self::UpstreamError => "upstream-error",
            Self::Off => "off",
            Self::Veto => "veto",
            Self::Event => "event",
            Self::NotCallback => "not-callback",
            Self::TooLarge => "too-large",
            Self::BadXml => "bad-xml",
            Self::BadSignature => "bad-signature",
            Self::CannotDecrypt => "cannot-decrypt",
            Self::Type => "type",
            Self::OpenidMismatch => "openid-mismatch",
            Self::FlagInvalid => "flag-invalid",
            Self::NoRule => "no-rule",
            Self::NoRoute => "no-route",
            Self::BadRequest => "bad-request",
        })
    }
}
