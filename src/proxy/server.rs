//! The server: worker threads that share the listening sockets, and end when they are told to.

use std::cell::{Cell, RefCell};
use std::fmt;
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
use super::listen::{Acceptor, Listener, SocketFile};
use super::memory;
use super::stream::{Accepted, Handed};
use super::tap::{Order, Tap};
use super::terminate::Terminator;
use super::worker::Worker;
use crate::state::Live;
use crate::telemetry::RequestLog;

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
/// When a worker can not be started. Then none serves.
pub fn serve(
    listeners: Vec<Listener>,
    live: &Arc<Live>,
    log: &RequestLog,
    stop: &watch::Receiver<Stop>,
) -> io::Result<()> {
    let number = live.snapshot().config.workers.max(1);
    let (seats, inboxes): (Vec<_>, Vec<_>) = (0..number).map(|_| Seat::new()).unzip();
    let seats: Arc<[Seat]> = seats.into();
    let terminator = Terminator::new(live.clone())?;
    // All that can fail comes before anybody serves.
    let mut starts = Vec::with_capacity(number);
    for (own, inbox) in inboxes.into_iter().enumerate() {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let acceptors = listeners.iter().map(Listener::share).collect::<io::Result<_>>()?;
        drop(entered);
        let seats = Seats { all: seats.clone(), own };
        starts.push(Start { runtime, acceptors, socket_files: Vec::new(), seats, inbox });
    }
    // From here on only the workers hold the listening sockets, and close them when they stop accepting.
    starts[0].socket_files = listeners.into_iter().filter_map(Listener::close).collect();
    thread::scope(|scope| {
        let mut workers = Vec::with_capacity(number);
        for start in starts {
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let (live, log, stop, terminator) = (live.clone(), log.clone(), stop.clone(), terminator.clone());
            let run = move || {
                let worker = || Worker::new(live, log, terminator);
                wait.recv().is_ok().then(|| run_worker(start, worker, stop))
            };
            workers
                .push((thread::Builder::new().name(format!("worker-{}", workers.len())).spawn_scoped(scope, run)?, go));
        }
        // One that could not be started has ended this already, and with it the wait of the others.
        for (_, go) in &workers {
            go.send(()).unwrap_or_default();
        }
        for (worker, _) in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Ok(())
    })
}

/// What a worker thread starts with.
struct Start {
    runtime: runtime::Runtime,
    acceptors: Vec<Acceptor>,
    /// Removed when the worker stops accepting.
    socket_files: Vec<SocketFile>,
    seats: Seats,
    inbox: mpsc::UnboundedReceiver<Handed>,
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
        target.load.fetch_add(1, Ordering::Relaxed);
        let back = match accepted.hand_over().map(|handed| target.inbox.send(handed)) {
            Ok(Ok(())) => return None,
            Ok(Err(mpsc::error::SendError(handed))) => handed.take().ok(),
            Err(_) => None,
        };
        target.load.fetch_sub(1, Ordering::Relaxed);
        // The other one takes nobody any more: this one serves the client.
        back.inspect(|_| self.count())
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
    /// When the last warning was written.
    warned: Cell<Option<Instant>>,
}

