//! One exchange with a bot, and the decisions around it. What is decided comes from [`crate::policy`]; here
//! it is carried out.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout_at;

use super::body::{Outgoing, RequestBody};
use super::clock::Clock;
use super::entry::Entry;
use super::error::{Error, own};
use super::finish::Finish;
use super::header as headers;
use super::reply::Answer;
use super::upstream::{Pool, UpstreamError};
use super::worker::Worker;
use crate::config::{Route, TransferMode};
use crate::policy::{Action, Before, Case, Cause, Failure, Flag, OnFailure, Transfer, before};
use crate::state::Snapshot;
use crate::telemetry::Entropy;
use crate::wechat::{Account, BotReply, Fault, Format, Inbound, SUCCESS, TransferReply, UserMessage, receive};

/// A request on its route, ready to be sent to the bot.
pub(super) struct Exchange {
    pub(super) worker: Rc<Worker>,
    pub(super) pool: Rc<Pool>,
    pub(super) snapshot: Arc<Snapshot>,
    /// The route's position in the snapshot.
    pub(super) position: usize,
    /// The flag on the request, where it counts.
    pub(super) request_flags: Vec<HeaderValue>,
    /// The client may be WeChat, which does not understand chunked replies.
    pub(super) is_for_wechat: bool,
    pub(super) entry: Box<Entry>,
}

