//! Callbacks that are exchanged whole, over HTTP of the gate's own: a short POST of known length, and a
//! reply that is read to its end. It is what nearly every callback is. Whatever is in any way else, hyper
//! carries ([`super::streamed`]): this front takes only what can be read in one way.

mod chunks;
mod lines;
mod reply;
mod request;

use std::borrow::Cow;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::timeout_at;

pub(super) use self::reply::{Look, Reply};
use self::request::{Onward, Request};
use super::arrival::{Arrival, Connection, Facts, Given};
use super::client::Client;
use super::clock::Clock;
use super::entry::Entry;
use super::error::{Error, Own};
use super::exchange::{Exchange, Identity, Told};
use super::handler::is_signed;
use super::transport::{Answer, Transport, Unanswered};
use super::upstream::{Pool, Question, Resumed, UpstreamError};
use super::worker::Worker;
use crate::config::{Limits, Route, TransferMode};
use crate::policy::Cause;
use crate::telemetry::RequestPath;
use crate::wechat::Format;

/// The way of a message that is here whole.
pub(super) struct Whole;

/// What comes of a request.
pub(super) enum Outcome {
    /// What the client gets.
    Response(Response),
    /// The bot's answer has to be streamed. None: the request has not been sent yet.
    Unfit(Option<Box<Resumed>>),
}

/// A response as it goes out.
pub(super) struct Response {
    wire: Vec<u8>,
    /// The connection ends with it.
    closes: bool,
    /// Memory that the bot's reply took.
    room: Vec<u8>,
    /// Written to the log when it is dropped.
    entry: Box<Entry>,
}

impl Transport for Whole {
    type Request = Box<Question>;
    type Answer = Box<Reply>;
    type Unfit = Box<Resumed>;
    type Response = Outcome;

    async fn ask(
        pool: &Rc<Pool>,
        question: Box<Question>,
        limits: &Limits,
    ) -> Result<Box<Reply>, Unanswered<Box<Resumed>>> {
        pool.ask(question, limits).await
    }

    fn asked_at(question: &Box<Question>) -> Instant {
        question.asked
    }

    fn relay(mut reply: Box<Reply>, flag: &HeaderName, mut entry: Box<Entry>) -> Outcome {
        let (mut wire, closes) = (std::mem::take(&mut reply.spare), entry.is_last());
        wire.clear();
        reply.write(flag, closes, &mut wire);
        entry.record.bytes_out = reply.body().len() as u64;
        Outcome::Response(Response { wire, closes, room: reply.wire, entry })
    }

