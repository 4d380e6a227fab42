//! One exchange with a bot, and the decisions around it. What is decided comes from [`crate::policy`]; here
//! it is carried out.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use tokio::time::timeout_at;

use super::asking::{Asked, InTime, Said, Whole, acting_deadline, ask, keeps_heads};
use super::clock::Clock;
use super::entry::Entry;
use super::error::{Error, Own};
use super::finish::Finish;
use super::transport::{Answer, Transport, Unanswered};
use super::upstream::{Pool, UpstreamError};
use super::worker::Worker;
use crate::config::{Route, TransferMode};
use crate::policy::{Action, Before, Case, Cause, Failure, Flag, OnFailure, Transfer, Via, before};
use crate::state::{Flight, Memory, Snapshot};
use crate::telemetry::Entropy;
use crate::wechat::{BotReply, Fault, Format, Inbound, SUCCESS, TransferReply, UserMessage, receive};

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
    /// The answer is shared with other deliveries of the same callback.
    pub(super) flight: Option<Flight>,
    pub(super) entry: Box<Entry>,
}

impl Exchange {
    /// Answers a callback that has been read. `request` makes what goes to the bot, if anything does;
    /// its argument says whether the reply may have to be read.
    pub(super) async fn callback<T: Transport>(
        mut self: Box<Self>,
        told: Told<'_>,
        request: impl FnOnce(&Self, Identity) -> T::Request,
    ) -> T::Response {
        self.entry.record.bytes_in = told.body.len() as u64;
        let text = as_text(told.body);
        let snapshot = self.snapshot.clone();
        let route = snapshot.route(self.position);
        let received = receive(route.wechat.as_ref(), told.declared, &text, told.query);
        let inbound = received.inbound(told.query);
        self.entry.note(&inbound);
        self.entry.record.encrypted = received.is_encrypted(&inbound, told.query);
        if let Some(fault) = received.fault(&inbound).filter(|fault| fault.code().is_some()) {
            self.pool.warn(&route.name, fault);
        }
        self.is_for_wechat |= matches!(inbound, Inbound::Message(_) | Inbound::Event(_));
        if received.is_refused() {
            return self.reject::<T>(request).await;
        }
        match &inbound {
            Inbound::Message(message) => self.message::<T>(message, request).await,
            Inbound::Event(event) => {
                self.memory().see(route, event);
                self.consult::<T>(Case::Event(event), request).await
            }
            Inbound::Other(other) => {
                let request = request(&self, Identity::AsIs);
                self.pass::<T>(request, Action::Forward(other.why.into())).await
            }
        }
    }

    /// Forwards what can be no callback, unless it is refused for its signature.
    pub(super) async fn forward<T: Transport>(
        self: Box<Self>,
        request: T::Request,
        cause: Cause,
        is_refused: bool,
    ) -> T::Response {
        if is_refused {
            self.pool.warn(&self.route().name, Fault::Signature);
            return self.reject::<T>(|_, _| request).await;
        }
        self.pass::<T>(request, Action::Forward(cause)).await
    }

    /// Whether a request that can be no callback is refused for its signature.
    pub(super) fn refuses(&self, method: &Method, has_body: bool, query: Option<&str>) -> bool {
        let route = self.route();
        let account = route.wechat.as_ref().filter(|_| route.transfer != TransferMode::Off);
        account.is_some_and(|account| account.refuses(method, has_body, query))
    }

    /// Refuses a request for its signature.
    async fn reject<T: Transport>(self: Box<Self>, request: impl FnOnce(&Self, Identity) -> T::Request) -> T::Response {
        if self.is_dry_run() {
            let request = request(&self, Identity::AsIs);
            return self.pass::<T>(request, Action::Reject(Cause::BadSignature)).await;
        }
        self.refuse::<T>(&Error::BadSignature)
    }

