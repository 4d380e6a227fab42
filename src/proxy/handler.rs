//! The path of a request, top to bottom: check, route, prepare, read; then the exchange with the bot.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri, Version, header, request};
use hyper::body::Incoming;

use super::body::{Outgoing, RequestBody};
use super::entry::Entry;
use super::error::Error;
use super::exchange::Exchange;
use super::finish::Finish;
use super::framing::Framing;
use super::header::{self as headers, Hop};
use super::input::Input;
use super::tap::Tap;
use super::worker::Worker;
use crate::config::{Address, Route, TransferMode, Upstream};
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
}

/// Answers one request. It never fails: whatever goes wrong is an answer too.
pub(super) async fn handle(connection: Rc<Connection>, request: Request<Incoming>) -> Response<Outgoing> {
    let head = connection.tap.take_head();
    let began = head.as_ref().ok().and_then(|(began, _)| *began).unwrap_or_else(Instant::now);
    // Where a chunked body ends on the wire is hyper's knowledge alone, so the head of a request behind it
    // could not be checked: the connection ends with this one.
    let is_last = !matches!(head, Ok((_, Framing::Length(_))));
    let arrival = Arrival::new(connection, &request, began);
    let mut response = match head {
        Ok(_) => arrival.answer(request).await,
        Err(refusal) => arrival.refuse(&Error::Refused(refusal)),
    };
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A request that has come in and found no route yet.
struct Arrival {
    connection: Rc<Connection>,
    /// The configuration this request keeps to.
    snapshot: Arc<Snapshot>,
    /// The peer is a trusted proxy: what it says of the client counts.
    trusted: bool,
    entry: Box<Entry>,
}

impl Arrival {
    fn new(connection: Rc<Connection>, request: &Request<Incoming>, began: Instant) -> Self {
        let snapshot = connection.worker.live.snapshot();
        let trusted_proxies = &snapshot.config.trusted_proxies;
        let trusted = connection.peer.is_none_or(|peer| trusted_proxies.contains(peer));
        let client = headers::client_address(request.headers(), connection.peer, trusted_proxies);
        let kept = request.headers().get(&headers::REQUEST_ID).filter(|_| trusted).and_then(RequestId::kept);
        let id = kept.unwrap_or_else(|| connection.worker.new_request_id());
        let mut record = Record::new(id, client.map_or(Client::Unix, Client::Addr), Action::Forward(Cause::Off));
        record.method = Some(request.method().clone());
        record.path = RequestPath::of(request.uri());
        let entry = Box::new(Entry::open(record, connection.worker.log.clone(), connection.tap.clone(), began));
        Self { connection, snapshot, trusted, entry }
    }

    fn refuse(self, error: &Error) -> Response<Outgoing> {
        error.respond(error.action(), &self.connection.worker.clock, self.entry)
    }

    async fn answer(mut self, request: Request<Incoming>) -> Response<Outgoing> {
        let (mut parts, body) = request.into_parts();
        let host = parts.headers.get(header::HOST).cloned().or_else(|| authority(&parts.uri));
        let name = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let Some(position) = self.snapshot.find(name, parts.uri.path()) else { return self.refuse(&Error::NoRoute) };
        let snapshot = self.snapshot.clone();
        let route = snapshot.route(position);
        self.entry.record.route = Some(route.name.clone());
        self.entry.record.dry_run = route.transfer == TransferMode::DryRun;
        let request_flags = self.request_flags(&parts, route);
        let is_for_wechat = is_of_wechat(&parts);
        self.prepare(&mut parts, route, host.as_ref());
        let worker = self.connection.worker.clone();
        let pool = worker.upstreams.pool(&route.upstream);
        let exchange = Box::new(Exchange {
            worker,
            pool,
            snapshot: self.snapshot,
            position,
            request_flags,
            is_for_wechat,
            entry: self.entry,
        });
        if route.transfer == TransferMode::Off {
            return exchange.stream(parts, RequestBody::default(), body, Cause::Off).await;
        }
        Self::take(exchange, parts, body).await
    }

    /// Reads a request that can be a callback; anything else streams past.
    async fn take(exchange: Box<Exchange>, parts: request::Parts, body: Incoming) -> Response<Outgoing> {
        match Input::read(&parts, body, &exchange.snapshot.config.limits).await {
            Input::Callback(body, trailers) => {
                let worker = exchange.worker.clone();
                Finish::new(exchange.callback(parts, body, trailers), worker).await
            }
            Input::Other { first, rest, cause } => exchange.stream(parts, RequestBody::whole(first), rest, cause).await,
            Input::Broken => exchange.refuse(&Error::BrokenBody),
        }
    }

    /// The flag on the request, where it counts.
    fn request_flags(&self, parts: &request::Parts, route: &Route) -> Vec<HeaderValue> {
        if !(route.accept_request_flag && self.trusted) {
            return Vec::new();
        }
        parts.headers.get_all(&route.flag_header).iter().cloned().collect()
    }

    /// Makes the client's request the gate's own: everything stays as it is but for what contract section 4
    /// names.
    fn prepare(&self, parts: &mut request::Parts, route: &Route, host: Option<&HeaderValue>) {
        let headers = &mut parts.headers;
        headers::strip_request_hop_by_hop(headers);
        headers::strip_twins(headers, &route.flag_header);
        if !self.trusted {
            headers.remove(&route.flag_header);
        }
        let hop = Hop { peer: self.connection.peer, trusted: self.trusted, scheme: "http", host };
        headers::set_forwarded(headers, hop);
        headers.insert(headers::REQUEST_ID, self.entry.record.id.to_header());
        // HTTP/1.0 may come without a host; HTTP/1.1 can not leave without one.
        if !headers.contains_key(header::HOST)
            && let Some(host) = host.cloned().or_else(|| own_host(&route.upstream))
        {
            headers.insert(header::HOST, host);
        }
        parts.version = Version::HTTP_11;
        parts.uri = behind(&route.upstream.base_path, &parts.uri);
    }
}

/// The host of an absolute target.
fn authority(uri: &Uri) -> Option<HeaderValue> {
    uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
}

fn own_host(upstream: &Upstream) -> Option<HeaderValue> {
    match &upstream.address {
        Address::Tcp { host, port } => HeaderValue::from_maybe_shared(format!("{host}:{port}")).ok(),
        Address::Unix(_) => Some(HeaderValue::from_static("localhost")),
    }
}

/// The target for the bot, in origin form, behind the base path.
fn behind(base_path: &str, uri: &Uri) -> Uri {
    let target = uri.path_and_query();
    if base_path.is_empty() {
        return target.cloned().map(Uri::from).unwrap_or_default();
    }
    let target = target.map_or("/", PathAndQuery::as_str);
    // `http://host?query` has a path all the same.
    let slash = if target.starts_with('/') { "" } else { "/" };
    let joined = PathAndQuery::from_maybe_shared(format!("{base_path}{slash}{target}"));
    joined.map_or_else(|_| uri.clone(), Uri::from)
}

/// Whether a request carries what WeChat's requests carry: the check of the URL, or a signature.
fn is_of_wechat(parts: &request::Parts) -> bool {
    let mark = match parts.method {
        Method::GET => "echostr=",
        Method::POST => "signature=",
        _ => return false,
    };
    let has_mark = |pair: &str| pair.strip_prefix("msg_").unwrap_or(pair).starts_with(mark);
    parts.uri.query().is_some_and(|query| query.split('&').any(has_mark))
}
