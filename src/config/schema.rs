//! Every key by name and type, built yet or not: the contract's section 2 in tables.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, did_you_mean};
use super::findings::Findings;

/// The keys of one table.
pub(super) type Keys = &'static [(&'static str, Shape)];

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// A text that may hold a password, before an `@`.
    Url,
    Texts,
    /// A text such as `"4.5s"`.
    Duration,
    /// A text such as `"64KiB"`.
    Size,
    Flag,
    Count,
    /// A text, or a table that says where the text is kept.
    Secret,
    /// One secret, or several.
    Secrets,
    /// A text, or a table with a text.
    Answer,
    Table(Keys),
    Tables(Keys),
}

use Shape::{Answer, Count, Duration, Flag, Secret, Secrets, Size, Table, Tables, Text, Texts, Url};

pub(super) const ROOT: Keys = &[
    ("listen", Texts),
    ("admin", Text),
    ("admin_token", Secret),
    ("workers", Count),
    ("state", Url),
    ("trusted_proxies", Texts),
    ("shutdown_grace", Duration),
    ("tls", Table(&[("cert", Text), ("key", Text)])),
    ("log", Table(&[("path", Text), ("format", Text), ("openid", Text), ("content", Flag)])),
    ("limits", Table(LIMITS)),
    ("route", Tables(ROUTE)),
];

const LIMITS: Keys = &[
    ("callback_body", Size),
    ("connections", Count),
    ("header_timeout", Duration),
    ("idle_timeout", Duration),
    ("connect_timeout", Duration),
    ("upstream_timeout", Duration),
    ("upstream_idle", Duration),
];

const ROUTE: Keys = &[
    ("name", Text),
    ("host", Text),
    ("path", Text),
    ("upstream", Url),
    ("upstream_ca", Text),
    ("upstream_insecure", Flag),
    ("transfer", Text),
    ("flag_header", Text),
    ("accept_request_flag", Flag),
    ("account", Text),
    ("types", Texts),
    ("deadline", Duration),
    ("on_timeout", Text),
    ("on_error", Text),
    ("dedupe", Flag),
    ("sticky", Duration),
    ("sticky_cancel", Texts),
    ("fallbacks_per_minute", Count),
    ("upgrade", Flag),
    ("wechat", Table(WECHAT)),
    ("desk", Table(DESK)),
    ("rule", Tables(RULE)),
];

const WECHAT: Keys = &[("token", Secret), ("aes_key", Secrets), ("app_id", Text), ("verify", Text)];

const DESK: Keys = &[
    ("accounts", Texts),
    ("pick", Text),
    ("nobody", Answer),
    ("app_secret", Secret),
    ("token_file", Text),
    // May hold a key of the token keeper.
    ("token_url", Secret),
    ("refresh", Duration),
    ("api", Url),
    ("hours", Texts),
    ("timezone", Text),
    ("closed_on", Texts),
    ("open_on", Texts),
];

const RULE: Keys = &[
    ("name", Text),
    ("on", Text),
    ("contains", Texts),
    ("equals", Texts),
    ("starts_with", Texts),
    ("regex", Texts),
    ("keywords_file", Text),
    ("unless", Texts),
    ("exact_text", Flag),
    ("types", Texts),
    ("mode", Text),
    ("account", Text),
];

/// The shape of a key, None where the table has no such key.
pub(super) fn shape(keys: Keys, key: &str) -> Option<Shape> {
    keys.iter().find(|(name, _)| *name == key).map(|(_, shape)| *shape)
}

/// Reports every unknown key and every value of a wrong type.
pub(super) fn check(table: &DeTable<'_>, keys: Keys, findings: &Findings<'_>) {
    for (key, value) in table {
        match shape(keys, key.get_ref()) {
            Some(shape) => shape.check(value, findings),
            None => findings.error(key.span(), unknown(key.get_ref(), keys)),
        }
    }
}

fn unknown(key: &str, keys: Keys) -> Fault {
    let near = did_you_mean(key, keys.iter().map(|(name, _)| *name));
    let elsewhere = || homes().into_iter().find(|(_, keys)| shape(keys, key).is_some());
    let help = near.or_else(|| elsewhere().map(|(home, _)| format!("`{key}` is a key of {home}")));
    Fault::new(format!("unknown key `{}`", key.escape_debug())).maybe(help)
}

fn homes() -> [(&'static str, Keys); 6] {
    let home = |name, keys| (name, keys);
    [
        home("the top of the file, above the first [table]", ROOT),
        home("[limits]", LIMITS),
        home("[[route]]", ROUTE),
        home("[[route.rule]]", RULE),
        home("[route.wechat]", WECHAT),
        home("[route.desk]", DESK),
    ]
}

impl Shape {
    fn check(self, value: &Spanned<DeValue<'_>>, findings: &Findings<'_>) {
        match (self, value.get_ref()) {
            (Text | Url | Duration | Size | Secret | Secrets | Answer, DeValue::String(_))
            | (Flag, DeValue::Boolean(_))
            | (Count, DeValue::Integer(_)) => {}
            (Secret | Secrets, DeValue::Table(table)) => check(table, &[("file", Text), ("env", Text)], findings),
            (Answer, DeValue::Table(table)) => check(table, &[("text", Text)], findings),
            (Table(keys), DeValue::Table(table)) => check(table, keys, findings),
            (Texts, DeValue::Array(values)) => values.iter().for_each(|value| Text.check(value, findings)),
            (Secrets, DeValue::Array(values)) => values.iter().for_each(|value| Secret.check(value, findings)),
            (Tables(keys), DeValue::Array(values)) => {
                values.iter().for_each(|value| Table(keys).check(value, findings));
            }
            (_, other) => findings.error(value.span(), self.instead_of(other)),
        }
    }

    fn instead_of(self, value: &DeValue<'_>) -> Fault {
        let help = match (self, value) {
            (Duration, DeValue::Integer(number)) => Some(format!("with its unit: \"{number}s\"")),
            (Duration, DeValue::Float(number)) => Some(format!("with its unit: \"{number}s\"")),
            (Size, DeValue::Integer(number)) => Some(format!("with its unit: \"{number}B\", or \"64KiB\"")),
            (Texts, DeValue::String(_)) => Some("put it in brackets: [\"…\"]".to_owned()),
            (Flag, DeValue::String(_)) => Some("true or false, without quotes".to_owned()),
            (Count, DeValue::String(_)) => Some("a number, without quotes".to_owned()),
            (Tables(_), DeValue::Table(_)) => Some("in double brackets: [[…]]".to_owned()),
            _ => None,
        };
        Fault::new(format!("expected {}, found {}", self.expected(), found(value))).maybe(help)
    }

    fn expected(self) -> &'static str {
        match self {
            Text | Url => "a string",
            Texts => "an array of strings",
            Duration => "a duration such as \"4.5s\"",
            Size => "a size such as \"64KiB\"",
            Flag => "true or false",
            Count => "a whole number",
            Secret | Secrets => "a string, { file = \"…\" } or { env = \"…\" }",
            Answer => "a string or { text = \"…\" }",
            Table(_) => "a table",
            Tables(_) => "an array of tables",
        }
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
