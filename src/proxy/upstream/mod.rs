//! Connections to the bots: opened on demand, kept for the next request, each used for one at a time.

mod error;
mod names;
mod shelf;
mod streamed;
mod switch;
mod whole;

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::task::spawn_local;
use tokio::time::sleep;

pub(super) use self::error::UpstreamError;
use self::shelf::Shelf;
pub(super) use self::streamed::{Lease, ToBot};
pub(super) use self::switch::Switch;
pub(super) use self::whole::{Question, Resumed};
use super::stream::Stream;
use super::tls::{self, Connector};
use crate::config::{Address, Upstream};

/// One worker's pools, one an upstream.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    pools: RefCell<Vec<Rc<Pool>>>,
}

impl Upstreams {
    pub(super) fn pool(&self, upstream: &Arc<Upstream>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) =
            pools.iter().find(|pool| Arc::ptr_eq(&pool.upstream, upstream) || pool.upstream == *upstream)
        {
            return pool.clone();
        }
        let pool = Rc::new(Pool::new(upstream.clone()));
        pools.push(pool.clone());
        pool
    }
}

/// The connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    upstream: Arc<Upstream>,
    connector: OnceCell<Option<Connector>>,
    /// Where the upstream's name leads.
    known: names::Known,
    /// Those that hyper speaks over.
    streamed: Shelf<streamed::Connection>,
    /// Those over which exchanges go as a whole.
    whole: Shelf<Stream>,
    idle_for: Cell<Duration>,
    is_swept: Cell<bool>,
    warned: Cell<Option<Instant>>,
}

impl Pool {
    fn new(upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            connector: OnceCell::new(),
            known: names::Known::default(),
            streamed: Shelf::default(),
            whole: Shelf::default(),
            idle_for: Cell::default(),
            is_swept: Cell::default(),
            warned: Cell::default(),
        }
    }

    async fn open(&self) -> Result<Stream, UpstreamError> {
        let stream = match &self.upstream.address {
            Address::Tcp { host, port } => self.known.connect(host, *port).await.map(Stream::Tcp),
            Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        };
        stream.map_err(UpstreamError::Connect)
    }

    fn connector(&self) -> io::Result<Option<&Connector>> {
        if self.connector.get().is_none() {
            let made = tls::connector(&self.upstream)?;
            return Ok(self.connector.get_or_init(|| made).as_ref());
        }
        Ok(self.connector.get().and_then(Option::as_ref))
    }

    /// Sees to it that connections which wait for too long are closed.
    fn watch(self: &Rc<Self>) {
        if !self.is_swept.replace(true) {
            spawn_local(self.clone().sweep());
        }
    }

    async fn sweep(self: Rc<Self>) {
        while !self.streamed.is_empty() || !self.whole.is_empty() {
            sleep(Duration::from_secs(1)).await;
            self.streamed.sweep(self.idle_for.get(), streamed::Connection::is_open);
            self.whole.sweep(self.idle_for.get(), Stream::is_quiet);
        }
        self.is_swept.set(false);
    }

    /// Says on the diagnostics log what is wrong, at most once a second.
    pub(super) fn warn(&self, route: &str, what: impl fmt::Display) {
        let now = Instant::now();
        if self.warned.get().is_none_or(|last| now - last >= Duration::from_secs(1)) {
            self.warned.set(Some(now));
            tracing::warn!(route, upstream = self.upstream.url, "{what}");
        }
    }
}
