//! Floor 7: the command line, one file a command.
//!
//! Exit status: 0 done, 1 failed, 2 bad usage or configuration.

mod check;
mod run;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Hands messages of a WeChat Official Account to its customer-service desk, from ahead of a bot that nobody
/// wants to touch.
#[derive(Debug, Parser)]
#[command(name = "kfgate", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
}

/// How a command failed.
#[derive(Debug)]
enum Failure {
    /// It was understood and did not work: exit status 1.
    Failed,
    /// The command line or the configuration is wrong: exit status 2.
    Usage,
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct ConfigPath {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "KFGATE_CONFIG", default_value = "/etc/kfgate/kfgate.toml")]
    config: PathBuf,
}

/// Runs the command of this process's command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed) => ExitCode::from(1),
        Err(Failure::Usage) => ExitCode::from(2),
    }
}

/// Prints an error of a command.
fn complain(error: impl std::fmt::Display) {
    eprintln!("kfgate: {error}");
}
