use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use sd_notify::NotifyState;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{ConfigPath, Failure, complain, refuse, refuse_unbuilt};
use crate::config::{Config, Loaded, ZeroConfig};
use crate::proxy::{self, Listener, Stop};
use crate::state::Live;
use crate::telemetry::{OpenError, RequestLog};

/// Serve: pass everything on to the bots, and hand over what must be
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
  kfgate run --upstream unix:/run/bot.sock --listen 127.0.0.1:8080 --account test1@test

Exit status: 0 ended by a signal, 1 it could not start (a port is taken …), 2 bad usage or configuration.")]
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
    /// Where the admin API listens: not available yet
    #[arg(long, value_name = "ADDR", hide = true)]
    admin: Option<String>,
    /// Reload when the file changes: not available yet
    #[arg(long, hide = true)]
    watch: bool,
}

impl Run {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let wants_admin = self.admin.as_deref().is_some_and(|admin| admin != "off");
        refuse_unbuilt(&[("--admin", wants_admin), ("--watch", self.watch)])?;
        let Loaded { config, warnings } = self.load()?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let signals = Signals::register()?;
        let listeners = proxy::listen_on(&config.listen).map_err(|error| Failure::of(&error))?;
        allow_files(config.limits.connections);
        let log = RequestLog::open(&config.log).map_err(|error| no_log(&error))?;
        serve(config, listeners, log, signals)
    }

    fn load(&self) -> Result<Loaded, Failure> {
        let Some(upstream) = &self.upstream else { return self.config.load() };
        let zero = Config::zero(&ZeroConfig {
            upstream: upstream.clone(),
            listen: self.listen.clone(),
            keywords: self.keyword.clone(),
            account: self.account.clone(),
        });
        zero.map_err(|errors| refuse(&errors))
    }
}

fn no_log(error: &OpenError) -> Failure {
    match error.source() {
        Some(source) => complain(format_args!("{error}: {source}")),
        None => complain(error),
    }
    Failure::Failed
}

/// Binds every address of a configuration.
pub(super) fn bind(config: &Config) -> Result<Vec<Listener>, Failure> {
    config.listen.iter().map(|address| proxy::bind(address).map_err(|error| Failure::of(&error))).collect()
}

/// Raises the soft limit of open files to what the connections take, one on each side.
fn allow_files(connections: usize) {
    // The log, the listening sockets, and each worker's own.
    const BESIDE: u64 = 100;
    let wanted = 2 * connections as u64 + BESIDE;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => {
            tracing::warn!(
                "only {allowed} open files are allowed (ulimit -n); {connections} connections take {wanted}"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!("the limit of open files is unknown: {error}"),
    }
}

/// Serves until a signal ends it.
pub(super) fn serve(
    config: Config,
    listeners: Vec<Listener>,
    log: RequestLog,
    signals: Signals,
) -> Result<(), Failure> {
    let failed = |error| Failure::of(&error);
    let grace = config.shutdown_grace;
    announce(&config, &listeners);
    let live = Arc::new(Live::new(config));
    let (stop, stopped) = watch::channel(Stop::Never);
    let thread = std::thread::Builder::new().name("signals".into());
    let signal_log = log.clone();
    thread.spawn(move || signals.heed(&stop, grace, &signal_log)).map_err(failed)?;
    // Who comes from here on is served: what is left is to start the workers, and those wait at the sockets.
    tell_systemd(NotifyState::Ready);
    proxy::serve(listeners, &live, &log, &stopped).map_err(failed)?;
    if !log.close(Duration::from_secs(2)) {
        tracing::error!("the request log could not be written to its end");
    }
    tracing::info!("ended");
    Ok(())
}

/// Tells the service manager, where there is one (`NOTIFY_SOCKET`).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager could not be told: {error}");
    }
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

/// The signals that the server heeds, from when they are registered: before anybody can see it listen.
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    reopen: Signal,
    reload: Signal,
}

impl Signals {
    pub(super) fn register() -> Result<Self, Failure> {
        Self::try_register().map_err(|error| Failure::of(&error))
    }

    fn try_register() -> std::io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (reopen, reload) = (signal(SignalKind::user_defined1())?, signal(SignalKind::hangup())?);
        drop(entered);
        Ok(Self { runtime, terminate, interrupt, reopen, reload })
    }

    /// Turns signals into what the server is told, until the process ends.
    fn heed(self, stop: &watch::Sender<Stop>, grace: Duration, log: &RequestLog) {
        let Self { runtime, mut terminate, mut interrupt, mut reopen, mut reload } = self;
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = terminate.recv() => end(stop, grace),
                    _ = interrupt.recv() => end(stop, grace),
                    _ = reopen.recv() => log.reopen(),
                    // Left to itself it would end the process, which is the last thing its sender wants.
                    _ = reload.recv() => tracing::warn!("reloading is not available yet: restart to read the configuration"),
                }
            }
        });
    }
}

fn end(stop: &watch::Sender<Stop>, grace: Duration) {
    let first = *stop.borrow() == Stop::Never;
    if first {
        tell_systemd(NotifyState::Stopping);
        tracing::info!("ending: what is begun is finished within {grace:?}");
        stop.send_replace(Stop::By(Instant::now() + grace));
    } else {
        tracing::info!("ending at once");
        stop.send_replace(Stop::Now);
    }
}
