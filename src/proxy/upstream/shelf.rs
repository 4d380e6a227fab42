use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Connections that wait for their next use. The one that was used last is taken first: the others may
/// grow old and go.
#[derive(Debug)]
pub(super) struct Shelf<C>(RefCell<Vec<(C, Instant)>>);

impl<C> Default for Shelf<C> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<C> Shelf<C> {
    /// A connection that was open a moment ago, and has waited for no longer than `idle_for`.
    pub(super) fn take(&self, idle_for: Duration, is_open: impl Fn(&C) -> bool) -> Option<C> {
        loop {
            let (connection, since) = self.0.borrow_mut().pop()?;
            if since.elapsed() > idle_for {
                // All others have waited for longer.
                self.0.borrow_mut().clear();
                return None;
            }
            if is_open(&connection) {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, connection: C) {
        self.0.borrow_mut().push((connection, Instant::now()));
    }

    /// Closes connections that have waited for too long.
    pub(super) fn sweep(&self, idle_for: Duration, is_open: impl Fn(&C) -> bool) {
        self.0.borrow_mut().retain(|(connection, since)| since.elapsed() <= idle_for && is_open(connection));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}
