//! The decision on a user's message: asked before the bot, and again after it.
//!
//! The order of tests is the contract's. Nothing here can be asked about an event but what its bot's
//! reply, or its bot's failure, turns into.

use std::sync::Arc;

use http::StatusCode;

use super::action::{Action, Cause, Transfer, Via};
use super::flag::Flag;
use super::remembered::Remembered;
use super::rule::{Match, RuleSet, Types, Verdict};
use crate::wechat::{BotReply, Event, Kind, UserMessage};

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
    Settled {
        cause: Cause,
        /// The request's flag forbids the fallbacks too.
        vetoed: bool,
    },
    Open {
        flag_invalid: bool,
        rewrite: Option<(usize, Match<'p>)>,
        reply_matters: bool,
    },
}

/// Decides on a message before the bot is asked. `request_flag` is [`Flag::Absent`] where none counts;
/// `remembered` is what earlier transfers left.
///
/// It can be asked about a user's message:
///
/// ```
/// use kfgate::policy::{Flag, Policy, Remembered, before};
/// use kfgate::wechat::{Inbound, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let Inbound::Message(message) = open(body, None) else { panic!("a message") };
/// before(&message, &Policy::default(), Flag::Ask(None), Remembered::default());
/// ```
///
/// and about nothing else:
///
/// ```compile_fail,E0308
/// use kfgate::policy::{Flag, Policy, Remembered, before};
/// use kfgate::wechat::{Inbound, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>event</MsgType></xml>";
/// let Inbound::Event(event) = open(body, None) else { panic!("an event") };
/// before(&event, &Policy::default(), Flag::Ask(None), Remembered::default());
/// ```
///
/// ```compile_fail,E0308
/// use kfgate::policy::{Flag, Policy, Remembered, before};
/// use kfgate::wechat::open;
/// let inbound = open("<xml><MsgType>event</MsgType></xml>", None);
/// before(&inbound, &Policy::default(), Flag::Ask(None), Remembered::default());
/// ```
pub fn before<'p>(
    message: &UserMessage<'_>,
    policy: &'p Policy,
    request_flag: Flag<'_>,
    remembered: Remembered,
) -> Before<'p> {
    let ask = |course| Before::Ask(Pending { policy, course });
    let vetoed = request_flag == Flag::Veto;
    if !policy.types.contains(message.kind()) {
        return ask(Course::Settled { cause: Cause::Type, vetoed });
    }
    if let Some(handover) = remembered.retry {
        return Before::ShortCircuit(handover.again(Via::ShortCircuit, Cause::Retry));
    }
    match request_flag {
        Flag::Veto => return ask(Course::Settled { cause: Cause::Veto, vetoed }),
        Flag::Ask(account) => {
            return Before::ShortCircuit(policy.by_flag(account, Via::ShortCircuit, Cause::RequestFlag));
        }
        Flag::Absent | Flag::Invalid => {}
    }
    if let Some(handover) = remembered.sticky {
        return Before::ShortCircuit(handover.again(Via::ShortCircuit, Cause::Sticky));
    }
    match policy.rules.before(message) {
        Verdict::ShortCircuit(rule) => Before::ShortCircuit(policy.by_rule(rule, Via::ShortCircuit)),
        Verdict::Ask { rewrite, reply_matters } => {
            ask(Course::Open { flag_invalid: request_flag == Flag::Invalid, rewrite, reply_matters })
        }
    }
}