impl Exchange {
    /// Forwards what can be no callback: nothing is kept, nothing is decided.
    pub(super) async fn stream(
        self: Box<Self>,
        mut parts: request::Parts,
        first: RequestBody,
        rest: Incoming,
        cause: Cause,
    ) -> Response<Outgoing> {
        let body = first.followed_by(rest, self.route().flag_header.clone(), self.entry.streamed.clone());
        if body.size_hint().exact().is_none() {
            // Without it, hyper takes a GET for one without a body.
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let route = self.route();
        let has_body = body.size_hint().exact() != Some(0);
        let refuses = |account: &Account| account.refuses(&parts.method, has_body, parts.uri.query());
        let is_refused = cause != Cause::Off && route.wechat.as_ref().is_some_and(refuses);
        let request = Box::new(Request::from_parts(parts, body));
        if is_refused {
            self.pool.warn(&route.name, Fault::Signature);
            return self.reject(request).await;
        }
        self.pass(request, Action::Forward(cause)).await
    }

    /// Answers a request whose body has been read.
    pub(super) async fn callback(
        mut self: Box<Self>,
        parts: request::Parts,
        body: Bytes,
        trailers: Option<HeaderMap>,
    ) -> Response<Outgoing> {
        self.entry.record.bytes_in = body.len() as u64;
        let declared = parts.headers.get(CONTENT_TYPE).and_then(|value| Format::declared(value.as_bytes()));
        let text = String::from_utf8_lossy(&body);
        let (route, query) = (self.route(), parts.uri.query());
        let received = receive(route.wechat.as_ref(), declared, &text, query);
        let inbound = received.inbound(query);
        self.entry.note(&inbound);
        self.entry.record.encrypted = received.is_encrypted(&inbound, query);
        if let Some(fault) = received.fault(&inbound).filter(|fault| fault.code().is_some()) {
            self.pool.warn(&route.name, fault);
        }
        let body = RequestBody::whole(body.clone()).with_trailers(trailers, &self.route().flag_header);
        let request = Box::new(Request::from_parts(parts, body));
        self.is_for_wechat |= matches!(inbound, Inbound::Message(_) | Inbound::Event(_));
        if received.is_refused() {
            return self.reject(request).await;
        }
        match &inbound {
            Inbound::Message(message) => self.message(message, request).await,
            Inbound::Event(event) => self.consult(Case::Event(event), request).await,
            Inbound::Other(other) => self.pass(request, Action::Forward(other.why.into())).await,
        }
    }

    /// Refuses a request for its signature.
    async fn reject(self: Box<Self>, request: Box<Request<RequestBody>>) -> Response<Outgoing> {
        if self.is_dry_run() {
            return self.pass(request, Action::Reject(Cause::BadSignature)).await;
        }
        self.refuse(&Error::BadSignature)
    }

    async fn message(
        mut self: Box<Self>,
        message: &UserMessage<'_>,
        request: Box<Request<RequestBody>>,
    ) -> Response<Outgoing> {
        let route = self.route();
        let flags = std::mem::take(&mut self.request_flags);
        match before(message, &route.policy, read_flag(&flags)) {
            Before::Ask(pending) => self.consult(Case::Message(message, pending), request).await,
            Before::ShortCircuit(transfer) if self.is_dry_run() => self.pass(request, Action::Transfer(transfer)).await,
            Before::ShortCircuit(transfer) => self.hand_over(message, transfer),
        }
    }

    /// Forwards a request whose outcome is settled.
    async fn pass(mut self: Box<Self>, request: Box<Request<RequestBody>>, action: Action) -> Response<Outgoing> {
        let asked = ask(self.pool.clone(), self.snapshot.clone(), request, None).await;
        self.note(&asked, None);
        match asked.answer {
            Ok(answer) => self.relay(answer, action).await,
            Err(error) if error.is_the_clients() => self.refuse(&Error::BrokenBody),
            Err(error) => {
                // In a dry-run, what would have been done is logged, whatever became of the rest.
                let action = if matches!(action, Action::Forward(_)) { None } else { Some(action) };
                self.fail(error, action)
            }
        }
    }

    /// Asks the bot, and decides on what it says, or on its failure.
    async fn consult(
        mut self: Box<Self>,
        case: Case<'_>,
        mut request: Box<Request<RequestBody>>,
    ) -> Response<Outgoing> {
        if case.may_need_reply() && !self.is_dry_run() {
            headers::ask_for_identity(request.headers_mut());
        }
        let said = Rc::new(OnceCell::new());
        let (asked, late) = match self.ask_in_time(&case, request, &said).await {
            InTime::Asked(asked) => (asked, None),
            InTime::LateInDryRun(asked, action) => (asked, Some(action)),
            InTime::Late(action) => return self.carry_out(&case, action),
        };
        self.note(&asked, said.get());
        match (asked.answer, late) {
            (Ok(answer), Some(action)) => self.relay(answer, action).await,
            (Ok(answer), None) => self.decide(&case, answer).await,
            (Err(error), Some(action)) => self.fail(error, Some(action)),
            (Err(error), None) => self.bot_failed(&case, error, said.get()),
        }
    }

    /// Asks the bot, for as long as the route's deadline allows if it says what happens then.
    async fn ask_in_time(
        &self,
        case: &Case<'_>,
        request: Box<Request<RequestBody>>,
        said: &Rc<OnceCell<Said>>,
    ) -> InTime {
        let route = self.route();
        let deadline = route.deadline.filter(|_| route.on_timeout != OnFailure::AsProxy);
        let is_whole = deadline.is_some() || route.on_error != OnFailure::AsProxy;
        let whole = is_whole.then(|| Whole { flag_header: route.flag_header.clone(), said: said.clone() });
        let (pool, snapshot) = (self.pool.clone(), self.snapshot.clone());
        let Some(deadline) = deadline else { return InTime::Asked(ask(pool, snapshot, request, whole).await) };
        // Dropped at the deadline, it goes on by itself: a bot is not cut off in the middle of its work.
        let mut asking = Finish::new(ask(pool, snapshot, request, whole), self.worker.clone());
        if let Ok(asked) = timeout_at((self.entry.began + deadline).into(), &mut asking).await {
            return InTime::Asked(asked);
        }
        match self.instead(case, Failure::Timeout, route.on_timeout, said.get()) {
            None => InTime::Asked(asking.await),
            Some(action) if self.is_dry_run() => InTime::LateInDryRun(asking.await, action),
            Some(action) => InTime::Late(action),
        }
    }

    async fn decide(self: Box<Self>, case: &Case<'_>, mut answer: Box<Answer>) -> Response<Outgoing> {
        let (route, limits) = (self.route(), &self.snapshot.clone().config.limits);
        let status = answer.parts.status;
        let flags: Vec<_> = answer.parts.headers.get_all(&route.flag_header).iter().cloned().collect();
        let flag = read_flag(&flags);
        if status.is_server_error()
            && let Some(action) = case.failed(Failure::Error, route.on_error, flag, || self.spend_fallback())
        {
            return self.conclude(case, action, answer).await;
        }
        let needs_reply = case.needs_reply(status, flag);
        if needs_reply && let Err(error) = answer.read(limits.callback_body, limits.upstream_timeout).await {
            return self.bot_failed(case, error, Some(&Said { status, flags }));
        }
        let text = if needs_reply { answer.text(limits.callback_body) } else { None };
        if needs_reply && text.is_none() {
            self.pool
                .warn(&route.name, "a reply could not be read (too long, or compressed): no rule was asked about it");
        }
        let reply = text.as_deref().map(|text| BotReply::read(text, route.wechat.as_ref()));
        let action = case.after(status, flag, reply.as_ref());
        drop(reply);
        drop(text);
        self.conclude(case, action, answer).await
    }

    /// Carries out what was decided on an answer.
    async fn conclude(self: Box<Self>, case: &Case<'_>, action: Action, answer: Box<Answer>) -> Response<Outgoing> {
        if self.is_dry_run() || matches!(action, Action::Forward(_)) {
            return self.relay(answer, action).await;
        }
        self.carry_out(case, action)
    }

    /// Carries out what was decided without an answer.
    fn carry_out(mut self, case: &Case<'_>, action: Action) -> Response<Outgoing> {
        match (action, case) {
            (Action::Transfer(transfer), Case::Message(message, _)) => self.hand_over(message, transfer),
            (action, _) => {
                self.entry.record.action = action;
                own(StatusCode::OK, "text/plain; charset=utf-8", SUCCESS, &self.worker.clock, self.entry)
            }
        }
    }

    fn hand_over(mut self, message: &UserMessage<'_>, transfer: Transfer) -> Response<Outgoing> {
        let reply = TransferReply::answering(message).to_account(transfer.account.as_deref());
        let body = reply.render(Clock::unix_time().as_secs(), Entropy::unguessable);
        let content_type = reply.content_type();
        self.entry.record.action = Action::Transfer(transfer);
        own(StatusCode::OK, content_type, body, &self.worker.clock, self.entry)
    }

    /// What is done when the bot failed, after what it had said. None: what a proxy does.
    fn instead(&self, case: &Case<'_>, how: Failure, setting: OnFailure, said: Option<&Said>) -> Option<Action> {
        let flag = said.map_or(Flag::Absent, |said| read_flag(&said.flags));
        // One that had asked for the transfer before it broke off has said what it wants.
        if let (Flag::Ask(_), Some(said)) = (flag, said)
            && let action @ Action::Transfer(_) = case.after(said.status, flag, None)
        {
            return Some(action);
        }
        case.failed(how, setting, flag, || self.spend_fallback())
    }

    fn bot_failed(self, case: &Case<'_>, error: UpstreamError, said: Option<&Said>) -> Response<Outgoing> {
        match self.instead(case, error.failure(), self.route().on_error, said) {
            Some(action) if !self.is_dry_run() => {
                self.pool.warn(&self.route().name, &error);
                self.carry_out(case, action)
            }
            action => self.fail(error, action),
        }
    }

    /// Answers as a proxy whose upstream failed. `instead` is what a dry-run would have done.
    fn fail(self, error: UpstreamError, instead: Option<Action>) -> Response<Outgoing> {
        self.pool.warn(&self.route().name, &error);
        let error = Error::Upstream(error);
        let action = instead.unwrap_or_else(|| error.action());
        error.respond(action, &self.worker.clock, self.entry)
    }

    pub(super) fn refuse(self, error: &Error) -> Response<Outgoing> {
        error.respond(error.action(), &self.worker.clock, self.entry)
    }

    /// Passes the bot's answer on as it came.
    async fn relay(mut self: Box<Self>, mut answer: Box<Answer>, action: Action) -> Response<Outgoing> {
        let limits = &self.snapshot.clone().config.limits;
        if self.is_for_wechat
            && answer.is_undelimited()
            && !answer.is_event_stream()
            // What takes too long goes out as it comes; nothing of it is lost.
            && let Err(error @ UpstreamError::Broken(_)) = answer.read(limits.callback_body, limits.upstream_timeout).await
        {
            return self.fail(error, None);
        }
        let route = self.route();
        let Answer { mut parts, body } = *answer;
        headers::strip_hop_by_hop(&mut parts.headers);
        parts.headers.remove(&route.flag_header);
        parts.version = http::Version::HTTP_11;
        self.entry.record.action = action;
        self.entry.record.status = Some(parts.status.as_u16());
        Response::from_parts(parts, Outgoing::relayed(body, route.flag_header.clone(), self.entry))
    }

    fn note(&mut self, asked: &Asked, said: Option<&Said>) {
        let status = asked.answer.as_ref().ok().map(|answer| answer.parts.status).or(said.map(|said| said.status));
        self.entry.record.upstream = Some(asked.took);
        self.entry.record.upstream_status = status.map(|status| status.as_u16());
    }

    fn route(&self) -> Arc<Route> {
        self.snapshot.route(self.position).clone()
    }

    fn is_dry_run(&self) -> bool {
        self.route().transfer == TransferMode::DryRun
    }

    fn spend_fallback(&self) -> bool {
        self.snapshot.spend_fallback(self.position)
    }
}

/// What came of asking the bot.
struct Asked {
    answer: Result<Box<Answer>, UpstreamError>,
    took: Duration,
}

/// What the head of an answer said, kept in case the body never comes.
struct Said {
    status: StatusCode,
    flags: Vec<HeaderValue>,
}

/// Asks for a short reply to be read to its end, so that one that breaks off counts as a failure.
struct Whole {
    flag_header: HeaderName,
    /// Where its head is kept.
    said: Rc<OnceCell<Said>>,
}

/// What came of asking the bot under a deadline.
enum InTime {
    Asked(Asked),
    /// The deadline passed, and this is what happens.
    Late(Action),
    /// The deadline passed, and this would have happened; the bot's answer came later.
    LateInDryRun(Asked, Action),
}

/// Sends a request to the bot, and waits for the head of its answer, or for all of it.
async fn ask(
    pool: Rc<Pool>,
    snapshot: Arc<Snapshot>,
    request: Box<Request<RequestBody>>,
    whole: Option<Whole>,
) -> Asked {
    let limits = &snapshot.config.limits;
    let began = Instant::now();
    let mut answer = pool.send(request, limits).await.map(Answer::unread);
    if let (Ok(head), Some(whole)) = (&mut answer, whole) {
        let flags = head.parts.headers.get_all(&whole.flag_header).iter().cloned().collect();
        whole.said.get_or_init(|| Said { status: head.parts.status, flags });
        if let Err(error) = head.read(limits.callback_body, limits.upstream_timeout).await {
            answer = Err(error);
        }
    }
    Asked { answer, took: began.elapsed() }
}

fn read_flag(values: &[HeaderValue]) -> Flag<'_> {
    Flag::read(values.iter().map(HeaderValue::as_bytes))
}
