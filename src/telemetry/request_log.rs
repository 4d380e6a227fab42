//! The request log: one line a request, and never a request that waits for it.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, PipeWriter};
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
/// Only [`close`] waits for what is still to be written.
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

    /// A log into a pipe, with the colours that stdout would have.
    pub fn piped(config: &LogConfig, pipe: PipeWriter) -> Result<Self, OpenError> {
        let layout = Layout::of(config, is_colour_wanted());
        Self::start(Sink::pipe(pipe), layout, CAPACITY).map_err(OpenError::Thread)
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

    /// Whether users' words are shown: where they are not, no record needs to hold them.
    pub fn shows_content(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.layout.shows_content())
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{PipeReader, Read};
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::{LogFormat, OpenidStyle};
    use crate::telemetry::samples::{forwarded, refused};

    /// Longer than anything here takes, so that it is only reached where something is wrong.
    const PATIENCE: Duration = Duration::from_mins(1);

    fn config(target: LogTarget) -> LogConfig {
        LogConfig { target, format: LogFormat::Json, openid: OpenidStyle::Masked, content: false }
    }

    fn open(path: &Path) -> RequestLog {
        RequestLog::open(&config(LogTarget::File(path.to_owned()))).unwrap()
    }

    fn write(log: &RequestLog, msg_id: &str) {
        log.write(&Record { msg_id: Some(msg_id.into()), ..forwarded() });
    }

    /// The field of every line, each of which must be a whole one.
    fn field(lines: &str, name: &str) -> Vec<serde_json::Value> {
        assert!(lines.is_empty() || lines.ends_with('\n'));
        let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()[name].take();
        lines.lines().map(read).collect()
    }

    fn msg_ids(path: &Path) -> Vec<serde_json::Value> {
        field(&fs::read_to_string(path).unwrap(), "msg_id")
    }

    fn piped(capacity: usize) -> (RequestLog, PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let layout = Layout::of(&config(LogTarget::Stdout), false);
        (RequestLog::start(Sink::pipe(writer), layout, capacity).unwrap(), reader)
    }

    fn read_all(mut reader: PipeReader) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut lines = String::new();
            reader.read_to_string(&mut lines).unwrap();
            lines
        })
    }

    #[test]
    fn what_is_written_is_in_the_file_after_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kfgate.log");
        let log = open(&path);
        write(&log, "1");
        write(&log, "2");
        assert!(log.flush(PATIENCE));
        assert_eq!(msg_ids(&path), ["1", "2"]);
        write(&log, "3");
        assert!(log.flush(PATIENCE));
        assert_eq!(msg_ids(&path), ["1", "2", "3"]);
    }

    #[test]
    fn closing_writes_what_is_waiting_and_ends_every_clone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kfgate.log");
        let log = open(&path);
        let clone = log.clone();
        write(&log, "1");
        assert!(log.close(PATIENCE));
        write(&clone, "2");
        assert_eq!((msg_ids(&path), clone.dropped()), (vec!["1".into()], 1));
        assert!(clone.flush(PATIENCE) && clone.close(PATIENCE));
    }

    #[test]
    fn a_log_that_is_forgotten_is_written_all_the_same() {
        let (log, reader) = piped(CAPACITY);
        write(&log, "1");
        drop(log);
        // The end of the pipe is the end of the writer.
        assert_eq!(field(&read_all(reader).join().unwrap(), "msg_id"), ["1"]);
    }

    #[test]
    fn records_of_many_threads_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kfgate.log");
        let log = open(&path);
        thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let log = log.clone();
                scope.spawn(move || (0..500).for_each(|_| write(&log, name)));
            }
        });
        assert!(log.close(PATIENCE));
        let ids = msg_ids(&path);
        assert!(["a", "b", "c", "d"].iter().all(|name| ids.iter().filter(|id| *id == name).count() == 500));
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("kfgate.log"), folder.path().join("kfgate.log.1"));
        let log = open(&path);
        write(&log, "1");
        fs::rename(&path, &moved).unwrap();
        write(&log, "2");
        log.reopen();
        assert!(log.flush(PATIENCE));
        write(&log, "3");
        assert!(log.close(PATIENCE));
        assert_eq!(msg_ids(&moved), ["1", "2"]);
        assert_eq!(msg_ids(&path), ["3"]);
    }

    #[test]
    fn where_the_file_can_not_be_opened_anew_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, moved) = (folder.path().join("logs"), folder.path().join("moved"));
        fs::create_dir(&logs).unwrap();
        let log = open(&logs.join("kfgate.log"));
        fs::rename(&logs, &moved).unwrap();
        log.reopen();
        assert!(log.flush(PATIENCE));
        write(&log, "1");
        assert!(log.close(PATIENCE));
        assert_eq!(msg_ids(&moved.join("kfgate.log")), ["1"]);
    }

    #[test]
    fn every_record_behind_a_stuck_reader_is_written_or_owned_up_to() {
        let (log, reader) = piped(4096);
        let mut written = 0;
        while log.dropped() < 17 {
            write(&log, "1");
            written += 1;
        }
        let reader = read_all(reader);
        let clone = log.clone();
        assert!(log.close(PATIENCE));
        drop(clone);
        let lines = reader.join().unwrap();
        let records = field(&lines, "msg_id").into_iter().filter(|id| id == "1").count();
        let owned_up: u64 = field(&lines, "dropped").iter().filter_map(serde_json::Value::as_u64).sum();
        assert!(owned_up >= 17);
        assert_eq!(records as u64 + owned_up, written);
    }

    #[test]
    fn a_disk_that_stays_full_costs_the_records_and_nothing_else() {
        let log = open(Path::new("/dev/full"));
        (0..3).for_each(|_| log.write(&refused()));
        let clone = log.clone();
        assert!(log.close(PATIENCE));
        assert_eq!(clone.dropped(), 3);
    }

    #[test]
    fn a_reader_that_is_gone_costs_the_records_and_nothing_else() {
        let (log, reader) = piped(CAPACITY);
        drop(reader);
        (0..3).for_each(|_| log.write(&refused()));
        let clone = log.clone();
        assert!(log.close(PATIENCE));
        assert_eq!(clone.dropped(), 3);
    }

    #[test]
    fn records_wait_out_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("kfgate.log"), folder.path().join("elsewhere"));
        symlink("/dev/full", &path).unwrap();
        let log = open(&path);
        write(&log, "1");
        assert!(!log.flush(Duration::from_millis(1)));
        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        log.reopen();
        write(&log, "2");
        assert!(log.close(PATIENCE));
        assert_eq!(msg_ids(&elsewhere), ["1", "2"]);
    }

    #[test]
    fn a_log_that_is_off_keeps_nothing() {
        let log = RequestLog::open(&config(LogTarget::Off)).unwrap();
        log.write(&forwarded());
        log.reopen();
        assert!(log.0.is_none() && log.flush(Duration::ZERO));
        assert_eq!(log.dropped(), 0);
        assert!(log.close(Duration::ZERO));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let target = LogTarget::File("/nonexistent/logs/kfgate.log".into());
        let error = RequestLog::open(&config(target)).unwrap_err();
        let expected =
            "can not open the request log /nonexistent/logs/kfgate.log: there is no folder /nonexistent/logs";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_named_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let error = RequestLog::open(&config(LogTarget::File(folder.path().to_owned()))).unwrap_err();
        assert_eq!(error.to_string(), format!("can not open the request log {}", folder.path().display()));
        assert!(error.source().is_some());
    }
}
