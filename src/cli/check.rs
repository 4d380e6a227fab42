use std::io::{self, IsTerminal};
use std::sync::Arc;

use clap::Args;

use super::terminal::print;
use super::{ConfigPath, Failure};
use crate::config::{Config, Route};
use crate::wechat::Account;

/// Validate the configuration
///
/// Loads the file as `run` does. Prints its routes and warnings, or everything that is wrong with it at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kfgate check
  kfgate check --config kfgate.toml && systemctl reload kfgate

Exit status: 0 good, 2 not.")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigPath,
}

impl Check {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let loaded = self.config.load()?;
        let colour = io::stderr().is_terminal();
        for warning in &loaded.warnings {
            eprintln!("{}\n", warning.render(colour));
        }
        print(routes(&loaded.config))?;
        let warnings = match loaded.warnings.len() {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            count => format!(", {count} warnings"),
        };
        print(format_args!("{}: ok{warnings}\n", self.config.path().display()))
    }
}

/// A line a route, in columns.
fn routes(config: &Config) -> String {
    let names = config.routes.iter().map(|route| route.name.len()).max().unwrap_or_default();
    let places = config.routes.iter().map(|route| route.place().len()).max().unwrap_or_default();
    let line = |route: &Arc<Route>| {
        let (name, place, url, mode) = (&route.name, route.place(), &route.upstream.url, route.transfer.as_str());
        let account = route.wechat.as_ref().map(account).unwrap_or_default();
        format!("{name:names$}  {place:places$}  to {url}, transfer {mode}{account}\n")
    };
    config.routes.iter().map(line).collect()
}

/// What is known of an account.
fn account(account: &Account) -> String {
    let keys = match account.keys() {
        0 => String::new(),
        1 => ", 1 aes_key".to_owned(),
        keys => format!(", {keys} aes_keys"),
    };
    format!("{keys}, verify {}", account.verify().as_str())
}
