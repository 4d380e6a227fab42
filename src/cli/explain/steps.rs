//! The steps of the decision, gone through with the code that serves.

use http::{HeaderValue, Method, StatusCode};

use super::after::after;
use super::report::{Explanation, Outcome};
use super::words;
use crate::config::{Limits, Route};
use crate::policy::{Action, Before, Case, Cause, Flag, Reading, Remembered, RuleMode, Trace, Transfer, before};
use crate::telemetry::Entropy;
use crate::wechat::bot_reply::fields;
use crate::wechat::{
    Event, Fault, Format, Inbound, Name, Other, TransferReply, UserMessage, Why, receive, receive_unsigned,
};

/// What is asked about.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) route: &'q Route,
    pub(super) limits: &'q Limits,
    pub(super) method: &'q Method,
    pub(super) query: Option<&'q str>,
    /// What its Content-Type says it is.
    pub(super) declared: Option<Format>,
    pub(super) request_flags: Vec<HeaderValue>,
    pub(super) body: &'q [u8],
    /// What the bot said, if that is known.
    pub(super) reply: Option<Reply>,
}

/// What the bot said.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) flags: Vec<HeaderValue>,
    pub(super) text: String,
}

/// Explains. `now` is in seconds since 1970.
pub(super) fn explain(question: &Question<'_>, now: u64) -> Explanation {
    let text = String::from_utf8_lossy(question.body);
    let account = question.route.wechat.as_ref();
    let query = question.query.or(is_envelope(&text).then_some("encrypt_type=aes"));
    let receive = if question.query.is_some() { receive } else { receive_unsigned };
    let received = receive(account, question.declared, &text, query);
    let inbound = received.inbound(query);
    if let Some((no, cause)) = question.unread() {
        let unread = Inbound::Other(Other { why: Why::NotCallback, msg_type: None });
        let shown = Explanation::new(question.route, &unread);
        let has_body = !question.body.is_empty();
        let is_refused = account.is_some_and(|account| account.refuses(question.method, has_body, question.query));
        return if is_refused { refused(shown) } else { pass(shown, no, cause) };
    }
    let mut shown = Explanation::new(question.route, &inbound);
    if received.is_encrypted(&inbound, query) {
        shown.is_encrypted(received.plaintext().is_some());
    }
    if received.is_refused() {
        return refused(shown);
    }
    match &inbound {
        Inbound::Message(message) => question.message(shown, message, now),
        Inbound::Event(event) => question.event(shown, event, now),
        Inbound::Other(other) => pass(shown, no(other, received.fault(&inbound)), other.why.into()),
    }
}

fn refused(mut shown: Explanation) -> Explanation {
    shown.say(1, "no: its signature is wrong or missing, and verify = \"enforce\": the bot is not asked");
    shown.end(Outcome::Decided(Action::Reject(Cause::BadSignature)))
}

/// Why something is neither a message nor an event, with WeChat's number for it if there is one.
fn no(other: &Other<'_>, fault: Option<Fault>) -> String {
    fault.map_or_else(|| format!("no: {}", words::why(other)), |fault| format!("no: {fault}"))
}

fn is_envelope(text: &str) -> bool {
    fields(text).is_ok_and(|fields| !fields[Name::Encrypt].is_absent())
}

impl Question<'_> {
    /// Why the body is not even read.
    fn unread(&self) -> Option<(String, Cause)> {
        let limit = self.limits.callback_body;
        if *self.method != Method::POST {
            return Some((format!("no: a {}, not a POST", self.method), Cause::NotCallback));
        }
        (self.body.len() > limit).then(|| {
            let length = self.body.len();
            (format!("no: its {length} bytes are more than `callback_body` ({limit})"), Cause::TooLarge)
        })
    }

    fn event(&self, mut shown: Explanation, event: &Event<'_>, now: u64) -> Explanation {
        shown.say(1, "yes");
        shown.say(2, "yes: there can be no transfer, whatever flags, rules and fallbacks say");
        after(self, shown, &Case::Event(event), now)
    }

    fn message(&self, mut shown: Explanation, message: &UserMessage<'_>, now: u64) -> Explanation {
        let route = self.route;
        let accepted: &[HeaderValue] = if route.accept_request_flag { &self.request_flags } else { &[] };
        let flag = read_flag(accepted);
        match before(message, &route.policy, flag, Remembered::default()) {
            Before::ShortCircuit(transfer) => {
                self.until_bot(&mut shown, message, flag, None);
                shown.say(7, "not asked");
                shown.end(handed_over(message, transfer, now))
            }
            Before::Ask(pending) => {
                self.until_bot(&mut shown, message, flag, pending.settled());
                after(self, shown, &Case::Message(message, pending), now)
            }
        }
    }

    /// Steps 1 to 6.
    fn until_bot(&self, shown: &mut Explanation, message: &UserMessage<'_>, flag: Flag<'_>, settled: Option<&Cause>) {
        let kind = message.kind();
        if settled == Some(&Cause::Type) {
            return shown.say(1, format!("no: {} is not among the `types` of the route", kind.as_str()));
        }
        shown.say(1, format!("yes, and {} is among the `types` of the route", kind.as_str()));
        shown.say(2, "no, a user's message");
        shown.say(3, "nothing remembered");
        shown.say(4, self.request_flag(flag));
        if matches!(flag, Flag::Ask(_) | Flag::Veto) {
            return;
        }
        shown.say(5, "nothing remembered");
        let traces = self.route.policy.rules.trace(message);
        let traces = traces.iter().filter(|trace| trace.mode == RuleMode::ShortCircuit);
        say_rules(shown, 6, traces);
        shown.or_say(6, "none on this route");
    }

    fn request_flag(&self, flag: Flag<'_>) -> String {
        if !self.route.accept_request_flag && !self.request_flags.is_empty() {
            return "there, but `accept_request_flag` is false: it does not count".to_owned();
        }
        let condition = if flag == Flag::Absent { "" } else { ", where a trusted proxy sent it" };
        words::flag(flag) + condition
    }
}

/// What is no message and no event.
fn pass(mut shown: Explanation, no: String, cause: Cause) -> Explanation {
    shown.say(1, no);
    shown.say(7, "asked; its answer, or its failure, passes as through any proxy");
    shown.end(Outcome::Decided(Action::Forward(cause)))
}

/// What each rule makes of a text, up to the first that matches. Whether one does.
pub(super) fn say_rules<'t>(
    shown: &mut Explanation,
    step: usize,
    traces: impl IntoIterator<Item = &'t Trace<'t>>,
) -> bool {
    for trace in traces {
        shown.say(step, words::rule(trace));
        if matches!(trace.reading, Reading::Match(_)) {
            return true;
        }
    }
    false
}

pub(super) fn handed_over(message: &UserMessage<'_>, transfer: Transfer, now: u64) -> Outcome {
    let reply = TransferReply::answering(message).to_account(transfer.account.as_deref());
    let (body, content_type) = (reply.render(now, Entropy::unguessable), reply.content_type());
    Outcome::Transfer(Action::Transfer(transfer), content_type, body)
}

pub(super) fn read_flag(values: &[HeaderValue]) -> Flag<'_> {
    Flag::read(values.iter().map(HeaderValue::as_bytes))
}
