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

#[cfg(test)]
mod tests {
    use super::super::tests::short_circuit;
    use super::super::{Config, Listen};
    use super::ZeroConfig;

    fn zero(upstream: &str, keywords: &[&str]) -> ZeroConfig {
        let keywords = keywords.iter().map(|keyword| (*keyword).to_owned()).collect();
        ZeroConfig { upstream: upstream.to_owned(), keywords, ..ZeroConfig::default() }
    }

    #[test]
    fn a_command_line_is_one_route_with_one_rule() {
        let options = ZeroConfig {
            listen: Some("127.0.0.1:0".to_owned()),
            account: Some("test1@test".to_owned()),
            ..zero("http://127.0.0.1:9000", &["人工", "客服"])
        };
        let config = Config::zero(&options).unwrap().config;
        assert_eq!(config.listen, [Listen::Tcp("127.0.0.1:0".parse().unwrap())]);
        assert_eq!(&*config.routes[0].name, "default");
        assert_eq!(config.routes[0].policy.account.as_deref(), Some("test1@test"));
        assert_eq!(config.table.find("any", "/"), Some(0));
        assert_eq!(short_circuit(&config, 0, "找客服").as_deref(), Some("rule:keyword"));
        assert_eq!(short_circuit(&config, 0, "你好"), None);
    }

    #[test]
    fn without_keywords_there_is_no_rule() {
        let config = Config::zero(&zero("unix:bot.sock", &[])).unwrap().config;
        assert!(config.routes[0].policy.rules.is_empty());
    }

    #[test]
    fn every_option_that_is_wrong_is_named() {
        let options =
            ZeroConfig {
                listen: Some(String::new()), account: Some("me".to_owned()), ..zero("9000", &["人工", " "])
            };
        let errors = Config::zero(&options).unwrap_err();
        assert_eq!(errors.count(), 4);
        for option in ["--upstream: must start", "--listen: not an", "--account: not a", "--keyword: can never match"] {
            assert!(errors.to_string().contains(option), "{errors}");
        }
        assert!(errors.to_string().ends_with("4 errors in the command line"), "{errors}");
    }
}
