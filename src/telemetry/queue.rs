//! The lines that wait for the writer.

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
#[derive(Debug)]
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

#[derive(Debug, Default)]
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

/// What the writer finds beside the lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders {
    /// Records lost behind these lines.
    pub(super) dropped: u64,
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
            reopen: mem::take(&mut state.reopen),
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

    /// Waits, but no longer than until the writer is asked to open its file anew, or to end.
    /// Returns whether it has to open its file.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let state = self.lock();
        let mut state = self.pause_while(state, duration, |state| !state.reopen && !state.closing);
        mem::take(&mut state.reopen)
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
