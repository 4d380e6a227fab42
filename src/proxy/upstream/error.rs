use std::fmt;
use std::io;

use http::StatusCode;

use crate::policy::Failure;

/// Why there is no answer of the bot.
#[derive(Debug)]
pub(in crate::proxy) enum UpstreamError {
    Connect(io::Error),
    ConnectTimeout,
    Tls(io::Error),
    /// The connection broke, or what came over it is no HTTP.
    Broken(hyper::Error),
    /// The connection ended before any of an answer came.
    Silent(Option<io::Error>),
    /// The head of the answer took too long.
    Timeout,
    /// The body of the answer took too long.
    BodyTimeout,
    /// The bot switched protocols without being asked.
    Switched,
}

impl UpstreamError {
    pub(in crate::proxy) fn failure(&self) -> Failure {
        match self {
            Self::ConnectTimeout | Self::Timeout | Self::BodyTimeout => Failure::Timeout,
            Self::Connect(_) | Self::Tls(_) | Self::Broken(_) | Self::Silent(_) | Self::Switched => Failure::Error,
        }
    }

    /// Whether it was the client that broke off, in the middle of its body.
    pub(in crate::proxy) fn is_the_clients(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_user())
    }

    pub(in crate::proxy) fn status(&self) -> StatusCode {
        match self.failure() {
            Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Failure::Error => StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CLOSED: &str = "the connection was closed before the reply was complete";
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::ConnectTimeout => f.write_str("cannot connect: no answer within connect_timeout"),
            Self::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            Self::Broken(error) if error.is_incomplete_message() => f.write_str(CLOSED),
            Self::Silent(None) => f.write_str(CLOSED),
            Self::Silent(Some(error)) => write!(f, "the connection broke: {error}"),
            Self::Broken(error) if error.is_parse() => write!(f, "the reply is not HTTP: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Timeout => f.write_str("no reply within upstream_timeout"),
            Self::BodyTimeout => f.write_str("the reply was not complete within upstream_timeout"),
            Self::Switched => f.write_str("the bot switched protocols without being asked to"),
        }
    }
}