    async fn message<T: Transport>(
        mut self: Box<Self>,
        message: &UserMessage<'_>,
        request: impl FnOnce(&Self, Identity) -> T::Request,
    ) -> T::Response {
        let snapshot = self.snapshot.clone();
        let flags = std::mem::take(&mut self.request_flags);
        let route = snapshot.route(self.position);
        let remembered = self.memory().recall(route, message, self.entry.began);
        match before(message, &route.policy, read_flag(&flags), remembered) {
            Before::Ask(pending) => self.consult::<T>(Case::Message(message, pending), request).await,
            Before::ShortCircuit(transfer) if self.is_dry_run() => {
                let request = request(&self, Identity::AsIs);
                self.pass::<T>(request, Action::Transfer(transfer)).await
            }
            Before::ShortCircuit(transfer) => self.hand_over::<T>(message, transfer),
        }
    }

    /// Forwards a request whose outcome is settled.
    pub(super) async fn pass<T: Transport>(mut self: Box<Self>, request: T::Request, action: Action) -> T::Response {
        let asked = ask::<T>(self.pool.clone(), self.snapshot.clone(), request, None).await;
        self.note(&asked, None);
        match asked.answer {
            Ok(answer) => self.relay::<T>(answer, action).await,
            Err(Unanswered::Unfit(unfit)) => T::unfit(unfit, self.entry),
            Err(Unanswered::Failed(error)) if error.is_the_clients() => self.refuse::<T>(&Error::BrokenBody),
            Err(Unanswered::Failed(error)) => {
                // In a dry-run, what would have been done is logged, whatever became of the rest.
                let action = if matches!(action, Action::Forward(_)) { None } else { Some(action) };
                self.fail::<T>(error, action)
            }
        }
    }

    /// Asks the bot, and decides on what it says, or on its failure.
    async fn consult<T: Transport>(
        mut self: Box<Self>,
        case: Case<'_>,
        request: impl FnOnce(&Self, Identity) -> T::Request,
    ) -> T::Response {
        let may_be_read = case.may_need_reply() && !self.is_dry_run();
        if !self.is_dry_run() {
            self.flight = self.memory().flight(self.route(), &case);
        }
        let request = request(&self, if may_be_read { Identity::Wanted } else { Identity::AsIs });
        let heard = keeps_heads(self.route()).then(Rc::<OnceCell<Said>>::default);
        let said = || heard.as_ref().and_then(|said| said.get());
        let (asked, late) = match self.ask_in_time::<T>(&case, request, heard.clone()).await {
            InTime::Asked(asked) => (asked, None),
            InTime::LateInDryRun(asked, action) => (asked, Some(action)),
            InTime::Late(action) => return self.carry_out::<T>(&case, action),
        };
        self.note(&asked, said());
        match (asked.answer, late) {
            (Ok(answer), Some(action)) => self.relay::<T>(answer, action).await,
            (Ok(answer), None) => self.decide::<T>(&case, answer).await,
            (Err(Unanswered::Unfit(unfit)), _) => T::unfit(unfit, self.entry),
            (Err(Unanswered::Failed(error)), Some(action)) => self.fail::<T>(error, Some(action)),
            (Err(Unanswered::Failed(error)), None) => self.bot_failed::<T>(&case, error, said()),
        }
    }

    /// Asks the bot, for as long as the route's deadline allows if it says what happens then.
    async fn ask_in_time<T: Transport>(
        &self,
        case: &Case<'_>,
        request: T::Request,
        said: Option<Rc<OnceCell<Said>>>,
    ) -> InTime<T> {
        let route = self.route();
        let deadline = acting_deadline(route);
        let whole = said.clone().map(|said| Whole { flag_header: route.flag_header.clone(), said });
        let (pool, snapshot) = (self.pool.clone(), self.snapshot.clone());
        let Some(deadline) = deadline else { return InTime::Asked(ask(pool, snapshot, request, whole).await) };
        // Dropped at the deadline, it goes on by itself: a bot is not cut off in the middle of its work.
        let mut asking = Finish::new(ask(pool, snapshot, request, whole), self.worker.clone());
        if let Ok(asked) = timeout_at((self.entry.began + deadline).into(), &mut asking).await {
            return InTime::Asked(asked);
        }
        match self.instead(case, Failure::Timeout, route.on_timeout, said.as_ref().and_then(|said| said.get())) {
            None => InTime::Asked(asking.await),
            Some(action) if self.is_dry_run() => InTime::LateInDryRun(asking.await, action),
            Some(action) => InTime::Late(action),
        }
    }

