use std::io::IsTerminal;

use clap::Args;

use super::{ConfigPath, Failure};
use crate::config::{self, Config};

/// Validate the configuration
///
/// Loads the file as `run` does. Prints its routes and warnings, or everything that is wrong with it at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kfgate check
  kfgate check --config kfgate.toml && systemctl reload kfgate")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigPath,
}

impl Check {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let colour = std::io::stderr().is_terminal();
        let loaded = config::load(&self.config.config).map_err(|errors| {
            eprintln!("{}", errors.render(colour));
            Failure::Usage
        })?;
        for warning in &loaded.warnings {
            eprintln!("{}", warning.render(colour));
        }
        print_routes(&loaded.config);
        println!("{}: ok, {} warnings", self.config.config.display(), loaded.warnings.len());
        Ok(())
    }
}

fn print_routes(config: &Config) {
    for route in &config.routes {
        println!(
            "{}  {}{}  ->  {}  transfer {}",
            route.name,
            route.host,
            if route.path.is_empty() { "/" } else { &route.path },
            route.upstream.url,
            route.transfer.as_str(),
        );
    }
}