impl Pending<'_> {
    /// Why there can be no transfer by a flag or a rule any more, whatever the bot says.
    pub fn settled(&self) -> Option<&Cause> {
        match &self.course {
            Course::Settled { cause, .. } => Some(cause),
            Course::Open { .. } => None,
        }
    }

    fn needs_reply(&self, flag: Flag<'_>) -> bool {
        match (&self.course, flag) {
            (Course::Settled { .. }, _) | (Course::Open { .. }, Flag::Veto) => false,
            // A bot that hands over by itself passes untouched, so its reply has to be known.
            (Course::Open { .. }, Flag::Ask(_)) => true,
            (Course::Open { rewrite, reply_matters, .. }, Flag::Absent | Flag::Invalid) => {
                *reply_matters || rewrite.is_some()
            }
        }
    }

    fn after(&self, kind: Kind, status: StatusCode, flag: Flag<'_>, reply: Option<&BotReply<'_>>) -> Action {
        let (flag_invalid, rewrite) = match &self.course {
            Course::Settled { cause, .. } => return Action::Forward(cause.clone()),
            Course::Open { flag_invalid, rewrite, .. } => (*flag_invalid || flag == Flag::Invalid, rewrite),
        };
        if flag == Flag::Veto {
            return Action::Forward(Cause::Veto);
        }
        if status.is_server_error() {
            return Action::Forward(Cause::UpstreamError);
        }
        let kept = Action::Forward(if flag_invalid { Cause::FlagInvalid } else { Cause::NoRule });
        if !status.is_success() || reply == Some(&BotReply::Transfer) {
            return kept;
        }
        if let Flag::Ask(account) = flag {
            return Action::Transfer(self.policy.by_flag(account, Via::Rewrite, Cause::Flag));
        }
        let before = rewrite.as_ref().map(|(at, _)| *at);
        let by_reply = reply.and_then(|reply| self.policy.rules.on_reply(kind, reply, before));
        match by_reply.or(rewrite.map(|(_, rule)| rule)) {
            Some(rule) => Action::Transfer(self.policy.by_rule(rule, Via::Rewrite)),
            None => kept,
        }
    }

    fn failed(
        &self,
        how: Failure,
        setting: OnFailure,
        flag: Flag<'_>,
        within_budget: impl FnOnce() -> bool,
    ) -> Option<Action> {
        let vetoed = flag == Flag::Veto || matches!(self.course, Course::Settled { vetoed: true, .. });
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
    fn by_flag(&self, account: Option<&str>, via: Via, cause: Cause) -> Transfer {
        Transfer { via, cause, account: account.map(Arc::from).or_else(|| self.account.clone()) }
    }

    fn by_rule(&self, rule: Match<'_>, via: Via) -> Transfer {
        let account = rule.account.or(self.account.as_ref()).cloned();
        Transfer { via, cause: Cause::Rule(rule.name.clone()), account }
    }
}

/// A callback that goes to the bot, and what is decided when the bot has answered, or failed.
#[derive(Debug)]
pub enum Case<'c> {
    Message(&'c UserMessage<'c>, Pending<'c>),
    /// An event's reply passes, unless it is a transfer.
    Event(&'c Event<'c>),
}

impl Case<'_> {
    /// Whether a reply may have to be read, as far as is known before the bot is asked.
    pub fn may_need_reply(&self) -> bool {
        self.needs_reply(StatusCode::OK, Flag::Absent)
    }

    /// Whether a reply with this status and flag has to be read before [`Case::after`] can decide.
    pub fn needs_reply(&self, status: StatusCode, flag: Flag<'_>) -> bool {
        match self {
            Self::Message(_, pending) => status.is_success() && pending.needs_reply(flag),
            Self::Event(_) => true,
        }
    }

    /// Decides on a reply. `reply` is None where it was not read, or could not be.
    pub fn after(&self, status: StatusCode, flag: Flag<'_>, reply: Option<&BotReply<'_>>) -> Action {
        match self {
            Self::Message(message, pending) => pending.after(message.kind(), status, flag, reply),
            Self::Event(_) if reply == Some(&BotReply::Transfer) => Action::Suppress,
            Self::Event(_) if status.is_server_error() => Action::Forward(Cause::UpstreamError),
            Self::Event(_) => Action::Forward(Cause::Event),
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
        match (self, setting) {
            (Self::Message(_, pending), _) => pending.failed(how, setting, flag, within_budget),
            (Self::Event(_), OnFailure::Empty) => Some(Action::Empty(how.cause())),
            (Self::Event(_), OnFailure::AsProxy | OnFailure::Transfer) => None,
        }
    }
}
