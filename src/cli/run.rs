use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{ConfigPath, Failure, complain};
use crate::config::{self, Config, Loaded, ZeroConfig};
use crate::proxy::{self, Listener, Stop};
use crate::state::Live;
use crate::telemetry::RequestLog;

/// Serve
///
/// With a configuration file, or with --upstream alone: one route named `default`.
///
/// SIGTERM and SIGINT stop accepting, finish what is begun within `shutdown_grace`, and end; a second one
/// ends at once. SIGUSR1 opens the request log anew, after it has been moved away.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kfgate run --config kfgate.toml
  kfgate run --upstream http://127.0.0.1:9000 --keyword 人工 --keyword 转人工
  kfgate run --upstream unix:/run/bot.sock --listen 127.0.0.1:8080 --account test1@test")]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigPath,
    /// Run without a file: the bot, as `http://HOST:PORT`, `https://HOST` or `unix:/PATH`
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    upstream: Option<String>,
    /// Where to listen, without a file [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDR", requires = "upstream")]
    listen: Option<String>,
    /// A keyword that hands the message over without asking the bot; may be given several times
    #[arg(long, value_name = "WORD", requires = "upstream")]
    keyword: Vec<String>,
    /// The KfAccount that messages are handed to
    #[arg(long, value_name = "ACCOUNT", requires = "upstream")]
    account: Option<String>,
}

impl Run {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let loaded = self.load().map_err(|errors| {
            eprintln!("{}", errors.render(std::io::stderr().is_terminal()));
            Failure::Usage
        })?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        serve(loaded.config, |_| Ok(()))
    }

    fn load(&self) -> Result<Loaded, config::Errors> {
        let Some(upstream) = &self.upstream else { return config::load(&self.config.config) };
        Config::zero(&ZeroConfig {
            upstream: upstream.clone(),
            listen: self.listen.clone(),
            keywords: self.keyword.clone(),
            account: self.account.clone(),
        })
    }
}

/// Binds, then serves until a signal ends it. `ready` is called once connections are accepted.
pub(super) fn serve(config: Config, ready: impl FnOnce(&[Listener]) -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        complain(error);
        Failure::Failed
    };
    let listeners = config.listen.iter().map(proxy::bind).collect::<Result<Vec<_>, _>>();
    let listeners = listeners.map_err(|error| failed(&error))?;
    let log = RequestLog::open(&config.log).map_err(|error| failed(&error))?;
    let grace = config.shutdown_grace;
    announce(&config, &listeners);
    let live = Arc::new(Live::new(config));
    let (stop, stopped) = watch::channel(Stop::Never);
    let signals = std::thread::Builder::new().name("signals".into());
    let signal_log = log.clone();
    signals.spawn(move || heed_signals(&stop, grace, &signal_log)).map_err(|error| failed(&error))?;
    ready(&listeners)?;
    proxy::serve(&listeners, &live, &log, &stopped).map_err(|error| failed(&error))?;
    if !log.close(Duration::from_secs(2)) {
        tracing::error!("the request log could not be written to its end");
    }
    tracing::info!("ended");
    Ok(())
}

fn announce(config: &Config, listeners: &[Listener]) {
    for listener in listeners {
        tracing::info!(workers = config.workers, "listening on {listener}");
    }
    for route in &config.routes {
        tracing::info!(
            route = &*route.name,
            path = route.path,
            upstream = route.upstream.url,
            transfer = route.transfer.as_str(),
            "route"
        );
    }
}

/// Turns signals into what the server is told, until the process ends.
fn heed_signals(stop: &watch::Sender<Stop>, grace: Duration, log: &RequestLog) -> std::io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut reopen = signal(SignalKind::user_defined1())?;
        let mut reload = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => end(stop, grace),
                _ = interrupt.recv() => end(stop, grace),
                _ = reopen.recv() => log.reopen(),
                // Left to itself it would end the process, which is the last thing its sender wants.
                _ = reload.recv() => tracing::warn!("reloading is not available yet: restart to read the configuration"),
            }
        }
    })
}

fn end(stop: &watch::Sender<Stop>, grace: Duration) {
    let first = *stop.borrow() == Stop::Never;
    if first {
        tracing::info!("ending: what is begun is finished within {grace:?}");
        stop.send_replace(Stop::By(Instant::now() + grace));
    } else {
        tracing::info!("ending at once");
        stop.send_replace(Stop::Now);
    }
}
