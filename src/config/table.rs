//! Reads the values of one table. What is wrong with a value is collected, and the value passed over;
//! wrong types have been reported by the schema's check.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, did_you_mean};
use super::findings::Findings;

/// Why a key is refused that the contract has and this version has not.
const NOT_YET: &str = "this version can not do it: leave it out";

#[derive(Debug, Clone)]
pub(super) struct Table<'d> {
    entries: &'d DeTable<'d>,
    /// Its header.
    pub(super) span: Range<usize>,
    pub(super) findings: &'d Findings<'d>,
}

/// A string and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Text<'d> {
    pub(super) text: &'d str,
    pub(super) span: Range<usize>,
}

/// A string, or a table in its place.
pub(super) enum Item<'d> {
    Text(Text<'d>),
    Table(Table<'d>),
}

impl<'d> Table<'d> {
    pub(super) fn root(entries: &'d DeTable<'d>, findings: &'d Findings<'d>) -> Self {
        Self { entries, span: 0..0, findings }
    }

    fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'d str> {
        self.entries.keys().map(|key| &**key.get_ref())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where a key's value stands, or the table's header.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.value(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub(super) fn text(&self, key: &str) -> Option<Text<'d>> {
        self.value(key).and_then(Text::of)
    }

    /// A text that has to be there.
    pub(super) fn required(&self, key: &str, example: &str) -> Option<Text<'d>> {
        if !self.has(key) {
            let fault = Fault::new(format!("`{key}` is missing")).help(format!("for example: {key} = \"{example}\""));
            self.findings.missing(self.span.clone(), fault);
        }
        self.text(key)
    }

    /// None where there is no list, or something else than strings in it.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<Text<'d>>> {
        let values = self.value(key)?.get_ref().as_array()?;
        values.iter().map(Text::of).collect()
    }

    /// The value of a key or, if it is a list, its elements.
    pub(super) fn items(&self, key: &str) -> Vec<Item<'d>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let item = |value| Text::of(value).map(Item::Text).or_else(|| self.below(value).map(Item::Table));
        match value.get_ref().as_array() {
            Some(values) => values.iter().filter_map(item).collect(),
            None => item(value).into_iter().collect(),
        }
    }

    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let values = self.value(key).and_then(|value| value.get_ref().as_array());
        values.is_some_and(|values| values.is_empty())
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)?.get_ref().as_bool()
    }

    pub(super) fn count(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let number = value.get_ref().as_integer()?;
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let fault = Fault::new(format!("expected a number from {} to {}", range.start(), range.end()));
            self.findings.error(value.span(), fault);
        }
        number
    }

    pub(super) fn parsed<T>(&self, key: &str, parse: impl FnOnce(&'d str) -> Result<T, Fault>) -> Option<T> {
        let text = self.text(key)?;
        self.reported(&text, parse)
    }

    /// A list of values; those that are not valid are reported and left out.
    pub(super) fn each<T>(&self, key: &str, parse: impl Fn(&'d str) -> Result<T, Fault>) -> Option<Vec<T>> {
        let texts = self.texts(key)?;
        Some(texts.iter().filter_map(|text| self.reported(text, &parse)).collect())
    }

    pub(super) fn reported<T>(&self, text: &Text<'d>, parse: impl FnOnce(&'d str) -> Result<T, Fault>) -> Option<T> {
        parse(text.text).map_err(|fault| self.findings.error(text.span.clone(), fault)).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&'static str, T)]) -> Option<T> {
        self.parsed(key, |text| choose(text, choices))
    }

    /// A table below this one.
    pub(super) fn section(&self, key: &str) -> Option<Self> {
        self.value(key).and_then(|value| self.below(value))
    }

    /// The tables of an array below this one.
    pub(super) fn sections(&self, key: &str) -> Vec<Self> {
        let values = self.value(key).and_then(|value| value.get_ref().as_array());
        values.into_iter().flatten().filter_map(|value| self.below(value)).collect()
    }

    fn below(&self, value: &'d Spanned<DeValue<'d>>) -> Option<Self> {
        let entries = value.get_ref().as_table()?;
        Some(Self { entries, span: value.span(), findings: self.findings })
    }

    pub(super) fn error(&self, span: Range<usize>, fault: Fault) {
        self.findings.error(span, fault);
    }

    /// Refuses a key that is not built yet, whatever its value.
    pub(super) fn not_yet(&self, key: &str) {
        if let Some((name, _)) = self.entries.get_key_value(key) {
            self.error(name.span(), Fault::new(format!("`{key}` is not available yet")).help(NOT_YET));
        }
    }

    /// Refuses a key that is not built yet, unless its value is the one that asks for nothing.
    pub(super) fn not_yet_but(&self, key: &str, only: &str, is_harmless: impl FnOnce(&DeValue<'d>) -> bool) {
        let Some(value) = self.value(key).filter(|value| !is_harmless(value.get_ref())) else { return };
        let fault =
            Fault::new(format!("`{key}` is not available yet")).help(format!("only {key} = {only} is, for now"));
        self.error(value.span(), fault);
    }
}

impl<'d> Text<'d> {
    fn of(value: &'d Spanned<DeValue<'d>>) -> Option<Self> {
        value.get_ref().as_str().map(|text| Self { text, span: value.span() })
    }
}

fn choose<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Fault> {
    let names = || choices.iter().map(|(name, _)| *name);
    let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    chosen.ok_or_else(|| {
        let known: Vec<_> = names().map(|name| format!("\"{name}\"")).collect();
        Fault::new(format!("expected {}", known.join(" or "))).maybe(did_you_mean(text, names()))
    })
}

/// Reports every table that bears the name of one above it.
pub(super) fn distinct(tables: &[Table<'_>], key: &str, noun: &str) {
    let mut lines = HashMap::new();
    for (table, name) in tables.iter().filter_map(|table| Some((table, table.text(key)?))) {
        let line = table.findings.line(name.span.start);
        if let Some(first) = lines.insert(name.text, line) {
            let fault = Fault::new(format!("the {noun} in line {first} has the same {key}"));
            table.error(name.span, fault.help(format!("every {noun} needs a {key} of its own")));
        }
    }
}
