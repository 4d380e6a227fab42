//! The thread that writes the log.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use memchr::{memchr_iter, memrchr};

use super::clock::Clock;
use super::layout::Layout;
use super::queue::Queue;
use super::sink::Sink;

/// After an error such as a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// For a reader that is slow, behind a pipe that does not block.
const RETRY_SOON: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Writer<'q> {
    queue: &'q Queue,
    sink: Sink,
    layout: Layout,
    clock: Clock,
    /// Since the last time that everything could be written.
    failing: bool,
}

impl<'q> Writer<'q> {
    pub(super) fn new(queue: &'q Queue, sink: Sink, layout: Layout) -> Self {
        Self { queue, sink, layout, clock: Clock::default(), failing: false }
    }

    /// Writes what is queued until the queue is closed. `batch` is an empty buffer, to swap with
    /// the queue's.
    pub(super) fn run(mut self, mut batch: Vec<u8>) {
        loop {
            batch.clear();
            let orders = self.queue.take(&mut batch);
            if orders.dropped > 0 {
                self.layout.dropped(orders.dropped, self.clock.stamp(Timestamp::now()), &mut batch);
            }
            self.write(&batch);
            if orders.reopen && self.queue.take_reopen() {
                self.sink.reopen();
            }
            self.queue.answer(orders.asked);
            if orders.closing {
                return self.queue.end();
            }
        }
    }

    /// Writes a batch, however long that takes. Meanwhile the queue fills up, and drops.
    fn write(&mut self, batch: &[u8]) {
        let mut at = 0;
        while at < batch.len() {
            at = match self.sink.write(&batch[at..]) {
                Ok(written) => at + written,
                Err(error) => match self.after_failure(&error, batch, at) {
                    Some(at) => at,
                    None => return,
                },
            };
        }
        if !batch.is_empty() && std::mem::take(&mut self.failing) {
            tracing::info!("the request log is being written again");
        }
    }

    /// Where to go on after a failure at `at`, and not before it makes sense to try again. None: the
    /// rest is lost.
    fn after_failure(&mut self, error: &io::Error, batch: &[u8], at: usize) -> Option<usize> {
        match error.kind() {
            ErrorKind::Interrupted => return Some(at),
            ErrorKind::WouldBlock => {
                thread::sleep(RETRY_SOON);
                return Some(at);
            }
            _ => self.report(error),
        }
        let line = start_of_line(batch, at);
        let at = if self.sink.take_back((at - line) as u64) { line } else { at };
        let closing = self.queue.is_closing();
        self.queue.pause(RETRY);
        if self.queue.take_reopen() {
            // A new file gets the whole line.
            return Some(if self.sink.reopen() { line } else { at });
        }
        if closing {
            self.queue.lost(memchr_iter(b'\n', &batch[at..]).count() as u64);
            return None;
        }
        Some(at)
    }

    fn report(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "the request log can not be written; records are kept while there is room");
        }
    }
}

/// The start of the line that `at` stands in.
fn start_of_line(batch: &[u8], at: usize) -> usize {
    memrchr(b'\n', &batch[..at]).map_or(0, |end| end + 1)
}
