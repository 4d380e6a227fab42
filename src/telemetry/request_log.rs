//! The request log: one line a request, and never a request that waits for it.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::Clock;
use super::layout::Layout;
use super::queue::Queue;
use super::record::Record;
use super::sink::Sink;
use super::writer::Writer;
use crate::config::{LogConfig, LogTarget};

/// Bytes that may wait for the writer: some 10,000 records, which is a second or more of the heaviest
/// traffic one machine serves.
const CAPACITY: usize = 4 << 20;

thread_local! {
    /// Where this thread's records become lines.
    static DESK: RefCell<(Clock, Vec<u8>)> = RefCell::default();
}

/// The request log. Clones are the same log; it ends with the last of them, or with [`close`].
///
/// [`close`]: Self::close
#[derive(Debug, Clone)]
pub struct RequestLog(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    layout: Layout,
    queue: Arc<Queue>,
}

/// Why a request log can not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The folder of the log file does not exist.
    NoFolder { path: PathBuf, folder: PathBuf },
    /// The log file can not be opened or made.
    File { path: PathBuf, source: io::Error },
    /// There is no stdout.
    Stdout(io::Error),
    /// The system gives no thread.
    Thread(io::Error),
}

impl RequestLog {
    /// Opens what is configured and starts the thread that writes it. A file is appended to, or made
    /// with mode 0640.
    pub fn open(config: &LogConfig) -> Result<Self, OpenError> {
        let (sink, coloured) = match &config.target {
            LogTarget::Off => return Ok(Self::off()),
            LogTarget::Stdout => (Sink::stdout().map_err(OpenError::Stdout)?, is_colour_wanted()),
            LogTarget::File(path) => (Sink::file(path).map_err(|source| OpenError::file(path, source))?, false),
        };
        Self::start(sink, Layout::of(config, coloured), CAPACITY).map_err(OpenError::Thread)
    }

    /// A log that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    fn start(sink: Sink, layout: Layout, capacity: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity));
        let open = Open { layout, queue: Arc::clone(&queue) };
        let write = move || Writer::new(&queue, sink, layout).run(Vec::with_capacity(capacity));
        thread::Builder::new().name("request-log".into()).spawn(write)?;
        Ok(Self(Some(Arc::new(open))))
    }

    /// Writes a record, soon: it is timed and formatted now and then waits for the writer. Never
    /// blocks; where too much is waiting, the record is dropped and counted.
    pub fn write(&self, record: &Record) {
        let Some(open) = &self.0 else { return };
        let written = DESK.try_with(|desk| {
            let (clock, line) = &mut *desk.borrow_mut();
            line.clear();
            open.layout.record(record, clock.stamp(Timestamp::now()), line);
            open.queue.push(line);
        });
        // At a thread's very end there is no desk any more.
        if written.is_err() {
            open.queue.lost(1);
        }
    }

    /// The number of records that were dropped since the log was opened.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |open| open.queue.dropped())
    }

    /// Asks for the file to be opened anew, because it was moved away. What was written before goes to
    /// the old file. Does not wait; a failure is reported through `tracing`, and the old file stays.
    pub fn reopen(&self) {
        if let Some(open) = &self.0 {
            open.queue.reopen();
        }
    }

    /// Waits until what was written and asked for so far is done. False if that takes longer than
    /// `within`.
    pub fn flush(&self, within: Duration) -> bool {
        self.0.as_ref().is_none_or(|open| open.queue.flush(within))
    }

    /// Writes out what is waiting and ends the log, for all its clones: records that come later are
    /// dropped. False if it takes longer than `within`; then the rest may be lost.
    pub fn close(self, within: Duration) -> bool {
        self.0.is_none_or(|open| {
            open.queue.close();
            open.queue.wait_for_end(within)
        })
    }
}

/// Without this the writer would outlive a log that nobody has closed.
impl Drop for Open {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// See <https://no-color.org>.
fn is_colour_wanted() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl OpenError {
    fn file(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match folder {
            Some(folder) if source.kind() == io::ErrorKind::NotFound && !folder.exists() => {
                Self::NoFolder { folder: folder.to_owned(), path }
            }
            _ => Self::File { path, source },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder { path, folder } => {
                write!(f, "can not open the request log {}: there is no folder {}", path.display(), folder.display())
            }
            Self::File { path, .. } => write!(f, "can not open the request log {}", path.display()),
            Self::Stdout(_) => f.write_str("can not write the request log to stdout"),
            Self::Thread(_) => f.write_str("can not start the thread of the request log"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoFolder { .. } => None,
            Self::File { source, .. } | Self::Stdout(source) | Self::Thread(source) => Some(source),
        }
    }
}
