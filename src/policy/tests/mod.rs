//! The rules and the decision, over tables of what they are asked.

mod decisions;
mod events;
mod keywords;
mod normal_form;
mod rules;

use std::sync::Arc;

use super::rule::Verdict;
use super::{Conditions, Rule, RuleMode, RuleSet, Types};
use crate::wechat::{BotReply, Inbound, Kind, UserMessage, open};

fn callback(elements: &str) -> String {
    format!("<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName>{elements}</xml>")
}

/// A text message with these words.
fn text(words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    callback(&format!("<MsgType>text</MsgType><Content>{words}</Content>"))
}

fn message(body: &str) -> UserMessage<'_> {
    match open(body, None) {
        Inbound::Message(message) => message,
        other => panic!("{other:?}: {body}"),
    }
}

/// A rule on any kind of message.
fn rule(name: &str, mode: RuleMode, conditions: Conditions) -> Rule {
    let types = Kind::ALL.into_iter().collect();
    Rule { name: name.into(), mode, types, account: None, conditions }
}

fn of_types(kinds: &[Kind], rule: Rule) -> Rule {
    Rule { types: kinds.iter().copied().collect::<Types>(), ..rule }
}

fn to_account(account: &str, rule: Rule) -> Rule {
    Rule { account: Some(account.into()), ..rule }
}

fn contains(words: &[&str]) -> Conditions {
    Conditions { contains: owned(words), ..Conditions::default() }
}

fn equals(words: &[&str]) -> Conditions {
    Conditions { equals: owned(words), ..Conditions::default() }
}

fn starts_with(words: &[&str]) -> Conditions {
    Conditions { starts_with: owned(words), ..Conditions::default() }
}

fn regex(pattern: &str) -> Conditions {
    Conditions { regex: vec![Conditions::regex(pattern, false).unwrap()], ..Conditions::default() }
}

fn exactly(conditions: Conditions) -> Conditions {
    Conditions { exact_text: true, ..conditions }
}

fn unless(words: &[&str], conditions: Conditions) -> Conditions {
    Conditions { unless: owned(words), ..conditions }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().copied().map(str::to_owned).collect()
}

/// The rule that takes a message before the bot is asked.
fn short_circuit(rules: &RuleSet, body: &str) -> Option<Arc<str>> {
    match rules.before(&message(body)) {
        Verdict::ShortCircuit(found) => Some(found.name.clone()),
        Verdict::Ask { .. } => None,
    }
}

/// Whether a rule on messages takes these words.
fn takes(conditions: Conditions, words: &str) -> bool {
    let rules = RuleSet::new(vec![rule("r", RuleMode::ShortCircuit, conditions)]).unwrap();
    short_circuit(&rules, &text(words)).is_some()
}

/// The rule that takes the bot's reply to this message.
fn after(rules: &RuleSet, body: &str, reply: &BotReply<'_>) -> Option<Arc<str>> {
    let message = message(body);
    let Verdict::Ask { rewrite, .. } = rules.before(&message) else { panic!("short-circuited") };
    let by_reply = rules.on_reply(message.kind(), reply, rewrite.map(|(at, _)| at));
    by_reply.or(rewrite.map(|(_, found)| found)).map(|found| found.name.clone())
}