    async fn decide<T: Transport>(self: Box<Self>, case: &Case<'_>, mut answer: T::Answer) -> T::Response {
        let snapshot = self.snapshot.clone();
        let (route, limits) = (snapshot.route(self.position), &snapshot.config.limits);
        let status = answer.status();
        let flags = answer.named(&route.flag_header);
        let flag = read_flag(&flags);
        if let Some(again) = self.again(case) {
            return self.conclude::<T>(case, again, answer).await;
        }
        if status.is_server_error()
            && let Some(action) = case.failed(Failure::Error, route.on_error, flag, || self.spend_fallback())
        {
            return self.conclude::<T>(case, action, answer).await;
        }
        let needs_reply = case.needs_reply(status, flag);
        if needs_reply && let Err(error) = answer.read(limits.callback_body, limits.upstream_timeout).await {
            return self.bot_failed::<T>(case, error, Some(&Said { status, flags }));
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
        self.conclude::<T>(case, action, answer).await
    }

    /// Carries out what was decided on an answer.
    async fn conclude<T: Transport>(
        self: Box<Self>,
        case: &Case<'_>,
        action: Action,
        answer: T::Answer,
    ) -> T::Response {
        if self.is_dry_run() || matches!(action, Action::Forward(_)) {
            return self.relay::<T>(answer, action).await;
        }
        self.carry_out::<T>(case, action)
    }

    /// Carries out what was decided without an answer.
    fn carry_out<T: Transport>(self, case: &Case<'_>, action: Action) -> T::Response {
        match (action, case) {
            (Action::Transfer(transfer), Case::Message(message, _)) => self.hand_over::<T>(message, transfer),
            (action, _) => self.say::<T>("text/plain; charset=utf-8", SUCCESS, action),
        }
    }

    fn hand_over<T: Transport>(self, message: &UserMessage<'_>, transfer: Transfer) -> T::Response {
        self.memory().keep(self.route(), message, &transfer, Instant::now());
        let reply = TransferReply::answering(message).to_account(transfer.account.as_deref());
        let body = reply.render(Clock::unix_time().as_secs(), Entropy::unguessable);
        let content_type = reply.content_type();
        self.say::<T>(content_type, body, Action::Transfer(transfer))
    }

    /// Answers 200 with a body of the gate's own.
    fn say<T: Transport>(mut self, content_type: &'static str, body: impl Into<Bytes>, action: Action) -> T::Response {
        self.entry.record.action = action;
        let own = Own { status: StatusCode::OK, content_type, body: body.into() };
        T::own(own, &self.worker, self.entry)
    }

    /// What is done when the bot failed, after what it had said. None: what a proxy does.
    fn instead(&self, case: &Case<'_>, how: Failure, setting: OnFailure, said: Option<&Said>) -> Option<Action> {
        if let Some(again) = self.again(case) {
            return Some(again);
        }
        let flag = said.map_or(Flag::Absent, |said| read_flag(&said.flags));
        // One that had asked for the transfer before it broke off has said what it wants.
        if let (Flag::Ask(_), Some(said)) = (flag, said)
            && let action @ Action::Transfer(_) = case.after(said.status, flag, None)
        {
            return Some(action);
        }
        case.failed(how, setting, flag, || self.spend_fallback())
    }

    /// The transfer that another delivery of the message has led to, while this one was under way.
    fn again(&self, case: &Case<'_>) -> Option<Action> {
        let Case::Message(message, _) = case else { return None };
        let handover = self.memory().transfer_of(self.route(), message, self.entry.began)?;
        Some(Action::Transfer(handover.again(Via::Rewrite, Cause::Retry)))
    }

    fn bot_failed<T: Transport>(self, case: &Case<'_>, error: UpstreamError, said: Option<&Said>) -> T::Response {
        match self.instead(case, error.failure(), self.route().on_error, said) {
            Some(action) if !self.is_dry_run() => {
                self.pool.warn(&self.route().name, &error);
                self.carry_out::<T>(case, action)
            }
            action => self.fail::<T>(error, action),
        }
    }

    /// Answers as a proxy whose upstream failed. `instead` is what a dry-run would have done.
    fn fail<T: Transport>(mut self, error: UpstreamError, instead: Option<Action>) -> T::Response {
        self.pool.warn(&self.route().name, &error);
        let error = Error::Upstream(error);
        self.entry.record.action = instead.unwrap_or_else(|| error.action());
        T::own(error.answer(), &self.worker, self.entry)
    }

    pub(super) fn refuse<T: Transport>(mut self, error: &Error) -> T::Response {
        self.entry.record.action = error.action();
        T::own(error.answer(), &self.worker, self.entry)
    }

    /// Passes the bot's answer on as it came.
    async fn relay<T: Transport>(mut self: Box<Self>, mut answer: T::Answer, action: Action) -> T::Response {
        let snapshot = self.snapshot.clone();
        let limits = &snapshot.config.limits;
        if self.is_for_wechat
            && answer.ends_with_connection()
            // What takes too long goes out as it comes; nothing of it is lost.
            && let Err(error @ UpstreamError::Broken(_)) = answer.read(limits.callback_body, limits.upstream_timeout).await
        {
            return self.fail::<T>(error, None);
        }
        self.entry.record.action = if answer.is_replay() { action.replayed() } else { action };
        self.entry.record.status = Some(answer.status().as_u16());
        T::relay(answer, &snapshot.route(self.position).flag_header, self.entry)
    }

    fn note<T: Transport>(&mut self, asked: &Asked<T>, said: Option<&Said>) {
        if asked.answer.as_ref().is_ok_and(Answer::is_replay) {
            return;
        }
        let status = asked.answer.as_ref().ok().map(Answer::status).or(said.map(|said| said.status));
        self.entry.record.upstream = Some(asked.took);
        self.entry.record.upstream_status = status.map(|status| status.as_u16());
    }

    /// Whether a reply is of no use before it is complete, its head neither.
    pub(super) fn waits_for_whole_replies(&self) -> bool {
        self.is_for_wechat && !keeps_heads(self.route())
    }

    pub(super) fn route(&self) -> &Route {
        self.snapshot.route(self.position)
    }

    fn memory(&self) -> &Memory {
        self.worker.live.memory()
    }

    fn is_dry_run(&self) -> bool {
        self.route().transfer == TransferMode::DryRun
    }

    fn spend_fallback(&self) -> bool {
        self.snapshot.spend_fallback(self.position)
    }
}

/// A callback's request, as far as it says what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'m> {
    pub(super) body: &'m [u8],
    /// What its Content-Type says.
    pub(super) declared: Option<Format>,
    pub(super) query: Option<&'m str>,
}

/// Whether the bot's reply is asked for uncompressed, where the client would take it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Wanted,
    AsIs,
}

/// A body as text; what is no UTF-8 in it is replaced. Nearly none has any, and to make sure of that, many bytes
/// at a time, is quicker than to look for it.
fn as_text(body: &[u8]) -> Cow<'_, str> {
    simdutf8::basic::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed)
}

fn read_flag(values: &[HeaderValue]) -> Flag<'_> {
    Flag::read(values.iter().map(HeaderValue::as_bytes))
}
