//! Reads the `[[route.rule]]`s of a route.

use std::path::Path;
use std::sync::Arc;

use super::fault::Fault;
use super::keyword::{keyword, keywords_of_file};
use super::table::{Table, Text, distinct};
use super::{place, reach, route};
use crate::policy::{Conditions, Rule, RuleMode, RuleSet, Types};

/// The rules of a route; `allowed` are the route's types.
pub(super) fn rules(route: &Table<'_>, allowed: Types, base: &Path) -> RuleSet {
    let tables = route.sections("rule");
    distinct(&tables, "name", "rule");
    let rules: Vec<_> = tables.iter().filter_map(|table| Some((table, read(table, allowed, base)?))).collect();
    reach::refuse_dead(&rules);
    RuleSet::new(rules.into_iter().map(|(_, rule)| rule).collect()).unwrap_or_else(|error| {
        route.error(route.span.clone(), Fault::new("too many keywords in one route").because(error));
        RuleSet::default()
    })
}

/// None where the rule has no valid name, which has been reported.
fn read(table: &Table<'_>, allowed: Types, base: &Path) -> Option<Rule> {
    let name = table.required("name", "ask-for-human").and_then(|name| table.reported(&name, place::rule_name));
    let mode = mode(table);
    let types = narrowed(table, allowed);
    let account = table.parsed("account", place::account).map(Arc::from);
    let conditions = conditions(table, mode, base);
    Some(Rule { name: name?.into(), mode, types, account, conditions })
}

fn mode(table: &Table<'_>) -> RuleMode {
    let is_on_reply = table.choice("on", &[("message", false), ("reply", true)]).unwrap_or(false);
    let modes = [("short-circuit", RuleMode::ShortCircuit), ("rewrite", RuleMode::Rewrite)];
    match table.choice("mode", &modes) {
        Some(RuleMode::ShortCircuit) if is_on_reply => {
            let fault = Fault::new("a rule on the bot's reply can not short-circuit the bot");
            table.error(table.span_of("mode"), fault.help("on = \"reply\" is always \"rewrite\": leave `mode` out"));
            RuleMode::OnReply
        }
        _ if is_on_reply => RuleMode::OnReply,
        mode => mode.unwrap_or(RuleMode::ShortCircuit),
    }
}

/// The rule's types among the route's; none where they are not valid.
fn narrowed(table: &Table<'_>, allowed: Types) -> Types {
    if !table.has("types") {
        return allowed;
    }
    let Some(written) = route::types(table) else { return Types::NONE };
    let types = written.and(allowed);
    let span = table.span_of("types");
    if types == Types::NONE {
        let fault = Fault::new("can never match: the route transfers none of these types");
        table.error(span, fault.help("add them to the `types` of the route"));
    } else if types != written {
        let fault = Fault::new("the route transfers some of these types only");
        table.findings.warning(span, fault.help("add the others to the `types` of the route"));
    }
    types
}

fn conditions(table: &Table<'_>, mode: RuleMode, base: &Path) -> Conditions {
    let exact_text = table.flag("exact_text").unwrap_or(false);
    let words = |key| keywords(table, key, |text| keyword(text, exact_text));
    // A bot that replies nothing is told by an empty text.
    let equals = keywords(table, "equals", |text| match mode {
        RuleMode::OnReply => Ok(text),
        _ => keyword(text, exact_text),
    });
    let mut contains = words("contains");
    let from_file = table.text("keywords_file");
    contains.extend(from_file.iter().flat_map(|path| file_keywords(table, path, exact_text, base)));
    Conditions {
        contains,
        equals,
        starts_with: words("starts_with"),
        regex: listed(table, "regex")
            .iter()
            .filter_map(|text| table.reported(text, |p| regex(p, exact_text)))
            .collect(),
        unless: table.each("unless", |text| keyword(text, exact_text).map(str::to_owned)).unwrap_or_default(),
        from_file: from_file.is_some(),
        exact_text,
    }
}

fn keywords<'d>(table: &Table<'d>, key: &str, keyword: impl Fn(&'d str) -> Result<&'d str, Fault>) -> Vec<String> {
    let texts = listed(table, key);
    texts.iter().filter_map(|text| table.reported(text, &keyword)).map(str::to_owned).collect()
}

/// The elements of a list that, where it is written, has to have some.
fn listed<'d>(table: &Table<'d>, key: &str) -> Vec<Text<'d>> {
    let texts = table.texts(key);
    if texts.as_ref().is_some_and(Vec::is_empty) {
        table.error(table.span_of(key), Fault::new("an empty list matches nothing").help(format!("leave `{key}` out")));
    }
    texts.unwrap_or_default()
}

fn regex(pattern: &str, exact_text: bool) -> Result<regex::Regex, Fault> {
    if pattern.is_empty() {
        return Err(Fault::new("an empty pattern matches every text").help("a rule with only `types` does so, too"));
    }
    Conditions::regex(pattern, exact_text).map_err(|error| Fault::new("not a regular expression").because(error))
}

fn file_keywords(table: &Table<'_>, path: &Text<'_>, exact_text: bool, base: &Path) -> Vec<String> {
    let file = base.join(path.text);
    let keywords = match keywords_of_file(&file, exact_text) {
        Ok(keywords) => keywords,
        Err(fault) => {
            table.error(path.span.clone(), fault);
            return Vec::new();
        }
    };
    if keywords.is_empty() {
        let fault = Fault::new(format!("there is no keyword in {}: it matches nothing", file.display()));
        table.findings.warning(path.span.clone(), fault);
    }
    keywords
}
