use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::spawn_local;

use super::buffers::Buffers;
use super::clock::Clock;
use super::terminate::Terminator;
use super::upstream::Upstreams;
use crate::state::Live;
use crate::telemetry::{Entropy, RequestId, RequestLog};

/// What one worker thread has of its own, and its share of what all have.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) live: Arc<Live>,
    pub(super) log: RequestLog,
    pub(super) terminator: Terminator,
    pub(super) upstreams: Upstreams,
    pub(super) clock: Clock,
    pub(super) buffers: Buffers,
    /// Exchanges that go on although nobody waits for them any more.
    apart: Cell<usize>,
    /// The thread is about to end: what is dropped from now on is dropped for good.
    has_ended: Cell<bool>,
    entropy: RefCell<Entropy>,
}

impl Worker {
    pub(super) fn new(live: Arc<Live>, log: RequestLog, terminator: Terminator) -> Self {
        Self {
            live,
            log,
            terminator,
            upstreams: Upstreams::default(),
            clock: Clock::default(),
            buffers: Buffers::default(),
            apart: Cell::new(0),
            has_ended: Cell::new(false),
            entropy: RefCell::new(Entropy::seeded()),
        }
    }

    /// Finishes work for which nobody waits any more.
    pub(super) fn finish_apart<T: 'static>(self: &Rc<Self>, work: Pin<Box<dyn Future<Output = T>>>) {
        if self.has_ended.get() {
            return;
        }
        self.apart.set(self.apart.get() + 1);
        let worker = self.clone();
        spawn_local(async move {
            work.await;
            worker.apart.set(worker.apart.get() - 1);
        });
    }

    pub(super) fn works_apart(&self) -> bool {
        self.apart.get() > 0
    }

    pub(super) fn end(&self) {
        self.has_ended.set(true);
    }

    pub(super) fn new_request_id(&self) -> RequestId {
        RequestId::new(SystemTime::now(), self.entropy.borrow_mut().next_u128())
    }
}
