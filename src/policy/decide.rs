//! The decision on a user's message: asked before the bot, and again after it.
//!
//! The order of tests is the contract's. Nothing here can be asked about an event but what its bot's
//! reply, or its bot's failure, turns into.

use std::fmt;
use std::sync::Arc;

use super::flag::Flag;
use super::rule::{Match, RuleSet, Types, Verdict};
use crate::wechat::{BotReply, Event, UserMessage};

/// What is done with a request, with the reason inside: log and metrics can not contradict the deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The bot's answer goes out as it is.
    Forward(Cause),
    /// The message is handed to the desk.
    Transfer(Transfer),
    /// The bot answered an event with a transfer; WeChat gets `success`.
    Suppress,
    /// The bot failed; WeChat gets `success`.
    Empty(Cause),
    /// The request is refused (400, 405).
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
            Self::Empty(_) => "empty",
            Self::Reject(_) => "reject",
            Self::Error(_) => "error",
        }
    }

    pub fn cause(&self) -> &Cause {
        match self {
            Self::Forward(cause) | Self::Empty(cause) | Self::Reject(cause) | Self::Error(cause) => cause,
            Self::Transfer(transfer) => &transfer.cause,
            Self::Suppress => &Cause::Event,
        }
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
    Timeout,
    UpstreamError,
    Off,
    Veto,
    Event,
    NotCallback,
    TooLarge,
    BadXml,
    CannotDecrypt,
    Type,
    OpenidMismatch,
    FlagInvalid,
    NoRule,
    NoRoute,
    BadRequest,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::RequestFlag => "request-flag",
            Self::Rule(name) => return write!(f, "rule:{name}"),
            Self::Timeout => "timeout",
            Self::UpstreamError => "upstream-error",
            Self::Off => "off",
            Self::Veto => "veto",
            Self::Event => "event",
            Self::NotCallback => "not-callback",
            Self::TooLarge => "too-large",
            Self::BadXml => "bad-xml",
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

/// A route's part in the decision.
#[derive(Debug, Default)]
pub struct Policy {
    /// The KfAccount of transfers that name none of their own.
    pub account: Option<Arc<str>>,
    /// What may be transferred at all.
    pub types: Types,
    pub rules: RuleSet,
}

/// What to do when the bot has no answer to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// What a proxy does: an error, or waiting on.
    AsProxy,
    /// `success`.
    Empty,
    /// The message is handed to the desk.
    Transfer,
}

/// How a bot failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer in time.
    Timeout,
    /// Unreachable, broken off, or an answer of 5xx.
    Error,
}

impl Failure {
    pub fn cause(self) -> Cause {
        match self {
            Self::Timeout => Cause::Timeout,
            Self::Error => Cause::UpstreamError,
        }
    }
}

/// The answer to "before the bot is asked".
#[derive(Debug)]
pub enum Before<'p> {
    /// The bot is not asked.
    ShortCircuit(Transfer),
    /// The bot is asked, and the rest decided on its reply.
    Ask(Pending<'p>),
}

/// A decision that waits for the bot's reply.
#[derive(Debug)]
pub struct Pending<'p> {
    policy: &'p Policy,
    course: Course<'p>,
}

#[derive(Debug)]
enum Course<'p> {
    /// No transfer, whatever the bot says.
    Settled(Cause),
    Open {
        flag_invalid: bool,
        rewrite: Option<(usize, Match<'p>)>,
        reply_matters: bool,
    },
}

/// Decides on a message before the bot is asked. `request_flag` is [`Flag::Absent`] where none counts.
pub fn before<'p>(message: &UserMessage<'_>, policy: &'p Policy, request_flag: Flag<'_>) -> Before<'p> {
    let ask = |course| Before::Ask(Pending { policy, course });
    if !policy.types.contains(message.kind()) {
        return ask(Course::Settled(Cause::Type));
    }
    match request_flag {
        Flag::Veto => return ask(Course::Settled(Cause::Veto)),
        Flag::Ask(account) => {
            let account = account.map(Arc::from).or_else(|| policy.account.clone());
            return Before::ShortCircuit(Transfer { via: Via::ShortCircuit, cause: Cause::RequestFlag, account });
        }
        Flag::Absent | Flag::Invalid => {}
    }
    match policy.rules.before(message) {
        Verdict::ShortCircuit(rule) => Before::ShortCircuit(policy.by_rule(rule, Via::ShortCircuit)),
        Verdict::Ask { rewrite, reply_matters } => {
            ask(Course::Open { flag_invalid: request_flag == Flag::Invalid, rewrite, reply_matters })
        }
    }
}

