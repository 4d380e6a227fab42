//! The one place where an error becomes a response.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::body::Outgoing;
use super::clock::Clock;
use super::entry::Entry;
use super::framing::Refusal;
use super::upstream::UpstreamError;
use crate::policy::{Action, Cause, Failure};

/// Why a client gets an error of the gate's own.
#[derive(Debug)]
pub(super) enum Error {
    /// The request is ambiguous, or not for a reverse proxy.
    Refused(Refusal),
    /// The client broke off, or its body is malformed.
    BrokenBody,
    /// Not signed as WeChat signs.
    BadSignature,
    NoRoute,
    Upstream(UpstreamError),
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(Refusal::Connect) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(_) | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::BadSignature => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Upstream(error) => error.status(),
        }
    }

    pub(super) fn action(&self) -> Action {
        match self {
            Self::Refused(_) | Self::BrokenBody => Action::Reject(Cause::BadRequest),
            Self::BadSignature => Action::Reject(Cause::BadSignature),
            Self::NoRoute => Action::Error(Cause::NoRoute),
            Self::Upstream(error) => Action::Error(error.failure().cause()),
        }
    }

    /// What the client is told. What went wrong behind the gate is not its business.
    fn text(&self) -> String {
        match self {
            Self::Refused(refusal) => format!("{}: {refusal}\n", self.status()),
            Self::BrokenBody => format!("{}: the body is incomplete or malformed\n", self.status()),
            Self::BadSignature => format!("{}: the signature is wrong or missing\n", self.status()),
            Self::NoRoute => format!("{}: no route for this host and path\n", self.status()),
            Self::Upstream(error) => match error.failure() {
                Failure::Timeout => format!("{}: the bot did not answer in time\n", self.status()),
                Failure::Error => format!("{}: the bot can not be reached\n", self.status()),
            },
        }
    }

    /// The answer, with its log entry.
    pub(super) fn respond(&self, action: Action, clock: &Clock, mut entry: Box<Entry>) -> Response<Outgoing> {
        entry.record.action = action;
        own(self.status(), "text/plain; charset=utf-8", self.text(), clock, entry)
    }
}

/// A response that the gate writes itself.
pub(super) fn own(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
    clock: &Clock,
    mut entry: Box<Entry>,
) -> Response<Outgoing> {
    entry.record.status = Some(status.as_u16());
    let body = body.into();
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Outgoing::own(body, entry));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, length);
    if let Some(date) = clock.date(Clock::unix_time().as_secs()) {
        headers.insert(header::DATE, date);
    }
    response
}
