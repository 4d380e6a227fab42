//! Keyword rules: in file order, the first match wins.

mod trace;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use regex::Regex;

pub use self::trace::{By, Reading, Trace};
use super::matcher::{Builder, Effect, Found, Matcher, Place, TooManyKeywords, normalise};
use crate::wechat::{BotReply, Kind, UserMessage};

/// A set of message kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u16);

impl Types {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    pub fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Default for Types {
    /// All documented kinds: everything but `file`.
    fn default() -> Self {
        Kind::ALL.into_iter().filter(|kind| *kind != Kind::File).collect()
    }
}

impl FromIterator<Kind> for Types {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What a rule looks at, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleMode {
    /// The user's words; the bot is not asked.
    ShortCircuit,
    /// The user's words; the bot is asked, and its reply replaced.
    Rewrite,
    /// The bot's reply text; the reply is replaced.
    OnReply,
}

/// What a rule's text has to be like. With no condition at all, a rule matches every message of its types.
#[derive(Debug, Default)]
pub struct Conditions {
    pub contains: Vec<String>,
    pub equals: Vec<String>,
    pub starts_with: Vec<String>,
    /// Compiled by [`Conditions::regex`].
    pub regex: Vec<Regex>,
    pub unless: Vec<String>,
    /// The rule has a keyword file that may be empty: then it matches nothing, rather than everything.
    pub from_file: bool,
    /// Compare text as it is, with no regard for case folding, width or white space.
    pub exact_text: bool,
}

impl Conditions {
    /// Compiles a pattern for text in the form these conditions are compared in.
    ///
    /// # Errors
    /// When the pattern is not valid, or larger than 1 MiB compiled.
    pub fn regex(pattern: &str, exact_text: bool) -> Result<Regex, regex::Error> {
        regex::RegexBuilder::new(pattern).case_insensitive(!exact_text).size_limit(1 << 20).build()
    }

    fn is_empty(&self) -> bool {
        !self.from_file
            && self.contains.is_empty()
            && self.equals.is_empty()
            && self.starts_with.is_empty()
            && self.regex.is_empty()
    }
}

/// One rule, as written.
#[derive(Debug)]
pub struct Rule {
    pub name: Arc<str>,
    pub mode: RuleMode,
    pub types: Types,
    pub account: Option<Arc<str>>,
    pub conditions: Conditions,
}

/// The rules of a route, ready to be asked.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Compiled>,
    on_message: Texts,
    on_reply: Texts,
}

/// A rule without its keywords, which are in the automata.
#[derive(Debug)]
struct Compiled {
    name: Arc<str>,
    mode: RuleMode,
    types: Types,
    account: Option<Arc<str>>,
    regex: Vec<Regex>,
    /// Matches an empty text (`equals = [""]`).
    equals_empty: bool,
    unconditional: bool,
    exact_text: bool,
}

/// The automata for one kind of text.
#[derive(Debug, Default)]
struct Texts {
    normalised: Option<Matcher>,
    exact: Option<Matcher>,
}

/// A rule that matched.
#[derive(Debug, Clone, Copy)]
pub struct Match<'r> {
    pub name: &'r Arc<str>,
    pub account: Option<&'r Arc<str>>,
}

