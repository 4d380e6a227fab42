//! The gate, in this process, on a port of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kfgate::config::parse;
use kfgate::proxy::{Listener, Stop, bind, serve};
use kfgate::state::Live;
use kfgate::telemetry::RequestLog;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use super::process::Process;
use super::{Bot, Client, Message, PATIENCE, eventually};

/// A configuration that is being written.
pub(crate) struct Setup {
    /// Its lines outside of any table.
    top: Vec<String>,
    log: String,
    limits: String,
    routes: Vec<String>,
    dir: TempDir,
}

impl Setup {
    /// One route named `bot`, for everything, to this bot.
    pub(crate) fn before(bot: &Bot) -> Self {
        Self::to(&bot.url())
    }

    /// The same, to this upstream.
    pub(crate) fn to(upstream: &str) -> Self {
        Self::empty().and_route("bot", upstream, "")
    }

    pub(crate) fn empty() -> Self {
        Self {
            top: vec!["admin = \"off\"".to_owned(), "workers = 1".to_owned()],
            log: "[log]\npath = \"requests.log\"\n".to_owned(),
            limits: "[limits]\n".to_owned(),
            routes: Vec::new(),
            dir: TempDir::new().expect("a folder"),
        }
    }

    /// Adds to the top of the file, or replaces what stands there.
    pub(crate) fn top(mut self, lines: &str) -> Self {
        for line in lines.lines() {
            let key = line.split(' ').next().unwrap_or_default();
            self.top.retain(|old| !old.starts_with(key));
            self.top.push(line.to_owned());
        }
        self
    }

    pub(crate) fn limits(mut self, lines: &str) -> Self {
        let _ = writeln!(self.limits, "{lines}");
        self
    }

    /// Replaces what stands under `[log]`.
    pub(crate) fn log(mut self, lines: &str) -> Self {
        self.log = format!("[log]\n{lines}\n");
        self
    }

    /// Adds to the last route: its own keys before its rules.
    pub(crate) fn route(mut self, lines: &str) -> Self {
        let _ = writeln!(self.routes.last_mut().expect("a route"), "{lines}");
        self
    }

    /// Adds a rule to the last route.
    pub(crate) fn rule(self, lines: &str) -> Self {
        self.route(&format!("[[route.rule]]\n{lines}"))
    }

    pub(crate) fn and_route(mut self, name: &str, upstream: &str, lines: &str) -> Self {
        self.routes.push(format!("[[route]]\nname = \"{name}\"\nupstream = \"{upstream}\"\n{lines}\n"));
        self
    }

    /// The folder that paths in the file are relative to.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn text(&self, listen: &str) -> String {
        let Self { top, log, limits, routes, .. } = self;
        let is_given = top.iter().any(|line| line.starts_with("listen"));
        let listen = if is_given { String::new() } else { format!("listen = [\"{listen}\"]") };
        format!("{listen}\n{}\n{log}{limits}{}", top.join("\n"), routes.concat())
    }

    pub(crate) fn start(self) -> Gate {
        let file = self.dir.path().join("kfgate.toml");
        let text = self.text("127.0.0.1:0");
        let loaded = parse(&text, &file).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let config = loaded.config;
        let listeners: Vec<_> = config.listen.iter().map(|listen| bind(listen).expect("a free port")).collect();
        let port = listeners.iter().find_map(Listener::local_addr).map_or(0, |address| address.port());
        let log = RequestLog::open(&config.log).expect("a log");
        let (stop, stopped) = watch::channel(Stop::Never);
        let live = Arc::new(Live::new(config));
        let writer = log.clone();
        let thread = thread::spawn(move || serve(listeners, &live, &writer, &stopped).expect("workers"));
        Gate { port, stop, thread: Some(thread), log, read: AtomicUsize::new(0), dir: self.dir }
    }

    /// Starts the real program, and waits until it listens.
    pub(crate) fn spawn(self) -> Process {
        let text = self.text("127.0.0.1:0");
        fs::write(self.dir.path().join("kfgate.toml"), text).expect("a file");
        Process::run(self.dir)
    }
}

pub(crate) struct Gate {
    pub(crate) port: u16,
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<()>>,
    log: RequestLog,
    /// Records that a test has looked at.
    read: AtomicUsize,
    dir: TempDir,
}

impl Gate {
    pub(crate) fn before(bot: &Bot) -> Self {
        Setup::before(bot).start()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// The answer to this request, over a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        let mut client = self.connect();
        client.send(request);
        client.reply()
    }

    /// All records, as soon as there are so many.
    #[track_caller]
    pub(crate) fn records(&self, count: usize) -> Vec<Value> {
        eventually("the records are written", || {
            self.log.flush(PATIENCE);
            let lines = self.log_text();
            (lines.lines().count() >= count).then(|| {
                lines.lines().map(|line| serde_json::from_str(line).expect("a JSON record")).collect::<Vec<_>>()
            })
        })
    }

    /// The next record that no test has looked at.
    #[track_caller]
    pub(crate) fn record(&self) -> Record {
        let read = self.read.fetch_add(1, Ordering::Relaxed);
        Record(self.records(read + 1).swap_remove(read))
    }

    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.path("requests.log")).unwrap_or_default()
    }

    /// The log holds no more records than were looked at.
    #[track_caller]
    pub(crate) fn has_no_more_records(&self) {
        self.log.flush(PATIENCE);
        assert_eq!(self.log_text().lines().count(), self.read.load(Ordering::Relaxed), "{}", self.log_text());
    }

    /// Tells it to finish what is begun.
    pub(crate) fn drain(&self, within: Duration) {
        self.stop.send_replace(Stop::By(Instant::now() + within));
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.send_replace(Stop::Now);
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the gate panicked");
        }
    }
}

/// A line of the request log.
#[derive(Debug)]
pub(crate) struct Record(pub(crate) Value);

impl Record {
    /// It has each of these fields, with that value.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "json!(…) is written in place")]
    pub(crate) fn has(&self, expected: Value) -> &Self {
        for (field, value) in expected.as_object().expect("an object") {
            assert_eq!(self.0.get(field), Some(value), "{field} of {}", self.0);
        }
        self
    }

    /// Action, and cause.
    #[track_caller]
    pub(crate) fn is(&self, action: &str, cause: &str) -> &Self {
        assert_eq!((&self.0["action"], &self.0["cause"]), (&action.into(), &cause.into()), "{}", self.0);
        self
    }

    /// A transfer: via, and cause.
    #[track_caller]
    pub(crate) fn is_transfer(&self, via: &str, cause: &str) -> &Self {
        self.is("transfer", cause).has(serde_json::json!({ "via": via }))
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {}", self.0))
    }
}