fn run_worker(start: Start, worker: impl FnOnce() -> Worker, mut stop: watch::Receiver<Stop>) {
    let Start { runtime, acceptors, socket_files, seats, mut inbox } = start;
    LocalSet::new().block_on(&runtime, async move {
        let worker = Rc::new(worker());
        let serving = Rc::new(Serving { worker, seats, connections: RefCell::default(), warned: Cell::default() });
        let acceptors: Vec<_> = acceptors.into_iter().map(Rc::new).collect();
        let accepting: Vec<_> =
            acceptors.iter().map(|acceptor| spawn_local(serving.clone().accept_all(acceptor.clone()))).collect();
        let sweeping = spawn_local(serving.clone().sweep());
        while *stop.borrow_and_update() == Stop::Never {
            tokio::select! {
                Some(handed) = inbox.recv() => serving.clone().take(handed),
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        for task in accepting {
            task.abort();
            // Until it is gone it holds the socket.
            let _ = task.await;
        }
        serving.accept_rest(acceptors, inbox).await;
        drop(socket_files);
        serving.drain(&mut stop).await;
        sweeping.abort();
        serving.worker.end();
    });
}

impl Serving {
    async fn accept_all(self: Rc<Self>, acceptor: Rc<Acceptor>) {
        loop {
            match acceptor.accept().await {
                Ok(accepted) => self.clone().admit(accepted),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.warn(format_args!("cannot accept connections, trying again every 100 ms: {error}"));
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Takes those in whose connection was made before we stopped accepting, and closes the sockets.
    async fn accept_rest(self: &Rc<Self>, acceptors: Vec<Rc<Acceptor>>, mut inbox: mpsc::UnboundedReceiver<Handed>) {
        for acceptor in acceptors.into_iter().filter_map(Rc::into_inner) {
            for handed in acceptor.close().unwrap_or_default() {
                self.seats.count();
                self.clone().take(handed);
            }
        }
        inbox.close();
        while let Some(handed) = inbox.recv().await {
            self.clone().take(handed);
        }
    }

    fn admit(self: Rc<Self>, accepted: Accepted) {
        let limit = self.worker.live.snapshot().config.limits.connections;
        if self.seats.connections() >= limit {
            return self.warn(format_args!("connections are refused: {limit} are open"));
        }
        if let Some(accepted) = self.seats.assign(accepted) {
            self.begin(accepted);
        }
    }

    /// Says what is wrong, at most once a second.
    fn warn(&self, what: fmt::Arguments<'_>) {
        let now = Instant::now();
        if self.warned.get().is_none_or(|last| now - last >= Duration::from_secs(1)) {
            self.warned.set(Some(now));
            tracing::warn!("{what}");
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

    /// Closes the connections of clients that take longer than they may, and gives back the memory of those that
    /// have ended.
    async fn sweep(self: Rc<Self>) {
        let (mut most, mut has_fallen) = (0, false);
        loop {
            sleep(Duration::from_millis(250)).await;
            let (now, snapshot) = (Instant::now(), self.worker.live.snapshot());
            self.worker.live.memory().sweep(now);
            for tap in self.connections.borrow().iter().filter(|tap| tap.is_overdue(now, &snapshot.config.limits)) {
                tap.give(Order::Close);
            }
            // One round later: the runtime frees what belongs to a socket when it next asks the kernel.
            if std::mem::take(&mut has_fallen) {
                self.connections.borrow_mut().shrink_to_fit();
                memory::give_back();
            }
            let open = self.connections.borrow().len();
            has_fallen = open < most / 2;
            most = if has_fallen { open } else { most.max(open) };
        }
    }

    /// Finishes what is begun, for as long as that is allowed to take.
    async fn drain(&self, stop: &mut watch::Receiver<Stop>) {
        while !self.connections.borrow().is_empty() || self.worker.works_apart() {
            match *stop.borrow() {
                Stop::By(end) if Instant::now() < end => {}
                Stop::By(_) | Stop::Now => break,
                Stop::Never => {}
            }
            // Again and again: a connection heeds it once no request is on its way in.
            self.connections.borrow().iter().for_each(|tap| tap.give(Order::Drain));
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

/// Errors that belong to the connection, not to the listening socket: accept(2) passes on what is pending
/// on the new one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown, NetworkUnreachable,
        PermissionDenied, TimedOut,
    };
    const PROTOCOL_ERROR: i32 = 71;
    error.raw_os_error() == Some(PROTOCOL_ERROR)
        || matches!(
            error.kind(),
            ConnectionAborted
                | ConnectionReset
                | ConnectionRefused
                | HostUnreachable
                | NetworkDown
                | NetworkUnreachable
                | PermissionDenied
                | TimedOut
        )
}