/// What the rules say of a message before the bot is asked.
#[derive(Debug)]
pub enum Verdict<'r> {
    ShortCircuit(Match<'r>),
    Ask {
        /// The rewrite rule that matched, and its position.
        rewrite: Option<(usize, Match<'r>)>,
        /// A rule on the bot's reply comes before it: the reply has to be read.
        reply_matters: bool,
    },
}

impl RuleSet {
    /// Compiles rules, in file order.
    ///
    /// # Errors
    /// When the keywords are too many for one automaton.
    pub fn new(rules: Vec<Rule>) -> Result<Self, TooManyKeywords> {
        let mut builders: [Builder; 4] = Default::default();
        let rules = rules
            .into_iter()
            .enumerate()
            .map(|(at, rule)| {
                let side = 2 * usize::from(rule.mode == RuleMode::OnReply) + usize::from(rule.conditions.exact_text);
                Compiled::new(rule, at, &mut builders[side])
            })
            .collect();
        let [message, exact_message, reply, exact_reply] = builders;
        Ok(Self {
            rules,
            on_message: Texts { normalised: message.build()?, exact: exact_message.build()? },
            on_reply: Texts { normalised: reply.build()?, exact: exact_reply.build()? },
        })
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Asks the rules on the user's words, and whether the bot's reply will be needed.
    pub fn before(&self, message: &UserMessage<'_>) -> Verdict<'_> {
        if self.rules.is_empty() {
            return Verdict::Ask { rewrite: None, reply_matters: false };
        }
        let marks = self.on_message.search(message.words());
        let matching = |mode| {
            let rules = self.rules.iter().enumerate();
            let mut rules = rules.filter(move |(_, rule)| rule.mode == mode && rule.types.contains(message.kind()));
            rules.find(|(at, rule)| rule.matches(*at, &marks)).map(|(at, rule)| (at, rule.found()))
        };
        if let Some((_, rule)) = matching(RuleMode::ShortCircuit) {
            return Verdict::ShortCircuit(rule);
        }
        let rewrite = matching(RuleMode::Rewrite);
        let before = rewrite.as_ref().map_or(self.rules.len(), |(at, _)| *at);
        let reply_matters = self.rules[..before]
            .iter()
            .any(|rule| rule.mode == RuleMode::OnReply && rule.types.contains(message.kind()));
        Verdict::Ask { rewrite, reply_matters }
    }

    /// Asks the rules on the bot's reply that stand before position `before`, if any is given.
    pub fn on_reply(&self, kind: Kind, reply: &BotReply<'_>, before: Option<usize>) -> Option<Match<'_>> {
        if *reply == BotReply::Transfer {
            return None;
        }
        let text = text_of(reply);
        let marks = self.on_reply.search(text);
        self.rules[..before.unwrap_or(self.rules.len())]
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.mode == RuleMode::OnReply && rule.types.contains(kind))
            .find(|(at, rule)| rule.matches(*at, &marks))
            .map(|(_, rule)| rule.found())
    }
}

impl Compiled {
    fn new(rule: Rule, at: usize, builder: &mut Builder) -> Self {
        let unconditional = rule.conditions.is_empty();
        let Conditions { contains, equals, starts_with, regex, unless, from_file: _, exact_text } = rule.conditions;
        let equals_empty = equals.iter().any(|text| settle(text, exact_text).is_empty());
        for (texts, place, effect) in [
            (contains, Place::Anywhere, Effect::Hit),
            (equals, Place::Whole, Effect::Hit),
            (starts_with, Place::Start, Effect::Hit),
            (unless, Place::Anywhere, Effect::Cancel),
        ] {
            for text in texts {
                builder.add(&settle(&text, exact_text), at, place, effect);
            }
        }
        Self {
            name: rule.name,
            mode: rule.mode,
            types: rule.types,
            account: rule.account,
            regex,
            equals_empty,
            unconditional,
            exact_text,
        }
    }

    fn matches(&self, at: usize, marks: &Marks<'_>) -> bool {
        if marks.cancelled.has(at) {
            return false;
        }
        if self.unconditional || marks.hit.has(at) {
            return true;
        }
        if !self.equals_empty && self.regex.is_empty() {
            return false;
        }
        let Some(text) = marks.text(self.exact_text) else { return false };
        (self.equals_empty && text.is_empty()) || self.regex.iter().any(|regex| regex.is_match(text))
    }

    fn found(&self) -> Match<'_> {
        Match { name: &self.name, account: self.account.as_ref() }
    }
}

/// What the rules on replies look at. None: nothing that could be compared.
fn text_of<'t>(reply: &'t BotReply<'_>) -> Option<&'t str> {
    match reply {
        BotReply::Nothing => Some(""),
        BotReply::Text(text) => Some(text),
        BotReply::Other | BotReply::Transfer => None,
    }
}

fn settle(text: &str, exact: bool) -> Cow<'_, str> {
    if exact { Cow::Borrowed(text) } else { normalise(text) }
}

/// A text, and what a search in it found: which rules were hit, and which were cancelled.
#[derive(Default)]
struct Marks<'t> {
    text: Option<&'t str>,
    normalised: OnceCell<Cow<'t, str>>,
    hit: Bits,
    cancelled: Bits,
}

impl Marks<'_> {
    /// The text as rules look at it, normalised once and only if one does.
    fn text(&self, exact: bool) -> Option<&str> {
        let text = self.text?;
        Some(if exact { text } else { self.normalised.get_or_init(|| normalise(text)) })
    }
}

impl Texts {
    fn search<'t>(&self, text: Option<&'t str>) -> Marks<'t> {
        let marks = Marks { text, ..Marks::default() };
        let (mut hit, mut cancelled) = (Bits::default(), Bits::default());
        self.find(&marks, |Found { rule, effect, .. }| match effect {
            Effect::Hit => hit.set(rule),
            Effect::Cancel => cancelled.set(rule),
        });
        Marks { hit, cancelled, ..marks }
    }

    /// Every keyword in the text of `marks`.
    fn find<'m>(&self, marks: &'m Marks<'_>, mut found: impl FnMut(Found<'m>)) {
        for (matcher, exact) in [(&self.normalised, false), (&self.exact, true)] {
            if let Some(matcher) = matcher
                && let Some(text) = marks.text(exact)
            {
                matcher.search(text, &mut found);
            }
        }
    }
}

/// A set of rule positions; the first 64 need no memory of their own.
#[derive(Default)]
struct Bits {
    first: u64,
    more: Vec<u64>,
}

impl Bits {
    fn set(&mut self, at: usize) {
        match at / 64 {
            0 => self.first |= 1 << at,
            word => {
                if self.more.len() < word {
                    self.more.resize(word, 0);
                }
                self.more[word - 1] |= 1 << (at % 64);
            }
        }
    }

    fn has(&self, at: usize) -> bool {
        let word = match at / 64 {
            0 => self.first,
            word => self.more.get(word - 1).copied().unwrap_or(0),
        };
        word & 1 << (at % 64) != 0
    }
}
