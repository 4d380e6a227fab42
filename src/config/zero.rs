//! Zero configuration: the one route of a command line.

use std::path::Path;
use std::sync::Arc;

use super::error::{Errors, Issue, Place};
use super::fault::Fault;
use super::keyword::keyword;
use super::listen::listen;
use super::upstream::upstream;
use super::{Config, Loaded, Route, place};
use crate::policy::{Conditions, Policy, Rule, RuleMode, RuleSet, Types};

/// The options of a command line without a file, as written.
#[derive(Debug, Clone, Default)]
pub struct ZeroConfig {
    /// `--upstream`
    pub upstream: String,
    /// `--listen`; none: `0.0.0.0:8080`.
    pub listen: Option<String>,
    /// Each `--keyword`: it hands the message over without asking the bot.
    pub keywords: Vec<String>,
    /// `--account`
    pub account: Option<String>,
}

impl Config {
    /// One route named `default`, its keywords a rule named `keyword`. Paths are relative to the
    /// working directory.
    ///
    /// # Errors
    /// With every option that is not valid.
    pub fn zero(zero: &ZeroConfig) -> Result<Loaded, Errors> {
        let mut issues = Issues::default();
        let here = Path::new("");
        let upstream = issues.keep("--upstream", upstream(&zero.upstream, here));
        let listen = zero.listen.as_deref().and_then(|text| issues.keep("--listen", listen(text, here)));
        let account = zero.account.as_deref().and_then(|text| issues.keep("--account", place::account(text)));
        let policy =
            Policy { account: account.map(Arc::from), rules: issues.rules(&zero.keywords), ..Policy::default() };
        let route = upstream.map(|upstream| Route { policy, ..Route::new("default", upstream) });
        let default = Self::new(route.into_iter().collect());
        let config = Self { listen: listen.map_or(default.listen, |listen| vec![listen]), ..default };
        Errors::of(issues.0).map_or(Ok(Loaded { config, warnings: Vec::new() }), Err)
    }
}

#[derive(Default)]
struct Issues(Vec<Issue>);

impl Issues {
    /// The value, or None and one more issue.
    fn keep<T>(&mut self, option: &'static str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.0.push(Issue { fault, place: Place::Option(option) })).ok()
    }

    fn rules(&mut self, keywords: &[String]) -> RuleSet {
        let valid = keywords.iter().filter_map(|text| self.keep("--keyword", keyword(text, false)));
        let contains: Vec<_> = valid.map(str::to_owned).collect();
        if contains.is_empty() {
            return RuleSet::default();
        }
        let rule = Rule {
            name: "keyword".into(),
            mode: RuleMode::ShortCircuit,
            types: Types::default(),
            account: None,
            conditions: Conditions { contains, ..Conditions::default() },
        };
        let rules = RuleSet::new(vec![rule]).map_err(|error| Fault::new("too many keywords").because(error));
        self.keep("--keyword", rules).unwrap_or_default()
    }
}
