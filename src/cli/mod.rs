//! Floor 7: the command line, one file a command.
//!
//! Exit status: 0 done, 1 failed, 2 bad usage or configuration.

mod capture;
mod check;
mod demo;
mod explain;
mod run;
mod send;
mod terminal;
mod usage;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Loaded};

/// Hands messages of a WeChat Official Account to its customer-service desk, from ahead of a bot that nobody
/// wants to touch
#[derive(Debug, Parser)]
#[command(name = "kfgate", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
Start here:
  kfgate demo                                    see it work, with a sample bot
  kfgate run --upstream http://127.0.0.1:9000 --keyword 人工
                                                 put it ahead of your own bot
  kfgate COMMAND --help                          what a command does, with examples

Exit status: 0 done, 1 failed, 2 bad usage or configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Explain(explain::Explain),
    Send(send::Send),
    Demo(demo::Demo),
}

impl Command {
    fn execute(self) -> Result<(), Failure> {
        match self {
            Self::Run(run) => run.execute(),
            Self::Check(check) => check.execute(),
            Self::Explain(explain) => explain.execute(),
            Self::Send(send) => send.execute(),
            Self::Demo(demo) => demo.execute(),
        }
    }

    /// What is told on stderr where `RUST_LOG` says nothing. The demo shows a dead bot: it has no need of a
    /// warning about it.
    fn diagnostics(&self) -> &'static str {
        match self {
            Self::Demo(_) => "error",
            _ => "info",
        }
    }
}

/// How a command failed. What there is to say has been said.
#[derive(Debug)]
enum Failure {
    /// It was understood and did not work: exit status 1.
    Failed,
    /// The command line or the configuration is wrong: exit status 2.
    Usage,
}

impl Failure {
    /// Complains, and fails.
    fn of(error: &dyn Error) -> Self {
        complain(error);
        Self::Failed
    }
}

const CONFIG_HELP: &str = "The configuration file [default: $KFGATE_CONFIG, else /etc/kfgate/kfgate.toml]";

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct ConfigPath {
    #[arg(short, long, value_name = "FILE", help = CONFIG_HELP)]
    config: Option<PathBuf>,
}

impl ConfigPath {
    /// The file that was named, here or in the environment.
    ///
    /// Not left to clap: there, a variable that is set would contradict `run --upstream`.
    fn path(&self) -> PathBuf {
        let named = std::env::var_os("KFGATE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.config.clone().or(named).unwrap_or_else(|| "/etc/kfgate/kfgate.toml".into())
    }

    /// Loads the file, or says what is wrong with it.
    fn load(&self) -> Result<Loaded, Failure> {
        let path = self.path();
        if path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            complain(format_args!(
                "there is no {}: name your file with --config FILE, serve without one (kfgate run --upstream URL), \
                 or look around first (kfgate demo)",
                path.display()
            ));
            return Err(Failure::Usage);
        }
        config::load(&path).map_err(|errors| refuse(&errors))
    }
}

/// Shows everything that is wrong with a configuration.
fn refuse(errors: &config::Errors) -> Failure {
    eprintln!("{}", errors.render(io::stderr().is_terminal()));
    Failure::Usage
}

/// Refuses the options that mean something and do nothing yet.
fn refuse_unbuilt(options: &[(&str, bool)]) -> Result<(), Failure> {
    let Some((name, _)) = options.iter().find(|(_, given)| *given) else { return Ok(()) };
    complain(format_args!("{name}: not available yet"));
    Err(Failure::Usage)
}

/// Runs the command of this process's command line.
pub fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return usage::answer(&error),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(command.diagnostics()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match command.execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed) => ExitCode::from(1),
        Err(Failure::Usage) => ExitCode::from(2),
    }
}

/// Prints an error of a command, in one line.
fn complain(error: impl std::fmt::Display) {
    eprintln!("kfgate: {error}");
}
