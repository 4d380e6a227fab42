use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method};

use super::entry::Entry;
use super::exchange::Exchange;
use super::header as headers;
use super::tap::Tap;
use super::tunnel::Tunnel;
use super::upstream::Resumed;
use super::worker::Worker;
use crate::config::{Route, TransferMode};
use crate::policy::{Action, Cause};
use crate::state::Snapshot;
use crate::telemetry::{Client, Record, RequestId, RequestPath};

/// One client connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) tap: Rc<Tap>,
    /// None over a unix socket.
    pub(super) peer: Option<IpAddr>,
    peer_name: OnceCell<Box<str>>,
    /// What the client speaks over: `http` or `https`.
    pub(super) scheme: &'static str,
    /// The bot's answer to the request that comes next, where it has begun already.
    pub(super) resumed: RefCell<Option<Box<Resumed>>>,
    /// What the connection becomes once the reply has gone out that says so.
    pub(super) tunnel: RefCell<Option<Box<Tunnel>>>,
}

impl Connection {
    pub(super) fn new(worker: Rc<Worker>, tap: Rc<Tap>, peer: Option<IpAddr>, scheme: &'static str) -> Self {
        Self {
            worker,
            tap,
            peer,
            peer_name: OnceCell::new(),
            scheme,
            resumed: RefCell::default(),
            tunnel: RefCell::default(),
        }
    }

    /// The peer's address as text.
    pub(super) fn peer_name(&self) -> Option<&str> {
        self.peer.map(|peer| &**self.peer_name.get_or_init(|| peer.to_string().into()))
    }
}

/// A request that has come in and found no route yet.
pub(super) struct Arrival {
    pub(super) connection: Rc<Connection>,
    /// The configuration this request keeps to.
    pub(super) snapshot: Arc<Snapshot>,
    /// The peer is a trusted proxy: what it says of the client counts.
    pub(super) trusted: bool,
    pub(super) entry: Box<Entry>,
}

/// What a request says of itself.
pub(super) struct Facts<F> {
    pub(super) method: Method,
    pub(super) path: Option<RequestPath>,
    /// The values of X-Forwarded-For.
    pub(super) forwarded_for: F,
    /// The id that a peer, or an earlier attempt to answer, has given it.
    pub(super) id: Given,
    pub(super) began: Instant,
}

pub(super) enum Given {
    ByPeer(Option<HeaderValue>),
    Before(RequestId),
}

impl Arrival {
    pub(super) fn new<'v>(
        connection: Rc<Connection>,
        snapshot: Arc<Snapshot>,
        facts: Facts<impl DoubleEndedIterator<Item = &'v [u8]>>,
    ) -> Self {
        let Facts { method, path, forwarded_for, id, began } = facts;
        let trusted_proxies = &snapshot.config.trusted_proxies;
        let trusted = connection.peer.is_none_or(|peer| trusted_proxies.contains(peer));
        let client = headers::client_address(forwarded_for, connection.peer, trusted_proxies);
        let id = match id {
            Given::Before(id) => Some(id),
            Given::ByPeer(id) => id.filter(|_| trusted).as_ref().and_then(RequestId::kept),
        };
        let id = id.unwrap_or_else(|| connection.worker.new_request_id());
        let mut record = Record::new(id, client.map_or(Client::Unix, Client::Addr), Action::Forward(Cause::Off));
        record.method = Some(method);
        record.path = path;
        let entry = Box::new(Entry::open(record, connection.worker.log.clone(), connection.tap.clone(), began));
        Self { connection, snapshot, trusted, entry }
    }

    /// The exchange with the bot of the route in this position.
    pub(super) fn exchange(
        mut self,
        position: usize,
        request_flags: Vec<HeaderValue>,
        is_for_wechat: bool,
    ) -> Exchange {
        let route = self.snapshot.route(position);
        self.entry.record.route = Some(route.name.clone());
        self.entry.record.dry_run = route.transfer == TransferMode::DryRun;
        let worker = self.connection.worker.clone();
        let pool = worker.upstreams.pool(&route.upstream);
        let Self { snapshot, entry, .. } = self;
        Exchange { worker, pool, snapshot, position, request_flags, is_for_wechat, flight: None, entry }
    }

    /// Whether the flag counts on this request.
    pub(super) fn takes_flag(&self, route: &Route) -> bool {
        route.accept_request_flag && self.trusted
    }
}