impl Pending<'_> {
    /// Whether a reply with this flag has to be read before the decision can be made.
    pub fn needs_reply(&self, flag: Flag<'_>) -> bool {
        match (&self.course, flag) {
            (Course::Settled(_), _) | (Course::Open { .. }, Flag::Veto) => false,
            // A bot that hands over by itself passes untouched, so its reply has to be known.
            (Course::Open { .. }, Flag::Ask(_)) => true,
            (Course::Open { rewrite, reply_matters, .. }, Flag::Absent | Flag::Invalid) => {
                *reply_matters || rewrite.is_some()
            }
        }
    }

    /// Whether a reply may have to be read, as far as is known before the bot is asked.
    pub fn may_need_reply(&self) -> bool {
        self.needs_reply(Flag::Absent)
    }

    /// Decides on a reply. `reply` is None where it was not read, or could not be.
    pub fn after(
        &self,
        message: &UserMessage<'_>,
        success: bool,
        flag: Flag<'_>,
        reply: Option<&BotReply<'_>>,
    ) -> Action {
        let (flag_invalid, rewrite) = match &self.course {
            Course::Settled(cause) => return Action::Forward(cause.clone()),
            Course::Open { flag_invalid, rewrite, .. } => (*flag_invalid || flag == Flag::Invalid, rewrite),
        };
        let kept = Action::Forward(if flag_invalid { Cause::FlagInvalid } else { Cause::NoRule });
        if flag == Flag::Veto {
            return Action::Forward(Cause::Veto);
        }
        if !success || reply == Some(&BotReply::Transfer) {
            return kept;
        }
        if let Flag::Ask(account) = flag {
            let account = account.map(Arc::from).or_else(|| self.policy.account.clone());
            return Action::Transfer(Transfer { via: Via::Rewrite, cause: Cause::Flag, account });
        }
        let before = rewrite.as_ref().map(|(at, _)| *at);
        let by_reply = reply.and_then(|reply| self.policy.rules.on_reply(message.kind(), reply, before));
        match by_reply.or(rewrite.map(|(_, rule)| rule)) {
            Some(rule) => Action::Transfer(self.policy.by_rule(rule, Via::Rewrite)),
            None => kept,
        }
    }

    /// Decides when the bot failed. None: what a proxy does. `within_budget` says whether one more
    /// fallback transfer may go out this minute, and is asked only if one would.
    pub fn failed(
        &self,
        how: Failure,
        setting: OnFailure,
        flag: Flag<'_>,
        within_budget: impl FnOnce() -> bool,
    ) -> Option<Action> {
        let vetoed = flag == Flag::Veto || matches!(self.course, Course::Settled(Cause::Veto));
        let transferable = matches!(self.course, Course::Open { .. });
        match setting {
            OnFailure::AsProxy => None,
            _ if vetoed => None,
            OnFailure::Transfer if !transferable => None,
            OnFailure::Transfer if within_budget() => Some(Action::Transfer(Transfer {
                via: Via::Fallback,
                cause: how.cause(),
                account: self.policy.account.clone(),
            })),
            OnFailure::Empty | OnFailure::Transfer => Some(Action::Empty(how.cause())),
        }
    }
}

impl Policy {
    fn by_rule(&self, rule: Match<'_>, via: Via) -> Transfer {
        let account = rule.account.or(self.account.as_ref()).cloned();
        Transfer { via, cause: Cause::Rule(rule.name.clone()), account }
    }
}

/// What becomes of a bot's reply to an event: it passes, unless it is a transfer.
pub fn after_event(_: &Event<'_>, reply: Option<&BotReply<'_>>) -> Action {
    match reply {
        Some(BotReply::Transfer) => Action::Suppress,
        _ => Action::Forward(Cause::Event),
    }
}

/// What becomes of an event whose bot failed. None: what a proxy does.
pub fn event_failed(_: &Event<'_>, how: Failure, setting: OnFailure) -> Option<Action> {
    match setting {
        OnFailure::Empty => Some(Action::Empty(how.cause())),
        OnFailure::AsProxy | OnFailure::Transfer => None,
    }
}
