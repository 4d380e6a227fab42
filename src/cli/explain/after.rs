//! The steps from the bot on: what it said, or all that it could say.

use std::time::Duration;

use super::report::{Explanation, Outcome};
use super::steps::{Question, Reply, handed_over, read_flag, say_rules};
use super::words;
use crate::policy::{Action, Case, Cause, Failure, Flag, OnFailure, RuleMode, Transfer, Via};
use crate::wechat::{BotReply, UserMessage};
use http::StatusCode;

/// Steps 7 to 10.
pub(super) fn after(question: &Question<'_>, mut shown: Explanation, case: &Case<'_>, now: u64) -> Explanation {
    if let Some(reply) = &question.reply {
        return answered(question, shown, case, reply, now);
    }
    say_failures(question, &mut shown, case);
    say_possibilities(question, &mut shown, case);
    shown
}

fn answered(question: &Question<'_>, mut shown: Explanation, case: &Case<'_>, reply: &Reply, now: u64) -> Explanation {
    let (flag, said) = (read_flag(&reply.flags), BotReply::read(&reply.text, question.route.wechat.as_ref()));
    let action = decide(question, case, reply.status, flag, &said);
    let decided_at = decided_at(&action, flag);
    let failed = if decided_at == 7 { ", which counts as a failure" } else { "" };
    shown.say(7, format!("answers {}, {}{failed}", reply.status.as_str(), words::said(&said)));
    if decided_at >= 8 {
        shown.say(8, words::flag(flag));
    }
    if decided_at >= 9 {
        say_rules_after(question, &mut shown, case, reply.status, &said);
    }
    if decided_at == 10 {
        shown.say(10, words::deed(&action));
    }
    match (action, case) {
        (Action::Transfer(transfer), Case::Message(message, _)) => shown.end(handed_over(message, transfer, now)),
        (action, _) => shown.end(Outcome::Decided(action)),
    }
}

/// As the proxy asks.
fn decide(question: &Question<'_>, case: &Case<'_>, status: StatusCode, flag: Flag<'_>, said: &BotReply<'_>) -> Action {
    let failed = || case.failed(Failure::Error, question.route.on_error, flag, || true);
    let failure = if status.is_server_error() { failed() } else { None };
    failure.unwrap_or_else(|| {
        let is_read = case.needs_reply(status, flag);
        case.after(status, flag, is_read.then_some(said))
    })
}

/// The step that an action comes from.
fn decided_at(action: &Action, flag: Flag<'_>) -> usize {
    match (action, action.cause()) {
        (Action::Transfer(Transfer { via: Via::Fallback, .. }) | Action::Empty(_), _) => 7,
        (_, Cause::Flag) => 8,
        (_, Cause::Veto) if flag == Flag::Veto => 8,
        (_, Cause::Rule(_)) => 9,
        _ => 10,
    }
}

fn say_rules_after(
    question: &Question<'_>,
    shown: &mut Explanation,
    case: &Case<'_>,
    status: StatusCode,
    said: &BotReply<'_>,
) {
    let message = match open_message(case) {
        Ok(message) => message,
        Err(why_not) => return shown.say(9, why_not),
    };
    if !status.is_success() {
        return shown.say(9, "not asked: only a 2xx reply is replaced");
    }
    if *said == BotReply::Transfer {
        return shown.say(9, "not asked: the bot hands over by itself");
    }
    let rules = &question.route.policy.rules;
    let on_message = rules.trace(message);
    let on_reply = rules.trace_reply(message.kind(), said);
    say_rules(shown, 9, &on_reply);
    say_rules(shown, 9, on_message.iter().filter(|trace| trace.mode == RuleMode::Rewrite));
    shown.or_say(9, "none on this route");
}

/// The message whose fate is open still; else why no rule is asked.
fn open_message<'c>(case: &'c Case<'c>) -> Result<&'c UserMessage<'c>, &'static str> {
    match case {
        Case::Message(message, pending) if pending.settled().is_none() => Ok(message),
        Case::Message(..) => Err("not asked"),
        Case::Event(_) => Err("not for events"),
    }
}

/// What happens when the bot has no answer.
fn say_failures(question: &Question<'_>, shown: &mut Explanation, case: &Case<'_>) {
    let route = question.route;
    shown.say(7, "asked");
    let failed = |how, setting| case.failed(how, setting, Flag::Absent, || true);
    let on_error = words::setting(route.on_error, "pass");
    let then = failed(Failure::Error, route.on_error);
    let then = then.as_ref().map_or_else(|| "502, 504, or its own 5xx".to_owned(), words::deed);
    shown.say(7, format!("it fails: {then} (on_error = \"{on_error}\")"));
    let on_timeout = words::setting(route.on_timeout, "wait");
    let late = match route.deadline {
        Some(deadline) if route.on_timeout != OnFailure::AsProxy => {
            let then = failed(Failure::Timeout, route.on_timeout);
            let then = then.as_ref().map_or_else(|| "waited for".to_owned(), words::deed);
            format!("no reply in {}: {then} (on_timeout = \"{on_timeout}\")", seconds(deadline))
        }
        _ => format!("it is slow: waited for, for {} (no deadline)", seconds(question.limits.upstream_timeout)),
    };
    shown.say(7, late);
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// What would be done with each thing the bot could say.
fn say_possibilities(question: &Question<'_>, shown: &mut Explanation, case: &Case<'_>) {
    let name = &question.route.flag_header;
    let after = |flag, reply| case.after(StatusCode::OK, flag, Some(reply));
    for (value, flag) in [("1", Flag::Ask(None)), ("0", Flag::Veto)] {
        let then = words::deed(&after(flag, &BotReply::Nothing));
        shown.say(8, format!("{name}: {value} -> {then}"));
    }
    let is_replaced = say_rules_before(question, shown, case);
    if !is_replaced {
        shown.say(10, words::deed(&after(Flag::Absent, &BotReply::Other)));
    }
    let own = after(Flag::Absent, &BotReply::Transfer);
    shown.say(10, format!("a transfer by the bot itself -> {}", words::deed(&own)));
}

/// What the rules say as far as it is known. Whether one replaces the reply in any case.
fn say_rules_before(question: &Question<'_>, shown: &mut Explanation, case: &Case<'_>) -> bool {
    let message = match open_message(case) {
        Ok(message) => message,
        Err(why_not) => {
            shown.say(9, why_not);
            return false;
        }
    };
    let rules = &question.route.policy.rules;
    for name in rules.reply_rules(message.kind()) {
        shown.say(9, format!("{name} looks at the bot's reply"));
    }
    let traces = rules.trace(message);
    let is_replaced = say_rules(shown, 9, traces.iter().filter(|trace| trace.mode == RuleMode::Rewrite));
    shown.or_say(9, "none on this route");
    is_replaced
}
