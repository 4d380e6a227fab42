//! The two ways in which an exchange travels: streamed by hyper, or whole over the gate's own HTTP.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, StatusCode};

use super::entry::Entry;
use super::error::Own;
use super::upstream::{Pool, UpstreamError};
use super::worker::Worker;
use crate::config::Limits;

/// How the request, the bot's answer and the response of an exchange travel.
pub(super) trait Transport: 'static {
    /// Ready to be sent to the bot.
    type Request: 'static;
    type Answer: Answer + 'static;
    /// An answer that has to travel in another way.
    type Unfit: 'static;
    type Response;

    /// Sends a request to the bot, and waits for the head of its answer at least.
    async fn ask(
        pool: &Rc<Pool>,
        request: Self::Request,
        limits: &Limits,
    ) -> Result<Self::Answer, Unanswered<Self::Unfit>>;

    /// When the bot was asked, or is asked now.
    fn asked_at(request: &Self::Request) -> Instant;

    /// The bot's answer as it came, less the headers of its connection and the flag.
    fn relay(answer: Self::Answer, flag: &HeaderName, entry: Box<Entry>) -> Self::Response;

    /// A response that the gate writes itself.
    fn own(own: Own, worker: &Worker, entry: Box<Entry>) -> Self::Response;

    /// No response yet: the exchange goes on in another way.
    fn unfit(unfit: Self::Unfit, entry: Box<Entry>) -> Self::Response;
}

/// Why there is no answer of the bot.
#[derive(Debug)]
pub(super) enum Unanswered<U> {
    Failed(UpstreamError),
    Unfit(U),
}

impl<U> From<UpstreamError> for Unanswered<U> {
    fn from(error: UpstreamError) -> Self {
        Self::Failed(error)
    }
}

/// A bot's answer.
pub(super) trait Answer {
    fn status(&self) -> StatusCode;

    /// The values of a header.
    fn named(&self, name: &HeaderName) -> Vec<HeaderValue>;

    /// Reads the rest of the body, unless it turns out to be longer than `limit` bytes.
    async fn read(&mut self, limit: usize, patience: Duration) -> Result<(), UpstreamError>;

    /// The body as text, uncompressed. None if it was not read whole, or is compressed in a way that can not
    /// be undone within `limit` bytes.
    fn text(&self, limit: usize) -> Option<Cow<'_, str>>;

    /// Whether the bot gave it to an earlier delivery of the same callback.
    fn is_replay(&self) -> bool;

    /// Whether only the end of the connection tells where the body ends, and somebody may wait for it.
    fn ends_with_connection(&self) -> bool;
}
