//! Refuses rules that can never match.

use super::fault::Fault;
use super::table::Table;
use crate::policy::matcher::normalise;
use crate::policy::{Conditions, Rule, RuleMode, Types};
use crate::wechat::Kind;

type Written<'a, 'd> = (&'a Table<'d>, Rule);

/// Reports the rules that can never match because of what they say, or because of another rule.
pub(super) fn refuse_dead(rules: &[Written<'_, '_>]) {
    for (at, (table, rule)) in rules.iter().enumerate() {
        refuse_wordless(table, rule);
        refuse_cancelled(table, &rule.conditions);
        refuse_covered(rules, at);
    }
}

/// Keywords for messages that have no words.
fn refuse_wordless(table: &Table<'_>, rule: &Rule) {
    let has_words = [Kind::Text, Kind::Voice].iter().any(|kind| rule.types.contains(*kind));
    let wants_words = WORDS.iter().any(|key| table.has(key));
    if rule.mode != RuleMode::OnReply && wants_words && !has_words && rule.types != Types::NONE {
        let fault = Fault::new("can never match: only text and voice messages have words to look at");
        let key = if table.has("types") { "types" } else { "name" };
        table.findings.missing(table.span_of(key), fault.help("leave the keywords out, or add \"text\" or \"voice\""));
    }
}

const WORDS: [&str; 5] = ["contains", "equals", "starts_with", "regex", "keywords_file"];

/// Keywords each of which holds a word that cancels it.
fn refuse_cancelled(table: &Table<'_>, conditions: &Conditions) {
    let settle = |text: &String| if conditions.exact_text { text.clone() } else { normalise(text).into_owned() };
    let unless: Vec<_> = conditions.unless.iter().map(settle).collect();
    let mut words =
        [&conditions.contains, &conditions.equals, &conditions.starts_with].into_iter().flatten().peekable();
    let is_open = conditions.from_file || !conditions.regex.is_empty() || words.peek().is_none();
    if !is_open && words.map(settle).all(|word| unless.iter().any(|cancel| word.contains(cancel))) {
        let fault = Fault::new("can never match: every keyword of this rule holds one of these words");
        table.findings.missing(table.span_of("unless"), fault);
    }
}

/// A rule whose messages are all taken by rules without conditions that are asked before it.
fn refuse_covered(rules: &[Written<'_, '_>], at: usize) {
    let (table, rule) = &rules[at];
    let before: Vec<_> = rules
        .iter()
        .enumerate()
        .filter(|(other, (table, earlier))| {
            takes_everything(table) && is_asked_before(earlier.mode, rule.mode, *other < at)
        })
        .map(|(_, (_, earlier))| earlier)
        .collect();
    let covering = |kind: &Kind| before.iter().find(|earlier| earlier.types.contains(*kind));
    let mut kinds = Kind::ALL.into_iter().filter(|kind| rule.types.contains(*kind)).peekable();
    let Some(first) = kinds.peek().and_then(covering) else { return };
    if kinds.all(|kind| covering(&kind).is_some()) {
        let fault = Fault::new(format!("can never match: rule `{}` takes all its messages before it", first.name));
        let help = match (first.mode, rule.mode) {
            (RuleMode::ShortCircuit, RuleMode::Rewrite | RuleMode::OnReply) => "narrow that rule's `types`",
            _ => "put this rule above that one, or narrow that one's `types`",
        };
        table.findings.missing(table.span_of("name"), fault.help(help));
    }
}

/// Whether a rule matches every message of its types. One with any other key may not be meant to.
fn takes_everything(table: &Table<'_>) -> bool {
    table.keys().all(|key| ["name", "on", "mode", "types", "account", "exact_text"].contains(&key))
}

/// Whether a rule that matches everything keeps a later one from being asked, ever. One on replies can
/// not keep a rewrite rule from it: it is passed over where the reply can not be read.
fn is_asked_before(earlier: RuleMode, later: RuleMode, is_above: bool) -> bool {
    match (earlier, later) {
        (RuleMode::ShortCircuit, RuleMode::Rewrite | RuleMode::OnReply) => true,
        (RuleMode::OnReply, RuleMode::Rewrite) | (_, RuleMode::ShortCircuit) if earlier != later => false,
        _ => is_above,
    }
}
