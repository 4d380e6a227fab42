//! The path of a request that hyper reads, top to bottom: check, route, prepare, read; then the exchange with
//! the bot.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header, request};
use hyper::body::Incoming;

use super::arrival::{Arrival, Connection, Facts, Given};
use super::body::{Outgoing, RequestBody};
use super::error::Error;
use super::exchange::{Exchange, Identity, Told};
use super::finish::Finish;
use super::framing::Framing;
use super::header::{self as headers, Hop};
use super::http2;
use super::input::Input;
use super::streamed::Streamed;
use super::transport::Transport;
use super::upgrade;
use super::upstream::{Resumed, ToBot};
use crate::config::{Address, Route, TransferMode, Upstream};
use crate::policy::Cause;
use crate::telemetry::RequestPath;
use crate::wechat::Format;

/// Answers one request. It never fails: whatever goes wrong is an answer too.
pub(super) async fn handle(connection: Rc<Connection>, request: Request<Incoming>) -> Response<Outgoing> {
    let is_http2 = request.version() == Version::HTTP_2;
    let head = if is_http2 {
        connection.tap.take_stream();
        http2::check(&request).map(|()| (None, Framing::Length(0)))
    } else {
        connection.tap.take_head()
    };
    let began = head.as_ref().ok().and_then(|(began, _)| *began).unwrap_or_else(Instant::now);
    // Where a chunked body ends on the wire is hyper's knowledge alone, so the head of a request behind it
    // could not be checked: the connection ends with this one.
    let is_last = !is_http2 && !matches!(head, Ok((_, Framing::Length(_))));
    let resumed = connection.resumed.take();
    let arrival =
        Arrival::new(connection.clone(), connection.worker.live.snapshot(), facts(&request, resumed.as_deref(), began));
    let mut response = match head {
        Ok(_) => arrival.answer(request, resumed).await,
        Err(refusal) => arrival.refuse(&Error::Refused(refusal)),
    };
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn facts<'r>(
    request: &'r Request<Incoming>,
    resumed: Option<&Resumed>,
    began: Instant,
) -> Facts<impl DoubleEndedIterator<Item = &'r [u8]>> {
    let headers = request.headers();
    Facts {
        method: request.method().clone(),
        path: RequestPath::of(request.uri()),
        forwarded_for: headers.get_all(&headers::FORWARDED_FOR).iter().map(HeaderValue::as_bytes),
        id: match resumed {
            Some(resumed) => Given::Before(resumed.id.clone()),
            None => Given::ByPeer(headers.get(&headers::REQUEST_ID).cloned()),
        },
        began,
    }
}

impl Arrival {
    fn refuse(mut self, error: &Error) -> Response<Outgoing> {
        self.entry.record.action = error.action();
        Streamed::own(error.answer(), &self.connection.worker, self.entry)
    }

    async fn answer(self, request: Request<Incoming>, resumed: Option<Box<Resumed>>) -> Response<Outgoing> {
        let (mut parts, body) = request.into_parts();
        let host = parts.headers.get(header::HOST).cloned().or_else(|| authority(&parts.uri));
        let name = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let Some(position) = self.snapshot.find(name, parts.uri.path()) else { return self.refuse(&Error::NoRoute) };
        let snapshot = self.snapshot.clone();
        let route = snapshot.route(position);
        let request_flags = self.request_flags(&parts, route);
        let is_for_wechat = is_of_wechat(&parts);
        let protocol = if route.upgrade { upgrade::protocol(&parts, &body) } else { None };
        self.prepare(&mut parts, route, host.as_ref());
        let connection = self.connection.clone();
        let exchange = Box::new(self.exchange(position, request_flags, is_for_wechat));
        if let Some(protocol) = protocol {
            return exchange.switch(parts, protocol, &connection).await;
        }
        if route.transfer == TransferMode::Off {
            return exchange.stream(parts, RequestBody::default(), body, resumed, Cause::Off).await;
        }
        take(exchange, parts, body, resumed).await
    }

    /// The flag on the request, where it counts.
    fn request_flags(&self, parts: &request::Parts, route: &Route) -> Vec<HeaderValue> {
        if !self.takes_flag(route) {
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
        if parts.version == Version::HTTP_2 {
            http2::join_cookies(headers);
        }
        if !self.trusted {
            headers.remove(&route.flag_header);
        }
        let hop = Hop { peer: self.connection.peer, trusted: self.trusted, scheme: self.connection.scheme, host };
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

/// Reads a request that can be a callback; anything else streams past.
async fn take(
    exchange: Box<Exchange>,
    parts: request::Parts,
    body: Incoming,
    resumed: Option<Box<Resumed>>,
) -> Response<Outgoing> {
    match Input::read(&parts, body, &exchange.snapshot.config.limits).await {
        Input::Callback(body, trailers) => {
            let worker = exchange.worker.clone();
            Finish::new(callback(exchange, parts, body, trailers, resumed), worker).await
        }
        Input::Other { first, rest, cause } => {
            exchange.stream(parts, RequestBody::whole(first), rest, resumed, cause).await
        }
        Input::Broken => exchange.refuse::<Streamed>(&Error::BrokenBody),
    }
}

async fn callback(
    exchange: Box<Exchange>,
    mut parts: request::Parts,
    body: Bytes,
    trailers: Option<HeaderMap>,
    resumed: Option<Box<Resumed>>,
) -> Response<Outgoing> {
    let declared = parts.headers.get(header::CONTENT_TYPE).and_then(|value| Format::declared(value.as_bytes()));
    let target = parts.uri.path_and_query().cloned();
    let query = target.as_ref().and_then(PathAndQuery::query);
    let sent = body.clone();
    let request = |exchange: &Exchange, identity| {
        if identity == Identity::Wanted {
            headers::ask_for_identity(&mut parts.headers);
        }
        let body = RequestBody::whole(sent).with_trailers(trailers, &exchange.route().flag_header);
        ToBot { request: Box::new(Request::from_parts(parts, body)), resumed, flight: exchange.flight.clone() }
    };
    exchange.callback::<Streamed>(Told { body: &body, declared, query }, request).await
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
    let query = parts.uri.query().unwrap_or_default();
    match parts.method {
        Method::GET => has_pair(query, "echostr="),
        Method::POST => is_signed(query),
        _ => false,
    }
}

/// Whether a query holds a signature, right or wrong.
pub(super) fn is_signed(query: &str) -> bool {
    has_pair(query, "signature=")
}

fn has_pair(query: &str, mark: &str) -> bool {
    let mut pairs = query.as_bytes().split(|byte| *byte == b'&');
    pairs.any(|pair| pair.strip_prefix(b"msg_").unwrap_or(pair).starts_with(mark.as_bytes()))
}
