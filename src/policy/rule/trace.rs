//! What each rule makes of a text, for a person who wonders. Whether one matches is asked where the
//! decision asks it; only the words of the answer come from here.

use std::sync::Arc;

use super::{Compiled, Effect, Marks, Place, RuleMode, RuleSet, Texts, text_of};
use crate::wechat::{BotReply, Kind, UserMessage};

/// One rule's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace<'r> {
    pub name: &'r Arc<str>,
    pub mode: RuleMode,
    pub reading: Reading,
}

/// What a rule makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It does not look at messages of this kind.
    Types,
    Match(By),
    /// One of its `unless` words stands in the text.
    Cancelled(String),
    NoMatch,
}

/// Which of a rule's conditions is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Contains(String),
    Equals(String),
    StartsWith(String),
    /// The pattern.
    Regex(String),
    /// It has no condition but its types.
    Anything,
}

impl RuleSet {
    /// What the rules on messages make of one, in their order.
    pub fn trace(&self, message: &UserMessage<'_>) -> Vec<Trace<'_>> {
        let is_asked = |mode| mode != RuleMode::OnReply;
        self.trace_text(is_asked, &self.on_message, message.kind(), message.words())
    }

    /// What the rules on replies make of one to a message of this kind, in their order.
    pub fn trace_reply(&self, kind: Kind, reply: &BotReply<'_>) -> Vec<Trace<'_>> {
        self.trace_text(|mode| mode == RuleMode::OnReply, &self.on_reply, kind, text_of(reply))
    }

    /// The rules on replies that look at those to messages of this kind.
    pub fn reply_rules(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        let rules = self.rules.iter().filter(move |rule| rule.types.contains(kind));
        rules.filter(|rule| rule.mode == RuleMode::OnReply).map(|rule| &rule.name)
    }

    fn trace_text(
        &self,
        is_asked: impl Fn(RuleMode) -> bool,
        texts: &Texts,
        kind: Kind,
        text: Option<&str>,
    ) -> Vec<Trace<'_>> {
        let marks = texts.search(text);
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| is_asked(rule.mode));
        let trace = |at, rule: &Compiled| {
            let is_for_it = rule.types.contains(kind);
            if is_for_it { rule.read(at, &marks, texts) } else { Reading::Types }
        };
        rules.map(|(at, rule)| Trace { name: &rule.name, mode: rule.mode, reading: trace(at, rule) }).collect()
    }
}

impl Compiled {
    fn read(&self, at: usize, marks: &Marks<'_>, texts: &Texts) -> Reading {
        let word = |effect| texts.word_of(at, effect, marks);
        if self.matches(at, marks) {
            let by_word = word(Effect::Hit).map(|(place, word)| By::word(place, word));
            return Reading::Match(by_word.unwrap_or_else(|| self.without_word(marks)));
        }
        match word(Effect::Cancel) {
            Some((_, word)) => Reading::Cancelled(word),
            None => Reading::NoMatch,
        }
    }

    /// Which condition is met, if no keyword is.
    fn without_word(&self, marks: &Marks<'_>) -> By {
        if self.unconditional {
            return By::Anything;
        }
        let text = marks.text(self.exact_text).unwrap_or_default();
        let pattern = self.regex.iter().find(|regex| regex.is_match(text));
        pattern.map_or_else(|| By::Equals(String::new()), |regex| By::Regex(regex.as_str().to_owned()))
    }
}

impl Texts {
    /// The longest word of a rule that stands in a text.
    fn word_of(&self, rule: usize, effect: Effect, marks: &Marks<'_>) -> Option<(Place, String)> {
        let mut longest: Option<(Place, &str)> = None;
        self.find(marks, |found| {
            let is_its = found.rule == rule && found.effect == effect;
            if is_its && longest.is_none_or(|(_, word)| found.word.len() > word.len()) {
                longest = Some((found.place, found.word));
            }
        });
        longest.map(|(place, word)| (place, word.to_owned()))
    }
}

impl By {
    fn word(place: Place, word: String) -> Self {
        match place {
            Place::Anywhere => Self::Contains(word),
            Place::Start => Self::StartsWith(word),
            Place::Whole => Self::Equals(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Conditions, Rule, Types};
    use super::*;
    use crate::policy::rule::Verdict;
    use crate::wechat::{Inbound, open};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn rule(name: &str, mode: RuleMode, conditions: Conditions) -> Rule {
        Rule { name: name.into(), mode, types: Types::default(), account: None, conditions }
    }

    fn rules() -> RuleSet {
        let contains =
            Conditions {
                contains: words(&["人工", "转人工"]), unless: words(&["不要"]), ..Conditions::default()
            };
        let regex =
            Conditions { regex: vec![Conditions::regex("^找.{0,4}客服$", false).unwrap()], ..Conditions::default() };
        let exact = Conditions { equals: words(&["VIP"]), exact_text: true, ..Conditions::default() };
        let start = Conditions { starts_with: words(&["投诉"]), ..Conditions::default() };
        let voice =
            Rule { types: Types::NONE.with(Kind::Voice), ..rule("voice", RuleMode::Rewrite, Conditions::default()) };
        RuleSet::new(vec![
            rule("contains", RuleMode::ShortCircuit, contains),
            rule("regex", RuleMode::ShortCircuit, regex),
            rule("exact", RuleMode::ShortCircuit, exact),
            rule("start", RuleMode::ShortCircuit, start),
            voice,
        ])
        .unwrap()
    }

    fn message(words: &str) -> String {
        format!(
            "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType>\
             <Content><![CDATA[{words}]]></Content></xml>"
        )
    }

    #[test]
    fn a_trace_says_what_the_decision_says_and_why() {
        let rules = rules();
        for (text, reading, name) in [
            ("我要转人工", Some(By::Contains("转人工".into())), "contains"),
            ("不要转人工", None, ""),
            ("找个客服", Some(By::Regex("^找.{0,4}客服$".into())), "regex"),
            ("VIP", Some(By::Equals("VIP".into())), "exact"),
            ("vip", None, ""),
            ("投诉你们", Some(By::StartsWith("投诉".into())), "start"),
            ("我要投诉", None, ""),
            ("", None, ""),
        ] {
            let body = message(text);
            let Inbound::Message(message) = open(&body, None) else { panic!("a message") };
            let traced = rules.trace(&message);
            let first = traced.iter().find(|trace| matches!(trace.reading, Reading::Match(_)));
            assert_eq!(first.map(|trace| &trace.reading), reading.clone().map(Reading::Match).as_ref(), "{text}");
            match rules.before(&message) {
                Verdict::ShortCircuit(found) => assert_eq!(&**found.name, name, "{text}"),
                Verdict::Ask { .. } => assert_eq!(reading, None, "{text}"),
            }
        }
    }

    #[test]
    fn a_trace_says_why_a_rule_does_not_match() {
        let (rules, body) = (rules(), message("不要转人工"));
        let Inbound::Message(message) = open(&body, None) else { panic!("a message") };
        let readings: Vec<_> = rules.trace(&message).into_iter().map(|trace| trace.reading).collect();
        let cancelled = Reading::Cancelled("不要".into());
        let no_match = Reading::NoMatch;
        assert_eq!(readings, [cancelled, no_match.clone(), no_match.clone(), no_match, Reading::Types]);
    }
}
