//! The server: worker threads that share the listening sockets, and end when they are told to.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::connection;
use super::listen::{Acceptor, Listener};
use super::stream::{Accepted, Handed};
use super::tap::{Order, Tap};
use super::worker::Worker;
use crate::state::Live;
use crate::telemetry::RequestLog;

/// How long the first request of a connection that has just been taken in may need to be seen.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// Whether the server is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Never,
    /// Accept nobody any more, finish what is begun, and end at this time at the latest.
    By(Instant),
    Now,
}

/// Serves until told to stop. Blocks the calling thread.
///
/// # Errors
/// When a worker can not be started.
pub fn serve(
    listeners: &[Listener],
    live: &Arc<Live>,
    log: &RequestLog,
    stop: &watch::Receiver<Stop>,
) -> io::Result<()> {
    let workers = live.snapshot().config.workers.max(1);
    let (seats, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| Seat::new()).unzip();
    let seats: Arc<[Seat]> = seats.into();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let (seats, live, log, stop) = (seats.clone(), live.clone(), log.clone(), stop.clone());
            let run = move || run_worker(listeners, Seats { all: seats, own: number }, inbox, live, log, stop);
            threads.push(thread::Builder::new().name(format!("worker-{number}")).spawn_scoped(scope, run)?);
        }
        // A worker ends by itself only when it could not start.
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// One worker's place among the others.
#[derive(Debug)]
struct Seat {
    /// Connections it has.
    load: AtomicUsize,
    /// Takes connections that another worker accepted and has too many of.
    inbox: mpsc::UnboundedSender<Handed>,
}

impl Seat {
    fn new() -> (Self, mpsc::UnboundedReceiver<Handed>) {
        let (inbox, receiver) = mpsc::unbounded_channel();
        (Self { load: AtomicUsize::new(0), inbox }, receiver)
    }
}

#[derive(Debug, Clone)]
struct Seats {
    all: Arc<[Seat]>,
    own: usize,
}

impl Seats {
    fn connections(&self) -> usize {
        self.all.iter().map(|seat| seat.load.load(Ordering::Relaxed)).sum()
    }

    /// Counts a new connection for the worker with the fewest, and sends it there if that is another one.
    fn assign(&self, accepted: Accepted) -> Option<Accepted> {
        let load = |seat: &Seat| seat.load.load(Ordering::Relaxed);
        let own = &self.all[self.own];
        let target = match self.all.iter().min_by_key(|seat| load(seat)) {
            Some(least) if load(own) > load(least) => least,
            _ => own,
        };
        if std::ptr::eq(target, own) {
            self.count();
            return Some(accepted);
        }
        // A worker that has ended already takes nothing: the socket closes.
        if let Ok(handed) = accepted.hand_over()
            && target.inbox.send(handed).is_ok()
        {
            target.load.fetch_add(1, Ordering::Relaxed);
        }
        None
    }

    fn count(&self) {
        self.all[self.own].load.fetch_add(1, Ordering::Relaxed);
    }

