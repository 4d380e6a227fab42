//! The one place where an error becomes a response.

use bytes::Bytes;
use http::StatusCode;

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

    /// What the client gets.
    pub(super) fn answer(&self) -> Own {
        Own { status: self.status(), content_type: "text/plain; charset=utf-8", body: self.text().into() }
    }
}

/// A response that the gate writes itself.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}
