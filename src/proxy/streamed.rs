//! Exchanges that hyper carries: bodies of any size and shape, streamed.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Request, Response, Version, request};
use http_body::Body;
use hyper::body::Incoming;

use super::body::{Outgoing, RequestBody};
use super::clock::Clock;
use super::entry::Entry;
use super::error::Own;
use super::exchange::Exchange;
use super::header as headers;
use super::reply::Streaming;
use super::transport::{Transport, Unanswered};
use super::upstream::{Pool, Resumed, ToBot};
use super::worker::Worker;
use crate::config::Limits;
use crate::policy::Cause;
use crate::state::{Flight, Joined, Kept, Lead};

/// The way of hyper.
pub(super) struct Streamed;

impl Transport for Streamed {
    type Request = ToBot;
    type Answer = Box<Streaming>;
    type Unfit = Infallible;
    type Response = Response<Outgoing>;

    async fn ask(
        pool: &Rc<Pool>,
        mut to_bot: ToBot,
        limits: &Limits,
    ) -> Result<Box<Streaming>, Unanswered<Infallible>> {
        // The bot has been asked already where it begun to answer.
        let lead = match to_bot.flight.take().filter(|_| to_bot.resumed.is_none()) {
            None => None,
            Some(flight) => match board(&flight).await {
                Boarded::Lead(lead) => Some(lead),
                Boarded::Replay(kept) => return Ok(Streaming::replayed(&kept)),
            },
        };
        Ok(Streaming::unread(pool.send(to_bot, limits).await?, lead))
    }

    fn asked_at(to_bot: &ToBot) -> Instant {
        to_bot.resumed.as_ref().map_or_else(Instant::now, |resumed| resumed.asked)
    }

    fn relay(answer: Box<Streaming>, flag: &HeaderName, entry: Box<Entry>) -> Response<Outgoing> {
        let Streaming { mut parts, body, .. } = *answer;
        headers::strip_hop_by_hop(&mut parts.headers);
        parts.headers.remove(flag);
        parts.version = Version::HTTP_11;
        Response::from_parts(parts, Outgoing::relayed(body, flag.clone(), entry))
    }

    fn own(own: Own, worker: &Worker, mut entry: Box<Entry>) -> Response<Outgoing> {
        let Own { status, content_type, body } = own;
        entry.record.status = Some(status.as_u16());
        let length = HeaderValue::from(body.len());
        let mut response = Response::new(Outgoing::own(body, entry));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, length);
        if let Some(date) = worker.clock.date(Clock::unix_time().as_secs()) {
            headers.insert(DATE, date);
        }
        response
    }

    fn unfit(never: Infallible, _: Box<Entry>) -> Response<Outgoing> {
        match never {}
    }
}

/// How a delivery comes by the bot's answer.
enum Boarded {
    Lead(Lead),
    Replay(Arc<Kept>),
}

/// Waits for as long as another delivery of the same callback asks the bot.
async fn board(flight: &Flight) -> Boarded {
    loop {
        match flight.join(Instant::now()) {
            Joined::Lead(lead) => return Boarded::Lead(lead),
            Joined::Replay(kept) => return Boarded::Replay(kept),
            Joined::Wait(wait) => wait.over().await,
        }
    }
}

impl Exchange {
    /// Forwards what can be no callback: nothing is kept, nothing is decided.
    pub(super) async fn stream(
        mut self: Box<Self>,
        mut parts: request::Parts,
        first: RequestBody,
        rest: Incoming,
        resumed: Option<Box<Resumed>>,
        cause: Cause,
    ) -> Response<Outgoing> {
        let received = self.entry.streamed();
        let body = first.followed_by(rest, self.route().flag_header.clone(), received);
        if body.size_hint().exact().is_none() {
            // Without it, hyper takes a GET for one without a body.
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let is_refused = self.refuses(&parts.method, body.size_hint().exact() != Some(0), parts.uri.query());
        let request = Box::new(Request::from_parts(parts, body));
        self.forward::<Streamed>(ToBot { request, resumed, flight: None }, cause, is_refused).await
    }
}