    fn release(&self) {
        self.all[self.own].load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One worker thread and its connections.
struct Serving {
    worker: Rc<Worker>,
    seats: Seats,
    connections: RefCell<Vec<Rc<Tap>>>,
}

fn run_worker(
    listeners: &[Listener],
    seats: Seats,
    mut inbox: mpsc::UnboundedReceiver<Handed>,
    live: Arc<Live>,
    log: RequestLog,
    mut stop: watch::Receiver<Stop>,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let serving =
            Rc::new(Serving { worker: Rc::new(Worker::new(live, log)), seats, connections: RefCell::default() });
        let acceptors =
            listeners.iter().map(|listener| listener.share().map(Rc::new)).collect::<io::Result<Vec<_>>>()?;
        let accepting: Vec<_> =
            acceptors.iter().map(|acceptor| spawn_local(serving.clone().accept_all(acceptor.clone()))).collect();
        let sweeping = spawn_local(serving.clone().sweep());
        while *stop.borrow_and_update() == Stop::Never {
            tokio::select! {
                Some(handed) = inbox.recv() => serving.clone().take(handed),
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        accepting.iter().for_each(tokio::task::JoinHandle::abort);
        serving.accept_rest(&acceptors, &mut inbox).await;
        drop(acceptors);
        serving.drain(&mut stop).await;
        sweeping.abort();
        serving.worker.end();
        Ok(())
    })
}

impl Serving {
    async fn accept_all(self: Rc<Self>, acceptor: Rc<Acceptor>) {
        loop {
            match acceptor.accept().await {
                Ok(accepted) => self.clone().admit(accepted),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!("cannot accept connections, trying again in 100 ms: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Takes those in whose connection was made before we stopped accepting.
    async fn accept_rest(self: &Rc<Self>, acceptors: &[Rc<Acceptor>], inbox: &mut mpsc::UnboundedReceiver<Handed>) {
        while let Ok(handed) = inbox.try_recv() {
            self.clone().take(handed);
        }
        for acceptor in acceptors {
            while let Some(accepted) = acceptor.accept_now().await {
                self.seats.count();
                self.clone().begin(accepted);
            }
        }
    }

    fn admit(self: Rc<Self>, accepted: Accepted) {
        let limit = self.worker.live.snapshot().config.limits.connections;
        if self.seats.connections() >= limit {
            tracing::warn!(limit, "a connection was refused: too many are open");
            return;
        }
        if let Some(accepted) = self.seats.assign(accepted) {
            self.begin(accepted);
        }
    }

    /// Serves a connection that another worker handed over, counted already.
    fn take(self: Rc<Self>, handed: Handed) {
        match handed.take() {
            Ok(accepted) => self.begin(accepted),
            Err(error) => {
                tracing::debug!("a client connection was lost: {error}");
                self.seats.release();
            }
        }
    }

    /// Serves a connection that is counted for this worker.
    fn begin(self: Rc<Self>, accepted: Accepted) {
        let mut connections = self.connections.borrow_mut();
        let tap = Rc::new(Tap::new(Instant::now(), connections.len()));
        connections.push(tap.clone());
        drop(connections);
        let seated = Seated { serving: self, tap };
        spawn_local(
            async move { connection::serve(seated.serving.worker.clone(), accepted, seated.tap.clone()).await },
        );
    }

    fn end(&self, tap: &Tap) {
        let mut connections = self.connections.borrow_mut();
        let place = tap.place();
        connections.swap_remove(place);
        if let Some(moved) = connections.get(place) {
            moved.move_to(place);
        }
        self.seats.release();
    }

    /// Closes the connections of clients that take longer than they may.
    async fn sweep(self: Rc<Self>) {
        loop {
            sleep(Duration::from_millis(250)).await;
            let (now, snapshot) = (Instant::now(), self.worker.live.snapshot());
            for tap in self.connections.borrow().iter().filter(|tap| tap.is_overdue(now, &snapshot.config.limits)) {
                tap.give(Order::Close);
            }
        }
    }

    /// Finishes what is begun, for as long as that is allowed to take.
    async fn drain(&self, stop: &mut watch::Receiver<Stop>) {
        self.connections.borrow().iter().for_each(|tap| tap.give(Order::Drain));
        let arrived = Instant::now() + ON_ITS_WAY;
        while !self.connections.borrow().is_empty() || self.worker.works_apart() {
            match *stop.borrow() {
                Stop::By(end) if Instant::now() < end => {}
                Stop::By(_) | Stop::Now => break,
                Stop::Never => {}
            }
            if Instant::now() >= arrived {
                // hyper closes a connection between two requests, and not one before its first.
                self.connections.borrow().iter().filter(|tap| !tap.has_begun()).for_each(|tap| tap.give(Order::Close));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A connection that is counted, until this is dropped: at its end, whatever ended it.
struct Seated {
    serving: Rc<Serving>,
    tap: Rc<Tap>,
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.serving.end(&self.tap);
    }
}

/// Errors that belong to the connection, not to the listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