    fn own(own: Own, worker: &Worker, mut entry: Box<Entry>) -> Outcome {
        let Own { status, content_type, body } = own;
        let closes = entry.is_last();
        let mut wire = worker.buffers.take();
        // Writing to a Vec does not fail.
        let _ = write!(wire, "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        if let Some(date) = worker.clock.date(Clock::unix_time().as_secs()) {
            wire.extend_from_slice(b"Date: ");
            wire.extend_from_slice(date.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(if closes { b"Connection: close\r\n\r\n" } else { b"\r\n" });
        wire.extend_from_slice(&body);
        entry.record.status = Some(status.as_u16());
        entry.record.bytes_out = body.len() as u64;
        Outcome::Response(Response { wire, closes, room: Vec::new(), entry })
    }

    fn unfit(resumed: Box<Resumed>, entry: Box<Entry>) -> Outcome {
        entry.forget();
        Outcome::Unfit(Some(resumed))
    }
}

impl Answer for Box<Reply> {
    fn status(&self) -> StatusCode {
        Reply::status(self)
    }

    fn named(&self, name: &HeaderName) -> Vec<HeaderValue> {
        Reply::named(self, name)
    }

    async fn read(&mut self, _: usize, _: Duration) -> Result<(), UpstreamError> {
        Ok(())
    }

    fn text(&self, limit: usize) -> Option<Cow<'_, str>> {
        if self.body().len() <= limit { Reply::text(self, limit) } else { None }
    }

    fn is_replay(&self) -> bool {
        false
    }

    fn ends_with_connection(&self) -> bool {
        false
    }
}

/// What becomes of a client's connection.
pub(super) enum Next {
    /// It is over.
    Closed,
    /// What it sent has to be streamed; the bot may have begun to answer.
    Stream(Client, Option<Box<Resumed>>),
}

/// Serves the requests of a client that can be exchanged whole.
pub(super) async fn serve(connection: &Rc<Connection>, mut client: Client) -> Next {
    loop {
        let (outcome, length) = match Request::look(&client.unread) {
            request::Look::Fit(request) => {
                let length = request.len();
                connection.tap.take_whole(request.closes);
                (answer(connection, request).await, length)
            }
            request::Look::Partial(total) => match receive(connection, &mut client, total).await {
                Received::Bytes => continue,
                Received::Nothing => return Next::Closed,
                Received::TooLittle => (Outcome::Unfit(None), 0),
            },
            request::Look::Unfit => (Outcome::Unfit(None), 0),
        };
        match outcome {
            Outcome::Unfit(resumed) => return Next::Stream(client, resumed),
            Outcome::Response(response) => {
                if !send(connection, &mut client, response).await {
                    return Next::Closed;
                }
                if client.consume(length, &connection.worker.buffers) {
                    connection.tap.begin();
                }
            }
        }
    }
}

enum Received {
    Bytes,
    /// The connection is over.
    Nothing,
    /// The body does not come at once, or has broken off.
    TooLittle,
}

/// Reads more of a request, of which `total` bytes are expected once its head is here.
async fn receive(connection: &Connection, client: &mut Client, total: Option<usize>) -> Received {
    /// How long the rest of a message that has been sent may be under way.
    const ON_ITS_WAY: Duration = Duration::from_millis(500);
    let Connection { worker, tap, .. } = connection;
    let missing = total.map_or(1, |total| total - client.unread.len());
    let reading = client.receive(missing, &worker.buffers);
    let read = if total.is_some() {
        let until = tap.began().unwrap_or_else(Instant::now) + ON_ITS_WAY;
        let Ok(read) = timeout_at(until.into(), reading).await else { return Received::TooLittle };
        read
    } else {
        reading.await
    };
    match read {
        Ok(1..) => {
            if client.has_begun(&worker.buffers) {
                tap.begin();
            }
            Received::Bytes
        }
        _ if total.is_some() => Received::TooLittle,
        _ => Received::Nothing,
    }
}

/// Sends a response. False if the connection is over.
async fn send(connection: &Connection, client: &mut Client, response: Response) -> bool {
    let Response { wire, closes, room, entry } = response;
    let Connection { worker, tap, .. } = connection;
    let sent = client.send(&wire, tap).await;
    drop(entry);
    worker.buffers.give(wire);
    worker.buffers.give(room);
    if sent.is_err() {
        return false;
    }
    if closes {
        client.end().await;
        return false;
    }
    true
}

/// Answers one request. It never fails: whatever goes wrong is an answer too.
async fn answer(connection: &Rc<Connection>, request: Request<'_>) -> Outcome {
    let worker = connection.worker.clone();
    let snapshot = worker.live.snapshot();
    let (path, query) = request.target();
    let position = snapshot.find(request.host(), path);
    let too_long = request.body().len() > snapshot.config.limits.callback_body;
    if too_long || position.is_some_and(|position| !is_fit(snapshot.route(position))) {
        return Outcome::Unfit(None);
    }
    let facts = Facts {
        method: Method::POST,
        path: Some(RequestPath::raw(path.as_bytes())),
        forwarded_for: request.forwarded_for(),
        id: Given::ByPeer(request.request_id()),
        began: connection.tap.began().unwrap_or_else(Instant::now),
    };
    let arrival = Arrival::new(connection.clone(), snapshot, facts);
    let Some(position) = position else { return refuse(arrival, &worker) };
    let snapshot = arrival.snapshot.clone();
    let route = snapshot.route(position);
    let flags = if arrival.takes_flag(route) { request.named(&route.flag_header) } else { Vec::new() };
    let (trusted, is_signed) = (arrival.trusted, query.is_some_and(is_signed));
    let mut exchange = Box::new(arrival.exchange(position, flags, is_signed));
    exchange.entry.record.bytes_in = request.body().len() as u64;
    let question = |exchange: &Exchange, identity, waits| {
        let id = &exchange.entry.record.id;
        let identity = identity == Identity::Wanted;
        let mut wire = worker.buffers.take();
        let (peer, scheme) = (connection.peer_name(), connection.scheme);
        request.write(&Onward { route, peer, trusted, scheme, id, identity }, &mut wire);
        Box::new(Question { wire, room: worker.buffers.take(), waits, id: id.clone(), asked: Instant::now() })
    };
    let cause = match Format::sniff(request.body()) {
        _ if route.transfer == TransferMode::Off => Cause::Off,
        None => Cause::NotCallback,
        Some(_) => {
            let told = Told { body: request.body(), declared: request.declared(), query };
            let ask = |exchange: &Exchange, identity| question(exchange, identity, exchange.waits_for_whole_replies());
            return exchange.callback::<Whole>(told, ask).await;
        }
    };
    let question = question(&exchange, Identity::AsIs, is_signed);
    let is_refused = exchange.refuses(&Method::POST, true, query);
    exchange.forward::<Whole>(question, cause, is_refused).await
}

/// Whether callbacks of this route can be exchanged whole.
fn is_fit(route: &Route) -> bool {
    // Of a flag with a `_`, requests may hold a twin with a `-`. Answers that others wait for are kept by hyper's way.
    route.upstream.tls.is_none() && !route.flag_header.as_str().contains('_') && !route.dedupe
}

fn refuse(mut arrival: Arrival, worker: &Worker) -> Outcome {
    let error = Error::NoRoute;
    arrival.entry.record.action = error.action();
    Whole::own(error.answer(), worker, arrival.entry)
}
