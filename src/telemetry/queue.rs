//! The lines that wait for the writer.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the writer lets lines gather: a write for each would cost more than all the rest.
const GATHER: Duration = Duration::from_millis(20);

/// A bounded buffer of whole lines: filled by everybody, emptied by one writer.
///
/// Who fills it waits for nothing but another's copying of one line, or the writer's swapping of two
/// buffers.
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// There is something to do for the writer.
    work: Condvar,
    /// The writer has done something.
    done: Condvar,
    /// Records lost since the start.
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Records lost since the writer was last told.
    dropped: u64,
    reopen: bool,
    closing: bool,
    ended: bool,
    /// Requests to write everything out at once are numbered: the last one made, the last one the
    /// writer has seen, the last one it has carried out.
    asked: u64,
    taken: u64,
    answered: u64,
}

impl State {
    fn is_urgent(&self) -> bool {
        self.reopen || self.closing || self.asked > self.taken
    }
}

/// Leaves out the lines.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("capacity", &self.capacity)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

/// What the writer finds beside the lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders {
    /// Records lost behind these lines.
    pub(super) dropped: u64,
    /// Whether the file is to be opened anew behind these lines: see [`Queue::take_reopen`].
    pub(super) reopen: bool,
    /// Nothing comes after these lines.
    pub(super) closing: bool,
    /// For [`Queue::answer`].
    pub(super) asked: u64,
}

impl Queue {
    /// A queue that holds `capacity` bytes.
    pub(super) fn new(capacity: usize) -> Self {
        // All at once, so that nobody ever waits for its growing; memory that is not used is not real.
        let state = State { lines: Vec::with_capacity(capacity), ..State::default() };
        Self {
            capacity,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Appends a line, or drops it: where there is no room, and after [`Queue::close`].
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        let before = state.lines.len();
        let after = before + line.len();
        if after > self.capacity || state.closing {
            state.dropped += 1;
            drop(state);
            return self.lost(1);
        }
        state.lines.extend_from_slice(line);
        drop(state);
        let half = self.capacity / 2;
        if before == 0 || (before < half && after >= half) {
            self.work.notify_one();
        }
    }

    /// Counts records that will never be written.
    pub(super) fn lost(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Asks the writer to open its file anew, behind the lines that are here.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.work.notify_one();
    }

    /// Waits until all that is here, and all that was asked for, is done. False if that took too long.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let mut state = self.lock();
        state.asked += 1;
        let ticket = state.asked;
        self.work.notify_one();
        self.wait_until(state, within, |state| state.answered >= ticket || state.ended)
    }

    /// Takes no more lines.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    /// Waits for the writer's end. False if that took too long.
    pub(super) fn wait_for_end(&self, within: Duration) -> bool {
        self.wait_until(self.lock(), within, |state| state.ended)
    }

    fn wait_until(&self, state: MutexGuard<'_, State>, within: Duration, is_done: impl Fn(&State) -> bool) -> bool {
        let wait = self.done.wait_timeout_while(state, within, |state| !is_done(state));
        let (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        is_done(&state)
    }

    /// The writer's side.
    ///
    /// Waits for lines or orders, lets lines gather unless there is a hurry, and takes all of them
    /// in exchange for `spare`, which must be empty.
    pub(super) fn take(&self, spare: &mut Vec<u8>) -> Orders {
        let state = self.lock();
        let wait = self.work.wait_while(state, |state| state.lines.is_empty() && !state.is_urgent());
        let state = wait.unwrap_or_else(PoisonError::into_inner);
        let half = self.capacity / 2;
        let mut state = self.pause_while(state, GATHER, |state| state.lines.len() < half && !state.is_urgent());
        mem::swap(&mut state.lines, spare);
        state.taken = state.asked;
        Orders {
            dropped: mem::take(&mut state.dropped),
            reopen: state.reopen,
            closing: state.closing,
            asked: state.asked,
        }
    }

    /// Says that everything asked for up to `asked` is done.
    pub(super) fn answer(&self, asked: u64) {
        self.lock().answered = asked;
        self.done.notify_all();
    }

    /// Says that the writer is gone.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.done.notify_all();
    }

    /// Whether the file is still to be opened anew; asking is promising to do it.
    pub(super) fn take_reopen(&self) -> bool {
        mem::take(&mut self.lock().reopen)
    }

    /// Waits, but no longer than until the writer is asked to open its file anew, or to end.
    pub(super) fn pause(&self, duration: Duration) {
        drop(self.pause_while(self.lock(), duration, |state| !state.reopen && !state.closing));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    fn pause_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        duration: Duration,
        goes_on: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let until = Instant::now() + duration;
        let mut state = state;
        while goes_on(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (state, _) = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and half a line is never in the buffer.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let queue = Queue::new(10);
        for line in ["first\n", "too long\n", "4th\n", "5\n"] {
            queue.push(line.as_bytes());
        }
        let mut lines = Vec::new();
        let orders = queue.take(&mut lines);
        assert_eq!((lines.as_slice(), orders.dropped, queue.dropped()), (&b"first\n4th\n"[..], 2, 2));
    }

    #[test]
    fn the_writer_is_told_of_lost_records_once() {
        let queue = Queue::new(4);
        queue.push(b"fits");
        queue.push(b"not");
        assert_eq!(queue.take(&mut Vec::new()).dropped, 1);
        queue.push(b"fits");
        assert_eq!(queue.take(&mut Vec::new()).dropped, 0);
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn a_closed_queue_takes_nothing_more() {
        let queue = Queue::new(100);
        queue.push(b"before\n");
        queue.close();
        queue.push(b"behind\n");
        let mut lines = Vec::new();
        assert!(queue.take(&mut lines).closing);
        assert_eq!((lines.as_slice(), queue.dropped()), (&b"before\n"[..], 1));
    }

    #[test]
    fn a_flush_is_over_when_the_writer_says_so() {
        let queue = Queue::new(100);
        assert!(!queue.flush(AT_ONCE), "nobody has written anything");
        let orders = queue.take(&mut Vec::new());
        queue.answer(orders.asked);
        assert!(!queue.flush(AT_ONCE), "that was the answer to another");
        queue.end();
        assert!(queue.flush(AT_ONCE), "there is nobody left to wait for");
    }

    #[test]
    fn orders_find_the_writer_without_lines() {
        let queue = Queue::new(100);
        queue.reopen();
        assert!(queue.take(&mut Vec::new()).reopen);
        assert!(queue.take_reopen());
        queue.close();
        let orders = queue.take(&mut Vec::new());
        assert!(orders.closing && !orders.reopen);
    }
}
